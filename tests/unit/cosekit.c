/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit/cosekit.h"

#include "unit/unit.h"

#include <openssl/rsa.h>
#include <openssl/sha.h>

#include "base/codec.h"

static void
head(struct vs_buf *b, unsigned major, uint64_t v, bool long_length)
{
	struct vs_err err = {0};
	const uint8_t m = (uint8_t)(major << 5);
	if (v < 24 && !long_length) {
		assert_ok(vs_buf_add_u8(b, (uint8_t)(m | v), &err), &err);
	} else if (v < 256 && !long_length) {
		assert_ok(vs_buf_add_u8(b, (uint8_t)(m | 24), &err), &err);
		assert_ok(vs_buf_add_u8(b, (uint8_t)v, &err), &err);
	} else if (v < 65536 && !long_length) {
		assert_ok(vs_buf_add_u8(b, (uint8_t)(m | 25), &err), &err);
		assert_ok(vs_buf_add_be16(b, (uint16_t)v, &err), &err);
	} else {
		assert_ok(vs_buf_add_u8(b, (uint8_t)(m | 26), &err), &err);
		assert_ok(vs_buf_add_be32(b, (uint32_t)v, &err), &err);
	}
}

static void
string(struct vs_buf *b, unsigned major, struct vs_bytes v)
{
	struct vs_err err = {0};
	head(b, major, v.n, false);
	assert_ok(vs_buf_add(b, v.p, v.n, &err), &err);
}

static void
text(struct vs_buf *b, const char *s)
{
	string(b, 3, vs_bytes_str(s));
}

static void
name(struct vs_buf *b, const struct cose *c, const char *word, unsigned label)
{
	if (c->numeric)
		head(b, 0, label, false);
	else
		text(b, word);
}

static void
protected_header(const struct cose *c, struct vs_buf *b)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf leaf = {0};
	uint8_t digest[32];
	size_t n = 0;
	while (n < 4 && c->chain[n] != NULL)
		n++;
	head(b, 5, 7U - c->no_feed + c->twice_feed - c->no_time + c->crit, false);
	head(b, 0, 1, false);
	head(b, 1, (uint64_t)(-1 - (c->alg != 0 ? c->alg : -38)), false);
	head(b, 0, 3, false);
	text(b, c->other_content ? "application/cbor" : "application/json");
	head(b, 0, 33, false);
	head(b, 4, n, c->long_length);
	for (size_t i = 0; i < n; i++) {
		VS_CLEANUP(vs_buf_done) struct vs_buf der = {0};
		pki_der(c->chain[i], &der);
		string(b, 2, vs_buf_view(&der));
	}
	pki_der(c->chain[0], &leaf);
	SHA256(leaf.p, leaf.n, digest);
	digest[0] ^= c->bad_thumb;
	head(b, 0, 34, false);
	head(b, 4, 2, false);
	head(b, 1, 15, false);
	string(b, 2, vs_bytes_of(digest, 32));
	name(b, c, "iss", 391);
	text(b, c->did);
	for (int i = c->no_feed; i < 1 + c->twice_feed; i++) {
		name(b, c, "feed", 392);
		text(b, c->feed);
	}
	if (c->crit) {
		head(b, 0, 2, false);
		head(b, 4, 1, false);
		text(b, "x");
	}
	if (!c->no_time) {
		text(b, "signingtime");
		head(b, 6, 1, false);
		head(b, 0, (uint64_t)(c->signed_at != 0 ? c->signed_at : PKI_AT), false);
	}
}

static void
sign(const struct cose *c, struct vs_bytes header, uint8_t sig[512], size_t *n)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf b = {0};
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx = NULL;
	head(&b, 4, 4, false);
	text(&b, "Signature1");
	string(&b, 2, header);
	string(&b, 2, vs_bytes_str(""));
	string(&b, 2, vs_bytes_str(c->payload));
	EVP_PKEY *key = c->sign_with != NULL ? c->sign_with : c->chain[0]->key;
	assert_int_equal(EVP_DigestSignInit(ctx, &pctx, EVP_sha384(), NULL, key), 1);
	if (!c->pkcs1) {
		assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING), 1);
		assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, 48), 1);
	}
	*n = 512;
	assert_int_equal(EVP_DigestSign(ctx, sig, n, b.p, b.n), 1);
	EVP_MD_CTX_free(ctx);
}

void
cose_make(const struct cose *c, struct vs_buf *out)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf header = {0};
	struct vs_err err = {0};
	uint8_t sig[512];
	size_t n = 0;
	protected_header(c, &header);
	sign(c, vs_buf_view(&header), sig, &n);
	vs_buf_reset(out);
	head(out, 6, 18, false);
	head(out, 4, 4, false);
	string(out, 2, vs_buf_view(&header));
	head(out, 5, c->extra_unprotected ? 1 : 0, false);
	if (c->extra_unprotected) {
		text(out, "iss");
		text(out, c->did);
	}
	string(out, 2, vs_bytes_str(c->payload));
	string(out, 2, vs_bytes_of(sig, n));
	if (c->behind)
		assert_ok(vs_buf_add_u8(out, 0, &err), &err);
}

void
cose_did(const struct pki *root, const char *eku, char out[160])
{
	VS_CLEANUP(vs_buf_done) struct vs_buf der = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf b64 = {0};
	struct vs_err err = {0};
	uint8_t digest[32];
	pki_der(root, &der);
	SHA256(der.p, der.n, digest);
	assert_ok(vs_b64url_encode(vs_bytes_of(digest, 32), &b64, &err), &err);
	snprintf(out, 160, "did:x509:0:sha256:%s::eku:%s", vs_buf_cstr(&b64), eku);
}
