/* SPDX-License-Identifier: BSD-2-Clause */
#include "lab/lab_up.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>

#include "base/codec.h"
#include "base/secret.h"
#include "lab/lab_certs.h"
#include "lab/lab_ctl.h"
#include "lab/lab_entra.h"
#include "lab/lab_fault.h"
#include "lab/lab_maa.h"
#include "lab/lab_machine.h"
#include "lab/lab_pki.h"
#include "lab/lab_skr.h"
#include "lab/lab_state.h"
#include "lab/lab_vault.h"

enum { FIRST_KEYS = 4 };

static const struct {
	const char *name;
	enum lab_key_type type;
	bool certificate;
} first_keys[FIRST_KEYS] = {
	{"rsa2048", LAB_KEY_RSA2048, true},
	{"rsa3072", LAB_KEY_RSA3072, false},
	{"ec256", LAB_KEY_P256, true},
	{"ec384", LAB_KEY_P384, false},
};

/* Keys that are being made while the machine boots. */
struct making {
	EVP_PKEY *keys[2][FIRST_KEYS];
	struct lab_keygen_pool *pool;
};

static VS_RC
begin_keys(struct lab *lab, struct making *m, struct vs_err *err)
{
	struct lab_keygen_job jobs[32];
	size_t n = 0, more = 0;
	/* the slow ones first */
	for (size_t i = 0; i < FIRST_KEYS; i++)
		for (size_t s = 0; s < 2; s++)
			if (first_keys[i].type == LAB_KEY_RSA3072)
				jobs[n++] =
					(struct lab_keygen_job){first_keys[i].type, &m->keys[s][i]};
	VS_TRY(lab_pki_alloc(&lab->pki, jobs + n, &more, err));
	n += more;
	VS_TRY(lab_entra_alloc(&lab->entra, jobs + n, &more, err));
	n += more;
	for (size_t i = 0; i < FIRST_KEYS; i++)
		for (size_t s = 0; s < 2; s++)
			if (first_keys[i].type != LAB_KEY_RSA3072)
				jobs[n++] =
					(struct lab_keygen_job){first_keys[i].type, &m->keys[s][i]};
	return lab_keygen_start(jobs, n, &m->pool, err);
}

static void
making_done(struct making *m)
{
	if (m->pool != NULL)
		(void)vs_failed(lab_keygen_wait(m->pool, NULL));
	for (size_t s = 0; s < 2; s++)
		for (size_t i = 0; i < FIRST_KEYS; i++)
			EVP_PKEY_free(m->keys[s][i]);
}

static VS_RC
end_keys(struct making *m, struct vs_err *err)
{
	struct lab_keygen_pool *pool = m->pool;
	m->pool = NULL;
	return lab_keygen_wait(pool, err);
}

static VS_RC
make_names(struct lab *lab, struct vs_err *err)
{
	uint8_t id[6] = {0};
	VS_TRY(lab_random(id, sizeof(id), err));
	vs_hex_str(id, sizeof(id), lab->id, sizeof(lab->id));
	VS_TRY(lab_guid(lab->tenant_id, err));
	VS_TRY(lab_guid(lab->subscription_id, err));
	return lab_guid(lab->vm_id, err);
}

/* ---- services ------------------------------------------------------------------------------- */

static const struct {
	lab_before *before;
	lab_handler *handle;
} entry[LAB_SERVICES_COUNT_] = {
	[LAB_IMDS] = {NULL, lab_imds_handle},
	[LAB_ENTRA] = {NULL, lab_entra_handle},
	[LAB_MAA] = {NULL, lab_maa_handle},
	[LAB_VAULT] = {lab_vault_before, lab_vault_handle},
	[LAB_MHSM] = {lab_vault_before, lab_vault_handle},
	[LAB_MAA_SHARED] = {NULL, lab_maa_handle},
	[LAB_MAA_ISOLATED] = {NULL, lab_maa_handle},
};

static VS_RC
open_services(struct lab *lab, struct vs_err *err)
{
	for (int i = 0; i < LAB_SERVICES_COUNT_; i++) {
		struct lab_server_spec spec = {
			.service = i, .before = entry[i].before, .handle = entry[i].handle};
		unsigned port = 0;
		if (i != LAB_IMDS)
			VS_TRY(lab_pki_tls(lab, i, &lab->tls[i], err));
		spec.tls = lab->tls[i];
		VS_TRY(lab_server_open(lab, &spec, &lab->server[i], &port, err));
		(void)snprintf(lab->url[i], LAB_URL_MAX,
			i == LAB_IMDS ? "http://127.0.0.1:%u" : "https://localhost:%u", port);
	}
	return VS_OK;
}

static VS_RC
add_first_keys(struct lab *lab, struct lab_vault *v, EVP_PKEY *keys[FIRST_KEYS], json_t *policy,
	struct vs_err *err)
{
	struct lab_version *version = NULL;
	char file[64];
	for (size_t i = 0; i < FIRST_KEYS; i++) {
		const struct lab_new_key spec = {.name = first_keys[i].name,
			.type = first_keys[i].type,
			.exportable = true,
			.enabled = true,
			.policy = policy,
			.pkey = keys[i]};
		VS_TRY(lab_key_add(v, &spec, &version, err));
		keys[i] = NULL;
		(void)snprintf(
			file, sizeof(file), "%s%s", v->mhsm ? "hsm-" : "", first_keys[i].name);
		if (first_keys[i].certificate)
			VS_TRY(lab_certs_issue(v, first_keys[i].name, file, err));
	}
	if (!v->mhsm)
		return VS_OK;
	uint8_t oct[32] = {0};
	VS_TRY(lab_random(oct, sizeof(oct), err));
	const struct lab_new_key aes = {.name = "aes256",
		.type = LAB_KEY_OCT256,
		.exportable = true,
		.enabled = true,
		.policy = policy,
		.oct = oct,
		.n_oct = sizeof(oct)};
	const vs_rc rc = lab_key_add(v, &aes, &version, err);
	vs_wipe(oct, sizeof(oct));
	(void)lab;
	return rc;
}

/* The vaults' first keys have the default policy in each flavour's own writing. */
static VS_RC
fill_vault(struct lab *lab, struct lab_vault *v, EVP_PKEY *keys[FIRST_KEYS], struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {0};
	json_t *policy = NULL;
	VS_TRY(lab_state_policy(lab, &text, err));
	VS_TRY(lab_skr_parse(vs_buf_view(&text), v->mhsm, &policy, err));
	const vs_rc rc = add_first_keys(lab, v, keys, policy, err);
	json_decref(policy);
	return rc;
}

static VS_RC
start_all(struct lab *lab, const struct lab_options *o, struct making *m, struct vs_err *err)
{
	lab->vm = o->vm;
	VS_TRY(make_names(lab, err));
	VS_TRY(lab_faults_new(&lab->faults, err));
	VS_TRY(begin_keys(lab, m, err));
	VS_TRY(lab_machine_start(lab, &lab->machine, err));
	VS_TRY(end_keys(m, err));
	VS_TRY(lab_pki_issue_all(lab, err));
	VS_TRY(open_services(lab, err));
	VS_TRY(lab_entra_ready(lab, err));
	VS_TRY(lab_maa_new(lab, &lab->maa, err));
	VS_TRY(lab_maa_add_providers(lab->maa, lab->entra->cert_key, err));
	VS_TRY(lab_vault_new(lab, LAB_VAULT, &lab->vault, err));
	VS_TRY(lab_vault_new(lab, LAB_MHSM, &lab->mhsm, err));
	lab->vault->throttle = o->throttle;
	VS_TRY(fill_vault(lab, lab->vault, m->keys[0], err));
	VS_TRY(fill_vault(lab, lab->mhsm, m->keys[1], err));
	VS_TRY(lab_state_write_trust(lab, err));
	for (int i = 0; i < LAB_SERVICES_COUNT_; i++)
		VS_TRY(lab_server_start(lab->server[i], err));
	VS_TRY(lab_ctl_start(lab, &lab->ctl, err));
	return lab_state_write(lab, err);
}

VS_RC
lab_start(struct lab *lab, const struct lab_options *options, struct vs_err *err)
{
	VS_TRY(lab_state_make(lab, err));
	struct making m = {0};
	const vs_rc rc = start_all(lab, options, &m, err);
	making_done(&m);
	if (vs_failed(rc)) {
		lab_stop(lab);
		lab_state_remove(lab, false);
	}
	return rc;
}

uint64_t
lab_activity(const struct lab *lab)
{
	uint64_t n = lab_ctl_commands(lab->ctl);
	for (int i = 0; i < LAB_SERVICES_COUNT_; i++)
		n += lab_server_requests(lab->server[i]);
	return n;
}

void
lab_stop(struct lab *lab)
{
	lab_ctl_stop(lab->ctl);
	lab->ctl = NULL;
	for (int i = 0; i < LAB_SERVICES_COUNT_; i++) {
		lab_server_stop(lab->server[i]);
		SSL_CTX_free(lab->tls[i]);
		lab->server[i] = NULL;
		lab->tls[i] = NULL;
	}
	lab_maa_free(lab->maa);
	lab_machine_stop(lab->machine);
	lab_vault_free(lab->vault);
	lab_vault_free(lab->mhsm);
	lab_entra_free(lab->entra);
	lab_pki_free(lab->pki);
	lab_faults_free(lab->faults);
	lab->maa = NULL;
	lab->machine = NULL;
	lab->vault = lab->mhsm = NULL;
	lab->entra = NULL;
	lab->pki = NULL;
	lab->faults = NULL;
}
