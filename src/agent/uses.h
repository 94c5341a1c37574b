/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who got which key of one token, and how often it was used: for the audit log. Each process has
 * counters of its own for each lease (proto/uses.h); they are read once a minute, and one record
 * per key, user and minute says how much they grew. Nothing here waits for a process, and what a
 * process writes is believed of itself only. On the loop's thread.
 */
#ifndef VS_AGENT_USES_H
#define VS_AGENT_USES_H

#include "core/record.h"
#include "core/work.h"
#include "proto/catalog.h"
#include "proto/msg.h"

struct vs_uses_book;

enum {
	VS_USES_PERIOD_S = 60,
	VS_USES_PAGES_MAX = 4096, /* of all processes */
	VS_USES_USER_PAGES_MAX = 512, /* of one user but root and our own */
	VS_USES_HANDOVERS_MAX = 120, /* own records per user and minute; then they are counted */
	VS_USES_SUMS_MAX = 8192, /* keys and users that wait for their record */
};

struct vs_uses_env {
	struct vs_core *core;
	struct vs_loop *loop;
	struct vs_work *work;
	const struct vs_conf_token *token;
};
VS_RC vs_uses_new(const struct vs_uses_env *env, struct vs_uses_book **ret, struct vs_err *err);
/* No job may run. What was not written is lost. NULL-safe. */
void vs_uses_free(struct vs_uses_book *b);

/* Which process, and under which lease. */
struct vs_uses_who {
	struct vs_who who;
	int pid_fd; /* or -1; stays the caller's */
	const void *peer; /* stands for a process whose number the kernel does not tell */
	uint64_t lease_serial;
	const char *lease_hex;
};

enum vs_uses_note {
	VS_USES_KNOWN = 0, /* this process has it under this lease: nothing is to be recorded */
	VS_USES_RECORD, /* record that it gets the key */
	VS_USES_RECORD_LAST, /* ... and that further ones of this minute are only counted */
	VS_USES_COUNT, /* only counted, with vs_uses_give() */
};
enum vs_uses_note vs_uses_note(struct vs_uses_book *b, const struct vs_uses_who *w, uint32_t no);
/* How the record ended that vs_uses_note() asked for. Only behind those that stand is counted. */
void vs_uses_recorded(struct vs_uses_book *b, uint32_t uid, bool written);

/*
 * The process gets a key: *ret_fd (ours) is the counters to send along. counted: VS_USES_COUNT was
 * said. Errors: LIMIT, MEMORY.
 */
VS_RC vs_uses_give(struct vs_uses_book *b, const struct vs_uses_who *w, uint32_t no,
	const struct vs_cat_entry *entry, bool counted, int *ret_fd, struct vs_err *err);

/* The connection of a process without a number has ended. */
void vs_uses_peer_gone(struct vs_uses_book *b, const void *peer);
/* Counters of other leases than this one are read for the last time a minute from now. */
void vs_uses_lease(struct vs_uses_book *b, uint64_t lease_serial);
/* Read all counters and write the records now: the agent ends. */
void vs_uses_flush(struct vs_uses_book *b);

#endif
