/* SPDX-License-Identifier: BSD-2-Clause */
#include "keys/akv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/codec.h"
#include "base/log.h"
#include "crypto/ossl.h"
#include "keys/akv_impl.h"

enum { RELEASE_BODY_MAX = 96 * 1024, ITEMS_PER_PAGE = 25, NONCE_RANDOM = 16 };

/* Releases are limited to ten in ten seconds per vault: be patient. */
static const struct vs_http_retry release_retry = {.tries = 5, .base_ms = 1000, .max_ms = 8000};

static const char vault_name[] = "the vault";

const struct vs_akv_kind vs_akv_keys = {.segment = "keys", .id_member = "kid"};
const struct vs_akv_kind vs_akv_certificates = {.segment = "certificates", .id_member = "id"};

const char *
vs_akv_enc_name(enum vs_wrap_alg wrap)
{
	switch (wrap) {
	case VS_WRAP_CKM: return "CKM_RSA_AES_KEY_WRAP";
	case VS_WRAP_384: return "RSA_AES_KEY_WRAP_384";
	case VS_WRAP_256:
	case VS_WRAP_NONE: break;
	}
	return "RSA_AES_KEY_WRAP_256";
}

static void
free_half_made(struct vs_akv **akv)
{
	vs_akv_free(*akv);
}

vs_rc
vs_akv_new(const struct vs_akv_env *env, struct vs_akv **ret, struct vs_err *err)
{
	VS_CLEANUP(free_half_made) struct vs_akv *akv = calloc(1, sizeof *akv);

	if (akv == NULL)
		VS_FAIL(err, MEMORY, "no memory for the vault client");
	akv->env = *env;
	VS_TRY(vs_url_parse(env->token->vault, &akv->origin, err));
	if (!akv->origin.https || akv->origin.target[0] != '\0')
		VS_FAIL(err, CONFIG_VALUE,
			"[token %s]: vault must be an https address without a path",
			env->token->label);
	akv->origin.target = "";
	VS_TRY(vs_ossl_new(&akv->ossl, err));
	VS_TRY(vs_akv_known_new(&akv->known, err));
	*ret = VS_TAKE(akv);
	return VS_OK;
}

void
vs_akv_free(struct vs_akv *akv)
{
	if (akv == NULL)
		return;
	vs_ossl_unref(akv->ossl);
	vs_akv_known_free(akv->known);
	free(akv);
}

/* ---- addresses ----------------------------------------------------------------------------- */

vs_rc
vs_akv_url(const struct vs_akv *akv, struct vs_buf *url, const char *const *segments,
	struct vs_err *err)
{
	VS_TRY(vs_buf_set(url, akv->env.token->vault, strlen(akv->env.token->vault), err));
	for (size_t i = 0; segments[i] != NULL; i++)
		VS_TRY(vs_url_add_segment(url, vs_bytes_str(segments[i]), err));
	return VS_OK;
}

static bool
name_ok(const char *p, size_t n)
{
	return n > 0 && n <= VS_AKV_NAME_MAX &&
		strspn(p, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-") >= n;
}

static bool
version_ok(const char *p)
{
	return strlen(p) == VS_AKV_VERSION_BYTES &&
		strspn(p, "0123456789abcdefABCDEF") == VS_AKV_VERSION_BYTES;
}

vs_rc
vs_akv_parse_id(const struct vs_akv *akv, const struct vs_akv_kind *kind, const struct vs_json *kid,
	struct vs_akv_id *ret, struct vs_err *err)
{
	struct vs_akv_id id = {0};
	struct vs_url u = {0};
	const char *text = NULL;

	if (!vs_json_string(kid, &text) || vs_failed(vs_url_parse(text, &u, NULL)))
		VS_FAIL(err, ANSWER, "%s names a key by something that is not an identifier",
			vault_name);
	if (!vs_url_same_origin(&u, &akv->origin))
		VS_FAIL(err, ANSWER, "%s names a key of another vault (%.100s)", vault_name,
			u.host);
	const size_t kind_n = strlen(kind->segment);
	if (u.target[0] != '/' || strncmp(u.target + 1, kind->segment, kind_n) != 0 ||
		u.target[kind_n + 1] != '/')
		VS_FAIL(err, ANSWER, "%s names a key by an identifier of another kind", vault_name);
	const char *name = u.target + kind_n + 2;
	const size_t n = strcspn(name, "/");
	const char *version = name[n] == '/' ? name + n + 1 : "";
	if (!name_ok(name, n) || (name[n] == '/' && !version_ok(version)))
		VS_FAIL(err, ANSWER, "%s names a key by an identifier that is not valid",
			vault_name);
	memcpy(id.name, name, n);
	memcpy(id.version, version, strlen(version));
	*ret = id;
	return VS_OK;
}

/* ---- one exchange -------------------------------------------------------------------------- */

static VS_RC
call_with_token(struct vs_akv *akv, const char *url, const struct vs_bytes *body, bool fresh,
	bool release, int64_t deadline_boot_ns, struct vs_http_res *ret, struct vs_err *err)
{
	VS_CLEANUP(vs_secret_done) struct vs_secret bearer = {0};
	const struct vs_cred *cred = &akv->env.cred;
	struct vs_url u = {0};

	/* Whatever led to this address: the access token goes to the configured vault only (T-N5).
	 */
	VS_TRY(vs_url_parse(url, &u, err));
	VS_REQUIRE(err, vs_url_same_origin(&u, &akv->origin));
	/* The resource is the configured one, whatever a challenge says. */
	VS_TRY(cred->ops->get(
		cred->self, akv->env.token->vault_resource, fresh, deadline_boot_ns, &bearer, err));
	const struct vs_http_req req = {
		.method = body != NULL ? VS_HTTP_POST : VS_HTTP_GET,
		.url = url,
		.bearer = &bearer,
		.body = body != NULL ? *body : (struct vs_bytes){0},
		.deadline_boot_ns = deadline_boot_ns,
	};
	return vs_net_call(&akv->env.net, &req, release ? &release_retry : &vs_http_retry_service,
		vault_name, ret, err);
}

static VS_RC
call(struct vs_akv *akv, const char *url, const struct vs_bytes *body, bool release,
	int64_t deadline_boot_ns, struct vs_http_res *ret, struct vs_err *err)
{
	VS_CLEANUP(vs_http_res_done) struct vs_http_res res = {.retry_after_s = -1};

	VS_TRY(call_with_token(akv, url, body, false, release, deadline_boot_ns, &res, err));
	if (res.status == 401) {
		vs_http_res_done(&res);
		VS_TRY(call_with_token(akv, url, body, true, release, deadline_boot_ns, &res, err));
	}
	*ret = res;
	res = (struct vs_http_res){0};
	return VS_OK;
}

vs_rc
vs_akv_call(struct vs_akv *akv, const char *url, const struct vs_bytes *body,
	int64_t deadline_boot_ns, struct vs_http_res *ret, struct vs_err *err)
{
	return call(akv, url, body, false, deadline_boot_ns, ret, err);
}

vs_rc
vs_akv_get_json(struct vs_akv *akv, const char *url, const char *what, int64_t deadline_boot_ns,
	struct vs_json **ret, struct vs_err *err)
{
	VS_CLEANUP(vs_http_res_done) struct vs_http_res res = {.retry_after_s = -1};

	VS_TRY(vs_akv_call(akv, url, NULL, deadline_boot_ns, &res, err));
	if (res.status != 200)
		return vs_akv_fail(&res, what, false, err);
	VS_TRY(vs_http_require_json(&res, vault_name, err));
	if (vs_failed(
		    vs_json_load_object(vs_buf_view(&res.body), VS_HTTP_BODY_MAX, what, ret, NULL)))
		VS_FAIL(err, ANSWER, "%s answered for %s with JSON that cannot be read", vault_name,
			what);
	return VS_OK;
}

/* ---- what an error means ------------------------------------------------------------------- */

struct said {
	struct vs_json *root;
	const char *code, *inner, *message; /* "" when absent */
	char quoted[200];
};

static void
said_done(struct said *s)
{
	vs_json_free(s->root);
}

static void
read_error(const struct vs_http_res *res, struct said *s)
{
	s->code = s->inner = s->message = "";
	if (!vs_failed(vs_json_load_object(
		    vs_buf_view(&res->body), VS_HTTP_BODY_MAX, "error", &s->root, NULL))) {
		(void)vs_json_string(vs_json_path(s->root, "error.code"), &s->code);
		(void)vs_json_string(vs_json_path(s->root, "error.innererror.code"), &s->inner);
		(void)vs_json_string(vs_json_path(s->root, "error.message"), &s->message);
	}
	vs_quote(vs_bytes_str(s->message), s->quoted, sizeof s->quoted);
}

static bool
is_access_code(const char *code)
{
	return strcmp(code, "ForbiddenByRbac") == 0 || strcmp(code, "ForbiddenByPolicy") == 0 ||
		strcmp(code, "ForbiddenByFirewall") == 0 ||
		strcmp(code, "ForbiddenByConnection") == 0;
}

static bool
is_disabled(const struct said *s)
{
	return strcmp(s->inner, "KeyDisabled") == 0 || strcmp(s->code, "KeyDisabled") == 0 ||
		strcasestr(s->message, "disabled key") != NULL;
}

/* Either the service's number of such refusals, or the words of the services that give none. */
static bool
is_release_refusal(const struct said *s)
{
	return strstr(s->message, "AKV.SKR.") != NULL ||
		strcasestr(s->message, "attestation") != NULL ||
		strcasestr(s->message, "release policy") != NULL;
}

static VS_RC
fail_403(const struct said *s, const char *what, bool release, struct vs_err *err)
{
	if (is_disabled(s))
		VS_FAIL_N(
			err, KEY_GONE, 403, "%s is disabled in the vault: \"%s\"", what, s->quoted);
	if (release && !is_access_code(s->inner) && is_release_refusal(s))
		VS_FAIL_N(err, REFUSED_RELEASE, 403, "the vault refused to release %s: \"%s\"",
			what, s->quoted);
	VS_FAIL_N(err, REFUSED_ACCESS, 403,
		"the vault does not let this identity in for %s (%.40s): \"%s\"; check role "
		"assignment and firewall",
		what, s->inner[0] != '\0' ? s->inner : "Forbidden", s->quoted);
}

vs_rc
vs_akv_fail(const struct vs_http_res *res, const char *what, bool release, struct vs_err *err)
{
	VS_CLEANUP(said_done) struct said s = {0};

	read_error(res, &s);
	switch (res->status) {
	case 401:
		VS_FAIL_N(err, REFUSED_ACCESS, 401,
			"the vault does not accept our access token for %s: \"%s\"", what,
			s.quoted);
	case 403: return fail_403(&s, what, release, err);
	case 404: VS_FAIL_N(err, KEY_GONE, 404, "%s is not in the vault: \"%s\"", what, s.quoted);
	case 400:
		if (release && strstr(s.message, "AKV.SKR.") != NULL)
			VS_FAIL_N(err, REFUSED_RELEASE, 400,
				"the vault refused to release %s: \"%s\"", what, s.quoted);
		VS_FAIL_N(err, ANSWER, 400,
			"the vault does not understand the request for %s (%.40s): \"%s\"", what,
			s.code, s.quoted);
	default: return vs_http_fail(res, vault_name, err);
	}
}

/* ---- lists --------------------------------------------------------------------------------- */

/* nextLink is followed as it is, within this vault; one service leaves the api-version out. */
static VS_RC
next_url(const struct vs_akv *akv, const struct vs_json *page, struct vs_buf *url, bool *ret_more,
	struct vs_err *err)
{
	const struct vs_json *link = vs_json_get(page, "nextLink");
	struct vs_url u = {0};
	const char *text = NULL;

	*ret_more = false;
	if (vs_json_kind(link) == VS_JSON_NONE || vs_json_kind(link) == VS_JSON_NULL ||
		vs_json_is_string(link, ""))
		return VS_OK;
	if (!vs_json_string(link, &text) || vs_failed(vs_url_parse(text, &u, NULL)))
		VS_FAIL(err, ANSWER,
			"a list of the vault goes on at something that is not an address");
	if (!vs_url_same_origin(&u, &akv->origin))
		VS_FAIL(err, ANSWER,
			"a list of the vault goes on at another host (%.100s); that is never "
			"followed",
			u.host);
	VS_TRY(vs_buf_set(url, text, strlen(text), err));
	const char *query = strchr(u.target, '?');
	if (query == NULL ||
		(strstr(query, "?api-version=") == NULL && strstr(query, "&api-version=") == NULL))
		VS_TRY(vs_url_add_query(url, "api-version", vs_bytes_str(VS_AKV_API_VERSION), err));
	*ret_more = true;
	return VS_OK;
}

static VS_RC
walk_page(struct vs_akv *akv, const struct vs_akv_kind *kind, const struct vs_json *page,
	vs_akv_item_fn *fn, void *arg, struct vs_err *err)
{
	const struct vs_json *items = vs_json_get(page, "value");

	if (vs_json_kind(items) != VS_JSON_ARRAY)
		VS_FAIL(err, ANSWER, "a list of the vault is not a list");
	for (size_t i = 0; i < vs_json_count(items); i++) {
		const struct vs_json *item = vs_json_at(items, i);
		struct vs_akv_id id = {0};
		VS_TRY(vs_akv_parse_id(akv, kind, vs_json_get(item, kind->id_member), &id, err));
		VS_TRY(fn(arg, &id, item, err));
	}
	return VS_OK;
}

vs_rc
vs_akv_list(struct vs_akv *akv, const struct vs_akv_kind *kind, const char *name,
	int64_t deadline_boot_ns, vs_akv_item_fn *fn, void *arg, struct vs_err *err)
{
	const char *const segments[] = {
		kind->segment, name, name != NULL ? "versions" : NULL, NULL};
	VS_CLEANUP(vs_buf_done) struct vs_buf url = {.max = VS_URL_MAX};
	bool more = true;

	VS_TRY(vs_akv_url(akv, &url, segments, err));
	VS_TRY(vs_url_add_query(&url, "api-version", vs_bytes_str(VS_AKV_API_VERSION), err));
	VS_TRY(vs_buf_addf(&url, err, "&maxresults=%d", (int)ITEMS_PER_PAGE));
	for (unsigned pages = 0; more; pages++) {
		VS_CLEANUP(vs_json_freep) struct vs_json *page = NULL;
		if (pages == VS_AKV_PAGES_MAX)
			VS_FAIL(err, LIMIT, "a list of the vault has more than %d pages",
				(int)VS_AKV_PAGES_MAX);
		VS_TRY(vs_akv_get_json(
			akv, vs_buf_cstr(&url), "a list", deadline_boot_ns, &page, err));
		VS_TRY(walk_page(akv, kind, page, fn, arg, err));
		VS_TRY(next_url(akv, page, &url, &more, err));
	}
	return VS_OK;
}

/* ---- release ------------------------------------------------------------------------------- */

static VS_RC
build_release(struct vs_akv *akv, struct vs_bytes attestation_token, struct vs_buf *out,
	struct vs_err *err)
{
	VS_CLEANUP(vs_json_freep) struct vs_json *root = NULL;
	const struct vs_rng *rng = &akv->env.net.rng;
	uint8_t random[NONCE_RANDOM];
	char nonce[2 * NONCE_RANDOM + 1];

	VS_TRY(rng->ops->fill(rng->self, random, sizeof random, err));
	vs_hex_str(random, sizeof random, nonce, sizeof nonce);
	VS_TRY(vs_json_new_object(&root, err));
	VS_TRY(vs_json_set_bytes(root, "target", attestation_token, err));
	VS_TRY(vs_json_set_string(root, "nonce", nonce, err));
	VS_TRY(vs_json_set_string(root, "enc", vs_akv_enc_name(akv->env.token->wrap), err));
	return vs_json_dump(root, out, err);
}

vs_rc
vs_akv_release(struct vs_akv *akv, const struct vs_cat_entry *entry,
	struct vs_bytes attestation_token, int64_t deadline_boot_ns, struct vs_buf *ret_jws,
	char ret_request_id[80], struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf url = {.max = VS_URL_MAX};
	VS_CLEANUP(vs_buf_done) struct vs_buf body = {.max = RELEASE_BODY_MAX};
	VS_CLEANUP(vs_http_res_done) struct vs_http_res res = {.retry_after_s = -1};
	VS_CLEANUP(vs_json_freep) struct vs_json *root = NULL;
	struct vs_bytes jws = {0};
	char what[160];
	char quoted[140];

	(void)snprintf(what, sizeof what, "key %s", vs_quote(entry->name, quoted, sizeof quoted));
	VS_TRY(vs_buf_add_str(&url, akv->env.token->vault, err));
	VS_TRY(vs_buf_add_str(&url, "/keys", err));
	VS_TRY(vs_url_add_segment(&url, entry->name, err));
	VS_TRY(vs_url_add_segment(&url, entry->version, err));
	VS_TRY(vs_buf_add_str(&url, "/release", err));
	VS_TRY(vs_url_add_query(&url, "api-version", vs_bytes_str(VS_AKV_API_VERSION), err));
	VS_TRY(build_release(akv, attestation_token, &body, err));
	const struct vs_bytes view = vs_buf_view(&body);
	VS_TRY(call(akv, vs_buf_cstr(&url), &view, true, deadline_boot_ns, &res, err));
	(void)snprintf(ret_request_id, 80, "%s", res.request_id);
	if (res.status != 200)
		return vs_akv_fail(&res, what, true, err);
	VS_TRY(vs_http_require_json(&res, vault_name, err));
	if (vs_failed(vs_json_load_object(
		    vs_buf_view(&res.body), VS_HTTP_BODY_MAX, "release", &root, NULL)) ||
		!vs_json_bytes(vs_json_get(root, "value"), &jws))
		VS_FAIL(err, ANSWER,
			"the vault answered to the release of %s with something that is no release",
			what);
	return vs_buf_set(ret_jws, jws.p, jws.n, err);
}
