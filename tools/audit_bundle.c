/* SPDX-License-Identifier: BSD-2-Clause */
/* `vouchsafe audit export`, and `audit verify --bundle`. */
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/codec.h"
#include "base/file.h"
#include "core/bundle.h"
#include "tools/audit.h"
#include "tools/cli.h"

static const char help[] =
	"usage: vouchsafe audit export --out DIR [--config FILE] [--json] [FILE...]\n\n"
	"Makes a checkpoint and writes the audit log up to it into a new folder, signed by the\n"
	"TPM's attestation key, for an auditor who needs no more than openssl: README.txt in it\n"
	"says how. FILE is the configured log unless given; of a log that was rotated the files "
	"are\n"
	"given oldest first, the configured one last.\n"
	"Exit status: 0, 1 the log is not whole, 2 a file or option is wrong, 3 no TPM.\n";

enum { SIGNER_MAX = 256 * 1024 };

/* ---- export ------------------------------------------------------------------------------ */

static void
fingerprint(const uint8_t sha256[32], char out[65])
{
	vs_hex_str(sha256, 32, out, 65);
}

static int
print_made(const char *dir, const struct vs_bundle_made *m, bool json)
{
	char key[65];
	fingerprint(m->signer_sha256, key);
	if (!json) {
		(void)printf("%s: %" PRIu64 " records%s, up to checkpoint %" PRIu64 " of the TPM\n"
			     "signed by attestation key sha256:%s%s\n"
			     "last record: %" PRIu64 ":%s\n",
			dir, m->log.n_records, m->log.lab ? " (LAB)" : "", m->counter, key,
			m->certificate ? "" : " (no certificate in this TPM)", m->log.last_seq,
			m->log.last_hash);
		return vs_cli_done(VS_EXIT_OK);
	}
	json_t *o = json_pack("{s:s, s:I, s:I, s:s, s:I, s:s, s:b, s:b}", "bundle", dir, "records",
		(json_int_t)m->log.n_records, "last_seq", (json_int_t)m->log.last_seq, "last_hash",
		m->log.last_hash, "counter", (json_int_t)m->counter, "signer_sha256", key,
		"certificate", m->certificate, "lab", m->log.lab);
	const bool ok = o && json_dumpf(o, stdout, JSON_COMPACT) == 0;
	json_decref(o);
	(void)printf("\n");
	return vs_cli_done(ok ? VS_EXIT_OK : VS_EXIT_USAGE);
}

static int
export_files(const char *config, const char *dir, bool json, char **files, size_t n)
{
	VS_CLEANUP(vs_cli_world_done) struct vs_cli_world w = {0};
	struct vs_bundle_made made = {0};
	struct vs_audit_report r = {0};
	struct vs_err err = {0};
	const char *list[VS_AUDIT_FILES_MAX];
	vs_rc rc = vs_cli_world_open(config, &w, &err);
	if (vs_failed(rc))
		return vs_cli_fail(rc, &err);
	if (w.audit == NULL)
		return vs_cli_usage("audit export", "the configuration names no audit log");
	for (size_t i = 0; i < n; i++)
		list[i] = files[i];
	if (n == 0)
		list[n++] = w.conf->audit_log;
	if (strcmp(list[n - 1], w.conf->audit_log) != 0)
		return vs_cli_usage("audit export",
			"the last file is not the configured log, %s: only there a checkpoint can "
			"be made",
			w.conf->audit_log);
	rc = vs_audit_verify_files(list, n, NULL, &r, &err);
	if (!vs_failed(rc) && !r.ok) {
		(void)fprintf(stderr,
			"vouchsafe: %s: NOT WHOLE: line %" PRIu64 ", record %" PRIu64
			": %s; nothing was exported\n",
			list[r.bad_file], r.bad_line, r.bad_seq, r.reason);
		return VS_EXIT_REFUSED;
	}
	const struct vs_bundle_env env = {
		.checkpoint = {.conf = w.conf, .clock = w.clock, .log = w.log},
		.audit = w.audit,
		.paths = list,
		.n = n,
		.dir = dir};
	if (!vs_failed(rc))
		rc = vs_bundle_write(&env, &made, &err);
	if (vs_failed(rc))
		return vs_cli_fail(rc, &err);
	return print_made(dir, &made, json);
}

int
vs_audit_export(int argc, char **argv)
{
	static const struct option options[] = {{"help", no_argument, NULL, 'h'},
		{"config", required_argument, NULL, 'c'}, {"out", required_argument, NULL, 'o'},
		{"json", no_argument, NULL, 'j'}, {0}};
	const char *config = NULL, *out = NULL;
	bool json = false;
	optind = 0;
	for (int c; (c = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
		switch (c) {
		case 'h': return vs_cli_help(help);
		case 'c': config = optarg; break;
		case 'o': out = optarg; break;
		case 'j': json = true; break;
		default: return vs_cli_usage("audit export", "this option is not known");
		}
	}
	if (out == NULL)
		return vs_cli_usage("audit export", "--out DIR is missing");
	if (argc - optind > VS_AUDIT_FILES_MAX)
		return vs_cli_usage("audit export", "more than %d files", VS_AUDIT_FILES_MAX);
	return export_files(config, out, json, argv + optind, (size_t)(argc - optind));
}

/* ---- verify ------------------------------------------------------------------------------ */

static void
print_verdict(const char *dir, const struct vs_bundle_report *r)
{
	char key[65], host[80];
	fingerprint(r->signer_sha256, key);
	if (!r->ok) {
		(void)printf("%s: REFUSED: %s\n", dir, r->reason);
		return;
	}
	(void)printf("%s: accepted: %" PRIu64 " records%s, end proven by checkpoint %" PRIu64
		     " of the TPM\n"
		     "made %s on %s, at %" PRIu64
		     " ms of the TPM's clock (%u resets, %u restarts)\n"
		     "signed by attestation key sha256:%s\n"
		     "last record: %" PRIu64 ":%s\n",
		dir, r->log.n_records, r->log.lab ? " (LAB)" : "", r->counter, r->made,
		vs_quote(vs_bytes_str(r->host), host, sizeof host), r->clock_ms, r->resets,
		r->restarts, key, r->log.last_seq, r->log.last_hash);
}

static bool
print_verdict_json(const char *dir, const struct vs_bundle_report *r)
{
	char key[65];
	fingerprint(r->signer_sha256, key);
	json_t *o = json_pack("{s:s, s:b, s:s, s:I, s:I, s:s, s:I, s:s, s:s, s:I, s:I, s:I, s:b}",
		"bundle", dir, "accepted", r->ok, "reason", r->reason, "records",
		(json_int_t)r->log.n_records, "last_seq", (json_int_t)r->log.last_seq, "last_hash",
		r->log.last_hash, "counter", (json_int_t)r->counter, "signer_sha256", key, "made",
		r->made, "tpm_clock_ms", (json_int_t)r->clock_ms, "tpm_resets",
		(json_int_t)r->resets, "tpm_restarts", (json_int_t)r->restarts, "lab", r->log.lab);
	const bool ok = o && json_dumpf(o, stdout, JSON_COMPACT) == 0;
	json_decref(o);
	(void)printf("\n");
	return ok;
}

int
vs_audit_verify_bundle(const struct vs_audit_bundle_args *a)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf signer = {.max = SIGNER_MAX + 1};
	VS_CLEANUP(vs_buf_done) struct vs_buf ca = {.max = SIGNER_MAX + 1};
	const struct vs_clock clock = vs_clock_system();
	struct vs_bundle_report r = {0};
	struct vs_err err = {0};
	vs_rc rc = VS_OK;
	if (a->signer == NULL && a->ca == NULL)
		return vs_cli_usage("audit verify",
			"whose signature is believed? --signer FILE is the attestation key or its "
			"certificate, --ca FILE who signs such certificates");
	if (a->signer != NULL)
		rc = vs_file_read(a->signer, SIGNER_MAX, VS_FILE_ANY, &signer, &err);
	if (!vs_failed(rc) && a->ca != NULL)
		rc = vs_file_read(a->ca, SIGNER_MAX, VS_FILE_ANY, &ca, &err);
	const struct vs_bundle_trust trust = {.signer = vs_buf_view(&signer),
		.ca = vs_buf_view(&ca),
		.at_unix = clock.ops->wall_unix(clock.self),
		.earlier = a->earlier};
	if (!vs_failed(rc))
		rc = vs_bundle_verify(a->dir, &trust, &r, &err);
	if (vs_failed(rc)) {
		(void)vs_cli_fail(rc, &err);
		return VS_EXIT_USAGE;
	}
	if (!a->json)
		print_verdict(a->dir, &r);
	else if (!print_verdict_json(a->dir, &r))
		return VS_EXIT_USAGE;
	return vs_cli_done(r.ok ? VS_EXIT_OK : VS_EXIT_REFUSED);
}
