/* SPDX-License-Identifier: BSD-2-Clause */
#include "audit/read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/verify.h"
#include "crypto/ossl.h"

struct reader {
	struct vs_ossl *o;
	int fd;
	uint8_t *buf; /* VS_AUDIT_LINE_MAX octets */
	size_t used;
	vs_audit_line_fn *fn;
	void *arg;
	struct vs_audit_line line;
	bool stop;
};

static void
reader_done(struct reader *r)
{
	vs_ossl_unref(r->o);
	free(r->buf);
	if (r->fd >= 0)
		(void)close(r->fd);
}

static vs_rc
tell(struct reader *r, struct vs_bytes text, const char *defect, struct vs_err *err)
{
	struct vs_audit_line *l = &r->line;

	l->number++;
	l->text = text;
	l->good = defect == NULL && vs_chain_read(r->o, text, &l->link, l->reason);
	if (defect != NULL)
		(void)snprintf(l->reason, sizeof l->reason, "%s", defect);
	return r->fn(r->arg, l, &r->stop, err);
}

/* All whole lines that are there; what is left moves to the start. */
static vs_rc
tell_lines(struct reader *r, struct vs_err *err)
{
	size_t at = 0;
	const uint8_t *newline;

	while (!r->stop && (newline = memchr(r->buf + at, '\n', r->used - at)) != NULL) {
		const size_t n = (size_t)(newline - (r->buf + at));
		r->line.end += (int64_t)n + 1;
		VS_TRY(tell(r, vs_bytes_of(r->buf + at, n), NULL, err));
		at += n + 1;
	}
	memmove(r->buf, r->buf + at, r->used - at);
	r->used -= at;
	return VS_OK;
}

static vs_rc
read_on(struct reader *r, bool *ret_end, struct vs_err *err)
{
	ssize_t got;

	do
		got = read(r->fd, r->buf + r->used, VS_AUDIT_LINE_MAX - r->used);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		VS_FAIL_N(err, FILE, errno, "the audit log %s cannot be read: %s", r->line.path,
			strerror(errno));
	r->used += (size_t)got;
	*ret_end = got == 0;
	return VS_OK;
}

vs_rc
vs_audit_read_file(const char *path, vs_audit_line_fn *fn, void *arg, struct vs_err *err)
{
	VS_CLEANUP(reader_done)
	struct reader r = {.fd = -1, .fn = fn, .arg = arg, .line = {.path = path}};
	struct stat st;
	bool end = false;

	r.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (r.fd < 0)
		VS_FAIL_N(err, FILE, errno, "the audit log %s cannot be opened: %s", path,
			strerror(errno));
	if (fstat(r.fd, &st) != 0 || !S_ISREG(st.st_mode))
		VS_FAIL(err, FILE, "%s is not a regular file", path);
	r.buf = malloc(VS_AUDIT_LINE_MAX);
	if (r.buf == NULL)
		VS_FAIL(err, MEMORY, "no memory to read the audit log");
	VS_TRY(vs_ossl_new(&r.o, err));
	while (!end && !r.stop) {
		VS_TRY(read_on(&r, &end, err));
		VS_TRY(tell_lines(&r, err));
		if (!r.stop && r.used == VS_AUDIT_LINE_MAX)
			return tell(&r, vs_bytes_of(r.buf, r.used),
				"a line is longer than a record can be", err);
	}
	if (r.stop || r.used == 0)
		return VS_OK;
	return tell(&r, vs_bytes_of(r.buf, r.used),
		"the last line is incomplete: a write was interrupted", err);
}
