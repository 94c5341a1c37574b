/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit/releasekit.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "base/codec.h"
#include "jose/x509.h"
#include "unit/netkit.h"
#include "unit/unit.h"

enum { DAY = 86400, TEXT = 8192 };

static EVP_PKEY *ca_key, *other_key, *leaf_key, *wrap_key;
static X509 *ca, *other_ca, *leaf;
static struct vs_certs *anchors, *other_anchors;

static struct vs_certs *
as_anchors(X509 *x)
{
	unsigned char *der = NULL;
	struct vs_certs *list = NULL;
	struct vs_cert *cert = NULL;
	struct vs_err err = {0};
	const int n = i2d_X509(x, &der);

	assert_true(n > 0);
	assert_ok(vs_certs_new(&list, &err), &err);
	assert_ok(vs_cert_from_der(vs_bytes_of(der, (size_t)n), &cert, &err), &err);
	assert_ok(vs_certs_add(list, cert, &err), &err);
	vs_cert_unref(cert);
	OPENSSL_free(der);
	return list;
}

void
rk_up(void)
{
	ca_key = netkit_new_rsa(2048);
	other_key = netkit_new_rsa(2048);
	leaf_key = netkit_new_rsa(2048);
	wrap_key = netkit_new_rsa(2048);
	ca = netkit_new_cert(ca_key, "Releasekit CA", NULL, true, NULL, NULL, -DAY, DAY);
	other_ca = netkit_new_cert(other_key, "Releasekit CA", NULL, true, NULL, NULL, -DAY, DAY);
	leaf = netkit_new_cert(leaf_key, "vault", "DNS:vault.azure.net,DNS:*.vault.azure.net",
		false, ca, ca_key, -DAY, DAY);
	anchors = as_anchors(ca);
	other_anchors = as_anchors(other_ca);
}

void
rk_down(void)
{
	vs_certs_free(anchors);
	vs_certs_free(other_anchors);
	X509_free(ca);
	X509_free(other_ca);
	X509_free(leaf);
	EVP_PKEY_free(ca_key);
	EVP_PKEY_free(other_key);
	EVP_PKEY_free(leaf_key);
	EVP_PKEY_free(wrap_key);
}

const struct vs_certs *
rk_anchors(void)
{
	return anchors;
}

const struct vs_certs *
rk_other_anchors(void)
{
	return other_anchors;
}

EVP_PKEY *
rk_wrap_key(void)
{
	return wrap_key;
}

X509 *
rk_leaf(void)
{
	return leaf;
}

EVP_PKEY *
rk_leaf_key(void)
{
	return leaf_key;
}

X509 *
rk_ca(void)
{
	return ca;
}

EVP_PKEY *
rk_new_ec(const char *group)
{
	EVP_PKEY *k = EVP_EC_gen(group);

	assert_non_null(k);
	return k;
}

void
rk_pkcs8(EVP_PKEY *key, enum rk_form form, struct vs_buf *out)
{
	EVP_PKEY *k = EVP_PKEY_dup(key);
	unsigned char *der = NULL;
	struct vs_err err = {0};

	assert_non_null(k);
	if (form != RK_WITH_PUBLIC)
		assert_int_equal(
			EVP_PKEY_set_int_param(k, OSSL_PKEY_PARAM_EC_INCLUDE_PUBLIC, 0), 1);
	if (form == RK_EXPLICIT)
		assert_int_equal(
			EVP_PKEY_set_utf8_string_param(k, OSSL_PKEY_PARAM_EC_ENCODING, "explicit"),
			1);
	PKCS8_PRIV_KEY_INFO *p8 = EVP_PKEY2PKCS8(k);
	assert_non_null(p8);
	const int n = i2d_PKCS8_PRIV_KEY_INFO(p8, &der);
	assert_true(n > 0);
	assert_ok(vs_buf_set(out, der, (size_t)n, &err), &err);
	OPENSSL_free(der);
	PKCS8_PRIV_KEY_INFO_free(p8);
	EVP_PKEY_free(k);
}

static EVP_PKEY_CTX *
oaep(bool encrypt, const char *hash)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(wrap_key, NULL);

	assert_non_null(ctx);
	assert_int_equal(encrypt ? EVP_PKEY_encrypt_init(ctx) : EVP_PKEY_decrypt_init(ctx), 1);
	if (hash == NULL) {
		assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING), 1);
		return ctx;
	}
	assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_oaep_md_name(ctx, hash, NULL), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_mgf1_md_name(ctx, hash, NULL), 1);
	return ctx;
}

void
rk_wrap(const char *hash, struct vs_bytes clear, struct vs_buf *out)
{
	unsigned char kek[32];
	unsigned char block[256];
	unsigned char wrapped[8192];
	size_t block_n = sizeof block;
	struct vs_err err = {0};
	int n = 0;
	int m = 0;

	assert_int_equal(RAND_bytes(kek, sizeof kek), 1);
	EVP_PKEY_CTX *ctx = oaep(true, hash);
	assert_int_equal(EVP_PKEY_encrypt(ctx, block, &block_n, kek, sizeof kek), 1);
	EVP_PKEY_CTX_free(ctx);
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	EVP_CIPHER_CTX_set_flags(c, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
	assert_int_equal(EVP_EncryptInit_ex(c, EVP_aes_256_wrap_pad(), NULL, kek, NULL), 1);
	assert_int_equal(EVP_EncryptUpdate(c, wrapped, &n, clear.p, (int)clear.n), 1);
	assert_int_equal(EVP_EncryptFinal_ex(c, wrapped + n, &m), 1);
	EVP_CIPHER_CTX_free(c);
	assert_ok(vs_buf_set(out, block, block_n, &err), &err);
	assert_ok(vs_buf_add(out, wrapped, (size_t)(n + m), &err), &err);
}

/* ---- the answer ---------------------------------------------------------------------------- */

static void
add_b64url(struct vs_buf *out, struct vs_bytes b)
{
	static const char abc[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	struct vs_err err = {0};

	for (size_t i = 0; i < b.n; i += 3) {
		const unsigned left = (unsigned)(b.n - i < 3 ? b.n - i : 3);
		const unsigned v = (unsigned)b.p[i] << 16 |
			(left > 1 ? (unsigned)b.p[i + 1] << 8 : 0) | (left > 2 ? b.p[i + 2] : 0);
		for (unsigned j = 0; j <= left; j++)
			assert_ok(vs_buf_add_u8(out, (uint8_t)abc[v >> (18 - 6 * j) & 63], &err),
				&err);
	}
}

static void
add_number(struct vs_buf *out, const char *name, const BIGNUM *v, int pad)
{
	unsigned char bytes[1024];
	struct vs_err err = {0};
	const int n = pad > 0 ? BN_bn2binpad(v, bytes, pad) : BN_bn2bin(v, bytes);

	assert_true(n > 0);
	assert_ok(vs_buf_addf(out, &err, ",\"%s\":\"", name), &err);
	add_b64url(out, vs_bytes_of(bytes, (size_t)n));
	assert_ok(vs_buf_add_str(out, "\"", &err), &err);
}

static BIGNUM *
number(EVP_PKEY *key, const char *name)
{
	BIGNUM *v = NULL;

	assert_int_equal(EVP_PKEY_get_bn_param(key, name, &v), 1);
	return v;
}

static const char *
curve_of(EVP_PKEY *key, int *ret_bytes, enum vs_curve *ret)
{
	char group[64];

	assert_int_equal(EVP_PKEY_get_group_name(key, group, sizeof group, NULL), 1);
	*ret = VS_CURVE_P256;
	*ret_bytes = 32;
	if (strcmp(group, "prime256v1") == 0)
		return "P-256";
	*ret = VS_CURVE_P256K;
	if (strcmp(group, "secp256k1") == 0)
		return "P-256K";
	*ret = VS_CURVE_P384;
	*ret_bytes = 48;
	if (strcmp(group, "secp384r1") == 0)
		return "P-384";
	*ret = VS_CURVE_P521;
	*ret_bytes = 66;
	assert_string_equal(group, "secp521r1");
	return "P-521";
}

void
rk_payload_new(
	struct rk_payload *p, EVP_PKEY *key, const char *enc, const struct vs_buf *ciphertext)
{
	static char pub_text[TEXT];
	static char policy_text[TEXT];
	VS_CLEANUP(vs_buf_done) struct vs_buf pub = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf policy = {0};
	struct vs_err err = {0};
	enum vs_curve curve;
	int n = 0;

	add_b64url(&policy, vs_bytes_str(RK_POLICY));
	(void)snprintf(policy_text, sizeof policy_text, "{\"data\":\"%s\",\"immutable\":true}",
		vs_buf_cstr(&policy));
	*p = (struct rk_payload){
		.enc = enc,
		.inner_enc = enc,
		.schema = "1.0",
		.alg = "dir",
		.request_kid = RK_KID,
		.kid = RK_KID,
		.kty = "oct-HSM",
		.pub = pub_text,
		.attributes = "{\"enabled\":true,\"created\":1680041245,\"exportable\":true}",
		.policy = policy_text,
		.ciphertext = ciphertext,
	};
	pub_text[0] = '\0';
	if (key == NULL)
		return;
	BIGNUM *a = number(key, EVP_PKEY_is_a(key, "RSA") ? "n" : "qx");
	BIGNUM *b = number(key, EVP_PKEY_is_a(key, "RSA") ? "e" : "qy");
	if (EVP_PKEY_is_a(key, "RSA")) {
		p->kty = "RSA-HSM";
		add_number(&pub, "n", a, 0);
		add_number(&pub, "e", b, 0);
	} else {
		p->kty = "EC-HSM";
		assert_ok(vs_buf_addf(&pub, &err, ",\"crv\":\"%s\"", curve_of(key, &n, &curve)),
			&err);
		add_number(&pub, "x", a, n);
		add_number(&pub, "y", b, n);
	}
	(void)snprintf(pub_text, sizeof pub_text, "%s", vs_buf_cstr(&pub));
	BN_free(a);
	BN_free(b);
}

void
rk_payload_text(const struct rk_payload *p, struct vs_buf *out)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf ct = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf inner = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf hsm = {0};
	struct vs_err err = {0};

	add_b64url(&ct, vs_buf_view(p->ciphertext));
	assert_ok(vs_buf_addf(&inner, &err,
			  "{\"schema_version\":\"%s\",\"header\":{\"kid\":"
			  "\"TpmEphemeralEncryptionKey\",\"alg\":\"%s\","
			  "\"enc\":\"%s\"},\"ciphertext\":\"%s\"}",
			  p->schema, p->alg, p->inner_enc, vs_buf_cstr(&ct)),
		&err);
	add_b64url(&hsm, vs_buf_view(&inner));
	vs_buf_reset(out);
	assert_ok(vs_buf_addf(out, &err,
			  "{\"request\":{\"api-version\":\"7.4\",\"enc\":\"%s\",\"kid\":\"%s\"},"
			  "\"response\":{\"key\":{"
			  "\"key\":{\"kid\":\"%s\",\"kty\":\"%s\",\"key_ops\":[\"sign\"]%s,\"key_"
			  "hsm\":\"%s\"},"
			  "\"attributes\":%s,\"release_policy\":%s}}}",
			  p->enc, p->request_kid, p->kid, p->kty, p->pub, vs_buf_cstr(&hsm),
			  p->attributes, p->policy),
		&err);
}

void
rk_header(X509 *signer_leaf, X509 *signer_ca, const char *alg, struct vs_buf *out)
{
	X509 *chain[] = {signer_leaf, signer_ca};
	struct vs_err err = {0};

	assert_ok(vs_buf_addf(out, &err, "{\"alg\":\"%s\",\"kid\":\"x\",\"typ\":\"JWT\",\"x5c\":[",
			  alg),
		&err);
	for (int i = 0; i < 2; i++) {
		unsigned char *der = NULL;
		const int n = i2d_X509(chain[i], &der);
		assert_ok(vs_buf_add_str(out, i == 0 ? "\"" : ",\"", &err), &err);
		assert_ok(vs_b64_encode(vs_bytes_of(der, (size_t)n), out, &err), &err);
		assert_ok(vs_buf_add_str(out, "\"", &err), &err);
		OPENSSL_free(der);
	}
	assert_ok(vs_buf_add_str(out, "]}", &err), &err);
}

void
rk_sign(const char *header, struct vs_bytes payload, EVP_PKEY *signer, struct vs_buf *out)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf own = {0};
	unsigned char sig[1024];
	size_t n = sizeof sig;
	struct vs_err err = {0};

	if (header == NULL)
		rk_header(leaf, ca, "RS256", &own);
	vs_buf_reset(out);
	add_b64url(out, header != NULL ? vs_bytes_str(header) : vs_buf_view(&own));
	assert_ok(vs_buf_add_u8(out, '.', &err), &err);
	add_b64url(out, payload);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	assert_int_equal(EVP_DigestSignInit(
				 ctx, NULL, EVP_sha256(), NULL, signer != NULL ? signer : leaf_key),
		1);
	assert_int_equal(EVP_DigestSign(ctx, sig, &n, out->p, out->n), 1);
	EVP_MD_CTX_free(ctx);
	assert_ok(vs_buf_add_u8(out, '.', &err), &err);
	add_b64url(out, vs_bytes_of(sig, n));
}

static struct vs_bytes
keep(const BIGNUM *v, int pad, unsigned char *store, size_t size)
{
	const int n = pad > 0 ? BN_bn2binpad(v, store, pad) : BN_bn2bin(v, store);

	assert_true(n > 0 && (size_t)n <= size);
	return vs_bytes_of(store, (size_t)n);
}

void
rk_entry(struct vs_cat_entry *e, EVP_PKEY *key)
{
	static unsigned char a_bytes[1024];
	static unsigned char b_bytes[1024];
	enum vs_curve curve;
	int n = 0;

	*e = (struct vs_cat_entry){
		.name = vs_bytes_str(RK_NAME),
		.version = vs_bytes_str(RK_VERSION),
		.kid = vs_bytes_str(RK_KID),
		.type = VS_KEY_AES,
		.enabled = true,
	};
	if (key == NULL)
		return;
	const bool rsa = EVP_PKEY_is_a(key, "RSA") == 1;
	BIGNUM *a = number(key, rsa ? "n" : "qx");
	BIGNUM *b = number(key, rsa ? "e" : "qy");
	e->type = rsa ? VS_KEY_RSA : VS_KEY_EC;
	if (rsa) {
		e->bits = (uint32_t)BN_num_bits(a);
		e->n = keep(a, 0, a_bytes, sizeof a_bytes);
		e->e = keep(b, 0, b_bytes, sizeof b_bytes);
	} else {
		(void)curve_of(key, &n, &curve);
		e->curve = curve;
		e->x = keep(a, n, a_bytes, sizeof a_bytes);
		e->y = keep(b, n, b_bytes, sizeof b_bytes);
	}
	BN_free(a);
	BN_free(b);
}

/* ---- in place of the TPM -------------------------------------------------------------------- */

static vs_rc
tpm_unwrap(void *self, enum vs_unwrap scheme, struct vs_bytes ciphertext, struct vs_arena *arena,
	struct vs_secret *ret, struct vs_err *err)
{
	static const char *const hashes[] = {NULL, NULL, "SHA1", "SHA256", "SHA384"};
	struct rk_tpm *tpm = self;
	unsigned char out[512];
	size_t n = sizeof out;

	tpm->unwraps++;
	if (tpm->fail != VS_E_OK)
		return vs_err_put(err, tpm->fail, __func__, __LINE__, 0, "as told");
	EVP_PKEY_CTX *ctx = oaep(false, hashes[scheme]);
	const int ok = EVP_PKEY_decrypt(ctx, out, &n, ciphertext.p, ciphertext.n);
	EVP_PKEY_CTX_free(ctx);
	if (tpm->give != 0)
		return vs_secret_new(arena, tpm->give, ret, err);
	if (ok != 1)
		return vs_err_put(
			err, VS_E_DATA, __func__, __LINE__, 0, "the ciphertext does not decrypt");
	return vs_secret_from(arena, out, n, ret, err);
}

static vs_rc
tpm_collect(void *self, const uint8_t nonce[VS_NONCE_BYTES], int64_t deadline_boot_ns,
	struct vs_evidence *ret, struct vs_err *err)
{
	(void)self;
	(void)nonce;
	(void)deadline_boot_ns;
	(void)ret;
	return vs_err_put(err, VS_E_EVIDENCE, __func__, __LINE__, 0, "no evidence here");
}

static vs_rc
tpm_counts(void *self, uint32_t *ret_reset, uint32_t *ret_restart, struct vs_err *err)
{
	(void)self;
	(void)err;
	*ret_reset = 1;
	*ret_restart = 0;
	return VS_OK;
}

static void
tpm_close(void *self)
{
	(void)self;
}

struct vs_evidence_src
rk_tpm_src(struct rk_tpm *tpm)
{
	static const struct vs_evidence_ops ops = {
		.name = "software",
		.version = 1,
		.collect = tpm_collect,
		.unwrap = tpm_unwrap,
		.counts = tpm_counts,
		.close = tpm_close,
	};

	return (struct vs_evidence_src){.ops = &ops, .self = tpm};
}
