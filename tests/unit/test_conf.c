/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit/unit.h"

#include <sys/stat.h>
#include <unistd.h>

#include "conf/conf.h"
#include "conf/table.h"
#include "conf/value.h"

#define HEAD \
	"[token data-keys]\nvault = https://contoso.vault.azure.net/\n" \
	"attestation = https://contoso.weu.attest.azure.net\n"

static vs_rc
parse(const char *text, struct vs_conf **ret, struct vs_err *err)
{
	return vs_conf_parse("v.conf", vs_bytes_str(text), ret, err);
}

static void
takes_the_documented_example(void **state)
{
	(void)state;
	struct vs_err err = {0};
	struct vs_conf *c = NULL;
	assert_ok(parse("[token data-keys]                        ; label of the PKCS#11 token\n"
			"vault        = https://contoso.vault.azure.net      ; or the other\n"
			"keys         = tls-2026, disk-*\n"
			"attestation  = https://contoso.weu.attest.azure.net\n"
			"attestation-fallback = https://contoso.neu.attest.azure.net   ; tried in "
			"order\n"
			"evidence     = auto\n"
			"policy       = /etc/vouchsafe/policy.json\n"
			"credential   = managed-identity\n"
			"max-lease    = 1h\n"
			"allow        = user:root, group:0\n"
			"certificate.tls-2026 = /etc/ssl/tls-2026.pem\n",
			  &c, &err),
		&err);
	assert_false(c->lab);
	assert_true(c->audit_required);
	assert_string_equal(c->tcti, "device:/dev/tpmrm0");
	assert_int_equal(c->n_tokens, 1);
	const struct vs_conf_token *t = vs_conf_token_find(c, "data-keys");
	assert_non_null(t);
	assert_string_equal(t->serial, "797652ac1cafb7b2");
	assert_int_equal(t->vault_kind, VS_VAULT_AKV);
	assert_string_equal(t->vault_resource, "https://vault.azure.net");
	assert_string_equal(t->authority, "https://login.microsoftonline.com");
	assert_string_equal(t->keys[1], "disk-*");
	assert_null(t->keys[2]);
	assert_string_equal(t->attestation_fallback[0], "https://contoso.neu.attest.azure.net");
	assert_int_equal(t->pcr_mask, 0xff);
	assert_int_equal(t->max_lease_s, 3600);
	assert_int_equal(t->n_allow, 2);
	assert_true(t->allow[1].group);
	assert_int_equal(t->n_certs, 1);
	assert_int_equal(t->wrap, VS_WRAP_256);
	assert_null(vs_conf_token_find(c, "other"));
	vs_conf_free(c);
}

struct bad {
	const char *text, *code, *says;
};

static void
refuses_with_line_and_remedy(void **state)
{
	(void)state;
	static const struct bad cases[] = {
		{HEAD "polcy = /p\n", "CONFIG_NAME",
			"v.conf:4: unknown setting 'polcy'; did you mean 'policy'?"},
		{HEAD "tcti = device:/x\n", "CONFIG_NAME",
			"v.conf:4: 'tcti' belongs into [global]"},
		{"[global]\nvault = https://a.vault.azure.net\n", "CONFIG_NAME",
			"belongs into a [token LABEL]"},
		{HEAD "max-lease = 1\n", "CONFIG_VALUE",
			"v.conf:4: max-lease = 1: expected a number with unit"},
		{HEAD "max-lease = 9h\n", "CONFIG_VALUE", "to 28800s"},
		{HEAD "max-lease = 1500ms\n", "CONFIG_VALUE", "max-lease"},
		{HEAD "max-lease = 1h\nmax-lease = 2h\n", "CONFIG_NAME",
			"v.conf:5: 'max-lease' stands here twice (first in line 4)"},
		{HEAD "evidence = none\n", "CONFIG_VALUE", "expected one of auto, azure-guest"},
		{HEAD "raw-rsa = true\n", "CONFIG_VALUE", "expected yes or no"},
		{HEAD "policy = policy.json\n", "CONFIG_VALUE", "expected an absolute path"},
		{HEAD "allow = user:no-such-user-here\n", "CONFIG_VALUE",
			"each known on this machine"},
		{HEAD "allow = root\n", "CONFIG_VALUE", "expected user:NAME"},
		{HEAD "pcrs = 0-24\n", "CONFIG_VALUE", "PCR numbers"},
		{HEAD "keys = a,,b\n", "CONFIG_VALUE", "keys"},
		{HEAD "client-id = abc\n", "CONFIG_VALUE", "a GUID"},
		{HEAD "certificate. = /x\n", "CONFIG_NAME", "certificate.NAME"},
		{HEAD "certificate.a = /x\ncertificate.a = /y\n", "CONFIG_NAME", "twice"},
		{HEAD "[token data-keys]\n", "CONFIG_NAME", "v.conf:4: a second [token data-keys]"},
		{HEAD "[tokens x]\n", "CONFIG_NAME", "unknown section"},
		{HEAD "[global]\n[global]\n", "CONFIG_SYNTAX", "stands once"},
		{"a = b\n", "CONFIG_SYNTAX", "settings stand in"},
		{"[token]\n", "CONFIG_VALUE", "label"},
		{"[token x]\n", "CONFIG_MISSING", "v.conf:1: [token x] has no 'vault'"},
		{"[token x]\nvault = https://a.vault.azure.net\n", "CONFIG_MISSING",
			"no 'attestation'"},
		{"[token x]\nvault = https://vault.example\nattestation = "
		 "https://a.attest.azure.net\n",
			"CONFIG_MISSING", "no 'vault-kind'"},
		{"[token x]\nvault = http://a.vault.azure.net\n", "CONFIG_VALUE",
			"an https origin"},
		{"[token x]\nvault = https://a.vault.azure.net/path\n", "CONFIG_VALUE",
			"an https origin"},
		{"[token x]\nvault = https://u@a.vault.azure.net\n", "CONFIG_VALUE",
			"an https origin"},
		{"[token x]\nvault = https://a.vault.azure.net:0\n", "CONFIG_VALUE",
			"an https origin"},
		{"[token x]\nvault = https://evilvault.azure.net\nattestation = "
		 "https://a.attest.azure.net\n",
			"CONFIG_MISSING", "no known cloud"},
		{"[token x]\nvault = https://a.vault.azure.net\nattestation = "
		 "https://a.attest.azure.net.evil.example\n",
			"CONFIG_VALUE", "no Microsoft Azure Attestation provider"},
		{"[token x]\nvault = https://a.vault.azure.net\nattestation = "
		 "https://a.weu.test.attest.azure.net\n",
			"CONFIG_VALUE", "no Microsoft Azure Attestation provider"},
		{HEAD "credential = client-secret-file\n", "CONFIG_MISSING",
			"no 'tenant-id', which its 'credential' needs"},
		{HEAD "login = pin\n", "CONFIG_MISSING", "no pin-file"},
		{HEAD "client-id = 01234567-0123-0123-0123-0123456789ab\nresource-id = /x\n",
			"CONFIG_VALUE", "more than once"},
		/* lab and production */
		{"[token x]\nvault = https://localhost:1\nvault-kind = key-vault\nvault-resource = "
		 "https://vault.azure.net\n"
		 "attestation = https://a.attest.azure.net\n",
			"CONFIG_MODE", "is a lab address"},
		{"[global]\nmode = lab\nimds = http://127.0.0.1:1\n" HEAD, "CONFIG_MODE",
			"not on this machine's loopback"},
		{"[global]\nimds = http://127.0.0.1:1\n", "CONFIG_MODE",
			"in production the metadata service"},
		{"[global]\ntcti = swtpm:path=/x\n", "CONFIG_MODE", "software TPM"},
		{"[global]\nmode = lab\n", "CONFIG_MODE", "loopback"},
		{"[global]\nevidence-roots = /x\n", "CONFIG_MODE", "for the lab only"},
		{HEAD "service-evidence = require\n", "CONFIG_MISSING",
			"has service-evidence = require but no service-measurements"},
		{HEAD "service-measurements = abcd\n", "CONFIG_VALUE", "64 or 96 hex digits"},
		{HEAD "service-measurements = "
		      "0178240eff4ef968efdcd735b8bcee63578c4eb9e4264178f747df149bf57bfg\n",
			"CONFIG_VALUE", "64 or 96 hex digits"},
		{HEAD "service-min-svn = -1\n", "CONFIG_VALUE", "a number"},
		{HEAD "service-min-svn = 1000000000\n", "CONFIG_VALUE", "a number"},
		{HEAD "service-min-svn = 1s\n", "CONFIG_VALUE", "a number"},
		{HEAD "allowed-tcb = UpToDate, Revoked\n", "CONFIG_VALUE", "some, with commas"},
		{HEAD "allowed-tcb = uptodate\n", "CONFIG_VALUE", "UpToDate, SWHardeningNeeded"},
		{HEAD "allowed-tcb = UpToDate,\n", "CONFIG_VALUE", "some, with commas"},
		{HEAD "ima = list\n", "CONFIG_MISSING", "needs local-evidence"},
		{HEAD "local-collateral = require\n", "CONFIG_MISSING", "needs local-evidence"},
		{HEAD "local-evidence = warn\nima = signed\n", "CONFIG_MISSING", "no ima-keys"},
		{HEAD "ima = maybe\n", "CONFIG_VALUE", "one of off, list, signed"},
		{"[global]\namd-kds = https://localhost:1\n" HEAD, "CONFIG_MODE", "lab address"},
		{"[global]\nintel-pccs = http://kds.example\n" HEAD, "CONFIG_VALUE", "https"},
		{"[global]\ncollateral = here\n" HEAD, "CONFIG_VALUE", "absolute path"},
		{"[global]\nmode = test\n", "CONFIG_VALUE", "one of production, lab"},
		{"[global]\ntcti = cmd:evil\n", "CONFIG_VALUE", "device:PATH"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct vs_err err = {0};
		struct vs_conf *c = NULL;
		const vs_rc rc = parse(cases[i].text, &c, &err);
		char s[1600];
		vs_err_sentence(&err, s, sizeof s);
		if (strcmp(vs_code_name(rc.code), cases[i].code) != 0 ||
			!strstr(s, cases[i].says) || c)
			fail_msg("case %zu: %s: %s", i, vs_code_name(rc.code), s);
	}
}

/* The module's own reader of the file has so much room, and no more. */
static void
refuses_paths_that_the_module_cannot_hold(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		int max;
	} rows[] = {{"agent-socket", 107}, {"agent-program", 1023}};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		for (int n = rows[i].max; n <= rows[i].max + 1; n++) {
			char text[2048], says[64];
			struct vs_err err = {0};
			struct vs_conf *c = NULL;
			snprintf(text, sizeof text, "[global]\n%s = /%0*d\n" HEAD, rows[i].name,
				n - 1, 0);
			const vs_rc rc = parse(text, &c, &err);
			if (n == rows[i].max) {
				assert_ok(rc, &err);
				vs_conf_free(c);
				continue;
			}
			snprintf(says, sizeof says, "%s is longer than %d bytes", rows[i].name,
				rows[i].max);
			assert_int_equal(rc.code, VS_E_CONFIG_VALUE);
			assert_non_null(strstr(err.frames[0].text, says));
		}
	}
}

static void
takes_a_lab_configuration(void **state)
{
	(void)state;
	struct vs_err err = {0};
	struct vs_conf *c = NULL;
	assert_ok(parse("[global]\nmode = lab\nimds = http://127.0.0.1:80\ntcti = "
			"swtpm:path=/d/tpm.sock\n"
			"[token x]\nvault = https://localhost:8443\nvault-kind = managed-hsm\n"
			"vault-resource = https://managedhsm.azure.net\nattestation = "
			"https://LOCALHOST:443\n"
			"authority = https://localhost:1\n",
			  &c, &err),
		&err);
	assert_true(c->lab);
	assert_string_equal(c->imds, "http://127.0.0.1");
	assert_string_equal(c->tokens[0].attestation, "https://localhost");
	vs_conf_free(c);
}

static void
prints_defaults_that_it_takes_back(void **state)
{
	(void)state;
	struct vs_err err = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf sample = {0}, live = {0};
	assert_ok(vs_conf_print_defaults(&sample, &err), &err);
	for (size_t i = 0; i < vs_n_settings; i++) {
		char line[80];
		(void)snprintf(line, sizeof line, "#%s = ", vs_settings[i].name);
		assert_non_null(strstr(vs_buf_cstr(&sample), line));
	}
	/* With every default switched on it is the same configuration as without. */
	const char *p = vs_buf_cstr(&sample);
	const char *end = strstr(p, "#[token LABEL]");
	assert_non_null(end);
	while (p < end) {
		const char *nl = strchr(p, '\n');
		const bool setting = p[0] == '#' && p[1] != ' ' && nl[-1] != ' ';
		assert_ok(vs_buf_add(&live, p + (setting ? 1 : 0),
				  (size_t)(nl + 1 - p) - (setting ? 1 : 0), &err),
			&err);
		p = nl + 1;
	}
	struct vs_conf *a = NULL, *b = NULL;
	assert_ok(parse(vs_buf_cstr(&live), &a, &err), &err);
	assert_ok(parse("", &b, &err), &err);
	assert_string_equal(a->audit_log, b->audit_log);
	assert_int_equal(a->request_timeout_ms, b->request_timeout_ms);
	assert_memory_not_equal(a->sha256, b->sha256, 32);
	vs_conf_free(a);
	vs_conf_free(b);
}

static void
takes_what_is_said_about_collateral_and_measured_files(void **state)
{
	(void)state;
	struct vs_err err = {0};
	struct vs_conf *c = NULL;
	assert_ok(parse(HEAD, &c, &err), &err);
	assert_int_equal(c->tokens[0].allowed_tcb, 1U << VS_CONF_TCB_UP_TO_DATE);
	assert_int_equal(c->tokens[0].ima, VS_CONF_IMA_OFF);
	assert_false(c->tokens[0].collateral_required);
	assert_null(c->amd_kds);
	vs_conf_free(c);
	assert_ok(parse("[global]\nima-keys = /k\namd-kds = https://kdsintf.amd.com\n" HEAD
			"local-evidence = require\nlocal-collateral = require\nima = signed\n"
			"allowed-tcb = UpToDate, SWHardeningNeeded ,OutOfDate\n"
			"service-min-svn = 100\n",
			  &c, &err),
		&err);
	const struct vs_conf_token *t = &c->tokens[0];
	assert_int_equal(t->allowed_tcb,
		1U << VS_CONF_TCB_UP_TO_DATE | 1U << VS_CONF_TCB_SW_HARDENING |
			1U << VS_CONF_TCB_OUT_OF_DATE);
	assert_int_equal(t->ima, VS_CONF_IMA_SIGNED);
	assert_int_equal(t->service_min_svn, 100);
	assert_true(t->collateral_required);
	assert_string_equal(c->amd_kds, "https://kdsintf.amd.com");
	vs_conf_free(c);
}

static void
takes_measurements_of_either_length_in_either_case(void **state)
{
	(void)state;
#define B32 "0178240EFF4ef968efdcd735b8bcee63578c4eb9e4264178f747df149bf57bff"
	struct vs_err err = {0};
	struct vs_conf *c = NULL;
	assert_ok(parse(HEAD "service-evidence = require\nservice-measurements = " B32 ", " B32
			     "0123456789abcdef0123456789abcdef\n",
			  &c, &err),
		&err);
	const struct vs_conf_token *t = &c->tokens[0];
	assert_string_equal(t->service_measurements[0],
		"0178240eff4ef968efdcd735b8bcee63578c4eb9e4264178f747df149bf57bff");
	assert_int_equal(strlen(t->service_measurements[1]), 96);
	assert_null(t->service_measurements[2]);
	vs_conf_free(c);
}

static void
knows_loopback_from_look_alikes(void **state)
{
	(void)state;
	static const char *const yes[] = {"https://localhost", "https://a.localhost:1",
		"http://127.0.0.1:9", "https://127.9.9.9", "https://[::1]:7"};
	static const char *const no[] = {"https://localhost.evil.example",
		"https://127.evil.example", "https://notlocalhost", "https://128.0.0.1"};
	for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++)
		assert_true(vs_origin_is_loopback(yes[i]));
	for (size_t i = 0; i < sizeof no / sizeof no[0]; i++)
		assert_false(vs_origin_is_loopback(no[i]));
}

static void
names_each_setting_that_weakens(void **state)
{
	static const struct {
		const char *text, *words;
	} cases[] = {
		{HEAD, ""},
		{HEAD "pcrs = 0-7, 11-14\n", ""},
		{HEAD "pcrs = 0-6\n", "pcrs without 0-7 in data-keys"},
		{HEAD "pcrs = 16\n", "pcrs without 0-7 in data-keys"},
		{HEAD "raw-rsa = yes\n", "raw-rsa = yes in data-keys"},
		{HEAD "allowed-tcb = UpToDate, OutOfDate\n",
			"allowed-tcb beyond UpToDate in data-keys"},
		{"[global]\naudit = best-effort\naudit-checkpoint = off\n"
		 "proxy = http://proxy.example:3128\n" HEAD,
			"audit = best-effort; audit-checkpoint = off; all services through a "
			"proxy: "
			"http://proxy.example:3128"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct vs_err err = {0};
		struct vs_conf *c = NULL;
		char words[VS_CONF_WEAKENED_MAX], tiny[8];
		assert_ok(parse(cases[i].text, &c, &err), &err);
		assert_string_equal(vs_conf_weakened(c, words, sizeof words), cases[i].words);
		assert_true(strlen(vs_conf_weakened(c, tiny, sizeof tiny)) < sizeof tiny);
		vs_conf_free(c);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_the_documented_example),
		cmocka_unit_test(refuses_with_line_and_remedy),
		cmocka_unit_test(refuses_paths_that_the_module_cannot_hold),
		cmocka_unit_test(takes_a_lab_configuration),
		cmocka_unit_test(prints_defaults_that_it_takes_back),
		cmocka_unit_test(takes_what_is_said_about_collateral_and_measured_files),
		cmocka_unit_test(takes_measurements_of_either_length_in_either_case),
		cmocka_unit_test(knows_loopback_from_look_alikes),
		cmocka_unit_test(names_each_setting_that_weakens),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
