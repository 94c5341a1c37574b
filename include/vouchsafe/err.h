/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one result type of everything below module/, in both processes.
 *
 * A function that can fail returns VS_RC and takes a caller-owned struct vs_err * (which may be
 * NULL) as its last parameter. Outputs are written on success only. Deny is the default: VS_OK
 * is the only value that means success.
 */
#ifndef VOUCHSAFE_ERR_H
#define VOUCHSAFE_ERR_H

#include <stdbool.h>
#include <stddef.h>

/* A category decides retry, CK_RV, exit code and audit outcome, always through a table. */
enum vs_cat {
	VS_CAT_NONE = 0,
	VS_CAT_USAGE, /* the caller asked for something it may not or cannot have */
	VS_CAT_CONFIG, /* a settings or policy file cannot be used */
	VS_CAT_RESOURCE, /* memory, limits */
	VS_CAT_IO, /* files, sockets, devices of this machine */
	VS_CAT_REMOTE, /* a service could not be reached or had no time for us */
	VS_CAT_PROTOCOL, /* an answer came, but it is not one we can use */
	VS_CAT_CRYPTO, /* local cryptography says no (bad ciphertext, bad tag) */
	VS_CAT_EVIDENCE, /* this machine's evidence cannot be had */
	VS_CAT_POLICY, /* a check said no: this is a refusal */
	VS_CAT_STATE, /* not in this state, not any more */
	VS_CAT_GONE, /* revoked, disabled, deleted for good */
	VS_CAT_INTERNAL, /* a bug */
	VS_CAT_COUNT_,
};

/*
 * name, category, stable number (never reused; it is C_GetSessionInfo.ulDeviceError), sentence.
 */
#define VS_ERR_LIST(X) \
	X(USAGE, USAGE, 100, "the request is not usable") \
	X(NOT_FOUND, USAGE, 101, "there is no such thing") \
	X(WRITE_PROTECTED, USAGE, 102, "the token cannot be changed") \
	X(PIN, USAGE, 103, "the PIN is wrong") \
	X(CONFIG_FILE, CONFIG, 200, "a configuration file cannot be used") \
	X(CONFIG_SYNTAX, CONFIG, 201, "a configuration file has a syntax error") \
	X(CONFIG_NAME, CONFIG, 202, "a setting is not known") \
	X(CONFIG_VALUE, CONFIG, 203, "a setting has a value that is not allowed") \
	X(CONFIG_MISSING, CONFIG, 204, "a setting is missing") \
	X(CONFIG_MODE, CONFIG, 205, "lab and production are mixed") \
	X(POLICY_FILE, CONFIG, 206, "the policy document is missing or not valid") \
	X(MEMORY, RESOURCE, 300, "out of memory") \
	X(LIMIT, RESOURCE, 301, "a limit was reached") \
	X(LOCK_MEMORY, RESOURCE, 302, "memory for secrets cannot be locked") \
	X(FILE, IO, 400, "a file cannot be read or written") \
	X(SOCKET, IO, 401, "a local connection failed") \
	X(AGENT, IO, 402, "the agent cannot be reached or started") \
	X(AUDIT, IO, 403, "the audit log cannot be written") \
	X(CONNECT, REMOTE, 500, "a service cannot be reached") \
	X(TIMEOUT, REMOTE, 501, "a service did not answer in time") \
	X(TLS, REMOTE, 502, "a service's TLS identity was not accepted") \
	X(THROTTLED, REMOTE, 503, "a service asks to come back later") \
	X(UNAVAILABLE, REMOTE, 504, "a service reports an error of its own") \
	X(CREDENTIAL, REMOTE, 505, "no access token could be had") \
	X(ANSWER, PROTOCOL, 600, "an answer is not usable") \
	X(WIRE, PROTOCOL, 601, "a local message is not usable") \
	X(FORMAT, PROTOCOL, 602, "data has a form that is not allowed") \
	X(CRYPTO, CRYPTO, 700, "a cryptographic operation failed") \
	X(DATA, CRYPTO, 701, "the data does not decrypt or verify") \
	X(BAD_KEY, CRYPTO, 702, "key material is malformed or weak") \
	X(DATA_LEN, CRYPTO, 703, "the data has a length that is not possible here") \
	X(SIGNATURE, CRYPTO, 704, "the signature does not verify") \
	X(SIGNATURE_LEN, CRYPTO, 705, "the signature has the wrong length") \
	X(PARAM, CRYPTO, 706, "a parameter of the operation is not allowed") \
	X(KEY_KIND, CRYPTO, 707, "the key is not of the kind that the operation needs") \
	X(KEY_SIZE, CRYPTO, 708, "the key has a size that is not allowed") \
	X(ROOM, CRYPTO, 709, "the output buffer is too small") \
	X(TPM, EVIDENCE, 800, "the TPM gave an error") \
	X(TPM_ABSENT, EVIDENCE, 801, "no usable TPM was found") \
	X(EVIDENCE, EVIDENCE, 802, "evidence of this machine cannot be had") \
	X(EVIDENCE_STALE, EVIDENCE, 803, "the evidence is not fresh") \
	X(REFUSED_FORM, POLICY, 900, "the token's form was refused") \
	X(REFUSED_SIGNATURE, POLICY, 901, "a signature or its key was refused") \
	X(REFUSED_CLAIMS, POLICY, 902, "the token's issuer, times, kind or nonce was refused") \
	X(REFUSED_FLOOR, POLICY, 903, "the platform is in a state that is never accepted") \
	X(REFUSED_POLICY, POLICY, 904, "the local policy was not met") \
	X(REFUSED_BINDING, POLICY, 905, "the token does not belong to this exchange") \
	X(REFUSED_EVIDENCE, POLICY, 906, "evidence was refused by local verification") \
	X(REFUSED_ATTESTATION, POLICY, 907, "the attestation service refused the evidence") \
	X(REFUSED_RELEASE, POLICY, 908, "the vault refused to release the key") \
	X(REFUSED_ANSWER, POLICY, 909, "the release answer was refused") \
	X(REFUSED_KEY, POLICY, 910, "the released key is not the key that is shown") \
	X(REFUSED_PEER, POLICY, 911, "this user may not use this token") \
	X(REFUSED_ACCESS, POLICY, 912, "the vault does not let this identity in") \
	X(STATE, STATE, 1000, "not possible in this state") \
	X(LEASE_ENDED, STATE, 1001, "the lease has ended") \
	X(REVOKED, GONE, 1100, "the grant was revoked") \
	X(KEY_GONE, GONE, 1101, "the key is disabled or deleted") \
	X(INTERNAL, INTERNAL, 1200, "an internal check failed; this is a bug")

enum vs_code {
	VS_E_OK = 0,
#define VS_ERR_ENUM_(name, cat, number, text) VS_E_##name = number,
	VS_ERR_LIST(VS_ERR_ENUM_)
#undef VS_ERR_ENUM_
};

/* A struct of one member, so that it cannot be compared with 0 or mixed with a length. */
typedef struct {
	enum vs_code code;
} vs_rc;

#define VS_RC __attribute__((warn_unused_result)) vs_rc
#define VS_OK ((vs_rc){.code = VS_E_OK})

enum { VS_ERR_FRAMES = 4, VS_ERR_TEXT_MAX = 320 };

struct vs_err_frame {
	enum vs_code code;
	int line;
	const char *func; /* string constant, NULL when it came over a socket */
	long foreign; /* errno, TPM2_RC, HTTP status, CURLcode; 0 is none */
	char text[VS_ERR_TEXT_MAX]; /* a sentence for people; never a secret */
};

/* First frame is the cause, each further one says what we were doing. Zero-initialise it. */
struct vs_err {
	unsigned n_frames;
	struct vs_err_frame frames[VS_ERR_FRAMES];
};

static inline bool
vs_failed(vs_rc rc)
{
	return rc.code != VS_E_OK;
}

/*
 * Start an error: clears err, records the cause, returns its code. Text from outside must go
 * through vs_err_quote() or be printed with %.*s; control characters are replaced here anyway.
 */
__attribute__((format(printf, 6, 7))) vs_rc vs_err_put(struct vs_err *err, enum vs_code code,
	const char *func, int line, long foreign, const char *fmt, ...);

/* Add "while ..." to an error that is passed on; returns rc unchanged. rc must be an error. */
__attribute__((format(printf, 3, 4))) vs_rc
vs_err_while(vs_rc rc, struct vs_err *err, const char *fmt, ...);

/* Name ("REFUSED_POLICY"), sentence, category of a code. Unknown numbers give INTERNAL's. */
const char *vs_code_name(enum vs_code code);
const char *vs_code_text(enum vs_code code);
enum vs_cat vs_code_cat(enum vs_code code);
const char *vs_cat_name(enum vs_cat cat);
/* The code with this number, VS_E_INTERNAL if there is none (for numbers off the wire). */
enum vs_code vs_code_from_number(unsigned long number);

/* The whole error as one sentence: cause, then " (while a; while b)". Always terminated. */
void vs_err_sentence(const struct vs_err *err, char *out, size_t out_size);

#define VS_FAIL(err, CODE, ...) \
	return vs_err_put((err), VS_E_##CODE, __func__, __LINE__, 0, __VA_ARGS__)
/* The same with a foreign number (errno, TPM2_RC, HTTP status ...). */
#define VS_FAIL_N(err, CODE, foreign, ...) \
	return vs_err_put((err), VS_E_##CODE, __func__, __LINE__, (long)(foreign), __VA_ARGS__)
#define VS_TRY(expr) \
	do { \
		const vs_rc vs_try_rc_ = (expr); \
		if (vs_failed(vs_try_rc_)) \
			return vs_try_rc_; \
	} while (0)
/* What must hold unless we have a bug; never used for anything an outsider can cause. */
#define VS_REQUIRE(err, cond) \
	do { \
		if (!(cond)) \
			return vs_err_put((err), VS_E_INTERNAL, __func__, __LINE__, 0, \
				"internal check failed: %s", #cond); \
	} while (0)

/* Scoped cleanup: VS_CLEANUP(vs_buf_done) struct vs_buf b = {0}; the function gets &b. */
#define VS_CLEANUP(fn) __attribute__((cleanup(fn)))
/* Hand an owned pointer out of its scope. */
#define VS_TAKE(p) \
	({ \
		__typeof__(p) vs_take_ = (p); \
		(p) = NULL; \
		vs_take_; \
	})

#endif
