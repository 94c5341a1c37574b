/* SPDX-License-Identifier: BSD-2-Clause */
/* Bytes: a borrowed view, and an owned buffer that has a mandatory maximum. Not for secrets. */
#ifndef VS_BASE_BUF_H
#define VS_BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

#include "vouchsafe/err.h"

struct vs_bytes {
	const uint8_t *p; /* may be NULL when n is 0 */
	size_t n;
};

/* A view of a C string without its NUL, or of any array. */
struct vs_bytes vs_bytes_str(const char *s);
struct vs_bytes vs_bytes_of(const void *p, size_t n);
/* Equal lengths and contents; not constant time, not for secrets. */
bool vs_bytes_eq(struct vs_bytes a, struct vs_bytes b);
bool vs_bytes_eq_str(struct vs_bytes a, const char *s);

/* Zero-initialise with a maximum: struct vs_buf b = { .max = 4096 }; p is always NUL-terminated
 * behind n once anything was put in, so text can be used as a C string. */
struct vs_buf {
	uint8_t *p;
	size_t n;
	size_t cap;
	size_t max; /* 0: VS_BUF_MAX_DEFAULT */
};

enum { VS_BUF_MAX_DEFAULT = 1 << 20 };

void vs_buf_done(struct vs_buf *b);
/* Length 0, memory kept. */
void vs_buf_reset(struct vs_buf *b);
/* Errors: MEMORY; LIMIT when the maximum would be passed. Nothing is changed on failure. */
VS_RC vs_buf_add(struct vs_buf *b, const void *p, size_t n, struct vs_err *err);
VS_RC vs_buf_add_str(struct vs_buf *b, const char *s, struct vs_err *err);
__attribute__((format(printf, 3, 4))) VS_RC
vs_buf_addf(struct vs_buf *b, struct vs_err *err, const char *fmt, ...);
VS_RC vs_buf_add_u8(struct vs_buf *b, uint8_t v, struct vs_err *err);
VS_RC vs_buf_add_be16(struct vs_buf *b, uint16_t v, struct vs_err *err);
VS_RC vs_buf_add_be32(struct vs_buf *b, uint32_t v, struct vs_err *err);
VS_RC vs_buf_add_be64(struct vs_buf *b, uint64_t v, struct vs_err *err);
/* Replace the contents (b keeps its maximum). */
VS_RC vs_buf_set(struct vs_buf *b, const void *p, size_t n, struct vs_err *err);
/* Make room for n more bytes and give a pointer to them; then set b->n yourself. */
VS_RC vs_buf_room(struct vs_buf *b, size_t n, uint8_t **ret, struct vs_err *err);
struct vs_bytes vs_buf_view(const struct vs_buf *b);
/* Move: dst is emptied first, src is empty afterwards. */
void vs_buf_move(struct vs_buf *dst, struct vs_buf *src);
const char *vs_buf_cstr(const struct vs_buf *b);

/* A bounded big-endian reader; after a failed get, bad is set and everything reads as 0. */
struct vs_reader {
	const uint8_t *p;
	size_t left;
	bool bad;
};
struct vs_reader vs_reader_of(struct vs_bytes b);
uint8_t vs_get_u8(struct vs_reader *r);
uint16_t vs_get_be16(struct vs_reader *r);
uint32_t vs_get_be32(struct vs_reader *r);
uint64_t vs_get_be64(struct vs_reader *r);
uint16_t vs_get_le16(struct vs_reader *r);
uint32_t vs_get_le32(struct vs_reader *r);
uint64_t vs_get_le64(struct vs_reader *r);
/* n bytes as a view; an empty view and bad when there are fewer. */
struct vs_bytes vs_get_bytes(struct vs_reader *r, size_t n);
/* TPM2B: 16-bit size, then that many bytes. */
struct vs_bytes vs_get_2b(struct vs_reader *r);
/* Everything was read and nothing was missing. */
bool vs_reader_done(const struct vs_reader *r);

#endif
