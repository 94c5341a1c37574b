/* SPDX-License-Identifier: BSD-2-Clause */
/* Our codes as CK_RV: by category, with the exceptions in one table. */
#ifndef VS_TOKEN_CKRV_H
#define VS_TOKEN_CKRV_H

#include "token/ck.h"
#include "vouchsafe/err.h"

/* What was being done: local cryptography's codes have other names in each. */
enum vs_doing {
	VS_DOING_ANY = 0,
	VS_DOING_SIGN,
	VS_DOING_VERIFY,
	VS_DOING_ENCRYPT,
	VS_DOING_DECRYPT,
	VS_DOING_WRAP,
	VS_DOING_UNWRAP,
	VS_DOING_DERIVE,
	VS_DOING_CREATE,
	VS_DOING_COUNT_,
};

/* Never CKR_OK for a failure. */
CK_RV vs_ckrv(vs_rc rc, enum vs_doing doing);
CK_RV vs_ckrv_code(enum vs_code code, enum vs_doing doing);

#endif
