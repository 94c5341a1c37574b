/* SPDX-License-Identifier: BSD-2-Clause */
#include "lab/lab_rsa.h"
#include "lab/lab_roots.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>

enum { KEYGEN_MAX = 8 };

vs_rc
lab_ossl_fail(const char *what, struct vs_err *err)
{
	const unsigned long e = ERR_peek_last_error();
	char text[160] = "no reason given";
	if (e)
		ERR_error_string_n(e, text, sizeof text);
	ERR_clear_error();
	return vs_err_put(err, VS_E_CRYPTO, __func__, __LINE__, (long)e, "%s: %s", what, text);
}

static void *
keygen_thread(void *arg)
{
	struct lab_new_key *job = arg;
	if (job->bits == 0)
		job->key = EVP_EC_gen("P-256");
	else if (job->bits == 384)
		job->key = EVP_EC_gen("P-384");
	else
		job->key = lab_rsa_gen(job->bits);
	return NULL;
}

vs_rc
lab_new_keys(struct lab_new_key *jobs, size_t n, struct vs_err *err)
{
	pthread_t threads[KEYGEN_MAX];
	bool started[KEYGEN_MAX] = {false};
	VS_REQUIRE(err, n <= KEYGEN_MAX);
	for (size_t i = 0; i < n; i++) {
		started[i] = pthread_create(&threads[i], NULL, keygen_thread, &jobs[i]) == 0;
		if (!started[i])
			keygen_thread(&jobs[i]);
	}
	bool all = true;
	for (size_t i = 0; i < n; i++) {
		if (started[i])
			pthread_join(threads[i], NULL);
		all = all && jobs[i].key;
	}
	if (all)
		return VS_OK;
	for (size_t i = 0; i < n; i++) {
		EVP_PKEY_free(jobs[i].key);
		jobs[i].key = NULL;
	}
	return lab_ossl_fail("cannot make a key", err);
}

static bool
add_name(X509_NAME *name, const char *field, const char *value)
{
	return X509_NAME_add_entry_by_txt(
		       name, field, MBSTRING_UTF8, (const unsigned char *)value, -1, -1, 0) == 1;
}

static X509_EXTENSION *
make_raw_ext(const struct lab_ext *e)
{
	ASN1_OBJECT *oid = OBJ_txt2obj(e->oid, 0);
	ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
	X509_EXTENSION *x = NULL;
	if (oid && value && ASN1_OCTET_STRING_set(value, e->der.p, (int)e->der.n) == 1)
		x = X509_EXTENSION_create_by_OBJ(NULL, oid, 0, value);
	ASN1_OBJECT_free(oid);
	ASN1_OCTET_STRING_free(value);
	return x;
}

static bool
add_exts(X509 *cert, X509 *issuer, const struct lab_ext *ext)
{
	X509V3_CTX ctx;
	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	for (; ext && ext->oid; ext++) {
		X509_EXTENSION *x = ext->conf
			? X509V3_EXT_nconf_nid(NULL, &ctx, OBJ_txt2nid(ext->oid), ext->conf)
			: make_raw_ext(ext);
		const bool ok = x && X509_add_ext(cert, x, -1) == 1;
		X509_EXTENSION_free(x);
		if (!ok)
			return false;
	}
	return true;
}

static bool
set_serial(X509 *cert, long serial)
{
	if (serial >= 0)
		return ASN1_INTEGER_set(X509_get_serialNumber(cert), serial) == 1;
	uint8_t random[8];
	if (RAND_bytes(random, sizeof random) != 1)
		return false;
	random[0] &= 0x7f;
	BIGNUM *bn = BN_bin2bn(random, sizeof random, NULL);
	const bool ok = bn && BN_to_ASN1_INTEGER(bn, X509_get_serialNumber(cert));
	BN_free(bn);
	return ok;
}

static bool
sign_cert(X509 *cert, EVP_PKEY *key, bool pss)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	EVP_PKEY_CTX *ctx = NULL;
	bool ok = md &&
		EVP_DigestSignInit(md, &ctx, pss ? EVP_sha384() : EVP_sha256(), NULL, key) == 1;
	if (ok && pss)
		ok = EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
			EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha384()) == 1 &&
			EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, 48) == 1;
	ok = ok && X509_sign_ctx(cert, md) > 0;
	EVP_MD_CTX_free(md);
	return ok;
}

vs_rc
lab_hwcert_new(const struct lab_hwcert *spec, X509 **ret, struct vs_err *err)
{
	X509 *cert = X509_new();
	if (!cert)
		VS_FAIL(err, MEMORY, "out of memory");
	X509 *issuer = spec->issuer ? spec->issuer->cert : cert;
	EVP_PKEY *key = spec->issuer ? spec->issuer->key : spec->key;
	const bool fixed = spec->not_before || spec->not_after;
	const time_t from = fixed ? (time_t)spec->not_before : time(NULL) - 30L * 86400;
	const time_t to = fixed ? (time_t)spec->not_after : from + 3650L * 86400;
	X509_NAME *name = X509_get_subject_name(cert);
	const bool ok = X509_set_version(cert, X509_VERSION_3) == 1 &&
		set_serial(cert, spec->serial) && ASN1_TIME_set(X509_getm_notBefore(cert), from) &&
		ASN1_TIME_set(X509_getm_notAfter(cert), to) &&
		(spec->organization && !*spec->organization
				? true
				: add_name(name, "O",
					  spec->organization ? spec->organization
							     : "Vouchsafe LAB")) &&
		add_name(name, "CN", spec->cn) && X509_set_subject_name(cert, name) == 1 &&
		X509_set_issuer_name(cert, X509_get_subject_name(issuer)) == 1 &&
		X509_set_pubkey(cert, spec->key) == 1 && add_exts(cert, issuer, spec->ext) &&
		sign_cert(cert, key, spec->pss);
	if (!ok) {
		X509_free(cert);
		return lab_ossl_fail("cannot make a certificate", err);
	}
	*ret = cert;
	return VS_OK;
}

vs_rc
lab_hwcert_der(X509 *cert, struct vs_buf *out, struct vs_err *err)
{
	unsigned char *der = NULL;
	const int n = i2d_X509(cert, &der);
	if (n <= 0)
		return lab_ossl_fail("cannot encode a certificate", err);
	const vs_rc rc = vs_buf_add(out, der, (size_t)n, err);
	OPENSSL_free(der);
	return rc;
}

vs_rc
lab_hwcert_pem(X509 *cert, struct vs_buf *out, struct vs_err *err)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text = NULL;
	vs_rc rc = VS_OK;
	long n = 0;
	if (!bio || PEM_write_bio_X509(bio, cert) != 1 || (n = BIO_get_mem_data(bio, &text)) <= 0)
		rc = lab_ossl_fail("cannot encode a certificate", err);
	else
		rc = vs_buf_add(out, text, (size_t)n, err);
	BIO_free(bio);
	return rc;
}

static const struct lab_ext ca_ext[] = {
	{.oid = "basicConstraints", .conf = "critical,CA:TRUE"},
	{.oid = "keyUsage", .conf = "critical,keyCertSign,cRLSign"},
	{.oid = "subjectKeyIdentifier", .conf = "hash"},
	{0},
};
static const struct lab_ext vtpm_ca_ext[] = {
	{.oid = "basicConstraints", .conf = "critical,CA:TRUE,pathlen:0"},
	{.oid = "keyUsage", .conf = "critical,keyCertSign,cRLSign"},
	{.oid = "extendedKeyUsage", .conf = "1.3.6.1.4.1.311.10.3.12,2.23.133.8.3"},
	{.oid = "subjectKeyIdentifier", .conf = "hash"},
	{.oid = "authorityKeyIdentifier", .conf = "keyid"},
	{0},
};
static const struct lab_ext ask_ext[] = {
	{.oid = "basicConstraints", .conf = "critical,CA:TRUE,pathlen:0"},
	{.oid = "keyUsage", .conf = "critical,keyCertSign"},
	{0},
};

static vs_rc
make_certs(struct lab_roots *r, struct vs_err *err)
{
	VS_TRY(lab_hwcert_new(&(struct lab_hwcert){.cn = "Vouchsafe LAB Virtual TPM Root CA",
				      .key = r->vtpm_root.key,
				      .serial = -1,
				      .ext = ca_ext},
		&r->vtpm_root.cert, err));
	VS_TRY(lab_hwcert_new(&(struct lab_hwcert){.cn = "Vouchsafe LAB Virtual TPM CA - 01",
				      .key = r->vtpm_ca.key,
				      .issuer = &r->vtpm_root,
				      .serial = -1,
				      .ext = vtpm_ca_ext},
		&r->vtpm_ca.cert, err));
	VS_TRY(lab_hwcert_new(&(struct lab_hwcert){.cn = "ARK-LAB",
				      .key = r->ark.key,
				      .serial = 65536,
				      .pss = true,
				      .ext = ca_ext},
		&r->ark.cert, err));
	VS_TRY(lab_hwcert_new(&(struct lab_hwcert){.cn = "SEV-LAB",
				      .key = r->ask.key,
				      .issuer = &r->ark,
				      .serial = 65537,
				      .pss = true,
				      .ext = ask_ext},
		&r->ask.cert, err));
	return lab_hwcert_new(&(struct lab_hwcert){.cn = "Vouchsafe LAB Secure Boot Signing CA",
				      .key = r->firmware.key,
				      .serial = -1,
				      .ext = ca_ext},
		&r->firmware.cert, err);
}

vs_rc
lab_roots_new(struct lab_roots **ret, struct vs_err *err)
{
	struct lab_roots *r = calloc(1, sizeof *r);
	if (!r)
		VS_FAIL(err, MEMORY, "out of memory");
	r->refs = 1;
	struct lab_new_key jobs[] = {
		{.bits = 2048}, {.bits = 2048}, {.bits = 2048}, {.bits = 2048}, {.bits = 0}};
	vs_rc rc = lab_new_keys(jobs, 5, err);
	r->ark.key = jobs[0].key;
	r->ask.key = jobs[1].key;
	r->vtpm_root.key = jobs[2].key;
	r->vtpm_ca.key = jobs[3].key;
	r->firmware.key = jobs[4].key;
	if (!vs_failed(rc) && RAND_bytes(r->owner_guid, sizeof r->owner_guid) != 1)
		rc = lab_ossl_fail("no random bytes", err);
	if (!vs_failed(rc))
		rc = make_certs(r, err);
	if (vs_failed(rc)) {
		lab_roots_free(r);
		return rc;
	}
	*ret = r;
	return VS_OK;
}

struct lab_roots *
lab_roots_ref(struct lab_roots *r)
{
	__atomic_add_fetch(&r->refs, 1, __ATOMIC_RELAXED);
	return r;
}

void
lab_roots_free(struct lab_roots *r)
{
	if (!r || __atomic_sub_fetch(&r->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	struct lab_signer *all[] = {&r->vtpm_root, &r->vtpm_ca, &r->ark, &r->ask, &r->firmware};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		EVP_PKEY_free(all[i]->key);
		X509_free(all[i]->cert);
	}
	free(r);
}

vs_rc
lab_roots_ak_cert(const struct lab_roots *r, EVP_PKEY *ak, struct vs_buf *der, struct vs_err *err)
{
	static const struct lab_ext ext[] = {
		{.oid = "basicConstraints", .conf = "critical,CA:FALSE"},
		{.oid = "keyUsage", .conf = "critical,digitalSignature"},
		{.oid = "extendedKeyUsage", .conf = "1.3.6.1.4.1.311.10.3.12,2.23.133.8.3"},
		{.oid = "authorityKeyIdentifier", .conf = "keyid"},
		{0},
	};
	X509 *cert = NULL;
	const int64_t now = time(NULL);
	VS_TRY(lab_hwcert_new(&(struct lab_hwcert){.cn = "00000000001a.TrustedVM.LAB.invalid",
				      .key = ak,
				      .issuer = &r->vtpm_ca,
				      .serial = -1,
				      .not_before = now - 30L * 86400,
				      .not_after = now + 300L * 86400,
				      .ext = ext},
		&cert, err));
	const vs_rc rc = lab_hwcert_der(cert, der, err);
	X509_free(cert);
	return rc;
}

static vs_rc
add_le32(struct vs_buf *out, uint32_t v, struct vs_err *err)
{
	const uint8_t le[4] = {
		(uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24)};
	return vs_buf_add(out, le, 4, err);
}

/* EFI_SIGNATURE_LIST with entries of one size (UEFI 2.10, 32.4.1). */
static vs_rc
add_list(struct vs_buf *out, const uint8_t type[16], const uint8_t owner[16],
	struct vs_bytes entries, size_t entry, struct vs_err *err)
{
	const size_t n = entries.n / entry;
	VS_TRY(vs_buf_add(out, type, 16, err));
	VS_TRY(add_le32(out, (uint32_t)(28 + n * (16 + entry)), err));
	VS_TRY(add_le32(out, 0, err));
	VS_TRY(add_le32(out, (uint32_t)(16 + entry), err));
	for (size_t i = 0; i < n; i++) {
		VS_TRY(vs_buf_add(out, owner, 16, err));
		VS_TRY(vs_buf_add(out, entries.p + i * entry, entry, err));
	}
	return VS_OK;
}

vs_rc
lab_roots_signature_db(const struct lab_roots *r, struct vs_buf *out, struct vs_err *err)
{
	static const uint8_t x509_guid[16] = {0xa1, 0x59, 0xc0, 0xa5, 0xe4, 0x94, 0xa7, 0x4a, 0x87,
		0xb5, 0xab, 0x15, 0x5c, 0x2b, 0xf0, 0x72};
	VS_CLEANUP(vs_buf_done) struct vs_buf der = {0};
	VS_TRY(lab_hwcert_der(r->firmware.cert, &der, err));
	return add_list(out, x509_guid, r->owner_guid, vs_buf_view(&der), der.n, err);
}

vs_rc
lab_roots_signature_dbx(const struct lab_roots *r, struct vs_buf *out, struct vs_err *err)
{
	static const uint8_t sha256_guid[16] = {0x26, 0x16, 0xc4, 0xc1, 0x4c, 0x50, 0x92, 0x40,
		0xac, 0xa9, 0x41, 0xf9, 0x36, 0x93, 0x43, 0x28};
	static const char *const banned[] = {
		"Vouchsafe LAB banned loader 1", "Vouchsafe LAB banned loader 2"};
	uint8_t hashes[2][32];
	for (size_t i = 0; i < 2; i++)
		SHA256((const unsigned char *)banned[i], strlen(banned[i]), hashes[i]);
	return add_list(
		out, sha256_guid, r->owner_guid, vs_bytes_of(hashes, sizeof hashes), 32, err);
}
