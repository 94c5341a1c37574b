/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Certificates and keys that are read here outlive any caller's context, so the folder holds one
 * of its own for the whole process.
 */
#include "jose/lib.h"

#include <pthread.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct vs_ossl *ossl;

static void
make_ossl(void)
{
	if (vs_failed(vs_ossl_new(&ossl, NULL)))
		ossl = NULL;
}

VS_RC
vs_jose_ossl(struct vs_ossl **ret, struct vs_err *err)
{
	if (pthread_once(&once, make_ossl) != 0 || ossl == NULL)
		VS_FAIL(err, CRYPTO, "no private libcrypto context could be made");
	if (vs_ossl_gone())
		VS_FAIL(err, STATE, "the process is ending: libcrypto has already cleaned up");
	*ret = ossl;
	return VS_OK;
}

VS_RC
vs_jose_lib(OSSL_LIB_CTX **ret, struct vs_err *err)
{
	struct vs_ossl *o = NULL;
	VS_TRY(vs_jose_ossl(&o, err));
	*ret = vs_ossl_libctx(o);
	return VS_OK;
}
