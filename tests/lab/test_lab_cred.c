/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every credential of the client against the lab, through the real HTTP client: each gives a token
 * that opens the vault, and none is given for a wrong proof. Run by cred.sh inside a lab.
 */
#include "unit/unit.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/conf.h"
#include "keys/cred.h"
#include "lab/attemptkit.h"

#define VAULT "https://vault.azure.net"

static char *
var(const char *name)
{
	char *v = getenv(name);
	if (v == NULL)
		fail_msg("%s is not set; run this inside a lab", name);
	return v;
}

static struct vs_conf_token
token_of(enum vs_credential kind, const char *client)
{
	struct vs_conf_token t = ak_token();
	t.credential = kind;
	t.tenant_id = var("TENANT_ID");
	t.client_id = client != NULL ? var(client) : NULL;
	t.object_id = t.resource_id = NULL;
	return t;
}

/* Shorter than the first pause, for refusals that are not to be waited for. */
static int64_t patience_ms = 20000;

/* A token, tried on the vault; *ms gets the time it took. */
static vs_rc
get(const struct vs_conf_token *t, const char *arc_dir, int64_t *ms, struct vs_err *err)
{
	struct vs_cred c = {0};
	const struct vs_services_env services = ak_env(t, VS_LOG_ERROR);
	const struct vs_cred_env env = {.conf = services.conf,
		.token = t,
		.arena = services.arena,
		.net = {.http = services.http,
			.clock = services.clock,
			.rng = services.rng,
			.log = services.log},
		.arc_key_dir = arc_dir};
	VS_CLEANUP(vs_secret_done) struct vs_secret s = {0};
	const struct vs_clock clock = services.clock;
	const int64_t from = clock.ops->boot_ns(clock.self);

	VS_TRY(vs_cred_new(&env, &c, err));
	const vs_rc rc = c.ops->get(c.self, VAULT, false, from + patience_ms * 1000000, &s, err);
	c.ops->free(c.self);
	if (ms != NULL)
		*ms = (clock.ops->boot_ns(clock.self) - from) / 1000000;
	VS_TRY(rc);
	char url[256];
	VS_CLEANUP(vs_http_res_done) struct vs_http_res res = {.retry_after_s = -1};
	(void)snprintf(url, sizeof url, "%s/keys?api-version=7.4", var("VAULT_URL"));
	const struct vs_http_req req = {.method = VS_HTTP_GET,
		.url = url,
		.bearer = &s,
		.deadline_boot_ns = clock.ops->boot_ns(clock.self) + INT64_C(10000000000)};
	const vs_rc opened = env.net.http.ops->perform(env.net.http.self, &req, &res, err);
	assert_ok(opened, err);
	assert_int_equal(res.status, 200);
	return VS_OK;
}

static void
succeeds(const struct vs_conf_token *t, const char *arc_dir)
{
	struct vs_err err = {0};
	assert_ok(get(t, arc_dir, NULL, &err), &err);
}

static void
refused(const struct vs_conf_token *t, const char *arc_dir, const char *words)
{
	struct vs_err err = {0};
	char text[1024];
	assert_code(get(t, arc_dir, NULL, &err), CREDENTIAL);
	vs_err_sentence(&err, text, sizeof text);
	if (strstr(text, words) == NULL)
		fail_msg("%s", text);
}

static void
unknown(const struct vs_conf_token *t, const char *arc_dir)
{
	patience_ms = 990;
	refused(t, arc_dir, "Identity not found");
	patience_ms = 20000;
}

static void
the_managed_identity_is_named_in_four_ways(void **state)
{
	static char resource[256], wrong[] = "00000000-0000-0000-0000-000000000000";
	(void)state;
	struct vs_conf_token t = token_of(VS_CRED_MANAGED_IDENTITY, NULL);
	succeeds(&t, NULL);
	t.client_id = var("MI_CLIENT_ID");
	succeeds(&t, NULL);
	t.client_id = wrong;
	unknown(&t, NULL);
	t = token_of(VS_CRED_MANAGED_IDENTITY, NULL);
	t.object_id = var("MI_OBJECT_ID");
	succeeds(&t, NULL);
	t.object_id = var("MI_CLIENT_ID"); /* the same identity's other name is none */
	unknown(&t, NULL);
	t.object_id = wrong;
	unknown(&t, NULL);
	t.object_id = NULL;
	t.resource_id = var("MI_RESOURCE_ID");
	succeeds(&t, NULL);
	(void)snprintf(resource, sizeof resource, "%s2", var("MI_RESOURCE_ID"));
	t.resource_id = resource;
	unknown(&t, NULL);
}

static void
an_identity_that_is_not_known_yet_is_waited_for(void **state)
{
	struct vs_err err = {0};
	int64_t ms = 0;
	(void)state;
	struct vs_conf_token t = token_of(VS_CRED_MANAGED_IDENTITY, NULL);
	AK_LAB("fault", "imds", "identity-not-found", "--count", "2", "--path", "/identity/");
	assert_ok(get(&t, NULL, &ms, &err), &err);
	assert_true(ms >= 3000);
	AK_LAB("fault", "clear");
}

static void
secret_certificate_and_workload_identity_are_proven(void **state)
{
	static char path[256];
	(void)state;
	struct vs_conf_token t = token_of(VS_CRED_CLIENT_SECRET_FILE, "CLIENT_ID");
	(void)snprintf(path, sizeof path, "%s/state/secret", var("VOUCHSAFE_LAB"));
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_true(write(fd, var("CLIENT_SECRET"), strlen(var("CLIENT_SECRET"))) > 0);
	(void)close(fd);
	t.client_secret_file = path;
	succeeds(&t, NULL);
	fd = open(path, O_WRONLY | O_TRUNC);
	assert_int_equal(write(fd, "wrong", 5), 5);
	(void)close(fd);
	refused(&t, NULL, "AADSTS7000215");
	t = token_of(VS_CRED_CLIENT_CERTIFICATE, "CERT_CLIENT_ID");
	t.client_certificate_file = var("CLIENT_CERT_FILE");
	succeeds(&t, NULL);
	t.client_id = var("CLIENT_ID");
	refused(&t, NULL, "AADSTS");
	t = token_of(VS_CRED_WORKLOAD_IDENTITY, "WI_CLIENT_ID");
	t.federated_token_file = var("FEDERATED_TOKEN_FILE");
	succeeds(&t, NULL);
	t.federated_token_file = path;
	refused(&t, NULL, "AADSTS");
	(void)unlink(path);
}

static void
the_arc_agent_is_shown_its_own_file(void **state)
{
	static char dir[256], other[256], wrong[] = "00000000-0000-0000-0000-000000000000";
	(void)state;
	(void)snprintf(dir, sizeof dir, "%s/arc/", var("VOUCHSAFE_LAB"));
	(void)snprintf(other, sizeof other, "%s/state/", var("VOUCHSAFE_LAB"));
	struct vs_conf_token t = token_of(VS_CRED_AZURE_ARC, NULL);
	for (int i = 0; i < 10; i++)
		succeeds(&t, dir);
	t.client_id = var("MI_CLIENT_ID");
	succeeds(&t, dir);
	t.client_id = wrong;
	unknown(&t, dir);
	/* A file elsewhere is not read, whoever asks for it. */
	t.client_id = NULL;
	refused(&t, other, "outside");
	refused(&t, NULL, "outside");
}

static int
up(void **state)
{
	(void)state;
	ak_up(10000);
	return 0;
}

static int
down(void **state)
{
	(void)state;
	ak_down();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_managed_identity_is_named_in_four_ways),
		cmocka_unit_test(an_identity_that_is_not_known_yet_is_waited_for),
		cmocka_unit_test(secret_certificate_and_workload_identity_are_proven),
		cmocka_unit_test(the_arc_agent_is_shown_its_own_file),
	};
	return cmocka_run_group_tests(tests, up, down);
}
