/* SPDX-License-Identifier: BSD-2-Clause */
/* The end of a log file: where writing goes on, and what happened last. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/internal.h"
#include "audit/verify.h"
#include "crypto/ossl.h"

enum {
	WINDOW_FIRST = 16 << 10,
	WINDOW_MAX = 4 * VS_AUDIT_LINE_MAX,
	LOOKBACK_MAX = 16 << 20, /* octets vs_audit_last_verdict looks at */
};

/* n octets from offset; the file may not end before. */
static vs_rc
read_at(int fd, const char *path, int64_t offset, size_t n, struct vs_buf *out, struct vs_err *err)
{
	uint8_t *p = NULL;

	vs_buf_reset(out);
	VS_TRY(vs_buf_room(out, n, &p, err));
	for (size_t done = 0; done < n;) {
		const ssize_t got = pread(fd, p + done, n - done, (off_t)(offset + (int64_t)done));
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			VS_FAIL_N(err, AUDIT, got < 0 ? errno : 0,
				"the audit log %s cannot be read: %s", path,
				got < 0 ? strerror(errno) : "it became shorter");
		done += (size_t)got;
	}
	out->n = n;
	return VS_OK;
}

/*
 * From the end of window backwards. whole says that the window starts at the start of the file, so
 * that the first line in it is a whole one.
 */
static bool
find_record(struct vs_ossl *o, struct vs_bytes window, bool whole, struct vs_chain_link *ret,
	size_t *ret_end)
{
	char reason[VS_CHAIN_REASON_MAX];
	size_t end = window.n;

	while (end > 0) {
		const uint8_t *newline = memrchr(window.p, '\n', end);
		if (newline == NULL)
			return false;
		const size_t line_end = (size_t)(newline - window.p);
		const uint8_t *before = line_end == 0 ? NULL : memrchr(window.p, '\n', line_end);
		if (before == NULL && !whole)
			return false;
		const size_t start = before == NULL ? 0 : (size_t)(before - window.p) + 1;
		if (vs_chain_read(
			    o, vs_bytes_of(window.p + start, line_end - start), ret, reason)) {
			*ret_end = line_end + 1;
			return true;
		}
		end = line_end;
	}
	return false;
}

vs_rc
vs_audit_read_tail(
	struct vs_ossl *o, int fd, const char *path, struct vs_audit_tail *ret, struct vs_err *err)
{
	struct stat st;
	VS_CLEANUP(vs_buf_done) struct vs_buf window = {.max = WINDOW_MAX + 1};

	if (fstat(fd, &st) != 0)
		VS_FAIL_N(err, AUDIT, errno, "the audit log %s cannot be read: %s", path,
			strerror(errno));
	*ret = (struct vs_audit_tail){.size = st.st_size};
	for (size_t n = WINDOW_FIRST; st.st_size != 0; n = WINDOW_MAX) {
		const bool whole = (int64_t)n >= st.st_size;
		const size_t take = whole ? (size_t)st.st_size : n;
		size_t end = 0;
		VS_TRY(read_at(fd, path, st.st_size - (int64_t)take, take, &window, err));
		if (find_record(o, vs_buf_view(&window), whole, &ret->link, &end)) {
			ret->found = true;
			ret->end = st.st_size - (int64_t)(take - end);
			break;
		}
		if (!whole && n == WINDOW_MAX)
			VS_FAIL(err, AUDIT,
				"the end of the audit log %s is damaged: look at it with "
				"`vouchsafe audit verify`, "
				"then move it away",
				path);
		if (whole)
			break;
	}
	return VS_OK;
}

/* ---- what happened last ------------------------------------------------------------------ */

/* Fills ret if the line decides about the token. */
static bool
is_verdict(struct vs_bytes line, const char *token, struct vs_audit_last *ret)
{
	char result[16], label[sizeof ret->token];

	if (!vs_chain_get(line, "event", ret->event, sizeof ret->event))
		return false;
	const bool attempt = strcmp(ret->event, "attempt") == 0;
	const bool release = strcmp(ret->event, "release") == 0;
	if (!attempt && !release && strcmp(ret->event, "revocation") != 0)
		return false;
	if (!vs_chain_get(line, "token", label, sizeof label) ||
		(token != NULL && strcmp(label, token) != 0))
		return false;
	(void)vs_chain_get(line, "result", result, sizeof result);
	const bool granted = strcmp(result, "granted") == 0;
	if (release && granted)
		return false;
	ret->found = true;
	ret->granted = attempt && granted;
	(void)snprintf(ret->token, sizeof ret->token, "%s", label);
	(void)vs_chain_get(line, "code", ret->code, sizeof ret->code);
	(void)vs_chain_get(line, "sentence", ret->sentence, sizeof ret->sentence);
	return true;
}

static vs_rc
search_back(struct vs_ossl *o, int fd, const char *path, const char *token,
	struct vs_audit_last *ret, struct vs_err *err)
{
	struct stat st;
	VS_CLEANUP(vs_buf_done) struct vs_buf window = {.max = LOOKBACK_MAX + 1};
	struct vs_chain_link link;

	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		VS_FAIL_N(err, FILE, errno, "%s is not an audit log", path);
	const bool whole = st.st_size <= LOOKBACK_MAX;
	const size_t take = whole ? (size_t)st.st_size : LOOKBACK_MAX;
	VS_TRY(read_at(fd, path, st.st_size - (int64_t)take, take, &window, err));
	struct vs_bytes rest = vs_buf_view(&window);
	size_t end = 0;
	while (rest.n != 0 && find_record(o, rest, whole, &link, &end)) {
		const uint8_t *before = memrchr(rest.p, '\n', end - 1);
		const size_t start = before == NULL ? 0 : (size_t)(before - rest.p) + 1;
		struct vs_audit_last last = {.seq = link.seq};
		if (is_verdict(vs_bytes_of(rest.p + start, end - 1 - start), token, &last)) {
			(void)snprintf(last.time, sizeof last.time, "%s", link.time);
			*ret = last;
			return VS_OK;
		}
		rest.n = start;
	}
	*ret = (struct vs_audit_last){0};
	return VS_OK;
}

vs_rc
vs_audit_last_verdict(
	const char *path, const char *token, struct vs_audit_last *ret, struct vs_err *err)
{
	struct vs_ossl *o = NULL;
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		VS_FAIL_N(err, FILE, errno, "the audit log %s cannot be opened: %s", path,
			strerror(errno));
	vs_rc rc = vs_ossl_new(&o, err);
	if (!vs_failed(rc))
		rc = search_back(o, fd, path, token, ret, err);
	vs_ossl_unref(o);
	(void)close(fd);
	return rc;
}
