/* SPDX-License-Identifier: BSD-2-Clause */
/* The attested document: who this machine is, signed; it says nothing about its state. */
#include <ctype.h>
#include <jansson.h>
#include <openssl/err.h>
#include <openssl/pkcs7.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/codec.h"
#include "lab/lab_entra.h"
#include "lab/lab_pki.h"

enum { LIFE_S = 6 * 3600, NONCE_MAX = 10 };

static void
date(int64_t at, char out[40])
{
	struct tm tm = {0};
	const time_t t = (time_t)at;
	/* The service writes years with two digits. */
	if (gmtime_r(&t, &tm) == NULL)
		out[0] = '\0';
	else
		(void)snprintf(out, 40, "%02d/%02d/%02d %02d:%02d:%02d -0000", tm.tm_mon + 1,
			tm.tm_mday, tm.tm_year % 100, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static json_t *
content(const struct lab *lab, const char *nonce)
{
	char from[40], until[40];
	date(lab_now(lab), from);
	date(lab_now(lab) + LIFE_S, until);
	return json_pack("{s:s,s:s,s:{s:s,s:s,s:s},s:s,s:s,s:{s:s,s:s},s:s}", "licenseType", "",
		"nonce", nonce, "plan", "name", "", "product", "", "publisher", "", "sku", "lab",
		"subscriptionId", lab->subscription_id, "timeStamp", "createdOn", from, "expiresOn",
		until, "vmId", lab->vm_id);
}

/* The intermediate is not inside, as with the real service; the lab's CA file has it. */
static VS_RC
sign(struct lab *lab, const char *text, struct vs_buf *der, struct vs_err *err)
{
	const struct lab_cert_spec spec = {.cn = "metadata LAB",
		.subject_key = lab->entra->key,
		.issuer = lab->pki->ca,
		.issuer_key = lab->pki->ca_key,
		.san = "DNS:metadata.lab.invalid",
		.not_before_s = -3600,
		.not_after_s = 30 * 24 * 3600};
	X509 *cert = NULL;
	unsigned char *out = NULL;
	VS_TRY(lab_cert_make(&spec, &cert, err));
	BIO *in = BIO_new_mem_buf(text, (int)strlen(text));
	PKCS7 *p7 = in != NULL ? PKCS7_sign(cert, lab->entra->key, NULL, in, PKCS7_BINARY) : NULL;
	const int n = p7 != NULL ? i2d_PKCS7(p7, &out) : 0;
	vs_rc rc = n > 0 ? vs_buf_add(der, out, (size_t)n, err)
			 : vs_err_put(err, VS_E_CRYPTO, __func__, __LINE__, 0,
				   "the document cannot be signed");
	OPENSSL_free(out);
	PKCS7_free(p7);
	BIO_free(in);
	X509_free(cert);
	ERR_clear_error();
	return rc;
}

void
lab_imds_attested(struct lab *lab, const struct lab_req *req, struct lab_resp *resp)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf der = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf b64 = {0};
	const char *nonce = lab_req_query(req, "nonce");
	char own[NONCE_MAX + 1];
	uint32_t random = 0;
	if (lab_req_query(req, "api-version") == NULL ||
		(nonce != NULL &&
			(strlen(nonce) > NONCE_MAX ||
				strspn(nonce, "0123456789") != strlen(nonce)))) {
		lab_resp_json(resp, 400,
			json_pack("{s:s}", "error",
				"Bad request. api-version or nonce is not valid."));
		return;
	}
	if (nonce == NULL && !vs_failed(lab_random(&random, sizeof(random), NULL))) {
		(void)snprintf(own, sizeof(own), "%010u", random);
		nonce = own;
	}
	json_t *o = content(lab, nonce != NULL ? nonce : "");
	char *text = o != NULL ? json_dumps(o, JSON_COMPACT) : NULL;
	json_decref(o);
	if (text == NULL || vs_failed(sign(lab, text, &der, NULL)) ||
		vs_failed(vs_b64_encode(vs_buf_view(&der), &b64, NULL)))
		lab_resp_json(resp, 500, json_pack("{s:s}", "error", "no document"));
	else
		lab_resp_json(resp, 200,
			json_pack(
				"{s:s,s:s}", "encoding", "pkcs7", "signature", vs_buf_cstr(&b64)));
	free(text);
}
