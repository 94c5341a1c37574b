/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest of the lab's own: collects AzureGuest evidence through the machine's front door, with
 * nothing of the agent's code. For `vouchsafe-lab token` and for the tests of the verifier.
 */
#ifndef LAB_LAB_GUEST_H
#define LAB_LAB_GUEST_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "base/buf.h"
#include "vouchsafe/err.h"

struct lab_machine;
struct lab_guest;

struct lab_guest_options {
	const uint8_t *nonce; /* 32 bytes, client payload and qualifying data; NULL: none */
	uint32_t pcrs; /* bit per PCR; 0: PCR 0-7 */
	const uint8_t *user_data; /* 64 bytes; NULL: not written */
	bool trusted_launch; /* send no hardware evidence */
	/* For tests: what a careless or evil guest would do. */
	bool weak_policy; /* the transport key has the policy of other PCRs */
	bool with_auth; /* ... or can be used with its (empty) password */
	bool sha1_bank; /* quote the SHA-1 bank */
};

/* Opens the machine's TPM by its TCTI. Errors: TPM. */
VS_RC lab_guest_start(struct lab_machine *m, struct lab_guest **ret, struct vs_err *err);
/* Flushes the transport key, closes. NULL-safe. */
void lab_guest_stop(struct lab_guest *g);

/* A new transport key, and the JSON object of AttestationInfo. Errors: TPM, FILE, MEMORY. */
VS_RC lab_guest_collect(struct lab_guest *g, const struct lab_guest_options *options, json_t **ret,
	struct vs_err *err);

/* The compact token inside the answer {"token":...}. Errors: TPM, DATA, FORMAT. */
VS_RC lab_guest_unwrap(
	struct lab_guest *g, struct vs_bytes answer, struct vs_buf *token, struct vs_err *err);

#endif
