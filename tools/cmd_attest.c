/* SPDX-License-Identifier: BSD-2-Clause */
#include <getopt.h>
#include <jansson.h>
#include <string.h>

#include "tools/cli.h"

static const char help[] =
	"usage: vouchsafe attest [--token LABEL] [--config FILE] [--json]\n\n"
	"Attest this machine once, in this process: fresh nonce, fresh transport key in the TPM, "
	"evidence,\n"
	"the attestation service's token, and every check made on it here. Prints each check with "
	"what\n"
	"was expected and seen, then the claims. Releases no key. Writes one audit record.\n"
	"Exit status: 0 accepted, 1 refused, 2 configuration, 3 unreachable.\n";

static void
print_checks(const struct vs_verdict *v)
{
	for (size_t i = 0; i < v->n_checks; i++) {
		const struct vs_check *c = &v->checks[i];
		(void)printf("%-4s %-7s %-34s",
			c->passed             ? "ok"
				: c->advisory ? "warn"
					      : "NO",
			c->rule, c->name);
		if (!c->passed)
			(void)printf(" expected %s, seen %s", c->expected, c->seen);
		else if (*c->seen)
			(void)printf(" %s", c->seen);
		(void)printf("\n");
	}
}

static void
print_text(const struct vs_verdict *v, const struct vs_attestation *a)
{
	print_checks(v);
	json_t *claims = a
		? json_loadb((const char *)a->claims.p, a->claims.n, JSON_REJECT_DUPLICATES, NULL)
		: NULL;
	if (claims) {
		(void)printf("\nclaims (of %s):\n", a->issuer);
		(void)json_dumpf(claims, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
		(void)printf("\n");
	}
	json_decref(claims);
}

static json_t *
checks_json(const struct vs_verdict *v)
{
	json_t *list = json_array();
	for (size_t i = 0; list && i < v->n_checks; i++) {
		const struct vs_check *c = &v->checks[i];
		(void)json_array_append_new(list,
			json_pack("{s:s, s:s, s:s, s:s, s:b, s:b}", "rule", c->rule, "name",
				c->name, "expected", c->expected, "seen", c->seen, "passed",
				c->passed, "advisory", c->advisory));
	}
	return list;
}

static void
print_json(const char *token, vs_rc rc, const struct vs_verdict *v, const struct vs_attestation *a,
	const struct vs_err *err)
{
	char s[2048];
	vs_err_sentence(err, s, sizeof s);
	json_t *claims = a
		? json_loadb((const char *)a->claims.p, a->claims.n, JSON_REJECT_DUPLICATES, NULL)
		: json_null();
	json_t *o = json_pack("{s:s, s:b, s:s, s:s, s:o, s:o}", "token", token, "accepted",
		!vs_failed(rc), "code", vs_code_name(rc.code), "sentence", s, "checks",
		checks_json(v), "claims", claims);
	if (!o || json_dumpf(o, stdout, JSON_COMPACT) != 0)
		(void)fprintf(stderr, "vouchsafe: out of memory\n");
	json_decref(o);
	(void)printf("\n");
}

static int
attest(const char *config, const char *label, bool json)
{
	VS_CLEANUP(vs_cli_world_done) struct vs_cli_world w = {0};
	struct vs_err err = {0};
	const struct vs_conf_token *token = NULL;
	struct vs_services *services = NULL;
	vs_rc rc = vs_cli_world_base(config, &w, &err);
	if (!vs_failed(rc))
		rc = vs_cli_token(w.conf, label, &token, &err);
	if (!vs_failed(rc))
		rc = vs_cli_world_talk(&w, &err);
	if (vs_failed(rc))
		return vs_cli_fail(rc, &err);

	static struct vs_verdict verdict;
	struct vs_attestation *a = NULL;
	const int64_t deadline =
		w.clock.ops->boot_ns(w.clock.self) + w.conf->operation_timeout_ms * 1000000;
	/* From here on it is an attempt, whatever keeps it from its end. */
	rc = vs_cli_services(&w, token, &services, &err);
	if (!vs_failed(rc))
		rc = vs_services_attest(services, deadline, &a, &verdict, &err);
	struct vs_err audit_err = {0};
	const vs_rc recorded =
		vs_cli_record(&w, token->label, "tool", rc, &verdict, &err, &audit_err);
	if (json)
		print_json(token->label, rc, &verdict, a, &err);
	else
		print_text(&verdict, a);
	int code = vs_cli_done(VS_EXIT_OK);
	if (vs_failed(rc))
		code = vs_cli_fail(rc, &err);
	else if (vs_failed(recorded) && w.conf->audit_required)
		code = vs_cli_fail(recorded, &audit_err);
	else if (!json)
		(void)printf("\naccepted%s\n", w.conf->lab ? " (LAB: protects nothing)" : "");
	vs_attestation_unref(a);
	vs_services_free(services);
	return vs_cli_done(code);
}

int
vs_cmd_attest(int argc, char **argv)
{
	static const struct option options[] = {{"help", no_argument, NULL, 'h'},
		{"json", no_argument, NULL, 'j'}, {"token", required_argument, NULL, 't'},
		{"config", required_argument, NULL, 'c'}, {0}};
	const char *config = NULL, *label = NULL;
	bool json = false;
	optind = 0;
	opterr = 0;
	for (int c; (c = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
		switch (c) {
		case 'h': return vs_cli_help(help);
		case 'j': json = true; break;
		case 't': label = optarg; break;
		case 'c': config = optarg; break;
		default: return vs_cli_bad_option("attest", argv);
		}
	}
	if (optind != argc)
		return vs_cli_usage("attest", "'%.60s' is one word too many", argv[optind]);
	return attest(config, label, json);
}
