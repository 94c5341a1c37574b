/* SPDX-License-Identifier: BSD-2-Clause */
#include "net/http.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "net/url.h"

const struct vs_http_retry vs_http_retry_service = {.tries = 3, .base_ms = 500, .max_ms = 8000};
const struct vs_http_retry vs_http_retry_imds = {
	.tries = 4, .base_ms = 1000, .max_ms = 8000, .imds = true};
const struct vs_http_retry vs_http_retry_none = {.tries = 1};

/* The metadata service answers 410 while its host is updated; it asks for 70 s of patience. */
enum { IMDS_GONE_TRIES = 8, IMDS_GONE_PAUSE_MS = 10000, ABSENT_TRIES = 3 };

void
vs_http_res_done(struct vs_http_res *res)
{
	if (res == NULL)
		return;
	if (res->body.p != NULL)
		vs_wipe(res->body.p, res->body.n);
	vs_buf_done(&res->body);
	vs_buf_done(&res->issuer_chain);
	*res = (struct vs_http_res){.retry_after_s = -1};
}

/* ---- reading headers ---------------------------------------------------------------------- */

static bool
is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

/* Days since 1970-01-01 of a date of the Gregorian calendar; month 1-12. */
static int64_t
days_from_civil(int64_t y, unsigned m, unsigned d)
{
	y -= m <= 2;
	const int64_t era = (y >= 0 ? y : y - 399) / 400;
	const int64_t yoe = y - era * 400;
	const int64_t doy = (153 * (int64_t)(m > 2 ? m - 3 : m + 9) + 2) / 5 + (int64_t)d - 1;
	const int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
	return era * 146097 + doe - 719468;
}

static bool
read_number(struct vs_bytes b, size_t at, size_t digits, unsigned *ret)
{
	unsigned v = 0;

	if (b.n < at + digits)
		return false;
	for (size_t i = at; i < at + digits; i++) {
		if (!is_digit(b.p[i]))
			return false;
		v = v * 10 + (unsigned)(b.p[i] - '0');
	}
	*ret = v;
	return true;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT"; the two obsolete forms are not sent by anything we talk to. */
static bool
parse_http_date(struct vs_bytes b, int64_t *ret)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	unsigned day = 0;
	unsigned year = 0;
	unsigned h = 0;
	unsigned m = 0;
	unsigned s = 0;

	if (b.n != 29 || memcmp(b.p + 3, ", ", 2) != 0 || memcmp(b.p + 25, " GMT", 4) != 0 ||
		b.p[7] != ' ' || b.p[11] != ' ' || b.p[16] != ' ' || b.p[19] != ':' ||
		b.p[22] != ':')
		return false;
	if (!read_number(b, 5, 2, &day) || !read_number(b, 12, 4, &year) ||
		!read_number(b, 17, 2, &h) || !read_number(b, 20, 2, &m) ||
		!read_number(b, 23, 2, &s))
		return false;
	if (day < 1 || day > 31 || h > 23 || m > 59 || s > 60)
		return false;
	for (unsigned i = 0; i < 12; i++) {
		if (memcmp(months + (size_t)3 * i, b.p + 8, 3) == 0) {
			*ret = days_from_civil((int64_t)year, i + 1, day) * 86400 + h * 3600 +
				m * 60 + s;
			return true;
		}
	}
	return false;
}

int64_t
vs_http_date(struct vs_bytes value)
{
	int64_t date = 0;

	return parse_http_date(value, &date) && date > 0 ? date : 0;
}

int64_t
vs_http_retry_after(struct vs_bytes value, int64_t now_unix)
{
	int64_t v = 0;
	int64_t date = 0;
	size_t i = 0;

	for (; i < value.n && is_digit(value.p[i]); i++) {
		if (v <= VS_HTTP_RETRY_AFTER_MAX_S)
			v = v * 10 + (value.p[i] - '0');
	}
	if (i == 0 || i != value.n) {
		if (!parse_http_date(value, &date))
			return -1;
		v = date > now_unix ? date - now_unix : 0;
	}
	return v > VS_HTTP_RETRY_AFTER_MAX_S ? VS_HTTP_RETRY_AFTER_MAX_S : v;
}

void
vs_http_content_type(struct vs_bytes value, char *out, size_t out_size)
{
	size_t n = 0;

	out[0] = '\0';
	while (n < value.n && value.p[n] != ';' && value.p[n] != ' ' && value.p[n] != '\t')
		n++;
	if (n >= out_size)
		return;
	for (size_t i = 0; i < n; i++) {
		const uint8_t c = value.p[i];
		out[i] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
	}
	out[n] = '\0';
}

bool
vs_http_header_ok(const char *line)
{
	static const char token[] =
		"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	const size_t name = strspn(line, token);

	if (name == 0 || line[name] != ':')
		return false;
	for (const char *p = line; *p != '\0'; p++) {
		if ((*p > 0 && *p < 0x20 && *p != '\t') || *p == 0x7f)
			return false;
	}
	return true;
}

static bool
bearer_ok(const struct vs_secret *b)
{
	for (size_t i = 0; i < b->n; i++) {
		const uint8_t c = b->p[i];
		const bool alnum = is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		if (!alnum && (c == '\0' || strchr("-._~+/=", c) == NULL))
			return false;
	}
	return b->n > 0;
}

vs_rc
vs_http_check_req(const struct vs_http_req *req, struct vs_err *err)
{
	struct vs_url u = {0};

	if (req->method != VS_HTTP_GET && req->method != VS_HTTP_POST)
		VS_FAIL(err, USAGE, "a request has no method");
	if (req->method == VS_HTTP_GET && req->body.n > 0)
		VS_FAIL(err, USAGE, "a GET request cannot have a body");
	VS_TRY(vs_url_parse(req->url, &u, err));
	if (!u.https && !(req->allow_plain && vs_url_plain_allowed(&u)))
		VS_FAIL(err, USAGE,
			"the address of %s is not https; plain http is spoken to the metadata "
			"service only",
			u.host);
	if (!u.https && req->bearer != NULL)
		VS_FAIL(err, USAGE, "an access token is never sent over plain http (to %s)",
			u.host);
	for (size_t i = 0; req->headers != NULL && req->headers[i] != NULL; i++) {
		if (!vs_http_header_ok(req->headers[i]))
			VS_FAIL(err, USAGE,
				"header %zu of a request to %s has characters that are not allowed",
				i + 1, u.host);
	}
	if (req->bearer != NULL && !bearer_ok(req->bearer))
		VS_FAIL(err, USAGE, "the access token for %s has characters that are not allowed",
			u.host);
	return VS_OK;
}

/* ---- retries ------------------------------------------------------------------------------ */

static void
pause_ms(const struct vs_net *net, int ms)
{
	struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	if (net->sleep_ms != NULL) {
		net->sleep_ms(net->sleep_self, ms);
		return;
	}
	while (clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, &ts) == EINTR)
		;
}

/* A fresh assignment takes a moment to spread; a wrong one is told after the same few tries. */
static bool
is_unknown_identity(const struct vs_http_res *res)
{
	static const char words[] = "Identity not found";

	return res->status == 400 && res->body.n > 0 &&
		memmem(res->body.p, res->body.n, words, sizeof words - 1) != NULL;
}

/* Worth another try? An error is so only if no answer came. */
static bool
is_passing(const struct vs_http_retry *retry, vs_rc rc, const struct vs_http_res *res)
{
	if (vs_failed(rc))
		return rc.code == VS_E_CONNECT;
	if (retry->imds && (res->status == 404 || res->status == 410 || is_unknown_identity(res)))
		return true;
	return res->status == 408 || res->status == 429 ||
		(res->status >= 500 && res->status <= 599);
}

static int
choose_pause(const struct vs_net *net, const struct vs_http_retry *retry, unsigned tried, vs_rc rc,
	const struct vs_http_res *res)
{
	uint32_t r = 0;
	int ms = retry->base_ms;

	for (unsigned i = 1; i < tried && ms < retry->max_ms; i++)
		ms *= 2;
	if (ms > retry->max_ms)
		ms = retry->max_ms;
	if (!vs_failed(rc) && retry->imds && res->status == 410)
		ms = IMDS_GONE_PAUSE_MS;
	if (!vs_failed(rc) && res->retry_after_s >= 0 && res->retry_after_s * 1000 > ms)
		ms = (int)res->retry_after_s * 1000;
	/* Without random bytes there is no jitter, which harms nobody's safety. */
	if (vs_failed(net->rng.ops->fill(net->rng.self, &r, sizeof r, NULL)))
		return ms;
	return ms + (int)(r % ((unsigned)ms / 2 + 1));
}

static unsigned
tries_for(const struct vs_http_retry *retry, vs_rc rc, const struct vs_http_res *res)
{
	if (!vs_failed(rc) && retry->imds && res->status == 410)
		return IMDS_GONE_TRIES;
	/* Long patience is for services that ask for it; one that is not there is told soon. */
	if (vs_failed(rc) && retry->tries > ABSENT_TRIES)
		return ABSENT_TRIES;
	return retry->tries;
}

vs_rc
vs_net_call(const struct vs_net *net, const struct vs_http_req *req,
	const struct vs_http_retry *retry, const char *who, struct vs_http_res *ret,
	struct vs_err *err)
{
	for (unsigned tried = 1;; tried++) {
		VS_CLEANUP(vs_http_res_done) struct vs_http_res res = {.retry_after_s = -1};
		const vs_rc rc = net->http.ops->perform(net->http.self, req, &res, err);
		bool again = is_passing(retry, rc, &res) && tried < tries_for(retry, rc, &res);
		const int ms = again ? choose_pause(net, retry, tried, rc, &res) : 0;

		if (again && vs_clock_left_ms(&net->clock, req->deadline_boot_ns) <= ms)
			again = false;
		if (again) {
			vs_log(&net->log, VS_LOG_INFO, "http",
				"%s: %s %ld, again in %d ms (try %u)", who,
				vs_failed(rc) ? vs_code_name(rc.code) : "status", res.status, ms,
				tried);
			pause_ms(net, ms);
			/* Overslept: the answer at hand says more than that no time is left. */
			if (vs_clock_left_ms(&net->clock, req->deadline_boot_ns) > 0)
				continue;
		}
		if (vs_failed(rc))
			return vs_err_while(rc, err, "asking %s", who);
		*ret = res;
		res = (struct vs_http_res){0};
		return VS_OK;
	}
}

vs_rc
vs_http_fail(const struct vs_http_res *res, const char *who, struct vs_err *err)
{
	if (res->status == 429)
		VS_FAIL_N(err, THROTTLED, res->status,
			"%s has too many requests and asks to come back later", who);
	if (res->status == 408 || res->status >= 500)
		VS_FAIL_N(err, UNAVAILABLE, res->status,
			"%s reports an error of its own (status %ld)", who, res->status);
	if (res->status >= 300 && res->status <= 399)
		VS_FAIL_N(err, ANSWER, res->status,
			"%s wants to send us elsewhere (status %ld); that is never followed", who,
			res->status);
	VS_FAIL_N(err, ANSWER, res->status, "%s gave an answer that is not usable (status %ld)",
		who, res->status);
}

vs_rc
vs_http_require_json(const struct vs_http_res *res, const char *who, struct vs_err *err)
{
	if (res->status != 200)
		return vs_http_fail(res, who, err);
	if (strcmp(res->content_type, "application/json") != 0)
		VS_FAIL_N(err, ANSWER, res->status, "%s answered with something that is not JSON",
			who);
	return VS_OK;
}
