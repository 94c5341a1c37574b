/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * audit/audit.h as plain lines "event name=value ...", in the file the settings name; it fails
 * while a file of the same path with ".fail" behind exists. Linked in the place of libvsaudit.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit/audit.h"
#include "core/checkpoint.h"
#include "core/tpmtime.h"

struct vs_audit {
	char path[1024];
};

struct vs_audit_rec {
	struct vs_buf line;
};

VS_RC
vs_audit_open(const struct vs_audit_env *env, struct vs_audit **ret, struct vs_err *err)
{
	struct vs_audit *a = calloc(1, sizeof *a);
	if (!a)
		VS_FAIL(err, MEMORY, "out of memory");
	snprintf(a->path, sizeof a->path, "%s", env->path);
	*ret = a;
	return VS_OK;
}

void
vs_audit_close(struct vs_audit *a)
{
	free(a);
}

VS_RC
vs_audit_begin(struct vs_audit *a, const char *event, struct vs_audit_rec **ret, struct vs_err *err)
{
	(void)a;
	struct vs_audit_rec *r = calloc(1, sizeof *r);
	if (!r)
		VS_FAIL(err, MEMORY, "out of memory");
	VS_TRY(vs_buf_add_str(&r->line, event, err));
	*ret = r;
	return VS_OK;
}

void
vs_audit_str(struct vs_audit_rec *r, const char *name, const char *value)
{
	(void)!vs_failed(vs_buf_addf(&r->line, NULL, " %s=%s", name, value));
}

void
vs_audit_int(struct vs_audit_rec *r, const char *name, int64_t value)
{
	(void)!vs_failed(vs_buf_addf(&r->line, NULL, " %s=%" PRId64, name, value));
}

void
vs_audit_bool(struct vs_audit_rec *r, const char *name, bool value)
{
	vs_audit_str(r, name, value ? "true" : "false");
}

void
vs_audit_verdict(struct vs_audit_rec *r, const struct vs_verdict *v)
{
	for (size_t i = 0; i < v->n_checks; i++)
		(void)!vs_failed(vs_buf_addf(&r->line, NULL, " check=%s/%s", v->checks[i].rule,
			v->checks[i].passed ? "passed" : "failed"));
}

void
vs_audit_err(struct vs_audit_rec *r, const struct vs_err *err)
{
	vs_audit_str(r, "code", vs_code_name(err->frames[0].code));
}

void
vs_audit_drop(struct vs_audit_rec *r)
{
	vs_buf_done(&r->line);
	free(r);
}

VS_RC
vs_audit_commit(
	struct vs_audit *a, struct vs_audit_rec *r, int64_t deadline_boot_ns, struct vs_err *err)
{
	char fail[1100];
	(void)deadline_boot_ns;
	snprintf(fail, sizeof fail, "%s.fail", a->path);
	const int fd = access(fail, F_OK) == 0
		? -1
		: open(a->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	bool ok = fd >= 0 && !vs_failed(vs_buf_add_str(&r->line, "\n", NULL));
	ok = ok && write(fd, r->line.p, r->line.n) == (ssize_t)r->line.n;
	if (fd >= 0)
		close(fd);
	vs_audit_drop(r);
	if (!ok)
		VS_FAIL(err, AUDIT, "the audit log cannot be written");
	return VS_OK;
}

VS_RC
vs_audit_commit_all(struct vs_audit *a, struct vs_audit_rec *const *recs, size_t n,
	int64_t deadline_boot_ns, struct vs_err *err)
{
	vs_rc rc = VS_OK;
	for (size_t i = 0; i < n; i++)
		if (!vs_failed(rc))
			rc = vs_audit_commit(a, recs[i], deadline_boot_ns, err);
		else
			vs_audit_drop(recs[i]);
	return rc;
}

/* A log made of lines has no TPM beside it. */
VS_RC
vs_tpmtime_new(const struct vs_conf *conf, struct vs_clock clock, struct vs_tpmtime **ret,
	struct vs_err *err)
{
	(void)conf;
	(void)clock;
	(void)err;
	*ret = NULL;
	return VS_OK;
}

void
vs_tpmtime_free(struct vs_tpmtime *t)
{
	(void)t;
}

struct vs_audit_tpm
vs_tpmtime_port(struct vs_tpmtime *t)
{
	(void)t;
	return (struct vs_audit_tpm){0};
}

/* A log made of lines has no checkpoints. */
bool
vs_checkpoint_known(const struct vs_conf *conf, struct vs_audit_known *ret)
{
	(void)conf;
	(void)ret;
	return false;
}

void
vs_checkpoint_note(
	const struct vs_conf *conf, const struct vs_log *log, struct vs_audit *audit, bool always)
{
	(void)conf;
	(void)log;
	(void)audit;
	(void)always;
}

void
vs_checkpoint_perhaps(const struct vs_checkpoint_env *env, struct vs_audit *audit)
{
	(void)env;
	(void)audit;
}
