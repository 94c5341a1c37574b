/* SPDX-License-Identifier: BSD-2-Clause */
#include "net/head.h"

#include <string.h>

#include "base/codec.h"
#include "net/http.h"

static bool
header_is(struct vs_bytes line, const char *name, struct vs_bytes *ret_value)
{
	const size_t n = strlen(name);

	if (line.n <= n || line.p[n] != ':')
		return false;
	for (size_t i = 0; i < n; i++) {
		const uint8_t c = line.p[i];
		if ((c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c) != (uint8_t)name[i])
			return false;
	}
	struct vs_bytes v = {.p = line.p + n + 1, .n = line.n - n - 1};
	while (v.n > 0 && (v.p[0] == ' ' || v.p[0] == '\t')) {
		v.p++;
		v.n--;
	}
	while (v.n > 0 && v.p[v.n - 1] != '\0' && strchr(" \t\r\n", v.p[v.n - 1]) != NULL)
		v.n--;
	*ret_value = v;
	return true;
}

static void
copy_value(struct vs_bytes value, char *out, size_t out_size)
{
	out[0] = '\0';
	if (value.n >= out_size || memchr(value.p, '\0', value.n) != NULL)
		return;
	memcpy(out, value.p, value.n);
	out[value.n] = '\0';
}

/* What does not fit is as good as not sent: the statement is then refused. */
static void
copy_chain(struct vs_bytes value, struct vs_buf *out)
{
	out->max = VS_HTTP_HEADERS_MAX;
	if (vs_failed(vs_buf_set(out, value.p, value.n, NULL)))
		vs_buf_reset(out);
}

/* Both at once, or one of them twice, is how answers are smuggled past each other. */
static void
note_framing(struct vs_http_head *h, bool *seen)
{
	if (h->has_length || h->has_transfer_encoding)
		h->defect = "states its length twice";
	*seen = true;
}

void
vs_http_head_line(
	struct vs_http_head *h, struct vs_bytes line, int64_t now_unix, struct vs_http_res *res)
{
	struct vs_bytes v = {0};

	h->bytes += line.n;
	if (h->bytes > VS_HTTP_HEADERS_MAX) {
		h->defect = "has too many headers";
		return;
	}
	/* A new status line: what an interim answer (100) said does not count. */
	if (res->body.n == 0 && line.n >= 5 && memcmp(line.p, "HTTP/", 5) == 0) {
		vs_http_res_done(res);
		h->has_length = h->has_transfer_encoding = h->done = false;
		return;
	}
	if (line.n <= 2)
		h->done = true;
	if (h->done)
		return;
	if (header_is(line, "content-type", &v))
		vs_http_content_type(v, res->content_type, sizeof res->content_type);
	else if (header_is(line, "x-ms-request-id", &v))
		vs_quote(v, res->request_id, sizeof res->request_id);
	else if (header_is(line, "www-authenticate", &v))
		copy_value(v, res->www_authenticate, sizeof res->www_authenticate);
	else if (header_is(line, "tcb-info-issuer-chain", &v) ||
		header_is(line, "sgx-enclave-identity-issuer-chain", &v))
		copy_chain(v, &res->issuer_chain);
	else if (header_is(line, "date", &v))
		res->date_unix = vs_http_date(v);
	else if (header_is(line, "retry-after", &v))
		res->retry_after_s = vs_http_retry_after(v, now_unix);
	else if (header_is(line, "content-length", &v))
		note_framing(h, &h->has_length);
	else if (header_is(line, "transfer-encoding", &v))
		note_framing(h, &h->has_transfer_encoding);
	else if (header_is(line, "content-encoding", &v) && v.n > 0 &&
		!vs_bytes_eq_str(v, "identity"))
		h->defect = "is compressed, which was not asked for";
}

bool
vs_http_head_framed(const struct vs_http_head *h, long status)
{
	return h->has_length || h->has_transfer_encoding || status == 204 || status == 304;
}
