/* SPDX-License-Identifier: BSD-2-Clause */
#include "proto/wire.h"

#include <string.h>

static void
put_be32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

void
vs_frame_put(const struct vs_frame *frame, uint8_t out[VS_WIRE_HEAD])
{
	out[0] = VS_WIRE_VERSION;
	out[1] = frame->type;
	out[2] = 0;
	out[3] = 0;
	put_be32(out + 4, frame->request);
	put_be32(out + 8, frame->length);
}

VS_RC
vs_frame_get(const uint8_t in[VS_WIRE_HEAD], struct vs_frame *ret, struct vs_err *err)
{
	struct vs_reader r = vs_reader_of(vs_bytes_of(in, VS_WIRE_HEAD));
	const uint8_t version = vs_get_u8(&r);
	const uint8_t type = vs_get_u8(&r);
	const uint16_t zero = vs_get_be16(&r);
	const uint32_t request = vs_get_be32(&r);
	const uint32_t length = vs_get_be32(&r);
	if (version != VS_WIRE_VERSION)
		VS_FAIL(err, WIRE, "the other end speaks protocol version %u, we speak %d", version,
			VS_WIRE_VERSION);
	if (zero != 0 || request == 0)
		VS_FAIL(err, WIRE, "a message head is not well formed");
	if (length > VS_WIRE_LENGTH_MAX)
		VS_FAIL(err, WIRE, "a message of %u bytes is over the limit of %d", length,
			VS_WIRE_LENGTH_MAX);
	*ret = (struct vs_frame){.type = type, .request = request, .length = length};
	return VS_OK;
}

void
vs_put_field(struct vs_writer *w, uint8_t tag, struct vs_bytes value)
{
	if (w->bad || value.n > UINT16_MAX || w->left < VS_WIRE_FIELD_HEAD + value.n) {
		w->bad = true;
		return;
	}
	w->p[0] = tag;
	w->p[1] = (uint8_t)(value.n >> 8);
	w->p[2] = (uint8_t)value.n;
	if (value.n > 0)
		memcpy(w->p + VS_WIRE_FIELD_HEAD, value.p, value.n);
	w->p += VS_WIRE_FIELD_HEAD + value.n;
	w->left -= VS_WIRE_FIELD_HEAD + value.n;
}

void
vs_put_u32(struct vs_writer *w, uint8_t tag, uint32_t value)
{
	uint8_t b[4] = {0};
	put_be32(b, value);
	vs_put_field(w, tag, vs_bytes_of(b, sizeof b));
}

void
vs_put_u64(struct vs_writer *w, uint8_t tag, uint64_t value)
{
	uint8_t b[8] = {0};
	put_be32(b, (uint32_t)(value >> 32));
	put_be32(b + 4, (uint32_t)value);
	vs_put_field(w, tag, vs_bytes_of(b, sizeof b));
}

struct vs_bytes
vs_get_field(struct vs_reader *r, uint8_t tag)
{
	const uint8_t seen = vs_get_u8(r);
	const uint16_t n = vs_get_be16(r);
	const struct vs_bytes none = {0};
	if (r->bad || seen != tag) {
		r->bad = true;
		return none;
	}
	return vs_get_bytes(r, n);
}
