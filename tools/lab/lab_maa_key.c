/* SPDX-License-Identifier: BSD-2-Clause */
#include "lab/lab_maa_key.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>

#include "base/codec.h"
#include "lab/lab_machine_priv.h"
#include "lab/lab_roots.h"

/* base64(SHA-256(PEM SubjectPublicKeyInfo with its NUL)), as every key of the real service. */
static vs_rc
make_kid(EVP_PKEY *key, char out[48], struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf pem = {0}, kid = {0};
	uint8_t digest[32];
	BIO *bio = BIO_new(BIO_s_mem());
	char *text = NULL;
	const long n =
		bio && PEM_write_bio_PUBKEY(bio, key) == 1 ? BIO_get_mem_data(bio, &text) : 0;
	vs_rc rc = n > 0 ? vs_buf_add(&pem, text, (size_t)n, err)
			 : lab_ossl_fail("cannot encode a key", err);
	BIO_free(bio);
	VS_TRY(rc);
	VS_TRY(vs_buf_add_u8(&pem, 0, err));
	SHA256(pem.p, pem.n, digest);
	VS_TRY(vs_b64_encode(vs_bytes_of(digest, sizeof digest), &kid, err));
	snprintf(out, 48, "%s", vs_buf_cstr(&kid));
	return VS_OK;
}

/* A certificate and the name of a key that is there. */
static vs_rc
complete(struct lab_maa_key *k, const char *issuer, bool expired, struct vs_err *err)
{
	static const struct lab_ext ext[] = {
		{.oid = "basicConstraints", .conf = "critical,CA:TRUE,pathlen:0"},
		{.oid = "keyUsage", .conf = "critical,keyCertSign"},
		{.oid = "subjectKeyIdentifier", .conf = "hash"},
		{0},
	};
	const int64_t day = 86400, now = (int64_t)time(NULL);
	const struct lab_hwcert spec = {
		.organization = "",
		.cn = issuer,
		.key = k->key,
		.serial = 1,
		.not_before = now - (expired ? 366 : 30) * day,
		.not_after = now + (expired ? -1 : 335) * day,
		.ext = ext,
	};
	VS_TRY(lab_hwcert_new(&spec, &k->cert, err));
	return make_kid(k->key, k->kid, err);
}

/* base64url(SHA-1(DER)), the name of the keys that have a chain. */
static vs_rc
chained_kid(X509 *cert, char out[48], struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf der = {0}, kid = {0};
	uint8_t digest[20];
	VS_TRY(lab_hwcert_der(cert, &der, err));
	SHA1(der.p, der.n, digest);
	VS_TRY(vs_b64url_encode(vs_bytes_of(digest, sizeof digest), &kid, err));
	snprintf(out, 48, "%s", vs_buf_cstr(&kid));
	return VS_OK;
}

/* Root and CA are elliptic only because RSA keys take long to make. */
static vs_rc
make_chain(struct lab_new_key jobs[3], struct lab_maa_keys *ret, struct vs_err *err)
{
	static const struct lab_ext ca[] = {
		{.oid = "basicConstraints", .conf = "critical,CA:TRUE"},
		{.oid = "keyUsage", .conf = "critical,keyCertSign,cRLSign"},
		{0},
	};
	static const struct lab_ext leaf[] = {
		{.oid = "keyUsage", .conf = "critical,digitalSignature"},
		{.oid = "extendedKeyUsage", .conf = "1.3.6.1.4.1.311.76.50.3"},
		{0},
	};
	struct lab_signer root = {.key = jobs[0].key}, issuing = {.key = jobs[1].key};
	const struct lab_hwcert root_spec = {
		.cn = "Vouchsafe LAB Attestation Root", .key = root.key, .serial = -1, .ext = ca};
	VS_TRY(lab_hwcert_new(&root_spec, &ret->chain_root, err));
	root.cert = ret->chain_root;
	const struct lab_hwcert ca_spec = {.cn = "Vouchsafe LAB Attestation PCA",
		.key = issuing.key,
		.issuer = &root,
		.serial = -1,
		.ext = ca};
	VS_TRY(lab_hwcert_new(&ca_spec, &ret->chain_ca, err));
	issuing.cert = ret->chain_ca;
	const struct lab_hwcert leaf_spec = {.cn = "Vouchsafe LAB Attestation",
		.key = jobs[2].key,
		.issuer = &issuing,
		.serial = -1,
		.ext = leaf};
	VS_TRY(lab_hwcert_new(&leaf_spec, &ret->chained.cert, err));
	EVP_PKEY_up_ref(jobs[2].key);
	ret->chained.key = jobs[2].key;
	return chained_kid(ret->chained.cert, ret->chained.kid, err);
}

static void
share_chain(const struct lab_maa_keys *same, struct lab_maa_keys *ret)
{
	ret->chained = same->chained;
	ret->chain_ca = same->chain_ca;
	ret->chain_root = same->chain_root;
	EVP_PKEY_up_ref(ret->chained.key);
	X509_up_ref(ret->chained.cert);
	X509_up_ref(ret->chain_ca);
	X509_up_ref(ret->chain_root);
}

vs_rc
lab_maa_keys_make(const char *issuer, const struct lab_maa_keys *same, struct lab_maa_keys *ret,
	struct vs_err *err)
{
	struct lab_new_key jobs[LAB_KEY_OLD + 3] = {{.bits = 1024}, {.bits = 2048}, {.bits = 2048},
		{.bits = 0}, {.bits = 0}, {.bits = 2048}};
	memset(ret, 0, sizeof *ret);
	if (!same)
		VS_TRY(lab_new_keys(jobs, LAB_KEY_OLD + 3, err));
	vs_rc rc = VS_OK;
	if (same)
		share_chain(same, ret);
	else
		rc = make_chain(jobs + LAB_KEY_OLD, ret, err);
	for (size_t i = LAB_KEY_OLD; !same && i < LAB_KEY_OLD + 3; i++)
		EVP_PKEY_free(jobs[i].key);
	for (size_t i = 0; i < LAB_KEY_OLD; i++) {
		if (same)
			EVP_PKEY_up_ref(same->key[i].key);
		ret->key[i].key = same ? same->key[i].key : jobs[i].key;
	}
	for (size_t i = 0; i < LAB_KEY_OLD && !vs_failed(rc); i++)
		rc = complete(&ret->key[i], issuer, i == LAB_KEY_EXPIRED, err);
	if (vs_failed(rc))
		lab_maa_keys_done(ret);
	return rc;
}

static void
key_done(struct lab_maa_key *k)
{
	EVP_PKEY_free(k->key);
	X509_free(k->cert);
	memset(k, 0, sizeof *k);
}

vs_rc
lab_maa_keys_rotate(
	struct lab_maa_keys *k, const char *issuer, EVP_PKEY *key, bool forget, struct vs_err *err)
{
	struct lab_maa_key fresh = {.key = key};
	EVP_PKEY_up_ref(key);
	const vs_rc rc = complete(&fresh, issuer, false, err);
	if (vs_failed(rc)) {
		key_done(&fresh);
		return rc;
	}
	key_done(&k->key[LAB_KEY_OLD]);
	k->key[LAB_KEY_OLD] = k->key[LAB_KEY_GOOD];
	k->key[LAB_KEY_GOOD] = fresh;
	if (forget)
		key_done(&k->key[LAB_KEY_OLD]);
	return VS_OK;
}

vs_rc
lab_maa_key_unknown(struct lab_maa_key *ret, struct vs_err *err)
{
	struct lab_new_key job = {.bits = 2048};
	memset(ret, 0, sizeof *ret);
	VS_TRY(lab_new_keys(&job, 1, err));
	const vs_rc rc = make_kid(job.key, ret->kid, err);
	if (vs_failed(rc))
		EVP_PKEY_free(job.key);
	else
		ret->key = job.key;
	return rc;
}

void
lab_maa_keys_done(struct lab_maa_keys *k)
{
	for (size_t i = 0; i < LAB_KEYS_COUNT_; i++)
		key_done(&k->key[i]);
	key_done(&k->chained);
	X509_free(k->chain_ca);
	X509_free(k->chain_root);
	k->chain_ca = k->chain_root = NULL;
}

static json_t *
b64_json(struct vs_bytes b, bool url)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf out = {0};
	if (vs_failed(url ? vs_b64url_encode(b, &out, NULL) : vs_b64_encode(b, &out, NULL)))
		return NULL;
	return json_string(vs_buf_cstr(&out));
}

static json_t *
bn_json(EVP_PKEY *key, const char *name)
{
	uint8_t bytes[512];
	BIGNUM *bn = NULL;
	json_t *v = NULL;
	if (EVP_PKEY_get_bn_param(key, name, &bn) == 1 && BN_num_bytes(bn) <= (int)sizeof bytes)
		v = b64_json(vs_bytes_of(bytes, (size_t)BN_bn2bin(bn, bytes)), true);
	BN_free(bn);
	return v;
}

static json_t *
certs_json(const struct lab_maa_key *k, X509 *ca, X509 *root)
{
	X509 *const certs[] = {k->cert, ca, root};
	json_t *x5c = json_array();
	for (size_t i = 0; i < 3 && certs[i]; i++) {
		VS_CLEANUP(vs_buf_done) struct vs_buf der = {0};
		if (!vs_failed(lab_hwcert_der(certs[i], &der, NULL)))
			json_array_append_new(x5c, b64_json(vs_buf_view(&der), false));
	}
	return x5c;
}

/* Takes x5c. */
static json_t *
jwk(const struct lab_maa_key *k, json_t *x5c, bool full)
{
	json_t *o = json_object();
	if (!full) {
		json_object_set_new(o, "x5c", x5c);
		json_object_set_new(o, "kid", json_string(k->kid));
		json_object_set_new(o, "kty", json_string("RSA"));
		return o;
	}
	json_object_set_new(o, "alg", json_string("RS256"));
	json_object_set_new(o, "kty", json_string("RSA"));
	json_object_set_new(o, "use", json_string("sig"));
	json_object_set_new(o, "x5c", x5c);
	json_object_set_new(o, "n", bn_json(k->key, "n"));
	json_object_set_new(o, "e", bn_json(k->key, "e"));
	json_object_set_new(o, "kid", json_string(k->kid));
	return o;
}

json_t *
lab_maa_jwks(const struct lab_maa_keys *k, bool full)
{
	json_t *keys = json_array();
	for (size_t i = 0; i < LAB_KEYS_COUNT_; i++)
		if (k->key[i].key)
			json_array_append_new(
				keys, jwk(&k->key[i], certs_json(&k->key[i], NULL, NULL), full));
	json_array_append_new(
		keys, jwk(&k->chained, certs_json(&k->chained, k->chain_ca, k->chain_root), full));
	return json_pack("{s:o}", "keys", keys);
}

static vs_rc
add_part(struct vs_buf *out, const json_t *o, size_t flags, struct vs_err *err)
{
	char *text = json_dumps(o, JSON_COMPACT | flags);
	if (!text)
		VS_FAIL(err, MEMORY, "out of memory");
	const vs_rc rc = vs_b64url_encode(vs_bytes_str(text), out, err);
	free(text);
	return rc;
}

/* T-L1: whatever the service signs or leaves unsecured says that it is a lab's. No policy decides.
 */
static vs_rc
add_claims(struct vs_buf *out, const json_t *claims, size_t flags, struct vs_err *err)
{
	json_t *marked = json_copy((json_t *)(uintptr_t)claims);
	vs_rc rc = json_object_set_new(marked, "vouchsafe-lab", json_true()) == 0
		? add_part(out, marked, flags, err)
		: vs_err_put(err, VS_E_MEMORY, __func__, __LINE__, 0, "out of memory");
	json_decref(marked);
	return rc;
}

static vs_rc
add_parts(const struct lab_maa_key *key, const char *alg, const char *issuer, const json_t *claims,
	struct vs_buf *out, struct vs_err *err)
{
	char jku[128];
	snprintf(jku, sizeof jku, "%s/certs", issuer);
	json_t *header = json_pack(
		"{s:s,s:s,s:s,s:s}", "alg", alg, "jku", jku, "kid", key->kid, "typ", "JWT");
	vs_rc rc = add_part(out, header, 0, err);
	json_decref(header);
	VS_TRY(rc);
	VS_TRY(vs_buf_add_u8(out, '.', err));
	return add_claims(out, claims, JSON_SORT_KEYS, err);
}

/* Adds the signature to header and payload. */
static vs_rc
add_signature(EVP_PKEY *key, struct vs_buf *text, struct vs_err *err)
{
	uint8_t sig[512];
	size_t n = sizeof sig;
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	const bool ok = md && EVP_DigestSignInit(md, NULL, EVP_sha256(), NULL, key) == 1 &&
		EVP_DigestSign(md, sig, &n, text->p, text->n) == 1;
	EVP_MD_CTX_free(md);
	if (!ok)
		return lab_ossl_fail("cannot sign a token", err);
	VS_TRY(vs_buf_add_u8(text, '.', err));
	return vs_b64url_encode(vs_bytes_of(sig, n), text, err);
}

vs_rc
lab_maa_sign(const struct lab_maa_key *key, const char *issuer, const json_t *claims,
	struct vs_buf *out, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {0};
	VS_TRY(add_parts(key, "RS256", issuer, claims, &text, err));
	VS_TRY(add_signature(key->key, &text, err));
	return vs_buf_add(out, text.p, text.n, err);
}

vs_rc
lab_maa_sign_chained(const struct lab_maa_keys *keys, const json_t *claims, bool omit_x5c,
	struct vs_buf *out, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {.max = 4 << 20};
	json_t *header = json_pack("{s:s,s:s}", "typ", "JWT", "alg", "RS256");
	json_object_set_new(header, omit_x5c ? "x5t" : "x5c",
		omit_x5c ? json_string(keys->chained.kid)
			 : certs_json(&keys->chained, keys->chain_ca, keys->chain_root));
	json_object_set_new(header, "kid", json_string(keys->chained.kid));
	const vs_rc rc = add_part(&text, header, 0, err);
	json_decref(header);
	VS_TRY(rc);
	VS_TRY(vs_buf_add_u8(&text, '.', err));
	VS_TRY(add_claims(&text, claims, 0, err));
	VS_TRY(add_signature(keys->chained.key, &text, err));
	return vs_buf_add(out, text.p, text.n, err);
}

vs_rc
lab_maa_unsecured(const struct lab_maa_key *key, const char *issuer, const json_t *claims,
	struct vs_buf *out, struct vs_err *err)
{
	VS_TRY(add_parts(key, "none", issuer, claims, out, err));
	return vs_buf_add_u8(out, '.', err);
}

static vs_rc
wrap_key(const uint8_t n[256], const uint8_t key[32], uint8_t out[256], struct vs_err *err)
{
	EVP_PKEY *pub = NULL;
	size_t size = 256;
	VS_TRY(lab_rsa_public(n, 256, &pub, err));
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pub, NULL);
	const bool ok = ctx && EVP_PKEY_encrypt_init(ctx) == 1 &&
		EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1 &&
		EVP_PKEY_encrypt(ctx, out, &size, key, 32) == 1 && size == 256;
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(pub);
	return ok ? VS_OK : lab_ossl_fail("cannot wrap the inner key", err);
}

vs_rc
lab_maa_envelope(
	struct vs_bytes token, const uint8_t n[256], struct vs_buf *out, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {0};
	uint8_t key[32], iv[12], tag[16], wrapped[256], *room = NULL;
	int size = 0, end = 0;
	if (RAND_bytes(key, sizeof key) != 1 || RAND_bytes(iv, sizeof iv) != 1)
		return lab_ossl_fail("no random bytes", err);
	VS_TRY(vs_buf_room(&text, token.n + 16, &room, err));
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	const bool ok = c && EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), NULL, key, iv) == 1 &&
		EVP_EncryptUpdate(c, NULL, &size, (const uint8_t *)"Transport Key", 13) == 1 &&
		EVP_EncryptUpdate(c, room, &size, token.p, (int)token.n) == 1 &&
		EVP_EncryptFinal_ex(c, room + size, &end) == 1 &&
		EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, 16, tag) == 1;
	EVP_CIPHER_CTX_free(c);
	if (!ok)
		return lab_ossl_fail("cannot encrypt the token", err);
	const vs_rc rc = wrap_key(n, key, wrapped, err);
	OPENSSL_cleanse(key, sizeof key);
	VS_TRY(rc);
	json_t *params = json_pack("{s:s,s:s,s:s,s:i,s:o}", "BlockMode", "ChainingModeGCM",
		"BlockPadding", "PKCS7", "Cipher", "AES", "KeySizeInBits", 256, "Iv",
		b64_json(vs_bytes_of(iv, sizeof iv), false));
	json_t *o = json_pack("{s:o,s:o,s:o,s:o}", "Jwt",
		b64_json(vs_bytes_of(room, (size_t)size), false), "EncryptedInnerKey",
		b64_json(vs_bytes_of(wrapped, sizeof wrapped), false), "EncryptionParams", params,
		"AuthenticationData", b64_json(vs_bytes_of(tag, sizeof tag), false));
	const vs_rc added = add_part(out, o, 0, err);
	json_decref(o);
	return added;
}
