/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All settings, parsed strictly from vouchsafe.conf into one immutable object. One table (name,
 * type, range, default, help) makes the parser, `vouchsafe conf defaults`, the sample file and the
 * manual page.
 */
#ifndef VS_CONF_CONF_H
#define VS_CONF_CONF_H

#include "base/buf.h"
#include "vouchsafe/provider.h"

enum vs_vault_kind { VS_VAULT_NONE = 0, VS_VAULT_AKV, VS_VAULT_MHSM };
enum vs_credential {
	VS_CRED_NONE = 0,
	VS_CRED_MANAGED_IDENTITY,
	VS_CRED_WORKLOAD_IDENTITY,
	VS_CRED_CLIENT_SECRET_FILE,
	VS_CRED_CLIENT_CERTIFICATE,
	VS_CRED_AZURE_ARC,
};
enum vs_switch3 { VS_OFF = 0, VS_WARN, VS_REQUIRE_ON };
enum vs_wrap_alg { VS_WRAP_NONE = 0, VS_WRAP_CKM, VS_WRAP_256, VS_WRAP_384 };

struct vs_conf_allow {
	bool group; /* group:name, else user:name */
	uint32_t id; /* resolved uid or gid */
	char *name;
};

/* Of Intel's statements; the numbers are those of enum vs_tcb_status. */
enum vs_conf_tcb {
	VS_CONF_TCB_UP_TO_DATE = 1,
	VS_CONF_TCB_SW_HARDENING,
	VS_CONF_TCB_CONFIGURATION,
	VS_CONF_TCB_CONFIGURATION_AND_SW_HARDENING,
	VS_CONF_TCB_OUT_OF_DATE,
	VS_CONF_TCB_OUT_OF_DATE_CONFIGURATION,
};
enum vs_conf_ima { VS_CONF_IMA_OFF = 0, VS_CONF_IMA_LIST, VS_CONF_IMA_SIGNED };

struct vs_conf_cert {
	char *key; /* key name */
	char *path;
};

struct vs_conf_token {
	unsigned line; /* where its section starts */
	char *label;
	char serial[17]; /* same value as the module's profile computes */
	char *vault; /* https origin without trailing slash */
	enum vs_vault_kind vault_kind;
	char *vault_resource; /* audience of its access tokens, from configuration only */
	char **keys; /* NULL-terminated patterns: name, name/version, glob */
	char *attestation; /* issuer, https origin without trailing slash */
	char **attestation_fallback; /* NULL-terminated, may be empty */
	enum vs_evidence_kind evidence;
	uint32_t pcr_mask; /* quoted PCRs; default 0-7 */
	char *policy; /* path; NULL: none, which denies */
	enum vs_credential credential;
	char *authority, *tenant_id, *client_id, *object_id, *resource_id;
	char *client_secret_file, *client_certificate_file, *federated_token_file;
	int64_t max_lease_s;
	enum vs_wrap_alg wrap; /* enc of the release */
	int login; /* enum vs_login of client/profile.h */
	char *pin_file;
	bool visible_attested;
	bool raw_rsa;
	enum vs_switch3 service_evidence, local_evidence;
	char **service_measurements; /* NULL-terminated lower-case hex, 64 or 96 digits; or NULL */
	uint32_t service_min_svn;
	bool collateral_required;
	uint32_t allowed_tcb; /* bit 1 << enum vs_conf_tcb */
	enum vs_conf_ima ima;
	size_t n_allow;
	struct vs_conf_allow *allow;
	size_t n_certs;
	struct vs_conf_cert *certs;
};

struct vs_conf {
	char *path;
	uint8_t sha256[32]; /* of the file's bytes */
	bool lab; /* mode = lab */
	char *agent_socket, *agent_program;
	char *metrics_file, *refusal_hook; /* NULL: none */
	char *audit_log; /* NULL: none */
	bool audit_required;
	bool audit_checkpoint; /* in the TPM, now and then */
	char *state_dir; /* cache and checkpoints */
	int log_level;
	char *ca_bundle; /* TLS roots */
	char *release_roots; /* roots for release JWS chains; NULL: ca_bundle */
	char *proxy;
	char *tcti; /* device:..., swtpm:..., mssim:... */
	char *imds; /* http origin */
	char *event_log; /* path of the TCG log */
	char *evidence_roots; /* folder; lab only; NULL: the vendors' */
	char *collateral; /* folder; NULL: none */
	char *amd_kds, *intel_pccs; /* https origins; NULL: nothing is fetched */
	char *ima_log, *ima_keys; /* ima_keys: NULL: none */
	bool memory_lock_required;
	int64_t connect_timeout_ms, request_timeout_ms, operation_timeout_ms;
	int64_t refusal_hold_ms;
	int64_t clock_skew_s; /* A11 allowance, at most 60 */
	size_t n_tokens;
	struct vs_conf_token *tokens;
};

/*
 * Load and check. err names file:line, the allowed values and the nearest known name.
 * Errors: CONFIG_FILE, CONFIG_SYNTAX, CONFIG_NAME, CONFIG_VALUE, CONFIG_MISSING, CONFIG_MODE,
 * MEMORY.
 */
VS_RC vs_conf_load(const char *path, struct vs_conf **ret, struct vs_err *err);
/* The same from memory (tests, `conf check -`); path is for messages. */
VS_RC
vs_conf_parse(const char *path, struct vs_bytes text, struct vs_conf **ret, struct vs_err *err);
void vs_conf_free(struct vs_conf *conf);
/* NULL when there is no such token. */
const struct vs_conf_token *vs_conf_token_find(const struct vs_conf *conf, const char *label);

enum { VS_CONF_WEAKENED_MAX = 6144 };
/*
 * The settings that protect less than the defaults do, in words with "; " between; empty when there
 * is none. Cut to fit. Returns out.
 */
char *vs_conf_weakened(const struct vs_conf *conf, char *out, size_t out_size);
/* VOUCHSAFE_CONF by secure_getenv, else the compiled-in path. */
const char *vs_conf_default_path(void);

#endif
