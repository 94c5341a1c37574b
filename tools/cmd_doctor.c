/* SPDX-License-Identifier: BSD-2-Clause */
#include <getopt.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/doctor.h"

static const char help[] =
	"usage: vouchsafe doctor [--json] [--row NAME] [--list] [--config FILE]\n\n"
	"Look at everything that has to be right before keys are released: files, settings, this\n"
	"machine's TPM and evidence, the services, permissions, keys and their policies. One row "
	"each:\n"
	"what was found, and, where it is not right, what is expected and what to do. Changes "
	"nothing and\n"
	"releases no key.\n\n"
	"  --json         all rows as one JSON object\n"
	"  --row NAME     this row only, and those it rests on\n"
	"  --list         the rows there are and what each expects; looks at nothing\n"
	"  --config FILE  this configuration\n"
	"  --help         this text\n\n"
	"Run it as the user that the agent runs as (or root): rights are part of what it looks "
	"at.\n"
	"Exit status: 0 all is right or only warnings, 1 something refuses, 2 configuration or "
	"files,\n"
	"3 something cannot be reached. Of several, the first to mend counts: 2, then 1, then 3.\n";

const struct vs_doc_row vs_doc_rows[] = {
	{"file-modes", false, 0, DOC_FILE, vs_doc_file_modes,
		"a regular file of root or of this user, which others cannot write",
		"chown root FILE; chmod go-w FILE and its folder; name the file itself, no link"},
	{"configuration", false, DOC_FILE, DOC_CONF, vs_doc_configuration,
		"settings that are known and allowed", "vouchsafe conf check; vouchsafe.conf(5)"},
	{"lab", false, DOC_CONF, 0, vs_doc_mode, "nothing of a lab in production",
		"use the lab for trying only; remove its roots from ca-bundle and release-roots"},
	{"weakenings", false, DOC_CONF, 0, vs_doc_weakened, "the strict defaults",
		"remove these settings unless you know why they are there"},
	{"ca-bundle", false, DOC_CONF, DOC_ROOTS, vs_doc_roots,
		"a PEM file of root certificates that are valid now",
		"apt-get install ca-certificates, or name another file with ca-bundle"},
	{"secret-files", true, DOC_CONF, 0, vs_doc_secret_files,
		"readable here, and not by everybody", "chown to the agent's user; chmod 0600"},
	{"policy", true, DOC_CONF, DOC_POLICY, vs_doc_policy,
		"a release-policy document that others cannot write; none denies everything",
		"vouchsafe-policy(5); vouchsafe policy record makes a first one"},
	{"policy-authority", true, DOC_POLICY, 0, vs_doc_policy_authority,
		"the configured attestation providers, and no others",
		"name the provider in the policy's anyOf as it stands in `attestation`"},
	{"policy-tee", true, DOC_POLICY, 0, vs_doc_policy_tee,
		"a claim that only a TEE's evidence can give, on every way through the policy",
		"demand x-ms-isolation-tee claims: without them a host can play the machine"},
	{"policy-claims", true, DOC_POLICY, 0, vs_doc_policy_claims,
		"no claim that the attested machine writes itself",
		"replace conditions on x-ms-runtime by claims of the attestation service"},
	{"state-dir", false, DOC_CONF, 0, vs_doc_state_dir,
		"a folder that the agent can write and others cannot",
		"systemd-tmpfiles --create; or mkdir, chown vouchsafe, chmod 0750"},
	{"audit-log", false, DOC_CONF, 0, vs_doc_audit_log, "a whole log, or a folder to begin one",
		"keep the file as evidence, find out who changed it; then begin a new one"},
	{"certificate-files", true, DOC_CONF, 0, vs_doc_certificate_files,
		"certificates that are readable and valid now", "renew or replace them"},
	{"libraries", false, 0, 0, vs_doc_libraries,
		"versions without known defects that matter here",
		"install the distribution's security updates"},
	{"memory-lock", false, 0, 0, vs_doc_memory_lock, "16 MiB of memory can be locked",
		"LimitMEMLOCK=16M in the unit, or memlock in /etc/security/limits.conf"},
	{"tpm-device", false, DOC_CONF, 0, vs_doc_tpm_device,
		"a TPM device that this user can read and write",
		"enable the vTPM of the machine; add the user to the device's group (tss)"},
	{"tpm", false, DOC_CONF, DOC_TPM, vs_doc_tpm, "a TPM 2.0 that answers",
		"use /dev/tpmrm0; look for another program that holds the TPM"},
	{"attestation-key", false, DOC_TPM, 0, vs_doc_ak,
		"the platform's key at 0x81000003 and its certificate at 0x01C101D0",
		"a virtual machine of Azure with vTPM (Trusted Launch or confidential)"},
	{"hardware-report", false, DOC_TPM, 0, vs_doc_report,
		"the TEE's report at 0x01400001, as on every confidential machine",
		"use a confidential machine size; without it no policy that demands a TEE is met"},
	{"event-log", false, DOC_CONF, 0, vs_doc_event_log, "the firmware's event log, readable",
		"give the agent CAP_DAC_READ_SEARCH (as its unit does), or name the file with "
		"event-log"},
	{"metadata-service", false, DOC_CONF | DOC_ROOTS, 0, vs_doc_imds,
		"an answer at the address `imds`",
		"do not block 169.254.169.254 in firewall or network policy"},
	{"credential", true, DOC_CONF | DOC_ROOTS, DOC_CRED, vs_doc_credential,
		"an access token for the vault",
		"assign an identity to the machine, or mend credential, client-id and their files"},
	{"attestation-service", true, DOC_CONF | DOC_ROOTS, DOC_MAA, vs_doc_maa,
		"an answer at the address `attestation`",
		"allow https to it; check name and proxy"},
	{"attestation-keys", true, DOC_MAA, 0, vs_doc_maa_keys, "a key set with usable keys",
		"check that `attestation` names the provider itself, without a path"},
	{"clock", true, DOC_MAA, 0, vs_doc_clock,
		"the attestation service's time, within clock-skew",
		"run chrony or systemd-timesyncd"},
	{"vault", true, DOC_CONF | DOC_ROOTS, DOC_VAULT, vs_doc_vault,
		"an answer at the address `vault`",
		"allow https to it; check name, proxy and firewall"},
	{"permission-list", true, DOC_VAULT | DOC_CRED, 0, vs_doc_may_list,
		"this identity may list keys (needed where `keys` has patterns)",
		"grant keys/list, or name the keys one by one"},
	{"permission-get", true, DOC_VAULT | DOC_CRED, DOC_KEYS, vs_doc_may_get,
		"this identity may read the keys, and there is at least one to release",
		"grant keys/get; keys must be exportable and have a release policy"},
	{"permission-release", true, DOC_KEYS, 0, vs_doc_may_release,
		"this identity may release the keys",
		"grant keys/release (role Key Vault Crypto Service Release User)"},
	{"stored-policy", true, DOC_KEYS | DOC_POLICY, 0, vs_doc_stored_policy,
		"the policy that the vault enforces says what the local one says",
		"vouchsafe policy diff; create the key's new version with the right policy"},
	{"mutable-policy", true, DOC_KEYS, 0, vs_doc_mutable_policy,
		"release policies that nobody can change any more",
		"create keys with an immutable release policy"},
	{"certificates", true, DOC_KEYS, 0, vs_doc_certificates,
		"each configured certificate belongs to the key it is named for",
		"issue a certificate for the key's current version, or name the version in `keys`"},
	{"agent", false, DOC_CONF, 0, vs_doc_agent, "the machine's agent answers on its socket",
		"systemctl enable --now vouchsafe-agent.socket; systemctl status vouchsafe-agent"},
	{"users", true, DOC_CONF, 0, vs_doc_users, "those who need the keys, and nobody else",
		"allow = user:NAME, group:NAME"},
};
const size_t vs_n_doc_rows = sizeof vs_doc_rows / sizeof vs_doc_rows[0];

/* ---- what rows use --------------------------------------------------------------------------- */

__attribute__((format(printf, 4, 0))) static void
settle(struct vs_doc_result *r, enum vs_doc_state state, int exit_code, const char *fmt, va_list ap)
{
	r->state = state;
	r->exit_code = exit_code;
	(void)vsnprintf(r->found, sizeof r->found, fmt, ap);
}

void
vs_doc_good(struct vs_doc_result *r, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	settle(r, VS_DOC_GOOD, VS_EXIT_OK, fmt, ap);
	va_end(ap);
}

void
vs_doc_warn(struct vs_doc_result *r, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	settle(r, VS_DOC_WARN, VS_EXIT_OK, fmt, ap);
	va_end(ap);
}

void
vs_doc_bad(struct vs_doc_result *r, int exit_code, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	settle(r, VS_DOC_BAD, exit_code, fmt, ap);
	va_end(ap);
}

void
vs_doc_error(struct vs_doc_result *r, vs_rc rc, const struct vs_err *err)
{
	char s[1000];
	const int code = vs_cli_exit_code(rc.code);
	vs_err_sentence(err, s, sizeof s);
	vs_doc_bad(
		r, code == VS_EXIT_OK ? VS_EXIT_USAGE : code, "%s", *s ? s : vs_code_text(rc.code));
}

int64_t
vs_doc_deadline(const struct vs_doc *d)
{
	return d->w.clock.ops->boot_ns(d->w.clock.self) +
		d->w.conf->request_timeout_ms * INT64_C(1000000);
}

struct vs_net
vs_doc_net(const struct vs_doc *d)
{
	return (struct vs_net){.http = vs_http_curl_port(d->w.curl),
		.clock = d->w.clock,
		.rng = d->w.rng,
		.log = d->w.log};
}

/* ---- running --------------------------------------------------------------------------------- */

struct line {
	const struct vs_doc_row *row;
	const char *token; /* NULL: of the machine */
	struct vs_doc_result r;
};

static void
progress(const struct vs_doc_row *row, const struct vs_doc_token *t)
{
	if (!isatty(STDERR_FILENO))
		return;
	if (row)
		(void)fprintf(stderr, "\r\033[Klooking at %s%s%s", row->name, t ? " of " : "",
			t ? t->t->label : "");
	else
		(void)fprintf(stderr, "\r\033[K");
	(void)fflush(stderr);
}

static void
run_row(struct vs_doc *d, const struct vs_doc_row *row, struct vs_doc_token *t, struct line *line)
{
	const unsigned have = d->have | (t ? t->have : 0);
	line->row = row;
	line->token = t ? t->t->label : NULL;
	if ((row->needs & ~have) != 0) {
		static const char *const words[DOC_COUNT_] = {"file-modes", "configuration",
			"ca-bundle", "tpm", "policy", "credential", "attestation-service", "vault",
			"permission-get"};
		unsigned first = 0;
		while (!(row->needs & ~have & (1u << first)))
			first++;
		(void)snprintf(line->r.found, sizeof line->r.found, "not looked at: first mend %s",
			words[first]);
		return;
	}
	progress(row, t);
	row->look(d, t, &line->r);
	if (line->r.state == VS_DOC_GOOD || line->r.state == VS_DOC_WARN)
		*(t ? &t->have : &d->have) |= row->gives;
	progress(NULL, NULL);
}

/* What is to be mended first counts. */
static int
worse(int a, int b)
{
	static const int order[] = {[VS_EXIT_OK] = 0,
		[VS_EXIT_TEMPORARY] = 1,
		[VS_EXIT_REFUSED] = 2,
		[VS_EXIT_USAGE] = 3};
	return order[b] > order[a] ? b : a;
}

static const char *const state_words[] = {"--", "ok", "warn", "NO"};

static void
print_line(const struct line *l)
{
	char what[120];
	(void)snprintf(what, sizeof what, "%s%s%s%s", l->row->name, l->token ? " [" : "",
		l->token ? l->token : "", l->token ? "]" : "");
	(void)printf("%-4s  %-32s %s\n", state_words[l->r.state], what, l->r.found);
	if (l->r.state == VS_DOC_WARN || l->r.state == VS_DOC_BAD)
		(void)printf("        expected: %s\n        remedy:   %s\n", l->row->expected,
			l->row->remedy);
	(void)fflush(stdout);
}

static json_t *
line_json(const struct line *l)
{
	static const char *const words[] = {"skipped", "ok", "warning", "bad"};
	return json_pack("{s:s, s:s?, s:s, s:s, s:s, s:s, s:i}", "row", l->row->name, "token",
		l->token, "state", words[l->r.state], "found", l->r.found, "expected",
		l->row->expected, "remedy", l->row->remedy, "exit", l->r.exit_code);
}

/* One row and all that it rests on. False: there is no such row. */
static bool
choose(const char *name, bool *wanted)
{
	unsigned needs = 0, before;
	bool found = false;
	for (size_t i = 0; i < vs_n_doc_rows; i++) {
		wanted[i] = !name || strcmp(name, vs_doc_rows[i].name) == 0;
		found = found || wanted[i];
		needs |= wanted[i] ? vs_doc_rows[i].needs : 0;
	}
	do {
		before = needs;
		for (size_t i = 0; i < vs_n_doc_rows; i++) {
			wanted[i] = wanted[i] || (vs_doc_rows[i].gives & needs) != 0;
			needs |= wanted[i] ? vs_doc_rows[i].needs : 0;
		}
	} while (needs != before);
	return found;
}

static int
doctor(struct vs_doc *d, const bool *wanted, bool json)
{
	int code = VS_EXIT_OK;
	size_t counts[4] = {0};
	json_t *list = json_array();
	for (size_t i = 0; i < vs_n_doc_rows; i++) {
		const struct vs_doc_row *row = &vs_doc_rows[i];
		const size_t n = !wanted[i] ? 0 : row->per_token ? d->n_tokens : 1;
		for (size_t k = 0; k < n; k++) {
			struct line l = {0};
			run_row(d, row, row->per_token ? &d->tokens[k] : NULL, &l);
			counts[l.r.state]++;
			code = worse(code, l.r.exit_code);
			if (json)
				(void)json_array_append_new(list, line_json(&l));
			else
				print_line(&l);
		}
	}
	const bool lab = d->w.conf && d->w.conf->lab;
	if (json) {
		json_t *o = json_pack("{s:s, s:b, s:i, s:O}", "file", d->path, "lab", lab, "exit",
			code, "rows", list);
		if (!o || json_dumpf(o, stdout, JSON_COMPACT) != 0)
			code = VS_EXIT_USAGE;
		json_decref(o);
		(void)printf("\n");
	} else {
		(void)printf("\n%zu right, %zu warnings, %zu to mend, %zu not looked at%s\n",
			counts[VS_DOC_GOOD], counts[VS_DOC_WARN], counts[VS_DOC_BAD],
			counts[VS_DOC_SKIPPED], lab ? "  [LAB: protects nothing]" : "");
	}
	json_decref(list);
	return vs_cli_done(code);
}

/* The rows themselves: nothing is looked at. */
static int
list_rows(bool json)
{
	json_t *list = json_array();
	for (size_t i = 0; i < vs_n_doc_rows; i++) {
		const struct vs_doc_row *row = &vs_doc_rows[i];
		if (json)
			(void)json_array_append_new(list,
				json_pack("{s:s, s:b, s:s, s:s}", "row", row->name, "per_token",
					row->per_token, "expected", row->expected, "remedy",
					row->remedy));
		else
			(void)printf("%-20s %s\n", row->name, row->expected);
	}
	int code = VS_EXIT_OK;
	if (json) {
		code = json_dumpf(list, stdout, JSON_COMPACT) == 0 ? VS_EXIT_OK : VS_EXIT_USAGE;
		(void)printf("\n");
	}
	json_decref(list);
	return vs_cli_done(code);
}

static void
doc_done(struct vs_doc *d)
{
	for (size_t i = 0; i < d->n_tokens; i++) {
		struct vs_doc_token *t = &d->tokens[i];
		vs_catalog_data_free(t->catalog);
		vs_akv_free(t->akv);
		if (t->cred.ops)
			t->cred.ops->free(t->cred.self);
		vs_policy_unref(t->policy);
	}
	vs_cli_world_done(&d->w);
}

int
vs_cmd_doctor(int argc, char **argv)
{
	static const struct option options[] = {{"help", no_argument, NULL, 'h'},
		{"json", no_argument, NULL, 'j'}, {"row", required_argument, NULL, 'r'},
		{"config", required_argument, NULL, 'c'}, {"list", no_argument, NULL, 'l'}, {0}};
	static struct vs_doc d;
	bool wanted[sizeof vs_doc_rows / sizeof vs_doc_rows[0]];
	const char *row = NULL;
	const char *config = NULL;
	bool json = false, list = false;
	optind = 0;
	opterr = 0;
	for (int c; (c = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
		switch (c) {
		case 'h': return vs_cli_help(help);
		case 'j': json = true; break;
		case 'c': config = optarg; break;
		case 'r': row = optarg; break;
		case 'l': list = true; break;
		default: return vs_cli_bad_option("doctor", argv);
		}
	}
	if (!vs_cli_use_config(config))
		return vs_cli_usage("doctor", "out of memory");
	if (optind != argc)
		return vs_cli_usage("doctor", "'%.60s' is one word too many", argv[optind]);
	if (list)
		return list_rows(json);
	if (!choose(row, wanted))
		return vs_cli_usage("doctor", "there is no row '%.60s' (--list has them)", row);
	d.path = vs_conf_default_path();
	const int code = doctor(&d, wanted, json);
	doc_done(&d);
	return code;
}
