/* SPDX-License-Identifier: BSD-2-Clause */
#include "lab/lab_claims.h"

#include <stdio.h>
#include <string.h>

#include <openssl/rand.h>

#include "base/codec.h"

static void
set_bool(json_t *o, const char *name, bool v)
{
	json_object_set_new(o, name, json_boolean(v));
}

static void
set_int(json_t *o, const char *name, json_int_t v)
{
	json_object_set_new(o, name, json_integer(v));
}

static void
set_text(json_t *o, const char *name, const char *v)
{
	json_object_set_new(o, name, json_string(v));
}

static void
set_hex(json_t *o, const char *name, const uint8_t *p, size_t n)
{
	char hex[2 * 64 + 1];
	vs_hex_str(p, n, hex, sizeof hex);
	set_text(o, name, hex);
}

static uint32_t
le32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

void
lab_claims_snp(json_t *o, const uint8_t r[1184])
{
	static const struct {
		const char *name;
		size_t at, n;
	} fields[] = {
		{"x-ms-sevsnpvm-authorkeydigest", 0x110, 48},
		{"x-ms-sevsnpvm-chipid", 0x1a0, 64},
		{"x-ms-sevsnpvm-familyId", 0x010, 16},
		{"x-ms-sevsnpvm-hostdata", 0x0c0, 32},
		{"x-ms-sevsnpvm-idkeydigest", 0x0e0, 48},
		{"x-ms-sevsnpvm-imageId", 0x020, 16},
		{"x-ms-sevsnpvm-launchmeasurement", 0x090, 48},
		{"x-ms-sevsnpvm-reportdata", 0x050, 64},
		{"x-ms-sevsnpvm-reportid", 0x140, 32},
	};
	static const struct {
		const char *name;
		unsigned bit;
	} flags[] = {
		{"x-ms-sevsnpvm-smt-allowed", 16},
		{"x-ms-sevsnpvm-migration-allowed", 18},
		{"x-ms-sevsnpvm-is-debuggable", 19},
		{"x-ms-sevsnpvm-singlesocket", 20},
		{"x-ms-sevsnpvm-cxl-allowed", 21},
		{"x-ms-sevsnpvm-mem-aes256-xts-required", 22},
		{"x-ms-sevsnpvm-rapl-disabled", 23},
		{"x-ms-sevsnpvm-ciphertext-hiding-dram-enabled", 24},
		{"x-ms-sevsnpvm-page-swap-disabled", 25},
	};
	const uint32_t policy = le32(r + 0x08);
	set_text(o, "x-ms-attestation-type", "sevsnpvm");
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
		set_hex(o, fields[i].name, r + fields[i].at, fields[i].n);
	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
		set_bool(o, flags[i].name, policy >> flags[i].bit & 1);
	set_int(o, "x-ms-sevsnpvm-bootloader-svn", r[0x180]);
	set_int(o, "x-ms-sevsnpvm-tee-svn", r[0x181]);
	set_int(o, "x-ms-sevsnpvm-snpfw-svn", r[0x186]);
	set_int(o, "x-ms-sevsnpvm-microcode-svn", r[0x187]);
	set_int(o, "x-ms-sevsnpvm-guestsvn", le32(r + 0x04));
	set_int(o, "x-ms-sevsnpvm-vmpl", le32(r + 0x30));
	if (le32(r) >= 3)
		set_text(o, "x-ms-sevsnpvm-chip-family", r[0x189] < 0x10 ? "Milan" : "Genoa");
}

static json_t *
tee_claims(const struct lab_facts *f)
{
	json_t *o = json_object();
	lab_claims_snp(o, f->report);
	if (f->compliant)
		set_text(o, "x-ms-compliance-status", "azure-compliant-cvm");
	json_object_set(o, "x-ms-runtime", f->runtime);
	return o;
}

static json_t *
runtime_claims(const struct lab_facts *f)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf n = {0};
	if (vs_failed(vs_b64url_encode(vs_bytes_of(f->enc_n, LAB_RSA_BYTES), &n, NULL)))
		return NULL;
	json_t *o = json_pack("{s:[{s:s,s:[s],s:s,s:s,s:s}]}", "keys", "e", "AQAB", "key_ops",
		"encrypt", "kid", "TpmEphemeralEncryptionKey", "kty", "RSA", "n", vs_buf_cstr(&n));
	if (f->payload)
		json_object_set(o, "client-payload", f->payload);
	return o;
}

static void
pcr_claims(json_t *o, const struct lab_pcrs *pcrs)
{
	json_t *list = json_array(), *values = json_object();
	for (int i = 0; i < LAB_PCRS; i++) {
		VS_CLEANUP(vs_buf_done) struct vs_buf b = {0};
		char name[8];
		if (!(pcrs->mask & (1u << i)))
			continue;
		json_array_append_new(list, json_integer(i));
		snprintf(name, sizeof name, "pcr%d", i);
		if (!vs_failed(vs_b64_encode(vs_bytes_of(pcrs->value[i], 32), &b, NULL)))
			set_text(values, name, vs_buf_cstr(&b));
	}
	json_object_set_new(o, "x-ms-azurevm-attested-pcrs", list);
	json_object_set_new(o, "x-ms-azurevm-attested-pcr-values", values);
}

json_t *
lab_claims_azurevm(const struct lab_facts *f)
{
	static const char *const off[] = {"bootdebug-enabled", "elam-enabled",
		"flightsigning-enabled", "hypervisordebug-enabled", "kerneldebug-enabled",
		"testsigning-enabled"};
	json_t *o = json_object();
	if (!o)
		return NULL;
	for (size_t i = 0; i < sizeof off / sizeof *off; i++) {
		char name[64];
		snprintf(name, sizeof name, "x-ms-azurevm-%s", off[i]);
		set_bool(o, name, false);
	}
	set_bool(o, "secureboot", f->log.secure_boot);
	set_text(o, "x-ms-attestation-type", "azurevm");
	set_text(o, "x-ms-azurevm-attestation-protocol-ver", f->protocol);
	pcr_claims(o, &f->pcrs);
	set_bool(o, "x-ms-azurevm-dbvalidated", f->log.db_validated);
	set_bool(o, "x-ms-azurevm-dbxvalidated", f->log.dbx_validated);
	set_bool(o, "x-ms-azurevm-debuggersdisabled", f->log.debuggers_disabled);
	set_bool(o, "x-ms-azurevm-default-securebootkeysvalidated", f->log.keys_validated);
	set_bool(o, "x-ms-azurevm-signingdisabled", true);
	set_int(o, "x-ms-azurevm-hvci-policy", 0);
	set_bool(o, "x-ms-azurevm-is-windows", strcmp(f->os_type, "Windows") == 0);
	set_text(o, "x-ms-azurevm-osbuild", f->os_build);
	set_text(o, "x-ms-azurevm-osdistro", f->os_distro);
	set_text(o, "x-ms-azurevm-ostype", f->os_type);
	set_int(o, "x-ms-azurevm-osversion-major", f->os_major);
	set_int(o, "x-ms-azurevm-osversion-minor", f->os_minor);
	set_text(o, "x-ms-azurevm-vmid", f->vm_id);
	json_object_set_new(o, "x-ms-runtime", runtime_claims(f));
	if (f->tee)
		json_object_set_new(o, "x-ms-isolation-tee", tee_claims(f));
	return o;
}

/* The names that policies used before 2020-10-01, and that some still use. */
static void
add_old_names(json_t *flat)
{
	static const char *const names[][2] = {
		{"$is-debuggable", "x-ms-sgx-is-debuggable"},
		{"$product-id", "x-ms-sgx-product-id"},
		{"$sgx-mrsigner", "x-ms-sgx-mrsigner"},
		{"$sgx-mrenclave", "x-ms-sgx-mrenclave"},
		{"$svn", "x-ms-sgx-svn"},
		{"$tee", "x-ms-attestation-type"},
	};
	if (!json_object_get(flat, "x-ms-sgx-mrenclave"))
		return;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		json_object_set(flat, names[i][0], json_object_get(flat, names[i][1]));
}

json_t *
lab_claims_for_policy(const json_t *claims)
{
	json_t *flat = json_object();
	const char *name = NULL;
	json_t *v = NULL;
	json_object_foreach (json_object_get(claims, "x-ms-isolation-tee"), name, v)
		if (!json_is_object(v) && !json_is_array(v))
			json_object_set(flat, name, v);
	/* The VM's own come last: x-ms-attestation-type is "azurevm". */
	json_object_foreach ((json_t *)(uintptr_t)claims, name, v)
		if (!json_is_object(v) && !json_is_array(v))
			json_object_set(flat, name, v);
	add_old_names(flat);
	return flat;
}

bool
lab_claims_frame(json_t *claims, const struct lab_token_frame *f)
{
	uint8_t id[32];
	if (RAND_bytes(id, sizeof id) != 1)
		return false;
	if (json_object_size(f->issued) > 0) {
		json_object_update_missing(claims, (json_t *)(uintptr_t)f->issued);
		json_object_set(claims, "x-ms-policy", (json_t *)(uintptr_t)f->issued);
	}
	if (f->policy_signer)
		json_object_set(
			claims, "x-ms-policy-signer", (json_t *)(uintptr_t)f->policy_signer);
	set_text(claims, "iss", f->issuer);
	set_int(claims, "iat", f->now);
	set_int(claims, "nbf", f->now);
	set_int(claims, "exp", f->now + f->life);
	set_hex(claims, "jti", id, sizeof id);
	set_text(claims, "x-ms-ver", "1.0");
	set_text(claims, "x-ms-policy-hash", f->policy_hash);
	return true;
}
