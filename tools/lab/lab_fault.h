/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Misbehaviour on demand: what networks, proxies and broken services do to a client, one by one,
 * always in the same way. A fault stands until it was applied N times or `fault clear`.
 */
#ifndef LAB_LAB_FAULT_H
#define LAB_LAB_FAULT_H

#include <stdint.h>

#include "base/buf.h"
#include "lab/lab_http.h"
#include "vouchsafe/err.h"

/* When a fault acts. */
enum lab_fault_stage {
	LAB_FAULT_LISTEN, /* there is no listener */
	LAB_FAULT_ACCEPT, /* instead of reading anything */
	LAB_FAULT_TLS, /* another certificate or protocol version */
	LAB_FAULT_ANSWER, /* the request was read; the answer is changed or spoilt */
	LAB_FAULT_LIE, /* the service itself makes a false answer; status is the enum lab_lie */
};

enum lab_fault_kind {
	LAB_FAULT_NONE = 0,
	/* listen, accept */
	LAB_FAULT_REFUSED,
	LAB_FAULT_RESET,
	LAB_FAULT_SILENT,
	LAB_FAULT_NOT_TLS,
	LAB_FAULT_TLS_ALERT,
	/* tls */
	LAB_FAULT_TLS_SELF_SIGNED,
	LAB_FAULT_TLS_UNKNOWN_CA,
	LAB_FAULT_TLS_EXPIRED,
	LAB_FAULT_TLS_FUTURE,
	LAB_FAULT_TLS_WRONG_NAME,
	LAB_FAULT_TLS_WILDCARD,
	LAB_FAULT_TLS_INCOMPLETE,
	LAB_FAULT_TLS_OLD,
	/* answer: bytes */
	LAB_FAULT_RESET_ANSWER,
	LAB_FAULT_CLOSE,
	LAB_FAULT_STALL,
	LAB_FAULT_DRIP,
	LAB_FAULT_SLOW,
	LAB_FAULT_CUT,
	LAB_FAULT_LENGTH_LONG,
	LAB_FAULT_LENGTH_SHORT,
	LAB_FAULT_LENGTH_TWICE,
	LAB_FAULT_CHUNK_CUT,
	LAB_FAULT_GARBAGE,
	LAB_FAULT_HEADERS,
	/* answer: content */
	LAB_FAULT_EMPTY,
	LAB_FAULT_HTML,
	LAB_FAULT_TYPE,
	LAB_FAULT_ENCODED,
	LAB_FAULT_NOT_JSON,
	LAB_FAULT_TRUNCATED,
	LAB_FAULT_TRAILING,
	LAB_FAULT_OVERSIZED,
	LAB_FAULT_REDIRECT,
	LAB_FAULT_STATUS,
	LAB_FAULT_FORBIDDEN,
	LAB_FAULT_IDENTITY,
	LAB_FAULT_LIES,
	LAB_FAULT_COUNT_,
};

struct lab_fault_row {
	const char *name;
	enum lab_fault_kind kind;
	enum lab_fault_stage stage;
	int status; /* REDIRECT, STATUS */
	bool wants_value; /* cut: bytes; redirect: target; status: Retry-After */
	const char *help;
	const char *inner; /* FORBIDDEN: innererror.code */
};

/* The table, ends with name NULL. */
const struct lab_fault_row *lab_fault_rows(void);

enum { LAB_FAULT_VALUE_MAX = 256 };

/* One fault that applies now; a copy. */
struct lab_fault {
	enum lab_fault_kind kind; /* NONE: behave */
	int status;
	const char *inner;
	char value[LAB_FAULT_VALUE_MAX];
};

struct lab_faults;

VS_RC lab_faults_new(struct lab_faults **ret, struct vs_err *err);
void lab_faults_free(struct lab_faults *f);
/*
 * Switch a fault of a service on. count 0: until cleared. value: the kind's argument or NULL; path:
 * only requests whose path contains this text, or NULL. Error: USAGE with a sentence.
 */
VS_RC lab_fault_set(struct lab_faults *f, int service, const char *name, unsigned count,
	const char *value, const char *path, struct vs_err *err);
void lab_fault_clear(struct lab_faults *f);
/* What applies at this stage; counts down. path is NULL before a request is known. */
struct lab_fault
lab_fault_take(struct lab_faults *f, int service, enum lab_fault_stage stage, const char *path);
/* Whether this fault acts before a request is read, so that warm connections would hide it. */
bool lab_fault_is_early(const char *name);
/* Whether a service shall not listen, without counting. */
bool lab_fault_refuses(struct lab_faults *f, int service);
/* One line per fault that stands, for `status`. */
VS_RC lab_fault_list(struct lab_faults *f, struct vs_buf *out, struct vs_err *err);

/* Change the content of an answer; byte-level kinds are left to the server. */
void lab_fault_content(const struct lab_fault *fault, struct lab_resp *resp);

#endif
