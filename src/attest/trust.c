/* SPDX-License-Identifier: BSD-2-Clause */
#include "attest/trust.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "jose/json.h"
#include "net/url.h"

enum { METADATA_MAX = 256 * 1024 };
static const int64_t second_ns = 1000000000;

struct vs_trust {
	char *issuer;
	struct vs_url origin;
	struct vs_net net;
	pthread_mutex_t lock; /* a leaf: all of the below */
	pthread_cond_t changed; /* a fetch has ended */
	bool fetching;
	unsigned long fetches; /* that have ended */
	vs_rc last; /* how the last one ended */
	struct vs_err last_err;
	struct vs_jwks *set; /* last good one */
	int64_t set_boot_ns; /* when it came */
	int64_t tried_boot_ns; /* when the last attempt began */
	/* Kids that were already asked for, as hashes; new ones wait when there are too many. */
	size_t n_asked;
	uint8_t asked[VS_TRUST_ASKED_MAX][32];
};

VS_RC
vs_trust_new(const struct vs_trust_env *env, struct vs_trust **ret, struct vs_err *err)
{
	struct vs_url origin = {0};
	const vs_rc rc = vs_url_parse(env->issuer, &origin, err);
	if (vs_failed(rc) || !origin.https || origin.target[0] != '\0')
		VS_FAIL(err, CONFIG_VALUE,
			"an attestation provider is written as https://host, nothing behind it");
	struct vs_trust *trust = calloc(1, sizeof *trust);
	if (trust == NULL || (trust->issuer = strdup(env->issuer)) == NULL) {
		free(trust);
		VS_FAIL(err, MEMORY, "out of memory for an attestation provider's keys");
	}
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&trust->changed, &attr);
	pthread_condattr_destroy(&attr);
	pthread_mutex_init(&trust->lock, NULL);
	trust->net = env->net;
	trust->origin = origin;
	trust->origin.target = "";
	*ret = trust;
	return VS_OK;
}

void
vs_trust_free(struct vs_trust *trust)
{
	if (trust == NULL)
		return;
	vs_jwks_unref(trust->set);
	pthread_cond_destroy(&trust->changed);
	pthread_mutex_destroy(&trust->lock);
	free(trust->issuer);
	free(trust);
}

/* ---- fetching, without the lock ----------------------------------------------------------- */

static VS_RC
get(struct vs_trust *trust, const char *url, size_t max, int64_t deadline_boot_ns,
	struct vs_http_res *res, struct vs_err *err)
{
	static const char *const headers[] = {"Accept: application/json", NULL};
	const struct vs_http_req req = {
		.method = VS_HTTP_GET,
		.url = url,
		.headers = headers,
		.max_body = max,
		.deadline_boot_ns = deadline_boot_ns,
	};
	return vs_net_call(
		&trust->net, &req, &vs_http_retry_service, "the attestation provider", res, err);
}

static VS_RC
as_answer(vs_rc rc, const struct vs_err *why, const char *what, struct vs_err *err)
{
	if (rc.code == VS_E_FORMAT || rc.code == VS_E_LIMIT)
		VS_FAIL(err, ANSWER, "the attestation provider's %s cannot be used: %s", what,
			why->frames[0].text);
	if (vs_failed(rc) && err != NULL)
		*err = *why;
	return rc;
}

/* The key set's address, which must be on the provider's own origin. */
static VS_RC
find_keys(struct vs_trust *trust, int64_t deadline_boot_ns, struct vs_buf *url, struct vs_err *err)
{
	VS_CLEANUP(vs_http_res_done) struct vs_http_res res = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf where = {.max = VS_URL_MAX};
	VS_CLEANUP(vs_json_freep) struct vs_json *meta = NULL;
	struct vs_err why = {0};
	struct vs_url parsed = {0};
	const char *uri = NULL;
	VS_TRY(vs_buf_addf(&where, err, "%s/.well-known/openid-configuration", trust->issuer));
	VS_TRY(get(trust, vs_buf_cstr(&where), METADATA_MAX, deadline_boot_ns, &res, err));
	VS_TRY(vs_http_require_json(&res, "the attestation provider", err));
	const vs_rc rc =
		vs_json_load_object(vs_buf_view(&res.body), METADATA_MAX, "metadata", &meta, &why);
	VS_TRY(as_answer(rc, &why, "metadata", err));
	if (!vs_json_is_string(vs_json_get(meta, "issuer"), trust->issuer))
		VS_FAIL(err, ANSWER, "the attestation provider calls itself by another name");
	if (!vs_json_string(vs_json_get(meta, "jwks_uri"), &uri))
		VS_FAIL(err, ANSWER, "the attestation provider's metadata names no key set");
	if (vs_failed(vs_url_parse(uri, &parsed, &why)) ||
		!vs_url_same_origin(&parsed, &trust->origin))
		VS_FAIL(err, ANSWER,
			"the attestation provider's key set is not at its own address");
	return vs_buf_add_str(url, uri, err);
}

static bool
is_key_set_type(const char *type)
{
	return strcmp(type, "application/jwk-set+json") == 0 ||
		strcmp(type, "application/jwk+json") == 0;
}

static VS_RC
fetch(struct vs_trust *trust, int64_t deadline_boot_ns, struct vs_jwks **ret, struct vs_err *err)
{
	VS_CLEANUP(vs_http_res_done) struct vs_http_res res = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf url = {.max = VS_URL_MAX};
	struct vs_err why = {0};
	VS_TRY(find_keys(trust, deadline_boot_ns, &url, err));
	VS_TRY(get(trust, vs_buf_cstr(&url), VS_JWKS_TEXT_MAX, deadline_boot_ns, &res, err));
	if (res.status != 200 || !is_key_set_type(res.content_type))
		VS_TRY(vs_http_require_json(&res, "the attestation provider", err));
	return as_answer(vs_jwks_parse(vs_buf_view(&res.body), ret, &why), &why, "key set", err);
}

/* ---- deciding, with the lock -------------------------------------------------------------- */

static int64_t
now_ns(const struct vs_trust *trust)
{
	return trust->net.clock.ops->boot_ns(trust->net.clock.self);
}

static bool
is_fresh(const struct vs_trust *trust)
{
	return trust->set != NULL &&
		now_ns(trust) - trust->set_boot_ns < VS_TRUST_AGE_S * second_ns;
}

static bool
was_asked(const struct vs_trust *trust, const uint8_t digest[32])
{
	for (size_t i = 0; i < trust->n_asked; i++)
		if (memcmp(trust->asked[i], digest, 32) == 0)
			return true;
	return false;
}

/* T-N10: once per kid, not more often than every five minutes. Takes note when it says yes. */
static bool
may_refresh(struct vs_trust *trust, const uint8_t digest[32])
{
	if (now_ns(trust) - trust->tried_boot_ns < VS_TRUST_REFRESH_S * second_ns)
		return false;
	if (was_asked(trust, digest) || trust->n_asked == VS_TRUST_ASKED_MAX)
		return false;
	memcpy(trust->asked[trust->n_asked++], digest, 32);
	return true;
}

/* Until another thread's fetch has ended. */
static VS_RC
wait_for_other(struct vs_trust *trust, int64_t deadline_boot_ns, struct vs_err *err)
{
	const unsigned long before = trust->fetches;
	const int left_ms = vs_clock_left_ms(&trust->net.clock, deadline_boot_ns);
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += left_ms / 1000;
	until.tv_nsec += left_ms % 1000 * 1000000L;
	if (until.tv_nsec >= second_ns) {
		until.tv_nsec -= second_ns;
		until.tv_sec++;
	}
	while (trust->fetches == before)
		if (pthread_cond_timedwait(&trust->changed, &trust->lock, &until) != 0)
			VS_FAIL(err, TIMEOUT,
				"the attestation provider's keys did not come in time");
	return VS_OK;
}

/* Gives the lock away meanwhile; the result stands in last. */
static void
fetch_unlocked(struct vs_trust *trust, int64_t deadline_boot_ns)
{
	struct vs_jwks *set = NULL;
	struct vs_err why = {0};
	trust->fetching = true;
	trust->tried_boot_ns = now_ns(trust);
	pthread_mutex_unlock(&trust->lock);
	const vs_rc rc = fetch(trust, deadline_boot_ns, &set, &why);
	pthread_mutex_lock(&trust->lock);
	trust->fetching = false;
	trust->fetches++;
	trust->last = rc;
	trust->last_err = why;
	if (!vs_failed(rc)) {
		vs_jwks_unref(trust->set);
		trust->set = set;
		trust->set_boot_ns = now_ns(trust);
	}
	pthread_cond_broadcast(&trust->changed);
}

static VS_RC
hand_out(struct vs_trust *trust, struct vs_jwks **ret, struct vs_err *err)
{
	if (is_fresh(trust)) {
		*ret = vs_jwks_ref(trust->set);
		return VS_OK;
	}
	VS_REQUIRE(err, vs_failed(trust->last));
	if (err != NULL)
		*err = trust->last_err;
	return trust->last;
}

static VS_RC
keys_locked(struct vs_trust *trust, struct vs_bytes kid, const uint8_t digest[32],
	int64_t deadline_boot_ns, struct vs_jwks **ret, struct vs_err *err)
{
	const bool fresh = is_fresh(trust);
	const int64_t at = trust->net.clock.ops->wall_unix(trust->net.clock.self);
	/* A key whose certificate has ended meanwhile may stand in a newer set with the next one.
	 */
	if (fresh && (kid.n == 0 || vs_jwks_has_usable(trust->set, kid, at)))
		return hand_out(trust, ret, err);
	if (trust->fetching) {
		VS_TRY(wait_for_other(trust, deadline_boot_ns, err));
		return hand_out(trust, ret, err);
	}
	if (!fresh) {
		trust->n_asked = 0; /* what a new day brings may be asked for again */
		fetch_unlocked(trust, deadline_boot_ns);
	} else if (may_refresh(trust, digest)) {
		fetch_unlocked(trust, deadline_boot_ns);
	}
	return hand_out(trust, ret, err);
}

VS_RC
vs_trust_keys(struct vs_trust *trust, struct vs_bytes kid, int64_t deadline_boot_ns,
	struct vs_jwks **ret, struct vs_err *err)
{
	uint8_t digest[32] = {0};
	VS_TRY(vs_sha256(kid, digest, err));
	pthread_mutex_lock(&trust->lock);
	const vs_rc rc = keys_locked(trust, kid, digest, deadline_boot_ns, ret, err);
	pthread_mutex_unlock(&trust->lock);
	return rc;
}

VS_RC
vs_trust_prefetch(struct vs_trust *trust, int64_t deadline_boot_ns, struct vs_err *err)
{
	VS_CLEANUP(vs_jwks_unrefp) struct vs_jwks *set = NULL;
	return vs_trust_keys(trust, (struct vs_bytes){0}, deadline_boot_ns, &set, err);
}
