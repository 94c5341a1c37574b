/* SPDX-License-Identifier: BSD-2-Clause */
/* Lists by the page, with the habits of both services: empty pages, links without api-version. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "lab/lab_vault.h"

enum { PAGE_MAX = 25 };

struct page {
	size_t from; /* index in the store, of the first one that was not yet looked at */
	bool gap; /* this page stays empty, as a vault's pages now and then do */
	size_t size;
};

static void
bad_page(struct lab_vault *v, struct lab_resp *resp)
{
	lab_vault_refuse(v, resp, 400, "BadParameter", NULL,
		"maxresults must be from 1 to 25 and $skiptoken one that was handed out.", NULL);
}

/* maxresults, and $skiptoken: base64url of {"NextMarker":"INDEX[!gap]","TargetLocation":0}. */
static bool
read_page(const struct lab_req *req, struct page *ret)
{
	struct page p = {.size = PAGE_MAX};
	const char *size = lab_req_query(req, "maxresults");
	const char *token = lab_req_query(req, "$skiptoken");
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {0};
	char *end = NULL;
	if (size != NULL) {
		p.size = strtoul(size, &end, 10);
		if (end == size || *end != '\0' || p.size < 1 || p.size > PAGE_MAX)
			return false;
	}
	if (token != NULL) {
		if (vs_failed(vs_b64_any_decode(vs_bytes_str(token), &text, NULL)))
			return false;
		json_t *j = json_loadb((const char *)text.p, text.n, 0, NULL);
		const char *marker = json_string_value(json_object_get(j, "NextMarker"));
		if (marker != NULL) {
			p.from = strtoul(marker, &end, 10);
			p.gap = strcmp(end, "!gap") == 0;
		}
		json_decref(j);
		if (marker == NULL || end == marker)
			return false;
	}
	*ret = p;
	return true;
}

static json_t *
next_link(const struct lab_vault *v, const struct lab_req *req, const struct page *next)
{
	char marker[96], link[512];
	VS_CLEANUP(vs_buf_done) struct vs_buf token = {0};
	const char *version = lab_req_query(req, "api-version");
	(void)snprintf(marker, sizeof(marker), "{\"NextMarker\":\"%zu%s\",\"TargetLocation\":0}",
		next->from, next->gap ? "!gap" : "");
	if (vs_failed(vs_b64url_encode(vs_bytes_str(marker), &token, NULL)))
		return NULL;
	if (v->mhsm)
		(void)snprintf(link, sizeof(link), "%s%.200s?maxresults=%zu&$skiptoken=%s",
			lab_vault_url(v), req->path, next->size, vs_buf_cstr(&token));
	else
		(void)snprintf(link, sizeof(link),
			"%s%.200s?api-version=%s&$skiptoken=%s&maxresults=%zu", lab_vault_url(v),
			req->path, version != NULL ? version : "", vs_buf_cstr(&token), next->size);
	return json_string(link);
}

/* How many there are, and the item at an index or NULL when it is not to be shown. */
struct source {
	size_t n;
	json_t *(*item)(const struct lab_vault *v, const void *of, size_t i);
	const void *of;
};

static void
give_page(struct lab_vault *v, const struct lab_req *req, const struct source *source,
	const struct page *page, struct lab_resp *resp)
{
	json_t *value = json_array();
	struct page next = {.from = page->from, .size = page->size};
	while (!page->gap && next.from < source->n && json_array_size(value) < page->size) {
		json_t *item = source->item(v, source->of, next.from++);
		if (item != NULL)
			(void)json_array_append_new(value, item);
	}
	const bool more = next.from < source->n;
	next.gap = more && !page->gap && !v->mhsm;
	json_t *answer = json_pack("{s:o}", "value", value);
	if (more)
		(void)json_object_set_new(answer, "nextLink", next_link(v, req, &next));
	else if (!v->mhsm)
		(void)json_object_set_new(answer, "nextLink", json_null());
	lab_vault_answer(v, resp, 200, answer);
}

static json_t *
living_item(const struct lab_vault *v, const void *of, size_t i)
{
	const struct lab_key *k = v->keys[i];
	(void)of;
	return k->deleted == 0 ? lab_key_item(v, k, lab_key_version(k, NULL), false) : NULL;
}

static json_t *
deleted_item(const struct lab_vault *v, const void *of, size_t i)
{
	const struct lab_key *k = v->keys[i];
	char id[256];
	(void)of;
	if (k->deleted == 0 || k->hidden_polls > 0)
		return NULL;
	json_t *item = lab_key_item(v, k, lab_key_version(k, NULL), false);
	(void)snprintf(id, sizeof(id), "%s/deletedkeys/%s", lab_vault_url(v), k->name);
	(void)json_object_set_new(item, "recoveryId", json_string(id));
	(void)json_object_set_new(item, "deletedDate", json_integer(k->deleted));
	return item;
}

static json_t *
version_item(const struct lab_vault *v, const void *of, size_t i)
{
	const struct lab_key *k = of;
	return lab_key_item(v, k, k->versions[i], true);
}

void
lab_vault_list(struct lab_vault *v, const struct lab_req *req, struct lab_resp *resp)
{
	struct page page = {0};
	const bool living = strcmp(req->segments[0], "keys") == 0;
	if (!read_page(req, &page)) {
		bad_page(v, resp);
		return;
	}
	pthread_mutex_lock(&v->lock);
	const struct source source = {.n = v->n_keys, .item = living ? living_item : deleted_item};
	give_page(v, req, &source, &page, resp);
	pthread_mutex_unlock(&v->lock);
}

void
lab_vault_versions(
	struct lab_vault *v, const struct lab_req *req, const char *name, struct lab_resp *resp)
{
	struct page page = {0};
	if (!read_page(req, &page)) {
		bad_page(v, resp);
		return;
	}
	pthread_mutex_lock(&v->lock);
	const struct lab_key *k = lab_key_find(v, name);
	const bool there = k != NULL && k->deleted == 0;
	if (there) {
		const struct source source = {.n = k->n_versions, .item = version_item, .of = k};
		give_page(v, req, &source, &page, resp);
	}
	pthread_mutex_unlock(&v->lock);
	if (!there)
		lab_vault_answer(v, resp, 200,
			v->mhsm ? json_pack("{s:[]}", "value")
				: json_pack("{s:[],s:n}", "value", "nextLink"));
}
