/* SPDX-License-Identifier: BSD-2-Clause */
/* Tokens about the lab's own machine, and everything about providers and their keys. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/pem.h>
#include <openssl/rand.h>

#include "lab/lab_claims.h"
#include "lab/lab_guest.h"
#include "lab/lab_machine.h"
#include "lab/lab_maa_priv.h"
#include "lab/lab_roots.h"

const char *
lab_maa_issuer(const struct lab_maa *maa)
{
	return maa->lab->url[maa->service];
}

static vs_rc
make(struct lab *lab, enum lab_service service, enum lab_trust trust,
	const struct lab_maa_keys *same, struct lab_maa **ret, struct vs_err *err)
{
	struct lab_maa *maa = calloc(1, sizeof *maa);
	if (!maa)
		VS_FAIL(err, MEMORY, "out of memory");
	pthread_mutex_init(&maa->lock, NULL);
	pthread_rwlock_init(&maa->key_lock, NULL);
	maa->lab = lab;
	maa->service = service;
	maa->trust = trust;
	maa->jwk_full = true;
	maa->policy_certs = json_array();
	vs_rc rc = RAND_bytes(maa->context_key, sizeof maa->context_key) == 1
		? lab_maa_keys_make(lab->url[service], same, &maa->keys, err)
		: lab_ossl_fail("no random bytes", err);
	if (vs_failed(rc)) {
		lab_maa_free(maa);
		return rc;
	}
	*ret = maa;
	return VS_OK;
}

vs_rc
lab_maa_new(struct lab *lab, struct lab_maa **ret, struct vs_err *err)
{
	return make(lab, LAB_MAA, LAB_TRUST_AAD, NULL, ret, err);
}

vs_rc
lab_maa_add_providers(struct lab_maa *maa, struct evp_pkey_st *signer, struct vs_err *err)
{
	VS_TRY(make(maa->lab, LAB_MAA_SHARED, LAB_TRUST_SHARED, &maa->keys, &maa->next, err));
	VS_TRY(make(
		maa->lab, LAB_MAA_ISOLATED, LAB_TRUST_ISOLATED, &maa->keys, &maa->next->next, err));
	return lab_maa_first_cert(maa->next->next, signer, err);
}

void
lab_maa_free(struct lab_maa *maa)
{
	while (maa) {
		struct lab_maa *next = maa->next;
		lab_maa_keys_done(&maa->keys);
		for (size_t i = 0; i < LAB_TEE_COUNT_; i++) {
			free(maa->policy[i].text);
			free(maa->policy[i].jws);
			json_decref(maa->policy[i].signer);
		}
		json_decref(maa->policy_certs);
		vs_buf_done(&maa->last_answer);
		pthread_mutex_destroy(&maa->lock);
		pthread_rwlock_destroy(&maa->key_lock);
		free(maa);
		maa = next;
	}
}

vs_rc
lab_maa_rotate(struct lab_maa *maa, bool forget, struct vs_err *err)
{
	struct lab_maa_key fresh = {0};
	VS_TRY(lab_maa_key_unknown(&fresh, err));
	vs_rc rc = VS_OK;
	for (struct lab_maa *m = maa; m && !vs_failed(rc); m = m->next) {
		pthread_rwlock_wrlock(&m->key_lock);
		rc = lab_maa_keys_rotate(&m->keys, lab_maa_issuer(m), fresh.key, forget, err);
		pthread_rwlock_unlock(&m->key_lock);
	}
	EVP_PKEY_free(fresh.key);
	return rc;
}

static vs_rc
collect_facts(struct lab_maa *maa, struct lab_facts *facts, struct vs_err *err)
{
	struct lab_guest *guest = NULL;
	struct lab_maa_error e = {0};
	json_t *info = NULL;
	uint8_t nonce[32];
	VS_TRY(lab_random(nonce, sizeof nonce, err));
	VS_TRY(lab_guest_start(maa->lab->machine, &guest, err));
	vs_rc rc =
		lab_guest_collect(guest, &(struct lab_guest_options){.nonce = nonce}, &info, err);
	lab_guest_stop(guest);
	VS_TRY(rc);
	char *text = json_dumps(info, JSON_COMPACT);
	json_decref(info);
	if (!text)
		VS_FAIL(err, MEMORY, "out of memory");
	const bool ok = lab_maa_verify_guest(maa, vs_bytes_str(text), facts, &e);
	free(text);
	if (!ok)
		VS_FAIL(err, REFUSED_ATTESTATION, "the lab refuses its machine: %s: %s", e.code,
			e.message);
	return VS_OK;
}

static vs_rc
use_software_key(struct lab_facts *facts, EVP_PKEY **ret, struct vs_err *err)
{
	struct lab_new_key job = {.bits = 2048};
	BIGNUM *n = NULL;
	VS_TRY(lab_new_keys(&job, 1, err));
	const bool ok = EVP_PKEY_get_bn_param(job.key, "n", &n) == 1 &&
		BN_bn2binpad(n, facts->enc_n, LAB_RSA_BYTES) == LAB_RSA_BYTES;
	BN_free(n);
	if (!ok) {
		EVP_PKEY_free(job.key);
		return lab_ossl_fail("cannot make a key", err);
	}
	*ret = job.key;
	return VS_OK;
}

static vs_rc
put_with_key(struct vs_bytes token, EVP_PKEY *key, struct vs_buf *out, struct vs_err *err)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *pem = NULL, *text = NULL;
	long n = 0;
	if (bio && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1)
		n = BIO_get_mem_data(bio, &pem);
	json_t *o = n > 0 ? json_pack("{s:s%,s:s%}", "token", (const char *)token.p, token.n,
				    "private_key_pem", pem, (size_t)n)
			  : NULL;
	BIO_free(bio);
	text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	json_decref(o);
	const vs_rc rc = text
		? vs_buf_add_str(out, text, err)
		: vs_err_put(err, VS_E_MEMORY, __func__, __LINE__, 0, "out of memory");
	free(text);
	return rc;
}

vs_rc
lab_maa_token(struct lab_maa *maa, bool expired, bool software_key, struct vs_buf *out,
	struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf token = {0};
	VS_CLEANUP(lab_facts_done) struct lab_facts facts = {0};
	struct lab_maa_error e = {0};
	EVP_PKEY *key = NULL;
	VS_TRY(collect_facts(maa, &facts, err));
	if (software_key)
		VS_TRY(use_software_key(&facts, &key, err));
	const int64_t now = lab_now(maa->lab) - (expired ? LAB_TOKEN_LIFE_S + 3600 : 0);
	json_t *claims = lab_claims_azurevm(&facts);
	const bool ok =
		claims && lab_maa_issue(maa, LAB_TEE_AZURE_GUEST, claims, NULL, now, &token, &e);
	json_decref(claims);
	vs_rc rc = VS_OK;
	if (!ok)
		rc = vs_err_put(err, VS_E_REFUSED_ATTESTATION, __func__, __LINE__, 0,
			"the lab refuses its machine: %s: %s", e.code, e.message);
	else if (software_key)
		rc = put_with_key(vs_buf_view(&token), key, out, err);
	else
		rc = vs_buf_add(out, token.p, token.n, err);
	EVP_PKEY_free(key);
	return rc;
}
