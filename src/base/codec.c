/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/codec.h"

#include <stdio.h>
#include <string.h>

static const char url_alphabet[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
static const char std_alphabet[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

enum alphabet { URL = 1, STD = 2, EITHER = 3 };

/* Value of a digit of both alphabets, plus one; 0: none. The last two digits differ. */
/* clang-format off */
static const uint8_t digit_table[256] = {
	['A'] = 1, ['B'] = 2, ['C'] = 3, ['D'] = 4, ['E'] = 5, ['F'] = 6, ['G'] = 7, ['H'] = 8,
	['I'] = 9, ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15,
	['P'] = 16, ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22,
	['W'] = 23, ['X'] = 24, ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29,
	['d'] = 30, ['e'] = 31, ['f'] = 32, ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36,
	['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40, ['o'] = 41, ['p'] = 42, ['q'] = 43,
	['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48, ['w'] = 49, ['x'] = 50,
	['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56, ['4'] = 57,
	['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62,
};
/* clang-format on */

static inline int
digit_value(uint8_t c, enum alphabet a)
{
	if (digit_table[c] != 0)
		return digit_table[c] - 1;
	if (((a & URL) && c == '-') || ((a & STD) && c == '+'))
		return 62;
	if (((a & URL) && c == '_') || ((a & STD) && c == '/'))
		return 63;
	return -1;
}

/* in has no padding; unused bits must be zero, so every byte string has exactly one text. */
static VS_RC
decode_digits(struct vs_bytes in, enum alphabet a, struct vs_buf *out, struct vs_err *err)
{
	if (in.n % 4 == 1)
		VS_FAIL(err, FORMAT, "base64 text has an impossible length (%zu)", in.n);
	uint8_t *to;
	VS_TRY(vs_buf_room(out, in.n / 4 * 3 + 3, &to, err));
	uint32_t bits = 0;
	unsigned n_bits = 0;
	size_t n = 0, i = 0;
	/* Four digits at a time; what is odd is left to the loop below, which names its place. */
	for (; i + 4 <= in.n; i += 4) {
		const int a0 = digit_value(in.p[i], a), a1 = digit_value(in.p[i + 1], a);
		const int a2 = digit_value(in.p[i + 2], a), a3 = digit_value(in.p[i + 3], a);
		if ((a0 | a1 | a2 | a3) < 0)
			break;
		to[n++] = (uint8_t)(a0 << 2 | a1 >> 4);
		to[n++] = (uint8_t)(a1 << 4 | a2 >> 2);
		to[n++] = (uint8_t)(a2 << 6 | a3);
	}
	for (; i < in.n; i++) {
		const int v = digit_value(in.p[i], a);
		if (v < 0)
			VS_FAIL(err, FORMAT,
				"base64 text has a character that is not allowed at %zu", i);
		bits = (bits << 6 | (uint32_t)v) & 0xffffff;
		n_bits += 6;
		if (n_bits >= 8) {
			n_bits -= 8;
			to[n++] = (uint8_t)(bits >> n_bits);
		}
	}
	if (bits & ((UINT32_C(1) << n_bits) - 1))
		VS_FAIL(err, FORMAT, "base64 text has unused bits that are not zero");
	out->n += n;
	out->p[out->n] = '\0';
	return VS_OK;
}

VS_RC
vs_b64url_decode(struct vs_bytes in, struct vs_buf *out, struct vs_err *err)
{
	return decode_digits(in, URL, out, err);
}

static size_t
padding_of(struct vs_bytes in)
{
	size_t pad = 0;
	while (pad < 2 && pad < in.n && in.p[in.n - 1 - pad] == '=')
		pad++;
	return pad;
}

VS_RC
vs_b64_decode(struct vs_bytes in, struct vs_buf *out, struct vs_err *err)
{
	if (in.n % 4 != 0)
		VS_FAIL(err, FORMAT, "base64 text has a length that is no multiple of 4 (%zu)",
			in.n);
	return decode_digits(vs_bytes_of(in.p, in.n - padding_of(in)), STD, out, err);
}

VS_RC
vs_b64_any_decode(struct vs_bytes in, struct vs_buf *out, struct vs_err *err)
{
	const size_t pad = padding_of(in);
	if (pad && in.n % 4 != 0)
		VS_FAIL(err, FORMAT, "base64 text has wrong padding");
	return decode_digits(vs_bytes_of(in.p, in.n - pad), EITHER, out, err);
}

static VS_RC
encode_with(
	struct vs_bytes in, const char *alphabet, bool pad, struct vs_buf *out, struct vs_err *err)
{
	uint8_t *to;
	VS_TRY(vs_buf_room(out, (in.n + 2) / 3 * 4, &to, err));
	size_t n = 0;
	for (size_t i = 0; i < in.n; i += 3) {
		const size_t left = in.n - i;
		const uint32_t v = (uint32_t)in.p[i] << 16 |
			(left > 1 ? (uint32_t)in.p[i + 1] << 8 : 0) | (left > 2 ? in.p[i + 2] : 0u);
		to[n++] = (uint8_t)alphabet[v >> 18];
		to[n++] = (uint8_t)alphabet[v >> 12 & 63];
		if (left > 1)
			to[n++] = (uint8_t)alphabet[v >> 6 & 63];
		else if (pad)
			to[n++] = '=';
		if (left > 2)
			to[n++] = (uint8_t)alphabet[v & 63];
		else if (pad)
			to[n++] = '=';
	}
	out->n += n;
	out->p[out->n] = '\0';
	return VS_OK;
}

VS_RC
vs_b64url_encode(struct vs_bytes in, struct vs_buf *out, struct vs_err *err)
{
	return encode_with(in, url_alphabet, false, out, err);
}

VS_RC
vs_b64_encode(struct vs_bytes in, struct vs_buf *out, struct vs_err *err)
{
	return encode_with(in, std_alphabet, true, out, err);
}

static int
hex_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

VS_RC
vs_hex_decode(struct vs_bytes in, struct vs_buf *out, struct vs_err *err)
{
	if (in.n % 2)
		VS_FAIL(err, FORMAT, "hex text has an odd number of digits (%zu)", in.n);
	uint8_t *to;
	VS_TRY(vs_buf_room(out, in.n / 2, &to, err));
	for (size_t i = 0; i < in.n; i += 2) {
		const int hi = hex_value(in.p[i]), lo = hex_value(in.p[i + 1]);
		if (hi < 0 || lo < 0)
			VS_FAIL(err, FORMAT, "hex text has a character that is no digit at %zu", i);
		to[i / 2] = (uint8_t)(hi << 4 | lo);
	}
	out->n += in.n / 2;
	out->p[out->n] = '\0';
	return VS_OK;
}

void
vs_hex_str(const void *p, size_t n, char *out, size_t out_size)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *b = p;
	size_t w = 0;
	for (size_t i = 0; i < n && w + 2 < out_size; i++) {
		out[w++] = digits[b[i] >> 4];
		out[w++] = digits[b[i] & 15];
	}
	if (out_size)
		out[w] = '\0';
}

VS_RC
vs_hex_encode(struct vs_bytes in, struct vs_buf *out, struct vs_err *err)
{
	uint8_t *to;
	VS_TRY(vs_buf_room(out, in.n * 2, &to, err));
	vs_hex_str(in.p, in.n, (char *)to, in.n * 2 + 1);
	out->n += in.n * 2;
	return VS_OK;
}

bool
vs_ct_eq(const void *a, const void *b, size_t n)
{
	const volatile uint8_t *x = a, *y = b;
	uint8_t d = 0;
	for (size_t i = 0; i < n; i++)
		d |= (uint8_t)(x[i] ^ y[i]);
	return d == 0;
}

/* Length of the well-formed sequence at p (Unicode table 3-7), 0 when there is none. */
static size_t
utf8_len(const uint8_t *p, size_t left)
{
	const uint8_t c = p[0];
	if (c < 0x80)
		return 1;
	size_t n;
	uint8_t lo = 0x80, hi = 0xbf;
	if (c >= 0xc2 && c <= 0xdf) {
		n = 2;
	} else if (c >= 0xe0 && c <= 0xef) {
		n = 3;
		lo = c == 0xe0 ? 0xa0 : 0x80;
		hi = c == 0xed ? 0x9f : 0xbf;
	} else if (c >= 0xf0 && c <= 0xf4) {
		n = 4;
		lo = c == 0xf0 ? 0x90 : 0x80;
		hi = c == 0xf4 ? 0x8f : 0xbf;
	} else {
		return 0;
	}
	if (left < n || p[1] < lo || p[1] > hi)
		return 0;
	for (size_t i = 2; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

bool
vs_utf8_ok(struct vs_bytes s)
{
	for (size_t i = 0; i < s.n;) {
		const size_t n = s.p[i] ? utf8_len(s.p + i, s.n - i) : 0;
		if (!n)
			return false;
		i += n;
	}
	return true;
}

void
vs_text_clean(char *s)
{
	for (size_t left = strlen(s); left > 0;) {
		const uint8_t *p = (const uint8_t *)s;
		const size_t n = utf8_len(p, left);
		const bool control = n == 1 ? p[0] < 0x20 || p[0] == 0x7f
					    : n == 2 && p[0] == 0xc2 && p[1] < 0xa0;
		const size_t step = n == 0 || control ? 1 : n;
		if (n == 0 || control)
			*s = '?';
		s += step;
		left -= step;
	}
}

char *
vs_quote(struct vs_bytes s, char *out, size_t out_size)
{
	enum { DOTS = 3 };
	size_t w = 0;
	if (!out_size)
		return out;
	for (size_t i = 0; i < s.n;) {
		const size_t len = utf8_len(s.p + i, s.n - i);
		const bool plain = len > 1 ? s.p[i] != 0xc2 || s.p[i + 1] >= 0xa0
					   : len == 1 && s.p[i] >= 0x20 && s.p[i] != 0x7f &&
				s.p[i] != '"' && s.p[i] != '\\';
		const size_t need = plain ? len : 4;
		const size_t step = len ? len : 1;
		const bool last = i + (plain ? len : 1) >= s.n;
		if (w + need + (last ? 0 : DOTS) >= out_size) {
			for (size_t d = 0; d < DOTS && w + 1 < out_size; d++)
				out[w++] = '.';
			break;
		}
		if (plain) {
			memcpy(out + w, s.p + i, len);
			i += step;
		} else {
			(void)snprintf(out + w, 5, "\\x%02x", s.p[i]);
			i++;
		}
		w += need;
	}
	out[w] = '\0';
	return out;
}

unsigned
vs_distance(const char *a, const char *b)
{
	enum { MAX = 32 };
	const size_t la = strnlen(a, MAX), lb = strnlen(b, MAX);
	unsigned row[MAX + 1];
	for (size_t j = 0; j <= lb; j++)
		row[j] = (unsigned)j;
	for (size_t i = 1; i <= la; i++) {
		unsigned diagonal = row[0];
		row[0] = (unsigned)i;
		for (size_t j = 1; j <= lb; j++) {
			const unsigned above = row[j];
			unsigned best = diagonal + (a[i - 1] != b[j - 1]);
			if (above + 1 < best)
				best = above + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
			diagonal = above;
		}
	}
	return row[lb];
}

void
vs_serial16(const char *label, const char *vault, char out[17])
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	const char *const parts[] = {label, "\n", vault};
	for (size_t i = 0; i < 3; i++)
		for (const char *p = parts[i]; *p; p++)
			h = (h ^ (uint8_t)*p) * UINT64_C(0x100000001b3);
	(void)snprintf(out, 17, "%016llx", (unsigned long long)h);
}
