/* SPDX-License-Identifier: BSD-2-Clause */
/* For tests that use the built vouchsafe-lab from outside: processes, HTTP, recordings. */
#ifndef TESTS_LABKIT_H
#define TESTS_LABKIT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* A lab in the background in a new folder. Fails the test when it does not start. */
void labkit_up(void);
void labkit_down(void);
/* A variable of D/env, or of the folder: "DIR". Fails when unknown. */
const char *labkit_var(const char *name);

/* Run vouchsafe-lab with these words (NULL-terminated); standard output, exit code. Free it. */
char *labkit_cmd(int *exit_code, const char *const *words);
#define LAB(code, ...) labkit_cmd((code), (const char *const[]){__VA_ARGS__, NULL})
/* The same, must succeed; output is thrown away. */
void labkit_do(const char *const *words);
#define LAB_DO(...) labkit_do((const char *const[]){__VA_ARGS__, NULL})

struct answer {
	long status; /* 0: no complete answer */
	int error; /* CURLcode */
	char *body; /* NUL-terminated */
	size_t n_body;
	char *head; /* all header lines */
	json_t *json; /* NULL when the body is none */
};
void answer_done(struct answer *a);
/* Value of a header, lower case name; "" when absent. In a static buffer. */
const char *answer_header(const struct answer *a, const char *name);
size_t answer_count_header(const struct answer *a, const char *name);
/* error.code, error.message, error.innererror.code; "" when absent. */
const char *answer_code(const struct answer *a);
const char *answer_message(const struct answer *a);
const char *answer_inner(const struct answer *a);

/* One request, no redirects, the lab's CA. bearer, body, header may be NULL. */
struct answer http(const char *method, const char *base, const char *path, const char *bearer,
	const char *body, const char *header);

/* An access token from IMDS, in a static buffer per audience. */
const char *vault_bearer(void);
const char *mhsm_bearer(void);

/* A recording of tests/data/keyvault. */
json_t *recording(const char *file);
/* Body of the n-th answer with this method and a URI that contains part. Borrowed. */
const json_t *recorded_body(const json_t *rec, const char *method, const char *part, size_t n);
/*
 * Fails unless both have the same members in the same order with values of the same type, at
 * every level; of arrays the first element counts. Members named in skip are not looked into.
 */
void assert_same_shape(const json_t *recorded, const json_t *ours, const char *skip);

/* Text of base64url, decoded into a JSON value. */
json_t *json_of_b64url(const char *text, size_t n);

#endif
