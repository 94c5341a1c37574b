/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A release answer is believed only after its signature, signer, key, version, type and public
 * part were checked, and its content opened with the key that the TPM holds (T-K1, T-K2, T-K3).
 */
#ifndef VS_KEYS_RELEASE_H
#define VS_KEYS_RELEASE_H

#include "base/secret.h"
#include "proto/catalog.h"
#include "vouchsafe/ports.h"
#include "vouchsafe/provider.h"

struct vs_certs;
struct vs_ossl;

struct vs_release_want {
	const struct vs_cat_entry *entry; /* the key as asked for and as shown */
	const char *vault; /* https origin */
	const char *enc; /* as announced in the request: vs_akv_enc_name() */
	const struct vs_certs *anchors; /* for the signer's chain */
	int64_t now_unix;
	size_t wrap_bytes; /* modulus of the transport key: length of the RSA block */
	struct vs_ossl *ossl;
	struct vs_log log; /* gets the reason that the error does not tell */
};

struct vs_release_facts {
	char kid[512];
	char enc[32];
	struct vs_buf policy; /* release policy stored with the key, JSON */
	bool policy_immutable;
};
void vs_release_facts_done(struct vs_release_facts *f);

/*
 * Check the answer and unwrap the key: ret gets PKCS#8 DER (named curve, no attributes) or the raw
 * octets of an AES key. Errors: REFUSED_ANSWER, with one and the same sentence whatever byte was
 * wrong; REFUSED_KEY when the private part is not that of `entry`; REFUSED_BINDING when the TPM
 * will not use the transport key any more; TPM; MEMORY, LOCK_MEMORY.
 */
VS_RC vs_release_open(const struct vs_release_want *want, struct vs_bytes jws,
	const struct vs_evidence_src *ev, struct vs_arena *arena, struct vs_secret *ret,
	struct vs_release_facts *ret_facts, struct vs_err *err);

#endif
