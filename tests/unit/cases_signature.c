/* SPDX-License-Identifier: BSD-2-Clause */
/* Classes 4 and 5: algorithm and signature. */
#include <openssl/bn.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/codec.h"
#include "unit/token_cases.h"

/* ---- algorithm ---------------------------------------------------------------------------- */

static const struct {
	const char *alg; /* member with comma, "" for none */
	enum forge_key key;
	enum forge_alg how;
	const char *expect;
} algorithms[] = {
	{"\"alg\":\"RS256\",", FORGE_GOOD, FORGE_RS256, ""},
	{"\"alg\":\"RS\\u0032\\u00356\",", FORGE_GOOD, FORGE_RS256, ""},
	{"\"\\u0061lg\":\"RS256\",", FORGE_GOOD, FORGE_RS256, ""},
	{"", FORGE_GOOD, FORGE_RS256, "A5"},
	{"\"alg\":null,", FORGE_GOOD, FORGE_RS256, "A5"},
	{"\"alg\":256,", FORGE_GOOD, FORGE_RS256, "A5"},
	{"\"alg\":true,", FORGE_GOOD, FORGE_RS256, "A5"},
	{"\"alg\":[\"RS256\"],", FORGE_GOOD, FORGE_RS256, "A5"},
	{"\"alg\":{\"alg\":\"RS256\"},", FORGE_GOOD, FORGE_RS256, "A5"},
	{"\"alg\":\"\",", FORGE_GOOD, FORGE_RS256, "A5"},
	{"\"alg\":\"rs256\",", FORGE_GOOD, FORGE_RS256, "A5"},
	{"\"alg\":\"Rs256\",", FORGE_GOOD, FORGE_RS256, "A5"},
	{"\"alg\":\"RS256 \",", FORGE_GOOD, FORGE_RS256, "A5"},
	{"\"alg\":\" RS256\",", FORGE_GOOD, FORGE_RS256, "A5"},
	{"\"alg\":\"RS256\\n\",", FORGE_GOOD, FORGE_RS256, "A5"},
	{"\"alg\":\"RS2560\",", FORGE_GOOD, FORGE_RS256, "A5"},
	{"\"alg\":\"RS25\",", FORGE_GOOD, FORGE_RS256, "A5"},
	{"\"alg\":\"RSA256\",", FORGE_GOOD, FORGE_RS256, "A5"},
	{"\"ALG\":\"RS256\",", FORGE_GOOD, FORGE_RS256, "A5"},
	{"\"alg\":\"http://www.w3.org/2001/04/xmldsig-more#rsa-sha256\",", FORGE_GOOD, FORGE_RS256,
		"A5"},
	{"\"alg\":\"none\",", FORGE_GOOD, FORGE_RS256, "A5"},
	{"\"alg\":\"None\",", FORGE_GOOD, FORGE_RS256, "A5"},
	{"\"alg\":\"NONE\",", FORGE_GOOD, FORGE_RS256, "A5"},
	{"\"alg\":\"nOnE\",", FORGE_GOOD, FORGE_RS256, "A5"},
	{"\"alg\":\"none \",", FORGE_GOOD, FORGE_RS256, "A5"},
	{"\"alg\":\"RS1\",", FORGE_GOOD, FORGE_RS1, "A5"},
	{"\"alg\":\"RS384\",", FORGE_GOOD, FORGE_RS384, "A5"},
	{"\"alg\":\"RS512\",", FORGE_GOOD, FORGE_RS512, "A5"},
	{"\"alg\":\"PS256\",", FORGE_GOOD, FORGE_PS256, "A5"},
	{"\"alg\":\"PS256\",", FORGE_GOOD, FORGE_RS256, "A5"},
	{"\"alg\":\"ES256\",", FORGE_EC, FORGE_ES256, "A5"},
	{"\"alg\":\"HS256\",", FORGE_GOOD, FORGE_RS256, "A5"},
	{"\"alg\":\"EdDSA\",", FORGE_GOOD, FORGE_RS256, "A5"},
	{"\"alg\":\"RSA-OAEP\",\"enc\":\"A256GCM\",", FORGE_GOOD, FORGE_RS256, "A5"},
	{"\"alg\":\"dir\",", FORGE_GOOD, FORGE_RS256, "A5"},
	/* says RS256 and is something else */
	{"\"alg\":\"RS256\",", FORGE_GOOD, FORGE_RS1, "A9"},
	{"\"alg\":\"RS256\",", FORGE_GOOD, FORGE_RS384, "A9"},
	{"\"alg\":\"RS256\",", FORGE_GOOD, FORGE_RS512, "A9"},
	{"\"alg\":\"RS256\",", FORGE_GOOD, FORGE_PS256, "A9"},
	{"\"alg\":\"RS256\",", FORGE_EC, FORGE_ES256, "A9"},
	{"\"alg\":\"RS256\",", FORGE_FOREIGN, FORGE_RS256, "A9"},
	{"\"alg\":\"RS256\",", FORGE_TRANSPORT, FORGE_RS256, "A9"},
	{"\"alg\":\"RS256\",", FORGE_BIG, FORGE_RS256, "A9"},
	{"\"alg\":\"RS256\",", FORGE_WEAK, FORGE_RS256, "A9"},
};

static void
algorithm_cases(void)
{
	for (size_t i = 0; i < sizeof algorithms / sizeof algorithms[0]; i++) {
		const struct forge_var v[] = {{"alg", algorithms[i].alg}};
		const struct vs_bytes header =
			forge_expand("{$alg$\"kid\":\"" KID "\",\"typ\":\"JWT\"}", v, 1);
		struct vs_buf b =
			forge_token(header, good_claims(), algorithms[i].key, algorithms[i].how);
		case_add((struct token_case){.name = numbered("algorithm", i),
			.expect = algorithms[i].expect,
			.token = keep_buf(&b)});
	}
}

static void
add_mac(const char *alg, struct vs_bytes key, size_t i, const char *expect)
{
	const struct forge_var v[] = {{"alg", alg}};
	const struct vs_bytes header =
		forge_expand("{\"alg\":\"$alg$\",\"kid\":\"" KID "\",\"typ\":\"JWT\"}", v, 1);
	const struct forge_var parts[] = {{"h", forge_b64url(header.p, header.n)},
		{"p", forge_b64url(good_claims().p, good_claims().n)}};
	const struct vs_bytes text = forge_expand("$h$.$p$", parts, 2);
	struct vs_buf mac = forge_hmac(key, text);
	struct vs_buf token = forge_join(text, vs_buf_view(&mac));
	vs_buf_done(&mac);
	case_add((struct token_case){
		.name = numbered(alg, i), .expect = expect, .token = keep_buf(&token)});
}

/* The public key in every form that a careless verifier may use as a shared secret. */
static void
mac_cases(void)
{
	unsigned char *spki = NULL, *pkcs1 = NULL;
	const int n_spki = i2d_PUBKEY(forge_pkey(FORGE_GOOD), &spki);
	const int n_pkcs1 = i2d_PublicKey(forge_pkey(FORGE_GOOD), &pkcs1);
	BIO *bio = BIO_new(BIO_s_mem());
	char *pem = NULL;
	assert_int_equal(PEM_write_bio_PUBKEY(bio, forge_pkey(FORGE_GOOD)), 1);
	const long n_pem = BIO_get_mem_data(bio, &pem);
	struct vs_err err = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf n = {0};
	assert_ok(vs_b64url_decode(expand("$n$"), &n, &err), &err);
	const struct vs_bytes keys[] = {
		vs_bytes_of(spki, (size_t)n_spki),
		vs_bytes_of(pkcs1, (size_t)n_pkcs1),
		vs_bytes_of(pem, (size_t)n_pem),
		vs_bytes_of(pem, (size_t)n_pem - 1),
		expand("$n$"),
		vs_buf_view(&n),
		expand("$cert$"),
		expand("{\"kty\":\"RSA\",\"n\":\"$n$\",\"e\":\"$e$\"}"),
		vs_bytes_of("", 0),
		vs_bytes_str(KID),
	};
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		add_mac("HS256", keys[i], i, "A5");
		add_mac("RS256", keys[i], i + 100, "A9");
	}
	BIO_free(bio);
	OPENSSL_free(spki);
	OPENSSL_free(pkcs1);
}

/* ---- signature ---------------------------------------------------------------------------- */

static struct vs_bytes text_signed;

static void
add_signature(const char *name, size_t i, struct vs_bytes signature, const char *expect)
{
	struct vs_buf token = forge_join(text_signed, signature);
	case_add((struct token_case){
		.name = numbered(name, i), .expect = expect, .token = keep_buf(&token)});
}

static void
flip_cases(struct vs_bytes good)
{
	uint8_t s[600];
	memcpy(s, good.p, good.n);
	add_signature("signature as it is", 0, vs_bytes_of(s, good.n), "");
	for (size_t bit = 0; bit < good.n * 8; bit += 61) {
		s[bit / 8] ^= (uint8_t)(1u << bit % 8);
		add_signature("bit flipped", bit, vs_bytes_of(s, good.n), "A9");
		s[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	s[good.n] = 0;
	add_signature("longer by a zero", 0, vs_bytes_of(s, good.n + 1), "A9");
	add_signature("shorter", 0, vs_bytes_of(s, good.n - 1), "A9");
	add_signature("without its first byte", 0, vs_bytes_of(s + 1, good.n - 1), "A9");
	add_signature("half", 0, vs_bytes_of(s, good.n / 2), "A9");
	add_signature("one byte", 0, vs_bytes_of(s, 1), "A9");
	memmove(s + 1, s, good.n);
	s[0] = 0;
	add_signature("zero in front", 0, vs_bytes_of(s, good.n + 1), "A9");
	memcpy(s, good.p, good.n);
	memcpy(s + good.n, good.p, good.n);
	add_signature("twice", 0, vs_bytes_of(s, 2 * good.n), "A9");
	for (size_t i = 0; i < good.n; i++)
		s[i] = good.p[good.n - 1 - i];
	add_signature("reversed", 0, vs_bytes_of(s, good.n), "A9");
}

static void
add_number(const char *name, const BIGNUM *v, size_t width)
{
	uint8_t s[600];
	if (BN_num_bytes(v) > (int)width)
		width = (size_t)BN_num_bytes(v);
	assert_true(BN_bn2binpad(v, s, (int)width) > 0);
	add_signature(name, width, vs_bytes_of(s, width), "A9");
}

/* 0, 1, n-1, n, n+1, s+n: values that an unreduced verifier mistakes for the signature. */
static void
range_cases(struct vs_bytes good)
{
	BIGNUM *n = NULL, *v = BN_new(), *s = BN_bin2bn(good.p, (int)good.n, NULL);
	assert_int_equal(EVP_PKEY_get_bn_param(forge_pkey(FORGE_GOOD), "n", &n), 1);
	BN_zero(v);
	add_number("signature 0", v, 256);
	BN_one(v);
	add_number("signature 1", v, 256);
	BN_sub(v, n, BN_value_one());
	add_number("signature n-1", v, 256);
	add_number("signature n", n, 256);
	BN_add(v, n, BN_value_one());
	add_number("signature n+1", v, 256);
	BN_add(v, s, n);
	add_number("signature s+n", v, 256);
	BN_sub(v, n, s);
	add_number("signature n-s", v, 256);
	uint8_t ones[256];
	memset(ones, 0xff, sizeof ones);
	add_signature("all ones", 0, vs_bytes_of(ones, sizeof ones), "A9");
	BN_free(n);
	BN_free(v);
	BN_free(s);
}

/* How the block under the signature may be wrong. Offsets are of a 256-byte block: 00 01 FF.. 00
 * DigestInfo(19) digest(32). */
static const uint8_t digest_info[] = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
	0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};
static const uint8_t without_null[] = {0x30, 0x2f, 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
	0x65, 0x03, 0x04, 0x02, 0x01, 0x04, 0x20};
static const uint8_t long_length[] = {0x30, 0x81, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48,
	0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};
static const uint8_t sha512_oid[] = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
	0x65, 0x03, 0x04, 0x02, 0x03, 0x05, 0x00, 0x04, 0x20};
static const uint8_t sha1_oid[] = {
	0x30, 0x2d, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x20};
static const uint8_t bad_null[] = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65,
	0x03, 0x04, 0x02, 0x01, 0x05, 0x01, 0x04, 0x20};

struct block {
	const char *name;
	const uint8_t *info;
	size_t n_info;
	size_t behind; /* bytes of garbage behind the digest */
	uint8_t first, type; /* 00 01 */
	uint8_t fill; /* ff */
	uint8_t separator; /* 00 */
	size_t zero_at; /* a zero inside the padding, 0: none */
	const char *expect;
};

static const struct block blocks[] = {
	{"padding as it is", digest_info, 19, 0, 0, 1, 0xff, 0, 0, ""},
	{"DigestInfo without NULL", without_null, 17, 0, 0, 1, 0xff, 0, 0, "A9"},
	{"DigestInfo with a long length", long_length, 20, 0, 0, 1, 0xff, 0, 0, "A9"},
	{"DigestInfo of SHA-512", sha512_oid, 19, 0, 0, 1, 0xff, 0, 0, "A9"},
	{"DigestInfo of SHA-1", sha1_oid, 15, 0, 0, 1, 0xff, 0, 0, "A9"},
	{"DigestInfo with another NULL", bad_null, 19, 0, 0, 1, 0xff, 0, 0, "A9"},
	{"no DigestInfo", digest_info, 0, 0, 0, 1, 0xff, 0, 0, "A9"},
	{"one byte behind", digest_info, 19, 1, 0, 1, 0xff, 0, 0, "A9"},
	{"short padding, garbage behind", digest_info, 19, 190, 0, 1, 0xff, 0, 0, "A9"},
	{"eight bytes of padding, garbage behind", digest_info, 19, 256 - 3 - 8 - 51, 0, 1, 0xff, 0,
		0, "A9"},
	{"block type 2", digest_info, 19, 0, 0, 2, 0xff, 0, 0, "A9"},
	{"block type 0", digest_info, 19, 0, 0, 0, 0xff, 0, 0, "A9"},
	{"block type 0 with zeros", digest_info, 19, 0, 0, 0, 0x00, 0, 0, "A9"},
	{"padding of zeros", digest_info, 19, 0, 0, 1, 0x00, 0, 0, "A9"},
	{"padding of 01", digest_info, 19, 0, 0, 1, 0x01, 0, 0, "A9"},
	{"padding of fe", digest_info, 19, 0, 0, 1, 0xfe, 0, 0, "A9"},
	{"a zero inside the padding", digest_info, 19, 0, 0, 1, 0xff, 0, 100, "A9"},
	{"an early separator", digest_info, 19, 0, 0, 1, 0xff, 0, 3, "A9"},
	{"no separator", digest_info, 19, 0, 0, 1, 0xff, 0xff, 0, "A9"},
	{"another separator", digest_info, 19, 0, 0, 1, 0xff, 1, 0, "A9"},
};

static void
block_cases(void)
{
	struct vs_err err = {0};
	uint8_t digest[32];
	assert_ok(vs_sha256(text_signed, digest, &err), &err);
	for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
		const struct block *b = &blocks[i];
		uint8_t m[256];
		const size_t at = sizeof m - b->behind - sizeof digest;
		memset(m, b->fill, sizeof m);
		m[0] = b->first;
		m[1] = b->type;
		if (b->zero_at != 0)
			m[b->zero_at] = 0;
		memcpy(m + at, digest, sizeof digest);
		if (b->n_info > 0)
			memcpy(m + at - b->n_info, b->info, b->n_info);
		m[at - b->n_info - 1] = b->separator;
		memset(m + sizeof m - b->behind, 0xaa, b->behind);
		struct vs_buf s = forge_raw_rsa(vs_bytes_of(m, sizeof m), FORGE_GOOD);
		add_signature(b->name, i, vs_buf_view(&s), b->expect);
		vs_buf_done(&s);
	}
}

/* Parts of two genuine tokens put together. */
static void
splice_cases(void)
{
	const struct vs_bytes one = signed_token(HEADER, good_claims());
	const struct vs_bytes two =
		signed_token(HEADER, claims_with((struct claim[]){{"jti", "\"other\""}}, 1));
	char *a = forge_keep((const char *)one.p, one.n),
	     *b = forge_keep((const char *)two.p, two.n);
	char *a2 = strchr(a, '.'), *a3 = strrchr(a, '.'), *b2 = strchr(b, '.'),
	     *b3 = strrchr(b, '.');
	*a2 = *a3 = *b2 = *b3 = '\0';
	const char *other_header = forge_b64url("{\"alg\":\"RS256\",\"kid\":\"" KID "\"}",
		strlen("{\"alg\":\"RS256\",\"kid\":\"" KID "\"}"));
	const struct forge_var v[] = {{"h", a}, {"p1", a2 + 1}, {"s1", a3 + 1}, {"p2", b2 + 1},
		{"s2", b3 + 1}, {"o", other_header}};
	static const struct {
		const char *text, *expect;
	} rows[] = {{"$h$.$p1$.$s1$", ""}, {"$h$.$p2$.$s2$", ""}, {"$h$.$p1$.$s2$", "A9"},
		{"$h$.$p2$.$s1$", "A9"}, {"$o$.$p1$.$s1$", "A9"}, {"$h$.$h$.$s1$", "A9"},
		{"$h$.$s1$.$s1$", "A9"}, {"$h$.$p1$$p2$.$s1$", "A9"}};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		case_add((struct token_case){.name = numbered("spliced", i),
			.expect = rows[i].expect,
			.token = forge_expand(rows[i].text, v, 6)});
}

void
cases_signature(void)
{
	algorithm_cases();
	mac_cases();
	const struct vs_bytes token = signed_token(HEADER, good_claims());
	const char *last = strrchr((const char *)token.p, '.');
	text_signed = vs_bytes_of(token.p, (size_t)(last - (const char *)token.p));
	struct vs_buf good = forge_signature(text_signed, FORGE_GOOD, FORGE_RS256);
	flip_cases(vs_buf_view(&good));
	range_cases(vs_buf_view(&good));
	vs_buf_done(&good);
	block_cases();
	splice_cases();
}
