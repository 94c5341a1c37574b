/* SPDX-License-Identifier: BSD-2-Clause */
/* Client credentials at the Entra token endpoint: secret, certificate, federated token. */
#include <string.h>

#include "base/codec.h"
#include "base/file.h"
#include "keys/cred_impl.h"
#include "net/url.h"

#define AUTHORITY "https://login.microsoftonline.com"
#define ASSERTION_TYPE "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

static const char entra_name[] = "the Entra token endpoint";

/* Forms and files with secrets: wiped before they are freed. */
static void
wipe_buf(struct vs_buf *b)
{
	if (b->p != NULL)
		vs_wipe(b->p, b->cap);
	vs_buf_done(b);
}

static VS_RC
add_field(struct vs_buf *form, const char *name, struct vs_bytes value, struct vs_err *err)
{
	if (form->n > 0)
		VS_TRY(vs_buf_add_u8(form, '&', err));
	VS_TRY(vs_buf_add_str(form, name, err));
	VS_TRY(vs_buf_add_u8(form, '=', err));
	return vs_url_add_encoded(form, value, err);
}

static struct vs_bytes
trim(struct vs_bytes b)
{
	while (b.n > 0 && b.p[b.n - 1] <= ' ')
		b.n--;
	while (b.n > 0 && b.p[0] <= ' ') {
		b.p++;
		b.n--;
	}
	return b;
}

/* The secret alone in a file; a line end at its end is no part of it. */
static VS_RC
add_secret(const struct vs_conf_token *t, struct vs_buf *form, struct vs_err *err)
{
	VS_CLEANUP(wipe_buf) struct vs_buf file = {0};

	VS_TRY(vs_file_read(t->client_secret_file, VS_CRED_FILE_MAX, VS_FILE_SECRET, &file, err));
	const struct vs_bytes secret = trim(vs_buf_view(&file));
	if (secret.n == 0)
		VS_FAIL(err, CONFIG_FILE, "%s: there is no client secret in it",
			t->client_secret_file);
	return add_field(form, "client_secret", secret, err);
}

/* Rotated by whoever issues it: read anew each time. */
static VS_RC
add_federated_token(const struct vs_conf_token *t, struct vs_buf *form, struct vs_err *err)
{
	VS_CLEANUP(wipe_buf) struct vs_buf file = {0};

	VS_TRY(vs_file_read(t->federated_token_file, VS_CRED_FILE_MAX, VS_FILE_ANY, &file, err));
	const struct vs_bytes token = trim(vs_buf_view(&file));
	if (token.n == 0)
		VS_FAIL(err, CONFIG_FILE, "%s: there is no token in it", t->federated_token_file);
	VS_TRY(add_field(form, "client_assertion_type", vs_bytes_str(ASSERTION_TYPE), err));
	return add_field(form, "client_assertion", token, err);
}

static VS_RC
add_assertion(const struct vs_cred_env *env, const char *endpoint, struct vs_buf *form,
	struct vs_err *err)
{
	VS_CLEANUP(wipe_buf) struct vs_buf jws = {0};

	VS_TRY(vs_cred_assertion(env, endpoint, &jws, err));
	VS_TRY(add_field(form, "client_assertion_type", vs_bytes_str(ASSERTION_TYPE), err));
	return add_field(form, "client_assertion", vs_buf_view(&jws), err);
}

static VS_RC
build_form(const struct vs_cred_env *env, const char *endpoint, const char *resource,
	struct vs_buf *form, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf scope = {0};
	const struct vs_conf_token *t = env->token;
	uint8_t *room = NULL;

	/* All the room at once: growing would leave copies of the secret behind. */
	VS_TRY(vs_buf_room(form, 4 * VS_CRED_FILE_MAX, &room, err));
	VS_TRY(vs_buf_addf(&scope, err, "%s/.default", resource));
	VS_TRY(add_field(form, "client_id", vs_bytes_str(t->client_id), err));
	VS_TRY(add_field(form, "scope", vs_buf_view(&scope), err));
	VS_TRY(add_field(form, "grant_type", vs_bytes_str("client_credentials"), err));
	switch (t->credential) {
	case VS_CRED_CLIENT_SECRET_FILE: return add_secret(t, form, err);
	case VS_CRED_WORKLOAD_IDENTITY: return add_federated_token(t, form, err);
	case VS_CRED_CLIENT_CERTIFICATE: return add_assertion(env, endpoint, form, err);
	case VS_CRED_NONE:
	case VS_CRED_MANAGED_IDENTITY:
	case VS_CRED_AZURE_ARC: break;
	}
	VS_FAIL(err, INTERNAL, "a credential of this kind has no form");
}

vs_rc
vs_cred_fetch_entra(const struct vs_cred_env *env, const char *resource, int64_t deadline_boot_ns,
	struct vs_cred_fetched *ret, struct vs_err *err)
{
	static const char *const headers[] = {
		"Content-Type: application/x-www-form-urlencoded", NULL};
	const struct vs_conf_token *t = env->token;
	VS_CLEANUP(vs_buf_done) struct vs_buf url = {.max = VS_URL_MAX};
	VS_CLEANUP(wipe_buf) struct vs_buf form = {.max = 8 * VS_CRED_FILE_MAX};
	VS_CLEANUP(vs_http_res_done) struct vs_http_res res = {.retry_after_s = -1};

	VS_TRY(vs_buf_add_str(&url, t->authority != NULL ? t->authority : AUTHORITY, err));
	if (url.n > 0 && url.p[url.n - 1] == '/')
		url.n--;
	VS_TRY(vs_url_add_segment(&url, vs_bytes_str(t->tenant_id), err));
	VS_TRY(vs_buf_add_str(&url, "/oauth2/v2.0/token", err));
	VS_TRY(build_form(env, vs_buf_cstr(&url), resource, &form, err));
	const struct vs_http_req req = {
		.method = VS_HTTP_POST,
		.url = vs_buf_cstr(&url),
		.headers = headers,
		.body = vs_buf_view(&form),
		.deadline_boot_ns = deadline_boot_ns,
	};
	VS_TRY(vs_net_call(&env->net, &req, &vs_http_retry_service, entra_name, &res, err));
	if (res.status != 200)
		return vs_cred_refused(&res, entra_name, err);
	return vs_cred_read_token(env, &res, entra_name, ret, err);
}
