/* SPDX-License-Identifier: BSD-2-Clause */
/* The making of a session object, whatever way it comes into being. */
#ifndef VS_TOKEN_MAKE_H
#define VS_TOKEN_MAKE_H

#include "crypto/pkey.h"
#include "token/session.h"

struct vs_make {
	struct vs_session *session;
	struct vs_arena *arena; /* borrowed */
	struct vs_ossl *ossl; /* borrowed */
	struct vs_object *object;
	struct vs_pkey *key;
};

void vs_make_done(struct vs_make *m);
void vs_make_object_done(struct vs_object **o);
VS_CK vs_make_open(struct vs_make *m, struct vs_session *s);
/* An empty object with its key type. */
VS_CK vs_make_object(struct vs_make *m, enum vs_kind kind, CK_KEY_TYPE type);
/* The key of the object's attributes, checked: CKR_ATTRIBUTE_VALUE_INVALID. */
VS_CK vs_make_key(struct vs_make *m);
/*
 * The attributes that follow from m->key, and those that say where it comes from; the key becomes
 * the object's. mechanism is CK_UNAVAILABLE_INFORMATION when it was not generated here.
 */
VS_CK vs_make_from_key(struct vs_make *m, CK_MECHANISM_TYPE mechanism, bool local);
/* ALWAYS_SENSITIVE and NEVER_EXTRACTABLE of something derived or unwrapped. */
VS_CK vs_make_history(struct vs_make *m, bool always_sensitive, bool never_extractable);
/* A secret or data object of these octets, as a template asks. */
VS_CK vs_make_secret(struct vs_make *m, const struct vs_tmpl *t, CK_KEY_TYPE otherwise,
	struct vs_bytes octets, enum vs_doing doing);
VS_CK vs_make_publish(struct vs_make *m, CK_OBJECT_HANDLE *ret);

#endif
