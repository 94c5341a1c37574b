/* SPDX-License-Identifier: BSD-2-Clause */
/* Event logs and lists of measured files. */
#include "unit/unit.h"

#include <time.h>

#include "base/codec.h"
#include "base/file.h"
#include "evidence/data.h"
#include "evidence/ev_crypto.h"
#include "evidence/eventlog.h"
#include "evidence/ima.h"
#include "evidence/quote.h"

static const char *const logs[] = {
	"arch-linux-workstation.bin",
	"coreos_36_shielded_vm_no_secure_boot_eventlog",
	"cos-85-amd-sev.bin",
	"cos-93-amd-sev.bin",
	"debian-10.bin",
	"ebs_event_missing_eventlog",
	"event-bootorder.bin",
	"event-moklisttrusted.bin",
	"event-sd-boot-fedora37.bin",
	"glinux-alex.bin",
	"keylime_binary_bios_measurements",
	"rhel8-uefi.bin",
	"sb_cert_eventlog",
	"short_no_action_eventlog",
	"ubuntu-1804-amd-sev.bin",
	"ubuntu-2104-no-secure-boot.bin",
	"ubuntu-2404-amd-sevsnp.bin",
};

static const struct {
	const char *name;
	enum vs_hash bank;
} banks[] = {{"sha1", VS_HASH_SHA1}, {"sha256", VS_HASH_SHA256}, {"sha384", VS_HASH_SHA384},
	{"sha512", VS_HASH_SHA512}};

static int64_t
integer(const struct vs_json *v)
{
	int64_t x = -1;
	assert_true(vs_json_int(v, &x));
	return x;
}

static void
compare_bank(const char *log, const struct vs_replay *r, const struct vs_json *expected)
{
	uint32_t seen = 0;
	for (const void *it = vs_json_first(expected); it != NULL;
		it = vs_json_next(expected, it)) {
		const unsigned long pcr = strtoul(vs_json_it_name(it), NULL, 10);
		char hex[129];
		assert_true(pcr < VS_PCRS_MAX);
		vs_hex_str(r->pcr[pcr], vs_ev_hash_size(r->bank), hex, sizeof hex);
		if (!vs_json_is_string(vs_json_it_value(it), hex))
			fail_msg("%s: PCR %lu is %s", log, pcr, hex);
		seen |= 1U << pcr;
	}
	assert_int_equal(r->touched & ~seen, 0);
}

static void
logs_replay_to_the_expected_values(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof logs / sizeof *logs; i++) {
		char path[128];
		snprintf(path, sizeof path, "tcg/%s", logs[i]);
		struct vs_buf b = data_load(path);
		snprintf(path, sizeof path, "tcg/%s.expect.json", logs[i]);
		struct vs_json *j = data_json(path);
		unsigned compared = 0;
		for (size_t k = 0; k < 4; k++) {
			struct vs_replay r;
			struct vs_err err = {0};
			assert_ok(
				vs_eventlog_replay(vs_buf_view(&b), banks[k].bank, &r, &err), &err);
			const struct vs_json *e =
				vs_json_get(vs_json_get(j, "replayed"), banks[k].name);
			const bool none = vs_json_count(vs_json_get(j, "replayed")) == 0;
			assert_int_equal(
				r.has_bank, e != NULL || (none && banks[k].bank == VS_HASH_SHA1));
			assert_int_equal(r.agile,
				vs_json_is_string(vs_json_get(j, "format"), "crypto-agile"));
			assert_int_equal(r.locality, integer(vs_json_get(j, "startup_locality")));
			assert_int_equal(r.end, integer(vs_json_get(j, "end_offset")));
			assert_int_equal(r.n_events, integer(vs_json_get(j, "events")));
			if (e != NULL) {
				compare_bank(logs[i], &r, e);
				compared++;
			}
			const struct vs_json *recorded =
				vs_json_get(vs_json_get(j, "recorded_pcrs"), banks[k].name);
			for (const void *it = vs_json_first(recorded); it != NULL && e != NULL;
				it = vs_json_next(recorded, it)) {
				const unsigned long pcr = strtoul(vs_json_it_name(it), NULL, 10);
				if ((r.touched >> pcr & 1) == 0)
					continue;
				char hex[129];
				vs_hex_str(r.pcr[pcr], vs_ev_hash_size(r.bank), hex, sizeof hex);
				assert_true(vs_json_is_string(vs_json_it_value(it), hex));
			}
		}
		assert_int_equal(compared, vs_json_count(vs_json_get(j, "replayed")));
		vs_json_free(j);
		vs_buf_done(&b);
	}
}

static enum vs_hash
best_bank(struct vs_bytes log)
{
	struct vs_replay r;
	struct vs_err err = {0};
	assert_ok(vs_eventlog_replay(log, VS_HASH_SHA256, &r, &err), &err);
	return r.has_bank ? VS_HASH_SHA256 : VS_HASH_SHA1;
}

static void
secure_boot_is_read_as_expected(void **state)
{
	(void)state;
	unsigned on = 0, off = 0, unknown = 0;
	for (size_t i = 0; i < sizeof logs / sizeof *logs; i++) {
		char path[128];
		const char *said = NULL;
		struct vs_secure_boot sb;
		struct vs_err err = {0};
		snprintf(path, sizeof path, "tcg/%s", logs[i]);
		struct vs_buf b = data_load(path);
		snprintf(path, sizeof path, "tcg/%s.expect.json", logs[i]);
		struct vs_json *j = data_json(path);
		const enum vs_hash bank = best_bank(vs_buf_view(&b));
		assert_ok(vs_eventlog_secure_boot(vs_buf_view(&b), bank, &sb, &err), &err);
		enum vs_tristate want = VS_UNKNOWN;
		if (vs_json_string(vs_json_get(j, "SecureBoot_variable"), &said))
			want = strcmp(said, "01") == 0 ? VS_YES : VS_NO;
		if (sb.state != want)
			fail_msg("%s: %d (%s)", logs[i], sb.state, sb.why);
		const struct vs_json *list = vs_json_path(j, "facts.authorities");
		assert_int_equal(sb.n_authorities, vs_json_count(list));
		if (sb.n_authorities != 0)
			assert_true(vs_json_is_string(
				vs_json_get(vs_json_at(list, 0), "variable"), sb.authority));
		on += want == VS_YES;
		off += want == VS_NO;
		unknown += want == VS_UNKNOWN;
		vs_json_free(j);
		vs_buf_done(&b);
	}
	assert_in_range(on, 6, 20);
	assert_in_range(off, 6, 20);
	assert_in_range(unknown, 1, 3);
}

static void
text_is_no_event_log(void **state)
{
	(void)state;
	struct vs_buf b = data_load("tcg/keylime_binary_bios_measurements-bogus");
	struct vs_replay r;
	struct vs_err err = {0};
	assert_code(vs_eventlog_replay(vs_buf_view(&b), VS_HASH_SHA256, &r, &err), FORMAT);
	assert_code(
		vs_eventlog_replay((struct vs_bytes){NULL, 0}, VS_HASH_SHA256, &r, &err), FORMAT);
	vs_buf_done(&b);
}

static void
cut_logs_are_refused_or_replay_to_other_values(void **state)
{
	(void)state;
	struct vs_buf b = data_load("tcg/ubuntu-1804-amd-sev.bin");
	struct vs_replay whole, r;
	struct vs_err err = {0};
	assert_ok(vs_eventlog_replay(vs_buf_view(&b), VS_HASH_SHA256, &whole, &err), &err);
	for (size_t n = 0; n < b.n; n++) {
		uint8_t *copy = malloc(n != 0 ? n : 1);
		memcpy(copy, b.p, n);
		const vs_rc rc =
			vs_eventlog_replay((struct vs_bytes){copy, n}, VS_HASH_SHA256, &r, &err);
		if (!vs_failed(rc))
			assert_memory_not_equal(r.pcr, whole.pcr, sizeof r.pcr);
		else
			assert_code(rc, FORMAT);
		free(copy);
	}
	vs_buf_done(&b);
}

/* ---- forging -------------------------------------------------------------------------------- */

/* A log of our own, event by event, as crypto-agile with one bank. */
static void
put_le(struct vs_buf *b, uint64_t v, size_t n)
{
	struct vs_err err = {0};
	for (size_t i = 0; i < n; i++)
		assert_ok(vs_buf_add_u8(b, (uint8_t)(v >> (8 * i)), &err), &err);
}

static void
put_header(struct vs_buf *b)
{
	static const uint8_t zeros[20];
	struct vs_err err = {0};
	put_le(b, 0, 4);
	put_le(b, VS_EV_NO_ACTION, 4);
	assert_ok(vs_buf_add(b, zeros, 20, &err), &err);
	put_le(b, 33, 4);
	assert_ok(vs_buf_add(b, "Spec ID Event03", 16, &err), &err);
	put_le(b, 0, 4);
	put_le(b, 0x02000002, 4);
	put_le(b, 1, 4);
	put_le(b, 0xB, 2);
	put_le(b, 32, 2);
	put_le(b, 0, 1);
}

static void
put_event(struct vs_buf *b, uint32_t pcr, uint32_t type, struct vs_bytes measured,
	struct vs_bytes data)
{
	uint8_t digest[32];
	struct vs_err err = {0};
	assert_ok(vs_ev_sha256(measured, digest, &err), &err);
	put_le(b, pcr, 4);
	put_le(b, type, 4);
	put_le(b, 1, 4);
	put_le(b, 0xB, 2);
	assert_ok(vs_buf_add(b, digest, 32, &err), &err);
	put_le(b, data.n, 4);
	assert_ok(vs_buf_add(b, data.p, data.n, &err), &err);
}

static struct vs_bytes
variable(struct vs_buf *b, const char *name, const char *value, size_t n)
{
	static const uint8_t guid[] = {0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11, 0xaa, 0x0d,
		0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c};
	struct vs_err err = {0};
	vs_buf_reset(b);
	assert_ok(vs_buf_add(b, guid, sizeof guid, &err), &err);
	put_le(b, strlen(name), 8);
	put_le(b, n, 8);
	for (const char *c = name; *c != '\0'; c++)
		put_le(b, (uint8_t)*c, 2);
	assert_ok(vs_buf_add(b, value, n, &err), &err);
	return vs_buf_view(b);
}

enum forgery {
	HONEST_ON,
	HONEST_OFF,
	SECOND_VARIABLE,
	LATE_VARIABLE,
	RELABELLED_SEPARATOR,
	SWAPPED_DATA,
	RELABELLED_VARIABLE,
	TWO_SEPARATORS,
	ERROR_SEPARATOR,
	NO_SEPARATOR,
	DEBUG_ACTION,
	HIDDEN_ACTION,
	HIDDEN_WITH_ITS_DATA,
	DRIVER_AUTHORITY,
	UNKNOWN_EVENT,
	FORGERIES
};

static void
forge(enum forgery how, struct vs_buf *log)
{
	static const uint8_t zeros[4], ones[4] = {0xFF, 0xFF, 0xFF, 0xFF};
	const struct vs_bytes normal = {zeros, 4}, error = {ones, 4};
	struct vs_buf on = {0}, off = {0}, pk = {0};
	variable(&on, "SecureBoot", "\1", 1);
	variable(&off, "SecureBoot", "\0", 1);
	variable(&pk, "PK", "key", 3);
	const struct vs_bytes von = vs_buf_view(&on), voff = vs_buf_view(&off),
			      vpk = vs_buf_view(&pk);
	const uint32_t config = VS_EV_VARIABLE_DRIVER_CONFIG;
	put_header(log);
	if (how == SWAPPED_DATA)
		put_event(log, 7, config, voff, von); /* measured off, says on */
	else if (how == RELABELLED_VARIABLE)
		put_event(log, 7, 0x80000010, voff, voff);
	else
		put_event(log, 7, config, how == HONEST_ON || how >= TWO_SEPARATORS ? von : voff,
			how == HONEST_ON || how >= TWO_SEPARATORS ? von : voff);
	put_event(log, 7, config, vpk, vpk);
	if (how == SECOND_VARIABLE || how == RELABELLED_VARIABLE)
		put_event(log, 7, config, von, von);
	if (how == DEBUG_ACTION)
		put_event(log, 7, VS_EV_EFI_ACTION, vs_bytes_str("UEFI Debug Mode"),
			vs_bytes_str("UEFI Debug Mode"));
	/* The debug mode was measured; the label says that a driver's key was. */
	if (how == HIDDEN_ACTION)
		put_event(log, 7, VS_EV_VARIABLE_AUTHORITY, vs_bytes_str("UEFI Debug Mode"), vpk);
	if (how == HIDDEN_WITH_ITS_DATA)
		put_event(log, 7, VS_EV_VARIABLE_AUTHORITY, vs_bytes_str("UEFI Debug Mode"),
			vs_bytes_str("UEFI Debug Mode"));
	if (how == DRIVER_AUTHORITY)
		put_event(log, 7, VS_EV_VARIABLE_AUTHORITY, vpk, vpk);
	if (how == UNKNOWN_EVENT)
		put_event(log, 7, 0x1234, normal, vs_bytes_str("x"));
	if (how == RELABELLED_SEPARATOR) {
		/* The real end is hidden, so that what the system extends later looks early. */
		put_event(log, 7, 0x80000006, normal, normal);
		put_event(log, 7, config, von, von);
		put_event(log, 7, VS_EV_SEPARATOR, normal, normal);
	} else if (how == ERROR_SEPARATOR) {
		put_event(log, 7, VS_EV_SEPARATOR, error, error);
	} else if (how != NO_SEPARATOR) {
		put_event(log, 7, VS_EV_SEPARATOR, normal, normal);
	}
	if (how == TWO_SEPARATORS)
		put_event(log, 7, VS_EV_SEPARATOR, normal, normal);
	if (how == LATE_VARIABLE)
		put_event(log, 7, config, von, von);
	vs_buf_done(&on);
	vs_buf_done(&off);
	vs_buf_done(&pk);
}

static void
secure_boot_cannot_be_forged_by_order_type_or_data(void **state)
{
	(void)state;
	for (int how = 0; how < FORGERIES; how++) {
		struct vs_buf log = {0};
		struct vs_secure_boot sb;
		struct vs_err err = {0};
		forge((enum forgery)how, &log);
		assert_ok(vs_eventlog_secure_boot(vs_buf_view(&log), VS_HASH_SHA256, &sb, &err),
			&err);
		const enum vs_tristate want = how == HONEST_ON || how == DRIVER_AUTHORITY ? VS_YES
			: how == HONEST_OFF || how == DEBUG_ACTION                        ? VS_NO
								   : VS_UNKNOWN;
		if (sb.state != want || (want == VS_UNKNOWN && sb.why[0] == '\0'))
			fail_msg("forgery %d: %d (%s)", how, sb.state, sb.why);
		vs_buf_done(&log);
	}
}

static void
header_lies_are_refused(void **state)
{
	(void)state;
	struct vs_buf log = {0};
	struct vs_replay r;
	struct vs_err err = {0};
	put_header(&log);
	put_event(&log, 3, 1, vs_bytes_str("x"), vs_bytes_str("x"));
	assert_ok(vs_eventlog_replay(vs_buf_view(&log), VS_HASH_SHA256, &r, &err), &err);
	assert_int_equal(r.touched, 1 << 3);
	/* Offsets in the header's data: count 24, algorithm 28, size 30, vendor size 32. */
	static const struct {
		size_t at;
		uint8_t value;
	} lies[] = {{32 + 24, 0}, {32 + 24, 2}, {32 + 24, 9}, {32 + 27, 0x80}, {32 + 28, 0x4},
		{32 + 28, 0xC}, {32 + 30, 20}, {32 + 30, 0}, {32 + 30, 33}, {32 + 31, 1},
		{32 + 32, 1}, {28, 32}, {28, 34}, {29, 1}};
	for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
		const uint8_t was = log.p[lies[i].at];
		log.p[lies[i].at] = lies[i].value;
		if (!vs_failed(vs_eventlog_replay(vs_buf_view(&log), VS_HASH_SHA256, &r, &err)))
			fail_msg("byte %zu = %u", lies[i].at, lies[i].value);
		log.p[lies[i].at] = was;
	}
	/* In the event: PCR, digest count, algorithm, data size. */
	const size_t event = 32 + 33;
	static const struct {
		size_t at;
		uint8_t value;
	} events[] = {{0, 24}, {3, 0xFF}, {8, 2}, {11, 0x80}, {12, 0xC}, {12 + 2 + 32, 2},
		{12 + 2 + 32 + 3, 0x80}};
	for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
		const uint8_t was = log.p[event + events[i].at];
		log.p[event + events[i].at] = events[i].value;
		assert_code(
			vs_eventlog_replay(vs_buf_view(&log), VS_HASH_SHA256, &r, &err), FORMAT);
		log.p[event + events[i].at] = was;
	}
	/* An event without digest does not extend the bank that is asked for. */
	log.p[event + 8] = 0;
	assert_code(vs_eventlog_replay(vs_buf_view(&log), VS_HASH_SHA256, &r, &err), FORMAT);
	vs_buf_done(&log);
}

static void
a_log_without_end_is_cut(void **state)
{
	(void)state;
	struct vs_buf log = {.max = 8 << 20};
	struct vs_replay r;
	struct vs_err err = {0};
	put_header(&log);
	const size_t head = log.n;
	put_event(&log, 3, 1, vs_bytes_str("x"), vs_bytes_str(""));
	uint8_t one[64];
	const size_t size = log.n - head;
	memcpy(one, log.p + head, size);
	while (log.n + size <= VS_EVENTLOG_MAX)
		assert_ok(vs_buf_add(&log, one, size, &err), &err);
	assert_code(vs_eventlog_replay(vs_buf_view(&log), VS_HASH_SHA256, &r, &err), LIMIT);
	while (log.n <= VS_EVENTLOG_MAX)
		assert_ok(vs_buf_add(&log, one, size, &err), &err);
	assert_code(vs_eventlog_replay(vs_buf_view(&log), VS_HASH_SHA256, &r, &err), LIMIT);
	vs_buf_done(&log);
}

static void
locality_counts_once_and_early(void **state)
{
	(void)state;
	for (int how = 0; how < 5; how++) {
		struct vs_buf log = {0};
		struct vs_replay r;
		struct vs_err err = {0};
		char data[17] = "StartupLocality\0\3";
		struct vs_bytes event = vs_bytes_of(data, 17);
		put_header(&log);
		if (how == 1)
			put_event(&log, 0, 1, vs_bytes_str("x"), vs_bytes_str("x"));
		if (how == 3)
			data[16] = 7;
		if (how == 4)
			event.n = 16;
		put_event(&log, 0, VS_EV_NO_ACTION, vs_bytes_str(""), event);
		if (how == 2)
			put_event(&log, 0, VS_EV_NO_ACTION, vs_bytes_str(""), event);
		const vs_rc rc = vs_eventlog_replay(vs_buf_view(&log), VS_HASH_SHA256, &r, &err);
		if (how == 0) {
			assert_ok(rc, &err);
			assert_int_equal(r.pcr[0][31], 3);
			assert_int_equal(r.touched, 0);
		} else {
			assert_code(rc, FORMAT);
		}
		vs_buf_done(&log);
	}
}

static void
padding_is_padding_to_the_end(void **state)
{
	(void)state;
	for (int fill = 0; fill <= 0xFF; fill += 0xFF) {
		struct vs_buf log = {0};
		struct vs_replay r;
		struct vs_err err = {0};
		put_header(&log);
		put_event(&log, 3, 1, vs_bytes_str("x"), vs_bytes_str("x"));
		const size_t end = log.n;
		for (int i = 0; i < 100; i++)
			assert_ok(vs_buf_add_u8(&log, (uint8_t)fill, &err), &err);
		assert_ok(vs_eventlog_replay(vs_buf_view(&log), VS_HASH_SHA256, &r, &err), &err);
		assert_int_equal(r.end, end);
		log.p[log.n - 1] ^= 1;
		assert_code(
			vs_eventlog_replay(vs_buf_view(&log), VS_HASH_SHA256, &r, &err), FORMAT);
		vs_buf_done(&log);
	}
}

/* Each event of zeros could be the beginning of padding: looking must not cost the whole rest. */
static void
zeros_that_are_no_padding_cost_no_more_than_events(void **state)
{
	enum { EVENT = 32, ENOUGH_S = 5 };
	(void)state;
	const size_t n = (size_t)EVENT * (VS_EVENTLOG_EVENTS_MAX - 1);
	struct vs_bytes log = {.n = n + 1};
	uint8_t *p = calloc(1, log.n);
	struct vs_secure_boot sb;
	struct vs_err err = {0};
	struct timespec before, after;
	assert_non_null(p);
	p[n] = 1;
	log.p = p;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
	assert_code(vs_eventlog_secure_boot(log, VS_HASH_SHA1, &sb, &err), FORMAT);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
	assert_in_range(after.tv_sec - before.tv_sec, 0, ENOUGH_S);
	log.n--;
	assert_ok(vs_eventlog_secure_boot(log, VS_HASH_SHA1, &sb, &err), &err);
	free(p);
}

/* ---- a whole machine: quotes in three banks, log, PCR values --------------------------------- */

static void
read_pcr_lines(const char *path, size_t size, uint8_t ret[VS_PCRS_MAX][64])
{
	struct vs_buf b = data_load(path);
	const char *at = vs_buf_cstr(&b);
	for (unsigned i = 0; i < VS_PCRS_MAX; i++) {
		char *end = NULL;
		struct vs_buf v = {.max = 64};
		assert_int_equal(strtoul(at, &end, 10), i);
		assert_false(vs_failed(vs_hex_decode(vs_bytes_of(end + 1, 2 * size), &v, NULL)));
		memcpy(ret[i], v.p, size);
		vs_buf_done(&v);
		at = strchr(end, '\n') + 1;
	}
	vs_buf_done(&b);
}

static void
a_whole_machine_agrees_in_three_banks(void **state)
{
	(void)state;
	struct vs_buf tpmt = data_load("tcg/gce-cos85-nonce9009/ak.tpmt"), ak = {0};
	struct vs_buf log = data_load("tcg/gce-cos85-nonce9009/eventlog.bin");
	struct vs_tpm_public public;
	struct vs_err err = {0};
	assert_ok(vs_buf_add_be16(&ak, (uint16_t)tpmt.n, &err), &err);
	assert_ok(vs_buf_add(&ak, tpmt.p, tpmt.n, &err), &err);
	assert_ok(vs_tpm_public_parse(vs_buf_view(&ak), &public, &err), &err);
	static const uint16_t algs[] = {VS_TPM_ALG_SHA1, VS_TPM_ALG_SHA256, VS_TPM_ALG_SHA384};
	for (size_t k = 0; k < 3; k++) {
		char path[128];
		struct vs_tpm_attest a;
		struct vs_replay r;
		uint8_t pcr[VS_PCRS_MAX][64], digest[32];
		const size_t size = vs_ev_hash_size(banks[k].bank);
		snprintf(path, sizeof path, "tcg/gce-cos85-nonce9009/quote-%s.msg", banks[k].name);
		struct vs_buf msg = data_load(path);
		snprintf(path, sizeof path, "tcg/gce-cos85-nonce9009/quote-%s.sig", banks[k].name);
		struct vs_buf sig = data_load(path);
		assert_ok(vs_ev_rsa_verify(public.n, public.exponent, vs_buf_view(&msg),
				  vs_buf_view(&sig), &err),
			&err);
		assert_ok(vs_tpm_attest_parse(vs_buf_view(&msg), &a, &err), &err);
		assert_int_equal(a.type, VS_ATTEST_QUOTE);
		assert_int_equal(a.n_banks, 1);
		assert_int_equal(a.banks[0].alg, algs[k]);
		assert_int_equal(a.banks[0].mask, 0xFFFFFF);
		assert_int_equal(a.extra.n, 2);
		snprintf(path, sizeof path, "tcg/gce-cos85-nonce9009/pcrs.%s", banks[k].name);
		read_pcr_lines(path, size, pcr);
		struct vs_bytes parts[VS_PCRS_MAX];
		for (size_t i = 0; i < VS_PCRS_MAX; i++)
			parts[i] = (struct vs_bytes){pcr[i], size};
		assert_ok(vs_ev_hash(VS_HASH_SHA256, parts, VS_PCRS_MAX, digest, &err), &err);
		assert_true(vs_bytes_eq(a.pcr_digest, vs_bytes_of(digest, 32)));
		assert_ok(vs_eventlog_replay(vs_buf_view(&log), banks[k].bank, &r, &err), &err);
		for (unsigned i = 0; i < 10; i++) {
			assert_int_equal(r.touched >> i & 1, 1);
			assert_memory_equal(r.pcr[i], pcr[i], size);
		}
		assert_int_equal(r.touched >> 10 & 1, 0);
		vs_buf_done(&msg);
		vs_buf_done(&sig);
	}
	vs_buf_done(&tpmt);
	vs_buf_done(&ak);
	vs_buf_done(&log);
}

/* ---- quotes --------------------------------------------------------------------------------- */

static void
a_software_tpms_quote_is_read(void **state)
{
	(void)state;
	struct vs_buf msg = data_load("tpm/swtpm-trustee/quote.msg");
	struct vs_tpm_attest a;
	struct vs_err err = {0};
	assert_ok(vs_tpm_attest_parse(vs_buf_view(&msg), &a, &err), &err);
	assert_int_equal(a.type, VS_ATTEST_QUOTE);
	assert_int_equal(a.firmware, 0x2019102300163636);
	for (size_t n = 0; n < msg.n; n++) {
		uint8_t *copy = malloc(n != 0 ? n : 1);
		memcpy(copy, msg.p, n);
		assert_code(vs_tpm_attest_parse((struct vs_bytes){copy, n}, &a, &err), FORMAT);
		free(copy);
	}
	assert_ok(vs_buf_add_u8(&msg, 0, &err), &err);
	assert_code(vs_tpm_attest_parse(vs_buf_view(&msg), &a, &err), FORMAT);
	msg.n--;
	msg.p[0] = 0xFE;
	assert_code(vs_tpm_attest_parse(vs_buf_view(&msg), &a, &err), FORMAT);
	msg.p[0] = 0xFF;
	msg.p[5] = 0x14; /* NV certify: another structure */
	assert_code(vs_tpm_attest_parse(vs_buf_view(&msg), &a, &err), FORMAT);
	vs_buf_done(&msg);
}

/* ---- IMA ------------------------------------------------------------------------------------ */

static void
the_list_of_measured_files_is_read_and_replayed(void **state)
{
	(void)state;
	struct vs_buf b = data_load("ima/acs/imasig.log");
	struct vs_reader r = vs_reader_of(vs_buf_view(&b));
	struct vs_err err = {0};
	size_t n = 0, wrong = 0, wrong_at = 0, with_sig = 0;
	for (;;) {
		struct vs_ima_entry e;
		bool end = false;
		assert_ok(vs_ima_next(&r, &e, &end, &err), &err);
		if (end)
			break;
		assert_int_equal(e.pcr, 10);
		assert_true(vs_bytes_eq_str(e.name, "ima-sig"));
		assert_true(vs_ima_field(&e, 1).n > 1);
		if (!vs_ima_hash_fits(&e)) {
			wrong++;
			wrong_at = n;
			assert_non_null(
				strstr((const char *)vs_ima_field(&e, 1).p, "/usr/bin/xautt"));
		}
		with_sig += vs_ima_field(&e, 2).n != 0;
		n++;
	}
	assert_int_equal(n, 1083);
	assert_int_equal(wrong, 1);
	assert_int_equal(wrong_at, 1079);
	assert_int_equal(with_sig, 1083 - 184);
	struct vs_ima_replay out;
	static const char last[] = "f8e65e48a831bd650a348836486b8870d46fdf09";
	char hex[41];
	assert_ok(vs_ima_replay(
			  vs_buf_view(&b), VS_HASH_SHA1, (struct vs_bytes){NULL, 0}, &out, &err),
		&err);
	vs_hex_str(out.last, 20, hex, sizeof hex);
	assert_string_equal(hex, last);
	assert_false(out.matched);
	/* A quote taken earlier covers a beginning of the list; the wrong entry is behind it or
	 * not. */
	const uint8_t *end_of_list = b.p + b.n;
	struct vs_ima_replay first;
	struct vs_reader some = vs_reader_of(vs_buf_view(&b));
	for (int i = 0; i < 1000; i++) {
		struct vs_ima_entry e;
		bool end = false;
		assert_ok(vs_ima_next(&some, &e, &end, &err), &err);
	}
	const struct vs_bytes beginning = {b.p, b.n - some.left};
	assert_true(beginning.p + beginning.n < end_of_list);
	assert_ok(vs_ima_replay(beginning, VS_HASH_SHA1, (struct vs_bytes){NULL, 0}, &first, &err),
		&err);
	assert_ok(vs_ima_replay(
			  vs_buf_view(&b), VS_HASH_SHA1, vs_bytes_of(first.last, 20), &out, &err),
		&err);
	assert_true(out.matched);
	assert_int_equal(out.n_covered, 1000);
	assert_int_equal(out.n_wrong, 0);
	assert_ok(
		vs_ima_replay(vs_buf_view(&b), VS_HASH_SHA1, vs_bytes_of(out.last, 20), &out, &err),
		&err);
	assert_int_equal(out.n_covered, 1083);
	assert_int_equal(out.n_wrong, 1);
	vs_buf_done(&b);
}

static void
cut_lists_are_refused(void **state)
{
	(void)state;
	struct vs_buf b = data_load("ima/acs/imasig.log");
	struct vs_ima_replay out;
	struct vs_err err = {0};
	size_t good = 0;
	for (size_t n = 1; n < 2000; n++) {
		uint8_t *copy = malloc(n);
		memcpy(copy, b.p, n);
		const vs_rc rc = vs_ima_replay((struct vs_bytes){copy, n}, VS_HASH_SHA256,
			(struct vs_bytes){NULL, 0}, &out, &err);
		if (!vs_failed(rc))
			good++; /* cut between two entries */
		else
			assert_code(rc, FORMAT);
		free(copy);
	}
	assert_in_range(good, 1, 20);
	vs_buf_done(&b);
}

/* ---- two recorded boots of a whole guest; every byte of them: tests/evidence -----------------
 */

static void
recorded_boots_lead_to_their_pcrs(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		enum vs_tristate state;
		const char *authority;
	} boots[] = {{"on", VS_YES, "db"}, {"off", VS_NO, "SbatLevel"}};
	for (size_t i = 0; i < 2; i++) {
		char path[64];
		struct vs_replay r;
		struct vs_secure_boot sb;
		struct vs_ima_replay files;
		struct vs_err err = {0};
		snprintf(path, sizeof path, "../lab/boot/%s.bin", boots[i].name);
		struct vs_buf log = data_load(path), ten = {0};
		snprintf(path, sizeof path, "boot/%s/ima.bin", boots[i].name);
		struct vs_buf ima = data_load(path);
		snprintf(path, sizeof path, "boot/%s/pcr10", boots[i].name);
		struct vs_buf hex = data_load(path);
		snprintf(path, sizeof path, "boot/%s/pcrs.sha256", boots[i].name);
		struct vs_buf lines = data_load(path);
		assert_ok(vs_eventlog_replay(vs_buf_view(&log), VS_HASH_SHA256, &r, &err), &err);
		for (unsigned k = 0; k < 8; k++) {
			char line[80], digits[65];
			vs_hex_str(r.pcr[k], 32, digits, sizeof digits);
			snprintf(line, sizeof line, "%u %s\n", k, digits);
			assert_non_null(strstr(vs_buf_cstr(&lines), line));
		}
		assert_ok(vs_eventlog_secure_boot(vs_buf_view(&log), VS_HASH_SHA256, &sb, &err),
			&err);
		assert_int_equal(sb.state, boots[i].state);
		assert_string_equal(sb.authority, boots[i].authority);
		assert_ok(vs_hex_decode(vs_bytes_of(hex.p, 64), &ten, &err), &err);
		assert_ok(vs_ima_replay(vs_buf_view(&ima), VS_HASH_SHA256, vs_buf_view(&ten),
				  &files, &err),
			&err);
		assert_true(files.matched);
		assert_int_equal(files.n_wrong, 0);
		ten.p[0] ^= 1;
		assert_ok(vs_ima_replay(vs_buf_view(&ima), VS_HASH_SHA256, vs_buf_view(&ten),
				  &files, &err),
			&err);
		assert_false(files.matched);
		struct vs_buf *all[] = {&log, &ima, &hex, &ten, &lines};
		for (size_t k = 0; k < 5; k++)
			vs_buf_done(all[k]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(logs_replay_to_the_expected_values),
		cmocka_unit_test(secure_boot_is_read_as_expected),
		cmocka_unit_test(text_is_no_event_log),
		cmocka_unit_test(cut_logs_are_refused_or_replay_to_other_values),
		cmocka_unit_test(secure_boot_cannot_be_forged_by_order_type_or_data),
		cmocka_unit_test(header_lies_are_refused),
		cmocka_unit_test(a_log_without_end_is_cut),
		cmocka_unit_test(locality_counts_once_and_early),
		cmocka_unit_test(padding_is_padding_to_the_end),
		cmocka_unit_test(zeros_that_are_no_padding_cost_no_more_than_events),
		cmocka_unit_test(a_whole_machine_agrees_in_three_banks),
		cmocka_unit_test(a_software_tpms_quote_is_read),
		cmocka_unit_test(the_list_of_measured_files_is_read_and_replayed),
		cmocka_unit_test(cut_lists_are_refused),
		cmocka_unit_test(recorded_boots_lead_to_their_pcrs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
