/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Key Vault and Managed HSM: which keys a token has, their public parts, and the release call.
 * A release answer is not believed here: keys/release.h opens it.
 */
#ifndef VS_KEYS_AKV_H
#define VS_KEYS_AKV_H

#include "conf/conf.h"
#include "net/http.h"
#include "proto/catalog.h"

struct vs_akv;

struct vs_akv_env {
	const struct vs_conf_token *token; /* borrowed; outlives the object */
	struct vs_net net;
	struct vs_cred cred; /* borrowed */
};

/* Error: CONFIG_VALUE, MEMORY. */
VS_RC vs_akv_new(const struct vs_akv_env *env, struct vs_akv **ret, struct vs_err *err);
void vs_akv_free(struct vs_akv *akv);

enum { VS_AKV_KEYS_MAX = 3072, VS_AKV_PAGES_MAX = 1024 };

/*
 * The keys that the patterns of the configuration choose, with their public parts and
 * certificates. Keys that cannot be released (not exportable, no release policy) are left out
 * when a glob chose them, and logged when a plain name did.
 * Errors: REFUSED_ACCESS, KEY_GONE, THROTTLED, UNAVAILABLE, ANSWER, CONFIG_FILE (certificate), and
 * those of struct vs_cred and struct vs_http.
 */
VS_RC vs_akv_catalog(struct vs_akv *akv, int64_t deadline_boot_ns, struct vs_catalog_data **ret,
	struct vs_err *err);

/*
 * Ask for the release of one version of a key for the bearer of an attestation token. ret_jws gets
 * the answer's "value" as received; ret_request_id the service's own number of the call.
 * Errors: REFUSED_RELEASE (the service's sentence quoted), REFUSED_ACCESS, KEY_GONE, THROTTLED,
 * UNAVAILABLE, ANSWER, and those of struct vs_cred and struct vs_http.
 */
VS_RC vs_akv_release(struct vs_akv *akv, const struct vs_cat_entry *entry,
	struct vs_bytes attestation_token, int64_t deadline_boot_ns, struct vs_buf *ret_jws,
	char ret_request_id[80], struct vs_err *err);

/*
 * May this identity list the vault's keys? Asks for one. Errors: as vs_akv_catalog.
 */
VS_RC vs_akv_may_list(struct vs_akv *akv, int64_t deadline_boot_ns, struct vs_err *err);
/*
 * May it release this key? Asks with something that is no attestation: the vault looks at the
 * identity first, so nothing is ever released. Errors: REFUSED_ACCESS, KEY_GONE, THROTTLED,
 * UNAVAILABLE, and those of struct vs_cred and struct vs_http.
 */
VS_RC vs_akv_may_release(struct vs_akv *akv, const struct vs_cat_entry *entry,
	int64_t deadline_boot_ns, struct vs_err *err);
/* The release policy that the vault keeps with this version of a key, as text. Errors: as
 * vs_akv_catalog. */
VS_RC vs_akv_stored_policy(struct vs_akv *akv, const struct vs_cat_entry *entry,
	int64_t deadline_boot_ns, struct vs_buf *ret_policy, bool *ret_immutable,
	struct vs_err *err);

/* "CKM_RSA_AES_KEY_WRAP", "RSA_AES_KEY_WRAP_256", "RSA_AES_KEY_WRAP_384". */
const char *vs_akv_enc_name(enum vs_wrap_alg wrap);

#endif
