/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Services that lie: well-formed answers that say something false, ordered like a fault
 * (`vouchsafe-lab fault maa token-expired`). A client must refuse each for its own reason.
 */
#ifndef LAB_LAB_LIE_H
#define LAB_LAB_LIE_H

#include "base/buf.h"
#include "lab/lab.h"
#include "vouchsafe/err.h"

struct json_t;
struct lab_maa_key;

enum lab_lie {
	LAB_LIE_NONE = 0,
	/* maa */
	LAB_LIE_REPLAY, /* the previous answer once more */
	LAB_LIE_TOKEN_OTHER_KEY, /* token of another machine: its transport key, our nonce */
	LAB_LIE_TOKEN_EXPIRED,
	LAB_LIE_TOKEN_FUTURE,
	LAB_LIE_TOKEN_ISSUER,
	LAB_LIE_TOKEN_ALG_NONE,
	LAB_LIE_TOKEN_SIGNATURE,
	LAB_LIE_TOKEN_NONCE,
	/* vault, mhsm */
	LAB_LIE_RELEASE_OTHER_KEY,
	LAB_LIE_RELEASE_OTHER_VERSION,
	LAB_LIE_RELEASE_FLIP, /* one byte of the wrapped key, under a good signature */
	LAB_LIE_RELEASE_FOREIGN, /* signed by somebody else than its certificate says */
	LAB_LIE_RELEASE_WRONG_PRIVATE, /* another key's private part under the right public one */
};

/* The lie that this service is to tell now, counted down. */
enum lab_lie lab_lie_take(struct lab *lab, enum lab_service service, const char *path);

/*
 * The token as the lie wants it, made from the claims of the honest one and signed like it;
 * NONE and release lies leave it alone. Errors: CRYPTO, MEMORY.
 */
VS_RC lab_lie_token(enum lab_lie lie, const struct lab_maa_key *key, const char *issuer,
	const struct json_t *claims, struct vs_buf *token, struct vs_err *err);

#endif
