/* SPDX-License-Identifier: BSD-2-Clause */
/* What an attacker at the console, in the guest or in the host could do to the machine. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/rand.h>
#include <openssl/rsa.h>

#include "lab/lab.h"
#include "lab/lab_machine.h"
#include "lab/lab_machine_priv.h"

typedef vs_rc
tamper_fn(struct lab_machine *m, const char *arg, struct vs_buf *said, struct vs_err *err);

static vs_rc
number(const char *text, long low, long high, long *ret, struct vs_err *err)
{
	char *end = NULL;
	errno = 0;
	const long long v = text ? strtoll(text, &end, 10) : 0;
	if (!text || end == text || *end || errno || v < low || v > high)
		VS_FAIL(err, USAGE, "a number from %ld to %ld is needed", low, high);
	*ret = (long)v;
	return VS_OK;
}

static vs_rc
tamper_pcr(struct lab_machine *m, const char *arg, struct vs_buf *said, struct vs_err *err)
{
	long pcr = 0;
	uint16_t algs[LAB_BANKS_MAX];
	size_t n = 0;
	TPML_DIGEST_VALUES digests = {0};
	VS_TRY(number(arg, 0, 23, &pcr, err));
	VS_TRY(lab_tpm_banks(m->tpm, algs, &n, err));
	for (size_t i = 0; i < n; i++) {
		TPMT_HA *ha = &digests.digests[digests.count++];
		ha->hashAlg = algs[i];
		if (RAND_bytes((uint8_t *)&ha->digest, sizeof ha->digest) != 1)
			return lab_ossl_fail("no random bytes", err);
	}
	VS_TRY(lab_tpm_extend(m->tpm, (uint32_t)pcr, &digests, err));
	return vs_buf_addf(
		said, err, "PCR %ld was extended with a value that is in no event log", pcr);
}

static vs_rc
tamper_secure_boot(struct lab_machine *m, const char *arg, struct vs_buf *said, struct vs_err *err)
{
	if (!arg || (strcmp(arg, "off") != 0 && strcmp(arg, "on") != 0))
		VS_FAIL(err, USAGE, "secure-boot needs the word off or on");
	m->secure_boot = strcmp(arg, "on") == 0;
	VS_TRY(lab_machine_reboot(m, err));
	return vs_buf_addf(said, err, "the machine was booted again with Secure Boot %s", arg);
}

static vs_rc
tamper_ak(struct lab_machine *m, const char *arg, struct vs_buf *said, struct vs_err *err)
{
	uint8_t n[256];
	const bool unrestricted = arg && strcmp(arg, "unrestricted") == 0;
	const bool uncertified = arg && strcmp(arg, "uncertified") == 0;
	if (arg && !unrestricted && !uncertified)
		VS_FAIL(err, USAGE, "ak takes unrestricted, uncertified or nothing");
	VS_TRY(lab_machine_install_ak(
		m, unrestricted ? LAB_AK_UNRESTRICTED : LAB_AK_OTHER, n, err));
	if (!uncertified)
		VS_TRY(lab_machine_certify_ak(m, n, err));
	return vs_buf_addf(said, err,
		"the attestation key was replaced by another %s key%s; the hardware report still "
		"names "
		"the old one",
		unrestricted ? "(unrestricted)" : "(restricted)",
		uncertified ? "" : ", which got a certificate");
}

static vs_rc
tamper_foreign(struct lab_machine *m, const char *arg, struct vs_buf *said, struct vs_err *err)
{
	(void)arg;
	struct lab_identity *id = calloc(1, sizeof *id);
	struct lab_new_key job = {.bits = 2048};
	BIGNUM *n = NULL;
	if (!id)
		VS_FAIL(err, MEMORY, "out of memory");
	memcpy(id->vm_id_upper, "0F0E0D0C-0B0A-4908-8706-050403020100", sizeof id->vm_id_upper);
	vs_rc rc = lab_chip_new(m->roots, &id->chip, err);
	if (!vs_failed(rc))
		rc = lab_new_keys(&job, 1, err);
	if (!vs_failed(rc) &&
		(RAND_bytes(id->report_id, sizeof id->report_id) != 1 ||
			EVP_PKEY_get_bn_param(job.key, "n", &n) != 1 ||
			BN_bn2binpad(n, id->ak_n, sizeof id->ak_n) != (int)sizeof id->ak_n))
		rc = lab_ossl_fail("cannot make another machine", err);
	BN_free(n);
	EVP_PKEY_free(job.key);
	if (vs_failed(rc)) {
		lab_identity_free(id);
		return rc;
	}
	lab_identity_free(m->foreign);
	m->foreign = id;
	VS_TRY(lab_machine_refresh(m, err));
	return vs_buf_add_str(
		said, "the report and the chip certificate are another machine's", err);
}

static vs_rc
tamper_debug(struct lab_machine *m, const char *arg, struct vs_buf *said, struct vs_err *err)
{
	(void)arg;
	m->debug = true;
	VS_TRY(lab_machine_refresh(m, err));
	return vs_buf_add_str(
		said, "the guest now runs with a policy that lets the host debug it", err);
}

static vs_rc
tamper_stale(struct lab_machine *m, const char *arg, struct vs_buf *said, struct vs_err *err)
{
	long readings = 0;
	if (arg)
		VS_TRY(number(arg, 1, 1000, &readings, err));
	m->stale_forever = !arg;
	m->stale_readings = (unsigned)readings;
	if (arg)
		return vs_buf_addf(
			said, err, "the next %ld readings show the old report", readings);
	return vs_buf_add_str(said, "the hardware report is not made anew any more", err);
}

static vs_rc
tamper_migratable(struct lab_machine *m, const char *arg, struct vs_buf *said, struct vs_err *err)
{
	(void)arg;
	m->migratable = true;
	VS_TRY(lab_machine_refresh(m, err));
	return vs_buf_add_str(
		said, "the guest now runs with a policy that allows a migration agent", err);
}

static vs_rc
tamper_paravisor(struct lab_machine *m, const char *arg, struct vs_buf *said, struct vs_err *err)
{
	(void)arg;
	m->other_paravisor = true;
	VS_TRY(lab_machine_refresh(m, err));
	return vs_buf_add_str(
		said, "the machine was started with a paravisor that nobody knows", err);
}

static vs_rc
tamper_vmpl(struct lab_machine *m, const char *arg, struct vs_buf *said, struct vs_err *err)
{
	long level = 0;
	VS_TRY(number(arg, 0, 3, &level, err));
	m->vmpl = (uint32_t)level;
	VS_TRY(lab_machine_refresh(m, err));
	return vs_buf_addf(said, err, "the report was asked for at privilege level %ld", level);
}

static vs_rc
tamper_trusted_launch(
	struct lab_machine *m, const char *arg, struct vs_buf *said, struct vs_err *err)
{
	(void)arg;
	m->trusted_launch = true;
	VS_TRY(lab_machine_reboot(m, err));
	return vs_buf_add_str(
		said, "the machine is now one without a TEE: nothing but a vTPM", err);
}

static vs_rc
tamper_no_ak(struct lab_machine *m, const char *arg, struct vs_buf *said, struct vs_err *err)
{
	(void)arg;
	lab_tpm_drop_ak(m->tpm);
	return vs_buf_add_str(said, "there is no attestation key at 0x81000003", err);
}

static vs_rc
tamper_reboot(struct lab_machine *m, const char *arg, struct vs_buf *said, struct vs_err *err)
{
	(void)arg;
	VS_TRY(lab_machine_reboot(m, err));
	return vs_buf_add_str(
		said, "the machine was booted again, whatever was done to it before", err);
}

static vs_rc
tamper_vcek(struct lab_machine *m, const char *arg, struct vs_buf *said, struct vs_err *err)
{
	(void)arg;
	struct lab_new_key job = {.bits = 384};
	VS_TRY(lab_new_keys(&job, 1, err));
	EVP_PKEY_free(m->sign_with);
	m->sign_with = job.key;
	VS_TRY(lab_machine_refresh(m, err));
	return vs_buf_add_str(said, "the report is signed with a key that is not the chip's", err);
}

/* The last event of this PCR. */
static const struct lab_boot_event *
last_event(const struct lab_machine *m, uint32_t pcr)
{
	for (size_t i = m->boot.n; i > 0; i--) {
		if (m->boot.events[i - 1].pcr == pcr)
			return &m->boot.events[i - 1];
	}
	return NULL;
}

static const struct lab_boot_event *
first_event(const struct lab_machine *m, uint32_t pcr)
{
	for (size_t i = 0; i < m->boot.n; i++) {
		if (m->boot.events[i].pcr == pcr)
			return &m->boot.events[i];
	}
	return NULL;
}

static vs_rc
tamper_log(struct lab_machine *m, const char *arg, struct vs_buf *said, struct vs_err *err)
{
	const char *how = arg ? arg : "digest";
	VS_CLEANUP(vs_buf_done) struct vs_buf log = {0};
	const struct lab_boot_event *loader = last_event(m, 4), *state = first_event(m, 7);
	VS_REQUIRE(err, loader && state && state->data_n > 0);
	VS_TRY(vs_buf_set(&log, m->boot.log.p, m->boot.log.n, err));
	if (strcmp(how, "data") == 0) {
		log.p[state->data_at + state->data_n - 1] ^= 1;
		VS_TRY(vs_buf_add_str(
			said, "the log now says the opposite about Secure Boot", err));
	} else if (strcmp(how, "digest") == 0) {
		size_t at = loader->at + 12;
		for (uint32_t i = 0; i < loader->digests.count; i++) {
			log.p[at + 2] ^= 0xff;
			at += 2 + lab_bank_size(loader->digests.digests[i].hashAlg);
		}
		VS_TRY(vs_buf_add_str(
			said, "the log names another kernel than the one measured", err));
	} else if (strcmp(how, "drop") == 0) {
		memmove(log.p + loader->at, log.p + loader->at + loader->n,
			log.n - loader->at - loader->n);
		log.n -= loader->n;
		VS_TRY(vs_buf_add_str(said, "an event is missing from the log", err));
	} else if (strcmp(how, "cut") == 0) {
		log.n = loader->at + loader->n / 2;
		VS_TRY(vs_buf_add_str(said, "the log ends in the middle of an event", err));
	} else if (strcmp(how, "missing") == 0) {
		if (unlink(m->event_log) != 0)
			VS_FAIL_N(err, FILE, errno, "the log cannot be removed");
		return vs_buf_add_str(said, "there is no event log", err);
	} else
		VS_FAIL(err, USAGE, "event-log takes data, digest, drop, cut or missing");
	return lab_machine_write_log(m, vs_buf_view(&log), err);
}

static vs_rc
tamper_ak_cert(struct lab_machine *m, const char *arg, struct vs_buf *said, struct vs_err *err)
{
	if (arg && strcmp(arg, "missing") == 0) {
		m->ak_cert_missing = true;
		VS_TRY(lab_machine_reboot(m, err));
		return vs_buf_add_str(
			said, "the certificate's index was never written (0x14A)", err);
	}
	if (arg)
		VS_FAIL(err, USAGE, "ak-cert takes missing or nothing");
	struct lab_new_key job = {.bits = 2048};
	VS_CLEANUP(vs_buf_done) struct vs_buf der = {0};
	VS_TRY(lab_new_keys(&job, 1, err));
	const vs_rc rc = lab_roots_ak_cert(m->roots, job.key, &der, err);
	EVP_PKEY_free(job.key);
	VS_TRY(rc);
	VS_TRY(lab_tpm_write_platform(m->tpm, LAB_NV_AK_CERT, vs_buf_view(&der), err));
	return vs_buf_add_str(said, "the attestation key's certificate is for another key", err);
}

static vs_rc
tamper_ak_ca(struct lab_machine *m, const char *arg, struct vs_buf *said, struct vs_err *err)
{
	(void)arg;
	VS_CLEANUP(vs_buf_done) struct vs_buf der = {0};
	struct lab_new_key job = {.bits = 2048};
	EVP_PKEY *ak = NULL;
	VS_TRY(lab_new_keys(&job, 1, err));
	static const struct lab_ext ext[] = {{.oid = "subjectKeyIdentifier", .conf = "hash"}, {0}};
	struct lab_roots stranger = {.vtpm_ca = {.key = job.key}};
	vs_rc rc = lab_hwcert_new(&(struct lab_hwcert){.cn = "Vouchsafe LAB Virtual TPM CA - 01",
					  .key = job.key,
					  .serial = -1,
					  .ext = ext},
		&stranger.vtpm_ca.cert, err);
	if (!vs_failed(rc))
		rc = lab_rsa_public(m->self.ak_n, 256, &ak, err);
	if (!vs_failed(rc))
		rc = lab_roots_ak_cert(&stranger, ak, &der, err);
	EVP_PKEY_free(ak);
	EVP_PKEY_free(job.key);
	X509_free(stranger.vtpm_ca.cert);
	VS_TRY(rc);
	VS_TRY(lab_tpm_write_platform(m->tpm, LAB_NV_AK_CERT, vs_buf_view(&der), err));
	return vs_buf_add_str(
		said, "the attestation key's certificate comes from a CA nobody knows", err);
}

static vs_rc
tamper_token(struct lab_machine *m, const char *arg, struct vs_buf *said, struct vs_err *err)
{
	static const char *const names[LAB_TOKEN_COUNT_] = {
#define LAB_TOKEN_DEFECT_NAME(name, text) text,
		LAB_TOKEN_DEFECTS(LAB_TOKEN_DEFECT_NAME)
#undef LAB_TOKEN_DEFECT_NAME
	};
	for (int i = 0; arg && i < LAB_TOKEN_COUNT_; i++) {
		if (strcmp(arg, names[i]) != 0)
			continue;
		__atomic_store_n(&m->token_defect, i, __ATOMIC_SEQ_CST);
		return vs_buf_addf(said, err, "defect of the tokens issued from now on: %s", arg);
	}
	VS_FAIL(err, USAGE,
		"token needs short-key, expired-key, unknown-key, wrong-key, alg-none, nonce, "
		"other-key, issuer, kind or none");
}

static vs_rc
tamper_clock(struct lab_machine *m, const char *arg, struct vs_buf *said, struct vs_err *err)
{
	long seconds = 0;
	VS_TRY(number(arg && *arg == '+' ? arg + 1 : arg, -315360000, 315360000, &seconds, err));
	__atomic_store_n(&m->lab->clock_offset_s, (int64_t)seconds, __ATOMIC_SEQ_CST);
	return vs_buf_addf(said, err, "the services' clock is now off by %+ld s", seconds);
}

static vs_rc
tamper_undo(struct lab_machine *m, const char *arg, struct vs_buf *said, struct vs_err *err)
{
	(void)arg;
	uint8_t n[256];
	lab_identity_free(VS_TAKE(m->foreign));
	EVP_PKEY_free(VS_TAKE(m->sign_with));
	m->stale_forever = m->debug = m->migratable = m->other_paravisor = false;
	m->trusted_launch = m->ak_cert_missing = false;
	m->stale_readings = 0;
	m->vmpl = 0;
	__atomic_store_n(&m->token_defect, LAB_TOKEN_NONE, __ATOMIC_SEQ_CST);
	m->secure_boot = true;
	__atomic_store_n(&m->lab->clock_offset_s, 0, __ATOMIC_SEQ_CST);
	VS_TRY(lab_machine_install_ak(m, LAB_AK_GENUINE, n, err));
	VS_REQUIRE(err, memcmp(n, m->self.ak_n, sizeof n) == 0);
	VS_TRY(lab_machine_certify_ak(m, n, err));
	VS_TRY(lab_machine_reboot(m, err));
	return vs_buf_add_str(said, "everything was taken back and the machine booted again", err);
}

static const struct {
	const char *kind;
	tamper_fn *fn;
	unsigned max_args;
	const char *args, *help;
} kinds[] = {
	{"pcr", tamper_pcr, 1, "N", "extend PCR N with a value that no log explains"},
	{"secure-boot", tamper_secure_boot, 1, "off", "boot again with Secure Boot switched off"},
	{"ak", tamper_ak, 1, "[unrestricted|uncertified]",
		"replace the attestation key, with a certificate"},
	{"ak-missing", tamper_no_ak, 0, "", "take the attestation key away"},
	{"ak-cert", tamper_ak_cert, 1, "[missing]",
		"certificate of another key, or none written yet"},
	{"ak-cert-foreign", tamper_ak_ca, 0, "", "certificate of a CA that nobody knows"},
	{"foreign-report", tamper_foreign, 0, "", "the hardware report of another machine"},
	{"debug-bit", tamper_debug, 0, "", "a guest that the host may debug"},
	{"migratable", tamper_migratable, 0, "", "a guest that a migration agent may move"},
	{"vmpl", tamper_vmpl, 1, "N", "a report for privilege level N"},
	{"paravisor", tamper_paravisor, 0, "", "started with firmware that nobody knows"},
	{"vcek", tamper_vcek, 0, "", "a report signed by another key than the chip's"},
	{"stale-report", tamper_stale, 1, "[N]", "the report is not renewed (for N readings)"},
	{"trusted-launch", tamper_trusted_launch, 0, "", "boot as a machine without a TEE"},
	{"event-log", tamper_log, 1, "[data|digest|drop|cut|missing]", "edit the log of the boot"},
	{"token", tamper_token, 1, "WHAT", "attestation tokens with one defect"},
	{"clock", tamper_clock, 1, "+S|-S", "the services' clock is wrong by S seconds"},
	{"reboot", tamper_reboot, 0, "", "TPM reset and boot; what was done stays"},
	{"undo", tamper_undo, 0, "", "take everything back and boot"},
};
enum { KINDS = sizeof kinds / sizeof *kinds, HELP_ROOM = 112 };

const char *const *
lab_machine_tamper_help(void)
{
	static char text[KINDS][HELP_ROOM];
	static const char *lines[KINDS + 1];
	for (size_t i = 0; i < KINDS; i++) {
		char left[48];
		snprintf(left, sizeof left, "%s %s", kinds[i].kind, kinds[i].args);
		snprintf(text[i], sizeof text[i], "%-40s %s", left, kinds[i].help);
		lines[i] = text[i];
	}
	return lines;
}

vs_rc
lab_machine_tamper(
	struct lab_machine *m, char *const *words, struct vs_buf *said, struct vs_err *err)
{
	unsigned args = 0;
	while (words[0] && words[1 + args])
		args++;
	for (size_t i = 0; words[0] && i < KINDS; i++) {
		if (strcmp(words[0], kinds[i].kind) != 0)
			continue;
		if (args > kinds[i].max_args)
			VS_FAIL(err, USAGE, "tamper %s takes at most %u argument", words[0],
				kinds[i].max_args);
		pthread_mutex_lock(&m->lock);
		const vs_rc rc = kinds[i].fn(m, args ? words[1] : NULL, said, err);
		pthread_mutex_unlock(&m->lock);
		return rc;
	}
	VS_FAIL(err, USAGE,
		"there is no such way to tamper; vouchsafe-lab tamper --help lists them");
}
