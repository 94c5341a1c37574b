/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Operations: one of each kind in a session. IDLE -> READY -> (ONCE | MULTI) -> IDLE. The
 * prepared contexts stay for the next operation with the same key and mechanism.
 */
#ifndef VS_TOKEN_OP_H
#define VS_TOKEN_OP_H

#include "token/ckrv.h"
#include "token/keyuse.h"
#include "token/param.h"

enum vs_op_kind {
	VS_OP_SIGN = 0,
	VS_OP_VERIFY,
	VS_OP_ENCRYPT,
	VS_OP_DECRYPT,
	VS_OP_DIGEST,
	VS_OP_MSG_ENCRYPT,
	VS_OP_MSG_DECRYPT,
	VS_OP_SIGN_RECOVER,
	VS_OP_VERIFY_RECOVER,
	VS_OP_MSG_SIGN,
	VS_OP_MSG_VERIFY,
	VS_OP_COUNT_,
};

enum vs_phase {
	VS_PHASE_IDLE = 0,
	VS_PHASE_READY,
	VS_PHASE_ONCE, /* one call has asked for a size: parts are no longer possible */
	VS_PHASE_MULTI,
	VS_PHASE_MESSAGE, /* between two messages */
	VS_PHASE_MESSAGE_PARTS, /* inside one */
};

struct vs_op;
struct vs_session;

/* What a row can do. Sizes are upper bounds; exact says whether they are more than that. */
struct vs_engine {
	const char *name;
	/* Before the gate is asked: do parameters and key fit? */
	VS_CK (*check)(const struct vs_op *op, const struct vs_key_desc *desc);
	/* With the key: have a context, the last one if it fits. */
	VS_CK (*prepare)(struct vs_op *op);
	size_t (*once_size)(const struct vs_op *op, size_t in_n, bool *ret_exact);
	/* Repeatable: starts afresh each time. BUFFER_TOO_SMALL gives the size in *ret_n. */
	VS_CK(*once)
	(struct vs_op *op, struct vs_bytes in, uint8_t *out, size_t cap, size_t *ret_n);
	/* The rest is NULL for what has one part only. */
	VS_CK (*start)(struct vs_op *op);
	size_t (*update_size)(const struct vs_op *op, size_t in_n);
	VS_CK(*update)
	(struct vs_op *op, struct vs_bytes in, uint8_t *out, size_t cap, size_t *ret_n);
	size_t (*final_size)(const struct vs_op *op, bool *ret_exact);
	VS_CK (*final)(struct vs_op *op, uint8_t *out, size_t cap, size_t *ret_n);
	VS_CK (*verify_once)(struct vs_op *op, struct vs_bytes in, struct vs_bytes sig);
	VS_CK (*verify_final)(struct vs_op *op, struct vs_bytes sig);
};
extern const struct vs_engine vs_engine_sign, vs_engine_digest, vs_engine_cipher, vs_engine_rsa,
	vs_engine_recover;

enum { VS_RSA_MAX_BYTES = VS_RSA_MAX_BITS / 8 };

struct vs_op {
	struct vs_instance *inst;
	enum vs_op_kind kind;
	enum vs_phase phase;
	const struct vs_mech *row;
	const struct vs_engine *engine;
	/* The key: kept after the operation for the next one. */
	struct vs_object *object;
	const struct vs_mech *checked; /* row that object was found fit for */
	struct vs_pkey *key;
	struct vs_ukey *ukey; /* NULL: no lease needed */
	bool counted; /* this operation, as a use of its key */
	enum vs_code stopped; /* its key was swept while it was under way, and why */
	struct vs_params params;
	/* Prepared contexts. */
	struct vs_signer *signer;
	struct vs_cipher *cipher;
	struct vs_rsa *rsa;
	struct vs_digest *digest;
	/* RSA in parts is only collected. */
	size_t acc_n;
	uint8_t *acc; /* VS_RSA_MAX_BYTES, at first use */
	/* Messages of version 3.0. */
	size_t msg_tag, msg_held; /* octets: the tag; ciphertext that waits for it */
	uint64_t msg_count; /* IVs counted in this session, for whatever key */
};

/* ---- life cycle (op.c). All of them under the session's lock. ------------------------------- */

VS_CK
vs_op_init(struct vs_session *s, enum vs_op_kind kind, const void *mechanism, CK_OBJECT_HANDLE key);
/* One call. out NULL asks for the size. */
VS_CK vs_op_once(struct vs_session *s, enum vs_op_kind kind, const void *in, CK_ULONG in_n,
	void *out, CK_ULONG *out_n);
/* out_n NULL: an update that gives nothing out (sign, verify, digest). */
VS_CK vs_op_update(struct vs_session *s, enum vs_op_kind kind, const void *in, CK_ULONG in_n,
	void *out, CK_ULONG *out_n);
VS_CK vs_op_final(struct vs_session *s, enum vs_op_kind kind, void *out, CK_ULONG *out_n);
VS_CK
vs_op_verify(struct vs_session *s, const void *in, CK_ULONG in_n, const void *sig, CK_ULONG sig_n);
VS_CK vs_op_verify_final(struct vs_session *s, const void *sig, CK_ULONG sig_n);
VS_CK vs_op_digest_key(struct vs_session *s, CK_OBJECT_HANDLE key);

/* Two operations at a time: other is DIGEST or SIGN, and DIGEST or VERIFY. */
VS_CK vs_op_dual_encrypt(struct vs_session *s, enum vs_op_kind other, const void *in, CK_ULONG in_n,
	void *out, CK_ULONG *out_n);
VS_CK vs_op_dual_decrypt(struct vs_session *s, enum vs_op_kind other, const void *in, CK_ULONG in_n,
	void *out, CK_ULONG *out_n);

/* End the operation; contexts stay. */
void vs_op_end(struct vs_op *op);
/* Its key has ended: let go of it now; the operation's next step says why. */
void vs_op_stop(struct vs_op *op);
/* Forget key and contexts, too. */
void vs_op_drop(struct vs_op *op);
/* In a forked child: drop, but let nothing go back to the arena, whose lock may be held. */
void vs_op_abandon(struct vs_op *op);
/* drop and free the struct. NULL-safe. */
void vs_op_free(struct vs_op *op);
bool vs_op_active(const struct vs_session *s, enum vs_op_kind kind);

/* Is the lease (or none) good for a step of an operation that has begun? Ends it if not. */
VS_CK vs_op_allowed(struct vs_session *s, struct vs_op *op);
/* PKCS#11 section 5.2 in one place: true when the call is to go on. */
bool vs_op_room(size_t need, bool exact, const void *out, CK_ULONG *out_n, CK_RV *ret);
/* A length without an address, or one that nobody has memory for. */
bool vs_op_bad_input(const void *in, CK_ULONG in_n);
/*
 * First half: find the object and look whether it may be used by this row in this way. usage is
 * CKA_SIGN and so on. Errors of a missing handle are bad_handle, of a wrong kind bad_type.
 * Second half: have its key; this asks the gate.
 */
VS_CK vs_op_find(struct vs_session *s, struct vs_op *op, CK_OBJECT_HANDLE h,
	CK_ATTRIBUTE_TYPE usage, CK_RV bad_handle, CK_RV bad_type);
VS_CK vs_op_open(struct vs_session *s, struct vs_op *op);

/* ---- single calls, and messages (op_derive.c, op_wrap.c, op_gen.c, op_message.c,
 * op_sign_message.c) ---------------------------------------------------------------------- */

VS_CK vs_op_derive(struct vs_session *s, const void *mechanism, CK_OBJECT_HANDLE base,
	const void *tmpl, CK_ULONG n, CK_OBJECT_HANDLE *ret);
VS_CK vs_op_wrap(struct vs_session *s, const void *mechanism, CK_OBJECT_HANDLE wrapping,
	CK_OBJECT_HANDLE key, void *out, CK_ULONG *out_n);
VS_CK vs_op_unwrap(struct vs_session *s, const void *mechanism, CK_OBJECT_HANDLE unwrapping,
	const void *in, CK_ULONG in_n, const void *tmpl, CK_ULONG n, CK_OBJECT_HANDLE *ret);
VS_CK vs_op_generate(struct vs_session *s, const void *mechanism, const void *tmpl, CK_ULONG n,
	CK_OBJECT_HANDLE *ret);
VS_CK vs_op_generate_pair(struct vs_session *s, const void *mechanism, const void *pub_tmpl,
	CK_ULONG pub_n, const void *priv_tmpl, CK_ULONG priv_n, CK_OBJECT_HANDLE *ret_pub,
	CK_OBJECT_HANDLE *ret_priv);
VS_CK vs_op_create(struct vs_session *s, const void *tmpl, CK_ULONG n, CK_OBJECT_HANDLE *ret);
VS_CK vs_op_copy(struct vs_session *s, CK_OBJECT_HANDLE h, const void *tmpl, CK_ULONG n,
	CK_OBJECT_HANDLE *ret);
VS_CK vs_op_change(struct vs_session *s, CK_OBJECT_HANDLE h, const void *tmpl, CK_ULONG n);
VS_CK vs_op_destroy(struct vs_session *s, CK_OBJECT_HANDLE h);
VS_CK vs_op_random(void *out, CK_ULONG n);

struct vs_msg_args {
	void *parameter;
	CK_ULONG parameter_n;
	const void *aad;
	CK_ULONG aad_n;
	const void *in;
	CK_ULONG in_n;
	void *out;
	CK_ULONG *out_n;
};
VS_CK vs_op_message(struct vs_session *s, enum vs_op_kind kind, const struct vs_msg_args *a);
VS_CK vs_op_message_begin(struct vs_session *s, enum vs_op_kind kind, const struct vs_msg_args *a);
VS_CK vs_op_message_next(
	struct vs_session *s, enum vs_op_kind kind, const struct vs_msg_args *a, CK_FLAGS flags);
VS_CK vs_op_message_final(struct vs_session *s, enum vs_op_kind kind);
/*
 * The operation when it is between messages (want MESSAGE) or inside one (MESSAGE_PARTS);
 * CKR_OPERATION_NOT_INITIALIZED, CKR_OPERATION_ACTIVE. Asking for the wrong one changes nothing.
 */
VS_CK vs_op_message_get(
	struct vs_session *s, enum vs_op_kind kind, enum vs_phase want, struct vs_op **ret);

/* Signatures of messages: no mechanism here has a parameter that changes from one to the next. */
VS_CK vs_op_sign_message(struct vs_session *s, CK_ULONG parameter_n, const void *in, CK_ULONG in_n,
	void *sig, CK_ULONG *sig_n);
VS_CK
vs_op_sign_message_begin(struct vs_session *s, enum vs_op_kind kind, CK_ULONG parameter_n);
/* sig_n NULL: more is to come. */
VS_CK vs_op_sign_message_next(struct vs_session *s, CK_ULONG parameter_n, const void *in,
	CK_ULONG in_n, void *sig, CK_ULONG *sig_n);
VS_CK vs_op_verify_message(struct vs_session *s, CK_ULONG parameter_n, const void *in,
	CK_ULONG in_n, const void *sig, CK_ULONG sig_n);
/* sig NULL: more is to come. */
VS_CK vs_op_verify_message_next(struct vs_session *s, CK_ULONG parameter_n, const void *in,
	CK_ULONG in_n, const void *sig, CK_ULONG sig_n);

#endif
