/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What comes over the socket, on either end: a frame and its fields, the parts nested in them, a
 * catalog. What was understood must be written down in the same bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "proto/catalog.h"
#include "proto/msg.h"

union any {
	struct vs_msg_hello hello;
	struct vs_msg_hello_answer hello_answer;
	struct vs_msg_tokens_answer tokens_answer;
	struct vs_msg_catalog_answer catalog_answer;
	struct vs_msg_key key;
	struct vs_msg_key_answer key_answer;
	struct vs_msg_status_answer status_answer;
	struct vs_msg_error error;
};

static void
try_parts(const struct vs_msg_desc *desc, const union any *m)
{
	if (desc->type == VS_MSG_TOKENS_ANSWER) {
		struct vs_reader r = vs_reader_of(m->tokens_answer.list);
		struct vs_msg_token token;
		bool more = true;
		for (int i = 0; more && i <= VS_MSG_TOKENS_MAX; i++)
			if (vs_failed(vs_msg_token_get(&r, &token, &more, NULL)))
				return;
	} else if (desc->type == VS_MSG_ERROR) {
		struct vs_err err = {0};
		char text[VS_ERR_TEXT_MAX];
		/* Whatever came, it is an error, and it can be said. */
		FUZZ_MUST(vs_failed(vs_msg_error_get(m->error.frames, &err)));
		vs_err_sentence(&err, text, sizeof text);
		FUZZ_MUST(text[0] != '\0');
	} else if (desc->type == VS_MSG_STATUS_ANSWER) {
		char text[64];
		vs_msg_sentence(m->status_answer.sentence, text, sizeof text);
		for (const char *p = text; *p != '\0'; p++)
			FUZZ_MUST((unsigned char)*p >= 0x20);
	}
}

static void
try_frame(const uint8_t *data, size_t size)
{
	struct vs_frame frame;
	union any m;
	if (size < VS_WIRE_HEAD || vs_failed(vs_frame_get(data, &frame, NULL)))
		return;
	FUZZ_MUST(frame.request != 0 && frame.length <= VS_WIRE_LENGTH_MAX);
	const struct vs_msg_desc *desc = vs_msg_desc(frame.type);
	if (desc == NULL || size - VS_WIRE_HEAD < frame.length)
		return;
	FUZZ_MUST(desc->size <= sizeof m);
	const struct vs_bytes payload = vs_bytes_of(data + VS_WIRE_HEAD, frame.length);
	if (vs_failed(vs_msg_get(desc, payload, &m, NULL)))
		return;
	FUZZ_MUST(frame.length <= vs_msg_length_max(desc));
	const size_t need = vs_msg_frame_size(desc, &m);
	FUZZ_MUST(need == VS_WIRE_HEAD + (size_t)frame.length);
	uint8_t *again = malloc(need);
	size_t n = 0;
	if (again == NULL)
		return;
	FUZZ_MUST(!vs_failed(vs_msg_put(desc, &m, frame.request, again, need, &n, NULL)));
	FUZZ_MUST(n == need && memcmp(again, data, n) == 0);
	free(again);
	try_parts(desc, &m);
}

static bool
inside(const struct vs_catalog_data *c, struct vs_bytes b)
{
	return b.n == 0 || (b.p >= c->block.p && b.p + b.n <= c->block.p + c->block.n);
}

static void
try_catalog(const uint8_t *data, size_t size)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf in = {.max = VS_CATALOG_BYTES_MAX};
	VS_CLEANUP(vs_buf_done) struct vs_buf out = {.max = VS_CATALOG_BYTES_MAX};
	struct vs_catalog_data *c = NULL;
	if (vs_failed(vs_buf_add(&in, data, size, NULL)) ||
		vs_failed(vs_catalog_decode(&in, &c, NULL)))
		return;
	for (size_t i = 0; i < c->n; i++) {
		const struct vs_cat_entry *e = &c->entries[i];
		FUZZ_MUST((unsigned)e->type < VS_KEY_COUNT_);
		FUZZ_MUST(inside(c, e->name) && inside(c, e->kid) && inside(c, e->n) &&
			inside(c, e->x) && inside(c, e->cert) && inside(c, e->cert_serial));
	}
	FUZZ_MUST(!vs_failed(vs_catalog_encode(c, &out, NULL)));
	FUZZ_MUST(out.n == size && memcmp(out.p, data, size) == 0);
	vs_catalog_data_free(c);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_frame(data, size);
	try_catalog(data, size);
	return 0;
}
