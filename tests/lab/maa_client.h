/* SPDX-License-Identifier: BSD-2-Clause */
/* A client of the lab's attestation service that goes through its handler, not through a socket. */
#ifndef TESTS_MAA_CLIENT_H
#define TESTS_MAA_CLIENT_H

#include <jansson.h>

#include "lab/lab_fixture.h"
#include "lab/lab_http.h"
#include "lab/lab_maa.h"

extern struct fixture maa_fixture; /* machine, service, token endpoint */

/* For cmocka_run_group_tests. */
int maa_start(void **state);
int maa_stop(void **state);

/* One request to the service. */
struct maa_call {
	const char *method, *path, *version, *bearer;
	struct vs_bytes body;
	struct lab_resp resp;
};

void maa_call_done(struct maa_call *c);
/* The answer's JSON, whatever the status; the response stays in c. */
json_t *maa_call(struct maa_call *c);
/* A member of {"error":{...}}, or "". */
const char *maa_error(const json_t *o, const char *member);

/* Part n of a compact token, decoded; as JSON. */
struct vs_buf maa_part(const char *token, int n);
json_t *maa_json(const char *token, int n);
/* The service's key set. */
json_t *maa_jwks(void);
/* Fails unless the key that the token names, from a valid certificate, signed it. */
void maa_assert_signed(const char *token);

/* {"member": base64url of info}; to free. */
char *maa_body(const json_t *info, const char *member);
/* Attest as a guest, the whole way to the token; NULL when refused: error has status and code. */
char *maa_attest(const char *member, char error[64]);

#endif
