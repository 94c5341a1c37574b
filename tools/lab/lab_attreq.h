/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The request of the TPM attestation protocol, version 2: a statement signed by a key that a quote
 * of the TPM vouches for. Read and verified here, with nothing of src/evidence (T-L2).
 */
#ifndef LAB_LAB_ATTREQ_H
#define LAB_LAB_ATTREQ_H

#include "lab/lab_evidence.h"

enum { LAB_CHALLENGE = 16, LAB_SHA1 = 20 };

struct lab_attreq {
	/* Borrowed from payload. */
	const json_t *jwk, *info; /* of the request key */
	const char *rp_data, *service_context;
	json_t *custom; /* claims of the client, by name; own reference */
	json_t *payload; /* own reference */
	struct vs_buf jwk_text; /* as it was sent */
	struct vs_buf challenge;
	bool aik_valid; /* its certificate leads to the virtual TPM's root */
	char aik_hash[48]; /* base64 of the SHA-256 of its public key's DER */
	struct lab_pcrs pcrs; /* SHA-256 */
	uint32_t sha1_mask;
	uint8_t sha1[LAB_PCRS][LAB_SHA1];
	struct lab_log_facts log;
	struct vs_buf log_bytes;
};
void lab_attreq_done(struct lab_attreq *r);

/* The signed request and who signed it: header, payload, the request key's own signature. */
bool lab_attreq_open(struct vs_bytes jws, struct lab_attreq *ret, struct lab_refusal *why);
/* What the TPM says: quote, log, and that the request key belongs to the quote of this challenge.
 */
bool
lab_attreq_verify(struct lab_attreq *r, const struct lab_anchors *anchors, struct lab_refusal *why);

/* {"Events":[...]} and {"PCRs":[...]} as policies query them; compact JSON text to free, or NULL.
 */
char *lab_attreq_events(const struct lab_attreq *r);
char *lab_attreq_pcrs(const struct lab_attreq *r);

#endif
