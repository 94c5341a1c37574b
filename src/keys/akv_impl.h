/* SPDX-License-Identifier: BSD-2-Clause */
/* Inside of the vault client. Not for other folders. */
#ifndef VS_KEYS_AKV_IMPL_H
#define VS_KEYS_AKV_IMPL_H

#include "jose/json.h"
#include "keys/akv.h"
#include "net/url.h"

struct vs_ossl;
struct vs_akv_known;

#define VS_AKV_API_VERSION "7.4"
enum { VS_AKV_NAME_MAX = 127, VS_AKV_VERSION_BYTES = 32 };

struct vs_akv {
	struct vs_akv_env env;
	struct vs_url origin;
	struct vs_ossl *ossl;
	struct vs_akv_known *known;
};

/* What a key identifier says after it was found to be one of this vault's. */
struct vs_akv_id {
	char name[VS_AKV_NAME_MAX + 1];
	char version[VS_AKV_VERSION_BYTES + 1]; /* "" in lists */
};

/* Start an address: origin, then each of the segments; the api-version is added last by the call.
 */
VS_RC vs_akv_url(const struct vs_akv *akv, struct vs_buf *url, const char *const *segments,
	struct vs_err *err);
/*
 * One exchange with bearer, retries, and a fresh token after a first 401. Any other status is
 * success here. body: NULL for GET.
 */
VS_RC vs_akv_call(struct vs_akv *akv, const char *url, const struct vs_bytes *body,
	int64_t deadline_boot_ns, struct vs_http_res *ret, struct vs_err *err);
/* The same and the JSON object of a 200 answer; others as vs_akv_fail. */
VS_RC vs_akv_get_json(struct vs_akv *akv, const char *url, const char *what,
	int64_t deadline_boot_ns, struct vs_json **ret, struct vs_err *err);
/* Classify an answer that is not 200. what: "key tls-2026". Never success. */
VS_RC
vs_akv_fail(const struct vs_http_res *res, const char *what, bool release, struct vs_err *err);
/* Keys or certificates: the path's first segment, and the member that identifies an item. */
struct vs_akv_kind {
	const char *segment;
	const char *id_member;
};
extern const struct vs_akv_kind vs_akv_keys, vs_akv_certificates;

/* https://host/keys/name[/version] of this very vault. Error: ANSWER. */
VS_RC vs_akv_parse_id(const struct vs_akv *akv, const struct vs_akv_kind *kind,
	const struct vs_json *kid, struct vs_akv_id *ret, struct vs_err *err);

/* One item of a list: its identifier and the rest. */
typedef vs_rc vs_akv_item_fn(
	void *arg, const struct vs_akv_id *id, const struct vs_json *item, struct vs_err *err);
/* Walk all pages of /keys or /certificates, or of the versions of one of them. */
VS_RC vs_akv_list(struct vs_akv *akv, const struct vs_akv_kind *kind, const char *name,
	int64_t deadline_boot_ns, vs_akv_item_fn *fn, void *arg, struct vs_err *err);

/* ---- catalog (catalog.c) ------------------------------------------------------------------ */

struct vs_akv_catalog;
VS_RC vs_akv_catalog_new(struct vs_ossl *ossl, struct vs_akv_catalog **ret, struct vs_err *err);
void vs_akv_catalog_free(struct vs_akv_catalog *b);
/* False: it stands there already. */
bool vs_akv_catalog_is_new(const struct vs_akv_catalog *b, const struct vs_akv_id *id);
/*
 * Add a key from its "key" member. cert may be empty: DER of a certificate, which is taken if it is
 * for this key. ret_cert_fits tells. Errors: BAD_KEY, LIMIT, MEMORY.
 */
VS_RC vs_akv_catalog_add(struct vs_akv_catalog *b, const struct vs_akv_id *id, const char *kid,
	const struct vs_json *jwk, bool enabled, struct vs_bytes cert, bool *ret_cert_fits,
	struct vs_err *err);
VS_RC
vs_akv_catalog_finish(struct vs_akv_catalog *b, struct vs_catalog_data **ret, struct vs_err *err);

/* ---- what was said before (known.c) --------------------------------------------------------- */

/* When an item of a list was made and changed. */
struct vs_akv_stamp {
	bool given; /* the list says all of it */
	bool enabled;
	int64_t created, updated;
};
struct vs_akv_stamp vs_akv_stamp_of(const struct vs_json *item);

/* Thread-safe. */
VS_RC vs_akv_known_new(struct vs_akv_known **ret, struct vs_err *err);
void vs_akv_known_free(struct vs_akv_known *k);
/* The answer about what ("keys/name") that is still true, and when it came; NULL: ask again. */
struct vs_json *vs_akv_known_take(struct vs_akv_known *k, const char *what,
	const struct vs_akv_stamp *stamp, int64_t now_unix, int64_t *ret_fetched_unix);
/* Keep an answer for the next time, if it may be kept; root (NULL-safe) is taken over. */
void vs_akv_known_put(struct vs_akv_known *k, const char *what, const struct vs_akv_stamp *stamp,
	int64_t now_unix, int64_t fetched_unix, struct vs_json *root);

/* ---- public parts (jwk.c) ------------------------------------------------------------------ */

/* kty, curve, size, operations and public numbers of a vault's JWK. */
struct vs_akv_jwk {
	enum vs_key_type type;
	enum vs_curve curve;
	uint32_t bits;
	uint32_t ops;
	struct vs_buf n, e; /* no leading zeros */
	struct vs_buf x, y; /* field length */
};
void vs_akv_jwk_done(struct vs_akv_jwk *k);
/* Error: BAD_KEY. */
VS_RC vs_akv_jwk_read(const struct vs_json *jwk, struct vs_akv_jwk *ret, struct vs_err *err);

/* Where things stand in a certificate that was already parsed. Error: FORMAT. */
struct vs_cert_parts {
	struct vs_bytes serial, issuer, subject, spki; /* DER, with tag and length */
};
VS_RC vs_cert_parts_find(struct vs_bytes der, struct vs_cert_parts *ret, struct vs_err *err);

#endif
