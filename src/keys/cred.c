/* SPDX-License-Identifier: BSD-2-Clause */
#include "keys/cred.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/codec.h"
#include "base/log.h"
#include "jose/json.h"
#include "keys/cred_impl.h"

enum {
	RESOURCES_MAX = 4,
	RESOURCE_TEXT_MAX = 256,
	RENEW_BEFORE_S = 300, /* a token is used until five minutes before its end */
	SPARE_S = 30, /* when no new one can be had, until here */
	VALID_MAX_S = 24 * 3600 + 3600,
};

typedef vs_rc fetch_fn(const struct vs_cred_env *env, const char *resource,
	int64_t deadline_boot_ns, struct vs_cred_fetched *ret, struct vs_err *err);

struct slot {
	char resource[RESOURCE_TEXT_MAX];
	struct vs_secret token;
	int64_t end_boot_ns;
	bool busy; /* somebody is fetching */
	uint64_t fetches; /* finished ones */
	vs_rc last_rc;
	struct vs_err last_err;
};

struct cred {
	struct vs_cred_env env;
	fetch_fn *fetch;
	pthread_mutex_t lock;
	pthread_cond_t done;
	struct slot slots[RESOURCES_MAX];
};

/* ---- reading answers ----------------------------------------------------------------------- */

/* The metadata service writes numbers as strings. */
static bool
read_seconds(const struct vs_json *v, int64_t *ret)
{
	struct vs_bytes text = {0};
	int64_t n = 0;

	if (vs_json_int(v, ret))
		return true;
	if (!vs_json_bytes(v, &text) || text.n == 0 || text.n > 18)
		return false;
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] < '0' || text.p[i] > '9')
			return false;
		n = n * 10 + (text.p[i] - '0');
	}
	*ret = n;
	return true;
}

vs_rc
vs_cred_read_token(const struct vs_cred_env *env, const struct vs_http_res *res, const char *who,
	struct vs_cred_fetched *ret, struct vs_err *err)
{
	VS_CLEANUP(vs_json_freep) struct vs_json *root = NULL;
	struct vs_bytes token = {0};
	const char *type = NULL;
	int64_t valid = 0;
	int64_t on = 0;

	VS_TRY(vs_http_require_json(res, who, err));
	/* The parser's own words could quote the token. */
	if (vs_failed(vs_json_load_object(
		    vs_buf_view(&res->body), VS_HTTP_BODY_MAX, "access token", &root, NULL)))
		VS_FAIL(err, ANSWER, "%s answered with JSON that cannot be read", who);
	if (!vs_json_bytes(vs_json_get(root, "access_token"), &token) || token.n == 0 ||
		token.n > VS_CRED_TOKEN_MAX)
		VS_FAIL(err, ANSWER, "%s answered without a usable access_token", who);
	if (!vs_json_string(vs_json_get(root, "token_type"), &type) ||
		strcasecmp(type, "Bearer") != 0)
		VS_FAIL(err, ANSWER, "%s answered with a token that is not of type Bearer", who);
	const struct vs_json *expires_on = vs_json_get(root, "expires_on");
	const struct vs_json *expires_in = vs_json_get(root, "expires_in");
	if (expires_on != NULL && read_seconds(expires_on, &on) && on >= 0)
		valid = on - env->net.clock.ops->wall_unix(env->net.clock.self);
	else if (expires_in == NULL || !read_seconds(expires_in, &valid))
		VS_FAIL(err, ANSWER, "%s answered without a usable expiry of the access token",
			who);
	if (valid <= 0)
		VS_FAIL(err, CREDENTIAL,
			"%s handed out an access token that has expired; check the clock", who);
	VS_TRY(vs_secret_from(env->arena, token.p, token.n, &ret->token, err));
	ret->valid_s = valid < VALID_MAX_S ? valid : VALID_MAX_S;
	return VS_OK;
}

vs_rc
vs_cred_refused(const struct vs_http_res *res, const char *who, struct vs_err *err)
{
	VS_CLEANUP(vs_json_freep) struct vs_json *root = NULL;
	struct vs_bytes text = {0};
	char quoted[200];

	if (res->status < 400 || res->status > 499 || res->status == 408 || res->status == 429)
		return vs_http_fail(res, who, err);
	/* What cannot be read just stays unquoted. */
	const vs_rc rc = vs_json_load_object(
		vs_buf_view(&res->body), VS_HTTP_BODY_MAX, "error", &root, NULL);
	if (vs_failed(rc) || !vs_json_bytes(vs_json_get(root, "error_description"), &text))
		VS_FAIL_N(err, CREDENTIAL, res->status, "%s hands out no access token (status %ld)",
			who, res->status);
	/* Only the first line: trace numbers and time stamps follow. */
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '\r' || text.p[i] == '\n')
			text.n = i;
	}
	VS_FAIL_N(err, CREDENTIAL, res->status, "%s hands out no access token (status %ld): \"%s\"",
		who, res->status, vs_quote(text, quoted, sizeof quoted));
}

/* ---- cache, one fetch at a time ------------------------------------------------------------ */

static void
unlock_mutex(pthread_mutex_t **m)
{
	pthread_mutex_unlock(*m);
}

static int64_t
now_ns(const struct cred *c)
{
	return c->env.net.clock.ops->boot_ns(c->env.net.clock.self);
}

/* Call with the lock held. */
static struct slot *
find_slot(struct cred *c, const char *resource)
{
	struct slot *unused = NULL;

	for (size_t i = 0; i < RESOURCES_MAX; i++) {
		if (strcmp(c->slots[i].resource, resource) == 0)
			return &c->slots[i];
		if (c->slots[i].resource[0] == '\0' && unused == NULL)
			unused = &c->slots[i];
	}
	if (unused != NULL && strlen(resource) < sizeof unused->resource)
		memcpy(unused->resource, resource, strlen(resource) + 1);
	else
		unused = NULL;
	return unused;
}

static bool
has_left(const struct cred *c, const struct slot *s, int64_t seconds)
{
	return s->token.n > 0 && s->end_boot_ns - now_ns(c) > seconds * INT64_C(1000000000);
}

/* Call with the lock held. The condition uses the monotonic clock; short waits, then look again. */
static VS_RC
wait_for_fetch(struct cred *c, struct slot *s, int64_t deadline_boot_ns, struct vs_err *err)
{
	const uint64_t seen = s->fetches;

	while (s->busy && s->fetches == seen) {
		struct timespec until = {0};
		const int left = vs_clock_left_ms(&c->env.net.clock, deadline_boot_ns);
		if (left == 0)
			VS_FAIL(err, TIMEOUT,
				"another request for an access token did not end in time");
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += left / 1000;
		until.tv_nsec += (long)(left % 1000) * 1000000;
		if (until.tv_nsec >= 1000000000) {
			until.tv_sec++;
			until.tv_nsec -= 1000000000;
		}
		(void)pthread_cond_timedwait(&c->done, &c->lock, &until);
	}
	return VS_OK;
}

/* Call with the lock held; lets go of it while fetching. */
static VS_RC
fetch_into(struct cred *c, struct slot *s, int64_t deadline_boot_ns, struct vs_err *err)
{
	struct vs_cred_fetched got = {0};
	struct vs_err why = {0};

	s->busy = true;
	pthread_mutex_unlock(&c->lock);
	const vs_rc rc = c->fetch(&c->env, s->resource, deadline_boot_ns, &got, &why);
	pthread_mutex_lock(&c->lock);
	s->last_err = why; /* who waited for the fetch before this one may only now read it */
	s->busy = false;
	s->fetches++;
	s->last_rc = rc;
	if (!vs_failed(rc)) {
		s->end_boot_ns = now_ns(c) + got.valid_s * INT64_C(1000000000);
		vs_secret_done(&s->token);
		vs_secret_move(&s->token, &got.token);
	}
	vs_secret_done(&got.token);
	pthread_cond_broadcast(&c->done);
	if (vs_failed(rc) && err != NULL)
		*err = s->last_err;
	return rc;
}

static vs_rc
cred_get(void *self, const char *resource, bool force_fresh, int64_t deadline_boot_ns,
	struct vs_secret *ret, struct vs_err *err)
{
	struct cred *c = self;
	vs_rc rc = VS_OK;

	pthread_mutex_lock(&c->lock);
	VS_CLEANUP(unlock_mutex) pthread_mutex_t *guard = &c->lock;
	(void)guard;
	struct slot *s = find_slot(c, resource);
	if (s == NULL)
		VS_FAIL(err, LIMIT, "access tokens for more than %d resources are not kept",
			(int)RESOURCES_MAX);
	if (s->busy) {
		VS_TRY(wait_for_fetch(c, s, deadline_boot_ns, err));
		rc = s->last_rc;
		if (vs_failed(rc) && err != NULL)
			*err = s->last_err;
	} else if (force_fresh || !has_left(c, s, RENEW_BEFORE_S)) {
		rc = fetch_into(c, s, deadline_boot_ns, err);
	}
	/* An outage of the token service does not matter while the old token still holds. */
	if (vs_failed(rc) && (force_fresh || !has_left(c, s, SPARE_S)))
		return rc;
	return vs_secret_from(c->env.arena, s->token.p, s->token.n, ret, err);
}

static void
cred_free(void *self)
{
	struct cred *c = self;

	if (c == NULL)
		return;
	for (size_t i = 0; i < RESOURCES_MAX; i++)
		vs_secret_done(&c->slots[i].token);
	pthread_cond_destroy(&c->done);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

/* ---- choice -------------------------------------------------------------------------------- */

static VS_RC
need(const char *value, const char *name, const struct vs_conf_token *t, const char *kind,
	struct vs_err *err)
{
	if (value == NULL || value[0] == '\0')
		VS_FAIL(err, CONFIG_MISSING, "[token %s]: credential = %s needs %s", t->label, kind,
			name);
	return VS_OK;
}

static VS_RC
choose_fetch(const struct vs_conf_token *t, fetch_fn **ret, struct vs_err *err)
{
	*ret = vs_cred_fetch_entra;
	switch (t->credential) {
	case VS_CRED_MANAGED_IDENTITY: *ret = vs_cred_fetch_imds; return VS_OK;
	case VS_CRED_AZURE_ARC: *ret = vs_cred_fetch_arc; return VS_OK;
	case VS_CRED_WORKLOAD_IDENTITY:
		VS_TRY(need(t->tenant_id, "tenant-id", t, "workload-identity", err));
		VS_TRY(need(t->client_id, "client-id", t, "workload-identity", err));
		return need(t->federated_token_file, "federated-token-file", t, "workload-identity",
			err);
	case VS_CRED_CLIENT_SECRET_FILE:
		VS_TRY(need(t->tenant_id, "tenant-id", t, "client-secret-file", err));
		VS_TRY(need(t->client_id, "client-id", t, "client-secret-file", err));
		return need(
			t->client_secret_file, "client-secret-file", t, "client-secret-file", err);
	case VS_CRED_CLIENT_CERTIFICATE:
		VS_TRY(need(t->tenant_id, "tenant-id", t, "client-certificate", err));
		VS_TRY(need(t->client_id, "client-id", t, "client-certificate", err));
		return need(t->client_certificate_file, "client-certificate-file", t,
			"client-certificate", err);
	case VS_CRED_NONE: break;
	}
	VS_FAIL(err, CONFIG_MISSING, "[token %s]: no credential is chosen", t->label);
}

vs_rc
vs_cred_new(const struct vs_cred_env *env, struct vs_cred *ret, struct vs_err *err)
{
	static const struct vs_cred_ops ops = {
		.name = "entra", .version = 1, .get = cred_get, .free = cred_free};
	fetch_fn *fetch = NULL;
	pthread_condattr_t attr;

	VS_TRY(choose_fetch(env->token, &fetch, err));
	struct cred *c = calloc(1, sizeof *c);
	if (c == NULL)
		VS_FAIL(err, MEMORY, "no memory for a credential");
	c->env = *env;
	c->fetch = fetch;
	pthread_mutex_init(&c->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&c->done, &attr);
	pthread_condattr_destroy(&attr);
	*ret = (struct vs_cred){.ops = &ops, .self = c};
	return VS_OK;
}
