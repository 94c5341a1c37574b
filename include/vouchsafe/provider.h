/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What can be swapped: HTTP, evidence providers, credentials. All providers are always compiled;
 * choosing is a setting. Every function gets the provider's own void *self.
 */
#ifndef VOUCHSAFE_PROVIDER_H
#define VOUCHSAFE_PROVIDER_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/secret.h"
#include "vouchsafe/err.h"

/* ---- HTTP ------------------------------------------------------------------------------- */

enum vs_http_method { VS_HTTP_GET = 1, VS_HTTP_POST };

struct vs_http_req {
	enum vs_http_method method;
	const char *url; /* absolute; https, or http for IMDS and Arc only (allow_plain) */
	const char *const *headers; /* "Name: value", NULL-terminated, or NULL; no CR, LF */
	const struct vs_secret *bearer; /* Authorization: Bearer <these bytes>; NULL for none */
	struct vs_bytes body; /* POST only */
	bool allow_plain; /* literal link-local or loopback http allowed (IMDS) */
	bool no_proxy; /* never through a proxy (IMDS) */
	size_t max_body; /* refuse longer answers; 0 means 1 MiB */
	int64_t deadline_boot_ns; /* whole request */
};

struct vs_http_res {
	long status;
	struct vs_buf body;
	char content_type[128]; /* as sent, lower-cased, without parameters */
	char request_id[80]; /* x-ms-request-id, or empty */
	char www_authenticate[512]; /* or empty */
	struct vs_buf issuer_chain; /* of Intel's statements, percent-encoded PEM; or empty */
	int64_t date_unix; /* what the service takes the time to be; 0 when it does not say */
	int64_t retry_after_s; /* parsed, capped at 60; -1 when absent or garbage */
};
void vs_http_res_done(struct vs_http_res *res);

struct vs_http_ops {
	const char *name;
	unsigned version;
	/*
	 * Perform exactly one request: no redirects, no retries. Any complete answer is success,
	 * whatever its status. Errors: CONNECT, TIMEOUT, TLS, ANSWER (too long, encoded, broken),
	 * USAGE (url or header not allowed). Thread-safe; several threads may call at once.
	 */
	VS_RC(*perform)
	(void *self, const struct vs_http_req *req, struct vs_http_res *ret, struct vs_err *err);
};

struct vs_http {
	const struct vs_http_ops *ops;
	void *self;
};

/* ---- evidence --------------------------------------------------------------------------- */

enum vs_evidence_kind {
	VS_EVIDENCE_NONE = 0,
	VS_EVIDENCE_AUTO,
	VS_EVIDENCE_AZURE_GUEST,
	VS_EVIDENCE_SNP,
	VS_EVIDENCE_TDX,
	VS_EVIDENCE_SGX,
	VS_EVIDENCE_TPM,
	VS_EVIDENCE_COUNT_,
};

enum vs_tee { VS_TEE_NONE = 0, VS_TEE_SNP, VS_TEE_TDX, VS_TEE_TRUSTED_LAUNCH, VS_TEE_COUNT_ };

enum { VS_PCRS_MAX = 24, VS_NONCE_BYTES = 32 };

/*
 * What a machine claims, as blobs; TPM structures exactly as the TPM gave them (big endian,
 * no TPM2B size in front unless the name says so). Owned; empty with vs_evidence_done().
 */
struct vs_evidence {
	enum vs_evidence_kind kind;
	enum vs_tee tee;
	uint8_t nonce[VS_NONCE_BYTES];
	struct vs_buf ak_cert; /* DER without the index's zero padding */
	struct vs_buf ak_public_2b; /* TPM2B_PUBLIC of the AK */
	struct vs_buf quote; /* TPMS_ATTEST */
	struct vs_buf quote_sig; /* raw RSA signature, 256 bytes */
	uint32_t pcr_mask; /* bit i: PCR i is quoted, SHA-256 bank */
	uint8_t pcr[VS_PCRS_MAX][32]; /* valid where the mask says so */
	struct vs_buf enc_public_2b; /* TPM2B_PUBLIC of the transport key */
	struct vs_buf enc_certify; /* TPMS_ATTEST of TPM2_Certify(transport key, AK) */
	struct vs_buf enc_certify_sig;
	struct vs_buf enc_n; /* transport key's modulus, big endian, 256 bytes */
	uint32_t enc_e; /* 65537 */
	struct vs_buf event_log; /* TCG log, raw; may be empty */
	struct vs_buf ima_list; /* the kernel's list of measured files, where it was asked for */
	struct vs_buf ima_quote; /* TPMS_ATTEST over PCR 10 alone, which grows all the time */
	struct vs_buf ima_quote_sig;
	struct vs_buf hcl; /* whole NV 0x01400001; empty on Trusted Launch */
	struct vs_buf hw_report; /* SNP report 1184 bytes, or TDREPORT 1024 */
	struct vs_buf runtime_json; /* exact bytes hashed into report_data */
	uint32_t reset_count, restart_count; /* of the TPM, from the quote */
	/* Fetched beside the TPM work, by whoever talks HTTP: */
	struct vs_buf vcek_chain_pem; /* vcekCert then certificateChain (SNP) */
	struct vs_buf td_quote; /* (TDX) */
};
void vs_evidence_done(struct vs_evidence *ev);

enum vs_unwrap {
	VS_UNWRAP_RSAES = 1,
	VS_UNWRAP_OAEP_SHA1,
	VS_UNWRAP_OAEP_SHA256,
	VS_UNWRAP_OAEP_SHA384
};

struct vs_evidence_ops {
	const char *name;
	unsigned version;
	/*
	 * Make a fresh transport key in the NULL hierarchy bound to the current PCRs, certify it,
	 * quote, read the hardware report (its user data is the SHA-256 of nonce) and the log.
	 * The key stays loaded until close. One collect per open.
	 * Errors: TPM, TPM_ABSENT, EVIDENCE, EVIDENCE_STALE.
	 */
	VS_RC(*collect)
	(void *self, const uint8_t nonce[VS_NONCE_BYTES], int64_t deadline_boot_ns,
		struct vs_evidence *ret, struct vs_err *err);
	/*
	 * Decrypt inside the TPM with the transport key, under its PCR policy. A PCR that changed
	 * since collect makes this fail with REFUSED_BINDING (err says so); wrong ciphertext: DATA.
	 */
	VS_RC(*unwrap)
	(void *self, enum vs_unwrap scheme, struct vs_bytes ciphertext, struct vs_arena *arena,
		struct vs_secret *ret, struct vs_err *err);
	/* Current reset and restart counts: a change ends all leases (T-A9). */
	VS_RC (*counts)(void *self, uint32_t *ret_reset, uint32_t *ret_restart, struct vs_err *err);
	/* Flush the transport key and everything else; frees self. NULL-safe. */
	void (*close)(void *self);
};

struct vs_evidence_src {
	const struct vs_evidence_ops *ops;
	void *self;
};

/* ---- attestation and verdict ------------------------------------------------------------- */

enum { VS_VERDICT_CHECKS_MAX = 128 };

/* One check that was made. Texts are for people: cut, stripped, no token contents beyond claims. */
struct vs_check {
	const char *rule; /* "A11", "T-A2", "policy" ...: string constant */
	const char *name; /* "token expiry": string constant */
	char expected[160];
	char seen[160];
	bool passed;
	bool advisory; /* may fail without refusing: its setting says warn */
};

struct vs_verdict {
	size_t n_checks;
	struct vs_check checks[VS_VERDICT_CHECKS_MAX];
	bool passed; /* true only if at least one check ran and all that are not advisory passed */
};

/* ---- access tokens ----------------------------------------------------------------------- */

struct vs_cred_ops {
	const char *name;
	unsigned version;
	/*
	 * An access token for a resource ("https://vault.azure.net"), cached until shortly before
	 * its expiry. force_fresh drops the cached one (after a 401). Thread-safe, single flight.
	 * Errors: CREDENTIAL, CONNECT, TIMEOUT, TLS, THROTTLED, UNAVAILABLE.
	 */
	VS_RC(*get)
	(void *self, const char *resource, bool force_fresh, int64_t deadline_boot_ns,
		struct vs_secret *ret, struct vs_err *err);
	void (*free)(void *self);
};

struct vs_cred {
	const struct vs_cred_ops *ops;
	void *self;
};

#endif
