/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The audited events, each as one function. With audit = required a failure is an error and what
 * was to follow may not happen; with best-effort it is logged. They block: call them on a worker.
 */
#ifndef VS_CORE_RECORD_H
#define VS_CORE_RECORD_H

#include "core/core.h"

/* Who asked: of the first waiter; uid and pid as the kernel said. */
struct vs_who {
	uint32_t uid;
	int32_t pid;
};

enum vs_attempt_kind { VS_ATTEMPT_NONE = 0, VS_ATTEMPT_NEED, VS_ATTEMPT_RENEWAL, VS_ATTEMPT_TOOL };

struct vs_attempt_note {
	const struct vs_conf_token *token;
	enum vs_attempt_kind kind;
	struct vs_who who;
	const char *lease; /* hex, or NULL */
	const char *lease_after; /* of a renewal that outlives its lease, hex, or NULL */
	int64_t lease_s; /* granted: length */
	vs_rc rc;
	const struct vs_err *err; /* when rc is one */
	const struct vs_verdict *verdict;
	const struct vs_attestation *attestation; /* when granted */
};

/* This process, for what tools do themselves. */
struct vs_who vs_who_self(void);

/* "start": configuration and its hash, mode, policies and their hashes, weakened settings. */
VS_RC vs_record_start(struct vs_core *core, bool private_agent, struct vs_err *err);
/* "attempt" with result granted, refused or unreachable. */
VS_RC
vs_record_attempt(struct vs_core *core, const struct vs_attempt_note *note, struct vs_err *err);
/* "release" of one key: granted, or with its error. */
VS_RC vs_record_release(struct vs_core *core, const struct vs_conf_token *token, const char *lease,
	struct vs_who who, const struct vs_cat_entry *entry, vs_rc rc,
	const struct vs_err *release_err, const struct vs_release_info *info, struct vs_err *err);
/* "key": a live key is handed to a peer. last: further ones to its user are counted for a while. */
VS_RC vs_record_handover(struct vs_core *core, const struct vs_conf_token *token, const char *lease,
	struct vs_who who, const struct vs_cat_entry *entry, bool last, struct vs_err *err);
/* What one user's processes did with one key since the last time. */
struct vs_use_name {
	char key[160], version[80];
};
struct vs_use_sum {
	char lease[33];
	struct vs_use_name name;
	uint32_t key_no; /* of the lease */
	uint32_t uid;
	int32_t pid; /* 0: several processes */
	uint32_t processes;
	uint64_t uses, handovers; /* that got no record of their own */
	bool went_back; /* a process set its counter back */
};
/* "uses" of each key and user, "key" where hand-overs were only counted: together or not at all. */
VS_RC vs_record_uses(struct vs_core *core, const struct vs_conf_token *token,
	const struct vs_use_sum *sums, size_t n, int64_t since_unix, int64_t until_unix,
	struct vs_err *err);
/* "revocation", "expiry", "stop", "peer-refused": a word, its token (or NULL) and its reason. */
VS_RC vs_record_event(struct vs_core *core, const char *event, const struct vs_conf_token *token,
	const char *lease, struct vs_who who, const struct vs_err *reason, struct vs_err *err);

#endif
