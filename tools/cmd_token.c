/* SPDX-License-Identifier: BSD-2-Clause */
/* vouchsafe token verify: the acceptance profile A1-A18 on files. No network, no clock. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attest/validate.h"
#include "base/file.h"
#include "jose/json.h"
#include "tools/cmd.h"
#include "tools/remedy.h"

enum { TOKEN_FILE_MAX = 16 << 20, SKEW_S = 60 };

static const char usage[] =
	"usage: vouchsafe token verify --jwks FILE --issuer URL --policy FILE\n"
	"                              --nonce HEX|TEXT --at UNIXTIME [--json] TOKENFILE\n"
	"\n"
	"Checks an attestation token against a key set, an issuer, a policy, a nonce and a time.\n"
	"Nothing is fetched and no clock is read. TOKENFILE - is standard input.\n"
	"\n"
	"  --jwks FILE     key set of the issuer (its /certs answer)\n"
	"  --issuer URL    the attestation provider that must have issued the token\n"
	"  --policy FILE   release policy that must be met\n"
	"  --nonce TEXT    expected nonce: the text's own bytes, or the bytes its hex digits "
	"denote\n"
	"  --at UNIXTIME   the time of the check, in seconds since 1970\n"
	"  --json          every check with what was expected and seen, on standard output\n"
	"  -h, --help      this text\n"
	"\n"
	"Exit status: 0 accepted, 1 refused (one line names the rule), 2 usage, file or policy.\n";

struct args {
	const char *jwks, *issuer, *policy, *nonce, *at, *token;
	bool json, help;
};

struct inputs {
	struct vs_buf token, nonce_hex;
	struct vs_jwks *jwks;
	struct vs_policy *policy;
};

static void
inputs_done(struct inputs *in)
{
	vs_buf_done(&in->token);
	vs_buf_done(&in->nonce_hex);
	vs_jwks_unref(in->jwks);
	vs_policy_unref(in->policy);
}

static int
complain(const struct vs_err *err)
{
	char text[1600];
	vs_err_sentence(err, text, sizeof text);
	fprintf(stderr, "vouchsafe token verify: %s\n", text);
	vs_remedy_print("token", err->frames[0].code);
	return VS_EXIT_USAGE;
}

/* ---- arguments ---------------------------------------------------------------------------- */

static VS_RC
set_once(const char **to, const char *name, const char *value, struct vs_err *err)
{
	if (*to != NULL)
		VS_FAIL(err, USAGE, "--%s is given twice", name);
	*to = value;
	return VS_OK;
}

static VS_RC
parse_args(int argc, char **argv, struct args *a, struct vs_err *err)
{
	static const struct option options[] = {
		{"jwks", required_argument, NULL, 'k'},
		{"issuer", required_argument, NULL, 'i'},
		{"policy", required_argument, NULL, 'p'},
		{"nonce", required_argument, NULL, 'n'},
		{"at", required_argument, NULL, 't'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int c = 0;
	optind = 0;
	opterr = 0;
	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'k': VS_TRY(set_once(&a->jwks, "jwks", optarg, err)); break;
		case 'i': VS_TRY(set_once(&a->issuer, "issuer", optarg, err)); break;
		case 'p': VS_TRY(set_once(&a->policy, "policy", optarg, err)); break;
		case 'n': VS_TRY(set_once(&a->nonce, "nonce", optarg, err)); break;
		case 't': VS_TRY(set_once(&a->at, "at", optarg, err)); break;
		case 'j': a->json = true; break;
		case 'h': a->help = true; return VS_OK;
		default:
			VS_FAIL(err, USAGE,
				"the option %.60s is not known, lacks its value or has none",
				argv[optind - 1]);
		}
	}
	if (argc - optind != 1)
		VS_FAIL(err, USAGE, "give exactly one token file");
	a->token = argv[optind];
	return VS_OK;
}

static VS_RC
check_args(const struct args *a, struct vs_err *err)
{
	const struct {
		const char *name, *value;
	} needed[] = {{"jwks", a->jwks}, {"issuer", a->issuer}, {"policy", a->policy},
		{"nonce", a->nonce}, {"at", a->at}};
	for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
		if (needed[i].value == NULL)
			VS_FAIL(err, USAGE, "--%s is missing", needed[i].name);
		if (needed[i].value[0] == '\0')
			VS_FAIL(err, USAGE, "--%s is empty", needed[i].name);
	}
	return VS_OK;
}

static VS_RC
parse_time(const char *text, int64_t *ret, struct vs_err *err)
{
	int64_t t = 0;
	for (const char *c = text; *c != '\0'; c++) {
		if (*c < '0' || *c > '9' || t >= INT64_C(1) << 53)
			VS_FAIL(err, USAGE, "--at needs seconds since 1970, in decimal digits");
		t = t * 10 + (*c - '0');
	}
	*ret = t;
	return VS_OK;
}

/* ---- files -------------------------------------------------------------------------------- */

/* "-" is standard input, so that a token need not become a file. */
static VS_RC
read_token(const char *path, struct vs_buf *out, struct vs_err *err)
{
	char part[16384];
	if (strcmp(path, "-") != 0)
		return vs_file_read(path, TOKEN_FILE_MAX, VS_FILE_ANY, out, err);
	for (;;) {
		const ssize_t got = read(STDIN_FILENO, part, sizeof part);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			VS_FAIL_N(err, FILE, errno, "standard input cannot be read");
		if (got == 0)
			return VS_OK;
		VS_TRY(vs_buf_add(out, part, (size_t)got, err));
	}
}

static VS_RC
load(const struct args *a, struct inputs *in, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf jwks = {.max = VS_JWKS_TEXT_MAX + 1};
	VS_CLEANUP(vs_buf_done) struct vs_buf policy = {.max = VS_POLICY_TEXT_MAX + 1};
	VS_TRY(vs_file_read(a->jwks, VS_JWKS_TEXT_MAX, VS_FILE_ANY, &jwks, err));
	vs_rc rc = vs_jwks_parse(vs_buf_view(&jwks), &in->jwks, err);
	if (vs_failed(rc))
		return vs_err_while(rc, err, "while reading the key set %s", a->jwks);
	VS_TRY(vs_file_read(a->policy, VS_POLICY_TEXT_MAX, VS_FILE_ANY, &policy, err));
	rc = vs_policy_parse(vs_buf_view(&policy), &in->policy, err);
	if (vs_failed(rc))
		return vs_err_while(rc, err, "while reading the policy %s", a->policy);
	return read_token(a->token, &in->token, err);
}

/* An issuer on this machine is a lab's: its tokens carry the mark, and others may be checked too.
 */
static enum vs_token_world
world_of(const char *issuer)
{
	static const char *const local[] = {
		"https://localhost", "https://127.0.0.1", "https://[::1]"};
	for (size_t i = 0; i < sizeof local / sizeof local[0]; i++) {
		const size_t n = strlen(local[i]);
		if (strncmp(issuer, local[i], n) == 0 && strchr(":/", issuer[n]) != NULL)
			return VS_WORLD_EITHER;
	}
	return VS_WORLD_PRODUCTION;
}

/* ---- answers ------------------------------------------------------------------------------ */

static VS_RC
put_check(struct vs_buf *out, const struct vs_check *c, struct vs_err *err)
{
	VS_TRY(vs_buf_addf(out, err, "{\"rule\":\"%s\",\"name\":", c->rule));
	VS_TRY(vs_json_put_string(out, vs_bytes_str(c->name), err));
	VS_TRY(vs_buf_addf(out, err, ",\"passed\":%s,\"expected\":", c->passed ? "true" : "false"));
	VS_TRY(vs_json_put_string(out, vs_bytes_str(c->expected), err));
	VS_TRY(vs_buf_add_str(out, ",\"seen\":", err));
	VS_TRY(vs_json_put_string(out, vs_bytes_str(c->seen), err));
	return vs_buf_add_str(out, "}", err);
}

static VS_RC
put_facts(struct vs_buf *out, const struct vs_token_facts *f, struct vs_err *err)
{
	const struct {
		const char *name, *value;
	} texts[] = {{"issuer", f->issuer}, {"type", f->type}, {"kid", f->kid}, {"jti", f->jti},
		{"service_policy_hash", f->service_policy_hash}, {"token_sha256", f->token_sha256}};
	VS_TRY(vs_buf_add_str(out, ",\"token\":{", err));
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		VS_TRY(vs_buf_addf(out, err, "\"%s\":", texts[i].name));
		VS_TRY(vs_json_put_string(out, vs_bytes_str(texts[i].value), err));
		VS_TRY(vs_buf_add_str(out, ",", err));
	}
	return vs_buf_addf(out, err,
		"\"issued_at\":%" PRId64 ",\"not_before\":%" PRId64 ",\"expires\":%" PRId64 "}",
		f->iat_unix, f->nbf_unix, f->exp_unix);
}

static VS_RC
print_json(const struct vs_verdict *verdict, const struct vs_token_facts *facts,
	const struct vs_policy *policy, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf out = {0};
	VS_TRY(vs_buf_addf(&out, err, "{\"accepted\":%s,\"policy_sha256\":\"%s\",\"checks\":[",
		verdict->passed ? "true" : "false", vs_policy_text_sha256(policy)));
	for (size_t i = 0; i < verdict->n_checks; i++) {
		if (i > 0)
			VS_TRY(vs_buf_add_str(&out, ",", err));
		VS_TRY(put_check(&out, &verdict->checks[i], err));
	}
	VS_TRY(vs_buf_add_str(&out, "]", err));
	if (verdict->passed)
		VS_TRY(put_facts(&out, facts, err));
	VS_TRY(vs_buf_add_str(&out, "}\n", err));
	if (fwrite(out.p, 1, out.n, stdout) != out.n || fflush(stdout) != 0)
		VS_FAIL_N(err, FILE, errno, "the result cannot be written");
	return VS_OK;
}

static int
report(const struct args *a, const struct inputs *in, vs_rc rc, const struct vs_verdict *verdict,
	const struct vs_token_facts *facts, const struct vs_err *why)
{
	struct vs_err err = {0};
	if (vs_failed(rc) && vs_code_cat(rc.code) != VS_CAT_POLICY)
		return complain(why);
	if (a->json && vs_failed(print_json(verdict, facts, in->policy, &err)))
		return complain(&err);
	if (vs_failed(rc)) {
		fprintf(stderr, "vouchsafe token verify: %s\n", why->frames[0].text);
		return VS_EXIT_REFUSED;
	}
	if (!a->json && (puts("accepted") < 0 || fflush(stdout) != 0)) {
		fprintf(stderr, "vouchsafe token verify: the result cannot be written\n");
		return VS_EXIT_USAGE;
	}
	return VS_EXIT_OK;
}

static VS_RC
prepare(const struct args *a, struct inputs *in, struct vs_validate_in *v, struct vs_err *err)
{
	VS_TRY(check_args(a, err));
	VS_TRY(parse_time(a->at, &v->at_unix, err));
	VS_TRY(vs_nonce_from_text(a->nonce, &in->nonce_hex, v, err));
	VS_TRY(load(a, in, err));
	v->token = vs_buf_view(&in->token);
	v->jwks = in->jwks;
	v->issuer = a->issuer;
	v->policy = in->policy;
	v->skew_s = SKEW_S;
	v->world = world_of(a->issuer);
	return VS_OK;
}

static int
verify(int argc, char **argv)
{
	VS_CLEANUP(inputs_done)
	struct inputs in = {.token = {.max = TOKEN_FILE_MAX + 1}, .nonce_hex = {.max = 1 << 20}};
	VS_CLEANUP(vs_token_facts_done) struct vs_token_facts facts = {0};
	struct vs_verdict verdict = {0};
	struct vs_validate_in v = {0};
	struct args a = {0};
	struct vs_err err = {0};

	if (vs_failed(parse_args(argc, argv, &a, &err)))
		return complain(&err);
	if (a.help)
		return fputs(usage, stdout) < 0 ? VS_EXIT_USAGE : VS_EXIT_OK;
	if (vs_failed(prepare(&a, &in, &v, &err)))
		return complain(&err);
	const vs_rc rc = vs_validate(&v, &facts, &verdict, NULL, &err);
	return report(&a, &in, rc, &verdict, &facts, &err);
}

int
vs_cmd_token(int argc, char **argv)
{
	if (argc >= 2 && strcmp(argv[1], "verify") == 0)
		return verify(argc - 1, argv + 1);
	if (argc >= 2 && (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0))
		return fputs(usage, stdout) < 0 ? VS_EXIT_USAGE : VS_EXIT_OK;
	fprintf(stderr,
		"vouchsafe token: expected verify; 'vouchsafe token --help' says how it is used\n");
	return VS_EXIT_USAGE;
}
