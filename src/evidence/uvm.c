/* SPDX-License-Identifier: BSD-2-Clause */
#include "evidence/uvm.h"

#include <stdio.h>
#include <string.h>

#include "base/codec.h"
#include "evidence/cbor.h"
#include "evidence/ev_cert.h"
#include "evidence/ev_crypto.h"
#include "jose/json.h"

enum {
	TAG_SIGN1 = 18,
	TAG_EPOCH = 1,
	HEADERS_MAX = 16,
	CHAIN_MIN = 2,
	CHAIN_MAX = 4,
	JSON_MAX = 4096,
	/* labels */
	L_ALG = 1,
	L_CRIT = 2,
	L_CONTENT = 3,
	L_X5CHAIN = 33,
	L_X5T = 34,
	L_ISS = 391,
	L_FEED = 392,
	ALG_PS384 = -38,
	HASH_SHA256 = -16,
};

/* Views into the statement's bytes. */
struct statement {
	struct vs_bytes protected, payload, signature;
	int64_t alg, signed_unix;
	struct vs_bytes content, issuer, feed, thumb;
	size_t n_chain;
	struct vs_bytes chain[CHAIN_MAX];
	unsigned seen; /* which of the members below were there */
};

enum {
	SEEN_ALG = 1,
	SEEN_CONTENT = 2,
	SEEN_CHAIN = 4,
	SEEN_THUMB = 8,
	SEEN_ISSUER = 16,
	SEEN_FEED = 32,
	SEEN_TIME = 64,
};

/* ---- form ----------------------------------------------------------------------------------- */

static bool
read_chain(struct vs_reader *r, struct statement *s)
{
	uint64_t n = 0;
	if (!vs_cbor_expect(r, VS_CBOR_ARRAY, &n) || n < CHAIN_MIN || n > CHAIN_MAX)
		return false;
	for (; s->n_chain < n; s->n_chain++) {
		if (!vs_cbor_string(r, VS_CBOR_BYTES, &s->chain[s->n_chain]))
			return false;
	}
	return true;
}

static bool
read_thumb(struct vs_reader *r, struct statement *s)
{
	uint64_t n = 0;
	int64_t hash = 0;
	return vs_cbor_expect(r, VS_CBOR_ARRAY, &n) && n == 2 && vs_cbor_int(r, &hash) &&
		hash == HASH_SHA256 && vs_cbor_string(r, VS_CBOR_BYTES, &s->thumb) &&
		s->thumb.n == 32;
}

static bool
read_time(struct vs_reader *r, struct statement *s)
{
	uint64_t tag = 0;
	return vs_cbor_expect(r, VS_CBOR_TAG, &tag) && tag == TAG_EPOCH &&
		vs_cbor_int(r, &s->signed_unix) && s->signed_unix > 0;
}

/* Which member a label means; 0: one that nothing here asks about; -1: it must not be there. */
static int
member_of(int64_t number, struct vs_bytes text)
{
	if (text.n != 0) {
		if (vs_bytes_eq_str(text, "iss"))
			return SEEN_ISSUER;
		if (vs_bytes_eq_str(text, "feed"))
			return SEEN_FEED;
		return vs_bytes_eq_str(text, "signingtime") ? SEEN_TIME : 0;
	}
	switch (number) {
	case L_ALG: return SEEN_ALG;
	case L_CONTENT: return SEEN_CONTENT;
	case L_X5CHAIN: return SEEN_CHAIN;
	case L_X5T: return SEEN_THUMB;
	case L_ISS: return SEEN_ISSUER;
	case L_FEED: return SEEN_FEED;
	case L_CRIT: return -1; /* names members that must be understood */
	default: return 0;
	}
}

static bool
read_member(struct vs_reader *r, struct statement *s)
{
	struct vs_reader at = *r;
	struct vs_bytes text = {NULL, 0};
	int64_t number = 0;
	if (!vs_cbor_int(r, &number)) {
		*r = at;
		if (!vs_cbor_string(r, VS_CBOR_TEXT, &text) || text.n == 0)
			return false;
	}
	const int member = member_of(number, text);
	/* Twice the same, also under two names, would let two readers see two values. */
	if (member < 0 || (s->seen & (unsigned)member) != 0)
		return false;
	s->seen |= (unsigned)member;
	switch (member) {
	case SEEN_ALG: return vs_cbor_int(r, &s->alg);
	case SEEN_CONTENT: return vs_cbor_string(r, VS_CBOR_TEXT, &s->content);
	case SEEN_CHAIN: return read_chain(r, s);
	case SEEN_THUMB: return read_thumb(r, s);
	case SEEN_ISSUER: return vs_cbor_string(r, VS_CBOR_TEXT, &s->issuer);
	case SEEN_FEED: return vs_cbor_string(r, VS_CBOR_TEXT, &s->feed);
	case SEEN_TIME: return read_time(r, s);
	default: return vs_cbor_skip(r);
	}
}

static bool
read_protected(struct statement *s)
{
	const unsigned needed = SEEN_ALG | SEEN_CONTENT | SEEN_CHAIN | SEEN_ISSUER | SEEN_FEED;
	struct vs_reader r = vs_reader_of(s->protected);
	uint64_t n = 0;
	if (!vs_cbor_expect(&r, VS_CBOR_MAP, &n) || n > HEADERS_MAX)
		return false;
	for (uint64_t i = 0; i < n; i++) {
		if (!read_member(&r, s))
			return false;
	}
	return vs_reader_done(&r) && (s->seen & needed) == needed;
}

/* At most a time stamp: nobody signs this part. */
static bool
read_unprotected(struct vs_reader *r)
{
	struct vs_bytes name, value;
	uint64_t n = 0;
	if (!vs_cbor_expect(r, VS_CBOR_MAP, &n) || n > 1)
		return false;
	return n == 0 ||
		(vs_cbor_string(r, VS_CBOR_TEXT, &name) && vs_bytes_eq_str(name, "timestamp") &&
			vs_cbor_string(r, VS_CBOR_BYTES, &value));
}

static vs_rc
read_statement(struct vs_bytes cose, struct statement *ret, struct vs_err *err)
{
	struct vs_reader r = vs_reader_of(cose);
	struct statement s = {.alg = 0};
	uint64_t tag = 0, n = 0;
	if (cose.n > VS_UVM_MAX)
		VS_FAIL(err, FORMAT, "an endorsement of %zu bytes", cose.n);
	if (!vs_cbor_expect(&r, VS_CBOR_TAG, &tag) || tag != TAG_SIGN1 ||
		!vs_cbor_expect(&r, VS_CBOR_ARRAY, &n) || n != 4 ||
		!vs_cbor_string(&r, VS_CBOR_BYTES, &s.protected) || !read_unprotected(&r) ||
		!vs_cbor_string(&r, VS_CBOR_BYTES, &s.payload) ||
		!vs_cbor_string(&r, VS_CBOR_BYTES, &s.signature) || !vs_reader_done(&r))
		VS_FAIL(err, FORMAT, "an endorsement is no canonical COSE_Sign1");
	if (!read_protected(&s))
		VS_FAIL(err, FORMAT, "the header of an endorsement is not of the known form");
	*ret = s;
	return VS_OK;
}

/* ---- signer --------------------------------------------------------------------------------- */

/* "did:x509:0:sha256:<hash of the root>::eku:<oid>": hash as text, and the oid. */
static vs_rc
split_issuer(const char *did, struct vs_bytes *ret_hash, const char **ret_eku, struct vs_err *err)
{
	static const char head[] = "did:x509:0:sha256:", middle[] = "::eku:";
	const char *at = strstr(did, middle);
	if (strncmp(did, head, sizeof head - 1) != 0 || at == NULL)
		VS_FAIL(err, CONFIG_VALUE, "the endorsement's issuer is not of the known form");
	*ret_hash = vs_bytes_of(did + sizeof head - 1, (size_t)(at - did) - (sizeof head - 1));
	*ret_eku = at + sizeof middle - 1;
	return VS_OK;
}

static vs_rc
is_hash(struct vs_bytes der, struct vs_bytes text, bool *ret, struct vs_err *err)
{
	uint8_t digest[32];
	VS_CLEANUP(vs_buf_done) struct vs_buf seen = {.max = 64};
	VS_TRY(vs_ev_sha256(der, digest, err));
	VS_TRY(vs_b64url_encode(vs_bytes_of(digest, sizeof digest), &seen, err));
	*ret = vs_bytes_eq(vs_buf_view(&seen), text);
	return VS_OK;
}

/* The root is not in any list of ours: the issuer's name pins it by its hash. */
static vs_rc
check_chain(
	const struct statement *s, const char *did, struct vs_ev_certs *certs, struct vs_err *err)
{
	struct vs_ev_certs root = {.n = 1}; /* borrowed */
	struct vs_ev_path path = {.n = 0};
	struct vs_bytes hash;
	const char *eku = NULL;
	bool same = false;
	VS_TRY(split_issuer(did, &hash, &eku, err));
	VS_TRY(is_hash(s->chain[s->n_chain - 1], hash, &same, err));
	if (!same)
		VS_FAIL(err, REFUSED_EVIDENCE,
			"the endorsement's chain does not end at its issuer's root");
	for (size_t i = 0; i < s->n_chain; i++) {
		struct vs_ev_cert *cert = NULL;
		VS_TRY(vs_ev_cert_der(s->chain[i], &cert, err));
		VS_TRY(vs_ev_certs_add(certs, cert, err));
	}
	root.v[0] = certs->v[certs->n - 1];
	const int64_t at =
		(s->seen & SEEN_TIME) != 0 ? s->signed_unix : vs_ev_cert_not_before(certs->v[0]);
	VS_TRY(vs_ev_cert_chain(certs->v[0], certs, &root, at, &path, err));
	/* Each certificate is used, in the order in which they stand. */
	bool whole = path.n == certs->n;
	for (size_t i = 0; whole && i < path.n; i++)
		whole = vs_ev_cert_same(path.v[i], certs->v[i]);
	if (!whole || !vs_ev_cert_has_eku(certs->v[0], eku) || vs_ev_cert_is_ca(certs->v[0]))
		VS_FAIL(err, REFUSED_EVIDENCE,
			"the endorsement's signer is not what its issuer must be (%s)", eku);
	if (s->thumb.n == 0)
		return VS_OK;
	uint8_t digest[32];
	VS_TRY(vs_ev_sha256(s->chain[0], digest, err));
	if (!vs_bytes_eq(s->thumb, vs_bytes_of(digest, sizeof digest)))
		VS_FAIL(err, REFUSED_EVIDENCE,
			"the endorsement names another certificate than it brings");
	return VS_OK;
}

/* Sig_structure: ["Signature1", protected, h'', payload] */
static vs_rc
check_signature(const struct statement *s, const struct vs_ev_cert *signer, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {.max = VS_UVM_MAX + 64};
	VS_TRY(vs_buf_add(&text, "\x84\x6aSignature1", 12, err));
	const struct vs_bytes parts[] = {s->protected, {NULL, 0}, s->payload};
	for (size_t i = 0; i < 3; i++) {
		const size_t n = parts[i].n;
		if (n < 24) {
			VS_TRY(vs_buf_add_u8(&text, (uint8_t)(0x40 + n), err));
		} else if (n < 256) {
			VS_TRY(vs_buf_add_u8(&text, 0x58, err));
			VS_TRY(vs_buf_add_u8(&text, (uint8_t)n, err));
		} else {
			VS_REQUIRE(err, n <= UINT16_MAX);
			VS_TRY(vs_buf_add_u8(&text, 0x59, err));
			VS_TRY(vs_buf_add_be16(&text, (uint16_t)n, err));
		}
		if (n != 0)
			VS_TRY(vs_buf_add(&text, parts[i].p, n, err));
	}
	return vs_ev_pss384_verify(vs_ev_cert_key(signer), vs_buf_view(&text), s->signature, err);
}

/* ---- payload -------------------------------------------------------------------------------- */

static vs_rc
read_payload(struct vs_bytes payload, struct vs_uvm *ret, struct vs_err *err)
{
	VS_CLEANUP(vs_json_freep) struct vs_json *o = NULL;
	VS_CLEANUP(vs_buf_done) struct vs_buf measurement = {.max = 64};
	struct vs_bytes text = {NULL, 0}, svn = {NULL, 0};
	uint64_t n = 0;
	VS_TRY(vs_json_load_object(payload, JSON_MAX, "endorsement", &o, err));
	if (!vs_json_bytes(vs_json_get(o, "x-ms-sevsnpvm-launchmeasurement"), &text) ||
		!vs_json_bytes(vs_json_get(o, "x-ms-sevsnpvm-guestsvn"), &svn) ||
		text.n != 2 * VS_UVM_MEASUREMENT_BYTES ||
		vs_failed(vs_hex_decode(text, &measurement, NULL)) || svn.n == 0 || svn.n > 9)
		VS_FAIL(err, FORMAT, "an endorsement names no measurement or no version");
	for (size_t i = 0; i < svn.n; i++) {
		if (svn.p[i] < '0' || svn.p[i] > '9')
			VS_FAIL(err, FORMAT, "an endorsement's version is no number");
		n = n * 10 + (uint64_t)(svn.p[i] - '0');
	}
	memcpy(ret->measurement, measurement.p, sizeof ret->measurement);
	ret->svn = (uint32_t)n;
	return VS_OK;
}

vs_rc
vs_uvm_verify(
	struct vs_bytes cose, const struct vs_uvm_expect *x, struct vs_uvm *ret, struct vs_err *err)
{
	VS_CLEANUP(vs_ev_certs_done) struct vs_ev_certs certs = {.n = 0};
	const char *issuer = x->issuer != NULL ? x->issuer : VS_UVM_ISSUER;
	const char *feed = x->feed != NULL ? x->feed : VS_UVM_FEED;
	struct statement s = {.alg = 0};
	struct vs_uvm out = {.svn = 0};
	char seen[128];
	VS_TRY(read_statement(cose, &s, err));
	if (s.alg != ALG_PS384)
		VS_FAIL(err, REFUSED_EVIDENCE, "an endorsement is signed with another algorithm");
	if (!vs_bytes_eq_str(s.issuer, issuer))
		VS_FAIL(err, REFUSED_EVIDENCE, "an endorsement is by %s",
			vs_quote(s.issuer, seen, sizeof seen));
	if (!vs_bytes_eq_str(s.feed, feed))
		VS_FAIL(err, REFUSED_EVIDENCE, "an endorsement is about %s",
			vs_quote(s.feed, seen, sizeof seen));
	if (!vs_bytes_eq_str(s.content, "application/json"))
		VS_FAIL(err, REFUSED_EVIDENCE, "an endorsement is not JSON");
	VS_TRY(check_chain(&s, issuer, &certs, err));
	VS_TRY(check_signature(&s, certs.v[0], err));
	VS_TRY(read_payload(s.payload, &out, err));
	out.signed_unix = s.signed_unix;
	if (out.svn < x->min_svn)
		VS_FAIL(err, REFUSED_EVIDENCE, "the endorsed version is %u, at least %u is asked",
			out.svn, x->min_svn);
	*ret = out;
	return VS_OK;
}
