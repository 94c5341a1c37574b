/* SPDX-License-Identifier: BSD-2-Clause */
#include "evidence/cbor.h"

#include "base/codec.h"

enum { AI_U8 = 24, AI_U16, AI_U32, AI_U64, SIMPLE_FALSE = 20, SIMPLE_NULL = 22 };

static bool
bad(struct vs_reader *r)
{
	r->bad = true;
	return false;
}

bool
vs_cbor_head(struct vs_reader *r, enum vs_cbor_type *type, uint64_t *value)
{
	const uint8_t first = vs_get_u8(r);
	const unsigned ai = first & 31;
	uint64_t v = ai, least = 0;
	*type = (enum vs_cbor_type)(first >> 5);
	switch (ai) {
	case AI_U8:
		v = vs_get_u8(r);
		least = AI_U8;
		break;
	case AI_U16:
		v = vs_get_be16(r);
		least = 1U << 8;
		break;
	case AI_U32:
		v = vs_get_be32(r);
		least = 1U << 16;
		break;
	case AI_U64:
		v = vs_get_be64(r);
		least = UINT64_C(1) << 32;
		break;
	default: break;
	}
	*value = v;
	if (r->bad || ai > AI_U64 || v < least)
		return bad(r);
	if (*type == VS_CBOR_SIMPLE && (ai < SIMPLE_FALSE || ai > SIMPLE_NULL))
		return bad(r);
	if ((*type == VS_CBOR_ARRAY || *type == VS_CBOR_MAP) && v > VS_CBOR_ITEMS_MAX)
		return bad(r);
	return true;
}

bool
vs_cbor_expect(struct vs_reader *r, enum vs_cbor_type type, uint64_t *value)
{
	enum vs_cbor_type seen = VS_CBOR_SIMPLE;
	return (vs_cbor_head(r, &seen, value) && seen == type) || bad(r);
}

bool
vs_cbor_string(struct vs_reader *r, enum vs_cbor_type type, struct vs_bytes *ret)
{
	uint64_t n = 0;
	*ret = (struct vs_bytes){NULL, 0};
	if (!vs_cbor_expect(r, type, &n) || n > r->left)
		return bad(r);
	*ret = vs_get_bytes(r, (size_t)n);
	return !r->bad && (type != VS_CBOR_TEXT || vs_utf8_ok(*ret) || bad(r));
}

bool
vs_cbor_int(struct vs_reader *r, int64_t *ret)
{
	enum vs_cbor_type type = VS_CBOR_SIMPLE;
	uint64_t v = 0;
	if (!vs_cbor_head(r, &type, &v) || v > INT64_MAX ||
		(type != VS_CBOR_UINT && type != VS_CBOR_NEGATIVE))
		return bad(r);
	*ret = type == VS_CBOR_UINT ? (int64_t)v : -1 - (int64_t)v;
	return true;
}

/* Recursion is bounded by depth. */
static bool
skip(struct vs_reader *r, unsigned depth)
{
	enum vs_cbor_type type = VS_CBOR_SIMPLE;
	uint64_t n = 0;
	const struct vs_reader at = *r;
	struct vs_bytes text;
	if (depth == VS_CBOR_DEPTH_MAX || !vs_cbor_head(r, &type, &n))
		return bad(r);
	switch (type) {
	case VS_CBOR_BYTES:
	case VS_CBOR_TEXT: *r = at; return vs_cbor_string(r, type, &text);
	case VS_CBOR_MAP: n *= 2; break;
	case VS_CBOR_TAG: n = 1; break;
	case VS_CBOR_ARRAY: break;
	case VS_CBOR_UINT:
	case VS_CBOR_NEGATIVE:
	case VS_CBOR_SIMPLE: return true;
	}
	for (uint64_t i = 0; i < n; i++) {
		if (!skip(r, depth + 1))
			return false;
	}
	return true;
}

bool
vs_cbor_skip(struct vs_reader *r)
{
	return skip(r, 0);
}
