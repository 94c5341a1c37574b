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

struct tpm_time {
	bool known;
	uint64_t clock_ms, resets, restarts, boot_ns;
};

struct verifier {
	struct vs_ossl *o;
	const struct vs_audit_checkpoint *checkpoint;
	struct vs_audit_report *report;
	uint64_t line; /* of the line that is looked at */
	struct vs_chain_link before;
	struct tpm_time tpm; /* as the last record that has one says */
	bool checkpoint_seen;
	bool later_file; /* another file was before this one */
};

/* What the first record of a file says of the file before it. */
struct after {
	bool found;
	char own_log_id[33]; /* of the file itself; empty if it cannot be told */
	char log_id[33];
	struct vs_audit_checkpoint at;
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
get_number(struct vs_bytes line, const char *name, uint64_t *ret)
{
	char text[24];
	char *end = NULL;

	if (!vs_chain_get(line, name, text, sizeof text) || text[0] < '0' || text[0] > '9')
		return false;
	*ret = strtoull(text, &end, 10);
	return *end == '\0';
}

/* Readings of several writers may cross each other by a moment. */
static void
take_tpm(struct verifier *v, struct vs_bytes line)
{
	struct tpm_time now = {.known = true};

	if (!get_number(line, "tpm_clock_ms", &now.clock_ms) ||
		!get_number(line, "tpm_resets", &now.resets) ||
		!get_number(line, "tpm_restarts", &now.restarts) ||
		!get_number(line, "tpm_boot_ns", &now.boot_ns))
		return;
	const struct tpm_time *last = &v->tpm;
	const bool later = last->known &&
		(now.resets > last->resets ||
			(now.resets == last->resets && now.restarts > last->restarts));
	if (last->known && !later &&
		(now.resets < last->resets || now.restarts < last->restarts ||
			(now.clock_ms < last->clock_ms && now.boot_ns >= last->boot_ns)))
		v->report->n_tpm_back++;
	v->tpm = now;
}

static void
take_event(struct verifier *v, struct vs_bytes line, const struct vs_chain_link *link)
{
	struct vs_audit_report *r = v->report;
	char event[16], word[8];
	uint64_t n = 0;

	if (get_number(line, "clock_back_s", &n))
		r->n_clock_back++;
	if (v->line == 1 && !v->later_file)
		r->has_after = get_number(line, "after_seq", &n);
	if (!vs_chain_get(line, "event", event, sizeof event))
		return;
	if (strcmp(event, "recovery") == 0)
		r->n_recoveries++;
	if (strcmp(event, "checkpoint") != 0 || !get_number(line, "counter", &n))
		return;
	if (r->n_checkpoints++ == 0)
		r->counter_older = !r->has_after &&
			!(vs_chain_get(line, "new", word, sizeof word) &&
				strcmp(word, "true") == 0);
	r->counter = n;
	r->counter_seq = link->seq;
	(void)snprintf(r->counter_log_id, sizeof r->counter_log_id, "%s", link->log_id);
}

static bool
check_line(struct verifier *v, struct vs_bytes line)
{
	struct vs_chain_link link;
	char reason[VS_CHAIN_REASON_MAX];

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
	if (v->line == 1 && !v->later_file) {
		r->first_seq = link.seq;
		(void)snprintf(r->log_id, sizeof r->log_id, "%s", link.log_id);
		r->lab = link.lab;
	}
	r->n_records++;
	r->last_seq = link.seq;
	(void)snprintf(r->last_hash, sizeof r->last_hash, "%s", link.hash);
	(void)snprintf(r->last_log_id, sizeof r->last_log_id, "%s", link.log_id);
	take_event(v, line, &link);
	take_tpm(v, line);
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

	if (v->line == 0) {
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

static vs_rc
open_log(const char *path, int *ret, struct vs_err *err)
{
	struct stat st;
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		VS_FAIL_N(err, FILE, errno, "the audit log %s cannot be opened: %s", path,
			strerror(errno));
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		(void)close(fd);
		VS_FAIL(err, FILE, "%s is not a regular file", path);
	}
	*ret = fd;
	return VS_OK;
}

/* Of the first line, if it is a record: whether it is a good one is checked when its turn comes. */
static vs_rc
read_after(struct vs_ossl *o, const char *path, uint8_t *buf, struct after *ret, struct vs_err *err)
{
	char reason[VS_CHAIN_REASON_MAX];
	struct vs_chain_link link;
	size_t used = 0;
	ssize_t got;
	int fd = -1;

	*ret = (struct after){0};
	VS_TRY(open_log(path, &fd, err));
	while (used < VS_AUDIT_LINE_MAX && memchr(buf, '\n', used) == NULL &&
		((got = read(fd, buf + used, VS_AUDIT_LINE_MAX - used)) > 0 ||
			(got < 0 && errno == EINTR)))
		used += got > 0 ? (size_t)got : 0;
	(void)close(fd);
	const uint8_t *newline = memchr(buf, '\n', used);
	if (newline == NULL)
		return VS_OK;
	const struct vs_bytes line = vs_bytes_of(buf, (size_t)(newline - buf));
	if (!vs_chain_read(o, line, &link, reason))
		return VS_OK;
	(void)snprintf(ret->own_log_id, sizeof ret->own_log_id, "%s", link.log_id);
	ret->found = vs_chain_get(line, "after_log", ret->log_id, sizeof ret->log_id) &&
		get_number(line, "after_seq", &ret->at.seq) && ret->at.seq != 0 &&
		vs_chain_get(line, "after_hash", ret->at.hash, sizeof ret->at.hash);
	return VS_OK;
}

/* One file; next says what the file after it wants to find in this one. */
static vs_rc
verify_one(struct verifier *v, const char *path, const struct after *next, uint8_t *buf,
	struct vs_err *err)
{
	int fd = -1;

	v->line = 0;
	v->checkpoint_seen = false;
	v->report->ok = false;
	v->before = (struct vs_chain_link){.seq = 0};
	memcpy(v->before.hash, vs_chain_zero, sizeof v->before.hash);
	if (next != NULL)
		v->checkpoint = &next->at;
	VS_TRY(open_log(path, &fd, err));
	const vs_rc rc = verify_fd(v, fd, path, buf, err);
	(void)close(fd);
	if (!vs_failed(rc) && v->report->ok && next != NULL)
		v->report->n_unnamed += v->report->last_seq - next->at.seq;
	return rc;
}

static vs_rc
verify_all(struct verifier *v, const char *const *paths, size_t n,
	const struct vs_audit_checkpoint *checkpoint, uint8_t *buf, struct vs_err *err)
{
	for (size_t i = 0; i < n; i++) {
		struct after next = {0}, own = {0};
		v->checkpoint = checkpoint;
		v->later_file = i > 0;
		v->report->bad_file = i;
		if (i + 1 < n)
			VS_TRY(read_after(v->o, paths[i + 1], buf, &next, err));
		if (i + 1 < n && !next.found) {
			v->report->bad_file = i + 1;
			v->line = 1;
			v->before = (struct vs_chain_link){.seq = 0};
			v->report->ok = bad(v, 1,
				"the file does not say that it comes after the one before it");
			return VS_OK;
		}
		if (i + 1 < n)
			VS_TRY(read_after(v->o, paths[i], buf, &own, err));
		if (i + 1 < n && own.own_log_id[0] != '\0' &&
			strcmp(own.own_log_id, next.log_id) != 0) {
			v->report->bad_file = i + 1;
			v->line = 1;
			v->before = (struct vs_chain_link){.seq = 0};
			v->report->ok = bad(v, 1,
				"the file comes after another one than the one before it (log %s)",
				next.log_id);
			return VS_OK;
		}
		VS_TRY(verify_one(v, paths[i], i + 1 < n ? &next : NULL, buf, err));
		if (!v->report->ok)
			return VS_OK;
	}
	return VS_OK;
}

vs_rc
vs_audit_verify_files(const char *const *paths, size_t n,
	const struct vs_audit_checkpoint *checkpoint, struct vs_audit_report *ret,
	struct vs_err *err)
{
	struct vs_audit_report report = {0};
	struct verifier v = {.report = &report};

	VS_REQUIRE(err, n > 0);
	uint8_t *buf = malloc(VS_AUDIT_LINE_MAX);
	vs_rc rc = buf == NULL ? vs_err_put(err, VS_E_MEMORY, __func__, __LINE__, 0,
					 "no memory to read the audit log")
			       : vs_ossl_new(&v.o, err);
	if (!vs_failed(rc))
		rc = verify_all(&v, paths, n, checkpoint, buf, err);
	vs_ossl_unref(v.o);
	free(buf);
	if (!vs_failed(rc))
		*ret = report;
	return rc;
}

vs_rc
vs_audit_verify_file(const char *path, const struct vs_audit_checkpoint *checkpoint,
	struct vs_audit_report *ret, struct vs_err *err)
{
	return vs_audit_verify_files(&path, 1, checkpoint, ret, err);
}

void
vs_audit_compare_counter(struct vs_audit_report *r, uint64_t counter)
{
	if (!r->ok)
		return;
	/* Written before it is raised: one more in the log is a raise that did not come about. */
	if (r->n_checkpoints != 0 && (r->counter == counter || r->counter == counter + 1)) {
		r->tail_proven =
			r->tail_proven || (r->counter_seq == r->last_seq && r->counter == counter);
		return;
	}
	r->ok = r->tail_proven = false;
	r->bad_line = 0;
	r->bad_seq = r->last_seq + 1;
	if (r->n_checkpoints == 0)
		(void)snprintf(r->reason, sizeof r->reason,
			"the TPM has counted checkpoints (%llu) and the log has none: it was "
			"replaced, or an older file is not given",
			(unsigned long long)counter);
	else if (r->counter < counter)
		(void)snprintf(r->reason, sizeof r->reason,
			"the end is missing or this is an old copy: its last checkpoint (record "
			"%llu) has counter %llu, the TPM is at %llu",
			(unsigned long long)r->counter_seq, (unsigned long long)r->counter,
			(unsigned long long)counter);
	else
		(void)snprintf(r->reason, sizeof r->reason,
			"the last checkpoint has counter %llu, but this TPM is at %llu: the TPM "
			"was cleared, or the log is of another machine",
			(unsigned long long)r->counter, (unsigned long long)counter);
}
