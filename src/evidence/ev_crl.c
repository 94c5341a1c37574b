/* SPDX-License-Identifier: BSD-2-Clause */
#include "evidence/ev_crl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/codec.h"
#include "evidence/check.h"
#include "evidence/ev_cert_impl.h"
#include "evidence/ev_crypto.h"

struct vs_ev_crl {
	X509_CRL *x;
};

static void
bio_done(BIO **bio)
{
	BIO_free(*bio);
}

/* A failure to read empties *into, as libcrypto does it. */
static bool
read_pem(struct vs_bytes text, X509_CRL **into)
{
	VS_CLEANUP(bio_done) BIO *bio = BIO_new_mem_buf(text.p, (int)text.n);
	char *rest = NULL;
	if (bio == NULL || PEM_read_bio_X509_CRL(bio, into, NULL, NULL) == NULL)
		return false;
	/* What stands behind would be read by another program, perhaps. */
	return BIO_get_mem_data(bio, &rest) == 0;
}

static bool
read_crl(struct vs_bytes text, X509_CRL **into)
{
	static const char dashes[] = "-----BEGIN";
	const uint8_t *p = text.p;
	if (text.n >= sizeof dashes && memcmp(text.p, dashes, sizeof dashes - 1) == 0)
		return read_pem(text, into);
	return d2i_X509_CRL(into, &p, (long)text.n) != NULL && p == text.p + text.n;
}

vs_rc
vs_ev_crls_add(struct vs_ev_crls *crls, struct vs_bytes text, struct vs_err *err)
{
	if (vs_ev_libctx() == NULL)
		VS_FAIL(err, CRYPTO, "libcrypto cannot be used for verifying evidence");
	if (text.n == 0 || text.n > VS_EV_CRL_MAX)
		VS_FAIL(err, FORMAT, "a list of revoked certificates of %zu bytes", text.n);
	if (crls->n == VS_EV_CRLS_MAX)
		VS_FAIL(err, LIMIT, "more than %d lists of revoked certificates", VS_EV_CRLS_MAX);
	struct vs_ev_crl *crl = calloc(1, sizeof *crl);
	X509_CRL *x = X509_CRL_new_ex(vs_ev_libctx(), NULL);
	if (crl == NULL || x == NULL) {
		free(crl);
		X509_CRL_free(x);
		VS_FAIL(err, MEMORY, "no memory for a list of revoked certificates");
	}
	if (!read_crl(text, &x)) {
		free(crl);
		X509_CRL_free(x);
		ERR_clear_error();
		VS_FAIL(err, FORMAT,
			"a list of revoked certificates is not readable, or something stands "
			"behind it");
	}
	crl->x = x;
	crls->v[crls->n++] = crl;
	return VS_OK;
}

void
vs_ev_crls_done(struct vs_ev_crls *crls)
{
	for (size_t i = 0; i < crls->n; i++) {
		X509_CRL_free(crls->v[i]->x);
		free(crls->v[i]);
	}
	crls->n = 0;
}

/* ---- one list ------------------------------------------------------------------------------- */

static bool
good_algorithm(const X509_CRL *x)
{
	const X509_ALGOR *alg = NULL;
	const ASN1_OBJECT *o = NULL;
	X509_CRL_get0_signature(x, NULL, &alg);
	X509_ALGOR_get0(&o, NULL, NULL, alg);
	switch (OBJ_obj2nid(o)) {
	case NID_ecdsa_with_SHA256:
	case NID_ecdsa_with_SHA384:
	case NID_sha256WithRSAEncryption:
	case NID_sha384WithRSAEncryption:
	case NID_sha512WithRSAEncryption: return true;
	case NID_rsassaPss: return vs_ev_alg_is_pss384(alg);
	default: return false;
	}
}

/* About all certificates of its issuer: no delta, no part of them, nothing we do not know. */
static bool
is_whole(const X509_CRL *x)
{
	if (X509_CRL_get_ext_by_NID(x, NID_delta_crl, -1) >= 0 ||
		X509_CRL_get_ext_by_NID(x, NID_issuing_distribution_point, -1) >= 0)
		return false;
	for (int i = 0; i < X509_CRL_get_ext_count(x); i++) {
		if (X509_EXTENSION_get_critical(X509_CRL_get_ext(x, i)))
			return false;
	}
	return true;
}

bool
vs_ev_crl_is_current(const struct vs_ev_crl *crl, int64_t at_unix)
{
	const ASN1_TIME *from = X509_CRL_get0_lastUpdate(crl->x);
	const ASN1_TIME *until = X509_CRL_get0_nextUpdate(crl->x);
	if (from == NULL || until == NULL)
		return false;
	/* -2: a date that cannot be read is no date. */
	const int a = ASN1_TIME_cmp_time_t(from, (time_t)at_unix);
	const int b = ASN1_TIME_cmp_time_t(until, (time_t)at_unix);
	ERR_clear_error();
	return (a == 0 || a == -1) && (b == 0 || b == 1);
}

char *
vs_ev_crl_issuer(const struct vs_ev_crl *crl, char out[VS_EV_CERT_NAME_MAX])
{
	return vs_ev_name_text(X509_CRL_get_issuer(crl->x), out);
}

static bool
names_issuer(const struct vs_ev_crl *crl, const struct vs_ev_cert *issuer)
{
	return X509_NAME_cmp(X509_CRL_get_issuer(crl->x), X509_get_subject_name(issuer->x)) == 0;
}

vs_rc
vs_ev_crl_check(const struct vs_ev_crl *crl, const struct vs_ev_cert *issuer, int64_t at_unix,
	struct vs_err *err)
{
	char name[VS_EV_CERT_NAME_MAX];
	(void)vs_ev_cert_subject(issuer, name);
	if (!names_issuer(crl, issuer))
		VS_FAIL(err, REFUSED_EVIDENCE, "the list is not one of \"%s\"", name);
	if (!good_algorithm(crl->x))
		VS_FAIL(err, REFUSED_EVIDENCE,
			"the list of \"%s\" is signed with an algorithm that is not accepted",
			name);
	/* UINT32_MAX where the certificate does not limit its key. */
	if ((X509_get_key_usage(issuer->x) & KU_CRL_SIGN) == 0)
		VS_FAIL(err, REFUSED_EVIDENCE, "\"%s\" may not sign lists", name);
	const int ok = X509_CRL_verify(crl->x, issuer->key);
	ERR_clear_error();
	if (ok != 1)
		VS_FAIL(err, REFUSED_EVIDENCE, "the list that names \"%s\" is not signed by it",
			name);
	if (!is_whole(crl->x))
		VS_FAIL(err, REFUSED_EVIDENCE,
			"the list of \"%s\" is only about some of its certificates", name);
	if (!vs_ev_crl_is_current(crl, at_unix))
		VS_FAIL(err, REFUSED_EVIDENCE, "the list of \"%s\" is not of this time", name);
	return VS_OK;
}

/* ---- a path --------------------------------------------------------------------------------- */

static bool
is_listed(const struct vs_ev_crl *crl, const struct vs_ev_cert *cert)
{
	X509_REVOKED *entry = NULL;
	/* 2: "removed from the list", which only a delta may say. */
	return X509_CRL_get0_by_cert(crl->x, &entry, cert->x) != 0;
}

/*
 * Sets *ret_lists to how many lists spoke about this certificate. Of several lists of one issuer
 * (an old and a new one) one must be good; a serial on any that the issuer signed is revoked.
 */
static vs_rc
check_one(const struct vs_ev_cert *cert, const struct vs_ev_cert *issuer,
	const struct vs_ev_crls *crls, int64_t at_unix, size_t *ret_lists, struct vs_err *err)
{
	char name[VS_EV_CERT_NAME_MAX];
	vs_rc bad = VS_OK;
	size_t good = 0;
	for (size_t i = 0; i < crls->n; i++) {
		const struct vs_ev_crl *crl = crls->v[i];
		if (!names_issuer(crl, issuer))
			continue;
		const bool signed_by = X509_CRL_verify(crl->x, issuer->key) == 1;
		ERR_clear_error();
		if (signed_by && is_listed(crl, cert))
			VS_FAIL(err, REFUSED_EVIDENCE, "\"%s\" is revoked",
				vs_ev_cert_subject(cert, name));
		const vs_rc rc = vs_ev_crl_check(crl, issuer, at_unix, good == 0 ? err : NULL);
		good += !vs_failed(rc);
		if (vs_failed(rc))
			bad = rc;
	}
	*ret_lists = good;
	return good == 0 ? bad : VS_OK;
}

/* *ret_missing: an issuer whose list would be needed and is not there, or NULL. */
static vs_rc
check_path(const struct vs_ev_path *path, size_t from, const struct vs_ev_crls *crls,
	int64_t at_unix, size_t *ret_asked, const struct vs_ev_cert **ret_missing,
	struct vs_err *err)
{
	static const struct vs_ev_crls none = {.n = 0};
	*ret_asked = 0;
	*ret_missing = NULL;
	for (size_t i = 0; i + 1 < path->n; i++) {
		size_t lists = 0;
		VS_TRY(check_one(path->v[i], path->v[i + 1], crls != NULL ? crls : &none, at_unix,
			&lists, err));
		*ret_asked += lists != 0;
		if (lists == 0 && i >= from && *ret_missing == NULL)
			*ret_missing = path->v[i + 1];
	}
	return VS_OK;
}

void
vs_revocation_check(const struct vs_ev_path *path, size_t from, const struct vs_revocation *x,
	int64_t at_unix, const char *name, struct vs_verdict *v)
{
	static const char expected[] = "on no list of its issuer";
	const struct vs_ev_cert *missing = NULL;
	char subject[VS_EV_CERT_NAME_MAX];
	struct vs_err why = {0};
	size_t asked = 0;
	const vs_rc rc = check_path(path, from, x->crls, at_unix, &asked, &missing, &why);
	if (vs_failed(rc))
		vs_check_rc(v, "T-A6", name, rc, expected, &why);
	else if (missing == NULL)
		vs_check_add(
			v, "T-A6", name, true, expected, "%zu certificates asked about", asked);
	else
		vs_check_add(v, "T-A6", name, !x->required, expected,
			"not evaluated: no list of \"%s\" is at hand",
			vs_ev_cert_subject(missing, subject));
}

vs_rc
vs_revocation_require(const struct vs_ev_path *path, size_t from, const struct vs_revocation *x,
	int64_t at_unix, struct vs_err *err)
{
	const struct vs_ev_cert *missing = NULL;
	char subject[VS_EV_CERT_NAME_MAX];
	size_t asked = 0;
	VS_TRY(check_path(path, from, x->crls, at_unix, &asked, &missing, err));
	if (missing != NULL && x->required)
		VS_FAIL(err, REFUSED_EVIDENCE, "no list of \"%s\" is at hand",
			vs_ev_cert_subject(missing, subject));
	return VS_OK;
}
