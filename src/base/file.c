/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/secret.h"

enum { PATH_BYTES = 1024, LINKS_MAX = 16 };

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}

static bool
owner_ok(const struct stat *st)
{
	return st->st_uid == 0 || st->st_uid == geteuid();
}

/* Everybody who can write a folder can put another file, or another folder, in its place. */
static VS_RC
check_folder(const char *dir, const struct stat *st, struct vs_err *err)
{
	if (!owner_ok(st))
		VS_FAIL(err, CONFIG_FILE,
			"%s: the folder belongs to uid %u; it must belong to root or uid %u", dir,
			(unsigned)st->st_uid, (unsigned)geteuid());
	if ((st->st_mode & (S_IWGRP | S_IWOTH)) && !(st->st_mode & S_ISVTX))
		VS_FAIL(err, CONFIG_FILE, "%s: the folder can be written by others; chmod go-w %s",
			dir, dir);
	return VS_OK;
}

/* A walk along a path: where it has come, and what is left. Both absolute or empty. */
struct walk {
	unsigned links;
	char here[PATH_BYTES], left[PATH_BYTES];
};

static VS_RC
join(char *out, const char *a, const char *b, struct vs_err *err)
{
	const int n = snprintf(out, PATH_BYTES, "%s/%s", strcmp(a, "/") == 0 ? "" : a, b);
	if (n < 0 || n >= PATH_BYTES)
		VS_FAIL(err, CONFIG_FILE, "%.200s...: the path is too long", b);
	return VS_OK;
}

/* The link is in a folder that was checked; who made it matters where others may make some. */
static VS_RC
follow(struct walk *w, const char *link, const struct stat *st, struct vs_err *err)
{
	char to[PATH_BYTES], rest[PATH_BYTES];
	const ssize_t n = readlink(link, to, sizeof to - 1);
	if (n <= 0 || (size_t)n >= sizeof to - 1 || ++w->links > LINKS_MAX)
		VS_FAIL(err, CONFIG_FILE, "%s: this link cannot be followed", link);
	to[n] = '\0';
	if (!owner_ok(st))
		VS_FAIL(err, CONFIG_FILE,
			"%s: the link belongs to uid %u; it must belong to root or uid %u", link,
			(unsigned)st->st_uid, (unsigned)geteuid());
	memcpy(rest, w->left, sizeof rest);
	if (to[0] == '/')
		w->here[0] = '\0';
	return join(w->left, to, rest, err);
}

/* One name further; the last one is the file itself, and not looked at. */
static VS_RC
step(struct walk *w, struct vs_err *err)
{
	char name[PATH_BYTES], next[PATH_BYTES];
	struct stat st;
	const char *p = w->left + strspn(w->left, "/");
	const size_t n = strcspn(p, "/");
	memcpy(name, p, n);
	name[n] = '\0';
	memmove(w->left, p + n, strlen(p + n) + 1);
	if (n == 0 || strcmp(name, ".") == 0 || w->left[strspn(w->left, "/")] == '\0')
		return VS_OK;
	if (strcmp(name, "..") == 0) {
		char *slash = strrchr(w->here, '/');
		if (slash)
			*slash = '\0';
		return VS_OK;
	}
	VS_TRY(join(next, w->here, name, err));
	if (lstat(next, &st) != 0)
		VS_FAIL_N(err, CONFIG_FILE, errno, "%s: %s", next, strerror(errno));
	if (S_ISLNK(st.st_mode))
		return follow(w, next, &st, err);
	memcpy(w->here, next, sizeof next);
	return check_folder(next, &st, err);
}

/* All folders above it, to the root, also behind links on the way. */
static VS_RC
check_parents(const char *path, struct vs_err *err)
{
	struct walk w = {0};
	struct stat st;
	char cwd[PATH_BYTES] = "";
	if (path[0] != '/' && !getcwd(cwd, sizeof cwd))
		VS_FAIL_N(err, CONFIG_FILE, errno, "the current folder cannot be told: %s",
			strerror(errno));
	VS_TRY(join(w.left, cwd, path, err));
	if (stat("/", &st) != 0)
		VS_FAIL_N(err, CONFIG_FILE, errno, "/: %s", strerror(errno));
	VS_TRY(check_folder("/", &st, err));
	while (w.left[0] != '\0')
		VS_TRY(step(&w, err));
	return VS_OK;
}

static VS_RC
check_file(const char *path, const struct stat *st, enum vs_file_check check, struct vs_err *err)
{
	if (!S_ISREG(st->st_mode))
		VS_FAIL(err, CONFIG_FILE, "%s: not a regular file", path);
	if (check == VS_FILE_ANY || check == VS_FILE_KERNEL)
		return VS_OK;
	if (!owner_ok(st))
		VS_FAIL(err, CONFIG_FILE, "%s: belongs to uid %u; it must belong to root or uid %u",
			path, (unsigned)st->st_uid, (unsigned)geteuid());
	if (st->st_mode & (S_IWGRP | S_IWOTH))
		VS_FAIL(err, CONFIG_FILE, "%s: can be written by others (mode %04o); chmod go-w %s",
			path, (unsigned)st->st_mode & 07777, path);
	if (check == VS_FILE_SECRET && (st->st_mode & S_IROTH))
		VS_FAIL(err, CONFIG_FILE,
			"%s: holds a secret and can be read by everybody; chmod o-r %s", path,
			path);
	return check_parents(path, err);
}

/*
 * Straight to where it is to stand, with room for all of it from the start: it may be a secret,
 * and a growing buffer would leave a copy behind. expected is what the file says of its length.
 */
static VS_RC
read_all(int fd, const char *path, size_t max, size_t expected, struct vs_buf *out,
	struct vs_err *err)
{
	enum { PART_BYTES = 8192 };
	if (expected > max)
		VS_FAIL(err, CONFIG_FILE, "%s: longer than %zu bytes", path, max);
	for (;;) {
		/* One more than it should have, to see the end; the kernel's own files say 0. */
		const size_t want =
			expected > 0 && expected >= out->n ? expected - out->n + 1 : PART_BYTES;
		uint8_t *to = NULL;
		VS_TRY(vs_buf_room(out, want, &to, err));
		const ssize_t got = read(fd, to, want);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			VS_FAIL_N(err, CONFIG_FILE, errno, "%s: %s", path, strerror(errno));
		if (got == 0)
			return VS_OK;
		out->n += (size_t)got;
		out->p[out->n] = '\0';
		if (out->n > max)
			VS_FAIL(err, CONFIG_FILE, "%s: longer than %zu bytes", path, max);
	}
}

static void
wipe_buf(struct vs_buf *b)
{
	if (b->p)
		vs_wipe(b->p, b->cap);
	vs_buf_done(b);
}

/* Opened, and found to be what check demands. */
static VS_RC
open_checked(
	const char *path, enum vs_file_check check, int *ret, size_t *ret_n, struct vs_err *err)
{
	const int follow = check == VS_FILE_ANY || check == VS_FILE_KERNEL ? 0 : O_NOFOLLOW;
	VS_CLEANUP(close_fd)
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | follow);
	if (fd < 0 && errno == ELOOP)
		VS_FAIL_N(err, CONFIG_FILE, errno, "%s: is a symbolic link; name the file itself",
			path);
	if (fd < 0)
		VS_FAIL_N(err, CONFIG_FILE, errno, "%s: %s", path, strerror(errno));
	struct stat st;
	if (fstat(fd, &st) != 0)
		VS_FAIL_N(err, CONFIG_FILE, errno, "%s: %s", path, strerror(errno));
	VS_TRY(check_file(path, &st, check, err));
	*ret_n = st.st_size > 0 ? (size_t)st.st_size : 0;
	*ret = fd;
	fd = -1;
	return VS_OK;
}

VS_RC
vs_file_trusted(const char *path, struct vs_err *err)
{
	VS_CLEANUP(close_fd) int fd = -1;
	size_t n = 0;
	return open_checked(path, VS_FILE_TRUSTED, &fd, &n, err);
}

VS_RC
vs_file_read(const char *path, size_t max, enum vs_file_check check, struct vs_buf *out,
	struct vs_err *err)
{
	VS_CLEANUP(close_fd) int fd = -1;
	size_t n = 0;
	VS_TRY(open_checked(path, check, &fd, &n, err));
	/* Room to see that it is too long. */
	VS_CLEANUP(wipe_buf) struct vs_buf got = {.max = max < SIZE_MAX / 4 ? 2 * max + 8192 : 0};
	VS_TRY(read_all(fd, path, max, n, &got, err));
	got.max = out->max;
	vs_buf_move(out, &got);
	return VS_OK;
}

VS_RC
vs_fd_write_all(int fd, struct vs_bytes b, struct vs_err *err)
{
	while (b.n) {
		const ssize_t w = write(fd, b.p, b.n);
		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			VS_FAIL_N(err, FILE, errno, "writing failed: %s", strerror(errno));
		b.p += w;
		b.n -= (size_t)w;
	}
	return VS_OK;
}

static VS_RC
write_new(const char *tmp, unsigned mode, struct vs_bytes b, struct vs_err *err)
{
	VS_CLEANUP(close_fd)
	int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		VS_FAIL_N(err, FILE, errno, "%s: %s", tmp, strerror(errno));
	VS_TRY(vs_fd_write_all(fd, b, err));
	if (fchmod(fd, (mode_t)mode) != 0 || fsync(fd) != 0)
		VS_FAIL_N(err, FILE, errno, "%s: %s", tmp, strerror(errno));
	return VS_OK;
}

static VS_RC
sync_parent(const char *path, struct vs_err *err)
{
	char dir[1024] = ".";
	const char *slash = strrchr(path, '/');
	if (slash && (size_t)(slash - path) < sizeof dir) {
		const size_t n = slash == path ? 1 : (size_t)(slash - path);
		memcpy(dir, path, n);
		dir[n] = '\0';
	}
	VS_CLEANUP(close_fd) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || (fsync(fd) != 0 && errno != EINVAL))
		VS_FAIL_N(err, FILE, errno, "%s: %s", dir, strerror(errno));
	return VS_OK;
}

VS_RC
vs_file_replace(const char *path, unsigned mode, struct vs_bytes b, struct vs_err *err)
{
	char tmp[1100];
	const int n = snprintf(tmp, sizeof tmp, "%s.new-%ld", path, (long)getpid());
	if (n < 0 || (size_t)n >= sizeof tmp)
		VS_FAIL(err, FILE, "%.200s...: the path is too long", path);
	(void)unlink(tmp);
	vs_rc rc = write_new(tmp, mode, b, err);
	if (!vs_failed(rc) && rename(tmp, path) != 0)
		rc = vs_err_put(
			err, VS_E_FILE, __func__, __LINE__, errno, "%s: %s", path, strerror(errno));
	if (vs_failed(rc)) {
		(void)unlink(tmp);
		return rc;
	}
	return sync_parent(path, err);
}
