/* SPDX-License-Identifier: BSD-2-Clause */
/* Access tokens: what is asked of whom, what is kept, what is refused. More than 500
 * lines because each case stands beside its script. */
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "base/codec.h"
#include "jose/json.h"
#include "keys/cred.h"
#include "unit/netkit.h"
#include "unit/unit.h"
#include "unit/webkit.h"

#define VAULT "https://vault.azure.net"
#define IMDS_URL \
	"http://169.254.169.254/metadata/identity/oauth2/" \
	"token?api-version=2018-02-01&resource=https%3A%2F%2Fvault.azure.net"
#define ANSWER(token_, expires_on_) \
	"{\"access_token\":\"" token_ \
	"\",\"client_id\":\"c\",\"expires_in\":\"86399\",\"expires_on\":\"" expires_on_ \
	"\",\"resource\":\"https://vault.azure.net\",\"token_type\":\"Bearer\"}"

static struct webkit web;
static struct vs_arena *arena;
static struct vs_conf conf;
static struct vs_conf_token token;
static char dir[64], imds[] = "http://169.254.169.254", label[] = "t";

static int
group_up(void **state)
{
	struct vs_err err = {0};

	(void)state;
	assert_ok(vs_arena_new(65536, 4 << 20, VS_LOCK_WARN, &arena, &err), &err);
	(void)snprintf(dir, sizeof dir, "/tmp/vs-cred.XXXXXX");
	assert_non_null(mkdtemp(dir));
	return 0;
}

static int
group_down(void **state)
{
	(void)state;
	vs_arena_free(arena);
	(void)rmdir(dir);
	return 0;
}

static int
set_up(void **state)
{
	(void)state;
	conf = (struct vs_conf){.imds = imds};
	token = (struct vs_conf_token){.label = label, .credential = VS_CRED_MANAGED_IDENTITY};
	return 0;
}

static char *
path_of(const char *name)
{
	static char path[4][160];
	static unsigned next;
	char *p = path[next++ % 4];

	(void)snprintf(p, 160, "%s/%s", dir, name);
	return p;
}

static void
write_file(const char *path, const char *text, mode_t mode)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static struct vs_cred
new_cred(const char *arc_dir)
{
	struct vs_cred c = {0};
	struct vs_err err = {0};
	const struct vs_cred_env env = {.conf = &conf,
		.token = &token,
		.arena = arena,
		.net = web.net,
		.arc_key_dir = arc_dir};

	assert_ok(vs_cred_new(&env, &c, &err), &err);
	return c;
}

static vs_rc
get(struct vs_cred c, bool fresh, const char *want, struct vs_err *err)
{
	VS_CLEANUP(vs_secret_done) struct vs_secret s = {0};

	VS_TRY(c.ops->get(c.self, VAULT, fresh, webkit_in_s(&web, 30), &s, err));
	if (want != NULL)
		assert_true(vs_bytes_eq_str(vs_secret_view(&s), want));
	return VS_OK;
}

static void
asks_the_metadata_service_once_and_keeps_the_token(void **state)
{
	const struct webkit_step steps[] = {
		{.status = 200, .body = ANSWER("one", "1700003600")},
		{.status = 200, .body = ANSWER("two", "1700090000")},
		{.status = 200, .body = ANSWER("three", "1700090000")},
	};
	struct vs_err err = {0};

	(void)state;
	webkit_init(&web, steps, 3);
	struct vs_cred c = new_cred(NULL);
	assert_int_equal(web.requests, 0);
	assert_ok(get(c, false, "one", &err), &err);
	assert_string_equal(web.last_url, IMDS_URL);
	assert_string_equal(web.last_headers, "Metadata: true\n");
	assert_string_equal(web.last_bearer, "");
	assert_ok(get(c, false, "one", &err), &err);
	web.boot_ns += 3299 * INT64_C(1000000000);
	assert_ok(get(c, false, "one", &err), &err);
	assert_int_equal(web.requests, 1);
	/* Five minutes before its end another one is fetched. */
	web.boot_ns += 2 * INT64_C(1000000000);
	assert_ok(get(c, false, "two", &err), &err);
	assert_ok(get(c, true, "three", &err), &err);
	assert_int_equal(web.requests, 3);
	c.ops->free(c.self);
}

static void
names_the_identity_that_is_configured(void **state)
{
	static char value[] = "/subscriptions/s/x y";
	char **const places[] = {&token.client_id, &token.object_id, &token.resource_id};
	static const char *const names[] = {"&client_id=", "&object_id=", "&msi_res_id="};
	const struct webkit_step step = {.status = 200, .body = ANSWER("one", "1700003600")};
	struct vs_err err = {0};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		char want[512];
		set_up(NULL);
		*places[i] = value;
		webkit_init(&web, &step, 1);
		struct vs_cred c = new_cred(NULL);
		assert_ok(get(c, false, "one", &err), &err);
		(void)snprintf(want, sizeof want, "%s%s%%2Fsubscriptions%%2Fs%%2Fx%%20y", IMDS_URL,
			names[i]);
		assert_string_equal(web.last_url, want);
		c.ops->free(c.self);
	}
}

static void
refuses_answers_that_are_no_token(void **state)
{
	static const struct {
		struct webkit_step step;
		enum vs_code code;
		const char *reason;
	} cases[] = {
		{{.status = 200, .body = "<html>", .content_type = "text/html"}, VS_E_ANSWER,
			"not JSON"},
		{{.status = 200, .body = "{"}, VS_E_ANSWER, "cannot be read"},
		{{.status = 200, .body = "{}"}, VS_E_ANSWER, "access_token"},
		{{.status = 200,
			 .body = "{\"access_token\":7,\"token_type\":\"Bearer\",\"expires_in\":9}"},
			VS_E_ANSWER, "access_token"},
		{{.status = 200,
			 .body = "{\"access_token\":\"secret\",\"token_type\":\"pop\",\"expires_"
				 "in\":9}"},
			VS_E_ANSWER, "type Bearer"},
		{{.status = 200, .body = "{\"access_token\":\"secret\",\"token_type\":\"Bearer\"}"},
			VS_E_ANSWER, "expiry"},
		{{.status = 200,
			 .body = "{\"access_token\":\"secret\",\"token_type\":\"Bearer\",\"expires_"
				 "in\":\"soon\"}"},
			VS_E_ANSWER, "expiry"},
		{{.status = 200,
			 .body = "{\"access_token\":\"secret\",\"access_token\":\"x\",\"token_"
				 "type\":\"Bearer\","
				 "\"expires_in\":9}"},
			VS_E_ANSWER, "cannot be read"},
		{{.status = 200, .body = ANSWER("secret", "1699999999")}, VS_E_CREDENTIAL,
			"expired"},
		{{.status = 400,
			 .body = "{\"error\":\"invalid_request\",\"error_description\":\"Identity "
				 "not found\\r\\nTrace "
				 "ID: 1\"}",
			 .always = true},
			VS_E_CREDENTIAL, "\"Identity not found\""},
		{{.status = 403, .body = "no"}, VS_E_CREDENTIAL, "status 403"},
		{{.status = 404, .always = true}, VS_E_CREDENTIAL, "status 404"},
		{{.status = 500, .always = true}, VS_E_UNAVAILABLE, "500"},
		{{.status = 429, .always = true}, VS_E_THROTTLED, "too many"},
		{{.status = 302}, VS_E_ANSWER, "elsewhere"},
		{{.code = VS_E_CONNECT, .always = true}, VS_E_CONNECT, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct vs_err err = {0};
		char text[1024];
		webkit_init(&web, &cases[i].step, 1);
		struct vs_cred c = new_cred(NULL);
		const vs_rc rc = get(c, false, NULL, &err);
		vs_err_sentence(&err, text, sizeof text);
		if (rc.code != cases[i].code ||
			(cases[i].reason != NULL && strstr(text, cases[i].reason) == NULL))
			fail_msg("case %zu: %s %s", i, vs_code_name(rc.code), text);
		assert_null(strstr(text, "secret"));
		assert_null(strstr(text, "Trace"));
		c.ops->free(c.self);
	}
}

/* Right after an identity was given to a machine the service does not know it yet. */
static void
waits_for_an_identity_that_is_not_known_yet(void **state)
{
	static const char unknown[] = "{\"error\":\"invalid_request\",\"error_description\":"
				      "\"Identity not found\"}";
	static const char other[] = "{\"error\":\"invalid_request\",\"error_description\":"
				    "\"Multiple user assigned identities exist\"}";
	const struct webkit_step late[] = {
		{.status = 400, .body = unknown},
		{.status = 400, .body = unknown},
		{.status = 400, .body = unknown},
		{.status = 200, .body = ANSWER("one", "1700003600")},
	};
	const struct webkit_step never = {.status = 400, .body = unknown, .always = true};
	const struct webkit_step wrong = {.status = 400, .body = other, .always = true};
	struct vs_err err = {0};

	(void)state;
	webkit_init(&web, late, 4);
	struct vs_cred c = new_cred(NULL);
	assert_ok(get(c, false, "one", &err), &err);
	assert_int_equal(web.sleeps, 3);
	/* 1, 2, 4 s and up to a half of each on top */
	assert_true(web.slept_ms >= 7000 && web.slept_ms <= 10500);
	c.ops->free(c.self);
	webkit_init(&web, &never, 1);
	c = new_cred(NULL);
	assert_code(get(c, false, NULL, NULL), CREDENTIAL);
	assert_int_equal(web.requests, 4);
	c.ops->free(c.self);
	webkit_init(&web, &wrong, 1);
	c = new_cred(NULL);
	assert_code(get(c, false, NULL, NULL), CREDENTIAL);
	assert_int_equal(web.requests, 1);
	c.ops->free(c.self);
}

static void
an_outage_does_not_matter_while_the_old_token_holds(void **state)
{
	const struct webkit_step steps[] = {
		{.status = 200, .body = ANSWER("one", "1700003600")},
		{.status = 500, .always = true},
	};
	struct vs_err err = {0};

	(void)state;
	webkit_init(&web, steps, 2);
	struct vs_cred c = new_cred(NULL);
	assert_ok(get(c, false, "one", &err), &err);
	web.boot_ns += 3500 * INT64_C(1000000000);
	assert_ok(get(c, false, "one", &err), &err);
	assert_code(get(c, true, NULL, NULL), UNAVAILABLE);
	web.boot_ns += 80 * INT64_C(1000000000);
	assert_code(get(c, false, NULL, NULL), UNAVAILABLE);
	c.ops->free(c.self);
}

static void *
get_in_thread(void *arg)
{
	struct vs_err err = {0};

	return vs_failed(get(*(struct vs_cred *)arg, false, "one", &err)) ? arg : NULL;
}

static void
many_threads_share_one_fetch(void **state)
{
	const struct webkit_step step = {
		.status = 200, .body = ANSWER("one", "1700003600"), .delay_ms = 100};
	pthread_t t[8];

	(void)state;
	webkit_init(&web, &step, 1);
	struct vs_cred c = new_cred(NULL);
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&t[i], NULL, get_in_thread, &c), 0);
	for (size_t i = 0; i < 8; i++) {
		void *failed = NULL;
		pthread_join(t[i], &failed);
		assert_null(failed);
	}
	assert_int_equal(web.requests, 1);
	assert_int_equal(web.unexpected, 0);
	c.ops->free(c.self);
}

static void
use_entra(enum vs_credential kind)
{
	static char tenant[] = "tenant-1", client[] = "client 1";

	token.credential = kind;
	token.tenant_id = tenant;
	token.client_id = client;
}

static void
sends_a_secret_from_a_file(void **state)
{
	static char authority[] = "https://login.example/";
	const struct webkit_step steps[] = {
		{.status = 200,
			.body = "{\"token_type\":\"Bearer\",\"expires_in\":3599,\"ext_expires_in\":"
				"3599,\"access_token\":\"one\"}"},
		{.status = 401,
			.body = "{\"error\":\"invalid_client\",\"error_description\":"
				"\"AADSTS7000215: Invalid client secret "
				"provided.\"}"},
	};
	struct vs_err err = {0};

	(void)state;
	use_entra(VS_CRED_CLIENT_SECRET_FILE);
	token.client_secret_file = path_of("secret");
	write_file(token.client_secret_file, "s3cr&t=\n", 0600);
	webkit_init(&web, steps, 2);
	struct vs_cred c = new_cred(NULL);
	assert_ok(get(c, false, "one", &err), &err);
	assert_string_equal(
		web.last_url, "https://login.microsoftonline.com/tenant-1/oauth2/v2.0/token");
	assert_string_equal(web.last_headers, "Content-Type: application/x-www-form-urlencoded\n");
	assert_string_equal(web.last_body,
		"client_id=client%201&scope=https%3A%2F%2Fvault.azure.net%2F.default&grant_type="
		"client_credentials&"
		"client_secret=s3cr%26t%3D");
	token.authority = authority;
	assert_code(get(c, true, NULL, &err), CREDENTIAL);
	assert_string_equal(web.last_url, "https://login.example/tenant-1/oauth2/v2.0/token");
	assert_non_null(strstr(err.frames[0].text, "AADSTS7000215"));
	assert_null(strstr(err.frames[0].text, "s3cr"));
	/* A file that everybody can read, an empty one, none. */
	assert_int_equal(chmod(token.client_secret_file, 0644), 0);
	assert_code(get(c, true, NULL, NULL), CONFIG_FILE);
	write_file(token.client_secret_file, "\n", 0600);
	assert_code(get(c, true, NULL, NULL), CONFIG_FILE);
	assert_int_equal(unlink(token.client_secret_file), 0);
	assert_code(get(c, true, NULL, NULL), CONFIG_FILE);
	assert_int_equal(web.requests, 2);
	c.ops->free(c.self);
}

static void
reads_the_federated_token_anew_each_time(void **state)
{
	const struct webkit_step step = {.status = 200,
		.body = "{\"token_type\":\"Bearer\",\"expires_in\":3599,\"access_token\":\"one\"}",
		.always = true};
	struct vs_err err = {0};

	(void)state;
	use_entra(VS_CRED_WORKLOAD_IDENTITY);
	token.federated_token_file = path_of("federated");
	write_file(token.federated_token_file, " aaa.bbb.ccc\n", 0644);
	webkit_init(&web, &step, 1);
	struct vs_cred c = new_cred(NULL);
	assert_ok(get(c, false, "one", &err), &err);
	assert_non_null(strstr(web.last_body,
		"&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-"
		"bearer&client_assertion="
		"aaa.bbb.ccc"));
	write_file(token.federated_token_file, "ddd.eee.fff", 0644);
	assert_ok(get(c, true, "one", &err), &err);
	assert_non_null(strstr(web.last_body, "client_assertion=ddd.eee.fff"));
	assert_int_equal(unlink(token.federated_token_file), 0);
	assert_code(get(c, true, NULL, NULL), CONFIG_FILE);
	c.ops->free(c.self);
}

static void
write_pair(const char *path, EVP_PKEY *key, X509 *cert, mode_t mode)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	if (key != NULL)
		assert_int_equal(PEM_write_PKCS8PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
	if (cert != NULL)
		assert_int_equal(PEM_write_X509(f, cert), 1);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static void
check_assertion(char *jws, EVP_PKEY *key, X509 *cert)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf header = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf claims = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf sig = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf print = {0};
	VS_CLEANUP(vs_json_freep) struct vs_json *h = NULL;
	VS_CLEANUP(vs_json_freep) struct vs_json *b = NULL;
	unsigned char sha[32];
	unsigned n = sizeof sha;
	int64_t nbf = 0;
	int64_t exp = 0;
	struct vs_err err = {0};
	EVP_PKEY_CTX *pctx = NULL;
	char *dot1 = strchr(jws, '.');
	char *dot2 = dot1 != NULL ? strchr(dot1 + 1, '.') : NULL;

	assert_non_null(dot2);
	assert_ok(vs_b64url_decode(vs_bytes_of(jws, (size_t)(dot1 - jws)), &header, &err), &err);
	assert_ok(vs_b64url_decode(vs_bytes_of(dot1 + 1, (size_t)(dot2 - dot1 - 1)), &claims, &err),
		&err);
	assert_ok(vs_b64url_decode(vs_bytes_str(dot2 + 1), &sig, &err), &err);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	assert_int_equal(EVP_DigestVerifyInit(ctx, &pctx, EVP_sha256(), NULL, key), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, 32), 1);
	assert_int_equal(EVP_DigestVerify(ctx, sig.p, sig.n, (const unsigned char *)jws,
				 (size_t)(dot2 - jws)),
		1);
	EVP_MD_CTX_free(ctx);
	assert_ok(vs_json_load_object(vs_buf_view(&header), 4096, "header", &h, &err), &err);
	assert_ok(vs_json_load_object(vs_buf_view(&claims), 4096, "claims", &b, &err), &err);
	assert_int_equal(X509_digest(cert, EVP_sha256(), sha, &n), 1);
	assert_ok(vs_b64url_encode(vs_bytes_of(sha, n), &print, &err), &err);
	assert_true(vs_json_is_string(vs_json_get(h, "alg"), "PS256"));
	assert_true(vs_json_is_string(vs_json_get(h, "x5t#S256"), vs_buf_cstr(&print)));
	assert_true(vs_json_is_string(vs_json_get(b, "aud"),
		"https://login.microsoftonline.com/tenant-1/oauth2/v2.0/token"));
	assert_true(vs_json_is_string(vs_json_get(b, "iss"), "client 1"));
	assert_true(vs_json_is_string(vs_json_get(b, "sub"), "client 1"));
	assert_true(vs_json_int(vs_json_get(b, "nbf"), &nbf) &&
		vs_json_int(vs_json_get(b, "exp"), &exp));
	assert_int_equal(nbf, 1700000000);
	assert_int_equal(exp, 1700000600);
}

static void
signs_for_a_client_certificate(void **state)
{
	const struct webkit_step step = {.status = 200,
		.body = "{\"token_type\":\"Bearer\",\"expires_in\":3599,\"access_token\":\"one\"}",
		.always = true};
	EVP_PKEY *key = netkit_new_rsa(2048);
	EVP_PKEY *ec = EVP_EC_gen("P-256");
	X509 *cert = netkit_new_cert(key, "client", NULL, false, NULL, NULL, -60, 3600);
	struct vs_err err = {0};
	char first[64];

	(void)state;
	use_entra(VS_CRED_CLIENT_CERTIFICATE);
	token.client_certificate_file = path_of("client.pem");
	write_pair(token.client_certificate_file, key, cert, 0600);
	webkit_init(&web, &step, 1);
	struct vs_cred c = new_cred(NULL);
	assert_ok(get(c, false, "one", &err), &err);
	char *jws = strstr(web.last_body, "client_assertion=");
	assert_non_null(jws);
	check_assertion(jws + 17, key, cert);
	(void)snprintf(first, sizeof first, "%s", strrchr(jws, '.'));
	assert_ok(get(c, true, "one", &err), &err);
	assert_string_not_equal(first, strrchr(web.last_body, '.'));
	/* Without key, without certificate, with a key that cannot sign so, readable by all. */
	write_pair(token.client_certificate_file, NULL, cert, 0600);
	assert_code(get(c, true, NULL, NULL), CONFIG_FILE);
	write_pair(token.client_certificate_file, key, NULL, 0600);
	assert_true(vs_failed(get(c, true, NULL, NULL)));
	write_pair(token.client_certificate_file, ec, cert, 0600);
	assert_code(get(c, true, NULL, NULL), CONFIG_FILE);
	write_pair(token.client_certificate_file, key, cert, 0644);
	assert_code(get(c, true, NULL, NULL), CONFIG_FILE);
	assert_int_equal(web.requests, 2);
	assert_int_equal(unlink(token.client_certificate_file), 0);
	c.ops->free(c.self);
	X509_free(cert);
	EVP_PKEY_free(key);
	EVP_PKEY_free(ec);
}

static vs_rc
ask_arc(const char *arc_dir, const char *challenge, const char *answer, struct vs_err *err)
{
	const struct webkit_step steps[] = {
		{.status = 401, .www_authenticate = challenge},
		{.status = 200, .body = answer},
	};

	webkit_init(&web, steps, 2);
	struct vs_cred c = new_cred(arc_dir);
	const vs_rc rc = get(c, false, NULL, err);
	c.ops->free(c.self);
	return rc;
}

static void
answers_the_challenge_of_azure_arc(void **state)
{
	static const char good[] = ANSWER("one", "1700003600");
	static char id[] = "c";
	char arc_dir[80];
	char challenge[200];
	struct vs_err err = {0};

	(void)state;
	token.credential = VS_CRED_AZURE_ARC;
	(void)snprintf(arc_dir, sizeof arc_dir, "%s/", dir);
	char *key = path_of("11-22.key");
	write_file(key, "c2VjcmV0\n", 0600);
	(void)snprintf(challenge, sizeof challenge, "Basic realm=%s", key);
	assert_ok(ask_arc(arc_dir, challenge, good, &err), &err);
	assert_string_equal(web.last_headers, "Metadata: true\nAuthorization: Basic c2VjcmV0\n");
	assert_string_equal(web.last_url,
		"http://127.0.0.1:40342/metadata/identity/oauth2/"
		"token?api-version=2020-06-01&resource=https%3A%2F%2Fvault."
		"azure.net");
	/* The selector must come back. */
	token.client_id = id;
	assert_ok(ask_arc(arc_dir, challenge, good, &err), &err);
	token.client_id = NULL;
	token.object_id = id;
	assert_code(ask_arc(arc_dir, challenge, good, NULL), CREDENTIAL);
	token.object_id = NULL;
	/* A file of another owner's choice. */
	static const char *const bad[] = {"", "Bearer x", "Basic realm=/etc/shadow",
		"Basic realm=/etc/x.key", "Basic realm=%s../x.key", "Basic realm=%ssub/x.key",
		"Basic realm=%s11-22.pem", "Basic realm=%s.key", "Basic realm=%s11-22.key.key",
		"Basic realm=%s11-22.key\"", "Basic realm=%snone.key", "Basic realm=%slink.key",
		"Basic realm=%sbig.key", "Basic realm=%sempty.key"};
	char *link_path = path_of("link.key");
	char *big = path_of("big.key");
	char *empty = path_of("empty.key");
	assert_int_equal(symlink("/etc/passwd", link_path), 0);
	write_file(empty, "", 0600);
	FILE *f = fopen(big, "w");
	for (int i = 0; i < 4097; i++)
		assert_int_equal(fputc('a', f), 'a');
	assert_int_equal(fclose(f), 0);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		const char *at = strstr(bad[i], "%s");
		if (at != NULL)
			(void)snprintf(challenge, sizeof challenge, "%.*s%s%s", (int)(at - bad[i]),
				bad[i], arc_dir, at + 2);
		else
			(void)snprintf(challenge, sizeof challenge, "%s", bad[i]);
		const vs_rc rc = ask_arc(arc_dir, challenge, good, NULL);
		if (rc.code != VS_E_CREDENTIAL)
			fail_msg("%s: %s", challenge, vs_code_name(rc.code));
		assert_int_equal(web.requests, 1);
	}
	(void)unlink(key);
	(void)unlink(link_path);
	(void)unlink(big);
	(void)unlink(empty);
	/* Tokens for everybody who asks are no managed identity. */
	const struct webkit_step open_door = {.status = 200, .body = good};
	webkit_init(&web, &open_door, 1);
	struct vs_cred c = new_cred(arc_dir);
	assert_code(get(c, false, NULL, NULL), CREDENTIAL);
	c.ops->free(c.self);
}

static void
says_which_setting_is_missing(void **state)
{
	static const enum vs_credential kinds[] = {VS_CRED_NONE, VS_CRED_WORKLOAD_IDENTITY,
		VS_CRED_CLIENT_SECRET_FILE, VS_CRED_CLIENT_CERTIFICATE};
	struct vs_cred c = {0};

	(void)state;
	webkit_init(&web, NULL, 0);
	const struct vs_cred_env env = {
		.conf = &conf, .token = &token, .arena = arena, .net = web.net};
	for (size_t i = 0; i < 4; i++) {
		token.credential = kinds[i];
		assert_code(vs_cred_new(&env, &c, NULL), CONFIG_MISSING);
		use_entra(kinds[i]);
		assert_code(vs_cred_new(&env, &c, NULL), CONFIG_MISSING);
		set_up(NULL);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(asks_the_metadata_service_once_and_keeps_the_token, set_up),
		cmocka_unit_test_setup(names_the_identity_that_is_configured, set_up),
		cmocka_unit_test_setup(refuses_answers_that_are_no_token, set_up),
		cmocka_unit_test_setup(waits_for_an_identity_that_is_not_known_yet, set_up),
		cmocka_unit_test_setup(an_outage_does_not_matter_while_the_old_token_holds, set_up),
		cmocka_unit_test_setup(many_threads_share_one_fetch, set_up),
		cmocka_unit_test_setup(sends_a_secret_from_a_file, set_up),
		cmocka_unit_test_setup(reads_the_federated_token_anew_each_time, set_up),
		cmocka_unit_test_setup(signs_for_a_client_certificate, set_up),
		cmocka_unit_test_setup(answers_the_challenge_of_azure_arc, set_up),
		cmocka_unit_test_setup(says_which_setting_is_missing, set_up),
	};

	return cmocka_run_group_tests(tests, group_up, group_down);
}
