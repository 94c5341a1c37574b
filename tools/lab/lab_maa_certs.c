/* SPDX-License-Identifier: BSD-2-Clause */
/* Policy certificates: who may sign policies of the isolated provider. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>

#include "base/codec.h"
#include "base/file.h"
#include "base/secret.h"
#include "lab/lab_maa_priv.h"
#include "lab/lab_machine_priv.h"
#include "lab/lab_roots.h"

#define ON_AAD \
	"Attestation Enclave operation failed with 65530: " \
	"RETURN_IF_TRUE('(GetPolicyRootCertificates().empty())') failed with 0xfffa:The " \
	"operation " \
	"is disallowed."

static json_t *
jwk_of(const json_t *der)
{
	return json_pack(
		"{s:s,s:s,s:s,s:[O]}", "alg", "RS256", "kty", "RSA", "use", "sig", "x5c", der);
}

static size_t
find(const json_t *certs, const char *der)
{
	size_t i = 0;
	while (i < json_array_size(certs) &&
		strcmp(json_string_value(json_array_get(certs, i)), der) != 0)
		i++;
	return i;
}

bool
lab_maa_knows_signer(struct lab_maa *maa, const json_t *signer)
{
	const char *der = json_string_value(json_array_get(json_object_get(signer, "x5c"), 0));
	pthread_mutex_lock(&maa->lock);
	const bool known = der && find(maa->policy_certs, der) < json_array_size(maa->policy_certs);
	pthread_mutex_unlock(&maa->lock);
	return known;
}

static void
list(struct lab_maa *maa, json_t *claims)
{
	json_t *keys = json_array();
	pthread_mutex_lock(&maa->lock);
	for (size_t i = 0; i < json_array_size(maa->policy_certs); i++)
		json_array_append_new(keys, jwk_of(json_array_get(maa->policy_certs, i)));
	pthread_mutex_unlock(&maa->lock);
	json_object_set_new(claims, "x-ms-policy-certificates", json_pack("{s:o}", "keys", keys));
}

/* The certificate that the payload names, as DER in base64; its thumbprint. */
static const char *
subject_of(const json_t *payload, char thumbprint[2 * SHA_DIGEST_LENGTH + 1])
{
	const json_t *jwk = json_object_get(payload, "policyCertificate");
	const char *text = json_string_value(json_array_get(json_object_get(jwk, "x5c"), 0));
	VS_CLEANUP(vs_buf_done) struct vs_buf der = {0};
	uint8_t digest[SHA_DIGEST_LENGTH];
	if (!text || vs_failed(vs_b64_decode(vs_bytes_str(text), &der, NULL)))
		return NULL;
	const unsigned char *p = der.p;
	X509 *cert = d2i_X509(NULL, &p, (long)der.n);
	const bool ok = cert && p == der.p + der.n && X509_check_ca(cert) == 1;
	X509_free(cert);
	ERR_clear_error();
	SHA1(der.p, der.n, digest);
	for (size_t i = 0; i < sizeof digest; i++)
		snprintf(thumbprint + 2 * i, 3, "%02X", digest[i]);
	return ok ? text : NULL;
}

/* Under the lock. */
static bool
change_locked(struct lab_maa *maa, bool add, const char *der, struct lab_maa_error *e)
{
	const size_t n = json_array_size(maa->policy_certs), i = find(maa->policy_certs, der);
	if (add && i < n)
		return true;
	if (add && n >= LAB_POLICY_CERTS_MAX)
		return lab_maa_fail(e, 400, "InvalidOperation", "There are too many certificates.");
	if (add)
		return json_array_append_new(maa->policy_certs, json_string(der)) == 0 ||
			lab_maa_fail(e, 500, "InternalError", "no memory");
	if (i < n && n == 1)
		return lab_maa_fail(e, 400, "InvalidOperation",
			"The last policy certificate cannot be removed.");
	if (i < n)
		json_array_remove(maa->policy_certs, i);
	return true;
}

static bool
change(struct lab_maa *maa, bool add, const struct lab_req *req, json_t *claims,
	struct lab_maa_error *e)
{
	VS_CLEANUP(lab_maa_jws_done) struct lab_maa_jws j = {0};
	char thumbprint[2 * SHA_DIGEST_LENGTH + 1] = "";
	json_t *signer = NULL;
	if (maa->trust != LAB_TRUST_ISOLATED)
		return lab_maa_fail(e, 400, "InvalidOperation", ON_AAD);
	json_t *text = json_loadb((const char *)req->body.p, req->body.n, JSON_DECODE_ANY, NULL);
	const char *der = NULL;
	bool ok = json_is_string(text) &&
		lab_maa_jws_open(
			vs_bytes_of(json_string_value(text), json_string_length(text)), &j) &&
		(der = subject_of(j.payload, thumbprint)) != NULL;
	if (!ok)
		lab_maa_fail(e, 400, "InvalidParameter",
			"The body is not a JWS in a JSON string with the CA certificate in "
			"policyCertificate.");
	else if (!lab_maa_jws_signer(&j, &signer) || !lab_maa_knows_signer(maa, signer))
		ok = lab_maa_fail(e, 400, "InvalidOperation",
			"The signer is none of the provider's policy certificates.");
	if (ok) {
		pthread_mutex_lock(&maa->lock);
		ok = change_locked(maa, add, der, e);
		pthread_mutex_unlock(&maa->lock);
	}
	json_object_set_new(claims, "x-ms-certificate-thumbprint", json_string(thumbprint));
	json_object_set_new(claims, "x-ms-policycertificates-result",
		json_string(add ? "IsPresent" : "IsAbsent"));
	json_decref(signer);
	json_decref(text);
	return ok;
}

static bool
serve(struct lab_maa *maa, const struct lab_req *req, struct vs_buf *token, struct lab_maa_error *e)
{
	const char *action = req->path + strlen("/certificates");
	if (!lab_maa_allowed(maa, req, e))
		return false;
	json_t *claims = json_object();
	const bool get = *action == '\0', add = strcasecmp(action, ":add") == 0;
	bool ok = true;
	if (strcmp(req->method, get ? "GET" : "POST") != 0)
		ok = lab_maa_fail(e, 405, "MethodNotAllowed", "This method is not offered here.");
	else if (get)
		list(maa, claims);
	else
		ok = change(maa, add, req, claims, e);
	ok = ok && lab_maa_result(maa, claims, token, e);
	json_decref(claims);
	return ok;
}

bool
lab_maa_certificates(struct lab_maa *maa, const struct lab_req *req, struct lab_resp *resp)
{
	static const char *const paths[] = {
		"/certificates", "/certificates:add", "/certificates:remove"};
	struct lab_maa_error e = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf token = {0};
	size_t i = 0;
	while (i < 3 && strcasecmp(req->path, paths[i]) != 0)
		i++;
	if (i == 3)
		return false;
	if (serve(maa, req, &token, &e))
		lab_resp_json(resp, 200, json_pack("{s:s}", "token", vs_buf_cstr(&token)));
	else
		lab_maa_answer_error(resp, &e);
	return true;
}

static vs_rc
add_key_pem(EVP_PKEY *key, struct vs_buf *pem, struct vs_err *err)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text = NULL;
	long n = 0;
	if (bio && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1)
		n = BIO_get_mem_data(bio, &text);
	const vs_rc rc = n > 0 ? vs_buf_add(pem, text, (size_t)n, err)
			       : lab_ossl_fail("cannot encode a key", err);
	BIO_free(bio);
	return rc;
}

vs_rc
lab_maa_first_cert(struct lab_maa *maa, EVP_PKEY *key, struct vs_err *err)
{
	static const struct lab_ext ext[] = {
		{.oid = "basicConstraints", .conf = "critical,CA:TRUE"},
		{.oid = "keyUsage", .conf = "critical,keyCertSign,digitalSignature"},
		{.oid = "subjectKeyIdentifier", .conf = "hash"},
		{0},
	};
	const struct lab_hwcert spec = {
		.cn = "Policy signer LAB", .key = key, .serial = -1, .ext = ext};
	VS_CLEANUP(vs_buf_done) struct vs_buf pem = {0}, der = {0}, text = {0};
	char path[LAB_PATH_MAX];
	X509 *cert = NULL;
	VS_TRY(lab_hwcert_new(&spec, &cert, err));
	vs_rc rc = lab_hwcert_pem(cert, &pem, err);
	if (!vs_failed(rc))
		rc = lab_hwcert_der(cert, &der, err);
	X509_free(cert);
	VS_TRY(rc);
	VS_TRY(vs_b64_encode(vs_buf_view(&der), &text, err));
	if (json_array_append_new(maa->policy_certs, json_string(vs_buf_cstr(&text))) != 0)
		VS_FAIL(err, MEMORY, "out of memory");
	VS_TRY(lab_path(maa->lab, "secrets/policy-signer.pem", path, err));
	rc = add_key_pem(key, &pem, err);
	if (!vs_failed(rc))
		rc = vs_file_replace(path, 0600, vs_buf_view(&pem), err);
	vs_wipe(pem.p, pem.n);
	return rc;
}
