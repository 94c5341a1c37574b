/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit.h"

#include <stdatomic.h>
#include <time.h>

#include "proto/catalog.h"
#include "proto/msg.h"
#include "proto/page.h"

union any {
	struct vs_msg_hello hello;
	struct vs_msg_hello_answer hello_answer;
	struct vs_msg_tokens tokens;
	struct vs_msg_tokens_answer tokens_answer;
	struct vs_msg_catalog catalog;
	struct vs_msg_catalog_answer catalog_answer;
	struct vs_msg_need need;
	struct vs_msg_need_answer need_answer;
	struct vs_msg_key key;
	struct vs_msg_key_answer key_answer;
	struct vs_msg_status status;
	struct vs_msg_status_answer status_answer;
	struct vs_msg_error error;
};

/* Fill each field with something valid, of its longest or its shortest length. */
static void
fill(const struct vs_msg_desc *d, union any *m, const uint8_t *text, bool longest)
{
	memset(m, 0, sizeof *m);
	for (size_t i = 0; i < d->n_fields; i++) {
		void *p = (char *)m + d->fields[i].offset;
		switch (d->fields[i].kind) {
		case VS_FIELD_U32: *(uint32_t *)p = 0x01020304u + (uint32_t)i; break;
		case VS_FIELD_U64: *(uint64_t *)p = UINT64_C(0xfffefdfcfbfaf9f8) - i; break;
		case VS_FIELD_BOOL: *(bool *)p = longest; break;
		case VS_FIELD_BYTES:
		case VS_FIELD_TEXT:
			*(struct vs_bytes *)p =
				vs_bytes_of(text, longest ? d->fields[i].max : d->fields[i].min);
			break;
		case VS_FIELD_NONE:
		case VS_FIELD_COUNT_: fail();
		}
	}
}

static uint8_t *
text_of(size_t n)
{
	uint8_t *p = malloc(n);
	assert_non_null(p);
	memset(p, 'a', n);
	return p;
}

static uint8_t *
encode(const struct vs_msg_desc *d, const union any *m, size_t *ret_n)
{
	struct vs_err err = {0};
	const size_t size = vs_msg_frame_size(d, m);
	uint8_t *p = malloc(size);
	assert_non_null(p);
	assert_ok(vs_msg_put(d, m, 7, p, size, ret_n, &err), &err);
	assert_int_equal(*ret_n, size);
	return p;
}

static void
every_message_comes_back_as_it_was(void **state)
{
	(void)state;
	uint8_t *text = text_of(70000);
	for (size_t i = 0; vs_msg_row(i); i++)
		for (int longest = 0; longest < 2; longest++) {
			const struct vs_msg_desc *d = vs_msg_row(i);
			struct vs_err err = {0};
			union any in, out;
			size_t n = 0, n2 = 0;
			fill(d, &in, text, longest);
			uint8_t *frame = encode(d, &in, &n);
			struct vs_frame head = {0};
			assert_ok(vs_frame_get(frame, &head, &err), &err);
			assert_int_equal(head.type, d->type);
			assert_int_equal(head.request, 7);
			assert_int_equal(head.length, n - VS_WIRE_HEAD);
			assert_ptr_equal(vs_msg_desc(head.type), d);
			assert_true(head.length <= vs_msg_length_max(d));
			memset(&out, 0xaa, sizeof out);
			assert_ok(vs_msg_get(d, vs_bytes_of(frame + VS_WIRE_HEAD, head.length),
					  &out, &err),
				&err);
			uint8_t *again = encode(d, &out, &n2);
			assert_int_equal(n, n2);
			assert_memory_equal(frame, again, n);
			free(again);
			free(frame);
		}
	free(text);
}

static void
every_message_fits_a_frame_and_answers_pair_with_requests(void **state)
{
	(void)state;
	for (size_t i = 0; vs_msg_row(i); i++) {
		const struct vs_msg_desc *d = vs_msg_row(i);
		assert_true(vs_msg_length_max(d) <= VS_WIRE_LENGTH_MAX);
		assert_true(d->n_fields <= 8 && d->size <= sizeof(union any));
		if (d->type < VS_MSG_ANSWER)
			assert_non_null(vs_msg_desc((uint8_t)(d->type | VS_MSG_ANSWER)));
		for (size_t f = 1; f < d->n_fields; f++)
			assert_true(d->fields[f].tag > d->fields[f - 1].tag);
	}
	assert_null(vs_msg_desc(0));
	assert_null(vs_msg_desc(200));
}

/* Exact-size copies, so that the address sanitizer sees each byte read too far. */
static vs_rc
decode_copy(const struct vs_msg_desc *d, const uint8_t *p, size_t n)
{
	uint8_t *copy = malloc(n > 0 ? n : 1);
	assert_non_null(copy);
	memcpy(copy, p, n);
	union any out;
	const vs_rc rc = vs_msg_get(d, vs_bytes_of(copy, n), &out, NULL);
	free(copy);
	return rc;
}

static void
refuses_every_truncation_and_every_extra_byte(void **state)
{
	(void)state;
	uint8_t *text = text_of(70000);
	for (size_t i = 0; vs_msg_row(i); i++) {
		const struct vs_msg_desc *d = vs_msg_row(i);
		union any in;
		size_t n = 0;
		fill(d, &in, text, false);
		uint8_t *frame = encode(d, &in, &n);
		for (size_t cut = VS_WIRE_HEAD; cut < n; cut++)
			assert_code(decode_copy(d, frame + VS_WIRE_HEAD, cut - VS_WIRE_HEAD), WIRE);
		uint8_t *more = calloc(1, n + 1);
		memcpy(more, frame, n);
		assert_code(decode_copy(d, more + VS_WIRE_HEAD, n + 1 - VS_WIRE_HEAD), WIRE);
		free(more);
		free(frame);
	}
	free(text);
}

static void
survives_every_flipped_bit_and_says_the_same_again(void **state)
{
	(void)state;
	uint8_t *text = text_of(70000);
	for (size_t i = 0; vs_msg_row(i); i++) {
		const struct vs_msg_desc *d = vs_msg_row(i);
		union any in, out;
		size_t n = 0, n2 = 0;
		fill(d, &in, text, false);
		uint8_t *frame = encode(d, &in, &n);
		for (size_t bit = VS_WIRE_HEAD * 8; bit < n * 8; bit++) {
			frame[bit / 8] ^= (uint8_t)(1u << bit % 8);
			const struct vs_bytes payload =
				vs_bytes_of(frame + VS_WIRE_HEAD, n - VS_WIRE_HEAD);
			/* Whatever is accepted must be the one encoding of what was understood. */
			if (!vs_failed(vs_msg_get(d, payload, &out, NULL))) {
				uint8_t *again = encode(d, &out, &n2);
				assert_int_equal(n, n2);
				assert_memory_equal(frame + VS_WIRE_HEAD, again + VS_WIRE_HEAD,
					n - VS_WIRE_HEAD);
				free(again);
			}
			frame[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
		free(frame);
	}
	free(text);
}

static void
refuses_fields_over_their_maximum_on_both_ends(void **state)
{
	(void)state;
	uint8_t *text = text_of(70000);
	for (size_t i = 0; vs_msg_row(i); i++) {
		const struct vs_msg_desc *d = vs_msg_row(i);
		for (size_t f = 0; f < d->n_fields; f++) {
			if (d->fields[f].kind != VS_FIELD_BYTES &&
				d->fields[f].kind != VS_FIELD_TEXT)
				continue;
			union any m;
			size_t n = 0;
			fill(d, &m, text, false);
			struct vs_bytes *v = (void *)((char *)&m + d->fields[f].offset);
			*v = vs_bytes_of(text, d->fields[f].max + 1);
			const size_t size = vs_msg_frame_size(d, &m);
			uint8_t *p = malloc(size);
			assert_true(vs_failed(vs_msg_put(d, &m, 1, p, size, &n, NULL)));
			/* The same made by a liar, by hand. */
			struct vs_writer w = {.p = p, .left = size};
			for (size_t k = 0; k < d->n_fields; k++) {
				const struct vs_msg_field *field = &d->fields[k];
				const uint8_t zero[8] = {0};
				if (field->kind == VS_FIELD_U32)
					vs_put_u32(&w, field->tag, 0);
				else if (field->kind == VS_FIELD_U64)
					vs_put_u64(&w, field->tag, 0);
				else if (field->kind == VS_FIELD_BOOL)
					vs_put_field(&w, field->tag, vs_bytes_of(zero, 1));
				else
					vs_put_field(&w, field->tag,
						*(struct vs_bytes *)((char *)&m + field->offset));
			}
			assert_false(w.bad);
			assert_code(decode_copy(d, p, (size_t)(w.p - p)), WIRE);
			free(p);
		}
	}
	free(text);
}

static void
refuses_control_characters_and_broken_utf8_in_texts(void **state)
{
	(void)state;
	static const char *const bad[] = {"a\nb", "a\x1b[1m", "\xff", "\xc0\xaf", "a\x7f"};
	const struct vs_msg_desc *d = vs_msg_desc(VS_MSG_STATUS);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		uint8_t p[64] = {0};
		struct vs_writer w = {.p = p, .left = sizeof p};
		vs_put_field(&w, 1, vs_bytes_str(bad[i]));
		assert_code(decode_copy(d, p, (size_t)(w.p - p)), WIRE);
	}
}

static void
refuses_bad_frame_heads(void **state)
{
	(void)state;
	uint8_t head[VS_WIRE_HEAD];
	struct vs_frame f = {.type = 1, .request = 1, .length = VS_WIRE_LENGTH_MAX};
	struct vs_frame out = {0};
	vs_frame_put(&f, head);
	assert_false(vs_failed(vs_frame_get(head, &out, NULL)));
	assert_int_equal(out.length, VS_WIRE_LENGTH_MAX);
	head[0] = 2;
	assert_code(vs_frame_get(head, &out, NULL), WIRE);
	f.length = VS_WIRE_LENGTH_MAX + 1;
	vs_frame_put(&f, head);
	assert_code(vs_frame_get(head, &out, NULL), WIRE);
	f = (struct vs_frame){.type = 1, .request = 0, .length = 1};
	vs_frame_put(&f, head);
	assert_code(vs_frame_get(head, &out, NULL), WIRE);
	f.request = 1;
	vs_frame_put(&f, head);
	head[3] = 1;
	assert_code(vs_frame_get(head, &out, NULL), WIRE);
}

static void
secret_messages_are_refused_by_the_plain_encoder(void **state)
{
	(void)state;
	struct vs_buf out = {0};
	const struct vs_msg_key_answer m = {.key_no = 1, .bytes = vs_bytes_str("x")};
	assert_code(vs_msg_add(VS_MSG_KEY_ANSWER, &m, 1, &out, NULL), INTERNAL);
	assert_int_equal(out.n, 0);
	vs_buf_done(&out);
}

static vs_rc
three_frames(struct vs_err *err)
{
	vs_rc rc =
		vs_err_put(err, VS_E_REFUSED_POLICY, __func__, __LINE__, 403, "secure boot is off");
	rc = vs_err_while(rc, err, "checking the token");
	return vs_err_while(rc, err, "asking for \"%s\"", "data-keys");
}

static void
errors_survive_the_socket_with_all_frames(void **state)
{
	(void)state;
	struct vs_err in = {0}, out = {0};
	struct vs_buf b = {0};
	char a[1600], z[1600];
	(void)three_frames(&in);
	vs_msg_error_put(&in, &b);
	assert_code(vs_msg_error_get(vs_buf_view(&b), &out), REFUSED_POLICY);
	assert_int_equal(out.n_frames, in.n_frames);
	assert_int_equal(out.frames[0].foreign, 403);
	assert_null(out.frames[0].func);
	vs_err_sentence(&in, a, sizeof a);
	vs_err_sentence(&out, z, sizeof z);
	assert_non_null(strstr(a, "secure boot is off"));
	assert_non_null(strstr(z, "secure boot is off"));
	for (size_t n = 0; n < b.n; n++)
		assert_true(vs_failed(vs_msg_error_get(vs_bytes_of(b.p, n), NULL)));
	for (size_t i = 0; i < b.n * 8; i++) {
		b.p[i / 8] ^= (uint8_t)(1u << i % 8);
		assert_true(vs_failed(vs_msg_error_get(vs_buf_view(&b), &out)));
		b.p[i / 8] ^= (uint8_t)(1u << i % 8);
	}
	vs_buf_done(&b);
}

static void
sentences_keep_their_quotes_and_lose_what_is_no_text(void **state)
{
	(void)state;
	char out[64], tiny[6];
	vs_msg_sentence(vs_bytes_str("the key \"a\\x0a\" of M\xc3\xbcller"), out, sizeof out);
	assert_string_equal(out, "the key \"a\\x0a\" of M\xc3\xbcller");
	vs_msg_sentence(vs_bytes_str("a\nb\x1b[1m\xff\xc3"), out, sizeof out);
	assert_string_equal(out, "a?b?[1m??");
	vs_msg_sentence(vs_bytes_str("a\xc2\x9b"
				     "1m\xc2\xa0"),
		out, sizeof out);
	assert_string_equal(out, "a??1m\xc2\xa0");
	vs_msg_sentence(vs_bytes_str("abcd\xc3\xbc"), tiny, sizeof tiny);
	assert_string_equal(tiny, "abcd");
	vs_msg_sentence((struct vs_bytes){0}, out, sizeof out);
	assert_string_equal(out, "");
}

static void
an_error_that_says_ok_is_still_an_error(void **state)
{
	(void)state;
	uint8_t p[64] = {0};
	struct vs_writer w = {.p = p, .left = sizeof p};
	vs_put_u32(&w, 1, 0);
	vs_put_u64(&w, 2, 0);
	vs_put_field(&w, 3, vs_bytes_str("all is well"));
	assert_true(vs_failed(vs_msg_error_get(vs_bytes_of(p, (size_t)(w.p - p)), NULL)));
	assert_code(vs_msg_error_get((struct vs_bytes){0}, NULL), WIRE);
}

static void
the_list_of_tokens_comes_back(void **state)
{
	(void)state;
	struct vs_err err = {0};
	struct vs_buf b = {0};
	const struct vs_msg_token in[] = {
		{.label = "data-keys", .serial = "0123456789abcdef", .state = "LOCKED"},
		{.label = "b", .serial = "0", .state = "DENIED", .code = 904}};
	for (size_t i = 0; i < 2; i++)
		assert_ok(vs_msg_token_put(&b, &in[i], &err), &err);
	struct vs_reader r = vs_reader_of(vs_buf_view(&b));
	struct vs_msg_token t;
	bool more = false;
	for (size_t i = 0; i < 2; i++) {
		assert_ok(vs_msg_token_get(&r, &t, &more, &err), &err);
		assert_true(more);
		assert_string_equal(t.label, in[i].label);
		assert_string_equal(t.state, in[i].state);
		assert_int_equal(t.code, in[i].code);
	}
	assert_ok(vs_msg_token_get(&r, &t, &more, &err), &err);
	assert_false(more);
	for (size_t cut = 1; cut < b.n; cut++) {
		struct vs_reader part = vs_reader_of(vs_bytes_of(b.p, cut));
		vs_rc rc = VS_OK;
		more = true;
		size_t n = 0;
		for (; more && !vs_failed(rc); n++)
			rc = vs_msg_token_get(&part, &t, &more, NULL);
		assert_true(vs_failed(rc) || n == 2);
	}
	vs_buf_done(&b);
}

/* ---- catalog ------------------------------------------------------------------------------- */

static struct vs_catalog_data *
sample_catalog(void)
{
	static const uint8_t id[20] = {1, 2, 3};
	static uint8_t n256[256], x32[32];
	memset(n256, 0xc1, sizeof n256);
	memset(x32, 0x11, sizeof x32);
	struct vs_catalog_data *c = calloc(1, sizeof *c);
	c->generation = 42;
	c->n = 3;
	c->entries = calloc(3, sizeof *c->entries);
	c->entries[0] = (struct vs_cat_entry){.name = vs_bytes_str("rsa"),
		.version = vs_bytes_str("0123456789abcdef0123456789abcdef"),
		.kid = vs_bytes_str("https://v/keys/rsa/0123456789abcdef0123456789abcdef"),
		.id = vs_bytes_of(id, 20),
		.type = VS_KEY_RSA,
		.bits = 2048,
		.ops = VS_KOP_SIGN | VS_KOP_DERIVE,
		.enabled = true,
		.n = vs_bytes_of(n256, 256),
		.e = vs_bytes_str("\1\0\1"),
		.cert = vs_bytes_str("certificate"),
		.spki = vs_bytes_str("spki")};
	c->entries[0].e.n = 3;
	c->entries[1] = (struct vs_cat_entry){.name = vs_bytes_str("ec"),
		.id = vs_bytes_of(id, 20),
		.type = VS_KEY_EC,
		.curve = VS_CURVE_P256,
		.bits = 256,
		.ops = VS_KOP_SIGN,
		.x = vs_bytes_of(x32, 32),
		.y = vs_bytes_of(x32, 32)};
	c->entries[2] = (struct vs_cat_entry){.name = vs_bytes_str("aes"),
		.id = vs_bytes_of(id, 20),
		.type = VS_KEY_AES,
		.bits = 0,
		.ops = VS_KOP_WRAP};
	return c;
}

static vs_rc
decode_bytes(const uint8_t *p, size_t n, struct vs_catalog_data **ret, struct vs_err *err)
{
	struct vs_buf b = {.max = VS_CATALOG_BYTES_MAX};
	assert_ok(vs_buf_add(&b, p, n, err), err);
	const vs_rc rc = vs_catalog_decode(&b, ret, err);
	vs_buf_done(&b);
	return rc;
}

static void
a_catalog_comes_back_as_it_was(void **state)
{
	(void)state;
	struct vs_err err = {0};
	struct vs_catalog_data *in = sample_catalog(), *out = NULL;
	struct vs_buf a = {0}, b = {0};
	assert_ok(vs_catalog_encode(in, &a, &err), &err);
	assert_ok(decode_bytes(a.p, a.n, &out, &err), &err);
	assert_int_equal(out->n, 3);
	assert_int_equal(out->generation, 42);
	assert_true(vs_bytes_eq_str(out->entries[1].name, "ec"));
	assert_int_equal(out->entries[0].n.n, 256);
	assert_true(out->entries[0].enabled);
	assert_false(out->entries[1].enabled);
	assert_ok(vs_catalog_encode(out, &b, &err), &err);
	assert_int_equal(a.n, b.n);
	assert_memory_equal(a.p, b.p, a.n);
	vs_buf_done(&a);
	vs_buf_done(&b);
	vs_catalog_data_free(in);
	vs_catalog_data_free(out);
}

static void
refuses_cut_and_flipped_catalogs(void **state)
{
	(void)state;
	struct vs_catalog_data *in = sample_catalog();
	struct vs_buf a = {0};
	assert_false(vs_failed(vs_catalog_encode(in, &a, NULL)));
	for (size_t cut = 0; cut < a.n; cut++) {
		struct vs_catalog_data *out = NULL;
		assert_code(decode_bytes(a.p, cut, &out, NULL), FORMAT);
		assert_null(out);
	}
	for (size_t bit = 0; bit < a.n * 8; bit++) {
		struct vs_catalog_data *out = NULL;
		struct vs_buf b = {0};
		a.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (!vs_failed(decode_bytes(a.p, a.n, &out, NULL))) {
			assert_false(vs_failed(vs_catalog_encode(out, &b, NULL)));
			assert_int_equal(a.n, b.n);
			assert_memory_equal(a.p, b.p, a.n);
		}
		a.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
		vs_buf_done(&b);
		vs_catalog_data_free(out);
	}
	vs_buf_done(&a);
	vs_catalog_data_free(in);
}

static void
refuses_catalogs_with_impossible_entries(void **state)
{
	(void)state;
	struct vs_catalog_data *in = sample_catalog();
	struct vs_buf a = {0};
	in->entries[1].curve = VS_CURVE_NONE;
	assert_code(vs_catalog_encode(in, &a, NULL), FORMAT);
	in->entries[1].curve = VS_CURVE_P256;
	in->entries[1].y.n = 31;
	assert_code(vs_catalog_encode(in, &a, NULL), FORMAT);
	in->entries[1].y.n = 32;
	in->entries[2].name.n = 0;
	assert_code(vs_catalog_encode(in, &a, NULL), FORMAT);
	/* A head that announces more than there is. */
	const uint8_t head[13] = {1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0x4e, 0x20};
	struct vs_catalog_data *out = NULL;
	assert_code(decode_bytes(head, sizeof head, &out, NULL), FORMAT);
	vs_buf_done(&a);
	vs_catalog_data_free(in);
}

/* ---- page ---------------------------------------------------------------------------------- */

static void
the_page_allows_only_a_live_lease_and_a_live_key(void **state)
{
	(void)state;
	struct vs_page *p = calloc(1, sizeof *p);
	const int64_t now = vs_boot_now_ns();
	assert_true(now > 0);
	assert_int_equal(vs_page_allows(NULL, 0, false), VS_E_REVOKED);
	assert_int_equal(vs_page_allows(p, 0, false), VS_E_REVOKED);
	atomic_store(&p->key[3], VS_PAGE_KEY_LIVE);
	atomic_store(&p->valid_until_boot_ns, now + INT64_C(60000000000));
	atomic_store(&p->grace_until_boot_ns, now + INT64_C(61000000000));
	atomic_store(&p->state, VS_PAGE_LIVE);
	assert_int_equal(vs_page_allows(p, 3, false), VS_E_OK);
	assert_int_equal(vs_page_allows(p, 4, false), VS_E_KEY_GONE);
	assert_int_equal(vs_page_allows(p, VS_PAGE_KEYS_MAX, false), VS_E_REVOKED);
	atomic_store(&p->valid_until_boot_ns, now - 1);
	assert_int_equal(vs_page_allows(p, 3, false), VS_E_LEASE_ENDED);
	assert_int_equal(vs_page_allows(p, 3, true), VS_E_OK);
	atomic_store(&p->grace_until_boot_ns, now - 1);
	assert_int_equal(vs_page_allows(p, 3, true), VS_E_LEASE_ENDED);
	atomic_store(&p->key[3], VS_PAGE_KEY_GONE);
	assert_int_equal(vs_page_allows(p, 3, true), VS_E_KEY_GONE);
	atomic_store(&p->state, VS_PAGE_ENDED);
	assert_int_equal(vs_page_allows(p, 3, true), VS_E_LEASE_ENDED);
	atomic_store(&p->state, 77);
	assert_int_equal(vs_page_allows(p, 3, true), VS_E_REVOKED);
	free(p);
}

static struct vs_page *
live_page(int64_t until)
{
	struct vs_page *p = calloc(1, sizeof *p);
	assert_non_null(p);
	atomic_store(&p->key[0], VS_PAGE_KEY_LIVE);
	atomic_store(&p->valid_until_boot_ns, until);
	atomic_store(&p->grace_until_boot_ns, until);
	atomic_store(&p->state, VS_PAGE_LIVE);
	return p;
}

/* A watch whose reading is wrong tells whether it was looked at. */
static struct vs_boot_watch
watch_that_says(int64_t boot_ns)
{
	struct timespec ts;
	assert_int_equal(clock_gettime(CLOCK_MONOTONIC_COARSE, &ts), 0);
	return (struct vs_boot_watch){
		(int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec, boot_ns, VS_WATCH_LOOKS};
}

/* Until a look falls into the tick in which its watch was made. */
static bool
serves(const struct vs_page *p, int64_t boot_ns)
{
	for (unsigned i = 0; i < 1000; i++) {
		struct vs_boot_watch w = watch_that_says(boot_ns);
		if (vs_page_allows_watched(p, 0, true, &w) == VS_E_OK)
			return true;
	}
	return false;
}

static void
a_reading_of_the_clock_serves_within_one_tick(void **state)
{
	(void)state;
	/* A lease that is over, and a reading from before that. */
	const int64_t now = vs_boot_now_ns();
	struct vs_page *p = live_page(now - 1);
	assert_true(serves(p, now - 1 - 2 * VS_WATCH_MARGIN_NS));
	/* Not near the end, */
	assert_false(serves(p, now - 1 - VS_WATCH_MARGIN_NS));
	assert_false(serves(p, now - 2));
	/* not in another tick, */
	struct vs_boot_watch w = watch_that_says(1);
	w.tick_ns -= 1;
	assert_int_equal(vs_page_allows_watched(p, 0, true, &w), VS_E_LEASE_ENDED);
	w.tick_ns = INT64_MAX;
	w.boot_ns = 1;
	assert_int_equal(vs_page_allows_watched(p, 0, true, &w), VS_E_LEASE_ENDED);
	/* and never the one of a watch that has not read yet. */
	w = watch_that_says(1);
	w.left = 0;
	assert_int_equal(vs_page_allows_watched(p, 0, true, &w), VS_E_LEASE_ENDED);
	w = (struct vs_boot_watch){0};
	assert_int_equal(vs_page_allows_watched(p, 0, true, &w), VS_E_LEASE_ENDED);
	/* An end from before the machine started is no reason to count backwards. */
	atomic_store(&p->grace_until_boot_ns, INT64_MIN);
	assert_false(serves(p, INT64_MIN));
	free(p);
}

static unsigned
looks_of_one_reading(const struct vs_page *p)
{
	struct vs_boot_watch w = watch_that_says(1);
	unsigned n = 0;
	while (n <= VS_WATCH_LOOKS && vs_page_allows_watched(p, 0, true, &w) == VS_E_OK)
		n++;
	return n;
}

static void
a_stuck_tick_stops_a_reading_after_so_many_looks(void **state)
{
	(void)state;
	struct vs_page *p = live_page(vs_boot_now_ns() - 1);
	unsigned most = 0;
	/* A tick that goes on stops it earlier. */
	for (unsigned i = 0; i < 1000; i++) {
		const unsigned n = looks_of_one_reading(p);
		most = n > most ? n : most;
	}
	assert_int_equal(most, VS_WATCH_LOOKS);
	free(p);
}

/* What the page says of lease and key is looked at each time. */
static void
a_reading_that_serves_hides_no_revocation(void **state)
{
	(void)state;
	const int64_t now = vs_boot_now_ns();
	struct vs_page *p = live_page(now - 1);
	assert_true(serves(p, 1));
	atomic_store(&p->key[0], VS_PAGE_KEY_GONE);
	struct vs_boot_watch w = watch_that_says(1);
	assert_int_equal(vs_page_allows_watched(p, 0, true, &w), VS_E_KEY_GONE);
	atomic_store(&p->key[0], VS_PAGE_KEY_LIVE);
	atomic_store(&p->state, VS_PAGE_REVOKED);
	w = watch_that_says(1);
	assert_int_equal(vs_page_allows_watched(p, 0, true, &w), VS_E_REVOKED);
	atomic_store(&p->state, VS_PAGE_ENDED);
	w = watch_that_says(1);
	assert_int_equal(vs_page_allows_watched(p, 0, true, &w), VS_E_LEASE_ENDED);
	assert_int_equal(vs_page_allows_watched(NULL, 0, true, &w), VS_E_REVOKED);
	assert_int_equal(vs_page_allows_watched(p, VS_PAGE_KEYS_MAX, true, &w), VS_E_REVOKED);
	free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_message_comes_back_as_it_was),
		cmocka_unit_test(every_message_fits_a_frame_and_answers_pair_with_requests),
		cmocka_unit_test(refuses_every_truncation_and_every_extra_byte),
		cmocka_unit_test(survives_every_flipped_bit_and_says_the_same_again),
		cmocka_unit_test(refuses_fields_over_their_maximum_on_both_ends),
		cmocka_unit_test(refuses_control_characters_and_broken_utf8_in_texts),
		cmocka_unit_test(refuses_bad_frame_heads),
		cmocka_unit_test(secret_messages_are_refused_by_the_plain_encoder),
		cmocka_unit_test(errors_survive_the_socket_with_all_frames),
		cmocka_unit_test(sentences_keep_their_quotes_and_lose_what_is_no_text),
		cmocka_unit_test(an_error_that_says_ok_is_still_an_error),
		cmocka_unit_test(the_list_of_tokens_comes_back),
		cmocka_unit_test(a_catalog_comes_back_as_it_was),
		cmocka_unit_test(refuses_cut_and_flipped_catalogs),
		cmocka_unit_test(refuses_catalogs_with_impossible_entries),
		cmocka_unit_test(the_page_allows_only_a_live_lease_and_a_live_key),
		cmocka_unit_test(a_reading_of_the_clock_serves_within_one_tick),
		cmocka_unit_test(a_stuck_tick_stops_a_reading_after_so_many_looks),
		cmocka_unit_test(a_reading_that_serves_hides_no_revocation),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
