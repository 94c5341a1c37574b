/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "audit/verify.h"
#include "base/clock.h"
#include "core/checkpoint.h"
#include "tools/audit.h"
#include "tools/cli.h"

static const char help[] =
	"usage: vouchsafe audit verify [--checkpoint SEQ:HASH] [--no-tpm] [--config FILE] "
	"[--json]\n"
	"           [FILE...]\n"
	"       vouchsafe audit verify --bundle DIR (--signer FILE | --ca FILE)\n"
	"           [--checkpoint SEQ:HASH] [--json]\n"
	"       vouchsafe audit show [--since TIME] [--until TIME] [--last N] [--event NAME]\n"
	"           [--token LABEL] [--key NAME] [--result WORD] [--checks] [--config FILE] "
	"[--json]\n"
	"           [FILE...]\n"
	"       vouchsafe audit export --out DIR [--config FILE] [--json] [FILE...]\n"
	"       vouchsafe audit checkpoint [--config FILE] [--json]\n\n"
	"verify      Check that the audit log is whole: every record is unchanged, in its place,\n"
	"            none missing, none added. FILE is the configured log unless given; several\n"
	"            files of a log that was rotated are given oldest first. A file cannot prove "
	"by\n"
	"            itself that its end was not cut off: the configured log is compared with its\n"
	"            last checkpoint in the TPM and in state-dir; others with --checkpoint, a "
	"last\n"
	"            record noted earlier.\n"
	"            --bundle: what 'audit export' made. --signer is the attestation key, or its\n"
	"            certificate; --ca who signs such certificates.\n"
	"show        Records, readable; 'audit show --help' says more.\n"
	"export      A signed bundle for an auditor; 'audit export --help' says more.\n"
	"checkpoint  Note in the TPM and in state-dir how far the log has come. The agent does "
	"this\n"
	"            at every 64th record, at most every five minutes.\n"
	"Exit status: 0 whole, 1 not whole, 2 the file cannot be read, 3 no TPM for a "
	"checkpoint.\n";

struct args {
	const char *config, *bundle, *signer, *ca;
	bool json, no_tpm, have_checkpoint;
	struct vs_audit_checkpoint checkpoint;
	size_t n;
	const char *files[VS_AUDIT_FILES_MAX];
};

static bool
parse_checkpoint(const char *text, struct vs_audit_checkpoint *ret)
{
	char *end = NULL;
	errno = 0;
	ret->seq = strtoull(text, &end, 10);
	if (text[0] < '1' || text[0] > '9' || errno != 0 || *end != ':' || strlen(end + 1) != 64 ||
		strspn(end + 1, "0123456789abcdef") != 64)
		return false;
	memcpy(ret->hash, end + 1, 65);
	return true;
}

/* What is known outside the file. */
struct outside {
	bool note; /* of state-dir, found in the log */
	bool tpm; /* compared with the TPM's counter */
	uint64_t counter;
	char sentence[512]; /* why the TPM was not asked */
};

static void
print_end(const struct vs_audit_report *r, const struct outside *o)
{
	if (o->tpm)
		(void)printf("up to record %" PRIu64 " proven by the TPM (counter %" PRIu64 ")\n",
			r->counter_seq, o->counter);
	if (o->sentence[0] != '\0')
		(void)printf("not compared with the TPM: %s\n", o->sentence);
	if (r->counter_older)
		(void)printf("the TPM's counter is older than this log: an earlier log may have "
			     "been removed\n");
	if (r->has_after)
		(void)printf(
			"the log was rotated: earlier files can be given, too, oldest first\n");
	if (r->n_unnamed)
		(void)printf("%" PRIu64 " records at the end of earlier files come after the one "
			     "that the next file names: a crash, or they were added later\n",
			r->n_unnamed);
	if (r->n_clock_back)
		(void)printf(
			"the clock went backwards before %" PRIu64 " records\n", r->n_clock_back);
	if (r->n_tpm_back)
		(void)printf("the TPM's clock or counts went backwards before %" PRIu64
			     " records: another TPM, or one that was cleared\n",
			r->n_tpm_back);
}

static void
print_text(const char *const *files, const struct vs_audit_report *r, const struct outside *o)
{
	const char *path = files[r->bad_file];
	if (!r->ok) {
		(void)printf("%s: NOT WHOLE: ", path);
		if (r->bad_line != 0)
			(void)printf(
				"line %" PRIu64 ", record %" PRIu64 ": ", r->bad_line, r->bad_seq);
		(void)printf("%s\n", r->reason);
		return;
	}
	(void)printf("%s: whole: %" PRIu64 " records%s, %s\n", path, r->n_records,
		r->lab ? " (LAB)" : "",
		r->tail_proven              ? "end proven by the checkpoint"
			: o->tpm || o->note ? "nothing that a checkpoint covers is missing"
					    : "end not proven (no checkpoint given)");
	print_end(r, o);
	if (r->torn_tail)
		(void)printf("the last write was interrupted; the next writer keeps the rest "
			     "beside the file\n");
	if (r->n_recoveries)
		(void)printf("%" PRIu64 " interrupted writes were recovered\n", r->n_recoveries);
	(void)printf("last record: %" PRIu64 ":%s\n", r->last_seq, r->last_hash);
}

static int
print_json(const char *const *files, const struct vs_audit_report *r, const struct outside *t)
{
	json_t *o =
		json_pack("{s:s, s:b, s:b, s:b, s:I, s:I, s:s, s:b, s:b, s:I, s:I, s:I, s:I, s:I}",
			"file", files[r->bad_file], "whole", r->ok, "tail_proven", r->tail_proven,
			"torn_tail", r->torn_tail, "records", (json_int_t)r->n_records, "last_seq",
			(json_int_t)r->last_seq, "last_hash", r->last_hash, "lab", r->lab, "tpm",
			t->tpm, "checkpoints", (json_int_t)r->n_checkpoints, "checkpoint_seq",
			(json_int_t)r->counter_seq, "clock_back", (json_int_t)r->n_clock_back,
			"tpm_back", (json_int_t)r->n_tpm_back, "unnamed", (json_int_t)r->n_unnamed);
	if (o && !r->ok) {
		(void)json_object_set_new(o, "bad_line", json_integer((json_int_t)r->bad_line));
		(void)json_object_set_new(o, "bad_seq", json_integer((json_int_t)r->bad_seq));
		(void)json_object_set_new(o, "reason", json_string(r->reason));
	}
	const bool ok = o && json_dumpf(o, stdout, JSON_COMPACT) == 0;
	json_decref(o);
	(void)printf("\n");
	return ok ? VS_EXIT_OK : VS_EXIT_USAGE;
}

/* The note of state-dir is of this log: then the record must be in it. */
static VS_RC
compare_note(const struct args *a, const struct vs_conf *conf, struct vs_audit_report *r,
	struct outside *o, struct vs_err *err)
{
	struct vs_audit_known known;
	struct vs_audit_checkpoint cp = {0};
	if (a->have_checkpoint || !r->ok || !vs_checkpoint_known(conf, &known) ||
		strcmp(known.log_id, r->last_log_id) != 0)
		return VS_OK;
	cp.seq = known.seq;
	(void)snprintf(cp.hash, sizeof cp.hash, "%s", known.hash);
	o->note = true;
	return vs_audit_verify_files(a->files, a->n, &cp, r, err);
}

static void
compare_tpm(const struct vs_conf *conf, struct vs_audit_report *r, struct outside *o)
{
	const struct vs_checkpoint_env env = {.conf = conf, .clock = vs_clock_system()};
	struct vs_err why = {0};
	bool exists = false;
	if (vs_failed(vs_checkpoint_counter(&env, &exists, &o->counter, &why))) {
		vs_err_sentence(&why, o->sentence, sizeof o->sentence);
		return;
	}
	if (!exists && r->n_checkpoints == 0) {
		(void)snprintf(o->sentence, sizeof o->sentence, "there is no checkpoint yet");
		return;
	}
	if (r->n_checkpoints == 0 && r->has_after) {
		(void)snprintf(o->sentence, sizeof o->sentence,
			"the last checkpoint is in an earlier file");
		return;
	}
	vs_audit_compare_counter(r, o->counter);
	o->tpm = r->ok;
}

static int
verify(struct args *a, const struct vs_conf *conf)
{
	struct vs_err err = {0};
	struct vs_audit_report r = {0};
	struct outside o = {0};
	vs_rc rc = vs_audit_verify_files(
		a->files, a->n, a->have_checkpoint ? &a->checkpoint : NULL, &r, &err);
	const bool ours = conf != NULL && conf->audit_log != NULL &&
		strcmp(a->files[a->n - 1], conf->audit_log) == 0;
	if (!vs_failed(rc) && ours)
		rc = compare_note(a, conf, &r, &o, &err);
	if (vs_failed(rc)) {
		(void)vs_cli_fail(rc, &err);
		return VS_EXIT_USAGE;
	}
	if (ours && r.ok && !a->no_tpm)
		compare_tpm(conf, &r, &o);
	if (!a->json)
		print_text(a->files, &r, &o);
	else if (print_json(a->files, &r, &o) != VS_EXIT_OK)
		return VS_EXIT_USAGE;
	return vs_cli_done(r.ok ? VS_EXIT_OK : VS_EXIT_REFUSED);
}

static int
checkpoint(const struct args *a)
{
	VS_CLEANUP(vs_cli_world_done) struct vs_cli_world w = {0};
	struct vs_checkpoint_made made = {0};
	struct vs_err err = {0};
	vs_rc rc = vs_cli_world_open(a->config, &w, &err);
	if (!vs_failed(rc) && w.audit == NULL)
		return vs_cli_usage("audit", "the configuration names no audit log");
	const struct vs_checkpoint_env env = {.conf = w.conf, .clock = w.clock, .log = w.log};
	if (!vs_failed(rc))
		rc = vs_checkpoint_make(&env, w.audit, &made, &err);
	if (vs_failed(rc))
		return vs_cli_fail(rc, &err);
	if (a->json)
		(void)printf("{\"seq\":%" PRIu64 ",\"hash\":\"%s\",\"counter\":%" PRIu64
			     ",\"nv\":\"%08x\"}\n",
			made.at.seq, made.at.hash, made.counter, (unsigned)made.index);
	else
		(void)printf("checkpoint at %" PRIu64 ":%s, counter %" PRIu64
			     " in the TPM (NV 0x%08X)\n",
			made.at.seq, made.at.hash, made.counter, (unsigned)made.index);
	return vs_cli_done(VS_EXIT_OK);
}

int
vs_audit_default_file(const char *config, struct vs_conf **ret_conf, const char **files, size_t *n)
{
	struct vs_err err = {0};
	struct vs_conf *conf = NULL;
	const vs_rc rc =
		vs_conf_load(config != NULL ? config : vs_conf_default_path(), &conf, &err);
	*ret_conf = conf;
	/* A file can be looked at on a machine that has no configuration. */
	if (vs_failed(rc) && (*n == 0 || config != NULL))
		return vs_cli_fail(rc, &err);
	if (*n == 0)
		files[(*n)++] = conf->audit_log;
	if (files[0] != NULL)
		return VS_EXIT_OK;
	vs_conf_free(conf);
	*ret_conf = NULL;
	return vs_cli_usage("audit", "the configuration names no audit log");
}

static int
verify_conf(struct args *a)
{
	struct vs_conf *conf = NULL;
	if (a->bundle != NULL) {
		const struct vs_audit_bundle_args b = {.dir = a->bundle,
			.signer = a->signer,
			.ca = a->ca,
			.earlier = a->have_checkpoint ? &a->checkpoint : NULL,
			.json = a->json};
		return a->n == 0 ? vs_audit_verify_bundle(&b)
				 : vs_cli_usage("audit", "--bundle takes no FILE");
	}
	if (a->signer != NULL || a->ca != NULL)
		return vs_cli_usage("audit", "--signer and --ca are for --bundle");
	int code = vs_audit_default_file(a->config, &conf, a->files, &a->n);
	if (code == VS_EXIT_OK)
		code = verify(a, conf);
	vs_conf_free(conf);
	return code;
}

int
vs_cmd_audit(int argc, char **argv)
{
	static const struct option options[] = {{"help", no_argument, NULL, 'h'},
		{"json", no_argument, NULL, 'j'}, {"checkpoint", required_argument, NULL, 'c'},
		{"no-tpm", no_argument, NULL, 't'}, {"config", required_argument, NULL, 'f'},
		{"bundle", required_argument, NULL, 'b'}, {"signer", required_argument, NULL, 's'},
		{"ca", required_argument, NULL, 'a'}, {0}};
	static struct args a;
	a = (struct args){0};
	if (argc > 1 && strcmp(argv[1], "show") == 0)
		return vs_audit_show(argc - 1, argv + 1);
	if (argc > 1 && strcmp(argv[1], "export") == 0)
		return vs_audit_export(argc - 1, argv + 1);
	optind = 0;
	opterr = 0;
	for (int c; (c = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
		switch (c) {
		case 'h': return vs_cli_help(help);
		case 'j': a.json = true; break;
		case 't': a.no_tpm = true; break;
		case 'f': a.config = optarg; break;
		case 'b': a.bundle = optarg; break;
		case 's': a.signer = optarg; break;
		case 'a': a.ca = optarg; break;
		case 'c':
			if (!parse_checkpoint(optarg, &a.checkpoint))
				return vs_cli_usage("audit",
					"a checkpoint is SEQ:HASH as 'audit verify' prints it");
			a.have_checkpoint = true;
			break;
		default: return vs_cli_bad_option("audit", argv);
		}
	}
	const char *what = optind < argc ? argv[optind] : "";
	if (strcmp(what, "checkpoint") == 0 && optind + 1 == argc && !a.have_checkpoint)
		return checkpoint(&a);
	if (strcmp(what, "verify") != 0)
		return vs_cli_usage(
			"audit", "expected 'verify [FILE...]', 'show', 'export' or 'checkpoint'");
	for (int i = optind + 1; i < argc; i++) {
		if (a.n == VS_AUDIT_FILES_MAX)
			return vs_cli_usage("audit", "more than %d files", VS_AUDIT_FILES_MAX);
		a.files[a.n++] = argv[i];
	}
	return verify_conf(&a);
}
