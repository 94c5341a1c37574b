/* SPDX-License-Identifier: BSD-2-Clause */
/* vouchsafe policy record: a draft from the claims of one machine, with what it does not ask for.
 */
#include <stdio.h>
#include <string.h>

#include "base/codec.h"
#include "conf/policy.h"
#include "jose/json.h"
#include "tools/cmd.h"
#include "tools/cmd_policy.h"

enum { PATH_MAX_BYTES = 512, DEPTH_MAX = 8 };

/* What a machine that may be recorded says. */
enum health { ANY = 0, MUST_BE_TRUE, MUST_BE_FALSE, MUST_BE_ZERO };

/* Claims that say what a machine is and stay the same over its updates; then those that do not. */
static const struct {
	const char *claim;
	enum health health;
	bool measurement;
} recorded[] = {
	{"x-ms-attestation-type", ANY, false},
	{"x-ms-compliance-status", ANY, false},
	{"secureboot", MUST_BE_TRUE, false},
	{"x-ms-azurevm-debuggersdisabled", MUST_BE_TRUE, false},
	{"x-ms-azurevm-testsigning-enabled", MUST_BE_FALSE, false},
	{"x-ms-isolation-tee.x-ms-attestation-type", ANY, false},
	{"x-ms-isolation-tee.x-ms-compliance-status", ANY, false},
	{"x-ms-isolation-tee.x-ms-sevsnpvm-is-debuggable", MUST_BE_FALSE, false},
	{"x-ms-isolation-tee.x-ms-sevsnpvm-vmpl", MUST_BE_ZERO, false},
	{"x-ms-isolation-tee.x-ms-sevsnpvm-migration-allowed", MUST_BE_FALSE, false},
	{"x-ms-isolation-tee.tdx_td_attributes_debug", MUST_BE_FALSE, false},
	{"x-ms-isolation-tee.tdx_td_attributes_migratable", MUST_BE_FALSE, false},
	{"x-ms-isolation-tee.tdx_td_attributes_perf_prof", MUST_BE_FALSE, false},
	{"x-ms-isolation-tee.tdx_td_attributes_pmt_prof", MUST_BE_FALSE, false},
	{"x-ms-isolation-tee.tdx_td_attributes_hgs_plus_prof", MUST_BE_FALSE, false},
	{"x-ms-sevsnpvm-is-debuggable", MUST_BE_FALSE, false},
	{"x-ms-sevsnpvm-vmpl", MUST_BE_ZERO, false},
	{"x-ms-sevsnpvm-hostdata", ANY, true},
	{"x-ms-sevsnpvm-migration-allowed", MUST_BE_FALSE, false},
	{"tdx_td_attributes_debug", MUST_BE_FALSE, false},
	{"tdx_td_attributes_migratable", MUST_BE_FALSE, false},
	{"tdx_td_attributes_perf_prof", MUST_BE_FALSE, false},
	{"tdx_td_attributes_pmt_prof", MUST_BE_FALSE, false},
	{"tdx_td_attributes_hgs_plus_prof", MUST_BE_FALSE, false},
	{"x-ms-sgx-is-debuggable", MUST_BE_FALSE, false},
	{"x-ms-sgx-mrsigner", ANY, false},
	{"x-ms-sgx-product-id", ANY, false},
	{"x-ms-sgx-mrenclave", ANY, true},
	{"x-ms-isolation-tee.x-ms-sevsnpvm-launchmeasurement", ANY, true},
	{"x-ms-isolation-tee.tdx_mrtd", ANY, true},
	{"x-ms-sevsnpvm-launchmeasurement", ANY, true},
	{"tdx_mrtd", ANY, true},
	{"x-ms-azurevm-attested-pcr-values.pcr0", ANY, true},
	{"x-ms-azurevm-attested-pcr-values.pcr4", ANY, true},
	{"x-ms-azurevm-attested-pcr-values.pcr7", ANY, true},
};

/* Why others are left out; the first row that fits. prefix: the claim begins so, at any level. */
static const struct {
	const char *name;
	bool prefix;
	const char *why;
} left_out[] = {
	{"x-ms-runtime", true, "the machine itself chooses what stands there"},
	{"x-ms-isolation-tee.x-ms-runtime", true, "it is about this one machine"},
	{"iss", false, "it is the policy's authority"},
	{"iat", false, "it changes with every token"},
	{"nbf", false, "it changes with every token"},
	{"exp", false, "it changes with every token"},
	{"jti", false, "it changes with every token"},
	{"nonce", false, "it changes with every token"},
	{"rp_data", false, "it changes with every token"},
	{"cnf", true, "it changes with every token"},
	{"x-ms-policy-hash", false, "it is about the provider's policy, not the machine"},
	{"x-ms-policy", true, "it repeats other claims in the words of the provider's policy"},
	{"x-ms-ver", false, "every token is asked for it anyway"},
	{"x-ms-azurevm-vmid", false, "it is of this one machine"},
	{"-reportid", false, "it changes with every start"},
	{"-reportdata", false, "it changes with every token"},
	{"-report-data", false, "it changes with every token"},
	{"tdx_report_data", false, "it changes with every token"},
	{"-ehd", false, "it changes with every token"},
	{"-svn", false, "it grows with updates; a local policy can ask for atLeast"},
	{"guestsvn", false, "it grows with updates; a local policy can ask for atLeast"},
	{"tdx_seamsvn", false, "it grows with updates; a local policy can ask for atLeast"},
	{"osversion-major", false, "it changes with updates of the system"},
	{"osversion-minor", false, "it changes with updates of the system"},
	{"osbuild", false, "it changes with updates of the system"},
	{"x-ms-sgx-collateral", true, "it changes with updates of the platform"},
	{"maa-attestationcollateral", true, "it changes with updates of the platform"},
};

static bool
ends_with(const char *s, const char *end)
{
	const size_t n = strlen(s), m = strlen(end);
	return n >= m && strcmp(s + n - m, end) == 0;
}

static const char *
why_left_out(const char *path, const struct vs_json *v)
{
	for (size_t i = 0; i < sizeof recorded / sizeof recorded[0]; i++) {
		if (recorded[i].measurement && strcmp(recorded[i].claim, path) == 0)
			return "it changes with every update; --measurements pins it";
	}
	for (size_t i = 0; i < sizeof left_out / sizeof left_out[0]; i++) {
		const char *name = left_out[i].name;
		const size_t n = strlen(name);
		if (left_out[i].prefix
				? strncmp(path, name, n) == 0 && (path[n] == '.' || path[n] == '\0')
				: ends_with(path, name))
			return left_out[i].why;
	}
	if (vs_json_kind(v) == VS_JSON_ARRAY)
		return "no policy can compare a list";
	return "nobody has said that it stays the same over updates";
}

static bool
can_be_compared(const struct vs_json *v)
{
	const enum vs_json_kind kind = vs_json_kind(v);
	return kind == VS_JSON_STRING || kind == VS_JSON_BOOL || kind == VS_JSON_INT;
}

static bool
is_recorded(const char *path, const struct vs_json *v, bool measurements)
{
	for (size_t i = 0; i < sizeof recorded / sizeof recorded[0]; i++) {
		if (strcmp(recorded[i].claim, path) == 0)
			return can_be_compared(v) && (measurements || !recorded[i].measurement);
	}
	return false;
}

/* Every claim that is not asked for, one line each. Recursion is bounded by depth. */
static void
say_left_out(const struct vs_json *o, const char *above, bool measurements, unsigned depth)
{
	for (const void *it = vs_json_first(o); it != NULL; it = vs_json_next(o, it)) {
		const struct vs_json *v = vs_json_it_value(it);
		char path[PATH_MAX_BYTES], shown[PATH_MAX_BYTES];
		const int n = snprintf(path, sizeof path, "%s%s%s", above,
			above[0] != '\0' ? "." : "", vs_json_it_name(it));
		if (n < 0 || n >= (int)sizeof path)
			continue;
		if (vs_json_kind(v) == VS_JSON_OBJECT && depth < DEPTH_MAX &&
			strcmp(path, "x-ms-runtime") != 0) {
			say_left_out(v, path, measurements, depth + 1);
			continue;
		}
		if (!is_recorded(path, v, measurements))
			fprintf(stderr, "left out: %s: %s\n",
				vs_quote(vs_bytes_str(path), shown, sizeof shown),
				why_left_out(path, v));
	}
}

/* What is written down is what will be asked for: a weakness must not become the norm unseen. */
static bool
is_healthy(const struct vs_json *v, enum health health)
{
	bool b = false;
	int64_t i = 0;
	switch (health) {
	case ANY: return true;
	case MUST_BE_TRUE: return vs_json_bool(v, &b) && b;
	case MUST_BE_FALSE: return vs_json_bool(v, &b) && !b;
	case MUST_BE_ZERO: return vs_json_int(v, &i) && i == 0;
	}
	return false;
}

static bool
check_health(const struct vs_json *claims)
{
	static const char *const words[] = {"", "true", "false", "0"};
	bool healthy = true;
	for (size_t i = 0; i < sizeof recorded / sizeof recorded[0]; i++) {
		const struct vs_json *v = vs_json_path(claims, recorded[i].claim);
		if (v == NULL || is_healthy(v, recorded[i].health))
			continue;
		fprintf(stderr,
			"vouchsafe policy: %s is not %s: a policy recorded from this machine would "
			"ask every machine for that\n",
			recorded[i].claim, words[recorded[i].health]);
		healthy = false;
	}
	return healthy;
}

static VS_RC
put_document(const struct vs_json *claims, const char *iss, const char *version, bool measurements,
	struct vs_buf *out, struct vs_err *err)
{
	size_t n = 0;
	VS_TRY(vs_buf_addf(out, err,
		"{\n  \"version\": \"%s\",\n  \"anyOf\": [\n    {\n      \"authority\": ",
		version));
	VS_TRY(vs_json_put_string(out, vs_bytes_str(iss), err));
	VS_TRY(vs_buf_add_str(out, ",\n      \"allOf\": [", err));
	for (size_t i = 0; i < sizeof recorded / sizeof recorded[0]; i++) {
		const struct vs_json *v = vs_json_path(claims, recorded[i].claim);
		if (!can_be_compared(v) || (recorded[i].measurement && !measurements))
			continue;
		VS_TRY(vs_buf_addf(out, err, "%s\n        { \"claim\": \"%s\", \"equals\": ",
			n++ > 0 ? "," : "", recorded[i].claim));
		VS_TRY(vs_json_dump(v, out, err));
		VS_TRY(vs_buf_add_str(out, " }", err));
	}
	if (n == 0)
		VS_FAIL(err, FORMAT, "the claims say nothing that a policy could ask for");
	return vs_buf_add_str(out, "\n      ]\n    }\n  ]\n}\n", err);
}

/* What is handed out must be a document that these claims meet, once somebody has read it. */
static VS_RC
check_document(const struct vs_json *claims, const char *iss, bool measurements, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {0};
	VS_CLEANUP(vs_policy_unrefp) struct vs_policy *policy = NULL;
	VS_CLEANUP(vs_policy_report_done) struct vs_policy_report report = {0};
	VS_TRY(put_document(claims, iss, "1.0.0", measurements, &text, err));
	VS_TRY(vs_policy_parse(vs_buf_view(&text), &policy, err));
	VS_TRY(vs_policy_eval(policy, claims, iss, &report, err));
	if (!report.allowed)
		VS_FAIL(err, FORMAT, "the claims cannot be written as a policy");
	return VS_OK;
}

VS_RC
vs_policy_record(
	const struct vs_policy_args *a, struct vs_buf *out, int *ret_exit, struct vs_err *err)
{
	VS_CLEANUP(vs_json_freep) struct vs_json *claims = NULL;
	const char *iss = NULL;
	VS_TRY(vs_policy_load_claims(a->file[0], &claims, err));
	if (!vs_json_string(vs_json_get(claims, "iss"), &iss) || iss[0] == '\0')
		VS_FAIL(err, FORMAT, "the claims name no issuer");
	VS_TRY(check_document(claims, iss, a->measurements, err));
	if (!check_health(claims)) {
		*ret_exit = VS_EXIT_REFUSED;
		return VS_OK;
	}
	VS_TRY(put_document(
		claims, iss, a->reviewed ? "1.0.0" : VS_POLICY_DRAFT, a->measurements, out, err));
	say_left_out(claims, "", a->measurements, 0);
	if (!a->reviewed)
		fprintf(stderr,
			"this is a draft, which is valid nowhere: read what it asks for and what "
			"it leaves out, then set its version to 1.0.0\n");
	*ret_exit = VS_EXIT_OK;
	return VS_OK;
}
