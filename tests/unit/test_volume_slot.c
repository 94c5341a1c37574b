/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Power lost at each write to a volume's header, before it and in the middle of it: the passphrase
 * that was there opens the volume, and the next enrolment comes to its end and leaves nothing of
 * the one that was cut off.
 */
#include "unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <libcryptsetup.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "tools/volume_slot.h"

enum { IMAGE = 17 << 20, SOME_SLOTS = 1 << 20, WRITES_MAX = 500 };

struct world {
	char dir[64], path[80], pristine[80];
	struct vs_arena *arena;
	struct vs_secret typed, fresh;
};

/* ---- power ----------------------------------------------------------------------------------- */

static int power_left = -1; /* writes to the image until it is lost; -1: it stays */
static int writes_seen;
static bool torn; /* half of the last write gets there */
static ino_t image_inode;

static bool
is_image(int fd)
{
	struct stat st;
	return image_inode && fstat(fd, &st) == 0 && st.st_ino == image_inode;
}

/* How much of n is written; the process does not come back from the last one. */
static ssize_t
powered(int fd, const void *p, size_t n, off_t at, bool has_at)
{
	const bool mine = is_image(fd);
	writes_seen += mine;
	const bool last = mine && power_left >= 0 && power_left-- == 0;
	if (last)
		n = torn ? n / 2 / 512 * 512 : 0;
	const ssize_t r =
		has_at ? syscall(SYS_pwrite64, fd, p, n, at) : syscall(SYS_write, fd, p, n);
	if (last)
		(void)kill(getpid(), SIGKILL);
	return r;
}

/* Instead of the C library's, for libcryptsetup in this program. */
#define SEEN __attribute__((visibility("default")))
SEEN ssize_t write(int fd, const void *p, size_t n);
SEEN ssize_t pwrite(int fd, const void *p, size_t n, off_t at);
SEEN ssize_t pwrite64(int fd, const void *p, size_t n, off_t at);
ssize_t
write(int fd, const void *p, size_t n)
{
	return powered(fd, p, n, 0, false);
}
ssize_t
pwrite(int fd, const void *p, size_t n, off_t at)
{
	return powered(fd, p, n, at, true);
}
ssize_t
pwrite64(int fd, const void *p, size_t n, off_t at)
{
	return powered(fd, p, n, at, true);
}

/* ---- a volume -------------------------------------------------------------------------------- */

static struct vs_buf
contents(const char *path)
{
	struct vs_buf b = {.max = 2 * IMAGE};
	struct vs_err err = {0};
	assert_ok(vs_file_read(path, b.max, VS_FILE_ANY, &b, &err), &err);
	return b;
}

static void
copy_file(const char *from, const char *to)
{
	struct vs_err err = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf b = contents(from);
	const int fd = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_ok(vs_fd_write_all(fd, vs_buf_view(&b), &err), &err);
	(void)close(fd);
}

static void
set_secret(struct world *w, struct vs_secret *s, const char *text)
{
	struct vs_err err = {0};
	assert_ok(vs_secret_new(w->arena, strlen(text), s, &err), &err);
	memcpy(s->p, text, strlen(text));
}

static void
set_secrets(struct world *w)
{
	struct vs_err err = {0};
	assert_ok(vs_arena_new(64 * 1024, 1 << 20, VS_LOCK_WARN, &w->arena, &err), &err);
	set_secret(w, &w->typed, "typed by a person");
	set_secret(
		w, &w->fresh, "0123456789012345678901234567890123456789012345678901234567890123");
}

static const struct crypt_pbkdf_type light = {.type = CRYPT_KDF_PBKDF2,
	.hash = "sha256",
	.iterations = 1000,
	.flags = CRYPT_PBKDF_NO_BENCHMARK};

/* With room for so many bytes of key slots; 0: for all that LUKS2 can number. */
static void
format(struct world *w, uint64_t room)
{
	struct crypt_device *cd = NULL;
	struct crypt_params_luks2 params = {.pbkdf = &light, .sector_size = 512};
	const int fd = open(w->pristine, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)(room ? room + (3 << 20) : IMAGE)), 0);
	(void)close(fd);
	assert_int_equal(crypt_init(&cd, w->pristine), 0);
	if (room)
		assert_int_equal(crypt_set_metadata_size(cd, 16384, room), 0);
	assert_int_equal(
		crypt_format(cd, CRYPT_LUKS2, "aes", "xts-plain64", NULL, NULL, 64, &params), 0);
	assert_int_equal(crypt_keyslot_add_by_volume_key(
				 cd, 0, NULL, 64, (const char *)w->typed.p, w->typed.n),
		0);
	crypt_free(cd);
	copy_file(w->pristine, w->path);
}

static int
world_setup(void **state)
{
	struct world *w = calloc(1, sizeof *w);
	if (!w)
		return -1;
	/* Hundreds of images: in memory, where there is such a folder. */
	(void)snprintf(w->dir, sizeof w->dir, "%s/vs-slot.XXXXXX",
		access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (!mkdtemp(w->dir))
		return -1;
	(void)snprintf(w->path, sizeof w->path, "%s/image", w->dir);
	(void)snprintf(w->pristine, sizeof w->pristine, "%s/pristine", w->dir);
	set_secrets(w);
	format(w, SOME_SLOTS);
	*state = w;
	return 0;
}

static int
world_teardown(void **state)
{
	struct world *w = *state;
	vs_secret_done(&w->typed);
	vs_secret_done(&w->fresh);
	vs_arena_free(w->arena);
	(void)unlink(w->path);
	(void)unlink(w->pristine);
	(void)rmdir(w->dir);
	free(w);
	return 0;
}

static struct vs_volume_disk
load(const struct world *w)
{
	struct vs_volume_disk d = {.device = "the image"};
	assert_int_equal(crypt_init(&d.cd, w->path), 0);
	assert_int_equal(crypt_load(d.cd, CRYPT_LUKS2, NULL), 0);
	return d;
}

static struct vs_volume_entry
new_entry(void)
{
	struct vs_volume_entry e = {
		.number = -1, .token = "t", .key = "k", .version = "v", .wrapped = {.max = 512}};
	struct vs_err err = {0};
	uint8_t *room = NULL;
	assert_ok(vs_buf_room(&e.wrapped, 256, &room, &err), &err);
	memset(room, 7, 256);
	e.wrapped.n = 256;
	return e;
}

static vs_rc
read_disk(struct vs_volume_disk *d, struct vs_volume_entry *e)
{
	const char *json = NULL;
	assert_int_equal(crypt_dump_json(d->cd, &json, 0), 0);
	*e = (struct vs_volume_entry){.number = -1};
	return vs_volume_entry_read(vs_bytes_str(json), e, NULL);
}

/* What vouchsafe volume enroll does with the header. */
static vs_rc
enroll(const struct world *w, struct vs_volume_disk *d, struct vs_err *err)
{
	VS_CLEANUP(vs_volume_entry_done)
	struct vs_volume_entry had = {.number = -1}, e = new_entry();
	if (!vs_failed(read_disk(d, &had)) && !had.begun)
		VS_FAIL(err, USAGE, "enrolled already");
	VS_TRY(vs_volume_slot_try(d, &w->typed, had.number >= 0 ? &had : NULL, err));
	if (had.number >= 0)
		VS_TRY(vs_volume_slot_undo(d, &had, err));
	return vs_volume_slot_add(d, &w->typed, &w->fresh, &e, err);
}

static int
slots(struct vs_volume_disk *d)
{
	int n = 0;
	for (int i = 0; i < crypt_keyslot_max(CRYPT_LUKS2); i++)
		n += crypt_keyslot_status(d->cd, i) >= CRYPT_SLOT_ACTIVE;
	return n;
}

static int
tokens(struct vs_volume_disk *d)
{
	int n = 0;
	for (int i = 0; i < crypt_token_max(CRYPT_LUKS2); i++)
		n += crypt_token_status(d->cd, i, NULL) != CRYPT_TOKEN_INACTIVE;
	return n;
}

static int
opens(struct vs_volume_disk *d, int slot, const struct vs_secret *s)
{
	return crypt_activate_by_passphrase(d->cd, NULL, slot, (const char *)s->p, s->n, 0);
}

/* In a process of its own, which loses power at write n. False: it came to its end. */
static bool
lose_power(const struct world *w, int n, bool in_the_middle)
{
	int status = 0;
	const pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct stat st;
		struct vs_err err = {0};
		struct vs_volume_disk d = load(w);
		if (stat(w->path, &st) != 0)
			_exit(2);
		image_inode = st.st_ino;
		torn = in_the_middle;
		power_left = n;
		struct world mine = *w;
		set_secrets(&mine); /* the arena's are gone after fork */
		_exit(vs_failed(enroll(&mine, &d, &err)) || writes_seen == 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status)) {
		assert_int_equal(WTERMSIG(status), SIGKILL);
		return true;
	}
	assert_int_equal(WEXITSTATUS(status), 0);
	return false;
}

static void
expect_whole(const struct world *w, struct vs_volume_disk *d)
{
	VS_CLEANUP(vs_volume_entry_done) struct vs_volume_entry e = {.number = -1};
	assert_int_equal(read_disk(d, &e).code, VS_E_OK);
	assert_int_equal(e.begun, 0);
	assert_int_equal(slots(d), 2);
	assert_int_equal(tokens(d), 1);
	assert_int_equal(opens(d, e.slot, &w->fresh), e.slot);
	assert_int_equal(opens(d, 0, &w->typed), 0);
}

struct seen {
	int nothing, begun, begun_slot, whole;
};

static void
after_power(const struct world *w, int n, struct seen *seen)
{
	struct vs_err err = {0};
	VS_CLEANUP(vs_volume_entry_done) struct vs_volume_entry e = {.number = -1};
	struct vs_volume_disk d = load(w);
	const bool there = !vs_failed(read_disk(&d, &e));
	if (opens(&d, 0, &w->typed) != 0)
		fail_msg("power lost at write %d: the volume's own passphrase is lost", n);
	if (slots(&d) > 1 && !there)
		fail_msg("power lost at write %d: a slot that nothing tells of", n);
	seen->nothing += !there;
	seen->begun += there && e.begun && slots(&d) == 1;
	seen->begun_slot += there && e.begun && slots(&d) == 2;
	seen->whole += there && !e.begun;
	if (!there || e.begun)
		assert_ok(enroll(w, &d, &err), &err);
	crypt_free(d.cd);
	d = load(w);
	expect_whole(w, &d);
	crypt_free(d.cd);
}

static void
power_lost_at_any_write_leaves_nothing_or_what_the_next_enrolment_takes_back(void **state)
{
	struct world *w = *state;
	struct seen seen = {0};
	int n = 0;
	for (int middle = 0; middle < 2; middle++)
		for (n = 0; n < WRITES_MAX; n++) {
			copy_file(w->pristine, w->path);
			if (!lose_power(w, n, middle))
				break;
			after_power(w, n, &seen);
		}
	print_message(
		"power lost at each of %d writes: nothing %d, begun %d, begun with slot %d, whole "
		"%d\n",
		n, seen.nothing, seen.begun, seen.begun_slot, seen.whole);
	assert_true(n >= 6 && n < WRITES_MAX);
	assert_true(seen.nothing > 0 && seen.begun > 0 && seen.begun_slot > 0);
}

/* Now it is the taking back that is cut off, and taken back again. */
static void
power_lost_while_taking_back_is_taken_back_too(void **state)
{
	struct world *w = *state;
	VS_CLEANUP(vs_volume_entry_done) struct vs_volume_entry e = {.number = -1};
	char half[sizeof w->dir + 8];
	struct seen seen = {0};
	int n = 0;
	/* As it is before the last step. */
	for (; n < WRITES_MAX; n++) {
		copy_file(w->pristine, w->path);
		assert_true(lose_power(w, n, false));
		struct vs_volume_disk d = load(w);
		const bool found = !vs_failed(read_disk(&d, &e)) && e.begun && slots(&d) == 2;
		vs_volume_entry_done(&e);
		crypt_free(d.cd);
		if (found)
			break;
	}
	(void)snprintf(half, sizeof half, "%s/half", w->dir);
	copy_file(w->path, half);
	for (n = 0; n < WRITES_MAX; n++) {
		copy_file(half, w->path);
		if (!lose_power(w, n, n % 2))
			break;
		after_power(w, n, &seen);
	}
	(void)unlink(half);
	print_message(
		"power lost at each of %d writes: nothing %d, begun %d, begun with slot %d, whole "
		"%d\n",
		n, seen.nothing, seen.begun, seen.begun_slot, seen.whole);
	assert_true(n >= 10 && n < WRITES_MAX && seen.begun > 0 && seen.begun_slot > 0);
}

/* ---- who else writes there --------------------------------------------------------------------
 */

static void
put_begun(struct vs_volume_disk *d, int slot, uint32_t iterations)
{
	struct vs_err err = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf json = {.max = 4096};
	VS_CLEANUP(vs_volume_entry_done) struct vs_volume_entry e = new_entry();
	e.slot = slot;
	e.begun = iterations;
	assert_ok(vs_volume_entry_write(&e, &json, &err), &err);
	assert_true(crypt_token_json_set(d->cd, CRYPT_ANY_TOKEN, vs_buf_cstr(&json)) >= 0);
}

static void
a_slot_that_came_there_since_is_kept(void **state)
{
	struct world *w = *state;
	struct vs_err err = {0};
	struct vs_volume_disk d = load(w);
	VS_CLEANUP(vs_secret_done) struct vs_secret other = {0};
	set_secret(w, &other, "a recovery key");
	put_begun(&d, 1, 33333);
	assert_int_equal(crypt_set_pbkdf_type(d.cd, &light), 0);
	assert_int_equal(crypt_keyslot_add_by_passphrase(d.cd, 1, (const char *)w->typed.p,
				 w->typed.n, (const char *)other.p, other.n),
		1);
	assert_ok(enroll(w, &d, &err), &err);
	assert_int_equal(opens(&d, 1, &other), 1);
	assert_int_equal(slots(&d), 3);
	assert_int_equal(tokens(&d), 1);
	crypt_free(d.cd);
}

static void
an_entry_that_wants_the_slot_of_the_passphrase_is_refused(void **state)
{
	struct world *w = *state;
	struct vs_err err = {0};
	struct vs_volume_disk d = load(w);
	put_begun(&d, 0, 1000);
	assert_code(enroll(w, &d, &err), REFUSED_FORM);
	assert_int_equal(opens(&d, 0, &w->typed), 0);
	crypt_free(d.cd);
}

static void
a_wrong_passphrase_changes_no_byte(void **state)
{
	struct world *w = *state;
	struct vs_err err = {0};
	struct vs_volume_disk d = load(w);
	struct world other = *w;
	other.typed = (struct vs_secret){0};
	set_secret(w, &other.typed, "typed by another");
	assert_code(enroll(&other, &d, &err), PIN);
	crypt_free(d.cd);
	VS_CLEANUP(vs_buf_done)
	struct vs_buf now = contents(w->path), before = contents(w->pristine);
	assert_true(vs_bytes_eq(vs_buf_view(&now), vs_buf_view(&before)));
	vs_secret_done(&other.typed);
}

static void
without_a_free_slot_nothing_is_begun(void **state)
{
	struct world *w = *state;
	struct vs_err err = {0};
	format(w, 0);
	struct vs_volume_disk d = load(w);
	assert_int_equal(crypt_set_pbkdf_type(d.cd, &light), 0);
	for (int i = 1; i < crypt_keyslot_max(CRYPT_LUKS2); i++)
		assert_int_equal(crypt_keyslot_add_by_passphrase(
					 d.cd, i, (const char *)w->typed.p, w->typed.n, "x", 1),
			i);
	assert_code(enroll(w, &d, &err), LIMIT);
	assert_int_equal(tokens(&d), 0);
	crypt_free(d.cd);
}

/* A number is free, but its bytes are not: what was begun is taken back at once. */
static void
without_room_for_a_slot_nothing_stays(void **state)
{
	struct world *w = *state;
	struct vs_err err = {0};
	struct vs_volume_disk d = load(w);
	int n = 1;
	assert_int_equal(crypt_set_pbkdf_type(d.cd, &light), 0);
	while (crypt_keyslot_add_by_passphrase(
		       d.cd, n, (const char *)w->typed.p, w->typed.n, "x", 1) == n)
		n++;
	assert_in_range(n, 2, 20);
	assert_code(enroll(w, &d, &err), FILE);
	assert_int_equal(tokens(&d), 0);
	assert_int_equal(slots(&d), n);
	crypt_free(d.cd);
}

int
main(void)
{
#define DISK_TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		DISK_TEST(
			power_lost_at_any_write_leaves_nothing_or_what_the_next_enrolment_takes_back),
		DISK_TEST(power_lost_while_taking_back_is_taken_back_too),
		DISK_TEST(a_slot_that_came_there_since_is_kept),
		DISK_TEST(an_entry_that_wants_the_slot_of_the_passphrase_is_refused),
		DISK_TEST(a_wrong_passphrase_changes_no_byte),
		DISK_TEST(without_a_free_slot_nothing_is_begun),
		DISK_TEST(without_room_for_a_slot_nothing_stays),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
