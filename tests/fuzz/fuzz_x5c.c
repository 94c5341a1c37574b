/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any text as a signed release answer that brings its certificates. The chain is walked but its
 * verdict is not asked, so that what comes behind it is reached; then only the genuine answer has a
 * signature that verifies.
 */
#include <stdio.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "jose/jose.h"
#include "jose/x509.h"

#define GENUINE VS_TEST_SRCDIR "/tests/fuzz/seeds/x5c/genuine"

static char genuine[32768];
static size_t genuine_n; /* of what is signed */

vs_rc __real_vs_cert_chain(
	const struct vs_cert *leaf, const struct vs_chain_req *req, struct vs_err *err);
vs_rc __wrap_vs_cert_chain(
	const struct vs_cert *leaf, const struct vs_chain_req *req, struct vs_err *err);

vs_rc
__wrap_vs_cert_chain(const struct vs_cert *leaf, const struct vs_chain_req *req, struct vs_err *err)
{
	(void)err;
	/* Nobody signed for these anchors: they are none. */
	FUZZ_MUST(vs_failed(__real_vs_cert_chain(leaf, req, NULL)));
	return VS_OK;
}

static void
set_up(void)
{
	FILE *f = fopen(GENUINE, "rb");
	FUZZ_MUST(f != NULL);
	const size_t n = fread(genuine, 1, sizeof genuine - 1, f);
	fclose(f);
	const char *dot = strrchr(genuine, '.');
	FUZZ_MUST(n != 0 && dot != NULL);
	genuine_n = (size_t)(dot - genuine);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct vs_certs *anchors;
	VS_CLEANUP(vs_buf_done) struct vs_buf payload = {.max = VS_JWS_RELEASE_MAX};
	struct vs_bytes text = vs_bytes_of(data, size);
	if (anchors == NULL) {
		FUZZ_MUST(!vs_failed(vs_certs_new(&anchors, NULL)));
		set_up();
	}
	const vs_rc rc =
		vs_jws_open_x5c(text, anchors, "x.vault.azure.net", 1668649308, &payload, NULL);
	if (vs_failed(rc)) {
		FUZZ_MUST(payload.n == 0);
		FUZZ_MUST(rc.code == VS_E_REFUSED_ANSWER || rc.code == VS_E_LIMIT);
		return 0;
	}
	FUZZ_MUST(!vs_failed(vs_jws_trim(text, VS_JWS_RELEASE_MAX, &text, NULL)));
	FUZZ_MUST(text.n > genuine_n && memcmp(text.p, genuine, genuine_n) == 0);
	FUZZ_MUST(payload.n != 0);
	return 0;
}
