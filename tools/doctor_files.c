/* SPDX-License-Identifier: BSD-2-Clause */
/* Rows of doctor about files and settings. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/verify.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "jose/x509.h"
#include "tools/doctor.h"

enum { CONF_MAX = 1 << 20, ROOTS_MAX = 8 << 20, CERT_MAX = 1 << 20, SOON_S = 14 * 86400 };

void
vs_doc_file_modes(struct vs_doc *d, struct vs_doc_token *t, struct vs_doc_result *r)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {.max = CONF_MAX};
	struct vs_err err = {0};
	struct stat st = {0};
	(void)t;
	const vs_rc rc = vs_file_read(d->path, CONF_MAX, VS_FILE_TRUSTED, &text, &err);
	if (vs_failed(rc)) {
		vs_doc_error(r, rc, &err);
		return;
	}
	(void)stat(d->path, &st);
	vs_doc_good(r, "%s, uid %u, mode %04o", d->path, (unsigned)st.st_uid,
		(unsigned)st.st_mode & 07777);
}

/* Whatever cannot be locked is told by its own row; here it must not stand in the way. */
void
vs_doc_configuration(struct vs_doc *d, struct vs_doc_token *t, struct vs_doc_result *r)
{
	struct vs_err err = {0};
	(void)t;
	d->w.clock = vs_clock_system();
	d->w.rng = vs_rng_system();
	d->w.log = vs_log_stderr(VS_LOG_ERROR);
	vs_rc rc = vs_conf_load(d->path, &d->w.conf, &err);
	if (!vs_failed(rc))
		rc = vs_arena_new(256 * 1024, 16 << 20, VS_LOCK_WARN, &d->w.arena, &err);
	if (vs_failed(rc)) {
		vs_doc_error(r, rc, &err);
		return;
	}
	d->n_tokens = d->w.conf->n_tokens;
	if (d->n_tokens > VS_DOC_TOKENS_MAX)
		d->n_tokens = VS_DOC_TOKENS_MAX;
	for (size_t i = 0; i < d->n_tokens; i++)
		d->tokens[i].t = &d->w.conf->tokens[i];
	if (d->n_tokens == 0)
		vs_doc_bad(r, VS_EXIT_USAGE, "there is no [token LABEL] section");
	else
		vs_doc_good(r, "usable, %zu token%s, %s mode", d->n_tokens,
			d->n_tokens == 1 ? "" : "s", d->w.conf->lab ? "LAB" : "production");
}

/* ---- roots ----------------------------------------------------------------------------------- */

static VS_RC
read_roots(const char *path, struct vs_certs **ret, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf pem = {.max = ROOTS_MAX};
	VS_TRY(vs_file_read(path, ROOTS_MAX, VS_FILE_TRUSTED, &pem, err));
	return vs_certs_from_pem(vs_buf_view(&pem), ret, err);
}

/* T-L1: a lab's authority says so in its name. */
static bool
has_lab_root(const char *path)
{
	VS_CLEANUP(vs_certs_freep) struct vs_certs *certs = NULL;
	char name[300];
	if (!path || vs_failed(read_roots(path, &certs, NULL)))
		return false;
	for (size_t i = 0; i < vs_certs_count(certs); i++)
		if (strstr(vs_cert_subject(vs_certs_at(certs, i), name, sizeof name),
			    "Vouchsafe LAB"))
			return true;
	return false;
}

void
vs_doc_mode(struct vs_doc *d, struct vs_doc_token *t, struct vs_doc_result *r)
{
	const struct vs_conf *c = d->w.conf;
	(void)t;
	if (c->lab)
		vs_doc_warn(r, "mode = lab: grants of this configuration protect nothing");
	else if (has_lab_root(c->ca_bundle))
		vs_doc_bad(r, VS_EXIT_USAGE, "%s trusts the authority of a lab", c->ca_bundle);
	else if (has_lab_root(c->release_roots))
		vs_doc_bad(r, VS_EXIT_USAGE, "%s trusts the authority of a lab", c->release_roots);
	else
		vs_doc_good(r, "production, no mark of a lab");
}

void
vs_doc_roots(struct vs_doc *d, struct vs_doc_token *t, struct vs_doc_result *r)
{
	VS_CLEANUP(vs_certs_freep) struct vs_certs *certs = NULL;
	struct vs_err err = {0};
	size_t valid = 0;
	(void)t;
	vs_rc rc = read_roots(d->w.conf->ca_bundle, &certs, &err);
	if (!vs_failed(rc))
		rc = vs_cli_world_http(&d->w, &err);
	if (vs_failed(rc)) {
		vs_doc_error(r, rc, &err);
		r->exit_code = VS_EXIT_USAGE;
		return;
	}
	const int64_t now = d->w.clock.ops->wall_unix(d->w.clock.self);
	for (size_t i = 0; i < vs_certs_count(certs); i++)
		valid += vs_cert_valid_at(vs_certs_at(certs, i), now);
	if (valid == 0)
		vs_doc_bad(r, VS_EXIT_USAGE, "%s: none of %zu certificates is valid now",
			d->w.conf->ca_bundle, vs_certs_count(certs));
	else
		vs_doc_good(r, "%s: %zu roots, %zu of them valid now", d->w.conf->ca_bundle,
			vs_certs_count(certs), valid);
}

/* ---- settings that weaken -------------------------------------------------------------------- */

void
vs_doc_weakened(struct vs_doc *d, struct vs_doc_token *t, struct vs_doc_result *r)
{
	char list[VS_CONF_WEAKENED_MAX];
	(void)t;
	if (*vs_conf_weakened(d->w.conf, list, sizeof list))
		vs_doc_warn(r, "%s", list);
	else
		vs_doc_good(r, "none");
}

/* ---- files of a token ------------------------------------------------------------------------ */

void
vs_doc_secret_files(struct vs_doc *d, struct vs_doc_token *t, struct vs_doc_result *r)
{
	const struct {
		const char *path;
		enum vs_file_check check;
	} files[] = {{t->t->client_secret_file, VS_FILE_SECRET},
		{t->t->client_certificate_file, VS_FILE_SECRET},
		{t->t->federated_token_file, VS_FILE_ANY}, {t->t->pin_file, VS_FILE_SECRET}};
	size_t n = 0;
	(void)d;
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		VS_CLEANUP(vs_buf_done) struct vs_buf text = {.max = CERT_MAX};
		struct vs_err err = {0};
		if (!files[i].path)
			continue;
		const vs_rc rc = vs_file_read(files[i].path, CERT_MAX, files[i].check, &text, &err);
		if (text.p)
			vs_wipe(text.p, text.cap);
		if (vs_failed(rc)) {
			vs_doc_error(r, rc, &err);
			return;
		}
		n++;
	}
	if (n == 0)
		vs_doc_good(r, "none is configured");
	else
		vs_doc_good(r, "%zu file%s", n, n == 1 ? "" : "s");
}

void
vs_doc_certificate_files(struct vs_doc *d, struct vs_doc_token *t, struct vs_doc_result *r)
{
	const int64_t now = d->w.clock.ops->wall_unix(d->w.clock.self);
	if (t->t->n_certs == 0) {
		vs_doc_good(r, "none is configured");
		return;
	}
	vs_doc_good(r, "%zu file%s", t->t->n_certs, t->t->n_certs == 1 ? "" : "s");
	for (size_t i = 0; i < t->t->n_certs && r->state != VS_DOC_BAD; i++) {
		VS_CLEANUP(vs_buf_done) struct vs_buf text = {.max = CERT_MAX};
		VS_CLEANUP(vs_certs_freep) struct vs_certs *certs = NULL;
		VS_CLEANUP(vs_cert_unrefp) struct vs_cert *single = NULL;
		const char *path = t->t->certs[i].path;
		struct vs_err err = {0};
		vs_rc rc = vs_file_read(path, CERT_MAX, VS_FILE_ANY, &text, &err);
		if (!vs_failed(rc))
			rc = strstr(vs_buf_cstr(&text), "-----BEGIN ")
				? vs_certs_from_pem(vs_buf_view(&text), &certs, &err)
				: vs_cert_from_der(vs_buf_view(&text), &single, &err);
		if (vs_failed(rc)) {
			rc = vs_err_while(rc, &err, "reading %s", path);
			vs_doc_error(r, rc, &err);
			r->exit_code = VS_EXIT_USAGE;
			return;
		}
		const struct vs_cert *cert = single ? single : vs_certs_at(certs, 0);
		if (!vs_cert_valid_at(cert, now))
			vs_doc_bad(r, VS_EXIT_USAGE, "%s is not valid now", path);
		else if (vs_cert_not_after(cert) - now < SOON_S)
			vs_doc_warn(r, "%s ends in %lld days", path,
				(long long)((vs_cert_not_after(cert) - now) / 86400));
	}
}

/* ---- policy ---------------------------------------------------------------------------------- */

void
vs_doc_policy(struct vs_doc *d, struct vs_doc_token *t, struct vs_doc_result *r)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {.max = VS_POLICY_TEXT_MAX};
	struct vs_err err = {0};
	if (!t->t->policy) {
		vs_doc_bad(r, VS_EXIT_USAGE, "no policy is configured, so everything is denied");
		return;
	}
	vs_rc rc = vs_file_read(t->t->policy, VS_POLICY_TEXT_MAX, VS_FILE_TRUSTED, &text, &err);
	if (!vs_failed(rc))
		rc = vs_policy_parse(vs_buf_view(&text), &t->policy, &err);
	if (vs_failed(rc)) {
		rc = vs_err_while(rc, &err, "reading the policy %s", t->t->policy);
		vs_doc_error(r, rc, &err);
		return;
	}
	if (vs_policy_demands_tee(t->policy))
		d->tee_demanded = true;
	if (vs_policy_is_local(t->policy))
		vs_doc_good(r,
			"%s, version vouchsafe-1: enforced here only, the vault cannot enforce it",
			t->t->policy);
	else
		vs_doc_good(r, "%s, sha256 %.16s...", t->t->policy, vs_policy_sha256(t->policy));
}

static bool
authority_is(const char *authority, const char *origin)
{
	const size_t n = strlen(origin);
	return strncmp(authority, origin, n) == 0 &&
		(authority[n] == '\0' || strcmp(authority + n, "/") == 0);
}

void
vs_doc_policy_authority(struct vs_doc *d, struct vs_doc_token *t, struct vs_doc_result *r)
{
	const char *foreign = NULL;
	bool known = false;
	(void)d;
	for (size_t i = 0; i < vs_policy_authorities(t->policy); i++) {
		const char *a = vs_policy_authority(t->policy, i);
		bool ours = authority_is(a, t->t->attestation);
		known = known || ours;
		for (char **f = t->t->attestation_fallback; f && *f; f++)
			ours = ours || authority_is(a, *f);
		if (!ours)
			foreign = a;
	}
	if (!known)
		vs_doc_bad(r, VS_EXIT_REFUSED,
			"%s is no authority of the policy, so it can never be met",
			t->t->attestation);
	else if (foreign)
		vs_doc_warn(r, "the policy also believes %.200s, which is not configured", foreign);
	else
		vs_doc_good(r, "%s", t->t->attestation);
}

void
vs_doc_policy_tee(struct vs_doc *d, struct vs_doc_token *t, struct vs_doc_result *r)
{
	(void)d;
	if (vs_policy_demands_tee(t->policy))
		vs_doc_good(r, "a TEE is demanded");
	else
		vs_doc_warn(r, "the policy can be met without any TEE");
}

void
vs_doc_policy_claims(struct vs_doc *d, struct vs_doc_token *t, struct vs_doc_result *r)
{
	const char *planted = vs_policy_planted_claim(t->policy);
	(void)d;
	if (planted)
		vs_doc_warn(r, "the machine itself writes %.200s", planted);
	else
		vs_doc_good(r, "none is the machine's own");
}

/* ---- folders and log ------------------------------------------------------------------------- */

void
vs_doc_state_dir(struct vs_doc *d, struct vs_doc_token *t, struct vs_doc_result *r)
{
	const char *path = d->w.conf->state_dir;
	struct stat st;
	(void)t;
	if (stat(path, &st) != 0)
		vs_doc_bad(r, VS_EXIT_USAGE, "%s: %s", path, strerror(errno));
	else if (!S_ISDIR(st.st_mode))
		vs_doc_bad(r, VS_EXIT_USAGE, "%s is no folder", path);
	else if (st.st_mode & (S_IWGRP | S_IWOTH))
		vs_doc_bad(r, VS_EXIT_USAGE, "%s can be written by others (mode %04o)", path,
			(unsigned)st.st_mode & 07777);
	else if (access(path, R_OK | W_OK | X_OK) != 0)
		vs_doc_warn(r, "%s: this user cannot write there; the agent's must", path);
	else
		vs_doc_good(r, "%s, uid %u, mode %04o", path, (unsigned)st.st_uid,
			(unsigned)st.st_mode & 07777);
}

static void
no_log_yet(const char *path, struct vs_doc_result *r)
{
	char dir[1024];
	const char *slash = strrchr(path, '/');
	const size_t n = slash && slash != path ? (size_t)(slash - path) : 1;
	(void)snprintf(dir, sizeof dir, "%.*s", (int)n, path);
	if (access(dir, W_OK | X_OK) != 0)
		vs_doc_bad(r, VS_EXIT_USAGE, "%s: no log, and none can be begun there: %s", path,
			strerror(errno));
	else
		vs_doc_good(r, "%s is not begun yet", path);
}

void
vs_doc_audit_log(struct vs_doc *d, struct vs_doc_token *t, struct vs_doc_result *r)
{
	const char *path = d->w.conf->audit_log;
	struct vs_audit_report report = {0};
	struct vs_err err = {0};
	struct stat st;
	(void)t;
	if (!path) {
		vs_doc_bad(r, VS_EXIT_USAGE, "no audit log is configured");
		return;
	}
	if (stat(path, &st) != 0 && errno == ENOENT) {
		no_log_yet(path, r);
		return;
	}
	const vs_rc rc = vs_audit_verify_file(path, NULL, &report, &err);
	if (vs_failed(rc))
		vs_doc_error(r, rc, &err);
	else if (!report.ok)
		vs_doc_bad(r, VS_EXIT_REFUSED, "%s is not whole: line %llu: %s", path,
			(unsigned long long)report.bad_line, report.reason);
	else if (access(path, W_OK) != 0)
		vs_doc_warn(
			r, "%s is whole, but this user cannot write it; the agent's must", path);
	else
		vs_doc_good(
			r, "%s: whole, %llu records", path, (unsigned long long)report.n_records);
}
