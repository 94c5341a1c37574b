/* SPDX-License-Identifier: BSD-2-Clause */
/* Headers of LUKS2 volumes as whoever holds the disk would write them. */
#include "unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/volume_header.h"

/* What cryptsetup writes, in the order it writes it. */
static const char good[] =
	"{\"keyslots\":{\"0\":{\"type\":\"luks2\",\"key_size\":64,\"af\":{\"type\":\"luks1\","
	"\"stripes\":4000,"
	"\"hash\":\"sha256\"},\"area\":{\"type\":\"raw\",\"offset\":\"32768\",\"size\":\"258048\","
	"\"encryption\":\"aes-xts-plain64\",\"key_size\":64},\"kdf\":{\"type\":\"argon2id\","
	"\"time\":4,"
	"\"memory\":65536,\"cpus\":1,\"salt\":\"2jK6IqO6FtmJKwRHXb8iEejoXQWbLk3Ul5Jq267o8Mc=\"}}},"
	"\"tokens\":{},"
	"\"segments\":{\"0\":{\"type\":\"crypt\",\"offset\":\"16777216\",\"size\":\"dynamic\",\"iv_"
	"tweak\":\"0\","
	"\"encryption\":\"aes-xts-plain64\",\"sector_size\":4096}},"
	"\"digests\":{\"0\":{\"type\":\"pbkdf2\",\"keyslots\":[\"0\"],\"segments\":[\"0\"],"
	"\"hash\":\"sha256\","
	"\"iterations\":1000,\"salt\":\"rS69g9IyYRI2twjg0ZVW1F2SokKu1/GRxQuf354X0QU=\","
	"\"digest\":\"NdHbbY9DfGa07TgDPX82PtC7s73dyntiAUMj7JQt9u4=\"}},"
	"\"config\":{\"json_size\":\"12288\",\"keyslots_size\":\"16744448\"}}";

/* The good header with the n-th occurrence of a text replaced; the text must be there. */
static char *
changed(const char *from, const char *to, int nth)
{
	static char out[4096];
	const char *at = good;
	for (int i = 0; i <= nth; i++) {
		at = strstr(i ? at + 1 : at, from);
		assert_non_null(at);
	}
	(void)snprintf(out, sizeof out, "%.*s%s%s", (int)(at - good), good, to, at + strlen(from));
	return out;
}

static vs_rc
judge(const char *json, struct vs_buf *canonical, struct vs_err *err)
{
	*canonical = (struct vs_buf){.max = 8192};
	return vs_volume_judge(
		vs_bytes_str(json), "8b0dbd5c-4a2f-4f4e-9f0c-1d2a3b4c5d6e", canonical, err);
}

static void
what_cryptsetup_makes_is_accepted(void **state)
{
	struct vs_err err = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf canonical = {0};
	(void)state;
	assert_ok(judge(good, &canonical, &err), &err);
	assert_non_null(strstr(vs_buf_cstr(&canonical), "encryption=\"aes-xts-plain64\"\n"));
	assert_non_null(strstr(vs_buf_cstr(&canonical), "uuid=8b0dbd5c"));
	VS_CLEANUP(vs_buf_done) struct vs_buf weak = {0};
	assert_ok(judge(changed(",\"config\":{", ",\"config\":{\"requirements\":{},", 0), &weak,
			  &err),
		&err);
}

static void
every_dangerous_header_is_refused_for_its_reason(void **state)
{
	static const struct {
		const char *from, *to;
		int nth;
		const char *says;
	} cases[] = {
		/* no cipher at all, in the segment or where the volume key is kept */
		{"\"encryption\":\"aes-xts-plain64\",\"sector",
			"\"encryption\":\"cipher_null-ecb\",\"sector", 0, "cipher_null"},
		{"\"encryption\":\"aes-xts-plain64\",\"key",
			"\"encryption\":\"cipher_null-ecb\",\"key", 0, "cipher_null"},
		{"aes-xts-plain64\",\"sector", "aes-ecb\",\"sector", 0, "aes-ecb"},
		{"aes-xts-plain64\",\"sector", "aes-cbc-plain\",\"sector", 0, "aes-cbc-plain"},
		{"aes-xts-plain64\",\"sector", "capi:xts(aes)-plain64\",\"sector", 0, "capi"},
		{"\"encryption\":\"aes-xts-plain64\",\"sector", "\"encryption\":7,\"sector", 0,
			"nothing"},
		{"\"encryption\":\"aes-xts-plain64\",\"sector", "\"sector", 0, "nothing"},
		/* re-encryption: as a requirement, as a key slot, as a second segment, as flags */
		{"\"config\":{",
			"\"config\":{\"requirements\":{\"mandatory\":[\"online-reencrypt-v2\"]},",
			0, "requirements"},
		{"\"config\":{", "\"config\":{\"requirements\":[\"offline-reencrypt\"],", 0,
			"requirements"},
		{"\"config\":{", "\"config\":{\"requirements\":{\"mandatory\":\"x\"},", 0,
			"requirements"},
		{"\"config\":{", "\"config\":{\"requirements\":\"online-reencrypt-v2\",", 0,
			"requirements"},
		{"\"config\":{", "\"config\":{\"requirements\":{\"mandatory\":[],\"other\":[1]},",
			0, "requirements"},
		{"\"type\":\"luks2\"", "\"type\":\"reencrypt\"", 0, "reencrypt"},
		{"\"segments\":{\"0\":{", "\"segments\":{\"1\":{\"type\":\"linear\"},\"0\":{", 0,
			"2 segments"},
		{"\"segments\":{\"0\":{", "\"segments\":{\"0\":{\"flags\":[\"in-reencryption\"],",
			0, "flags"},
		{"\"segments\":{\"0\":{", "\"segments\":{\"0\":{\"integrity\":{},", 0, "integrity"},
		{"\"type\":\"crypt\"", "\"type\":\"linear\"", 0, "linear"},
		{"\"segments\":{\"0\"", "\"segments\":{\"1\"", 0, "segments"},
		{"\"iv_tweak\":\"0\"", "\"iv_tweak\":\"8\"", 0, "8"},
		{"\"sector_size\":4096", "\"sector_size\":3", 0, "sectors of 3"},
		/* keys and digests */
		{"\"key_size\":64", "\"key_size\":16", 0, "16 bytes"},
		{"\"key_size\":64", "\"key_size\":\"64\"", 1, "0 bytes"},
		{"\"type\":\"argon2id\"", "\"type\":\"none\"", 0, "none"},
		{"\"stripes\":4000,\"hash\":\"sha256\"", "\"stripes\":4000,\"hash\":\"md5\"", 0,
			"md5"},
		{"\"segments\":[\"0\"],", "\"segments\":[],", 0, "does not cover"},
		{"\"segments\":[\"0\"],", "\"segments\":[\"0\",\"1\"],", 0, "does not cover"},
		{"\"digests\":{\"0\"", "\"digests\":{\"1\"", 0, "digests"},
		{"\"digests\":{\"0\":{", "\"digests\":{\"1\":{},\"0\":{", 0, "2 digests"},
		{"\"type\":\"raw\"", "\"type\":\"datashift\"", 0, "datashift"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct vs_err err = {0};
		VS_CLEANUP(vs_buf_done) struct vs_buf canonical = {0};
		const char *json = changed(cases[i].from, cases[i].to, cases[i].nth);
		assert_code(judge(json, &canonical, &err), REFUSED_FORM);
		char sentence[1024];
		vs_err_sentence(&err, sentence, sizeof sentence);
		if (!strstr(sentence, cases[i].says))
			fail_msg("case %zu: '%s' does not say '%s'", i, sentence, cases[i].says);
	}
}

static void
no_cut_header_is_accepted(void **state)
{
	(void)state;
	for (size_t n = 0; n + 1 < sizeof good; n++) {
		VS_CLEANUP(vs_buf_done) struct vs_buf canonical = {.max = 8192};
		assert_true(
			vs_failed(vs_volume_judge(vs_bytes_of(good, n), "u", &canonical, NULL)));
	}
}

static void
what_decides_the_contents_changes_the_fingerprint(void **state)
{
	struct vs_err err = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf a = {0}, same = {0}, offset = {0}, digest = {0};
	(void)state;
	assert_ok(judge(good, &a, &err), &err);
	/* a recovery key slot may be added */
	assert_ok(judge(changed("\"keyslots\":[\"0\"]", "\"keyslots\":[\"0\",\"1\"]", 0), &same,
			  &err),
		&err);
	assert_true(vs_bytes_eq(vs_buf_view(&a), vs_buf_view(&same)));
	assert_ok(judge(changed("16777216", "33554432", 0), &offset, &err), &err);
	assert_false(vs_bytes_eq(vs_buf_view(&a), vs_buf_view(&offset)));
	assert_ok(judge(changed("NdHbb", "OdHbb", 0), &digest, &err), &err);
	assert_false(vs_bytes_eq(vs_buf_view(&a), vs_buf_view(&digest)));
}

static void
a_header_changed_after_the_check_is_not_seen(void **state)
{
	char path[] = "/tmp/vs-volume.XXXXXX";
	struct vs_err err = {0};
	uint8_t head[8192] = {'L', 'U', 'K', 'S', 0xba, 0xbe, 0, 2, 0, 0, 0, 0, 0, 0, 0x40, 0};
	char seen[8] = "";
	int copy = -1;
	(void)state;
	const int fd = mkstemp(path);
	assert_true(fd >= 0);
	(void)unlink(path);
	assert_int_equal(write(fd, head, sizeof head), sizeof head);
	assert_int_equal(pwrite(fd, "before", 6, 5000), 6);
	assert_ok(vs_volume_copy(fd, "the image", &copy, &err), &err);
	assert_int_equal(pwrite(fd, "after!", 6, 5000), 6);
	assert_int_equal(pread(copy, seen, 6, 5000), 6);
	assert_string_equal(seen, "before");
	assert_int_equal(pwrite(copy, "after!", 6, 5000), -1);
	assert_int_equal(ftruncate(copy, 0), -1);
	(void)close(copy);
	(void)close(fd);
}

static void
what_is_no_luks2_header_is_not_copied(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
		enum vs_code code;
	} cases[] = {{0, 'X', VS_E_USAGE}, {7, 1, VS_E_USAGE}, {8, 1, VS_E_REFUSED_FORM},
		{14, 0, VS_E_REFUSED_FORM}};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char path[] = "/tmp/vs-volume.XXXXXX";
		uint8_t head[8192] = {
			'L', 'U', 'K', 'S', 0xba, 0xbe, 0, 2, 0, 0, 0, 0, 0, 0, 0x40, 0};
		int copy = -1;
		head[cases[i].at] = cases[i].value;
		const int fd = mkstemp(path);
		assert_true(fd >= 0);
		(void)unlink(path);
		assert_int_equal(write(fd, head, sizeof head), sizeof head);
		assert_int_equal(vs_volume_copy(fd, "the image", &copy, NULL).code, cases[i].code);
		assert_int_equal(ftruncate(fd, 100), 0);
		assert_code(vs_volume_copy(fd, "the image", &copy, NULL), USAGE);
		assert_int_equal(copy, -1);
		(void)close(fd);
	}
}

static void
an_entry_comes_back_as_it_was_written(void **state)
{
	struct vs_err err = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf json = {0}, header = {0};
	VS_CLEANUP(vs_volume_entry_done)
	struct vs_volume_entry e = {.slot = 7, .token = "t \"1\"", .key = "k", .version = "v"},
			       back = {.number = -1};
	(void)state;
	assert_ok(vs_buf_add(&e.wrapped,
			  "\x00\xff"
			  "abc",
			  5, &err),
		&err);
	assert_ok(vs_volume_entry_write(&e, &json, &err), &err);
	assert_ok(vs_buf_addf(&header, &err,
			  "{\"tokens\":{\"0\":{\"type\":\"systemd-tpm2\"},\"31\":%s}}",
			  vs_buf_cstr(&json)),
		&err);
	assert_ok(vs_volume_entry_read(vs_buf_view(&header), &back, &err), &err);
	assert_int_equal(back.number, 31);
	assert_int_equal(back.slot, 7);
	assert_string_equal(back.token, e.token);
	assert_true(vs_bytes_eq(vs_buf_view(&back.wrapped), vs_buf_view(&e.wrapped)));
}

static void
an_enrolment_that_was_begun_names_its_slot(void **state)
{
	struct vs_err err = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf json = {0}, header = {0};
	VS_CLEANUP(vs_volume_entry_done)
	struct vs_volume_entry e = {.slot = 7,
				       .begun = 4711,
				       .token = "t",
				       .key = "k",
				       .version = "v"},
			       back = {.number = -1};
	(void)state;
	assert_ok(vs_buf_add(&e.wrapped, "abc", 3, &err), &err);
	assert_ok(vs_volume_entry_write(&e, &json, &err), &err);
	assert_non_null(strstr(vs_buf_cstr(&json), "\"keyslots\":[]"));
	assert_ok(vs_buf_addf(&header, &err, "{\"tokens\":{\"3\":%s}}", vs_buf_cstr(&json)), &err);
	assert_ok(vs_volume_entry_read(vs_buf_view(&header), &back, &err), &err);
	assert_int_equal(back.number, 3);
	assert_int_equal(back.slot, 7);
	assert_int_equal(back.begun, 4711);
}

static void
an_entry_without_form_is_refused(void **state)
{
	static const char *const bad[] = {
		"\"keyslots\":[\"1\",\"2\"],\"vouchsafe-token\":\"t\",\"vouchsafe-key\":\"k\","
		"\"vouchsafe-version\":\"v\",\"vouchsafe-wrapped\":\"AAAA\"",
		"\"keyslots\":[\"32\"],\"vouchsafe-token\":\"t\",\"vouchsafe-key\":\"k\","
		"\"vouchsafe-version\":\"v\",\"vouchsafe-wrapped\":\"AAAA\"",
		"\"keyslots\":[\"1\"],\"vouchsafe-token\":"
		"\"0123456789012345678901234567890123456789\",\"vouchsafe-key\":\"k\",\"vouchsafe-"
		"version\":\"v\",\"vouchsafe-wrapped\":\"AAAA\"",
		"\"keyslots\":[\"1\"],\"vouchsafe-token\":\"t\",\"vouchsafe-key\":7,\"vouchsafe-"
		"version\":\"v\",\"vouchsafe-wrapped\":\"AAAA\"",
		"\"keyslots\":[\"1\"],\"vouchsafe-token\":\"t\",\"vouchsafe-key\":\"k\","
		"\"vouchsafe-version\":\"v\",\"vouchsafe-wrapped\":\"?\"",
		"\"keyslots\":[\"1\"],\"vouchsafe-token\":\"t\",\"vouchsafe-key\":\"k\","
		"\"vouchsafe-version\":\"v\"",
#define REST \
	"\"vouchsafe-token\":\"t\",\"vouchsafe-key\":\"k\",\"vouchsafe-version\":\"v\"," \
	"\"vouchsafe-wrapped\":\"AAAA\""
		/* begun, and it has a slot; of no slot; without iterations or with none that can be
		 */
		"\"keyslots\":[\"1\"],\"vouchsafe-begun\":\"1\",\"vouchsafe-iterations\":"
		"1001," REST,
		"\"keyslots\":[],\"vouchsafe-begun\":\"32\",\"vouchsafe-iterations\":1001," REST,
		"\"keyslots\":[],\"vouchsafe-begun\":1,\"vouchsafe-iterations\":1001," REST,
		"\"vouchsafe-begun\":\"1\",\"vouchsafe-iterations\":1001," REST,
		"\"keyslots\":[],\"vouchsafe-begun\":\"1\"," REST,
		"\"keyslots\":[],\"vouchsafe-begun\":\"1\",\"vouchsafe-iterations\":0," REST,
		"\"keyslots\":[],\"vouchsafe-begun\":\"1\",\"vouchsafe-iterations\":"
		"4294967297," REST,
		"\"keyslots\":[],\"vouchsafe-begun\":\"1\",\"vouchsafe-iterations\":\"1001\"," REST,
		"\"keyslots\":[]," REST,
	};
	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		char json[1024];
		struct vs_volume_entry e = {.number = -1};
		(void)snprintf(json, sizeof json,
			"{\"tokens\":{\"0\":{\"type\":\"vouchsafe\",%s}}}", bad[i]);
		assert_code(vs_volume_entry_read(vs_bytes_str(json), &e, NULL), REFUSED_FORM);
	}
	struct vs_volume_entry e = {.number = -1};
	assert_code(vs_volume_entry_read(vs_bytes_str("{\"tokens\":{}}"), &e, NULL), NOT_FOUND);
}

/* LUKS2 has tokens 0 to 31, and -1 would mean that there is none. */
static void
an_entry_without_a_number_is_refused(void **state)
{
	static const char *const names[] = {"32", "x", "", "-1", "100", "1x"};
	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		char json[512];
		struct vs_volume_entry e = {.number = -1};
		(void)snprintf(json, sizeof json,
			"{\"tokens\":{\"%s\":{\"type\":\"vouchsafe\",\"keyslots\":[\"1\"],"
			"\"vouchsafe-token\":\"t\",\"vouchsafe-key\":\"k\",\"vouchsafe-version\":"
			"\"v\",\"vouchsafe-wrapped\":\"AAAA\"}}}",
			names[i]);
		assert_code(vs_volume_entry_read(vs_bytes_str(json), &e, NULL), REFUSED_FORM);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_cryptsetup_makes_is_accepted),
		cmocka_unit_test(every_dangerous_header_is_refused_for_its_reason),
		cmocka_unit_test(no_cut_header_is_accepted),
		cmocka_unit_test(what_decides_the_contents_changes_the_fingerprint),
		cmocka_unit_test(a_header_changed_after_the_check_is_not_seen),
		cmocka_unit_test(what_is_no_luks2_header_is_not_copied),
		cmocka_unit_test(an_entry_comes_back_as_it_was_written),
		cmocka_unit_test(an_enrolment_that_was_begun_names_its_slot),
		cmocka_unit_test(an_entry_without_form_is_refused),
		cmocka_unit_test(an_entry_without_a_number_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
