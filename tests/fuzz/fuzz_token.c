/* SPDX-License-Identifier: BSD-2-Clause */
/* The whole table on any text: never accepted, because nobody can sign for this key. */
#include "attest/validate.h"
#include "fuzz/fuzz.h"

static const char jwks_text[] =
	"{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"XxRc2vLh1E5FrsNawnRH3PzuFgqg3q7NvCdnjoJHBGE=\","
	"\"e\":\"AQAB\","
	"\"n\":"
	"\"xcWjIt9mDl4bqOmBzN7vCKXG7Wl6u4oXwK0oMrjLQWn6eKl3b3sP7YxGhf9e0sJHx4v0sK9mD1wqWl8aJ3bTn5Qz"
	"c1hRk2uVf7gYx6Zt0PqLs8iNwEoDrMvBaKcXyUhJgTfCeRdSwQaZmNbVlKjHgFdSaPoIuYtReWq1234567890abcde"
	"fghijklm"
	"nopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
	"AbCdEfGhIjKlMnOpQrStUvWxYz0987654321ZyXwVuTsRqPo"
	"NmLkJiHgFeDcBa9876543210aAbBcCdDeEfFgGhHiIjJkKlLmMnNoOpPqQrRsStTuUvVwW\"}]}";
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
