/* SPDX-License-Identifier: BSD-2-Clause */
/* The lab's Entra and metadata service: every credential is verified, every refusal has its code.
 */
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs7.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <time.h>

#include "base/codec.h"
#include "base/file.h"
#include "lab/labkit.h"
#include "lab/lab_jwt.h"
#include "unit/unit.h"

#define IMDS labkit_var("IMDS_URL")
#define ENTRA labkit_var("AUTHORITY_URL")
#define TYPE "Content-Type: application/x-www-form-urlencoded;charset=utf-8"
#define ASSERTION \
	"client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer" \
	"&client_assertion="
#define TOKEN_PATH "/metadata/identity/oauth2/token?api-version=2018-02-01"
#define SCOPE "https%3A%2F%2Fvault.azure.net%2F.default"

static struct answer
imds(const char *path, const char *header)
{
	return http("GET", IMDS, path, NULL, NULL, header);
}

static const char *
token_path(void)
{
	static char path[128];
	snprintf(path, sizeof path, "/%s/oauth2/v2.0/token", labkit_var("TENANT_ID"));
	return path;
}

/* POST of a form; rest is appended to what every request has. */
static struct answer
login(const char *client, const char *scope, const char *rest)
{
	char form[8192];
	snprintf(form, sizeof form, "client_id=%s&scope=%s&grant_type=client_credentials&%s",
		client, scope, rest);
	return http("POST", ENTRA, token_path(), NULL, form, TYPE);
}

static void
expect_code(struct answer a, long status, int code)
{
	char want[32];
	snprintf(want, sizeof want, "AADSTS%d: ", code);
	const json_t *codes = json_object_get(a.json, "error_codes");
	const char *text = json_string_value(json_object_get(a.json, "error_description"));
	if (text == NULL || strncmp(text, want, strlen(want)) != 0)
		fail_msg("status %ld, %s", a.status, a.body);
	assert_int_equal(a.status, status);
	assert_int_equal(json_integer_value(json_array_get(codes, 0)), code);
	answer_done(&a);
}

/* A 200 whose token opens the vault. */
static void
expect_token(struct answer a)
{
	if (a.status != 200)
		fail_msg("status %ld: %s", a.status, a.body);
	const char *token = json_string_value(json_object_get(a.json, "access_token"));
	struct answer b =
		http("GET", labkit_var("VAULT_URL"), "/keys?api-version=7.4", token, NULL, NULL);
	assert_int_equal(b.status, 200);
	answer_done(&a);
	answer_done(&b);
}

/* ---- metadata service ----------------------------------------------------------------------- */

static void
imds_gives_strings_to_who_says_metadata(void **state)
{
	(void)state;
	struct answer a =
		imds(TOKEN_PATH "&resource=https%3A%2F%2Fvault.azure.net", "Metadata: true");
	const char *name = NULL;
	json_t *value = NULL;
	size_t n = 0;
	assert_int_equal(a.status, 200);
	json_object_foreach (a.json, name, value) {
		assert_true(json_is_string(value));
		n++;
	}
	assert_int_equal(n, 8);
	expect_token(a);
	char path[300];
	snprintf(path, sizeof path,
		"/metadata/identity/oauth2/token/?api-version=2018-02-01&resource=https://"
		"vault.azure.net"
		"&client_id=%s",
		labkit_var("MI_CLIENT_ID"));
	expect_token(imds(path, "Metadata: true"));
}

static void
imds_refuses_the_wrong_way_of_asking(void **state)
{
	(void)state;
	static const struct {
		const char *path, *header, *error, *text;
	} rows[] = {
		{TOKEN_PATH "&resource=https://vault.azure.net", NULL, "invalid_request",
			"Required metadata header not specified"},
		{TOKEN_PATH "&resource=https://vault.azure.net", "Metadata: false",
			"invalid_request", "Required metadata header not specified"},
		{TOKEN_PATH "&resource=https://vault.azure.net", "X-Forwarded-For: 10.0.0.1",
			"invalid_request", "X-Forwarded-For header is not allowed"},
		{TOKEN_PATH "&resource=https://"
			    "vault.azure.net&client_id=00000000-0000-0000-0000-000000000000",
			"Metadata: true", "invalid_request", "Identity not found"},
		{TOKEN_PATH "&resource=https://example.com", "Metadata: true", "invalid_resource",
			"AADSTS500011"},
		{TOKEN_PATH, "Metadata: true", "invalid_request",
			"Required query variable 'resource'"},
		{"/metadata/identity/oauth2/token?resource=https://vault.azure.net",
			"Metadata: true", "invalid_request",
			"Required query variable 'api-version'"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct answer a = imds(rows[i].path, rows[i].header);
		assert_int_equal(a.status, 400);
		assert_string_equal(
			json_string_value(json_object_get(a.json, "error")), rows[i].error);
		const char *text = json_string_value(json_object_get(a.json, "error_description"));
		if (strncmp(text, rows[i].text, strlen(rows[i].text)) != 0)
			fail_msg("row %zu: %s", i, text);
		answer_done(&a);
	}
}

static void
imds_knows_the_machine(void **state)
{
	(void)state;
	struct answer a = imds("/metadata/THIM/amd/certification", "Metadata: true");
	assert_int_equal(a.status, 200);
	assert_non_null(json_object_get(a.json, "vcekCert"));
	assert_int_equal(strlen(json_string_value(json_object_get(a.json, "tcbm"))), 16);
	answer_done(&a);
	a = imds("/metadata/instance/compute/location?api-version=2021-01-01&format=text",
		"Metadata: true");
	assert_string_equal(a.body, "labregion");
	answer_done(&a);
	a = imds("/metadata/instance?api-version=2021-01-01", "Metadata: true");
	assert_non_null(json_object_get(json_object_get(a.json, "compute"), "vmId"));
	answer_done(&a);
	a = http("POST", IMDS, "/acc/tdquote", NULL, "{\"report\":\"\"}", "Metadata: true");
	assert_int_equal(a.status, 404);
	answer_done(&a);
}

/* ---- secret --------------------------------------------------------------------------------- */

static void
entra_takes_the_right_secret_only(void **state)
{
	(void)state;
	char rest[200], v1[512], path[128];
	const char *id = labkit_var("CLIENT_ID");
	snprintf(rest, sizeof rest, "client_secret=%s", labkit_var("CLIENT_SECRET"));
	expect_token(login(id, SCOPE, rest));
	snprintf(v1, sizeof v1,
		"grant_type=client_credentials&client_id=%s&resource=https%%3A%%2F%%2Fvault.azure."
		"net&%s",
		id, rest);
	snprintf(path, sizeof path, "/%s/oauth2/token", labkit_var("TENANT_ID"));
	expect_token(http("POST", ENTRA, path, NULL, v1, TYPE));
	expect_code(login(id, SCOPE, "client_secret=wrong"), 401, 7000215);
	expect_code(login(id, SCOPE, "client_secret="), 401, 7000215);
	expect_code(login("00000000-0000-0000-0000-000000000000", SCOPE, rest), 400, 700016);
	expect_code(login(id, "https%3A%2F%2Fexample.com%2F.default", rest), 400, 500011);
	expect_code(login(id, "https%3A%2F%2Fvault.azure.net", rest), 400, 500011);
	expect_code(http("POST", ENTRA, "/00000000-0000-0000-0000-000000000000/oauth2/v2.0/token",
			    NULL, "a=b", TYPE),
		400, 90002);
	expect_code(
		http("POST", ENTRA, token_path(), NULL, "grant_type=password", TYPE), 400, 70003);
	expect_code(http("POST", ENTRA, token_path(), NULL, "{}", NULL), 400, 900144);
}

static void
entra_has_metadata(void **state)
{
	(void)state;
	char path[128];
	snprintf(path, sizeof path, "/%s/v2.0/.well-known/openid-configuration",
		labkit_var("TENANT_ID"));
	struct answer a = http("GET", ENTRA, path, NULL, NULL, NULL);
	static const char *const names[] = {
		"token_endpoint", "issuer", "authorization_endpoint", "jwks_uri"};
	for (size_t i = 0; i < 4; i++) {
		const char *url = json_string_value(json_object_get(a.json, names[i]));
		assert_non_null(url);
		assert_int_equal(strncmp(url, ENTRA, strlen(ENTRA)), 0);
	}
	const char *keys = json_string_value(json_object_get(a.json, "jwks_uri"));
	struct answer b = http("GET", "", keys, NULL, NULL, NULL);
	assert_int_equal(json_array_size(json_object_get(b.json, "keys")), 1);
	answer_done(&a);
	answer_done(&b);
}

/* ---- certificate ---------------------------------------------------------------------------- */

struct assertion {
	const char *alg, *aud, *iss;
	long exp; /* relative to now */
	EVP_PKEY *key; /* NULL: the registered one */
	bool sha1; /* x5t instead of x5t#S256 */
};

static char *
make_assertion(const struct assertion *s)
{
	struct vs_buf out = {0}, x5t = {0};
	struct vs_err err = {0};
	uint8_t hash[32];
	unsigned n = 0;
	const long now = (long)time(NULL);
	FILE *f = fopen(labkit_var("CLIENT_CERT_FILE"), "r");
	assert_non_null(f);
	EVP_PKEY *key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
	X509 *cert = PEM_read_X509(f, NULL, NULL, NULL);
	fclose(f);
	assert_int_equal(X509_digest(cert, s->sha1 ? EVP_sha1() : EVP_sha256(), hash, &n), 1);
	assert_ok(vs_b64url_encode(vs_bytes_of(hash, n), &x5t, &err), &err);
	json_t *header = json_pack("{s:s,s:s,s:s}", "alg", s->alg, "typ", "JWT",
		s->sha1 ? "x5t" : "x5t#S256", vs_buf_cstr(&x5t));
	json_t *payload = json_pack("{s:s,s:I,s:s,s:s,s:I,s:s,s:I}", "aud", s->aud, "exp",
		(json_int_t)(now + s->exp), "iss", s->iss, "sub", s->iss, "nbf",
		(json_int_t)(now + s->exp - 600), "jti", "0", "iat", (json_int_t)now);
	assert_ok(lab_jws_sign(s->key != NULL ? s->key : key, s->alg, header, payload, &out, &err),
		&err);
	json_decref(header);
	json_decref(payload);
	vs_buf_done(&x5t);
	X509_free(cert);
	EVP_PKEY_free(key);
	return (char *)out.p;
}

static struct answer
assert_login(const char *client, const char *assertion)
{
	char rest[8000];
	snprintf(rest, sizeof rest, "%s%s", ASSERTION, assertion);
	return login(client, SCOPE, rest);
}

static void
entra_verifies_certificate_assertions(void **state)
{
	(void)state;
	char endpoint[256];
	const char *id = labkit_var("CERT_CLIENT_ID");
	EVP_PKEY *other = EVP_RSA_gen(2048);
	snprintf(endpoint, sizeof endpoint, "%s%s", ENTRA, token_path());
	const struct {
		struct assertion a;
		int code;
	} rows[] = {
		{{"PS256", endpoint, id, 600, NULL, false}, 0},
		{{"RS256", endpoint, id, 600, NULL, true}, 0},
		{{"PS256", endpoint, id, 600, other, false}, 700027},
		{{"PS256", endpoint, id, -600, NULL, false}, 700024},
		{{"PS256", endpoint, id, 200000, NULL, false}, 700024},
		{{"PS256", "https://login.microsoftonline.com/x/oauth2/v2.0/token", id, 600, NULL,
			 false},
			700023},
		{{"PS256", endpoint, labkit_var("CLIENT_ID"), 600, NULL, false}, 700021},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char *text = make_assertion(&rows[i].a);
		if (rows[i].code == 0)
			expect_token(assert_login(id, text));
		else
			expect_code(assert_login(id, text), 401, rows[i].code);
		free(text);
	}
	expect_code(assert_login(id, "eyJhbGciOiJub25lIn0.e30."), 401, 700027);
	expect_code(assert_login(id, "x"), 401, 50027);
	expect_code(login(id, SCOPE, "client_secret=x"), 401, 7000218);
	EVP_PKEY_free(other);
}

/* ---- federation ----------------------------------------------------------------------------- */

static void
entra_verifies_federated_tokens(void **state)
{
	(void)state;
	struct vs_buf file = {0};
	struct vs_err err = {0};
	const char *id = labkit_var("WI_CLIENT_ID");
	assert_ok(
		vs_file_read(labkit_var("FEDERATED_TOKEN_FILE"), 8192, VS_FILE_SECRET, &file, &err),
		&err);
	char *text = (char *)file.p;
	expect_token(assert_login(id, text));
	char *sig = strrchr(text, '.') + 7;
	*sig = *sig == 'A' ? 'B' : 'A';
	expect_code(assert_login(id, text), 401, 700027);
	expect_code(assert_login(labkit_var("CERT_CLIENT_ID"), text), 401, 700027);
	/* the machine's own access token is no workload token */
	expect_code(assert_login(id, vault_bearer()), 401, 700211);
	vs_buf_done(&file);
}

static int
up(void **state)
{
	(void)state;
	labkit_up();
	return 0;
}

static int
down(void **state)
{
	(void)state;
	labkit_down();
	return 0;
}

static void
imds_signs_who_the_machine_is(void **state)
{
	(void)state;
	static const char path[] = "/metadata/attested/document?api-version=2021-02-01";
	struct vs_err err = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf der = {0}, ca = {0};
	char full[200];
	snprintf(full, sizeof full, "%s&nonce=1234567890", path);
	struct answer a = imds(full, "Metadata: true");
	assert_int_equal(a.status, 200);
	assert_string_equal(json_string_value(json_object_get(a.json, "encoding")), "pkcs7");
	const char *text = json_string_value(json_object_get(a.json, "signature"));
	assert_ok(vs_b64_decode(vs_bytes_str(text), &der, &err), &err);
	assert_ok(vs_file_read(labkit_var("CA_FILE"), 65536, VS_FILE_ANY, &ca, &err), &err);
	X509_STORE *store = X509_STORE_new();
	BIO *in = BIO_new_mem_buf(ca.p, (int)ca.n), *out = BIO_new(BIO_s_mem());
	for (X509 *c; (c = PEM_read_bio_X509(in, NULL, NULL, NULL)); X509_free(c))
		assert_int_equal(X509_STORE_add_cert(store, c), 1);
	const unsigned char *p = der.p;
	PKCS7 *p7 = d2i_PKCS7(NULL, &p, (long)der.n);
	assert_non_null(p7);
	X509_STORE_set_purpose(store, X509_PURPOSE_ANY);
	assert_int_equal(PKCS7_verify(p7, NULL, store, NULL, out, PKCS7_BINARY), 1);
	char *said = NULL;
	const long n = BIO_get_mem_data(out, &said);
	json_t *o = json_loadb(said, (size_t)n, 0, NULL);
	assert_string_equal(json_string_value(json_object_get(o, "nonce")), "1234567890");
	assert_int_equal(strlen(json_string_value(json_object_get(o, "vmId"))), 36);
	json_decref(o);
	PKCS7_free(p7);
	BIO_free(in);
	BIO_free(out);
	X509_STORE_free(store);
	answer_done(&a);
	static const char *const bad[] = {"&nonce=12345678901", "&nonce=12a", "&nonce=-1"};
	for (size_t i = 0; i < 3; i++) {
		snprintf(full, sizeof full, "%s%s", path, bad[i]);
		a = imds(full, "Metadata: true");
		assert_int_equal(a.status, 400);
		answer_done(&a);
	}
	a = imds(path, NULL);
	assert_int_equal(a.status, 400);
	answer_done(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(imds_gives_strings_to_who_says_metadata),
		cmocka_unit_test(imds_refuses_the_wrong_way_of_asking),
		cmocka_unit_test(imds_knows_the_machine),
		cmocka_unit_test(imds_signs_who_the_machine_is),
		cmocka_unit_test(entra_takes_the_right_secret_only),
		cmocka_unit_test(entra_has_metadata),
		cmocka_unit_test(entra_verifies_certificate_assertions),
		cmocka_unit_test(entra_verifies_federated_tokens),
	};
	return cmocka_run_group_tests(tests, up, down);
}
