/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as an address, as the head of an answer, as a value of its headers. */
#include <stdio.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "net/head.h"
#include "net/http.h"
#include "net/url.h"

static void
try_address(const char *text)
{
	struct vs_url u = {0};
	struct vs_url again = {0};
	char copy[VS_URL_HOST_MAX + 32];

	if (vs_failed(vs_url_parse(text, &u, NULL)))
		return;
	FUZZ_MUST(u.host[0] != '\0' && u.port != 0);
	FUZZ_MUST(u.target >= text && u.target <= text + strlen(text));
	FUZZ_MUST(strpbrk(u.host, "/@?#\\ %") == NULL);
	/* What was understood can be written down and is understood in the same way. */
	(void)snprintf(copy, sizeof copy, "%s://%s:%u", u.https ? "https" : "http", u.host,
		(unsigned)u.port);
	FUZZ_MUST(!vs_failed(vs_url_parse(copy, &again, NULL)) && vs_url_same_origin(&u, &again));
}

static void
try_head(struct vs_bytes all)
{
	struct vs_http_res res = {.retry_after_s = -1};
	struct vs_http_head h = {0};

	for (size_t at = 0; at < all.n && h.defect == NULL;) {
		const uint8_t *end = memchr(all.p + at, '\n', all.n - at);
		const size_t n = end != NULL ? (size_t)(end - (all.p + at)) + 1 : all.n - at;
		vs_http_head_line(&h, vs_bytes_of(all.p + at, n), 1700000000, &res);
		at += n;
	}
	FUZZ_MUST(res.retry_after_s >= -1 && res.retry_after_s <= VS_HTTP_RETRY_AFTER_MAX_S);
	FUZZ_MUST(memchr(res.content_type, '\0', sizeof res.content_type) != NULL);
	FUZZ_MUST(memchr(res.request_id, '\0', sizeof res.request_id) != NULL);
	FUZZ_MUST(memchr(res.www_authenticate, '\0', sizeof res.www_authenticate) != NULL);
	vs_http_res_done(&res);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct vs_bytes all = vs_bytes_of(data, size);
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf url = {0};
	struct vs_url u = {0};

	if (vs_failed(vs_buf_set(&text, data, size, NULL)))
		return 0;
	try_address(vs_buf_cstr(&text));
	try_head(all);
	(void)vs_http_retry_after(all, 1700000000);
	(void)vs_http_header_ok(vs_buf_cstr(&text));
	/* Whatever becomes part of an address stays where it was put. */
	if (!vs_failed(vs_buf_add_str(&url, "https://h/a", NULL)) && size < 1000 &&
		!vs_failed(vs_url_add_segment(&url, all, NULL)) &&
		!vs_failed(vs_url_add_query(&url, "q", all, NULL))) {
		FUZZ_MUST(!vs_failed(vs_url_parse(vs_buf_cstr(&url), &u, NULL)));
		FUZZ_MUST(strcmp(u.host, "h") == 0 && strncmp(u.target, "/a/", 3) == 0);
		FUZZ_MUST(strstr(u.target, "?q=") != NULL && strchr(u.target + 3, '/') == NULL);
	}
	return 0;
}
