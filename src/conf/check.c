/* SPDX-License-Identifier: BSD-2-Clause */
#include "conf/check.h"

#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "conf/value.h"
#include "crypto/hash.h"
#include "crypto/ossl.h"

/* facts: sovereign clouds (key-release 5.6). Everything else must be said explicitly. */
static const struct cloud {
	const char *vault, *hsm, *attest, *authority;
} clouds[] = {
	{"vault.azure.net", "managedhsm.azure.net", "attest.azure.net",
		"https://login.microsoftonline.com"},
	{"vault.azure.cn", "managedhsm.azure.cn", "attest.azure.cn",
		"https://login.partner.microsoftonline.cn"},
	{"vault.usgovcloudapi.net", "managedhsm.usgovcloudapi.net", "attest.azure.us",
		"https://login.microsoftonline.us"},
};

/* host is a proper subdomain of suffix: the dot counts. */
static bool
below(const char *host, const char *suffix)
{
	const size_t nh = strlen(host), ns = strlen(suffix);
	return nh > ns + 1 && host[nh - ns - 1] == '.' && strcmp(host + nh - ns, suffix) == 0;
}

static VS_RC
set_default_text(char **at, const char *prefix, const char *text, struct vs_err *err)
{
	if (*at)
		return VS_OK;
	const size_t np = strlen(prefix), nt = strlen(text);
	char *s = malloc(np + nt + 1);
	if (!s)
		VS_FAIL(err, MEMORY, "out of memory");
	memcpy(s, prefix, np);
	memcpy(s + np, text, nt + 1);
	*at = s;
	return VS_OK;
}

static VS_RC
derive_cloud(struct vs_conf_token *t, struct vs_err *err)
{
	char host[300];
	VS_REQUIRE(err, vs_origin_host(t->vault, host, sizeof host));
	for (size_t i = 0; i < sizeof clouds / sizeof clouds[0]; i++) {
		const bool akv = below(host, clouds[i].vault), hsm = below(host, clouds[i].hsm);
		if (!akv && !hsm)
			continue;
		const enum vs_vault_kind kind = akv ? VS_VAULT_AKV : VS_VAULT_MHSM;
		if (t->vault_kind == VS_VAULT_NONE)
			t->vault_kind = kind;
		VS_TRY(set_default_text(&t->vault_resource, "https://",
			akv ? clouds[i].vault : clouds[i].hsm, err));
		VS_TRY(set_default_text(&t->authority, "", clouds[i].authority, err));
	}
	return VS_OK;
}

struct need {
	const char *name;
	const void *value;
};

static VS_RC
check_present(const struct vs_conf *c, const struct vs_conf_token *t, const struct need *needs,
	size_t n, const char *why, struct vs_err *err)
{
	for (size_t i = 0; i < n; i++)
		if (!needs[i].value)
			VS_FAIL(err, CONFIG_MISSING, "%s:%u: [token %s] has no '%s'%s", c->path,
				t->line, t->label, needs[i].name, why);
	return VS_OK;
}

static VS_RC
check_credential(const struct vs_conf *c, const struct vs_conf_token *t, struct vs_err *err)
{
	const struct need secret[] = {{"tenant-id", t->tenant_id}, {"client-id", t->client_id},
		{"client-secret-file", t->client_secret_file}, {"authority", t->authority}};
	const struct need cert[] = {{"tenant-id", t->tenant_id}, {"client-id", t->client_id},
		{"client-certificate-file", t->client_certificate_file},
		{"authority", t->authority}};
	const struct need federated[] = {{"tenant-id", t->tenant_id}, {"client-id", t->client_id},
		{"federated-token-file", t->federated_token_file}, {"authority", t->authority}};
	static const char why[] = ", which its 'credential' needs";
	switch (t->credential) {
	case VS_CRED_CLIENT_SECRET_FILE: return check_present(c, t, secret, 4, why, err);
	case VS_CRED_CLIENT_CERTIFICATE: return check_present(c, t, cert, 4, why, err);
	case VS_CRED_WORKLOAD_IDENTITY: return check_present(c, t, federated, 4, why, err);
	case VS_CRED_NONE:
	case VS_CRED_MANAGED_IDENTITY:
	case VS_CRED_AZURE_ARC: break;
	}
	if ((t->client_id != NULL) + (t->object_id != NULL) + (t->resource_id != NULL) > 1)
		VS_FAIL(err, CONFIG_VALUE,
			"%s:%u: [token %s] names its identity more than once; keep one of "
			"client-id, object-id, resource-id",
			c->path, t->line, t->label);
	return VS_OK;
}

/* T-L1: every endpoint is on the same side of the border between lab and production. */
static VS_RC
check_side(const struct vs_conf *c, const char *name, const char *origin, struct vs_err *err)
{
	if (!origin || vs_origin_is_loopback(origin) == c->lab)
		return VS_OK;
	if (c->lab)
		VS_FAIL(err, CONFIG_MODE,
			"%s: mode = lab, but %s = %s is not on this machine's loopback", c->path,
			name, origin);
	VS_FAIL(err, CONFIG_MODE, "%s: %s = %s is a lab address, but mode is production", c->path,
		name, origin);
}

static VS_RC
check_attestation_host(const struct vs_conf *c, const struct vs_conf_token *t, const char *origin,
	struct vs_err *err)
{
	char host[300];
	VS_TRY(check_side(c, "attestation", origin, err));
	VS_REQUIRE(err, vs_origin_host(origin, host, sizeof host));
	if (c->lab)
		return VS_OK;
	for (size_t i = 0; i < sizeof clouds / sizeof clouds[0]; i++)
		if (below(host, clouds[i].attest) && !strstr(host, ".test."))
			return VS_OK;
	VS_FAIL(err, CONFIG_VALUE,
		"%s:%u: [token %s]: %s is no Microsoft Azure Attestation provider "
		"(expected a host below attest.azure.net, attest.azure.cn or attest.azure.us)",
		c->path, t->line, t->label, origin);
}

/* What hangs on another setting says so: a check that nothing makes would be believed in. */
static VS_RC
check_evidence(const struct vs_conf *c, const struct vs_conf_token *t, struct vs_err *err)
{
	if (t->local_evidence == VS_OFF && (t->collateral_required || t->ima != VS_CONF_IMA_OFF))
		VS_FAIL(err, CONFIG_MISSING,
			"%s:%u: [token %s] has %s, which needs local-evidence = warn or require",
			c->path, t->line, t->label,
			t->collateral_required ? "local-collateral = require" : "ima");
	if (t->ima == VS_CONF_IMA_SIGNED && !c->ima_keys)
		VS_FAIL(err, CONFIG_MISSING,
			"%s:%u: [token %s] has ima = signed, but [global] has no ima-keys", c->path,
			t->line, t->label);
	return VS_OK;
}

static VS_RC
check_token(struct vs_conf *c, struct vs_conf_token *t, struct vs_err *err)
{
	const struct need always[] = {{"vault", t->vault}, {"attestation", t->attestation}};
	VS_TRY(check_present(c, t, always, 2, "", err));
	VS_TRY(derive_cloud(t, err));
	const struct need derived[] = {
		{"vault-kind", t->vault_kind ? t : NULL}, {"vault-resource", t->vault_resource}};
	VS_TRY(check_present(
		c, t, derived, 2, ", and its vault's host name is of no known cloud", err));
	VS_TRY(check_credential(c, t, err));
	VS_TRY(check_side(c, "vault", t->vault, err));
	VS_TRY(check_side(c, "authority", t->authority, err));
	VS_TRY(check_attestation_host(c, t, t->attestation, err));
	if (!t->attestation_fallback && !(t->attestation_fallback = calloc(1, sizeof(char *))))
		VS_FAIL(err, MEMORY, "out of memory");
	for (char **p = t->attestation_fallback; *p; p++)
		VS_TRY(check_attestation_host(c, t, *p, err));
	if (t->login == 2 && !t->pin_file)
		VS_FAIL(err, CONFIG_MISSING, "%s:%u: [token %s] has login = pin but no pin-file",
			c->path, t->line, t->label);
	/* A key in just any enclave is nobody's: without a list there is nothing to require. */
	if (t->service_evidence == VS_REQUIRE_ON && !t->service_measurements)
		VS_FAIL(err, CONFIG_MISSING,
			"%s:%u: [token %s] has service-evidence = require but no "
			"service-measurements",
			c->path, t->line, t->label);
	VS_TRY(check_evidence(c, t, err));
	vs_serial16(t->label, t->vault, t->serial);
	return VS_OK;
}

/* What the module has room for: a socket's path, and that of a program. */
enum { AGENT_SOCKET_MAX = 107, AGENT_PROGRAM_MAX = 1023 };

static VS_RC
check_length(const struct vs_conf *c, const char *name, const char *value, size_t max,
	struct vs_err *err)
{
	if (strlen(value) > max)
		VS_FAIL(err, CONFIG_VALUE, "%s: %s is longer than %zu bytes", c->path, name, max);
	return VS_OK;
}

static void
ossl_cleanup(struct vs_ossl **o)
{
	vs_ossl_unref(*o);
}

VS_RC
vs_conf_check(struct vs_conf *c, struct vs_bytes text, struct vs_err *err)
{
	VS_CLEANUP(ossl_cleanup) struct vs_ossl *ossl = NULL;
	VS_TRY(vs_ossl_new(&ossl, err));
	VS_TRY(vs_hash_once(ossl, VS_HASH_SHA256, text, c->sha256, err));
	VS_TRY(check_length(c, "agent-socket", c->agent_socket, AGENT_SOCKET_MAX, err));
	VS_TRY(check_length(c, "agent-program", c->agent_program, AGENT_PROGRAM_MAX, err));
	for (size_t i = 0; i < c->n_tokens; i++)
		VS_TRY(check_token(c, &c->tokens[i], err));
	if (!c->lab && strcmp(c->imds, "http://169.254.169.254") != 0)
		VS_FAIL(err, CONFIG_MODE,
			"%s: imds = %s, but in production the metadata service is "
			"http://169.254.169.254",
			c->path, c->imds);
	if (c->lab)
		VS_TRY(check_side(c, "imds", c->imds, err));
	VS_TRY(check_side(c, "amd-kds", c->amd_kds, err));
	VS_TRY(check_side(c, "intel-pccs", c->intel_pccs, err));
	if (!c->lab && c->evidence_roots)
		VS_FAIL(err, CONFIG_MODE,
			"%s: evidence-roots is for the lab only, but mode is production", c->path);
	if (!c->lab && strncmp(c->tcti, "device:", 7) != 0)
		VS_FAIL(err, CONFIG_MODE, "%s: tcti = %s is a software TPM, but mode is production",
			c->path, c->tcti);
	return VS_OK;
}
