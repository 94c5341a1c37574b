/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Composition root: everything one process needs to talk for the tokens of one configuration.
 * Thread-safe after vs_core_open().
 */
#ifndef VS_CORE_CORE_H
#define VS_CORE_CORE_H

#include "audit/audit.h"
#include "conf/conf.h"
#include "gate/attempt.h"
#include "vouchsafe/vouchsafe.h"

struct vs_arena *vs_core_arena(const struct vs_core *core);
struct vs_clock vs_core_clock(const struct vs_core *core);
struct vs_rng vs_core_rng(const struct vs_core *core);
uint32_t vs_core_random(const struct vs_core *core);

/* The services of a token, made at first use; an error is not kept, so that a mended policy file
 * is noticed. They live as long as the core. */
VS_RC vs_core_services(struct vs_core *core, const struct vs_conf_token *token,
	struct vs_services **ret, struct vs_err *err);

/*
 * The audit log, opened at first use. NULL with VS_OK: none is to be had and the settings allow
 * that. Error: AUDIT.
 */
VS_RC vs_core_audit(struct vs_core *core, struct vs_audit **ret, struct vs_err *err);

#endif
