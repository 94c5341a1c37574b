/* SPDX-License-Identifier: BSD-2-Clause */
#include "proto/msg.h"

#include <stdio.h>
#include <string.h>

#include "base/codec.h"

/* Table shorthand: name, tag, kind, struct, member, shortest, longest. */
#define F(tag_, kind_, type_, member_, min_, max_) \
	{ \
		.name = #member_, .tag = (tag_), .kind = VS_FIELD_##kind_, \
		.offset = offsetof(struct type_, member_), .min = (min_), .max = (max_) \
	}
#define LABEL(type_) F(1, TEXT, type_, label, 1, VS_MSG_LABEL_MAX)

/* clang-format off */
static const struct vs_msg_desc rows[] = {
	{VS_MSG_HELLO, "hello", sizeof(struct vs_msg_hello), false, false, 3, {
		F(1, U32, vs_msg_hello, protocol, 0, 0),
		F(2, TEXT, vs_msg_hello, path, 0, VS_MSG_PATH_MAX),
		F(3, U64, vs_msg_hello, boot_ns, 0, 0)}},
	{VS_MSG_TOKENS, "tokens", sizeof(struct vs_msg_tokens), false, false, 1, {
		F(1, U32, vs_msg_tokens, zero, 0, 0)}},
	{VS_MSG_CATALOG, "catalog", sizeof(struct vs_msg_catalog), false, false, 3, {
		LABEL(vs_msg_catalog),
		F(2, U64, vs_msg_catalog, known, 0, 0),
		F(3, U32, vs_msg_catalog, cursor, 0, 0)}},
	{VS_MSG_NEED, "need", sizeof(struct vs_msg_need), false, true, 3, {
		LABEL(vs_msg_need),
		F(2, U64, vs_msg_need, deadline_boot_ns, 0, 0),
		F(3, BYTES, vs_msg_need, pin, 0, VS_MSG_PIN_MAX)}},
	{VS_MSG_KEY, "key", sizeof(struct vs_msg_key), false, false, 5, {
		LABEL(vs_msg_key),
		F(2, BYTES, vs_msg_key, lease_id, VS_LEASE_ID_BYTES, VS_LEASE_ID_BYTES),
		F(3, TEXT, vs_msg_key, name, 1, VS_MSG_NAME_MAX),
		F(4, TEXT, vs_msg_key, version, 0, VS_MSG_VERSION_MAX),
		F(5, U64, vs_msg_key, deadline_boot_ns, 0, 0)}},
	{VS_MSG_STATUS, "status", sizeof(struct vs_msg_status), false, false, 1, {
		LABEL(vs_msg_status)}},
	{VS_MSG_HELLO_ANSWER, "hello answer", sizeof(struct vs_msg_hello_answer), false, false, 6, {
		F(1, U32, vs_msg_hello_answer, protocol, 0, 0),
		F(2, TEXT, vs_msg_hello_answer, program, 1, 64),
		F(3, BYTES, vs_msg_hello_answer, instance, 16, 16),
		F(4, U64, vs_msg_hello_answer, boot_ns, 0, 0),
		F(5, BOOL, vs_msg_hello_answer, mine, 0, 0),
		F(6, BOOL, vs_msg_hello_answer, lab, 0, 0)}},
	{VS_MSG_TOKENS_ANSWER, "tokens answer", sizeof(struct vs_msg_tokens_answer), false, false, 1, {
		F(1, BYTES, vs_msg_tokens_answer, list, 0, 8192)}},
	{VS_MSG_CATALOG_ANSWER, "catalog answer", sizeof(struct vs_msg_catalog_answer), false, false, 5, {
		F(1, BOOL, vs_msg_catalog_answer, unchanged, 0, 0),
		F(2, U64, vs_msg_catalog_answer, generation, 0, 0),
		F(3, U32, vs_msg_catalog_answer, total, 0, 0),
		F(4, U32, vs_msg_catalog_answer, cursor, 0, 0),
		F(5, BYTES, vs_msg_catalog_answer, data, 0, VS_MSG_CHUNK_MAX)}},
	{VS_MSG_NEED_ANSWER, "need answer", sizeof(struct vs_msg_need_answer), true, false, 1, {
		F(1, BYTES, vs_msg_need_answer, lease_id, VS_LEASE_ID_BYTES, VS_LEASE_ID_BYTES)}},
	{VS_MSG_KEY_ANSWER, "key answer", sizeof(struct vs_msg_key_answer), true, true, 2, {
		F(1, U32, vs_msg_key_answer, key_no, 0, 0),
		F(2, BYTES, vs_msg_key_answer, bytes, 1, VS_MSG_KEY_MAX)}},
	{VS_MSG_STATUS_ANSWER, "status answer", sizeof(struct vs_msg_status_answer), false, false, 8, {
		F(1, TEXT, vs_msg_status_answer, state, 1, VS_MSG_STATE_MAX),
		F(2, BOOL, vs_msg_status_answer, lab, 0, 0),
		F(3, U64, vs_msg_status_answer, lease_left_s, 0, 0),
		F(4, U32, vs_msg_status_answer, n_keys, 0, 0),
		F(5, U32, vs_msg_status_answer, n_peers, 0, 0),
		F(6, U32, vs_msg_status_answer, code, 0, 0),
		F(7, U64, vs_msg_status_answer, wall_unix, 0, 0),
		F(8, TEXT, vs_msg_status_answer, sentence, 0, VS_MSG_SENTENCE_MAX)}},
	{VS_MSG_ERROR, "error", sizeof(struct vs_msg_error), false, false, 1, {
		F(1, BYTES, vs_msg_error, frames, 1, VS_MSG_ERROR_BYTES_MAX)}},
};
/* clang-format on */

enum { N_ROWS = sizeof rows / sizeof rows[0] };

const struct vs_msg_desc *
vs_msg_row(size_t i)
{
	return i < N_ROWS ? &rows[i] : NULL;
}

const struct vs_msg_desc *
vs_msg_desc(uint8_t type)
{
	for (size_t i = 0; i < N_ROWS; i++)
		if (rows[i].type == type)
			return &rows[i];
	return NULL;
}

static size_t
value_size(const struct vs_msg_field *f, const void *msg)
{
	switch (f->kind) {
	case VS_FIELD_U32: return 4;
	case VS_FIELD_U64: return 8;
	case VS_FIELD_BOOL: return 1;
	case VS_FIELD_BYTES:
	case VS_FIELD_TEXT:
		return msg ? ((const struct vs_bytes *)((const char *)msg + f->offset))->n : f->max;
	case VS_FIELD_NONE:
	case VS_FIELD_COUNT_: break;
	}
	return 0;
}

static size_t
fields_size(const struct vs_msg_desc *desc, const void *msg)
{
	size_t n = 0;
	for (size_t i = 0; i < desc->n_fields; i++)
		n += VS_WIRE_FIELD_HEAD + value_size(&desc->fields[i], msg);
	return n;
}

size_t
vs_msg_length_max(const struct vs_msg_desc *desc)
{
	return fields_size(desc, NULL);
}

size_t
vs_msg_frame_size(const struct vs_msg_desc *desc, const void *msg)
{
	return VS_WIRE_HEAD + fields_size(desc, msg);
}

static bool
text_ok(struct vs_bytes s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < 0x20 || s.p[i] == 0x7f)
			return false;
	return vs_utf8_ok(s);
}

static void
put_value(struct vs_writer *w, const struct vs_msg_field *f, const void *msg)
{
	const char *p = (const char *)msg + f->offset;
	switch (f->kind) {
	case VS_FIELD_U32: vs_put_u32(w, f->tag, *(const uint32_t *)(const void *)p); return;
	case VS_FIELD_U64: vs_put_u64(w, f->tag, *(const uint64_t *)(const void *)p); return;
	case VS_FIELD_BOOL: {
		const uint8_t b = *(const bool *)(const void *)p ? 1 : 0;
		vs_put_field(w, f->tag, vs_bytes_of(&b, 1));
		return;
	}
	case VS_FIELD_BYTES:
	case VS_FIELD_TEXT: {
		const struct vs_bytes v = *(const struct vs_bytes *)(const void *)p;
		if (v.n < f->min || v.n > f->max || (f->kind == VS_FIELD_TEXT && !text_ok(v)))
			w->bad = true;
		else
			vs_put_field(w, f->tag, v);
		return;
	}
	case VS_FIELD_NONE:
	case VS_FIELD_COUNT_: break;
	}
	w->bad = true;
}

VS_RC
vs_msg_put(const struct vs_msg_desc *desc, const void *msg, uint32_t request, uint8_t *out,
	size_t out_size, size_t *ret_n, struct vs_err *err)
{
	const size_t length = fields_size(desc, msg);
	VS_REQUIRE(err, length <= VS_WIRE_LENGTH_MAX && out_size >= VS_WIRE_HEAD + length);
	const struct vs_frame frame = {
		.type = (uint8_t)desc->type, .request = request, .length = (uint32_t)length};
	vs_frame_put(&frame, out);
	struct vs_writer w = {.p = out + VS_WIRE_HEAD, .left = length};
	for (size_t i = 0; i < desc->n_fields; i++)
		put_value(&w, &desc->fields[i], msg);
	if (w.bad || w.left != 0)
		VS_FAIL(err, USAGE,
			"a field of the message \"%s\" has a length or text that is not allowed",
			desc->name);
	*ret_n = VS_WIRE_HEAD + length;
	return VS_OK;
}

VS_RC
vs_msg_add(enum vs_msg_type type, const void *msg, uint32_t request, struct vs_buf *out,
	struct vs_err *err)
{
	const struct vs_msg_desc *desc = vs_msg_desc((uint8_t)type);
	VS_REQUIRE(err, desc && !desc->secret);
	const size_t size = vs_msg_frame_size(desc, msg);
	uint8_t *p = NULL;
	VS_TRY(vs_buf_room(out, size, &p, err));
	size_t n = 0;
	VS_TRY(vs_msg_put(desc, msg, request, p, size, &n, err));
	out->n += n;
	return VS_OK;
}

/* False: the value has not the form its field demands. */
static bool
get_value(struct vs_reader *r, const struct vs_msg_field *f, void *ret)
{
	const struct vs_bytes v = vs_get_field(r, f->tag);
	char *p = (char *)ret + f->offset;
	struct vs_reader in = vs_reader_of(v);
	if (r->bad)
		return false;
	switch (f->kind) {
	case VS_FIELD_U32: *(uint32_t *)(void *)p = vs_get_be32(&in); return vs_reader_done(&in);
	case VS_FIELD_U64: *(uint64_t *)(void *)p = vs_get_be64(&in); return vs_reader_done(&in);
	case VS_FIELD_BOOL: {
		const uint8_t b = vs_get_u8(&in);
		*(bool *)(void *)p = b == 1;
		return vs_reader_done(&in) && b <= 1;
	}
	case VS_FIELD_BYTES:
	case VS_FIELD_TEXT:
		*(struct vs_bytes *)(void *)p = v;
		return v.n >= f->min && v.n <= f->max && (f->kind == VS_FIELD_BYTES || text_ok(v));
	case VS_FIELD_NONE:
	case VS_FIELD_COUNT_: break;
	}
	return false;
}

VS_RC
vs_msg_get(const struct vs_msg_desc *desc, struct vs_bytes payload, void *ret, struct vs_err *err)
{
	struct vs_reader r = vs_reader_of(payload);
	memset(ret, 0, desc->size);
	for (size_t i = 0; i < desc->n_fields; i++) {
		if (get_value(&r, &desc->fields[i], ret))
			continue;
		memset(ret, 0, desc->size);
		VS_FAIL(err, WIRE, "the field \"%s\" of a message \"%s\" is missing or malformed",
			desc->fields[i].name, desc->name);
	}
	if (!vs_reader_done(&r)) {
		memset(ret, 0, desc->size);
		VS_FAIL(err, WIRE, "a message \"%s\" has %zu bytes too many", desc->name, r.left);
	}
	return VS_OK;
}
