/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes as a certificate of hardware or of an attestation key: its extensions, its names, its
 * chain. Nobody signed it for our roots unless it is one of the seeds.
 */
#include <string.h>

#include "evidence/check.h"
#include "evidence/dcap.h"
#include "evidence/roots.h"
#include "evidence/verify.h"
#include "fuzz/fuzz.h"

static struct vs_roots roots;

static void
look_at(const struct vs_ev_cert *cert, struct vs_bytes der)
{
	static const char *const oids[] = {"1.3.6.1.4.1.3704.1.3.1", "1.3.6.1.4.1.3704.1.3.8",
		"1.3.6.1.4.1.3704.1.4", "1.2.840.113741.1.13.1"};
	VS_CLEANUP(vs_buf_done) struct vs_buf out = {.max = VS_EV_CERT_DER_MAX};
	VS_CLEANUP(vs_ev_cert_freep) struct vs_ev_cert *again = NULL;
	char name[VS_EV_CERT_NAME_MAX];
	struct vs_dcap_pck pck;
	uint8_t n = 0;
	for (size_t i = 0; i < sizeof oids / sizeof oids[0]; i++) {
		const struct vs_bytes ext = vs_ev_cert_ext(cert, oids[i]);
		FUZZ_MUST(ext.n <= der.n);
		if (vs_ev_cert_ext_u8(cert, oids[i], &n))
			FUZZ_MUST(ext.n == 3 || ext.n == 4);
	}
	FUZZ_MUST(strlen(vs_ev_cert_subject(cert, name)) < sizeof name);
	FUZZ_MUST(strlen(vs_ev_cert_issuer(cert, name)) < sizeof name);
	/* Not the same bytes: outside of what is signed other spellings are read, too. */
	FUZZ_MUST(!vs_failed(vs_ev_cert_to_der(cert, &out, NULL)) &&
		!vs_failed(vs_ev_cert_der(vs_buf_view(&out), &again, NULL)) &&
		vs_ev_cert_same(cert, again));
	vs_buf_reset(&out);
	if (!vs_failed(vs_ev_cert_rsa_n(cert, &out, NULL)))
		FUZZ_MUST(out.n != 0);
	(void)vs_ev_cert_signed_pss384(cert);
	(void)vs_ev_cert_has_eku(cert, "2.23.133.8.3");
	(void)vs_dcap_pck_read(cert, &pck);
	FUZZ_MUST(vs_ev_cert_key(cert) != NULL && vs_ev_cert_same(cert, cert));
	(void)vs_failed(
		vs_ev_cert_chain(cert, &roots.amd_helpers, &roots.amd, 1786752000, NULL, NULL));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t modulus[256] = {0x80};
	const struct vs_bytes in = vs_bytes_of(data, size);
	VS_CLEANUP(vs_ev_certs_done) struct vs_ev_certs list = {.n = 0};
	VS_CLEANUP(vs_ev_cert_freep) struct vs_ev_cert *cert = NULL;
	struct vs_verdict v = {.n_checks = 0};
	if (roots.amd.n == 0)
		FUZZ_MUST(!vs_failed(vs_roots_production(&roots, NULL)));
	if (!vs_failed(vs_ev_cert_der(in, &cert, NULL)))
		look_at(cert, in);
	if (!vs_failed(vs_ev_certs_pem(in, &list, NULL)))
		FUZZ_MUST(list.n <= VS_EV_CERTS_MAX);
	/* No certificate is for this modulus. */
	FUZZ_MUST(!vs_failed(vs_akcert_check(in, vs_bytes_of(modulus, sizeof modulus), &roots, NULL,
		1786752000, true, &v, NULL)));
	vs_check_finish(&v);
	FUZZ_MUST(!v.passed);
	return 0;
}
