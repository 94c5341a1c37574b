/* SPDX-License-Identifier: BSD-2-Clause */
#include "lab/lab_req.h"

#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"

void
lab_reqmem_done(struct lab_reqmem *m)
{
	free(m->pool);
	vs_buf_done(&m->body);
	*m = (struct lab_reqmem){0};
}

/* ---- accessors ------------------------------------------------------------------------------ */

static const char *
find_pair(const struct lab_pair *pairs, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(pairs[i].name, name) == 0)
			return pairs[i].value;
	return NULL;
}

const char *
lab_req_header(const struct lab_req *req, const char *name)
{
	return find_pair(req->headers, req->n_headers, name);
}

const char *
lab_req_query(const struct lab_req *req, const char *name)
{
	return find_pair(req->query, req->n_query, name);
}

bool
lab_req_is(const struct lab_req *req, const char *method, const char *path)
{
	return strcmp(req->method, method) == 0 && strcmp(req->path, path) == 0;
}

json_t *
lab_req_json(const struct lab_req *req)
{
	if (req->body.n == 0)
		return NULL;
	return json_loadb((const char *)req->body.p, req->body.n, JSON_REJECT_DUPLICATES, NULL);
}

/* ---- text pool ------------------------------------------------------------------------------ */

/* Room for n characters and a NUL, already terminated; NULL is a bug in the sizing. */
static char *
pool_take(struct lab_reqmem *m, size_t n)
{
	if (m->pool_cap - m->pool_n < n + 1)
		return NULL;
	char *p = m->pool + m->pool_n;
	m->pool_n += n + 1;
	p[n] = '\0';
	return p;
}

static int
hex_digit(int c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Percent decoding into out (NUL-terminated); false for bad escapes and for NUL. */
static bool
percent_decode(struct vs_bytes in, bool plus, char *out)
{
	size_t o = 0;
	for (size_t i = 0; i < in.n; i++) {
		int c = in.p[i];
		if (c == '%') {
			if (in.n - i < 3)
				return false;
			const int hi = hex_digit(in.p[i + 1]), lo = hex_digit(in.p[i + 2]);
			if (hi < 0 || lo < 0)
				return false;
			c = hi * 16 + lo;
			i += 2;
		} else if (c == '+' && plus) {
			c = ' ';
		}
		if (c == 0)
			return false;
		out[o++] = (char)c;
	}
	out[o] = '\0';
	return true;
}

static VS_RC
take_decoded(
	struct lab_reqmem *m, struct vs_bytes in, bool plus, const char **ret, struct vs_err *err)
{
	char *p = pool_take(m, in.n);
	VS_REQUIRE(err, p != NULL);
	if (!percent_decode(in, plus, p))
		VS_FAIL(err, FORMAT, "bad percent escape in the request target");
	*ret = p;
	return VS_OK;
}

static struct vs_bytes
cut_at(struct vs_bytes *rest, char sep)
{
	const uint8_t *p = rest->n > 0 ? memchr(rest->p, sep, rest->n) : NULL;
	struct vs_bytes part = *rest;
	if (p == NULL) {
		*rest = (struct vs_bytes){0};
		return part;
	}
	part.n = (size_t)(p - rest->p);
	rest->n -= part.n + 1;
	rest->p = p + 1;
	return part;
}

/* ---- target --------------------------------------------------------------------------------- */

static VS_RC
parse_pairs(struct lab_reqmem *m, struct vs_bytes text, struct lab_pair *pairs, size_t max,
	size_t *n, struct vs_err *err)
{
	*n = 0;
	while (text.n > 0) {
		struct vs_bytes value = cut_at(&text, '&');
		if (value.n == 0)
			continue;
		if (*n == max)
			VS_FAIL(err, FORMAT, "too many parameters");
		const struct vs_bytes name = cut_at(&value, '=');
		VS_TRY(take_decoded(m, name, true, &pairs[*n].name, err));
		VS_TRY(take_decoded(m, value, true, &pairs[*n].value, err));
		(*n)++;
	}
	return VS_OK;
}

/* Clients double the first slash, and name a key without version as "/keys/n/" or "/keys/n//x". */
static VS_RC
parse_path(struct lab_reqmem *m, struct vs_bytes path, struct vs_err *err)
{
	struct lab_req *req = &m->req;
	while (path.n > 1 && path.p[0] == '/' && path.p[1] == '/') {
		path.p++;
		path.n--;
	}
	char *joined = pool_take(m, path.n);
	VS_REQUIRE(err, joined != NULL);
	if (!percent_decode(path, false, joined))
		VS_FAIL(err, FORMAT, "bad percent escape in the request target");
	req->path = joined;
	path.p++;
	path.n--;
	do {
		if (req->n_segments == LAB_SEGMENTS_MAX)
			VS_FAIL(err, FORMAT, "too many path segments");
		const bool last = path.n == 0 || memchr(path.p, '/', path.n) == NULL;
		const struct vs_bytes segment = cut_at(&path, '/');
		VS_TRY(take_decoded(m, segment, false, &req->segments[req->n_segments++], err));
		if (last)
			break;
	} while (true);
	return VS_OK;
}

static VS_RC
parse_request_line(struct lab_reqmem *m, struct vs_bytes line, struct vs_err *err)
{
	const struct vs_bytes method = cut_at(&line, ' ');
	const struct vs_bytes target = cut_at(&line, ' ');
	if (method.n == 0 || method.n > 10)
		VS_FAIL(err, FORMAT, "bad method");
	for (size_t i = 0; i < method.n; i++)
		if (method.p[i] < 'A' || method.p[i] > 'Z')
			VS_FAIL(err, FORMAT, "bad method");
	if (target.n == 0 || target.p[0] != '/')
		VS_FAIL(err, FORMAT, "the request target is not a path");
	for (size_t i = 0; i < target.n; i++)
		if (target.p[i] <= 0x20 || target.p[i] >= 0x7f)
			VS_FAIL(err, FORMAT,
				"the request target has characters that must be escaped");
	if (vs_bytes_eq_str(line, "HTTP/1.1"))
		m->keep_alive = true;
	else if (!vs_bytes_eq_str(line, "HTTP/1.0"))
		VS_FAIL(err, FORMAT, "unknown protocol version");
	char *text = pool_take(m, method.n);
	char *whole = pool_take(m, target.n);
	VS_REQUIRE(err, text != NULL && whole != NULL);
	memcpy(text, method.p, method.n);
	memcpy(whole, target.p, target.n);
	m->req.method = text;
	m->req.target = whole;
	struct vs_bytes query = target;
	const struct vs_bytes path = cut_at(&query, '?');
	VS_TRY(parse_path(m, path, err));
	return parse_pairs(m, query, m->req.query, LAB_QUERY_MAX, &m->req.n_query, err);
}

/* ---- headers -------------------------------------------------------------------------------- */

static bool
is_token_char(int c)
{
	return isalnum(c) || (c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static VS_RC
parse_header(struct lab_reqmem *m, struct vs_bytes line, struct vs_err *err)
{
	struct lab_req *req = &m->req;
	const uint8_t *colon = memchr(line.p, ':', line.n);
	if (colon == NULL || colon == line.p)
		VS_FAIL(err, FORMAT, "a header line without a name");
	if (req->n_headers == LAB_HEADERS_MAX)
		VS_FAIL(err, FORMAT, "too many headers");
	struct vs_bytes value = line;
	const struct vs_bytes name = cut_at(&value, ':');
	char *n = pool_take(m, name.n);
	while (value.n > 0 && (value.p[0] == ' ' || value.p[0] == '\t')) {
		value.p++;
		value.n--;
	}
	while (value.n > 0 && (value.p[value.n - 1] == ' ' || value.p[value.n - 1] == '\t'))
		value.n--;
	char *v = pool_take(m, value.n);
	VS_REQUIRE(err, n != NULL && v != NULL);
	for (size_t i = 0; i < name.n; i++) {
		if (!is_token_char(name.p[i]))
			VS_FAIL(err, FORMAT, "a header name with bad characters");
		n[i] = (char)tolower(name.p[i]);
	}
	for (size_t i = 0; i < value.n; i++) {
		if ((value.p[i] < 0x20 && value.p[i] != '\t') || value.p[i] == 0x7f)
			VS_FAIL(err, FORMAT, "a header value with control characters");
		v[i] = (char)value.p[i];
	}
	req->headers[req->n_headers++] = (struct lab_pair){n, v};
	return VS_OK;
}

static size_t
count_headers(const struct lab_req *req, const char *name)
{
	size_t count = 0;
	for (size_t i = 0; i < req->n_headers; i++)
		count += strcmp(req->headers[i].name, name) == 0;
	return count;
}

static VS_RC
parse_length(struct lab_reqmem *m, const char *text, struct vs_err *err)
{
	size_t length = 0;
	if (*text == '\0')
		VS_FAIL(err, FORMAT, "bad Content-Length");
	for (const char *p = text; *p != '\0'; p++) {
		if (*p < '0' || *p > '9' || length > LAB_BODY_MAX)
			VS_FAIL(err, FORMAT, "bad Content-Length");
		length = length * 10 + (size_t)(*p - '0');
	}
	if (length > LAB_BODY_MAX)
		VS_FAIL(err, LIMIT, "the request's body is too long");
	m->content_length = length;
	return VS_OK;
}

/* Framing: one Content-Length or chunked, never both (request smuggling). */
static VS_RC
judge_headers(struct lab_reqmem *m, struct vs_err *err)
{
	const struct lab_req *req = &m->req;
	const size_t lengths = count_headers(req, "content-length");
	const size_t encodings = count_headers(req, "transfer-encoding");
	if (lengths > 1 || encodings > 1 || lengths + encodings > 1)
		VS_FAIL(err, FORMAT, "the length of the request's body is ambiguous");
	if (m->keep_alive && count_headers(req, "host") != 1)
		VS_FAIL(err, FORMAT, "not exactly one Host header");
	if (lengths == 1)
		VS_TRY(parse_length(m, lab_req_header(req, "content-length"), err));
	if (encodings == 1) {
		if (strcasecmp(lab_req_header(req, "transfer-encoding"), "chunked") != 0)
			VS_FAIL(err, FORMAT, "unknown Transfer-Encoding");
		m->chunked = true;
	}
	const char *expect = lab_req_header(req, "expect");
	m->expect_continue = expect != NULL && strcasecmp(expect, "100-continue") == 0;
	const char *connection = lab_req_header(req, "connection");
	if (connection != NULL && strcasecmp(connection, "close") == 0)
		m->keep_alive = false;
	return VS_OK;
}

static VS_RC
cut_line(struct vs_bytes *rest, struct vs_bytes *line, struct vs_err *err)
{
	const uint8_t *lf = rest->n > 0 ? memchr(rest->p, '\n', rest->n) : NULL;
	if (lf == NULL || lf == rest->p || lf[-1] != '\r')
		VS_FAIL(err, FORMAT, "a line does not end in CR LF");
	*line = vs_bytes_of(rest->p, (size_t)(lf - rest->p) - 1);
	rest->n -= line->n + 2;
	rest->p = lf + 1;
	if (line->n > 0 && memchr(line->p, '\r', line->n) != NULL)
		VS_FAIL(err, FORMAT, "a bare CR in the head");
	return VS_OK;
}

VS_RC
lab_req_parse(struct vs_bytes head, struct lab_reqmem *ret, struct vs_err *err)
{
	struct lab_reqmem m = {.body = {.max = LAB_BODY_MAX}};
	m.req.service = ret->req.service;
	if (head.n > LAB_HEAD_MAX)
		VS_FAIL(err, LIMIT, "the request's head is too long");
	m.pool_cap = 4 * head.n + 1024;
	m.pool = calloc(1, m.pool_cap);
	if (m.pool == NULL)
		VS_FAIL(err, MEMORY, "out of memory");
	lab_reqmem_done(ret);
	*ret = m;
	struct vs_bytes line = {0};
	VS_TRY(cut_line(&head, &line, err));
	VS_TRY(parse_request_line(ret, line, err));
	for (;;) {
		VS_TRY(cut_line(&head, &line, err));
		if (line.n == 0)
			break;
		VS_TRY(parse_header(ret, line, err));
	}
	if (head.n != 0)
		VS_FAIL(err, FORMAT, "bytes behind the head");
	return judge_headers(ret, err);
}

VS_RC
lab_form_parse(struct vs_bytes body, struct lab_pair *pairs, size_t max, size_t *n, char **pool,
	struct vs_err *err)
{
	struct lab_reqmem m = {.pool_cap = body.n + 2 * max + 2};
	*n = 0;
	*pool = m.pool = calloc(1, m.pool_cap);
	if (m.pool == NULL)
		VS_FAIL(err, MEMORY, "out of memory");
	return parse_pairs(&m, body, pairs, max, n, err);
}
