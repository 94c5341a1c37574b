/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Opening the log under its name, and the lock of its writers. The lock is a file of its own,
 * PATH.lock, which only those can open who may write the log: a reader of the log cannot hold it.
 * It holds the place of the last record, so that whoever is first after a rotation can name it:
 * one line "log-id seq hash", seq in 20 digits.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "audit/internal.h"
#include "base/log.h"

enum {
	REOPEN_MAX = 16, /* times that a file may be replaced while we look */
	LOCK_PAUSE_NS = 2000000,
	SEQ_DIGITS = 20,
	PLACE_ID = 32,
	PLACE_SEQ = PLACE_ID + 1,
	PLACE_HASH = PLACE_SEQ + SEQ_DIGITS + 1,
	PLACE_BYTES = PLACE_HASH + 64 + 1,
};

void
vs_audit_sync_directory(const char *path)
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
			vs_audit_sync_directory(a->path);
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
forget(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

void
vs_audit_forget_file(struct vs_audit *a)
{
	forget(&a->fd);
}

/* ---- the lock ---------------------------------------------------------------------------- */

/* Whoever may write the log may take its lock, also when root was the first one here. */
static vs_rc
open_lock(struct vs_audit *a, struct vs_err *err)
{
	const int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
	struct stat log, st;

	if (fstat(a->fd, &log) != 0)
		VS_FAIL_N(err, AUDIT, errno, "the audit log %s cannot be read: %s", a->path,
			strerror(errno));
	const mode_t mode = (log.st_mode & S_IWGRP) != 0 ? 0660 : 0600;
	int fd = open(a->lock_path, flags);
	if (fd < 0 && errno == ENOENT) {
		fd = open(a->lock_path, flags | O_CREAT | O_EXCL, 0600);
		/* Where we may not give it away it is ours, and so is the log mostly. */
		if (fd >= 0 && fchown(fd, log.st_uid, log.st_gid) != 0 &&
			fchown(fd, (uid_t)-1, log.st_gid) != 0)
			vs_log(&a->log, VS_LOG_INFO, "audit", "%s stays ours", a->lock_path);
		if (fd < 0 && errno == EEXIST)
			fd = open(a->lock_path, flags);
	}
	if (fd < 0)
		VS_FAIL_N(err, AUDIT, errno, "%s, the lock of the audit log, cannot be opened: %s",
			a->lock_path, strerror(errno));
	a->lock_fd = fd;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		forget(&a->lock_fd);
		VS_FAIL(err, AUDIT, "%s is not a regular file", a->lock_path);
	}
	if ((st.st_mode & 07777) != mode)
		(void)fchmod(fd, mode);
	return VS_OK;
}

vs_rc
vs_audit_pause(struct vs_audit *a, int64_t deadline_boot_ns, const char *what, struct vs_err *err)
{
	const struct timespec ts = {.tv_nsec = LOCK_PAUSE_NS};

	if (a->clock.ops->boot_ns(a->clock.self) >= deadline_boot_ns)
		VS_FAIL(err, AUDIT, "%s is held by somebody else for too long: %s", what, a->path);
	(void)nanosleep(&ts, NULL);
	return VS_OK;
}

/* The file behind fd is still the one that path names. */
static bool
still_there(int fd, const char *path)
{
	struct stat ours, theirs;

	return fstat(fd, &ours) == 0 && stat(path, &theirs) == 0 && ours.st_dev == theirs.st_dev &&
		ours.st_ino == theirs.st_ino;
}

static vs_rc
take_lock(struct vs_audit *a, int64_t deadline_boot_ns, struct vs_err *err)
{
	while (flock(a->lock_fd, LOCK_EX | LOCK_NB) != 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			VS_FAIL_N(err, AUDIT, errno, "the audit log %s cannot be locked: %s",
				a->path, strerror(errno));
		VS_TRY(vs_audit_pause(a, deadline_boot_ns, "the audit log's lock", err));
	}
	return VS_OK;
}

vs_rc
vs_audit_lock(struct vs_audit *a, int64_t deadline_boot_ns, struct vs_err *err)
{
	for (int i = 0; i < REOPEN_MAX; i++) {
		if (a->fd < 0)
			VS_TRY(open_file(a, err));
		if (a->lock_fd < 0)
			VS_TRY(open_lock(a, err));
		VS_TRY(take_lock(a, deadline_boot_ns, err));
		const bool same_lock = still_there(a->lock_fd, a->lock_path);
		if (same_lock && still_there(a->fd, a->path))
			return VS_OK;
		/* Closing gives the lock back, too. */
		if (!same_lock)
			forget(&a->lock_fd);
		else
			vs_audit_unlock(a);
		forget(&a->fd);
	}
	VS_FAIL(err, AUDIT, "the audit log %s is replaced again and again", a->path);
}

void
vs_audit_unlock(struct vs_audit *a)
{
	if (a->lock_fd >= 0)
		(void)flock(a->lock_fd, LOCK_UN);
}

/* ---- the place of the last record -------------------------------------------------------- */

void
vs_audit_note_place(struct vs_audit *a, bool durable)
{
	char line[PLACE_BYTES + 1];

	(void)snprintf(line, sizeof line, "%.32s %020" PRIu64 " %.64s\n", a->last.log_id,
		a->last.seq, a->last.hash);
	/* Without it the next file names an older record, or none; no record depends on it. */
	if (pwrite(a->lock_fd, line, PLACE_BYTES, 0) != PLACE_BYTES ||
		(durable && fsync(a->lock_fd) != 0))
		vs_log(&a->log, VS_LOG_WARN, "audit",
			"%s: the place of the last record cannot be noted", a->lock_path);
}

static bool
all_of(const char *p, size_t n, const char *alphabet)
{
	return strspn(p, alphabet) >= n;
}

bool
vs_audit_read_place(const struct vs_audit *a, struct vs_chain_link *ret)
{
	static const char hex[] = "0123456789abcdef";
	char line[PLACE_BYTES + 1] = "";

	if (pread(a->lock_fd, line, PLACE_BYTES, 0) != PLACE_BYTES ||
		!all_of(line, PLACE_ID, hex) || line[PLACE_ID] != ' ' ||
		!all_of(line + PLACE_SEQ, SEQ_DIGITS, "0123456789") ||
		line[PLACE_HASH - 1] != ' ' || !all_of(line + PLACE_HASH, 64, hex) ||
		line[PLACE_BYTES - 1] != '\n')
		return false;
	errno = 0;
	const uint64_t seq = strtoull(line + PLACE_SEQ, NULL, 10);
	if (errno != 0 || seq == 0)
		return false;
	*ret = (struct vs_chain_link){.seq = seq, .lab = a->lab};
	memcpy(ret->log_id, line, PLACE_ID);
	memcpy(ret->hash, line + PLACE_HASH, 64);
	return true;
}
