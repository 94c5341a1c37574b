/* SPDX-License-Identifier: BSD-2-Clause */
/* The attestation client: what is sent, what a refusal says, what an envelope must be. More than
 * 500 lines because each case stands beside what it changes. */
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

#include "attest/maa.h"
#include "base/codec.h"
#include "base/file.h"
#include "crypto/ossl.h"
#include "jose/json.h"
#include "unit/netkit.h"
#include "unit/releasekit.h"
#include "unit/unit.h"
#include "unit/webkit.h"

#define ORIGIN "https://sharedweu.weu.attest.azure.net"

static struct webkit web;
static struct vs_arena *arena;
static struct vs_ossl *ossl;

static int
group_up(void **state)
{
	struct vs_err err = {0};

	(void)state;
	rk_up();
	assert_ok(vs_arena_new(65536, 4 << 20, VS_LOCK_WARN, &arena, &err), &err);
	assert_ok(vs_ossl_new(&ossl, &err), &err);
	return 0;
}

static int
group_down(void **state)
{
	(void)state;
	vs_ossl_unref(ossl);
	vs_arena_free(arena);
	rk_down();
	return 0;
}

static struct vs_json *
load(const char *name)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {0};
	struct vs_json *root = NULL;
	struct vs_err err = {0};
	char path[512];

	(void)snprintf(path, sizeof path, "%s/tests/data/maa/%s", VS_TEST_SRCDIR, name);
	assert_ok(vs_file_read(path, 1 << 20, VS_FILE_ANY, &text, &err), &err);
	assert_ok(vs_json_load_object(vs_buf_view(&text), 1 << 20, name, &root, &err), &err);
	return root;
}

/* ---- the request ------------------------------------------------------------------------------
 */

static void
take_b64(const struct vs_json *info, const char *name, struct vs_buf *out)
{
	struct vs_bytes text = {0};
	struct vs_err err = {0};

	assert_true(vs_json_bytes(vs_json_get(info, name), &text));
	assert_ok(vs_b64_decode(text, out, &err), &err);
}

/* The TPM part of a real machine's request. */
static void
real_evidence(const struct vs_json *info, struct vs_evidence *ev)
{
	const struct vs_json *set = vs_json_get(info, "PcrSet");
	const struct vs_json *pcrs = vs_json_get(info, "PCRs");

	memset(ev, 0, sizeof *ev);
	ev->tee = VS_TEE_TRUSTED_LAUNCH;
	memset(ev->nonce, 0xa5, sizeof ev->nonce);
	take_b64(info, "AikCert", &ev->ak_cert);
	take_b64(info, "AikPub", &ev->ak_public_2b);
	take_b64(info, "PcrQuote", &ev->quote);
	take_b64(info, "PcrSignature", &ev->quote_sig);
	take_b64(info, "EncKeyPub", &ev->enc_public_2b);
	take_b64(info, "EncKeyCertifyInfo", &ev->enc_certify);
	take_b64(info, "EncKeyCertifyInfoSignature", &ev->enc_certify_sig);
	for (size_t i = 0; i < vs_json_count(set); i++) {
		VS_CLEANUP(vs_buf_done) struct vs_buf digest = {0};
		int64_t index = 0;
		assert_true(vs_json_int(vs_json_at(set, i), &index));
		ev->pcr_mask |= 1U << index;
		take_b64(vs_json_at(pcrs, i), "Digest", &digest);
		assert_int_equal(digest.n, 32);
		memcpy(ev->pcr[index], digest.p, 32);
	}
}

static void
evidence_done(struct vs_evidence *ev)
{
	struct vs_buf *const all[] = {&ev->ak_cert, &ev->ak_public_2b, &ev->quote, &ev->quote_sig,
		&ev->enc_public_2b, &ev->enc_certify, &ev->enc_certify_sig, &ev->hw_report,
		&ev->runtime_json, &ev->vcek_chain_pem, &ev->td_quote, &ev->event_log};

	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		vs_buf_done(all[i]);
}

static struct vs_json *
build_request(const struct vs_evidence *ev)
{
	const struct vs_maa_os os = {.distro = "Debian GNU/Linux", .major = 12, .minor = 3};
	VS_CLEANUP(vs_buf_done) struct vs_buf body = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf inner = {.max = VS_MAA_REQUEST_MAX};
	VS_CLEANUP(vs_json_freep) struct vs_json *outer = NULL;
	struct vs_json *info = NULL;
	struct vs_bytes text = {0};
	struct vs_err err = {0};

	assert_ok(vs_maa_request(ev, &os, &body, &err), &err);
	assert_ok(vs_json_load_object(vs_buf_view(&body), VS_MAA_REQUEST_MAX, "body", &outer, &err),
		&err);
	assert_int_equal(vs_json_count(outer), 1);
	assert_true(vs_json_bytes(vs_json_get(outer, "AttestationInfo"), &text));
	assert_ok(vs_b64url_decode(text, &inner, &err), &err);
	assert_ok(vs_json_load_object(vs_buf_view(&inner), VS_MAA_REQUEST_MAX, "info", &info, &err),
		&err);
	return info;
}

static void
builds_the_request_of_a_real_machine(void **state)
{
	VS_CLEANUP(vs_json_freep)
	struct vs_json *real = load("evidence/azureguest-tpminfo-2025-06-01-spec.json");
	VS_CLEANUP(evidence_done) struct vs_evidence ev;
	const struct vs_json *want = vs_json_get(real, "TpmInfo");

	(void)state;
	real_evidence(want, &ev);
	VS_CLEANUP(vs_json_freep) struct vs_json *info = build_request(&ev);
	const struct vs_json *got = vs_json_get(info, "TpmInfo");
	assert_int_equal(vs_json_count(got), vs_json_count(want));
	assert_true(vs_json_same(got, want));
	assert_true(vs_json_is_string(vs_json_get(info, "AttestationProtocolVersion"), "2.0"));
	assert_true(vs_json_is_string(vs_json_get(info, "OSType"), "TGludXg="));
	assert_true(vs_json_is_string(vs_json_get(info, "OSDistro"), "RGViaWFuIEdOVS9MaW51eA=="));
	assert_true(vs_json_is_string(vs_json_get(info, "OSBuild"), "Tm90QXBwbGljYXRpb24="));
	assert_true(vs_json_is_string(vs_json_get(info, "TcgLogs"), ""));
	assert_true(vs_json_is_string(vs_json_path(info, "ClientPayload.nonce"),
		"paWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaU="));
	assert_int_equal(vs_json_count(vs_json_get(info, "ClientPayload")), 1);
	assert_int_equal(vs_json_count(vs_json_get(info, "IsolationInfo")), 1);
	assert_true(vs_json_is_string(vs_json_path(info, "IsolationInfo.Type"), "TrustedLaunch"));
}

static void
sends_the_hardware_evidence_of_each_kind_of_machine(void **state)
{
	VS_CLEANUP(vs_json_freep)
	struct vs_json *real = load("evidence/azureguest-tpminfo-2025-06-01-spec.json");
	VS_CLEANUP(evidence_done) struct vs_evidence ev;
	VS_CLEANUP(vs_buf_done) struct vs_buf proof = {0};
	VS_CLEANUP(vs_json_freep) struct vs_json *inner = NULL;
	const struct vs_maa_os os = {.distro = "x"};
	struct vs_buf body = {0};
	struct vs_err err = {0};

	(void)state;
	real_evidence(vs_json_get(real, "TpmInfo"), &ev);
	ev.tee = VS_TEE_SNP;
	assert_code(vs_maa_request(&ev, &os, &body, NULL), EVIDENCE);
	assert_ok(vs_buf_add_str(&ev.hw_report, "report", &err), &err);
	assert_code(vs_maa_request(&ev, &os, &body, NULL), EVIDENCE);
	assert_ok(vs_buf_add_str(&ev.vcek_chain_pem, "pem", &err), &err);
	assert_ok(vs_buf_add_str(&ev.runtime_json, "{}", &err), &err);
	VS_CLEANUP(vs_json_freep) struct vs_json *snp = build_request(&ev);
	const struct vs_json *iso = vs_json_get(snp, "IsolationInfo");
	assert_true(vs_json_is_string(vs_json_get(iso, "Type"), "SevSnp"));
	assert_true(vs_json_is_string(vs_json_path(iso, "Evidence.RunTimeData"), "e30="));
	take_b64(vs_json_get(iso, "Evidence"), "Proof", &proof);
	assert_ok(vs_json_load_object(vs_buf_view(&proof), 4096, "proof", &inner, &err), &err);
	assert_true(vs_json_is_string(vs_json_get(inner, "SnpReport"), "cmVwb3J0"));
	assert_true(vs_json_is_string(vs_json_get(inner, "VcekCertChain"), "cGVt"));
	ev.tee = VS_TEE_TDX;
	assert_code(vs_maa_request(&ev, &os, &body, NULL), EVIDENCE);
	assert_ok(vs_buf_add_str(&ev.td_quote, "quote", &err), &err);
	VS_CLEANUP(vs_json_freep) struct vs_json *tdx = build_request(&ev);
	assert_true(vs_json_is_string(vs_json_path(tdx, "IsolationInfo.Type"), "Tdx"));
	assert_true(
		vs_json_is_string(vs_json_path(tdx, "IsolationInfo.Evidence.Proof"), "cXVvdGU="));
	ev.tee = VS_TEE_NONE;
	assert_code(vs_maa_request(&ev, &os, &body, NULL), EVIDENCE);
	ev.tee = VS_TEE_TRUSTED_LAUNCH;
	vs_buf_reset(&ev.enc_certify);
	assert_code(vs_maa_request(&ev, &os, &body, NULL), EVIDENCE);
}

static void
reads_the_name_of_the_system(void **state)
{
	struct vs_maa_os os;

	(void)state;
	vs_maa_os_parse(
		vs_bytes_str("ID=debian\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\n"), &os);
	assert_string_equal(os.distro, "Debian GNU/Linux");
	assert_int_equal(os.major, 12);
	assert_int_equal(os.minor, 0);
	vs_maa_os_parse(vs_bytes_str("NAME=Ubuntu\nVERSION_ID='24.04'"), &os);
	assert_string_equal(os.distro, "Ubuntu");
	assert_int_equal(os.major, 24);
	assert_int_equal(os.minor, 4);
	vs_maa_os_parse(vs_bytes_str("PRETTY_NAME=x\nNAME\nNAME=\nVERSION_ID=rolling\n"), &os);
	assert_string_equal(os.distro, "Linux");
	assert_int_equal(os.major, 0);
	vs_maa_os_parse(vs_bytes_str("NAME=\xff\xfe\nVERSION_ID=99999999999999999999"), &os);
	assert_string_equal(os.distro, "Linux");
	vs_maa_os_parse((struct vs_bytes){0}, &os);
	assert_string_equal(os.distro, "Linux");
}

/* ---- the call ----------------------------------------------------------------------------------
 */

static vs_rc
attest(struct vs_buf *envelope, struct vs_err *err)
{
	char id[80] = "";

	return vs_maa_attest(
		&web.net, ORIGIN, vs_bytes_str("{}"), webkit_in_s(&web, 30), envelope, id, err);
}

static void
quotes_the_services_own_refusal(void **state)
{
	VS_CLEANUP(vs_json_freep)
	struct vs_json *rec =
		load("exchanges/attest-sgxenclave-draftpolicy-shared-200-and-400.json");
	VS_CLEANUP(vs_buf_done) struct vs_buf body = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf envelope = {0};
	const struct vs_json *entries = vs_json_get(rec, "Entries");
	struct vs_err err = {0};

	(void)state;
	for (size_t i = 0; i < vs_json_count(entries); i++) {
		int64_t status = 0;
		assert_true(
			vs_json_int(vs_json_get(vs_json_at(entries, i), "StatusCode"), &status));
		if (status == 400)
			assert_ok(vs_json_dump(vs_json_get(vs_json_at(entries, i), "ResponseBody"),
					  &body, &err),
				&err);
	}
	const struct webkit_step steps[] = {
		{.status = 400, .body = vs_buf_cstr(&body)},
		{.status = 400,
			.body = "{\"Error\":{\"Code\":\"PolicyValidationFailure\",\"Message\":\"["
				"type==\\\"secureboot\\\", "
				"value==false] => deny();\"}}"},
		{.status = 400, .body = "nothing"},
	};
	webkit_init(&web, steps, 3);
	assert_code(attest(&envelope, &err), REFUSED_ATTESTATION);
	assert_non_null(strstr(err.frames[0].text, "PolicyEvaluationError"));
	assert_non_null(
		strstr(err.frames[0].text, "Attestation Enclave operation failed with 65518"));
	assert_string_equal(web.last_url, ORIGIN "/attest/AzureGuest?api-version=2020-10-01");
	assert_string_equal(web.last_bearer, "");
	assert_code(attest(&envelope, &err), REFUSED_ATTESTATION);
	assert_non_null(strstr(err.frames[0].text, "secureboot"));
	assert_code(attest(&envelope, &err), REFUSED_ATTESTATION);
	assert_int_equal(web.requests, 3);
}

static void
tells_outages_from_answers_of_no_use(void **state)
{
	static const struct {
		struct webkit_step step;
		enum vs_code code;
		unsigned requests;
	} cases[] = {
		{{.status = 500, .always = true}, VS_E_UNAVAILABLE, 2},
		{{.status = 503, .always = true}, VS_E_UNAVAILABLE, 2},
		{{.status = 429, .always = true}, VS_E_THROTTLED, 2},
		{{.code = VS_E_CONNECT, .always = true}, VS_E_CONNECT, 2},
		{{.code = VS_E_TLS, .always = true}, VS_E_TLS, 1},
		{{.status = 307}, VS_E_ANSWER, 1},
		{{.status = 401}, VS_E_ANSWER, 1},
		{{.status = 204}, VS_E_ANSWER, 1},
		{{.status = 200, .body = "{\"token\":\"e30\"}", .content_type = "text/html"},
			VS_E_ANSWER, 1},
		{{.status = 200, .body = "{\"token\":\"\"}"}, VS_E_ANSWER, 1},
		{{.status = 200, .body = "{\"token\":\"***\"}"}, VS_E_ANSWER, 1},
		{{.status = 200, .body = "{\"token\":{}}"}, VS_E_ANSWER, 1},
		{{.status = 200, .body = "{\"token\":\"e30\"} "}, VS_E_OK, 1},
		{{.status = 200, .body = "{\"token\":\"e30\"}x"}, VS_E_ANSWER, 1},
		{{.status = 200, .body = "{\"token\":\"e30\",\"token\":\"e30\"}"}, VS_E_ANSWER, 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		VS_CLEANUP(vs_buf_done) struct vs_buf envelope = {0};
		webkit_init(&web, &cases[i].step, 1);
		const vs_rc rc = attest(&envelope, NULL);
		if (rc.code != cases[i].code || web.requests != cases[i].requests)
			fail_msg("case %zu: %s after %u", i, vs_code_name(rc.code), web.requests);
		assert_int_equal(envelope.n, rc.code == VS_E_OK ? 2 : 0);
	}
}

/* ---- the envelope -------------------------------------------------------------------------------
 */

struct seal {
	const char *mode, *padding, *cipher, *aad;
	int bits, key_n, iv_n, tag_n;
	struct vs_buf inner_key, iv, jwt, tag;
};

static void
seal_done(struct seal *s)
{
	vs_buf_done(&s->inner_key);
	vs_buf_done(&s->iv);
	vs_buf_done(&s->jwt);
	vs_buf_done(&s->tag);
}

/* As the service does it: AES key to the transport key by PKCS#1 v1.5, token by AES-GCM. */
static void
seal(struct seal *s, const char *token)
{
	unsigned char key[64];
	unsigned char iv[32];
	unsigned char out[4096];
	unsigned char tag[16];
	unsigned char block[256];
	size_t block_n = sizeof block;
	struct vs_err err = {0};
	int n = 0;

	assert_int_equal(RAND_bytes(key, sizeof key), 1);
	assert_int_equal(RAND_bytes(iv, sizeof iv), 1);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(rk_wrap_key(), NULL);
	assert_int_equal(EVP_PKEY_encrypt_init(ctx), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING), 1);
	assert_int_equal(EVP_PKEY_encrypt(ctx, block, &block_n, key, (size_t)s->key_n), 1);
	EVP_PKEY_CTX_free(ctx);
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	assert_int_equal(
		EVP_EncryptInit_ex(c, s->key_n == 16 ? EVP_aes_128_gcm() : EVP_aes_256_gcm(), NULL,
			NULL, NULL),
		1);
	assert_int_equal(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_IVLEN, s->iv_n, NULL), 1);
	assert_int_equal(EVP_EncryptInit_ex(c, NULL, NULL, key, iv), 1);
	assert_int_equal(
		EVP_EncryptUpdate(c, NULL, &n, (const unsigned char *)s->aad, (int)strlen(s->aad)),
		1);
	assert_int_equal(
		EVP_EncryptUpdate(c, out, &n, (const unsigned char *)token, (int)strlen(token)), 1);
	assert_int_equal(EVP_EncryptFinal_ex(c, out + n, &n), 1);
	assert_int_equal(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, 16, tag), 1);
	EVP_CIPHER_CTX_free(c);
	assert_ok(vs_buf_set(&s->inner_key, block, block_n, &err), &err);
	assert_ok(vs_buf_set(&s->iv, iv, (size_t)s->iv_n, &err), &err);
	assert_ok(vs_buf_set(&s->jwt, out, strlen(token), &err), &err);
	assert_ok(vs_buf_set(&s->tag, tag, (size_t)s->tag_n, &err), &err);
}

static struct seal
new_seal(void)
{
	return (struct seal){.mode = "ChainingModeGCM",
		.padding = "PKCS7",
		.cipher = "AES",
		.aad = "Transport Key",
		.bits = 256,
		.key_n = 32,
		.iv_n = 12,
		.tag_n = 16};
}

static void
write_envelope(const struct seal *s, struct vs_buf *out)
{
	struct vs_buf t[4] = {{0}, {0}, {0}, {0}};
	const struct vs_buf *const from[] = {&s->jwt, &s->inner_key, &s->iv, &s->tag};
	struct vs_err err = {0};

	for (size_t i = 0; i < 4; i++)
		assert_ok(vs_b64_encode(vs_buf_view(from[i]), &t[i], &err), &err);
	vs_buf_reset(out);
	assert_ok(vs_buf_addf(out, &err,
			  "{\"Jwt\":\"%s\",\"EncryptedInnerKey\":\"%s\",\"EncryptionParams\":{"
			  "\"BlockMode\":\"%s\","
			  "\"BlockPadding\":\"%s\",\"Cipher\":\"%s\",\"KeySizeInBits\":%d,\"Iv\":"
			  "\"%s\"},"
			  "\"AuthenticationData\":\"%s\"}",
			  vs_buf_cstr(&t[0]), vs_buf_cstr(&t[1]), s->mode, s->padding, s->cipher,
			  s->bits, vs_buf_cstr(&t[2]), vs_buf_cstr(&t[3])),
		&err);
	for (size_t i = 0; i < 4; i++)
		vs_buf_done(&t[i]);
}

static vs_rc
open_envelope(const struct seal *s, struct rk_tpm *tpm, struct vs_buf *token, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {0};
	const struct vs_evidence_src src = rk_tpm_src(tpm);

	write_envelope(s, &text);
	return vs_maa_open(ossl, vs_buf_view(&text), &src, arena, token, err);
}

static void
opens_an_envelope_with_the_transport_key(void **state)
{
	VS_CLEANUP(seal_done) struct seal s = new_seal();
	VS_CLEANUP(vs_buf_done) struct vs_buf token = {0};
	struct rk_tpm tpm = {0};
	struct vs_err err = {0};

	(void)state;
	seal(&s, "aaa.bbb.ccc");
	assert_ok(open_envelope(&s, &tpm, &token, &err), &err);
	assert_true(vs_bytes_eq_str(vs_buf_view(&token), "aaa.bbb.ccc"));
	assert_int_equal(tpm.unwraps, 1);
}

static void
every_changed_byte_of_an_envelope_is_refused_alike(void **state)
{
	VS_CLEANUP(seal_done) struct seal s = new_seal();
	VS_CLEANUP(vs_buf_done) struct vs_buf token = {0};
	struct vs_buf *const parts[] = {&s.inner_key, &s.iv, &s.jwt, &s.tag};
	struct rk_tpm tpm = {0};
	char first[1024] = "";
	char text[1024];

	(void)state;
	seal(&s, "aaa.bbb.ccc");
	for (size_t p = 0; p < 4; p++) {
		for (size_t i = 0; i < parts[p]->n; i++) {
			struct vs_err err = {0};
			parts[p]->p[i] ^= 1;
			assert_code(open_envelope(&s, &tpm, &token, &err), REFUSED_BINDING);
			parts[p]->p[i] ^= 1;
			vs_err_sentence(&err, text, sizeof text);
			if (first[0] == '\0')
				(void)snprintf(first, sizeof first, "%s", text);
			assert_string_equal(text, first);
		}
	}
	assert_int_equal(tpm.unwraps, 256 + 12 + 11 + 16);
	assert_int_equal(token.n, 0);
	/* The TPM's own troubles are told; a wrong key length is not. */
	struct vs_err err = {0};
	tpm = (struct rk_tpm){.fail = VS_E_REFUSED_BINDING};
	assert_code(open_envelope(&s, &tpm, &token, &err), REFUSED_BINDING);
	tpm.fail = VS_E_TPM;
	assert_code(open_envelope(&s, &tpm, &token, &err), TPM);
	tpm.fail = VS_E_DATA;
	assert_code(open_envelope(&s, &tpm, &token, &err), REFUSED_BINDING);
	vs_err_sentence(&err, text, sizeof text);
	assert_string_equal(text, first);
	tpm = (struct rk_tpm){.give = 16};
	assert_code(open_envelope(&s, &tpm, &token, &err), REFUSED_BINDING);
	vs_err_sentence(&err, text, sizeof text);
	assert_string_equal(text, first);
}

static void
refuses_envelopes_of_another_kind(void **state)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf token = {0};
	struct rk_tpm tpm = {0};

	(void)state;
#define OTHER(member_, value_, unwraps_) \
	do { \
		VS_CLEANUP(seal_done) struct seal s = new_seal(); \
		s.member_ = (value_); \
		seal(&s, "aaa.bbb.ccc"); \
		tpm.unwraps = 0; \
		const vs_rc rc = open_envelope(&s, &tpm, &token, NULL); \
		assert_string_equal( \
			vs_code_name(rc.code), (unwraps_) ? "REFUSED_BINDING" : "ANSWER"); \
		assert_int_equal(tpm.unwraps, unwraps_); \
	} while (0)
	OTHER(mode, "ChainingModeCBC", 0);
	OTHER(padding, "None", 0);
	OTHER(cipher, "aes", 0);
	OTHER(bits, 128, 0);
	OTHER(bits, 0, 0);
	OTHER(iv_n, 16, 0);
	OTHER(tag_n, 12, 0);
	OTHER(tag_n, 0, 0);
	OTHER(aad, "transport key", 1);
	OTHER(aad, "", 1);
	OTHER(key_n, 16, 1);
	OTHER(key_n, 33, 1);
#undef OTHER
	static const char *const texts[] = {
		"", "{}", "[]", "null", "{\"Jwt\":\"e30=\"}", "{\"EncryptionParams\":[]}", "x"};
	const struct vs_evidence_src src = rk_tpm_src(&tpm);
	tpm.unwraps = 0;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		assert_code(vs_maa_open(ossl, vs_bytes_str(texts[i]), &src, arena, &token, NULL),
			ANSWER);
	VS_CLEANUP(seal_done) struct seal s = new_seal();
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {0};
	seal(&s, "aaa.bbb.ccc");
	write_envelope(&s, &text);
	for (size_t n = 0; n < text.n; n++)
		assert_code(vs_maa_open(ossl, vs_bytes_of(text.p, n), &src, arena, &token, NULL),
			ANSWER);
	assert_int_equal(tpm.unwraps, 0);
}

/* ---- beside it --------------------------------------------------------------------------------
 */

static void
fetches_hardware_certificates_and_quotes(void **state)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf out = {0};
	const struct webkit_step steps[] = {
		{.match = "GET http://169.254.169.254/metadata/THIM/amd/certification",
			.status = 200,
			.body = "{\"vcekCert\":\"A\\n\",\"certificateChain\":\"B\\n\",\"tcbm\":"
				"\"x\",\"cacheControl\":\"86400\"}"},
		{.match = "POST http://169.254.169.254/acc/tdquote",
			.status = 200,
			.body = "{\"quote\":\"cXVvdGU\"}"},
	};
	static const char *const bad[] = {"{}",
		"{\"vcekCert\":\"\",\"certificateChain\":\"B\",\"quote\":\"\"}",
		"{\"vcekCert\":1,\"quote\":1}", "[]", "", "{\"vcekCert\":\"A\",\"quote\":\"*\"}"};
	struct vs_err err = {0};

	(void)state;
	webkit_init(&web, steps, 2);
	assert_ok(vs_maa_amd_chain(&web.net, "http://169.254.169.254", &vs_http_retry_none,
			  webkit_in_s(&web, 9), &out, &err),
		&err);
	assert_true(vs_bytes_eq_str(vs_buf_view(&out), "A\nB\n"));
	assert_string_equal(web.last_headers, "Metadata: true\n");
	assert_ok(vs_maa_td_quote(&web.net, "http://169.254.169.254", vs_bytes_str("report"),
			  webkit_in_s(&web, 9), &out, &err),
		&err);
	assert_true(vs_bytes_eq_str(vs_buf_view(&out), "quote"));
	assert_string_equal(web.last_body, "{\"report\":\"cmVwb3J0\"}");
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		const struct webkit_step step = {.status = 200, .body = bad[i], .always = true};
		webkit_init(&web, &step, 1);
		assert_code(vs_maa_amd_chain(&web.net, "http://169.254.169.254",
				    &vs_http_retry_none, webkit_in_s(&web, 9), &out, NULL),
			ANSWER);
		assert_code(vs_maa_td_quote(&web.net, "http://169.254.169.254", vs_bytes_str("r"),
				    webkit_in_s(&web, 9), &out, NULL),
			ANSWER);
	}
	/* Nowhere else by plain http. */
	webkit_init(&web, steps, 2);
	assert_code(vs_maa_amd_chain(&web.net, "http://10.0.0.1", &vs_http_retry_none,
			    webkit_in_s(&web, 9), &out, NULL),
		USAGE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(builds_the_request_of_a_real_machine),
		cmocka_unit_test(sends_the_hardware_evidence_of_each_kind_of_machine),
		cmocka_unit_test(reads_the_name_of_the_system),
		cmocka_unit_test(quotes_the_services_own_refusal),
		cmocka_unit_test(tells_outages_from_answers_of_no_use),
		cmocka_unit_test(opens_an_envelope_with_the_transport_key),
		cmocka_unit_test(every_changed_byte_of_an_envelope_is_refused_alike),
		cmocka_unit_test(refuses_envelopes_of_another_kind),
		cmocka_unit_test(fetches_hardware_certificates_and_quotes),
	};

	return cmocka_run_group_tests(tests, group_up, group_down);
}
