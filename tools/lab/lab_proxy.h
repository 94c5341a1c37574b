/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The door to the emulated TPM: two sockets with swtpm's protocol. Commands of all clients go
 * through one by one; a client that has to wait is kept, not refused. The control socket knows
 * locality 0 and nothing else, so that a guest cannot switch its TPM off or rewind it.
 */
#ifndef LAB_LAB_PROXY_H
#define LAB_LAB_PROXY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "vouchsafe/err.h"

struct lab_proxy;

/* Answer one whole command of process peer; *rsp_n is the room in rsp, then the length. A failure
 * ends the client's connection. Called from the proxy's thread only. */
typedef vs_rc lab_proxy_fn(void *arg, pid_t peer, const uint8_t *cmd, size_t n, uint8_t *rsp,
	size_t *rsp_n, struct vs_err *err);

/* Listens on path and path.ctrl. Errors: SOCKET, MEMORY. */
VS_RC lab_proxy_start(
	const char *path, lab_proxy_fn *fn, void *arg, struct lab_proxy **ret, struct vs_err *err);
/* Ends the thread and all connections, removes the sockets. NULL-safe. */
void lab_proxy_stop(struct lab_proxy *p);

#endif
