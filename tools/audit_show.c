/* SPDX-License-Identifier: BSD-2-Clause */
/* `vouchsafe audit show`: records of the log for people, by time, event, token, key, result. */
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "audit/read.h"
#include "base/clock.h"
#include "proto/msg.h"
#include "tools/audit.h"
#include "tools/cli.h"

static const char help[] =
	"usage: vouchsafe audit show [--since TIME] [--until TIME] [--last N] [--event NAME]\n"
	"           [--token LABEL] [--key NAME] [--result WORD] [--checks] [--config FILE]\n"
	"           [--json] [FILE...]\n\n"
	"Records of the audit log, readable. FILE is the configured log unless given; several are\n"
	"shown one after the other.\n\n"
	"  --since TIME    from here on: 2026-11-22, 2026-11-22T08:00:00Z, seconds since 1970, or\n"
	"                  so long ago: 90s, 30m, 12h, 7d\n"
	"  --until TIME    up to here, in the same forms\n"
	"  --last N        only the last N of what the other options leave\n"
	"  --event NAME    only these (attempt, release, key, uses, revocation, ...); may be "
	"given\n"
	"                  more than once\n"
	"  --token, --key  only of this token, of this key\n"
	"  --result WORD   granted, refused or unreachable\n"
	"  --checks        also what each check that passed expected and saw\n"
	"  --json          the records as they stand in the log, one in each line\n\n"
	"Each record's own hash is checked; whether the log is whole says 'audit verify'.\n"
	"Exit status: 0, or 1 when a line is not a good record, or 2.\n";

enum { EVENTS_MAX = 32, LAST_MAX = 100000, QUOTED_MAX = 4096 };

struct show {
	const char *config, *token, *key, *result;
	const char *events[EVENTS_MAX];
	size_t n_events;
	int64_t since, until;
	bool checks, json, bad;
	/* --last: a ring of copies. */
	size_t last, n_kept;
	struct vs_audit_line *kept;
};

/* ---- options ----------------------------------------------------------------------------- */

static bool
parse_ago(const char *text, int64_t now, int64_t *ret)
{
	static const struct {
		char unit;
		int64_t s;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 7 * 86400}};
	char *end = NULL;
	const unsigned long long n = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || n > 1000000000)
		return false;
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
		if (end[0] == units[i].unit && end[1] == '\0') {
			*ret = now - (int64_t)n * units[i].s;
			return true;
		}
	return false;
}

static bool
parse_time(const char *text, int64_t *ret)
{
	static const char *const forms[] = {"%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S",
		"%Y-%m-%dT%H:%MZ", "%Y-%m-%d %H:%M", "%Y-%m-%d"};
	const struct vs_clock clock = vs_clock_system();
	if (parse_ago(text, clock.ops->wall_unix(clock.self), ret))
		return true;
	for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
		struct tm tm = {0};
		const char *end = strptime(text, forms[i], &tm);
		if (end != NULL && *end == '\0') {
			*ret = (int64_t)timegm(&tm);
			return true;
		}
	}
	char *end = NULL;
	const unsigned long long n = strtoull(text, &end, 10);
	*ret = n > INT64_MAX ? INT64_MAX : (int64_t)n;
	return text[0] >= '0' && text[0] <= '9' && *end == '\0';
}

static bool
parse_count(const char *text, size_t *ret)
{
	char *end = NULL;
	const unsigned long n = strtoul(text, &end, 10);
	*ret = n;
	return text[0] >= '0' && text[0] <= '9' && *end == '\0' && n > 0 && n <= LAST_MAX;
}

/* ---- choosing ---------------------------------------------------------------------------- */

static bool
member_is(struct vs_bytes line, const char *name, const char *wanted)
{
	char value[1024];
	return wanted == NULL ||
		(vs_chain_get(line, name, value, sizeof value) && strcmp(value, wanted) == 0);
}

static bool
is_wanted(const struct show *s, const struct vs_audit_line *l)
{
	bool event = s->n_events == 0;
	if (l->link.wall < s->since || l->link.wall > s->until)
		return false;
	for (size_t i = 0; i < s->n_events && !event; i++)
		event = member_is(l->text, "event", s->events[i]);
	return event && member_is(l->text, "token", s->token) &&
		member_is(l->text, "key", s->key) && member_is(l->text, "result", s->result);
}

/* ---- printing ---------------------------------------------------------------------------- */

/* What stands in a record came from outside: no control characters reach the terminal. */
static const char *
clean(const char *text, char out[QUOTED_MAX])
{
	vs_msg_sentence(vs_bytes_str(text), out, QUOTED_MAX);
	return out;
}

static const char *
word(const json_t *o, const char *name, char out[QUOTED_MAX])
{
	const char *s = json_string_value(json_object_get(o, name));
	return s ? clean(s, out) : "";
}

static bool
in_head(const char *name)
{
	static const char *const names[] = {"v", "log", "seq", "time", "wall", "boot_id", "boot_ns",
		"writer", "writer_pid", "writer_uid", "lab", "event", "token", "key", "version",
		"result", "uid", "pid", "checks", "accepted", "sentence", "code", "prev", "hash",
		"tpm_boot_ns"};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

static void
print_head(const json_t *o, const struct vs_audit_line *l)
{
	char a[QUOTED_MAX];
	(void)printf("%s #%" PRIu64 "%s %s", l->link.time, l->link.seq, l->link.lab ? " LAB" : "",
		word(o, "event", a));
	if (json_object_get(o, "result"))
		(void)printf(" %s", word(o, "result", a));
	if (json_object_get(o, "token"))
		(void)printf(" token %s", word(o, "token", a));
	if (json_object_get(o, "key"))
		(void)printf(" key %s", word(o, "key", a));
	if (json_object_get(o, "version"))
		(void)printf("/%s", word(o, "version", a));
	if (json_object_get(o, "uid"))
		(void)printf(" uid %" JSON_INTEGER_FORMAT,
			json_integer_value(json_object_get(o, "uid")));
	if (json_object_get(o, "pid"))
		(void)printf(" pid %" JSON_INTEGER_FORMAT,
			json_integer_value(json_object_get(o, "pid")));
	(void)printf(" by %s[%" JSON_INTEGER_FORMAT "]", word(o, "writer", a),
		json_integer_value(json_object_get(o, "writer_pid")));
	if (json_object_get(o, "writer_uid"))
		(void)printf(" of uid %" JSON_INTEGER_FORMAT,
			json_integer_value(json_object_get(o, "writer_uid")));
	(void)printf("\n");
	if (json_object_get(o, "sentence"))
		(void)printf("    %s", word(o, "sentence", a));
	if (json_object_get(o, "sentence"))
		(void)printf(" (%s)\n", word(o, "code", a));
}

static void
print_rest(json_t *o)
{
	const char *name;
	const json_t *value;
	char a[QUOTED_MAX], b[QUOTED_MAX];
	bool any = false;
	json_object_foreach (o, name, value) {
		if (in_head(name))
			continue;
		(void)printf("%s%s ", any ? ", " : "    ", clean(name, a));
		any = true;
		if (json_is_string(value))
			(void)printf("%s", clean(json_string_value(value), b));
		else if (json_is_integer(value))
			(void)printf("%" JSON_INTEGER_FORMAT, json_integer_value(value));
		else
			(void)printf("%s", json_is_true(value) ? "yes" : "no");
	}
	if (any)
		(void)printf("\n");
}

static void
print_check(const json_t *c, bool all)
{
	char a[QUOTED_MAX], b[QUOTED_MAX], e[QUOTED_MAX], d[QUOTED_MAX];
	const bool passed = json_is_true(json_object_get(c, "passed"));
	if (passed && !all)
		return;
	(void)printf("    %s %s %s: expected %s, seen %s%s\n", passed ? "ok" : "NO",
		word(c, "rule", a), word(c, "name", b), word(c, "expected", e), word(c, "seen", d),
		json_is_true(json_object_get(c, "advisory")) ? " (advisory)" : "");
}

static void
print_checks(const json_t *o, bool all)
{
	const json_t *checks = json_object_get(o, "checks");
	size_t i, passed = 0;
	const json_t *c;
	if (!json_is_array(checks))
		return;
	json_array_foreach (checks, i, c)
		passed += json_is_true(json_object_get(c, "passed"));
	(void)printf("    checks: %zu passed, %zu not\n", passed, json_array_size(checks) - passed);
	json_array_foreach (checks, i, c)
		print_check(c, all);
}

static void
print_record(const struct show *s, const struct vs_audit_line *l)
{
	if (s->json) {
		(void)printf("%.*s\n", (int)l->text.n, (const char *)l->text.p);
		return;
	}
	json_t *o = json_loadb((const char *)l->text.p, l->text.n, 0, NULL);
	if (o == NULL) {
		(void)printf("record %" PRIu64 " cannot be read\n", l->link.seq);
		return;
	}
	print_head(o, l);
	print_rest(o);
	print_checks(o, s->checks);
	json_decref(o);
}

/* ---- reading ----------------------------------------------------------------------------- */

static VS_RC
keep(struct show *s, const struct vs_audit_line *l, struct vs_err *err)
{
	struct vs_audit_line *k = &s->kept[s->n_kept++ % s->last];
	uint8_t *copy = malloc(l->text.n + 1);
	if (copy == NULL)
		VS_FAIL(err, MEMORY, "no memory for a record");
	memcpy(copy, l->text.p, l->text.n);
	union {
		const uint8_t *c;
		void *p;
	} old = {.c = k->text.p};
	free(old.p);
	*k = *l;
	k->text = vs_bytes_of(copy, l->text.n);
	return VS_OK;
}

static VS_RC
on_line(void *arg, const struct vs_audit_line *l, bool *ret_stop, struct vs_err *err)
{
	struct show *s = arg;
	(void)ret_stop;
	if (!l->good) {
		s->bad = true;
		(void)fprintf(stderr, "vouchsafe: %s: line %" PRIu64 ": %s\n", l->path, l->number,
			l->reason);
		return VS_OK;
	}
	if (!is_wanted(s, l))
		return VS_OK;
	if (s->last != 0)
		return keep(s, l, err);
	print_record(s, l);
	return VS_OK;
}

static void
print_kept(struct show *s)
{
	const size_t n = s->n_kept < s->last ? s->n_kept : s->last;
	for (size_t i = s->n_kept - n; i < s->n_kept; i++)
		print_record(s, &s->kept[i % s->last]);
}

static void
drop_kept(struct show *s)
{
	for (size_t i = 0; s->kept != NULL && i < s->last; i++) {
		union {
			const uint8_t *c;
			void *p;
		} u = {.c = s->kept[i].text.p};
		free(u.p);
	}
	free(s->kept);
}

static int
show_files(struct show *s, char **files, size_t n)
{
	struct vs_err err = {0};
	struct vs_conf *conf = NULL;
	const char *only = NULL;
	vs_rc rc = VS_OK;
	if (n == 0) {
		const int code = vs_audit_default_file(s->config, &conf, &only, &n);
		if (code != VS_EXIT_OK)
			return code;
	}
	if (s->last != 0)
		s->kept = calloc(s->last, sizeof *s->kept);
	if (s->last != 0 && s->kept == NULL)
		rc = vs_err_put(
			&err, VS_E_MEMORY, __func__, __LINE__, 0, "no memory for the records");
	for (size_t i = 0; i < n && !vs_failed(rc); i++)
		rc = vs_audit_read_file(only ? only : files[i], on_line, s, &err);
	if (!vs_failed(rc) && s->last != 0)
		print_kept(s);
	drop_kept(s);
	vs_conf_free(conf);
	if (vs_failed(rc)) {
		(void)vs_cli_fail(rc, &err);
		return VS_EXIT_USAGE;
	}
	return vs_cli_done(s->bad ? VS_EXIT_REFUSED : VS_EXIT_OK);
}

/* VS_EXIT_OK, or what main is to end with. */
static int
take_option(struct show *s, int c, const char *value)
{
	switch (c) {
	case 'c': s->config = value; break;
	case 't': s->token = value; break;
	case 'k': s->key = value; break;
	case 'r': s->result = value; break;
	case 'C': s->checks = true; break;
	case 'j': s->json = true; break;
	case 's':
	case 'u':
		if (!parse_time(value, c == 's' ? &s->since : &s->until))
			return vs_cli_usage("audit show",
				"a time is 2026-11-22, 2026-11-22T08:00:00Z, seconds since 1970, "
				"or so long ago: 30m, 12h, 7d");
		break;
	case 'l':
		if (!parse_count(value, &s->last))
			return vs_cli_usage("audit show", "--last is from 1 to %d", LAST_MAX);
		break;
	case 'e':
		if (s->n_events == EVENTS_MAX)
			return vs_cli_usage("audit show", "more than %d events", EVENTS_MAX);
		s->events[s->n_events++] = value;
		break;
	default: return vs_cli_usage("audit show", "this option is not known");
	}
	return VS_EXIT_OK;
}

int
vs_audit_show(int argc, char **argv)
{
	static const struct option options[] = {{"help", no_argument, NULL, 'h'},
		{"config", required_argument, NULL, 'c'}, {"since", required_argument, NULL, 's'},
		{"until", required_argument, NULL, 'u'}, {"last", required_argument, NULL, 'l'},
		{"event", required_argument, NULL, 'e'}, {"token", required_argument, NULL, 't'},
		{"key", required_argument, NULL, 'k'}, {"result", required_argument, NULL, 'r'},
		{"checks", no_argument, NULL, 'C'}, {"json", no_argument, NULL, 'j'}, {0}};
	struct show s = {.since = INT64_MIN, .until = INT64_MAX};
	optind = 0;
	for (int c; (c = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
		if (c == 'h')
			return vs_cli_help(help);
		const int code = take_option(&s, c, optarg);
		if (code != VS_EXIT_OK)
			return code;
	}
	return show_files(&s, argv + optind, (size_t)(argc - optind));
}
