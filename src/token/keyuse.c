/* SPDX-License-Identifier: BSD-2-Clause */
#include "token/keyuse.h"

#include <stdlib.h>
#include <string.h>

#include "base/race.h"
#include "crypto/ossl.h"
#include "crypto/pkey.h"
#include "token/ckrv.h"
#include "token/session.h"

struct vs_ukey *
vs_ukey_ref(struct vs_ukey *u)
{
	atomic_fetch_add_explicit(&u->refs, 1, memory_order_relaxed);
	return u;
}

void
vs_ukey_unref(struct vs_ukey *u)
{
	if (u == NULL || !VS_LAST_REF(u))
		return;
	vs_pkey_unref(u->pkey);
	vs_grant_unref(u->grant);
	free(u);
}

/* The page knows the reason, also of what was swept already. */
static enum vs_code
unless_dead(const struct vs_ukey *u, enum vs_code code)
{
	if (code == VS_E_OK && atomic_load_explicit(&u->dead, memory_order_acquire))
		return VS_E_LEASE_ENDED;
	return code;
}

enum vs_code
vs_ukey_allows(const struct vs_ukey *u, bool began)
{
	if (u == NULL)
		return VS_E_OK;
	return unless_dead(u, vs_page_allows(u->page, u->key_no, began));
}

enum vs_code
vs_ukey_allows_watched(const struct vs_ukey *u, bool began, struct vs_boot_watch *watch)
{
	if (u == NULL)
		return VS_E_OK;
	return unless_dead(u, vs_page_allows_watched(u->page, u->key_no, began, watch));
}

/* May a new operation be begun under this lease at all? */
static bool
lease_live(const struct vs_page *page)
{
	return page != NULL && atomic_load(&page->state) == VS_PAGE_LIVE &&
		vs_boot_now_ns() < atomic_load(&page->valid_until_boot_ns);
}

/* Nothing of it may be used any more: not even an operation that had begun. */
static bool
is_over(const struct vs_ukey *u, int64_t now_boot_ns)
{
	const struct vs_page *page = u->page;
	return page == NULL || u->key_no >= VS_PAGE_KEYS_MAX ||
		atomic_load(&page->state) != VS_PAGE_LIVE ||
		atomic_load(&page->key[u->key_no]) != VS_PAGE_KEY_LIVE ||
		now_boot_ns >= atomic_load(&page->grace_until_boot_ns);
}

/* ---- sweeping ----------------------------------------------------------------------------------
 */

/* Take what is over (or everything) out of the token's list; the caller lets go of it. */
static struct vs_ukey *
take_out(struct vs_token *t, bool all)
{
	struct vs_ukey *gone = NULL;
	const int64_t now = vs_boot_now_ns();
	(void)pthread_mutex_lock(&t->lock);
	for (struct vs_ukey **at = &t->keys; *at != NULL;) {
		struct vs_ukey *u = *at;
		if (!all && !is_over(u, now)) {
			at = &u->next;
			continue;
		}
		*at = u->next;
		u->next = gone;
		gone = u;
		atomic_store_explicit(&u->dead, true, memory_order_release);
	}
	if (gone != NULL)
		atomic_fetch_add(&t->sweep_word, 1);
	atomic_store(&t->has_keys, t->keys != NULL);
	struct vs_grant *grant = NULL;
	if (t->grant != NULL && (all || !lease_live(vs_grant_page(t->grant)))) {
		grant = t->grant;
		t->grant = NULL;
	}
	(void)pthread_mutex_unlock(&t->lock);
	vs_grant_unref(grant);
	return gone;
}

static void
let_go(struct vs_ukey *gone)
{
	while (gone != NULL) {
		struct vs_ukey *next = gone->next;
		gone->next = NULL;
		vs_ukey_unref(gone);
		gone = next;
	}
}

void
vs_keyuse_sweep(struct vs_token *t, struct vs_session *self)
{
	struct vs_ukey *gone = take_out(t, false);
	if (gone == NULL)
		return;
	vs_session_sweep(t->inst, t, self);
	let_go(gone);
}

void
vs_keyuse_tick(struct vs_token *t, struct vs_session *self)
{
	if (!atomic_load_explicit(&t->has_keys, memory_order_relaxed))
		return;
	bool over = false;
	const int64_t now = vs_boot_now_ns();
	(void)pthread_mutex_lock(&t->lock);
	for (const struct vs_ukey *u = t->keys; u != NULL && !over; u = u->next)
		over = is_over(u, now);
	(void)pthread_mutex_unlock(&t->lock);
	if (over)
		vs_keyuse_sweep(t, self);
}

void
vs_keyuse_drop_all(struct vs_token *t)
{
	let_go(take_out(t, true));
}

void
vs_keyuse_abandon(struct vs_token *t)
{
	if (pthread_mutex_trylock(&t->lock) != 0)
		return;
	/*
	 * Octets of symmetric keys stand in the arena, which this child sees as zero and whose lock
	 * may be held: such keys are never freed. The others' last reference frees with clearing.
	 */
	struct vs_ukey *next = NULL;
	for (struct vs_ukey *u = t->keys; u != NULL; u = next) {
		next = u->next;
		if (vs_pkey_octets(u->pkey).p != NULL)
			(void)vs_pkey_ref(u->pkey);
		u->grant = NULL; /* its count and mapping are the parent's business */
		u->next = NULL;
		vs_ukey_unref(u);
	}
	t->keys = NULL;
	for (unsigned k = 0; k < VS_KIND_COUNT_; k++) {
		for (struct vs_object *o = t->store.class[k]; o != NULL;
			o = o->next[VS_CHAIN_CLASS]) {
			struct vs_pkey *key = atomic_exchange(&o->pkey, NULL);
			/* Contexts may let go of the object; it must not wipe itself in the arena.
			 */
			vs_object_ref(o);
			if (key != NULL && vs_pkey_octets(key).p == NULL)
				vs_pkey_unref(key);
		}
	}
	(void)pthread_mutex_unlock(&t->lock);
}

/* ---- keys that need no gate --------------------------------------------------------------------
 */

static struct vs_key_public
public_of(const struct vs_cat_entry *e)
{
	return (struct vs_key_public){e->type, e->curve, e->n, e->e, e->x, e->y};
}

static VS_CK
open_public(struct vs_token *t, struct vs_object *o, struct vs_pkey **ret)
{
	struct vs_pkey *key = atomic_load_explicit(&o->pkey, memory_order_acquire);
	if (key == NULL && o->entry == NULL)
		return CKR_KEY_TYPE_INCONSISTENT;
	if (key == NULL) {
		struct vs_ossl *ossl = NULL;
		struct vs_err err = {0};
		const struct vs_key_public parts = public_of(o->entry);
		vs_rc rc = vs_instance_ossl(t->inst, &ossl, &err);
		if (!vs_failed(rc))
			rc = vs_pkey_from_public(ossl, &parts, true, &key, &err);
		if (vs_failed(rc)) {
			vs_token_note(t, "a public key cannot be used", rc, &err);
			return vs_ckrv(rc, VS_DOING_ANY);
		}
		struct vs_pkey *expected = NULL;
		VS_RACE_GIVE(&o->pkey);
		if (!atomic_compare_exchange_strong(&o->pkey, &expected, key)) {
			vs_pkey_unref(key);
			key = expected;
		}
	}
	VS_RACE_TAKE(&o->pkey);
	*ret = vs_pkey_ref(key);
	return CKR_OK;
}

void
vs_keyuse_desc(const struct vs_object *o, struct vs_key_desc *ret)
{
	const struct vs_pkey *key = atomic_load_explicit(&o->pkey, memory_order_acquire);
	VS_RACE_TAKE(&o->pkey);
	if (key != NULL)
		*ret = vs_pkey_desc(key);
	else if (o->entry != NULL)
		*ret = (struct vs_key_desc){o->entry->type, o->entry->curve,
			/* Not known before the release: any AES key gives the same sizes. */
			o->entry->type == VS_KEY_AES && o->entry->bits == 0 ? 256 : o->entry->bits};
	else
		*ret = (struct vs_key_desc){0};
}

/* ---- the gate ----------------------------------------------------------------------------------
 */

static int64_t
gate_deadline(void)
{
	return vs_boot_now_ns() + (int64_t)VS_GATE_DEADLINE_S * 1000000000;
}

static VS_RC
need(struct vs_token *t, const char *pin, size_t pin_len, struct vs_grant **ret, struct vs_err *err)
{
	struct vs_client *client = NULL;
	struct vs_grant *g = NULL;
	if (t->inst->profile->broken)
		VS_FAIL(err, CONFIG_FILE, "%s", t->inst->profile->why);
	VS_TRY(vs_instance_client(t->inst, &client, err));
	VS_TRY(vs_client_need(client, t->index, pin, pin_len, gate_deadline(), &g, err));
	if (!lease_live(vs_grant_page(g))) {
		vs_grant_unref(g);
		VS_FAIL(err, LEASE_ENDED, "the lease ended before it could be used");
	}
	(void)pthread_mutex_lock(&t->lock);
	struct vs_grant *old = t->grant;
	t->grant = vs_grant_ref(g);
	(void)pthread_mutex_unlock(&t->lock);
	vs_grant_unref(old);
	*ret = g;
	return VS_OK;
}

VS_CK
vs_keyuse_login(struct vs_token *t, const char *pin, size_t pin_len)
{
	struct vs_err err = {0};
	struct vs_grant *g = NULL;
	const vs_rc rc = need(t, pin, pin_len, &g, &err);
	if (vs_failed(rc)) {
		vs_token_note(t, "login was refused", rc, &err);
		return vs_ckrv(rc, VS_DOING_ANY);
	}
	vs_grant_unref(g);
	return CKR_OK;
}

static bool
is_of(const struct vs_ukey *u, const struct vs_cat_entry *e)
{
	return u->kid_n == e->kid.n && memcmp(u->kid, e->kid.p, e->kid.n) == 0;
}

/* A key that is here and may begin an operation: a reference. Also gives the live grant. */
static struct vs_ukey *
have_key(struct vs_token *t, const struct vs_cat_entry *e, struct vs_grant **ret_grant)
{
	struct vs_ukey *found = NULL;
	(void)pthread_mutex_lock(&t->lock);
	for (struct vs_ukey *u = t->keys; u != NULL && found == NULL; u = u->next) {
		if (is_of(u, e) && vs_ukey_allows(u, false) == VS_E_OK)
			found = vs_ukey_ref(u);
	}
	if (t->grant != NULL && lease_live(vs_grant_page(t->grant)))
		*ret_grant = vs_grant_ref(t->grant);
	(void)pthread_mutex_unlock(&t->lock);
	return found;
}

/* What was released must be what was shown, whoever made the catalog. */
static VS_RC
check_is_shown(const struct vs_pkey *key, const struct vs_cat_entry *e, struct vs_err *err)
{
	const struct vs_key_desc desc = vs_pkey_desc(key);
	bool same = desc.type == e->type && vs_pkey_is_private(key);
	if (same && e->type == VS_KEY_AES) {
		same = e->bits == 0 || e->bits == desc.bits;
	} else if (same) {
		const struct vs_key_public shown = public_of(e);
		same = vs_pkey_matches_public(key, &shown);
	}
	if (!same)
		VS_FAIL(err, REFUSED_KEY,
			"the released key is not the key that is shown under this name; it was not "
			"used");
	return VS_OK;
}

static VS_RC
build(struct vs_token *t, const struct vs_cat_entry *e, const struct vs_secret *bytes,
	struct vs_pkey **ret, struct vs_err *err)
{
	struct vs_ossl *ossl = NULL;
	struct vs_arena *arena = NULL;
	struct vs_pkey *key = NULL;
	VS_TRY(vs_instance_ossl(t->inst, &ossl, err));
	VS_TRY(vs_instance_arena(t->inst, &arena, err));
	const vs_rc made = vs_pkey_from_agent(ossl, arena, e->type, bytes, &key, err);
	/* Whatever came out of the vault's name and is no such key is refused, not "failed". */
	if (made.code == VS_E_BAD_KEY || made.code == VS_E_KEY_SIZE || made.code == VS_E_KEY_KIND)
		VS_FAIL(err, REFUSED_KEY, "the released key is malformed, weak or of another kind");
	VS_TRY(made);
	const vs_rc rc = check_is_shown(key, e, err);
	if (vs_failed(rc)) {
		vs_pkey_unref(key);
		return rc;
	}
	*ret = key;
	return VS_OK;
}

static void
pkey_done(struct vs_pkey **k)
{
	vs_pkey_unref(*k);
}

/* Put the key into the token's list, unless another thread was faster. Gives a reference. */
static VS_RC
publish(struct vs_token *t, const struct vs_cat_entry *e, struct vs_grant *g, uint32_t key_no,
	struct vs_pkey **key, struct vs_ukey **ret, struct vs_err *err)
{
	struct vs_ukey *u = calloc(1, sizeof *u + e->kid.n);
	if (u == NULL)
		VS_FAIL(err, MEMORY, "out of memory");
	atomic_init(&u->refs, 1);
	VS_RACE_ATOMIC(u->dead);
	u->pkey = VS_TAKE(*key);
	u->grant = vs_grant_ref(g);
	u->page = vs_grant_page(g);
	u->uses = vs_grant_uses(g);
	u->key_no = key_no;
	u->kid_n = e->kid.n;
	memcpy(u->kid, e->kid.p, e->kid.n);
	struct vs_ukey *other = NULL;
	(void)pthread_mutex_lock(&t->lock);
	for (struct vs_ukey *k = t->keys; k != NULL && other == NULL; k = k->next) {
		if (k->page == u->page && is_of(k, e) && vs_ukey_allows(k, false) == VS_E_OK)
			other = vs_ukey_ref(k);
	}
	if (other == NULL) {
		u->next = t->keys;
		t->keys = vs_ukey_ref(u);
		atomic_store(&t->has_keys, true);
	}
	(void)pthread_mutex_unlock(&t->lock);
	if (other != NULL) {
		vs_ukey_unref(u);
		u = other;
	}
	*ret = u;
	return VS_OK;
}

static void
grant_done(struct vs_grant **g)
{
	vs_grant_unref(*g);
}

/* While the agent records who gets the key, or the vault releases it. */
static void
warm_up(void *arg)
{
	struct vs_err err = {0};
	struct vs_ossl *ossl = NULL;
	/* A failure is told where the key is built. */
	if (!vs_failed(vs_instance_ossl(arg, &ossl, &err)))
		vs_ossl_warm(ossl);
}

/* Fetch under g, which may be NULL: then ask the gate first. */
static VS_RC
fetch(struct vs_token *t, const struct vs_cat_entry *e, struct vs_grant *live, struct vs_ukey **ret,
	struct vs_err *err)
{
	VS_CLEANUP(grant_done) struct vs_grant *g = live;
	VS_CLEANUP(vs_secret_done) struct vs_secret bytes = {0};
	VS_CLEANUP(pkey_done) struct vs_pkey *key = NULL;
	struct vs_client *client = NULL;
	uint32_t key_no = 0;
	if (g == NULL)
		VS_TRY(need(t, NULL, 0, &g, err));
	VS_TRY(vs_instance_client(t->inst, &client, err));
	const struct vs_meanwhile meanwhile = {warm_up, t->inst};
	VS_TRY(vs_client_key(
		client, g, e->name, e->version, gate_deadline(), &meanwhile, &bytes, &key_no, err));
	VS_TRY(build(t, e, &bytes, &key, err));
	return publish(t, e, g, key_no, &key, ret, err);
}

static VS_CK
open_private(struct vs_token *t, struct vs_object *o, struct vs_ukey **ret)
{
	struct vs_err err = {0};
	struct vs_grant *live = NULL;
	if (t->conf->login == VS_LOGIN_PIN && !atomic_load(&t->logged_in))
		return CKR_USER_NOT_LOGGED_IN;
	*ret = have_key(t, o->entry, &live);
	if (*ret != NULL) {
		/* What is shown may have changed since the key came. */
		const vs_rc same = check_is_shown((*ret)->pkey, o->entry, &err);
		vs_grant_unref(live);
		if (!vs_failed(same))
			return CKR_OK;
		vs_ukey_unref(VS_TAKE(*ret));
		vs_token_note(t, "a key cannot be used", same, &err);
		return vs_ckrv(same, VS_DOING_ANY);
	}
	vs_keyuse_sweep(t, NULL);
	const bool had_lease = live != NULL;
	vs_rc rc = fetch(t, o->entry, live, ret, &err);
	/* The lease we had may have gone while we asked: once more, from the gate. */
	if (had_lease && vs_failed(rc) && vs_code_cat(rc.code) != VS_CAT_RESOURCE &&
		rc.code != VS_E_REFUSED_KEY) {
		const enum vs_cat cat = vs_code_cat(rc.code);
		if (cat == VS_CAT_STATE || rc.code == VS_E_REVOKED) {
			err = (struct vs_err){0};
			rc = fetch(t, o->entry, NULL, ret, &err);
		}
	}
	if (!vs_failed(rc))
		return CKR_OK;
	vs_token_note(t, "a key cannot be used", rc, &err);
	if (rc.code == VS_E_PIN && t->conf->login == VS_LOGIN_PIN) {
		/* The agent wants the second factor again, and we do not keep PINs. */
		atomic_store(&t->logged_in, false);
		return CKR_USER_NOT_LOGGED_IN;
	}
	return vs_ckrv(rc, VS_DOING_ANY);
}

bool
vs_keyuse_raw_allowed(const struct vs_token *t, const struct vs_object *o, CK_ATTRIBUTE_TYPE usage)
{
	const bool opens =
		vs_object_bool(o, CKA_DECRYPT, false) || vs_object_bool(o, CKA_UNWRAP, false);
	if (!vs_object_is_token(o) || t->conf->raw_rsa_decrypt)
		return true;
	const bool signs = usage == CKA_SIGN || usage == CKA_SIGN_RECOVER;
	return usage != CKA_DECRYPT && (!signs || !opens);
}

VS_CK
vs_keyuse_open(struct vs_token *t, struct vs_object *o, struct vs_pkey **ret_key,
	struct vs_ukey **ret_ukey)
{
	const bool private = (1u << o->kind) & (VS_K_PRIV | VS_K_SECRET);
	if (!vs_object_is_token(o) || !private) {
		VS_CK_TRY(open_public(t, o, ret_key));
		*ret_ukey = NULL;
		return CKR_OK;
	}
	struct vs_ukey *u = NULL;
	VS_CK_TRY(open_private(t, o, &u));
	*ret_key = vs_pkey_ref(u->pkey);
	*ret_ukey = u;
	return CKR_OK;
}
