/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/volume_header.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/file.h"
#include "jose/json.h"

static const char *const ciphers[] = {"aes-xts-plain64", NULL};
static const char *const hashes[] = {"sha256", "sha512", NULL};
static const char *const kdfs[] = {"pbkdf2", "argon2i", "argon2id", NULL};
static const char *const segment_members[] = {
	"type", "offset", "size", "iv_tweak", "encryption", "sector_size", NULL};

enum { BINARY_HEADER = 4096, WRAPPED_MAX = 1024 };

VS_RC
vs_volume_copy(int fd, const char *what, int *ret_fd, struct vs_err *err)
{
	static const uint8_t magic[] = {'L', 'U', 'K', 'S', 0xba, 0xbe, 0, 2};
	VS_CLEANUP(vs_buf_done) struct vs_buf head = {.max = VS_VOLUME_HEADER_MAX};
	uint8_t *room = NULL;
	size_t n = 0;
	VS_TRY(vs_buf_room(&head, VS_VOLUME_HEADER_MAX, &room, err));
	while (n < VS_VOLUME_HEADER_MAX) {
		const ssize_t got = pread(fd, room + n, VS_VOLUME_HEADER_MAX - n, (off_t)n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			VS_FAIL_N(err, FILE, errno, "%s cannot be read: %s", what, strerror(errno));
		if (got == 0)
			break;
		n += (size_t)got;
	}
	if (n < BINARY_HEADER || memcmp(room, magic, sizeof magic) != 0)
		VS_FAIL(err, USAGE,
			"%s has no LUKS2 header; make one with cryptsetup luksFormat --type luks2",
			what);
	uint64_t size = 0;
	for (size_t i = 8; i < 16; i++)
		size = size << 8 | room[i];
	if (size < 16384 || size > VS_VOLUME_JSON_MAX)
		VS_FAIL(err, REFUSED_FORM, "%s: the header says that it has %llu bytes", what,
			(unsigned long long)size);
	const int copy = memfd_create("vouchsafe-header", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (copy < 0)
		VS_FAIL_N(err, FILE, errno, "no memory file for the header: %s", strerror(errno));
	const vs_rc rc = vs_fd_write_all(copy, vs_bytes_of(room, n), err);
	if (vs_failed(rc) ||
		fcntl(copy, F_ADD_SEALS,
			F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0) {
		(void)close(copy);
		if (vs_failed(rc))
			return vs_err_while(rc, err, "copying the header of %s", what);
		VS_FAIL_N(err, FILE, errno, "the copy of the header cannot be sealed");
	}
	*ret_fd = copy;
	return VS_OK;
}

static VS_RC
want_text(const struct vs_json *object, const char *member, const char *const *allowed,
	const char *where, struct vs_err *err)
{
	struct vs_bytes seen = vs_bytes_str("nothing");
	char quoted[80];
	(void)vs_json_bytes(vs_json_get(object, member), &seen);
	for (size_t i = 0; allowed[i]; i++)
		if (vs_json_is_string(vs_json_get(object, member), allowed[i]))
			return VS_OK;
	VS_FAIL(err, REFUSED_FORM, "the volume's header was refused: %s has %s %s, expected %s%s",
		where, member, vs_quote(seen, quoted, sizeof quoted), allowed[0],
		allowed[1] ? " or another of its kind" : "");
}

static VS_RC
want_key_size(const struct vs_json *object, const char *where, struct vs_err *err)
{
	int64_t n = 0;
	if (!vs_json_int(vs_json_get(object, "key_size"), &n) || (n != 32 && n != 64))
		VS_FAIL(err, REFUSED_FORM,
			"the volume's header was refused: %s has a key of %lld bytes, expected 64 "
			"or 32",
			where, (long long)n);
	return VS_OK;
}

static VS_RC
judge_slots(const struct vs_json *slots, struct vs_err *err)
{
	static const char *const luks2[] = {"luks2", NULL}, *const raw[] = {"raw", NULL},
				 *const luks1[] = {"luks1", NULL};
	if (vs_json_kind(slots) != VS_JSON_OBJECT || vs_json_count(slots) > 32)
		VS_FAIL(err, REFUSED_FORM,
			"the volume's header was refused: its key slots have no form");
	for (const void *it = vs_json_first(slots); it; it = vs_json_next(slots, it)) {
		const struct vs_json *slot = vs_json_it_value(it);
		VS_TRY(want_text(slot, "type", luks2, "a key slot", err));
		VS_TRY(want_key_size(slot, "a key slot", err));
		const struct vs_json *area = vs_json_get(slot, "area");
		VS_TRY(want_text(area, "type", raw, "a key slot's area", err));
		VS_TRY(want_text(area, "encryption", ciphers, "a key slot's area", err));
		VS_TRY(want_key_size(area, "a key slot's area", err));
		VS_TRY(want_text(vs_json_get(slot, "kdf"), "type", kdfs, "a key slot", err));
		VS_TRY(want_text(vs_json_get(slot, "af"), "type", luks1, "a key slot", err));
		VS_TRY(want_text(vs_json_get(slot, "af"), "hash", hashes, "a key slot", err));
	}
	return VS_OK;
}

static VS_RC
judge_segment(const struct vs_json *segments, struct vs_err *err)
{
	static const char *const crypt[] = {"crypt", NULL}, *const zero[] = {"0", NULL};
	const struct vs_json *s = vs_json_get(segments, "0");
	if (vs_json_kind(s) != VS_JSON_OBJECT || vs_json_count(segments) != 1)
		VS_FAIL(err, REFUSED_FORM,
			"the volume's header was refused: it has %zu segments, expected one",
			vs_json_count(segments));
	for (const void *it = vs_json_first(s); it; it = vs_json_next(s, it)) {
		bool known = false;
		char quoted[80];
		for (size_t i = 0; segment_members[i]; i++)
			known = known || strcmp(segment_members[i], vs_json_it_name(it)) == 0;
		if (!known)
			VS_FAIL(err, REFUSED_FORM,
				"the volume's header was refused: its segment has %s, which is not "
				"expected",
				vs_quote(vs_bytes_str(vs_json_it_name(it)), quoted, sizeof quoted));
	}
	VS_TRY(want_text(s, "type", crypt, "the segment", err));
	VS_TRY(want_text(s, "encryption", ciphers, "the segment", err));
	VS_TRY(want_text(s, "iv_tweak", zero, "the segment", err));
	int64_t sector = 0;
	if (!vs_json_int(vs_json_get(s, "sector_size"), &sector) ||
		(sector != 512 && sector != 1024 && sector != 2048 && sector != 4096))
		VS_FAIL(err, REFUSED_FORM, "the volume's header was refused: sectors of %lld bytes",
			(long long)sector);
	return VS_OK;
}

static bool
names_one(const struct vs_json *array, const char *name)
{
	return vs_json_kind(array) == VS_JSON_ARRAY && vs_json_count(array) == 1 &&
		vs_json_is_string(vs_json_at(array, 0), name);
}

static VS_RC
judge_digest(const struct vs_json *digests, struct vs_err *err)
{
	static const char *const pbkdf2[] = {"pbkdf2", NULL};
	const struct vs_json *d = vs_json_get(digests, "0");
	if (vs_json_kind(d) != VS_JSON_OBJECT || vs_json_count(digests) != 1)
		VS_FAIL(err, REFUSED_FORM,
			"the volume's header was refused: it has %zu digests, expected one",
			vs_json_count(digests));
	VS_TRY(want_text(d, "type", pbkdf2, "the digest", err));
	VS_TRY(want_text(d, "hash", hashes, "the digest", err));
	if (!names_one(vs_json_get(d, "segments"), "0"))
		VS_FAIL(err, REFUSED_FORM,
			"the volume's header was refused: the digest does not cover the segment");
	return VS_OK;
}

static VS_RC
add_member(const struct vs_json *o, const char *name, struct vs_buf *out, struct vs_err *err)
{
	VS_TRY(vs_buf_addf(out, err, "%s=", name));
	if (vs_json_get(o, name))
		VS_TRY(vs_json_dump(vs_json_get(o, name), out, err));
	return vs_buf_add_str(out, "\n", err);
}

static void
free_json(struct vs_json **p)
{
	vs_json_freep(p);
}

VS_RC
vs_volume_judge(
	struct vs_bytes json, const char *uuid, struct vs_buf *canonical, struct vs_err *err)
{
	static const char *const digest_members[] = {
		"type", "hash", "iterations", "salt", "digest", NULL};
	VS_CLEANUP(free_json) struct vs_json *root = NULL;
	const vs_rc rc =
		vs_json_load_object(json, VS_VOLUME_JSON_MAX, "the volume's header", &root, err);
	if (vs_failed(rc))
		return rc;
	const struct vs_json *wanted = vs_json_path(root, "config.requirements");
	if (wanted && (vs_json_kind(wanted) != VS_JSON_OBJECT || vs_json_count(wanted) > 0) &&
		(vs_json_count(wanted) > 1 ||
			vs_json_kind(vs_json_get(wanted, "mandatory")) != VS_JSON_ARRAY ||
			vs_json_count(vs_json_get(wanted, "mandatory")) > 0))
		VS_FAIL(err, REFUSED_FORM,
			"the volume's header was refused: it has requirements (re-encryption that "
			"was "
			"begun is one); finish with cryptsetup reencrypt on a machine you trust");
	VS_TRY(judge_slots(vs_json_get(root, "keyslots"), err));
	VS_TRY(judge_segment(vs_json_get(root, "segments"), err));
	VS_TRY(judge_digest(vs_json_get(root, "digests"), err));
	const struct vs_json *segment = vs_json_path(root, "segments.0");
	const struct vs_json *digest = vs_json_path(root, "digests.0");
	VS_TRY(vs_buf_addf(canonical, err, "vouchsafe volume 1\nuuid=%s\n", uuid));
	for (size_t i = 0; segment_members[i]; i++)
		VS_TRY(add_member(segment, segment_members[i], canonical, err));
	for (size_t i = 0; digest_members[i]; i++)
		VS_TRY(add_member(digest, digest_members[i], canonical, err));
	return VS_OK;
}

void
vs_volume_entry_done(struct vs_volume_entry *e)
{
	vs_buf_done(&e->wrapped);
	*e = (struct vs_volume_entry){.number = -1};
}

static bool
copy_text(const struct vs_json *o, const char *name, char *out, size_t out_size)
{
	struct vs_bytes b = {0};
	if (!vs_json_bytes(vs_json_get(o, name), &b) || b.n == 0 || b.n >= out_size)
		return false;
	memcpy(out, b.p, b.n);
	out[b.n] = '\0';
	return true;
}

/* LUKS2 numbers its objects 0 to 31. */
static int
small_number(const char *s)
{
	if (!s || s[0] < '0' || s[0] > '9' || (s[1] && (s[1] < '0' || s[1] > '9' || s[2])))
		return -1;
	const int n = s[1] ? (s[0] - '0') * 10 + (s[1] - '0') : s[0] - '0';
	return n < 32 ? n : -1;
}

/* A slot that is perhaps not there cannot be named as one of the token's. */
static bool
read_begun(const struct vs_json *o, const struct vs_json *slots, const char **slot, uint32_t *begun)
{
	int64_t n = 0;
	if (vs_json_kind(slots) != VS_JSON_ARRAY || vs_json_count(slots) != 0 ||
		!vs_json_int(vs_json_get(o, "vouchsafe-iterations"), &n) || n < 1 ||
		n > INT32_MAX || !vs_json_string(vs_json_get(o, "vouchsafe-begun"), slot))
		return false;
	*begun = (uint32_t)n;
	return true;
}

static VS_RC
read_entry(const struct vs_json *o, int number, struct vs_volume_entry *ret, struct vs_err *err)
{
	VS_CLEANUP(vs_volume_entry_done)
	struct vs_volume_entry e = {.number = number, .wrapped = {.max = WRAPPED_MAX}};
	const char *slot = NULL;
	struct vs_bytes wrapped = {0};
	const struct vs_json *slots = vs_json_get(o, "keyslots");
	if (vs_json_get(o, "vouchsafe-begun"))
		(void)read_begun(o, slots, &slot, &e.begun);
	else if (vs_json_count(slots) == 1)
		(void)vs_json_string(vs_json_at(slots, 0), &slot);
	e.slot = small_number(slot);
	if (number < 0 || e.slot < 0 || !copy_text(o, "vouchsafe-token", e.token, sizeof e.token) ||
		!copy_text(o, "vouchsafe-key", e.key, sizeof e.key) ||
		!copy_text(o, "vouchsafe-version", e.version, sizeof e.version) ||
		!vs_json_bytes(vs_json_get(o, "vouchsafe-wrapped"), &wrapped) ||
		wrapped.n > 2 * WRAPPED_MAX || vs_failed(vs_b64_decode(wrapped, &e.wrapped, NULL)))
		VS_FAIL(err, REFUSED_FORM,
			"the volume's entry for Vouchsafe (token %d) has no form", number);
	*ret = e;
	e = (struct vs_volume_entry){0};
	return VS_OK;
}

VS_RC
vs_volume_entry_read(struct vs_bytes json, struct vs_volume_entry *ret, struct vs_err *err)
{
	VS_CLEANUP(free_json) struct vs_json *root = NULL;
	VS_TRY(vs_json_load_object(json, VS_VOLUME_JSON_MAX, "the volume's header", &root, err));
	const struct vs_json *tokens = vs_json_get(root, "tokens");
	for (const void *it = vs_json_first(tokens); it; it = vs_json_next(tokens, it))
		if (vs_json_is_string(vs_json_get(vs_json_it_value(it), "type"), "vouchsafe"))
			return read_entry(
				vs_json_it_value(it), small_number(vs_json_it_name(it)), ret, err);
	VS_FAIL(err, NOT_FOUND, "the volume is not enrolled; see vouchsafe volume enroll");
}

VS_RC
vs_volume_entry_write(const struct vs_volume_entry *e, struct vs_buf *json, struct vs_err *err)
{
	if (e->begun)
		VS_TRY(vs_buf_addf(json, err,
			"{\"type\":\"vouchsafe\",\"keyslots\":[],\"vouchsafe-begun\":\"%d\","
			"\"vouchsafe-iterations\":%lu,",
			e->slot, (unsigned long)e->begun));
	else
		VS_TRY(vs_buf_addf(
			json, err, "{\"type\":\"vouchsafe\",\"keyslots\":[\"%d\"],", e->slot));
	VS_TRY(vs_buf_add_str(json, "\"vouchsafe-token\":", err));
	VS_TRY(vs_json_put_string(json, vs_bytes_str(e->token), err));
	VS_TRY(vs_buf_add_str(json, ",\"vouchsafe-key\":", err));
	VS_TRY(vs_json_put_string(json, vs_bytes_str(e->key), err));
	VS_TRY(vs_buf_add_str(json, ",\"vouchsafe-version\":", err));
	VS_TRY(vs_json_put_string(json, vs_bytes_str(e->version), err));
	VS_TRY(vs_buf_add_str(json, ",\"vouchsafe-wrapped\":\"", err));
	VS_TRY(vs_b64_encode(vs_buf_view(&e->wrapped), json, err));
	return vs_buf_add_str(json, "\"}", err);
}
