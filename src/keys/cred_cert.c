/* SPDX-License-Identifier: BSD-2-Clause */
/* The signed statement that a client certificate makes at the Entra token endpoint. */
#include <stdio.h>
#include <string.h>

#include "base/codec.h"
#include "base/file.h"
#include "crypto/ossl.h"
#include "crypto/pkey.h"
#include "crypto/sign.h"
#include "jose/json.h"
#include "jose/x509.h"
#include "keys/cred_impl.h"

enum { PEM_MAX = 64 * 1024, ASSERTION_S = 600 };

static void
wipe_buf(struct vs_buf *b)
{
	if (b->p != NULL)
		vs_wipe(b->p, b->cap);
	vs_buf_done(b);
}

static void
unref_ossl(struct vs_ossl **o)
{
	vs_ossl_unref(*o);
}

static void
unref_pkey(struct vs_pkey **k)
{
	vs_pkey_unref(*k);
}

static void
free_signer(struct vs_signer **s)
{
	vs_signer_free(*s);
}

/* DER of the first "PRIVATE KEY" block. out is pre-sized so that no copy is left behind. */
static VS_RC
read_key_block(const char *path, const struct vs_buf *pem, struct vs_buf *out, struct vs_err *err)
{
	static const char begin[] = "-----BEGIN PRIVATE KEY-----";
	static const char end[] = "-----END PRIVATE KEY-----";
	VS_CLEANUP(wipe_buf) struct vs_buf text = {0};
	uint8_t *room = NULL;
	const char *from = strstr(vs_buf_cstr(pem), begin);
	const char *to = from == NULL ? NULL : strstr(from, end);

	if (to == NULL)
		VS_FAIL(err, CONFIG_FILE,
			"%s: there is no PRIVATE KEY block; other forms can be converted by "
			"openssl pkcs8 -topk8 -nocrypt",
			path);
	VS_TRY(vs_buf_room(&text, pem->n, &room, err));
	VS_TRY(vs_buf_room(out, pem->n, &room, err));
	for (const char *p = from + sizeof begin - 1; p < to; p++) {
		if (*p != '\n' && *p != '\r')
			VS_TRY(vs_buf_add_u8(&text, (uint8_t)*p, err));
	}
	if (vs_failed(vs_b64_decode(vs_buf_view(&text), out, NULL)))
		VS_FAIL(err, CONFIG_FILE, "%s: the PRIVATE KEY block is not base64", path);
	return VS_OK;
}

static VS_RC
load_pair(const char *path, struct vs_ossl *o, struct vs_pkey **ret_key, struct vs_cert **ret_cert,
	struct vs_err *err)
{
	VS_CLEANUP(wipe_buf) struct vs_buf pem = {0};
	VS_CLEANUP(wipe_buf) struct vs_buf der = {0};
	VS_CLEANUP(vs_certs_freep) struct vs_certs *certs = NULL;
	VS_CLEANUP(unref_pkey) struct vs_pkey *key = NULL;

	VS_TRY(vs_file_read(path, PEM_MAX, VS_FILE_SECRET, &pem, err));
	VS_TRY(read_key_block(path, &pem, &der, err));
	VS_TRY(vs_pkey_from_pkcs8(o, vs_buf_view(&der), &key, err));
	VS_TRY(vs_certs_from_pem(vs_buf_view(&pem), &certs, err));
	if (vs_pkey_desc(key).type != VS_KEY_RSA)
		VS_FAIL(err, CONFIG_FILE, "%s: the key of a client certificate must be RSA", path);
	*ret_key = VS_TAKE(key);
	*ret_cert = vs_cert_ref(vs_certs_at(certs, 0));
	return VS_OK;
}

static VS_RC
build_header(struct vs_ossl *o, const struct vs_cert *cert, struct vs_buf *out, struct vs_err *err)
{
	VS_CLEANUP(vs_json_freep) struct vs_json *root = NULL;
	VS_CLEANUP(vs_buf_done) struct vs_buf print = {0};
	uint8_t sha256[32];

	VS_TRY(vs_hash_once(o, VS_HASH_SHA256, vs_cert_der(cert), sha256, err));
	VS_TRY(vs_b64url_encode(vs_bytes_of(sha256, sizeof sha256), &print, err));
	VS_TRY(vs_json_new_object(&root, err));
	VS_TRY(vs_json_set_string(root, "alg", "PS256", err));
	VS_TRY(vs_json_set_string(root, "typ", "JWT", err));
	VS_TRY(vs_json_set_bytes(root, "x5t#S256", vs_buf_view(&print), err));
	return vs_json_dump(root, out, err);
}

static VS_RC
build_claims(
	const struct vs_cred_env *env, const char *audience, struct vs_buf *out, struct vs_err *err)
{
	VS_CLEANUP(vs_json_freep) struct vs_json *root = NULL;
	const int64_t now = env->net.clock.ops->wall_unix(env->net.clock.self);
	const char *client = env->token->client_id;
	uint8_t random[16];
	char jti[37];
	char hex[33];

	VS_TRY(env->net.rng.ops->fill(env->net.rng.self, random, sizeof random, err));
	random[6] = (uint8_t)((random[6] & 0x0f) | 0x40);
	random[8] = (uint8_t)((random[8] & 0x3f) | 0x80);
	vs_hex_str(random, sizeof random, hex, sizeof hex);
	(void)snprintf(jti, sizeof jti, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12,
		hex + 16, hex + 20);
	VS_TRY(vs_json_new_object(&root, err));
	VS_TRY(vs_json_set_string(root, "aud", audience, err));
	VS_TRY(vs_json_set_string(root, "iss", client, err));
	VS_TRY(vs_json_set_string(root, "sub", client, err));
	VS_TRY(vs_json_set_string(root, "jti", jti, err));
	VS_TRY(vs_json_set_int(root, "iat", now, err));
	VS_TRY(vs_json_set_int(root, "nbf", now, err));
	VS_TRY(vs_json_set_int(root, "exp", now + ASSERTION_S, err));
	return vs_json_dump(root, out, err);
}

vs_rc
vs_cred_assertion(
	const struct vs_cred_env *env, const char *audience, struct vs_buf *out, struct vs_err *err)
{
	static const struct vs_sign_params ps256 = {
		.scheme = VS_SIGN_RSA_PSS,
		.hash = VS_HASH_SHA256,
		.pss_hash = VS_HASH_SHA256,
		.mgf_hash = VS_HASH_SHA256,
		.salt_bytes = 32,
	};
	const char *path = env->token->client_certificate_file;
	VS_CLEANUP(unref_ossl) struct vs_ossl *o = NULL;
	VS_CLEANUP(unref_pkey) struct vs_pkey *key = NULL;
	VS_CLEANUP(vs_cert_unrefp) struct vs_cert *cert = NULL;
	VS_CLEANUP(free_signer) struct vs_signer *signer = NULL;
	VS_CLEANUP(vs_buf_done) struct vs_buf header = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf claims = {0};
	uint8_t sig[VS_SIGN_MAX_BYTES];
	size_t sig_n = 0;

	VS_TRY(vs_ossl_new(&o, err));
	const vs_rc rc = load_pair(path, o, &key, &cert, err);
	if (vs_failed(rc))
		return vs_err_while(rc, err, "reading the client certificate %s", path);
	VS_TRY(build_header(o, cert, &header, err));
	VS_TRY(build_claims(env, audience, &claims, err));
	VS_TRY(vs_b64url_encode(vs_buf_view(&header), out, err));
	VS_TRY(vs_buf_add_u8(out, '.', err));
	VS_TRY(vs_b64url_encode(vs_buf_view(&claims), out, err));
	VS_TRY(vs_signer_new(key, &ps256, false, &signer, err));
	VS_TRY(vs_signer_sign_once(signer, vs_buf_view(out), sig, sizeof sig, &sig_n, err));
	VS_TRY(vs_buf_add_u8(out, '.', err));
	return vs_b64url_encode(vs_bytes_of(sig, sig_n), out, err);
}
