/* SPDX-License-Identifier: BSD-2-Clause */
#include "lab/lab_conn.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum {
	HANG_STEP_MS = 100,
	HANG_MAX_MS = 600 * 1000,
	DRIP_DEFAULT_MS = 100,
	SLOW_DEFAULT_MS = 50,
	SLOW_MAX_MS = 600 * 1000
};

static bool
stopping(const struct lab_conn *c)
{
	return __atomic_load_n(c->stopping, __ATOMIC_RELAXED) != 0;
}

void
lab_conn_reset(struct lab_conn *c)
{
	const struct linger linger = {.l_onoff = 1, .l_linger = 0};
	(void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

void
lab_conn_hang(struct lab_conn *c)
{
	for (int ms = 0; ms < HANG_MAX_MS && !stopping(c); ms += HANG_STEP_MS) {
		struct pollfd p = {.fd = c->fd, .events = POLLRDHUP};
		if (poll(&p, 1, HANG_STEP_MS) > 0)
			return;
	}
}

bool
lab_conn_write(struct lab_conn *c, const void *p, size_t n)
{
	const uint8_t *at = p;
	while (n > 0) {
		ssize_t w = 0;
		if (c->ssl != NULL)
			w = SSL_write(c->ssl, at, n > 16384 ? 16384 : (int)n);
		else
			w = send(c->fd, at, n, MSG_NOSIGNAL);
		if (w <= 0 && c->ssl == NULL && errno == EINTR)
			continue;
		if (w <= 0)
			return false;
		at += w;
		n -= (size_t)w;
	}
	return true;
}

/* Some more bytes into c->in. */
static bool
read_more(struct lab_conn *c)
{
	uint8_t *p = NULL;
	enum { STEP = 16384 };
	if (vs_failed(vs_buf_room(&c->in, STEP, &p, NULL)))
		return false;
	ssize_t r = 0;
	do
		r = c->ssl != NULL ? SSL_read(c->ssl, p, STEP) : recv(c->fd, p, STEP, 0);
	while (r < 0 && c->ssl == NULL && errno == EINTR);
	if (r <= 0)
		return false;
	c->in.n += (size_t)r;
	return true;
}

static void
drop_front(struct vs_buf *b, size_t n)
{
	memmove(b->p, b->p + n, b->n - n);
	b->n -= n;
}

static size_t
head_length(const struct vs_buf *in)
{
	const uint8_t *end = in->n >= 4 ? memmem(in->p, in->n, "\r\n\r\n", 4) : NULL;
	return end != NULL ? (size_t)(end - in->p) + 4 : 0;
}

bool
lab_conn_read_head(struct lab_conn *c, struct lab_reqmem *m, struct vs_err *err)
{
	size_t n = 0;
	while ((n = head_length(&c->in)) == 0) {
		if (c->in.n > LAB_HEAD_MAX) {
			(void)vs_err_put(err, VS_E_LIMIT, __func__, __LINE__, 0,
				"the request's head is too long");
			return true;
		}
		if (!read_more(c))
			return false;
	}
	const vs_rc rc = lab_req_parse(vs_bytes_of(c->in.p, n), m, err);
	drop_front(&c->in, n);
	(void)rc; /* err tells */
	return true;
}

static VS_RC
read_exactly(struct lab_conn *c, size_t n, struct vs_buf *out, struct vs_err *err)
{
	while (c->in.n < n)
		if (!read_more(c))
			VS_FAIL(err, FORMAT, "the connection ended inside the request's body");
	VS_TRY(vs_buf_add(out, c->in.p, n, err));
	drop_front(&c->in, n);
	return VS_OK;
}

static VS_RC
read_line(struct lab_conn *c, char *out, size_t size, struct vs_err *err)
{
	const uint8_t *lf = NULL;
	while (lf == NULL) {
		lf = c->in.n > 0 ? memchr(c->in.p, '\n', c->in.n) : NULL;
		if (lf == NULL && (c->in.n >= size || !read_more(c)))
			VS_FAIL(err, FORMAT, "a chunk line does not end");
	}
	const size_t n = (size_t)(lf - c->in.p);
	if (n == 0 || n >= size || lf[-1] != '\r')
		VS_FAIL(err, FORMAT, "a chunk line is not usable");
	memcpy(out, c->in.p, n - 1);
	out[n - 1] = '\0';
	drop_front(&c->in, n + 1);
	return VS_OK;
}

static VS_RC
chunk_size(const char *line, size_t *ret, struct vs_err *err)
{
	size_t n = 0, digits = 0;
	for (; *line != '\0' && *line != ';'; line++, digits++) {
		const char *hex = "0123456789abcdef";
		const char low = (char)(*line | (*line >= 'A' ? 0x20 : 0));
		const char *d = strchr(hex, low);
		if (d == NULL || digits == 7)
			VS_FAIL(err, FORMAT, "a chunk size is not usable");
		n = n * 16 + (size_t)(d - hex);
	}
	if (digits == 0)
		VS_FAIL(err, FORMAT, "a chunk size is missing");
	*ret = n;
	return VS_OK;
}

static VS_RC
read_chunks(struct lab_conn *c, struct vs_buf *out, struct vs_err *err)
{
	char line[128] = "";
	for (;;) {
		size_t n = 0;
		VS_TRY(read_line(c, line, sizeof(line), err));
		VS_TRY(chunk_size(line, &n, err));
		if (n > LAB_BODY_MAX)
			VS_FAIL(err, LIMIT, "the request's body is too long");
		if (n > 0)
			VS_TRY(read_exactly(c, n, out, err));
		VS_TRY(read_line(c, line, sizeof(line), err));
		if (line[0] != '\0')
			VS_FAIL(err, FORMAT, "bytes behind a chunk (trailers are not taken)");
		if (n == 0)
			return VS_OK;
	}
}

VS_RC
lab_conn_read_body(struct lab_conn *c, struct lab_reqmem *m, struct vs_err *err)
{
	vs_buf_reset(&m->body);
	if ((m->chunked || m->content_length > 0) && m->expect_continue) {
		static const char go[] = "HTTP/1.1 100 Continue\r\n\r\n";
		if (!lab_conn_write(c, go, sizeof(go) - 1))
			VS_FAIL(err, SOCKET, "the peer went away");
	}
	if (m->chunked)
		VS_TRY(read_chunks(c, &m->body, err));
	else if (m->content_length > 0)
		VS_TRY(read_exactly(c, m->content_length, &m->body, err));
	m->req.body = vs_buf_view(&m->body);
	return VS_OK;
}

/* ---- answers -------------------------------------------------------------------------------- */

static const char *
reason(int status)
{
	static const struct {
		int status;
		const char *text;
	} texts[] = {{200, "OK"}, {204, "No Content"}, {301, "Moved Permanently"}, {302, "Found"},
		{307, "Temporary Redirect"}, {308, "Permanent Redirect"}, {400, "Bad Request"},
		{401, "Unauthorized"}, {403, "Forbidden"}, {404, "Not Found"},
		{405, "Method Not Allowed"}, {408, "Request Timeout"}, {409, "Conflict"},
		{410, "Gone"}, {413, "Content Too Large"}, {415, "Unsupported Media Type"},
		{429, "Too Many Requests"}, {500, "Internal Server Error"}, {502, "Bad Gateway"},
		{503, "Service Unavailable"}, {504, "Gateway Timeout"}};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (texts[i].status == status)
			return texts[i].text;
	return "Unknown";
}

static VS_RC
add_length(struct vs_buf *out, const struct lab_resp *resp, const struct lab_fault *fault,
	struct vs_err *err)
{
	size_t n = resp->body.n;
	if (resp->chunked || fault->kind == LAB_FAULT_CHUNK_CUT)
		return vs_buf_add_str(out, "Transfer-Encoding: chunked\r\n", err);
	if (resp->status == 204)
		return VS_OK;
	if (fault->kind == LAB_FAULT_LENGTH_LONG)
		n += 100;
	else if (fault->kind == LAB_FAULT_LENGTH_SHORT)
		n /= 2;
	else if (fault->kind == LAB_FAULT_LENGTH_TWICE)
		VS_TRY(vs_buf_addf(out, err, "Content-Length: %zu\r\n", n / 2));
	return vs_buf_addf(out, err, "Content-Length: %zu\r\n", n);
}

static VS_RC
add_many_headers(struct vs_buf *out, struct vs_err *err)
{
	for (int i = 0; i < 10000; i++)
		VS_TRY(vs_buf_addf(out, err,
			"X-Lab-%d: "
			"0123456789012345678901234567890123456789012345678901234567890123456789"
			"0123456789\r\n",
			i));
	return VS_OK;
}

static VS_RC
make_head(struct vs_buf *out, const struct lab_resp *resp, const struct lab_fault *fault,
	bool keep_alive, int64_t clock_offset_s, struct vs_err *err)
{
	char date[40] = "";
	const time_t now = time(NULL) + (time_t)clock_offset_s;
	struct tm tm = {0};
	(void)strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &tm));
	VS_TRY(vs_buf_addf(out, err, "HTTP/1.1 %d %s\r\n", resp->status, reason(resp->status)));
	VS_TRY(add_length(out, resp, fault, err));
	if (resp->content_type[0] != '\0')
		VS_TRY(vs_buf_addf(out, err, "Content-Type: %s\r\n", resp->content_type));
	VS_TRY(vs_buf_add(out, resp->head.p, resp->head.n, err));
	VS_TRY(vs_buf_addf(out, err, "Date: %s\r\n", date));
	if (!keep_alive)
		VS_TRY(vs_buf_add_str(out, "Connection: close\r\n", err));
	if (fault->kind == LAB_FAULT_HEADERS)
		VS_TRY(add_many_headers(out, err));
	return vs_buf_add_str(out, "\r\n", err);
}

static VS_RC
add_body(struct vs_buf *out, const struct lab_resp *resp, const struct lab_fault *fault,
	struct vs_err *err)
{
	if (!resp->chunked && fault->kind != LAB_FAULT_CHUNK_CUT)
		return vs_buf_add(out, resp->body.p, resp->body.n, err);
	if (resp->body.n > 0) {
		VS_TRY(vs_buf_addf(out, err, "%zx\r\n", resp->body.n));
		VS_TRY(vs_buf_add(out, resp->body.p, resp->body.n, err));
		VS_TRY(vs_buf_add_str(out, "\r\n", err));
	}
	if (fault->kind != LAB_FAULT_CHUNK_CUT)
		VS_TRY(vs_buf_add_str(out, "0\r\n\r\n", err));
	return VS_OK;
}

static size_t
value_number(const struct lab_fault *fault, size_t otherwise)
{
	char *end = NULL;
	const unsigned long n = strtoul(fault->value, &end, 10);
	return fault->value[0] == '\0' || *end != '\0' ? otherwise : (size_t)n;
}

static void
wait_ms(size_t ms)
{
	const struct timespec pause = {
		.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000L};
	(void)nanosleep(&pause, NULL);
}

/* In steps, so that the lab can end meanwhile. */
static void
be_slow(const struct lab_conn *c, size_t ms)
{
	size_t left = ms < SLOW_MAX_MS ? ms : SLOW_MAX_MS;
	for (; left > HANG_STEP_MS && !stopping(c); left -= HANG_STEP_MS)
		wait_ms(HANG_STEP_MS);
	wait_ms(left);
}

static void
drip(struct lab_conn *c, const struct vs_buf *out, size_t ms)
{
	for (size_t i = 0; i < out->n && !stopping(c); i++) {
		if (!lab_conn_write(c, out->p + i, 1))
			return;
		wait_ms(ms);
	}
}

static void
send_garbage(struct lab_conn *c)
{
	uint8_t bytes[4096];
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 167 + 13);
	(void)lab_conn_write(c, bytes, sizeof(bytes));
}

/* What spoils the bytes; true: that was all, and the connection ends. */
static bool
spoil(struct lab_conn *c, const struct vs_buf *out, size_t head_n, const struct lab_fault *fault)
{
	size_t n = 0;
	switch ((int)fault->kind) {
	case LAB_FAULT_RESET_ANSWER: lab_conn_reset(c); return true;
	case LAB_FAULT_CLOSE: return true;
	case LAB_FAULT_GARBAGE: send_garbage(c); return true;
	case LAB_FAULT_STALL:
		if (lab_conn_write(c, out->p, head_n + (out->n - head_n) / 2))
			lab_conn_hang(c);
		return true;
	case LAB_FAULT_DRIP: drip(c, out, value_number(fault, DRIP_DEFAULT_MS)); return true;
	case LAB_FAULT_SLOW: be_slow(c, value_number(fault, SLOW_DEFAULT_MS)); return false;
	case LAB_FAULT_CUT:
		n = head_n + value_number(fault, 0);
		(void)lab_conn_write(c, out->p, n < out->n ? n : out->n);
		return true;
	case LAB_FAULT_LENGTH_LONG:
	case LAB_FAULT_LENGTH_SHORT:
	case LAB_FAULT_LENGTH_TWICE:
	case LAB_FAULT_CHUNK_CUT:
	case LAB_FAULT_HEADERS: (void)lab_conn_write(c, out->p, out->n); return true;
	default: return false;
	}
}

bool
lab_conn_answer(struct lab_conn *c, struct lab_resp *resp, const struct lab_fault *fault,
	bool head_only, bool keep_alive)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf out = {.max = 16 << 20};
	const bool go_on = keep_alive && !resp->close;
	if (vs_failed(make_head(&out, resp, fault, go_on, c->clock_offset_s, NULL)))
		return false;
	const size_t head_n = out.n;
	if (!head_only && resp->status != 204 && vs_failed(add_body(&out, resp, fault, NULL)))
		return false;
	if (spoil(c, &out, head_n, fault))
		return false;
	return lab_conn_write(c, out.p, out.n) && go_on;
}
