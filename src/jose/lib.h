/* SPDX-License-Identifier: BSD-2-Clause */
/* Where the folder gets its OpenSSL library context from; private to src/jose. */
#ifndef VS_JOSE_LIB_H
#define VS_JOSE_LIB_H

#include <openssl/types.h>

#include "crypto/ossl.h"

/* One for the process, never freed; borrowed. Errors: CRYPTO, STATE. */
VS_RC vs_jose_ossl(struct vs_ossl **ret, struct vs_err *err);
VS_RC vs_jose_lib(OSSL_LIB_CTX **ret, struct vs_err *err);

#endif
