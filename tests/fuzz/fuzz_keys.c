/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as keys: what is taken comes out in one form that is taken again and is the same key.
 */
#include "crypto/ecdsa.h"
#include "crypto/ossl.h"
#include "crypto/pkey.h"
#include "fuzz/fuzz.h"

static struct vs_ossl *o;
static struct vs_arena *arena;

static void
private_key(struct vs_bytes in)
{
	struct vs_pkey *one = NULL, *two = NULL;
	struct vs_secret der = {0};

	if (vs_failed(vs_pkey_from_pkcs8(o, in, &one, NULL)))
		return;
	const struct vs_key_public pub = vs_pkey_public(one);
	FUZZ_MUST(!vs_failed(vs_pkey_export(one, arena, &der, NULL)));
	FUZZ_MUST(!vs_failed(vs_pkey_from_pkcs8(o, vs_secret_view(&der), &two, NULL)));
	FUZZ_MUST(vs_pkey_matches_public(two, &pub));
	vs_secret_done(&der);
	vs_pkey_unref(one);
	vs_pkey_unref(two);
}

static void
public_key(struct vs_bytes in)
{
	struct vs_pkey *k = NULL;
	struct vs_buf out = {.max = VS_PKCS8_MAX};

	if (vs_failed(vs_pkey_from_spki(o, in, &k, NULL)))
		return;
	FUZZ_MUST(!vs_failed(vs_pkey_spki(k, &out, NULL)));
	FUZZ_MUST(vs_bytes_eq(vs_buf_view(&out), in));
	vs_buf_done(&out);
	vs_pkey_unref(k);
}

static void
small_forms(struct vs_bytes in)
{
	uint8_t rs[2 * 66], der[VS_ECDSA_DER_MAX], again[2 * 66];
	struct vs_bytes x, y;

	(void)vs_curve_from_params(in);
	for (enum vs_curve c = VS_CURVE_NONE; c < VS_CURVE_COUNT_; c++) {
		if (!vs_failed(vs_curve_split_point(c, in, &x, &y, NULL)))
			FUZZ_MUST(x.n == vs_curve_bytes(c) && y.n == x.n);
		const size_t n = vs_curve_bytes(c);
		if (n == 0 || !vs_ecdsa_from_der(in, rs, n))
			continue;
		const size_t m = vs_ecdsa_to_der(rs, n, der);
		FUZZ_MUST(m <= sizeof der && vs_ecdsa_from_der(vs_bytes_of(der, m), again, n));
		FUZZ_MUST(vs_bytes_eq(vs_bytes_of(rs, 2 * n), vs_bytes_of(again, 2 * n)));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct vs_bytes in = vs_bytes_of(data, size);

	if (o == NULL) {
		FUZZ_MUST(!vs_failed(vs_ossl_new(&o, NULL)));
		FUZZ_MUST(!vs_failed(vs_arena_new(64 << 10, 1 << 20, VS_LOCK_WARN, &arena, NULL)));
	}
	private_key(in);
	public_key(in);
	small_forms(in);
	return 0;
}
