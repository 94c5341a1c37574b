/* SPDX-License-Identifier: BSD-2-Clause */
/* The text of a compact JWS: form, header, and the one signature algorithm. */
#include "jose/jose.h"

#include <string.h>
#include <strings.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "base/codec.h"
#include "jose/json.h"
#include "jose/lib.h"

/* ---- form: A1, A2, A3 --------------------------------------------------------------------- */

static bool
is_trailing_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

VS_RC
vs_jws_trim(struct vs_bytes text, size_t max, struct vs_bytes *ret, struct vs_err *err)
{
	while (text.n > 0 && is_trailing_space(text.p[text.n - 1]))
		text.n--;
	if (text.n == 0)
		VS_FAIL(err, REFUSED_FORM, "the token is empty");
	if (text.n > max)
		VS_FAIL(err, REFUSED_FORM, "the token has %zu bytes; %zu are allowed", text.n, max);
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] < 0x20 || text.p[i] > 0x7e)
			VS_FAIL(err, REFUSED_FORM,
				"the token has a byte that is no printable ASCII at %zu", i);
	*ret = text;
	return VS_OK;
}

VS_RC
vs_jws_split(struct vs_bytes text, struct vs_jws_parts *ret, struct vs_err *err)
{
	size_t dots[2] = {0}, n_dots = 0;
	for (const uint8_t *p = text.p, *end = text.p + text.n;
		(p = memchr(p, '.', (size_t)(end - p))) != NULL; p++) {
		if (n_dots == 2)
			VS_FAIL(err, REFUSED_FORM, "the token has more than three segments");
		dots[n_dots++] = (size_t)(p - text.p);
	}
	if (n_dots != 2)
		VS_FAIL(err, REFUSED_FORM, "the token does not have three segments");
	const struct vs_jws_parts parts = {
		.header = vs_bytes_of(text.p, dots[0]),
		.payload = vs_bytes_of(text.p + dots[0] + 1, dots[1] - dots[0] - 1),
		.signature = vs_bytes_of(text.p + dots[1] + 1, text.n - dots[1] - 1),
		.signed_text = vs_bytes_of(text.p, dots[1]),
	};
	if (parts.header.n == 0 || parts.payload.n == 0 || parts.signature.n == 0)
		VS_FAIL(err, REFUSED_FORM, "a segment of the token is empty");
	*ret = parts;
	return VS_OK;
}

VS_RC
vs_jws_segment(struct vs_bytes segment, const char *which, struct vs_buf *out, struct vs_err *err)
{
	struct vs_err why = {0};
	const vs_rc rc = vs_b64url_decode(segment, out, &why);
	if (rc.code == VS_E_FORMAT)
		VS_FAIL(err, REFUSED_FORM, "the token's %s is not strict base64url: %s", which,
			why.frames[0].text);
	if (vs_failed(rc) && err != NULL)
		*err = why;
	return rc;
}

/* ---- header: A5, A6, A7 ------------------------------------------------------------------- */

VS_RC
vs_jws_check_alg(const struct vs_json *header, struct vs_err *err)
{
	if (!vs_json_is_string(vs_json_get(header, "alg"), "RS256"))
		VS_FAIL(err, REFUSED_SIGNATURE, "the token's algorithm is not RS256");
	return VS_OK;
}

/* Scheme https, host, port of an absolute URL whose text is beyond doubt. */
struct origin {
	struct vs_bytes host;
	unsigned port;
};

static bool
host_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		c == '-' || c == '.' || c == '_';
}

static bool
parse_port(const char *p, size_t n, unsigned *ret)
{
	unsigned port = 0;
	if (n == 0 || n > 5)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (p[i] < '0' || p[i] > '9')
			return false;
		port = port * 10 + (unsigned)(p[i] - '0');
	}
	*ret = port;
	return port > 0 && port < 65536;
}

static bool
parse_origin(const char *url, struct origin *ret)
{
	static const char scheme[] = "https://";
	for (const char *c = url; *c != '\0'; c++)
		if (*c <= 0x20 || *c >= 0x7f || strchr("\\\"<>^`{|}", *c) != NULL)
			return false;
	if (strncasecmp(url, scheme, sizeof scheme - 1) != 0)
		return false;
	const char *host = url + sizeof scheme - 1;
	size_t n = 0;
	if (host[0] == '[') {
		n = 1 + strspn(host + 1, "0123456789abcdefABCDEF:.");
		if (host[n] != ']')
			return false;
		n++;
	} else {
		while (host_char(host[n]))
			n++;
	}
	*ret = (struct origin){.host = vs_bytes_of(host, n), .port = 443};
	if (n == 0)
		return false;
	const char *rest = host + n;
	if (*rest == ':') {
		const size_t digits = strspn(rest + 1, "0123456789");
		if (!parse_port(rest + 1, digits, &ret->port))
			return false;
		rest += 1 + digits;
	}
	return *rest == '\0' || strchr("/?#", *rest) != NULL;
}

static bool
same_origin(const char *a, const char *b)
{
	struct origin oa = {0}, ob = {0};
	return parse_origin(a, &oa) && parse_origin(b, &ob) && oa.port == ob.port &&
		oa.host.n == ob.host.n &&
		strncasecmp((const char *)oa.host.p, (const char *)ob.host.p, oa.host.n) == 0;
}

VS_RC
vs_jws_check_header(
	const struct vs_json *header, const char *issuer, bool allow_x5c, struct vs_err *err)
{
	/* Each of these would make the token mean something else, or offer a key of its own. */
	static const char *const forbidden[] = {"crit", "b64", "zip", "enc", "jwk", "x5u"};
	for (size_t i = 0; i < sizeof forbidden / sizeof forbidden[0]; i++)
		if (vs_json_get(header, forbidden[i]) != NULL)
			VS_FAIL(err, REFUSED_FORM, "the token's header has the member \"%s\"",
				forbidden[i]);
	if (!allow_x5c && vs_json_get(header, "x5c") != NULL)
		VS_FAIL(err, REFUSED_FORM, "the token's header has the member \"x5c\"");

	const struct vs_json *typ = vs_json_get(header, "typ"), *jku = vs_json_get(header, "jku");
	const char *text = NULL;
	if (typ != NULL && (!vs_json_string(typ, &text) || strcasecmp(text, "JWT") != 0))
		VS_FAIL(err, REFUSED_FORM, "the token's type is not JWT");
	if (jku != NULL &&
		(issuer == NULL || !vs_json_string(jku, &text) || !same_origin(text, issuer)))
		VS_FAIL(err, REFUSED_FORM, "the token's jku is not an address of its issuer");
	return VS_OK;
}

VS_RC
vs_jws_kid(const struct vs_json *header, struct vs_bytes *ret, struct vs_err *err)
{
	struct vs_bytes kid = {0};
	if (!vs_json_bytes(vs_json_get(header, "kid"), &kid) || kid.n == 0)
		VS_FAIL(err, REFUSED_SIGNATURE, "the token names no signing key");
	*ret = kid;
	return VS_OK;
}

/* ---- signature: A9 ------------------------------------------------------------------------ */

static void
md_ctx_freep(EVP_MD_CTX **ctx)
{
	EVP_MD_CTX_free(*ctx);
}

static VS_RC
verify(EVP_PKEY *key, struct vs_bytes text, struct vs_bytes signature, struct vs_err *err)
{
	OSSL_LIB_CTX *lib = NULL;
	EVP_PKEY_CTX *pctx = NULL;
	VS_TRY(vs_jose_lib(&lib, err));
	VS_CLEANUP(md_ctx_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	if (ctx == NULL)
		VS_FAIL(err, MEMORY, "out of memory while verifying a signature");
	if (EVP_DigestVerifyInit_ex(ctx, &pctx, "SHA256", lib, NULL, key, NULL) != 1 ||
		EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PADDING) != 1)
		VS_FAIL(err, CRYPTO, "an RS256 verification could not be set up");
	if (EVP_DigestVerify(ctx, signature.p, signature.n, text.p, text.n) != 1)
		VS_FAIL(err, REFUSED_SIGNATURE, "the signature does not verify");
	return VS_OK;
}

VS_RC
vs_rs256_verify(struct evp_pkey_st *key, struct vs_bytes signed_text, struct vs_bytes signature,
	struct vs_err *err)
{
	if (EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA)
		VS_FAIL(err, REFUSED_SIGNATURE, "the signing key is not an RSA key");
	if (signature.n == 0 || signature.n != (size_t)EVP_PKEY_get_size(key))
		VS_FAIL(err, REFUSED_SIGNATURE, "the signature has %zu bytes, its key %d",
			signature.n, EVP_PKEY_get_size(key));
	ERR_set_mark();
	const vs_rc rc = verify(key, signed_text, signature, err);
	ERR_pop_to_mark();
	return rc;
}

VS_RC
vs_sha256(struct vs_bytes in, uint8_t out[32], struct vs_err *err)
{
	OSSL_LIB_CTX *lib = NULL;
	VS_TRY(vs_jose_lib(&lib, err));
	ERR_set_mark();
	const int r = EVP_Q_digest(lib, "SHA256", NULL, in.p, in.n, out, NULL);
	ERR_pop_to_mark();
	if (r != 1)
		VS_FAIL(err, CRYPTO, "SHA-256 failed");
	return VS_OK;
}

/* ---- release answers ---------------------------------------------------------------------- */

static VS_RC
open_x5c(struct vs_bytes text, const struct vs_chain_req *req, struct vs_buf *payload,
	struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf raw = {.max = VS_JWS_RELEASE_MAX};
	VS_CLEANUP(vs_buf_done) struct vs_buf body = {.max = VS_JWS_RELEASE_MAX};
	VS_CLEANUP(vs_buf_done) struct vs_buf signature = {.max = VS_RSA_BYTES_MAX * 2};
	VS_CLEANUP(vs_json_freep) struct vs_json *header = NULL;
	VS_CLEANUP(vs_certs_freep) struct vs_certs *chain = NULL;
	struct vs_jws_parts parts = {0};

	VS_TRY(vs_jws_trim(text, VS_JWS_RELEASE_MAX, &text, err));
	VS_TRY(vs_jws_split(text, &parts, err));
	VS_TRY(vs_jws_segment(parts.header, "header", &raw, err));
	VS_TRY(vs_jws_segment(parts.payload, "payload", &body, err));
	VS_TRY(vs_jws_segment(parts.signature, "signature", &signature, err));
	VS_TRY(vs_json_load_object(
		vs_buf_view(&raw), VS_JWS_RELEASE_MAX, "header of the answer", &header, err));
	VS_TRY(vs_jws_check_alg(header, err));
	VS_TRY(vs_jws_check_header(header, NULL, true, err));
	VS_TRY(vs_certs_from_x5c(vs_json_get(header, "x5c"), &chain, err));

	const struct vs_cert *leaf = vs_certs_at(chain, 0);
	struct vs_chain_req with_chain = *req;
	with_chain.intermediates = chain;
	VS_TRY(vs_cert_chain(leaf, &with_chain, err));
	VS_TRY(vs_rs256_verify(vs_cert_key(leaf), parts.signed_text, vs_buf_view(&signature), err));
	vs_buf_move(payload, &body);
	return VS_OK;
}

VS_RC
vs_jws_open_x5c(struct vs_bytes text, const struct vs_certs *anchors, const char *host,
	int64_t at_unix, struct vs_buf *payload, struct vs_err *err)
{
	VS_REQUIRE(err, host != NULL && host[0] != '\0');
	const struct vs_chain_req req = {
		.anchors = anchors,
		.at_unix = at_unix,
		.purpose = VS_PURPOSE_TLS_SERVER,
		.host = host,
	};
	struct vs_err why = {0};
	const vs_rc rc = open_x5c(text, &req, payload, &why);
	const enum vs_cat cat = vs_code_cat(rc.code);
	if (cat == VS_CAT_POLICY || cat == VS_CAT_PROTOCOL)
		VS_FAIL(err, REFUSED_ANSWER, "the release answer is not accepted: %s",
			why.frames[0].text);
	if (vs_failed(rc) && err != NULL)
		*err = why;
	return rc;
}
