/* SPDX-License-Identifier: BSD-2-Clause */
#include "fuzz/calls.h"

#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

enum calls_break calls_broken;

void
calls_fault(struct calls_want *w, bool is, CK_RV rv)
{
	if (is && w->n < sizeof w->rv / sizeof w->rv[0])
		w->rv[w->n++] = rv;
}

/* ---- objects, sessions, login ---------------------------------------------------------------- */

bool
calls_visible(const struct calls_model *m, const struct calls_key *k)
{
	return k->alive && (!k->private || k->slot == 0 || m->logged_in[k->slot]);
}

void
calls_log_out(struct calls_model *m, unsigned slot)
{
	m->logged_in[slot] = false;
	/* PKCS#11 3.0, 5.6.9: private session objects of all sessions are destroyed. */
	for (unsigned i = 0; i < CALLS_KEYS; i++) {
		struct calls_key *k = &m->key[i];
		if (k->alive && k->private && k->slot == slot &&
			calls_broken != CALLS_BREAK_LOGOUT_KEEPS)
			k->alive = false;
	}
	/* Operations with such a key may go on or not (5.6.9); this token ends them. */
	for (unsigned i = 0; i < CALLS_SESSIONS; i++) {
		for (unsigned k = 0; k < CALLS_KINDS; k++) {
			struct calls_op *op = &m->s[i].op[k];
			if (m->s[i].open && m->s[i].slot == slot && op->key.private)
				op->phase = CALLS_IDLE;
		}
	}
}

void
calls_close(struct calls_model *m, unsigned session)
{
	struct calls_session *s = &m->s[session];
	const unsigned slot = s->slot;
	bool others = false;
	for (unsigned i = 0; i < CALLS_KEYS; i++) {
		struct calls_key *k = &m->key[i];
		if (!k->token && k->owner == session && calls_broken != CALLS_BREAK_CLOSE_KEEPS)
			k->alive = false;
	}
	*s = (struct calls_session){.stale = s->handle};
	for (unsigned i = 0; i < CALLS_SESSIONS; i++)
		others = others || (m->s[i].open && m->s[i].slot == slot);
	/* 5.6.7: with the last session the application is logged out. */
	if (!others)
		calls_log_out(m, slot);
}

void
calls_finalize(struct calls_model *m)
{
	for (unsigned i = 0; i < CALLS_SESSIONS; i++) {
		if (m->s[i].open)
			calls_close(m, i);
	}
	memset(m->key, 0, sizeof m->key);
	m->live = m->lease = m->page_is_ours = false;
	memset(m->logged_in, 0, sizeof m->logged_in);
}

/* ---- operations ------------------------------------------------------------------------------ */

void
calls_end(struct calls_op *op, CK_RV rv)
{
	if (rv == CKR_BUFFER_TOO_SMALL && calls_broken != CALLS_BREAK_SHORT_ENDS)
		return;
	if (rv == CKR_OK && calls_broken == CALLS_BREAK_ONE_CALL_KEEPS)
		return;
	if (rv != CKR_OK && rv != CKR_BUFFER_TOO_SMALL && calls_broken == CALLS_BREAK_ERROR_KEEPS)
		return;
	op->phase = CALLS_IDLE;
	op->in_n = op->out_n = 0;
}

unsigned
calls_types(enum calls_kind kind, CK_MECHANISM_TYPE mech)
{
	const bool aes = mech == CKM_AES_ECB || mech == CKM_AES_CBC || mech == CKM_AES_CBC_PAD;
	switch (kind) {
	case CALLS_DIGEST: return mech == CKM_SHA256 ? ~0U : 0;
	case CALLS_SIGN:
	case CALLS_VERIFY:
	case CALLS_MSG_SIGN:
	case CALLS_MSG_VERIFY: return mech == CKM_SHA256_HMAC ? CALLS_T(GENERIC) : 0;
	case CALLS_ENCRYPT:
	case CALLS_DECRYPT: return aes ? CALLS_T(AES) : 0;
	case CALLS_MSG_ENCRYPT:
	case CALLS_MSG_DECRYPT: return mech == CKM_AES_GCM ? CALLS_T(AES) : 0;
	case CALLS_SIGN_RECOVER: return mech == CKM_RSA_PKCS ? CALLS_T(RSA_PRIVATE) : 0;
	case CALLS_VERIFY_RECOVER: return mech == CKM_RSA_PKCS ? CALLS_T(RSA_PUBLIC) : 0;
	case CALLS_KINDS: break;
	}
	return 0;
}

unsigned
calls_use_for(enum calls_kind kind)
{
	static const unsigned uses[CALLS_KINDS] = {
		[CALLS_ENCRYPT] = CALLS_MAY_ENCRYPT,
		[CALLS_DECRYPT] = CALLS_MAY_DECRYPT,
		[CALLS_SIGN] = CALLS_MAY_SIGN,
		[CALLS_VERIFY] = CALLS_MAY_VERIFY,
		[CALLS_SIGN_RECOVER] = CALLS_MAY_RECOVER,
		[CALLS_VERIFY_RECOVER] = CALLS_MAY_RECOVER,
		[CALLS_MSG_ENCRYPT] = CALLS_MAY_ENCRYPT,
		[CALLS_MSG_DECRYPT] = CALLS_MAY_DECRYPT,
		[CALLS_MSG_SIGN] = CALLS_MAY_SIGN,
		[CALLS_MSG_VERIFY] = CALLS_MAY_VERIFY,
	};
	return uses[kind];
}

void
calls_judge_key(struct calls_want *w, const struct calls_key *k, unsigned types, unsigned use,
	CK_RV bad_handle, CK_RV bad_type)
{
	const bool other = !(types & (1U << k->type)) && calls_broken != CALLS_BREAK_TYPE;
	const bool pair = (types & (CALLS_T(RSA_PRIVATE) | CALLS_T(RSA_PUBLIC))) &&
		(k->type == CALLS_RSA_PRIVATE || k->type == CALLS_RSA_PUBLIC);
	/* 5.1.6: the handle of an object that is no key is not valid for one. */
	if (k->type == CALLS_DATA) {
		calls_fault(w, true, bad_handle);
		return;
	}
	calls_fault(w, other, bad_type);
	/* The type goes before the use; the other half of a pair is of the right type, too. */
	if (!other || pair)
		calls_fault(w, !(k->may & use) && calls_broken != CALLS_BREAK_USE,
			CKR_KEY_FUNCTION_NOT_PERMITTED);
}

static bool
cipher(const struct calls_op *op, bool encrypt, uint8_t *out, size_t *n, CK_RV *fault)
{
	const bool pad = op->mech == CKM_AES_CBC_PAD && calls_broken != CALLS_BREAK_PAD;
	const EVP_CIPHER *c = op->key.n == 16 ? EVP_aes_128_cbc()
		: op->key.n == 24             ? EVP_aes_192_cbc()
					      : EVP_aes_256_cbc();
	int a = 0, b = 0;
	if (op->mech == CKM_AES_ECB)
		c = op->key.n == 16       ? EVP_aes_128_ecb()
			: op->key.n == 24 ? EVP_aes_192_ecb()
					  : EVP_aes_256_ecb();
	if ((!pad || !encrypt) && (op->in_n % 16 != 0 || (pad && op->in_n == 0))) {
		*fault = encrypt ? CKR_DATA_LEN_RANGE : CKR_ENCRYPTED_DATA_LEN_RANGE;
		return false;
	}
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	bool good = EVP_CipherInit_ex(ctx, c, NULL, op->key.value, op->iv, encrypt) == 1 &&
		EVP_CIPHER_CTX_set_padding(ctx, pad) == 1 &&
		EVP_CipherUpdate(ctx, out, &a, op->in, (int)op->in_n) == 1 &&
		EVP_CipherFinal_ex(ctx, out + a, &b) == 1;
	EVP_CIPHER_CTX_free(ctx);
	*n = (size_t)(a + b);
	*fault = CKR_ENCRYPTED_DATA_INVALID;
	return good;
}

bool
calls_result(enum calls_kind kind, const struct calls_op *op, uint8_t *out, size_t *n, CK_RV *fault)
{
	unsigned got = 32;
	switch (kind) {
	case CALLS_DIGEST:
		*n = 32;
		return EVP_Digest(op->in, op->in_n, out, &got, EVP_sha256(), NULL) == 1;
	case CALLS_SIGN:
	case CALLS_VERIFY:
	case CALLS_MSG_SIGN:
	case CALLS_MSG_VERIFY:
		*n = 32;
		return HMAC(EVP_sha256(), op->key.value, (int)op->key.n, op->in, op->in_n, out,
			       &got) != NULL;
	case CALLS_ENCRYPT:
	case CALLS_DECRYPT: return cipher(op, kind == CALLS_ENCRYPT, out, n, fault);
	case CALLS_SIGN_RECOVER:
	case CALLS_VERIFY_RECOVER:
	case CALLS_MSG_ENCRYPT:
	case CALLS_MSG_DECRYPT:
	case CALLS_KINDS: break;
	}
	return false;
}

size_t
calls_emitted(enum calls_kind kind, const struct calls_op *op)
{
	/* The last block of padded text stays back until it is known to be the last. */
	if (kind == CALLS_DECRYPT && op->mech == CKM_AES_CBC_PAD)
		return op->in_n == 0 ? 0 : (op->in_n - 1) / 16 * 16;
	return kind == CALLS_ENCRYPT || kind == CALLS_DECRYPT ? op->in_n / 16 * 16 : 0;
}
