/* SPDX-License-Identifier: BSD-2-Clause */
/* Which keys the patterns of a token choose; their public data are fetched side by side. */
#include <fnmatch.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/codec.h"
#include "base/file.h"
#include "base/log.h"
#include "jose/x509.h"
#include "keys/akv_impl.h"

enum { WORKERS = 6, CERT_FILE_MAX = 256 * 1024, NAMES_MAX = 20000 };

struct job {
	struct vs_akv_id id; /* version may be empty: the current one */
	bool by_name; /* asked for by a plain name: then say why it is left out */
	struct vs_akv_stamp stamp; /* of the list it was found in */
};

struct listed {
	struct vs_akv_id id;
	struct vs_akv_stamp stamp;
};

struct names {
	struct listed *ids;
	size_t n, cap;
};

struct run {
	struct vs_akv *akv;
	int64_t deadline_boot_ns;
	struct job *jobs;
	size_t n_jobs, cap_jobs;
	struct names certs; /* names of the certificates in the vault */
	pthread_mutex_t lock; /* the rest */
	size_t next;
	struct vs_akv_catalog *catalog;
	vs_rc rc; /* of the first job that failed as a whole */
	struct vs_err err;
};

static void
run_done(struct run *r)
{
	free(r->jobs);
	free(r->certs.ids);
	vs_akv_catalog_free(r->catalog);
	pthread_mutex_destroy(&r->lock);
}

/* ---- patterns ------------------------------------------------------------------------------ */

static bool
is_glob(const char *pattern)
{
	return strpbrk(pattern, "*?[") != NULL;
}

static bool
glob_matches(const struct vs_akv *akv, const char *name)
{
	for (char *const *p = akv->env.token->keys; p != NULL && *p != NULL; p++) {
		if (is_glob(*p) && fnmatch(*p, name, FNM_CASEFOLD) == 0)
			return true;
	}
	return false;
}

static VS_RC
add_job(struct run *r, const struct job *job, struct vs_err *err)
{
	for (size_t i = 0; i < r->n_jobs; i++) {
		if (strcasecmp(r->jobs[i].id.name, job->id.name) == 0 &&
			strcasecmp(r->jobs[i].id.version, job->id.version) == 0)
			return VS_OK;
	}
	if (r->n_jobs == VS_AKV_KEYS_MAX)
		VS_FAIL(err, LIMIT, "[token %s]: keys chooses more than %d keys; name fewer",
			r->akv->env.token->label, (int)VS_AKV_KEYS_MAX);
	if (r->n_jobs == r->cap_jobs) {
		const size_t cap = r->cap_jobs > 0 ? r->cap_jobs * 2 : 16;
		struct job *jobs = realloc(r->jobs, cap * sizeof *jobs);
		if (jobs == NULL)
			VS_FAIL(err, MEMORY, "no memory for the list of keys");
		r->jobs = jobs;
		r->cap_jobs = cap;
	}
	r->jobs[r->n_jobs++] = *job;
	return VS_OK;
}

/* "name" or "name/version" out of the configuration. */
static VS_RC
add_named(struct run *r, const char *pattern, struct vs_err *err)
{
	struct job job = {.by_name = true};
	const char *slash = strchr(pattern, '/');
	const size_t n = slash != NULL ? (size_t)(slash - pattern) : strlen(pattern);
	char quoted[80];

	if (n == 0 || n > VS_AKV_NAME_MAX ||
		(slash != NULL && strlen(slash + 1) != VS_AKV_VERSION_BYTES))
		VS_FAIL(err, CONFIG_VALUE,
			"[token %s]: keys: \"%s\" is neither a name nor name/version (32 hex "
			"digits)",
			r->akv->env.token->label,
			vs_quote(vs_bytes_str(pattern), quoted, sizeof quoted));
	memcpy(job.id.name, pattern, n);
	if (slash != NULL)
		memcpy(job.id.version, slash + 1, VS_AKV_VERSION_BYTES);
	return add_job(r, &job, err);
}

static vs_rc
on_listed_key(void *arg, const struct vs_akv_id *id, const struct vs_json *item, struct vs_err *err)
{
	struct run *r = arg;
	struct job job = {.id = *id, .stamp = vs_akv_stamp_of(item)};
	bool exportable = false;

	(void)vs_json_bool(vs_json_path(item, "attributes.exportable"), &exportable);
	if (!exportable || !glob_matches(r->akv, id->name))
		return VS_OK;
	job.id.version[0] = '\0';
	return add_job(r, &job, err);
}

static VS_RC
find_jobs(struct run *r, struct vs_err *err)
{
	bool globs = false;

	for (char *const *p = r->akv->env.token->keys; p != NULL && *p != NULL; p++) {
		if (is_glob(*p))
			globs = true;
		else
			VS_TRY(add_named(r, *p, err));
	}
	if (!globs)
		return VS_OK;
	return vs_akv_list(r->akv, &vs_akv_keys, NULL, r->deadline_boot_ns, on_listed_key, r, err);
}

/* ---- answers that may be known already ------------------------------------------------------ */

struct answer {
	struct vs_akv *akv;
	struct vs_akv_stamp stamp; /* not given: it is asked for each time */
	char what[VS_AKV_NAME_MAX + 32];
	int64_t fetched_unix;
	struct vs_json *root;
};

static int64_t
now_unix(const struct vs_akv *akv)
{
	const struct vs_clock clock = akv->env.net.clock;
	return clock.ops->wall_unix(clock.self);
}

/* Back to what is known, for the next time. */
static void
answer_done(struct answer *a)
{
	vs_akv_known_put(a->akv->known, a->what, &a->stamp, now_unix(a->akv), a->fetched_unix,
		VS_TAKE(a->root));
}

static VS_RC
ask(struct run *r, const char *const *segments, const char *name, struct answer *ret,
	struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf url = {.max = VS_URL_MAX};

	(void)snprintf(ret->what, sizeof ret->what, "%s/%s", segments[0], segments[1]);
	if (ret->stamp.given)
		ret->root = vs_akv_known_take(r->akv->known, ret->what, &ret->stamp,
			now_unix(r->akv), &ret->fetched_unix);
	if (ret->root != NULL)
		return VS_OK;
	/* Before it is asked for: a change meanwhile counts as one after it. */
	ret->fetched_unix = now_unix(r->akv);
	VS_TRY(vs_akv_url(r->akv, &url, segments, err));
	VS_TRY(vs_url_add_query(&url, "api-version", vs_bytes_str(VS_AKV_API_VERSION), err));
	return vs_akv_get_json(
		r->akv, vs_buf_cstr(&url), name, r->deadline_boot_ns, &ret->root, err);
}

/* ---- certificates -------------------------------------------------------------------------- */

static vs_rc
on_listed_cert(
	void *arg, const struct vs_akv_id *id, const struct vs_json *item, struct vs_err *err)
{
	struct names *names = arg;

	if (names->n == NAMES_MAX)
		VS_FAIL(err, LIMIT, "the vault has more than %d certificates", (int)NAMES_MAX);
	if (names->n == names->cap) {
		const size_t cap = names->cap > 0 ? names->cap * 2 : 16;
		struct listed *ids = realloc(names->ids, cap * sizeof *ids);
		if (ids == NULL)
			VS_FAIL(err, MEMORY, "no memory for the list of certificates");
		names->ids = ids;
		names->cap = cap;
	}
	names->ids[names->n++] = (struct listed){*id, vs_akv_stamp_of(item)};
	return VS_OK;
}

/* Certificates are a convenience: whatever is wrong with them, the keys stay. */
static void *
list_certs(void *arg)
{
	struct run *r = arg;
	const struct vs_net *net = &r->akv->env.net;
	struct vs_err err = {0};

	if (r->akv->env.token->vault_kind != VS_VAULT_AKV)
		return NULL;
	const vs_rc rc = vs_akv_list(r->akv, &vs_akv_certificates, NULL, r->deadline_boot_ns,
		on_listed_cert, &r->certs, &err);
	if (vs_failed(rc))
		vs_log_err(&net->log, rc.code == VS_E_REFUSED_ACCESS ? VS_LOG_DEBUG : VS_LOG_WARN,
			"keys", "no certificates from the vault", &err);
	return NULL;
}

static const char *
configured_cert(const struct vs_conf_token *t, const char *name)
{
	for (size_t i = 0; i < t->n_certs; i++) {
		if (strcasecmp(t->certs[i].key, name) == 0)
			return t->certs[i].path;
	}
	return NULL;
}

/* The first certificate of a PEM file, or the file as it is. */
static VS_RC
read_cert_file(const char *path, struct vs_buf *out, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf file = {0};
	VS_CLEANUP(vs_certs_freep) struct vs_certs *certs = NULL;

	VS_TRY(vs_file_read(path, CERT_FILE_MAX, VS_FILE_ANY, &file, err));
	if (strstr(vs_buf_cstr(&file), "-----BEGIN ") == NULL) {
		vs_buf_move(out, &file);
		return VS_OK;
	}
	VS_TRY(vs_certs_from_pem(vs_buf_view(&file), &certs, err));
	const struct vs_bytes der = vs_cert_der(vs_certs_at(certs, 0));
	return vs_buf_set(out, der.p, der.n, err);
}

static VS_RC
fetch_cert(struct run *r, const struct listed *cert, struct vs_buf *out, struct vs_err *err)
{
	const char *const segments[] = {"certificates", cert->id.name, NULL};
	VS_CLEANUP(answer_done) struct answer answer = {.akv = r->akv, .stamp = cert->stamp};
	struct vs_bytes text = {0};

	VS_TRY(ask(r, segments, "a certificate", &answer, err));
	const struct vs_json *root = answer.root;
	if (!vs_json_bytes(vs_json_get(root, "cer"), &text))
		VS_FAIL(err, ANSWER, "a certificate of the vault has no contents");
	return vs_b64_any_decode(text, out, err);
}

static void
find_cert(struct run *r, const char *name, struct vs_buf *out)
{
	const struct vs_net *net = &r->akv->env.net;
	const char *path = configured_cert(r->akv->env.token, name);
	struct vs_err err = {0};
	vs_rc rc = VS_OK;

	if (path != NULL) {
		rc = read_cert_file(path, out, &err);
	} else {
		for (size_t i = 0; i < r->certs.n; i++) {
			if (strcasecmp(r->certs.ids[i].id.name, name) == 0) {
				rc = fetch_cert(r, &r->certs.ids[i], out, &err);
				break;
			}
		}
	}
	if (vs_failed(rc)) {
		vs_buf_reset(out);
		vs_log_err(&net->log, VS_LOG_WARN, "keys", name, &err);
	}
}

/* ---- one key ------------------------------------------------------------------------------- */

static VS_RC
fetch_key(struct run *r, const struct job *job, struct answer *ret, struct vs_err *err)
{
	const char *const segments[] = {
		"keys", job->id.name, job->id.version[0] != '\0' ? job->id.version : NULL, NULL};
	char what[160];

	(void)snprintf(what, sizeof what, "key %s", job->id.name);
	return ask(r, segments, what, ret, err);
}

/* The answer must be about the key that was asked for, and name its version. */
static VS_RC
check_identity(struct run *r, const struct job *job, const struct vs_json *root,
	struct vs_akv_id *ret_id, const char **ret_kid, struct vs_err *err)
{
	const struct vs_json *kid = vs_json_path(root, "key.kid");

	VS_TRY(vs_akv_parse_id(r->akv, &vs_akv_keys, kid, ret_id, err));
	VS_REQUIRE(err, vs_json_string(kid, ret_kid));
	if (strcasecmp(ret_id->name, job->id.name) != 0 || ret_id->version[0] == '\0' ||
		(job->id.version[0] != '\0' && strcasecmp(ret_id->version, job->id.version) != 0))
		VS_FAIL(err, ANSWER, "the vault answered for key %s with another key",
			job->id.name);
	return VS_OK;
}

static bool
is_releasable(const struct vs_json *root)
{
	bool exportable = false;

	(void)vs_json_bool(vs_json_path(root, "attributes.exportable"), &exportable);
	return exportable && vs_json_kind(vs_json_get(root, "release_policy")) == VS_JSON_OBJECT;
}

static VS_RC
do_job(struct run *r, const struct job *job, struct vs_err *err)
{
	const struct vs_net *net = &r->akv->env.net;
	VS_CLEANUP(answer_done) struct answer answer = {.akv = r->akv, .stamp = job->stamp};
	VS_CLEANUP(vs_buf_done) struct vs_buf cert = {.max = CERT_FILE_MAX};
	struct vs_akv_id id = {0};
	const char *kid = NULL;
	bool enabled = false;
	bool fits = false;
	vs_rc rc = VS_OK;

	VS_TRY(fetch_key(r, job, &answer, err));
	const struct vs_json *root = answer.root;
	VS_TRY(check_identity(r, job, root, &id, &kid, err));
	if (!is_releasable(root)) {
		vs_log(&net->log, job->by_name ? VS_LOG_WARN : VS_LOG_DEBUG, "keys",
			"key %s is left out: it is not exportable or has no release policy",
			id.name);
		return VS_OK;
	}
	(void)vs_json_bool(vs_json_path(root, "attributes.enabled"), &enabled);
	find_cert(r, id.name, &cert);
	pthread_mutex_lock(&r->lock);
	if (vs_akv_catalog_is_new(r->catalog, &id))
		rc = vs_akv_catalog_add(r->catalog, &id, kid, vs_json_get(root, "key"), enabled,
			vs_buf_view(&cert), &fits, err);
	pthread_mutex_unlock(&r->lock);
	if (!vs_failed(rc) && cert.n > 0 && !fits)
		vs_log(&net->log, VS_LOG_WARN, "keys",
			"key %s: its certificate is left out: it is for another key", id.name);
	return rc;
}

/* What concerns one key only leaves the others alone. */
static bool
is_about_one_key(vs_rc rc)
{
	return rc.code == VS_E_KEY_GONE || rc.code == VS_E_BAD_KEY || rc.code == VS_E_KEY_SIZE;
}

static void *
work(void *arg)
{
	struct run *r = arg;

	for (;;) {
		struct vs_err err = {0};
		pthread_mutex_lock(&r->lock);
		const struct job *job =
			r->next < r->n_jobs && !vs_failed(r->rc) ? &r->jobs[r->next++] : NULL;
		pthread_mutex_unlock(&r->lock);
		if (job == NULL)
			return NULL;
		const vs_rc rc = do_job(r, job, &err);
		if (!vs_failed(rc))
			continue;
		if (is_about_one_key(rc)) {
			vs_log_err(&r->akv->env.net.log, VS_LOG_WARN, "keys", job->id.name, &err);
			continue;
		}
		pthread_mutex_lock(&r->lock);
		if (!vs_failed(r->rc)) {
			r->rc = rc;
			r->err = err;
		}
		pthread_mutex_unlock(&r->lock);
	}
}

static void
work_side_by_side(struct run *r)
{
	pthread_t threads[WORKERS - 1];
	size_t n = 0;

	while (n < WORKERS - 1 && n + 1 < r->n_jobs &&
		pthread_create(&threads[n], NULL, work, r) == 0)
		n++;
	work(r);
	while (n > 0)
		pthread_join(threads[--n], NULL);
}

vs_rc
vs_akv_catalog(struct vs_akv *akv, int64_t deadline_boot_ns, struct vs_catalog_data **ret,
	struct vs_err *err)
{
	VS_CLEANUP(run_done)
	struct run r = {
		.akv = akv,
		.deadline_boot_ns = deadline_boot_ns,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.rc = VS_OK,
	};
	pthread_t certs;

	VS_TRY(vs_akv_catalog_new(akv->ossl, &r.catalog, err));
	const bool threaded = pthread_create(&certs, NULL, list_certs, &r) == 0;
	const vs_rc rc = find_jobs(&r, err);
	if (threaded)
		pthread_join(certs, NULL);
	else if (!vs_failed(rc))
		list_certs(&r);
	VS_TRY(rc);
	work_side_by_side(&r);
	if (vs_failed(r.rc)) {
		if (err != NULL)
			*err = r.err;
		return vs_err_while(r.rc, err, "reading the keys of %s", akv->env.token->vault);
	}
	return vs_akv_catalog_finish(r.catalog, ret, err);
}
