/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/ossl.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/random.h>

#include <openssl/crypto.h>
#include <openssl/provider.h>
#include <openssl/rand.h>

#include "base/race.h"
#include "crypto/internal.h"

/* Process-wide on purpose: libcrypto is one per process, and so is its end. */
static atomic_bool libcrypto_gone;
static atomic_bool exit_handler_set;

static void
note_exit(void)
{
	atomic_store(&libcrypto_gone, true);
}

bool
vs_ossl_gone(void)
{
	return atomic_load_explicit(&libcrypto_gone, memory_order_relaxed);
}

const char *
vs_ossl_version(void)
{
	return OpenSSL_version(OPENSSL_VERSION_STRING);
}

vs_rc
vs_ossl_alive(struct vs_err *err)
{
	if (vs_ossl_gone())
		VS_FAIL(err, STATE, "the process is ending: libcrypto has already cleaned up");
	return VS_OK;
}

void
vs_ossl_leave(int *mark)
{
	(void)mark;
	ERR_pop_to_mark();
}

vs_rc
vs_ossl_put(struct vs_err *err, enum vs_code code, const char *func, int line, const char *what)
{
	const unsigned long e = ERR_peek_last_error();
	const char *reason = e == 0 ? NULL : ERR_reason_error_string(e);

	if (e != 0 && ERR_GET_REASON(e) == ERR_R_MALLOC_FAILURE)
		code = VS_E_MEMORY;
	return vs_err_put(err, code, func, line, (long)(e & 0x7fffffff), "%s%s%s", what,
		reason == NULL ? "" : ": ", reason == NULL ? "" : reason);
}

static void
ossl_free(struct vs_ossl *o)
{
	if (!vs_ossl_gone() && !atomic_load(&o->abandoned)) {
		for (size_t i = 0; i < VS_HASH_COUNT_; i++)
			EVP_MD_free(atomic_load(&o->md[i]));
		for (size_t i = 0; i < OSSL_CIPHER_COUNT_; i++)
			for (size_t j = 0; j < 3; j++)
				EVP_CIPHER_free(atomic_load(&o->cipher[i][j]));
		EVP_MAC_free(atomic_load(&o->hmac));
		EVP_MAC_free(atomic_load(&o->cmac));
		if (o->provider != NULL)
			(void)OSSL_PROVIDER_unload(o->provider);
		OSSL_LIB_CTX_free(o->ctx);
	}
	free(o);
}

struct vs_ossl *
vs_ossl_ref(struct vs_ossl *o)
{
	atomic_fetch_add_explicit(&o->refs, 1, memory_order_relaxed);
	return o;
}

void
vs_ossl_unref(struct vs_ossl *o)
{
	if (o != NULL && VS_LAST_REF(o))
		ossl_free(o);
}

static void
ossl_done(struct vs_ossl **p)
{
	vs_ossl_unref(*p);
	*p = NULL;
}

void
vs_ossl_abandon(struct vs_ossl *o)
{
	if (o != NULL)
		atomic_store(&o->abandoned, true);
}

OSSL_LIB_CTX *
vs_ossl_libctx(struct vs_ossl *o)
{
	return o->ctx;
}

vs_rc
vs_ossl_new(struct vs_ossl **ret, struct vs_err *err)
{
	OSSL_ENTER(err);
	/* Its success is the host's business; ours does not depend on it. */
	(void)OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, NULL);
	if (!atomic_exchange(&exit_handler_set, true) && OPENSSL_atexit(note_exit) != 1) {
		atomic_store(&exit_handler_set, false);
		VS_FAIL(err, MEMORY, "libcrypto's exit handler cannot be set");
	}
	VS_CLEANUP(ossl_done) struct vs_ossl *o = calloc(1, sizeof *o);
	if (o == NULL)
		VS_FAIL(err, MEMORY, "no memory for the cryptographic library");
	atomic_init(&o->refs, 1);
	o->ctx = OSSL_LIB_CTX_new();
	if (o->ctx == NULL)
		OSSL_FAIL(err, CRYPTO, "a private library context cannot be made");
	o->provider = OSSL_PROVIDER_load(o->ctx, "default");
	if (o->provider == NULL)
		OSSL_FAIL(err, CRYPTO, "OpenSSL's default provider cannot be loaded");
	*ret = VS_TAKE(o);
	return VS_OK;
}

/* ---- algorithms -------------------------------------------------------------------------- */

vs_rc
vs_ossl_md(struct vs_ossl *o, enum vs_hash h, EVP_MD **ret, struct vs_err *err)
{
	if ((unsigned)h >= VS_HASH_COUNT_ || h == VS_HASH_NONE)
		VS_FAIL(err, PARAM, "a hash function is needed here");
	EVP_MD *md = atomic_load_explicit(&o->md[h], memory_order_acquire);
	if (md == NULL) {
		OSSL_ENTER(err);
		md = EVP_MD_fetch(o->ctx, vs_hash_name(h), NULL);
		if (md == NULL)
			OSSL_FAIL(err, CRYPTO, "a hash function is not available");
		EVP_MD *other = NULL;
		VS_RACE_GIVE(&o->md[h]);
		if (!atomic_compare_exchange_strong(&o->md[h], &other, md)) {
			EVP_MD_free(md);
			md = other;
		}
	}
	VS_RACE_TAKE(&o->md[h]);
	*ret = md;
	return VS_OK;
}

static const char *const cipher_names[OSSL_CIPHER_COUNT_][3] = {
	[OSSL_AES_ECB] = {"AES-128-ECB", "AES-192-ECB", "AES-256-ECB"},
	[OSSL_AES_CBC] = {"AES-128-CBC", "AES-192-CBC", "AES-256-CBC"},
	[OSSL_AES_CTR] = {"AES-128-CTR", "AES-192-CTR", "AES-256-CTR"},
	[OSSL_AES_GCM] = {"AES-128-GCM", "AES-192-GCM", "AES-256-GCM"},
	[OSSL_AES_CCM] = {"AES-128-CCM", "AES-192-CCM", "AES-256-CCM"},
	[OSSL_AES_KW] = {"AES-128-WRAP", "AES-192-WRAP", "AES-256-WRAP"},
	[OSSL_AES_KWP] = {"AES-128-WRAP-PAD", "AES-192-WRAP-PAD", "AES-256-WRAP-PAD"},
};

vs_rc
vs_ossl_cipher(
	struct vs_ossl *o, enum ossl_cipher c, size_t key_n, EVP_CIPHER **ret, struct vs_err *err)
{
	VS_REQUIRE(err, (unsigned)c < OSSL_CIPHER_COUNT_);
	if (key_n != 16 && key_n != 24 && key_n != 32)
		VS_FAIL(err, KEY_SIZE, "an AES key has 16, 24 or 32 octets, not %zu", key_n);
	_Atomic(EVP_CIPHER *) *slot = &o->cipher[c][key_n / 8 - 2];
	EVP_CIPHER *cipher = atomic_load_explicit(slot, memory_order_acquire);
	if (cipher == NULL) {
		OSSL_ENTER(err);
		cipher = EVP_CIPHER_fetch(o->ctx, cipher_names[c][key_n / 8 - 2], NULL);
		if (cipher == NULL)
			OSSL_FAIL(err, CRYPTO, "a cipher is not available");
		EVP_CIPHER *other = NULL;
		VS_RACE_GIVE(slot);
		if (!atomic_compare_exchange_strong(slot, &other, cipher)) {
			EVP_CIPHER_free(cipher);
			cipher = other;
		}
	}
	VS_RACE_TAKE(slot);
	*ret = cipher;
	return VS_OK;
}

vs_rc
vs_ossl_mac(struct vs_ossl *o, bool cmac, EVP_MAC **ret, struct vs_err *err)
{
	_Atomic(EVP_MAC *) *slot = cmac ? &o->cmac : &o->hmac;
	EVP_MAC *mac = atomic_load_explicit(slot, memory_order_acquire);
	if (mac == NULL) {
		OSSL_ENTER(err);
		mac = EVP_MAC_fetch(o->ctx, cmac ? "CMAC" : "HMAC", NULL);
		if (mac == NULL)
			OSSL_FAIL(err, CRYPTO, "a MAC is not available");
		EVP_MAC *other = NULL;
		VS_RACE_GIVE(slot);
		if (!atomic_compare_exchange_strong(slot, &other, mac)) {
			EVP_MAC_free(mac);
			mac = other;
		}
	}
	VS_RACE_TAKE(slot);
	*ret = mac;
	return VS_OK;
}

void
vs_ossl_warm(struct vs_ossl *o)
{
	static const char *const types[] = {"RSA", "EC"};
	struct vs_err err = {0};
	EVP_MD *md = NULL;
	uint8_t byte;

	if (vs_ossl_gone())
		return;
	VS_CLEANUP(vs_ossl_leave) int mark = ERR_set_mark();
	(void)mark;
	(void)!vs_failed(vs_ossl_md(o, VS_HASH_SHA256, &md, &err));
	(void)RAND_priv_bytes_ex(o->ctx, &byte, sizeof byte, 0);
	(void)RAND_bytes_ex(o->ctx, &byte, sizeof byte, 0);
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
		EVP_KEYMGMT_free(EVP_KEYMGMT_fetch(o->ctx, types[i], NULL));
}

/* ---- random ------------------------------------------------------------------------------ */

vs_rc
vs_random(void *out, size_t n, struct vs_err *err)
{
	uint8_t *p = out;

	for (size_t done = 0; done < n;) {
		const ssize_t got = getrandom(p + done, n - done, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			const int e = errno;
			vs_wipe(out, n);
			VS_FAIL_N(err, CRYPTO, e, "the kernel gives no random bytes");
		}
		done += (size_t)got;
	}
	return VS_OK;
}

/* ---- cleanup ----------------------------------------------------------------------------- */

void
vs_bn_done(BIGNUM **p)
{
	BN_clear_free(*p);
	*p = NULL;
}

void
vs_bn_ctx_done(BN_CTX **p)
{
	BN_CTX_free(*p);
	*p = NULL;
}

void
vs_evp_pkey_done(EVP_PKEY **p)
{
	EVP_PKEY_free(*p);
	*p = NULL;
}

void
vs_evp_pkey_ctx_done(EVP_PKEY_CTX **p)
{
	EVP_PKEY_CTX_free(*p);
	*p = NULL;
}
