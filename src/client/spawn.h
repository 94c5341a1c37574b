/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VS_CLIENT_SPAWN_H
#define VS_CLIENT_SPAWN_H

#include "vouchsafe/err.h"

/*
 * Start `program --config config --private FD` so that the caller never sees a child: no SIGCHLD,
 * nothing for its waitpid(-1), parent is init. The agent has its own session, null stdio, no other
 * descriptors, an empty environment, default signals. *ret_fd is our end of the socket pair.
 * Errors: AGENT (foreign = errno), MEMORY.
 */
VS_RC vs_spawn_agent(const char *program, const char *config, int *ret_fd, struct vs_err *err);

#endif
