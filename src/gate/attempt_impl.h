/* SPDX-License-Identifier: BSD-2-Clause */
/* Inside of attempts. Not for other folders. */
#ifndef VS_GATE_ATTEMPT_IMPL_H
#define VS_GATE_ATTEMPT_IMPL_H

#include <pthread.h>

#include "attest/maa.h"
#include "attest/trust.h"
#include "conf/policy.h"
#include "evidence/collateral.h"
#include "evidence/roots.h"
#include "evidence/verify.h"
#include "gate/attempt.h"
#include "keys/akv.h"
#include "net/http.h"

struct vs_certs;
struct vs_ossl;

enum { VS_PROVIDERS_MAX = 9, VS_SAID_MAX = 512 };

/* One attestation provider: the configured one, then the fallbacks. */
struct vs_provider {
	const char *origin;
	struct vs_trust *trust;
};

struct vs_services {
	struct vs_services_env env;
	struct vs_net net;
	struct vs_ossl *ossl;
	struct vs_policy *policy; /* of the first attempt that could read it; NULL: denies */
	pthread_mutex_t policy_lock;
	struct vs_certs *release_anchors;
	struct vs_roots roots; /* of hardware; empty unless some evidence is checked here */
	struct vs_ev_certs ima_keys; /* whose signatures of files count */
	_Atomic int64_t collateral_after_ns; /* nothing is fetched before: the last try failed */
	struct vs_cred cred;
	struct vs_akv *akv;
	size_t n_providers;
	struct vs_provider providers[VS_PROVIDERS_MAX];
	struct vs_maa_os os;
	char tpm_lock[1024];
	pthread_mutex_t said_lock;
	size_t n_said;
	uint64_t said[VS_SAID_MAX]; /* hashes of warnings that were given */
};

/* An accepted attestation, and what only attempts need of it. */
struct vs_attested {
	struct vs_attestation pub; /* first: pointers to it are pointers to this */
	size_t wrap_bytes; /* modulus of the transport key */
};

/* A source of evidence on this machine. Errors: those of vs_azguest_open. */
VS_RC
vs_attempt_open_source(struct vs_services *s, struct vs_evidence_src *ret, struct vs_err *err);
/* The same source behind a lock, for releases side by side; takes src over, also on failure. */
VS_RC vs_attempt_lock_source(
	struct vs_evidence_src *src, struct vs_evidence_src *ret, struct vs_err *err);

/* Reads s->policy, if it is not there. Errors: those of vs_file_read and vs_policy_parse. */
VS_RC vs_attempt_policy(struct vs_services *s, struct vs_err *err);
/* Reads s->roots where a setting needs them. Errors: CONFIG_MODE, CONFIG_FILE, FORMAT, MEMORY. */
VS_RC vs_attempt_roots(struct vs_services *s, struct vs_err *err);
/* What vendors published, for one attempt. Owned; empty with vs_attempt_collateral_done. */
struct vs_own_collateral {
	struct vs_collateral c;
	struct vs_buf fresh[VS_COLL_COUNT_]; /* fetched just now, not yet seen to be good */
};
/*
 * Setting collateral's folder; what it lacks comes from the cache in state-dir or, where amd-kds or
 * intel-pccs are set, from there, as far as this evidence needs it. What cannot be fetched is left
 * out, with a line in the log: the checks say what that means.
 * Errors: CONFIG_FILE, FORMAT (of the folder), LIMIT, MEMORY.
 */
VS_RC vs_attempt_collateral(struct vs_services *s, const struct vs_evidence *ev,
	int64_t deadline_boot_ns, struct vs_own_collateral *ret, struct vs_err *err);
/* Evidence was accepted with it: what was fetched goes into the cache. */
void vs_attempt_collateral_keep(struct vs_services *s, struct vs_own_collateral *own);
void vs_attempt_collateral_done(struct vs_own_collateral *own);

/*
 * Settings local-evidence and service-evidence: each check that is made joins v, as advisory with
 * warn. Errors: REFUSED_EVIDENCE with require; MEMORY, CRYPTO, INTERNAL.
 */
VS_RC vs_attempt_local_evidence(struct vs_services *s, const struct vs_evidence *ev,
	const struct vs_collateral *collateral, struct vs_verdict *v, struct vs_err *err);
VS_RC vs_attempt_service_evidence(struct vs_services *s, struct vs_bytes token,
	const struct vs_jwks *jwks, const struct vs_collateral *collateral, struct vs_verdict *v,
	struct vs_err *err);

#endif
