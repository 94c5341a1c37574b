/* SPDX-License-Identifier: BSD-2-Clause */
/* Evidence as files, one per part. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/file.h"
#include "evidence/check.h"
#include "evidence/ev_cert.h"
#include "evidence/hcl.h"
#include "evidence/roots.h"
#include "evidence/verify.h"

enum { PART_MAX = 32 << 20, PATH_CHARS = 512, PCR_LINES_MAX = 4096 };

struct part {
	const char *name;
	size_t at; /* of a struct vs_buf in struct vs_evidence */
	bool needed;
};

#define PART(name, field, needed) \
	{ \
		name, offsetof(struct vs_evidence, field), needed \
	}
static const struct part parts[] = {
	PART("quote.msg", quote, true),
	PART("quote.sig", quote_sig, true),
	PART("hcl.bin", hcl, false),
	PART("vcek.pem", vcek_chain_pem, false),
	PART("td_quote.bin", td_quote, false),
	PART("ak_cert.der", ak_cert, false),
	PART("ak.tpm2b", ak_public_2b, false),
	PART("enc.tpm2b", enc_public_2b, false),
	PART("enc_certify.msg", enc_certify, false),
	PART("enc_certify.sig", enc_certify_sig, false),
	PART("eventlog.bin", event_log, false),
	PART("ima.bin", ima_list, false),
	PART("ima_quote.msg", ima_quote, false),
	PART("ima_quote.sig", ima_quote_sig, false),
};

static struct vs_buf *
part_of(struct vs_evidence *ev, const struct part *p)
{
	return (struct vs_buf *)(void *)((char *)ev + p->at);
}

static vs_rc
path_of(const char *dir, const char *name, char out[PATH_CHARS], struct vs_err *err)
{
	const int n = snprintf(out, PATH_CHARS, "%s/%s", dir, name);
	if (n < 0 || n >= PATH_CHARS)
		VS_FAIL(err, CONFIG_FILE, "the path of a saved set is too long");
	return VS_OK;
}

/* An absent file leaves out empty. */
static vs_rc
read_part(const char *dir, const char *name, bool needed, struct vs_buf *out, struct vs_err *err)
{
	char path[PATH_CHARS];
	VS_TRY(path_of(dir, name, path, err));
	if (!needed && access(path, F_OK) != 0 && errno == ENOENT)
		return VS_OK;
	out->max = PART_MAX;
	return vs_file_read(path, PART_MAX, VS_FILE_ANY, out, err);
}

/* "7 <64 digits>" */
static vs_rc
read_pcr_line(struct vs_bytes line, struct vs_evidence *ev, struct vs_err *err)
{
	unsigned pcr = 0;
	size_t at = 0;
	while (at < line.n && at < 2 && line.p[at] >= '0' && line.p[at] <= '9')
		pcr = pcr * 10 + (unsigned)(line.p[at++] - '0');
	VS_CLEANUP(vs_buf_done) struct vs_buf value = {.max = 64};
	if (at == 0 || at >= line.n || line.p[at] != ' ' || pcr >= VS_PCRS_MAX ||
		(ev->pcr_mask >> pcr & 1) != 0 || line.n - at - 1 != 64 ||
		vs_failed(vs_hex_decode(
			(struct vs_bytes){line.p + at + 1, line.n - at - 1}, &value, NULL)))
		VS_FAIL(err, FORMAT,
			"a line of pcrs.sha256 is not \"index hex\", or names a PCR again");
	memcpy(ev->pcr[pcr], value.p, 32);
	ev->pcr_mask |= 1U << pcr;
	return VS_OK;
}

static vs_rc
read_pcrs(const char *dir, struct vs_evidence *ev, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {.max = PCR_LINES_MAX};
	char path[PATH_CHARS];
	VS_TRY(path_of(dir, "pcrs.sha256", path, err));
	VS_TRY(vs_file_read(path, PCR_LINES_MAX, VS_FILE_ANY, &text, err));
	for (size_t at = 0; at < text.n;) {
		const uint8_t *end = memchr(text.p + at, '\n', text.n - at);
		const size_t n = end != NULL ? (size_t)(end - (text.p + at)) : text.n - at;
		VS_TRY(read_pcr_line((struct vs_bytes){text.p + at, n}, ev, err));
		at += n + 1;
	}
	return VS_OK;
}

static vs_rc
read_numbers(struct vs_evidence *ev, struct vs_err *err)
{
	struct vs_tpm_public public;
	if (ev->enc_public_2b.n == 0)
		return VS_OK;
	VS_TRY(vs_tpm_public_parse(vs_buf_view(&ev->enc_public_2b), &public, err));
	ev->enc_e = public.exponent;
	return vs_buf_set(&ev->enc_n, public.n.p, public.n.n, err);
}

vs_rc
vs_evidence_load(const char *dir, struct vs_evidence *ret, struct vs_err *err)
{
	VS_CLEANUP(vs_evidence_done) struct vs_evidence ev = {.kind = VS_EVIDENCE_AZURE_GUEST};
	VS_CLEANUP(vs_buf_done) struct vs_buf nonce = {.max = 0};
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		VS_TRY(read_part(
			dir, parts[i].name, parts[i].needed, part_of(&ev, &parts[i]), err));
	VS_TRY(read_part(dir, "nonce.bin", false, &nonce, err));
	if (nonce.n == VS_NONCE_BYTES)
		memcpy(ev.nonce, nonce.p, VS_NONCE_BYTES);
	VS_TRY(read_pcrs(dir, &ev, err));
	VS_TRY(read_numbers(&ev, err));
	struct vs_hcl hcl;
	ev.tee = VS_TEE_TRUSTED_LAUNCH;
	if (ev.hcl.n != 0) {
		VS_TRY(vs_hcl_parse(vs_buf_view(&ev.hcl), &hcl, err));
		ev.tee = hcl.tee;
		VS_TRY(vs_buf_set(&ev.hw_report, hcl.report.p, hcl.report.n, err));
		VS_TRY(vs_buf_set(&ev.runtime_json, hcl.json.p, hcl.json.n, err));
	}
	*ret = ev;
	ev = (struct vs_evidence){.kind = VS_EVIDENCE_NONE};
	return VS_OK;
}

static vs_rc
write_part(const char *dir, const char *name, struct vs_bytes b, struct vs_err *err)
{
	char path[PATH_CHARS];
	VS_TRY(path_of(dir, name, path, err));
	return vs_file_replace(path, 0600, b, err);
}

vs_rc
vs_evidence_save(const char *dir, const struct vs_evidence *ev, struct vs_err *err)
{
	if (mkdir(dir, 0700) != 0)
		VS_FAIL_N(err, FILE, errno, "%s cannot be made: %s", dir, strerror(errno));
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		const struct vs_buf *b =
			(const struct vs_buf *)(const void *)((const char *)ev + parts[i].at);
		if (b->n != 0)
			VS_TRY(write_part(dir, parts[i].name, vs_buf_view(b), err));
	}
	VS_TRY(write_part(dir, "nonce.bin", vs_bytes_of(ev->nonce, sizeof ev->nonce), err));
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {.max = PCR_LINES_MAX};
	for (unsigned i = 0; i < VS_PCRS_MAX; i++) {
		char hex[65];
		if ((ev->pcr_mask >> i & 1) == 0)
			continue;
		vs_hex_str(ev->pcr[i], 32, hex, sizeof hex);
		VS_TRY(vs_buf_addf(&text, err, "%u %s\n", i, hex));
	}
	return write_part(dir, "pcrs.sha256", vs_buf_view(&text), err);
}

vs_rc
vs_roots_load(const char *dir, struct vs_roots *ret, struct vs_err *err)
{
	VS_CLEANUP(vs_roots_done) struct vs_roots r = {.amd = {.n = 0}};
	const struct {
		const char *name;
		struct vs_ev_certs *to;
	} files[] = {
		{"amd-ark.pem", &r.amd},
		{"amd-ask.pem", &r.amd_helpers},
		{"intel-sgx-root.pem", &r.intel},
		{"azure-vtpm-root.pem", &r.vtpm},
		{"azure-vtpm-ca.pem", &r.vtpm_helpers},
	};
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		VS_CLEANUP(vs_buf_done) struct vs_buf pem = {.max = 0};
		VS_TRY(read_part(dir, files[i].name, false, &pem, err));
		VS_TRY(vs_ev_certs_pem(vs_buf_view(&pem), files[i].to, err));
	}
	if (r.amd.n + r.intel.n + r.vtpm.n == 0)
		VS_FAIL(err, CONFIG_FILE, "there is no root certificate in %s", dir);
	*ret = r;
	r = (struct vs_roots){.amd = {.n = 0}};
	return VS_OK;
}
