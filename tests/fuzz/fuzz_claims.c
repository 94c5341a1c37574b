/* SPDX-License-Identifier: BSD-2-Clause */
/* The checks behind the signature, on any claims: whatever they say, the answer is a verdict. */
#include <string.h>

#include "attest/validate_run.h"
#include "fuzz/fuzz.h"

static const char policy_text[] =
	"{\"version\":\"vouchsafe-1\",\"anyOf\":[{\"authority\":\"https://"
	"sharedwus.wus.attest.azure.net\","
	"\"anyOf\":[{\"claim\":\"secureboot\",\"equals\":\"true\"},"
	"{\"claim\":\"x-ms-isolation-tee.x-ms-sevsnpvm-guestsvn\",\"atLeast\":2},"
	"{\"claim\":\"x-ms-isolation-tee.x-ms-attestation-type\",\"in\":[\"sevsnpvm\",5,true]},"
	"{\"claim\":\"a.b.c\",\"exists\":true}]}]}";

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct vs_policy *policy;
	static const struct vs_rsa_num key = {.n_len = 256, .e_len = 3};
	if (policy == NULL)
		FUZZ_MUST(!vs_failed(vs_policy_parse(vs_bytes_str(policy_text), &policy, NULL)));
	const struct vs_validate_in in = {
		.issuer = "https://sharedwus.wus.attest.azure.net",
		.policy = policy,
		.nonce = vs_bytes_str("1234"),
		.nonce_text = vs_bytes_str("1234"),
		.at_unix = 1662584747,
		.skew_s = 60,
		.key = &key,
	};
	struct vs_run run = {.in = &in, .issuer = "https://sharedwus.wus.attest.azure.net"};
	if (vs_failed(vs_json_load_object(
		    vs_bytes_of(data, size), VS_JWS_TEXT_MAX, "claims", &run.claims, NULL)))
		return 0;
	for (size_t i = 0; i < vs_check_rows_n; i++) {
		const struct vs_check_row *row = &vs_check_rows[i];
		struct vs_check check = {.rule = row->rule, .name = row->name};
		if (row->stop)
			continue;
		const vs_rc rc = row->fn(&run, row, &check, NULL);
		FUZZ_MUST(rc.code != VS_E_INTERNAL);
		FUZZ_MUST(memchr(check.expected, '\0', sizeof check.expected) != NULL);
		FUZZ_MUST(memchr(check.seen, '\0', sizeof check.seen) != NULL);
	}
	vs_policy_report_done(&run.report);
	vs_json_free(run.claims);
	return 0;
}
