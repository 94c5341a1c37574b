/* SPDX-License-Identifier: BSD-2-Clause */
/* The whole table on any text: never accepted, because nobody can sign for this key. */
#include "attest/validate.h"
#include "fuzz/fuzz.h"

static const char jwks_text[] =
	"{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"XxRc2vLh1E5FrsNawnRH3PzuFgqg3q7NvCdnjoJHBGE=\","
	"\"e\":"
	"\"AQAB\",\"n\":\""
	"mPE10l9VcgMwGFDFo4_VR5I6c2mU47-RGmHb4i5EFYuul7qU0O2oL49tBVhO-Ko4kidmWB4nocCKamPs"
	"JO3mpGtMskJKI9WWIhe-rdvElsuOgZc-C-zXsDiY0ZD569rMDLHinGWM2hSV5gr1k70Ezw_WMPHynQ2p"
	"lT9I8aCfdrWhcLM4OSYwWfKMEF0fsXwjkMGSz9OslK8PId22bK1KJo0Rbs4XOPfZPZwXJBHiC49rDVSb"
	"bwNnWhYAo1oJmVDYNvZ1zIHnTvXo4l2UDtkEdZUxmF1dncn4GBjoEYkvkCvSPwgkEosvMwxcf9Cmo6RQ"
	"ZRMnDiaeDTfyp03kUua0OQ"
	"\"}]}";
static const char policy_text[] = "{\"version\":\"1.0.0\",\"anyOf\":[{\"authority\":\"https://"
				  "sharedwus.wus.attest.azure.net\","
				  "\"anyOf\":[{\"claim\":\"secureboot\",\"equals\":true}]}]}";

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct vs_jwks *jwks;
	static struct vs_policy *policy;
	struct vs_verdict verdict;
	struct vs_token_facts facts = {0};
	char kid[128];
	if (jwks == NULL) {
		FUZZ_MUST(!vs_failed(vs_jwks_parse(vs_bytes_str(jwks_text), &jwks, NULL)));
		struct evp_pkey_st *keys[VS_JWKS_SAME_KID_MAX];
		size_t n = 0;
		FUZZ_MUST(!vs_failed(vs_jwks_select(jwks,
			vs_bytes_str("XxRc2vLh1E5FrsNawnRH3PzuFgqg3q7NvCdnjoJHBGE="), 1662584747,
			keys, &n, NULL)));
		FUZZ_MUST(!vs_failed(vs_policy_parse(vs_bytes_str(policy_text), &policy, NULL)));
	}
	const struct vs_validate_in in = {
		.token = vs_bytes_of(data, size),
		.jwks = jwks,
		.issuer = "https://sharedwus.wus.attest.azure.net",
		.policy = policy,
		.nonce = vs_bytes_str("1234"),
		.nonce_text = vs_bytes_str("1234"),
		.at_unix = 1662584747,
		.skew_s = 60,
	};
	const vs_rc rc = vs_validate(&in, &facts, &verdict, NULL, NULL);
	FUZZ_MUST(vs_failed(rc) && !verdict.passed && facts.claims.p == NULL);
	(void)!vs_failed(vs_token_peek_kid(in.token, kid, sizeof kid, NULL));
	return 0;
}
