/* SPDX-License-Identifier: BSD-2-Clause */
#include "jose/lib.h"

#include <pthread.h>

#include <openssl/crypto.h>
#include <openssl/provider.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static OSSL_LIB_CTX *lib;

static void
make_lib(void)
{
	OSSL_LIB_CTX *made = OSSL_LIB_CTX_new();
	if (made != NULL && OSSL_PROVIDER_load(made, "default") == NULL) {
		OSSL_LIB_CTX_free(made);
		made = NULL;
	}
	lib = made;
}

VS_RC
vs_jose_lib(OSSL_LIB_CTX **ret, struct vs_err *err)
{
	if (pthread_once(&once, make_lib) != 0 || lib == NULL)
		VS_FAIL(err, CRYPTO, "no private libcrypto context could be made");
	*ret = lib;
	return VS_OK;
}
