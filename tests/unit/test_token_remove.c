/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the catalogue is worth: for each row of the table of checks, one row is replaced by what a
 * careless verifier does in its place, and some bad token must then get through. A row that nobody
 * would miss is either not tested or not needed.
 */
#include <jansson.h>

#include "attest/validate_run.h"
#include "unit/token_cases.h"

static size_t removed = SIZE_MAX;

/* ---- careless replacements ---------------------------------------------------------------- */

static vs_rc
let_pass(struct vs_run *run, const struct vs_check_row *row, struct vs_check *check,
	struct vs_err *err)
{
	(void)run;
	(void)row;
	(void)check;
	(void)err;
	return VS_OK;
}

static vs_rc
any_text(struct vs_run *run, const struct vs_check_row *row, struct vs_check *check,
	struct vs_err *err)
{
	struct vs_bytes t = run->in->token;
	(void)row;
	(void)check;
	(void)err;
	while (t.n > 0 && t.p[0] <= ' ')
		t = vs_bytes_of(t.p + 1, t.n - 1);
	t.n = strnlen((const char *)t.p, t.n);
	while (t.n > 0 && t.p[t.n - 1] <= ' ')
		t.n--;
	run->text = t;
	return VS_OK;
}

static vs_rc
first_three_segments(struct vs_run *run, const struct vs_check_row *row, struct vs_check *check,
	struct vs_err *err)
{
	const uint8_t *at = run->text.p, *end = run->text.p + run->text.n;
	struct vs_bytes seg[3] = {{0}};
	(void)row;
	(void)check;
	(void)err;
	for (size_t i = 0; i < 3; i++) {
		const uint8_t *from = at;
		while (at < end && *at != '.')
			at++;
		seg[i] = vs_bytes_of(from, (size_t)(at - from));
		at += at < end;
	}
	run->parts = (struct vs_jws_parts){.header = seg[0],
		.payload = seg[1],
		.signature = seg[2],
		.signed_text = vs_bytes_of(run->text.p, seg[0].n + 1 + seg[1].n)};
	return VS_OK;
}

/* Both alphabets, everything else skipped, left-over bits dropped. */
static void
decode_anything(struct vs_bytes in, struct vs_buf *out)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	struct vs_err err = {0};
	uint32_t bits = 0;
	unsigned n = 0;
	for (size_t i = 0; i < in.n; i++) {
		const char c = (char)(in.p[i] == '-' ? '+' : in.p[i] == '_' ? '/' : in.p[i]);
		const char *d = c != '\0' ? strchr(digits, c) : NULL;
		if (d == NULL)
			continue;
		bits = bits << 6 | (uint32_t)(d - digits);
		n += 6;
		if (n >= 8) {
			n -= 8;
			assert_ok(vs_buf_add_u8(out, (uint8_t)(bits >> n), &err), &err);
		}
	}
}

static vs_rc
any_base64(struct vs_run *run, const struct vs_check_row *row, struct vs_check *check,
	struct vs_err *err)
{
	(void)row;
	(void)check;
	(void)err;
	decode_anything(run->parts.header, &run->header_bytes);
	decode_anything(run->parts.payload, &run->payload);
	decode_anything(run->parts.signature, &run->signature);
	return VS_OK;
}

static struct vs_json *
read_loosely(const struct vs_buf *b)
{
	json_error_t e;
	json_t *v =
		json_loadb((const char *)b->p, b->n, JSON_DISABLE_EOF_CHECK | JSON_ALLOW_NUL, &e);
	return (struct vs_json *)(v != NULL ? v : json_object());
}

static vs_rc
any_header_json(struct vs_run *run, const struct vs_check_row *row, struct vs_check *check,
	struct vs_err *err)
{
	(void)row;
	(void)check;
	(void)err;
	run->header = read_loosely(&run->header_bytes);
	return VS_OK;
}

static vs_rc
any_claims_json(struct vs_run *run, const struct vs_check_row *row, struct vs_check *check,
	struct vs_err *err)
{
	(void)row;
	(void)check;
	(void)err;
	run->claims = read_loosely(&run->payload);
	return VS_OK;
}

static vs_rc
default_kid(struct vs_run *run, const struct vs_check_row *row, struct vs_check *check,
	struct vs_err *err)
{
	(void)row;
	(void)check;
	(void)err;
	run->kid = vs_bytes_str(KID);
	return VS_OK;
}

static vs_rc
any_key(struct vs_run *run, const struct vs_check_row *row, struct vs_check *check,
	struct vs_err *err)
{
	static const enum forge_key rsa[] = {FORGE_GOOD, FORGE_WEAK, FORGE_E3, FORGE_FOREIGN};
	(void)row;
	(void)check;
	(void)err;
	for (run->n_keys = 0; run->n_keys < 4; run->n_keys++)
		run->keys[run->n_keys] = forge_pkey(rsa[run->n_keys]);
	return VS_OK;
}

static const struct {
	vs_check_fn *strict, *careless;
} instead[] = {
	{vs_check_text, any_text},
	{vs_check_segments, first_three_segments},
	{vs_check_base64, any_base64},
	{vs_check_header_json, any_header_json},
	{vs_check_kid, default_kid},
	{vs_check_key, any_key},
	{vs_check_claims_json, any_claims_json},
};

vs_check_fn *
vs_test_instead(size_t row)
{
	if (row != removed)
		return NULL;
	for (size_t i = 0; i < sizeof instead / sizeof instead[0]; i++)
		if (instead[i].strict == vs_check_rows[row].fn)
			return instead[i].careless;
	return let_pass;
}

/* ---- the proof ---------------------------------------------------------------------------- */

/* Bad tokens of this row's rule that get through; the verdict must say so consistently. */
static size_t
wrongly_accepted(size_t row, const char **ret_name)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf hex = {.max = 1 << 16};
	size_t n = 0;
	removed = row;
	for (size_t i = 0; i < token_cases_n; i++) {
		const struct token_case *c = &token_cases[i];
		struct vs_err err = {0};
		struct vs_verdict verdict = {0};
		VS_CLEANUP(vs_token_facts_done) struct vs_token_facts facts = {0};
		struct vs_validate_in in = {0};
		if (c->expect[0] == '\0')
			continue;
		if (row != SIZE_MAX && strcmp(c->expect, vs_check_rows[row].rule) != 0)
			continue;
		token_case_inputs(c, &in, &hex);
		if (vs_failed(vs_validate(&in, &facts, &verdict, NULL, &err)))
			continue;
		*ret_name = c->name;
		n++;
	}
	removed = SIZE_MAX;
	return n;
}

static void
with_all_rows_nothing_bad_is_accepted(void **state)
{
	const char *name = "";
	(void)state;
	assert_int_equal(wrongly_accepted(SIZE_MAX, &name), 0);
}

static void
every_row_is_missed_when_it_is_taken_out(void **state)
{
	size_t useless = 0;
	(void)state;
	for (size_t row = 0; row < vs_check_rows_n; row++) {
		const char *name = "";
		const size_t n = wrongly_accepted(row, &name);
		print_message("without %s (%s): %zu bad tokens accepted, for example %s\n",
			vs_check_rows[row].rule, vs_check_rows[row].name, n, name);
		useless += n == 0;
	}
	assert_int_equal(useless, 0);
}

static int
setup(void **state)
{
	(void)state;
	token_cases_init();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	token_cases_done();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(with_all_rows_nothing_bad_is_accepted),
		cmocka_unit_test(every_row_is_missed_when_it_is_taken_out),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
