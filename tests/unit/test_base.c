/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit/unit.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/codec.h"
#include "base/file.h"
#include "base/ini.h"
#include "base/secret.h"

static void
keeps_the_cause_first_and_denies_a_success_that_failed(void **state)
{
	(void)state;
	struct vs_err err = {0};
	vs_rc rc = vs_err_put(
		&err, VS_E_REFUSED_POLICY, __func__, __LINE__, 7, "claim %s\nis off", "x");
	assert_code(rc, REFUSED_POLICY);
	rc = vs_err_while(rc, &err, "while attesting");
	for (int i = 0; i < 10; i++)
		rc = vs_err_while(rc, &err, "while %d", i);
	char s[400];
	vs_err_sentence(&err, s, sizeof s);
	assert_string_equal(s, "claim x?is off (while attesting; while 0; while 1)");
	assert_int_equal(err.frames[0].foreign, 7);
	assert_code(vs_err_put(NULL, VS_E_OK, "f", 1, 0, "bug"), INTERNAL);
	assert_code(vs_err_while(VS_OK, NULL, "bug"), INTERNAL);
	char tiny[5];
	vs_err_sentence(&err, tiny, sizeof tiny);
	assert_string_equal(tiny, "clai");
}

/* JSON takes nothing else: a sentence that is no text would be left out where it is reported. */
static void
a_sentence_is_text_wherever_it_is_cut(void **state)
{
	(void)state;
	struct vs_err err = {0};
	char euros[VS_ERR_TEXT_MAX + 1], s[VS_ERR_TEXT_MAX];
	for (size_t i = 0; i + 3 < sizeof euros; i += 3)
		memcpy(euros + i, "\xe2\x82\xac", 4);
	for (int pad = 0; pad < 4; pad++) {
		(void)vs_err_put(&err, VS_E_ANSWER, "f", 1, 0, "%*s%s", pad, "", euros).code;
		assert_true(vs_utf8_ok(vs_bytes_str(err.frames[0].text)));
		assert_in_range(strlen(err.frames[0].text), VS_ERR_TEXT_MAX - 4, VS_ERR_TEXT_MAX);
		for (size_t n = 1; n < sizeof s; n++) {
			vs_err_sentence(&err, s, n);
			assert_true(vs_utf8_ok(vs_bytes_str(s)));
		}
	}
	(void)vs_err_put(&err, VS_E_ANSWER, "f", 1, 0, "a%sb", "\xff\xc2\x9b\xc3\xbc\x7f").code;
	assert_string_equal(err.frames[0].text, "a???\xc3\xbc?b");
}

static void
knows_every_code_once(void **state)
{
	(void)state;
	static const unsigned numbers[] = {
#define N(name, cat, number, text) number,
		VS_ERR_LIST(N)
#undef N
	};
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		for (size_t j = 0; j < i; j++)
			assert_int_not_equal(numbers[i], numbers[j]);
		assert_int_equal(vs_code_from_number(numbers[i]), numbers[i]);
		assert_int_not_equal(vs_code_cat((enum vs_code)numbers[i]), VS_CAT_NONE);
	}
	assert_int_equal(vs_code_from_number(4711), VS_E_INTERNAL);
}

static void
refuses_to_grow_past_the_maximum(void **state)
{
	(void)state;
	struct vs_err err = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf b = {.max = 4};
	assert_ok(vs_buf_add(&b, "abcd", 4, &err), &err);
	assert_code(vs_buf_add(&b, "e", 1, &err), LIMIT);
	assert_code(vs_buf_add(&b, "e", SIZE_MAX, &err), LIMIT);
	assert_string_equal(vs_buf_cstr(&b), "abcd");
	assert_code(vs_buf_set(&b, "12345", 5, &err), LIMIT);
	assert_string_equal(vs_buf_cstr(&b), "abcd");
	assert_ok(vs_buf_set(&b, "xy", 2, &err), &err);
	assert_string_equal(vs_buf_cstr(&b), "xy");
}

static void
reader_reads_zero_after_the_end(void **state)
{
	(void)state;
	static const uint8_t d[] = {0, 3, 'a', 'b'};
	struct vs_reader r = vs_reader_of(vs_bytes_of(d, sizeof d));
	assert_int_equal(vs_get_2b(&r).n, 0);
	assert_true(r.bad);
	assert_int_equal(vs_get_u8(&r), 0);
	assert_false(vs_reader_done(&r));
	r = vs_reader_of(vs_bytes_of(d, sizeof d));
	assert_int_equal(vs_get_le32(&r), 0x62610300);
	assert_true(vs_reader_done(&r));
}

struct b64_case {
	const char *text;
	int n; /* -1: refused */
};

static void
base64url_has_one_text_for_each_value(void **state)
{
	(void)state;
	static const struct b64_case cases[] = {{"", 0}, {"AA", 1}, {"AAA", 2}, {"AAAA", 3},
		{"-_8", 2}, {"A", -1}, {"AAAAA", -1}, {"AB", -1}, {"AAB", -1}, {"AA==", -1},
		{"+/8", -1}, {"A A", -1}, {"AA\n", -1}, {"\xc3\xa4", -1}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct vs_err err = {0};
		VS_CLEANUP(vs_buf_done) struct vs_buf b = {0};
		const vs_rc rc = vs_b64url_decode(vs_bytes_str(cases[i].text), &b, &err);
		if (cases[i].n < 0) {
			assert_code(rc, FORMAT);
			assert_int_equal(b.n, 0);
			continue;
		}
		assert_ok(rc, &err);
		assert_int_equal(b.n, cases[i].n);
		VS_CLEANUP(vs_buf_done) struct vs_buf again = {0};
		assert_ok(vs_b64url_encode(vs_buf_view(&b), &again, &err), &err);
		assert_string_equal(vs_buf_cstr(&again), cases[i].text);
	}
}

static void
standard_base64_wants_its_padding(void **state)
{
	(void)state;
	static const struct b64_case cases[] = {{"", 0}, {"AA==", 1}, {"AAA=", 2}, {"AAAA", 3},
		{"AA", -1}, {"AA=", -1}, {"AB==", -1}, {"====", -1}, {"A===", -1}, {"AA==AA==", -1},
		{"-_8=", -1}, {"AAA=\n", -1}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		VS_CLEANUP(vs_buf_done) struct vs_buf b = {0};
		struct vs_err err = {0};
		const vs_rc rc = vs_b64_decode(vs_bytes_str(cases[i].text), &b, &err);
		assert_int_equal(vs_failed(rc), cases[i].n < 0);
		if (cases[i].n >= 0)
			assert_int_equal(b.n, cases[i].n);
	}
	VS_CLEANUP(vs_buf_done) struct vs_buf b = {0};
	struct vs_err err = {0};
	assert_ok(vs_b64_any_decode(vs_bytes_str("-/8"), &b, &err), &err);
	assert_ok(vs_b64_any_decode(vs_bytes_str("-/8="), &b, &err), &err);
	assert_code(vs_b64_any_decode(vs_bytes_str("-/="), &b, &err), FORMAT);
}

static void
hex_refuses_odd_and_foreign_digits(void **state)
{
	(void)state;
	struct vs_err err = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf b = {0};
	assert_ok(vs_hex_decode(vs_bytes_str("00fFaB"), &b, &err), &err);
	assert_memory_equal(b.p, "\x00\xff\xab", 3);
	assert_code(vs_hex_decode(vs_bytes_str("0"), &b, &err), FORMAT);
	assert_code(vs_hex_decode(vs_bytes_str("0g"), &b, &err), FORMAT);
	assert_int_equal(b.n, 3);
	char s[7];
	vs_hex_str(b.p, 3, s, sizeof s);
	assert_string_equal(s, "00ffab");
}

static void
quotes_foreign_text_on_one_line(void **state)
{
	(void)state;
	char s[24];
	assert_string_equal(vs_quote(vs_bytes_str("a\n\x1b[1mb"), s, sizeof s), "a\\x0a\\x1b[1mb");
	assert_string_equal(
		vs_quote(vs_bytes_str("gr\xc3\xbc\xc3\x9f"), s, sizeof s), "gr\xc3\xbc\xc3\x9f");
	assert_string_equal(
		vs_quote(vs_bytes_str("\xff\xc2\x85\""), s, sizeof s), "\\xff\\xc2\\x85\\x22");
	vs_quote(vs_bytes_str("0123456789012345678901234567890"), s, sizeof s);
	assert_string_equal(s, "01234567890123456789...");
	assert_false(vs_utf8_ok(vs_bytes_str("\xed\xa0\x80")));
	assert_false(vs_utf8_ok(vs_bytes_of("a\0b", 3)));
	assert_true(vs_utf8_ok(vs_bytes_str("\xf0\x9f\x98\x80")));
	assert_int_equal(vs_distance("polcy", "policy"), 1);
	assert_int_equal(vs_distance("", "abc"), 3);
}

static void
secrets_are_wiped_on_free_and_gone_in_a_child(void **state)
{
	(void)state;
	struct vs_err err = {0};
	struct vs_arena *a = NULL;
	assert_ok(vs_arena_new(4096, 16384, VS_LOCK_WARN, &a, &err), &err);
	struct vs_secret s = {0}, t = {0};
	assert_ok(vs_secret_from(a, "hunter2", 7, &s, &err), &err);
	assert_ok(vs_secret_from(a, "hunter2", 7, &t, &err), &err);
	assert_true(vs_secret_eq(&s, &t));
	const pid_t pid = fork();
	if (pid == 0) {
		const bool zero = s.p[0] == 0 && s.p[6] == 0;
		vs_arena_abandon(a);
		_exit(zero ? 0 : 1);
	}
	int status = 1;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	const uint8_t *was = s.p;
	vs_secret_done(&s);
	assert_int_equal(was[0], 0);
	assert_null(s.p);
	vs_secret_done(&s);
	vs_secret_move(&s, &t);
	assert_null(t.p);
	assert_int_equal(s.n, 7);
	struct vs_secret big = {0};
	assert_ok(vs_secret_new(a, 9000, &big, &err), &err);
	struct vs_secret more = {0};
	assert_code(vs_secret_new(a, 9000, &more, &err), LIMIT);
	vs_secret_done(&big);
	vs_secret_done(&s);
	vs_arena_free(a);
}

static vs_rc
collect_line(void *arg, const struct vs_ini_line *l, struct vs_err *err)
{
	struct vs_buf *b = arg;
	return l->name ? vs_buf_addf(b, err, "%u|%s|%s|%s|%s\n", l->line, l->kind, l->label,
				 l->name, l->value)
		       : vs_buf_addf(b, err, "%u|%s|%s\n", l->line, l->kind, l->label);
}

static void
ini_scans_what_it_documents(void **state)
{
	(void)state;
	struct vs_err err = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf b = {0};
	assert_ok(vs_ini_scan("f",
			  vs_bytes_str("a=1\r\n# c\n\n[token  my keys ] ; c\n"
				       "url = https://x/;y#z ; comment\nq = \" # kept \"\nempty="),
			  collect_line, &b, &err),
		&err);
	assert_string_equal(vs_buf_cstr(&b),
		"1|||a|1\n4|token|my keys\n5|token|my keys|url|https://x/;y#z\n"
		"6|token|my keys|q| # kept \n7|token|my keys|empty|\n");
	static const char *const bad[] = {"noequals", "[open", "[]", "= x", "a = \"x",
		"a = x \"y\"", "a=\x01", "[a]b", "[a b]]"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_code(vs_ini_scan("f", vs_bytes_str(bad[i]), collect_line, &b, &err),
			CONFIG_SYNTAX);
	char s[200];
	(void)vs_ini_scan("f", vs_bytes_str("a=1\nbad"), collect_line, &b, &err).code;
	vs_err_sentence(&err, s, sizeof s);
	assert_non_null(strstr(s, "f:2:"));
}

static void
reads_only_files_that_others_cannot_change(void **state)
{
	(void)state;
	char dir[] = "/tmp/vs-base-XXXXXX", path[64], link[64];
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof path, "%s/f", dir);
	(void)snprintf(link, sizeof link, "%s/l", dir);
	struct vs_err err = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf b = {0};
	assert_ok(vs_file_replace(path, 0600, vs_bytes_str("text"), &err), &err);
	assert_ok(vs_file_read(path, 4, VS_FILE_SECRET, &b, &err), &err);
	assert_string_equal(vs_buf_cstr(&b), "text");
	assert_code(vs_file_read(path, 3, VS_FILE_ANY, &b, &err), CONFIG_FILE);
	assert_int_equal(chmod(path, 0644), 0);
	assert_ok(vs_file_read(path, 4, VS_FILE_TRUSTED, &b, &err), &err);
	assert_code(vs_file_read(path, 4, VS_FILE_SECRET, &b, &err), CONFIG_FILE);
	assert_int_equal(chmod(path, 0664), 0);
	assert_code(vs_file_read(path, 4, VS_FILE_TRUSTED, &b, &err), CONFIG_FILE);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(symlink(path, link), 0);
	assert_code(vs_file_read(link, 4, VS_FILE_TRUSTED, &b, &err), CONFIG_FILE);
	assert_ok(vs_file_read(link, 4, VS_FILE_ANY, &b, &err), &err);
	assert_int_equal(chmod(dir, 0777), 0);
	assert_code(vs_file_read(path, 4, VS_FILE_TRUSTED, &b, &err), CONFIG_FILE);
	assert_code(vs_file_read(dir, 4, VS_FILE_ANY, &b, &err), CONFIG_FILE);
	assert_int_equal(unlink(link) | unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_code(vs_file_read(path, 4, VS_FILE_ANY, &b, &err), CONFIG_FILE);
	assert_int_equal(unlink(path) | rmdir(dir), 0);
}

/* Who can write any folder on the way can put another tree in its place (T-C1). */
enum { MASK = 0x5a, MARK = 32, AREA_MAX = 64 << 20 };

/* How often what is masked here stands in this process's memory. */
__attribute__((no_sanitize("address"))) static size_t
found_in_memory(const uint8_t masked[MARK])
{
	char line[512], rights[8];
	size_t found = 0;
	FILE *f = fopen("/proc/self/maps", "re");
	assert_non_null(f);
	while (fgets(line, sizeof line, f)) {
		unsigned long from = 0, to = 0;
		if (sscanf(line, "%lx-%lx %7s", &from, &to, rights) != 3 || rights[0] != 'r' ||
			to - from > AREA_MAX || strstr(line, "[v"))
			continue;
		for (const uint8_t *p = (const uint8_t *)from; p + MARK <= (const uint8_t *)to;
			p++) {
			size_t n = 0;
			while (n < MARK && (p[n] ^ MASK) == masked[n])
				n++;
			found += n == MARK;
		}
	}
	(void)fclose(f);
	return found;
}

/* Callers wipe what they were given; there must be nothing else to wipe. */
static void
a_file_is_read_without_a_second_copy(void **state)
{
	static const struct {
		size_t n, max;
		bool too_long;
	} rows[] = {{MARK, MARK, false}, {MARK, 1024, false}, {8192, 65536, false},
		{20000, 65536, false}, {20000, 20000, false}, {20000, 19999, true}};
	const struct vs_rng rng = vs_rng_system();
	char path[] = "/tmp/vouchsafe-base-copy.XXXXXX";
	struct vs_err err = {0};
	(void)state;
	const int fd = mkstemp(path);
	assert_true(fd >= 0);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		uint8_t masked[MARK], one[MARK];
		struct vs_buf b = {0};
		assert_ok(rng.ops->fill(rng.self, masked, sizeof masked, &err), &err);
		assert_int_equal(ftruncate(fd, 0), 0);
		assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
		for (size_t n = 0; n < rows[i].n; n += MARK) {
			for (size_t k = 0; k < MARK; k++)
				one[k] = masked[k] ^ MASK;
			assert_int_equal(write(fd, one, MARK), MARK);
			explicit_bzero(one, sizeof one);
		}
		const vs_rc rc = vs_file_read(path, rows[i].max, VS_FILE_SECRET, &b, &err);
		assert_int_equal(vs_failed(rc), rows[i].too_long);
		if (!vs_failed(rc)) {
			assert_int_equal(b.n, (rows[i].n + MARK - 1) / MARK * MARK);
			assert_true(found_in_memory(masked) > 0);
			vs_wipe(b.p, b.cap);
		}
		vs_buf_done(&b);
		assert_int_equal(found_in_memory(masked), 0);
	}
	close(fd);
	assert_int_equal(unlink(path), 0);
}

static void
every_folder_above_a_file_must_be_safe(void **state)
{
	(void)state;
	char dir[] = "/tmp/vs-base-XXXXXX", path[160], sub[3][64], link[64], loop[64];
	static const char *const names[] = {"a", "a/b", "a/b/c"};
	struct vs_err err = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf b = {0};
	assert_non_null(mkdtemp(dir));
	for (int i = 0; i < 3; i++) {
		(void)snprintf(sub[i], sizeof sub[i], "%s/%s", dir, names[i]);
		assert_int_equal(mkdir(sub[i], 0755), 0);
	}
	(void)snprintf(path, sizeof path, "%s/f", sub[2]);
	(void)snprintf(link, sizeof link, "%s/link", dir);
	(void)snprintf(loop, sizeof loop, "%s/loop", dir);
	assert_ok(vs_file_replace(path, 0600, vs_bytes_str("text"), &err), &err);
	assert_ok(vs_file_read(path, 4, VS_FILE_TRUSTED, &b, &err), &err);
	for (int i = 0; i < 3; i++) {
		static const mode_t modes[] = {0775, 0757, 0777};
		for (int k = 0; k < 3; k++) {
			assert_int_equal(chmod(sub[i], modes[k]), 0);
			err = (struct vs_err){0};
			assert_code(vs_file_read(path, 4, VS_FILE_TRUSTED, &b, &err), CONFIG_FILE);
			assert_non_null(strstr(err.frames[0].text, sub[i]));
			/* In a sticky one others cannot replace what is ours. */
			assert_int_equal(chmod(sub[i], modes[k] | 01000), 0);
			assert_ok(vs_file_read(path, 4, VS_FILE_TRUSTED, &b, &err), &err);
		}
		assert_int_equal(chmod(sub[i], 0755), 0);
	}
	/* By a link on the way: what it leads through counts, too, forwards and back. */
	assert_int_equal(symlink("a/b/../b", link), 0);
	(void)snprintf(path, sizeof path, "%s//./c/f", link);
	assert_ok(vs_file_read(path, 4, VS_FILE_TRUSTED, &b, &err), &err);
	assert_int_equal(chmod(sub[0], 0777), 0);
	assert_code(vs_file_read(path, 4, VS_FILE_TRUSTED, &b, &err), CONFIG_FILE);
	assert_int_equal(chmod(sub[0], 0755), 0);
	if (geteuid() == 0) {
		assert_int_equal(lchown(link, 65534, 65534), 0);
		assert_code(vs_file_read(path, 4, VS_FILE_TRUSTED, &b, &err), CONFIG_FILE);
		assert_int_equal(unlink(link), 0);
		assert_int_equal(symlink(sub[1], link), 0);
		assert_int_equal(chown(sub[0], 65534, 65534), 0);
		assert_code(vs_file_read(path, 4, VS_FILE_TRUSTED, &b, &err), CONFIG_FILE);
		assert_int_equal(chown(sub[0], 0, 0), 0);
		assert_ok(vs_file_read(path, 4, VS_FILE_TRUSTED, &b, &err), &err);
	}
	assert_int_equal(symlink("loop", loop), 0);
	(void)snprintf(path, sizeof path, "%s/f", loop);
	assert_code(vs_file_read(path, 4, VS_FILE_TRUSTED, &b, &err), CONFIG_FILE);
	/* Relative to where we are. */
	char cwd[1024];
	assert_non_null(getcwd(cwd, sizeof cwd));
	assert_int_equal(chdir(sub[1]), 0);
	assert_ok(vs_file_read("c/f", 4, VS_FILE_TRUSTED, &b, &err), &err);
	assert_int_equal(chmod(sub[0], 0777), 0);
	assert_code(vs_file_read("c/f", 4, VS_FILE_TRUSTED, &b, &err), CONFIG_FILE);
	assert_int_equal(chdir(cwd), 0);
	(void)snprintf(path, sizeof path, "%s/f", sub[2]);
	assert_int_equal(unlink(path) | unlink(link) | unlink(loop), 0);
	for (int i = 3; i-- > 0;)
		assert_int_equal(rmdir(sub[i]), 0);
	assert_int_equal(rmdir(dir), 0);
}

static void
serials_are_stable(void **state)
{
	(void)state;
	char a[17], b[17];
	vs_serial16("data-keys", "https://contoso.vault.azure.net", a);
	vs_serial16("data-keys", "https://contoso.managedhsm.azure.net", b);
	assert_int_equal(strlen(a), 16);
	assert_string_not_equal(a, b);
	assert_string_equal(a, "797652ac1cafb7b2");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_the_cause_first_and_denies_a_success_that_failed),
		cmocka_unit_test(a_sentence_is_text_wherever_it_is_cut),
		cmocka_unit_test(knows_every_code_once),
		cmocka_unit_test(refuses_to_grow_past_the_maximum),
		cmocka_unit_test(reader_reads_zero_after_the_end),
		cmocka_unit_test(base64url_has_one_text_for_each_value),
		cmocka_unit_test(standard_base64_wants_its_padding),
		cmocka_unit_test(hex_refuses_odd_and_foreign_digits),
		cmocka_unit_test(quotes_foreign_text_on_one_line),
		cmocka_unit_test(secrets_are_wiped_on_free_and_gone_in_a_child),
		cmocka_unit_test(ini_scans_what_it_documents),
		cmocka_unit_test(reads_only_files_that_others_cannot_change),
		cmocka_unit_test(a_file_is_read_without_a_second_copy),
		cmocka_unit_test(every_folder_above_a_file_must_be_safe),
		cmocka_unit_test(serials_are_stable),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
