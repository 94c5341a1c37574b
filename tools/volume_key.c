/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/volume_key.h"

#include <stdio.h>
#include <string.h>

#include "base/codec.h"
#include "crypto/rsa_crypt.h"

static VS_RC
find_token(const struct vs_volume_way *w, const char *label, size_t *ret, struct vs_err *err)
{
	char quoted[80];
	for (size_t i = 0; i < w->profile->n_tokens; i++)
		if (strcmp(w->profile->tokens[i].label, label) == 0) {
			*ret = i;
			return VS_OK;
		}
	VS_FAIL(err, NOT_FOUND, "the configuration has no token %s",
		vs_quote(vs_bytes_str(label), quoted, sizeof quoted));
}

/* The fingerprint is OAEP's label: a wrapped passphrase does not fit to another header. */
static struct vs_rsa_params
wrapping(const struct vs_volume_way *w)
{
	return (struct vs_rsa_params){.scheme = VS_RSA_OAEP,
		.hash = VS_HASH_SHA256,
		.mgf_hash = VS_HASH_SHA256,
		.label = w->canonical};
}

static void
free_catalog(struct vs_catalog_data **c)
{
	vs_catalog_data_free(*c);
}
static void
unref_key(struct vs_pkey **k)
{
	vs_pkey_unref(*k);
}
static void
free_rsa(struct vs_rsa **r)
{
	vs_rsa_free(*r);
}
static void
unref_grant(struct vs_grant **g)
{
	if (*g)
		vs_grant_unref(*g);
}

VS_RC
vs_volume_wrap(const struct vs_volume_way *w, const char *label, const char *name,
	const struct vs_secret *passphrase, struct vs_volume_entry *e, struct vs_err *err)
{
	VS_CLEANUP(free_catalog) struct vs_catalog_data *catalog = NULL;
	VS_CLEANUP(unref_key) struct vs_pkey *key = NULL;
	VS_CLEANUP(free_rsa) struct vs_rsa *rsa = NULL;
	size_t token = 0, n = 0;
	const struct vs_cat_entry *c = NULL;
	uint8_t *room = NULL;
	VS_TRY(find_token(w, label, &token, err));
	VS_TRY(vs_client_catalog(w->client, token, 0, w->until, &catalog, err));
	for (size_t i = 0; catalog && i < catalog->n; i++)
		if (vs_bytes_eq_str(catalog->entries[i].name, name))
			c = &catalog->entries[i];
	if (!c || c->type != VS_KEY_RSA || !(c->ops & VS_KOP_DECRYPT))
		VS_FAIL(err, NOT_FOUND, "token %s has no RSA key %s that may decrypt", label, name);
	if (c->version.n >= sizeof e->version)
		VS_FAIL(err, LIMIT, "the version of key %s is too long", name);
	const struct vs_key_public pub = {.type = VS_KEY_RSA, .n = c->n, .e = c->e};
	VS_TRY(vs_pkey_from_public(w->ossl, &pub, false, &key, err));
	const struct vs_rsa_params how = wrapping(w);
	VS_TRY(vs_rsa_new(key, &how, true, &rsa, err));
	e->wrapped = (struct vs_buf){.max = 1024};
	VS_TRY(vs_buf_room(&e->wrapped, vs_rsa_size(rsa), &room, err));
	VS_TRY(vs_rsa_encrypt(rsa, vs_secret_view(passphrase), room, vs_rsa_size(rsa), &n, err));
	e->wrapped.n = n;
	(void)snprintf(e->token, sizeof e->token, "%s", label);
	(void)snprintf(e->key, sizeof e->key, "%s", name);
	memcpy(e->version, c->version.p, c->version.n);
	return VS_OK;
}

VS_RC
vs_volume_unwrap(const struct vs_volume_way *w, const struct vs_volume_entry *e,
	struct vs_secret *ret, struct vs_err *err)
{
	VS_CLEANUP(unref_grant) struct vs_grant *grant = NULL;
	VS_CLEANUP(vs_secret_done) struct vs_secret material = {0};
	VS_CLEANUP(unref_key) struct vs_pkey *key = NULL;
	VS_CLEANUP(free_rsa) struct vs_rsa *rsa = NULL;
	size_t token = 0;
	uint32_t key_no = 0;
	VS_TRY(find_token(w, e->token, &token, err));
	VS_TRY(vs_client_need(w->client, token, NULL, 0, w->until, &grant, err));
	VS_TRY(vs_client_key(w->client, grant, vs_bytes_str(e->key), vs_bytes_str(e->version),
		w->until, NULL, &material, &key_no, err));
	VS_TRY(vs_pkey_from_agent(w->ossl, w->arena, VS_KEY_RSA, &material, &key, err));
	const struct vs_rsa_params how = wrapping(w);
	VS_TRY(vs_rsa_new(key, &how, false, &rsa, err));
	if (vs_failed(vs_rsa_decrypt_secret(rsa, vs_buf_view(&e->wrapped), w->arena, ret, NULL)))
		VS_FAIL(err, REFUSED_BINDING,
			"the passphrase in the header of %s was not wrapped for this header and "
			"this key",
			w->device);
	return VS_OK;
}
