/* SPDX-License-Identifier: BSD-2-Clause */
/* Managed identities: the metadata service of a virtual machine, and Azure Arc's local agent. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/codec.h"
#include "jose/json.h"
#include "keys/cred_impl.h"
#include "net/url.h"

#define ARC_ORIGIN "http://127.0.0.1:40342"
#define ARC_KEY_DIR "/var/opt/azcmagent/tokens/"
enum { ARC_KEY_MAX = 4096 };

static const char imds_name[] = "the metadata service (IMDS)";
static const char arc_name[] = "the Azure Arc agent";

struct selector {
	const char *name;
	const char *value;
};

/* Which of several identities: at most one is asked for. */
static struct selector
choose_selector(const struct vs_conf_token *t)
{
	if (t->client_id != NULL)
		return (struct selector){.name = "client_id", .value = t->client_id};
	if (t->object_id != NULL)
		return (struct selector){.name = "object_id", .value = t->object_id};
	if (t->resource_id != NULL)
		return (struct selector){.name = "msi_res_id", .value = t->resource_id};
	return (struct selector){0};
}

static VS_RC
build_url(const struct vs_cred_env *env, const char *origin, const char *version,
	const char *resource, struct vs_buf *url, struct vs_err *err)
{
	const struct selector s = choose_selector(env->token);

	VS_TRY(vs_buf_add_str(url, origin, err));
	VS_TRY(vs_buf_add_str(url, "/metadata/identity/oauth2/token", err));
	VS_TRY(vs_url_add_query(url, "api-version", vs_bytes_str(version), err));
	VS_TRY(vs_url_add_query(url, "resource", vs_bytes_str(resource), err));
	if (s.name != NULL)
		VS_TRY(vs_url_add_query(url, s.name, vs_bytes_str(s.value), err));
	return VS_OK;
}

vs_rc
vs_cred_fetch_imds(const struct vs_cred_env *env, const char *resource, int64_t deadline_boot_ns,
	struct vs_cred_fetched *ret, struct vs_err *err)
{
	static const char *const headers[] = {"Metadata: true", NULL};
	VS_CLEANUP(vs_buf_done) struct vs_buf url = {.max = VS_URL_MAX};
	VS_CLEANUP(vs_http_res_done) struct vs_http_res res = {.retry_after_s = -1};

	VS_TRY(build_url(env, env->conf->imds, "2018-02-01", resource, &url, err));
	const struct vs_http_req req = {
		.method = VS_HTTP_GET,
		.url = vs_buf_cstr(&url),
		.headers = headers,
		.allow_plain = true,
		.no_proxy = true,
		.deadline_boot_ns = deadline_boot_ns,
	};
	VS_TRY(vs_net_call(&env->net, &req, &vs_http_retry_imds, imds_name, &res, err));
	if (res.status != 200)
		return vs_cred_refused(&res, imds_name, err);
	return vs_cred_read_token(env, &res, imds_name, ret, err);
}

/* ---- Azure Arc ------------------------------------------------------------------------------ */

/*
 * The challenge names a file that only members of a group can read. Only a file directly in the
 * agent's own folder is read: anything else would make us show arbitrary files to whoever answers.
 */
static VS_RC
check_challenge(const char *challenge, const char *dir, const char **ret_name, struct vs_err *err)
{
	static const char prefix[] = "Basic realm=";
	const size_t dir_n = strlen(dir);
	char quoted[120];

	vs_quote(vs_bytes_str(challenge), quoted, sizeof quoted);
	if (strncasecmp(challenge, prefix, sizeof prefix - 1) != 0)
		VS_FAIL(err, CREDENTIAL, "%s sent a challenge that is not known: \"%s\"", arc_name,
			quoted);
	const char *path = challenge + sizeof prefix - 1;
	if (strncmp(path, dir, dir_n) != 0)
		VS_FAIL(err, CREDENTIAL, "%s names a key outside %s: \"%s\"", arc_name, dir,
			quoted);
	const char *name = path + dir_n;
	const size_t n =
		strspn(name, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_");
	if (n == 0 || n > 128 || strcmp(name + n, ".key") != 0)
		VS_FAIL(err, CREDENTIAL, "%s names a file that cannot be its key: \"%s\"", arc_name,
			quoted);
	*ret_name = name;
	return VS_OK;
}

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}

/* ret gets "Authorization: Basic <content>" without any line end. */
static VS_RC
read_arc_key(const char *dir, const char *name, char *out, size_t out_size, struct vs_err *err)
{
	VS_CLEANUP(close_fd) int dirfd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	VS_CLEANUP(close_fd)
	int fd = dirfd < 0 ? -1 : openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st = {0};
	size_t n = 0;

	if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size <= 0 ||
		st.st_size > ARC_KEY_MAX)
		VS_FAIL(err, CREDENTIAL,
			"the Azure Arc key %s%s cannot be read; add this user to group himds", dir,
			name);
	(void)snprintf(out, out_size, "Authorization: Basic ");
	n = strlen(out);
	for (;;) {
		const ssize_t got = read(fd, out + n, out_size - 1 - n);
		if (got < 0)
			VS_FAIL(err, CREDENTIAL, "the Azure Arc key %s%s cannot be read", dir,
				name);
		if (got == 0 || n + (size_t)got >= out_size - 1) {
			n += (size_t)got;
			break;
		}
		n += (size_t)got;
	}
	while (n > 0 && (out[n - 1] == '\n' || out[n - 1] == '\r'))
		n--;
	out[n] = '\0';
	if (strlen(out) != n || !vs_http_header_ok(out))
		VS_FAIL(err, CREDENTIAL, "the Azure Arc key %s%s is not text", dir, name);
	return VS_OK;
}

/* An old agent ignores the selector and silently hands out the machine's own identity. */
static VS_RC
check_echo(const struct vs_cred_env *env, const struct vs_http_res *res, struct vs_err *err)
{
	VS_CLEANUP(vs_json_freep) struct vs_json *root = NULL;
	const struct selector s = choose_selector(env->token);
	const char *echo = NULL;

	if (s.name == NULL || res->status != 200)
		return VS_OK;
	if (vs_failed(vs_json_load_object(
		    vs_buf_view(&res->body), VS_HTTP_BODY_MAX, "access token", &root, NULL)) ||
		!vs_json_string(vs_json_get(root, s.name), &echo) || strcasecmp(echo, s.value) != 0)
		VS_FAIL(err, CREDENTIAL,
			"%s does not confirm the identity that was asked for (%s); update it",
			arc_name, s.name);
	return VS_OK;
}

static void
wipe_key(char (*key)[ARC_KEY_MAX + 64])
{
	vs_wipe(*key, sizeof *key);
}

vs_rc
vs_cred_fetch_arc(const struct vs_cred_env *env, const char *resource, int64_t deadline_boot_ns,
	struct vs_cred_fetched *ret, struct vs_err *err)
{
	const char *dir = env->arc_key_dir != NULL ? env->arc_key_dir : ARC_KEY_DIR;
	VS_CLEANUP(wipe_key) char key[ARC_KEY_MAX + 64] = "";
	const char *headers[] = {"Metadata: true", NULL, NULL};
	VS_CLEANUP(vs_buf_done) struct vs_buf url = {.max = VS_URL_MAX};
	VS_CLEANUP(vs_http_res_done) struct vs_http_res challenge = {.retry_after_s = -1};
	VS_CLEANUP(vs_http_res_done) struct vs_http_res res = {.retry_after_s = -1};
	struct vs_url imds = {0};
	const char *name = NULL;

	/* A loopback address in the settings is the agent's; the metadata address is not. */
	VS_TRY(vs_url_parse(env->conf->imds, &imds, err));
	VS_TRY(build_url(env, vs_url_is_loopback(&imds) ? env->conf->imds : ARC_ORIGIN,
		"2020-06-01", resource, &url, err));
	const struct vs_http_req req = {
		.method = VS_HTTP_GET,
		.url = vs_buf_cstr(&url),
		.headers = headers,
		.allow_plain = true,
		.no_proxy = true,
		.deadline_boot_ns = deadline_boot_ns,
	};
	VS_TRY(vs_net_call(&env->net, &req, &vs_http_retry_imds, arc_name, &challenge, err));
	if (challenge.status == 200)
		VS_FAIL(err, CREDENTIAL,
			"%s hands out tokens without its challenge, which cannot be right",
			arc_name);
	if (challenge.status != 401)
		return vs_cred_refused(&challenge, arc_name, err);
	VS_TRY(check_challenge(challenge.www_authenticate, dir, &name, err));
	VS_TRY(read_arc_key(dir, name, key, sizeof key, err));
	headers[1] = key;
	VS_TRY(vs_net_call(&env->net, &req, &vs_http_retry_none, arc_name, &res, err));
	if (res.status != 200)
		return vs_cred_refused(&res, arc_name, err);
	VS_TRY(check_echo(env, &res, err));
	return vs_cred_read_token(env, &res, arc_name, ret, err);
}
