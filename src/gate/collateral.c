/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lists of revoked certificates and Intel's statements: from a folder, a cache, AMD's and Intel's
 * services. All of it is signed by those that the roots name, so what is fetched needs no trust in
 * where it comes from; it is cached only after evidence was accepted with it.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/codec.h"
#include "base/file.h"
#include "base/log.h"
#include "evidence/dcap.h"
#include "evidence/snp.h"
#include "gate/attempt_impl.h"
#include "net/url.h"

enum { PATH_CHARS = 1100, AGE_S = 24 * 3600, RETRY_S = 300, FETCH_S = 10 };

/* What this machine's evidence needs, and where it is fetched. */
struct want {
	enum vs_collateral_part part;
	const char *origin;
	char path[96];
	const char *statement; /* name of the signed object; NULL: a list */
	bool with_chain; /* its answer's header brings VS_COLL_INTEL_TCB_CHAIN */
};

enum { WANTS_MAX = 4 };

struct wants {
	size_t n;
	struct want v[WANTS_MAX];
	uint8_t fmspc[6];
};

/* ---- what is needed ------------------------------------------------------------------------- */

static void
want_amd(const struct vs_evidence *ev, const char *origin, struct wants *w)
{
	static const struct {
		enum vs_snp_gen gen;
		enum vs_collateral_part part;
		const char *name;
	} products[] = {{VS_SNP_MILAN, VS_COLL_CRL_AMD_MILAN, "Milan"},
		{VS_SNP_GENOA, VS_COLL_CRL_AMD_GENOA, "Genoa"},
		{VS_SNP_TURIN, VS_COLL_CRL_AMD_TURIN, "Turin"}};
	VS_CLEANUP(vs_ev_certs_done) struct vs_ev_certs certs = {.n = 0};

	if (vs_failed(vs_ev_certs_pem(vs_buf_view(&ev->vcek_chain_pem), &certs, NULL)) ||
		certs.n == 0)
		return;
	const enum vs_snp_gen gen = vs_snp_product(certs.v[0]);
	for (size_t i = 0; i < sizeof products / sizeof products[0]; i++) {
		if (products[i].gen != gen)
			continue;
		struct want *x = &w->v[w->n++];
		*x = (struct want){.part = products[i].part, .origin = origin};
		(void)snprintf(x->path, sizeof x->path, "/vcek/v1/%s/crl", products[i].name);
	}
}

static void
want_intel(const struct vs_evidence *ev, const char *origin, struct wants *w)
{
	VS_CLEANUP(vs_ev_certs_done) struct vs_ev_certs certs = {.n = 0};
	struct vs_dcap_quote q;
	struct vs_dcap_pck pck;
	char issuer[VS_EV_CERT_NAME_MAX], hex[13];

	if (vs_failed(vs_dcap_parse(vs_buf_view(&ev->td_quote), &q, NULL)) ||
		vs_failed(vs_ev_certs_pem(q.certs, &certs, NULL)) || certs.n == 0 ||
		!vs_dcap_pck_read(certs.v[0], &pck))
		return;
	memcpy(w->fmspc, pck.fmspc, sizeof w->fmspc);
	vs_hex_str(pck.fmspc, sizeof pck.fmspc, hex, sizeof hex);
	(void)vs_ev_cert_issuer(certs.v[0], issuer);
	const bool platform = strcmp(issuer, "Intel SGX PCK Platform CA") == 0;
	w->v[0] = (struct want){.part = VS_COLL_CRL_INTEL_ROOT,
		.origin = origin,
		.path = "/sgx/certification/v4/rootcacrl"};
	w->v[1] = (struct want){
		.part = platform ? VS_COLL_CRL_INTEL_PLATFORM : VS_COLL_CRL_INTEL_PROCESSOR,
		.origin = origin};
	(void)snprintf(w->v[1].path, sizeof w->v[1].path,
		"/sgx/certification/v4/pckcrl?ca=%s&encoding=der",
		platform ? "platform" : "processor");
	w->v[2] = (struct want){.part = VS_COLL_TDX_TCB_INFO,
		.origin = origin,
		.statement = "tcbInfo",
		.with_chain = true};
	(void)snprintf(
		w->v[2].path, sizeof w->v[2].path, "/tdx/certification/v4/tcb?fmspc=%s", hex);
	w->v[3] = (struct want){.part = VS_COLL_TDX_QE_IDENTITY,
		.origin = origin,
		.path = "/tdx/certification/v4/qe/identity",
		.statement = "enclaveIdentity"};
	w->n = 4;
}

/* ---- one part ------------------------------------------------------------------------------- */

static bool
cache_path(const struct vs_services *s, enum vs_collateral_part part, char out[PATH_CHARS])
{
	const int n = snprintf(out, PATH_CHARS, "%s/collateral/%s", s->env.conf->state_dir,
		vs_collateral_file(part));

	return n > 0 && n < PATH_CHARS;
}

static bool
is_current(const struct want *x, const struct wants *w, struct vs_bytes content, int64_t now)
{
	VS_CLEANUP(vs_ev_crls_done) struct vs_ev_crls crls = {.n = 0};

	if (x->statement != NULL)
		return vs_dcap_statement_current(
			content, x->statement, x->with_chain ? w->fmspc : NULL, now);
	return !vs_failed(vs_ev_crls_add(&crls, content, NULL)) &&
		vs_ev_crl_is_current(crls.v[0], now);
}

/* Empty out: nothing there that is of this time. *ret_young: no need to ask for a newer one. */
static void
read_cached(const struct vs_services *s, enum vs_collateral_part part, int64_t now,
	struct vs_buf *out, bool *ret_young)
{
	char path[PATH_CHARS];
	struct stat st;

	*ret_young = false;
	if (!cache_path(s, part, path) || stat(path, &st) != 0 ||
		vs_failed(vs_file_read(path, VS_EV_CRL_MAX, VS_FILE_TRUSTED, out, NULL))) {
		vs_buf_reset(out);
		return;
	}
	*ret_young = st.st_mtime <= now && now - st.st_mtime < AGE_S;
}

/* "%2D" -> "-" */
static VS_RC
unescape(struct vs_bytes in, struct vs_buf *out, struct vs_err *err)
{
	for (size_t i = 0; i < in.n; i++) {
		VS_CLEANUP(vs_buf_done) struct vs_buf one = {.max = 1};
		if (in.p[i] != '%') {
			VS_TRY(vs_buf_add_u8(out, in.p[i], err));
			continue;
		}
		if (i + 2 >= in.n ||
			vs_failed(vs_hex_decode(vs_bytes_of(in.p + i + 1, 2), &one, NULL)))
			VS_FAIL(err, ANSWER, "a header has a broken percent code");
		VS_TRY(vs_buf_add_u8(out, one.p[0], err));
		i += 2;
	}
	return VS_OK;
}

/* Caches write lists in hexadecimal. */
static VS_RC
take_body(const struct want *x, const struct vs_buf *body, struct vs_buf *out, struct vs_err *err)
{
	struct vs_bytes b = vs_buf_view(body);

	while (b.n > 0 && (b.p[b.n - 1] == '\n' || b.p[b.n - 1] == '\r'))
		b.n--;
	out->max = VS_EV_CRL_MAX;
	if (x->statement == NULL && b.n != 0 && b.p[0] != 0x30 && b.p[0] != '-')
		return vs_hex_decode(b, out, err);
	return vs_buf_set(out, body->p, body->n, err);
}

static VS_RC
fetch(struct vs_services *s, const struct want *x, const struct wants *w, int64_t deadline_boot_ns,
	struct vs_own_collateral *own, struct vs_err *err)
{
	VS_CLEANUP(vs_http_res_done) struct vs_http_res res = {.retry_after_s = -1};
	VS_CLEANUP(vs_buf_done) struct vs_buf url = {.max = VS_URL_MAX};
	const struct vs_clock *clock = &s->env.clock;
	const int64_t soon = clock->ops->boot_ns(clock->self) + INT64_C(1000000000) * FETCH_S;
	struct vs_buf *to = &own->fresh[x->part];

	VS_TRY(vs_buf_addf(&url, err, "%s%s", x->origin, x->path));
	const struct vs_http_req req = {.method = VS_HTTP_GET,
		.url = vs_buf_cstr(&url),
		.max_body = VS_EV_CRL_MAX,
		.deadline_boot_ns = soon < deadline_boot_ns ? soon : deadline_boot_ns};
	VS_TRY(vs_net_call(&s->net, &req, &vs_http_retry_none, x->origin, &res, err));
	if (res.status != 200)
		return vs_http_fail(&res, x->origin, err);
	vs_buf_reset(to);
	VS_TRY(take_body(x, &res.body, to, err));
	if (!is_current(x, w, vs_buf_view(to), clock->ops->wall_unix(clock->self))) {
		vs_buf_reset(to);
		VS_FAIL(err, ANSWER, "%s gave nothing of this time for %s", x->origin,
			vs_collateral_file(x->part));
	}
	if (!x->with_chain)
		return VS_OK;
	struct vs_buf *chain = &own->fresh[VS_COLL_INTEL_TCB_CHAIN];
	vs_buf_reset(chain);
	return unescape(vs_buf_view(&res.issuer_chain), chain, err);
}

/* ---- all parts ------------------------------------------------------------------------------ */

static VS_RC
add_cached(struct vs_own_collateral *own, enum vs_collateral_part part, struct vs_bytes content,
	struct vs_err *err)
{
	const vs_rc rc = vs_collateral_add(&own->c, part, content, err);

	/* A cached file that is damaged is as good as none. */
	return rc.code == VS_E_FORMAT ? VS_OK : rc;
}

static VS_RC
provide(struct vs_services *s, const struct want *x, const struct wants *w,
	int64_t deadline_boot_ns, struct vs_own_collateral *own, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf cached = {.max = VS_EV_CRL_MAX};
	VS_CLEANUP(vs_buf_done) struct vs_buf chain = {.max = VS_EV_CRL_MAX};
	const struct vs_clock *clock = &s->env.clock;
	const int64_t now = clock->ops->wall_unix(clock->self);
	const int64_t boot = clock->ops->boot_ns(clock->self);
	bool young = false, other = false;

	if ((own->c.has >> x->part & 1) != 0)
		return VS_OK;
	read_cached(s, x->part, now, &cached, &young);
	if (x->with_chain)
		read_cached(s, VS_COLL_INTEL_TCB_CHAIN, now, &chain, &other);
	const bool usable = cached.n != 0 && (!x->with_chain || chain.n != 0) &&
		is_current(x, w, vs_buf_view(&cached), now);
	if (!(usable && young) && boot >= atomic_load(&s->collateral_after_ns)) {
		struct vs_err why = {0};
		const vs_rc rc = fetch(s, x, w, deadline_boot_ns, own, &why);
		if (!vs_failed(rc)) {
			if (x->with_chain)
				VS_TRY(vs_collateral_add(&own->c, VS_COLL_INTEL_TCB_CHAIN,
					vs_buf_view(&own->fresh[VS_COLL_INTEL_TCB_CHAIN]), err));
			return vs_collateral_add(
				&own->c, x->part, vs_buf_view(&own->fresh[x->part]), err);
		}
		if (rc.code == VS_E_MEMORY)
			return vs_err_while(rc, err, "fetching %s", vs_collateral_file(x->part));
		atomic_store(&s->collateral_after_ns, boot + INT64_C(1000000000) * RETRY_S);
		vs_log_err(&s->env.log, VS_LOG_WARN, "gate",
			usable ? "collateral could not be renewed, the cached one is used"
			       : "collateral could not be fetched",
			&why);
	}
	if (!usable)
		return VS_OK;
	if (x->with_chain)
		VS_TRY(add_cached(own, VS_COLL_INTEL_TCB_CHAIN, vs_buf_view(&chain), err));
	return add_cached(own, x->part, vs_buf_view(&cached), err);
}

vs_rc
vs_attempt_collateral(struct vs_services *s, const struct vs_evidence *ev, int64_t deadline_boot_ns,
	struct vs_own_collateral *ret, struct vs_err *err)
{
	const struct vs_conf *conf = s->env.conf;
	const struct vs_conf_token *t = s->env.token;
	struct wants w = {.n = 0};

	if (t->local_evidence == VS_OFF && t->service_evidence == VS_OFF)
		return VS_OK;
	if (conf->collateral != NULL)
		VS_TRY(vs_collateral_load(conf->collateral, VS_FILE_TRUSTED, &ret->c, err));
	if (t->local_evidence == VS_OFF)
		return VS_OK;
	if (ev->tee == VS_TEE_SNP && conf->amd_kds != NULL)
		want_amd(ev, conf->amd_kds, &w);
	if (ev->tee == VS_TEE_TDX && conf->intel_pccs != NULL)
		want_intel(ev, conf->intel_pccs, &w);
	for (size_t i = 0; i < w.n; i++)
		VS_TRY(provide(s, &w.v[i], &w, deadline_boot_ns, ret, err));
	return VS_OK;
}

void
vs_attempt_collateral_keep(struct vs_services *s, struct vs_own_collateral *own)
{
	char dir[PATH_CHARS], path[PATH_CHARS];

	for (int i = 0; i < VS_COLL_COUNT_; i++) {
		struct vs_err why = {0};
		const struct vs_buf *b = &own->fresh[i];
		if (b->n == 0 || !cache_path(s, (enum vs_collateral_part)i, path))
			continue;
		(void)snprintf(dir, sizeof dir, "%s/collateral", s->env.conf->state_dir);
		if (mkdir(dir, 0700) != 0 && errno != EEXIST)
			continue; /* the next attempt asks again */
		if (vs_failed(vs_file_replace(path, 0600, vs_buf_view(b), &why)))
			vs_log_err(
				&s->env.log, VS_LOG_WARN, "gate", "no cache of collateral", &why);
	}
}

void
vs_attempt_collateral_done(struct vs_own_collateral *own)
{
	vs_collateral_done(&own->c);
	for (int i = 0; i < VS_COLL_COUNT_; i++)
		vs_buf_done(&own->fresh[i]);
}
