/* SPDX-License-Identifier: BSD-2-Clause */
/* Inside of the credentials: one fetch of one token, without cache. Not for other folders. */
#ifndef VS_KEYS_CRED_IMPL_H
#define VS_KEYS_CRED_IMPL_H

#include "keys/cred.h"

enum { VS_CRED_FILE_MAX = 16 * 1024, VS_CRED_TOKEN_MAX = 16 * 1024 };

struct vs_cred_fetched {
	struct vs_secret token;
	int64_t valid_s; /* from now */
};

/* One of these per kind. Errors: CREDENTIAL, CONFIG_FILE, and those of struct vs_http. */
VS_RC vs_cred_fetch_imds(const struct vs_cred_env *env, const char *resource,
	int64_t deadline_boot_ns, struct vs_cred_fetched *ret, struct vs_err *err);
VS_RC vs_cred_fetch_arc(const struct vs_cred_env *env, const char *resource,
	int64_t deadline_boot_ns, struct vs_cred_fetched *ret, struct vs_err *err);
VS_RC vs_cred_fetch_entra(const struct vs_cred_env *env, const char *resource,
	int64_t deadline_boot_ns, struct vs_cred_fetched *ret, struct vs_err *err);

/* Read a 200 answer: access_token, token_type, expires_on or expires_in as number or string. */
VS_RC vs_cred_read_token(const struct vs_cred_env *env, const struct vs_http_res *res,
	const char *who, struct vs_cred_fetched *ret, struct vs_err *err);
/* CREDENTIAL with the service's "error_description", or as vs_http_fail for passing states. */
VS_RC vs_cred_refused(const struct vs_http_res *res, const char *who, struct vs_err *err);

/*
 * The signed statement that stands for a certificate: PS256, x5t#S256, ten minutes. pem holds a
 * PKCS#8 private key and the certificate. Appends a compact JWS.
 */
VS_RC vs_cred_assertion(const struct vs_cred_env *env, const char *audience, struct vs_buf *out,
	struct vs_err *err);

#endif
