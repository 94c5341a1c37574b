/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames and bounded fields of the agent protocol. A frame is
 *
 *   version (1) | type (1) | zero (2) | request number (4) | length (4) | fields
 *
 * and a field is tag (1) | length (2) | bytes; all numbers big endian. Which fields a frame has,
 * in which order and how long they may be, says the table of msg.c.
 */
#ifndef VS_PROTO_WIRE_H
#define VS_PROTO_WIRE_H

#include "base/buf.h"

enum { VS_WIRE_VERSION = 1, VS_WIRE_HEAD = 12, VS_WIRE_FIELD_HEAD = 3, VS_WIRE_LENGTH_MAX = 65536 };

struct vs_frame {
	uint8_t type;
	uint32_t request; /* chosen by the asker, repeated in the answer; never 0 */
	uint32_t length; /* of the fields */
};

void vs_frame_put(const struct vs_frame *frame, uint8_t out[VS_WIRE_HEAD]);
/* Error: WIRE for another version, non-zero reserved bytes, request 0, a length over the limit. */
VS_RC vs_frame_get(const uint8_t in[VS_WIRE_HEAD], struct vs_frame *ret, struct vs_err *err);

/* Writes into memory of a known size; once it does not fit, bad is set and nothing is written. */
struct vs_writer {
	uint8_t *p;
	size_t left;
	bool bad;
};
void vs_put_field(struct vs_writer *w, uint8_t tag, struct vs_bytes value);
void vs_put_u32(struct vs_writer *w, uint8_t tag, uint32_t value);
void vs_put_u64(struct vs_writer *w, uint8_t tag, uint64_t value);

/* The next field's value, which must have this tag; sets r->bad otherwise. */
struct vs_bytes vs_get_field(struct vs_reader *r, uint8_t tag);

#endif
