/* SPDX-License-Identifier: BSD-2-Clause */
#include "conf/table.h"

#include <stdio.h>
#include <string.h>

#include "conf/conf.h"
#include "vouchsafe/ports.h"

#define G(field) \
	.scope = VS_SET_GLOBAL, .offset = offsetof(struct vs_conf, field), \
	.size = sizeof(((struct vs_conf *)NULL)->field)
#define T(field) \
	.scope = VS_SET_TOKEN, .offset = offsetof(struct vs_conf_token, field), \
	.size = sizeof(((struct vs_conf_token *)NULL)->field)
#define ROW(name_, type_, where, dflt_, help_) \
	{ \
		.name = name_, .type = VS_SET_##type_, where, .dflt = dflt_, .help = help_ \
	}

static const struct vs_set_value modes[] = {{"production", false}, {"lab", true}, {NULL, 0}};
static const struct vs_set_value audit_modes[] = {
	{"required", true}, {"best-effort", false}, {NULL, 0}};
static const struct vs_set_value checkpoints[] = {{"tpm", true}, {"off", false}, {NULL, 0}};
static const struct vs_set_value log_levels[] = {{"error", VS_LOG_ERROR}, {"warn", VS_LOG_WARN},
	{"info", VS_LOG_INFO}, {"debug", VS_LOG_DEBUG}, {NULL, 0}};
static const struct vs_set_value lock_modes[] = {{"warn", false}, {"required", true}, {NULL, 0}};
static const struct vs_set_value vault_kinds[] = {
	{"key-vault", VS_VAULT_AKV}, {"managed-hsm", VS_VAULT_MHSM}, {NULL, 0}};
static const struct vs_set_value evidence_kinds[] = {
	{"auto", VS_EVIDENCE_AUTO}, {"azure-guest", VS_EVIDENCE_AZURE_GUEST}, {NULL, 0}};
static const struct vs_set_value credentials[] = {{"managed-identity", VS_CRED_MANAGED_IDENTITY},
	{"workload-identity", VS_CRED_WORKLOAD_IDENTITY},
	{"client-secret-file", VS_CRED_CLIENT_SECRET_FILE},
	{"client-certificate", VS_CRED_CLIENT_CERTIFICATE}, {"azure-arc", VS_CRED_AZURE_ARC},
	{NULL, 0}};
static const struct vs_set_value wraps[] = {{"RSA_AES_KEY_WRAP_256", VS_WRAP_256},
	{"RSA_AES_KEY_WRAP_384", VS_WRAP_384}, {"CKM_RSA_AES_KEY_WRAP", VS_WRAP_CKM}, {NULL, 0}};
static const struct vs_set_value logins[] = {{"none", 0}, {"attest", 1}, {"pin", 2}, {NULL, 0}};
static const struct vs_set_value visibles[] = {{"always", false}, {"attested", true}, {NULL, 0}};
static const struct vs_set_value switches3[] = {
	{"off", VS_OFF}, {"warn", VS_WARN}, {"require", VS_REQUIRE_ON}, {NULL, 0}};

static const struct vs_set_value collaterals[] = {
	{"available", false}, {"require", true}, {NULL, 0}};
static const struct vs_set_value tcbs[] = {{"UpToDate", VS_CONF_TCB_UP_TO_DATE},
	{"SWHardeningNeeded", VS_CONF_TCB_SW_HARDENING},
	{"ConfigurationNeeded", VS_CONF_TCB_CONFIGURATION},
	{"ConfigurationAndSWHardeningNeeded", VS_CONF_TCB_CONFIGURATION_AND_SW_HARDENING},
	{"OutOfDate", VS_CONF_TCB_OUT_OF_DATE},
	{"OutOfDateConfigurationNeeded", VS_CONF_TCB_OUT_OF_DATE_CONFIGURATION}, {NULL, 0}};
static const struct vs_set_value imas[] = {{"off", VS_CONF_IMA_OFF}, {"list", VS_CONF_IMA_LIST},
	{"signed", VS_CONF_IMA_SIGNED}, {NULL, 0}};

#define ENUM(name_, where, dflt_, allowed_, help_) \
	{ \
		.name = name_, .type = VS_SET_ENUM, where, .dflt = dflt_, .allowed = allowed_, \
		.help = help_ \
	}
#define TIME(name_, type_, where, dflt_, min_, max_, help_) \
	{ \
		.name = name_, .type = VS_SET_DURATION_##type_, where, .dflt = dflt_, .min = min_, \
		.max = max_, .help = help_ \
	}

#define FLAGS(name_, where, dflt_, allowed_, help_) \
	{ \
		.name = name_, .type = VS_SET_FLAGS, where, .dflt = dflt_, .allowed = allowed_, \
		.help = help_ \
	}
#define NUMBER(name_, where, dflt_, max_, help_) \
	{ \
		.name = name_, .type = VS_SET_NUMBER, where, .dflt = dflt_, .max = max_, \
		.help = help_ \
	}

const struct vs_setting vs_settings[] = {
	ENUM("mode", G(lab), "production", modes,
		"Whether this file talks to the real services or to the lab; the two are never "
		"mixed."),
	ROW("agent-socket", PATH, G(agent_socket), VS_RUNSTATEDIR "/vouchsafe/agent.sock",
		"Where the machine's agent listens."),
	ROW("agent-program", PATH, G(agent_program), VS_LIBEXECDIR "/vouchsafe-agent",
		"The agent that is started where none listens."),
	ROW("audit-log", PATH, G(audit_log), VS_LOCALSTATEDIR "/log/vouchsafe/audit.log",
		"The hash-chained record of every attestation, grant, refusal and release."),
	ENUM("audit", G(audit_required), "required", audit_modes,
		"required: no audit record, no key; best-effort weakens this."),
	ENUM("audit-checkpoint", G(audit_checkpoint), "tpm", checkpoints,
		"Where it is noted now and then how far the audit log has come."),
	ROW("state-dir", PATH, G(state_dir), VS_LOCALSTATEDIR "/lib/vouchsafe",
		"Folder of the agent's cache of public data and its TPM lock."),
	ENUM("log-level", G(log_level), "info", log_levels, "How much the agent logs."),
	ROW("metrics-file", PATH, G(metrics_file), NULL,
		"File that the machine's agent writes its numbers to, for Prometheus; default: "
		"none."),
	ROW("refusal-hook", PATH, G(refusal_hook), NULL,
		"Program that is run at each refusal, with the verdict as JSON on its standard "
		"input."),
	ROW("ca-bundle", PATH, G(ca_bundle), "/etc/ssl/certs/ca-certificates.crt",
		"PEM file of the roots that services' TLS certificates are checked against."),
	ROW("release-roots", PATH, G(release_roots), NULL,
		"PEM file of the roots for signed release answers; default: ca-bundle."),
	ROW("proxy", PROXY, G(proxy), NULL,
		"Proxy for all services but the metadata service; the environment is never asked."),
	ROW("tcti", TCTI, G(tcti), "device:/dev/tpmrm0", "How to reach the TPM."),
	ROW("imds", HTTP, G(imds), "http://169.254.169.254",
		"The Azure instance metadata service."),
	ROW("event-log", PATH, G(event_log), "/sys/kernel/security/tpm0/binary_bios_measurements",
		"The firmware's TCG event log."),
	ROW("evidence-roots", PATH, G(evidence_roots), NULL,
		"Folder of the lab's hardware roots, only with mode = lab; default: the vendors'."),
	ROW("collateral", PATH, G(collateral), NULL,
		"Folder of lists of revoked hardware certificates, Intel's statements and "
		"intermediates."),
	ROW("amd-kds", HTTPS, G(amd_kds), NULL,
		"Where AMD's lists are fetched, such as https://kdsintf.amd.com; default: not "
		"fetched."),
	ROW("intel-pccs", HTTPS, G(intel_pccs), NULL,
		"Where Intel's lists and statements are fetched, such as "
		"https://global.acccache.azure.net; default: not fetched."),
	ROW("ima-log", PATH, G(ima_log), "/sys/kernel/security/ima/binary_runtime_measurements",
		"The kernel's list of measured files, read where a token's ima asks for it."),
	ROW("ima-keys", PATH, G(ima_keys), NULL,
		"PEM file of the certificates whose keys sign this machine's files."),
	ENUM("memory-lock", G(memory_lock_required), "warn", lock_modes,
		"What to do where memory for secrets cannot be locked."),
	TIME("connect-timeout", MS, G(connect_timeout_ms), "5s", 100, 60000,
		"Longest wait for a connection."),
	TIME("request-timeout", MS, G(request_timeout_ms), "30s", 500, 300000,
		"Longest wait for one answer."),
	TIME("operation-timeout", MS, G(operation_timeout_ms), "60s", 1000, 600000,
		"Longest time one attestation with its releases may take."),
	TIME("refusal-hold", MS, G(refusal_hold_ms), "5s", 0, 300000,
		"How long a refusal is repeated without asking again."),
	TIME("clock-skew", S, G(clock_skew_s), "60s", 0, 60, "Tolerance for the times in tokens."),

	ROW("vault", HTTPS, T(vault), NULL, "The Key Vault or Managed HSM that holds the keys."),
	ENUM("vault-kind", T(vault_kind), NULL, vault_kinds, "Default: by the vault's host name."),
	ROW("vault-resource", HTTPS, T(vault_resource), NULL,
		"Audience of the access tokens for the vault; default: by the vault's host name."),
	ROW("keys", NAMES, T(keys), "*",
		"Names, name/version or globs; * is every exportable key with a release policy."),
	ROW("attestation", HTTPS, T(attestation), NULL,
		"The Microsoft Azure Attestation provider to trust."),
	ROW("attestation-fallback", HTTPS_LIST, T(attestation_fallback), NULL,
		"Further trusted providers, tried in order when the first cannot be reached."),
	ENUM("evidence", T(evidence), "auto", evidence_kinds,
		"What this machine proves itself with."),
	ROW("pcrs", PCRS, T(pcr_mask), "0-7",
		"PCRs that are quoted and that the transport key is bound to."),
	ROW("policy", PATH, T(policy), NULL,
		"Release-policy document the token must meet; none means deny."),
	ENUM("credential", T(credential), "managed-identity", credentials,
		"How access tokens for the vault are obtained."),
	ROW("authority", HTTPS, T(authority), NULL,
		"Microsoft Entra authority; default: by the vault's cloud."),
	ROW("tenant-id", GUID, T(tenant_id), NULL, "Entra tenant."),
	ROW("client-id", GUID, T(client_id), NULL, "Application, or user-assigned identity."),
	ROW("object-id", GUID, T(object_id), NULL, "User-assigned identity by object."),
	ROW("resource-id", TEXT, T(resource_id), NULL, "User-assigned identity by resource path."),
	ROW("client-secret-file", PATH, T(client_secret_file), NULL,
		"File of the application's secret."),
	ROW("client-certificate-file", PATH, T(client_certificate_file), NULL,
		"PEM file of the application's certificate and private key."),
	ROW("federated-token-file", PATH, T(federated_token_file), NULL,
		"File of the workload's federated token; read anew for each use."),
	TIME("max-lease", S, T(max_lease_s), "1h", 2, 28800,
		"Longest life of released keys on this machine."),
	ENUM("wrap", T(wrap), "RSA_AES_KEY_WRAP_256", wraps,
		"Algorithm the vault wraps the key with."),
	ENUM("login", T(login), "none", logins,
		"Whether C_Login does nothing, attests, or also asks for a PIN."),
	ROW("pin-file", PATH, T(pin_file), NULL,
		"With login = pin: file of the PIN to compare with."),
	ENUM("visible", T(visible_attested), "always", visibles,
		"attested: objects are listed only after an attestation."),
	ROW("raw-rsa", SWITCH, T(raw_rsa), "no",
		"Allow raw RSA decryption, and raw signatures by keys that may decrypt; weakens "
		"the token."),
	ENUM("service-evidence", T(service_evidence), "off", switches3,
		"Check the attestation service's own TEE evidence."),
	ROW("service-measurements", DIGESTS, T(service_measurements), NULL,
		"MRSIGNER, HOST_DATA and MEASUREMENT values the service may run as."),
	NUMBER("service-min-svn", T(service_min_svn), "0", 999999999,
		"Lowest version of the service's utility VM that its endorsement may name."),
	ENUM("local-evidence", T(local_evidence), "off", switches3,
		"Check this machine's evidence here, too."),
	ENUM("local-collateral", T(collateral_required), "available", collaterals,
		"require: evidence is refused without lists of revoked certificates and, for TDX, "
		"Intel's statements."),
	FLAGS("allowed-tcb", T(allowed_tcb), "UpToDate", tcbs,
		"What Intel's statements may say of this machine's versions."),
	ENUM("ima", T(ima), "off", imas,
		"list: PCR 10 must be explained by the list of measured files; signed: and each "
		"file be signed."),
	ROW("allow", ALLOW, T(allow), NULL,
		"Users and groups that may use the keys; default: root and the agent's own user."),
};
const size_t vs_n_settings = sizeof vs_settings / sizeof vs_settings[0];

static const char *const type_words[] = {
	[VS_SET_TEXT] = "text",
	[VS_SET_PATH] = "an absolute path",
	[VS_SET_HTTPS] = "an https origin such as https://host or https://host:port",
	[VS_SET_HTTPS_LIST] = "https origins with commas between",
	[VS_SET_HTTP] = "an http origin such as http://169.254.169.254",
	[VS_SET_PROXY] = "an http or https origin",
	[VS_SET_SWITCH] = "yes or no",
	[VS_SET_NAMES] = "names, name/version or globs with commas between",
	[VS_SET_PCRS] = "PCR numbers and ranges such as 0-7, 11",
	[VS_SET_ALLOW] = "user:NAME and group:NAME with commas between",
	[VS_SET_TCTI] = "device:PATH, swtpm:... or mssim:...",
	[VS_SET_GUID] = "a GUID (8-4-4-4-12 hex digits)",
	[VS_SET_NUMBER] = "a number",
	[VS_SET_DIGESTS] = "values of 64 or 96 hex digits with commas between",
};

static void
duration_words(const struct vs_setting *s, char *out, size_t out_size)
{
	const char *unit = s->type == VS_SET_DURATION_S ? "s" : "ms";
	(void)snprintf(out, out_size, "a number with unit ms, s, m or h, from %lld%s to %lld%s",
		(long long)s->min, unit, (long long)s->max, unit);
}

void
vs_setting_allowed(const struct vs_setting *s, char *out, size_t out_size)
{
	if (s->type == VS_SET_DURATION_S || s->type == VS_SET_DURATION_MS) {
		duration_words(s, out, out_size);
		return;
	}
	if (s->type != VS_SET_ENUM && s->type != VS_SET_FLAGS) {
		(void)snprintf(out, out_size, "%s", type_words[s->type]);
		return;
	}
	size_t n = (size_t)snprintf(out, out_size,
		s->type == VS_SET_FLAGS ? "some, with commas between, of" : "one of");
	for (const struct vs_set_value *v = s->allowed; v->name && n < out_size; v++)
		n += (size_t)snprintf(
			out + n, out_size - n, "%s %s", v == s->allowed ? "" : ",", v->name);
}

static VS_RC
print_setting(const struct vs_setting *s, struct vs_buf *out, struct vs_err *err)
{
	char allowed[240];
	vs_setting_allowed(s, allowed, sizeof allowed);
	return vs_buf_addf(out, err, "# %s (%s)\n#%s = %s\n\n", s->help, allowed, s->name,
		s->dflt ? s->dflt : "");
}

VS_RC
vs_conf_print_defaults(struct vs_buf *out, struct vs_err *err)
{
	VS_TRY(vs_buf_add_str(out,
		"# vouchsafe.conf: a line is `name = value`; what stands behind # or ; is a "
		"comment.\n"
		"# Each [token LABEL] section is one PKCS#11 token. Values shown are the "
		"defaults.\n\n"
		"[global]\n\n",
		err));
	for (size_t i = 0; i < vs_n_settings; i++)
		if (vs_settings[i].scope == VS_SET_GLOBAL)
			VS_TRY(print_setting(&vs_settings[i], out, err));
	VS_TRY(vs_buf_add_str(out, "#[token LABEL]\n\n", err));
	for (size_t i = 0; i < vs_n_settings; i++)
		if (vs_settings[i].scope == VS_SET_TOKEN)
			VS_TRY(print_setting(&vs_settings[i], out, err));
	return vs_buf_add_str(out,
		"# A certificate object beside the key NAME (an absolute path of a PEM or DER "
		"file)\n"
		"#certificate.NAME =\n",
		err);
}
