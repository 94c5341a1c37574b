/* SPDX-License-Identifier: BSD-2-Clause */
/* One connection to an agent: found or spawned, its peer checked, hello exchanged; raw input and
 * output with deadlines. Descriptors are close-on-exec, non-blocking and above 2. */
#ifndef VS_CLIENT_LINK_H
#define VS_CLIENT_LINK_H

#include "base/buf.h"
#include "client/profile.h"
#include "vouchsafe/err.h"

/*
 * Connect to the machine's agent, or spawn a private one where none listens or it serves another
 * configuration; then hello. Errors: AGENT (nobody there and none may be spawned, a stranger
 * listens, another time namespace), TIMEOUT, WIRE, MEMORY.
 */
VS_RC vs_link_open(const struct vs_profile *profile, int64_t deadline_boot_ns, int *ret_fd,
	struct vs_err *err);

/* All bytes, in at most the time left. Errors: AGENT (closed), TIMEOUT. */
VS_RC vs_link_send(int fd, struct vs_bytes bytes, int64_t deadline_boot_ns, struct vs_err *err);

/*
 * What is there now, at most n bytes; *ret_n is 0 when nothing is. A descriptor that comes along
 * goes to *fd, which must be -1: a second one is an error. Errors: AGENT (closed), WIRE.
 */
VS_RC vs_link_recv(int fd, void *p, size_t n, size_t *ret_n, int *ret_fd, struct vs_err *err);

/* Wait until the descriptor is readable (POLLIN) or writable. Error: TIMEOUT. */
VS_RC vs_link_wait(int fd, short events, int64_t deadline_boot_ns, struct vs_err *err);

/* Time left in ms, rounded up, at least 0. */
int vs_link_left_ms(int64_t deadline_boot_ns);

#endif
