/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The encoded catalog: format (1) | generation (8) | entries (4), then for each entry the numbers
 * and the fields of the table below, each with a 16-bit length.
 */
#include "proto/catalog.h"

#include <stdlib.h>
#include <string.h>

#include "base/codec.h"

enum { FORMAT_VERSION = 1, ENTRY_BYTES_MIN = 12 };
enum {
	ALL_OPS = VS_KOP_SIGN | VS_KOP_VERIFY | VS_KOP_ENCRYPT | VS_KOP_DECRYPT | VS_KOP_WRAP |
		VS_KOP_UNWRAP | VS_KOP_DERIVE
};

struct part {
	const char *name;
	size_t offset;
	uint16_t min, max;
	bool text;
};

#define PART(member_, min_, max_, text_) \
	{ \
#member_, offsetof(struct vs_cat_entry, member_), (min_), (max_), (text_) \
	}
static const struct part parts[] = {
	PART(name, 1, 127, true),
	PART(version, 0, 64, true),
	PART(kid, 0, 511, true),
	PART(id, 1, 64, false),
	PART(n, 0, 1024, false),
	PART(e, 0, 8, false),
	PART(x, 0, 66, false),
	PART(y, 0, 66, false),
	PART(cert, 0, 16384, false),
	PART(cert_subject, 0, 8192, false),
	PART(cert_issuer, 0, 8192, false),
	PART(cert_serial, 0, 64, false),
	PART(spki, 0, 2048, false),
};
enum { N_PARTS = sizeof parts / sizeof parts[0] };

void
vs_catalog_data_free(struct vs_catalog_data *c)
{
	if (!c)
		return;
	free(c->entries);
	vs_buf_done(&c->block);
	free(c);
}

static bool
part_ok(const struct part *part, struct vs_bytes v)
{
	return v.n >= part->min && v.n <= part->max && (!part->text || vs_utf8_ok(v));
}

/* Numbers that fit their type; the same on both ends. */
static bool
numbers_ok(const struct vs_cat_entry *e)
{
	if (e->type <= VS_KEY_NONE || e->type >= VS_KEY_COUNT_ || e->bits > 16384 ||
		(e->ops & ~(uint32_t)ALL_OPS) != 0)
		return false;
	switch (e->type) {
	case VS_KEY_RSA: return e->curve == VS_CURVE_NONE && e->n.n > 0 && e->e.n > 0;
	case VS_KEY_EC:
		return e->curve > VS_CURVE_NONE && e->curve < VS_CURVE_COUNT_ && e->x.n > 0 &&
			e->x.n == e->y.n;
	case VS_KEY_AES: return e->curve == VS_CURVE_NONE;
	case VS_KEY_SECRET: /* session objects only */
	case VS_KEY_NONE:
	case VS_KEY_COUNT_: break;
	}
	return false;
}

static VS_RC
encode_entry(const struct vs_cat_entry *e, struct vs_buf *out, struct vs_err *err)
{
	char name[80];
	if (!numbers_ok(e))
		VS_FAIL(err, FORMAT,
			"the catalog entry \"%s\" has a type, size or operation out of range",
			vs_quote(e->name, name, sizeof name));
	VS_TRY(vs_buf_add_u8(out, (uint8_t)e->type, err));
	VS_TRY(vs_buf_add_u8(out, (uint8_t)e->curve, err));
	VS_TRY(vs_buf_add_u8(out, e->enabled ? 1 : 0, err));
	VS_TRY(vs_buf_add_u8(out, 0, err));
	VS_TRY(vs_buf_add_be32(out, e->bits, err));
	VS_TRY(vs_buf_add_be32(out, e->ops, err));
	for (size_t i = 0; i < N_PARTS; i++) {
		const struct vs_bytes v =
			*(const struct vs_bytes *)(const void *)((const char *)e + parts[i].offset);
		if (!part_ok(&parts[i], v))
			VS_FAIL(err, FORMAT,
				"the %s of catalog entry \"%s\" is empty, too long or no text",
				parts[i].name, vs_quote(e->name, name, sizeof name));
		VS_TRY(vs_buf_add_be16(out, (uint16_t)v.n, err));
		VS_TRY(vs_buf_add(out, v.p, v.n, err));
	}
	return VS_OK;
}

VS_RC
vs_catalog_encode(const struct vs_catalog_data *c, struct vs_buf *out, struct vs_err *err)
{
	if (c->n > VS_CATALOG_ENTRIES_MAX)
		VS_FAIL(err, LIMIT, "a token has %zu keys, the limit is %d: name fewer in `keys`",
			c->n, VS_CATALOG_ENTRIES_MAX);
	VS_TRY(vs_buf_add_u8(out, FORMAT_VERSION, err));
	VS_TRY(vs_buf_add_be64(out, c->generation, err));
	VS_TRY(vs_buf_add_be32(out, (uint32_t)c->n, err));
	for (size_t i = 0; i < c->n; i++)
		VS_TRY(encode_entry(&c->entries[i], out, err));
	return VS_OK;
}

static bool
decode_entry(struct vs_reader *r, struct vs_cat_entry *e)
{
	const uint8_t type = vs_get_u8(r);
	const uint8_t curve = vs_get_u8(r);
	const uint8_t enabled = vs_get_u8(r);
	const uint8_t zero = vs_get_u8(r);
	e->bits = vs_get_be32(r);
	e->ops = vs_get_be32(r);
	if (type >= VS_KEY_COUNT_ || curve >= VS_CURVE_COUNT_ || enabled > 1 || zero != 0)
		return false;
	e->type = (enum vs_key_type)type;
	e->curve = (enum vs_curve)curve;
	e->enabled = enabled == 1;
	for (size_t i = 0; i < N_PARTS; i++) {
		const struct vs_bytes v = vs_get_bytes(r, vs_get_be16(r));
		if (r->bad || !part_ok(&parts[i], v))
			return false;
		*(struct vs_bytes *)(void *)((char *)e + parts[i].offset) = v;
	}
	return numbers_ok(e);
}

static void
catalog_cleanup(struct vs_catalog_data **c)
{
	vs_catalog_data_free(*c);
}

VS_RC
vs_catalog_decode(struct vs_buf *in, struct vs_catalog_data **ret, struct vs_err *err)
{
	if (in->n > VS_CATALOG_BYTES_MAX)
		VS_FAIL(err, LIMIT, "a catalog of %zu bytes is over the limit", in->n);
	VS_CLEANUP(catalog_cleanup) struct vs_catalog_data *c = calloc(1, sizeof *c);
	if (!c)
		VS_FAIL(err, MEMORY, "out of memory");
	vs_buf_move(&c->block, in);
	struct vs_reader r = vs_reader_of(vs_buf_view(&c->block));
	const uint8_t version = vs_get_u8(&r);
	c->generation = vs_get_be64(&r);
	const uint32_t n = vs_get_be32(&r);
	if (r.bad || version != FORMAT_VERSION || c->generation == 0)
		VS_FAIL(err, FORMAT, "a catalog has no usable head");
	if (n > VS_CATALOG_ENTRIES_MAX || n > r.left / ENTRY_BYTES_MIN)
		VS_FAIL(err, FORMAT, "a catalog announces more entries than it can have");
	c->entries = calloc(n > 0 ? n : 1, sizeof *c->entries);
	if (!c->entries)
		VS_FAIL(err, MEMORY, "out of memory");
	for (; c->n < n; c->n++)
		if (!decode_entry(&r, &c->entries[c->n]))
			VS_FAIL(err, FORMAT, "entry %zu of a catalog is malformed", c->n + 1);
	if (!vs_reader_done(&r))
		VS_FAIL(err, FORMAT, "a catalog has bytes behind its last entry");
	*ret = VS_TAKE(c);
	return VS_OK;
}
