/* SPDX-License-Identifier: BSD-2-Clause */
/* From a leaf to a pinned root. */
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "evidence/ev_cert_impl.h"
#include "evidence/ev_crypto.h"

/* Certificates between leaf and root. */
enum { CHAIN_DEPTH_MAX = VS_EV_PATH_MAX - 2, AUTH_LEVEL = 2 };

static void
store_done(X509_STORE **store)
{
	X509_STORE_free(*store);
}

static void
ctx_done(X509_STORE_CTX **ctx)
{
	X509_STORE_CTX_free(*ctx);
}

static void
stack_done(STACK_OF(X509) * *stack)
{
	sk_X509_free(*stack);
}

static const struct vs_ev_cert *
find_same(const struct vs_ev_certs *certs, const X509 *x)
{
	for (size_t i = 0; i < certs->n; i++) {
		if (X509_cmp(certs->v[i]->x, x) == 0)
			return certs->v[i];
	}
	return NULL;
}

static vs_rc
prepare(X509_STORE_CTX *ctx, X509_STORE *store, const struct vs_ev_cert *leaf,
	STACK_OF(X509) * helpers, int64_t at_unix, struct vs_err *err)
{
	if (X509_STORE_CTX_init(ctx, store, leaf->x, helpers) != 1)
		VS_FAIL(err, MEMORY, "no memory for a chain of certificates");
	X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
	X509_VERIFY_PARAM_set_time(param, (time_t)at_unix);
	X509_VERIFY_PARAM_set_depth(param, CHAIN_DEPTH_MAX);
	X509_VERIFY_PARAM_set_auth_level(param, AUTH_LEVEL);
	/* These certificates are for no TLS purpose; "strict" asks for identifiers AMD's lack. */
	(void)X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_ANY);
	return VS_OK;
}

/* The path in our own certificates: what was verified is what is asked about further on. */
static vs_rc
take_path(const STACK_OF(X509) * chain, const struct vs_ev_cert *leaf,
	const struct vs_ev_certs *helpers, const struct vs_ev_certs *roots, struct vs_ev_path *ret,
	struct vs_err *err)
{
	struct vs_ev_path path = {.n = 0};
	const int n = sk_X509_num(chain);
	VS_REQUIRE(err, n >= 1 && n <= VS_EV_PATH_MAX);
	for (int i = 0; i < n; i++) {
		const X509 *x = sk_X509_value(chain, i);
		const struct vs_ev_cert *c = i == n - 1 ? find_same(roots, x) : NULL;
		if (c == NULL && i == 0)
			c = leaf;
		else if (c == NULL && i < n - 1)
			c = find_same(helpers, x);
		/* An intermediate may be one of the pinned certificates itself. */
		if (c == NULL)
			c = find_same(roots, x);
		VS_REQUIRE(err, c != NULL && (i < n - 1 || find_same(roots, x) != NULL));
		path.v[path.n++] = c;
	}
	if (ret != NULL)
		*ret = path;
	return VS_OK;
}

vs_rc
vs_ev_cert_chain(const struct vs_ev_cert *leaf, const struct vs_ev_certs *helpers,
	const struct vs_ev_certs *roots, int64_t at_unix, struct vs_ev_path *ret,
	struct vs_err *err)
{
	VS_CLEANUP(store_done) X509_STORE *store = X509_STORE_new();
	VS_CLEANUP(stack_done) STACK_OF(X509) *stack = sk_X509_new_null();
	VS_CLEANUP(ctx_done) X509_STORE_CTX *ctx = X509_STORE_CTX_new_ex(vs_ev_libctx(), NULL);
	if (store == NULL || stack == NULL || ctx == NULL)
		VS_FAIL(err, MEMORY, "no memory for a chain of certificates");
	for (size_t i = 0; i < roots->n; i++) {
		if (X509_STORE_add_cert(store, roots->v[i]->x) != 1)
			VS_FAIL(err, MEMORY, "no memory for a chain of certificates");
	}
	for (size_t i = 0; i < helpers->n; i++) {
		if (sk_X509_push(stack, helpers->v[i]->x) <= 0)
			VS_FAIL(err, MEMORY, "no memory for a chain of certificates");
	}
	VS_TRY(prepare(ctx, store, leaf, stack, at_unix, err));
	const int ok = X509_verify_cert(ctx);
	const int why = X509_STORE_CTX_get_error(ctx);
	ERR_clear_error();
	if (ok != 1) {
		char name[VS_EV_CERT_NAME_MAX];
		VS_FAIL_N(err, REFUSED_EVIDENCE, why,
			"the certificate \"%s\" does not lead to a pinned root: %s",
			vs_ev_cert_subject(leaf, name), X509_verify_cert_error_string(why));
	}
	return take_path(X509_STORE_CTX_get0_chain(ctx), leaf, helpers, roots, ret, err);
}
