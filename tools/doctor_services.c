/* SPDX-License-Identifier: BSD-2-Clause */
/* Rows of doctor about services: metadata, identity, attestation, vault, keys. */
#include <string.h>

#include "attest/trust.h"
#include "base/codec.h"
#include "jose/json.h"
#include "keys/cred.h"
#include "net/url.h"
#include "tools/doctor.h"

enum { IMDS_MS = 5000, CLOCK_NOTICE_S = 5 };

/* ---- metadata, identity ---------------------------------------------------------------------- */

void
vs_doc_imds(struct vs_doc *d, struct vs_doc_token *t, struct vs_doc_result *r)
{
	static const char *const headers[] = {"Metadata: true", NULL};
	VS_CLEANUP(vs_http_res_done) struct vs_http_res res = {.retry_after_s = -1};
	VS_CLEANUP(vs_json_freep) struct vs_json *root = NULL;
	const struct vs_net net = vs_doc_net(d);
	const char *size = "?", *place = "?";
	struct vs_err err = {0};
	char url[600];
	(void)t;
	(void)snprintf(
		url, sizeof url, "%s/metadata/instance?api-version=2021-02-01", d->w.conf->imds);
	const struct vs_http_req req = {.method = VS_HTTP_GET,
		.url = url,
		.headers = headers,
		.allow_plain = true,
		.no_proxy = true,
		.deadline_boot_ns =
			d->w.clock.ops->boot_ns(d->w.clock.self) + IMDS_MS * INT64_C(1000000)};
	vs_rc rc = vs_net_call(&net, &req, &vs_http_retry_none, "the metadata service", &res, &err);
	if (!vs_failed(rc))
		rc = vs_http_require_json(&res, "the metadata service", &err);
	if (!vs_failed(rc))
		rc = vs_json_load_object(
			vs_buf_view(&res.body), VS_HTTP_BODY_MAX, "metadata", &root, &err);
	if (vs_failed(rc)) {
		vs_doc_error(r, rc, &err);
		return;
	}
	char a[80], b[80];
	(void)vs_json_string(vs_json_path(root, "compute.vmSize"), &size);
	(void)vs_json_string(vs_json_path(root, "compute.location"), &place);
	vs_doc_good(r, "%s in %s (as it says)", vs_quote(vs_bytes_str(size), a, sizeof a),
		vs_quote(vs_bytes_str(place), b, sizeof b));
}

void
vs_doc_credential(struct vs_doc *d, struct vs_doc_token *t, struct vs_doc_result *r)
{
	VS_CLEANUP(vs_secret_done) struct vs_secret token = {0};
	struct vs_err err = {0};
	const struct vs_cred_env env = {
		.conf = d->w.conf, .token = t->t, .arena = d->w.arena, .net = vs_doc_net(d)};
	vs_rc rc = vs_cred_new(&env, &t->cred, &err);
	if (!vs_failed(rc))
		rc = t->cred.ops->get(t->cred.self, t->t->vault_resource, false, vs_doc_deadline(d),
			&token, &err);
	if (!vs_failed(rc)) {
		const struct vs_akv_env akv = {
			.token = t->t, .net = vs_doc_net(d), .cred = t->cred};
		rc = vs_akv_new(&akv, &t->akv, &err);
	}
	if (vs_failed(rc))
		vs_doc_error(r, rc, &err);
	else
		vs_doc_good(
			r, "%s: an access token for %s", t->cred.ops->name, t->t->vault_resource);
}

/* ---- attestation ----------------------------------------------------------------------------- */

/* One request without credentials; whatever status comes shows that somebody is there. */
static VS_RC
knock(const struct vs_doc *d, const char *origin, const char *path, const char *who,
	struct vs_http_res *ret, struct vs_err *err)
{
	const struct vs_net net = vs_doc_net(d);
	char url[600];
	(void)snprintf(url, sizeof url, "%s%s", origin, path);
	const struct vs_http_req req = {
		.method = VS_HTTP_GET, .url = url, .deadline_boot_ns = vs_doc_deadline(d)};
	return vs_net_call(&net, &req, &vs_http_retry_none, who, ret, err);
}

void
vs_doc_maa(struct vs_doc *d, struct vs_doc_token *t, struct vs_doc_result *r)
{
	VS_CLEANUP(vs_http_res_done) struct vs_http_res res = {.retry_after_s = -1};
	struct vs_err err = {0};
	vs_rc rc = knock(d, t->t->attestation, "/.well-known/openid-configuration",
		"the attestation service", &res, &err);
	if (!vs_failed(rc)) {
		t->maa_date = res.date_unix;
		t->maa_asked = d->w.clock.ops->wall_unix(d->w.clock.self);
		rc = vs_http_require_json(&res, "the attestation service", &err);
	}
	if (vs_failed(rc)) {
		(void)vs_err_while(rc, &err, "asking %s", t->t->attestation);
		vs_doc_error(r, rc, &err);
	} else {
		vs_doc_good(r, "%s answers", t->t->attestation);
	}
}

void
vs_doc_maa_keys(struct vs_doc *d, struct vs_doc_token *t, struct vs_doc_result *r)
{
	VS_CLEANUP(vs_jwks_unrefp) struct vs_jwks *keys = NULL;
	struct vs_trust *trust = NULL;
	struct vs_err err = {0};
	const struct vs_trust_env env = {.issuer = t->t->attestation, .net = vs_doc_net(d)};
	vs_rc rc = vs_trust_new(&env, &trust, &err);
	if (!vs_failed(rc))
		rc = vs_trust_keys(trust, (struct vs_bytes){0}, vs_doc_deadline(d), &keys, &err);
	vs_trust_free(trust);
	if (vs_failed(rc))
		vs_doc_error(r, rc, &err);
	else if (vs_jwks_count(keys) == 0)
		vs_doc_bad(r, VS_EXIT_TEMPORARY, "the key set of %s is empty", t->t->attestation);
	else
		vs_doc_good(r, "%zu keys", vs_jwks_count(keys));
}

void
vs_doc_clock(struct vs_doc *d, struct vs_doc_token *t, struct vs_doc_result *r)
{
	const int64_t skew = d->w.conf->clock_skew_s;
	if (t->maa_date == 0) {
		vs_doc_warn(r, "the attestation service does not say what time it is");
		return;
	}
	const int64_t off = t->maa_asked - t->maa_date;
	const long long by = (long long)(off < 0 ? -off : off);
	const char *const side = off < 0 ? "behind" : "ahead of";
	if (by > skew)
		vs_doc_bad(r, VS_EXIT_REFUSED,
			"this clock is %lld s %s the attestation service's: its tokens are refused",
			by, side);
	else if (by > CLOCK_NOTICE_S)
		vs_doc_warn(r, "this clock is %lld s %s the attestation service's", by, side);
	else
		vs_doc_good(r, "%lld s %s the attestation service's", by, side);
}

/* ---- vault ----------------------------------------------------------------------------------- */

void
vs_doc_vault(struct vs_doc *d, struct vs_doc_token *t, struct vs_doc_result *r)
{
	VS_CLEANUP(vs_http_res_done) struct vs_http_res res = {.retry_after_s = -1};
	struct vs_err err = {0};
	vs_rc rc = knock(d, t->t->vault, "/keys?api-version=7.4", "the vault", &res, &err);
	/* 401 is what a vault says to somebody without a token; 403 where a firewall says it. */
	if (!vs_failed(rc) && res.status != 401 && res.status != 403 && res.status != 200)
		rc = vs_http_fail(&res, "the vault", &err);
	if (vs_failed(rc)) {
		(void)vs_err_while(rc, &err, "asking %s", t->t->vault);
		vs_doc_error(r, rc, &err);
	} else {
		vs_doc_good(r, "%s answers", t->t->vault);
	}
}

static bool
has_patterns(const struct vs_conf_token *t)
{
	for (char **k = t->keys; k && *k; k++)
		if (strpbrk(*k, "*?["))
			return true;
	return t->keys == NULL;
}

void
vs_doc_may_list(struct vs_doc *d, struct vs_doc_token *t, struct vs_doc_result *r)
{
	struct vs_err err = {0};
	char s[800];
	const vs_rc rc = vs_akv_may_list(t->akv, vs_doc_deadline(d), &err);
	if (!vs_failed(rc)) {
		vs_doc_good(r, "may list");
	} else if (rc.code == VS_E_REFUSED_ACCESS && !has_patterns(t->t)) {
		vs_err_sentence(&err, s, sizeof s);
		vs_doc_warn(r, "may not list, which is not needed here: %s", s);
	} else {
		vs_doc_error(r, rc, &err);
	}
}

void
vs_doc_may_get(struct vs_doc *d, struct vs_doc_token *t, struct vs_doc_result *r)
{
	struct vs_err err = {0};
	const vs_rc rc = vs_akv_catalog(t->akv, vs_doc_deadline(d), &t->catalog, &err);
	if (vs_failed(rc))
		vs_doc_error(r, rc, &err);
	else if (t->catalog->n == 0)
		vs_doc_bad(r, VS_EXIT_REFUSED, "no key of the vault can be released and is named");
	else
		vs_doc_good(r, "%zu keys", t->catalog->n);
}

void
vs_doc_may_release(struct vs_doc *d, struct vs_doc_token *t, struct vs_doc_result *r)
{
	char name[140];
	for (size_t i = 0; i < t->catalog->n; i++) {
		const struct vs_cat_entry *e = &t->catalog->entries[i];
		struct vs_err err = {0};
		if (!e->enabled)
			continue;
		const vs_rc rc = vs_akv_may_release(t->akv, e, vs_doc_deadline(d), &err);
		if (vs_failed(rc))
			vs_doc_error(r, rc, &err);
		else
			vs_doc_good(r, "may release (asked for %s, with nothing to show)",
				vs_quote(e->name, name, sizeof name));
		return;
	}
	vs_doc_bad(r, VS_EXIT_REFUSED, "every key is disabled");
}

/* ---- keys ------------------------------------------------------------------------------------ */

/* Names of keys that something is true of, cut. */
struct names {
	size_t n;
	char text[500];
};

static void
add_name(struct names *x, const struct vs_cat_entry *e)
{
	char name[140];
	const size_t used = strlen(x->text);
	if (x->n++ < 5)
		(void)snprintf(x->text + used, sizeof x->text - used, "%s%s", used ? ", " : "",
			vs_quote(e->name, name, sizeof name));
}

/* Reads what the vault keeps; false: r says why not. */
static bool
stored(struct vs_doc *d, struct vs_doc_token *t, const struct vs_cat_entry *e, struct vs_buf *text,
	bool *immutable, struct vs_doc_result *r)
{
	struct vs_err err = {0};
	const vs_rc rc = vs_akv_stored_policy(t->akv, e, vs_doc_deadline(d), text, immutable, &err);
	if (vs_failed(rc))
		vs_doc_error(r, rc, &err);
	return !vs_failed(rc);
}

void
vs_doc_stored_policy(struct vs_doc *d, struct vs_doc_token *t, struct vs_doc_result *r)
{
	struct names differ = {0}, no_tee = {0};
	for (size_t i = 0; i < t->catalog->n; i++) {
		const struct vs_cat_entry *e = &t->catalog->entries[i];
		VS_CLEANUP(vs_buf_done) struct vs_buf text = {.max = VS_POLICY_TEXT_MAX};
		VS_CLEANUP(vs_buf_done) struct vs_buf diff = {0};
		VS_CLEANUP(vs_policy_unrefp) struct vs_policy *policy = NULL;
		struct vs_err err = {0};
		bool immutable = false;
		if (!stored(d, t, e, &text, &immutable, r))
			return;
		vs_rc rc = vs_policy_parse(vs_buf_view(&text), &policy, &err);
		if (!vs_failed(rc))
			rc = vs_policy_diff(t->policy, policy, &diff, &err);
		if (vs_failed(rc)) {
			vs_doc_error(r, rc, &err);
			return;
		}
		if (diff.n > 0)
			add_name(&differ, e);
		if (!vs_policy_demands_tee(policy))
			add_name(&no_tee, e);
	}
	if (no_tee.n)
		vs_doc_warn(r, "the vault releases %zu keys without any TEE: %s", no_tee.n,
			no_tee.text);
	else if (differ.n)
		vs_doc_warn(r, "%zu of %zu keys have another one: %s", differ.n, t->catalog->n,
			differ.text);
	else
		vs_doc_good(r, "the same for all %zu keys", t->catalog->n);
}

void
vs_doc_mutable_policy(struct vs_doc *d, struct vs_doc_token *t, struct vs_doc_result *r)
{
	struct names changeable = {0};
	for (size_t i = 0; i < t->catalog->n; i++) {
		VS_CLEANUP(vs_buf_done) struct vs_buf text = {.max = VS_POLICY_TEXT_MAX};
		bool immutable = false;
		if (!stored(d, t, &t->catalog->entries[i], &text, &immutable, r))
			return;
		if (!immutable)
			add_name(&changeable, &t->catalog->entries[i]);
	}
	if (changeable.n)
		vs_doc_warn(r, "whoever administers the vault can change it for %zu of %zu: %s",
			changeable.n, t->catalog->n, changeable.text);
	else
		vs_doc_good(r, "immutable for all %zu keys", t->catalog->n);
}

void
vs_doc_certificates(struct vs_doc *d, struct vs_doc_token *t, struct vs_doc_result *r)
{
	(void)d;
	if (t->t->n_certs == 0) {
		vs_doc_good(r, "none is configured");
		return;
	}
	for (size_t i = 0; i < t->t->n_certs; i++) {
		const struct vs_conf_cert *c = &t->t->certs[i];
		const struct vs_cat_entry *found = NULL;
		for (size_t k = 0; k < t->catalog->n && !found; k++)
			if (vs_bytes_eq_str(t->catalog->entries[k].name, c->key))
				found = &t->catalog->entries[k];
		if (!found || found->cert.n == 0) {
			vs_doc_bad(r, VS_EXIT_USAGE, "%s: %s", c->path,
				found ? "is not for the public key that the vault has"
				      : "there is no such key");
			return;
		}
	}
	vs_doc_good(r, "%zu belong to their keys", t->t->n_certs);
}
