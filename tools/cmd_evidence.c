/* SPDX-License-Identifier: BSD-2-Clause */
/* vouchsafe evidence: this machine's evidence, or a saved set, judged locally. */
#include <getopt.h>
#include <jansson.h>
#include <string.h>

#include "attest/maa.h"
#include "base/clock.h"
#include "base/codec.h"
#include "base/file.h"
#include "base/log.h"
#include "evidence/check.h"
#include "evidence/ev_azguest.h"
#include "evidence/hcl.h"
#include "evidence/verify.h"
#include "tools/cli.h"

static const char help[] =
	"usage: vouchsafe evidence show [--config FILE] [--token LABEL] [--save DIR] [OPTIONS]\n"
	"       vouchsafe evidence verify DIR [OPTIONS]\n\n"
	"show    collect this machine's evidence with a fresh nonce and judge it here; nothing is\n"
	"        sent to an attestation service. --save writes the set to a new directory.\n"
	"verify  judge a saved set. No TPM, no network, no clock if --at is given.\n\n"
	"  --nonce HEX|TEXT      what the quote must contain; default: the set's nonce.bin\n"
	"  --at UNIXTIME         judge certificates at this time; default: now\n"
	"  --pcrs LIST           PCRs that must be quoted, such as 0-7,11; default for verify: "
	"those\n"
	"                        of the set and 0 to 7, for show: the token's\n"
	"  --user-data RULE      hash (default): the report holds SHA-256 of the nonce; raw: the "
	"nonce;\n"
	"                        any: not asked\n"
	"  --vm-id UUID          the virtual machine it must be of\n"
	"  --roots DIR           root certificates of a lab in place of the vendors'; default for\n"
	"                        show: evidence-roots\n"
	"  --trusted-launch      a machine without hardware report is acceptable\n"
	"  --insecure-boot       Secure Boot off is said, not refused\n"
	"  --no-transport-key    the set has none\n"
	"  --require-log         the event log must be there\n"
	"  --collateral DIR      lists of revoked certificates, Intel's statements, "
	"intermediates;\n"
	"                        default for show: collateral\n"
	"  --require-collateral  what those would tell must be known\n"
	"  --tcb LIST            what Intel may say of the versions, such as\n"
	"                        UpToDate,SWHardeningNeeded; default: UpToDate\n"
	"  --ima RULE            list: the list of measured files explains PCR 10; signed: and "
	"each\n"
	"                        file is signed\n"
	"  --ima-keys FILE       certificates of the keys that sign files (PEM)\n"
	"  --json                every check on standard output as JSON\n\n"
	"A machine that judges itself proves nothing to others: this finds what a service would "
	"refuse,\n"
	"and checks sets of other machines.\n"
	"Exit status: 0 accepted, 1 refused, 2 usage or file, 3 no TPM, try again.\n";

struct args {
	const char *config, *token, *save, *dir, *nonce, *at, *pcrs, *user_data, *vm_id, *roots;
	const char *collateral, *tcb, *ima, *ima_keys;
	bool require_collateral;
	bool trusted_launch, insecure_boot, no_transport_key, require_log, json, help;
	const char *odd; /* what parse_args() stopped at */
};

enum { NONCE_MAX = 64, KEYS_MAX = 256 * 1024, BOOT_PCRS = 0xFF };
#define AT_MAX INT64_C(253402300799) /* the year 9999 */

/* ---- arguments ------------------------------------------------------------------------------ */

static const struct option options[] = {
	{"config", required_argument, NULL, 'c'},
	{"token", required_argument, NULL, 't'},
	{"save", required_argument, NULL, 's'},
	{"nonce", required_argument, NULL, 'n'},
	{"at", required_argument, NULL, 'a'},
	{"pcrs", required_argument, NULL, 'p'},
	{"user-data", required_argument, NULL, 'u'},
	{"vm-id", required_argument, NULL, 'v'},
	{"roots", required_argument, NULL, 'r'},
	{"trusted-launch", no_argument, NULL, 'T'},
	{"insecure-boot", no_argument, NULL, 'I'},
	{"no-transport-key", no_argument, NULL, 'N'},
	{"require-log", no_argument, NULL, 'L'},
	{"collateral", required_argument, NULL, 'C'},
	{"require-collateral", no_argument, NULL, 'Q'},
	{"tcb", required_argument, NULL, 'B'},
	{"ima", required_argument, NULL, 'i'},
	{"ima-keys", required_argument, NULL, 'k'},
	{"json", no_argument, NULL, 'j'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

static bool
parse_args(int argc, char **argv, struct args *a)
{
	int c = 0;
	optind = 0;
	opterr = 0;
	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'c': a->config = optarg; break;
		case 't': a->token = optarg; break;
		case 's': a->save = optarg; break;
		case 'n': a->nonce = optarg; break;
		case 'a': a->at = optarg; break;
		case 'p': a->pcrs = optarg; break;
		case 'u': a->user_data = optarg; break;
		case 'v': a->vm_id = optarg; break;
		case 'r': a->roots = optarg; break;
		case 'T': a->trusted_launch = true; break;
		case 'I': a->insecure_boot = true; break;
		case 'N': a->no_transport_key = true; break;
		case 'L': a->require_log = true; break;
		case 'C': a->collateral = optarg; break;
		case 'Q': a->require_collateral = true; break;
		case 'B': a->tcb = optarg; break;
		case 'i': a->ima = optarg; break;
		case 'k': a->ima_keys = optarg; break;
		case 'j': a->json = true; break;
		case 'h': a->help = true; return true;
		default: a->odd = argv[optind - 1]; return false;
		}
	}
	if (optind < argc)
		a->dir = argv[optind++];
	a->odd = argv[optind];
	return optind == argc;
}

static bool
parse_number(const char *s, const char **end, int64_t max, int64_t *ret)
{
	int64_t v = 0;
	if (*s < '0' || *s > '9')
		return false;
	for (; *s >= '0' && *s <= '9'; s++) {
		v = v * 10 + (*s - '0');
		if (v > max)
			return false;
	}
	*ret = v;
	*end = s;
	return true;
}

/* "0-7,11" */
static bool
parse_pcrs(const char *s, uint32_t *ret)
{
	*ret = 0;
	for (;;) {
		int64_t from = 0, to = 0;
		if (!parse_number(s, &s, VS_PCRS_MAX - 1, &from))
			return false;
		to = from;
		if (*s == '-' && !parse_number(s + 1, &s, VS_PCRS_MAX - 1, &to))
			return false;
		if (to < from)
			return false;
		for (int64_t i = from; i <= to; i++)
			*ret |= 1U << i;
		if (*s == '\0')
			return true;
		if (*s++ != ',')
			return false;
	}
}

/* "UpToDate,SWHardeningNeeded"; what is revoked or not known cannot be allowed. */
static bool
parse_tcb(const char *s, uint32_t *ret)
{
	*ret = 0;
	for (;;) {
		const size_t n = strcspn(s, ",");
		int i = VS_TCB_UP_TO_DATE;
		while (i < VS_TCB_REVOKED &&
			!vs_bytes_eq_str(
				vs_bytes_of(s, n), vs_tcb_status_name((enum vs_tcb_status)i)))
			i++;
		if (i == VS_TCB_REVOKED)
			return false;
		*ret |= 1U << i;
		if (s[n] == '\0')
			return true;
		s += n + 1;
	}
}

static VS_RC
fill_expect(const struct args *a, struct vs_evidence_expect *x, struct vs_err *err)
{
	int64_t at = 0;
	const char *end = "";
	x->at_unix = vs_clock_system().ops->wall_unix(NULL);
	if (a->at != NULL && (!parse_number(a->at, &end, AT_MAX, &at) || *end != '\0'))
		VS_FAIL(err, USAGE, "--at is not a time in seconds since 1970");
	if (a->at != NULL)
		x->at_unix = at;
	if (a->pcrs != NULL && !parse_pcrs(a->pcrs, &x->pcr_mask))
		VS_FAIL(err, USAGE, "--pcrs is not a list of numbers from 0 to 23, such as 0-7,11");
	const char *rule = a->user_data != NULL ? a->user_data : "hash";
	if (strcmp(rule, "hash") == 0)
		x->user_data = VS_USER_DATA_HASH;
	else if (strcmp(rule, "raw") == 0)
		x->user_data = VS_USER_DATA_RAW;
	else if (strcmp(rule, "any") == 0)
		x->user_data = VS_USER_DATA_ANY;
	else
		VS_FAIL(err, USAGE, "--user-data is hash, raw or any");
	if (a->tcb != NULL && !parse_tcb(a->tcb, &x->allowed_tcb_status))
		VS_FAIL(err, USAGE, "--tcb has a word that Intel does not use, or Revoked");
	if (a->ima != NULL && strcmp(a->ima, "list") == 0)
		x->ima = VS_IMA_LIST;
	else if (a->ima != NULL && strcmp(a->ima, "signed") == 0 && a->ima_keys != NULL)
		x->ima = VS_IMA_SIGNED;
	else if (a->ima != NULL)
		VS_FAIL(err, USAGE, "--ima is list, or signed with --ima-keys");
	x->collateral_required = a->require_collateral;
	x->allow_trusted_launch = a->trusted_launch;
	x->allow_insecure_boot = a->insecure_boot;
	x->no_transport_key = a->no_transport_key;
	x->require_event_log = a->require_log;
	x->vm_id = a->vm_id;
	return VS_OK;
}

/* ---- report --------------------------------------------------------------------------------- */

static const char *
tee_name(enum vs_tee tee)
{
	switch (tee) {
	case VS_TEE_SNP: return "AMD SEV-SNP";
	case VS_TEE_TDX: return "Intel TDX";
	case VS_TEE_TRUSTED_LAUNCH: return "Trusted Launch";
	case VS_TEE_NONE:
	case VS_TEE_COUNT_: break;
	}
	return "none";
}

static void
print_text(const struct vs_evidence *ev, const struct vs_verdict *v)
{
	struct vs_runtime rt = {.vm_id = ""};
	if (ev->runtime_json.n != 0 &&
		vs_failed(vs_runtime_parse(vs_buf_view(&ev->runtime_json), &rt, NULL)))
		rt.vm_id[0] = '\0';
	(void)printf("hardware       %s\n", tee_name(ev->tee));
	if (rt.vm_id[0] != '\0')
		(void)printf("machine        %s (as it says)\n", rt.vm_id);
	for (unsigned i = 0; i < VS_PCRS_MAX; i++) {
		char hex[65];
		if ((ev->pcr_mask >> i & 1) == 0)
			continue;
		vs_hex_str(ev->pcr[i], 32, hex, sizeof hex);
		(void)printf("PCR %-2u         %s\n", i, hex);
	}
	(void)printf("event log      %zu bytes\n", ev->event_log.n);
	(void)printf("measured files %zu bytes\n\n", ev->ima_list.n);
	for (size_t i = 0; i < v->n_checks; i++) {
		const struct vs_check *c = &v->checks[i];
		(void)printf("%-4s %-5s %-40s",
			!c->passed                    ? "NO"
				: vs_check_skipped(c) ? "--"
						      : "ok",
			c->rule, c->name);
		if (!c->passed)
			(void)printf(" expected %s, seen", c->expected);
		(void)printf(" %s\n", c->seen);
	}
}

static void
print_json(const struct vs_evidence *ev, const struct vs_verdict *v)
{
	json_t *list = json_array();
	for (size_t i = 0; list != NULL && i < v->n_checks; i++) {
		const struct vs_check *c = &v->checks[i];
		(void)json_array_append_new(list,
			json_pack("{s:s, s:s, s:s, s:s, s:b, s:b}", "rule", c->rule, "name",
				c->name, "expected", c->expected, "seen", c->seen, "passed",
				c->passed, "evaluated", !vs_check_skipped(c)));
	}
	json_t *o = json_pack("{s:b, s:s, s:o}", "accepted", v->passed, "hardware",
		tee_name(ev->tee), "checks", list);
	if (o == NULL || json_dumpf(o, stdout, JSON_COMPACT) != 0)
		(void)fprintf(stderr, "vouchsafe: out of memory\n");
	(void)printf("\n");
	json_decref(o);
}

/* What the evidence is judged by, from files. */
struct means {
	struct vs_roots roots;
	struct vs_collateral collateral;
	struct vs_ev_certs ima_keys;
};

static void
means_done(struct means *m)
{
	vs_roots_done(&m->roots);
	vs_collateral_done(&m->collateral);
	vs_ev_certs_done(&m->ima_keys);
}

static VS_RC
load_means(const struct args *a, struct means *m, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf pem = {.max = KEYS_MAX};
	if (a->roots != NULL)
		VS_TRY(vs_roots_load(a->roots, &m->roots, err));
	else
		VS_TRY(vs_roots_production(&m->roots, err));
	if (a->collateral != NULL)
		VS_TRY(vs_collateral_load(a->collateral, VS_FILE_ANY, &m->collateral, err));
	if (a->ima_keys == NULL)
		return VS_OK;
	VS_TRY(vs_file_read(a->ima_keys, KEYS_MAX, VS_FILE_ANY, &pem, err));
	return vs_ev_certs_pem(vs_buf_view(&pem), &m->ima_keys, err);
}

static int
judge(const struct args *a, const struct vs_evidence *ev, struct vs_evidence_expect *x,
	struct vs_err *err)
{
	VS_CLEANUP(means_done) struct means m = {.ima_keys = {.n = 0}};
	static struct vs_verdict v;
	vs_rc rc = load_means(a, &m, err);
	if (vs_failed(rc)) {
		(void)vs_cli_fail(rc, err);
		return VS_EXIT_USAGE;
	}
	x->roots = &m.roots;
	x->collateral = &m.collateral;
	x->ima_keys.certs = &m.ima_keys;
	/* Nobody who hands over a set chooses that the boot is not in it. */
	if (x->pcr_mask == 0)
		x->pcr_mask = ev->pcr_mask | BOOT_PCRS;
	rc = vs_evidence_verify(ev, x, &v, err);
	if (a->dir != NULL && a->nonce == NULL)
		vs_check_add(&v, "T-A1", "nonce of the verifier", true, "--nonce",
			"not evaluated: it is the set's own, so how old the set is is unknown");
	if (a->json)
		print_json(ev, &v);
	else
		print_text(ev, &v);
	if (vs_failed(rc))
		return vs_cli_done(vs_cli_fail(rc, err));
	if (!a->json)
		(void)printf("\naccepted%s\n",
			a->roots != NULL ? " by a lab's roots, not by the vendors'" : "");
	return vs_cli_done(VS_EXIT_OK);
}

/* ---- show, verify --------------------------------------------------------------------------- */

static int
verify(const struct args *a)
{
	VS_CLEANUP(vs_evidence_done) struct vs_evidence ev = {.kind = VS_EVIDENCE_NONE};
	VS_CLEANUP(vs_buf_done) struct vs_buf nonce = {.max = NONCE_MAX};
	struct vs_evidence_expect x = {.at_unix = 0};
	struct vs_err err = {0};
	vs_rc rc = fill_expect(a, &x, &err);
	if (!vs_failed(rc))
		rc = vs_evidence_load(a->dir, &ev, &err);
	if (vs_failed(rc)) {
		/* A file that cannot be read is the caller's, whatever the category. */
		(void)vs_cli_fail(rc, &err);
		return VS_EXIT_USAGE;
	}
	x.nonce = vs_bytes_of(ev.nonce, sizeof ev.nonce);
	if (a->nonce == NULL)
		return judge(a, &ev, &x, &err);
	if (vs_failed(vs_hex_decode(vs_bytes_str(a->nonce), &nonce, NULL))) {
		vs_buf_reset(&nonce);
		rc = vs_buf_add_str(&nonce, a->nonce, &err);
	}
	if (vs_failed(rc))
		return vs_cli_usage("evidence", "--nonce is longer than %d bytes", NONCE_MAX);
	x.nonce = vs_buf_view(&nonce);
	return judge(a, &ev, &x, &err);
}

/* AMD's certificates are beside the TPM, at the metadata service; without them SNP is refused. */
static void
fetch_certificates(struct vs_cli_world *w, struct vs_evidence *ev)
{
	const struct vs_net net = {.http = vs_http_curl_port(w->curl),
		.clock = w->clock,
		.rng = w->rng,
		.log = w->log};
	const int64_t deadline =
		w->clock.ops->boot_ns(w->clock.self) + w->conf->request_timeout_ms * 1000000;
	struct vs_err err = {0};
	vs_rc rc = VS_OK;
	if (ev->tee == VS_TEE_SNP)
		rc = vs_maa_amd_chain(&net, w->conf->imds, &vs_http_retry_none, deadline,
			&ev->vcek_chain_pem, &err);
	if (ev->tee == VS_TEE_TDX)
		rc = vs_maa_td_quote(&net, w->conf->imds, vs_buf_view(&ev->hw_report), deadline,
			&ev->td_quote, &err);
	if (vs_failed(rc))
		vs_log_err(&w->log, VS_LOG_WARN, "evidence", "the metadata service gave nothing",
			&err);
}

static VS_RC
collect(struct vs_cli_world *w, const struct vs_conf_token *token, bool with_ima,
	struct vs_evidence *ev, struct vs_err *err)
{
	char lock[512];
	uint8_t nonce[VS_NONCE_BYTES];
	struct vs_evidence_src src;
	(void)snprintf(lock, sizeof lock, "%s/tpm.lock", w->conf->state_dir);
	const struct vs_azguest_env env = {.tcti = w->conf->tcti,
		.lock_path = lock,
		.event_log = w->conf->event_log,
		.ima_log = with_ima ? w->conf->ima_log : NULL,
		.pcr_mask = token->pcr_mask,
		.clock = w->clock,
		.rng = w->rng,
		.log = w->log};
	VS_TRY(w->rng.ops->fill(w->rng.self, nonce, sizeof nonce, err));
	VS_TRY(vs_azguest_open(&env, &src, err));
	const int64_t deadline =
		w->clock.ops->boot_ns(w->clock.self) + w->conf->operation_timeout_ms * 1000000;
	const vs_rc rc = src.ops->collect(src.self, nonce, deadline, ev, err);
	src.ops->close(src.self);
	return rc;
}

static int
show(const struct args *a)
{
	VS_CLEANUP(vs_cli_world_done) struct vs_cli_world w = {0};
	VS_CLEANUP(vs_evidence_done) struct vs_evidence ev = {.kind = VS_EVIDENCE_NONE};
	const struct vs_conf_token *token = NULL;
	struct vs_evidence_expect x = {.at_unix = 0};
	struct vs_err err = {0};
	vs_rc rc = fill_expect(a, &x, &err);
	if (!vs_failed(rc))
		rc = vs_cli_world_base(a->config, &w, &err);
	if (!vs_failed(rc))
		rc = vs_cli_token(w.conf, a->token, &token, &err);
	if (!vs_failed(rc))
		rc = vs_cli_world_talk(&w, &err);
	if (!vs_failed(rc))
		rc = collect(&w, token, a->ima != NULL, &ev, &err);
	if (vs_failed(rc))
		return vs_cli_fail(rc, &err);
	fetch_certificates(&w, &ev);
	if (x.pcr_mask == 0)
		x.pcr_mask = token->pcr_mask;
	if (a->save != NULL)
		rc = vs_evidence_save(a->save, &ev, &err);
	if (vs_failed(rc))
		return vs_cli_fail(rc, &err);
	x.nonce = vs_bytes_of(ev.nonce, sizeof ev.nonce);
	struct args with_roots = *a;
	if (with_roots.roots == NULL)
		with_roots.roots = w.conf->evidence_roots; /* a lab's; production has none */
	if (with_roots.collateral == NULL)
		with_roots.collateral = w.conf->collateral;
	if (with_roots.ima_keys == NULL)
		with_roots.ima_keys = w.conf->ima_keys;
	return judge(&with_roots, &ev, &x, &err);
}

int
vs_cmd_evidence(int argc, char **argv)
{
	struct args a = {.config = NULL};
	if (argc < 2)
		return vs_cli_usage("evidence", "say show or verify");
	const char *what = argv[1];
	if (!parse_args(argc - 1, argv + 1, &a))
		return vs_cli_usage("evidence",
			"'%.60s' is not known, lacks its value, or is one word too many", a.odd);
	if (a.help || strcmp(what, "--help") == 0 || strcmp(what, "-h") == 0)
		return vs_cli_help(help);
	if (strcmp(what, "show") == 0 && a.dir == NULL && a.nonce == NULL)
		return show(&a);
	if (strcmp(what, "verify") == 0 && a.dir != NULL && a.save == NULL && a.config == NULL)
		return verify(&a);
	return vs_cli_usage("evidence", "this is not how show or verify is used");
}
