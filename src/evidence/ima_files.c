/* SPDX-License-Identifier: BSD-2-Clause */
/* Signatures of files in the list of measured files. Linux: security/integrity/integrity.h. */
#include <string.h>

#include "base/codec.h"
#include "evidence/ev_crypto.h"
#include "evidence/ima.h"

enum {
	XATTR_SIGNATURE = 3,
	SIG_VERSION = 2,
	KEY_ID = 4,
	FIELD_DIGEST = 0,
	FIELD_PATH = 1,
	FIELD_SIGNATURE = 2,
	DEFAULT_BITS = 2048,
};

/* The kernel's numbers of hash functions, and its names for them. */
static const struct {
	uint8_t number;
	const char *name;
	enum vs_hash hash;
} hashes[] = {
	{4, "sha256", VS_HASH_SHA256},
	{5, "sha384", VS_HASH_SHA384},
	{6, "sha512", VS_HASH_SHA512},
};

struct digest {
	struct vs_bytes algorithm, value;
};

/* "sha256:\0" and the hash; version 2 of the field has "ima:" in front, or another kind of hash. */
static bool
read_digest(struct vs_bytes field, bool v2, struct digest *ret)
{
	const uint8_t *end = field.n != 0 ? memchr(field.p, '\0', field.n) : NULL;
	if (end == NULL || end == field.p || end[-1] != ':')
		return false;
	struct vs_bytes name = {field.p, (size_t)(end - field.p) - 1};
	if (v2) {
		static const char kind[] = "ima:";
		if (name.n < sizeof kind - 1 || memcmp(name.p, kind, sizeof kind - 1) != 0)
			return false;
		name = (struct vs_bytes){name.p + sizeof kind - 1, name.n - (sizeof kind - 1)};
	}
	*ret = (struct digest){name, {end + 1, field.n - (size_t)(end + 1 - field.p)}};
	return true;
}

static bool
is_key(const struct vs_ev_cert *cert, struct vs_bytes id)
{
	const struct vs_bytes ski = vs_ev_cert_ext(cert, "2.5.29.14");
	return ski.n > KEY_ID && memcmp(ski.p + ski.n - KEY_ID, id.p, KEY_ID) == 0;
}

/* type, version, hash, key identifier, length, signature */
static bool
verify(struct vs_bytes field, const struct digest *d, const struct vs_ima_keys *keys)
{
	struct vs_reader r = vs_reader_of(field);
	const unsigned bits = keys->min_rsa_bits != 0 ? keys->min_rsa_bits : DEFAULT_BITS;
	const uint8_t type = vs_get_u8(&r), version = vs_get_u8(&r), number = vs_get_u8(&r);
	const struct vs_bytes id = vs_get_bytes(&r, KEY_ID);
	const struct vs_bytes sig = vs_get_bytes(&r, vs_get_be16(&r));
	if (!vs_reader_done(&r) || type != XATTR_SIGNATURE || version != SIG_VERSION)
		return false;
	for (size_t i = 0; i < sizeof hashes / sizeof *hashes; i++) {
		if (hashes[i].number != number || !vs_bytes_eq_str(d->algorithm, hashes[i].name))
			continue;
		for (size_t k = 0; k < keys->certs->n; k++) {
			const struct vs_ev_cert *cert = keys->certs->v[k];
			if (is_key(cert, id) &&
				!vs_failed(vs_ev_verify_hash(vs_ev_cert_key(cert), bits,
					hashes[i].hash, d->value, sig, NULL)))
				return true;
		}
	}
	return false;
}

static void
judge(const struct vs_ima_entry *e, bool first, const struct vs_ima_keys *keys,
	struct vs_ima_files *f)
{
	const bool v2 = vs_bytes_eq_str(e->name, "ima-sigv2");
	const bool with_signature =
		v2 || vs_bytes_eq_str(e->name, "ima-sig") || vs_bytes_eq_str(e->name, "ima-modsig");
	struct vs_bytes path = vs_ima_field(e, FIELD_PATH);
	const struct vs_bytes sig = vs_ima_field(e, FIELD_SIGNATURE);
	struct digest d;
	if (path.n != 0 && path.p[path.n - 1] == '\0')
		path.n--;
	if (first && vs_bytes_eq_str(path, "boot_aggregate") && !e->violation) {
		f->n_other++;
		return;
	}
	/* No hash covers the template's name, so none may excuse an entry: "ima-buf" neither. */
	f->n_files++;
	if (!e->violation && with_signature && sig.n != 0 && vs_ima_hash_fits(e) &&
		read_digest(vs_ima_field(e, FIELD_DIGEST), v2, &d) && verify(sig, &d, keys)) {
		f->n_signed++;
		return;
	}
	if (f->n_unsigned + f->n_bad == 0)
		(void)vs_quote(path, f->first, sizeof f->first);
	if (sig.n == 0 || !with_signature)
		f->n_unsigned++;
	else
		f->n_bad++;
}

vs_rc
vs_ima_check_files(struct vs_bytes list, size_t n_covered, const struct vs_ima_keys *keys,
	struct vs_ima_files *ret, struct vs_err *err)
{
	struct vs_ima_files f = {.n_files = 0};
	if (list.n > VS_IMA_MAX)
		VS_FAIL(err, LIMIT, "a list of measured files of %zu bytes", list.n);
	struct vs_reader r = vs_reader_of(list);
	for (size_t i = 0; i < n_covered; i++) {
		struct vs_ima_entry e;
		bool end = false;
		VS_TRY(vs_ima_next(&r, &e, &end, err));
		if (end)
			break;
		if (e.pcr == VS_IMA_PCR)
			judge(&e, i == 0, keys, &f);
	}
	*ret = f;
	return VS_OK;
}
