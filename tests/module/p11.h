/* SPDX-License-Identifier: BSD-2-Clause */
/* What the module's tests share: an initialised module over the agent made of data. */
#ifndef TESTS_P11_H
#define TESTS_P11_H

#include "fake/fake_client.h"
#include "token/ck.h"
#include "unit/unit.h"

#define assert_rv(expr, CODE) assert_int_equal((expr), (CODE))
#define assert_rv_ok(expr) assert_rv((expr), CKR_OK)
#define ATTR(type, value) \
	{ \
		(type), (void *)(uintptr_t) & (value), sizeof(value) \
	}
#define BYTES(type, p, n) \
	{ \
		(type), (void *)(uintptr_t)(p), (n) \
	}
/* Text as the API wants it. */
#define STR(s) ((CK_BYTE_PTR)(uintptr_t)(s))
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define MECH(type) (&(CK_MECHANISM){(type), NULL, 0})
#define MECH_P(type, param) (&(CK_MECHANISM){(type), &(param), sizeof(param)})

extern CK_BBOOL ck_true, ck_false;

/* Fresh knobs, C_Initialize. */
int p11_setup(void **state);
int p11_teardown(void **state);
/* A session on slot 0. */
CK_SESSION_HANDLE p11_open(void);
/* The one object of this class and label; fails the test otherwise. */
CK_OBJECT_HANDLE p11_find(CK_SESSION_HANDLE s, CK_OBJECT_CLASS class, const char *label);
size_t p11_count(CK_SESSION_HANDLE s, CK_ATTRIBUTE *t, CK_ULONG n);
const struct fake_key *p11_key(const char *name);
/* Plain OpenSSL with the public half: does this signature verify? pad is RSA_PKCS1_PADDING... */
bool p11_verify(const struct fake_key *k, const char *digest, int pad, const void *msg, size_t n,
	const uint8_t *sig, size_t sig_n);

#endif
