/* SPDX-License-Identifier: BSD-2-Clause */
/* Each way to tamper with the emulated machine, and what comes of it at the verifier. */
#include "unit/unit.h"

#include "lab/lab_fixture.h"

static struct fixture f;

static int
start(void **state)
{
	(void)state;
	fixture_start(&f, "tamper");
	return 0;
}

static int
stop(void **state)
{
	(void)state;
	fixture_stop(&f);
	return 0;
}

static void
each_tampering_is_found_by_its_check(void **state)
{
	(void)state;
	static const struct {
		const char *words;
		enum lab_check check;
	} cases[] = {
		{"pcr 0", LAB_CHECK_LOG_REPLAY},
		{"pcr 7", LAB_CHECK_LOG_REPLAY},
		{"pcr 16", LAB_CHECK_NONE}, /* is not quoted */
		{"ak", LAB_CHECK_HCL_AK},
		{"ak unrestricted", LAB_CHECK_AIK_ATTRIBUTES},
		{"ak uncertified", LAB_CHECK_AIK_CERT_KEY},
		{"foreign-report", LAB_CHECK_HCL_AK},
		{"event-log", LAB_CHECK_LOG_REPLAY},
		{"event-log digest", LAB_CHECK_LOG_REPLAY},
		{"event-log data", LAB_CHECK_LOG_DATA},
		{"event-log drop", LAB_CHECK_LOG_REPLAY},
		{"event-log cut", LAB_CHECK_LOG_FORM},
		{"ak-cert", LAB_CHECK_AIK_CERT_KEY},
		{"ak-cert-foreign", LAB_CHECK_AIK_CERT_CHAIN},
		{"vcek", LAB_CHECK_REPORT_SIGNATURE},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		fixture_tamper(&f, cases[i].words);
		json_t *info = fixture_collect(f.lab.machine, &(struct lab_guest_options){0});
		struct lab_facts facts;
		struct lab_refusal why;
		const enum lab_check check = fixture_verify(&f, info, &facts, &why);
		if (check != cases[i].check)
			fail_msg("%s: %s: %s", cases[i].words, lab_check_name(check), why.text);
		lab_facts_done(&facts);
		json_decref(info);
		fixture_tamper(&f, "undo");
		info = fixture_collect(f.lab.machine, &(struct lab_guest_options){0});
		fixture_expect(&f, info, LAB_CHECK_NONE);
		json_decref(info);
	}
}

/* What the service does not refuse by itself it reports, and the relying party decides. */
static void
reports_what_it_does_not_refuse(void **state)
{
	(void)state;
	struct lab_facts facts;
	struct lab_refusal why;
	static const struct {
		const char *words;
		size_t at;
		uint8_t bits;
	} cases[] = {{"debug-bit", 0x0a, 8}, {"migratable", 0x0a, 4}, {"vmpl 2", 0x30, 2},
		{"paravisor", 0x00, 3}};
	json_t *info = NULL;
	for (size_t i = 0; i < 4; i++) {
		fixture_tamper(&f, cases[i].words);
		fixture_tamper(&f, "reboot");
		info = fixture_collect(f.lab.machine, &(struct lab_guest_options){0});
		assert_int_equal(fixture_verify(&f, info, &facts, &why), LAB_CHECK_NONE);
		assert_false(facts.compliant);
		assert_int_equal(facts.report[cases[i].at] & cases[i].bits, cases[i].bits);
		lab_facts_done(&facts);
		json_decref(info);
		fixture_tamper(&f, "undo");
	}
	fixture_tamper(&f, "secure-boot off");
	info = fixture_collect(f.lab.machine, &(struct lab_guest_options){0});
	assert_int_equal(fixture_verify(&f, info, &facts, &why), LAB_CHECK_NONE);
	assert_false(facts.log.secure_boot || facts.log.keys_validated || facts.log.db_validated);
	assert_true(json_is_false(json_object_get(
		json_object_get(facts.runtime, "vm-configuration"), "secure-boot")));
	lab_facts_done(&facts);
	/* The log of a boot with Secure Boot does not help. */
	fixture_tamper(&f, "undo");
	json_t *good = fixture_collect(f.lab.machine, &(struct lab_guest_options){0});
	json_object_set(info, "TcgLogs", json_object_get(good, "TcgLogs"));
	fixture_expect(&f, info, LAB_CHECK_LOG_REPLAY);
	json_object_set(info, "TpmInfo", json_object_get(good, "TpmInfo"));
	fixture_expect(&f, info, LAB_CHECK_SECURE_BOOT);
	json_decref(good);
	json_decref(info);
}

static void
says_what_it_cannot_tamper_with(void **state)
{
	(void)state;
	static const char *const bad[][4] = {{NULL}, {"nothing"}, {"pcr"}, {"pcr", "24"},
		{"pcr", "x"}, {"pcr", "-1"}, {"pcr", "1", "2"}, {"secure-boot"},
		{"secure-boot", "maybe"}, {"ak", "strong"}, {"event-log", "burn"}, {"clock"},
		{"clock", "+"}, {"clock", "1h"}, {"undo", "now"}, {"token"}, {"token", "bad"},
		{"vmpl"}, {"vmpl", "4"}, {"stale-report", "0"}};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct vs_err err = {0};
		VS_CLEANUP(vs_buf_done) struct vs_buf said = {0};
		char *words[4] = {NULL};
		for (size_t k = 0; k < 4; k++)
			words[k] = (char *)(uintptr_t)bad[i][k];
		assert_code(lab_machine_tamper(f.lab.machine, words, &said, &err), USAGE);
		assert_int_equal(said.n, 0);
	}
	size_t n = 0;
	for (const char *const *k = lab_machine_tamper_help(); *k; k++)
		n++;
	assert_int_equal(n, 19);
}

static vs_rc
try_collect(const struct lab_guest_options *o, struct vs_err *err)
{
	struct lab_guest *guest = NULL;
	json_t *info = NULL;
	VS_TRY(lab_guest_start(f.lab.machine, &guest, err));
	const vs_rc rc = lab_guest_collect(guest, o, &info, err);
	lab_guest_stop(guest);
	if (!vs_failed(rc))
		json_decref(info);
	return rc;
}

/* States of real machines in which there is nothing to attest with; the TPM's codes are theirs. */
static void
shows_the_codes_of_machines_that_lack_something(void **state)
{
	(void)state;
	static const struct {
		const char *words;
		long code;
	} cases[] = {{"ak-missing", 0x18b}, {"ak-cert missing", 0x14a}, {"trusted-launch", 0x18b}};
	for (size_t i = 0; i < 3; i++) {
		struct vs_err err = {0};
		fixture_tamper(&f, cases[i].words);
		assert_code(try_collect(&(struct lab_guest_options){0}, &err), TPM);
		assert_int_equal(err.frames[0].foreign & 0xfff, cases[i].code);
		fixture_tamper(&f, "undo");
		assert_ok(try_collect(&(struct lab_guest_options){0}, &err), &err);
	}
	fixture_tamper(&f, "trusted-launch");
	json_t *info =
		fixture_collect(f.lab.machine, &(struct lab_guest_options){.trusted_launch = true});
	struct lab_facts facts;
	struct lab_refusal why;
	assert_int_equal(fixture_verify(&f, info, &facts, &why), LAB_CHECK_NONE);
	assert_false(facts.tee || facts.compliant);
	assert_string_equal(facts.vm_id, "D3FD4B09-37A3-40D5-8F2A-EA80762213CC");
	lab_facts_done(&facts);
	json_decref(info);
	fixture_tamper(&f, "undo");
	struct vs_err err = {0};
	fixture_tamper(&f, "event-log missing");
	assert_true(vs_failed(try_collect(&(struct lab_guest_options){0}, &err)));
	fixture_tamper(&f, "undo");
	assert_ok(try_collect(&(struct lab_guest_options){0}, &err), &err);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_tampering_is_found_by_its_check),
		cmocka_unit_test(reports_what_it_does_not_refuse),
		cmocka_unit_test(says_what_it_cannot_tamper_with),
		cmocka_unit_test(shows_the_codes_of_machines_that_lack_something),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
