/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Access tokens: managed identity, client secret, client certificate, workload identity, Azure
 * Arc. The resource comes from configuration, never from a challenge (T-N5).
 */
#ifndef VS_KEYS_CRED_H
#define VS_KEYS_CRED_H

#include "conf/conf.h"
#include "net/http.h"

struct vs_cred_env {
	const struct vs_conf *conf; /* borrowed; outlives the credential */
	const struct vs_conf_token *token;
	struct vs_arena *arena;
	struct vs_net net;
	const char *arc_key_dir; /* NULL: where Azure Arc puts its keys */
};

/*
 * The credential a token's section asks for, cached until five minutes before expiry, one fetch
 * at a time. Reads no file and opens no connection yet. Free by ret->ops->free(ret->self).
 * Errors: CONFIG_MISSING (a setting that this kind needs), MEMORY.
 */
VS_RC vs_cred_new(const struct vs_cred_env *env, struct vs_cred *ret, struct vs_err *err);

#endif
