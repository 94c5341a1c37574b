/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A signer for tests: keys of its own, certificates, and tokens whose texts may be as odd as a test
 * wants them, with a signature that really covers the odd text.
 */
#ifndef TESTS_FORGE_H
#define TESTS_FORGE_H

#include <openssl/evp.h>

#include "base/buf.h"

enum forge_key {
	FORGE_GOOD = 0, /* RSA 2048: the issuer's */
	FORGE_FOREIGN, /* RSA 2048: somebody else's */
	FORGE_TRANSPORT, /* RSA 2048: our machine's */
	FORGE_BIG, /* RSA 3072 */
	FORGE_WEAK, /* RSA 1024 */
	FORGE_E3, /* RSA 2048 with exponent 3 */
	FORGE_E17BIT, /* RSA 2048 with exponent 65539 */
	FORGE_EC, /* P-256 */
	FORGE_KEYS_,
};

void forge_init(void);
void forge_done(void);
EVP_PKEY *forge_pkey(enum forge_key k);

/* base64url of bytes; the returned text lives until forge_done. */
const char *forge_b64url(const void *p, size_t n);
const char *forge_b64(const void *p, size_t n);
/* A copy of text that lives until forge_done. */
char *forge_keep(const char *text, size_t n);

/* Numbers of a key in base64url: "n", "e" (RSA). */
const char *forge_number(enum forge_key k, const char *name);
/* One self-signed certificate as base64 DER: name is the CN, times in seconds since 1970. */
const char *forge_cert(enum forge_key k, int64_t not_before, int64_t not_after);

/* Replaces $name$ by vars; what is not known stays. Ends with forge_done. n_out counts NUL ($0$).
 */
struct forge_var {
	const char *name, *value;
};
struct vs_bytes forge_expand(const char *text, const struct forge_var *vars, size_t n_vars);

enum forge_alg { FORGE_RS256 = 0, FORGE_RS1, FORGE_RS384, FORGE_RS512, FORGE_PS256, FORGE_ES256 };
/* header "." payload "." signature over the texts as they are. */
struct vs_buf forge_sign_text(
	struct vs_bytes header, struct vs_bytes payload, enum forge_key k, enum forge_alg alg);
/* The same from decoded bytes. */
struct vs_buf
forge_token(struct vs_bytes header, struct vs_bytes payload, enum forge_key k, enum forge_alg alg);
/* Raw signature of text. */
struct vs_buf forge_signature(struct vs_bytes text, enum forge_key k, enum forge_alg alg);
/* m^d mod n without any padding: m has the modulus's length. */
struct vs_buf forge_raw_rsa(struct vs_bytes m, enum forge_key k);
/* HMAC-SHA-256 */
struct vs_buf forge_hmac(struct vs_bytes key, struct vs_bytes text);
/* text "." base64url(signature) */
struct vs_buf forge_join(struct vs_bytes signed_text, struct vs_bytes signature);

#endif
