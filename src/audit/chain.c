/* SPDX-License-Identifier: BSD-2-Clause */
#include "audit/chain.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "audit/verify.h"
#include "base/codec.h"
#include "crypto/hash.h"

const char vs_chain_zero[65] = "0000000000000000000000000000000000000000000000000000000000000000";

/* ,"hash":"<64>"} */
enum { HASH_HEX = 64, HASH_MEMBER = 9 + HASH_HEX + 2, MEMBERS_MAX = 96 };

/* ---- writing ----------------------------------------------------------------------------- */

/* Length of the UTF-8 sequence at s and its code point; 0 when it is broken. */
static size_t
decode_utf8(const uint8_t *s, uint32_t *ret)
{
	static const struct {
		uint8_t mask, lead, more;
		uint32_t least;
	} forms[] = {{0xe0, 0xc0, 1, 0x80}, {0xf0, 0xe0, 2, 0x800}, {0xf8, 0xf0, 3, 0x10000}};

	if (s[0] < 0x80) {
		*ret = s[0];
		return 1;
	}
	for (size_t f = 0; f < sizeof forms / sizeof forms[0]; f++) {
		if ((s[0] & forms[f].mask) != forms[f].lead)
			continue;
		uint32_t c = s[0] & (uint8_t)~forms[f].mask;
		for (size_t i = 1; i <= forms[f].more; i++) {
			if ((s[i] & 0xc0) != 0x80)
				return 0;
			c = c << 6 | (s[i] & 0x3f);
		}
		if (c < forms[f].least || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
			return 0;
		*ret = c;
		return (size_t)forms[f].more + 1;
	}
	return 0;
}

static vs_rc
put_escaped(struct vs_buf *out, uint32_t c, struct vs_err *err)
{
	if (c == '"' || c == '\\') {
		const char both[2] = {'\\', (char)c};
		return vs_buf_add(out, both, 2, err);
	}
	if (c >= 0x20 && c < 0x7f)
		return vs_buf_add_u8(out, (uint8_t)c, err);
	if (c < 0x10000)
		return vs_buf_addf(out, err, "\\u%04x", (unsigned)c);
	c -= 0x10000;
	return vs_buf_addf(out, err, "\\u%04x\\u%04x", (unsigned)(0xd800 + (c >> 10)),
		(unsigned)(0xdc00 + (c & 0x3ff)));
}

vs_rc
vs_chain_put_string(struct vs_buf *out, const char *text, struct vs_err *err)
{
	const uint8_t *s = (const uint8_t *)text;

	VS_TRY(vs_buf_add_u8(out, '"', err));
	while (*s != 0) {
		uint32_t c = 0;
		const size_t n = decode_utf8(s, &c);
		VS_TRY(put_escaped(out, n == 0 ? 0xfffd : c, err));
		s += n == 0 ? 1 : n;
	}
	return vs_buf_add_u8(out, '"', err);
}

static vs_rc
hash_body(struct vs_ossl *o, struct vs_bytes body, char ret[65], struct vs_err *err)
{
	uint8_t out[32];
	struct vs_digest *d = NULL;

	VS_TRY(vs_digest_new(o, VS_HASH_SHA256, &d, err));
	vs_rc rc = vs_digest_start(d, err);
	if (!vs_failed(rc))
		rc = vs_digest_update(d, body, err);
	if (!vs_failed(rc))
		rc = vs_digest_update(d, vs_bytes_str("}"), err);
	if (!vs_failed(rc))
		rc = vs_digest_final(d, out, err);
	vs_digest_free(d);
	VS_TRY(rc);
	vs_hex_str(out, sizeof out, ret, 65);
	return VS_OK;
}

static vs_rc
put_time(struct vs_buf *out, int64_t wall, struct vs_err *err)
{
	const time_t t = (time_t)wall;
	struct tm tm;
	char text[40];

	if (gmtime_r(&t, &tm) == NULL ||
		strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		VS_FAIL(err, AUDIT, "the clock's time cannot be written");
	return vs_buf_addf(out, err, ",\"time\":\"%s\",\"wall\":%lld", text, (long long)wall);
}

vs_rc
vs_chain_compose(struct vs_ossl *o, const struct vs_chain_head *head, struct vs_bytes body,
	struct vs_buf *out, char ret_hash[65], struct vs_err *err)
{
	vs_buf_reset(out);
	VS_TRY(vs_buf_addf(out, err, "{\"v\":%d,\"log\":\"%s\",\"seq\":%llu", (int)VS_CHAIN_VERSION,
		head->log_id, (unsigned long long)head->seq));
	VS_TRY(put_time(out, head->wall, err));
	VS_TRY(vs_buf_add_str(out, ",\"boot_id\":", err));
	VS_TRY(vs_chain_put_string(out, head->boot_id, err));
	VS_TRY(vs_buf_addf(out, err, ",\"boot_ns\":%lld,\"writer\":", (long long)head->boot_ns));
	VS_TRY(vs_chain_put_string(out, head->writer, err));
	VS_TRY(vs_buf_addf(out, err, ",\"writer_pid\":%d,\"writer_uid\":%u%s,", head->pid,
		head->uid, head->lab ? ",\"lab\":true" : ""));
	VS_TRY(vs_buf_add(out, body.p, body.n, err));
	VS_TRY(vs_buf_addf(out, err, ",\"prev\":\"%s\"", head->prev));
	VS_TRY(hash_body(o, vs_buf_view(out), ret_hash, err));
	VS_TRY(vs_buf_addf(out, err, ",\"hash\":\"%s\"}\n", ret_hash));
	if (out->n > VS_AUDIT_LINE_MAX)
		VS_FAIL(err, AUDIT, "an audit record would be longer than %d octets",
			(int)VS_AUDIT_LINE_MAX);
	return VS_OK;
}

/* ---- reading ----------------------------------------------------------------------------- */

struct scan {
	const uint8_t *p, *end;
};

static bool
eat(struct scan *s, char c)
{
	if (s->p == s->end || *s->p != (uint8_t)c)
		return false;
	s->p++;
	return true;
}

static bool
eat_word(struct scan *s, const char *word)
{
	const size_t n = strlen(word);

	if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0)
		return false;
	s->p += n;
	return true;
}

static bool
lower_hex(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

static bool
eat_string(struct scan *s)
{
	if (!eat(s, '"'))
		return false;
	while (s->p < s->end && *s->p != '"') {
		if (*s->p < 0x20 || *s->p >= 0x7f)
			return false;
		if (*s->p++ != '\\')
			continue;
		if (eat(s, '"') || eat(s, '\\'))
			continue;
		if (!eat(s, 'u') || s->end - s->p < 4)
			return false;
		for (int i = 0; i < 4; i++)
			if (!lower_hex(*s->p++))
				return false;
	}
	return eat(s, '"');
}

static bool
eat_integer(struct scan *s)
{
	const bool minus = eat(s, '-');
	const uint8_t *start = s->p;

	while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
		s->p++;
	const size_t digits = (size_t)(s->p - start);
	if (digits == 0 || digits > 20)
		return false;
	return start[0] != '0' || (digits == 1 && !minus);
}

static bool eat_list(struct scan *s, int depth);

static bool
eat_value(struct scan *s, int depth)
{
	if (s->p == s->end)
		return false;
	switch (*s->p) {
	case '"': return eat_string(s);
	case '[':
	case '{': return depth < VS_CHAIN_DEPTH_MAX && eat_list(s, depth + 1);
	case 't': return eat_word(s, "true");
	case 'f': return eat_word(s, "false");
	default: return eat_integer(s);
	}
}

/* Array or object. */
static bool
eat_list(struct scan *s, int depth)
{
	const bool object = *s->p++ == '{';
	const char close = object ? '}' : ']';

	if (eat(s, close))
		return true;
	do {
		if (object && !(eat_string(s) && eat(s, ':')))
			return false;
		if (!eat_value(s, depth))
			return false;
	} while (eat(s, ','));
	return eat(s, close);
}

/* Name without quotes, value as it stands. */
struct member {
	struct vs_bytes name, value;
};

static bool
eat_member(struct scan *s, struct member *ret)
{
	const uint8_t *name = s->p;

	if (!eat_string(s))
		return false;
	ret->name = vs_bytes_of(name + 1, (size_t)(s->p - name) - 2);
	if (!eat(s, ':'))
		return false;
	const uint8_t *value = s->p;
	if (!eat_value(s, 0))
		return false;
	ret->value = vs_bytes_of(value, (size_t)(s->p - value));
	return true;
}

/* All members of a record; 0 when the line is not one object in canonical form. */
static size_t
split(struct vs_bytes line, struct member members[MEMBERS_MAX])
{
	struct scan s = {.p = line.p, .end = line.p + line.n};
	size_t n = 0;

	if (!eat(&s, '{'))
		return 0;
	do {
		if (n == MEMBERS_MAX || !eat_member(&s, &members[n]))
			return 0;
		for (size_t i = 0; i < n; i++)
			if (vs_bytes_eq(members[i].name, members[n].name))
				return 0;
		n++;
	} while (eat(&s, ','));
	return eat(&s, '}') && s.p == s.end ? n : 0;
}

static uint64_t
number(struct vs_bytes v)
{
	uint64_t n = 0;

	for (size_t i = 0; i < v.n; i++) {
		if (v.p[i] < '0' || v.p[i] > '9' || n > (UINT64_MAX - 9) / 10)
			return 0;
		n = n * 10 + (uint64_t)(v.p[i] - '0');
	}
	return n;
}

/* A plain string without escapes. */
static bool
text(struct vs_bytes v, char *out, size_t out_size)
{
	if (v.n < 2 || v.p[0] != '"' || v.n - 2 >= out_size || memchr(v.p, '\\', v.n) != NULL)
		return false;
	memcpy(out, v.p + 1, v.n - 2);
	out[v.n - 2] = 0;
	return true;
}

static bool
hex_text(struct vs_bytes v, char *out, size_t digits)
{
	if (v.n != digits + 2 || !text(v, out, digits + 1))
		return false;
	for (size_t i = 0; i < digits; i++)
		if (!lower_hex((uint8_t)out[i]))
			return false;
	return true;
}

/* The fixed members, in their order. */
static bool
read_fixed(const struct member *m, size_t n, struct vs_chain_link *ret)
{
	static const char *const names[] = {
		"v", "log", "seq", "time", "wall", "boot_id", "boot_ns", "writer", "writer_pid"};
	enum { FIXED = sizeof names / sizeof names[0] };

	if (n < FIXED + 3)
		return false;
	for (size_t i = 0; i < FIXED; i++)
		if (!vs_bytes_eq_str(m[i].name, names[i]))
			return false;
	/* Older logs do not have it, and stay what they are. */
	const size_t uid = vs_bytes_eq_str(m[FIXED].name, "writer_uid") ? 1 : 0;
	if (uid && (m[FIXED].value.p[0] < '0' || m[FIXED].value.p[0] > '9'))
		return false;
	ret->lab = vs_bytes_eq_str(m[FIXED + uid].name, "lab");
	if (ret->lab && !vs_bytes_eq_str(m[FIXED + uid].value, "true"))
		return false;
	ret->seq = number(m[2].value);
	ret->wall = (int64_t)number(m[4].value);
	return vs_bytes_eq_str(m[FIXED + uid + (ret->lab ? 1 : 0)].name, "event") &&
		vs_bytes_eq_str(m[0].value, "1") && hex_text(m[1].value, ret->log_id, 32) &&
		text(m[3].value, ret->time, sizeof ret->time) &&
		text(m[5].value, ret->boot_id, sizeof ret->boot_id) &&
		vs_bytes_eq_str(m[n - 2].name, "prev") &&
		hex_text(m[n - 2].value, ret->prev, HASH_HEX) &&
		vs_bytes_eq_str(m[n - 1].name, "hash") &&
		hex_text(m[n - 1].value, ret->hash, HASH_HEX);
}

/* Even of a damaged line, for the report: what stands behind "seq": near its start. */
static uint64_t
guess_seq(struct vs_bytes line)
{
	static const char mark[] = ",\"seq\":";
	const size_t far = line.n < 128 ? line.n : 128;
	const uint8_t *at = far == 0 ? NULL : memmem(line.p, far, mark, sizeof mark - 1);

	if (at == NULL)
		return 0;
	struct scan s = {.p = at + sizeof mark - 1, .end = line.p + line.n};
	const uint8_t *start = s.p;
	return eat_integer(&s) ? number(vs_bytes_of(start, (size_t)(s.p - start))) : 0;
}

bool
vs_chain_read(struct vs_ossl *o, struct vs_bytes line, struct vs_chain_link *ret,
	char reason[VS_CHAIN_REASON_MAX])
{
	struct member members[MEMBERS_MAX];
	char hash[65];

	*ret = (struct vs_chain_link){.seq = guess_seq(line)};
	const size_t n = split(line, members);
	if (n == 0 || !read_fixed(members, n, ret) || ret->seq == 0 || line.n <= HASH_MEMBER) {
		(void)snprintf(reason, VS_CHAIN_REASON_MAX,
			"the line is not an audit record in its canonical form");
		return false;
	}
	if (vs_failed(hash_body(o, vs_bytes_of(line.p, line.n - HASH_MEMBER), hash, NULL))) {
		(void)snprintf(reason, VS_CHAIN_REASON_MAX, "the record's hash cannot be computed");
		return false;
	}
	if (strcmp(hash, ret->hash) != 0) {
		(void)snprintf(reason, VS_CHAIN_REASON_MAX,
			"the record was changed: its hash does not fit");
		return false;
	}
	return true;
}

/* ---- one member -------------------------------------------------------------------------- */

static unsigned
hex_digit(uint8_t c)
{
	return c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'a') + 10;
}

/* Back to UTF-8; what is cut is cut between characters. */
static void
unescape(struct vs_bytes v, char *out, size_t out_size)
{
	size_t n = 0;
	uint32_t high = 0;

	for (size_t i = 1; i + 1 < v.n;) {
		uint32_t c = v.p[i++];
		if (c == '\\' && v.p[i] == 'u') {
			c = hex_digit(v.p[i + 1]) << 12 | hex_digit(v.p[i + 2]) << 8 |
				hex_digit(v.p[i + 3]) << 4 | hex_digit(v.p[i + 4]);
			i += 5;
		} else if (c == '\\') {
			c = v.p[i++];
		}
		if (c >= 0xd800 && c < 0xdc00) {
			high = c;
			continue;
		}
		if (c >= 0xdc00 && c < 0xe000)
			c = 0x10000 + ((high & 0x3ff) << 10) + (c & 0x3ff);
		uint8_t utf8[4];
		size_t k = 0;
		if (c < 0x80) {
			utf8[k++] = (uint8_t)c;
		} else if (c < 0x800) {
			utf8[k++] = (uint8_t)(0xc0 | c >> 6);
		} else if (c < 0x10000) {
			utf8[k++] = (uint8_t)(0xe0 | c >> 12);
			utf8[k++] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
		} else {
			utf8[k++] = (uint8_t)(0xf0 | (c >> 18 & 7));
			utf8[k++] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
			utf8[k++] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
		}
		if (c >= 0x80)
			utf8[k++] = (uint8_t)(0x80 | (c & 0x3f));
		if (n + k >= out_size)
			break;
		memcpy(out + n, utf8, k);
		n += k;
	}
	out[n] = 0;
}

bool
vs_chain_get(struct vs_bytes line, const char *name, char *out, size_t out_size)
{
	struct member members[MEMBERS_MAX];
	const size_t n = split(line, members);

	out[0] = 0;
	for (size_t i = 0; i < n; i++) {
		if (!vs_bytes_eq_str(members[i].name, name))
			continue;
		const struct vs_bytes v = members[i].value;
		if (v.p[0] == '"') {
			unescape(v, out, out_size);
		} else {
			const size_t k = v.n < out_size ? v.n : out_size - 1;
			memcpy(out, v.p, k);
			out[k] = 0;
		}
		return true;
	}
	return false;
}
