/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes as the files of an audit bundle that its reader takes apart before the signature is
 * known to be good: the manifest, the TPM's statement, the public key. What is accepted as a
 * manifest or as a key is exactly what would be written for what was read from it.
 */
#include <string.h>

#include "core/bundle_impl.h"
#include "fuzz/fuzz.h"

static void
as_manifest(struct vs_bytes in)
{
	static struct vs_bundle_file files[VS_BUNDLE_FILES_MAX];
	struct vs_bundle_manifest m = {.files = files};
	struct vs_buf out = {.max = VS_BUNDLE_MANIFEST_MAX};
	const vs_rc rc = vs_bundle_manifest_get(in, &m, NULL);

	if (vs_failed(rc)) {
		FUZZ_MUST(rc.code == VS_E_FORMAT);
		return;
	}
	FUZZ_MUST(m.n > 0 && m.n <= VS_BUNDLE_FILES_MAX);
	FUZZ_MUST(!vs_failed(vs_bundle_manifest_put(&m, &out, NULL)));
	FUZZ_MUST(vs_bytes_eq(vs_buf_view(&out), in));
	/* Names lead nowhere but into the folder. */
	for (size_t i = 0; i < m.n; i++)
		FUZZ_MUST(strlen(files[i].name) == 8 && strchr(files[i].name, '/') == NULL);
	vs_buf_done(&out);
}

static void
as_statement(struct vs_bytes in)
{
	struct vs_bundle_statement s = {0};

	if (vs_failed(vs_bundle_statement_get(in, &s, NULL)))
		return;
	FUZZ_MUST(s.extra.n == 0 || (s.extra.p >= in.p && s.extra.p + s.extra.n <= in.p + in.n));
	FUZZ_MUST(s.name.n == 0 || (s.name.p >= in.p && s.name.p + s.name.n <= in.p + in.n));
}

static void
as_key(struct vs_bytes in)
{
	struct vs_buf n = {.max = VS_BUNDLE_SMALL_MAX}, der = {.max = VS_BUNDLE_SMALL_MAX};
	struct vs_buf again = {.max = VS_BUNDLE_SMALL_MAX}, pem = {.max = VS_BUNDLE_SMALL_MAX};

	if (!vs_failed(vs_bundle_key_get(in, &n, &der, NULL))) {
		FUZZ_MUST(n.n >= 256 && n.n <= 512 && (n.p[0] & 0x80) != 0);
		FUZZ_MUST(!vs_failed(vs_bundle_key_put(vs_buf_view(&n), &again, &pem, NULL)));
		FUZZ_MUST(vs_bytes_eq(vs_buf_view(&again), vs_buf_view(&der)));
		FUZZ_MUST(!vs_failed(vs_bundle_key_get(vs_buf_view(&pem), &n, &der, NULL)));
	}
	vs_buf_done(&n);
	vs_buf_done(&der);
	vs_buf_done(&again);
	vs_buf_done(&pem);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct vs_bytes in = vs_bytes_of(data, size);

	as_manifest(in);
	as_statement(in);
	as_key(in);
	return 0;
}
