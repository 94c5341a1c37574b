/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit/forge.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/codec.h"
#include "unit/unit.h"

enum { KEPT_MAX = 20000 };

static EVP_PKEY *keys[FORGE_KEYS_];
static char *kept[KEPT_MAX];
static size_t n_kept;

static EVP_PKEY *
make_rsa(unsigned bits, unsigned long e)
{
	EVP_PKEY *key = NULL;
	BIGNUM *bn = BN_new();
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	assert_true(BN_set_word(bn, e) == 1);
	assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, (int)bits), 1);
	assert_int_equal(EVP_PKEY_CTX_set1_rsa_keygen_pubexp(ctx, bn), 1);
	assert_int_equal(EVP_PKEY_generate(ctx, &key), 1);
	EVP_PKEY_CTX_free(ctx);
	BN_free(bn);
	return key;
}

void
forge_init(void)
{
	keys[FORGE_GOOD] = make_rsa(2048, 65537);
	keys[FORGE_FOREIGN] = make_rsa(2048, 65537);
	keys[FORGE_TRANSPORT] = make_rsa(2048, 65537);
	keys[FORGE_BIG] = make_rsa(3072, 65537);
	keys[FORGE_WEAK] = make_rsa(1024, 65537);
	keys[FORGE_E3] = make_rsa(2048, 3);
	keys[FORGE_E17BIT] = make_rsa(2048, 65539);
	keys[FORGE_EC] = EVP_EC_gen("P-256");
	for (size_t i = 0; i < FORGE_KEYS_; i++)
		assert_non_null(keys[i]);
}

void
forge_done(void)
{
	for (size_t i = 0; i < FORGE_KEYS_; i++)
		EVP_PKEY_free(keys[i]);
	for (size_t i = 0; i < n_kept; i++)
		free(kept[i]);
	n_kept = 0;
}

EVP_PKEY *
forge_pkey(enum forge_key k)
{
	return keys[k];
}

char *
forge_keep(const char *text, size_t n)
{
	assert_true(n_kept < KEPT_MAX);
	char *copy = malloc(n + 1);
	assert_non_null(copy);
	memcpy(copy, text, n);
	copy[n] = '\0';
	kept[n_kept++] = copy;
	return copy;
}

const char *
forge_b64url(const void *p, size_t n)
{
	struct vs_err err = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf b = {.max = 1 << 22};
	assert_ok(vs_b64url_encode(vs_bytes_of(p, n), &b, &err), &err);
	return n == 0 ? "" : forge_keep((char *)b.p, b.n);
}

const char *
forge_b64(const void *p, size_t n)
{
	struct vs_err err = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf b = {.max = 1 << 22};
	assert_ok(vs_b64_encode(vs_bytes_of(p, n), &b, &err), &err);
	return n == 0 ? "" : forge_keep((char *)b.p, b.n);
}

const char *
forge_number(enum forge_key k, const char *name)
{
	uint8_t bytes[1024];
	BIGNUM *bn = NULL;
	assert_int_equal(EVP_PKEY_get_bn_param(keys[k], name, &bn), 1);
	const int n = BN_bn2bin(bn, bytes);
	BN_free(bn);
	return forge_b64url(bytes, (size_t)n);
}

const char *
forge_cert(enum forge_key k, int64_t not_before, int64_t not_after)
{
	X509 *x = X509_new();
	X509_NAME *name = X509_get_subject_name(x);
	unsigned char *der = NULL;
	assert_int_equal(X509_set_version(x, 2), 1);
	assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(x), 1), 1);
	assert_non_null(ASN1_TIME_set(X509_getm_notBefore(x), (time_t)not_before));
	assert_non_null(ASN1_TIME_set(X509_getm_notAfter(x), (time_t)not_after));
	assert_int_equal(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
				 (const unsigned char *)"https://maa.example", -1, -1, 0),
		1);
	assert_int_equal(X509_set_issuer_name(x, name), 1);
	assert_int_equal(X509_set_pubkey(x, keys[k]), 1);
	assert_true(X509_sign(x, keys[k], EVP_sha256()) > 0);
	const int n = i2d_X509(x, &der);
	assert_true(n > 0);
	const char *text = forge_b64(der, (size_t)n);
	OPENSSL_free(der);
	X509_free(x);
	return text;
}

struct vs_bytes
forge_expand(const char *text, const struct forge_var *vars, size_t n_vars)
{
	struct vs_err err = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf out = {.max = 1 << 22};
	while (*text != '\0') {
		const char *end = *text == '$' ? strchr(text + 1, '$') : NULL;
		const size_t n = end != NULL ? (size_t)(end - text - 1) : 0;
		bool found = false;
		if (end != NULL && n == 1 && text[1] == '0') {
			assert_ok(vs_buf_add_u8(&out, 0, &err), &err);
			found = true;
		}
		for (size_t i = 0; end != NULL && !found && i < n_vars; i++) {
			if (strlen(vars[i].name) != n || memcmp(vars[i].name, text + 1, n) != 0)
				continue;
			assert_ok(vs_buf_add_str(&out, vars[i].value, &err), &err);
			found = true;
		}
		if (found) {
			text = end + 1;
			continue;
		}
		assert_ok(vs_buf_add(&out, text, 1, &err), &err);
		text++;
	}
	return out.n == 0 ? vs_bytes_str("") : vs_bytes_of(forge_keep((char *)out.p, out.n), out.n);
}

static const EVP_MD *
md_of(enum forge_alg alg)
{
	switch (alg) {
	case FORGE_RS1: return EVP_sha1();
	case FORGE_RS384: return EVP_sha384();
	case FORGE_RS512: return EVP_sha512();
	case FORGE_RS256:
	case FORGE_PS256:
	case FORGE_ES256: break;
	}
	return EVP_sha256();
}

struct vs_buf
forge_signature(struct vs_bytes text, enum forge_key k, enum forge_alg alg)
{
	struct vs_err err = {0};
	struct vs_buf out = {0};
	uint8_t *p = NULL;
	size_t n = 1024;
	EVP_PKEY_CTX *pctx = NULL;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	assert_int_equal(EVP_DigestSignInit(ctx, &pctx, md_of(alg), NULL, keys[k]), 1);
	if (alg == FORGE_PS256) {
		assert_true(EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) > 0);
		assert_true(EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST) > 0);
	}
	assert_ok(vs_buf_room(&out, n, &p, &err), &err);
	assert_int_equal(EVP_DigestSign(ctx, p, &n, text.p, text.n), 1);
	out.n = n;
	EVP_MD_CTX_free(ctx);
	return out;
}

struct vs_buf
forge_raw_rsa(struct vs_bytes m, enum forge_key k)
{
	struct vs_err err = {0};
	struct vs_buf out = {0};
	uint8_t *p = NULL;
	size_t n = 1024;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(keys[k], NULL);
	assert_int_equal(EVP_PKEY_sign_init(ctx), 1);
	assert_true(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_NO_PADDING) > 0);
	assert_ok(vs_buf_room(&out, n, &p, &err), &err);
	assert_int_equal(EVP_PKEY_sign(ctx, p, &n, m.p, m.n), 1);
	out.n = n;
	EVP_PKEY_CTX_free(ctx);
	return out;
}

struct vs_buf
forge_hmac(struct vs_bytes key, struct vs_bytes text)
{
	struct vs_err err = {0};
	struct vs_buf out = {0};
	uint8_t mac[32];
	unsigned n = 0;
	assert_non_null(HMAC(EVP_sha256(), key.p, (int)key.n, text.p, text.n, mac, &n));
	assert_ok(vs_buf_add(&out, mac, n, &err), &err);
	return out;
}

struct vs_buf
forge_join(struct vs_bytes signed_text, struct vs_bytes signature)
{
	struct vs_err err = {0};
	struct vs_buf out = {.max = 1 << 22};
	assert_ok(vs_buf_add(&out, signed_text.p, signed_text.n, &err), &err);
	assert_ok(vs_buf_add_str(&out, ".", &err), &err);
	assert_ok(vs_b64url_encode(signature, &out, &err), &err);
	return out;
}

struct vs_buf
forge_sign_text(
	struct vs_bytes header, struct vs_bytes payload, enum forge_key k, enum forge_alg alg)
{
	struct vs_err err = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {.max = 1 << 22};
	assert_ok(vs_buf_add(&text, header.p, header.n, &err), &err);
	assert_ok(vs_buf_add_str(&text, ".", &err), &err);
	assert_ok(vs_buf_add(&text, payload.p, payload.n, &err), &err);
	VS_CLEANUP(vs_buf_done)
	struct vs_buf signature = forge_signature(vs_buf_view(&text), k, alg);
	return forge_join(vs_buf_view(&text), vs_buf_view(&signature));
}

struct vs_buf
forge_token(struct vs_bytes header, struct vs_bytes payload, enum forge_key k, enum forge_alg alg)
{
	return forge_sign_text(vs_bytes_str(forge_b64url(header.p, header.n)),
		vs_bytes_str(forge_b64url(payload.p, payload.n)), k, alg);
}
