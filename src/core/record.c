/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/file.h"
#include "base/log.h"
#include "core/checkpoint.h"
#include "gate/gate.h"
#include "jose/jose.h"
#include "proto/page.h"

enum { APPEND_MS = 10000, POLICY_BYTES_MAX = 65536 };

struct vs_who
vs_who_self(void)
{
	return (struct vs_who){.uid = geteuid(), .pid = getpid()};
}

/* NULL with VS_OK: nothing is to be recorded. */
static VS_RC
begin(struct vs_core *core, const char *event, const struct vs_conf_token *token, const char *lease,
	struct vs_who who, struct vs_audit **ret_audit, struct vs_audit_rec **ret,
	struct vs_err *err)
{
	*ret = NULL;
	VS_TRY(vs_core_audit(core, ret_audit, err));
	if (!*ret_audit)
		return VS_OK;
	VS_TRY(vs_audit_begin(*ret_audit, event, ret, err));
	if (token)
		vs_audit_str(*ret, "token", token->label);
	if (lease)
		vs_audit_str(*ret, "lease", lease);
	if (who.pid > 0) {
		vs_audit_int(*ret, "uid", who.uid);
		vs_audit_int(*ret, "pid", who.pid);
	}
	return VS_OK;
}

/* With best-effort a failure is a log line. */
static VS_RC
settle(struct vs_core *core, vs_rc rc, struct vs_err *local, struct vs_err *err)
{
	if (!vs_failed(rc))
		return VS_OK;
	if (!vs_core_conf(core)->audit_required) {
		vs_log_err(
			vs_core_log(core), VS_LOG_WARN, "audit", "a record was not written", local);
		return VS_OK;
	}
	vs_log_err(vs_core_log(core), VS_LOG_ERROR, "audit", "a record was not written", local);
	if (err)
		*err = *local;
	return rc;
}

static VS_RC
commit_all(struct vs_core *core, struct vs_audit *audit, struct vs_audit_rec *const *recs, size_t n,
	struct vs_err *err)
{
	const struct vs_checkpoint_env env = {.conf = vs_core_conf(core),
		.clock = vs_core_clock(core),
		.log = *vs_core_log(core)};
	VS_TRY(vs_audit_commit_all(
		audit, recs, n, vs_boot_now_ns() + APPEND_MS * INT64_C(1000000), err));
	vs_checkpoint_perhaps(&env, audit);
	return VS_OK;
}

static VS_RC
commit(struct vs_core *core, struct vs_audit *audit, struct vs_audit_rec *rec, struct vs_err *err)
{
	return commit_all(core, audit, &rec, 1, err);
}

static void
say_error(struct vs_audit_rec *rec, vs_rc rc, const struct vs_err *err)
{
	struct vs_err bare = {.n_frames = 1, .frames = {{.code = rc.code}}};
	snprintf(bare.frames[0].text, sizeof bare.frames[0].text, "%s", vs_code_text(rc.code));
	vs_audit_err(rec, err && err->n_frames > 0 ? err : &bare);
}

/* ---- start ---------------------------------------------------------------------------------- */

static void
say_policy(struct vs_audit_rec *rec, const struct vs_conf_token *token, size_t i)
{
	char name[48], value[400], hex[65] = "unreadable";
	uint8_t digest[32];
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {.max = POLICY_BYTES_MAX};
	if (!token->policy)
		snprintf(hex, sizeof hex, "none");
	else if (!vs_failed(vs_file_read(
			 token->policy, POLICY_BYTES_MAX, VS_FILE_TRUSTED, &text, NULL)) &&
		!vs_failed(vs_sha256(vs_buf_view(&text), digest, NULL)))
		vs_hex_str(digest, sizeof digest, hex, sizeof hex);
	snprintf(name, sizeof name, "policy-%zu", i + 1);
	snprintf(value, sizeof value, "%.40s %s", token->label, hex);
	vs_audit_str(rec, name, value);
}

VS_RC
vs_record_start(struct vs_core *core, bool private_agent, struct vs_err *err)
{
	const struct vs_conf *conf = vs_core_conf(core);
	struct vs_audit *audit = NULL;
	struct vs_audit_rec *rec = NULL;
	struct vs_err local = {0};
	char hex[65], weakened[VS_CONF_WEAKENED_MAX];
	vs_rc rc = begin(core, "start", NULL, NULL, vs_who_self(), &audit, &rec, &local);
	if (rec) {
		vs_hex_str(conf->sha256, sizeof conf->sha256, hex, sizeof hex);
		vs_audit_str(rec, "config", conf->path);
		vs_audit_str(rec, "config-sha256", hex);
		vs_audit_str(rec, "mode", conf->lab ? "lab" : "production");
		vs_audit_bool(rec, "private", private_agent);
		vs_audit_bool(rec, "audit-required", conf->audit_required);
		vs_audit_bool(rec, "memory-locked", vs_arena_locked(vs_core_arena(core)));
		vs_conf_weakened(conf, weakened, sizeof weakened);
		vs_audit_str(rec, "weakened", *weakened ? weakened : "none");
		for (size_t i = 0; i < conf->n_tokens; i++)
			say_policy(rec, &conf->tokens[i], i);
		rc = commit(core, audit, rec, &local);
	}
	return settle(core, rc, &local, err);
}

/* ---- attempts and releases ------------------------------------------------------------------ */

static const char *
result_word(vs_rc rc)
{
	switch (vs_gate_event_of(rc.code)) {
	case VS_GATE_GRANTED: return "granted";
	case VS_GATE_UNREACHABLE: return "unreachable";
	case VS_GATE_REFUSED:
	case VS_GATE_NEED:
	case VS_GATE_NEED_HELD:
	case VS_GATE_HALF:
	case VS_GATE_END:
	case VS_GATE_RESET:
	case VS_GATE_EVENT_COUNT_: break;
	}
	return "refused";
}

static void
say_attestation(struct vs_audit_rec *rec, const struct vs_attestation *a)
{
	vs_audit_str(rec, "issuer", a->issuer);
	vs_audit_str(rec, "kid", a->kid);
	vs_audit_str(rec, "jti", a->jti);
	vs_audit_str(rec, "token-sha256", a->token_sha256);
	vs_audit_str(rec, "policy-sha256", a->policy_sha256);
	vs_audit_str(rec, "service-policy-hash", a->service_policy_hash);
	vs_audit_str(rec, "request-id", a->request_id);
	vs_audit_int(rec, "iat", a->iat_unix);
	vs_audit_int(rec, "exp", a->exp_unix);
	vs_audit_int(rec, "tpm-resets", a->reset_count);
	vs_audit_int(rec, "tpm-restarts", a->restart_count);
}

VS_RC
vs_record_attempt(struct vs_core *core, const struct vs_attempt_note *n, struct vs_err *err)
{
	static const char *const kinds[] = {"", "need", "renewal", "tool"};
	struct vs_audit *audit = NULL;
	struct vs_audit_rec *rec = NULL;
	struct vs_err local = {0};
	vs_rc rc = begin(core, "attempt", n->token, n->lease, n->who, &audit, &rec, &local);
	if (rec) {
		vs_audit_str(rec, "kind", kinds[n->kind]);
		vs_audit_str(rec, "result", result_word(n->rc));
		vs_audit_str(rec, "vault", n->token->vault);
		if (n->lease_after)
			vs_audit_str(rec, "lease-after-end", n->lease_after);
		if (!vs_failed(n->rc) && n->lease_s > 0)
			vs_audit_int(rec, "lease-s", n->lease_s);
		if (n->attestation)
			say_attestation(rec, n->attestation);
		if (n->verdict && n->verdict->n_checks > 0)
			vs_audit_verdict(rec, n->verdict);
		if (vs_failed(n->rc))
			say_error(rec, n->rc, n->err);
		rc = commit(core, audit, rec, &local);
	}
	return settle(core, rc, &local, err);
}

static void
say_key(struct vs_audit_rec *rec, const struct vs_cat_entry *entry)
{
	char text[512];
	vs_audit_str(rec, "key", vs_quote(entry->name, text, sizeof text));
	vs_audit_str(rec, "version", vs_quote(entry->version, text, sizeof text));
}

VS_RC
vs_record_release(struct vs_core *core, const struct vs_conf_token *token, const char *lease,
	struct vs_who who, const struct vs_cat_entry *entry, vs_rc release_rc,
	const struct vs_err *release_err, const struct vs_release_info *info, struct vs_err *err)
{
	struct vs_audit *audit = NULL;
	struct vs_audit_rec *rec = NULL;
	struct vs_err local = {0};
	vs_rc rc = begin(core, "release", token, lease, who, &audit, &rec, &local);
	if (rec) {
		vs_audit_str(rec, "result", result_word(release_rc));
		say_key(rec, entry);
		if (vs_failed(release_rc)) {
			say_error(rec, release_rc, release_err);
		} else {
			vs_audit_str(rec, "kid", info->kid);
			vs_audit_str(rec, "enc", info->enc);
			vs_audit_str(rec, "release-policy-sha256", info->policy_sha256);
			vs_audit_bool(rec, "release-policy-known", info->policy_known);
			vs_audit_bool(rec, "release-policy-immutable", info->policy_immutable);
			vs_audit_str(rec, "request-id", info->request_id);
		}
		rc = commit(core, audit, rec, &local);
	}
	return settle(core, rc, &local, err);
}

VS_RC
vs_record_handover(struct vs_core *core, const struct vs_conf_token *token, const char *lease,
	struct vs_who who, const struct vs_cat_entry *entry, bool last, struct vs_err *err)
{
	struct vs_audit *audit = NULL;
	struct vs_audit_rec *rec = NULL;
	struct vs_err local = {0};
	vs_rc rc = begin(core, "key", token, lease, who, &audit, &rec, &local);
	if (rec) {
		say_key(rec, entry);
		if (last)
			vs_audit_bool(rec, "further-are-counted", true);
		rc = commit(core, audit, rec, &local);
	}
	return settle(core, rc, &local, err);
}

/* ---- uses ----------------------------------------------------------------------------------- */

struct period {
	int64_t since_unix, until_unix;
};

static VS_RC
use_record(struct vs_audit *audit, const char *event, const struct vs_conf_token *token,
	const struct vs_use_sum *s, struct period p, struct vs_audit_rec **ret, struct vs_err *err)
{
	VS_TRY(vs_audit_begin(audit, event, ret, err));
	vs_audit_str(*ret, "token", token->label);
	vs_audit_str(*ret, "lease", s->lease);
	vs_audit_int(*ret, "uid", s->uid);
	if (s->pid > 0)
		vs_audit_int(*ret, "pid", s->pid);
	vs_audit_str(*ret, "key", s->name.key);
	vs_audit_str(*ret, "version", s->name.version);
	vs_audit_int(*ret, "from", p.since_unix);
	vs_audit_int(*ret, "until", p.until_unix);
	return VS_OK;
}

/* Of one sum: at most two. */
static VS_RC
use_records(struct vs_audit *audit, const struct vs_conf_token *token, const struct vs_use_sum *s,
	struct period p, struct vs_audit_rec **recs, size_t *n, struct vs_err *err)
{
	if (s->handovers > 0) {
		VS_TRY(use_record(audit, "key", token, s, p, &recs[*n], err));
		vs_audit_int(recs[(*n)++], "handovers", (int64_t)s->handovers);
	}
	if (s->uses == 0 && !s->went_back)
		return VS_OK;
	VS_TRY(use_record(audit, "uses", token, s, p, &recs[*n], err));
	vs_audit_int(recs[*n], "uses", (int64_t)s->uses);
	vs_audit_int(recs[*n], "processes", s->processes);
	if (s->went_back)
		vs_audit_bool(recs[*n], "counters-went-back", true);
	(*n)++;
	return VS_OK;
}

static VS_RC
write_uses(struct vs_core *core, struct vs_audit *audit, const struct vs_conf_token *token,
	const struct vs_use_sum *sums, size_t n, struct period p, struct vs_err *err)
{
	struct vs_audit_rec **recs = calloc(2 * n + 1, sizeof(struct vs_audit_rec *));
	size_t made = 0;
	vs_rc rc = VS_OK;
	if (!recs)
		VS_FAIL(err, MEMORY, "out of memory");
	for (size_t i = 0; i < n && !vs_failed(rc); i++)
		rc = use_records(audit, token, &sums[i], p, recs, &made, err);
	if (!vs_failed(rc) && made > 0)
		rc = commit_all(core, audit, recs, made, err);
	else
		for (size_t i = 0; i < made; i++)
			vs_audit_drop(recs[i]);
	free(recs);
	return rc;
}

VS_RC
vs_record_uses(struct vs_core *core, const struct vs_conf_token *token,
	const struct vs_use_sum *sums, size_t n, int64_t since_unix, int64_t until_unix,
	struct vs_err *err)
{
	const struct period p = {.since_unix = since_unix, .until_unix = until_unix};
	struct vs_audit *audit = NULL;
	struct vs_err local = {0};
	vs_rc rc = vs_core_audit(core, &audit, &local);
	if (!vs_failed(rc) && audit)
		rc = write_uses(core, audit, token, sums, n, p, &local);
	return settle(core, rc, &local, err);
}

/* ---- others --------------------------------------------------------------------------------- */

VS_RC
vs_record_event(struct vs_core *core, const char *event, const struct vs_conf_token *token,
	const char *lease, struct vs_who who, const struct vs_err *reason, struct vs_err *err)
{
	struct vs_audit *audit = NULL;
	struct vs_audit_rec *rec = NULL;
	struct vs_err local = {0};
	vs_rc rc = begin(core, event, token, lease, who, &audit, &rec, &local);
	if (rec) {
		if (reason && reason->n_frames > 0)
			vs_audit_err(rec, reason);
		rc = commit(core, audit, rec, &local);
	}
	return settle(core, rc, &local, err);
}
