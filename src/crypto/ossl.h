/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Our private corner of libcrypto: an OSSL_LIB_CTX of its own with the default provider loaded
 * by name and no configuration file, so that nothing in the host's openssl.cnf and no provider
 * that leads back to us can answer for it. The caller's OpenSSL error queue is as it was when a
 * function returns.
 *
 * What cannot be prevented: OpenSSL 3.0 asks for engines whenever an algorithm is set up, and that
 * loads the host's configuration into the *default* context, once per process, as the host's own
 * first use of OpenSSL does. vs_ossl_new does it at once, so that it happens at a known place.
 */
#ifndef VS_CRYPTO_OSSL_H
#define VS_CRYPTO_OSSL_H

#include <stdint.h>

#include "base/buf.h"
#include "vouchsafe/err.h"

struct vs_ossl;
struct ossl_lib_ctx_st;

/*
 * One reference. Keys and prepared contexts hold references of their own, so the order of
 * freeing does not matter. Algorithms are fetched at first use and kept. Thread-safe object.
 * Call it with no lock held that a PKCS#11 call could want: the host's configuration may name a
 * provider that calls us while it is loaded.
 * Errors: CRYPTO; STATE when the process is ending and libcrypto has already cleaned up.
 */
VS_RC vs_ossl_new(struct vs_ossl **ret, struct vs_err *err);
struct vs_ossl *vs_ossl_ref(struct vs_ossl *o);
/* NULL-safe. When libcrypto is gone only plain memory is freed, here and in every other _free. */
void vs_ossl_unref(struct vs_ossl *o);
/*
 * For a forked child that drops what it inherited: from now on the last unref leaves the library
 * context itself alone, because its locks may be held by threads that do not exist here. Keys
 * and prepared contexts are still freed with clearing by their own functions.
 */
void vs_ossl_abandon(struct vs_ossl *o);
/* libcrypto has run its exit handlers: nothing of it may be called any more. */
bool vs_ossl_gone(void);
/* "3.0.15": of the library that this process runs with. */
const char *vs_ossl_version(void);
/* For the few files outside crypto that speak libcrypto themselves (jose, net). */
struct ossl_lib_ctx_st *vs_ossl_libctx(struct vs_ossl *o);

/*
 * Do now what the first signature would do: seed the generators, look up the hash and the key
 * types. For the time in which somebody else works. What fails here fails again where it matters.
 */
void vs_ossl_warm(struct vs_ossl *o);

/*
 * Random bytes from the kernel, never from a generator in this process: a fork or a restored
 * snapshot cannot repeat them (T-P9). Error: CRYPTO; then out is zeroed.
 */
VS_RC vs_random(void *out, size_t n, struct vs_err *err);

#endif
