/* SPDX-License-Identifier: BSD-2-Clause */
/* From an object to a key that can be used: here the gate is asked, and nowhere else. */
#ifndef VS_TOKEN_KEYUSE_H
#define VS_TOKEN_KEYUSE_H

#include "token/instance.h"

/* A released key of a live lease. Counted; immutable but for dead. */
struct vs_ukey {
	_Atomic uint32_t refs;
	struct vs_pkey *pkey;
	struct vs_grant *grant;
	const struct vs_page *page;
	struct vs_uses *uses; /* where they are counted */
	uint32_t key_no;
	_Atomic bool dead; /* swept: nothing may be done with it any more */
	struct vs_ukey *next; /* in the token's list */
	size_t kid_n;
	uint8_t kid[];
};

struct vs_ukey *vs_ukey_ref(struct vs_ukey *u);
/* NULL-safe. */
void vs_ukey_unref(struct vs_ukey *u);
/* NULL (no lease needed) is always allowed. */
enum vs_code vs_ukey_allows(const struct vs_ukey *u, bool began);
/* The same for a session's steps, which follow each other fast. */
enum vs_code
vs_ukey_allows_watched(const struct vs_ukey *u, bool began, struct vs_boot_watch *watch);

/*
 * The key of an object. *ret_key and *ret_ukey are references; *ret_ukey is NULL for public and
 * session objects. For a private or secret key of the token this asks the gate and may wait for
 * an attestation. Call without the token lock.
 */
VS_CK vs_keyuse_open(struct vs_token *t, struct vs_object *o, struct vs_pkey **ret_key,
	struct vs_ukey **ret_ukey);
/* What can be known of the object's key without having it. */
struct vs_key_desc;
void vs_keyuse_desc(const struct vs_object *o, struct vs_key_desc *ret);

/* C_Login where it means something: ask for a grant now. */
VS_CK vs_keyuse_login(struct vs_token *t, const char *pin, size_t pin_len);

/*
 * Drop what has ended: keys, then the prepared contexts of all sessions that are not in use (busy
 * ones do it when they leave). self is the session whose lock the caller holds, or NULL.
 */
void vs_keyuse_sweep(struct vs_token *t, struct vs_session *self);
/* A cheap look whether sweeping is due, for every call that enters. */
void vs_keyuse_tick(struct vs_token *t, struct vs_session *self);
/* In a forked child, before its sessions are abandoned. */
void vs_keyuse_abandon(struct vs_token *t);
/* Everything, at the end. */
void vs_keyuse_drop_all(struct vs_token *t);

/*
 * May raw RSA be used for this? Raw decryption undoes any padding somebody relies on: a token key
 * gives it only with raw-rsa = yes. A raw signature is the same operation, so a key that may also
 * decrypt or unwrap gives none either. Session keys are the application's own.
 */
bool
vs_keyuse_raw_allowed(const struct vs_token *t, const struct vs_object *o, CK_ATTRIBUTE_TYPE usage);

#endif
