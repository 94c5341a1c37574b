/* SPDX-License-Identifier: BSD-2-Clause */
#include <getopt.h>
#include <jansson.h>
#include <string.h>

#include "conf/policy.h"
#include "conf/table.h"
#include "base/file.h"
#include "tools/cli.h"

static const char help[] =
	"usage: vouchsafe conf check [FILE]      read the file as the agent would\n"
	"       vouchsafe conf defaults          print every setting with its meaning\n"
	"       vouchsafe conf check --json ...  the same for programs\n\n"
	"FILE is the configured file unless given. The check also reads the policy files that it "
	"names.\n"
	"It never talks to the network or the TPM. Exit status: 0 usable, 2 not.\n";

/* A policy that cannot be read denies: say so before the first signature does. */
static VS_RC
check_policy(const struct vs_conf_token *t, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {.max = VS_POLICY_TEXT_MAX};
	VS_CLEANUP(vs_policy_unrefp) struct vs_policy *policy = NULL;
	if (!t->policy)
		VS_FAIL(err, POLICY_FILE,
			"[token %s] names no policy, so every use of its keys is denied", t->label);
	VS_TRY(vs_file_read(t->policy, VS_POLICY_TEXT_MAX, VS_FILE_TRUSTED, &text, err));
	const vs_rc rc = vs_policy_parse(vs_buf_view(&text), &policy, err);
	return vs_failed(rc) ? vs_err_while(rc, err, "in %s of [token %s]", t->policy, t->label)
			     : VS_OK;
}

static void
print_token(const struct vs_conf_token *t)
{
	(void)printf("  [token %s]  serial %s\n    vault        %s\n    attestation  %s\n    "
		     "policy       %s\n",
		t->label, t->serial, t->vault, t->attestation, t->policy);
}

static int
print_json(const char *path, vs_rc rc, const struct vs_err *err)
{
	char s[2048];
	vs_err_sentence(err, s, sizeof s);
	json_t *o = json_pack("{s:s, s:b, s:s, s:s}", "file", path, "usable", !vs_failed(rc),
		"code", vs_code_name(rc.code), "sentence", s);
	if (!o || json_dumpf(o, stdout, JSON_COMPACT) != 0)
		(void)fprintf(stderr, "vouchsafe: out of memory\n");
	json_decref(o);
	(void)printf("\n");
	return vs_cli_done(vs_failed(rc) ? VS_EXIT_USAGE : VS_EXIT_OK);
}

static int
check(const char *path, bool json)
{
	struct vs_err err = {0};
	struct vs_conf *conf = NULL;
	vs_rc rc = vs_conf_load(path, &conf, &err);
	for (size_t i = 0; !vs_failed(rc) && i < conf->n_tokens; i++)
		rc = check_policy(&conf->tokens[i], &err);
	int code = VS_EXIT_USAGE;
	if (json) {
		code = print_json(path, rc, &err);
	} else if (vs_failed(rc)) {
		(void)vs_cli_fail(rc, &err);
	} else {
		(void)printf("%s: usable, %zu token%s, %s mode\n", path, conf->n_tokens,
			conf->n_tokens == 1 ? "" : "s", conf->lab ? "LAB" : "production");
		for (size_t i = 0; i < conf->n_tokens; i++)
			print_token(&conf->tokens[i]);
		code = vs_cli_done(VS_EXIT_OK);
	}
	vs_conf_free(conf);
	return code;
}

static int
defaults(void)
{
	struct vs_err err = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf out = {0};
	const vs_rc rc = vs_conf_print_defaults(&out, &err);
	return vs_failed(rc) ? vs_cli_fail(rc, &err) : vs_cli_help(vs_buf_cstr(&out));
}

int
vs_cmd_conf(int argc, char **argv)
{
	static const struct option options[] = {
		{"help", no_argument, NULL, 'h'}, {"json", no_argument, NULL, 'j'}, {0}};
	bool json = false;
	optind = 0;
	opterr = 0;
	for (int c; (c = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
		if (c == 'h')
			return vs_cli_help(help);
		if (c != 'j')
			return vs_cli_bad_option("conf", argv);
		json = true;
	}
	const int n = argc - optind;
	char **words = argv + optind;
	if (n >= 1 && n <= 2 && strcmp(words[0], "check") == 0)
		return check(n == 2 ? words[1] : vs_conf_default_path(), json);
	if (n == 1 && strcmp(words[0], "defaults") == 0)
		return defaults();
	return vs_cli_usage("conf", "expected 'check [FILE]' or 'defaults'");
}
