/* SPDX-License-Identifier: BSD-2-Clause */
/* The catalogue of good and bad tokens, made from the rules with keys of its own. */
#ifndef TESTS_TOKEN_CASES_H
#define TESTS_TOKEN_CASES_H

#include "attest/validate.h"
#include "unit/forge.h"
#include "unit/unit.h"

struct token_case {
	const char *name;
	const char *expect; /* first rule that refuses; "" for accepted */
	struct vs_bytes token;
	struct vs_jwks *jwks;
	struct vs_policy *policy;
	const char *issuer, *nonce;
	int64_t at;
	enum vs_token_world world;
	bool ask_key; /* compare with the transport key (T-A2) */
};

extern struct token_case *token_cases;
extern size_t token_cases_n;

/* Makes keys and all cases. */
void token_cases_init(void);
void token_cases_done(void);
/* Inputs of a case; hex is filled for the nonce. */
void token_case_inputs(const struct token_case *c, struct vs_validate_in *in, struct vs_buf *hex);

/* ---- for the files that fill it ----------------------------------------------------------- */

enum { IAT = 1790000000, NOW = IAT + 100, EXP = IAT + 28800 };
#define ISSUER "https://lab7.weu.attest.example"
#define KID "kid+/good="
#define NONCE_HEX "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define NONCE_B64 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define HEADER \
	"{\"alg\":\"RS256\",\"jku\":\"" ISSUER "/certs\",\"kid\":\"" KID "\",\"typ\":\"JWT\"}"

struct claim {
	const char *name, *value; /* value NULL: without this claim */
};

/* Fields that are empty get the good ones. */
void case_add(struct token_case c);
/* $name$ of keys, certificates and numbers. */
struct vs_bytes expand(const char *text);
/* The good claims with changes; at most 8. */
struct vs_bytes claims_with(const struct claim *changes, size_t n);
struct vs_bytes good_claims(void);
/* Signed by the issuer. */
struct vs_bytes signed_token(const char *header, struct vs_bytes claims);
struct vs_bytes keep_buf(struct vs_buf *b); /* moves into the catalogue's memory */
struct vs_jwks *jwks_of(const char *text); /* expanded; one reference, kept */
struct vs_policy *policy_of(const char *text);
/* The texts that these were made of. */
struct vs_bytes jwks_text(const struct vs_jwks *jwks);
struct vs_bytes policy_text(const struct vs_policy *policy);
/* "what #i" */
const char *numbered(const char *what, size_t i);

void cases_form(void);
void cases_signature(void);
void cases_header(void);
void cases_keys(void);
void cases_claims(void);
void cases_policy(void);

/* Texts that are no strict JSON, as templates around a good document: $A$ is the whole document,
 * $B$ the same without its last brace. ok: it must be read. */
struct json_text {
	const char *text;
	bool ok;
};
extern const struct json_text json_texts[];
extern const size_t json_texts_n;
struct vs_bytes json_text_around(const struct json_text *t, const char *document);

#endif
