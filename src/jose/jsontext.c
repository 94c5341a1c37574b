/* SPDX-License-Identifier: BSD-2-Clause */
/* Text of our own as a JSON string, for lines that are written without building a value. */
#include "base/codec.h"
#include "jose/json.h"

/* Bytes of the UTF-8 character at s, 0 if there is none. */
static size_t
utf8_len(struct vs_bytes s)
{
	for (size_t n = 1; n <= 4 && n <= s.n; n++)
		if (vs_utf8_ok(vs_bytes_of(s.p, n)))
			return n;
	return 0;
}

VS_RC
vs_json_put_string(struct vs_buf *out, struct vs_bytes text, struct vs_err *err)
{
	VS_TRY(vs_buf_add_u8(out, '"', err));
	for (size_t i = 0; i < text.n;) {
		const uint8_t c = text.p[i];
		const size_t n = utf8_len(vs_bytes_of(text.p + i, text.n - i));
		if (c == '"' || c == '\\')
			VS_TRY(vs_buf_addf(out, err, "\\%c", c));
		else if (c < 0x20 || c == 0x7f)
			VS_TRY(vs_buf_addf(out, err, "\\u%04x", c));
		else if (n == 2 && c == 0xc2 && text.p[i + 1] < 0xa0) /* control characters, too */
			VS_TRY(vs_buf_addf(out, err, "\\u%04x", text.p[i + 1]));
		else if (n == 0)
			VS_TRY(vs_buf_add_str(out, "\xef\xbf\xbd", err));
		else
			VS_TRY(vs_buf_add(out, text.p + i, n, err));
		i += n == 0 ? 1 : n;
	}
	return vs_buf_add_u8(out, '"', err);
}
