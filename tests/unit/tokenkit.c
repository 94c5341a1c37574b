/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit/tokenkit.h"

#include "base/file.h"

struct vs_buf
kit_file(const char *path)
{
	struct vs_err err = {0};
	struct vs_buf b = {.max = 4 << 20};
	assert_ok(vs_file_read(path, 4 << 20, VS_FILE_ANY, &b, &err), &err);
	return b;
}

struct vs_buf
kit_data(const char *name)
{
	char path[1024];
	snprintf(path, sizeof path, "%s/tests/data/%s", VS_TEST_SRCDIR, name);
	return kit_file(path);
}

const char *
kit_rules(const struct vs_validate_in *in, char *out, size_t out_size)
{
	struct vs_err err = {0};
	struct vs_verdict verdict = {0};
	VS_CLEANUP(vs_token_facts_done) struct vs_token_facts facts = {0};
	const vs_rc rc = vs_validate(in, &facts, &verdict, NULL, &err);
	size_t n = 0;
	out[0] = '\0';
	if (vs_failed(rc) && vs_code_cat(rc.code) != VS_CAT_POLICY) {
		snprintf(out, out_size, "[%s]", vs_code_name(rc.code));
		return out;
	}
	for (size_t i = 0; i < verdict.n_checks; i++) {
		if (verdict.checks[i].passed)
			continue;
		n += (size_t)snprintf(
			out + n, out_size - n, "%s%s", n > 0 ? " " : "", verdict.checks[i].rule);
		assert_true(n < out_size);
	}
	/* The code, the verdict and what was handed out agree. */
	assert_int_equal(verdict.passed, !vs_failed(rc));
	assert_int_equal(n == 0, !vs_failed(rc));
	assert_int_equal(facts.claims.n > 0, !vs_failed(rc));
	return out;
}
