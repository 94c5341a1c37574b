/* SPDX-License-Identifier: BSD-2-Clause */
/* The mapped lease page of one grant, and its counters. */
#ifndef VS_CLIENT_GRANT_H
#define VS_CLIENT_GRANT_H

#include "client/client.h"
#include "proto/msg.h"

/*
 * Check seals, size and contents of what came with an answer to `need`, map it read-only.
 * The descriptor stays the caller's. Errors: WIRE, MEMORY.
 */
VS_RC vs_grant_map(
	int fd, struct vs_bytes lease_id, size_t token, struct vs_grant **ret, struct vs_err *err);
/*
 * The same for what came with a key: the counters, writable. What is mapped already stays.
 * Errors: WIRE, MEMORY.
 */
VS_RC vs_grant_count_in(struct vs_grant *g, int fd, struct vs_err *err);
size_t vs_grant_token(const struct vs_grant *g);
/* VS_LEASE_ID_BYTES */
struct vs_bytes vs_grant_lease_id(const struct vs_grant *g);

#endif
