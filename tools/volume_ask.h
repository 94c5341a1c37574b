/* SPDX-License-Identifier: BSD-2-Clause */
/* A person at the keyboard: passphrase and Ctrl-C. */
#ifndef TOOLS_VOLUME_ASK_H
#define TOOLS_VOLUME_ASK_H

#include <signal.h>

#include "base/secret.h"
#include "vouchsafe/err.h"

/* What changes the disk or the kernel's mappings is done as a whole. */
void vs_volume_hold_signals(sigset_t *before);

/*
 * One line, or all up to the end of the descriptor; unseen on a terminal, which is as it was before
 * also when a signal ends the program here. Error: USAGE.
 */
VS_RC vs_volume_read_passphrase(int fd, const char *device, struct vs_arena *arena,
	struct vs_secret *ret, struct vs_err *err);

#endif
