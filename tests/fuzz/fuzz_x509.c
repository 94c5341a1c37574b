/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as a certificate and as a bundle: read whole, or not at all. */
#include <string.h>

#include "fuzz/fuzz.h"
#include "jose/x509.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vs_cert *cert = NULL;
	struct vs_certs *list = NULL;
	char subject[80];
	if (!vs_failed(vs_cert_from_der(vs_bytes_of(data, size), &cert, NULL))) {
		FUZZ_MUST(vs_bytes_eq(vs_cert_der(cert), vs_bytes_of(data, size)));
		FUZZ_MUST(vs_cert_key(cert) != NULL);
		FUZZ_MUST(strlen(vs_cert_subject(cert, subject, sizeof subject)) < sizeof subject);
		(void)vs_cert_names_host(cert, "vault.azure.net");
		FUZZ_MUST(!vs_failed(vs_certs_new(&list, NULL)));
		FUZZ_MUST(!vs_failed(vs_certs_add(list, cert, NULL)));
		const struct vs_chain_req req = {.anchors = list,
			.at_unix = 1668649308,
			.purpose = VS_PURPOSE_TLS_SERVER,
			.host = "vault.azure.net"};
		(void)vs_failed(vs_cert_chain(cert, &req, NULL));
		vs_certs_freep(&list);
		vs_cert_unref(cert);
	}
	if (!vs_failed(vs_certs_from_pem(vs_bytes_of(data, size), &list, NULL)))
		FUZZ_MUST(vs_certs_count(list) >= 1);
	vs_certs_free(list);
	return 0;
}
