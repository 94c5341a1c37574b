/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lab's reading of event logs: real logs lead to the values their TPM had, and every way to
 * make a log say something that was not measured is refused (T-A5), also where all digests fit.
 */
#include "unit/unit.h"

#include <openssl/sha.h>

#include "base/codec.h"
#include "lab/lab_fixture.h"
#include "lab/lab_log.h"
#include "lab/lab_roots.h"

static struct lab_roots *roots;
static struct lab_anchors anchors;
static struct lab_boot boot;

static int
start(void **state)
{
	(void)state;
	struct vs_err err = {0};
	static const uint16_t algs[] = {TPM2_ALG_SHA1, TPM2_ALG_SHA256, TPM2_ALG_SHA384};
	assert_ok(lab_roots_new(&roots, &err), &err);
	assert_ok(lab_anchors_make(roots, 0, &anchors, &err), &err);
	const struct lab_boot_spec spec = {.roots = roots,
		.secure_boot = true,
		.vm_id_upper = "D3FD4B09-37A3-40D5-8F2A-EA80762213CC",
		.algs = algs,
		.n_algs = 3};
	assert_ok(lab_boot_make(&spec, &boot, &err), &err);
	return 0;
}

static int
stop(void **state)
{
	(void)state;
	lab_boot_done(&boot);
	lab_roots_free(roots);
	return 0;
}

/* One event as this test writes it: three digests, all of what it says was measured. */
static void
put_event(struct vs_buf *log, uint32_t pcr, uint32_t type, struct vs_bytes measured,
	struct vs_bytes data)
{
	uint8_t digest[48] = {0};
	static const uint8_t ids[3] = {0x04, 0x0b, 0x0c}, sizes[3] = {20, 32, 48};
	const uint32_t head[3] = {pcr, type, 3};
	const uint32_t size = (uint32_t)data.n;
	assert_false(
		vs_failed(vs_buf_add(log, head, 12, NULL))); /* this test runs on little endian */
	SHA256(measured.p, measured.n, digest);
	for (size_t i = 0; i < 3; i++) {
		const uint8_t id[2] = {ids[i], 0};
		assert_false(vs_failed(vs_buf_add(log, id, 2, NULL)));
		assert_false(vs_failed(vs_buf_add(log, digest, sizes[i], NULL)));
	}
	assert_false(vs_failed(vs_buf_add(log, &size, 4, NULL)));
	assert_false(vs_failed(vs_buf_add(log, data.p, data.n, NULL)));
}

/* What a TPM that saw these events would quote, whatever they are. */
static struct lab_pcrs
replayed(struct vs_bytes log)
{
	struct lab_pcrs pcrs = {.mask = 0x43ff};
	struct vs_reader r = vs_reader_of(log);
	(void)vs_get_bytes(&r, 28);
	(void)vs_get_bytes(&r, vs_get_le32(&r));
	while (r.left > 0 && !r.bad) {
		const uint32_t pcr = vs_get_le32(&r), type = vs_get_le32(&r), n = vs_get_le32(&r);
		uint8_t both[64];
		bool extends = false;
		for (uint32_t i = 0; i < n && !r.bad; i++) {
			const uint16_t id = vs_get_le16(&r);
			const struct vs_bytes d = vs_get_bytes(&r,
				id == 4             ? 20
					: id == 0xb ? 32
						    : 48);
			if (id == 0xb && !r.bad && pcr < 24) {
				memcpy(both, pcrs.value[pcr], 32);
				memcpy(both + 32, d.p, 32);
				extends = type != 3;
			}
		}
		(void)vs_get_bytes(&r, vs_get_le32(&r));
		if (extends)
			SHA256(both, 64, pcrs.value[pcr]);
	}
	return pcrs;
}

static enum lab_check
verify(struct vs_bytes log, const struct lab_pcrs *pcrs, struct lab_log_facts *facts)
{
	struct lab_refusal why = {0};
	const bool ok = lab_verify_log(log, pcrs, &anchors, facts, &why);
	assert_true(ok == (why.check == LAB_CHECK_NONE));
	return why.check;
}

static void
expect(struct vs_bytes log, enum lab_check check)
{
	struct lab_log_facts facts;
	const struct lab_pcrs pcrs = replayed(log);
	assert_string_equal(lab_check_name(verify(log, &pcrs, &facts)), lab_check_name(check));
}

static struct vs_buf
genuine(void)
{
	struct vs_buf b = {.max = 64 << 20};
	assert_false(vs_failed(vs_buf_add(&b, boot.log.p, boot.log.n, NULL)));
	return b;
}

static void
accepts_the_labs_own_log(void **state)
{
	(void)state;
	struct lab_log_facts facts;
	const struct lab_pcrs pcrs = replayed(vs_buf_view(&boot.log));
	assert_int_equal(verify(vs_buf_view(&boot.log), &pcrs, &facts), LAB_CHECK_NONE);
	assert_true(facts.secure_boot && facts.keys_validated && facts.db_validated &&
		facts.dbx_validated && facts.debuggers_disabled);
	assert_string_equal(facts.vm_id, "D3FD4B09-37A3-40D5-8F2A-EA80762213CC");
}

static void
check_real(const char *file, const char *const hex[11], bool secure_boot)
{
	static const size_t index[11] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 14};
	struct lab_pcrs pcrs = {.mask = 0x43ff};
	struct lab_log_facts facts;
	VS_CLEANUP(vs_buf_done) struct vs_buf log = fixture_file(file);
	for (size_t i = 0; i < 11; i++) {
		VS_CLEANUP(vs_buf_done) struct vs_buf v = {0};
		assert_false(vs_failed(vs_hex_decode(vs_bytes_str(hex[i]), &v, NULL)));
		memcpy(pcrs.value[index[i]], v.p, 32);
	}
	assert_int_equal(verify(vs_buf_view(&log), &pcrs, &facts), LAB_CHECK_NONE);
	assert_int_equal(facts.secure_boot, secure_boot);
	assert_false(facts.keys_validated || facts.db_validated); /* not the lab's keys */
	assert_string_equal(facts.vm_id, "");
	for (size_t i = 0; i < 11; i++) {
		pcrs.value[index[i]][31] ^= 1;
		assert_int_equal(verify(vs_buf_view(&log), &pcrs, &facts), LAB_CHECK_LOG_REPLAY);
		pcrs.value[index[i]][31] ^= 1;
	}
}

static void
reads_logs_of_real_boots(void **state)
{
	(void)state;
	static const char sep[] =
		"3d458cfe55cc03ea1f443f1562beec8df51c75e14a9fcf9a7234a13f198e7969";
	static const char p1[] = "7e4d2c9116b379ec0ae1530d4244c65f6c39ec627110a90951794ac6f9a2efe1";
	static const char p5[] = "30fa345fb9ab626b1f7ff3025dd66e772530a6a1f3a707b3ca44e7d1ce5bbb84";
	static const char p8[] = "3ac2dfa9443fb1781585ac0cf315a6afca137cb71c8b7ad3ce553a96f6c267fe";
	static const char p9[] = "3cc58e763dac403f6e6a03c5ac582b12174e77933225d3aabf8da68a14f31e29";
	static const char p14[] =
		"b9c97933fe323334271a718fdf2966e0609afcb793f3b68aaf18fc31ea39dc0a";
	static const char *const on[11] = {
		"90040fdebcaef6fed8beec816d2a56ff8d77f91516bd053e493374c25562f11c", p1, sep, sep,
		"060e9de2a8ba0bf1e4846483d9bb34fc54df20581da42a4fd18ecef9f4747491", p5, sep,
		"75677db6f14082d3bfec4d14bdd75c8d72612ef6914ca99cd5a5997b7a21309d", p8, p9, p14};
	static const char *const off[11] = {
		"756c01e14599ac536aa25978fd104d4ecfb39c02a3f8e9057e1a16622d0af94f", p1, sep, sep,
		"57d2b262cba27f1e37e75a24ac18397b098dc0ea3781961f81b0cc46f87f81ad", p5, sep,
		"b926225ac488e9c50ef2fa815aa7104b385a06907093bfb1dc62eeb7abecddf1", p8, p9, p14};
	check_real("lab/boot/on.bin", on, true);
	check_real("lab/boot/off.bin", off, false);
}

static void
refuses_a_log_cut_anywhere(void **state)
{
	(void)state;
	struct lab_log_facts facts;
	const struct lab_pcrs pcrs = replayed(vs_buf_view(&boot.log));
	for (size_t i = 0; i < boot.log.n; i += 7)
		assert_int_not_equal(
			verify(vs_bytes_of(boot.log.p, i), &pcrs, &facts), LAB_CHECK_NONE);
}

static void
takes_padding_behind_the_log_but_nothing_else(void **state)
{
	(void)state;
	static const uint8_t fill[2] = {0, 0xff};
	struct lab_log_facts facts;
	const struct lab_pcrs pcrs = replayed(vs_buf_view(&boot.log));
	for (size_t i = 0; i < 2; i++) {
		VS_CLEANUP(vs_buf_done) struct vs_buf b = genuine();
		for (size_t k = 0; k < 100; k++)
			assert_false(vs_failed(vs_buf_add_u8(&b, fill[i], NULL)));
		assert_int_equal(verify(vs_buf_view(&b), &pcrs, &facts), LAB_CHECK_NONE);
		b.p[b.n - 1] = 0x33;
		assert_int_equal(verify(vs_buf_view(&b), &pcrs, &facts), LAB_CHECK_LOG_FORM);
	}
}

static void
refuses_changed_spec_id_headers(void **state)
{
	(void)state;
	/* offset in the log: header 32; signature 0, class 16, version 20, count 24, algorithms 28
	 */
	static const struct {
		size_t at;
		uint8_t with;
	} changes[] = {{0, 1}, {4, 8}, {32, 'X'}, {46, '2'}, {56, 0}, {56, 2}, {56, 4}, {57, 1},
		{59, 0xff}, {60, 0x0b}, {64, 0x12}, {66, 16}, {28, 1}, {31, 0x7f}};
	for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
		struct lab_log_facts facts;
		const struct lab_pcrs pcrs = replayed(vs_buf_view(&boot.log));
		VS_CLEANUP(vs_buf_done) struct vs_buf b = genuine();
		assert_int_not_equal(b.p[changes[i].at], changes[i].with);
		b.p[changes[i].at] = changes[i].with;
		const enum lab_check check = verify(vs_buf_view(&b), &pcrs, &facts);
		if (check != LAB_CHECK_LOG_FORM)
			fail_msg("change %zu: %s", i, lab_check_name(check));
	}
}

static const struct lab_boot_event *
nth(uint32_t pcr, size_t n)
{
	for (size_t i = 0; i < boot.n; i++) {
		if (boot.events[i].pcr == pcr && n-- == 0)
			return &boot.events[i];
	}
	fail_msg("no such event");
	return NULL;
}

/* The type is in no PCR: an event must not hide behind another one (CVE-2022-0317). */
static void
refuses_events_of_pcr_7_with_another_type(void **state)
{
	(void)state;
	static const uint32_t types[] = {
		3, 4, 8, 0xd, 0x80000002, 0x80000007, 0x800000e0, 0x12345678};
	for (size_t e = 0; e < 5; e++) {
		for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
			struct lab_log_facts facts;
			const struct lab_pcrs pcrs = replayed(vs_buf_view(&boot.log));
			VS_CLEANUP(vs_buf_done) struct vs_buf b = genuine();
			memcpy(b.p + nth(7, e)->at + 4, &types[i], 4);
			const enum lab_check check = verify(vs_buf_view(&b), &pcrs, &facts);
			assert_true(check == LAB_CHECK_LOG_DATA || check == LAB_CHECK_LOG_REPLAY);
		}
	}
}

static void
refuses_data_that_was_not_measured(void **state)
{
	(void)state;
	for (size_t e = 0; e < 6; e++) {
		VS_CLEANUP(vs_buf_done) struct vs_buf b = genuine();
		b.p[nth(7, e)->data_at] ^= 1;
		expect(vs_buf_view(&b), LAB_CHECK_LOG_DATA);
	}
	/* A digest that was not measured either. */
	VS_CLEANUP(vs_buf_done) struct vs_buf b = genuine();
	b.p[nth(4, 1)->at + 12 + 22 + 2] ^= 1;
	struct lab_log_facts facts;
	const struct lab_pcrs pcrs = replayed(vs_buf_view(&boot.log));
	assert_int_equal(verify(vs_buf_view(&b), &pcrs, &facts), LAB_CHECK_LOG_REPLAY);
}

/* From here on the TPM did measure what the log says: only its meaning is wrong. */
static void
refuses_a_second_separator_and_a_second_secure_boot(void **state)
{
	(void)state;
	for (uint32_t pcr = 0; pcr < 8; pcr++) {
		VS_CLEANUP(vs_buf_done) struct vs_buf b = genuine();
		put_event(&b, pcr, 4, vs_bytes_of("\0\0\0\0", 4), vs_bytes_of("\0\0\0\0", 4));
		expect(vs_buf_view(&b), LAB_CHECK_LOG_DATA);
	}
	VS_CLEANUP(vs_buf_done) struct vs_buf b = genuine();
	const struct lab_boot_event *e = nth(7, 0);
	const struct vs_bytes data = vs_bytes_of(boot.log.p + e->data_at, e->data_n);
	put_event(&b, 7, 0x80000001, data, data);
	expect(vs_buf_view(&b), LAB_CHECK_LOG_DATA);
}

static void
refuses_separators_that_signal_an_error_or_are_missing(void **state)
{
	(void)state;
	const struct lab_boot_event *e = nth(2, 0);
	VS_CLEANUP(vs_buf_done) struct vs_buf b = {0};
	assert_false(vs_failed(vs_buf_add(&b, boot.log.p, e->at, NULL)));
	assert_false(vs_failed(
		vs_buf_add(&b, boot.log.p + e->at + e->n, boot.log.n - e->at - e->n, NULL)));
	expect(vs_buf_view(&b), LAB_CHECK_LOG_DATA);
	put_event(&b, 2, 4, vs_bytes_of("\377\377\377\377", 4), vs_bytes_of("\377\377\377\377", 4));
	expect(vs_buf_view(&b), LAB_CHECK_LOG_DATA);
}

/* Variables after the separator decide nothing: an attacker in the guest could extend them. */
static void
refuses_a_secure_boot_state_written_after_the_separator(void **state)
{
	(void)state;
	const struct lab_boot_event *first = nth(7, 0), *fifth = nth(7, 4);
	VS_CLEANUP(vs_buf_done) struct vs_buf b = {0};
	const size_t end = fifth->at + fifth->n;
	assert_false(vs_failed(vs_buf_add(&b, boot.log.p, first->at, NULL)));
	assert_false(vs_failed(vs_buf_add(&b, boot.log.p + end, boot.log.n - end, NULL)));
	assert_false(vs_failed(vs_buf_add(&b, boot.log.p + first->at, end - first->at, NULL)));
	expect(vs_buf_view(&b), LAB_CHECK_LOG_DATA);
}

static void
notices_a_debugger_in_pcr_7(void **state)
{
	(void)state;
	struct lab_log_facts facts;
	VS_CLEANUP(vs_buf_done) struct vs_buf b = genuine();
	put_event(&b, 7, 0x80000007, vs_bytes_str("UEFI Debug Mode"),
		vs_bytes_str("UEFI Debug Mode"));
	const struct lab_pcrs pcrs = replayed(vs_buf_view(&b));
	assert_int_equal(verify(vs_buf_view(&b), &pcrs, &facts), LAB_CHECK_NONE);
	assert_false(facts.debuggers_disabled);
	/* The same measurement under the label of an authority hides nothing. */
	VS_CLEANUP(vs_buf_done) struct vs_buf hidden = genuine();
	put_event(&hidden, 7, 0x800000e0, vs_bytes_str("UEFI Debug Mode"),
		vs_bytes_str("UEFI Debug Mode"));
	expect(vs_buf_view(&hidden), LAB_CHECK_LOG_DATA);
}

static void
believes_a_name_of_the_machine_only_where_it_was_measured(void **state)
{
	(void)state;
	struct lab_log_facts facts;
	VS_CLEANUP(vs_buf_done) struct vs_buf b = genuine();
	b.p[nth(6, 0)->data_at + 10] ^= 1;
	const struct lab_pcrs pcrs = replayed(vs_buf_view(&b));
	assert_int_equal(verify(vs_buf_view(&b), &pcrs, &facts), LAB_CHECK_NONE);
	assert_string_equal(facts.vm_id, "");
}

static void
refuses_endless_logs_and_impossible_counts(void **state)
{
	(void)state;
	VS_CLEANUP(vs_buf_done) struct vs_buf b = genuine();
	for (size_t i = 0; i < 5000; i++)
		put_event(&b, 12, 0xd, vs_bytes_str("x"), vs_bytes_str("x"));
	expect(vs_buf_view(&b), LAB_CHECK_LOG_FORM);
	VS_CLEANUP(vs_buf_done) struct vs_buf long_log = genuine();
	for (size_t i = 0; i < 20000; i++)
		put_event(&long_log, 12, 3, vs_bytes_str("x"), vs_bytes_str("x"));
	expect(vs_buf_view(&long_log), LAB_CHECK_LOG_FORM);
	static const uint32_t counts[] = {0, 4, 0xffffffff};
	for (size_t i = 0; i < 3; i++) {
		VS_CLEANUP(vs_buf_done) struct vs_buf c = genuine();
		struct lab_log_facts facts;
		const struct lab_pcrs pcrs = replayed(vs_buf_view(&boot.log));
		memcpy(c.p + nth(4, 0)->at + 8, &counts[i], 4);
		assert_int_equal(verify(vs_buf_view(&c), &pcrs, &facts), LAB_CHECK_LOG_FORM);
	}
	VS_CLEANUP(vs_buf_done) struct vs_buf twice = genuine();
	twice.p[nth(4, 0)->at + 12] = 0x0b; /* a second SHA-256 digest in place of the SHA-1 one */
	struct lab_log_facts facts;
	const struct lab_pcrs pcrs = replayed(vs_buf_view(&boot.log));
	assert_int_equal(verify(vs_buf_view(&twice), &pcrs, &facts), LAB_CHECK_LOG_FORM);
	VS_CLEANUP(vs_buf_done) struct vs_buf pcr = genuine();
	pcr.p[nth(4, 0)->at] = 24;
	assert_int_equal(verify(vs_buf_view(&pcr), &pcrs, &facts), LAB_CHECK_LOG_FORM);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts_the_labs_own_log),
		cmocka_unit_test(reads_logs_of_real_boots),
		cmocka_unit_test(refuses_a_log_cut_anywhere),
		cmocka_unit_test(takes_padding_behind_the_log_but_nothing_else),
		cmocka_unit_test(refuses_changed_spec_id_headers),
		cmocka_unit_test(refuses_events_of_pcr_7_with_another_type),
		cmocka_unit_test(refuses_data_that_was_not_measured),
		cmocka_unit_test(refuses_a_second_separator_and_a_second_secure_boot),
		cmocka_unit_test(refuses_separators_that_signal_an_error_or_are_missing),
		cmocka_unit_test(refuses_a_secure_boot_state_written_after_the_separator),
		cmocka_unit_test(notices_a_debugger_in_pcr_7),
		cmocka_unit_test(believes_a_name_of_the_machine_only_where_it_was_measured),
		cmocka_unit_test(refuses_endless_logs_and_impossible_counts),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
