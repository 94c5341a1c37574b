/* SPDX-License-Identifier: BSD-2-Clause */
#include "evidence/verify.h"

#include "evidence/check.h"

#define EKU_AIK "2.23.133.8.3"

/* Is some certificate that could have issued this one at hand? */
static bool
issuer_known(const struct vs_ev_cert *cert, const struct vs_ev_certs *helpers,
	const struct vs_ev_certs *roots)
{
	char issuer[VS_EV_CERT_NAME_MAX], name[VS_EV_CERT_NAME_MAX];
	const struct vs_bytes wanted = vs_bytes_str(vs_ev_cert_issuer(cert, issuer));
	const struct vs_ev_certs *lists[] = {helpers, roots};
	for (size_t k = 0; k < 2; k++) {
		for (size_t i = 0; i < lists[k]->n; i++) {
			if (vs_bytes_eq_str(wanted, vs_ev_cert_subject(lists[k]->v[i], name)))
				return true;
		}
	}
	return false;
}

vs_rc
vs_akcert_check(struct vs_bytes der, struct vs_bytes n, const struct vs_roots *roots,
	const struct vs_ev_certs *more, int64_t at_unix, bool chain_needed, struct vs_verdict *v,
	struct vs_err *err)
{
	struct vs_ev_certs helpers = roots->vtpm_helpers; /* borrowed */
	VS_CLEANUP(vs_ev_cert_freep) struct vs_ev_cert *cert = NULL;
	VS_CLEANUP(vs_buf_done) struct vs_buf key = {.max = 1024};
	struct vs_err why = {0};
	char a[64], b[64], name[VS_EV_CERT_NAME_MAX];
	vs_rc rc = vs_ev_cert_der(der, &cert, &why);
	if (rc.code == VS_E_MEMORY)
		return vs_err_while(rc, err, "reading the AK certificate");
	if (!vs_check_rc(v, "T-A3", "AK certificate", rc, "an X.509 certificate", &why))
		return VS_OK;
	rc = vs_ev_cert_rsa_n(cert, &key, &why);
	vs_check_add(v, "T-A3", "AK certificate's key",
		!vs_failed(rc) && vs_bytes_eq(vs_buf_view(&key), n), vs_check_hex(n, a), "%s",
		vs_check_hex(vs_buf_view(&key), b));
	vs_check_add(v, "T-A3", "AK certificate's use", vs_ev_cert_has_eku(cert, EKU_AIK),
		"for attestation keys (2.23.133.8.3)", "%s", vs_ev_cert_subject(cert, name));
	for (size_t i = 0; more != NULL && i < more->n && helpers.n < VS_EV_CERTS_MAX; i++)
		helpers.v[helpers.n++] = more->v[i];
	rc = vs_ev_cert_chain(cert, &helpers, &roots->vtpm, at_unix, NULL, &why);
	if (vs_failed(rc) && !chain_needed && !issuer_known(cert, &helpers, &roots->vtpm)) {
		/* The hardware report vouches for the key; this certificate would only say so
		 * again. */
		vs_check_add(v, "T-A3", "AK certificate chain", true, "pinned vTPM root",
			"not evaluated: issuer \"%s\" is not at hand",
			vs_ev_cert_issuer(cert, name));
		return VS_OK;
	}
	vs_check_rc(v, "T-A3", "AK certificate chain", rc, "chain to the pinned vTPM root", &why);
	return VS_OK;
}
