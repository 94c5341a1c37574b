/* SPDX-License-Identifier: BSD-2-Clause */
#include "evidence/ev_azguest.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "base/file.h"
#include "base/log.h"
#include "evidence/ev_crypto.h"
#include "evidence/hcl.h"
#include "evidence/ima.h"
#include "evidence/quote.h"
#include "evidence/tpm.h"

enum {
	DEFAULT_PCRS = 0xFF,
	EVENT_LOG_MAX = 4 << 20,
	RACES_MAX = 5,
	WAIT_FIRST_MS = 200,
	/* The paravisor makes a new report when its last one is older than two seconds. */
	WAIT_LONGEST_MS = 3000,
	REPORT_TRIES_MAX = 64,
	READ_MS = 100, /* left for one more reading, else waiting is of no use */
	SHORT_JOB_S = 30,
};
#define NS_PER_S 1000000000LL

struct azguest {
	char *tcti, *lock_path, *event_log, *ima_log;
	uint32_t pcr_mask;
	struct vs_clock clock;
	struct vs_rng rng;
	struct vs_log log;
	const struct vs_tpm_fault *fault;
	struct vs_buf key_context; /* the transport key, saved; empty before collect */
	uint8_t pcr[VS_PCRS_MAX][32]; /* what its policy is bound to */
};

static vs_rc
open_tpm(struct azguest *g, int64_t deadline_boot_ns, struct vs_tpm **ret, struct vs_err *err)
{
	const struct vs_tpm_env env = {
		.tcti = g->tcti, .lock_path = g->lock_path, .clock = g->clock, .fault = g->fault};
	return vs_tpm_open(&env, deadline_boot_ns, ret, err);
}

static void
closep(struct vs_tpm **tpm)
{
	vs_tpm_close(*tpm);
}

static int64_t
in_seconds(const struct azguest *g, int64_t s)
{
	return g->clock.ops->boot_ns(g->clock.self) + s * NS_PER_S;
}

/* ---- hardware report ------------------------------------------------------------------------ */

/* One reading. *ret_fresh says whether the report contains our user data. */
static vs_rc
read_report(struct vs_tpm *tpm, const uint8_t user_data[VS_USER_DATA_BYTES], struct vs_evidence *ev,
	bool *ret_fresh, struct vs_err *err)
{
	struct vs_hcl hcl;
	struct vs_runtime rt;
	VS_TRY(vs_tpm_nv_read(tpm, VS_TPM_NV_HCL, &ev->hcl, err));
	VS_TRY(vs_hcl_parse(vs_buf_view(&ev->hcl), &hcl, err));
	VS_TRY(vs_runtime_parse(hcl.json, &rt, err));
	if (!rt.has_user_data)
		VS_FAIL(err, EVIDENCE_STALE,
			"this machine's paravisor makes its report at boot only and takes no user "
			"data, so "
			"the report cannot be fresh: redeploy the virtual machine on a newer host");
	ev->tee = hcl.tee;
	VS_TRY(vs_buf_set(&ev->hw_report, hcl.report.p, hcl.report.n, err));
	VS_TRY(vs_buf_set(&ev->runtime_json, hcl.json.p, hcl.json.n, err));
	*ret_fresh = vs_ct_eq(rt.user_data, user_data, VS_USER_DATA_BYTES);
	return VS_OK;
}

/* An old report is never sent (T-A8): read again until ours is in it, or fail. */
static vs_rc
await_report(struct vs_tpm *tpm, const uint8_t user_data[VS_USER_DATA_BYTES],
	struct vs_evidence *ev, struct vs_err *err)
{
	int wait_ms = WAIT_FIRST_MS;
	for (int i = 0; i < REPORT_TRIES_MAX; i++) {
		bool fresh = false;
		VS_TRY(read_report(tpm, user_data, ev, &fresh, err));
		if (fresh)
			return VS_OK;
		const int left_ms = vs_tpm_left_ms(tpm) - READ_MS;
		if (left_ms <= 0)
			break;
		(void)poll(NULL, 0, wait_ms < left_ms ? wait_ms : left_ms);
		wait_ms = wait_ms * 2 > WAIT_LONGEST_MS ? WAIT_LONGEST_MS : wait_ms * 2;
	}
	VS_FAIL(err, EVIDENCE_STALE,
		"the hardware report in NV 0x01400001 does not contain the data just written to "
		"0x01400002: it is an old one, and an old one is not sent");
}

/* ---- keys and quote ------------------------------------------------------------------------- */

/* The index is padded with zeros; the certificate says itself how long it is. */
static vs_rc
trim_certificate(struct vs_buf *cert, struct vs_err *err)
{
	struct vs_reader r = vs_reader_of(vs_buf_view(cert));
	const uint8_t tag = vs_get_u8(&r);
	const uint8_t form = vs_get_u8(&r);
	const size_t n = vs_get_be16(&r);
	if (r.bad || tag != 0x30 || form != 0x82 || n > r.left)
		VS_FAIL(err, EVIDENCE, "NV 0x01C101D0 does not hold an X.509 certificate");
	cert->n = n + 4;
	return VS_OK;
}

static vs_rc
read_ak(struct azguest *g, struct vs_tpm *tpm, struct vs_evidence *ev, struct vs_err *err)
{
	bool exists = false;
	VS_TRY(vs_tpm_exists(tpm, VS_TPM_NV_AK_CERT, &exists, err));
	if (exists) {
		VS_TRY(vs_tpm_nv_read(tpm, VS_TPM_NV_AK_CERT, &ev->ak_cert, err));
		VS_TRY(trim_certificate(&ev->ak_cert, err));
	} else {
		vs_log(&g->log, VS_LOG_WARN, "evidence",
			"NV 0x01C101D0 is not defined: the attestation key has no certificate");
	}
	vs_rc rc = vs_tpm_read_public(tpm, VS_TPM_AK_HANDLE, &ev->ak_public_2b, err);
	if (rc.code == VS_E_NOT_FOUND)
		VS_FAIL(err, EVIDENCE,
			"this TPM has no attestation key at 0x81000003: the machine is not an "
			"Azure virtual "
			"machine with a vTPM (Trusted Launch or confidential)");
	return rc;
}

static vs_rc
make_key(struct azguest *g, struct vs_tpm *tpm, struct vs_evidence *ev, uint32_t *ret_handle,
	struct vs_err *err)
{
	uint8_t digest[32], policy[32], unique[256];
	VS_TRY(vs_pcr_digest(ev->pcr_mask, (const uint8_t(*)[32])ev->pcr, digest, err));
	VS_TRY(vs_policy_pcr(ev->pcr_mask, digest, policy, err));
	VS_TRY(g->rng.ops->fill(g->rng.self, unique, sizeof unique, err));
	VS_TRY(vs_tpm_make_transport(tpm, policy, unique, ret_handle, &ev->enc_public_2b, err));
	const struct vs_bytes nonce = {ev->nonce, sizeof ev->nonce};
	VS_TRY(vs_tpm_certify(tpm, *ret_handle, VS_TPM_AK_HANDLE, nonce, &ev->enc_certify,
		&ev->enc_certify_sig, err));
	struct vs_tpm_public public;
	VS_TRY(vs_tpm_public_parse(vs_buf_view(&ev->enc_public_2b), &public, err));
	VS_TRY(vs_buf_set(&ev->enc_n, public.n.p, public.n.n, err));
	ev->enc_e = public.exponent;
	return VS_OK;
}

/* Quote, and is it about the values that the key was bound to? */
static vs_rc
quote(struct vs_tpm *tpm, struct vs_evidence *ev, bool *ret_same, struct vs_err *err)
{
	const struct vs_bytes nonce = {ev->nonce, sizeof ev->nonce};
	VS_TRY(vs_tpm_quote(
		tpm, VS_TPM_AK_HANDLE, ev->pcr_mask, nonce, &ev->quote, &ev->quote_sig, err));
	struct vs_tpm_attest a;
	uint8_t digest[32];
	VS_TRY(vs_tpm_attest_parse(vs_buf_view(&ev->quote), &a, err));
	VS_TRY(vs_pcr_digest(ev->pcr_mask, (const uint8_t(*)[32])ev->pcr, digest, err));
	if (a.type != VS_ATTEST_QUOTE || !vs_bytes_eq(a.extra, nonce) || a.n_banks != 1 ||
		a.banks[0].alg != VS_TPM_ALG_SHA256 || a.banks[0].mask != ev->pcr_mask)
		VS_FAIL(err, TPM, "the TPM's quote is not the one that was asked for");
	ev->reset_count = a.reset_count;
	ev->restart_count = a.restart_count;
	*ret_same = vs_bytes_eq(a.pcr_digest, (struct vs_bytes){digest, sizeof digest});
	return VS_OK;
}

/* PCRs, the key bound to them and the quote over them must be of one moment: else all again. */
static vs_rc
quote_and_key(struct azguest *g, struct vs_tpm *tpm, struct vs_evidence *ev, struct vs_err *err)
{
	for (int i = 0; i < RACES_MAX; i++) {
		uint32_t handle = 0;
		bool same = false;
		VS_TRY(vs_tpm_pcr_read(tpm, ev->pcr_mask, ev->pcr, err));
		VS_TRY(make_key(g, tpm, ev, &handle, err));
		VS_TRY(quote(tpm, ev, &same, err));
		if (same) {
			VS_TRY(vs_tpm_context_save(tpm, handle, &g->key_context, err));
			memcpy(g->pcr, ev->pcr, sizeof g->pcr);
			return VS_OK;
		}
		vs_tpm_flush(tpm, handle);
	}
	VS_FAIL(err, EVIDENCE, "the PCRs change faster than they can be quoted");
}

/* ---- provider ------------------------------------------------------------------------------- */

static void
read_log(struct azguest *g, const char *path, size_t max, struct vs_buf *out)
{
	if (path == NULL)
		return;
	struct vs_err why = {0};
	out->max = max;
	const vs_rc rc = vs_file_read(path, max, VS_FILE_KERNEL, out, &why);
	if (!vs_failed(rc))
		return;
	/* A missing log is a normal state of a machine; what needs one will say so. */
	vs_buf_reset(out);
	vs_log_err(&g->log, VS_LOG_WARN, "evidence", "a log is not there", &why);
}

/*
 * PCR 10 is extended with every file that is measured: a quote of its own, so that the transport
 * key is not bound to it. The list is read afterwards and is ahead of the quote.
 */
static vs_rc
quote_ima(struct azguest *g, struct vs_tpm *tpm, struct vs_evidence *ev, struct vs_err *err)
{
	const struct vs_bytes nonce = {ev->nonce, sizeof ev->nonce};
	if (g->ima_log == NULL)
		return VS_OK;
	return vs_tpm_quote(tpm, VS_TPM_AK_HANDLE, 1U << VS_IMA_PCR, nonce, &ev->ima_quote,
		&ev->ima_quote_sig, err);
}

static vs_rc
azguest_collect(void *self, const uint8_t nonce[VS_NONCE_BYTES], int64_t deadline_boot_ns,
	struct vs_evidence *ret, struct vs_err *err)
{
	struct azguest *g = self;
	VS_CLEANUP(vs_evidence_done)
	struct vs_evidence ev = {.kind = VS_EVIDENCE_AZURE_GUEST, .pcr_mask = g->pcr_mask};
	memcpy(ev.nonce, nonce, VS_NONCE_BYTES);
	uint8_t user_data[VS_USER_DATA_BYTES] = {0};
	VS_TRY(vs_ev_sha256((struct vs_bytes){nonce, VS_NONCE_BYTES}, user_data, err));

	VS_CLEANUP(closep) struct vs_tpm *tpm = NULL;
	VS_TRY(open_tpm(g, deadline_boot_ns, &tpm, err));
	bool confidential = false, fresh = false;
	VS_TRY(vs_tpm_exists(tpm, VS_TPM_NV_HCL, &confidential, err));
	ev.tee = VS_TEE_TRUSTED_LAUNCH;
	if (confidential) {
		VS_TRY(vs_tpm_write_user_data(tpm, user_data, err));
		VS_TRY(read_report(tpm, user_data, &ev, &fresh, err));
	}
	VS_TRY(read_ak(g, tpm, &ev, err));
	VS_TRY(quote_and_key(g, tpm, &ev, err));
	if (confidential && !fresh)
		VS_TRY(await_report(tpm, user_data, &ev, err));
	VS_TRY(quote_ima(g, tpm, &ev, err));
	read_log(g, g->event_log, EVENT_LOG_MAX, &ev.event_log);
	read_log(g, g->ima_log, VS_IMA_MAX, &ev.ima_list);
	*ret = ev;
	ev = (struct vs_evidence){.kind = VS_EVIDENCE_NONE};
	return VS_OK;
}

/* Say which PCR it was; the refusal stands whatever comes out here. */
static void
name_changed_pcrs(struct azguest *g, struct vs_tpm *tpm, vs_rc refused, struct vs_err *err)
{
	uint8_t now[VS_PCRS_MAX][32];
	char list[VS_PCRS_MAX * 4] = "";
	size_t n = 0;
	if (vs_failed(vs_tpm_pcr_read(tpm, g->pcr_mask, now, NULL)))
		return;
	for (unsigned i = 0; i < VS_PCRS_MAX; i++) {
		if ((g->pcr_mask >> i & 1) == 0 || memcmp(now[i], g->pcr[i], 32) == 0)
			continue;
		list[n++] = ' ';
		if (i >= 10)
			list[n++] = (char)('0' + i / 10);
		list[n++] = (char)('0' + i % 10);
		list[n] = '\0';
	}
	if (n != 0)
		(void)vs_err_while(refused, err, "changed PCRs:%s", list);
}

static vs_rc
azguest_unwrap(void *self, enum vs_unwrap scheme, struct vs_bytes ciphertext,
	struct vs_arena *arena, struct vs_secret *ret, struct vs_err *err)
{
	struct azguest *g = self;
	if (g->key_context.n == 0)
		VS_FAIL(err, STATE, "there is no transport key before evidence was collected");
	/* Some services write the number with a leading zero byte for its sign. */
	if (ciphertext.n == 257 && ciphertext.p[0] == 0)
		ciphertext = (struct vs_bytes){ciphertext.p + 1, 256};
	VS_CLEANUP(closep) struct vs_tpm *tpm = NULL;
	VS_TRY(open_tpm(g, in_seconds(g, SHORT_JOB_S), &tpm, err));
	uint32_t key = 0;
	VS_TRY(vs_tpm_context_load(tpm, vs_buf_view(&g->key_context), &key, err));
	const vs_rc rc =
		vs_tpm_rsa_decrypt(tpm, key, g->pcr_mask, scheme, ciphertext, arena, ret, err);
	if (rc.code == VS_E_REFUSED_BINDING)
		name_changed_pcrs(g, tpm, rc, err);
	return rc;
}

static vs_rc
azguest_counts(void *self, uint32_t *ret_reset, uint32_t *ret_restart, struct vs_err *err)
{
	struct azguest *g = self;
	VS_CLEANUP(closep) struct vs_tpm *tpm = NULL;
	VS_TRY(open_tpm(g, in_seconds(g, SHORT_JOB_S), &tpm, err));
	return vs_tpm_counts(tpm, ret_reset, ret_restart, err);
}

static void
azguest_close(void *self)
{
	struct azguest *g = self;
	if (g == NULL)
		return;
	/* The context is a blob that only this TPM can load, with a policy; nothing is loaded now.
	 */
	vs_wipe(g->key_context.p, g->key_context.n);
	vs_buf_done(&g->key_context);
	free(g->tcti);
	free(g->lock_path);
	free(g->event_log);
	free(g->ima_log);
	free(g);
}

static const struct vs_evidence_ops azguest_ops = {
	.name = "azure-guest",
	.version = 1,
	.collect = azguest_collect,
	.unwrap = azguest_unwrap,
	.counts = azguest_counts,
	.close = azguest_close,
};

static bool
copy_string(const char *s, char **ret)
{
	*ret = s != NULL ? strdup(s) : NULL;
	return s == NULL || *ret != NULL;
}

vs_rc
vs_azguest_open(const struct vs_azguest_env *env, struct vs_evidence_src *ret, struct vs_err *err)
{
	VS_TRY(vs_tpm_tcti_check(env->tcti, err));
	const uint32_t mask = env->pcr_mask != 0 ? env->pcr_mask : DEFAULT_PCRS;
	if (mask >> VS_PCRS_MAX != 0)
		VS_FAIL(err, CONFIG_VALUE, "PCR mask %x names PCRs above 23", mask);
	struct azguest *g = calloc(1, sizeof *g);
	if (g == NULL)
		VS_FAIL(err, MEMORY, "no memory for an evidence provider");
	g->pcr_mask = mask;
	g->clock = env->clock;
	g->rng = env->rng;
	g->log = env->log;
	g->fault = env->fault;
	g->key_context.max = VS_TPM_BLOB_MAX;
	if (!copy_string(env->tcti, &g->tcti) || !copy_string(env->lock_path, &g->lock_path) ||
		!copy_string(env->event_log, &g->event_log) ||
		!copy_string(env->ima_log, &g->ima_log)) {
		azguest_close(g);
		VS_FAIL(err, MEMORY, "no memory for an evidence provider");
	}
	*ret = (struct vs_evidence_src){.ops = &azguest_ops, .self = g};
	return VS_OK;
}
