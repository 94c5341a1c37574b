/* SPDX-License-Identifier: BSD-2-Clause */
#include "audit/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/internal.h"
#include "audit/verify.h"
#include "base/codec.h"
#include "base/file.h"
#include "base/log.h"
#include "crypto/ossl.h"

enum {
	OPEN_DEADLINE_S = 10,
	TORN_FILES_MAX = 1000,
	TORN_BYTES_MAX = 1 << 20,
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
	vs_audit_forget_file(a);
	if (a->lock_fd >= 0)
		(void)close(a->lock_fd);
	vs_ossl_unref(a->o);
	(void)pthread_mutex_destroy(&a->mutex);
	free(a->path);
	free(a->lock_path);
	free(a->writer);
	free(a);
}

static void
ask_tpm(struct vs_audit *a)
{
	a->tpm_time = (struct vs_audit_tpm_time){0};
	if (a->tpm.read != NULL)
		(void)a->tpm.read(a->tpm.self, &a->tpm_time);
}

static void
audit_done(struct vs_audit **p)
{
	vs_audit_close(*p);
	*p = NULL;
}

/* ---- writing ----------------------------------------------------------------------------- */

/* One record is one write. */
static vs_rc
append_line(struct vs_audit *a, struct vs_bytes line, struct vs_err *err)
{
	ssize_t n;

	do
		n = write(a->fd, line.p, line.n);
	while (n < 0 && errno == EINTR);
	if (n >= 0 && (size_t)n == line.n)
		return VS_OK;
	const int e = n >= 0 ? ENOSPC : errno;
	VS_FAIL_N(err, AUDIT, e, "the audit log %s cannot be written: %s", a->path, strerror(e));
}

/* A record with its place in the chain. Not yet durable. */
static vs_rc
write_record(struct vs_audit *a, struct vs_bytes body, struct vs_err *err)
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
		.uid = (unsigned)geteuid(),
		.lab = a->lab,
	};

	VS_TRY(vs_buf_add(&more, body.p, body.n, err));
	if (next.wall < a->last.wall)
		VS_TRY(vs_buf_addf(&more, err, ",\"clock_back_s\":%lld",
			(long long)(a->last.wall - next.wall)));
	const struct vs_audit_tpm_time *t = &a->tpm_time;
	if (t->known)
		VS_TRY(vs_buf_addf(&more, err,
			",\"tpm_clock_ms\":%llu,\"tpm_resets\":%u,\"tpm_restarts\":%u,\"tpm_boot_"
			"ns\":%"
			"lld",
			(unsigned long long)t->clock_ms, t->resets, t->restarts,
			(long long)t->read_boot_ns));
	VS_TRY(vs_chain_compose(a->o, &head, vs_buf_view(&more), &line, next.hash, err));
	VS_TRY(append_line(a, vs_buf_view(&line), err));
	a->due = a->due || next.seq == VS_AUDIT_CHECKPOINT_FIRST ||
		next.seq % VS_AUDIT_CHECKPOINT_EVERY == 0;
	a->last.seq = next.seq;
	a->last.wall = next.wall;
	memcpy(a->last.hash, next.hash, sizeof a->last.hash);
	return VS_OK;
}

/*
 * All of them with one fsync. What did not get onto the disk as a whole is taken back, so that
 * nobody reads a record of something that was then denied.
 */
static vs_rc
append_records(struct vs_audit *a, const struct vs_bytes *bodies, size_t n, struct vs_err *err)
{
	const struct vs_chain_link before = a->last;
	const bool due = a->due;
	struct stat st, now;
	vs_rc rc = VS_OK;

	if (fstat(a->fd, &st) != 0)
		VS_FAIL_N(err, AUDIT, errno, "the audit log %s cannot be read: %s", a->path,
			strerror(errno));
	for (size_t i = 0; i < n && !vs_failed(rc); i++)
		rc = write_record(a, bodies[i], err);
	if (!vs_failed(rc) && fsync(a->fd) == 0)
		return VS_OK;
	if (!vs_failed(rc))
		rc = vs_err_put(err, VS_E_AUDIT, __func__, __LINE__, errno,
			"the audit log %s cannot be written: %s", a->path, strerror(errno));
	a->last = before;
	a->due = due;
	if (fstat(a->fd, &now) == 0 && now.st_size > st.st_size &&
		(ftruncate(a->fd, st.st_size) != 0 || fsync(a->fd) != 0))
		vs_log(&a->log, VS_LOG_ERROR, "audit",
			"%s: a half-written record could not be taken back", a->path);
	vs_audit_forget_file(a);
	return rc;
}

static vs_rc
append_record(struct vs_audit *a, struct vs_bytes body, struct vs_err *err)
{
	return append_records(a, &body, 1, err);
}

/* "<word>_log", "<word>_seq", "<word>_hash" of the record that we saw last. */
static vs_rc
put_last(struct vs_audit *a, const char *word, struct vs_buf *body, struct vs_err *err)
{
	return vs_buf_addf(body, err, ",\"%s_log\":\"%s\",\"%s_seq\":%llu,\"%s_hash\":\"%s\"", word,
		a->last.log_id, word, (unsigned long long)a->last.seq, word, a->last.hash);
}

/*
 * The place in the lock is of the writer before us, whoever it was. Of the same log what we saw may
 * be later, after a crash of the machine, and what a checkpoint saw is true of any copy that was
 * put back.
 */
static void
learn_place(struct vs_audit *a)
{
	struct vs_chain_link place;

	if (!vs_audit_read_place(a, &place))
		return;
	const bool same = a->known && strcmp(place.log_id, a->last.log_id) == 0;
	if (same && (a->hearsay || place.seq < a->last.seq))
		return;
	a->last = place;
	a->known = true;
}

/* The first record of an empty file. What we know of the file before it is said here. */
static vs_rc
start_chain(struct vs_audit *a, struct vs_err *err)
{
	learn_place(a);
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
	if (vs_failed(rc)) {
		a->last = before;
		return rc;
	}
	a->known = true;
	vs_audit_note_place(a, true);
	return VS_OK;
}

/*
 * Another log under this name is the next one after a rotation if it ends where the writer before
 * us left it, which the lock says.
 */
static bool
rotated(const struct vs_audit *a, const struct vs_chain_link *found)
{
	struct vs_chain_link place;

	return vs_audit_read_place(a, &place) && strcmp(place.log_id, found->log_id) == 0 &&
		place.seq == found->seq && strcmp(place.hash, found->hash) == 0;
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
	if (!a->known || there || (!same && (a->hearsay || rotated(a, found)))) {
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
	vs_audit_sync_directory(a->path);
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

/* None: only bring the file into order. */
static vs_rc
with_lock(struct vs_audit *a, const struct vs_bytes *bodies, size_t n, int64_t deadline_boot_ns,
	struct vs_err *err)
{
	VS_TRY(vs_audit_lock(a, deadline_boot_ns, err));
	vs_rc rc = find_place(a, err);
	if (!vs_failed(rc) && n != 0)
		rc = append_records(a, bodies, n, err);
	if (!vs_failed(rc))
		vs_audit_note_place(a, false);
	vs_audit_unlock(a);
	return rc;
}

vs_rc
vs_audit_open(const struct vs_audit_env *env, struct vs_audit **ret, struct vs_err *err)
{
	VS_CLEANUP(audit_done) struct vs_audit *a = calloc(1, sizeof *a);
	if (a == NULL)
		VS_FAIL(err, MEMORY, "no memory for the audit log");
	a->fd = a->lock_fd = -1;
	if (pthread_mutex_init(&a->mutex, NULL) != 0) {
		free(VS_TAKE(a));
		VS_FAIL(err, MEMORY, "no memory for the audit log");
	}
	a->path = strdup(env->path);
	a->writer = strdup(env->writer);
	if (a->path == NULL || a->writer == NULL)
		VS_FAIL(err, MEMORY, "no memory for the audit log");
	const size_t n_lock = strlen(env->path) + sizeof ".lock";
	a->lock_path = malloc(n_lock);
	if (a->lock_path == NULL)
		VS_FAIL(err, MEMORY, "no memory for the audit log");
	(void)snprintf(a->lock_path, n_lock, "%s.lock", env->path);
	a->tpm = env->tpm;
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
	ask_tpm(a);
	VS_TRY(with_lock(a, NULL, 0, now + OPEN_DEADLINE_S * INT64_C(1000000000), err));
	*ret = VS_TAKE(a);
	return VS_OK;
}

bool
vs_audit_take_due(struct vs_audit *a)
{
	(void)pthread_mutex_lock(&a->mutex);
	const int64_t now = a->clock.ops->boot_ns(a->clock.self);
	const bool due = a->due && now >= a->due_boot_ns;
	if (due) {
		a->due = false;
		a->due_boot_ns = now + VS_AUDIT_CHECKPOINT_PAUSE_S * INT64_C(1000000000);
	}
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
vs_audit_commit_all(struct vs_audit *a, struct vs_audit_rec *const *recs, size_t n,
	int64_t deadline_boot_ns, struct vs_err *err)
{
	struct vs_bytes *bodies = calloc(n + 1, sizeof *bodies);
	vs_rc rc = VS_OK;

	if (bodies == NULL)
		rc = vs_err_put(
			err, VS_E_MEMORY, __func__, __LINE__, 0, "no memory for audit records");
	for (size_t i = 0; i < n && !vs_failed(rc); i++) {
		rc = recs[i]->rc;
		if (vs_failed(rc) && err != NULL)
			*err = recs[i]->err;
		bodies[i] = vs_buf_view(&recs[i]->body);
	}
	while (!vs_failed(rc) && pthread_mutex_trylock(&a->mutex) != 0)
		rc = vs_audit_pause(a, deadline_boot_ns, "the audit log", err);
	if (!vs_failed(rc)) {
		/* Before the lock: others need not wait for the TPM. */
		ask_tpm(a);
		rc = with_lock(a, bodies, n, deadline_boot_ns, err);
		(void)pthread_mutex_unlock(&a->mutex);
	}
	free(bodies);
	for (size_t i = 0; i < n; i++)
		vs_audit_drop(recs[i]);
	return rc;
}

vs_rc
vs_audit_commit(
	struct vs_audit *a, struct vs_audit_rec *r, int64_t deadline_boot_ns, struct vs_err *err)
{
	return vs_audit_commit_all(a, &r, 1, deadline_boot_ns, err);
}
