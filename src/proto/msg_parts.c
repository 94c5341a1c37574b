/* SPDX-License-Identifier: BSD-2-Clause */
/* The nested parts of messages: errors with all their frames, the list of tokens. */
#include <stdio.h>
#include <string.h>

#include "base/codec.h"
#include "proto/msg.h"

enum { TAG_CODE = 1, TAG_FOREIGN, TAG_TEXT, TAG_LABEL, TAG_SERIAL, TAG_STATE };

/* Length of the well-formed character at p, 0 if there is none. */
static size_t
character(const uint8_t *p, size_t left)
{
	for (size_t n = 1; n <= 4 && n <= left; n++)
		if (vs_utf8_ok(vs_bytes_of(p, n)))
			return p[0] < 0x20 || p[0] == 0x7f || (p[0] == 0xc2 && p[1] < 0xa0) ? 0 : n;
	return 0;
}

void
vs_msg_sentence(struct vs_bytes text, char *out, size_t out_size)
{
	size_t w = 0;
	for (size_t i = 0; i < text.n;) {
		const size_t n = character(text.p + i, text.n - i);
		if (w + (n > 0 ? n : 1) >= out_size)
			break;
		if (n > 0)
			memcpy(out + w, text.p + i, n);
		else
			out[w] = '?';
		w += n > 0 ? n : 1;
		i += n > 0 ? n : 1;
	}
	if (out_size > 0)
		out[w] = '\0';
}

void
vs_msg_error_put(const struct vs_err *error, struct vs_buf *out)
{
	static const struct vs_err bug = {.n_frames = 1,
		.frames = {{.code = VS_E_INTERNAL, .text = "an error without a cause"}}};
	const struct vs_err *from = error && error->n_frames > 0 ? error : &bug;
	uint8_t bytes[VS_MSG_ERROR_BYTES_MAX] = {0};
	struct vs_writer w = {.p = bytes, .left = sizeof bytes};
	for (unsigned i = 0; i < from->n_frames && i < VS_ERR_FRAMES; i++) {
		const struct vs_err_frame *f = &from->frames[i];
		const size_t n = strnlen(f->text, sizeof f->text - 1);
		vs_put_u32(&w, TAG_CODE, f->code);
		vs_put_u64(&w, TAG_FOREIGN, (uint64_t)f->foreign);
		vs_put_field(&w, TAG_TEXT, vs_bytes_of(f->text, n));
	}
	/* Four frames of the longest texts fit; on lack of memory out stays empty, which reads as
	 * WIRE. */
	(void)!vs_failed(vs_buf_add(out, bytes, sizeof bytes - w.left, NULL));
}

_Static_assert(
	VS_ERR_FRAMES *(3 * VS_WIRE_FIELD_HEAD + 4 + 8 + VS_ERR_TEXT_MAX) <= VS_MSG_ERROR_BYTES_MAX,
	"an error fits its message");

vs_rc
vs_msg_error_get(struct vs_bytes frames, struct vs_err *err)
{
	struct vs_reader r = vs_reader_of(frames);
	struct vs_err out = {0};
	while (!r.bad && r.left > 0 && out.n_frames < VS_ERR_FRAMES) {
		struct vs_reader code = vs_reader_of(vs_get_field(&r, TAG_CODE));
		struct vs_reader foreign = vs_reader_of(vs_get_field(&r, TAG_FOREIGN));
		const struct vs_bytes text = vs_get_field(&r, TAG_TEXT);
		struct vs_err_frame *f = &out.frames[out.n_frames++];
		f->code = vs_code_from_number(vs_get_be32(&code));
		f->foreign = (long)vs_get_be64(&foreign);
		if (!vs_reader_done(&code) || !vs_reader_done(&foreign) ||
			text.n >= sizeof f->text || f->code == VS_E_OK)
			r.bad = true;
		else
			vs_msg_sentence(text, f->text, sizeof f->text);
	}
	if (r.bad || r.left > 0 || out.n_frames == 0)
		VS_FAIL(err, WIRE, "the agent reports an error that cannot be read");
	if (err)
		*err = out;
	return (vs_rc){.code = out.frames[0].code};
}

VS_RC
vs_msg_token_put(struct vs_buf *out, const struct vs_msg_token *token, struct vs_err *err)
{
	uint8_t bytes[128] = {0};
	struct vs_writer w = {.p = bytes, .left = sizeof bytes};
	vs_put_field(&w, TAG_LABEL, vs_bytes_str(token->label));
	vs_put_field(&w, TAG_SERIAL, vs_bytes_str(token->serial));
	vs_put_field(&w, TAG_STATE, vs_bytes_str(token->state));
	vs_put_u32(&w, TAG_CODE, token->code);
	VS_REQUIRE(err, !w.bad);
	return vs_buf_add(out, bytes, sizeof bytes - w.left, err);
}

static void
copy_text(struct vs_reader *r, uint8_t tag, char *out, size_t out_size)
{
	const struct vs_bytes v = vs_get_field(r, tag);
	if (v.n >= out_size || !vs_utf8_ok(v))
		r->bad = true;
	else
		snprintf(out, out_size, "%.*s", (int)v.n, v.n ? (const char *)v.p : "");
}

VS_RC
vs_msg_token_get(struct vs_reader *r, struct vs_msg_token *ret, bool *ret_more, struct vs_err *err)
{
	struct vs_msg_token out = {0};
	if (!r->bad && r->left == 0) {
		*ret_more = false;
		return VS_OK;
	}
	copy_text(r, TAG_LABEL, out.label, sizeof out.label);
	copy_text(r, TAG_SERIAL, out.serial, sizeof out.serial);
	copy_text(r, TAG_STATE, out.state, sizeof out.state);
	struct vs_reader code = vs_reader_of(vs_get_field(r, TAG_CODE));
	out.code = vs_get_be32(&code);
	if (r->bad || !vs_reader_done(&code))
		VS_FAIL(err, WIRE, "the agent's list of tokens cannot be read");
	*ret = out;
	*ret_more = true;
	return VS_OK;
}
