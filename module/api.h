/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What every entry point does on the way in and out: find the instance and the session, keep the
 * caller's errno. There is one global pointer in the module, and it is in entry.c.
 */
#ifndef VS_MODULE_API_H
#define VS_MODULE_API_H

#include <errno.h>

#include "token/session.h"

/* Where the process's instance hangs. */
extern struct vs_instance *_Atomic vs_module_instance;

#define VS_ENTRY __attribute__((visibility("default"))) CK_RV

/* Run call, an expression of CK_RV, with s as the locked session. */
#define VS_IN_SESSION(handle, call) \
	do { \
		const int in_errno_ = errno; \
		struct vs_session *s = NULL; \
		CK_RV in_rv_ = vs_session_enter(atomic_load(&vs_module_instance), (handle), &s); \
		if (in_rv_ == CKR_OK) { \
			in_rv_ = (call); \
			vs_session_leave(s); \
		} \
		errno = in_errno_; \
		return in_rv_; \
	} while (0)

/* The same, and first sweep what has ended: for calls that are not made thousands of times. */
#define VS_IN_SESSION_TICK(handle, call) \
	VS_IN_SESSION((handle), (vs_keyuse_tick(s->token, s), (call)))

/* Run call with inst as the locked instance. */
#define VS_IN_INSTANCE(call) \
	do { \
		const int in_errno_ = errno; \
		struct vs_instance *inst = atomic_load(&vs_module_instance); \
		CK_RV in_rv_ = vs_instance_enter(inst); \
		if (in_rv_ == CKR_OK) { \
			in_rv_ = (call); \
			vs_instance_leave(inst); \
		} \
		errno = in_errno_; \
		return in_rv_; \
	} while (0)

#endif
