/* SPDX-License-Identifier: BSD-2-Clause */
/* Release answers that the real services gave: every check, every substitution, every byte. */
#include <time.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/codec.h"
#include "base/file.h"
#include "crypto/ossl.h"
#include "evidence/bytes.h"
#include "jose/jose.h"
#include "jose/json.h"
#include "jose/x509.h"
#include "keys/release.h"
#include "unit/netkit.h"
#include "unit/releasekit.h"
#include "unit/unit.h"

enum { DAY = 86400 };

static struct vs_arena *arena;
static struct vs_ossl *ossl;
static struct vs_json *recorded;

static int
group_up(void **state)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {0};
	struct vs_err err = {0};

	(void)state;
	rk_up();
	assert_ok(vs_arena_new(65536, 4 << 20, VS_LOCK_WARN, &arena, &err), &err);
	assert_ok(vs_ossl_new(&ossl, &err), &err);
	assert_ok(vs_file_read(VS_TEST_SRCDIR "/tests/data/keyvault/release-jws.json", 1 << 20,
			  VS_FILE_ANY, &text, &err),
		&err);
	assert_ok(vs_json_load(vs_buf_view(&text), 1 << 20, "recordings", &recorded, &err), &err);
	return 0;
}

static int
group_down(void **state)
{
	(void)state;
	vs_json_free(recorded);
	vs_ossl_unref(ossl);
	vs_arena_free(arena);
	rk_down();
	return 0;
}

/* ---- recordings ----------------------------------------------------------------------------- */

struct recording {
	struct vs_bytes jws;
	char vault[300], host[256], name[128], version[64];
	const char *enc;
	int64_t mid_unix;
	struct vs_certs *anchors; /* the root in its own x5c */
	struct vs_buf x, y;
	struct vs_cat_entry entry;
};

static void
recording_done(struct recording *r)
{
	vs_certs_free(r->anchors);
	vs_buf_done(&r->x);
	vs_buf_done(&r->y);
}

static const char *
text_of(const struct vs_json *v)
{
	const char *s = NULL;

	assert_true(vs_json_string(v, &s));
	return s;
}

static struct vs_certs *
root_of(struct vs_bytes jws, int64_t *ret_mid)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf bytes = {0};
	VS_CLEANUP(vs_json_freep) struct vs_json *header = NULL;
	VS_CLEANUP(vs_certs_freep) struct vs_certs *chain = NULL;
	struct vs_jws_parts parts = {0};
	struct vs_certs *roots = NULL;
	struct vs_err err = {0};

	assert_ok(vs_jws_split(jws, &parts, &err), &err);
	assert_ok(vs_b64url_decode(parts.header, &bytes, &err), &err);
	assert_ok(vs_json_load_object(vs_buf_view(&bytes), 1 << 18, "header", &header, &err), &err);
	assert_ok(vs_certs_from_x5c(vs_json_get(header, "x5c"), &chain, &err), &err);
	assert_int_equal(vs_certs_count(chain), 3);
	assert_ok(vs_certs_new(&roots, &err), &err);
	assert_ok(vs_certs_add(roots, vs_certs_at(chain, 2), &err), &err);
	const struct vs_cert *leaf = vs_certs_at(chain, 0);
	*ret_mid = (vs_cert_not_before(leaf) + vs_cert_not_after(leaf)) / 2;
	return roots;
}

static void
load_recording(size_t i, struct recording *r)
{
	const struct vs_json *v = vs_json_at(recorded, i);
	struct vs_err err = {0};

	memset(r, 0, sizeof *r);
	assert_true(vs_json_bytes(vs_json_get(v, "value"), &r->jws));
	r->enc = text_of(vs_json_path(v, "request.enc"));
	const char *kid = text_of(vs_json_path(v, "request.kid"));
	assert_true(sscanf(kid, "https://%255[^/]/keys/%127[^/]/%63s", r->host, r->name,
			    r->version) >= 2);
	(void)snprintf(r->vault, sizeof r->vault, "https://%s", r->host);
	r->anchors = root_of(r->jws, &r->mid_unix);
	assert_ok(vs_b64url_decode(vs_bytes_str(text_of(vs_json_get(v, "x"))), &r->x, &err), &err);
	assert_ok(vs_b64url_decode(vs_bytes_str(text_of(vs_json_get(v, "y"))), &r->y, &err), &err);
	r->entry = (struct vs_cat_entry){
		.name = vs_bytes_str(r->name),
		.version = vs_bytes_str(r->version),
		.type = VS_KEY_EC,
		.curve = strcmp(text_of(vs_json_get(v, "crv")), "P-256") == 0 ? VS_CURVE_P256
									      : VS_CURVE_P256K,
		.x = vs_buf_view(&r->x),
		.y = vs_buf_view(&r->y),
	};
}

static struct vs_release_want
want_recorded(const struct recording *r)
{
	return (struct vs_release_want){
		.entry = &r->entry,
		.vault = r->vault,
		.enc = r->enc,
		.anchors = r->anchors,
		.now_unix = r->mid_unix,
		.wrap_bytes = 256,
		.ossl = ossl,
	};
}

/* Opens, and says how far it came: the number of times that the TPM was asked. */
static vs_rc
open_with(const struct vs_release_want *want, struct vs_bytes jws, struct rk_tpm *tpm,
	struct vs_err *err)
{
	VS_CLEANUP(vs_secret_done) struct vs_secret key = {0};
	VS_CLEANUP(vs_release_facts_done) struct vs_release_facts facts = {0};
	const struct vs_evidence_src src = rk_tpm_src(tpm);

	return vs_release_open(want, jws, &src, arena, &key, &facts, err);
}

static void
all_recorded_answers_verify_while_their_certificate_is_valid(void **state)
{
	(void)state;
	assert_int_equal(vs_json_count(recorded), 5);
	for (size_t i = 0; i < 5; i++) {
		VS_CLEANUP(recording_done) struct recording r;
		VS_CLEANUP(vs_buf_done) struct vs_buf payload = {.max = 1 << 18};
		struct vs_err err = {0};
		load_recording(i, &r);
		assert_ok(vs_jws_open_x5c(r.jws, r.anchors, r.host, r.mid_unix, &payload, &err),
			&err);
		assert_true(payload.n > 1000);
		assert_code(vs_jws_open_x5c(r.jws, r.anchors, r.host, r.mid_unix + 200 * DAY,
				    &payload, NULL),
			REFUSED_ANSWER);
		assert_code(vs_jws_open_x5c(r.jws, r.anchors, r.host, r.mid_unix - 200 * DAY,
				    &payload, NULL),
			REFUSED_ANSWER);
		assert_code(vs_jws_open_x5c(r.jws, r.anchors, "contoso.example", r.mid_unix,
				    &payload, NULL),
			REFUSED_ANSWER);
		assert_code(
			vs_jws_open_x5c(r.jws, rk_anchors(), r.host, r.mid_unix, &payload, NULL),
			REFUSED_ANSWER);
	}
}

/* Nobody knows the wrapping keys of the recordings: the last step must fail, and only that one. */
static void
recorded_answers_pass_all_checks_up_to_the_wrapping(void **state)
{
	size_t versioned = 0;

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		VS_CLEANUP(recording_done) struct recording r;
		struct rk_tpm tpm = {0};
		load_recording(i, &r);
		struct vs_release_want want = want_recorded(&r);
		if (r.version[0] != '\0')
			versioned++;
		else
			r.entry.version = vs_bytes_str("25be256ab4534bb38fffaa1cb206cc40");
		assert_code(open_with(&want, r.jws, &tpm, NULL), REFUSED_ANSWER);
		/* An answer to a request without version is no answer to ours. */
		assert_int_equal(tpm.unwraps, r.version[0] != '\0' ? 1 : 0);
	}
	assert_int_equal(versioned, 3);
}

static void
expect_no_unwrap(const struct vs_release_want *want, struct vs_bytes jws)
{
	struct rk_tpm tpm = {0};

	assert_code(open_with(want, jws, &tpm, NULL), REFUSED_ANSWER);
	assert_int_equal(tpm.unwraps, 0);
}

static void
refuses_substitutions_in_recorded_answers(void **state)
{
	VS_CLEANUP(recording_done) struct recording r;
	VS_CLEANUP(recording_done) struct recording other;

	(void)state;
	load_recording(0, &r);
	load_recording(2, &other);
	const struct vs_cat_entry right = r.entry;
	struct vs_release_want want = want_recorded(&r);
	r.entry.version = vs_bytes_str("c3c28aadd7d54867beb596461e6640be");
	expect_no_unwrap(&want, r.jws);
	r.entry = right;
	r.entry.version = (struct vs_bytes){0};
	expect_no_unwrap(&want, r.jws);
	r.entry = right;
	r.entry.name = vs_bytes_str("ReleaseKey3");
	expect_no_unwrap(&want, r.jws);
	r.entry = right;
	r.entry.name = vs_bytes_str("ReleaseKey");
	expect_no_unwrap(&want, r.jws);
	r.entry = right;
	r.entry.type = VS_KEY_RSA;
	r.entry.n = right.x;
	r.entry.e = right.y;
	expect_no_unwrap(&want, r.jws);
	r.entry = right;
	r.entry.type = VS_KEY_AES;
	expect_no_unwrap(&want, r.jws);
	r.entry = right;
	r.entry.curve = VS_CURVE_P256K;
	expect_no_unwrap(&want, r.jws);
	r.entry = right;
	r.entry.x = right.y;
	expect_no_unwrap(&want, r.jws);
	r.entry = right;
	r.entry.y = (struct vs_bytes){0};
	expect_no_unwrap(&want, r.jws);
	r.entry = right;
	want.enc = "CKM_RSA_AES_KEY_WRAP";
	expect_no_unwrap(&want, r.jws);
	want = want_recorded(&r);
	want.vault = "https://gearamakv2.vault.azure.net";
	expect_no_unwrap(&want, r.jws);
	want = want_recorded(&r);
	want.vault = "https://gearamakv1.vault.azure.net:8443";
	expect_no_unwrap(&want, r.jws);
	want = want_recorded(&r);
	want.wrap_bytes = 384;
	expect_no_unwrap(&want, r.jws);
	/* The answer to another request, of another vault, at a good time for both. */
	want = want_recorded(&r);
	expect_no_unwrap(&want, other.jws);
}

/* One answer, whose bytes are changed, and the one sentence that all refusals must have. */
struct changed {
	struct recording r;
	struct vs_release_want want;
	struct vs_buf copy;
	size_t n; /* of it that are sent */
	char alike[1024];
};

/*
 * Taken for the vault's? Then the TPM is asked, which refuses what was wrapped for another one. Two
 * of the recordings are answers to requests without a version, which are no answers to ours: what
 * the vault signed is all that can be asked about them.
 */
static bool
accepts_recorded(void *arg)
{
	struct changed *c = arg;
	VS_CLEANUP(vs_buf_done) struct vs_buf payload = {.max = 1 << 18};
	struct rk_tpm tpm = {0};
	struct vs_err err = {0};
	char text[sizeof c->alike];
	const struct vs_bytes jws = vs_bytes_of(c->copy.p, c->n);
	assert_code(open_with(&c->want, jws, &tpm, &err), REFUSED_ANSWER);
	vs_err_sentence(&err, text, sizeof text);
	if (c->alike[0] == '\0')
		(void)snprintf(c->alike, sizeof c->alike, "%s", text);
	assert_string_equal(text, c->alike);
	if (c->r.version[0] != '\0')
		return tpm.unwraps != 0;
	assert_int_equal(tpm.unwraps, 0);
	const vs_rc rc =
		vs_jws_open_x5c(jws, c->r.anchors, c->r.host, c->r.mid_unix, &payload, NULL);
	if (vs_failed(rc))
		assert_code(rc, REFUSED_ANSWER);
	return !vs_failed(rc);
}

static void
every_changed_byte_of_a_recorded_answer_is_refused_alike(void **state)
{
	enum { SAMPLE = 150 };
	(void)state;
	bytes_open(NULL);
	for (size_t i = 0; i < 5; i++) {
		struct changed c = {.copy = {.max = 1 << 18}};
		struct vs_err err = {0};
		char part[32];
		load_recording(i, &c.r);
		c.want = want_recorded(&c.r);
		assert_ok(vs_buf_set(&c.copy, c.r.jws.p, c.r.jws.n, &err), &err);
		c.n = c.copy.n;
		(void)snprintf(part, sizeof part, "recording-%zu", i);
		bytes_part(part, c.copy.p, c.n, SAMPLE, accepts_recorded, &c);
		/* Another letter of base64 in its place, so that what is decoded is another text.
		 */
		for (size_t k = 0; k < (bytes_all() ? c.n : SAMPLE); k++) {
			const size_t at = bytes_all() ? k : bytes_random(c.n);
			const uint8_t was = c.copy.p[at];
			c.copy.p[at] = was == 'A' ? 'B' : 'A';
			if (accepts_recorded(&c))
				fail_msg("%s: byte %zu as another letter", part, at);
			c.copy.p[at] = was;
		}
		const size_t whole = c.n;
		for (size_t k = 0; k < (bytes_all() ? whole : SAMPLE); k++) {
			c.n = bytes_all() ? k : bytes_random(whole);
			if (accepts_recorded(&c))
				fail_msg("%s: cut at %zu", part, c.n);
		}
		vs_buf_done(&c.copy);
		recording_done(&c.r);
	}
	bytes_close(150000, 1000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_recorded_answers_verify_while_their_certificate_is_valid),
		cmocka_unit_test(recorded_answers_pass_all_checks_up_to_the_wrapping),
		cmocka_unit_test(refuses_substitutions_in_recorded_answers),
		cmocka_unit_test(every_changed_byte_of_a_recorded_answer_is_refused_alike),
	};

	return cmocka_run_group_tests(tests, group_up, group_down);
}
