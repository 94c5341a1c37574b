/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Local verification of evidence: everything that a remote service would check, on this machine's
 * evidence or a saved set. Pure: no TPM, no clock, no network. It cannot replace the service (this
 * machine would be judging itself), but it tells before the service does what is wrong, and it
 * checks saved sets by hand.
 */
#ifndef VS_EVIDENCE_VERIFY_H
#define VS_EVIDENCE_VERIFY_H

#include "evidence/collateral.h"
#include "evidence/ima.h"
#include "evidence/quote.h"
#include "evidence/roots.h"
#include "evidence/snp.h"
#include "vouchsafe/provider.h"

/* How the report's 64 bytes of user data follow from the nonce. */
enum vs_user_data_rule {
	VS_USER_DATA_HASH = 0, /* SHA-256 of the nonce, zeros: what our provider writes */
	VS_USER_DATA_RAW, /* the nonce itself, zeros */
	VS_USER_DATA_ANY, /* not asked: the report's freshness is then unknown, and v says so */
};

/* What is asked of the list of measured files. */
enum vs_ima_rule {
	VS_IMA_ANY = 0, /* nothing */
	VS_IMA_LIST, /* it explains the quoted PCR 10 */
	VS_IMA_SIGNED, /* and each file that it covers is signed */
};

struct vs_evidence_expect {
	int64_t at_unix;
	const struct vs_roots *roots;
	struct vs_bytes nonce; /* qualifying data of the quote; empty never matches */
	enum vs_user_data_rule user_data;
	uint32_t pcr_mask; /* exactly these PCRs are quoted */
	bool allow_trusted_launch; /* without a hardware report: AK certificate only */
	bool no_transport_key; /* a saved set without one */
	bool require_event_log;
	bool allow_insecure_boot; /* Secure Boot off is said, not refused */
	const char *vm_id; /* vmUniqueId, any case; NULL: not asked */
	struct vs_snp_expect snp; /* at_unix, roots, helpers are filled in here */
	const struct vs_collateral *collateral; /* NULL: none, so what needs it is not evaluated */
	bool collateral_required; /* what would not be evaluated refuses */
	uint32_t allowed_tcb_status; /* see struct vs_dcap_expect */
	enum vs_ima_rule ima;
	struct vs_ima_keys ima_keys; /* with VS_IMA_SIGNED */
};

/*
 * All checks run, except where nothing is left to look at. *ret is always written.
 * Errors: REFUSED_EVIDENCE with the first failed check; MEMORY, CRYPTO, INTERNAL.
 */
VS_RC vs_evidence_verify(const struct vs_evidence *ev, const struct vs_evidence_expect *expect,
	struct vs_verdict *ret, struct vs_err *err);

/*
 * The virtual TPM's attestation key certificate: for this modulus, for attestation keys, chain to a
 * pinned root. more: intermediates beside those of roots, or NULL. chain_needed: a missing issuer
 * is a failure, not "not evaluated". Adds to v.
 */
VS_RC vs_akcert_check(struct vs_bytes der, struct vs_bytes n, const struct vs_roots *roots,
	const struct vs_ev_certs *more, int64_t at_unix, bool chain_needed, struct vs_verdict *v,
	struct vs_err *err);

/* ---- saved sets ---------------------------------------------------------------------------- */

/*
 * A directory: quote.msg, quote.sig, pcrs.sha256 (lines "index hex"), hcl.bin, vcek.pem (with
 * its chain), td_quote.bin, ak_cert.der, ak.tpm2b, enc.tpm2b, enc_certify.msg,
 * enc_certify.sig, eventlog.bin, ima.bin, ima_quote.msg, ima_quote.sig, nonce.bin. The first three
 * must be there. Errors: CONFIG_FILE, FORMAT, MEMORY.
 */
VS_RC vs_evidence_load(const char *dir, struct vs_evidence *ret, struct vs_err *err);
/* Make the directory, which must not exist, and write the set. Errors: FILE, MEMORY. */
VS_RC vs_evidence_save(const char *dir, const struct vs_evidence *ev, struct vs_err *err);

#endif
