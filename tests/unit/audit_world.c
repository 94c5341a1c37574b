/* SPDX-License-Identifier: BSD-2-Clause */
/* A directory with an audit log in it, for the tests of the log. */
#include "unit/audit_world.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"

static int64_t
hand_wall(void *self)
{
	return ((struct world *)self)->wall;
}

int64_t
real_boot(void *self)
{
	(void)self;
	const struct vs_clock c = vs_clock_system();
	return c.ops->boot_ns(c.self);
}

static int64_t
hand_boot(void *self)
{
	return real_boot(NULL) + ((struct world *)self)->boot_ahead_ns;
}

static const struct vs_clock_ops hand_clock = {
	.name = "hand", .version = 1, .wall_unix = hand_wall, .boot_ns = hand_boot};

int
world_setup(void **state)
{
	struct world *w = calloc(1, sizeof *w);

	assert_non_null(w);
	/* In memory where that is to be had: these tests wait for very many disk syncs. */
	(void)snprintf(w->dir, sizeof w->dir, "/dev/shm/vs-audit-XXXXXX");
	if (mkdtemp(w->dir) == NULL) {
		(void)snprintf(w->dir, sizeof w->dir, "/tmp/vs-audit-XXXXXX");
		assert_non_null(mkdtemp(w->dir));
	}
	(void)snprintf(w->path, sizeof w->path, "%s/log", w->dir);
	w->wall = 1790000000;
	w->env = (struct vs_audit_env){
		.path = w->path,
		.writer = "test",
		.clock = {.ops = &hand_clock, .self = w},
		.rng = vs_rng_system(),
	};
	*state = w;
	return 0;
}

int
world_teardown(void **state)
{
	struct world *w = *state;
	char path[128];

	(void)unlink(w->path);
	(void)snprintf(path, sizeof path, "%s/old", w->dir);
	(void)unlink(path);
	(void)snprintf(path, sizeof path, "%s.lock", w->path);
	(void)unlink(path);
	for (int i = 1; i < 100; i++) {
		(void)snprintf(path, sizeof path, "%s.torn-%d", w->path, i);
		(void)unlink(path);
	}
	assert_int_equal(rmdir(w->dir), 0);
	free(w);
	return 0;
}

struct vs_audit *
open_log(struct world *w)
{
	struct vs_audit *a = NULL;
	struct vs_err err = {0};
	assert_ok(vs_audit_open(&w->env, &a, &err), &err);
	return a;
}

int64_t
in_ms(int ms)
{
	return real_boot(NULL) + ms * INT64_C(1000000);
}

vs_rc
add_attempt(struct vs_audit *a, const char *token, const char *result, struct vs_err *err)
{
	struct vs_audit_rec *r = NULL;
	VS_TRY(vs_audit_begin(a, "attempt", &r, err));
	vs_audit_str(r, "token", token);
	vs_audit_str(r, "result", result);
	vs_audit_int(r, "lease-s", -3600);
	vs_audit_bool(r, "odd", true);
	return vs_audit_commit(a, r, in_ms(5000), err);
}

void
add_n(struct vs_audit *a, int n)
{
	struct vs_err err = {0};
	for (int i = 0; i < n; i++)
		assert_ok(add_attempt(a, "data-keys", "granted", &err), &err);
}

struct vs_audit_report
report_of(struct world *w)
{
	struct vs_audit_report r;
	struct vs_err err = {0};
	assert_ok(vs_audit_verify_file(w->path, NULL, &r, &err), &err);
	return r;
}

void
assert_whole(struct world *w, uint64_t n)
{
	const struct vs_audit_report r = report_of(w);
	if (!r.ok)
		fail_msg("line %llu: %s", (unsigned long long)r.bad_line, r.reason);
	assert_int_equal(r.n_records, n);
	assert_int_equal(r.last_seq, n);
	assert_false(r.tail_proven);
}

struct vs_buf
contents(const char *path)
{
	struct vs_buf b = {.max = 16 << 20};
	struct vs_err err = {0};
	assert_ok(vs_file_read(path, 16 << 20, VS_FILE_ANY, &b, &err), &err);
	return b;
}

void
overwrite(const char *path, struct vs_bytes b)
{
	const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, b.p, b.n), b.n);
	assert_int_equal(close(fd), 0);
}

bool
log_has(struct world *w, const char *text)
{
	struct vs_buf b = contents(w->path);
	const bool found = strstr(vs_buf_cstr(&b), text) != NULL;
	vs_buf_done(&b);
	return found;
}
