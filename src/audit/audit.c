/* SPDX-License-Identifier: BSD-2-Clause */
#include "audit/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "audit/internal.h"
#include "audit/verify.h"
#include "base/codec.h"
#include "base/file.h"
#include "base/log.h"
#include "crypto/ossl.h"

enum {
	OPEN_DEADLINE_S = 10,
	REOPEN_MAX = 16, /* times that a file may be rotated away while we look */
	TORN_FILES_MAX = 1000,
	TORN_BYTES_MAX = 1 << 20,
	LOCK_PAUSE_NS = 2000000,
};

struct vs_audit {
	char *path, *writer;
	bool lab;
	struct vs_clock clock;
	struct vs_rng rng;
	struct vs_log log;
	struct vs_ossl *o;
	char boot_id[40];
	pthread_mutex_t mutex; /* what follows */
	int fd; /* -1: not open */
	bool known; /* last: a record of this chain that we have seen */
	bool due; /* a checkpoint */
	bool hearsay; /* last was noted by another process; the file may have been rotated since */
	struct vs_chain_link last;
};

/* ---- opening and closing ----------------------------------------------------------------- */

static void
read_boot_id(char out[40])
{
	VS_CLEANUP(vs_buf_done) struct vs_buf b = {.max = 256};

	(void)snprintf(out, 40, "unknown");
	if (vs_failed(vs_file_read(
		    "/proc/sys/kernel/random/boot_id", 128, VS_FILE_KERNEL, &b, NULL)) ||
		b.n < 36)
		return;
	for (size_t i = 0; i < 36; i++)
		if (!((b.p[i] >= '0' && b.p[i] <= '9') || (b.p[i] >= 'a' && b.p[i] <= 'f') ||
			    b.p[i] == '-'))
			return;
	(void)snprintf(out, 40, "%.36s", vs_buf_cstr(&b));
}

void
vs_audit_close(struct vs_audit *a)
{
	if (a == NULL)
		return;
	if (a->fd >= 0)
		(void)close(a->fd);
	vs_ossl_unref(a->o);
	(void)pthread_mutex_destroy(&a->mutex);
	free(a->path);
	free(a->writer);
	free(a);
}

static void
audit_done(struct vs_audit **p)
{
	vs_audit_close(*p);
	*p = NULL;
}

static void
sync_directory(const char *path)
{
	char dir[4096];
	const char *slash = strrchr(path, '/');
	const size_t n = slash == NULL ? 0 : (size_t)(slash - path);

	if (n >= sizeof dir)
		return;
	(void)snprintf(dir, sizeof dir, "%.*s", n == 0 ? 1 : (int)n, slash == NULL ? "." : path);
	const int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		(void)fsync(fd);
		(void)close(fd);
	}
}

static vs_rc
check_file(int fd, const char *path, struct vs_err *err)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		VS_FAIL_N(err, AUDIT, errno, "the audit log %s cannot be read: %s", path,
			strerror(errno));
	if (!S_ISREG(st.st_mode))
		VS_FAIL(err, AUDIT, "the audit log %s is not a regular file", path);
	if ((st.st_mode & S_IWOTH) != 0)
		VS_FAIL(err, AUDIT, "the audit log %s can be written by everybody: chmod o-w it",
			path);
	return VS_OK;
}

static vs_rc
open_file(struct vs_audit *a, struct vs_err *err)
{
	const int flags = O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
	int fd = open(a->path, flags);

	if (fd < 0 && errno == ENOENT) {
		fd = open(a->path, flags | O_CREAT | O_EXCL, 0640);
		if (fd >= 0) {
			/* whatever the umask was */
			(void)fchmod(fd, 0640);
			sync_directory(a->path);
		} else if (errno == EEXIST) {
			fd = open(a->path, flags);
		}
	}
	if (fd < 0)
		VS_FAIL_N(err, AUDIT, errno, "the audit log %s cannot be opened: %s", a->path,
			strerror(errno));
	const vs_rc rc = check_file(fd, a->path, err);
	if (vs_failed(rc)) {
		(void)close(fd);
		return rc;
	}
	a->fd = fd;
	return VS_OK;
}

static void
forget_file(struct vs_audit *a)
{
	if (a->fd >= 0)
		(void)close(a->fd);
	a->fd = -1;
}

/* ---- locks ------------------------------------------------------------------------------- */

static vs_rc
pause_until(struct vs_audit *a, int64_t deadline_boot_ns, const char *what, struct vs_err *err)
{
	const struct timespec ts = {.tv_nsec = LOCK_PAUSE_NS};

	if (a->clock.ops->boot_ns(a->clock.self) >= deadline_boot_ns)
		VS_FAIL(err, AUDIT, "%s is held by somebody else for too long: %s", what, a->path);
	(void)nanosleep(&ts, NULL);
	return VS_OK;
}

/* The file behind fd is still the one that path names. */
static bool
still_there(const struct vs_audit *a)
{
	struct stat ours, theirs;

	return fstat(a->fd, &ours) == 0 && stat(a->path, &theirs) == 0 &&
		ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
}

/* Mutex held. On success fd is open, locked, and the file of this name. */
static vs_rc
lock_file(struct vs_audit *a, int64_t deadline_boot_ns, struct vs_err *err)
{
	for (int i = 0; i < REOPEN_MAX; i++) {
		if (a->fd < 0)
			VS_TRY(open_file(a, err));
		while (flock(a->fd, LOCK_EX | LOCK_NB) != 0) {
			if (errno != EWOULDBLOCK && errno != EINTR)
				VS_FAIL_N(err, AUDIT, errno,
					"the audit log %s cannot be locked: %s", a->path,
					strerror(errno));
			VS_TRY(pause_until(a, deadline_boot_ns, "the audit log's lock", err));
		}
		if (still_there(a))
			return VS_OK;
		forget_file(a); /* which gives its lock back */
	}
	VS_FAIL(err, AUDIT, "the audit log %s is replaced again and again", a->path);
}

/* ---- writing ----------------------------------------------------------------------------- */

/*
 * One write. What did not get onto the disk as a whole is taken back, so that nobody reads a record
 * of something that was then denied.
 */
static vs_rc
append_line(struct vs_audit *a, struct vs_bytes line, struct vs_err *err)
{
	struct stat st;
	ssize_t n;

	if (fstat(a->fd, &st) != 0)
		VS_FAIL_N(err, AUDIT, errno, "the audit log %s cannot be read: %s", a->path,
			strerror(errno));
	do
		n = write(a->fd, line.p, line.n);
	while (n < 0 && errno == EINTR);
	const bool whole = n >= 0 && (size_t)n == line.n;
	if (whole && fsync(a->fd) == 0)
		return VS_OK;
	const int e = n >= 0 && !whole ? ENOSPC : errno;
	if (n > 0 && (ftruncate(a->fd, st.st_size) != 0 || fsync(a->fd) != 0))
		vs_log(&a->log, VS_LOG_ERROR, "audit",
			"%s: a half-written record could not be taken back", a->path);
	forget_file(a);
	VS_FAIL_N(err, AUDIT, e, "the audit log %s cannot be written: %s", a->path, strerror(e));
}

/* A record with its place in the chain; a->last moves on when it is on the disk. */
static vs_rc
append_record(struct vs_audit *a, struct vs_bytes body, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf line = {.max = 2 * VS_AUDIT_LINE_MAX};
	VS_CLEANUP(vs_buf_done) struct vs_buf more = {.max = VS_AUDIT_LINE_MAX};
	struct vs_chain_link next = {
		.seq = a->last.seq + 1, .wall = a->clock.ops->wall_unix(a->clock.self)};
	const struct vs_chain_head head = {
		.log_id = a->last.log_id,
		.boot_id = a->boot_id,
		.writer = a->writer,
		.prev = a->last.hash,
		.seq = next.seq,
		.wall = next.wall,
		.boot_ns = a->clock.ops->boot_ns(a->clock.self),
		.pid = (int)getpid(),
		.lab = a->lab,
	};

	VS_TRY(vs_buf_add(&more, body.p, body.n, err));
	if (next.wall < a->last.wall)
		VS_TRY(vs_buf_addf(&more, err, ",\"clock_back_s\":%lld",
			(long long)(a->last.wall - next.wall)));
	VS_TRY(vs_chain_compose(a->o, &head, vs_buf_view(&more), &line, next.hash, err));
	VS_TRY(append_line(a, vs_buf_view(&line), err));
	a->due = a->due || next.seq == VS_AUDIT_CHECKPOINT_FIRST ||
		next.seq % VS_AUDIT_CHECKPOINT_EVERY == 0;
	a->last.seq = next.seq;
	a->last.wall = next.wall;
	memcpy(a->last.hash, next.hash, sizeof a->last.hash);
	return VS_OK;
}

/* "<word>_log", "<word>_seq", "<word>_hash" of the record that we saw last. */
static vs_rc
put_last(struct vs_audit *a, const char *word, struct vs_buf *body, struct vs_err *err)
{
	return vs_buf_addf(body, err, ",\"%s_log\":\"%s\",\"%s_seq\":%llu,\"%s_hash\":\"%s\"", word,
		a->last.log_id, word, (unsigned long long)a->last.seq, word, a->last.hash);
}

/* The first record of an empty file. What we know of the file before it is said here. */
static vs_rc
start_chain(struct vs_audit *a, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf body = {.max = 1024};
	struct vs_chain_link before = a->last;
	uint8_t id[16];

	VS_TRY(vs_buf_add_str(&body, "\"event\":\"log\"", err));
	if (a->known)
		VS_TRY(put_last(a, "after", &body, err));
	VS_TRY(a->rng.ops->fill(a->rng.self, id, sizeof id, err));
	a->last = (struct vs_chain_link){.lab = a->lab};
	vs_hex_str(id, sizeof id, a->last.log_id, sizeof a->last.log_id);
	memcpy(a->last.hash, vs_chain_zero, sizeof a->last.hash);
	const vs_rc rc = append_record(a, vs_buf_view(&body), err);
	if (vs_failed(rc))
		a->last = before;
	else
		a->known = true;
	return rc;
}

/*
 * The log under this name no longer holds a record that we know to have been in it: somebody cut
 * or replaced it. The chain goes on, and says so.
 */
static vs_rc
note_loss(struct vs_audit *a, const struct vs_chain_link *found, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf body = {.max = 1024};

	const bool same = strcmp(found->log_id, a->last.log_id) == 0;
	const bool there = same &&
		(found->seq > a->last.seq ||
			(found->seq == a->last.seq && strcmp(found->hash, a->last.hash) == 0));
	if (!a->known || there || (a->hearsay && !same)) {
		a->last = *found;
		a->known = true;
		a->hearsay = false;
		return VS_OK;
	}
	vs_log(&a->log, VS_LOG_ERROR, "audit",
		"%s was cut or replaced: record %llu is not in it any more", a->path,
		(unsigned long long)a->last.seq);
	VS_TRY(vs_buf_add_str(&body, "\"event\":\"loss\"", err));
	VS_TRY(put_last(a, "lost", &body, err));
	const struct vs_chain_link before = a->last;
	a->last = *found;
	a->hearsay = false;
	const vs_rc rc = append_record(a, vs_buf_view(&body), err);
	if (vs_failed(rc))
		a->last = before;
	return rc;
}

/* ---- recovery ---------------------------------------------------------------------------- */

static vs_rc
save_torn(struct vs_audit *a, struct vs_bytes torn, char *ret_name, size_t name_size,
	struct vs_err *err)
{
	int fd = -1;

	for (int i = 1; fd < 0 && i <= TORN_FILES_MAX; i++) {
		if ((size_t)snprintf(ret_name, name_size, "%s.torn-%d", a->path, i) >= name_size)
			VS_FAIL(err, AUDIT, "the audit log's name is too long");
		fd = open(ret_name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
		if (fd < 0 && errno != EEXIST)
			VS_FAIL_N(err, AUDIT, errno, "%s cannot be made: %s", ret_name,
				strerror(errno));
	}
	if (fd < 0)
		VS_FAIL(err, AUDIT, "there are too many torn ends beside %s: move them away",
			a->path);
	(void)fchmod(fd, 0640);
	vs_rc rc = vs_fd_write_all(fd, torn, err);
	if (!vs_failed(rc) && fsync(fd) != 0)
		rc = vs_err_put(err, VS_E_AUDIT, __func__, __LINE__, errno,
			"%s cannot be written: %s", ret_name, strerror(errno));
	(void)close(fd);
	if (vs_failed(rc)) {
		(void)unlink(ret_name);
		VS_FAIL(err, AUDIT, "the torn end of the audit log cannot be kept as %s", ret_name);
	}
	sync_directory(a->path);
	return VS_OK;
}

/* What stands behind the last good record goes into a file of its own, then the chain goes on. */
static vs_rc
recover(struct vs_audit *a, const struct vs_audit_tail *tail, struct vs_err *err)
{
	const size_t n = (size_t)(tail->size - tail->end);
	char name[4096];
	uint8_t *p = NULL;
	VS_CLEANUP(vs_buf_done) struct vs_buf torn = {.max = TORN_BYTES_MAX + 1};
	VS_CLEANUP(vs_buf_done) struct vs_buf body = {.max = VS_AUDIT_LINE_MAX};

	VS_TRY(vs_buf_room(&torn, n, &p, err));
	if (pread(a->fd, p, n, tail->end) != (ssize_t)n)
		VS_FAIL_N(err, AUDIT, errno, "the audit log %s cannot be read: %s", a->path,
			strerror(errno));
	VS_TRY(save_torn(a, vs_bytes_of(p, n), name, sizeof name, err));
	if (ftruncate(a->fd, tail->end) != 0)
		VS_FAIL_N(err, AUDIT, errno, "the audit log %s cannot be repaired: %s", a->path,
			strerror(errno));
	vs_log(&a->log, VS_LOG_WARN, "audit", "%s had a torn end of %zu octets, kept as %s",
		a->path, n, name);
	VS_TRY(tail->found ? note_loss(a, &tail->link, err) : start_chain(a, err));
	VS_TRY(vs_buf_addf(
		&body, err, "\"event\":\"recovery\",\"torn_octets\":%zu,\"kept_as\":", n));
	VS_TRY(vs_chain_put_string(&body, name, err));
	return append_record(a, vs_buf_view(&body), err);
}

/* File locked. Afterwards a->last is the record that the next one follows. */
static vs_rc
find_place(struct vs_audit *a, struct vs_err *err)
{
	struct vs_audit_tail tail;

	VS_TRY(vs_audit_read_tail(a->o, a->fd, a->path, &tail, err));
	if (tail.found && tail.link.lab != a->lab)
		VS_FAIL(err, AUDIT,
			"the audit log %s belongs to %s: lab and production cannot share one",
			a->path, tail.link.lab ? "the lab" : "production");
	if (tail.end < tail.size)
		return recover(a, &tail, err);
	return tail.found ? note_loss(a, &tail.link, err) : start_chain(a, err);
}

/* ---- interface --------------------------------------------------------------------------- */

/* body is empty: only bring the file into order. */
static vs_rc
with_lock(struct vs_audit *a, struct vs_bytes body, int64_t deadline_boot_ns, struct vs_err *err)
{
	VS_TRY(lock_file(a, deadline_boot_ns, err));
	vs_rc rc = find_place(a, err);
	if (!vs_failed(rc) && body.n != 0)
		rc = append_record(a, body, err);
	if (a->fd >= 0)
		(void)flock(a->fd, LOCK_UN);
	return rc;
}

vs_rc
vs_audit_open(const struct vs_audit_env *env, struct vs_audit **ret, struct vs_err *err)
{
	VS_CLEANUP(audit_done) struct vs_audit *a = calloc(1, sizeof *a);
	if (a == NULL)
		VS_FAIL(err, MEMORY, "no memory for the audit log");
	a->fd = -1;
	if (pthread_mutex_init(&a->mutex, NULL) != 0) {
		free(VS_TAKE(a));
		VS_FAIL(err, MEMORY, "no memory for the audit log");
	}
	a->path = strdup(env->path);
	a->writer = strdup(env->writer);
	if (a->path == NULL || a->writer == NULL)
		VS_FAIL(err, MEMORY, "no memory for the audit log");
	a->lab = env->lab;
	a->clock = env->clock;
	a->rng = env->rng;
	a->log = env->log;
	if (env->known != NULL) {
		a->known = a->hearsay = true;
		a->last = (struct vs_chain_link){.lab = env->lab, .seq = env->known->seq};
		(void)snprintf(a->last.log_id, sizeof a->last.log_id, "%s", env->known->log_id);
		(void)snprintf(a->last.hash, sizeof a->last.hash, "%s", env->known->hash);
	}
	VS_TRY(vs_ossl_new(&a->o, err));
	read_boot_id(a->boot_id);
	const int64_t now = a->clock.ops->boot_ns(a->clock.self);
	VS_TRY(with_lock(
		a, vs_bytes_of(NULL, 0), now + OPEN_DEADLINE_S * INT64_C(1000000000), err));
	*ret = VS_TAKE(a);
	return VS_OK;
}

bool
vs_audit_take_due(struct vs_audit *a)
{
	(void)pthread_mutex_lock(&a->mutex);
	const bool due = a->due;
	a->due = false;
	(void)pthread_mutex_unlock(&a->mutex);
	return due;
}

bool
vs_audit_head(struct vs_audit *a, struct vs_audit_known *ret)
{
	(void)pthread_mutex_lock(&a->mutex);
	const bool known = a->known;
	*ret = (struct vs_audit_known){.seq = a->last.seq};
	(void)snprintf(ret->log_id, sizeof ret->log_id, "%s", a->last.log_id);
	(void)snprintf(ret->hash, sizeof ret->hash, "%s", a->last.hash);
	(void)pthread_mutex_unlock(&a->mutex);
	return known;
}

vs_rc
vs_audit_commit(
	struct vs_audit *a, struct vs_audit_rec *r, int64_t deadline_boot_ns, struct vs_err *err)
{
	vs_rc rc = r->rc;

	if (vs_failed(rc) && err != NULL)
		*err = r->err;
	while (!vs_failed(rc) && pthread_mutex_trylock(&a->mutex) != 0)
		rc = pause_until(a, deadline_boot_ns, "the audit log", err);
	if (!vs_failed(rc)) {
		rc = with_lock(a, vs_buf_view(&r->body), deadline_boot_ns, err);
		(void)pthread_mutex_unlock(&a->mutex);
	}
	vs_audit_drop(r);
	return rc;
}
