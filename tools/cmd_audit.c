/* SPDX-License-Identifier: BSD-2-Clause */
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "audit/verify.h"
#include "tools/cli.h"

static const char help[] =
	"usage: vouchsafe audit verify [--checkpoint SEQ:HASH] [--json] [FILE]\n\n"
	"Check that the audit log is whole: every record is unchanged, in its place, none missing, "
	"none\n"
	"added. FILE is the configured log unless given. A file cannot prove by itself that its "
	"end was\n"
	"not cut off: note the last record (it is printed) and give it later with --checkpoint.\n"
	"Exit status: 0 whole, 1 not whole, 2 the file cannot be read.\n";

static bool
parse_checkpoint(const char *text, struct vs_audit_checkpoint *ret)
{
	char *end = NULL;
	ret->seq = strtoull(text, &end, 10);
	if (end == text || *end != ':' || strlen(end + 1) != 64 ||
		strspn(end + 1, "0123456789abcdef") != 64)
		return false;
	memcpy(ret->hash, end + 1, 65);
	return true;
}

static void
print_text(const char *path, const struct vs_audit_report *r)
{
	if (!r->ok) {
		(void)printf("%s: NOT WHOLE: line %" PRIu64 ", record %" PRIu64 ": %s\n", path,
			r->bad_line, r->bad_seq, r->reason);
		return;
	}
	(void)printf("%s: whole: %" PRIu64 " records%s, %s\n", path, r->n_records,
		r->lab ? " (LAB)" : "",
		r->tail_proven ? "end proven by the checkpoint"
			       : "end not proven (no checkpoint given)");
	if (r->torn_tail)
		(void)printf("the last write was interrupted; the next writer keeps the rest "
			     "beside the file\n");
	if (r->n_recoveries)
		(void)printf("%" PRIu64 " interrupted writes were recovered\n", r->n_recoveries);
	(void)printf("last record: %" PRIu64 ":%s\n", r->last_seq, r->last_hash);
}

static int
print_json(const char *path, const struct vs_audit_report *r)
{
	json_t *o = json_pack("{s:s, s:b, s:b, s:b, s:I, s:I, s:s, s:b}", "file", path, "whole",
		r->ok, "tail_proven", r->tail_proven, "torn_tail", r->torn_tail, "records",
		(json_int_t)r->n_records, "last_seq", (json_int_t)r->last_seq, "last_hash",
		r->last_hash, "lab", r->lab);
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

static int
verify(const char *path, const struct vs_audit_checkpoint *checkpoint, bool json)
{
	struct vs_err err = {0};
	struct vs_audit_report r = {0};
	const vs_rc rc = vs_audit_verify_file(path, checkpoint, &r, &err);
	if (vs_failed(rc)) {
		(void)vs_cli_fail(rc, &err);
		return VS_EXIT_USAGE;
	}
	if (!json)
		print_text(path, &r);
	else if (print_json(path, &r) != VS_EXIT_OK)
		return VS_EXIT_USAGE;
	return vs_cli_done(r.ok ? VS_EXIT_OK : VS_EXIT_REFUSED);
}

int
vs_cmd_audit(int argc, char **argv)
{
	static const struct option options[] = {{"help", no_argument, NULL, 'h'},
		{"json", no_argument, NULL, 'j'}, {"checkpoint", required_argument, NULL, 'c'},
		{0}};
	struct vs_audit_checkpoint checkpoint = {0};
	bool json = false, have_checkpoint = false;
	optind = 0;
	for (int c; (c = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
		switch (c) {
		case 'h': return vs_cli_help(help);
		case 'j': json = true; break;
		case 'c':
			if (!parse_checkpoint(optarg, &checkpoint))
				return vs_cli_usage("audit",
					"a checkpoint is SEQ:HASH as 'audit verify' prints it");
			have_checkpoint = true;
			break;
		default: return vs_cli_usage("audit", "this option is not known");
		}
	}
	const int n = argc - optind;
	if (n < 1 || n > 2 || strcmp(argv[optind], "verify") != 0)
		return vs_cli_usage("audit", "expected 'verify [FILE]'");
	if (n == 2)
		return verify(argv[optind + 1], have_checkpoint ? &checkpoint : NULL, json);
	struct vs_err err = {0};
	struct vs_conf *conf = NULL;
	const vs_rc rc = vs_conf_load(vs_conf_default_path(), &conf, &err);
	const int code = vs_failed(rc)
		? vs_cli_fail(rc, &err)
		: verify(conf->audit_log, have_checkpoint ? &checkpoint : NULL, json);
	vs_conf_free(conf);
	return code;
}
