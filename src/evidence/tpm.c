/* SPDX-License-Identifier: BSD-2-Clause */
#include "evidence/tpm.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <tss2/tss2_rc.h>

#include "evidence/tpm_impl.h"

enum {
	LOCK_WAIT_MS = 10,
	LOCK_TRIES_MAX = 12000, /* two minutes, should the clock stand still */
	AGAIN_MAX = 50,
	AGAIN_WAIT_MS = 20,
	CLEANUP_NS = 2000000000, /* flushing must be possible after the deadline, too */
};
#define TCTI_MAGIC 0x7673747069303031ULL

const TSS2L_SYS_AUTH_COMMAND vs_tpm_password = {
	.count = 1,
	.auths = {{.sessionHandle = TPM2_RS_PW}},
};
const TSS2L_SYS_AUTH_COMMAND vs_tpm_two_passwords = {
	.count = 2,
	.auths = {{.sessionHandle = TPM2_RS_PW}, {.sessionHandle = TPM2_RS_PW}},
};

/* ---- transport ------------------------------------------------------------------------------ */

static struct vs_tpm *
tpm_of(TSS2_TCTI_CONTEXT *ctx)
{
	return ((struct vs_tpm_tcti *)ctx)->tpm;
}

static TSS2_RC
transmit(TSS2_TCTI_CONTEXT *ctx, size_t size, const uint8_t *command)
{
	struct vs_tpm *tpm = tpm_of(ctx);
	if (size < VS_TPM_MSG_MIN || size > sizeof tpm->command)
		return TSS2_TCTI_RC_BAD_VALUE;
	memcpy(tpm->command, command, size);
	tpm->command_n = size;
	memset(&tpm->io_err, 0, sizeof tpm->io_err);
	const vs_rc rc =
		vs_tpm_link_send(tpm->link, (struct vs_bytes){command, size}, &tpm->io_err);
	return vs_failed(rc) ? TSS2_TCTI_RC_IO_ERROR : TSS2_RC_SUCCESS;
}

static vs_rc
receive_checked(struct vs_tpm *tpm, size_t *ret_n)
{
	size_t n = 0;
	VS_TRY(vs_tpm_link_receive(tpm->link, tpm->response, &n, &tpm->io_err));
	const struct vs_bytes command = {tpm->command, tpm->command_n};
	if (tpm->fault != NULL)
		tpm->fault->response(
			tpm->fault->self, command, tpm->response, &n, sizeof tpm->response);
	VS_TRY(vs_tpm_response_check(command, (struct vs_bytes){tpm->response, n}, &tpm->io_err));
	*ret_n = n;
	return VS_OK;
}

static TSS2_RC
receive(TSS2_TCTI_CONTEXT *ctx, size_t *size, uint8_t *response, int32_t timeout)
{
	struct vs_tpm *tpm = tpm_of(ctx);
	(void)timeout; /* the conversation's deadline is the limit */
	if (response == NULL) {
		*size = sizeof tpm->response;
		return TSS2_RC_SUCCESS;
	}
	size_t n = 0;
	if (vs_failed(receive_checked(tpm, &n)))
		return TSS2_TCTI_RC_IO_ERROR;
	if (n > *size)
		return TSS2_TCTI_RC_INSUFFICIENT_BUFFER;
	memset(response, 0, *size);
	memcpy(response, tpm->response, n);
	*size = n;
	return TSS2_RC_SUCCESS;
}

static void
finalize(TSS2_TCTI_CONTEXT *ctx)
{
	(void)ctx;
}

/* ---- codes in words ------------------------------------------------------------------------- */

struct remedy {
	TSS2_RC code;
	const char *text;
};

static const struct remedy remedies[] = {
	{TPM2_RC_INITIALIZE, "the TPM was not started: restart the machine or the simulator"},
	{TPM2_RC_FAILURE, "the TPM is in failure mode: restart the machine"},
	{0x18B,
		"nothing is defined at this handle; without NV 0x01400001 the machine is not a "
		"confidential VM, without 0x81000003 it has no Azure vTPM"},
	{TPM2_RC_NV_UNINITIALIZED,
		"the index is defined but not yet written: the platform provisions "
		"it after the first start, try again in a minute"},
	{0x9A2, "an owner password is set: clear it (tpm2_changeauth -c owner -p OLD)"},
	{0x98E, "an owner password is set: clear it (tpm2_changeauth -c owner -p OLD)"},
	{TPM2_RC_NV_AUTHORIZATION,
		"the platform owns this index and does not let the guest do this"},
	{TPM2_RC_OBJECT_MEMORY,
		"no free object slot: another program holds keys loaded; use "
		"/dev/tpmrm0, or restart the simulator"},
	{TPM2_RC_SESSION_MEMORY,
		"no free session slot: another program holds sessions; use "
		"/dev/tpmrm0, or restart the simulator"},
	{TPM2_RC_LOCKOUT,
		"dictionary attack protection is active: wait, or tpm2_dictionarylockout -c"},
	{TPM2_RC_NV_SPACE, "the TPM's storage is full: undefine an index that is not needed"},
	{TPM2_RC_LOCALITY, "the command is not possible from this locality"},
};

TSS2_RC
vs_tpm_code(TSS2_RC rc)
{
	const TSS2_RC layer = rc & TSS2_RC_LAYER_MASK;
	if (layer == TSS2_RESMGR_TPM_RC_LAYER || layer == TSS2_RESMGR_RC_LAYER)
		return rc & ~TSS2_RC_LAYER_MASK;
	return rc;
}

vs_rc
vs_tpm_fail(struct vs_tpm *tpm, TSS2_RC rc, const char *what, struct vs_err *err)
{
	if (tpm->io_err.n_frames != 0) {
		const struct vs_err_frame *f = &tpm->io_err.frames[0];
		if (err != NULL)
			*err = tpm->io_err;
		return vs_err_while((vs_rc){.code = f->code}, err, "asked to %s", what);
	}
	const char *remedy = "";
	for (size_t i = 0; i < sizeof remedies / sizeof *remedies; i++) {
		if (remedies[i].code == vs_tpm_code(rc))
			remedy = remedies[i].text;
	}
	VS_FAIL_N(err, TPM, rc, "the TPM does not %s: %s (code 0x%X)%s%s", what, Tss2_RC_Decode(rc),
		rc, remedy[0] != '\0' ? ": " : "", remedy);
}

bool
vs_tpm_again(struct vs_tpm *tpm, TSS2_RC rc, unsigned *tries)
{
	switch (vs_tpm_code(rc)) {
	case TPM2_RC_RETRY:
	case TPM2_RC_YIELDED:
	case TPM2_RC_TESTING:
	case TPM2_RC_NV_RATE: break;
	default: return false;
	}
	if (++*tries > AGAIN_MAX || vs_tpm_left_ms(tpm) == 0)
		return false;
	(void)poll(NULL, 0, AGAIN_WAIT_MS);
	return true;
}

/* ---- life ----------------------------------------------------------------------------------- */

static vs_rc
take_lock(struct vs_tpm *tpm, const char *path, struct vs_err *err)
{
	tpm->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0660);
	if (tpm->lock_fd < 0)
		VS_FAIL_N(err, FILE, errno, "the TPM lock %s cannot be opened: %s", path,
			strerror(errno));
	for (unsigned i = 0; flock(tpm->lock_fd, LOCK_EX | LOCK_NB) != 0; i++) {
		if (errno == EINTR)
			continue;
		if (errno != EWOULDBLOCK)
			VS_FAIL_N(err, FILE, errno, "the TPM lock %s: %s", path, strerror(errno));
		if (vs_tpm_left_ms(tpm) == 0 || i > LOCK_TRIES_MAX)
			VS_FAIL_N(err, TPM, EWOULDBLOCK,
				"the TPM is in use by another process (lock %s) and was not freed "
				"in time",
				path);
		(void)poll(NULL, 0, LOCK_WAIT_MS);
	}
	return VS_OK;
}

/* Also again: after a failed exchange the library takes no further command otherwise. */
static bool
begin_library(struct vs_tpm *tpm)
{
	TSS2_ABI_VERSION abi = TSS2_ABI_VERSION_CURRENT;
	TSS2_TCTI_CONTEXT *tcti = (TSS2_TCTI_CONTEXT *)&tpm->tcti;
	return Tss2_Sys_Initialize(tpm->sys, tpm->sys_size, tcti, &abi) == TSS2_RC_SUCCESS;
}

static vs_rc
start_library(struct vs_tpm *tpm, struct vs_err *err)
{
	tpm->tcti = (struct vs_tpm_tcti){
		.v1 = {.magic = TCTI_MAGIC,
			.version = 1,
			.transmit = transmit,
			.receive = receive,
			.finalize = finalize},
		.tpm = tpm,
	};
	tpm->sys_size = Tss2_Sys_GetContextSize(0);
	tpm->sys = calloc(1, tpm->sys_size);
	if (tpm->sys == NULL)
		VS_FAIL(err, MEMORY, "no memory for a TPM conversation");
	VS_REQUIRE(err, begin_library(tpm));
	return VS_OK;
}

static void
closep(struct vs_tpm **tpm)
{
	vs_tpm_close(*tpm);
}

vs_rc
vs_tpm_open(const struct vs_tpm_env *env, int64_t deadline_boot_ns, struct vs_tpm **ret,
	struct vs_err *err)
{
	VS_CLEANUP(closep) struct vs_tpm *tpm = calloc(1, sizeof *tpm);
	if (tpm == NULL)
		VS_FAIL(err, MEMORY, "no memory for a TPM conversation");
	tpm->lock_fd = -1;
	tpm->clock = env->clock;
	tpm->deadline_boot_ns = deadline_boot_ns;
	tpm->fault = env->fault;
	VS_TRY(vs_tpm_tcti_check(env->tcti, err));
	if (env->lock_path != NULL)
		VS_TRY(take_lock(tpm, env->lock_path, err));
	VS_TRY(vs_tpm_link_open(env->tcti, &tpm->clock, deadline_boot_ns, &tpm->link, err));
	VS_TRY(start_library(tpm, err));
	*ret = VS_TAKE(tpm);
	return VS_OK;
}

/* What this range holds, when no resource manager hides the objects of others. */
static void
flush_range(struct vs_tpm *tpm, uint32_t type)
{
	TPMI_YES_NO more = 0;
	TPMS_CAPABILITY_DATA data = {0};
	(void)begin_library(tpm);
	if (Tss2_Sys_GetCapability(tpm->sys, NULL, TPM2_CAP_HANDLES, type << 24,
		    TPM2_MAX_CAP_HANDLES, &more, &data, NULL) != TSS2_RC_SUCCESS ||
		data.capability != TPM2_CAP_HANDLES ||
		data.data.handles.count > TPM2_MAX_CAP_HANDLES)
		return;
	for (UINT32 i = 0; i < data.data.handles.count; i++) {
		const uint32_t handle = data.data.handles.handle[i];
		/* Loaded sessions of both kinds are listed under one type. */
		if (handle >> 24 == type ||
			(type == TPM2_HT_LOADED_SESSION && handle >> 24 == TPM2_HT_POLICY_SESSION))
			(void)Tss2_Sys_FlushContext(tpm->sys, handle);
	}
}

/*
 * Leave nothing behind, also after the deadline or a cut exchange. A kernel device flushes by
 * itself when it is closed; a bare simulator does not, and if a handle never arrived, all that is
 * loaded there goes: the lock says that nobody else works with it now.
 */
static void
flush_all(struct vs_tpm *tpm)
{
	if (tpm->n_loaded == 0 && !tpm->lost)
		return;
	const int64_t until = tpm->clock.ops->boot_ns(tpm->clock.self) + CLEANUP_NS;
	if (vs_failed(vs_tpm_link_renew(tpm->link, until, NULL)))
		return;
	tpm->fault = NULL;
	while (tpm->n_loaded != 0)
		vs_tpm_flush(tpm, tpm->loaded[tpm->n_loaded - 1]);
	if (tpm->lost && vs_tpm_link_raw(tpm->link)) {
		flush_range(tpm, TPM2_HT_TRANSIENT);
		flush_range(tpm, TPM2_HT_LOADED_SESSION);
	}
}

void
vs_tpm_close(struct vs_tpm *tpm)
{
	if (tpm == NULL)
		return;
	flush_all(tpm);
	if (tpm->sys != NULL) {
		Tss2_Sys_Finalize(tpm->sys);
		vs_wipe(tpm->sys, tpm->sys_size);
		free(tpm->sys);
	}
	vs_tpm_link_close(tpm->link);
	if (tpm->lock_fd >= 0)
		close(tpm->lock_fd);
	vs_wipe(tpm, sizeof *tpm);
	free(tpm);
}

int
vs_tpm_left_ms(const struct vs_tpm *tpm)
{
	return vs_clock_left_ms(&tpm->clock, tpm->deadline_boot_ns);
}

vs_rc
vs_tpm_remember(
	struct vs_tpm *tpm, TSS2_RC rc, uint32_t handle, const char *what, struct vs_err *err)
{
	if (rc != TSS2_RC_SUCCESS) {
		/* A code of the TPM's means that nothing was loaded; ours mean that we do not know.
		 */
		tpm->lost |= (rc & TSS2_RC_LAYER_MASK) != TSS2_TPM_RC_LAYER;
		return vs_tpm_fail(tpm, rc, what, err);
	}
	if (tpm->n_loaded == VS_TPM_LOADED_MAX) {
		(void)Tss2_Sys_FlushContext(tpm->sys, handle);
		VS_FAIL(err, LIMIT, "too many TPM objects loaded at once");
	}
	tpm->loaded[tpm->n_loaded++] = handle;
	return VS_OK;
}

void
vs_tpm_flush(struct vs_tpm *tpm, uint32_t handle)
{
	for (unsigned i = 0; i < tpm->n_loaded; i++) {
		if (tpm->loaded[i] != handle)
			continue;
		tpm->loaded[i] = tpm->loaded[--tpm->n_loaded];
		(void)begin_library(tpm);
		(void)Tss2_Sys_FlushContext(tpm->sys, handle);
		return;
	}
}

/* ---- reading -------------------------------------------------------------------------------- */

void
vs_tpm_select(uint32_t mask, TPML_PCR_SELECTION *ret)
{
	*ret = (TPML_PCR_SELECTION){
		.count = 1,
		.pcrSelections = {{.hash = TPM2_ALG_SHA256,
			.sizeofSelect = 3,
			.pcrSelect = {(BYTE)mask, (BYTE)(mask >> 8), (BYTE)(mask >> 16)}}},
	};
}

vs_rc
vs_tpm_exists(struct vs_tpm *tpm, uint32_t handle, bool *ret, struct vs_err *err)
{
	TPMI_YES_NO more = 0;
	TPMS_CAPABILITY_DATA data = {0};
	TSS2_RC rc;
	VS_TPM_RUN(tpm, rc,
		Tss2_Sys_GetCapability(
			tpm->sys, NULL, TPM2_CAP_HANDLES, handle, 1, &more, &data, NULL));
	if (rc != TSS2_RC_SUCCESS)
		return vs_tpm_fail(tpm, rc, "list its handles", err);
	*ret = data.capability == TPM2_CAP_HANDLES && data.data.handles.count >= 1 &&
		data.data.handles.handle[0] == handle;
	return VS_OK;
}

/* One round: the TPM answers at most eight values and says which. */
static vs_rc
read_some_pcrs(struct vs_tpm *tpm, uint32_t want, uint32_t *ret_got, uint8_t ret[VS_PCRS_MAX][32],
	struct vs_err *err)
{
	TPML_PCR_SELECTION in, out = {0};
	TPML_DIGEST values = {0};
	UINT32 counter = 0;
	TSS2_RC rc;
	vs_tpm_select(want, &in);
	VS_TPM_RUN(tpm, rc, Tss2_Sys_PCR_Read(tpm->sys, NULL, &in, &counter, &out, &values, NULL));
	if (rc != TSS2_RC_SUCCESS)
		return vs_tpm_fail(tpm, rc, "read the PCRs", err);
	uint32_t got = 0;
	if (out.count == 1 && out.pcrSelections[0].hash == TPM2_ALG_SHA256) {
		for (size_t i = 0; i < out.pcrSelections[0].sizeofSelect && i < 3; i++)
			got |= (uint32_t)out.pcrSelections[0].pcrSelect[i] << (8 * i);
	}
	if (got == 0)
		VS_FAIL(err, EVIDENCE, "the TPM has no SHA-256 bank for PCR mask %06x", want);
	if ((got & ~want) != 0 || values.count > 8 ||
		values.count != (uint32_t)__builtin_popcount(got))
		VS_FAIL(err, TPM, "the TPM's answer names PCRs that do not fit its values");
	uint32_t k = 0;
	for (unsigned pcr = 0; pcr < VS_PCRS_MAX; pcr++) {
		if ((got >> pcr & 1) == 0)
			continue;
		if (values.digests[k].size != 32)
			VS_FAIL(err, TPM, "the TPM gave a value of %u bytes for PCR %u",
				values.digests[k].size, pcr);
		memcpy(ret[pcr], values.digests[k++].buffer, 32);
	}
	*ret_got = got;
	return VS_OK;
}

vs_rc
vs_tpm_pcr_read(struct vs_tpm *tpm, uint32_t mask, uint8_t ret[VS_PCRS_MAX][32], struct vs_err *err)
{
	VS_REQUIRE(err, mask != 0 && mask >> VS_PCRS_MAX == 0);
	while (mask != 0) {
		uint32_t got = 0;
		VS_TRY(read_some_pcrs(tpm, mask, &got, ret, err));
		mask &= ~got;
	}
	return VS_OK;
}

vs_rc
vs_tpm_clock(struct vs_tpm *tpm, uint64_t *ret_ms, uint32_t *ret_reset, uint32_t *ret_restart,
	struct vs_err *err)
{
	TPMS_TIME_INFO now = {0};
	TSS2_RC rc;
	VS_TPM_RUN(tpm, rc, Tss2_Sys_ReadClock(tpm->sys, NULL, &now, NULL));
	if (rc != TSS2_RC_SUCCESS)
		return vs_tpm_fail(tpm, rc, "read its clock", err);
	*ret_ms = now.clockInfo.clock;
	*ret_reset = now.clockInfo.resetCount;
	*ret_restart = now.clockInfo.restartCount;
	return VS_OK;
}

vs_rc
vs_tpm_counts(struct vs_tpm *tpm, uint32_t *ret_reset, uint32_t *ret_restart, struct vs_err *err)
{
	uint64_t ms = 0;
	return vs_tpm_clock(tpm, &ms, ret_reset, ret_restart, err);
}
