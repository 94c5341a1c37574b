/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Strict text encodings and constant-time helpers. OpenSSL's base64 decoders accept white space
 * and non-zero unused bits, so these are ours.
 */
#ifndef VS_BASE_CODEC_H
#define VS_BASE_CODEC_H

#include "base/buf.h"

/* base64url without padding (RFC 7515 section 2): only A-Za-z0-9-_, length not 1 mod 4, unused
 * bits zero. Appends to out. Error: FORMAT. */
VS_RC vs_b64url_decode(struct vs_bytes in, struct vs_buf *out, struct vs_err *err);
VS_RC vs_b64url_encode(struct vs_bytes in, struct vs_buf *out, struct vs_err *err);
/* Standard base64 with mandatory padding (RFC 4648 section 4), canonical, no line breaks. */
VS_RC vs_b64_decode(struct vs_bytes in, struct vs_buf *out, struct vs_err *err);
VS_RC vs_b64_encode(struct vs_bytes in, struct vs_buf *out, struct vs_err *err);
/* Either alphabet, padding optional: for what services write themselves (facts/key-release 0). */
VS_RC vs_b64_any_decode(struct vs_bytes in, struct vs_buf *out, struct vs_err *err);
VS_RC vs_hex_decode(struct vs_bytes in, struct vs_buf *out, struct vs_err *err);
/* Lower case. */
VS_RC vs_hex_encode(struct vs_bytes in, struct vs_buf *out, struct vs_err *err);
/* out_size >= 2n+1 */
void vs_hex_str(const void *p, size_t n, char *out, size_t out_size);

/* Equality in time that depends on n only. */
bool vs_ct_eq(const void *a, const void *b, size_t n);
/* Valid UTF-8 without NUL. */
bool vs_utf8_ok(struct vs_bytes s);
/*
 * A sentence is one line of text: in place, control characters and what is no UTF-8, such as a
 * character that was cut, become '?'.
 */
void vs_text_clean(char *s);
/*
 * Foreign text for a sentence or a log line: control characters, invalid UTF-8 and quotes become
 * \xNN, cut with "..." so that it fits. Always terminated. Returns out.
 */
char *vs_quote(struct vs_bytes s, char *out, size_t out_size);
/* Edit distance for "did you mean", at most 32 characters looked at. */
unsigned vs_distance(const char *a, const char *b);
/*
 * A token's serial number: FNV-1a 64 of label, newline, vault origin, as 16 hex digits. A name
 * that is stable and the same in module and agent, not a protection.
 */
void vs_serial16(const char *label, const char *vault, char out[17]);

#endif
