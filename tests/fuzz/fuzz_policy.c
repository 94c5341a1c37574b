/* SPDX-License-Identifier: BSD-2-Clause */
/* Any policy: its canonical form is a policy of the same meaning, and differs in nothing. */
#include <string.h>

#include "conf/policy.h"
#include "fuzz/fuzz.h"
#include "jose/json.h"

static const char claims_text[] =
	"{\"iss\":\"https://"
	"a.example\",\"secureboot\":true,\"n\":5,\"s\":\"x\",\"z\":null,\"l\":[1],"
	"\"x-ms-isolation-tee\":{\"x-ms-attestation-type\":\"sevsnpvm\",\"x-ms-sevsnpvm-vmpl\":0}}";

static void
check_report(const struct vs_policy_report *r)
{
	for (size_t i = 0; i < r->n; i++) {
		const struct vs_policy_result *c = &r->results[i];
		FUZZ_MUST(memchr(c->expected, '\0', sizeof c->expected) != NULL);
		FUZZ_MUST(memchr(c->seen, '\0', sizeof c->seen) != NULL);
		FUZZ_MUST((c->claim == NULL) != (c->group == NULL));
	}
	FUZZ_MUST(!r->allowed || r->authority_known);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct vs_json *claims;
	struct vs_policy *one = NULL, *two = NULL;
	struct vs_policy_report a = {0}, b = {0};
	struct vs_buf diff = {.max = 4 << 20};
	const char *iss = "https://a.example";
	if (claims == NULL)
		FUZZ_MUST(!vs_failed(
			vs_json_load(vs_bytes_str(claims_text), 4096, "claims", &claims, NULL)));
	if (vs_failed(vs_policy_parse(vs_bytes_of(data, size), &one, NULL)))
		return 0;
	if (vs_policy_canonical(one).n <= VS_POLICY_TEXT_MAX) {
		FUZZ_MUST(!vs_failed(vs_policy_parse(vs_policy_canonical(one), &two, NULL)));
		FUZZ_MUST(strcmp(vs_policy_sha256(one), vs_policy_sha256(two)) == 0);
		FUZZ_MUST(!vs_failed(vs_policy_diff(one, two, &diff, NULL)) && diff.n == 0);
		FUZZ_MUST(!vs_failed(vs_policy_eval(two, claims, iss, &b, NULL)));
		FUZZ_MUST(vs_policy_demands_tee(one) == vs_policy_demands_tee(two));
	}
	FUZZ_MUST(!vs_failed(vs_policy_eval(one, claims, iss, &a, NULL)));
	FUZZ_MUST(two == NULL || a.allowed == b.allowed);
	check_report(&a);
	vs_policy_report_done(&a);
	vs_policy_report_done(&b);
	vs_buf_done(&diff);
	vs_policy_unref(one);
	vs_policy_unref(two);
	return 0;
}
