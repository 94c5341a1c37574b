/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes as the body of whatever a service is asked for: vault, identity, attestation. The first
 * one chooses the status.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "attest/maa.h"
#include "base/clock.h"
#include "crypto/ossl.h"
#include "fuzz/fuzz.h"
#include "keys/akv.h"
#include "keys/cred.h"

#define VAULT "https://contoso.vault.azure.net"

/* So many times the same is said in one run; then nobody answers. */
enum { ANSWERS_MAX = 6 };

static struct vs_bytes body;
static long status;
static _Atomic unsigned n_answers; /* several threads ask */
static struct vs_arena *arena;
static struct vs_ossl *ossl;

/* Scheme and host are these and the port is the usual one, said or not. */
static bool
is_at(const char *url, const char *place, unsigned long port)
{
	const size_t n = strlen(place);
	char *end = NULL;
	if (strncasecmp(url, place, n) != 0)
		return false;
	if (url[n] == ':' && strtoul(url + n + 1, &end, 10) != port)
		return false;
	return strchr("/?", end != NULL ? *end : url[n]) != NULL;
}

static vs_rc
perform(void *self, const struct vs_http_req *req, struct vs_http_res *ret, struct vs_err *err)
{
	struct vs_http_res res = {
		.status = status, .content_type = "application/json", .retry_after_s = -1};

	(void)self;
	/* Tokens and questions go nowhere else, whatever the answers say. */
	FUZZ_MUST(is_at(req->url, VAULT, 443) || is_at(req->url, "http://169.254.169.254", 80) ||
		is_at(req->url, "https://a.attest", 443));
	if (++n_answers > ANSWERS_MAX)
		VS_FAIL(err, CONNECT, "nobody answers");
	VS_TRY(vs_buf_set(&res.body, body.p, body.n, err));
	*ret = res;
	return VS_OK;
}

static void
no_sleep(void *self, int ms)
{
	(void)self;
	(void)ms;
}

static vs_rc
unwrap(void *self, enum vs_unwrap scheme, struct vs_bytes ciphertext, struct vs_arena *to,
	struct vs_secret *ret, struct vs_err *err)
{
	(void)self;
	(void)scheme;
	(void)ciphertext;
	return vs_secret_new(to, 32, ret, err);
}

static const struct vs_http_ops http_ops = {.name = "fuzz", .version = 1, .perform = perform};
static const struct vs_evidence_ops evidence_ops = {.name = "fuzz", .version = 1, .unwrap = unwrap};

static void
try_vault(const struct vs_net *net, struct vs_conf *conf, struct vs_conf_token *token,
	int64_t deadline)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf jws = {0};
	const struct vs_cred_env cred_env = {
		.conf = conf, .token = token, .arena = arena, .net = *net};
	const struct vs_cat_entry entry = {.name = vs_bytes_str("k"),
		.version = vs_bytes_str("0123456789abcdef0123456789abcdef")};
	struct vs_cred cred = {0};
	struct vs_akv *akv = NULL;
	struct vs_catalog_data *c = NULL;
	char id[80];

	FUZZ_MUST(!vs_failed(vs_cred_new(&cred_env, &cred, NULL)));
	const struct vs_akv_env env = {.token = token, .net = *net, .cred = cred};
	FUZZ_MUST(!vs_failed(vs_akv_new(&env, &akv, NULL)));
	if (!vs_failed(vs_akv_catalog(akv, deadline, &c, NULL))) {
		FUZZ_MUST(c->generation != 0 && c->n <= VS_AKV_KEYS_MAX);
		vs_catalog_data_free(c);
	}
	(void)vs_failed(
		vs_akv_release(akv, &entry, vs_bytes_str("a.b.c"), deadline, &jws, id, NULL));
	vs_akv_free(akv);
	cred.ops->free(cred.self);
}

static void
try_attestation(const struct vs_net *net, int64_t deadline)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf out = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf token = {0};
	const struct vs_evidence_src src = {.ops = &evidence_ops};
	char id[80];

	(void)vs_failed(vs_maa_attest(
		net, "https://a.attest", vs_bytes_str("{}"), deadline, &out, id, NULL));
	(void)vs_failed(vs_maa_open(ossl, body, &src, arena, &token, NULL));
	(void)vs_failed(vs_maa_amd_chain(
		net, "http://169.254.169.254", &vs_http_retry_none, deadline, &out, NULL));
	(void)vs_failed(vs_maa_td_quote(net, "http://169.254.169.254", body, deadline, &out, NULL));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const long statuses[] = {200, 400, 401, 403};
	static char imds[] = "http://169.254.169.254", vault[] = VAULT,
		    resource[] = "https://vault.azure.net";
	static char name[] = "k", all[] = "*", label[] = "t";
	char *keys[] = {name, all, NULL};
	struct vs_conf conf = {.imds = imds};
	struct vs_conf_token token = {.label = label,
		.vault = vault,
		.vault_kind = VS_VAULT_AKV,
		.vault_resource = resource,
		.keys = keys,
		.credential = VS_CRED_MANAGED_IDENTITY};
	const struct vs_net net = {.http = {.ops = &http_ops},
		.clock = vs_clock_system(),
		.rng = vs_rng_system(),
		.sleep_ms = no_sleep};
	const int64_t deadline = net.clock.ops->boot_ns(net.clock.self) + 5 * INT64_C(1000000000);

	if (arena == NULL)
		FUZZ_MUST(!vs_failed(vs_arena_new(65536, 4 << 20, VS_LOCK_WARN, &arena, NULL)) &&
			!vs_failed(vs_ossl_new(&ossl, NULL)));
	if (size == 0)
		return 0;
	status = statuses[data[0] % (sizeof statuses / sizeof statuses[0])];
	body = vs_bytes_of(data + 1, size - 1);
	n_answers = 0;
	try_vault(&net, &conf, &token, deadline);
	n_answers = 0;
	try_attestation(&net, deadline);
	return 0;
}
