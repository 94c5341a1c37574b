/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where an attempt gets lists of revoked certificates and Intel's statements: a folder, a cache,
 * services made of a script. Intel's are its own of 2025; AMD's list is made here.
 */
#include "unit/pkikit.h"
#include "unit/unit.h"

#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utime.h>

#include "base/codec.h"
#include "base/file.h"
#include "evidence/data.h"
#include "gate/attempt_impl.h"

enum { MAX_ANSWERS = 8, DAY = 86400 };

/* One address and what it answers; how often it was asked. */
struct answer {
	const char *path;
	long status; /* 0: nobody there */
	struct vs_bytes body;
	const char *chain;
	unsigned asked;
};

struct world {
	struct vs_services s;
	struct vs_conf conf;
	struct vs_conf_token token;
	struct vs_evidence ev;
	struct answer answers[MAX_ANSWERS];
	size_t n;
	int64_t wall, boot;
	unsigned unexpected;
	char dir[64], folder[96];
};

static struct pki ark;

static int64_t
wall(void *self)
{
	return ((struct world *)self)->wall;
}

static int64_t
boot(void *self)
{
	return ((struct world *)self)->boot;
}

static const struct vs_clock_ops clock_ops = {"hand", 1, wall, boot};

static vs_rc
perform(void *self, const struct vs_http_req *req, struct vs_http_res *ret, struct vs_err *err)
{
	struct world *w = self;
	assert_int_equal(req->method, VS_HTTP_GET);
	assert_false(req->allow_plain);
	assert_null(req->bearer);
	assert_true(req->deadline_boot_ns <= w->boot + INT64_C(10000000000));
	for (size_t i = 0; i < w->n; i++) {
		struct answer *a = &w->answers[i];
		char url[256];
		snprintf(url, sizeof url, "https://vendor.example%s", a->path);
		if (strcmp(req->url, url) != 0)
			continue;
		a->asked++;
		if (a->status == 0)
			VS_FAIL(err, CONNECT, "nobody there");
		ret->status = a->status;
		VS_TRY(vs_buf_set(&ret->body, a->body.p, a->body.n, err));
		if (a->chain != NULL)
			VS_TRY(vs_buf_add_str(&ret->issuer_chain, a->chain, err));
		return VS_OK;
	}
	w->unexpected++;
	VS_FAIL(err, CONNECT, "%s is not part of the script", req->url);
}

static const struct vs_http_ops http_ops = {"script", 1, perform};

static void
world_up(struct world *w, int64_t now)
{
	memset(w, 0, sizeof *w);
	snprintf(w->dir, sizeof w->dir, "/tmp/vs-collateral.XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	w->wall = now;
	w->boot = INT64_C(1000000000000);
	w->conf.state_dir = w->dir;
	w->token.local_evidence = VS_REQUIRE_ON;
	const struct vs_clock clock = {&clock_ops, w};
	w->s.env = (struct vs_services_env){.conf = &w->conf, .token = &w->token, .clock = clock};
	w->s.net = (struct vs_net){.http = {&http_ops, w}, .clock = clock};
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void
world_down(struct world *w)
{
	vs_evidence_done(&w->ev);
	assert_int_equal(w->unexpected, 0);
	assert_int_equal(nftw(w->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

static void
answer(struct world *w, const char *path, long status, struct vs_bytes body, const char *chain)
{
	assert_true(w->n < MAX_ANSWERS);
	w->answers[w->n++] =
		(struct answer){.path = path, .status = status, .body = body, .chain = chain};
}

static struct vs_own_collateral
get(struct world *w)
{
	struct vs_own_collateral own = {.c = {.has = 0}};
	struct vs_err err = {0};
	assert_ok(vs_attempt_collateral(&w->s, &w->ev, w->boot + INT64_C(60000000000), &own, &err),
		&err);
	return own;
}

static unsigned
asked(const struct world *w)
{
	unsigned n = 0;
	for (size_t i = 0; i < w->n; i++)
		n += w->answers[i].asked;
	return n;
}

/* A file of the cache gets this age. */
static void
set_age(const struct world *w, const char *name, int64_t seconds)
{
	char path[256];
	const struct utimbuf t = {(time_t)(w->wall - seconds), (time_t)(w->wall - seconds)};
	snprintf(path, sizeof path, "%s/collateral/%s", w->dir, name);
	assert_int_equal(utime(path, &t), 0);
}

/* ---- AMD ------------------------------------------------------------------------------------ */

#define MILAN "/vcek/v1/Milan/crl"

static void
milan(struct world *w)
{
	world_up(w, PKI_AT);
	w->ev.tee = VS_TEE_SNP;
	w->ev.vcek_chain_pem = data_load("azure/snp-milan-challenge/vcek.pem");
	w->conf.amd_kds = (char *)(uintptr_t) "https://vendor.example";
}

static void
amds_list_is_fetched_once_and_kept_after_it_was_good(void **state)
{
	(void)state;
	struct world w;
	VS_CLEANUP(vs_buf_done) struct vs_buf crl = {0};
	pki_crl(&(struct pki_crl){.issuer = &ark, .until = 30 * DAY, .from = -9}, &crl);
	milan(&w);
	answer(&w, MILAN, 200, vs_buf_view(&crl), NULL);
	/* Refused evidence keeps nothing: the next attempt asks again. */
	for (unsigned i = 1; i <= 2; i++) {
		struct vs_own_collateral own = get(&w);
		assert_int_equal(own.c.has, 1U << VS_COLL_CRL_AMD_MILAN);
		assert_int_equal(own.c.crls.n, 1);
		assert_int_equal(asked(&w), i);
		if (i == 2)
			vs_attempt_collateral_keep(&w.s, &own);
		vs_attempt_collateral_done(&own);
	}
	set_age(&w, "amd-milan.crl", 60);
	struct vs_own_collateral own = get(&w);
	assert_int_equal(own.c.crls.n, 1);
	assert_int_equal(own.fresh[VS_COLL_CRL_AMD_MILAN].n, 0);
	assert_int_equal(asked(&w), 2);
	vs_attempt_collateral_done(&own);
	/* After a day a newer one is asked for; the old one serves while nobody answers. */
	set_age(&w, "amd-milan.crl", DAY + 1);
	w.answers[0].status = 0;
	own = get(&w);
	assert_int_equal(own.c.crls.n, 1);
	assert_int_equal(asked(&w), 3);
	vs_attempt_collateral_done(&own);
	/* And nobody is asked again before five minutes are over. */
	for (int i = 0; i < 3; i++) {
		own = get(&w);
		assert_int_equal(own.c.crls.n, 1);
		vs_attempt_collateral_done(&own);
	}
	assert_int_equal(asked(&w), 3);
	w.boot += INT64_C(301000000000);
	own = get(&w);
	assert_int_equal(asked(&w), 4);
	vs_attempt_collateral_done(&own);
	/* What has expired is not used, even if there is nothing else. */
	w.wall += 40 * DAY;
	own = get(&w);
	assert_int_equal(own.c.has, 0);
	vs_attempt_collateral_done(&own);
	world_down(&w);
}

static void
answers_that_are_no_list_of_this_time_are_left_out(void **state)
{
	(void)state;
	VS_CLEANUP(vs_buf_done) struct vs_buf old = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf good = {0};
	pki_crl(&(struct pki_crl){.issuer = &ark, .from = -9 * DAY, .until = -1}, &old);
	pki_crl(&(struct pki_crl){.issuer = &ark}, &good);
	const struct {
		long status;
		struct vs_bytes body;
	} cases[] = {{200, vs_buf_view(&old)}, {200, vs_bytes_str("<html>")}, {200, {NULL, 0}},
		{404, vs_buf_view(&good)}, {301, vs_buf_view(&good)}, {429, vs_buf_view(&good)},
		{503, vs_buf_view(&good)}, {204, vs_buf_view(&good)}, {0, {NULL, 0}},
		{200, vs_bytes_of(good.p, good.n - 1)}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct world w;
		milan(&w);
		answer(&w, MILAN, cases[i].status, cases[i].body, NULL);
		struct vs_own_collateral own = get(&w);
		assert_int_equal(own.c.has, 0);
		assert_int_equal(asked(&w), 1);
		vs_attempt_collateral_keep(&w.s, &own);
		vs_attempt_collateral_done(&own);
		char path[128];
		snprintf(path, sizeof path, "%s/collateral", w.dir);
		assert_int_not_equal(access(path, F_OK), 0);
		world_down(&w);
	}
}

static void
hexadecimal_and_pem_lists_are_read_too(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		VS_CLEANUP(vs_buf_done) struct vs_buf crl = {0};
		VS_CLEANUP(vs_buf_done) struct vs_buf hex = {0};
		struct vs_err err = {0};
		struct world w;
		pki_crl(&(struct pki_crl){.issuer = &ark, .pem = i == 1}, &crl);
		if (i == 0) {
			assert_ok(vs_hex_encode(vs_buf_view(&crl), &hex, &err), &err);
			assert_ok(vs_buf_add_str(&hex, "\n", &err), &err);
		}
		milan(&w);
		answer(&w, MILAN, 200, vs_buf_view(i == 0 ? &hex : &crl), NULL);
		struct vs_own_collateral own = get(&w);
		assert_int_equal(own.c.crls.n, 1);
		vs_attempt_collateral_done(&own);
		world_down(&w);
	}
}

static void
nothing_is_fetched_that_was_not_asked_for(void **state)
{
	(void)state;
	struct world w;
	struct vs_own_collateral own;
	milan(&w);
	w.conf.amd_kds = NULL;
	own = get(&w);
	vs_attempt_collateral_done(&own);
	w.conf.intel_pccs = (char *)(uintptr_t) "https://vendor.example";
	own = get(&w);
	vs_attempt_collateral_done(&own);
	w.conf.amd_kds = w.conf.intel_pccs;
	w.token.local_evidence = VS_OFF;
	own = get(&w);
	assert_int_equal(own.c.has, 0);
	vs_attempt_collateral_done(&own);
	world_down(&w);
}

static void
the_folder_comes_before_everything_else(void **state)
{
	(void)state;
	struct world w;
	VS_CLEANUP(vs_buf_done) struct vs_buf crl = {0};
	struct vs_own_collateral own = {.c = {.has = 0}};
	struct vs_err err = {0};
	char path[256];
	milan(&w);
	snprintf(w.folder, sizeof w.folder, "%s/folder", w.dir);
	assert_int_equal(mkdir(w.folder, 0755), 0);
	w.conf.collateral = w.folder;
	snprintf(path, sizeof path, "%s/amd-milan.crl", w.folder);
	pki_crl(&(struct pki_crl){.issuer = &ark}, &crl);
	assert_ok(vs_file_replace(path, 0644, vs_buf_view(&crl), &err), &err);
	own = get(&w);
	assert_int_equal(own.c.crls.n, 1);
	vs_attempt_collateral_done(&own);
	/* Files that others may write are not believed, however well they are signed. */
	assert_int_equal(chmod(path, 0666), 0);
	assert_code(vs_attempt_collateral(&w.s, &w.ev, w.boot, &own, &err), CONFIG_FILE);
	vs_attempt_collateral_done(&own);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(w.folder), 0);
	assert_code(vs_attempt_collateral(&w.s, &w.ev, w.boot, &own, &err), CONFIG_FILE);
	vs_attempt_collateral_done(&own);
	world_down(&w);
}

/* ---- Intel ---------------------------------------------------------------------------------- */

struct intel {
	struct vs_buf root, pck, info, id, chain;
};

static void
intel_up(struct intel *x)
{
	struct vs_json *j = data_json("intel/tdx-v4-collateral/tdx_quote_collateral.json");
	const struct {
		const char *name;
		struct vs_buf *to;
	} hex[] = {{"root_ca_crl", &x->root}, {"pck_crl", &x->pck}};
	struct vs_err err = {0};
	const char *a = NULL, *b = NULL;
	memset(x, 0, sizeof *x);
	for (size_t i = 0; i < 2; i++) {
		struct vs_bytes text;
		assert_true(vs_json_bytes(vs_json_get(j, hex[i].name), &text));
		assert_ok(vs_hex_decode(text, hex[i].to, &err), &err);
	}
	assert_true(vs_json_string(vs_json_get(j, "tcb_info"), &a) &&
		vs_json_string(vs_json_get(j, "tcb_info_signature"), &b));
	assert_ok(vs_buf_addf(&x->info, &err, "{\"tcbInfo\":%s,\"signature\":\"%s\"}", a, b), &err);
	assert_true(vs_json_string(vs_json_get(j, "qe_identity"), &a) &&
		vs_json_string(vs_json_get(j, "qe_identity_signature"), &b));
	assert_ok(vs_buf_addf(&x->id, &err, "{\"enclaveIdentity\":%s,\"signature\":\"%s\"}", a, b),
		&err);
	/* Percent-encoded, as the header has it. */
	assert_true(vs_json_string(vs_json_get(j, "tcb_info_issuer_chain"), &a));
	for (; *a != '\0'; a++)
		assert_ok(vs_buf_addf(&x->chain, &err,
				  (*a >= 'A' && *a <= 'Z') || (*a >= 'a' && *a <= 'z') ? "%c"
										       : "%%%02X",
				  (unsigned char)*a),
			&err);
	vs_json_free(j);
}

static void
intel_done(struct intel *x)
{
	struct vs_buf *const all[] = {&x->root, &x->pck, &x->info, &x->id, &x->chain};
	for (size_t i = 0; i < 5; i++)
		vs_buf_done(all[i]);
}

static void
tdx(struct world *w, const struct intel *x)
{
	world_up(w, AT_2025);
	w->ev.tee = VS_TEE_TDX;
	w->ev.td_quote = data_load("intel/tdx-v4-collateral/tdx_quote");
	w->conf.intel_pccs = (char *)(uintptr_t) "https://vendor.example";
	answer(w, "/sgx/certification/v4/rootcacrl", 200, vs_buf_view(&x->root), NULL);
	answer(w, "/sgx/certification/v4/pckcrl?ca=platform&encoding=der", 200,
		vs_buf_view(&x->pck), NULL);
	answer(w, "/tdx/certification/v4/tcb?fmspc=b0c06f000000", 200, vs_buf_view(&x->info),
		vs_buf_cstr(&x->chain));
	answer(w, "/tdx/certification/v4/qe/identity", 200, vs_buf_view(&x->id), NULL);
}

/* What was provided, asked as an attempt asks it. */
static struct vs_verdict
judge(const struct world *w, const struct vs_own_collateral *own, int64_t at)
{
	VS_CLEANUP(vs_roots_done) struct vs_roots vendors = {.amd = {.n = 0}};
	struct vs_dcap_collateral statements;
	struct vs_verdict v = {.n_checks = 0};
	struct vs_dcap_quote q;
	struct vs_err err = {0};
	uint8_t sig[2][64];
	bool has = false;
	assert_ok(vs_roots_production(&vendors, &err), &err);
	assert_ok(vs_dcap_parse(vs_buf_view(&w->ev.td_quote), &q, &err), &err);
	assert_ok(vs_collateral_intel(&own->c, sig, &statements, &has, &err), &err);
	const struct vs_dcap_expect x = {.at_unix = at,
		.roots = &vendors.intel,
		.collateral = has ? &statements : NULL,
		.collateral_required = true,
		.crls = &own->c.crls};
	assert_ok(vs_dcap_verify(&q, &x, &v, &err), &err);
	vs_check_finish(&v);
	return v;
}

static void
all_that_a_tdx_machine_needs_is_fetched_and_cached(void **state)
{
	(void)state;
	struct intel x;
	struct world w;
	intel_up(&x);
	tdx(&w, &x);
	struct vs_own_collateral own = get(&w);
	const struct vs_verdict v = judge(&w, &own, AT_2025);
	data_print(&v);
	assert_true(v.passed);
	assert_int_equal(asked(&w), 4);
	vs_attempt_collateral_keep(&w.s, &own);
	vs_attempt_collateral_done(&own);
	static const char *const names[] = {"intel-root.crl", "intel-pck-platform.crl",
		"tdx-tcb-info.json", "tdx-qe-identity.json", "intel-tcb-chain.pem"};
	for (size_t i = 0; i < 5; i++)
		set_age(&w, names[i], 100);
	own = get(&w);
	assert_int_equal(asked(&w), 4);
	assert_true(judge(&w, &own, AT_2025).passed);
	vs_attempt_collateral_done(&own);
	world_down(&w);
	intel_done(&x);
}

static void
statements_that_are_old_foreign_or_without_chain_are_not_enough(void **state)
{
	(void)state;
	struct intel x;
	struct vs_buf foreign = {0};
	struct vs_json *j = data_json("intel/sgx-v3/sgx_quote_collateral.json");
	struct vs_err err = {0};
	const char *a = NULL, *b = NULL;
	intel_up(&x);
	assert_true(vs_json_string(vs_json_get(j, "tcb_info"), &a) &&
		vs_json_string(vs_json_get(j, "tcb_info_signature"), &b));
	assert_ok(vs_buf_addf(&foreign, &err, "{\"tcbInfo\":%s,\"signature\":\"%s\"}", a, b), &err);
	for (int i = 0; i < 5; i++) {
		struct world w;
		tdx(&w, &x);
		switch (i) {
		case 0: w.answers[2].body = vs_buf_view(&foreign); break;
		case 1: w.answers[2].chain = NULL; break;
		case 2: w.answers[2].chain = "%2"; break;
		case 3: w.answers[3].body = vs_bytes_str("{}"); break;
		case 4: w.wall = AT_2026; break;
		}
		struct vs_own_collateral own = get(&w);
		assert_false(judge(&w, &own, AT_2025).passed);
		vs_attempt_collateral_done(&own);
		world_down(&w);
	}
	vs_json_free(j);
	vs_buf_done(&foreign);
	intel_done(&x);
}

static int
set_up(void **state)
{
	(void)state;
	ark = pki_make(&(struct pki_cert){.cn = "ARK", .serial = 1, .ca = true});
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	pki_done(&ark);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(amds_list_is_fetched_once_and_kept_after_it_was_good),
		cmocka_unit_test(answers_that_are_no_list_of_this_time_are_left_out),
		cmocka_unit_test(hexadecimal_and_pem_lists_are_read_too),
		cmocka_unit_test(nothing_is_fetched_that_was_not_asked_for),
		cmocka_unit_test(the_folder_comes_before_everything_else),
		cmocka_unit_test(all_that_a_tdx_machine_needs_is_fetched_and_cached),
		cmocka_unit_test(statements_that_are_old_foreign_or_without_chain_are_not_enough),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
