/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/rsa_crypt.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/rsa.h>

#include "crypto/internal.h"
#include "crypto/rsa_pad.h"

enum { PKCS1_OVERHEAD = 11, K_MAX = VS_RSA_MAX_BITS / 8 };

struct vs_rsa {
	struct vs_pkey *key;
	struct vs_rsa_params params; /* label points into the buffer below */
	struct vs_buf label;
	bool encrypt;
	size_t k;
	EVP_PKEY_CTX *pctx;
	uint8_t pad_secret[VS_RSA_PAD_SECRET_BYTES];
	uint8_t em[K_MAX], msg[K_MAX];
};

vs_rc
vs_rsa_check(const struct vs_key_desc *desc, const struct vs_rsa_params *p, struct vs_err *err)
{
	if (desc->type != VS_KEY_RSA)
		VS_FAIL(err, KEY_KIND, "this operation needs an RSA key");
	const size_t k = (desc->bits + 7) / 8;
	if (p->scheme == VS_RSA_RAW || p->scheme == VS_RSA_PKCS1)
		return VS_OK;
	if (p->scheme != VS_RSA_OAEP)
		VS_FAIL(err, PARAM, "the encryption scheme is not known");
	if (vs_hash_size(p->hash) == 0 || vs_hash_size(p->mgf_hash) == 0)
		VS_FAIL(err, PARAM, "OAEP needs a hash function and one for its mask");
	if (p->label.n > VS_RSA_LABEL_MAX)
		VS_FAIL(err, PARAM, "an OAEP label has at most %d octets", (int)VS_RSA_LABEL_MAX);
	if (k < 2 * vs_hash_size(p->hash) + 2)
		VS_FAIL(err, KEY_SIZE, "the modulus has no room for OAEP with %s",
			vs_hash_name(p->hash));
	return VS_OK;
}

size_t
vs_rsa_plain_max(const struct vs_key_desc *desc, const struct vs_rsa_params *p)
{
	const size_t k = (desc->bits + 7) / 8;

	if (vs_failed(vs_rsa_check(desc, p, NULL)))
		return 0;
	if (p->scheme == VS_RSA_OAEP)
		return k - 2 * vs_hash_size(p->hash) - 2;
	return p->scheme == VS_RSA_PKCS1 ? k - PKCS1_OVERHEAD : k;
}

/* ---- preparing --------------------------------------------------------------------------- */

static vs_rc
prepare_oaep(struct vs_rsa *r, struct vs_err *err)
{
	EVP_MD *md = NULL;

	VS_TRY(vs_ossl_md(r->key->o, r->params.hash, &md, err));
	OSSL_TRY(err, EVP_PKEY_CTX_set_rsa_oaep_md(r->pctx, md), "OAEP cannot be prepared");
	VS_TRY(vs_ossl_md(r->key->o, r->params.mgf_hash, &md, err));
	OSSL_TRY(err, EVP_PKEY_CTX_set_rsa_mgf1_md(r->pctx, md), "OAEP cannot be prepared");
	if (r->label.n == 0)
		return VS_OK;
	void *label = OPENSSL_memdup(r->label.p, r->label.n);
	if (label == NULL)
		VS_FAIL(err, MEMORY, "no memory for a label");
	if (EVP_PKEY_CTX_set0_rsa_oaep_label(r->pctx, label, (int)r->label.n) != 1) {
		OPENSSL_free(label);
		OSSL_FAIL(err, CRYPTO, "OAEP cannot be prepared");
	}
	return VS_OK;
}

static vs_rc
prepare_pad_secret(struct vs_rsa *r, struct vs_err *err)
{
	VS_CLEANUP(vs_bn_done) BIGNUM *d = NULL;
	VS_TRY(vs_pkey_bn(r->key->evp, OSSL_PKEY_PARAM_RSA_D, &d, err));
	VS_REQUIRE(err, BN_bn2binpad(d, r->em, (int)r->k) == (int)r->k);
	const vs_rc rc =
		vs_rsa_pad_secret(r->key->o, vs_bytes_of(r->em, r->k), r->k, r->pad_secret, err);
	vs_wipe(r->em, sizeof r->em);
	return rc;
}

static vs_rc
prepare(struct vs_rsa *r, struct vs_err *err)
{
	r->pctx = EVP_PKEY_CTX_new_from_pkey(r->key->o->ctx, r->key->evp, NULL);
	if (r->pctx == NULL)
		OSSL_FAIL(err, MEMORY, "no memory for RSA");
	OSSL_TRY(err, r->encrypt ? EVP_PKEY_encrypt_init(r->pctx) : EVP_PKEY_decrypt_init(r->pctx),
		"RSA cannot be prepared");
	int padding = RSA_NO_PADDING;
	if (r->params.scheme == VS_RSA_OAEP)
		padding = RSA_PKCS1_OAEP_PADDING;
	else if (r->params.scheme == VS_RSA_PKCS1 && r->encrypt)
		padding = RSA_PKCS1_PADDING;
	OSSL_TRY(err, EVP_PKEY_CTX_set_rsa_padding(r->pctx, padding), "RSA cannot be prepared");
	if (r->params.scheme == VS_RSA_OAEP)
		return prepare_oaep(r, err);
	return r->params.scheme == VS_RSA_PKCS1 && !r->encrypt ? prepare_pad_secret(r, err) : VS_OK;
}

void
vs_rsa_free(struct vs_rsa *r)
{
	if (r == NULL)
		return;
	if (!vs_ossl_gone())
		EVP_PKEY_CTX_free(r->pctx);
	vs_pkey_unref(r->key);
	vs_buf_done(&r->label);
	vs_wipe(r, sizeof *r);
	free(r);
}

static void
rsa_done(struct vs_rsa **p)
{
	vs_rsa_free(*p);
	*p = NULL;
}

vs_rc
vs_rsa_new(struct vs_pkey *key, const struct vs_rsa_params *params, bool encrypt,
	struct vs_rsa **ret, struct vs_err *err)
{
	VS_TRY(vs_rsa_check(&key->desc, params, err));
	if (!encrypt && !key->priv)
		VS_FAIL(err, KEY_KIND, "a public key cannot decrypt");
	OSSL_ENTER(err);
	VS_CLEANUP(rsa_done) struct vs_rsa *r = calloc(1, sizeof *r);
	if (r == NULL)
		VS_FAIL(err, MEMORY, "no memory for RSA");
	r->key = vs_pkey_ref(key);
	r->params = *params;
	r->encrypt = encrypt;
	r->k = (key->desc.bits + 7) / 8;
	r->label.max = VS_RSA_LABEL_MAX;
	VS_TRY(vs_buf_set(&r->label, params->label.p, params->label.n, err));
	r->params.label = vs_buf_view(&r->label);
	VS_TRY(prepare(r, err));
	*ret = VS_TAKE(r);
	return VS_OK;
}

bool
vs_rsa_fits(const struct vs_rsa *r, const struct vs_pkey *key, const struct vs_rsa_params *p,
	bool encrypt)
{
	return r != NULL && r->key == key && r->encrypt == encrypt &&
		r->params.scheme == p->scheme && r->params.hash == p->hash &&
		r->params.mgf_hash == p->mgf_hash && vs_bytes_eq(r->params.label, p->label);
}

size_t
vs_rsa_size(const struct vs_rsa *r)
{
	return r->encrypt ? r->k : vs_rsa_plain_max(&r->key->desc, &r->params);
}

/* ---- using ------------------------------------------------------------------------------- */

vs_rc
vs_rsa_encrypt(struct vs_rsa *r, struct vs_bytes in, uint8_t *out, size_t cap, size_t *ret_n,
	struct vs_err *err)
{
	const size_t max = vs_rsa_plain_max(&r->key->desc, &r->params);

	VS_REQUIRE(err, r->encrypt);
	if (cap < r->k) {
		*ret_n = r->k;
		VS_FAIL(err, ROOM, "the ciphertext has %zu octets", r->k);
	}
	if (in.n > max)
		VS_FAIL(err, DATA_LEN, "at most %zu octets can be encrypted with this key", max);
	OSSL_ENTER(err);
	if (r->params.scheme == VS_RSA_RAW) {
		memset(r->em, 0, r->k - in.n);
		if (in.n != 0)
			memcpy(r->em + r->k - in.n, in.p, in.n);
		in = vs_bytes_of(r->em, r->k);
		if (!vs_pkey_below_modulus(r->key, in)) {
			vs_wipe(r->em, r->k);
			VS_FAIL(err, DATA, "the number to be encrypted is not below the modulus");
		}
	}
	size_t n = r->k;
	const uint8_t none[1] = {0};
	const int ok = EVP_PKEY_encrypt(r->pctx, out, &n, in.n == 0 ? none : in.p, in.n);
	vs_wipe(r->em, r->k);
	OSSL_TRY(err, ok, "RSA encryption failed");
	VS_REQUIRE(err, n == r->k);
	*ret_n = n;
	return VS_OK;
}

/* The block that was decrypted encrypts to the ciphertext again. See vs_pkey_doubt. */
static vs_rc
check_block(struct vs_rsa *r, struct vs_bytes in, struct vs_err *err)
{
	VS_CLEANUP(vs_evp_pkey_ctx_done)
	EVP_PKEY_CTX *pctx = EVP_PKEY_CTX_new_from_pkey(r->key->o->ctx, r->key->evp, NULL);
	size_t n = sizeof r->msg;

	if (pctx == NULL || EVP_PKEY_encrypt_init(pctx) != 1 ||
		EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_NO_PADDING) != 1 ||
		EVP_PKEY_encrypt(pctx, r->msg, &n, r->em, r->k) != 1)
		OSSL_FAIL(err, CRYPTO, "a decryption cannot be checked");
	if (n != in.n || memcmp(r->msg, in.p, n) != 0)
		VS_FAIL(err, CRYPTO, "a decryption came out wrong");
	vs_pkey_trust(r->key);
	return VS_OK;
}

/* The message into r->msg. */
static vs_rc
decrypt(struct vs_rsa *r, struct vs_bytes in, size_t *ret_n, struct vs_err *err)
{
	VS_REQUIRE(err, !r->encrypt);
	if (in.n != r->k)
		VS_FAIL(err, DATA_LEN, "a ciphertext of this key has %zu octets, not %zu", r->k,
			in.n);
	if (!vs_pkey_below_modulus(r->key, in))
		VS_FAIL(err, DATA, "the data does not decrypt");
	OSSL_ENTER(err);
	size_t n = sizeof r->em;
	if (EVP_PKEY_decrypt(r->pctx, r->em, &n, in.p, in.n) != 1) {
		vs_pkey_doubt(r->key);
		VS_FAIL(err, DATA, "the data does not decrypt");
	}
	if (r->params.scheme == VS_RSA_OAEP) {
		/* what comes out of OAEP is right */
		memcpy(r->msg, r->em, n);
		*ret_n = n;
		return VS_OK;
	}
	VS_REQUIRE(err, n == r->k);
	if (vs_pkey_doubted(r->key))
		VS_TRY(check_block(r, in, err));
	if (r->params.scheme == VS_RSA_PKCS1)
		return vs_rsa_unpad_implicit(
			r->key->o, r->pad_secret, in, r->em, r->k, r->msg, ret_n, err);
	memcpy(r->msg, r->em, n);
	*ret_n = n;
	return VS_OK;
}

static void
forget(struct vs_rsa *r)
{
	vs_wipe(r->em, sizeof r->em);
	vs_wipe(r->msg, sizeof r->msg);
}

vs_rc
vs_rsa_decrypt(struct vs_rsa *r, struct vs_bytes in, uint8_t *out, size_t cap, size_t *ret_n,
	struct vs_err *err)
{
	size_t n = 0;
	vs_rc rc = decrypt(r, in, &n, err);

	if (!vs_failed(rc)) {
		*ret_n = n;
		if (n <= cap)
			memcpy(out, r->msg, n);
		else
			rc = vs_err_put(err, VS_E_ROOM, __func__, __LINE__, 0,
				"the plaintext has %zu octets", n);
	}
	forget(r);
	return rc;
}

vs_rc
vs_rsa_decrypt_secret(struct vs_rsa *r, struct vs_bytes in, struct vs_arena *arena,
	struct vs_secret *ret, struct vs_err *err)
{
	size_t n = 0;
	vs_rc rc = decrypt(r, in, &n, err);

	if (!vs_failed(rc))
		rc = vs_secret_from(arena, r->msg, n, ret, err);
	forget(r);
	return rc;
}
