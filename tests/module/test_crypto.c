/* SPDX-License-Identifier: BSD-2-Clause */
/* Every operation against plain OpenSSL with the public key or the known octets. */
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "module/p11.h"

static const char text[] = "The token's keys exist only while this machine can prove what it is.";
enum { TEXT = sizeof text - 1 };

static CK_ULONG
sign_once(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE key, const void *in, CK_ULONG n,
	uint8_t *sig)
{
	CK_ULONG sig_n = 512;
	assert_rv_ok(C_SignInit(s, m, key));
	assert_rv_ok(C_Sign(s, STR(in), n, sig, &sig_n));
	return sig_n;
}

static CK_ULONG
sign_parts(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE key, uint8_t *sig)
{
	CK_ULONG n = 0;
	assert_rv_ok(C_SignInit(s, m, key));
	assert_rv_ok(C_SignUpdate(s, STR(text), 10));
	/* A single-part call cannot end it, and like every failure it does away with it. */
	assert_rv(C_Sign(s, STR(text), 1, sig, &n), CKR_OPERATION_ACTIVE);
	assert_rv(C_SignFinal(s, sig, &n), CKR_OPERATION_NOT_INITIALIZED);
	assert_rv_ok(C_SignInit(s, m, key));
	assert_rv_ok(C_SignUpdate(s, STR(text), 10));
	assert_rv_ok(C_SignUpdate(s, STR(text), 0));
	assert_rv_ok(C_SignUpdate(s, STR(text + 10), TEXT - 10));
	assert_rv_ok(C_SignFinal(s, NULL, &n));
	const CK_ULONG want = n;
	n = want - 1;
	assert_rv(C_SignFinal(s, sig, &n), CKR_BUFFER_TOO_SMALL);
	assert_int_equal(n, want);
	assert_rv_ok(C_SignFinal(s, sig, &n));
	return n;
}

static void
verify_both(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE pub, uint8_t *sig, CK_ULONG n)
{
	assert_rv_ok(C_VerifyInit(s, m, pub));
	assert_rv_ok(C_Verify(s, STR(text), TEXT, sig, n));
	assert_rv_ok(C_VerifyInit(s, m, pub));
	assert_rv_ok(C_VerifyUpdate(s, STR(text), 7));
	assert_rv_ok(C_VerifyUpdate(s, STR(text + 7), TEXT - 7));
	assert_rv_ok(C_VerifyFinal(s, sig, n));
	assert_rv_ok(C_VerifyInit(s, m, pub));
	assert_rv(C_Verify(s, STR(text), TEXT - 1, sig, n), CKR_SIGNATURE_INVALID);
	assert_rv_ok(C_VerifyInit(s, m, pub));
	assert_rv(C_Verify(s, STR(text), TEXT, sig, n - 1), CKR_SIGNATURE_LEN_RANGE);
	sig[n / 2] ^= 1;
	assert_rv_ok(C_VerifyInit(s, m, pub));
	assert_rv(C_Verify(s, STR(text), TEXT, sig, n), CKR_SIGNATURE_INVALID);
	sig[n / 2] ^= 1;
	assert_rv(C_Verify(s, STR(text), TEXT, sig, n), CKR_OPERATION_NOT_INITIALIZED);
}

static const struct {
	const char *digest;
	CK_MECHANISM_TYPE md, rsa, pss, ecdsa, mgf;
} hashes[] = {
	{"SHA1", CKM_SHA_1, CKM_SHA1_RSA_PKCS, CKM_SHA1_RSA_PKCS_PSS, CKM_ECDSA_SHA1,
		CKG_MGF1_SHA1},
	{"SHA224", CKM_SHA224, CKM_SHA224_RSA_PKCS, CKM_SHA224_RSA_PKCS_PSS, CKM_ECDSA_SHA224,
		CKG_MGF1_SHA224},
	{"SHA256", CKM_SHA256, CKM_SHA256_RSA_PKCS, CKM_SHA256_RSA_PKCS_PSS, CKM_ECDSA_SHA256,
		CKG_MGF1_SHA256},
	{"SHA384", CKM_SHA384, CKM_SHA384_RSA_PKCS, CKM_SHA384_RSA_PKCS_PSS, CKM_ECDSA_SHA384,
		CKG_MGF1_SHA384},
	{"SHA512", CKM_SHA512, CKM_SHA512_RSA_PKCS, CKM_SHA512_RSA_PKCS_PSS, CKM_ECDSA_SHA512,
		CKG_MGF1_SHA512},
	{"SHA3-224", CKM_SHA3_224, CKM_SHA3_224_RSA_PKCS, CKM_SHA3_224_RSA_PKCS_PSS,
		CKM_ECDSA_SHA3_224, CKG_MGF1_SHA3_224},
	{"SHA3-256", CKM_SHA3_256, CKM_SHA3_256_RSA_PKCS, CKM_SHA3_256_RSA_PKCS_PSS,
		CKM_ECDSA_SHA3_256, CKG_MGF1_SHA3_256},
	{"SHA3-384", CKM_SHA3_384, CKM_SHA3_384_RSA_PKCS, CKM_SHA3_384_RSA_PKCS_PSS,
		CKM_ECDSA_SHA3_384, CKG_MGF1_SHA3_384},
	{"SHA3-512", CKM_SHA3_512, CKM_SHA3_512_RSA_PKCS, CKM_SHA3_512_RSA_PKCS_PSS,
		CKM_ECDSA_SHA3_512, CKG_MGF1_SHA3_512},
};

static size_t
digest(const char *name, uint8_t *out)
{
	unsigned n = 0;
	assert_int_equal(EVP_Digest(text, TEXT, out, &n, EVP_get_digestbyname(name), NULL), 1);
	return n;
}

static void
rsa_signatures_verify_elsewhere(void **state)
{
	(void)state;
	const CK_SESSION_HANDLE s = p11_open();
	const CK_OBJECT_HANDLE key = p11_find(s, CKO_PRIVATE_KEY, "rsa2048");
	const CK_OBJECT_HANDLE pub = p11_find(s, CKO_PUBLIC_KEY, "rsa2048");
	const struct fake_key *k = p11_key("rsa2048");
	for (size_t i = 0; i < COUNT(hashes); i++) {
		uint8_t sig[512], d[64];
		CK_RSA_PKCS_PSS_PARAMS pss = {
			hashes[i].md, hashes[i].mgf, digest(hashes[i].digest, d)};
		CK_ULONG n = sign_once(s, MECH(hashes[i].rsa), key, text, TEXT, sig);
		assert_true(p11_verify(k, hashes[i].digest, RSA_PKCS1_PADDING, text, TEXT, sig, n));
		n = sign_parts(s, MECH(hashes[i].rsa), key, sig);
		assert_true(p11_verify(k, hashes[i].digest, RSA_PKCS1_PADDING, text, TEXT, sig, n));
		verify_both(s, MECH(hashes[i].rsa), pub, sig, n);
		n = sign_parts(s, MECH_P(hashes[i].pss, pss), key, sig);
		assert_true(
			p11_verify(k, hashes[i].digest, RSA_PKCS1_PSS_PADDING, text, TEXT, sig, n));
		verify_both(s, MECH_P(hashes[i].pss, pss), pub, sig, n);
		/* Over a ready digest. */
		n = sign_once(s, MECH_P(CKM_RSA_PKCS_PSS, pss), key, d, pss.sLen, sig);
		assert_true(
			p11_verify(k, hashes[i].digest, RSA_PKCS1_PSS_PADDING, text, TEXT, sig, n));
		assert_rv_ok(C_SignInit(s, MECH_P(CKM_RSA_PKCS_PSS, pss), key));
		assert_rv(C_Sign(s, d, pss.sLen - 1, sig, &n), CKR_DATA_LEN_RANGE);
	}
	/* A DigestInfo made outside, as OpenSSH and GnuTLS do. */
	uint8_t info[19 + 32] = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65,
		0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};
	uint8_t sig[512], raw[256];
	(void)digest("SHA256", info + 19);
	CK_ULONG n = sign_once(s, MECH(CKM_RSA_PKCS), key, info, sizeof info, sig);
	assert_true(p11_verify(k, "SHA256", RSA_PKCS1_PADDING, text, TEXT, sig, n));
	/* Padded outside. */
	memset(raw, 0xff, sizeof raw);
	raw[0] = 0;
	raw[1] = 1;
	raw[256 - sizeof info - 1] = 0;
	memcpy(raw + 256 - sizeof info, info, sizeof info);
	/* For a key that may also decrypt a raw signature is a raw decryption: the switch decides.
	 */
	assert_rv(C_SignInit(s, MECH(CKM_RSA_X_509), key), CKR_MECHANISM_INVALID);
	assert_rv_ok(C_SignInit(s, MECH(CKM_RSA_PKCS), key));
	uint8_t toolong[246] = {1};
	assert_rv(C_Sign(s, toolong, sizeof toolong, sig, &n), CKR_DATA_LEN_RANGE);
	assert_rv(C_Sign(s, info, sizeof info, sig, &n), CKR_OPERATION_NOT_INITIALIZED);
}

static void
ecdsa_signatures_verify_elsewhere(void **state)
{
	(void)state;
	static const char *const names[] = {"ec256", "ec384"};
	const CK_SESSION_HANDLE s = p11_open();
	for (size_t j = 0; j < 2; j++) {
		const CK_OBJECT_HANDLE key = p11_find(s, CKO_PRIVATE_KEY, names[j]);
		const CK_OBJECT_HANDLE pub = p11_find(s, CKO_PUBLIC_KEY, names[j]);
		const struct fake_key *k = p11_key(names[j]);
		for (size_t i = 0; i < COUNT(hashes); i++) {
			uint8_t sig[512], d[64];
			const size_t dn = digest(hashes[i].digest, d);
			CK_ULONG n = sign_parts(s, MECH(hashes[i].ecdsa), key, sig);
			assert_int_equal(n, k->bits / 4);
			assert_true(p11_verify(k, hashes[i].digest, 0, text, TEXT, sig, n));
			verify_both(s, MECH(hashes[i].ecdsa), pub, sig, n);
			n = sign_once(s, MECH(CKM_ECDSA), key, d, dn, sig);
			assert_true(p11_verify(k, hashes[i].digest, 0, text, TEXT, sig, n));
		}
	}
}

static void
digests_equal_those_made_elsewhere(void **state)
{
	(void)state;
	const CK_SESSION_HANDLE s = p11_open();
	for (size_t i = 0; i < COUNT(hashes); i++) {
		uint8_t want[64], got[64];
		const size_t dn = digest(hashes[i].digest, want);
		CK_ULONG n = 0;
		assert_rv_ok(C_DigestInit(s, MECH(hashes[i].md)));
		assert_rv_ok(C_Digest(s, STR(text), TEXT, NULL, &n));
		assert_int_equal(n, dn);
		assert_rv_ok(C_Digest(s, STR(text), TEXT, got, &n));
		assert_memory_equal(got, want, dn);
		assert_rv_ok(C_DigestInit(s, MECH(hashes[i].md)));
		assert_rv(C_DigestInit(s, MECH(hashes[i].md)), CKR_OPERATION_ACTIVE);
		assert_rv_ok(C_DigestUpdate(s, STR(text), 1));
		assert_rv_ok(C_DigestUpdate(s, STR(text + 1), TEXT - 1));
		n = dn - 1;
		assert_rv(C_DigestFinal(s, got, &n), CKR_BUFFER_TOO_SMALL);
		memset(got, 0, sizeof got);
		assert_rv_ok(C_DigestFinal(s, got, &n));
		assert_memory_equal(got, want, dn);
	}
	assert_rv(C_DigestInit(s, MECH(CKM_MD5)), CKR_MECHANISM_INVALID);
}

/* Encrypt with plain OpenSSL and the public half. */
static size_t
seal(const struct fake_key *k, int pad, const char *md, const char *label, const void *in,
	size_t in_n, uint8_t *out)
{
	const uint8_t *der = k->spki.p;
	size_t n = 512;
	EVP_PKEY *key = d2i_PUBKEY(NULL, &der, (long)k->spki.n);
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(key, NULL);
	assert_int_equal(EVP_PKEY_encrypt_init(c), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(c, pad), 1);
	if (pad == RSA_PKCS1_OAEP_PADDING) {
		EVP_PKEY_CTX_set_rsa_oaep_md(c, EVP_get_digestbyname(md));
		EVP_PKEY_CTX_set_rsa_mgf1_md(c, EVP_get_digestbyname(md));
		if (label)
			EVP_PKEY_CTX_set0_rsa_oaep_label(
				c, OPENSSL_strdup(label), (int)strlen(label));
	}
	assert_int_equal(EVP_PKEY_encrypt(c, out, &n, in, in_n), 1);
	EVP_PKEY_CTX_free(c);
	EVP_PKEY_free(key);
	return n;
}

static void
open_once(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE key, uint8_t *in, CK_ULONG in_n)
{
	uint8_t out[256];
	CK_ULONG n = 0;
	assert_rv_ok(C_DecryptInit(s, m, key));
	assert_rv_ok(C_Decrypt(s, in, in_n, NULL, &n));
	assert_true(n >= TEXT);
	n = TEXT - 1;
	assert_rv(C_Decrypt(s, in, in_n, out, &n), CKR_BUFFER_TOO_SMALL);
	assert_int_equal(n, TEXT);
	/* Exactly enough is enough, although the bound is larger. */
	assert_rv_ok(C_Decrypt(s, in, in_n, out, &n));
	assert_int_equal(n, TEXT);
	assert_memory_equal(out, text, TEXT);
	/* In parts. */
	assert_rv_ok(C_DecryptInit(s, m, key));
	n = sizeof out;
	assert_rv_ok(C_DecryptUpdate(s, in, 100, out, &n));
	assert_int_equal(n, 0);
	n = sizeof out;
	assert_rv_ok(C_DecryptUpdate(s, in + 100, in_n - 100, out, &n));
	n = TEXT;
	assert_rv_ok(C_DecryptFinal(s, out, &n));
	assert_int_equal(n, TEXT);
	assert_memory_equal(out, text, TEXT);
}

static void
rsa_decrypts_what_others_encrypt(void **state)
{
	(void)state;
	const CK_SESSION_HANDLE s = p11_open();
	const CK_OBJECT_HANDLE key = p11_find(s, CKO_PRIVATE_KEY, "rsa2048");
	const struct fake_key *k = p11_key("rsa2048");
	uint8_t ct[512], out[256];
	size_t n = seal(k, RSA_PKCS1_PADDING, NULL, NULL, text, TEXT, ct);
	open_once(s, MECH(CKM_RSA_PKCS), key, ct, n);
	CK_RSA_PKCS_OAEP_PARAMS oaep = {CKM_SHA256, CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED, NULL, 0};
	n = seal(k, RSA_PKCS1_OAEP_PADDING, "SHA256", NULL, text, TEXT, ct);
	open_once(s, MECH_P(CKM_RSA_PKCS_OAEP, oaep), key, ct, n);
	oaep.source = 0; /* as pkcs11-tool says it */
	open_once(s, MECH_P(CKM_RSA_PKCS_OAEP, oaep), key, ct, n);
	CK_RSA_PKCS_OAEP_PARAMS sha1 = {
		CKM_SHA_1, CKG_MGF1_SHA1, CKZ_DATA_SPECIFIED, STR("abc"), 3};
	assert_rv_ok(C_DecryptInit(s, MECH_P(CKM_RSA_PKCS_OAEP, sha1), key));
	CK_ULONG got = sizeof out;
	assert_rv(C_Decrypt(s, ct, n, out, &got), CKR_ENCRYPTED_DATA_INVALID);
	n = seal(k, RSA_PKCS1_OAEP_PADDING, "SHA1", "abc", text, TEXT, ct);
	open_once(s, MECH_P(CKM_RSA_PKCS_OAEP, sha1), key, ct, n);
	/* The public half encrypts, the private one opens. */
	const CK_OBJECT_HANDLE pub = p11_find(s, CKO_PUBLIC_KEY, "rsa2048");
	got = sizeof ct;
	assert_rv_ok(C_EncryptInit(s, MECH_P(CKM_RSA_PKCS_OAEP, sha1), pub));
	assert_rv_ok(C_Encrypt(s, STR(text), TEXT, ct, &got));
	open_once(s, MECH_P(CKM_RSA_PKCS_OAEP, sha1), key, ct, got);
	/* Wrong lengths and parameters. */
	assert_rv_ok(C_DecryptInit(s, MECH(CKM_RSA_PKCS), key));
	assert_rv(C_Decrypt(s, ct, 255, out, &got), CKR_ENCRYPTED_DATA_LEN_RANGE);
	sha1.hashAlg = 0;
	assert_rv(C_DecryptInit(s, MECH_P(CKM_RSA_PKCS_OAEP, sha1), key),
		CKR_MECHANISM_PARAM_INVALID);
}

static void
bad_pkcs1_padding_looks_like_any_message(void **state)
{
	(void)state;
	const CK_SESSION_HANDLE s = p11_open();
	const CK_OBJECT_HANDLE key = p11_find(s, CKO_PRIVATE_KEY, "rsa2048");
	uint8_t ct[256], a[256], b[256];
	memset(ct, 0x42, sizeof ct);
	ct[0] = 0;
	CK_ULONG an = sizeof a, bn = sizeof b;
	assert_rv_ok(C_DecryptInit(s, MECH(CKM_RSA_PKCS), key));
	assert_rv_ok(C_Decrypt(s, ct, sizeof ct, a, &an));
	assert_rv_ok(C_DecryptInit(s, MECH(CKM_RSA_PKCS), key));
	assert_rv_ok(C_Decrypt(s, ct, sizeof ct, b, &bn));
	assert_int_equal(an, bn);
	assert_memory_equal(a, b, an);
}

static size_t
evp_cipher(const char *name, bool enc, const uint8_t *key, const uint8_t *iv, size_t iv_n,
	const void *in, size_t in_n, uint8_t *out, uint8_t *tag)
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	int n = 0, m = 0;
	assert_int_equal(
		EVP_CipherInit_ex(c, EVP_get_cipherbyname(name), NULL, NULL, NULL, enc), 1);
	if (tag)
		EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_IVLEN, (int)iv_n, NULL);
	assert_int_equal(EVP_CipherInit_ex(c, NULL, NULL, key, iv, enc), 1);
	if (tag)
		assert_int_equal(EVP_CipherUpdate(c, NULL, &n, (const uint8_t *)"aad", 3), 1);
	assert_int_equal(EVP_CipherUpdate(c, out, &n, in, (int)in_n), 1);
	assert_int_equal(EVP_CipherFinal_ex(c, out + n, &m), 1);
	if (tag)
		EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, 16, tag);
	EVP_CIPHER_CTX_free(c);
	return (size_t)(n + m);
}

/* One part and many, both ways; want is the whole ciphertext. */
static void
both_ways(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE key, const uint8_t *plain,
	CK_ULONG n, const uint8_t *want, CK_ULONG want_n)
{
	uint8_t out[300], back[300];
	CK_ULONG got = 0, at = 0;
	assert_rv_ok(C_EncryptInit(s, m, key));
	assert_rv_ok(C_Encrypt(s, STR(plain), n, NULL, &got));
	assert_int_equal(got, want_n);
	got = want_n - 1;
	assert_rv(C_Encrypt(s, STR(plain), n, out, &got), CKR_BUFFER_TOO_SMALL);
	assert_rv_ok(C_Encrypt(s, STR(plain), n, out, &got));
	assert_int_equal(got, want_n);
	assert_memory_equal(out, want, want_n);

	assert_rv_ok(C_EncryptInit(s, m, key));
	for (CK_ULONG i = 0; i < n; i += 13) {
		got = sizeof out - at;
		assert_rv_ok(C_EncryptUpdate(
			s, STR(plain + i), n - i < 13 ? n - i : 13, out + at, &got));
		at += got;
	}
	got = sizeof out - at;
	assert_rv_ok(C_EncryptFinal(s, out + at, &got));
	assert_int_equal(at + got, want_n);
	assert_memory_equal(out, want, want_n);

	/* Exactly as much room as the text needs. */
	got = n;
	assert_rv_ok(C_DecryptInit(s, m, key));
	assert_rv_ok(C_Decrypt(s, STR(want), want_n, back, &got));
	assert_int_equal(got, n);
	assert_memory_equal(back, plain, n);

	assert_rv_ok(C_DecryptInit(s, m, key));
	at = 0;
	for (CK_ULONG i = 0; i < want_n; i += 9) {
		got = sizeof back - at;
		assert_rv_ok(C_DecryptUpdate(
			s, STR(want + i), want_n - i < 9 ? want_n - i : 9, back + at, &got));
		at += got;
	}
	got = 0;
	assert_rv_ok(C_DecryptFinal(s, NULL, &got));
	got = n - at;
	assert_rv_ok(C_DecryptFinal(s, back + at, &got));
	assert_int_equal(at + got, n);
	assert_memory_equal(back, plain, n);
	/* In place. */
	memcpy(out, plain, n);
	got = sizeof out;
	assert_rv_ok(C_EncryptInit(s, m, key));
	assert_rv_ok(C_Encrypt(s, out, n, out, &got));
	assert_memory_equal(out, want, want_n);
}

static void
aes_modes_equal_those_made_elsewhere(void **state)
{
	(void)state;
	const CK_SESSION_HANDLE s = p11_open();
	const CK_OBJECT_HANDLE key = p11_find(s, CKO_SECRET_KEY, "aes256");
	const uint8_t *k = p11_key("aes256")->secret.p;
	uint8_t iv[16], want[300], tag[16];
	const uint8_t *plain = (const uint8_t *)text;
	memset(iv, 7, sizeof iv);
	size_t n = evp_cipher("AES-256-CBC", true, k, iv, 16, text, TEXT, want, NULL);
	both_ways(s, MECH_P(CKM_AES_CBC_PAD, iv), key, plain, TEXT, want, n);
	both_ways(s, MECH_P(CKM_AES_CBC, iv), key, plain, 64, want, 64);
	(void)evp_cipher("AES-256-ECB", true, k, NULL, 0, text, TEXT, want, NULL);
	both_ways(s, MECH(CKM_AES_ECB), key, plain, 64, want, 64);
	CK_AES_CTR_PARAMS ctr = {.ulCounterBits = 128};
	memcpy(ctr.cb, iv, 16);
	n = evp_cipher("AES-256-CTR", true, k, iv, 16, text, TEXT, want, NULL);
	both_ways(s, MECH_P(CKM_AES_CTR, ctr), key, plain, TEXT, want, n);
	n = evp_cipher("id-aes256-GCM", true, k, iv, 12, text, TEXT, want, tag);
	memcpy(want + n, tag, 16);
	CK_GCM_PARAMS gcm = {iv, 12, 96, STR("aad"), 3, 128};
	both_ways(s, MECH_P(CKM_AES_GCM, gcm), key, plain, TEXT, want, n + 16);
	gcm.ulIvBits = 0; /* PyKCS11 */
	both_ways(s, MECH_P(CKM_AES_GCM, gcm), key, plain, TEXT, want, n + 16);
	struct vs_ck_gcm_params_short old = {iv, 12, STR("aad"), 3, 128};
	both_ways(s, MECH_P(CKM_AES_GCM, old), key, plain, TEXT, want, n + 16);
	/* Bad lengths. */
	CK_ULONG got = sizeof want;
	assert_rv_ok(C_EncryptInit(s, MECH_P(CKM_AES_CBC, iv), key));
	assert_rv(C_Encrypt(s, STR(text), TEXT, want, &got), CKR_DATA_LEN_RANGE);
	assert_rv_ok(C_DecryptInit(s, MECH_P(CKM_AES_CBC, iv), key));
	got = sizeof want;
	assert_rv(C_Decrypt(s, STR(text), 17, want, &got), CKR_ENCRYPTED_DATA_LEN_RANGE);
}

static void
gcm_gives_nothing_before_the_tag_is_right(void **state)
{
	(void)state;
	const CK_SESSION_HANDLE s = p11_open();
	const CK_OBJECT_HANDLE key = p11_find(s, CKO_SECRET_KEY, "aes256");
	uint8_t iv[12] = {1}, ct[128], out[128];
	CK_GCM_PARAMS gcm = {iv, 12, 96, NULL, 0, 128};
	CK_ULONG n = sizeof ct, got = sizeof out;
	assert_rv_ok(C_EncryptInit(s, MECH_P(CKM_AES_GCM, gcm), key));
	assert_rv_ok(C_Encrypt(s, STR(text), TEXT, ct, &n));
	ct[3] ^= 1;
	memset(out, 0xaa, sizeof out);
	assert_rv_ok(C_DecryptInit(s, MECH_P(CKM_AES_GCM, gcm), key));
	assert_rv(C_Decrypt(s, ct, n, out, &got), CKR_ENCRYPTED_DATA_INVALID);
	assert_rv_ok(C_DecryptInit(s, MECH_P(CKM_AES_GCM, gcm), key));
	got = sizeof out;
	assert_rv_ok(C_DecryptUpdate(s, ct, n, out, &got));
	assert_int_equal(got, 0);
	got = sizeof out;
	assert_rv(C_DecryptFinal(s, out, &got), CKR_ENCRYPTED_DATA_INVALID);
	for (size_t i = 0; i < sizeof out; i++)
		assert_int_equal(out[i], 0xaa);
	/* Hostile parameters. */
	CK_GCM_PARAMS bad[] = {
		{iv, 0, 0, NULL, 0, 128},
		{NULL, 12, 96, NULL, 0, 128},
		{iv, 257, 0, NULL, 0, 128},
		{iv, 12, 97, NULL, 0, 128},
		{iv, 12, 96, NULL, 5, 128},
		{iv, 12, 96, iv, (CK_ULONG)-1, 128},
		{iv, 12, 96, NULL, 0, 129},
		{iv, 12, 96, NULL, 0, 8},
		{iv, 12, 96, NULL, 0, (CK_ULONG)-8},
	};
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_rv(C_EncryptInit(s, MECH_P(CKM_AES_GCM, bad[i]), key),
			CKR_MECHANISM_PARAM_INVALID);
	CK_MECHANISM shorter = {CKM_AES_GCM, &gcm, 7};
	assert_rv(C_EncryptInit(s, &shorter, key), CKR_MECHANISM_PARAM_INVALID);
	CK_MECHANISM null = {CKM_AES_GCM, NULL, sizeof gcm};
	assert_rv(C_EncryptInit(s, &null, key), CKR_MECHANISM_PARAM_INVALID);
	/* Mechanism and parameter at odd addresses. */
	uint8_t pm[sizeof(CK_MECHANISM) + 1], pp[sizeof gcm + 1];
	memcpy(pp + 1, &gcm, sizeof gcm);
	const CK_MECHANISM odd = {CKM_AES_GCM, pp + 1, sizeof gcm};
	memcpy(pm + 1, &odd, sizeof odd);
	assert_rv_ok(C_EncryptInit(s, (CK_MECHANISM_PTR)(void *)(pm + 1), key));
}

static void
parameters_may_go_away_after_the_init(void **state)
{
	(void)state;
	const CK_SESSION_HANDLE s = p11_open();
	const CK_OBJECT_HANDLE key = p11_find(s, CKO_SECRET_KEY, "aes256");
	uint8_t a[2048], b[2048], iv[12] = {9};
	uint8_t *aad = malloc(1000);
	memset(aad, 3, 1000);
	CK_GCM_PARAMS gcm = {iv, 12, 96, aad, 1000, 128};
	CK_ULONG an = sizeof a, bn = sizeof b;
	assert_rv_ok(C_EncryptInit(s, MECH_P(CKM_AES_GCM, gcm), key));
	assert_rv_ok(C_Encrypt(s, STR(text), TEXT, a, &an));
	assert_rv_ok(C_EncryptInit(s, MECH_P(CKM_AES_GCM, gcm), key));
	memset(aad, 0, 1000);
	memset(iv, 0, sizeof iv);
	memset(&gcm, 0xff, sizeof gcm);
	free(aad);
	assert_rv_ok(C_Encrypt(s, STR(text), TEXT, b, &bn));
	assert_int_equal(an, bn);
	assert_memory_equal(a, b, an);
}

static void
messages_of_version_3_carry_their_tag_apart(void **state)
{
	(void)state;
	const CK_SESSION_HANDLE s = p11_open();
	const CK_OBJECT_HANDLE key = p11_find(s, CKO_SECRET_KEY, "aes256");
	uint8_t iv[12] = {0}, tag[16], ct[128], out[128], before[12];
	CK_GCM_MESSAGE_PARAMS p = {iv, 12, 32, CKG_GENERATE, tag, 128};
	CK_ULONG n = sizeof ct, got = sizeof out;
	assert_rv(C_EncryptMessage(s, &p, sizeof p, NULL, 0, STR(text), TEXT, ct, &n),
		CKR_OPERATION_NOT_INITIALIZED);
	assert_rv_ok(C_MessageEncryptInit(s, MECH(CKM_AES_GCM), key));
	assert_rv_ok(C_MessageDecryptInit(s, MECH(CKM_AES_GCM), key));
	for (int i = 0; i < 3; i++) {
		memcpy(before, iv, 12);
		n = sizeof ct;
		assert_rv_ok(
			C_EncryptMessage(s, &p, sizeof p, STR("aad"), 3, STR(text), TEXT, ct, &n));
		assert_int_equal(n, TEXT);
		assert_memory_equal(iv, before, 4); /* the fixed part */
		assert_memory_not_equal(iv, before, 12);
		got = sizeof out;
		assert_rv_ok(C_DecryptMessage(s, &p, sizeof p, STR("aad"), 3, ct, n, out, &got));
		assert_int_equal(got, TEXT);
		assert_memory_equal(out, text, TEXT);
	}
	/* The same as plain OpenSSL makes of it. */
	uint8_t want[128], want_tag[16];
	evp_cipher("id-aes256-GCM", true, p11_key("aes256")->secret.p, iv, 12, text, TEXT, want,
		want_tag);
	assert_memory_equal(ct, want, TEXT);
	assert_memory_equal(tag, want_tag, 16);
	tag[0] ^= 1;
	assert_rv(C_DecryptMessage(s, &p, sizeof p, STR("aad"), 3, ct, n, out, &got),
		CKR_AEAD_DECRYPT_FAILED);
	p.ivGenerator = 99;
	assert_rv(C_EncryptMessage(s, &p, sizeof p, NULL, 0, STR(text), TEXT, ct, &n),
		CKR_MECHANISM_PARAM_INVALID);
	assert_rv(C_EncryptMessage(s, &p, 3, NULL, 0, STR(text), TEXT, ct, &n),
		CKR_MECHANISM_PARAM_INVALID);
	assert_rv_ok(C_MessageEncryptFinal(s));
	assert_rv_ok(C_SessionCancel(s, CKF_MESSAGE_DECRYPT));
	assert_rv(C_MessageDecryptFinal(s), CKR_OPERATION_NOT_INITIALIZED);
}

static void
session_cancel_and_a_null_mechanism_forget_the_operation(void **state)
{
	(void)state;
	const CK_SESSION_HANDLE s = p11_open();
	uint8_t d[32];
	CK_ULONG n = sizeof d;
	assert_rv_ok(C_DigestInit(s, MECH(CKM_SHA256)));
	assert_rv_ok(C_SessionCancel(s, CKF_DIGEST));
	assert_rv(C_Digest(s, STR("x"), 1, d, &n), CKR_OPERATION_NOT_INITIALIZED);
	assert_rv_ok(C_DigestInit(s, MECH(CKM_SHA256)));
	assert_rv_ok(C_DigestInit(s, NULL));
	assert_rv(C_DigestInit(s, NULL), CKR_ARGUMENTS_BAD);
	assert_rv(C_DigestUpdate(s, STR("x"), 1), CKR_OPERATION_NOT_INITIALIZED);
}

static void
the_empty_message_in_parts(void **state)
{
	(void)state;
	const CK_SESSION_HANDLE s = p11_open();
	const CK_OBJECT_HANDLE key = p11_find(s, CKO_PRIVATE_KEY, "rsa2048");
	uint8_t sig[256];
	CK_ULONG n = sizeof sig;
	assert_rv_ok(C_SignInit(s, MECH(CKM_SHA256_RSA_PKCS), key));
	assert_rv_ok(C_SignFinal(s, sig, &n));
	assert_true(p11_verify(p11_key("rsa2048"), "SHA256", RSA_PKCS1_PADDING, "", 0, sig, n));
	assert_rv_ok(
		C_VerifyInit(s, MECH(CKM_SHA256_RSA_PKCS), p11_find(s, CKO_PUBLIC_KEY, "rsa2048")));
	assert_rv_ok(C_VerifyFinal(s, sig, n));
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, p11_setup, p11_teardown)
	const struct CMUnitTest tests[] = {
		T(rsa_signatures_verify_elsewhere),
		T(ecdsa_signatures_verify_elsewhere),
		T(digests_equal_those_made_elsewhere),
		T(rsa_decrypts_what_others_encrypt),
		T(bad_pkcs1_padding_looks_like_any_message),
		T(aes_modes_equal_those_made_elsewhere),
		T(gcm_gives_nothing_before_the_tag_is_right),
		T(parameters_may_go_away_after_the_init),
		T(messages_of_version_3_carry_their_tag_apart),
		T(session_cancel_and_a_null_mechanism_forget_the_operation),
		T(the_empty_message_in_parts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
