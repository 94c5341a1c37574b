/* SPDX-License-Identifier: BSD-2-Clause */
/* From keys as they come to one immutable catalog in one block. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "crypto/hash.h"
#include "crypto/ossl.h"
#include "crypto/pkey.h"
#include "keys/akv_impl.h"

enum { BLOCK_MAX = 24 << 20, CERT_MAX = 16384, FIRST_ENTRIES = 16 };

/* The views of an entry, as places in the block until the block has its final address. */
static const size_t fields[] = {
	offsetof(struct vs_cat_entry, name),
	offsetof(struct vs_cat_entry, version),
	offsetof(struct vs_cat_entry, kid),
	offsetof(struct vs_cat_entry, id),
	offsetof(struct vs_cat_entry, n),
	offsetof(struct vs_cat_entry, e),
	offsetof(struct vs_cat_entry, x),
	offsetof(struct vs_cat_entry, y),
	offsetof(struct vs_cat_entry, spki),
	offsetof(struct vs_cat_entry, cert),
	offsetof(struct vs_cat_entry, cert_subject),
	offsetof(struct vs_cat_entry, cert_issuer),
	offsetof(struct vs_cat_entry, cert_serial),
};
enum { N_FIELDS = sizeof fields / sizeof fields[0] };

struct span {
	size_t at, n;
};

struct row {
	struct vs_akv_id id;
	struct vs_cat_entry entry; /* without views */
	struct span spans[N_FIELDS];
};

struct vs_akv_catalog {
	struct vs_ossl *ossl;
	struct vs_buf block;
	struct row *rows;
	size_t n, cap;
};

vs_rc
vs_akv_catalog_new(struct vs_ossl *ossl, struct vs_akv_catalog **ret, struct vs_err *err)
{
	struct vs_akv_catalog *b = calloc(1, sizeof *b);

	if (b == NULL)
		VS_FAIL(err, MEMORY, "no memory for the catalog");
	b->ossl = vs_ossl_ref(ossl);
	b->block.max = BLOCK_MAX;
	*ret = b;
	return VS_OK;
}

void
vs_akv_catalog_free(struct vs_akv_catalog *b)
{
	if (b == NULL)
		return;
	vs_ossl_unref(b->ossl);
	vs_buf_done(&b->block);
	free(b->rows);
	free(b);
}

bool
vs_akv_catalog_is_new(const struct vs_akv_catalog *b, const struct vs_akv_id *id)
{
	for (size_t i = 0; i < b->n; i++) {
		if (strcasecmp(b->rows[i].id.name, id->name) == 0 &&
			strcasecmp(b->rows[i].id.version, id->version) == 0)
			return false;
	}
	return true;
}

static VS_RC
put(struct vs_akv_catalog *b, struct row *row, size_t field, struct vs_bytes v, struct vs_err *err)
{
	for (size_t i = 0; i < N_FIELDS; i++) {
		if (fields[i] != field)
			continue;
		row->spans[i] = (struct span){.at = b->block.n, .n = v.n};
		return vs_buf_add(&b->block, v.p, v.n, err);
	}
	VS_FAIL(err, INTERNAL, "a catalog entry has no such field");
}
#define PUT(field_, v_) VS_TRY(put(b, row, offsetof(struct vs_cat_entry, field_), (v_), err))

static void
unref_pkey(struct vs_pkey **k)
{
	vs_pkey_unref(*k);
}

/*
 * CKA_ID as other tools compute it, so that key, public key and certificate find each other:
 * SHA-1 of the modulus or of the uncompressed point; for secret keys of the identity.
 */
static VS_RC
compute_id(struct vs_akv_catalog *b, const struct vs_akv_jwk *k, const char *kid, uint8_t out[20],
	struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf point = {0};

	if (k->type == VS_KEY_RSA)
		return vs_hash_once(b->ossl, VS_HASH_SHA1, vs_buf_view(&k->n), out, err);
	if (k->type != VS_KEY_EC)
		return vs_hash_once(b->ossl, VS_HASH_SHA1, vs_bytes_str(kid), out, err);
	VS_TRY(vs_buf_add_u8(&point, 4, err));
	VS_TRY(vs_buf_add(&point, k->x.p, k->x.n, err));
	VS_TRY(vs_buf_add(&point, k->y.p, k->y.n, err));
	return vs_hash_once(b->ossl, VS_HASH_SHA1, vs_buf_view(&point), out, err);
}

static VS_RC
make_public(struct vs_akv_catalog *b, const struct vs_akv_jwk *k, struct vs_pkey **ret,
	struct vs_err *err)
{
	const struct vs_key_public parts = {
		.type = k->type,
		.curve = k->curve,
		.n = vs_buf_view(&k->n),
		.e = vs_buf_view(&k->e),
		.x = vs_buf_view(&k->x),
		.y = vs_buf_view(&k->y),
	};

	return vs_pkey_from_public(b->ossl, &parts, false, ret, err);
}

/* Not for this key, too long, or not a certificate: then there just is none. */
static bool
cert_fits(struct vs_akv_catalog *b, const struct vs_pkey *key, struct vs_bytes cert,
	struct vs_cert_parts *ret)
{
	VS_CLEANUP(unref_pkey) struct vs_pkey *cert_key = NULL;

	if (cert.n == 0 || cert.n > CERT_MAX || vs_failed(vs_cert_parts_find(cert, ret, NULL)))
		return false;
	if (vs_failed(vs_pkey_from_spki(b->ossl, ret->spki, &cert_key, NULL)))
		return false;
	const struct vs_key_public pub = vs_pkey_public(key);
	return vs_pkey_matches_public(cert_key, &pub);
}

static VS_RC
fill_row(struct vs_akv_catalog *b, struct row *row, const char *kid, const struct vs_json *jwk,
	struct vs_bytes cert, bool *ret_cert_fits, struct vs_err *err)
{
	VS_CLEANUP(vs_akv_jwk_done) struct vs_akv_jwk k = {0};
	VS_CLEANUP(unref_pkey) struct vs_pkey *key = NULL;
	VS_CLEANUP(vs_buf_done) struct vs_buf spki = {0};
	struct vs_cert_parts parts = {0};
	uint8_t id[20];

	VS_TRY(vs_akv_jwk_read(jwk, &k, err));
	row->entry.type = k.type;
	row->entry.curve = k.curve;
	row->entry.bits = k.bits;
	row->entry.ops = k.ops;
	*ret_cert_fits = false;
	if (k.type != VS_KEY_AES) {
		VS_TRY(make_public(b, &k, &key, err));
		VS_TRY(vs_pkey_spki(key, &spki, err));
		*ret_cert_fits = cert_fits(b, key, cert, &parts);
	}
	VS_TRY(compute_id(b, &k, kid, id, err));
	PUT(name, vs_bytes_str(row->id.name));
	PUT(version, vs_bytes_str(row->id.version));
	PUT(kid, vs_bytes_str(kid));
	PUT(id, vs_bytes_of(id, sizeof id));
	PUT(n, vs_buf_view(&k.n));
	PUT(e, vs_buf_view(&k.e));
	PUT(x, vs_buf_view(&k.x));
	PUT(y, vs_buf_view(&k.y));
	PUT(spki, vs_buf_view(&spki));
	if (*ret_cert_fits) {
		PUT(cert, cert);
		PUT(cert_subject, parts.subject);
		PUT(cert_issuer, parts.issuer);
		PUT(cert_serial, parts.serial);
	}
	return VS_OK;
}

vs_rc
vs_akv_catalog_add(struct vs_akv_catalog *b, const struct vs_akv_id *id, const char *kid,
	const struct vs_json *jwk, bool enabled, struct vs_bytes cert, bool *ret_cert_fits,
	struct vs_err *err)
{
	const size_t before = b->block.n;

	if (b->n == VS_AKV_KEYS_MAX)
		VS_FAIL(err, LIMIT, "a token has more than %d keys; name fewer in its setting keys",
			(int)VS_AKV_KEYS_MAX);
	if (b->n == b->cap) {
		const size_t cap = b->cap > 0 ? b->cap * 2 : FIRST_ENTRIES;
		struct row *rows = realloc(b->rows, cap * sizeof *rows);
		if (rows == NULL)
			VS_FAIL(err, MEMORY, "no memory for the catalog");
		b->rows = rows;
		b->cap = cap;
	}
	struct row *row = &b->rows[b->n];
	*row = (struct row){.id = *id, .entry = {.enabled = enabled}};
	const vs_rc rc = fill_row(b, row, kid, jwk, cert, ret_cert_fits, err);
	if (vs_failed(rc))
		b->block.n = before;
	else
		b->n++;
	return rc;
}

static int
compare_rows(const void *a, const void *b)
{
	const struct row *x = a;
	const struct row *y = b;
	const int by_name = strcmp(x->id.name, y->id.name);

	return by_name != 0 ? by_name : strcmp(x->id.version, y->id.version);
}

static void
set_views(struct vs_cat_entry *entry, const struct row *row, const uint8_t *block)
{
	*entry = row->entry;
	for (size_t i = 0; i < N_FIELDS; i++) {
		struct vs_bytes *view = (struct vs_bytes *)(void *)((char *)entry + fields[i]);
		*view = row->spans[i].n > 0 ? vs_bytes_of(block + row->spans[i].at, row->spans[i].n)
					    : (struct vs_bytes){0};
	}
}

/* A number that says "these contents": the same keys give the same one, in every process. */
static VS_RC
compute_generation(struct vs_akv_catalog *b, const struct vs_catalog_data *c, uint64_t *ret,
	struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf all = {.max = 2 * (size_t)BLOCK_MAX};
	uint8_t sha256[32];
	uint64_t v = 0;

	for (size_t i = 0; i < c->n; i++) {
		const struct vs_cat_entry *e = &c->entries[i];
		VS_TRY(vs_buf_addf(&all, err, "%d %d %u %u %d", (int)e->type, (int)e->curve,
			(unsigned)e->bits, (unsigned)e->ops, (int)e->enabled));
		for (size_t f = 0; f < N_FIELDS; f++) {
			const struct vs_bytes *view =
				(const struct vs_bytes *)(const void *)((const char *)e +
					fields[f]);
			VS_TRY(vs_buf_add_be32(&all, (uint32_t)view->n, err));
			VS_TRY(vs_buf_add(&all, view->p, view->n, err));
		}
	}
	VS_TRY(vs_hash_once(b->ossl, VS_HASH_SHA256, vs_buf_view(&all), sha256, err));
	for (size_t i = 0; i < 8; i++)
		v = v << 8 | sha256[i];
	*ret = v != 0 ? v : 1;
	return VS_OK;
}

static void
free_data(struct vs_catalog_data **c)
{
	vs_catalog_data_free(*c);
}

vs_rc
vs_akv_catalog_finish(struct vs_akv_catalog *b, struct vs_catalog_data **ret, struct vs_err *err)
{
	VS_CLEANUP(free_data) struct vs_catalog_data *c = calloc(1, sizeof *c);

	if (c != NULL)
		c->entries = calloc(b->n > 0 ? b->n : 1, sizeof *c->entries);
	if (c == NULL || c->entries == NULL)
		VS_FAIL(err, MEMORY, "no memory for the catalog");
	if (b->n > 1)
		qsort(b->rows, b->n, sizeof *b->rows, compare_rows);
	vs_buf_move(&c->block, &b->block);
	c->n = b->n;
	for (size_t i = 0; i < c->n; i++)
		set_views(&c->entries[i], &b->rows[i], c->block.p);
	VS_TRY(compute_generation(b, c, &c->generation, err));
	*ret = VS_TAKE(c);
	return VS_OK;
}
