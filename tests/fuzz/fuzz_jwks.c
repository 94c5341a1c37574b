/* SPDX-License-Identifier: BSD-2-Clause */
/* Any key set: what is selected from it is a key that A8 allows. */
#include <openssl/evp.h>

#include "fuzz/fuzz.h"
#include "jose/jose.h"
#include "jose/json.h"

static void
select_all(const struct vs_jwks *set, const struct vs_json *keys)
{
	for (size_t i = 0; i < vs_json_count(keys); i++) {
		struct evp_pkey_st *found[VS_JWKS_SAME_KID_MAX] = {NULL};
		struct vs_bytes kid = {0};
		size_t n = 0;
		if (!vs_json_bytes(vs_json_get(vs_json_at(keys, i), "kid"), &kid))
			continue;
		if (vs_failed(vs_jwks_select(set, kid, 1668649308, found, &n, NULL)))
			continue;
		FUZZ_MUST(n >= 1 && n <= VS_JWKS_SAME_KID_MAX && vs_jwks_has_kid(set, kid));
		for (size_t k = 0; k < n; k++) {
			FUZZ_MUST(EVP_PKEY_get_base_id(found[k]) == EVP_PKEY_RSA);
			FUZZ_MUST(EVP_PKEY_get_bits(found[k]) >= 2048);
			FUZZ_MUST(EVP_PKEY_get_bits(found[k]) <= 8192);
		}
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct vs_bytes text = vs_bytes_of(data, size);
	struct vs_jwks *set = NULL;
	struct vs_json *root = NULL;
	if (vs_failed(vs_jwks_parse(text, &set, NULL)))
		return 0;
	FUZZ_MUST(vs_jwks_count(set) <= VS_JWKS_KEYS_MAX);
	FUZZ_MUST(!vs_failed(vs_json_load_object(text, VS_JWKS_TEXT_MAX, "set", &root, NULL)));
	select_all(set, vs_json_get(root, "keys"));
	vs_json_free(root);
	vs_jwks_unref(set);
	return 0;
}
