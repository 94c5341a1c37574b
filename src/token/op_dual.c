/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two operations of a session fed in one call. Text goes into the digest or signature before it is
 * enciphered and after it was deciphered, so input and output may be the same memory. What
 * C_DecryptFinal gives out is not fed on: that is the application's to do, as the standard says.
 */
#include "token/session.h"

/* Both are under way, and the pair may be used together; otherwise what the first lacks is said. */
static VS_CK
both(struct vs_session *s, enum vs_op_kind a, enum vs_op_kind b)
{
	return vs_op_active(s, a) && vs_op_active(s, b) ? CKR_OK : CKR_OPERATION_NOT_INITIALIZED;
}

static void
end_both(struct vs_session *s, enum vs_op_kind a, enum vs_op_kind b)
{
	vs_op_end(s->op[a]);
	vs_op_end(s->op[b]);
}

VS_CK
vs_op_dual_encrypt(struct vs_session *s, enum vs_op_kind other, const void *in, CK_ULONG in_n,
	void *out, CK_ULONG *out_n)
{
	VS_CK_TRY(both(s, VS_OP_ENCRYPT, other));
	CK_ULONG need = 0;
	/* How much comes out: a query leaves everything as it is. */
	CK_RV rv = out_n == NULL ? CKR_ARGUMENTS_BAD
				 : vs_op_update(s, VS_OP_ENCRYPT, in, in_n, NULL, &need);
	if (rv == CKR_OK && out == NULL) {
		*out_n = need;
		return CKR_OK;
	}
	if (rv == CKR_OK && *out_n < need) {
		*out_n = need;
		return CKR_BUFFER_TOO_SMALL;
	}
	if (rv == CKR_OK)
		rv = vs_op_update(s, other, in, in_n, NULL, NULL);
	if (rv == CKR_OK)
		rv = vs_op_update(s, VS_OP_ENCRYPT, in, in_n, out, out_n);
	if (rv != CKR_OK)
		end_both(s, VS_OP_ENCRYPT, other);
	return rv;
}

VS_CK
vs_op_dual_decrypt(struct vs_session *s, enum vs_op_kind other, const void *in, CK_ULONG in_n,
	void *out, CK_ULONG *out_n)
{
	VS_CK_TRY(both(s, VS_OP_DECRYPT, other));
	CK_RV rv = vs_op_update(s, VS_OP_DECRYPT, in, in_n, out, out_n);
	if (rv == CKR_BUFFER_TOO_SMALL || (rv == CKR_OK && out == NULL))
		return rv;
	if (rv == CKR_OK)
		rv = vs_op_update(s, other, out, *out_n, NULL, NULL);
	if (rv != CKR_OK)
		end_both(s, VS_OP_DECRYPT, other);
	return rv;
}
