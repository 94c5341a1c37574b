/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/metadata.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"

enum { CACHE_MODE = 0640, HASH_BYTES = 32 };

struct fetch {
	struct vs_job job;
	struct vs_metadata *metadata;
	struct vs_core *core;
	const struct vs_conf_token *token;
	int64_t deadline_boot_ns;
	vs_rc rc;
	struct vs_err err;
	struct vs_catalog_data *data;
	struct vs_buf bytes;
};

struct vs_metadata {
	struct vs_core *core;
	struct vs_loop *loop;
	struct vs_work *work;
	const struct vs_conf_token *token;
	struct vs_catalog_data *data; /* NULL: nothing known */
	struct vs_buf bytes;
	bool from_vault; /* not from the cache file */
	int64_t made_boot_ns;
	struct vs_err failed; /* why the last fetch failed; until then the vault is left alone */
	int64_t failed_until_boot_ns;
	struct fetch *fetch;
	struct vs_meta_ask *asks;
};

static bool
cache_path(
	const struct vs_core *core, const struct vs_conf_token *token, char *out, size_t out_size)
{
	const char *dir = vs_core_conf(core)->state_dir;
	const int n = dir ? snprintf(out, out_size, "%s/catalog-%s", dir, token->serial) : -1;
	return n > 0 && (size_t)n < out_size;
}

static uint64_t
hash_of(struct vs_bytes b)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	for (size_t i = 0; i < b.n; i++)
		h = (h ^ b.p[i]) * UINT64_C(0x100000001b3);
	return h != 0 ? h : 1;
}

/* The generation is a hash of the contents: it survives restarts, and "unchanged" is the truth. */
static VS_RC
encode(struct vs_catalog_data *data, struct vs_buf *bytes, struct vs_err *err)
{
	data->generation = 1;
	VS_TRY(vs_catalog_encode(data, bytes, err));
	data->generation = hash_of(vs_buf_view(bytes));
	vs_buf_reset(bytes);
	return vs_catalog_encode(data, bytes, err);
}

/* ---- cache file: hash of the configuration, then the encoded catalog --------------------------
 */

static void
write_cache(struct fetch *f)
{
	char path[1100];
	struct vs_err err = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf file = {.max = VS_CATALOG_BYTES_MAX + HASH_BYTES};
	if (!cache_path(f->core, f->token, path, sizeof path))
		return;
	vs_rc rc = vs_buf_add(&file, vs_core_conf(f->core)->sha256, HASH_BYTES, &err);
	if (!vs_failed(rc))
		rc = vs_buf_add(&file, f->bytes.p, f->bytes.n, &err);
	if (!vs_failed(rc))
		rc = vs_file_replace(path, CACHE_MODE, vs_buf_view(&file), &err);
	if (vs_failed(rc))
		vs_log_err(vs_core_log(f->core), VS_LOG_DEBUG, "metadata", "no cache file", &err);
}

static VS_RC
read_cache(struct vs_metadata *m, struct vs_err *err)
{
	char path[1100];
	VS_CLEANUP(vs_buf_done) struct vs_buf file = {.max = VS_CATALOG_BYTES_MAX + HASH_BYTES};
	VS_CLEANUP(vs_buf_done) struct vs_buf in = {.max = VS_CATALOG_BYTES_MAX};
	VS_CLEANUP(vs_buf_done) struct vs_buf bytes = {.max = VS_CATALOG_BYTES_MAX};
	struct vs_catalog_data *data = NULL;
	if (!cache_path(m->core, m->token, path, sizeof path))
		VS_FAIL(err, FILE, "there is no state-dir");
	VS_TRY(vs_file_read(path, VS_CATALOG_BYTES_MAX + HASH_BYTES, VS_FILE_TRUSTED, &file, err));
	if (file.n <= HASH_BYTES || memcmp(file.p, vs_core_conf(m->core)->sha256, HASH_BYTES) != 0)
		VS_FAIL(err, FILE, "%s belongs to another configuration", path);
	VS_TRY(vs_buf_add(&in, file.p + HASH_BYTES, file.n - HASH_BYTES, err));
	VS_TRY(vs_buf_add(&bytes, file.p + HASH_BYTES, file.n - HASH_BYTES, err));
	VS_TRY(vs_catalog_decode(&in, &data, err));
	m->data = data;
	vs_buf_move(&m->bytes, &bytes);
	return VS_OK;
}

/* ---- fetching ------------------------------------------------------------------------------- */

static void
fetch_run(struct vs_job *job)
{
	struct fetch *f = (struct fetch *)job;
	struct vs_services *services = NULL;
	f->rc = vs_core_services(f->core, f->token, &services, &f->err);
	if (!vs_failed(f->rc))
		f->rc = vs_services_catalog(services, f->deadline_boot_ns, &f->data, &f->err);
	if (!vs_failed(f->rc))
		f->rc = encode(f->data, &f->bytes, &f->err);
	if (!vs_failed(f->rc))
		write_cache(f);
}

static void
unlink_ask(struct vs_meta_ask *ask)
{
	if (!ask->metadata)
		return;
	for (struct vs_meta_ask **p = &ask->metadata->asks; *p; p = &(*p)->next)
		if (*p == ask) {
			*p = ask->next;
			break;
		}
	ask->metadata = NULL;
	vs_timer_clear(&ask->timer);
}

static void
answer(struct vs_metadata *m, struct vs_meta_ask *ask, vs_rc rc, const struct vs_err *err)
{
	unlink_ask(ask);
	if (m->data)
		ask->fn(ask, VS_OK, NULL, m->data, vs_buf_view(&m->bytes));
	else
		ask->fn(ask, rc, err, NULL, (struct vs_bytes){0});
}

static void
fetch_done(struct vs_job *job)
{
	struct fetch *f = (struct fetch *)job;
	struct vs_metadata *m = f->metadata;
	m->fetch = NULL;
	if (!vs_failed(f->rc)) {
		vs_catalog_data_free(m->data);
		m->data = VS_TAKE(f->data);
		vs_buf_move(&m->bytes, &f->bytes);
		m->from_vault = true;
		m->made_boot_ns = vs_boot_now_ns();
	} else {
		m->failed = f->err;
		m->failed_until_boot_ns = vs_boot_now_ns() + VS_METADATA_HOLD_MS * INT64_C(1000000);
		vs_log_err(vs_core_log(m->core), VS_LOG_WARN, "metadata", m->token->label, &f->err);
	}
	/* What is known from before is better than nothing: a released key must match it anyway. */
	while (m->asks)
		answer(m, m->asks, f->rc, &f->err);
	vs_catalog_data_free(f->data);
	vs_buf_done(&f->bytes);
	free(f);
}

/* Anybody may ask for the list, so a failure stands for a while: the vault is not flooded. */
static VS_RC
start_fetch(struct vs_metadata *m, struct vs_err *err)
{
	if (m->fetch)
		return VS_OK;
	if (m->failed.n_frames > 0 && vs_boot_now_ns() < m->failed_until_boot_ns) {
		*err = m->failed;
		return (vs_rc){.code = m->failed.frames[0].code};
	}
	struct fetch *f = calloc(1, sizeof *f);
	if (!f)
		VS_FAIL(err, MEMORY, "out of memory");
	*f = (struct fetch){.job = {.run = fetch_run, .done = fetch_done},
		.metadata = m,
		.core = m->core,
		.token = m->token,
		.bytes = {.max = VS_CATALOG_BYTES_MAX},
		.deadline_boot_ns = vs_boot_now_ns() +
			vs_core_conf(m->core)->operation_timeout_ms * INT64_C(1000000)};
	const vs_rc rc = vs_work_post(m->work, &f->job, err);
	if (vs_failed(rc))
		free(f);
	else
		m->fetch = f;
	return rc;
}

static void
timed_out(void *arg)
{
	struct vs_meta_ask *ask = arg;
	struct vs_err err = {0};
	const vs_rc rc = vs_err_put(&err, VS_E_TIMEOUT, __func__, __LINE__, 0,
		"the vault's list of keys did not come in time");
	answer(ask->metadata, ask, rc, &err);
}

/* With what is here, or when the fetch ends. */
static void
answer_or_wait(struct vs_metadata *m, struct vs_meta_ask *ask, bool usable, bool fetch)
{
	struct vs_err err = {0};
	vs_rc rc = VS_OK;
	ask->metadata = m;
	ask->next = m->asks;
	m->asks = ask;
	ask->timer = (struct vs_timer){.fn = timed_out, .arg = ask};
	if (fetch)
		rc = start_fetch(m, &err);
	if (usable || vs_failed(rc)) {
		answer(m, ask, rc, &err);
		return;
	}
	vs_timer_set(
		m->loop, &ask->timer, vs_boot_now_ns() + VS_METADATA_WAIT_MS * INT64_C(1000000));
}

static int64_t
age_s(const struct vs_metadata *m)
{
	return (vs_boot_now_ns() - m->made_boot_ns) / 1000000000;
}

void
vs_metadata_get(struct vs_metadata *m, struct vs_meta_ask *ask)
{
	const bool usable = m->data && m->from_vault && age_s(m) < VS_METADATA_USABLE_S;
	answer_or_wait(m, ask, usable, !usable || age_s(m) >= VS_METADATA_FRESH_S);
}

void
vs_metadata_find(struct vs_metadata *m, struct vs_meta_ask *ask, uint64_t not_enough)
{
	/* A key that does not exist is not looked for more often than the list is made. */
	const bool newest = m->from_vault && age_s(m) < VS_METADATA_FRESH_S;
	const bool usable = m->data && (m->data->generation != not_enough || newest);
	answer_or_wait(m, ask, usable, !usable);
}

void
vs_metadata_prepare(struct vs_metadata *m)
{
	struct vs_err err = {0};
	if (!m->data && vs_failed(start_fetch(m, &err)))
		vs_log_err(vs_core_log(m->core), VS_LOG_DEBUG, "metadata", m->token->label, &err);
}

void
vs_meta_ask_cancel(struct vs_meta_ask *ask)
{
	unlink_ask(ask);
}

VS_RC
vs_metadata_new(const struct vs_keeper_env *env, struct vs_metadata **ret, struct vs_err *err)
{
	struct vs_err none = {0};
	struct vs_metadata *m = calloc(1, sizeof *m);
	if (!m)
		VS_FAIL(err, MEMORY, "out of memory");
	*m = (struct vs_metadata){
		.core = env->core, .loop = env->loop, .work = env->work, .token = env->token};
	m->bytes.max = VS_CATALOG_BYTES_MAX;
	if (vs_failed(read_cache(m, &none)))
		vs_log_err(vs_core_log(m->core), VS_LOG_DEBUG, "metadata", m->token->label, &none);
	*ret = m;
	return VS_OK;
}

void
vs_metadata_free(struct vs_metadata *m)
{
	if (!m)
		return;
	vs_catalog_data_free(m->data);
	vs_buf_done(&m->bytes);
	free(m);
}
