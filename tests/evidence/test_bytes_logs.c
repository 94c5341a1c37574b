/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every byte of every captured event log, and of lists of measured files. See bytes.h; what no PCR
 * vouches for is in uncovered-logs.txt, and nothing that is concluded may come from there.
 */
#include "unit/unit.h"

#include "base/codec.h"
#include "evidence/bytes.h"
#include "evidence/eventlog.h"
#include "evidence/ima.h"
#include "evidence/sets.h"

enum { SAMPLE = 16, NAME = 80 };

static struct set sets[SETS_MAX];
static size_t n_sets;

static int
set_up(void **state)
{
	(void)state;
	bytes_open("uncovered-logs.txt");
	n_sets = sets_load(sets);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	sets_done(sets, n_sets);
	return 0;
}

/* ---- why a byte may stand in the list ---------------------------------------------------------
 */

static void
may_be(bool *may, struct vs_bytes log, struct vs_bytes part)
{
	if (part.n != 0)
		memset(may + (part.p - log.p), 1, part.n);
}

struct explain {
	enum vs_hash bank;
	uint32_t pcr_mask; /* quoted */
};

/* Of one event that begins at start. */
static void
mark_event(bool *may, struct vs_bytes log, size_t start, size_t end, const struct vs_event *e,
	const struct explain *x)
{
	const struct vs_bytes own = vs_event_digest(e, x->bank);
	if (e->type == VS_EV_NO_ACTION || e->pcr >= VS_PCRS_MAX ||
		(x->pcr_mask >> e->pcr & 1) == 0) {
		may_be(may, log, vs_bytes_of(log.p + start, end - start));
		return;
	}
	may_be(may, log, vs_bytes_of(log.p + start + 4, 4)); /* its type */
	for (size_t i = 0; i < e->n_digests; i++) {
		if (e->digests[i].value.p != own.p)
			may_be(may, log, e->digests[i].value);
	}
	/* The variables of PCR 7 are what conclusions are made of. */
	if (e->pcr != 7 || e->type != VS_EV_VARIABLE_DRIVER_CONFIG)
		may_be(may, log, e->data);
}

/*
 * What is listed is the head, padding, or of an event its type, another bank's digest or data, and
 * where its PCR is quoted never that PCR's number, a length, a digest of the bank that is quoted,
 * or a variable of PCR 7.
 */
static void
assert_explained(const char *part, struct vs_bytes log, const struct explain *x)
{
	bool *listed = bytes_listed(part, log.n), *may = calloc(log.n, sizeof *may), end = false;
	struct vs_eventlog l;
	struct vs_err err = {0};
	struct vs_bytes data = {NULL, 0};
	size_t start = 0, n = 0;
	assert_non_null(may);
	assert_ok(vs_eventlog_open(log, &l, &err), &err);
	if (l.agile) {
		start = vs_eventlog_offset(&l);
		memset(may, 1, start);
	}
	for (;; n++) {
		struct vs_event e;
		assert_ok(vs_eventlog_next(&l, &e, &end, &err), &err);
		if (end)
			break;
		mark_event(may, log, start, vs_eventlog_offset(&l), &e, x);
		start = vs_eventlog_offset(&l);
		data = e.data;
	}
	memset(may + start, 1, log.n - start);
	/* The last one may be a little shorter: what is left over is padding then. */
	may_be(may, log, vs_bytes_of(data.p - 4, 1));
	for (size_t i = 0; i < log.n; i++) {
		if (listed[i] && !may[i])
			fail_msg("%s: byte %zu is of a kind that must be covered", part, i);
	}
	assert_true(n > 10);
	free(listed);
	free(may);
}

/* ---- with a quote --------------------------------------------------------------------------- */

static bool
accepts_set(void *arg)
{
	return set_accepts(arg);
}

static void
logs_with_a_quote(void **state)
{
	(void)state;
	size_t n = 0;
	for (size_t i = 0; i < n_sets; i++) {
		char part[NAME];
		/* One log is of two sets. */
		if (sets[i].ev.event_log.n == 0 || strstr(sets[i].name, "no-nonce") != NULL)
			continue;
		snprintf(part, sizeof part, "%s/eventlog.bin", sets[i].name);
		assert_explained(part, vs_buf_view(&sets[i].ev.event_log),
			&(struct explain){VS_HASH_SHA256, sets[i].x.pcr_mask});
		bytes_part(part, sets[i].ev.event_log.p, sets[i].ev.event_log.n, SAMPLE,
			accepts_set, &sets[i]);
		n++;
	}
	assert_int_equal(n, 3);
}

/* ---- without one: the PCRs are those that the untouched log leads to ------------------------- */

struct log {
	struct vs_buf b;
	enum vs_hash bank;
	struct vs_replay was;
	struct vs_secure_boot sb;
	char authority[600]; /* a copy: the view is into the log */
};

static void
name_authority(const struct vs_secure_boot *sb, char *out, size_t out_size)
{
	struct vs_bytes data = sb->authority_data;
	out[0] = '\0';
	if (2 * data.n < out_size)
		vs_hex_str(data.p, data.n, out, out_size);
	else
		vs_hex_str(data.p, out_size / 2 - 1, out, out_size);
}

static bool
same_pcrs(const struct vs_replay *a, const struct vs_replay *b)
{
	return a->touched == b->touched && a->has_bank == b->has_bank &&
		memcmp(a->pcr, b->pcr, sizeof a->pcr) == 0;
}

/*
 * A log that explains the PCRs must lead to the same conclusion, or to none; another one would be
 * a forgery, and fails the test.
 */
static bool
accepts_log(void *arg)
{
	const struct log *l = arg;
	struct vs_replay r;
	struct vs_secure_boot sb;
	char authority[sizeof l->authority];
	if (vs_failed(vs_eventlog_replay(vs_buf_view(&l->b), l->bank, &r, NULL)) ||
		!same_pcrs(&r, &l->was) ||
		vs_failed(vs_eventlog_secure_boot(vs_buf_view(&l->b), l->bank, &sb, NULL)))
		return false;
	if (sb.state != l->sb.state) {
		if (sb.state == VS_YES)
			fail_msg("a changed log says that Secure Boot is on");
		return false;
	}
	name_authority(&sb, authority, sizeof authority);
	return sb.n_authorities == l->sb.n_authorities &&
		strcmp(sb.authority, l->sb.authority) == 0 && strcmp(authority, l->authority) == 0;
}

static void
logs_without_a_quote(void **state)
{
	(void)state;
	static const char *const files[] = {"tcg/arch-linux-workstation.bin",
		"tcg/coreos_36_shielded_vm_no_secure_boot_eventlog", "tcg/cos-85-amd-sev.bin",
		"tcg/cos-93-amd-sev.bin", "tcg/debian-10.bin", "tcg/ebs_event_missing_eventlog",
		"tcg/event-bootorder.bin", "tcg/event-moklisttrusted.bin",
		"tcg/event-sd-boot-fedora37.bin", "tcg/glinux-alex.bin",
		"tcg/keylime_binary_bios_measurements", "tcg/rhel8-uefi.bin",
		"tcg/sb_cert_eventlog", "tcg/ubuntu-1804-amd-sev.bin",
		"tcg/ubuntu-2104-no-secure-boot.bin", "tcg/ubuntu-2404-amd-sevsnp.bin"};
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		struct log l = {.b = data_load(files[i]), .bank = VS_HASH_SHA256};
		struct vs_err err = {0};
		assert_ok(vs_eventlog_replay(vs_buf_view(&l.b), l.bank, &l.was, &err), &err);
		if (!l.was.has_bank) {
			l.bank = VS_HASH_SHA1;
			assert_ok(
				vs_eventlog_replay(vs_buf_view(&l.b), l.bank, &l.was, &err), &err);
		}
		assert_true(l.was.has_bank && l.was.touched != 0);
		assert_ok(vs_eventlog_secure_boot(vs_buf_view(&l.b), l.bank, &l.sb, &err), &err);
		name_authority(&l.sb, l.authority, sizeof l.authority);
		assert_explained(files[i], vs_buf_view(&l.b), &(struct explain){l.bank, 0xFFFFFF});
		bytes_part(files[i], l.b.p, l.b.n, SAMPLE, accepts_log, &l);
		vs_buf_done(&l.b);
	}
}

/* ---- lists of measured files ---------------------------------------------------------------- */

struct ima {
	struct vs_buf b;
	size_t n; /* of the list that are taken */
	struct vs_buf pcr;
	struct vs_ima_replay was;
};

static bool
accepts_ima(void *arg)
{
	const struct ima *m = arg;
	struct vs_ima_replay r;
	return !vs_failed(vs_ima_replay(vs_bytes_of(m->b.p, m->n), VS_HASH_SHA256,
		       vs_buf_view(&m->pcr), &r, NULL)) &&
		r.matched && r.n_wrong == m->was.n_wrong && r.n_covered == m->was.n_covered &&
		r.n_entries == m->was.n_entries && r.n_violations == m->was.n_violations;
}

static void
try_ima(const char *part, struct ima *m)
{
	struct vs_err err = {0};
	assert_ok(vs_ima_replay(vs_bytes_of(m->b.p, m->n), VS_HASH_SHA256, vs_buf_view(&m->pcr),
			  &m->was, &err),
		&err);
	bytes_part(part, m->b.p, m->n, SAMPLE, accepts_ima, m);
	vs_buf_done(&m->b);
	vs_buf_done(&m->pcr);
}

static void
lists_of_measured_files(void **state)
{
	(void)state;
	static const char *const boots[] = {"boot/on", "boot/off"};
	struct vs_err err = {0};
	for (size_t i = 0; i < 2; i++) {
		char path[NAME];
		struct ima m = {.n = 0};
		snprintf(path, sizeof path, "%s/pcr10", boots[i]);
		struct vs_buf hex = data_load(path);
		assert_ok(vs_hex_decode(vs_bytes_of(hex.p, 64), &m.pcr, &err), &err);
		vs_buf_done(&hex);
		snprintf(path, sizeof path, "%s/ima.bin", boots[i]);
		m.b = data_load(path);
		m.n = m.b.n;
		try_ima(path, &m);
	}
	/* No quote came with this one: what its beginning leads to. */
	struct ima m = {.b = data_load("ima/acs/imasig.log")};
	struct vs_reader r = vs_reader_of(vs_buf_view(&m.b));
	for (size_t i = 0; i < 40; i++) {
		struct vs_ima_entry e;
		bool end = false;
		assert_ok(vs_ima_next(&r, &e, &end, &err), &err);
		assert_false(end);
	}
	m.n = m.b.n - r.left;
	assert_ok(vs_ima_replay(vs_bytes_of(m.b.p, m.n), VS_HASH_SHA256, (struct vs_bytes){NULL, 0},
			  &m.was, &err),
		&err);
	assert_ok(vs_buf_add(&m.pcr, m.was.last, 32, &err), &err);
	try_ima("ima/acs/imasig.log:40", &m);
}

static void
the_written_list_is_exact(void **state)
{
	(void)state;
	bytes_close(400000, 700);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(logs_with_a_quote),
		cmocka_unit_test(logs_without_a_quote),
		cmocka_unit_test(lists_of_measured_files),
		cmocka_unit_test(the_written_list_is_exact),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
