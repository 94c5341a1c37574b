/* SPDX-License-Identifier: BSD-2-Clause */
/* vouchsafe doctor: preconditions, one row each. */
#ifndef TOOLS_DOCTOR_H
#define TOOLS_DOCTOR_H

#include "conf/policy.h"
#include "keys/akv.h"
#include "tools/cli.h"

/* What a row needs to be looked at, and what its success gives to others. */
enum {
	DOC_FILE = 1 << 0,
	DOC_CONF = 1 << 1,
	DOC_ROOTS = 1 << 2,
	DOC_TPM = 1 << 3,
	/* of one token: */
	DOC_POLICY = 1 << 4,
	DOC_CRED = 1 << 5,
	DOC_MAA = 1 << 6,
	DOC_VAULT = 1 << 7,
	DOC_KEYS = 1 << 8,
	DOC_COUNT_ = 9,
};

enum vs_doc_state { VS_DOC_SKIPPED = 0, VS_DOC_GOOD, VS_DOC_WARN, VS_DOC_BAD };

struct vs_doc_result {
	enum vs_doc_state state;
	int exit_code; /* of a bad one */
	char found[1100];
};

struct vs_doc_token {
	const struct vs_conf_token *t;
	unsigned have;
	struct vs_policy *policy;
	struct vs_cred cred;
	struct vs_akv *akv;
	struct vs_catalog_data *catalog;
	int64_t maa_date, maa_asked; /* wall seconds: what the service said, and when */
};

enum { VS_DOC_TOKENS_MAX = 64 };

struct vs_doc {
	const char *path; /* of the configuration */
	struct vs_cli_world w;
	bool tee_demanded; /* by some token's policy */
	unsigned have;
	size_t n_tokens;
	struct vs_doc_token tokens[VS_DOC_TOKENS_MAX];
};

struct vs_doc_row {
	const char *name; /* stable: programs read it */
	bool per_token;
	unsigned needs, gives;
	void (*look)(struct vs_doc *d, struct vs_doc_token *t, struct vs_doc_result *r);
	const char *expected, *remedy;
};
extern const struct vs_doc_row vs_doc_rows[];
extern const size_t vs_n_doc_rows;

__attribute__((format(printf, 2, 3))) void
vs_doc_good(struct vs_doc_result *r, const char *fmt, ...);
__attribute__((format(printf, 2, 3))) void
vs_doc_warn(struct vs_doc_result *r, const char *fmt, ...);
__attribute__((format(printf, 3, 4))) void
vs_doc_bad(struct vs_doc_result *r, int exit_code, const char *fmt, ...);
/* By the error's own category. */
void vs_doc_error(struct vs_doc_result *r, vs_rc rc, const struct vs_err *err);
/* A moment that one row may take. */
int64_t vs_doc_deadline(const struct vs_doc *d);
struct vs_net vs_doc_net(const struct vs_doc *d);

/* ---- doctor_files.c -------------------------------------------------------------------------- */
typedef void vs_doc_look(struct vs_doc *d, struct vs_doc_token *t, struct vs_doc_result *r);
vs_doc_look vs_doc_file_modes, vs_doc_configuration, vs_doc_mode, vs_doc_weakened, vs_doc_roots,
	vs_doc_secret_files, vs_doc_policy, vs_doc_policy_authority, vs_doc_policy_tee,
	vs_doc_policy_claims, vs_doc_state_dir, vs_doc_audit_log, vs_doc_certificate_files;
/* ---- doctor_machine.c ------------------------------------------------------------------------ */
vs_doc_look vs_doc_libraries, vs_doc_memory_lock, vs_doc_tpm_device, vs_doc_tpm, vs_doc_ak,
	vs_doc_report, vs_doc_event_log, vs_doc_agent, vs_doc_users;
/* ---- doctor_services.c ----------------------------------------------------------------------- */
vs_doc_look vs_doc_imds, vs_doc_credential, vs_doc_maa, vs_doc_maa_keys, vs_doc_clock, vs_doc_vault,
	vs_doc_may_list, vs_doc_may_get, vs_doc_may_release, vs_doc_stored_policy,
	vs_doc_mutable_policy, vs_doc_certificates;

#endif
