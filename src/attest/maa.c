/* SPDX-License-Identifier: BSD-2-Clause */
#include "attest/maa.h"

#include <stdio.h>
#include <string.h>

#include "base/codec.h"
#include "base/file.h"
#include "crypto/cipher.h"
#include "crypto/ossl.h"
#include "crypto/pkey.h"
#include "jose/json.h"
#include "net/url.h"

enum {
	ENVELOPE_MAX = 256 * 1024,
	KEY_BYTES = 32,
	IV_BYTES = 12,
	TAG_BYTES = 16,
	OS_RELEASE_MAX = 64 * 1024,
};

/* A fallback provider may stand by: do not dwell on one. */
static const struct vs_http_retry attest_retry = {.tries = 2, .base_ms = 500, .max_ms = 4000};

/* ---- this system's name --------------------------------------------------------------------- */

/* Value of NAME=value, without quotes; empty when there is no such line. */
static struct vs_bytes
find_value(struct vs_bytes text, const char *name)
{
	const size_t n = strlen(name);

	for (size_t i = 0; i < text.n;) {
		size_t end = i;
		while (end < text.n && text.p[end] != '\n')
			end++;
		if (end - i > n && memcmp(text.p + i, name, n) == 0 && text.p[i + n] == '=') {
			struct vs_bytes v = vs_bytes_of(text.p + i + n + 1, end - i - n - 1);
			if (v.n >= 2 && (v.p[0] == '"' || v.p[0] == '\'') && v.p[v.n - 1] == v.p[0])
				v = vs_bytes_of(v.p + 1, v.n - 2);
			return v;
		}
		i = end + 1;
	}
	return (struct vs_bytes){0};
}

static uint32_t
read_number(struct vs_bytes text, size_t *at)
{
	uint32_t v = 0;

	for (; *at < text.n && text.p[*at] >= '0' && text.p[*at] <= '9' && v < 100000; (*at)++)
		v = v * 10 + (uint32_t)(text.p[*at] - '0');
	return v;
}

void
vs_maa_os_parse(struct vs_bytes text, struct vs_maa_os *ret)
{
	const struct vs_bytes name = find_value(text, "NAME");
	const struct vs_bytes version = find_value(text, "VERSION_ID");
	size_t at = 0;

	*ret = (struct vs_maa_os){.distro = "Linux"};
	if (name.n > 0 && name.n < sizeof ret->distro && vs_utf8_ok(name)) {
		memcpy(ret->distro, name.p, name.n);
		ret->distro[name.n] = '\0';
	}
	ret->major = read_number(version, &at);
	if (at < version.n && version.p[at] == '.') {
		at++;
		ret->minor = read_number(version, &at);
	}
}

void
vs_maa_os_read(struct vs_maa_os *ret)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {0};

	/* Unreadable is as good as empty: this only names the system to the service. */
	const vs_rc rc = vs_file_read("/etc/os-release", OS_RELEASE_MAX, VS_FILE_ANY, &text, NULL);
	vs_maa_os_parse(vs_failed(rc) ? (struct vs_bytes){0} : vs_buf_view(&text), ret);
}

/* ---- the request ----------------------------------------------------------------------------- */

/* "name":"base64 of v" with a comma in front unless it is the first. */
static VS_RC
put_b64(struct vs_buf *out, const char *name, struct vs_bytes v, struct vs_err *err)
{
	const bool first = out->n > 0 && out->p[out->n - 1] == '{';

	VS_TRY(vs_buf_addf(out, err, "%s\"%s\":\"", first ? "" : ",", name));
	VS_TRY(vs_b64_encode(v, out, err));
	return vs_buf_add_u8(out, '"', err);
}

static VS_RC
need(const struct vs_buf *b, const char *what, struct vs_err *err)
{
	if (b->n == 0)
		VS_FAIL(err, EVIDENCE, "the evidence of this machine has no %s", what);
	return VS_OK;
}

static VS_RC
put_pcrs(const struct vs_evidence *ev, struct vs_buf *out, struct vs_err *err)
{
	const char *comma = "";

	VS_TRY(vs_buf_add_str(out, ",\"PcrSet\":[", err));
	for (unsigned i = 0; i < VS_PCRS_MAX; i++) {
		if ((ev->pcr_mask >> i & 1) == 0)
			continue;
		VS_TRY(vs_buf_addf(out, err, "%s%u", comma, i));
		comma = ",";
	}
	VS_TRY(vs_buf_add_str(out, "],\"PCRs\":[", err));
	comma = "";
	for (unsigned i = 0; i < VS_PCRS_MAX; i++) {
		if ((ev->pcr_mask >> i & 1) == 0)
			continue;
		VS_TRY(vs_buf_addf(out, err, "%s{\"Index\":%u", comma, i));
		VS_TRY(put_b64(out, "Digest", vs_bytes_of(ev->pcr[i], sizeof ev->pcr[i]), err));
		VS_TRY(vs_buf_add_u8(out, '}', err));
		comma = ",";
	}
	return vs_buf_add_u8(out, ']', err);
}

static VS_RC
put_tpm_info(const struct vs_evidence *ev, struct vs_buf *out, struct vs_err *err)
{
	VS_TRY(need(&ev->ak_cert, "attestation key certificate", err));
	VS_TRY(need(&ev->ak_public_2b, "attestation key", err));
	VS_TRY(need(&ev->quote, "quote", err));
	VS_TRY(need(&ev->quote_sig, "quote signature", err));
	VS_TRY(need(&ev->enc_public_2b, "transport key", err));
	VS_TRY(need(&ev->enc_certify, "statement about the transport key", err));
	VS_TRY(need(
		&ev->enc_certify_sig, "signature of the statement about the transport key", err));
	VS_TRY(vs_buf_add_str(out, ",\"TpmInfo\":{", err));
	VS_TRY(put_b64(out, "AikCert", vs_buf_view(&ev->ak_cert), err));
	VS_TRY(put_b64(out, "AikPub", vs_buf_view(&ev->ak_public_2b), err));
	VS_TRY(put_b64(out, "PcrQuote", vs_buf_view(&ev->quote), err));
	VS_TRY(put_b64(out, "PcrSignature", vs_buf_view(&ev->quote_sig), err));
	VS_TRY(put_pcrs(ev, out, err));
	VS_TRY(put_b64(out, "EncKeyPub", vs_buf_view(&ev->enc_public_2b), err));
	VS_TRY(put_b64(out, "EncKeyCertifyInfo", vs_buf_view(&ev->enc_certify), err));
	VS_TRY(put_b64(out, "EncKeyCertifyInfoSignature", vs_buf_view(&ev->enc_certify_sig), err));
	return vs_buf_add_u8(out, '}', err);
}

static VS_RC
put_snp(const struct vs_evidence *ev, struct vs_buf *out, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf proof = {0};

	VS_TRY(need(&ev->hw_report, "hardware report", err));
	VS_TRY(need(&ev->vcek_chain_pem, "AMD certificate chain", err));
	VS_TRY(need(&ev->runtime_json, "runtime data", err));
	VS_TRY(vs_buf_add_str(&proof, "{\"SnpReport\":\"", err));
	VS_TRY(vs_b64url_encode(vs_buf_view(&ev->hw_report), &proof, err));
	VS_TRY(vs_buf_add_u8(&proof, '"', err));
	VS_TRY(put_b64(&proof, "VcekCertChain", vs_buf_view(&ev->vcek_chain_pem), err));
	VS_TRY(vs_buf_add_u8(&proof, '}', err));
	VS_TRY(vs_buf_add_str(out, "\"Type\":\"SevSnp\",\"Evidence\":{", err));
	VS_TRY(put_b64(out, "Proof", vs_buf_view(&proof), err));
	VS_TRY(put_b64(out, "RunTimeData", vs_buf_view(&ev->runtime_json), err));
	return vs_buf_add_u8(out, '}', err);
}

static VS_RC
put_tdx(const struct vs_evidence *ev, struct vs_buf *out, struct vs_err *err)
{
	VS_TRY(need(&ev->td_quote, "TD quote", err));
	VS_TRY(need(&ev->runtime_json, "runtime data", err));
	VS_TRY(vs_buf_add_str(out, "\"Type\":\"Tdx\",\"Evidence\":{", err));
	VS_TRY(put_b64(out, "Proof", vs_buf_view(&ev->td_quote), err));
	VS_TRY(put_b64(out, "RunTimeData", vs_buf_view(&ev->runtime_json), err));
	return vs_buf_add_u8(out, '}', err);
}

static VS_RC
put_isolation(const struct vs_evidence *ev, struct vs_buf *out, struct vs_err *err)
{
	VS_TRY(vs_buf_add_str(out, ",\"IsolationInfo\":{", err));
	switch (ev->tee) {
	case VS_TEE_SNP: VS_TRY(put_snp(ev, out, err)); break;
	case VS_TEE_TDX: VS_TRY(put_tdx(ev, out, err)); break;
	case VS_TEE_TRUSTED_LAUNCH:
		VS_TRY(vs_buf_add_str(out, "\"Type\":\"TrustedLaunch\"", err));
		break;
	case VS_TEE_NONE:
	case VS_TEE_COUNT_:
		VS_FAIL(err, EVIDENCE, "the evidence does not say what kind of machine this is");
	}
	return vs_buf_add_u8(out, '}', err);
}

static VS_RC
build_info(const struct vs_evidence *ev, const struct vs_maa_os *os, struct vs_buf *out,
	struct vs_err *err)
{
	VS_TRY(vs_buf_add_str(out, "{\"AttestationProtocolVersion\":\"2.0\"", err));
	VS_TRY(put_b64(out, "OSType", vs_bytes_str("Linux"), err));
	VS_TRY(put_b64(out, "OSDistro", vs_bytes_str(os->distro), err));
	VS_TRY(vs_buf_addf(out, err, ",\"OSVersionMajor\":%u,\"OSVersionMinor\":%u",
		(unsigned)os->major, (unsigned)os->minor));
	/* The word that the service knows from Linux clients, misspelling included. */
	VS_TRY(put_b64(out, "OSBuild", vs_bytes_str("NotApplication"), err));
	VS_TRY(put_b64(out, "TcgLogs", vs_buf_view(&ev->event_log), err));
	VS_TRY(vs_buf_add_str(out, ",\"ClientPayload\":{", err));
	VS_TRY(put_b64(out, "nonce", vs_bytes_of(ev->nonce, sizeof ev->nonce), err));
	VS_TRY(vs_buf_add_u8(out, '}', err));
	VS_TRY(put_tpm_info(ev, out, err));
	VS_TRY(put_isolation(ev, out, err));
	return vs_buf_add_u8(out, '}', err);
}

vs_rc
vs_maa_request(const struct vs_evidence *ev, const struct vs_maa_os *os, struct vs_buf *ret,
	struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf info = {.max = VS_MAA_REQUEST_MAX};
	VS_CLEANUP(vs_buf_done) struct vs_buf body = {.max = VS_MAA_REQUEST_MAX};

	VS_TRY(build_info(ev, os, &info, err));
	VS_TRY(vs_buf_add_str(&body, "{\"AttestationInfo\":\"", err));
	VS_TRY(vs_b64url_encode(vs_buf_view(&info), &body, err));
	VS_TRY(vs_buf_add_str(&body, "\"}", err));
	vs_buf_move(ret, &body);
	return VS_OK;
}

/* ---- the call ---------------------------------------------------------------------------------
 */

/* Its own "no" to the evidence comes with 400, a code and a sentence. */
static VS_RC
refused(const struct vs_http_res *res, const char *origin, struct vs_err *err)
{
	VS_CLEANUP(vs_json_freep) struct vs_json *root = NULL;
	struct vs_bytes code = {0};
	struct vs_bytes message = {0};
	char quoted_code[48];
	char quoted[180];

	if (res->status != 400)
		return vs_http_fail(res, origin, err);
	if (!vs_failed(vs_json_load_object(
		    vs_buf_view(&res->body), VS_HTTP_BODY_MAX, "error", &root, NULL))) {
		if (!vs_json_bytes(vs_json_path(root, "error.code"), &code))
			(void)vs_json_bytes(vs_json_path(root, "Error.Code"), &code);
		if (!vs_json_bytes(vs_json_path(root, "error.message"), &message))
			(void)vs_json_bytes(vs_json_path(root, "Error.Message"), &message);
	}
	VS_FAIL_N(err, REFUSED_ATTESTATION, 400,
		"%.80s refused the evidence of this machine (%s): \"%s\"", origin,
		vs_quote(code, quoted_code, sizeof quoted_code),
		vs_quote(message, quoted, sizeof quoted));
}

vs_rc
vs_maa_attest(const struct vs_net *net, const char *origin, struct vs_bytes body,
	int64_t deadline_boot_ns, struct vs_buf *ret_envelope, char ret_request_id[80],
	struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf url = {.max = VS_URL_MAX};
	VS_CLEANUP(vs_buf_done) struct vs_buf envelope = {.max = ENVELOPE_MAX};
	VS_CLEANUP(vs_http_res_done) struct vs_http_res res = {.retry_after_s = -1};
	VS_CLEANUP(vs_json_freep) struct vs_json *root = NULL;
	struct vs_bytes text = {0};

	VS_TRY(vs_buf_addf(&url, err, "%s/attest/AzureGuest?api-version=2020-10-01", origin));
	const struct vs_http_req req = {
		.method = VS_HTTP_POST,
		.url = vs_buf_cstr(&url),
		.body = body,
		.max_body = ENVELOPE_MAX,
		.deadline_boot_ns = deadline_boot_ns,
	};
	VS_TRY(vs_net_call(net, &req, &attest_retry, origin, &res, err));
	(void)snprintf(ret_request_id, 80, "%s", res.request_id);
	if (res.status != 200)
		return refused(&res, origin, err);
	VS_TRY(vs_http_require_json(&res, origin, err));
	if (vs_failed(vs_json_load_object(
		    vs_buf_view(&res.body), ENVELOPE_MAX, "answer", &root, NULL)) ||
		!vs_json_bytes(vs_json_get(root, "token"), &text) ||
		vs_failed(vs_b64_any_decode(text, &envelope, NULL)) || envelope.n == 0)
		VS_FAIL(err, ANSWER, "%.100s answered with something that holds no token", origin);
	vs_buf_move(ret_envelope, &envelope);
	return VS_OK;
}

/* ---- the envelope ------------------------------------------------------------------------------
 */

struct envelope {
	struct vs_buf key; /* encrypted to the transport key */
	struct vs_buf iv;
	struct vs_buf sealed; /* ciphertext, then tag */
};

static void
envelope_done(struct envelope *e)
{
	vs_buf_done(&e->key);
	vs_buf_done(&e->iv);
	vs_buf_done(&e->sealed);
}

static bool
decode(const struct vs_json *v, struct vs_buf *out)
{
	struct vs_bytes text = {0};

	return vs_json_bytes(v, &text) && !vs_failed(vs_b64_any_decode(text, out, NULL));
}

static VS_RC
read_envelope(struct vs_bytes text, struct envelope *e, struct vs_err *err)
{
	VS_CLEANUP(vs_json_freep) struct vs_json *root = NULL;
	int64_t bits = 0;

	if (vs_failed(vs_json_load_object(text, ENVELOPE_MAX, "envelope", &root, NULL)))
		VS_FAIL(err, ANSWER, "the attestation service's envelope is not strict JSON");
	const struct vs_json *p = vs_json_get(root, "EncryptionParams");
	if (!vs_json_is_string(vs_json_get(p, "Cipher"), "AES") ||
		!vs_json_is_string(vs_json_get(p, "BlockMode"), "ChainingModeGCM") ||
		!vs_json_is_string(vs_json_get(p, "BlockPadding"), "PKCS7") ||
		!vs_json_int(vs_json_get(p, "KeySizeInBits"), &bits) || bits != KEY_BYTES * 8)
		VS_FAIL(err, ANSWER,
			"the attestation service's envelope is encrypted in a way that is not "
			"known");
	e->sealed.max = ENVELOPE_MAX;
	if (!decode(vs_json_get(root, "EncryptedInnerKey"), &e->key) ||
		!decode(vs_json_get(p, "Iv"), &e->iv) ||
		!decode(vs_json_get(root, "Jwt"), &e->sealed) || e->key.n == 0 ||
		e->iv.n != IV_BYTES || e->sealed.n == 0 || e->sealed.n > VS_MAA_TOKEN_MAX)
		VS_FAIL(err, ANSWER, "the attestation service's envelope lacks a part");
	const size_t before = e->sealed.n;
	if (!decode(vs_json_get(root, "AuthenticationData"), &e->sealed) ||
		e->sealed.n - before != TAG_BYTES)
		VS_FAIL(err, ANSWER, "the attestation service's envelope lacks a part");
	return VS_OK;
}

static void
unref_pkey(struct vs_pkey **k)
{
	vs_pkey_unref(*k);
}

static void
free_cipher(struct vs_cipher **c)
{
	vs_cipher_free(*c);
}

static VS_RC
open_sealed(struct vs_ossl *ossl, struct vs_bytes key, const struct envelope *e,
	struct vs_arena *arena, struct vs_buf *out, struct vs_err *err)
{
	VS_CLEANUP(unref_pkey) struct vs_pkey *aes = NULL;
	VS_CLEANUP(free_cipher) struct vs_cipher *c = NULL;
	const struct vs_cipher_params params = {
		.iv = vs_buf_view(&e->iv),
		.aad = vs_bytes_str("Transport Key"),
		.tag_bytes = TAG_BYTES,
	};
	uint8_t *room = NULL;
	size_t n = 0;

	VS_TRY(vs_pkey_from_octets(ossl, arena, VS_KEY_AES, key, &aes, err));
	VS_TRY(vs_cipher_new(aes, VS_CIPHER_GCM, false, &c, err));
	VS_TRY(vs_cipher_start(c, &params, err));
	const size_t cap = vs_cipher_once_size(c, e->sealed.n);
	VS_TRY(vs_buf_room(out, cap, &room, err));
	VS_TRY(vs_cipher_once(c, vs_buf_view(&e->sealed), room, cap, &n, err));
	out->n += n;
	out->p[out->n] = '\0';
	return VS_OK;
}

vs_rc
vs_maa_open(struct vs_ossl *ossl, struct vs_bytes text, const struct vs_evidence_src *ev,
	struct vs_arena *arena, struct vs_buf *ret_token, struct vs_err *err)
{
	VS_CLEANUP(envelope_done) struct envelope e = {0};
	VS_CLEANUP(vs_secret_done) struct vs_secret key = {0};
	VS_CLEANUP(vs_secret_done) struct vs_secret decoy = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf token = {.max = VS_MAA_TOKEN_MAX + TAG_BYTES};
	struct vs_err why = {0};

	VS_TRY(read_envelope(text, &e, err));
	VS_TRY(vs_secret_new(arena, KEY_BYTES, &decoy, err));
	VS_TRY(vs_random(decoy.p, decoy.n, err));
	vs_rc rc =
		ev->ops->unwrap(ev->self, VS_UNWRAP_RSAES, vs_buf_view(&e.key), arena, &key, &why);
	if (vs_failed(rc) && rc.code != VS_E_DATA) {
		if (err != NULL)
			*err = why;
		return vs_err_while(rc, err, "opening the attestation service's answer");
	}
	/* PKCS#1 v1.5: whether the padding was right must not be told, neither by words nor by
	 * time. */
	const bool opened = !vs_failed(rc) && key.n == KEY_BYTES;
	rc = open_sealed(ossl, vs_secret_view(opened ? &key : &decoy), &e, arena, &token, &why);
	if (vs_failed(rc) && rc.code != VS_E_DATA) {
		if (err != NULL)
			*err = why;
		return rc;
	}
	/* A check that says no, not a broken answer: what was sealed for another key is a replay.
	 */
	if (!opened || vs_failed(rc))
		VS_FAIL(err, REFUSED_BINDING,
			"the attestation service's answer was not made for the transport key of "
			"this "
			"exchange: it is an old one, another machine's, or changed");
	vs_buf_move(ret_token, &token);
	return VS_OK;
}
