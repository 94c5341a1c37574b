/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct vs_bytes
vs_bytes_of(const void *p, size_t n)
{
	return (struct vs_bytes){.p = p, .n = n};
}

struct vs_bytes
vs_bytes_str(const char *s)
{
	return vs_bytes_of(s, s ? strlen(s) : 0);
}

bool
vs_bytes_eq(struct vs_bytes a, struct vs_bytes b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool
vs_bytes_eq_str(struct vs_bytes a, const char *s)
{
	return vs_bytes_eq(a, vs_bytes_str(s));
}

void
vs_buf_done(struct vs_buf *b)
{
	const size_t max = b->max;
	free(b->p);
	*b = (struct vs_buf){.max = max};
}

void
vs_buf_reset(struct vs_buf *b)
{
	b->n = 0;
	if (b->p)
		b->p[0] = '\0';
}

VS_RC
vs_buf_room(struct vs_buf *b, size_t n, uint8_t **ret, struct vs_err *err)
{
	const size_t max = b->max ? b->max : VS_BUF_MAX_DEFAULT;
	if (n > max || b->n > max - n)
		VS_FAIL(err, LIMIT, "more than %zu bytes where at most that many are allowed", max);
	const size_t need = b->n + n + 1;
	if (need > b->cap) {
		size_t cap = b->cap ? b->cap : 64;
		while (cap < need)
			cap *= 2;
		uint8_t *p = realloc(b->p, cap);
		if (!p)
			VS_FAIL(err, MEMORY, "out of memory for %zu bytes", cap);
		b->p = p;
		b->cap = cap;
	}
	b->p[b->n] = '\0';
	*ret = b->p + b->n;
	return VS_OK;
}

VS_RC
vs_buf_add(struct vs_buf *b, const void *p, size_t n, struct vs_err *err)
{
	uint8_t *to;
	VS_TRY(vs_buf_room(b, n, &to, err));
	if (n)
		memmove(to, p, n);
	b->n += n;
	b->p[b->n] = '\0';
	return VS_OK;
}

VS_RC
vs_buf_add_str(struct vs_buf *b, const char *s, struct vs_err *err)
{
	return vs_buf_add(b, s, strlen(s), err);
}

VS_RC
vs_buf_addf(struct vs_buf *b, struct vs_err *err, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	const int w = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	VS_REQUIRE(err, w >= 0);
	uint8_t *to;
	VS_TRY(vs_buf_room(b, (size_t)w, &to, err));
	va_start(ap, fmt);
	(void)vsnprintf((char *)to, (size_t)w + 1, fmt, ap);
	va_end(ap);
	b->n += (size_t)w;
	return VS_OK;
}

VS_RC
vs_buf_add_u8(struct vs_buf *b, uint8_t v, struct vs_err *err)
{
	return vs_buf_add(b, &v, 1, err);
}

static VS_RC
add_be(struct vs_buf *b, uint64_t v, size_t n, struct vs_err *err)
{
	uint8_t t[8];
	for (size_t i = 0; i < n; i++)
		t[i] = (uint8_t)(v >> (8 * (n - 1 - i)));
	return vs_buf_add(b, t, n, err);
}

VS_RC
vs_buf_add_be16(struct vs_buf *b, uint16_t v, struct vs_err *err)
{
	return add_be(b, v, 2, err);
}

VS_RC
vs_buf_add_be32(struct vs_buf *b, uint32_t v, struct vs_err *err)
{
	return add_be(b, v, 4, err);
}

VS_RC
vs_buf_add_be64(struct vs_buf *b, uint64_t v, struct vs_err *err)
{
	return add_be(b, v, 8, err);
}

VS_RC
vs_buf_set(struct vs_buf *b, const void *p, size_t n, struct vs_err *err)
{
	struct vs_buf fresh = {.max = b->max};
	VS_TRY(vs_buf_add(&fresh, p, n, err));
	free(b->p);
	*b = fresh;
	return VS_OK;
}

struct vs_bytes
vs_buf_view(const struct vs_buf *b)
{
	return vs_bytes_of(b->p, b->n);
}

void
vs_buf_move(struct vs_buf *dst, struct vs_buf *src)
{
	free(dst->p);
	*dst = *src;
	*src = (struct vs_buf){.max = dst->max};
}

const char *
vs_buf_cstr(const struct vs_buf *b)
{
	return b->p ? (const char *)b->p : "";
}

struct vs_reader
vs_reader_of(struct vs_bytes b)
{
	return (struct vs_reader){.p = b.p, .left = b.n};
}

struct vs_bytes
vs_get_bytes(struct vs_reader *r, size_t n)
{
	if (r->bad || n > r->left) {
		r->bad = true;
		return (struct vs_bytes){0};
	}
	const struct vs_bytes b = {.p = r->p, .n = n};
	if (n) {
		r->p += n;
		r->left -= n;
	}
	return b;
}

static uint64_t
get_be(struct vs_reader *r, size_t n)
{
	const struct vs_bytes b = vs_get_bytes(r, n);
	uint64_t v = 0;
	for (size_t i = 0; i < b.n; i++)
		v = v << 8 | b.p[i];
	return v;
}

static uint64_t
get_le(struct vs_reader *r, size_t n)
{
	const struct vs_bytes b = vs_get_bytes(r, n);
	uint64_t v = 0;
	for (size_t i = b.n; i > 0; i--)
		v = v << 8 | b.p[i - 1];
	return v;
}

uint8_t
vs_get_u8(struct vs_reader *r)
{
	return (uint8_t)get_be(r, 1);
}

uint16_t
vs_get_be16(struct vs_reader *r)
{
	return (uint16_t)get_be(r, 2);
}

uint32_t
vs_get_be32(struct vs_reader *r)
{
	return (uint32_t)get_be(r, 4);
}

uint64_t
vs_get_be64(struct vs_reader *r)
{
	return get_be(r, 8);
}

uint16_t
vs_get_le16(struct vs_reader *r)
{
	return (uint16_t)get_le(r, 2);
}

uint32_t
vs_get_le32(struct vs_reader *r)
{
	return (uint32_t)get_le(r, 4);
}

uint64_t
vs_get_le64(struct vs_reader *r)
{
	return get_le(r, 8);
}

struct vs_bytes
vs_get_2b(struct vs_reader *r)
{
	const uint16_t n = vs_get_be16(r);
	return vs_get_bytes(r, n);
}

bool
vs_reader_done(const struct vs_reader *r)
{
	return !r->bad && r->left == 0;
}
