/* SPDX-License-Identifier: BSD-2-Clause */
/* The vault client: lists as services send them, what each refusal means. */
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/file.h"
#include "jose/json.h"
#include "keys/akv.h"
#include "keys/akv_impl.h"
#include "unit/netkit.h"
#include "unit/releasekit.h"
#include "unit/unit.h"
#include "unit/webkit.h"

static struct webkit web;
static struct vs_arena *arena;
static struct vs_conf_token token;
static char label[] = "t", resource[] = "https://vault.azure.net", contoso[] = RK_VAULT;

/* ---- a credential made of nothing ----------------------------------------------------------- */

static unsigned gets, fresh_gets;
static char asked_resource[128];

static vs_rc
cred_get(void *self, const char *res, bool force_fresh, int64_t deadline_boot_ns,
	struct vs_secret *ret, struct vs_err *err)
{
	(void)self;
	(void)deadline_boot_ns;
	__atomic_add_fetch(&gets, 1, __ATOMIC_RELAXED);
	if (force_fresh)
		__atomic_add_fetch(&fresh_gets, 1, __ATOMIC_RELAXED);
	(void)snprintf(asked_resource, sizeof asked_resource, "%s", res);
	return vs_secret_from(arena, force_fresh ? "fresh" : "old", force_fresh ? 5 : 3, ret, err);
}

static const struct vs_cred_ops cred_ops = {.name = "test", .version = 1, .get = cred_get};

static int
group_up(void **state)
{
	struct vs_err err = {0};

	(void)state;
	rk_up();
	assert_ok(vs_arena_new(65536, 4 << 20, VS_LOCK_WARN, &arena, &err), &err);
	return 0;
}

static int
group_down(void **state)
{
	(void)state;
	vs_arena_free(arena);
	rk_down();
	return 0;
}

static int
set_up(void **state)
{
	(void)state;
	token = (struct vs_conf_token){.label = label,
		.vault = contoso,
		.vault_kind = VS_VAULT_MHSM,
		.vault_resource = resource,
		.wrap = VS_WRAP_256};
	gets = fresh_gets = 0;
	webkit_init(&web, NULL, 0);
	return 0;
}

static struct vs_akv *
new_akv(void)
{
	struct vs_akv *akv = NULL;
	struct vs_err err = {0};
	const struct vs_akv_env env = {.token = &token, .net = web.net, .cred = {.ops = &cred_ops}};

	assert_ok(vs_akv_new(&env, &akv, &err), &err);
	return akv;
}

/* ---- recordings ----------------------------------------------------------------------------- */

static struct vs_json *
load(const char *name)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {0};
	struct vs_json *root = NULL;
	struct vs_err err = {0};
	char path[512];

	(void)snprintf(path, sizeof path, "%s/tests/data/keyvault/%s", VS_TEST_SRCDIR, name);
	assert_ok(vs_file_read(path, 1 << 20, VS_FILE_ANY, &text, &err), &err);
	assert_ok(vs_json_load_object(vs_buf_view(&text), 1 << 20, name, &root, &err), &err);
	return root;
}

/* Not inlined: gcc 12 would believe that the text is the pointer's own storage. */
__attribute__((noinline)) static const char *
string_of(const struct vs_json *v, const char *name)
{
	const char *s = NULL;

	assert_true(vs_json_string(vs_json_get(v, name), &s));
	return s;
}

/* Every GET of a recording as a step; the text stays in store. */
static void
script(const struct vs_json *recording, struct vs_buf store[64])
{
	const struct vs_json *entries = vs_json_get(recording, "Entries");
	struct vs_err err = {0};
	size_t n = 0;

	for (size_t i = 0; i < vs_json_count(entries); i++) {
		const struct vs_json *e = vs_json_at(entries, i);
		const char *uri = string_of(e, "RequestUri");
		const char *skip = strstr(uri, "skiptoken=");
		int64_t status = 0;
		if (strcmp(string_of(e, "RequestMethod"), "GET") != 0)
			continue;
		assert_true(n + 2 < 64);
		struct vs_buf *match = &store[n++];
		struct vs_buf *body = &store[n++];
		/* The first page is asked for in our own way, later ones by the token of the one
		 * before. */
		if (skip == NULL)
			assert_ok(
				vs_buf_add_str(match, "api-version=7.4&maxresults=25", &err), &err);
		else
			assert_ok(vs_buf_add(match, skip, strcspn(skip, "&"), &err), &err);
		assert_ok(vs_json_dump(vs_json_get(e, "ResponseBody"), body, &err), &err);
		assert_true(vs_json_int(vs_json_get(e, "StatusCode"), &status));
		webkit_add(&web,
			(struct webkit_step){.match = vs_buf_cstr(match),
				.status = (long)status,
				.body = vs_buf_cstr(body)});
	}
}

struct seen {
	size_t n;
	char names[32][176];
};

static vs_rc
on_item(void *arg, const struct vs_akv_id *id, const struct vs_json *item, struct vs_err *err)
{
	struct seen *s = arg;

	(void)err;
	assert_int_equal(vs_json_kind(vs_json_get(item, "attributes")), VS_JSON_OBJECT);
	assert_true(s->n < 32);
	(void)snprintf(s->names[s->n++], sizeof s->names[0], "%s/%s", id->name, id->version);
	return VS_OK;
}

static void
list_recorded(
	const char *file, const char *vault, const char *name, struct seen *seen, unsigned requests)
{
	VS_CLEANUP(vs_json_freep) struct vs_json *rec = load(file);
	struct vs_buf store[64] = {0};
	struct vs_err err = {0};
	char origin[64];

	(void)snprintf(origin, sizeof origin, "%s", vault);
	token.vault = origin;
	webkit_init(&web, NULL, 0);
	script(rec, store);
	struct vs_akv *akv = new_akv();
	assert_ok(vs_akv_list(akv, &vs_akv_keys, name, webkit_in_s(&web, 30), on_item, seen, &err),
		&err);
	assert_int_equal(web.requests, requests);
	assert_int_equal(web.unexpected, 0);
	vs_akv_free(akv);
	for (size_t i = 0; i < 64; i++)
		vs_buf_done(&store[i]);
	token.vault = contoso;
}

static void
walks_recorded_lists_with_empty_pages_and_odd_links(void **state)
{
	struct seen akv = {0};
	struct seen mhsm = {0};
	struct seen versions = {0};

	(void)state;
	list_recorded("list-keys-akv-7.3.json", "https://fakevault.local", NULL, &akv, 11);
	assert_int_equal(akv.n, 5);
	assert_string_equal(akv.names[0], "key3964649413/");
	assert_string_equal(akv.names[4], "testlistkeys-33059091935/");
	assert_non_null(strstr(web.last_url, "https://fakevault.local:443/keys?"));
	list_recorded("list-keys-mhsm-7.3.json", "https://fakemhsm.local", NULL, &mhsm, 5);
	assert_int_equal(mhsm.n, 5);
	/* Its links lack the api-version. */
	assert_non_null(strstr(web.last_url, "&api-version=7.4"));
	list_recorded("list-versions-akv-7.3.json", "https://fakevault.local",
		"listkeyversions137292667", &versions, 4);
	assert_int_equal(versions.n, 4);
	assert_string_equal(
		versions.names[0], "listkeyversions137292667/1837e3e8462c4e84b398ec44f3e7b8c8");
}

static void
never_follows_a_list_to_another_host(void **state)
{
	static const char *const links[] = {
		"https://evil.vault.azure.net/keys?x",
		"https://contoso.vault.azure.net.evil.net/keys",
		"https://contoso.vault.azure.net:8443/keys",
		"http://contoso.vault.azure.net/keys",
		"https://contoso.vault.azure.net@evil.net/keys",
		"https://contoso.vault.azure.net/../x",
		"//evil.net/keys",
		"/keys?page=2",
		"keys",
	};
	struct seen seen = {0};

	(void)state;
	for (size_t i = 0; i < sizeof links / sizeof links[0]; i++) {
		char body[256];
		(void)snprintf(body, sizeof body, "{\"value\":[],\"nextLink\":\"%s\"}", links[i]);
		const struct webkit_step step = {.status = 200, .body = body, .always = true};
		webkit_init(&web, &step, 1);
		struct vs_akv *akv = new_akv();
		assert_code(vs_akv_list(akv, &vs_akv_keys, NULL, webkit_in_s(&web, 30), on_item,
				    &seen, NULL),
			ANSWER);
		assert_int_equal(web.requests, 1);
		vs_akv_free(akv);
	}
}

static void
refuses_lists_without_end_and_of_the_wrong_shape(void **state)
{
	static const char *const bodies[] = {"[]", "{}", "{\"value\":{}}", "{\"value\":[1]}",
		"{\"value\":[{}]}",
		"{\"value\":[{\"kid\":\"https://evil.vault.azure.net/keys/a\"}]}",
		"{\"value\":[{\"kid\":\"https://contoso.vault.azure.net/secrets/a\"}]}",
		"{\"value\":[{\"kid\":\"https://contoso.vault.azure.net/keys/a_b\"}]}",
		"{\"value\":[{\"kid\":\"https://contoso.vault.azure.net/keys/\"}]}",
		"{\"value\":[{\"kid\":\"https://contoso.vault.azure.net/keys/a/1\"}]}",
		"{\"value\":[],\"nextLink\":7}", "{\"value\":[],\"value\":[]}", "{\"value\":[]",
		"{\"value\":[]}x"};
	const struct webkit_step forever = {.status = 200,
		.body = "{\"value\":[],\"nextLink\":\"https://contoso.vault.azure.net/"
			"keys?again\"}",
		.always = true};
	struct seen seen = {0};

	(void)state;
	for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
		const struct webkit_step step = {.status = 200, .body = bodies[i]};
		webkit_init(&web, &step, 1);
		struct vs_akv *akv = new_akv();
		const vs_rc rc = vs_akv_list(
			akv, &vs_akv_keys, NULL, webkit_in_s(&web, 30), on_item, &seen, NULL);
		if (rc.code != VS_E_ANSWER)
			fail_msg("%s: %s", bodies[i], vs_code_name(rc.code));
		vs_akv_free(akv);
	}
	webkit_init(&web, &forever, 1);
	struct vs_akv *akv = new_akv();
	assert_code(
		vs_akv_list(akv, &vs_akv_keys, NULL, webkit_in_s(&web, 30), on_item, &seen, NULL),
		LIMIT);
	vs_akv_free(akv);
	assert_int_equal(seen.n, 0);
}

/* ---- what refusals mean -----------------------------------------------------------------------
 */

static vs_rc
release(struct vs_buf *jws, char request_id[80], struct vs_err *err)
{
	struct vs_akv *akv = new_akv();
	struct vs_cat_entry e;

	rk_entry(&e, NULL);
	const vs_rc rc = vs_akv_release(
		akv, &e, vs_bytes_str("aaa.bbb.ccc"), webkit_in_s(&web, 30), jws, request_id, err);
	vs_akv_free(akv);
	return rc;
}

static void
asks_for_a_release_of_the_named_version(void **state)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf jws = {0};
	VS_CLEANUP(vs_json_freep) struct vs_json *body = NULL;
	const struct webkit_step step = {.status = 200, .body = "{\"value\":\"x.y.z\"}"};
	struct vs_err err = {0};
	const char *nonce = NULL;
	char first[80];
	char id[80] = "";

	(void)state;
	webkit_init(&web, &step, 1);
	assert_ok(release(&jws, id, &err), &err);
	assert_true(vs_bytes_eq_str(vs_buf_view(&jws), "x.y.z"));
	assert_string_equal(id, "req-1");
	assert_string_equal(web.last_url, RK_KID "/release?api-version=7.4");
	assert_string_equal(web.last_bearer, "old");
	assert_string_equal(asked_resource, "https://vault.azure.net");
	assert_ok(
		vs_json_load_object(vs_bytes_str(web.last_body), 4096, "body", &body, &err), &err);
	assert_int_equal(vs_json_count(body), 3);
	assert_true(vs_json_is_string(vs_json_get(body, "target"), "aaa.bbb.ccc"));
	assert_true(vs_json_is_string(vs_json_get(body, "enc"), "RSA_AES_KEY_WRAP_256"));
	assert_true(vs_json_string(vs_json_get(body, "nonce"), &nonce));
	assert_int_equal(strlen(nonce), 32);
	(void)snprintf(first, sizeof first, "%s", nonce);
	/* Another release, another nonce. */
	webkit_init(&web, &step, 1);
	assert_ok(release(&jws, id, &err), &err);
	assert_null(strstr(web.last_body, first));
}

static void
fetches_a_fresh_token_once_after_401(void **state)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf jws = {0};
	const struct webkit_step steps[] = {
		{.status = 401,
			.www_authenticate = "Bearer authorization=\"https://evil.example/t\", "
					    "resource=\"https://graph.microsoft.com\"",
			.body = "{\"error\":{\"code\":\"Unauthorized\",\"message\":\"AKV10000: "
				"Request is missing a token.\"}}"},
		{.status = 200, .body = "{\"value\":\"x.y.z\"}"},
	};
	const struct webkit_step always = {.status = 401,
		.always = true,
		.body = "{\"error\":{\"code\":\"Unauthorized\",\"message\":\"AKV10022: Invalid "
			"audience.\"}}"};
	struct vs_err err = {0};
	char id[80];

	(void)state;
	webkit_init(&web, steps, 2);
	assert_ok(release(&jws, id, &err), &err);
	assert_int_equal(gets, 2);
	assert_int_equal(fresh_gets, 1);
	assert_string_equal(web.last_bearer, "fresh");
	/* Whatever the challenge says, the resource is the configured one. */
	assert_string_equal(asked_resource, "https://vault.azure.net");
	webkit_init(&web, &always, 1);
	assert_code(release(&jws, id, &err), REFUSED_ACCESS);
	assert_int_equal(web.requests, 2);
	assert_non_null(strstr(err.frames[0].text, "AKV10022"));
}

static const char *
recorded_refusal(const char *file, long status, struct vs_buf *out)
{
	VS_CLEANUP(vs_json_freep) struct vs_json *rec = load(file);
	const struct vs_json *entries = vs_json_get(rec, "Entries");
	struct vs_err err = {0};

	for (size_t i = 0; i < vs_json_count(entries); i++) {
		int64_t seen = 0;
		assert_true(vs_json_int(vs_json_get(vs_json_at(entries, i), "StatusCode"), &seen));
		if (seen != status)
			continue;
		vs_buf_reset(out);
		assert_ok(vs_json_dump(
				  vs_json_get(vs_json_at(entries, i), "ResponseBody"), out, &err),
			&err);
		return vs_buf_cstr(out);
	}
	fail_msg("%s has no %ld", file, status);
	return NULL;
}

#define ERROR(code_, inner_, message_) \
	"{\"error\":{\"code\":\"" code_ "\",\"message\":\"" message_ \
	"\",\"innererror\":{\"code\":\"" inner_ "\"}}}"

static void
tells_refusals_apart(void **state)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf refused = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf missing = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf jws = {0};
	const struct {
		long status;
		const char *body;
		enum vs_code code;
		const char *quote;
	} cases[] = {
		{403, recorded_refusal("release-refused-akv-7.3-preview.json", 403, &refused),
			VS_E_REFUSED_RELEASE,
			"\"Target environment attestation statement cannot be verified.\""},
		{404, recorded_refusal("release-refused-akv-7.3-preview.json", 404, &missing),
			VS_E_KEY_GONE, "Deleted Key not found"},
		{403,
			ERROR("Forbidden", "AccessDenied",
				"AKV.SKR.1099: Target environment attestation does not meet key "
				"release policy requirements."),
			VS_E_REFUSED_RELEASE, "AKV.SKR.1099"},
		{403,
			ERROR("Forbidden", "AccessDenied",
				"Target environment attestation does not meet key release policy "
				"requirements. (Activity ID: 1)"),
			VS_E_REFUSED_RELEASE, "does not meet"},
		{403,
			ERROR("Forbidden", "ForbiddenByRbac",
				"Caller is not authorized to perform action on resource."),
			VS_E_REFUSED_ACCESS, "ForbiddenByRbac"},
		{403,
			ERROR("Forbidden", "ForbiddenByPolicy",
				"The application 'attestation' does not have keys release "
				"permission"),
			VS_E_REFUSED_ACCESS, "does not have"},
		{403,
			ERROR("Forbidden", "AccessDenied",
				"The user does not have keys release permission on key vault 'c'"),
			VS_E_REFUSED_ACCESS, "does not have"},
		{403, ERROR("Forbidden", "ForbiddenByFirewall", "Client address is not authorized"),
			VS_E_REFUSED_ACCESS, "ForbiddenByFirewall"},
		{403,
			ERROR("Forbidden", "ForbiddenByConnection",
				"Public network access is disabled"),
			VS_E_REFUSED_ACCESS, "ForbiddenByConnection"},
		{403,
			ERROR("Forbidden", "KeyDisabled",
				"Operation release is not allowed on a disabled key."),
			VS_E_KEY_GONE, "disabled"},
		{403, "", VS_E_REFUSED_ACCESS, "Forbidden"},
		{403, "<html>", VS_E_REFUSED_ACCESS, NULL},
		{404, ERROR("KeyNotFound", "", "A key with (name/id) x was not found"),
			VS_E_KEY_GONE, "was not found"},
		{404, "", VS_E_KEY_GONE, NULL},
		{400, ERROR("BadParameter", "", "AKV.SKR.1006: not exportable"),
			VS_E_REFUSED_RELEASE, "AKV.SKR.1006"},
		{400, ERROR("BadParameter", "", "Property has invalid value\\r\\n"), VS_E_ANSWER,
			"\\x0d\\x0a"},
		{429, ERROR("Throttled", "", "VaultRequestTypeLimitReached"), VS_E_THROTTLED, NULL},
		{500, "", VS_E_UNAVAILABLE, NULL},
		{503, "", VS_E_UNAVAILABLE, NULL},
		{302, "", VS_E_ANSWER, NULL},
		{409, ERROR("Conflict", "ObjectIsBeingDeleted", "x"), VS_E_ANSWER, NULL},
		{200, "", VS_E_ANSWER, NULL},
		{200, "{\"value\":7}", VS_E_ANSWER, NULL},
		{200, "{}", VS_E_ANSWER, NULL},
		{204, "", VS_E_ANSWER, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const struct webkit_step step = {
			.status = cases[i].status, .body = cases[i].body, .always = true};
		struct vs_err err = {0};
		char text[1024];
		char id[80];
		webkit_init(&web, &step, 1);
		const vs_rc rc = release(&jws, id, &err);
		vs_err_sentence(&err, text, sizeof text);
		if (rc.code != cases[i].code ||
			(cases[i].quote != NULL && strstr(text, cases[i].quote) == NULL))
			fail_msg("case %zu: %s %s", i, vs_code_name(rc.code), text);
		assert_null(strstr(text, "aaa.bbb"));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(walks_recorded_lists_with_empty_pages_and_odd_links, set_up),
		cmocka_unit_test_setup(never_follows_a_list_to_another_host, set_up),
		cmocka_unit_test_setup(refuses_lists_without_end_and_of_the_wrong_shape, set_up),
		cmocka_unit_test_setup(asks_for_a_release_of_the_named_version, set_up),
		cmocka_unit_test_setup(fetches_a_fresh_token_once_after_401, set_up),
		cmocka_unit_test_setup(tells_refusals_apart, set_up),
	};

	return cmocka_run_group_tests(tests, group_up, group_down);
}
