/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading CBOR (RFC 8949) in its one canonical spelling: shortest lengths, nothing of indefinite
 * length, no floating point. So every value has exactly one text.
 */
#ifndef VS_EVIDENCE_CBOR_H
#define VS_EVIDENCE_CBOR_H

#include "base/buf.h"

enum vs_cbor_type {
	VS_CBOR_UINT = 0,
	VS_CBOR_NEGATIVE, /* the number is -1 - value */
	VS_CBOR_BYTES,
	VS_CBOR_TEXT,
	VS_CBOR_ARRAY,
	VS_CBOR_MAP,
	VS_CBOR_TAG,
	VS_CBOR_SIMPLE, /* false, true, null only */
};

enum { VS_CBOR_DEPTH_MAX = 8, VS_CBOR_ITEMS_MAX = 64 };

/*
 * The head of the next item. value: the number, the tag, the length in bytes or in items; of an
 * array or map at most VS_CBOR_ITEMS_MAX. False, with r->bad set: not canonical, cut off, too long.
 */
bool vs_cbor_head(struct vs_reader *r, enum vs_cbor_type *type, uint64_t *value);
/* An item that must be of this type; of arrays and maps the number of items. */
bool vs_cbor_expect(struct vs_reader *r, enum vs_cbor_type type, uint64_t *value);
/* A byte or text string as a view; text must be UTF-8. */
bool vs_cbor_string(struct vs_reader *r, enum vs_cbor_type type, struct vs_bytes *ret);
/* An integer that fits. */
bool vs_cbor_int(struct vs_reader *r, int64_t *ret);
/* Over one whole item, whatever it is. */
bool vs_cbor_skip(struct vs_reader *r);

#endif
