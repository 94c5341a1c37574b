/* SPDX-License-Identifier: BSD-2-Clause */
/* Linux: security/integrity/ima/ima_fs.c and ima_template*.c describe the format. */
#include "evidence/ima.h"

#include <string.h>

#include "evidence/ev_crypto.h"

enum { NAME_MAX_BYTES = 64, OLD_FIXED = 20, OLD_PATH = 256, SHA1_BYTES = 20 };

static bool
all_zero(struct vs_bytes b)
{
	uint8_t x = 0;
	for (size_t i = 0; i < b.n; i++)
		x |= b.p[i];
	return x == 0;
}

vs_rc
vs_ima_next(struct vs_reader *r, struct vs_ima_entry *ret, bool *ret_end, struct vs_err *err)
{
	*ret_end = r->left == 0;
	if (*ret_end)
		return VS_OK;
	struct vs_ima_entry e = {.pcr = vs_get_le32(r)};
	e.template_hash = vs_get_bytes(r, SHA1_BYTES);
	e.name = vs_get_bytes(r, vs_get_le32(r));
	if (r->bad || e.name.n == 0 || e.name.n > NAME_MAX_BYTES || e.pcr >= VS_PCRS_MAX)
		VS_FAIL(err, FORMAT, "an entry of the list of measured files is cut off or odd");
	if (vs_bytes_eq_str(e.name, "ima")) {
		/* The oldest template has no length of its own: a digest, then a path with its
		 * length. */
		const uint8_t *start = r->p;
		vs_get_bytes(r, OLD_FIXED);
		const uint32_t n = vs_get_le32(r);
		vs_get_bytes(r, n);
		if (r->bad || n > OLD_PATH)
			VS_FAIL(err, FORMAT,
				"an entry of the list of measured files has an odd path");
		e.data = (struct vs_bytes){start, (size_t)(r->p - start)};
	} else {
		e.data = vs_get_bytes(r, vs_get_le32(r));
	}
	if (r->bad)
		VS_FAIL(err, FORMAT, "an entry of the list of measured files is cut off");
	e.violation = all_zero(e.template_hash);
	*ret = e;
	return VS_OK;
}

/* What the hash is taken over: the old template hashes the path padded to 256 bytes. */
static vs_rc
hash_data(const struct vs_ima_entry *e, enum vs_hash h, uint8_t *out, struct vs_err *err)
{
	if (!vs_bytes_eq_str(e->name, "ima"))
		return vs_ev_hash(h, &e->data, 1, out, err);
	uint8_t path[OLD_PATH] = {0};
	const size_t n = e->data.n - OLD_FIXED - 4;
	if (n != 0)
		memcpy(path, e->data.p + OLD_FIXED + 4, n);
	const struct vs_bytes parts[] = {{e->data.p, OLD_FIXED}, {path, sizeof path}};
	return vs_ev_hash(h, parts, 2, out, err);
}

bool
vs_ima_hash_fits(const struct vs_ima_entry *e)
{
	uint8_t hash[VS_HASH_MAX_BYTES];
	return !vs_failed(hash_data(e, VS_HASH_SHA1, hash, NULL)) &&
		memcmp(hash, e->template_hash.p, SHA1_BYTES) == 0;
}

struct vs_bytes
vs_ima_field(const struct vs_ima_entry *e, size_t i)
{
	const struct vs_bytes none = {NULL, 0};
	struct vs_reader r = vs_reader_of(e->data);
	if (vs_bytes_eq_str(e->name, "ima"))
		return none;
	for (size_t k = 0; k < VS_IMA_FIELDS_MAX && r.left != 0; k++) {
		const struct vs_bytes field = vs_get_bytes(&r, vs_get_le32(&r));
		if (r.bad)
			return none;
		if (k == i)
			return field;
	}
	return none;
}

/* Extend both readings; padded: SHA-1 followed by zeros, as kernels before 5.8 did. */
static vs_rc
extend(const struct vs_ima_entry *e, enum vs_hash bank, uint8_t *pcr, bool padded,
	struct vs_err *err)
{
	uint8_t digest[VS_HASH_MAX_BYTES] = {0};
	const size_t size = vs_ev_hash_size(bank);
	if (e->violation)
		memset(digest, 0xFF, size);
	else if (padded || bank == VS_HASH_SHA1)
		memcpy(digest, e->template_hash.p, SHA1_BYTES);
	else
		VS_TRY(hash_data(e, bank, digest, err));
	const struct vs_bytes parts[] = {{pcr, size}, {digest, size}};
	return vs_ev_hash(bank, parts, 2, pcr, err);
}

static vs_rc
is_quoted(const uint8_t *pcr, enum vs_hash bank, struct vs_bytes quoted, bool is_digest, bool *ret,
	struct vs_err *err)
{
	uint8_t digest[VS_HASH_MAX_BYTES];
	const struct vs_bytes value = {pcr, vs_ev_hash_size(bank)};
	if (quoted.n != value.n)
		return VS_OK;
	if (is_digest)
		VS_TRY(vs_ev_hash(bank, &value, 1, digest, err));
	*ret = memcmp(is_digest ? digest : pcr, quoted.p, quoted.n) == 0;
	return VS_OK;
}

static vs_rc
replay(struct vs_bytes list, enum vs_hash bank, struct vs_bytes quoted, bool is_digest,
	struct vs_ima_replay *ret, struct vs_err *err)
{
	struct vs_ima_replay out = {.n_entries = 0};
	uint8_t pcr[2][VS_HASH_MAX_BYTES] = {{0}, {0}};
	const size_t size = vs_ev_hash_size(bank);
	size_t violations = 0, wrong = 0;
	if (list.n > VS_IMA_MAX)
		VS_FAIL(err, LIMIT, "a list of measured files of %zu bytes", list.n);
	struct vs_reader r = vs_reader_of(list);
	for (;;) {
		struct vs_ima_entry e;
		bool end = false;
		VS_TRY(vs_ima_next(&r, &e, &end, err));
		if (end)
			break;
		if (out.n_entries++ == VS_IMA_ENTRIES_MAX)
			VS_FAIL(err, LIMIT, "a list of more than %d measured files",
				VS_IMA_ENTRIES_MAX);
		if (e.pcr != VS_IMA_PCR)
			continue;
		violations += e.violation;
		wrong += !e.violation && !vs_ima_hash_fits(&e);
		for (int i = 0; i < 2; i++) {
			VS_TRY(extend(&e, bank, pcr[i], i == 1, err));
			if (out.matched)
				continue;
			VS_TRY(is_quoted(pcr[i], bank, quoted, is_digest, &out.matched, err));
			if (out.matched) {
				out.matched = true;
				out.n_covered = out.n_entries;
				out.n_violations = violations;
				out.n_wrong = wrong;
			}
		}
	}
	memcpy(out.last, pcr[0], size);
	*ret = out;
	return VS_OK;
}

vs_rc
vs_ima_replay(struct vs_bytes list, enum vs_hash bank, struct vs_bytes quoted,
	struct vs_ima_replay *ret, struct vs_err *err)
{
	return replay(list, bank, quoted, false, ret, err);
}

vs_rc
vs_ima_replay_digest(struct vs_bytes list, enum vs_hash bank, struct vs_bytes digest,
	struct vs_ima_replay *ret, struct vs_err *err)
{
	return replay(list, bank, digest, true, ret, err);
}
