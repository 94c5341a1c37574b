/* SPDX-License-Identifier: BSD-2-Clause */
/* Building a record's own members. */
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "audit/internal.h"
#include "audit/verify.h"

enum { VALUE_MAX = 8192 };

/* Names that vs_chain_compose writes itself. */
static const char *const reserved[] = {"v", "log", "seq", "time", "wall", "boot_id", "boot_ns",
	"writer", "writer_pid", "writer_uid", "lab", "event", "prev", "hash", "clock_back_s",
	"tpm_clock_ms", "tpm_resets", "tpm_restarts", "tpm_boot_ns"};

static bool
good_name(const char *name)
{
	if (name == NULL || name[0] < 'a' || name[0] > 'z' || strlen(name) > 64)
		return false;
	for (const char *p = name; *p != 0; p++)
		if (!((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || *p == '-' ||
			    *p == '_'))
			return false;
	return true;
}

vs_rc
vs_audit_begin(struct vs_audit *a, const char *event, struct vs_audit_rec **ret, struct vs_err *err)
{
	(void)a;
	struct vs_audit_rec *r = calloc(1, sizeof *r);
	if (r == NULL)
		VS_FAIL(err, MEMORY, "no memory for an audit record");
	r->body.max = VS_AUDIT_LINE_MAX;
	r->rc = vs_buf_add_str(&r->body, "\"event\":", &r->err);
	if (!vs_failed(r->rc))
		r->rc = vs_chain_put_string(&r->body, event, &r->err);
	*ret = r;
	return VS_OK;
}

void
vs_audit_drop(struct vs_audit_rec *r)
{
	if (r == NULL)
		return;
	vs_buf_done(&r->body);
	free(r);
}

static vs_rc
put_name(struct vs_audit_rec *r, const char *name)
{
	VS_REQUIRE(&r->err, good_name(name));
	for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++)
		VS_REQUIRE(&r->err, strcmp(name, reserved[i]) != 0);
	for (size_t i = 0; i < r->n_names; i++)
		VS_REQUIRE(&r->err, strcmp(name, r->names[i]) != 0);
	VS_REQUIRE(&r->err, r->n_names < RECORD_NAMES_MAX);
	(void)snprintf(r->names[r->n_names++], sizeof r->names[0], "%s", name);
	return vs_buf_addf(&r->body, &r->err, ",\"%s\":", name);
}

/* A name; false when the record is already spoilt or is spoilt by it. */
static bool
start_member(struct vs_audit_rec *r, const char *name)
{
	if (vs_failed(r->rc))
		return false;
	r->rc = put_name(r, name);
	return !vs_failed(r->rc);
}

static vs_rc
put_value(struct vs_audit_rec *r, const char *value)
{
	if (value == NULL)
		value = "";
	if (strlen(value) > VALUE_MAX)
		VS_FAIL(&r->err, AUDIT, "a value is too long for an audit record");
	return vs_chain_put_string(&r->body, value, &r->err);
}

void
vs_audit_str(struct vs_audit_rec *r, const char *name, const char *value)
{
	if (start_member(r, name))
		r->rc = put_value(r, value);
}

void
vs_audit_int(struct vs_audit_rec *r, const char *name, int64_t value)
{
	if (start_member(r, name))
		r->rc = vs_buf_addf(&r->body, &r->err, "%lld", (long long)value);
}

void
vs_audit_bool(struct vs_audit_rec *r, const char *name, bool value)
{
	if (start_member(r, name))
		r->rc = vs_buf_add_str(&r->body, value ? "true" : "false", &r->err);
}

static vs_rc
put_check(struct vs_audit_rec *r, const struct vs_check *c, bool first)
{
	const struct {
		const char *name, *value;
	} rows[] = {
		{"rule", c->rule}, {"name", c->name}, {"expected", c->expected}, {"seen", c->seen}};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		VS_TRY(vs_buf_addf(&r->body, &r->err, "%s\"%s\":",
			i != 0          ? ","
				: first ? "{"
					: ",{",
			rows[i].name));
		VS_TRY(put_value(r, rows[i].value));
	}
	return vs_buf_addf(&r->body, &r->err, ",\"passed\":%s%s}", c->passed ? "true" : "false",
		c->advisory ? ",\"advisory\":true" : "");
}

static vs_rc
put_verdict(struct vs_audit_rec *r, const struct vs_verdict *v)
{
	VS_REQUIRE(&r->err, v->n_checks <= VS_VERDICT_CHECKS_MAX);
	VS_TRY(vs_buf_add_str(&r->body, "[", &r->err));
	for (size_t i = 0; i < v->n_checks; i++)
		VS_TRY(put_check(r, &v->checks[i], i == 0));
	return vs_buf_add_str(&r->body, "]", &r->err);
}

void
vs_audit_verdict(struct vs_audit_rec *r, const struct vs_verdict *v)
{
	vs_audit_bool(r, "accepted", v->passed);
	if (start_member(r, "checks"))
		r->rc = put_verdict(r, v);
}

void
vs_audit_err(struct vs_audit_rec *r, const struct vs_err *e)
{
	char sentence[VS_ERR_FRAMES * (VS_ERR_TEXT_MAX + 16)];

	vs_err_sentence(e, sentence, sizeof sentence);
	vs_audit_str(r, "code", vs_code_name(e->n_frames == 0 ? VS_E_OK : e->frames[0].code));
	vs_audit_str(r, "sentence", sentence);
}
