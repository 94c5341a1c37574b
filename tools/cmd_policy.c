/* SPDX-License-Identifier: BSD-2-Clause */
/* vouchsafe policy test|hash|diff|record: what a release policy says, without any network. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/codec.h"
#include "base/file.h"
#include "conf/policy.h"
#include "jose/jose.h"
#include "jose/json.h"
#include "tools/cmd.h"
#include "tools/cmd_policy.h"
#include "tools/remedy.h"

enum { CLAIMS_FILE_MAX = 1 << 20, NAME_MAX_CHARS = 600 };

static const char usage[] =
	"usage: vouchsafe policy test TOKEN|CLAIMS --policy FILE [--json]\n"
	"       vouchsafe policy hash FILE [--json]\n"
	"       vouchsafe policy diff FILE FILE\n"
	"       vouchsafe policy record TOKEN|CLAIMS [--measurements] [--reviewed]\n"
	"\n"
	"  test    every condition with what it expects, what the claims say, and the verdict;\n"
	"          signature, times and nonce are not looked at (vouchsafe token verify does "
	"that)\n"
	"  hash    the file's SHA-256, the attestation service's x-ms-policy-hash form, and for a\n"
	"          release policy the SHA-256 of its canonical form, which survives the vault's\n"
	"          rewriting, with the text for release_policy.data\n"
	"  diff    what only one of two release policies says; each may also be a vault's answer\n"
	"          about a key\n"
	"  record  a draft of a release policy that these claims meet, and on standard error each\n"
	"          claim that is left out, and why; claims of a machine that is not healthy are\n"
	"          refused. A draft is valid nowhere until somebody has read it and set its "
	"version\n"
	"          to 1.0.0; --reviewed says that somebody will, and writes that version.\n"
	"          --measurements also pins the launch measurements, which change with every "
	"update\n"
	"\n"
	"TOKEN is a compact JWS, CLAIMS its payload as JSON.\n"
	"Exit status: 0 met or equal, 1 not met, different or not healthy, 2 usage, file or "
	"policy.\n";

static int
complain(const struct vs_err *err)
{
	char text[1600];
	vs_err_sentence(err, text, sizeof text);
	fprintf(stderr, "vouchsafe policy: %s\n", text);
	vs_remedy_print("policy", err->frames[0].code);
	return VS_EXIT_USAGE;
}

static VS_RC
parse_args(int argc, char **argv, int wanted_files, struct vs_policy_args *a, struct vs_err *err)
{
	static const struct option options[] = {
		{"policy", required_argument, NULL, 'p'},
		{"json", no_argument, NULL, 'j'},
		{"measurements", no_argument, NULL, 'm'},
		{"reviewed", no_argument, NULL, 'r'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int c = 0;
	optind = 0;
	opterr = 0;
	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'p': a->policy = optarg; break;
		case 'j': a->json = true; break;
		case 'm': a->measurements = true; break;
		case 'r': a->reviewed = true; break;
		case 'h': a->help = true; return VS_OK;
		default:
			VS_FAIL(err, USAGE,
				"the option %.60s is not known, lacks its value or has none",
				argv[optind - 1]);
		}
	}
	if (argc - optind != wanted_files)
		VS_FAIL(err, USAGE, "%s needs %d file%s", argv[0], wanted_files,
			wanted_files == 1 ? "" : "s");
	for (; a->n_files < wanted_files; a->n_files++)
		a->file[a->n_files] = argv[optind + a->n_files];
	return VS_OK;
}

/* ---- inputs ------------------------------------------------------------------------------- */

static bool
is_object_text(const struct vs_buf *b)
{
	size_t i = 0;
	while (i < b->n && strchr(" \t\r\n", b->p[i]) != NULL && b->p[i] != '\0')
		i++;
	return i < b->n && b->p[i] == '{';
}

/* Claims out of a compact JWS or from JSON; nothing is verified here. */
VS_RC
vs_policy_load_claims(const char *path, struct vs_json **ret, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {.max = CLAIMS_FILE_MAX + 1};
	VS_CLEANUP(vs_buf_done) struct vs_buf payload = {.max = CLAIMS_FILE_MAX};
	struct vs_jws_parts parts = {0};
	struct vs_bytes token = {0};
	VS_TRY(vs_file_read(path, CLAIMS_FILE_MAX, VS_FILE_ANY, &text, err));
	if (is_object_text(&text))
		return vs_json_load_object(
			vs_buf_view(&text), CLAIMS_FILE_MAX, "claims set", ret, err);
	VS_TRY(vs_jws_trim(vs_buf_view(&text), CLAIMS_FILE_MAX, &token, err));
	VS_TRY(vs_jws_split(token, &parts, err));
	VS_TRY(vs_jws_segment(parts.payload, "payload", &payload, err));
	return vs_json_load_object(vs_buf_view(&payload), CLAIMS_FILE_MAX, "claims set", ret, err);
}

/* A vault's answer about a key carries the document in base64url: take that instead. */
static VS_RC
unpack_vault_answer(struct vs_buf *text, struct vs_err *err)
{
	static const char *const places[] = {
		"release_policy.data", "releasePolicy.encodedPolicy", "releasePolicy.data", "data"};
	VS_CLEANUP(vs_json_freep) struct vs_json *root = NULL;
	VS_CLEANUP(vs_buf_done) struct vs_buf inner = {.max = VS_POLICY_TEXT_MAX + 4};
	struct vs_bytes data = {0};
	struct vs_err why = {0};
	if (vs_failed(
		    vs_json_load_object(vs_buf_view(text), CLAIMS_FILE_MAX, "policy", &root, &why)))
		return VS_OK; /* the policy's own parser says what is wrong */
	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		if (!vs_json_bytes(vs_json_path(root, places[i]), &data))
			continue;
		VS_TRY(vs_b64_any_decode(data, &inner, err));
		vs_buf_move(text, &inner);
		return VS_OK;
	}
	return VS_OK;
}

static VS_RC
load_policy(const char *path, struct vs_policy **ret, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {.max = CLAIMS_FILE_MAX + 1};
	VS_TRY(vs_file_read(path, CLAIMS_FILE_MAX, VS_FILE_ANY, &text, err));
	vs_rc rc = unpack_vault_answer(&text, err);
	if (!vs_failed(rc))
		rc = vs_policy_parse(vs_buf_view(&text), ret, err);
	return vs_failed(rc) ? vs_err_while(rc, err, "while reading the policy %s", path) : rc;
}

static int
print(const struct vs_buf *out, int exit_code)
{
	const bool written = out->n == 0 || fwrite(out->p, 1, out->n, stdout) == out->n;
	if (written && fflush(stdout) == 0)
		return exit_code;
	fprintf(stderr, "vouchsafe policy: the result cannot be written\n");
	return VS_EXIT_USAGE;
}

/* ---- test --------------------------------------------------------------------------------- */

static VS_RC
put_result(struct vs_buf *out, const struct vs_policy_result *r, struct vs_err *err)
{
	const int indent = 2 * ((int)r->depth + 1);
	const char *verdict = r->holds ? "met    " : "NOT MET";
	if (r->group != NULL)
		return vs_buf_addf(out, err, "%s%*s%s of:\n", verdict, indent, "",
			strcmp(r->group, "allOf") == 0 ? "all" : "any");
	char claim[NAME_MAX_CHARS];
	return vs_buf_addf(out, err, "%s%*s%s: expected %s, seen %s\n", verdict, indent, "",
		vs_quote(vs_bytes_str(r->claim), claim, sizeof claim), r->expected, r->seen);
}

static VS_RC
put_report(struct vs_buf *out, const struct vs_policy *policy, const char *iss,
	const struct vs_policy_report *report, struct vs_err *err)
{
	char name[NAME_MAX_CHARS];
	for (size_t i = 0; i < report->n; i++) {
		const struct vs_policy_result *r = &report->results[i];
		const char *authority = vs_policy_authority(policy, r->authority);
		const bool ours = iss != NULL && strcmp(authority, iss) == 0;
		if (r->depth == 0)
			VS_TRY(vs_buf_addf(out, err, "authority %s%s\n",
				vs_quote(vs_bytes_str(authority), name, sizeof name),
				ours ? "" : " (not this token's issuer)"));
		VS_TRY(put_result(out, r, err));
	}
	const char *planted = vs_policy_planted_claim(policy);
	if (planted != NULL)
		VS_TRY(vs_buf_addf(out, err,
			"warning: \"%s\" is chosen by the machine that attests\n",
			vs_quote(vs_bytes_str(planted), name, sizeof name)));
	if (!vs_policy_demands_tee(policy))
		VS_TRY(vs_buf_add_str(
			out, "warning: a machine without a TEE can meet this policy\n", err));
	if (vs_policy_is_local(policy))
		VS_TRY(vs_buf_add_str(
			out, "note: version vouchsafe-1 is enforced on this machine only\n", err));
	if (!report->authority_known)
		VS_TRY(vs_buf_add_str(out, "no entry names this token's issuer\n", err));
	return vs_buf_addf(out, err, "result: %s (signature, times and nonce not checked)\n",
		report->allowed ? "met" : "not met");
}

static VS_RC
put_report_json(struct vs_buf *out, const struct vs_policy *policy,
	const struct vs_policy_report *report, struct vs_err *err)
{
	VS_TRY(vs_buf_addf(out, err, "{\"met\":%s,\"demands_tee\":%s,\"conditions\":[",
		report->allowed ? "true" : "false",
		vs_policy_demands_tee(policy) ? "true" : "false"));
	for (size_t i = 0, n = 0; i < report->n; i++) {
		const struct vs_policy_result *r = &report->results[i];
		if (r->claim == NULL)
			continue;
		VS_TRY(vs_buf_addf(out, err,
			"%s{\"place\":\"%s\",\"authority\":", n++ > 0 ? "," : "", r->place));
		VS_TRY(vs_json_put_string(
			out, vs_bytes_str(vs_policy_authority(policy, r->authority)), err));
		VS_TRY(vs_buf_add_str(out, ",\"claim\":", err));
		VS_TRY(vs_json_put_string(out, vs_bytes_str(r->claim), err));
		VS_TRY(vs_buf_addf(
			out, err, ",\"operator\":\"%s\",\"expected\":", vs_policy_op_name(r->op)));
		VS_TRY(vs_json_put_string(out, vs_bytes_str(r->expected), err));
		VS_TRY(vs_buf_add_str(out, ",\"seen\":", err));
		VS_TRY(vs_json_put_string(out, vs_bytes_str(r->seen), err));
		VS_TRY(vs_buf_addf(out, err, ",\"met\":%s}", r->holds ? "true" : "false"));
	}
	return vs_buf_add_str(out, "]}\n", err);
}

static VS_RC
test(const struct vs_policy_args *a, struct vs_buf *out, int *ret_exit, struct vs_err *err)
{
	VS_CLEANUP(vs_json_freep) struct vs_json *claims = NULL;
	VS_CLEANUP(vs_policy_unrefp) struct vs_policy *policy = NULL;
	VS_CLEANUP(vs_policy_report_done) struct vs_policy_report report = {0};
	const char *iss = NULL;
	if (a->policy == NULL)
		VS_FAIL(err, USAGE, "--policy is missing");
	VS_TRY(load_policy(a->policy, &policy, err));
	VS_TRY(vs_policy_load_claims(a->file[0], &claims, err));
	(void)vs_json_string(vs_json_get(claims, "iss"), &iss);
	VS_TRY(vs_policy_eval(policy, claims, iss, &report, err));
	*ret_exit = report.allowed ? VS_EXIT_OK : VS_EXIT_REFUSED;
	return a->json ? put_report_json(out, policy, &report, err)
		       : put_report(out, policy, iss, &report, err);
}

/* ---- hash --------------------------------------------------------------------------------- */

/* base64url(SHA-256(base64url(text))), as tokens carry it. */
static VS_RC
service_form(struct vs_bytes text, struct vs_buf *out, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf inner = {.max = 2 * CLAIMS_FILE_MAX};
	uint8_t digest[32];
	VS_TRY(vs_b64url_encode(text, &inner, err));
	VS_TRY(vs_sha256(vs_buf_view(&inner), digest, err));
	return vs_b64url_encode(vs_bytes_of(digest, sizeof digest), out, err);
}

static VS_RC
hash(const struct vs_policy_args *a, struct vs_buf *out, int *ret_exit, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {.max = CLAIMS_FILE_MAX + 1};
	VS_CLEANUP(vs_buf_done) struct vs_buf service = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf data = {0};
	VS_CLEANUP(vs_policy_unrefp) struct vs_policy *policy = NULL;
	uint8_t digest[32];
	char hex[65];
	*ret_exit = VS_EXIT_OK;
	VS_TRY(vs_file_read(a->file[0], CLAIMS_FILE_MAX, VS_FILE_ANY, &text, err));
	VS_TRY(vs_sha256(vs_buf_view(&text), digest, err));
	vs_hex_str(digest, sizeof digest, hex, sizeof hex);
	VS_TRY(service_form(vs_buf_view(&text), &service, err));
	/* Anything else is a policy of the attestation service, which is not JSON. */
	if (is_object_text(&text)) {
		VS_TRY(load_policy(a->file[0], &policy, err));
		VS_TRY(vs_b64url_encode(vs_policy_canonical(policy), &data, err));
	}
	VS_TRY(a->json ? vs_buf_addf(out, err, "{\"sha256\":\"%s\",\"x-ms-policy-hash\":\"%s\"",
				 hex, vs_buf_cstr(&service))
		       : vs_buf_addf(out, err, "sha256            %s\nx-ms-policy-hash  %s\n", hex,
				 vs_buf_cstr(&service)));
	if (policy == NULL)
		return vs_buf_add_str(out, a->json ? "}\n" : "", err);
	if (a->json)
		return vs_buf_addf(out, err, ",\"canonical_sha256\":\"%s\",\"data\":\"%s\"}\n",
			vs_policy_sha256(policy), vs_buf_cstr(&data));
	return vs_buf_addf(out, err, "canonical-sha256  %s\nrelease-policy    %s\n",
		vs_policy_sha256(policy), vs_buf_cstr(&data));
}

/* ---- diff --------------------------------------------------------------------------------- */

static VS_RC
diff(const struct vs_policy_args *a, struct vs_buf *out, int *ret_exit, struct vs_err *err)
{
	VS_CLEANUP(vs_policy_unrefp) struct vs_policy *one = NULL;
	VS_CLEANUP(vs_policy_unrefp) struct vs_policy *two = NULL;
	VS_TRY(load_policy(a->file[0], &one, err));
	VS_TRY(load_policy(a->file[1], &two, err));
	VS_TRY(vs_policy_diff(one, two, out, err));
	*ret_exit = out->n == 0 ? VS_EXIT_OK : VS_EXIT_REFUSED;
	return VS_OK;
}

/* ---- dispatch ----------------------------------------------------------------------------- */

static const struct {
	const char *name;
	int n_files;
	vs_rc (*run)(const struct vs_policy_args *a, struct vs_buf *out, int *ret_exit,
		struct vs_err *err);
} commands[] = {
	{"test", 1, test},
	{"hash", 1, hash},
	{"diff", 2, diff},
	{"record", 1, vs_policy_record},
};

static int
run_command(size_t i, int argc, char **argv)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf out = {.max = 8 << 20};
	struct vs_policy_args a = {0};
	struct vs_err err = {0};
	int exit_code = VS_EXIT_USAGE;
	if (vs_failed(parse_args(argc, argv, commands[i].n_files, &a, &err)))
		return complain(&err);
	if (a.help)
		return fputs(usage, stdout) < 0 ? VS_EXIT_USAGE : VS_EXIT_OK;
	if (vs_failed(commands[i].run(&a, &out, &exit_code, &err)))
		return complain(&err);
	return print(&out, exit_code);
}

int
vs_cmd_policy(int argc, char **argv)
{
	for (size_t i = 0; argc >= 2 && i < sizeof commands / sizeof commands[0]; i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return run_command(i, argc - 1, argv + 1);
	if (argc >= 2 && (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0))
		return fputs(usage, stdout) < 0 ? VS_EXIT_USAGE : VS_EXIT_OK;
	fprintf(stderr,
		"vouchsafe policy: expected test, hash, diff or record; 'vouchsafe policy --help' "
		"says how they are used\n");
	return VS_EXIT_USAGE;
}
