/* SPDX-License-Identifier: BSD-2-Clause */
/* More than 500 lines because libcurl is spoken in this file alone. */
#include "net/http_curl.h"

#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/codec.h"
#include "base/log.h"
#include "net/head.h"
#include "net/http.h"
#include "net/roots.h"
#include "net/url.h"

enum {
	IDLE_MAX = 16, /* easy handles kept with their warm connections */
	CONNECTION_IDLE_MAX_S = 60,
	CONNECTION_AGE_MAX_S = 300,
	STALL_S = 10,
	CONNECT_MS = 5000,
	REQUEST_MS = 30000,
	FIRST_ROOM = 16 * 1024,
};

struct idle {
	CURL *easy;
	struct vs_url origin; /* of its last request; target is not kept */
};

struct vs_http_curl {
	X509_STORE *roots;
	char *proxy;
	int64_t connect_timeout_ms, request_timeout_ms;
	struct vs_clock clock;
	struct vs_log log;
	pthread_mutex_t lock; /* the two below */
	size_t n_idle;
	struct idle idle[IDLE_MAX];
};

/* One request's state, seen by the callbacks. */
struct transfer {
	struct vs_http_curl *h;
	CURL *easy;
	struct vs_http_res *res;
	size_t max_body;
	struct vs_http_head head;
	const char *defect; /* why a callback stopped the transfer */
};

static pthread_once_t global_once = PTHREAD_ONCE_INIT;
static CURLcode global_result;

static void
init_global(void)
{
	global_result = curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* ---- making and freeing -------------------------------------------------------------------- */

void
vs_http_curl_free(struct vs_http_curl *h)
{
	if (h == NULL)
		return;
	for (size_t i = 0; i < h->n_idle; i++)
		curl_easy_cleanup(h->idle[i].easy);
	X509_STORE_free(h->roots);
	pthread_mutex_destroy(&h->lock);
	free(h->proxy);
	free(h);
}

static void
free_half_made(struct vs_http_curl **h)
{
	vs_http_curl_free(*h);
}

vs_rc
vs_http_curl_new(const struct vs_http_curl_env *env, struct vs_http_curl **ret, struct vs_err *err)
{
	pthread_once(&global_once, init_global);
	if (global_result != CURLE_OK)
		VS_FAIL_N(err, INTERNAL, global_result, "the HTTP library cannot be initialised");
	const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);
	/* The TLS context hook hands out a pointer whose type depends on this. */
	if (info->ssl_version == NULL || strncmp(info->ssl_version, "OpenSSL/3", 9) != 0)
		VS_FAIL(err, INTERNAL, "the HTTP library was not built with OpenSSL 3");
	VS_CLEANUP(free_half_made) struct vs_http_curl *h = calloc(1, sizeof *h);
	if (h == NULL)
		VS_FAIL(err, MEMORY, "no memory for the HTTP client");
	pthread_mutex_init(&h->lock, NULL);
	h->clock = env->clock;
	h->log = env->log;
	h->connect_timeout_ms = env->connect_timeout_ms > 0 ? env->connect_timeout_ms : CONNECT_MS;
	h->request_timeout_ms = env->request_timeout_ms > 0 ? env->request_timeout_ms : REQUEST_MS;
	if (env->proxy != NULL && env->proxy[0] != '\0') {
		h->proxy = strdup(env->proxy);
		if (h->proxy == NULL)
			VS_FAIL(err, MEMORY, "no memory for the HTTP client");
	}
	VS_REQUIRE(err, env->ca_bundle != NULL);
	VS_TRY(vs_net_roots_load(env->ca_bundle, &h->roots, err));
	*ret = VS_TAKE(h);
	return VS_OK;
}

/* ---- the pool ------------------------------------------------------------------------------ */

/* An idle handle that last spoke to this origin: its connection may still be warm. Else a new one.
 */
static CURL *
borrow_easy(struct vs_http_curl *h, const struct vs_url *origin)
{
	CURL *easy = NULL;

	pthread_mutex_lock(&h->lock);
	for (size_t i = h->n_idle; i > 0 && easy == NULL; i--) {
		if (vs_url_same_origin(&h->idle[i - 1].origin, origin)) {
			easy = h->idle[i - 1].easy;
			h->idle[i - 1] = h->idle[--h->n_idle];
		}
	}
	pthread_mutex_unlock(&h->lock);
	return easy != NULL ? easy : curl_easy_init();
}

static void
give_back_easy(struct vs_http_curl *h, CURL *easy, const struct vs_url *origin)
{
	CURL *oldest = NULL;

	curl_easy_reset(easy);
	pthread_mutex_lock(&h->lock);
	if (h->n_idle == IDLE_MAX) {
		oldest = h->idle[0].easy;
		h->n_idle--;
		memmove(&h->idle[0], &h->idle[1], h->n_idle * sizeof h->idle[0]);
	}
	h->idle[h->n_idle] = (struct idle){.easy = easy, .origin = *origin};
	h->idle[h->n_idle++].origin.target = NULL;
	pthread_mutex_unlock(&h->lock);
	if (oldest != NULL)
		curl_easy_cleanup(oldest);
}

/* ---- callbacks ----------------------------------------------------------------------------- */

/* Runs after libcurl's own settings: undoes SSLKEYLOGFILE, brings our roots. */
static CURLcode
on_tls_context(CURL *easy, void *ssl_ctx, void *arg)
{
	const struct transfer *t = arg;
	SSL_CTX *ctx = ssl_ctx;

	(void)easy;
	SSL_CTX_set_keylog_callback(ctx, NULL);
	SSL_CTX_set1_cert_store(ctx, t->h->roots);
	if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1)
		return CURLE_SSL_CONNECT_ERROR;
	return CURLE_OK;
}

static size_t
on_header(char *p, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;
	const int64_t now = t->h->clock.ops->wall_unix(t->h->clock.self);

	vs_http_head_line(&t->head, vs_bytes_of(p, size * n), now, t->res);
	t->defect = t->head.defect;
	return t->defect == NULL ? size * n : 0;
}

static size_t
on_body(char *p, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;
	const size_t bytes = size * n;
	curl_off_t announced = -1;

	if (bytes > t->max_body || t->res->body.n > t->max_body - bytes) {
		t->defect = "is longer than allowed";
		return 0;
	}
	/* Room at once, so that a body with an access token leaves no half copies behind. */
	if (t->res->body.p == NULL) {
		uint8_t *room = NULL;
		size_t want = FIRST_ROOM;
		if (curl_easy_getinfo(t->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &announced) ==
				CURLE_OK &&
			announced > FIRST_ROOM)
			want = (size_t)announced;
		t->res->body.max = t->max_body;
		if (want > t->max_body)
			want = t->max_body;
		if (vs_failed(vs_buf_room(&t->res->body, want, &room, NULL)))
			return 0;
	}
	return vs_failed(vs_buf_add(&t->res->body, p, bytes, NULL)) ? 0 : bytes;
}

/* ---- one request --------------------------------------------------------------------------- */

struct headers {
	struct curl_slist *list;
};

/* The list holds copies of the access token. */
static void
wipe_headers(struct headers *h)
{
	for (struct curl_slist *i = h->list; i != NULL; i = i->next)
		vs_wipe(i->data, strlen(i->data));
	curl_slist_free_all(h->list);
}

static VS_RC
add_header(struct headers *h, const char *line, struct vs_err *err)
{
	struct curl_slist *list = curl_slist_append(h->list, line);

	if (list == NULL)
		VS_FAIL(err, MEMORY, "no memory for a request");
	h->list = list;
	return VS_OK;
}

static bool
has_header(const struct vs_http_req *req, const char *name)
{
	for (size_t i = 0; req->headers != NULL && req->headers[i] != NULL; i++) {
		if (strncasecmp(req->headers[i], name, strlen(name)) == 0)
			return true;
	}
	return false;
}

static VS_RC
build_headers(const struct vs_http_req *req, struct headers *h, struct vs_err *err)
{
	static const char prefix[] = "Authorization: Bearer ";

	/* No pause for "100 Continue"; no media type that we did not choose. */
	VS_TRY(add_header(h, "Expect:", err));
	if (!has_header(req, "accept:"))
		VS_TRY(add_header(h, "Accept: application/json", err));
	if (req->method == VS_HTTP_POST && !has_header(req, "content-type:"))
		VS_TRY(add_header(h, "Content-Type: application/json", err));
	for (size_t i = 0; req->headers != NULL && req->headers[i] != NULL; i++)
		VS_TRY(add_header(h, req->headers[i], err));
	if (req->bearer == NULL)
		return VS_OK;
	const size_t n = sizeof prefix + req->bearer->n;
	char *line = malloc(n);
	if (line == NULL)
		VS_FAIL(err, MEMORY, "no memory for a request");
	memcpy(line, prefix, sizeof prefix - 1);
	memcpy(line + sizeof prefix - 1, req->bearer->p, req->bearer->n);
	line[n - 1] = '\0';
	const vs_rc rc = add_header(h, line, err);
	vs_wipe(line, n);
	free(line);
	return rc;
}

/*
 * A connection that broke off during the handshake is no statement about anybody's identity, and
 * worth another try. libcurl gives one code for both; where its words are not known, it is TLS.
 */
static bool
is_broken_off(CURLcode code, const char *detail)
{
	static const char *const words[] = {"Recv failure", "Send failure", "SSL_ERROR_SYSCALL",
		"unexpected eof", "Connection reset"};

	for (size_t i = 0; code == CURLE_SSL_CONNECT_ERROR && i < sizeof words / sizeof words[0];
		i++) {
		if (strstr(detail, words[i]) != NULL)
			return true;
	}
	return false;
}

static vs_rc
explain(CURLcode code, const struct transfer *t, const char *host, const char *detail,
	struct vs_err *err)
{
	char quoted[160];

	if (t->defect != NULL)
		VS_FAIL_N(err, ANSWER, code, "an answer of %s %s", host, t->defect);
	vs_quote(vs_bytes_str(detail), quoted, sizeof quoted);
	if (is_broken_off(code, detail))
		VS_FAIL_N(err, CONNECT, code, "%s cannot be reached (%s)", host, quoted);
	switch ((int)code) {
	case CURLE_OUT_OF_MEMORY:
		VS_FAIL_N(err, MEMORY, code, "no memory for a request to %s", host);
	case CURLE_OPERATION_TIMEDOUT:
		VS_FAIL_N(err, TIMEOUT, code, "%s did not answer in time (%s)", host, quoted);
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_COULDNT_RESOLVE_HOST:
		VS_FAIL_N(err, CONNECT, code,
			"the name %s cannot be resolved; check the address and DNS", host);
	case CURLE_COULDNT_CONNECT:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_GOT_NOTHING:
	case CURLE_INTERFACE_FAILED:
	case CURLE_PROXY: VS_FAIL_N(err, CONNECT, code, "%s cannot be reached (%s)", host, quoted);
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_INVALIDCERTSTATUS:
		VS_FAIL_N(err, TLS, code, "the TLS identity of %s was not accepted (%s)", host,
			quoted);
	case CURLE_PARTIAL_FILE:
		VS_FAIL_N(err, ANSWER, code, "an answer of %s ended too early", host);
	default: VS_FAIL_N(err, ANSWER, code, "an answer of %s is not usable (%s)", host, quoted);
	}
}

/*
 * libcurl parses the address again by its own rules; a difference in what we and it see in it
 * would send a token to the wrong host.
 */
static VS_RC
parse_for_curl(
	const struct vs_http_req *req, const struct vs_url *mine, CURLU *u, struct vs_err *err)
{
	char *host = NULL;
	char *port = NULL;
	char *scheme = NULL;
	char mine_port[8];

	(void)snprintf(mine_port, sizeof mine_port, "%u", (unsigned)mine->port);
	bool same = curl_url_set(u, CURLUPART_URL, req->url, CURLU_DISALLOW_USER) == CURLUE_OK &&
		curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
		curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
		curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK;
	same = same && strcasecmp(host, mine->host) == 0 && strcmp(port, mine_port) == 0 &&
		strcmp(scheme, mine->https ? "https" : "http") == 0;
	curl_free(host);
	curl_free(port);
	curl_free(scheme);
	if (!same)
		VS_FAIL(err, USAGE, "the address of %s can be read in two ways", mine->host);
	return VS_OK;
}

static bool
set_up_security(CURL *e, struct transfer *t, const struct vs_http_req *req, const struct vs_url *u)
{
	const char *proxy = req->no_proxy || t->h->proxy == NULL ? "" : t->h->proxy;
	bool ok =
		curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, u->https ? "https" : "http") == CURLE_OK;

	/* Empty strings switch the environment's http_proxy, no_proxy and so on off. */
	ok = ok && curl_easy_setopt(e, CURLOPT_PROXY, proxy) == CURLE_OK;
	ok = ok && curl_easy_setopt(e, CURLOPT_NOPROXY, "") == CURLE_OK;
	ok = ok && curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK;
	ok = ok && curl_easy_setopt(e, CURLOPT_MAXREDIRS, 0L) == CURLE_OK;
	ok = ok && curl_easy_setopt(e, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) == CURLE_OK;
	ok = ok && curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK;
	ok = ok && curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK;
	ok = ok &&
		curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK;
	/* Our roots come by on_tls_context; the compiled-in ones are not used. */
	ok = ok && curl_easy_setopt(e, CURLOPT_CAINFO, NULL) == CURLE_OK;
	ok = ok && curl_easy_setopt(e, CURLOPT_CAPATH, NULL) == CURLE_OK;
	ok = ok && curl_easy_setopt(e, CURLOPT_PROXY_SSL_VERIFYPEER, 1L) == CURLE_OK;
	ok = ok && curl_easy_setopt(e, CURLOPT_PROXY_SSL_VERIFYHOST, 2L) == CURLE_OK;
	ok = ok && curl_easy_setopt(e, CURLOPT_PROXY_CAINFO, NULL) == CURLE_OK;
	ok = ok && curl_easy_setopt(e, CURLOPT_PROXY_CAPATH, NULL) == CURLE_OK;
	ok = ok && curl_easy_setopt(e, CURLOPT_SSL_CTX_FUNCTION, on_tls_context) == CURLE_OK;
	ok = ok && curl_easy_setopt(e, CURLOPT_SSL_CTX_DATA, t) == CURLE_OK;
	return ok && curl_easy_setopt(e, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L) == CURLE_OK;
}

static bool
set_up_limits(CURL *e, struct transfer *t, int timeout_ms)
{
	int connect_ms = timeout_ms;

	if (t->h->connect_timeout_ms < connect_ms)
		connect_ms = (int)t->h->connect_timeout_ms;
	bool ok = curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L) == CURLE_OK;
	ok = ok && curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms) == CURLE_OK;
	ok = ok && curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)timeout_ms) == CURLE_OK;
	ok = ok && curl_easy_setopt(e, CURLOPT_LOW_SPEED_LIMIT, 1L) == CURLE_OK;
	ok = ok && curl_easy_setopt(e, CURLOPT_LOW_SPEED_TIME, (long)STALL_S) == CURLE_OK;
	ok = ok &&
		curl_easy_setopt(e, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)t->max_body) == CURLE_OK;
	ok = ok &&
		curl_easy_setopt(e, CURLOPT_MAXAGE_CONN, (long)CONNECTION_IDLE_MAX_S) == CURLE_OK;
	ok = ok &&
		curl_easy_setopt(e, CURLOPT_MAXLIFETIME_CONN, (long)CONNECTION_AGE_MAX_S) ==
			CURLE_OK;
	ok = ok && curl_easy_setopt(e, CURLOPT_MAXCONNECTS, 4L) == CURLE_OK;
	ok = ok && curl_easy_setopt(e, CURLOPT_TCP_NODELAY, 1L) == CURLE_OK;
	ok = ok &&
		curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK;
	ok = ok && curl_easy_setopt(e, CURLOPT_HTTP09_ALLOWED, 0L) == CURLE_OK;
	ok = ok && curl_easy_setopt(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L) == CURLE_OK;
	ok = ok && curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK;
	ok = ok && curl_easy_setopt(e, CURLOPT_HEADERDATA, t) == CURLE_OK;
	ok = ok && curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK;
	return ok && curl_easy_setopt(e, CURLOPT_WRITEDATA, t) == CURLE_OK;
}

static bool
set_up_request(CURL *e, CURLU *u, const struct vs_http_req *req, const struct headers *headers)
{
	bool ok = curl_easy_setopt(e, CURLOPT_CURLU, u) == CURLE_OK &&
		curl_easy_setopt(e, CURLOPT_HTTPHEADER, headers->list) == CURLE_OK;

	if (req->method == VS_HTTP_GET)
		return ok && curl_easy_setopt(e, CURLOPT_HTTPGET, 1L) == CURLE_OK;
	ok = ok && curl_easy_setopt(e, CURLOPT_POST, 1L) == CURLE_OK;
	ok = ok &&
		curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)req->body.n) ==
			CURLE_OK;
	return ok &&
		curl_easy_setopt(e, CURLOPT_POSTFIELDS,
			req->body.n > 0 ? (const char *)req->body.p : "") == CURLE_OK;
}

static VS_RC
transfer(struct transfer *t, const struct vs_http_req *req, const struct vs_url *url,
	struct vs_err *err)
{
	VS_CLEANUP(wipe_headers) struct headers headers = {0};
	char detail[CURL_ERROR_SIZE] = "";
	int timeout_ms = vs_clock_left_ms(&t->h->clock, req->deadline_boot_ns);

	if (timeout_ms == 0)
		VS_FAIL(err, TIMEOUT, "no time is left to ask %s", url->host);
	if (t->h->request_timeout_ms < timeout_ms)
		timeout_ms = (int)t->h->request_timeout_ms;
	VS_TRY(build_headers(req, &headers, err));
	CURLU *u = curl_url();
	if (u == NULL)
		VS_FAIL(err, MEMORY, "no memory for a request");
	vs_rc rc = parse_for_curl(req, url, u, err);
	CURLcode code = CURLE_OK;
	if (!vs_failed(rc)) {
		if (!set_up_security(t->easy, t, req, url) ||
			!set_up_limits(t->easy, t, timeout_ms) ||
			!set_up_request(t->easy, u, req, &headers) ||
			curl_easy_setopt(t->easy, CURLOPT_ERRORBUFFER, detail) != CURLE_OK)
			rc = vs_err_put(err, VS_E_INTERNAL, __func__, __LINE__, 0,
				"a setting of the HTTP library was refused");
		else
			code = curl_easy_perform(t->easy);
	}
	curl_url_cleanup(u);
	VS_TRY(rc);
	if (code != CURLE_OK)
		return explain(code, t, url->host,
			detail[0] != '\0' ? detail : curl_easy_strerror(code), err);
	if (curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &t->res->status) != CURLE_OK)
		VS_FAIL(err, INTERNAL, "the HTTP library gives no status");
	if (!vs_http_head_framed(&t->head, t->res->status))
		VS_FAIL_N(err, ANSWER, t->res->status, "an answer of %s does not state its length",
			url->host);
	return VS_OK;
}

static vs_rc
curl_perform(void *self, const struct vs_http_req *req, struct vs_http_res *ret, struct vs_err *err)
{
	struct vs_http_curl *h = self;
	VS_CLEANUP(vs_http_res_done) struct vs_http_res res = {.retry_after_s = -1};
	struct vs_url url = {0};

	VS_TRY(vs_http_check_req(req, err));
	VS_TRY(vs_url_parse(req->url, &url, err));
	struct transfer t = {
		.h = h,
		.easy = borrow_easy(h, &url),
		.res = &res,
		.max_body = req->max_body > 0 ? req->max_body : VS_HTTP_BODY_MAX,
	};
	if (t.easy == NULL)
		VS_FAIL(err, MEMORY, "no memory for a request to %s", url.host);
	/* libcurl and OpenSSL leave entries in this thread's error queue. */
	ERR_set_mark();
	const vs_rc rc = transfer(&t, req, &url, err);
	ERR_pop_to_mark();
	give_back_easy(h, t.easy, &url);
	VS_TRY(rc);
	*ret = res;
	res = (struct vs_http_res){0};
	return VS_OK;
}

struct vs_http
vs_http_curl_port(struct vs_http_curl *h)
{
	static const struct vs_http_ops ops = {
		.name = "libcurl", .version = 1, .perform = curl_perform};

	return (struct vs_http){.ops = &ops, .self = h};
}

const char *
vs_http_curl_version(void)
{
	return curl_version_info(CURLVERSION_NOW)->version;
}
