/* SPDX-License-Identifier: BSD-2-Clause */
#include "lab/lab_machine.h"
#include "lab/lab_machine_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/rand.h>

#include "base/file.h"
#include "lab/lab.h"

enum { TPM_CC_NV_READ = 0x14e, TPM_ST_SESSIONS = 0x8002 };

vs_rc
lab_rsa_public(const uint8_t *n, size_t size, EVP_PKEY **ret, struct vs_err *err)
{
	BIGNUM *bn = BN_bin2bn(n, (int)size, NULL), *e = BN_new();
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	OSSL_PARAM *params = NULL;
	EVP_PKEY *key = NULL;
	const bool ok = bn && e && bld && ctx && BN_set_word(e, 65537) == 1 &&
		OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, bn) == 1 &&
		OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, e) == 1 &&
		(params = OSSL_PARAM_BLD_to_param(bld)) && EVP_PKEY_fromdata_init(ctx) == 1 &&
		EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) == 1;
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(bld);
	EVP_PKEY_CTX_free(ctx);
	BN_free(bn);
	BN_free(e);
	if (!ok)
		return lab_ossl_fail("cannot use an RSA key", err);
	*ret = key;
	return VS_OK;
}

/* What the paravisor does: claims with the guest's user data, a report over them, the index. */
vs_rc
lab_machine_refresh(struct lab_machine *m, struct vs_err *err)
{
	if (m->trusted_launch)
		return VS_OK;
	VS_CLEANUP(vs_buf_done) struct vs_buf json = {0}, blob = {0};
	uint8_t user_data[LAB_USER_DATA_SIZE], report[LAB_SNP_SIZE];
	VS_TRY(lab_tpm_read_user_data(m->tpm, user_data, err));
	const struct lab_identity *id = m->foreign ? m->foreign : &m->self;
	const struct lab_runtime rt = {
		.ak_n = id->ak_n,
		.secure_boot = m->secure_boot,
		.vm_id_upper = id->vm_id_upper,
		.user_data = user_data,
	};
	VS_TRY(lab_runtime_json(&rt, &json, err));
	const struct lab_snp snp = {
		.chip = id->chip,
		.sign_with = m->sign_with,
		.policy = LAB_SNP_POLICY | (m->debug ? LAB_SNP_POLICY_DEBUG : 0) |
			(m->migratable ? LAB_SNP_POLICY_MIGRATE : 0),
		.vmpl = m->vmpl,
		.paravisor = m->other_paravisor ? "Vouchsafe LAB unknown paravisor" : LAB_PARAVISOR,
		.runtime_json = vs_buf_view(&json),
		.report_id = id->report_id,
	};
	VS_TRY(lab_snp_report(&snp, report, err));
	VS_TRY(lab_hcl_blob(report, vs_buf_view(&json), &blob, err));
	return lab_tpm_write_platform(m->tpm, LAB_NV_REPORT, vs_buf_view(&blob), err);
}

/* TPM2_NV_Read of the report from its first byte. */
static bool
reads_report(const uint8_t *cmd, size_t n)
{
	struct vs_reader r = vs_reader_of(vs_bytes_of(cmd, n));
	const uint16_t tag = vs_get_be16(&r);
	(void)vs_get_be32(&r);
	const uint32_t cc = vs_get_be32(&r);
	(void)vs_get_be32(&r);
	const uint32_t index = vs_get_be32(&r);
	return !r.bad && tag == TPM_ST_SESSIONS && cc == TPM_CC_NV_READ && index == LAB_NV_REPORT &&
		r.left >= 4 && cmd[n - 2] == 0 && cmd[n - 1] == 0;
}

/* Whether this reading of the report gets a new one. */
static bool
refreshes(struct lab_machine *m)
{
	if (m->stale_forever)
		return false;
	if (m->stale_readings > 0) {
		m->stale_readings--;
		return false;
	}
	return true;
}

static vs_rc
on_command(void *arg, pid_t peer, const uint8_t *cmd, size_t n, uint8_t *rsp, size_t *rsp_n,
	struct vs_err *err)
{
	struct lab_machine *m = arg;
	const size_t room = *rsp_n;
	pthread_mutex_lock(&m->lock);
	vs_rc rc = VS_OK;
	if (reads_report(cmd, n) && refreshes(m))
		rc = lab_machine_refresh(m, err);
	if (!vs_failed(rc))
		rc = lab_tpm_exchange(m->tpm, cmd, n, rsp, rsp_n, err);
	if (!vs_failed(rc) && lab_rm_full(vs_bytes_of(rsp, *rsp_n)) &&
		lab_rm_clean(&m->rm, m->tpm)) {
		*rsp_n = room;
		rc = lab_tpm_exchange(m->tpm, cmd, n, rsp, rsp_n, err);
	}
	if (!vs_failed(rc))
		lab_rm_note(&m->rm, peer, vs_bytes_of(cmd, n), vs_bytes_of(rsp, *rsp_n));
	pthread_mutex_unlock(&m->lock);
	return rc;
}

/* A real machine's kernel shares out its TPM by itself. */
static vs_rc
on_guest(void *arg, pid_t peer, const uint8_t *cmd, size_t n, uint8_t *rsp, size_t *rsp_n,
	struct vs_err *err)
{
	struct lab_machine *m = arg;
	(void)peer;
	pthread_mutex_lock(&m->lock);
	vs_rc rc = VS_OK;
	if (reads_report(cmd, n) && refreshes(m))
		rc = lab_machine_refresh(m, err);
	if (!vs_failed(rc))
		rc = lab_tpm_exchange(m->tpm, cmd, n, rsp, rsp_n, err);
	pthread_mutex_unlock(&m->lock);
	return rc;
}

static vs_rc
on_power(void *arg, struct vs_err *err)
{
	struct lab_machine *m = arg;
	pthread_mutex_lock(&m->lock);
	const vs_rc rc = lab_machine_reboot(m, err);
	pthread_mutex_unlock(&m->lock);
	return rc;
}

vs_rc
lab_machine_write_log(struct lab_machine *m, struct vs_bytes log, struct vs_err *err)
{
	return vs_file_replace(m->event_log, 0600, log, err);
}

/* What the platform does with its indices while it still may. */
static vs_rc
set_indices(struct lab_machine *m, struct vs_err *err)
{
	if (lab_tpm_has_index(m->tpm, LAB_NV_REPORT) == m->trusted_launch)
		VS_TRY(lab_tpm_renew_platform(m->tpm, LAB_NV_REPORT, !m->trusted_launch, err));
	if (m->ak_cert_missing)
		VS_TRY(lab_tpm_renew_platform(m->tpm, LAB_NV_AK_CERT, true, err));
	return VS_OK;
}

/* Firmware, boot loader and kernel of a real machine measure themselves; they also lock. */
static vs_rc
hand_over(struct lab_machine *m, struct vs_err *err)
{
	VS_TRY(set_indices(m, err));
	return lab_machine_refresh(m, err);
}

vs_rc
lab_machine_boot(struct lab_machine *m, struct vs_err *err)
{
	if (m->lab->vm)
		return hand_over(m, err);
	uint16_t algs[LAB_BANKS_MAX];
	size_t n_algs = 0;
	VS_TRY(lab_tpm_banks(m->tpm, algs, &n_algs, err));
	const struct lab_boot_spec spec = {
		.roots = m->roots,
		.secure_boot = m->secure_boot,
		.vm_id_upper = m->self.vm_id_upper,
		.algs = algs,
		.n_algs = n_algs,
	};
	VS_TRY(lab_boot_make(&spec, &m->boot, err));
	for (size_t i = 0; i < m->boot.n; i++)
		VS_TRY(lab_tpm_extend(
			m->tpm, m->boot.events[i].pcr, &m->boot.events[i].digests, err));
	VS_TRY(lab_machine_write_log(m, vs_buf_view(&m->boot.log), err));
	VS_TRY(set_indices(m, err));
	VS_TRY(lab_machine_refresh(m, err));
	return lab_tpm_lock_platform(m->tpm, err);
}

vs_rc
lab_machine_reboot(struct lab_machine *m, struct vs_err *err)
{
	VS_TRY(lab_tpm_reset(m->tpm, err));
	m->rm.n = 0;
	return lab_machine_boot(m, err);
}

vs_rc
lab_machine_certify_ak(struct lab_machine *m, const uint8_t n[256], struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf der = {0};
	EVP_PKEY *key = NULL;
	VS_TRY(lab_rsa_public(n, 256, &key, err));
	vs_rc rc = lab_roots_ak_cert(m->roots, key, &der, err);
	EVP_PKEY_free(key);
	VS_TRY(rc);
	return lab_tpm_write_platform(m->tpm, LAB_NV_AK_CERT, vs_buf_view(&der), err);
}

vs_rc
lab_machine_install_ak(
	struct lab_machine *m, enum lab_ak_kind kind, uint8_t n[256], struct vs_err *err)
{
	TPM2B_PUBLIC pub;
	VS_TRY(lab_tpm_set_ak(m->tpm, kind, &pub, err));
	VS_REQUIRE(err, pub.publicArea.unique.rsa.size == 256);
	memcpy(n, pub.publicArea.unique.rsa.buffer, 256);
	return VS_OK;
}

/* Everything of the factory: keys, certificate, indices. */
static vs_rc
provision(struct lab_machine *m, struct vs_err *err)
{
	VS_TRY(lab_machine_install_ak(m, LAB_AK_GENUINE, m->self.ak_n, err));
	VS_TRY(lab_tpm_define_platform(m->tpm, LAB_NV_AK_CERT, err));
	return lab_machine_certify_ak(m, m->self.ak_n, err);
}

static vs_rc
set_identity(struct lab_machine *m, const char *vm_id, struct vs_err *err)
{
	struct lab_identity *id = &m->self;
	VS_REQUIRE(err, strlen(vm_id) == sizeof id->vm_id_upper - 1);
	for (size_t i = 0; i < sizeof id->vm_id_upper; i++)
		id->vm_id_upper[i] = vm_id[i] >= 'a' && vm_id[i] <= 'f'
			? (char)(vm_id[i] - 'a' + 'A')
			: vm_id[i];
	if (RAND_bytes(id->report_id, sizeof id->report_id) != 1)
		return lab_ossl_fail("no random bytes", err);
	return VS_OK;
}

static vs_rc
set_paths(struct lab_machine *m, const char *dir, struct vs_err *err)
{
	const bool fits = (size_t)snprintf(m->dir, sizeof m->dir, "%s", dir) < sizeof m->dir &&
		(size_t)snprintf(m->tpm_dir, sizeof m->tpm_dir, "%s/machine", dir) <
			sizeof m->tpm_dir &&
		(size_t)snprintf(m->socket, sizeof m->socket, "%s/tpm.sock", dir) <
			sizeof m->socket &&
		(size_t)snprintf(m->tcti, sizeof m->tcti, "swtpm:path=%s/tpm.sock", dir) <
			sizeof m->tcti &&
		(size_t)snprintf(m->event_log, sizeof m->event_log, "%s/eventlog.bin", dir) <
			sizeof m->event_log;
	if (!fits)
		VS_FAIL(err, LIMIT, "the path of the lab's directory is too long");
	return VS_OK;
}

struct roots_job {
	struct lab_roots *roots;
	struct vs_err err;
	vs_rc rc;
};

static void *
roots_thread(void *arg)
{
	struct roots_job *job = arg;
	job->rc = lab_roots_new(&job->roots, &job->err);
	return NULL;
}

/* Making the roots' keys takes as long as starting and provisioning the TPM: side by side. */
static vs_rc
start_tpm_and_roots(struct lab_machine *m, struct lab_roots *roots, struct vs_err *err)
{
	struct roots_job job = {.rc = VS_OK};
	pthread_t thread;
	bool threaded = false;
	if (roots)
		job.roots = lab_roots_ref(roots);
	else
		threaded = pthread_create(&thread, NULL, roots_thread, &job) == 0;
	if (!roots && !threaded)
		roots_thread(&job);
	const vs_rc rc = lab_tpm_start(m->tpm_dir, &m->tpm, err);
	if (threaded)
		pthread_join(thread, NULL);
	m->roots = job.roots;
	VS_TRY(rc);
	if (vs_failed(job.rc) && err)
		*err = job.err;
	VS_TRY(job.rc);
	return lab_chip_new(m->roots, &m->self.chip, err);
}

static vs_rc
start(struct lab_machine *m, const char *dir, const char *vm_id, struct lab_roots *roots,
	struct vs_err *err)
{
	VS_TRY(set_paths(m, dir, err));
	VS_TRY(set_identity(m, vm_id, err));
	VS_TRY(start_tpm_and_roots(m, roots, err));
	VS_TRY(provision(m, err));
	VS_TRY(lab_machine_boot(m, err));
	if (m->lab->vm)
		return lab_vm_start(m->socket, on_guest, on_power, m, &m->vm, err);
	return lab_proxy_start(m->socket, on_command, m, &m->proxy, err);
}

static vs_rc
start_new(struct lab *lab, const char *dir, const char *vm_id, struct lab_roots *roots,
	struct lab_machine **ret, struct vs_err *err)
{
	struct lab_machine *m = calloc(1, sizeof *m);
	if (!m)
		VS_FAIL(err, MEMORY, "out of memory");
	pthread_mutex_init(&m->lock, NULL);
	m->lab = lab;
	m->secure_boot = true;
	const vs_rc rc = start(m, dir, vm_id, roots, err);
	if (vs_failed(rc)) {
		lab_machine_stop(m);
		return rc;
	}
	*ret = m;
	return VS_OK;
}

vs_rc
lab_machine_start(struct lab *lab, struct lab_machine **ret, struct vs_err *err)
{
	return start_new(lab, lab->dir, lab->vm_id, NULL, ret, err);
}

vs_rc
lab_machine_start_beside(const struct lab_machine *first, const char *dir, const char *vm_id,
	struct lab_machine **ret, struct vs_err *err)
{
	return start_new(first->lab, dir, vm_id, first->roots, ret, err);
}

void
lab_machine_stop(struct lab_machine *m)
{
	if (!m)
		return;
	lab_proxy_stop(m->proxy);
	lab_vm_stop(m->vm);
	lab_tpm_stop(m->tpm);
	lab_identity_free(m->foreign);
	lab_chip_free(m->self.chip);
	EVP_PKEY_free(m->sign_with);
	lab_boot_done(&m->boot);
	lab_roots_free(m->roots);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

void
lab_identity_free(struct lab_identity *id)
{
	if (!id)
		return;
	lab_chip_free(id->chip);
	free(id);
}

const char *
lab_machine_tcti(const struct lab_machine *m)
{
	return m->tcti;
}

const char *
lab_machine_event_log(const struct lab_machine *m)
{
	return m->event_log;
}

int
lab_machine_pid(const struct lab_machine *m)
{
	return (int)lab_tpm_pid(m->tpm);
}

enum lab_token_defect
lab_machine_token_defect(const struct lab_machine *m)
{
	return (enum lab_token_defect)__atomic_load_n(&m->token_defect, __ATOMIC_SEQ_CST);
}

const struct lab_roots *
lab_machine_roots(const struct lab_machine *m)
{
	return m->roots;
}

vs_rc
lab_machine_thim(struct lab_machine *m, struct vs_buf *json, struct vs_err *err)
{
	pthread_mutex_lock(&m->lock);
	const struct lab_identity *id = m->foreign ? m->foreign : &m->self;
	const vs_rc rc = lab_thim_json(m->roots, id->chip, json, err);
	pthread_mutex_unlock(&m->lock);
	return rc;
}
