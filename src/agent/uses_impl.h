/* SPDX-License-Identifier: BSD-2-Clause */
/* What the two files of the book of uses share. */
#ifndef VS_AGENT_USES_IMPL_H
#define VS_AGENT_USES_IMPL_H

#include "agent/uses.h"
#include "proto/uses.h"

struct vs_uses_key {
	uint32_t no;
	uint64_t seen; /* as last read */
	struct vs_use_name name;
};

struct vs_uses_page {
	struct vs_uses_page *next;
	uint32_t uid;
	int32_t pid; /* 0: not known, then peer */
	const void *peer;
	int fd, pid_fd;
	uint64_t lease_serial;
	char lease_hex[2 * VS_LEASE_ID_BYTES + 1];
	bool gone; /* nobody counts here any more */
	bool ended; /* its lease was over when it was last read */
	size_t n_keys;
	struct vs_uses_key *keys; /* that its process was given */
};

/* Hand-overs of one user in this minute. */
struct vs_uses_budget {
	uint32_t uid;
	unsigned n; /* records that were begun, */
	unsigned written; /* and that stand in the log */
};

struct vs_uses_job;

struct vs_uses_book {
	struct vs_uses_env env;
	struct vs_timer timer;
	uint64_t lease_serial; /* of the lease that lives */
	size_t n_pages;
	struct vs_uses_page *pages;
	size_t n_sums;
	struct vs_use_sum *sums; /* to be written */
	int64_t since_unix; /* they are from here on */
	struct vs_uses_job *job; /* being written */
	bool unwritten; /* the last ones could not be written */
	size_t n_budgets, cap_budgets;
	struct vs_uses_budget *budgets;
};

VS_RC vs_uses_page_new(struct vs_uses_book *b, const struct vs_uses_who *w,
	struct vs_uses_page **ret, struct vs_err *err);
struct vs_uses_page *vs_uses_page_find(const struct vs_uses_book *b, const struct vs_uses_who *w);
bool vs_uses_page_has(const struct vs_uses_page *p, uint32_t no);
VS_RC vs_uses_page_add(
	struct vs_uses_page *p, uint32_t no, const struct vs_cat_entry *entry, struct vs_err *err);
/* Into the sums; pages that will grow no more are freed. */
void vs_uses_read_all(struct vs_uses_book *b, bool dead_only);
void vs_uses_drop_pages(struct vs_uses_book *b);

void vs_use_name(struct vs_use_name *ret, const struct vs_cat_entry *entry);
void vs_uses_add_sum(struct vs_uses_book *b, const struct vs_uses_page *p,
	const struct vs_uses_key *k, uint64_t uses, bool went_back);

#endif
