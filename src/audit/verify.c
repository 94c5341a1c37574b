/* SPDX-License-Identifier: BSD-2-Clause */
#include "audit/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/chain.h"
#include "crypto/ossl.h"

struct verifier {
	struct vs_ossl *o;
	const struct vs_audit_checkpoint *checkpoint;
	struct vs_audit_report *report;
	uint64_t line; /* of the line that is looked at */
	struct vs_chain_link before;
	bool checkpoint_seen;
};

__attribute__((format(printf, 3, 4))) static bool
bad(struct verifier *v, uint64_t seq, const char *fmt, ...)
{
	struct vs_audit_report *r = v->report;
	va_list ap;

	r->bad_line = v->line;
	r->bad_seq = seq != 0 ? seq : v->before.seq + 1;
	va_start(ap, fmt);
	(void)vsnprintf(r->reason, sizeof r->reason, fmt, ap);
	va_end(ap);
	return false;
}

/* Does link stand behind before? */
static bool
check_place(struct verifier *v, const struct vs_chain_link *link)
{
	const unsigned long long seq = link->seq, want = v->before.seq + 1;

	if (v->line > 1 && strcmp(link->log_id, v->before.log_id) != 0)
		return bad(v, seq, "the record belongs to another log (%s)", link->log_id);
	if (v->line > 1 && link->lab != v->before.lab)
		return bad(v, seq, "lab and production records are mixed");
	if (seq > want && v->line == 1)
		return bad(
			v, seq, "the beginning is missing: the first record has number %llu", seq);
	if (seq > want)
		return bad(
			v, seq, "records %llu to %llu are missing before this one", want, seq - 1);
	if (seq < want)
		return bad(v, seq, "number %llu comes again or out of order; %llu was expected",
			seq, want);
	if (strcmp(link->prev, v->before.hash) != 0)
		return bad(v, seq,
			"the record does not follow the one before it: that one was changed or "
			"replaced");
	return true;
}

static bool
check_line(struct verifier *v, struct vs_bytes line)
{
	struct vs_chain_link link;
	char reason[VS_CHAIN_REASON_MAX], event[16];

	v->line++;
	if (!vs_chain_read(v->o, line, &link, reason))
		return bad(v, link.seq, "%s", reason);
	if (!check_place(v, &link))
		return false;
	const struct vs_audit_checkpoint *cp = v->checkpoint;
	if (cp != NULL && cp->seq == link.seq) {
		if (strcmp(cp->hash, link.hash) != 0)
			return bad(v, link.seq,
				"the checkpoint's hash is another one: the log was rewritten");
		v->checkpoint_seen = true;
	}
	struct vs_audit_report *r = v->report;
	if (r->n_records == 0) {
		r->first_seq = link.seq;
		(void)snprintf(r->log_id, sizeof r->log_id, "%s", link.log_id);
		r->lab = link.lab;
	}
	r->n_records++;
	r->last_seq = link.seq;
	(void)snprintf(r->last_hash, sizeof r->last_hash, "%s", link.hash);
	if (vs_chain_get(line, "event", event, sizeof event) && strcmp(event, "recovery") == 0)
		r->n_recoveries++;
	v->before = link;
	return true;
}

/* What is left at the end without a newline. */
static bool
check_rest(struct verifier *v, size_t n)
{
	if (n == 0)
		return true;
	v->line++;
	v->report->torn_tail = true;
	return bad(v, 0,
		"the last record is incomplete (%zu octets): a write was interrupted or the end "
		"was cut",
		n);
}

static bool
check_end(struct verifier *v)
{
	struct vs_audit_report *r = v->report;
	const struct vs_audit_checkpoint *cp = v->checkpoint;

	if (r->n_records == 0) {
		v->line = 1;
		return bad(v, 1, "the log is empty");
	}
	if (cp == NULL || cp->seq == 0)
		return true;
	if (!v->checkpoint_seen) {
		v->line++;
		return bad(v, r->last_seq + 1,
			"the end is missing: the log stops at record %llu, the checkpoint is %llu",
			(unsigned long long)r->last_seq, (unsigned long long)cp->seq);
	}
	r->tail_proven = r->last_seq == cp->seq;
	return true;
}

/* All lines of a buffer; what is left of it moves to its start. False after a bad record. */
static bool
check_buffer(struct verifier *v, uint8_t *buf, size_t *used)
{
	size_t at = 0;
	const uint8_t *newline;

	while ((newline = memchr(buf + at, '\n', *used - at)) != NULL) {
		const size_t n = (size_t)(newline - (buf + at));
		if (!check_line(v, vs_bytes_of(buf + at, n)))
			return false;
		at += n + 1;
	}
	memmove(buf, buf + at, *used - at);
	*used -= at;
	if (*used == VS_AUDIT_LINE_MAX) {
		v->line++;
		return bad(v, 0, "a record is longer than %d octets", (int)VS_AUDIT_LINE_MAX);
	}
	return true;
}

static vs_rc
verify_fd(struct verifier *v, int fd, const char *path, uint8_t *buf, struct vs_err *err)
{
	size_t used = 0;

	for (;;) {
		const ssize_t got = read(fd, buf + used, VS_AUDIT_LINE_MAX - used);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			VS_FAIL_N(err, FILE, errno, "the audit log %s cannot be read: %s", path,
				strerror(errno));
		if (got == 0)
			break;
		used += (size_t)got;
		if (!check_buffer(v, buf, &used))
			return VS_OK;
	}
	v->report->ok = check_rest(v, used) && check_end(v);
	return VS_OK;
}

vs_rc
vs_audit_verify_file(const char *path, const struct vs_audit_checkpoint *checkpoint,
	struct vs_audit_report *ret, struct vs_err *err)
{
	struct vs_audit_report report = {0};
	struct verifier v = {.checkpoint = checkpoint, .report = &report};
	struct stat st;

	memcpy(v.before.hash, vs_chain_zero, sizeof v.before.hash);
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		VS_FAIL_N(err, FILE, errno, "the audit log %s cannot be opened: %s", path,
			strerror(errno));
	uint8_t *buf = malloc(VS_AUDIT_LINE_MAX);
	vs_rc rc = buf == NULL ? vs_err_put(err, VS_E_MEMORY, __func__, __LINE__, 0,
					 "no memory to read the audit log")
			       : vs_ossl_new(&v.o, err);
	if (!vs_failed(rc) && (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)))
		rc = vs_err_put(
			err, VS_E_FILE, __func__, __LINE__, 0, "%s is not a regular file", path);
	if (!vs_failed(rc))
		rc = verify_fd(&v, fd, path, buf, err);
	vs_ossl_unref(v.o);
	free(buf);
	(void)close(fd);
	if (!vs_failed(rc))
		*ret = report;
	return rc;
}
