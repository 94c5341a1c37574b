/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What every user of HTTP here shares: retries within a deadline, and reading of headers. One
 * request without retries is struct vs_http (provider.h); http_curl.h makes a real one.
 */
#ifndef VS_NET_HTTP_H
#define VS_NET_HTTP_H

#include "vouchsafe/ports.h"
#include "vouchsafe/provider.h"

enum {
	VS_HTTP_RETRY_AFTER_MAX_S = 60,
	VS_HTTP_BODY_MAX = 1 << 20,
	VS_HTTP_HEADERS_MAX = 64 * 1024
};

/* All that talking needs; copied by value into whoever talks. */
struct vs_net {
	struct vs_http http;
	struct vs_clock clock;
	struct vs_rng rng; /* jitter */
	struct vs_log log;
	void (*sleep_ms)(void *self, int ms); /* NULL: clock_nanosleep */
	void *sleep_self;
};

struct vs_http_retry {
	unsigned tries; /* in all, at least 1 */
	int base_ms; /* first pause; doubles, with jitter of up to a half on top */
	int max_ms; /* longest pause that is not asked for by the service */
	bool imds; /* 404, 410, unknown identities are passing states, too; 410 lasts up to 70 s */
};
/* Services on the network: 3 tries, 0.5 s. The metadata service: 4 tries, 1 s, 410 longer. */
extern const struct vs_http_retry vs_http_retry_service;
extern const struct vs_http_retry vs_http_retry_imds;
extern const struct vs_http_retry vs_http_retry_none;

/*
 * Perform with retries after CONNECT errors, 408, 429 and 5xx while the deadline of req allows;
 * Retry-After is honoured. A pause that would pass the deadline is not begun: then the last answer
 * or error is handed out. Any complete answer is success, whatever its status.
 * who: "the vault", for messages. Errors: those of vs_http_ops.perform.
 */
VS_RC vs_net_call(const struct vs_net *net, const struct vs_http_req *req,
	const struct vs_http_retry *retry, const char *who, struct vs_http_res *ret,
	struct vs_err *err);

/*
 * What an answer that is not 200 says in general: 429 THROTTLED, 408 and 5xx UNAVAILABLE, 3xx and
 * all others ANSWER, foreign = status. Never success.
 */
VS_RC vs_http_fail(const struct vs_http_res *res, const char *who, struct vs_err *err);
/* Status 200 and content type application/json, else as vs_http_fail or ANSWER. */
VS_RC vs_http_require_json(const struct vs_http_res *res, const char *who, struct vs_err *err);

/* Seconds or an HTTP date; capped at VS_HTTP_RETRY_AFTER_MAX_S, -1 for anything else. */
int64_t vs_http_retry_after(struct vs_bytes value, int64_t now_unix);
/* An HTTP date ("Sun, 06 Nov 1994 08:49:37 GMT") as seconds since 1970; 0 for anything else. */
int64_t vs_http_date(struct vs_bytes value);
/* "Application/JSON; charset=utf-8" -> "application/json"; empty when it does not fit. */
void vs_http_content_type(struct vs_bytes value, char *out, size_t out_size);
/* No control character; a colon after a token name. */
bool vs_http_header_ok(const char *line);
/* Checks a request before it is sent: address, plain only where allowed, headers, method. Error:
 * USAGE. */
VS_RC vs_http_check_req(const struct vs_http_req *req, struct vs_err *err);

#endif
