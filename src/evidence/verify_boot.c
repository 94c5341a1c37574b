/* SPDX-License-Identifier: BSD-2-Clause */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "evidence/check.h"
#include "evidence/ev_crypto.h"
#include "evidence/eventlog.h"
#include "evidence/ima.h"
#include "evidence/verify_impl.h"

enum { PCR_VM = 6, PCR_SECURE_BOOT = 7, PCR_LAST_BOOT = 14 };

/* PCRs that the boot fills and a log must explain; 10 is IMA's. */
#define BOOT_PCRS 0x7BFFu

static bool
quoted(const struct vs_verify *s, unsigned pcr)
{
	return s->pcrs_ok && (s->x->pcr_mask >> pcr & 1) != 0;
}

static bool
extend_text(uint8_t pcr[32], const char *text, size_t n)
{
	uint8_t digest[32];
	const struct vs_bytes parts[] = {{pcr, 32}, {digest, 32}};
	return !vs_failed(vs_ev_sha256(vs_bytes_of(text, n), digest, NULL)) &&
		!vs_failed(vs_ev_hash(VS_HASH_SHA256, parts, 2, pcr, NULL));
}

/* Azure's firmware measures the machine's UUID; newer one also its architecture. */
static void
check_vm_pcr(struct vs_verify *s)
{
	static const char *const architectures[] = {NULL, "{\"MachineArchitecture\": \"X64\"}",
		"{\"MachineArchitecture\": \"AARCH64\"}"};
	char text[64], a[64], upper[sizeof s->rt.vm_id];
	if (!s->confidential || s->rt.vm_id[0] == '\0' || !quoted(s, PCR_VM))
		return;
	for (size_t i = 0; i < sizeof upper; i++)
		upper[i] = (char)toupper((unsigned char)s->rt.vm_id[i]);
	const int n = snprintf(text, sizeof text, "UUID: %s", upper);
	bool found = false;
	for (size_t i = 0; i < sizeof architectures / sizeof *architectures; i++) {
		uint8_t pcr[32] = {0};
		bool ok = extend_text(pcr, text, (size_t)n);
		if (architectures[i] != NULL)
			ok = ok && extend_text(pcr, architectures[i], strlen(architectures[i]));
		ok = ok && extend_text(pcr, "\0\0\0", 4);
		found = found || (ok && memcmp(pcr, s->ev->pcr[PCR_VM], 32) == 0);
	}
	vs_check_add(s->v, "T-A2", "PCR 6 names this machine", found, text, "%s",
		vs_check_hex(vs_bytes_of(s->ev->pcr[PCR_VM], 32), a));
}

/* PCR 10 alone, quoted beside the others; what is wrong with that quote is said in v. */
static bool
ima_digest(struct vs_verify *s, uint8_t ret[32])
{
	struct vs_tpm_attest a;
	struct vs_err why = {0};
	char p[64], q[64];
	const struct vs_bytes quote = vs_buf_view(&s->ev->ima_quote);
	const struct vs_bytes pcr = vs_bytes_of(s->ev->pcr[VS_IMA_PCR], 32);
	if (quote.n == 0 && quoted(s, VS_IMA_PCR))
		return !vs_failed(vs_ev_sha256(pcr, ret, NULL));
	vs_rc rc =
		vs_ev_rsa_verify(s->ak_n, s->ak_e, quote, vs_buf_view(&s->ev->ima_quote_sig), &why);
	bool ok = vs_check_rc(s->v, "T-A4", "quote of PCR 10", rc, "by the attestation key", &why);
	rc = vs_tpm_attest_parse(quote, &a, &why);
	if (vs_failed(rc) || a.type != VS_ATTEST_QUOTE)
		return vs_check_add(s->v, "T-A4", "quote of PCR 10: form", false,
			"TPMS_ATTEST, a quote", "something else");
	ok = vs_check_add(s->v, "T-A1", "quote of PCR 10: nonce",
		     s->x->nonce.n != 0 && vs_bytes_eq(a.extra, s->x->nonce),
		     vs_check_hex(s->x->nonce, p), "%s", vs_check_hex(a.extra, q)) &&
		ok;
	ok = vs_check_add(s->v, "T-A4", "quote of PCR 10: selection",
		     a.n_banks == 1 && a.banks[0].alg == VS_TPM_ALG_SHA256 &&
			     a.banks[0].mask == 1U << VS_IMA_PCR && a.safe == 1 &&
			     a.pcr_digest.n == 32,
		     "SHA-256, PCR 10", "%zu banks, first %04x, %06x", a.n_banks, a.banks[0].alg,
		     a.banks[0].mask) &&
		ok;
	if (ok)
		memcpy(ret, a.pcr_digest.p, 32);
	return ok;
}

static vs_rc
check_ima_files(struct vs_verify *s, struct vs_bytes list, const struct vs_ima_replay *r,
	struct vs_err *err)
{
	struct vs_ima_files f;
	VS_REQUIRE(err, s->x->ima_keys.certs != NULL);
	VS_TRY(vs_ima_check_files(list, r->n_covered, &s->x->ima_keys, &f, err));
	vs_check_add(s->v, "T-A5", "measured files are signed",
		f.n_files == f.n_signed && f.n_files != 0, "each, by a known key",
		"%zu files, %zu unsigned, %zu signed badly%s%s", f.n_files, f.n_unsigned, f.n_bad,
		f.first[0] != '\0' ? ", first " : "", f.first);
	return VS_OK;
}

static vs_rc
check_ima(struct vs_verify *s, struct vs_err *err)
{
	const struct vs_bytes list = vs_buf_view(&s->ev->ima_list);
	struct vs_ima_replay ima;
	struct vs_err why = {0};
	uint8_t digest[32];
	if (s->x->ima == VS_IMA_ANY)
		return VS_OK;
	if (!vs_check_add(s->v, "T-A5", "list of measured files", list.n != 0, "there", "%zu bytes",
		    list.n) ||
		!ima_digest(s, digest))
		return VS_OK;
	const vs_rc rc =
		vs_ima_replay_digest(list, VS_HASH_SHA256, vs_bytes_of(digest, 32), &ima, &why);
	if (rc.code == VS_E_CRYPTO)
		return vs_err_while(rc, err, "replaying the list of measured files");
	if (!vs_check_rc(s->v, "T-A5", "list of measured files: form", rc, "readable", &why))
		return VS_OK;
	vs_check_add(s->v, "T-A5", "PCR 10 is the list's", ima.matched, "a beginning of the list",
		"%zu of %zu entries", ima.n_covered, ima.n_entries);
	vs_check_add(s->v, "T-A5", "measured files", ima.matched && ima.n_wrong == 0,
		"hashes of their entries", "%zu wrong, %zu violations", ima.n_wrong,
		ima.n_violations);
	if (s->x->ima != VS_IMA_SIGNED || !ima.matched)
		return VS_OK;
	return check_ima_files(s, list, &ima, err);
}

static bool
untouched(const uint8_t pcr[32])
{
	uint8_t x = 0;
	for (size_t i = 0; i < 32; i++)
		x |= pcr[i];
	return x == 0;
}

/* Every quoted boot PCR is what the log says, also those that the log does not mention. */
static void
check_replay(struct vs_verify *s, const struct vs_replay *r)
{
	char bad[80] = "";
	size_t n = 0;
	if ((BOOT_PCRS & s->x->pcr_mask) == 0) {
		vs_check_add(s->v, "T-A5", "event log explains the PCRs", true,
			"every quoted boot PCR", "not evaluated: no PCR of the boot is quoted");
		return;
	}
	for (unsigned i = 0; i <= PCR_LAST_BOOT; i++) {
		if ((BOOT_PCRS >> i & 1) == 0 || (s->x->pcr_mask >> i & 1) == 0)
			continue;
		const bool same = (r->touched >> i & 1) != 0
			? memcmp(r->pcr[i], s->ev->pcr[i], 32) == 0
			: untouched(s->ev->pcr[i]);
		if (!same && n + 4 < sizeof bad)
			n += (size_t)snprintf(bad + n, sizeof bad - n, " %u", i);
	}
	vs_check_add(s->v, "T-A5", "event log explains the PCRs",
		s->pcrs_ok && r->has_bank && n == 0, "every quoted boot PCR", "%s%s",
		n == 0 ? "all explained" : "not explained: PCR", bad);
}

static void
check_secure_boot(struct vs_verify *s, const struct vs_secure_boot *sb)
{
	static const char *const words[] = {"unknown", "off", "on"};
	char seen[160];
	snprintf(seen, sizeof seen, "%s%s%s", words[sb->state], sb->why[0] != '\0' ? ": " : "",
		sb->why);
	vs_check_add(s->v, "T-A6", "Secure Boot in the event log",
		sb->state == VS_YES || (s->x->allow_insecure_boot && sb->state == VS_NO), "on",
		"%s", seen);
	if (!s->confidential)
		return;
	vs_check_add(s->v, "T-A6", "Secure Boot: log and hardware agree",
		sb->state != VS_UNKNOWN && sb->state == s->rt.secure_boot, words[s->rt.secure_boot],
		"%s", words[sb->state]);
}

vs_rc
vs_verify_boot(struct vs_verify *s, struct vs_err *err)
{
	const struct vs_bytes log = vs_buf_view(&s->ev->event_log);
	struct vs_replay replay;
	struct vs_secure_boot sb;
	struct vs_err why = {0};
	check_vm_pcr(s);
	VS_TRY(check_ima(s, err));
	if (log.n == 0) {
		vs_check_add(s->v, "T-A5", "event log", !s->x->require_event_log,
			s->x->require_event_log ? "there" : "there, or not",
			"not evaluated: there is none, so what the PCRs stand for is unknown");
		return VS_OK;
	}
	vs_rc rc = vs_eventlog_replay(log, VS_HASH_SHA256, &replay, &why);
	if (rc.code == VS_E_CRYPTO)
		return vs_err_while(rc, err, "replaying the event log");
	if (!vs_check_rc(s->v, "T-A5", "event log", rc, "readable", &why))
		return VS_OK;
	check_replay(s, &replay);
	if ((s->x->pcr_mask >> PCR_SECURE_BOOT & 1) == 0) {
		vs_check_add(s->v, "T-A6", "Secure Boot in the event log", true, "on",
			"not evaluated: PCR 7 is not quoted");
		return VS_OK;
	}
	VS_TRY(vs_eventlog_secure_boot(log, VS_HASH_SHA256, &sb, err));
	check_secure_boot(s, &sb);
	return VS_OK;
}
