/* SPDX-License-Identifier: BSD-2-Clause */
/* Manifest, PEM and the TPM's statement, both ways. Pure. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "core/bundle_impl.h"
#include "evidence/ev_crypto.h"

enum { PEM_COLUMNS = 64, RSA_MIN_BYTES = 256, RSA_MAX_BYTES = 512 };

/* ---- manifest ---------------------------------------------------------------------------- */

vs_rc
vs_bundle_manifest_put(const struct vs_bundle_manifest *m, struct vs_buf *out, struct vs_err *err)
{
	VS_TRY(vs_buf_addf(out, err,
		"vouchsafe-audit-bundle %d\nmade %s\nhost %s\nmode %s\nlog %s\nrecords %" PRIu64
		"\nlast %" PRIu64 ":%s\nnv %08x\ncounter %" PRIu64 "\n",
		(int)VS_BUNDLE_VERSION, m->made, m->host, m->lab ? "lab" : "production", m->log_id,
		m->records, m->last_seq, m->last_hash, (unsigned)m->nv, m->counter));
	for (size_t i = 0; i < m->n; i++)
		VS_TRY(vs_buf_addf(
			out, err, "file %s sha256 %s\n", m->files[i].name, m->files[i].sha256));
	return VS_OK;
}

/* The rest of the next line behind "word "; false: it is another one. */
static bool
take(struct vs_bytes *text, const char *word, char *out, size_t out_size)
{
	const uint8_t *end = text->n == 0 ? NULL : memchr(text->p, '\n', text->n);
	const size_t skip = strlen(word) + 1, n = end == NULL ? 0 : (size_t)(end - text->p);

	if (end == NULL || n <= skip || memcmp(text->p, word, skip - 1) != 0 ||
		text->p[skip - 1] != ' ' || n - skip >= out_size)
		return false;
	for (size_t i = skip; i < n; i++)
		if (text->p[i] < 0x20 || text->p[i] > 0x7e)
			return false;
	memcpy(out, text->p + skip, n - skip);
	out[n - skip] = '\0';
	text->p += n + 1;
	text->n -= n + 1;
	return true;
}

static bool
take_hex(struct vs_bytes *text, const char *word, char *out, size_t digits)
{
	return take(text, word, out, digits + 1) && strlen(out) == digits &&
		strspn(out, "0123456789abcdef") == digits;
}

static bool
take_number(struct vs_bytes *text, const char *word, uint64_t *ret)
{
	char digits[21];

	if (!take(text, word, digits, sizeof digits) ||
		strspn(digits, "0123456789") != strlen(digits) || strlen(digits) > 19 ||
		(digits[0] == '0' && digits[1] != '\0'))
		return false;
	*ret = strtoull(digits, NULL, 10);
	return true;
}

static bool
take_last(struct vs_bytes *text, struct vs_bundle_manifest *m)
{
	char line[96];
	char *end = NULL;

	if (!take(text, "last", line, sizeof line) || line[0] < '1' || line[0] > '9')
		return false;
	m->last_seq = strtoull(line, &end, 10);
	/* 19 digits always fit; another number than the one that stands there is none. */
	if (*end != ':' || end - line > 19 || strlen(end + 1) != 64 ||
		strspn(end + 1, "0123456789abcdef") != 64)
		return false;
	memcpy(m->last_hash, end + 1, 65);
	return true;
}

static bool
take_files(struct vs_bytes *text, struct vs_bundle_manifest *m)
{
	char line[128], name[32];

	for (m->n = 0; text->n != 0; m->n++) {
		(void)snprintf(name, sizeof name, "%04zu.log", m->n + 1);
		if (m->n == VS_BUNDLE_FILES_MAX || !take(text, "file", line, sizeof line) ||
			strlen(line) != 8 + 8 + 64 || memcmp(line, name, 8) != 0 ||
			memcmp(line + 8, " sha256 ", 8) != 0 ||
			strspn(line + 16, "0123456789abcdef") != 64)
			return false;
		memcpy(m->files[m->n].name, name, sizeof name);
		memcpy(m->files[m->n].sha256, line + 16, 65);
	}
	return m->n > 0;
}

vs_rc
vs_bundle_manifest_get(struct vs_bytes text, struct vs_bundle_manifest *m, struct vs_err *err)
{
	char mode[16], nv[9];
	uint64_t version = 0;

	if (!take_number(&text, "vouchsafe-audit-bundle", &version))
		VS_FAIL(err, FORMAT, "this is not the manifest of an audit bundle");
	if (version != VS_BUNDLE_VERSION)
		VS_FAIL(err, FORMAT, "the manifest has version %" PRIu64 ", this program knows %d",
			version, (int)VS_BUNDLE_VERSION);
	if (!take(&text, "made", m->made, sizeof m->made) ||
		!take(&text, "host", m->host, sizeof m->host) ||
		!take(&text, "mode", mode, sizeof mode) || !take_hex(&text, "log", m->log_id, 32) ||
		!take_number(&text, "records", &m->records) || !take_last(&text, m) ||
		!take_hex(&text, "nv", nv, 8) || !take_number(&text, "counter", &m->counter) ||
		!take_files(&text, m))
		VS_FAIL(err, FORMAT, "the bundle's manifest is malformed");
	m->nv = (uint32_t)strtoul(nv, NULL, 16);
	m->lab = strcmp(mode, "lab") == 0;
	if (!m->lab && strcmp(mode, "production") != 0)
		VS_FAIL(err, FORMAT, "the bundle's manifest has a mode that is none");
	return VS_OK;
}

/* ---- PEM --------------------------------------------------------------------------------- */

vs_rc
vs_bundle_pem_put(struct vs_bytes der, const char *label, struct vs_buf *out, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {.max = 2 * VS_BUNDLE_SMALL_MAX};

	VS_TRY(vs_b64_encode(der, &text, err));
	VS_TRY(vs_buf_addf(out, err, "-----BEGIN %s-----\n", label));
	for (size_t i = 0; i < text.n; i += PEM_COLUMNS) {
		const size_t left = text.n - i;
		VS_TRY(vs_buf_add(out, text.p + i, left < PEM_COLUMNS ? left : PEM_COLUMNS, err));
		VS_TRY(vs_buf_add_str(out, "\n", err));
	}
	return vs_buf_addf(out, err, "-----END %s-----\n", label);
}

vs_rc
vs_bundle_pem_get(struct vs_bytes pem, const char *label, bool *ret_found, struct vs_buf *der,
	struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {.max = 2 * VS_BUNDLE_SMALL_MAX};
	char begin[64], end[64];

	*ret_found = false;
	const size_t n_begin = (size_t)snprintf(begin, sizeof begin, "-----BEGIN %s-----", label);
	const size_t n_end = (size_t)snprintf(end, sizeof end, "-----END %s-----", label);
	const uint8_t *from = pem.n == 0 ? NULL : memmem(pem.p, pem.n, begin, n_begin);
	if (from == NULL)
		return VS_OK;
	from += n_begin;
	const uint8_t *to = memmem(from, (size_t)(pem.p + pem.n - from), end, n_end);
	if (to == NULL)
		VS_FAIL(err, FORMAT, "a PEM block has no end");
	for (; from < to; from++)
		if (*from != '\n' && *from != '\r')
			VS_TRY(vs_buf_add_u8(&text, *from, err));
	*ret_found = true;
	return vs_b64_decode(vs_buf_view(&text), der, err);
}

/* ---- the key ----------------------------------------------------------------------------- */

static const uint8_t rsa_algorithm[] = {
	0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00};
static const uint8_t rsa_exponent[] = {0x02, 0x03, 0x01, 0x00, 0x01};

/* Lengths here are from 256 to 65535. */
static vs_rc
put_long(struct vs_buf *out, uint8_t tag, size_t n, struct vs_err *err)
{
	const uint8_t head[] = {tag, 0x82, (uint8_t)(n >> 8), (uint8_t)n};
	return vs_buf_add(out, head, sizeof head, err);
}

vs_rc
vs_bundle_key_put(struct vs_bytes n, struct vs_buf *der, struct vs_buf *pem, struct vs_err *err)
{
	if (n.n < RSA_MIN_BYTES || n.n > RSA_MAX_BYTES || (n.p[0] & 0x80) == 0 ||
		(n.p[n.n - 1] & 1) == 0)
		VS_FAIL(err, FORMAT, "the attestation key is no RSA key of 2048 to 4096 bits");
	const size_t integer = 4 + 1 + n.n, pair = integer + sizeof rsa_exponent;
	vs_buf_reset(der);
	VS_TRY(put_long(der, 0x30, sizeof rsa_algorithm + 4 + 1 + 4 + pair, err));
	VS_TRY(vs_buf_add(der, rsa_algorithm, sizeof rsa_algorithm, err));
	VS_TRY(put_long(der, 0x03, 1 + 4 + pair, err));
	VS_TRY(vs_buf_add_u8(der, 0, err));
	VS_TRY(put_long(der, 0x30, pair, err));
	VS_TRY(put_long(der, 0x02, 1 + n.n, err));
	VS_TRY(vs_buf_add_u8(der, 0, err));
	VS_TRY(vs_buf_add(der, n.p, n.n, err));
	VS_TRY(vs_buf_add(der, rsa_exponent, sizeof rsa_exponent, err));
	return pem == NULL ? VS_OK : vs_bundle_pem_put(vs_buf_view(der), "PUBLIC KEY", pem, err);
}

/* There is one form: what is read must be what would be written for the same number. */
vs_rc
vs_bundle_key_get(struct vs_bytes pem, struct vs_buf *n, struct vs_buf *der, struct vs_err *err)
{
	enum { BEFORE = 4 + sizeof rsa_algorithm + 4 + 1 + 4 + 4 + 1 };
	VS_CLEANUP(vs_buf_done) struct vs_buf again = {.max = VS_BUNDLE_SMALL_MAX};
	bool found = false;

	vs_buf_reset(der);
	VS_TRY(vs_bundle_pem_get(pem, "PUBLIC KEY", &found, der, err));
	if (!found || der->n <= BEFORE + sizeof rsa_exponent)
		VS_FAIL(err, FORMAT, "there is no public RSA key in this PEM text");
	const struct vs_bytes number =
		vs_bytes_of(der->p + BEFORE, der->n - BEFORE - sizeof rsa_exponent);
	VS_TRY(vs_bundle_key_put(number, &again, NULL, err));
	if (!vs_bytes_eq(vs_buf_view(&again), vs_buf_view(der)))
		VS_FAIL(err, FORMAT, "the public key is no RSA key with exponent 65537");
	return vs_buf_set(n, number.p, number.n, err);
}

/* ---- the statement ----------------------------------------------------------------------- */

vs_rc
vs_bundle_statement_get(struct vs_bytes attest, struct vs_bundle_statement *ret, struct vs_err *err)
{
	struct vs_reader r = vs_reader_of(attest);
	struct vs_bundle_statement s = {0};

	const uint32_t magic = vs_get_be32(&r); /* part 2, 10.12.8: TPMS_ATTEST */
	const uint16_t type = vs_get_be16(&r);
	vs_get_2b(&r); /* qualifiedSigner */
	s.extra = vs_get_2b(&r);
	s.clock_ms = vs_get_be64(&r);
	s.resets = vs_get_be32(&r);
	s.restarts = vs_get_be32(&r);
	vs_get_u8(&r); /* safe */
	vs_get_be64(&r); /* firmware */
	s.name = vs_get_2b(&r); /* 10.12.7: TPMS_NV_CERTIFY_INFO */
	const uint16_t offset = vs_get_be16(&r);
	const uint16_t size = vs_get_be16(&r);
	s.counter = vs_get_be64(&r);
	if (!vs_reader_done(&r) || magic != 0xFF544347 || type != 0x8014 || offset != 0 ||
		size != 8)
		VS_FAIL(err, FORMAT, "the statement is not what a TPM says of a counter");
	*ret = s;
	return VS_OK;
}

vs_rc
vs_bundle_nv_name(uint32_t nv, uint8_t ret[VS_NV_NAME_BYTES], struct vs_err *err)
{
	/* TPMS_NV_PUBLIC: index, SHA-256, attributes (a counter of the owner, no lockout, written),
	 * no policy, 8 octets. */
	const uint8_t public[] = {(uint8_t)(nv >> 24), (uint8_t)(nv >> 16), (uint8_t)(nv >> 8),
		(uint8_t)nv, 0x00, 0x0b, 0x22, 0x02, 0x00, 0x12, 0x00, 0x00, 0x00, 0x08};

	ret[0] = 0x00;
	ret[1] = 0x0b;
	return vs_ev_sha256(vs_bytes_of(public, sizeof public), ret + 2, err);
}
