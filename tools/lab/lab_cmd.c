/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands that run inside the lab. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/file.h"
#include "base/secret.h"
#include "lab/lab_args.h"
#include "lab/lab_certs.h"
#include "lab/lab_ctl.h"
#include "lab/lab_entra.h"
#include "lab/lab_fault.h"
#include "lab/lab_maa.h"
#include "lab/lab_machine.h"
#include "lab/lab_skr.h"
#include "lab/lab_state.h"
#include "lab/lab_vault.h"

struct call {
	struct lab *lab;
	const char *cwd;
	struct lab_args args;
	struct vs_buf *out;
};

static VS_RC
pick_vault(const struct call *c, struct lab_vault **ret, struct vs_err *err)
{
	const char *name = lab_args_option(&c->args, "vault");
	static const struct {
		const char *name;
		bool mhsm;
	} names[] = {{"akv", false}, {"vault", false}, {"lab-vault", false}, {"mhsm", true},
		{"hsm", true}, {"lab-hsm", true}};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(name != NULL ? name : "akv", names[i].name) == 0) {
			*ret = names[i].mhsm ? c->lab->mhsm : c->lab->vault;
			return VS_OK;
		}
	VS_FAIL(err, USAGE, "--vault is akv or mhsm");
}

static const char *
vault_label(const struct lab_vault *v)
{
	return v->mhsm ? "lab-hsm" : "lab-vault";
}

/* ---- keys ----------------------------------------------------------------------------------- */

static VS_RC
read_policy(const struct call *c, bool mhsm, json_t **ret, struct vs_err *err)
{
	const char *file = lab_args_option(&c->args, "policy");
	char path[2048];
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {0};
	if (file == NULL) {
		VS_TRY(lab_state_policy(c->lab, &text, err));
	} else {
		(void)snprintf(path, sizeof(path), "%s%s%s", file[0] == '/' ? "" : c->cwd,
			file[0] == '/' ? "" : "/", file);
		VS_TRY(vs_file_read(path, LAB_SKR_MAX, VS_FILE_ANY, &text, err));
	}
	return lab_skr_parse(vs_buf_view(&text), mhsm, ret, err);
}

static VS_RC
read_form(const struct call *c, enum lab_pkcs8 *ret, struct vs_err *err)
{
	static const char *const names[] = {[LAB_PKCS8_AUTO] = "auto",
		[LAB_PKCS8_NAMED] = "named",
		[LAB_PKCS8_PUBLIC] = "public",
		[LAB_PKCS8_EXPLICIT] = "explicit"};
	const char *name = lab_args_option(&c->args, "pkcs8");
	for (int i = 0; i < 4; i++)
		if (strcmp(name != NULL ? name : "auto", names[i]) == 0) {
			*ret = (enum lab_pkcs8)i;
			return VS_OK;
		}
	VS_FAIL(err, USAGE, "--pkcs8 is auto, named, public or explicit");
}

static VS_RC
make_material(struct lab_new_key *spec, uint8_t oct[64], struct vs_err *err)
{
	if (strcmp(lab_key_row(spec->type)->kty, "oct") == 0) {
		spec->oct = oct;
		spec->n_oct = lab_key_row(spec->type)->bits / 8;
		return lab_random(oct, spec->n_oct, err);
	}
	spec->pkey = lab_keygen(spec->type);
	if (spec->pkey == NULL)
		VS_FAIL(err, CRYPTO, "the key pair could not be made");
	return VS_OK;
}

static VS_RC
add_key(struct lab_vault *v, const struct lab_new_key *spec, char id[33], struct vs_err *err)
{
	struct lab_version *version = NULL;
	vs_rc rc = VS_OK;
	pthread_mutex_lock(&v->lock);
	const struct lab_key *k = lab_key_find(v, spec->name);
	if (k != NULL && k->deleted != 0)
		rc = vs_err_put(err, VS_E_STATE, __func__, __LINE__, 0,
			"%s is deleted; its name cannot be used again", spec->name);
	else
		rc = lab_key_add(v, spec, &version, err);
	if (!vs_failed(rc))
		memcpy(id, version->id, 33);
	pthread_mutex_unlock(&v->lock);
	return rc;
}

static VS_RC
check_name(const char *name, struct vs_err *err)
{
	const size_t n = strlen(name);
	if (n < 1 || n > 127 ||
		strspn(name,
			"0123456789abcdefghijklmnopqrstuvwxyz"
			"ABCDEFGHIJKLMNOPQRSTUVWXYZ-") != n)
		VS_FAIL(err, USAGE, "a key's name has 1 to 127 letters, digits and hyphens");
	return VS_OK;
}

static VS_RC
key_create(struct call *c, struct vs_err *err)
{
	struct lab_vault *v = NULL;
	struct lab_new_key spec = {.name = c->args.words[0],
		.exportable = lab_args_option(&c->args, "not-exportable") == NULL,
		.immutable = lab_args_option(&c->args, "immutable") != NULL,
		.enabled = true};
	uint8_t oct[64] = {0};
	char id[33] = "";
	const char *type = lab_args_option(&c->args, "type");
	VS_TRY(pick_vault(c, &v, err));
	VS_TRY(check_name(spec.name, err));
	VS_TRY(read_form(c, &spec.pkcs8, err));
	spec.type = lab_key_type_parse(type != NULL ? type : "rsa-2048");
	if (spec.type == LAB_KEY_NONE)
		VS_FAIL(err, USAGE,
			"--type is rsa-2048, rsa-3072, rsa-4096, ec-p256, ec-p256k, ec-p384, "
			"ec-p521, oct-128, oct-192 or oct-256");
	if (!v->mhsm && strcmp(lab_key_row(spec.type)->kty, "oct") == 0)
		VS_FAIL(err, USAGE, "only a Managed HSM has symmetric keys: --vault mhsm");
	json_t *policy = NULL;
	if (spec.exportable)
		VS_TRY(read_policy(c, v->mhsm, &policy, err));
	spec.policy = policy;
	vs_rc rc = make_material(&spec, oct, err);
	if (!vs_failed(rc))
		rc = add_key(v, &spec, id, err);
	json_decref(policy);
	vs_wipe(oct, sizeof(oct));
	VS_TRY(rc);
	return vs_buf_addf(c->out, err, "%s/keys/%s/%s\n", lab_vault_url(v), spec.name, id);
}

static VS_RC
list_one(struct lab_vault *v, struct vs_buf *out, struct vs_err *err)
{
	vs_rc rc = VS_OK;
	pthread_mutex_lock(&v->lock);
	for (size_t i = 0; i < v->n_keys && !vs_failed(rc); i++) {
		const struct lab_key *k = v->keys[i];
		const struct lab_version *now = lab_key_version(k, NULL);
		rc = vs_buf_addf(out, err, "%s %s %s %s %s%s versions=%zu\n", vault_label(v),
			k->name, lab_key_row(now->type)->name, now->id,
			k->deleted != 0        ? "deleted"
				: now->enabled ? "enabled"
					       : "disabled",
			k->exportable ? "" : " not-exportable", k->n_versions);
	}
	pthread_mutex_unlock(&v->lock);
	return rc;
}

static VS_RC
key_list(struct call *c, struct vs_err *err)
{
	struct lab_vault *v = NULL;
	VS_TRY(pick_vault(c, &v, err));
	if (lab_args_option(&c->args, "vault") != NULL)
		return list_one(v, c->out, err);
	VS_TRY(list_one(c->lab->vault, c->out, err));
	return list_one(c->lab->mhsm, c->out, err);
}

enum change { DISABLE, ENABLE, DELETE, RECOVER };

static VS_RC
change_key(struct call *c, enum change change, struct vs_err *err)
{
	struct lab_vault *v = NULL;
	VS_TRY(pick_vault(c, &v, err));
	pthread_mutex_lock(&v->lock);
	struct lab_key *k = lab_key_find(v, c->args.words[0]);
	const bool there = k != NULL && (k->deleted == 0) == (change != RECOVER);
	if (there && change == DELETE)
		k->deleted = lab_now(c->lab);
	else if (there && change == RECOVER)
		k->deleted = 0;
	for (size_t i = 0; there && i < k->n_versions; i++)
		if (change == DISABLE || change == ENABLE) {
			k->versions[i]->enabled = change == ENABLE;
			k->versions[i]->updated = lab_now(c->lab);
		}
	pthread_mutex_unlock(&v->lock);
	if (!there)
		VS_FAIL(err, NOT_FOUND, "%s has no key %s; `vouchsafe-lab key list` shows them",
			vault_label(v), c->args.words[0]);
	return VS_OK;
}

static VS_RC
key_disable(struct call *c, struct vs_err *err)
{
	return change_key(c, DISABLE, err);
}

static VS_RC
key_enable(struct call *c, struct vs_err *err)
{
	return change_key(c, ENABLE, err);
}

static VS_RC
key_delete(struct call *c, struct vs_err *err)
{
	return change_key(c, DELETE, err);
}

static VS_RC
key_recover(struct call *c, struct vs_err *err)
{
	return change_key(c, RECOVER, err);
}

static VS_RC
key_rotate(struct call *c, struct vs_err *err)
{
	struct lab_vault *v = NULL;
	VS_TRY(pick_vault(c, &v, err));
	VS_CLEANUP(lab_resp_done) struct lab_resp resp = {.status = 500};
	lab_vault_rotate(v, c->args.words[0], false, &resp);
	if (resp.status != 200)
		VS_FAIL(err, NOT_FOUND, "%s: %s could not be rotated: HTTP %d", vault_label(v),
			c->args.words[0], resp.status);
	json_t *j = json_loadb((const char *)resp.body.p, resp.body.n, 0, NULL);
	const char *kid = json_string_value(json_object_get(json_object_get(j, "key"), "kid"));
	const vs_rc rc = vs_buf_addf(c->out, err, "%s\n", kid != NULL ? kid : "");
	json_decref(j);
	return rc;
}

static VS_RC
certificate_issue(struct call *c, struct vs_err *err)
{
	struct lab_vault *v = NULL;
	char file[160], path[LAB_PATH_MAX], relative[200];
	VS_TRY(pick_vault(c, &v, err));
	VS_TRY(check_name(c->args.words[0], err));
	(void)snprintf(file, sizeof(file), "%s%s", v->mhsm ? "hsm-" : "", c->args.words[0]);
	(void)snprintf(relative, sizeof(relative), "certs/%s.pem", file);
	VS_TRY(lab_path(c->lab, relative, path, err));
	VS_TRY(lab_certs_issue(v, c->args.words[0], file, err));
	VS_TRY(lab_state_write_conf(c->lab, err));
	return vs_buf_addf(c->out, err, "%s\n", path);
}

/* ---- machine, faults, tokens ---------------------------------------------------------------- */

static VS_RC
tamper(struct call *c, struct vs_err *err)
{
	char *words[LAB_WORDS_MAX + 1] = {NULL};
	VS_CLEANUP(vs_buf_done) struct vs_buf said = {0};
	for (size_t i = 0; i < c->args.n_words; i++)
		words[i] = (char *)(uintptr_t)c->args.words[i];
	VS_TRY(lab_machine_tamper(c->lab->machine, words, &said, err));
	if (said.n == 0)
		return VS_OK;
	return vs_buf_addf(c->out, err, "%s\n", vs_buf_cstr(&said));
}

static VS_RC
fault(struct call *c, struct vs_err *err)
{
	const char *name = c->args.words[0], *kind = c->args.words[1];
	struct lab *lab = c->lab;
	unsigned count = 0;
	if (c->args.n_words == 1 && strcmp(name, "list") == 0)
		return lab_fault_list(lab->faults, c->out, err);
	if (c->args.n_words == 1 && strcmp(name, "clear") == 0) {
		lab_fault_clear(lab->faults);
		for (int i = 0; i < LAB_SERVICES_COUNT_; i++)
			lab_server_sync(lab->server[i], false);
		return VS_OK;
	}
	const enum lab_service s = lab_service_parse(name);
	if (s == LAB_SERVICES_COUNT_ || kind == NULL)
		VS_FAIL(err, USAGE,
			"say which service (imds, entra, maa, vault, mhsm, maa-shared, "
			"maa-isolated) and which fault, `list` or `clear`");
	VS_TRY(lab_args_number(&c->args, "count", 0, &count, err));
	VS_TRY(lab_fault_set(lab->faults, (int)s, kind, count, lab_args_option(&c->args, "value"),
		lab_args_option(&c->args, "path"), err));
	lab_server_sync(lab->server[s], lab_fault_is_early(kind));
	return VS_OK;
}

static VS_RC
token(struct call *c, struct vs_err *err)
{
	VS_TRY(lab_maa_token(c->lab->maa, lab_args_option(&c->args, "expired") != NULL,
		lab_args_option(&c->args, "software-key") != NULL, c->out, err));
	return vs_buf_add_str(c->out, "\n", err);
}

static VS_RC
attestation_rotate(struct call *c, struct vs_err *err)
{
	return lab_maa_rotate(c->lab->maa, lab_args_option(&c->args, "forget") != NULL, err);
}

static VS_RC
attestation_keyset(struct call *c, struct vs_err *err)
{
	const char *word = c->args.words[0];
	if (strcmp(word, "short") != 0 && strcmp(word, "full") != 0)
		VS_FAIL(err, USAGE, "the key set is short or full");
	lab_maa_set_jwk_full(c->lab->maa, strcmp(word, "full") == 0);
	return VS_OK;
}

/* For tests of clients: an access token of one of the lab's identities. */
static VS_RC
access_token(struct call *c, struct vs_err *err)
{
	const char *audience = c->args.words[0];
	unsigned life = 0;
	if (!lab_entra_knows(audience))
		VS_FAIL(err, USAGE,
			"the audience is https://vault.azure.net, https://managedhsm.azure.net or "
			"https://attest.azure.net");
	VS_TRY(lab_args_number(&c->args, "life", 3599, &life, err));
	const bool expired = lab_args_option(&c->args, "expired") != NULL;
	VS_TRY(lab_entra_token(c->lab, LAB_ID_MACHINE, audience,
		expired ? -(int64_t)life : (int64_t)life, c->out, err));
	return vs_buf_add_str(c->out, "\n", err);
}

static VS_RC
throttle(struct call *c, struct vs_err *err)
{
	const char *word = c->args.words[0];
	struct lab_vault *v = c->lab->vault;
	if (strcmp(word, "on") != 0 && strcmp(word, "off") != 0)
		VS_FAIL(err, USAGE, "throttle is on or off");
	pthread_mutex_lock(&v->lock);
	v->throttle = strcmp(word, "on") == 0;
	v->n_recent = 0;
	pthread_mutex_unlock(&v->lock);
	return VS_OK;
}

static VS_RC
status(struct call *c, struct vs_err *err)
{
	const struct lab *lab = c->lab;
	VS_TRY(vs_buf_addf(
		c->out, err, "lab %s in %s, process %d\n", lab->id, lab->dir, (int)getpid()));
	for (int i = 0; i < LAB_SERVICES_COUNT_; i++)
		VS_TRY(vs_buf_addf(c->out, err, "%-6s %s requests=%llu\n",
			lab_service_name((enum lab_service)i), lab->url[i],
			(unsigned long long)lab_server_requests(lab->server[i])));
	VS_TRY(vs_buf_addf(c->out, err, "tpm    %s\n", lab_machine_tcti(lab->machine)));
	return lab_fault_list(lab->faults, c->out, err);
}

/* ---- table ---------------------------------------------------------------------------------- */

static const struct command {
	const char *first, *second; /* second NULL: one word */
	size_t min, max; /* words behind the command */
	const char *options;
	VS_RC (*run)(struct call *c, struct vs_err *err);
} commands[] = {
	{"key", "create", 1, 1, "type= vault= policy= pkcs8= immutable not-exportable", key_create},
	{"key", "list", 0, 0, "vault=", key_list},
	{"key", "disable", 1, 1, "vault=", key_disable},
	{"key", "enable", 1, 1, "vault=", key_enable},
	{"key", "rotate", 1, 1, "vault=", key_rotate},
	{"key", "delete", 1, 1, "vault=", key_delete},
	{"key", "recover", 1, 1, "vault=", key_recover},
	{"certificate", "issue", 1, 1, "vault=", certificate_issue},
	{"tamper", NULL, 1, 4, "", tamper},
	{"fault", NULL, 1, 2, "count= value= path=", fault},
	{"token", NULL, 0, 0, "expired software-key", token},
	{"attestation", "rotate", 0, 0, "forget", attestation_rotate},
	{"attestation", "keyset", 1, 1, "", attestation_keyset},
	{"access-token", NULL, 1, 1, "expired life=", access_token},
	{"throttle", NULL, 1, 1, "", throttle},
	{"status", NULL, 0, 0, "", status},
};

/* The row for these words, with what follows it taken apart. */
static VS_RC
find_command(const char *const *words, size_t n, struct lab_args *args, const struct command **ret,
	struct vs_err *err)
{
	bool known = false;
	for (size_t i = 0; n > 0 && i < sizeof(commands) / sizeof(commands[0]); i++) {
		const struct command *cmd = &commands[i];
		const size_t used = cmd->second != NULL ? 2 : 1;
		if (strcmp(cmd->first, words[0]) != 0)
			continue;
		known = true;
		if (cmd->second != NULL && (n < 2 || strcmp(cmd->second, words[1]) != 0))
			continue;
		VS_TRY(lab_args_parse(words + used, n - used, cmd->options, args, err));
		if (args->n_words < cmd->min)
			VS_FAIL(err, USAGE, "a word is missing");
		if (args->n_words > cmd->max)
			VS_FAIL(err, USAGE, "'%.60s' is one word too many", args->words[cmd->max]);
		*ret = cmd;
		return VS_OK;
	}
	if (known && n > 1)
		VS_FAIL(err, USAGE, "'%.60s' is nothing it does", words[1]);
	if (known)
		VS_FAIL(err, USAGE, "a word is missing");
	VS_FAIL(err, USAGE, "'%.60s' is no command", n > 0 ? words[0] : "");
}

VS_RC
lab_cmd_check(const char *const *words, size_t n, struct vs_err *err)
{
	struct lab_args args = {0};
	const struct command *cmd = NULL;
	return find_command(words, n, &args, &cmd, err);
}

VS_RC
lab_cmd_run(struct lab *lab, const char *cwd, const char *const *words, size_t n,
	struct vs_buf *out, struct vs_err *err)
{
	struct call c = {.lab = lab, .cwd = cwd, .out = out};
	const struct command *cmd = NULL;
	VS_TRY(find_command(words, n, &c.args, &cmd, err));
	return cmd->run(&c, err);
}
