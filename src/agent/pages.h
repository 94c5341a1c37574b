/* SPDX-License-Identifier: BSD-2-Clause */
/* Lease pages: sealed memory files, writable here only. */
#ifndef VS_AGENT_PAGES_H
#define VS_AGENT_PAGES_H

#include "proto/msg.h"
#include "proto/page.h"

struct vs_lease_page;

/* A live page without keys. Errors: MEMORY. */
VS_RC vs_lease_page_new(const uint8_t lease_id[VS_LEASE_ID_BYTES], int64_t valid_boot_ns,
	int64_t end_boot_ns, struct vs_lease_page **ret, struct vs_err *err);
/* Unmaps and closes; what is written stays for those who have it mapped. NULL-safe. */
void vs_lease_page_free(struct vs_lease_page *p);
/* To be sent to peers; stays ours. */
int vs_lease_page_fd(const struct vs_lease_page *p);
const struct vs_page *vs_lease_page_view(const struct vs_lease_page *p);

/* Never backwards. */
void vs_lease_page_extend(struct vs_lease_page *p, int64_t valid_boot_ns, int64_t end_boot_ns);
void vs_lease_page_revoke(struct vs_lease_page *p, enum vs_code reason);
void vs_lease_page_end(struct vs_lease_page *p);
void vs_lease_page_key(struct vs_lease_page *p, uint32_t no, enum vs_page_key state);

#endif
