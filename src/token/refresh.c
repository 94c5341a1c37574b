/* SPDX-License-Identifier: BSD-2-Clause */
/* The token's catalog, asked for and kept. */
#include "token/ckrv.h"
#include "token/instance.h"

static struct vs_catalog *
current(struct vs_token *t)
{
	(void)pthread_mutex_lock(&t->lock);
	struct vs_catalog *c = t->catalog == NULL ? NULL : vs_catalog_ref(t->catalog);
	(void)pthread_mutex_unlock(&t->lock);
	return c;
}

/* Swap in what the agent said; NULL: nothing new. */
static VS_CK
publish(struct vs_token *t, struct vs_catalog_data *data)
{
	CK_RV rv = CKR_OK;
	struct vs_catalog *made = NULL;
	struct vs_catalog *old = NULL;
	const int64_t fresh_s =
		t->conf->visible_attested ? VS_CATALOG_FRESH_ATTESTED_S : VS_CATALOG_FRESH_S;
	(void)pthread_mutex_lock(&t->lock);
	if (data != NULL)
		rv = vs_catalog_make(data, t->ids, &t->inst->next_number, t->inst->seed, &made);
	if (made != NULL) {
		old = t->catalog;
		t->catalog = made;
		atomic_fetch_add(&t->catalog_word, 1);
	}
	if (rv == CKR_OK)
		atomic_store(&t->catalog_until_boot_ns, vs_boot_now_ns() + fresh_s * 1000000000);
	(void)pthread_mutex_unlock(&t->lock);
	vs_catalog_unref(old);
	return rv;
}

/* With visible = attested what was shown goes when the machine is refused. */
static void
hide(struct vs_token *t)
{
	(void)pthread_mutex_lock(&t->lock);
	struct vs_catalog *old = t->catalog;
	t->catalog = NULL;
	atomic_fetch_add(&t->catalog_word, 1);
	(void)pthread_mutex_unlock(&t->lock);
	vs_catalog_unref(old);
}

static VS_RC
ask(struct vs_token *t, uint64_t known, struct vs_catalog_data **ret, struct vs_err *err)
{
	struct vs_client *client = NULL;
	const struct vs_profile *profile = t->inst->profile;
	if (profile->broken)
		VS_FAIL(err, CONFIG_FILE, "%s", profile->why);
	VS_TRY(vs_instance_client(t->inst, &client, err));
	return vs_client_catalog(client, t->index, known,
		vs_boot_now_ns() + (int64_t)VS_CATALOG_DEADLINE_S * 1000000000, ret, err);
}

VS_CK
vs_token_catalog(struct vs_token *t, struct vs_catalog **ret)
{
	struct vs_catalog *have = current(t);
	if (have != NULL && vs_boot_now_ns() < atomic_load(&t->catalog_until_boot_ns)) {
		*ret = have;
		return CKR_OK;
	}
	struct vs_catalog_data *data = NULL;
	struct vs_err err = {0};
	const vs_rc rc = ask(t, have == NULL ? 0 : have->generation, &data, &err);
	CK_RV rv = CKR_OK;
	if (vs_failed(rc)) {
		vs_token_note(t, "the list of keys cannot be had", rc, &err);
		rv = vs_ckrv(rc, VS_DOING_ANY);
		if (have == NULL)
			return rv;
		const enum vs_cat cat = vs_code_cat(rc.code);
		if (t->conf->visible_attested && (cat == VS_CAT_POLICY || cat == VS_CAT_GONE)) {
			vs_catalog_unref(have);
			hide(t);
			return rv;
		}
		/* What was known stays known; do not ask again with every call. */
		atomic_store(&t->catalog_until_boot_ns,
			vs_boot_now_ns() + (int64_t)VS_CATALOG_FRESH_ATTESTED_S * 1000000000);
		*ret = have;
		return CKR_OK;
	}
	rv = publish(t, data);
	vs_catalog_unref(have);
	if (rv != CKR_OK)
		return rv;
	have = current(t);
	if (have == NULL)
		return CKR_DEVICE_ERROR;
	*ret = have;
	return CKR_OK;
}
