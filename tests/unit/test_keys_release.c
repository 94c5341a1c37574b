/* SPDX-License-Identifier: BSD-2-Clause */
/* A release answer is believed only after every check; every refusal of it is one and the same. */
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
static EVP_PKEY *p256;

static int
group_up(void **state)
{
	struct vs_err err = {0};

	(void)state;
	rk_up();
	p256 = rk_new_ec("P-256");
	assert_ok(vs_arena_new(65536, 4 << 20, VS_LOCK_WARN, &arena, &err), &err);
	assert_ok(vs_ossl_new(&ossl, &err), &err);
	return 0;
}

static int
group_down(void **state)
{
	(void)state;
	EVP_PKEY_free(p256);
	vs_ossl_unref(ossl);
	vs_arena_free(arena);
	rk_down();
	return 0;
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

/* ---- own answers ---------------------------------------------------------------------------- */

static struct vs_release_want
want_own(const struct vs_cat_entry *e, const char *enc)
{
	return (struct vs_release_want){
		.entry = e,
		.vault = RK_VAULT,
		.enc = enc,
		.anchors = rk_anchors(),
		.now_unix = time(NULL),
		.wrap_bytes = 256,
		.ossl = ossl,
	};
}

static void
check_same_key(EVP_PKEY *key, const struct vs_secret *got)
{
	const unsigned char *p = got->p;
	EVP_PKEY *back = d2i_AutoPrivateKey(NULL, &p, (long)got->n);
	char group[64];

	assert_non_null(back);
	assert_ptr_equal(p, got->p + got->n);
	assert_int_equal(EVP_PKEY_eq(key, back), 1);
	if (EVP_PKEY_is_a(back, "EC")) {
		/* Explicit parameters were normalised: the DER is short. */
		assert_int_equal(EVP_PKEY_get_group_name(back, group, sizeof group, NULL), 1);
		assert_true(got->n < 260);
	}
	EVP_PKEY_free(back);
}

static const struct {
	const char *enc, *hash;
} encs[] = {
	{"CKM_RSA_AES_KEY_WRAP", "SHA1"},
	{"RSA_AES_KEY_WRAP_256", "SHA256"},
	{"RSA_AES_KEY_WRAP_384", "SHA384"},
};

static void
open_own(EVP_PKEY *key, struct vs_bytes clear, size_t enc)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf ct = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf payload = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf jws = {0};
	VS_CLEANUP(vs_secret_done) struct vs_secret got = {0};
	VS_CLEANUP(vs_release_facts_done) struct vs_release_facts facts = {0};
	struct rk_tpm tpm = {0};
	const struct vs_evidence_src src = rk_tpm_src(&tpm);
	struct rk_payload p;
	struct vs_cat_entry e;
	struct vs_err err = {0};

	rk_wrap(encs[enc].hash, clear, &ct);
	rk_payload_new(&p, key, encs[enc].enc, &ct);
	rk_payload_text(&p, &payload);
	rk_sign(NULL, vs_buf_view(&payload), NULL, &jws);
	rk_entry(&e, key);
	const struct vs_release_want want = want_own(&e, encs[enc].enc);
	assert_ok(vs_release_open(&want, vs_buf_view(&jws), &src, arena, &got, &facts, &err), &err);
	assert_string_equal(facts.kid, RK_KID);
	assert_string_equal(facts.enc, encs[enc].enc);
	assert_true(facts.policy_immutable);
	assert_true(vs_bytes_eq_str(vs_buf_view(&facts.policy), RK_POLICY));
	if (key != NULL)
		check_same_key(key, &got);
	else
		assert_true(vs_bytes_eq(vs_secret_view(&got), clear));
}

static void
opens_every_kind_of_key_in_every_form(void **state)
{
	static const char *const groups[] = {"P-256", "secp256k1", "P-384", "P-521"};
	static const uint8_t octets[32] = {1, 2, 3};

	(void)state;
	for (size_t g = 0; g < 4; g++) {
		EVP_PKEY *k = rk_new_ec(groups[g]);
		for (int form = RK_WITH_PUBLIC; form <= RK_EXPLICIT; form++) {
			VS_CLEANUP(vs_buf_done) struct vs_buf der = {0};
			rk_pkcs8(k, (enum rk_form)form, &der);
			open_own(k, vs_buf_view(&der), (g + (size_t)form) % 3);
		}
		EVP_PKEY_free(k);
	}
	for (unsigned bits = 2048; bits <= 3072; bits += 1024) {
		VS_CLEANUP(vs_buf_done) struct vs_buf der = {0};
		EVP_PKEY *k = netkit_new_rsa(bits);
		rk_pkcs8(k, RK_WITH_PUBLIC, &der);
		for (size_t enc = 0; enc < 3; enc++)
			open_own(k, vs_buf_view(&der), enc);
		EVP_PKEY_free(k);
	}
	for (size_t n = 16; n <= 32; n += 8) {
		for (size_t enc = 0; enc < 3; enc++)
			open_own(NULL, vs_bytes_of(octets, n), enc);
	}
}

/* The forms that services were seen to send have these lengths (facts: key release). */
static void
the_forms_under_test_are_those_of_the_recordings(void **state)
{
	EVP_PKEY *k1 = rk_new_ec("secp256k1");
	VS_CLEANUP(vs_buf_done) struct vs_buf der = {0};

	(void)state;
	rk_pkcs8(p256, RK_WITHOUT_PUBLIC, &der);
	assert_int_equal(der.n, 67);
	rk_pkcs8(k1, RK_WITH_PUBLIC, &der);
	assert_int_equal(der.n, 135);
	rk_pkcs8(k1, RK_EXPLICIT, &der);
	assert_true(der.n >= 281 && der.n <= 288);
	EVP_PKEY_free(k1);
}

/* An answer with p256 whose payload, header or ciphertext a case changes. */
struct own {
	struct vs_buf ct, payload, jws;
	struct rk_payload p;
	struct vs_cat_entry e;
	struct vs_release_want want;
};

static void
own_done(struct own *o)
{
	vs_buf_done(&o->ct);
	vs_buf_done(&o->payload);
	vs_buf_done(&o->jws);
}

static void
own_wrapped(struct own *o, size_t enc)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf der = {0};

	memset(o, 0, sizeof *o);
	rk_pkcs8(p256, RK_WITH_PUBLIC, &der);
	rk_wrap(encs[enc].hash, vs_buf_view(&der), &o->ct);
	rk_payload_new(&o->p, p256, encs[enc].enc, &o->ct);
	rk_entry(&o->e, p256);
	o->want = want_own(&o->e, encs[enc].enc);
}

static void
own_new(struct own *o)
{
	own_wrapped(o, 1);
}

static void
own_expect(struct own *o, enum vs_code code, unsigned unwraps, char *sentence)
{
	struct rk_tpm tpm = {0};
	struct vs_err err = {0};

	rk_payload_text(&o->p, &o->payload);
	rk_sign(NULL, vs_buf_view(&o->payload), NULL, &o->jws);
	const vs_rc rc = open_with(&o->want, vs_buf_view(&o->jws), &tpm, &err);
	if (rc.code != code)
		fail_msg("expected %s, got %s: %s", vs_code_name(code), vs_code_name(rc.code),
			err.frames[0].text);
	assert_int_equal(tpm.unwraps, unwraps);
	if (sentence != NULL)
		vs_err_sentence(&err, sentence, 1024);
}

static void
refuses_signed_answers_that_say_something_else(void **state)
{
	VS_CLEANUP(own_done) struct own o;
	static const char *const kids[] = {
		"https://contoso.vault.azure.net/keys/tls-2026",
		"https://contoso.vault.azure.net/keys/tls-2026/",
		"https://contoso.vault.azure.net/keys/tls-2026/0123456789abcdef0123456789abcdee",
		"https://contoso.vault.azure.net/keys/tls-2026/0123456789abcdef0123456789abcdef/",
		"https://contoso.vault.azure.net/keys/tls-2027/0123456789abcdef0123456789abcdef",
		"https://contoso.vault.azure.net/secrets/tls-2026/0123456789abcdef0123456789abcdef",
		"https://evil.vault.azure.net/keys/tls-2026/0123456789abcdef0123456789abcdef",
		"https://contoso.vault.azure.net:444/keys/tls-2026/"
		"0123456789abcdef0123456789abcdef",
		"http://contoso.vault.azure.net/keys/tls-2026/0123456789abcdef0123456789abcdef",
		"https://contoso.vault.azure.net@evil.net/keys/tls-2026/"
		"0123456789abcdef0123456789abcdef",
		"tls-2026",
		"",
	};

	(void)state;
	own_new(&o);
	own_expect(&o, VS_E_OK, 1, NULL);
	for (size_t i = 0; i < sizeof kids / sizeof kids[0]; i++) {
		o.p.request_kid = kids[i];
		own_expect(&o, VS_E_REFUSED_ANSWER, 0, NULL);
		o.p.request_kid = RK_KID;
		o.p.kid = kids[i];
		own_expect(&o, VS_E_REFUSED_ANSWER, 0, NULL);
		o.p.kid = RK_KID;
	}
	const struct rk_payload good = o.p;
#define CHANGED(member_, value_) \
	do { \
		o.p = good; \
		o.p.member_ = (value_); \
		own_expect(&o, VS_E_REFUSED_ANSWER, 0, NULL); \
	} while (0)
	CHANGED(enc, "CKM_RSA_AES_KEY_WRAP");
	CHANGED(enc, "rsa_aes_key_wrap_256");
	CHANGED(inner_enc, "RSA_AES_KEY_WRAP_384");
	CHANGED(schema, "2.0");
	CHANGED(alg, "RSA-OAEP");
	CHANGED(kty, "RSA-HSM");
	CHANGED(kty, "oct-HSM");
	CHANGED(kty, "ec");
	CHANGED(pub, "");
	CHANGED(pub, ",\"crv\":\"P-256\",\"x\":\"AAAA\",\"y\":\"AAAA\"");
	CHANGED(attributes, "{\"enabled\":true,\"exportable\":false}");
	CHANGED(attributes, "{\"enabled\":true}");
	CHANGED(attributes, "{\"enabled\":false,\"exportable\":true}");
	CHANGED(attributes, "{\"exportable\":true}");
	CHANGED(attributes, "{\"enabled\":\"true\",\"exportable\":\"true\"}");
	CHANGED(attributes, "{\"enabled\":true,\"exportable\":true,\"exportable\":true}");
	CHANGED(attributes, "[]");
	CHANGED(policy, "null");
	CHANGED(policy, "{\"data\":7}");
	CHANGED(policy, "{\"data\":\"***\"}");
#undef CHANGED
}

static void
refuses_signers_that_are_not_the_vault(void **state)
{
	VS_CLEANUP(own_done) struct own o;
	VS_CLEANUP(vs_buf_done) struct vs_buf header = {0};
	EVP_PKEY *other = netkit_new_rsa(2048);
	X509 *own_leaf = netkit_new_cert(
		other, "vault", "DNS:*.vault.azure.net", false, NULL, NULL, -DAY, DAY);
	struct rk_tpm tpm = {0};

	(void)state;
	own_new(&o);
	rk_payload_text(&o.p, &o.payload);
	const struct vs_bytes payload = vs_buf_view(&o.payload);
	/* Another key under the right chain. */
	rk_sign(NULL, payload, other, &o.jws);
	assert_code(open_with(&o.want, vs_buf_view(&o.jws), &tpm, NULL), REFUSED_ANSWER);
	/* A chain of its own. */
	rk_header(own_leaf, own_leaf, "RS256", &header);
	rk_sign(vs_buf_cstr(&header), payload, other, &o.jws);
	assert_code(open_with(&o.want, vs_buf_view(&o.jws), &tpm, NULL), REFUSED_ANSWER);
	/* Its own leaf in front of the vault's certificates. */
	vs_buf_reset(&header);
	rk_header(own_leaf, rk_ca(), "RS256", &header);
	rk_sign(vs_buf_cstr(&header), payload, other, &o.jws);
	assert_code(open_with(&o.want, vs_buf_view(&o.jws), &tpm, NULL), REFUSED_ANSWER);
	/* Another algorithm, none, no chain. */
	static const char *const algs[] = {"none", "HS256", "PS256", "RS512", "rs256", ""};
	for (size_t i = 0; i < sizeof algs / sizeof algs[0]; i++) {
		vs_buf_reset(&header);
		rk_header(rk_leaf(), rk_ca(), algs[i], &header);
		rk_sign(vs_buf_cstr(&header), payload, NULL, &o.jws);
		assert_code(open_with(&o.want, vs_buf_view(&o.jws), &tpm, NULL), REFUSED_ANSWER);
	}
	rk_sign("{\"alg\":\"RS256\"}", payload, NULL, &o.jws);
	assert_code(open_with(&o.want, vs_buf_view(&o.jws), &tpm, NULL), REFUSED_ANSWER);
	/* The right answer, but other roots, another time, another vault. */
	rk_sign(NULL, payload, NULL, &o.jws);
	o.want.anchors = rk_other_anchors();
	assert_code(open_with(&o.want, vs_buf_view(&o.jws), &tpm, NULL), REFUSED_ANSWER);
	o.want.anchors = rk_anchors();
	o.want.now_unix += 3 * DAY;
	assert_code(open_with(&o.want, vs_buf_view(&o.jws), &tpm, NULL), REFUSED_ANSWER);
	o.want.now_unix -= 6 * DAY;
	assert_code(open_with(&o.want, vs_buf_view(&o.jws), &tpm, NULL), REFUSED_ANSWER);
	o.want.now_unix += 3 * DAY;
	o.want.vault = "https://contoso.vault.azure.cn";
	assert_code(open_with(&o.want, vs_buf_view(&o.jws), &tpm, NULL), REFUSED_ANSWER);
	assert_int_equal(tpm.unwraps, 0);
	o.want.vault = RK_VAULT;
	assert_code(open_with(&o.want, vs_buf_view(&o.jws), &tpm, NULL), OK);
	X509_free(own_leaf);
	EVP_PKEY_free(other);
}

/* What all refusals of answers about one key say, whatever is wrong with the answer. */
static char alike[1024];

static bool
says_the_same(const struct vs_err *err)
{
	char text[sizeof alike];

	vs_err_sentence(err, text, sizeof text);
	if (alike[0] == '\0')
		(void)snprintf(alike, sizeof alike, "%s", text);
	return strcmp(text, alike) == 0;
}

/* Signed again, so it is the wrapping alone that is wrong. */
static bool
accepts_wrapped(void *arg)
{
	struct own *o = arg;
	struct rk_tpm tpm = {0};
	struct vs_err err = {0};

	rk_payload_text(&o->p, &o->payload);
	rk_sign(NULL, vs_buf_view(&o->payload), NULL, &o->jws);
	const vs_rc rc = open_with(&o->want, vs_buf_view(&o->jws), &tpm, &err);
	/* A length that is not possible never reaches the TPM. */
	assert_int_equal(tpm.unwraps, o->ct.n >= 256 + 16 && o->ct.n % 8 == 0 ? 1 : 0);
	if (!vs_failed(rc))
		return true;
	assert_code(rc, REFUSED_ANSWER);
	assert_true(says_the_same(&err));
	return false;
}

static bool
accepts_signed(void *arg)
{
	struct own *o = arg;
	struct rk_tpm tpm = {0};
	struct vs_err err = {0};
	const vs_rc rc = open_with(&o->want, vs_buf_view(&o->jws), &tpm, &err);

	if (!vs_failed(rc))
		return true;
	assert_code(rc, REFUSED_ANSWER);
	assert_int_equal(tpm.unwraps, 0);
	assert_true(says_the_same(&err));
	return false;
}

/* RSA block, AES part and signature fail alike (T-K3), in every wrapping. */
static void
every_changed_byte_of_answer_and_wrapped_key_is_refused_alike(void **state)
{
	enum { SAMPLE = 24, LONGER = 8 };

	(void)state;
	bytes_open(NULL);
	for (size_t enc = 0; enc < sizeof encs / sizeof encs[0]; enc++) {
		VS_CLEANUP(own_done) struct own o;
		struct vs_err err = {0};
		char part[64];
		own_wrapped(&o, enc);
		(void)snprintf(part, sizeof part, "wrapped/%s", encs[enc].enc);
		bytes_part(part, o.ct.p, o.ct.n, SAMPLE, accepts_wrapped, &o);
		const size_t n = o.ct.n;
		for (size_t k = 0; k < (bytes_all() ? n : SAMPLE); k++) {
			o.ct.n = bytes_all() ? k : bytes_random(n);
			if (accepts_wrapped(&o))
				fail_msg("%s: cut at %zu", part, o.ct.n);
		}
		o.ct.n = n;
		assert_true(accepts_wrapped(&o));
		(void)snprintf(part, sizeof part, "jws/%s", encs[enc].enc);
		bytes_part(part, o.jws.p, o.jws.n, SAMPLE * 4, accepts_signed, &o);
		const size_t whole = o.jws.n;
		for (size_t k = 0; k < (bytes_all() ? whole : SAMPLE * 4); k++) {
			o.jws.n = bytes_all() ? k : bytes_random(whole);
			if (accepts_signed(&o))
				fail_msg("%s: cut at %zu", part, o.jws.n);
		}
		o.jws.n = whole;
		for (size_t k = 0; k < LONGER; k++) {
			assert_ok(vs_buf_add_u8(&o.ct, 0, &err), &err);
			assert_false(accepts_wrapped(&o));
		}
	}
	bytes_close(20000, 500);
}

static void
refuses_a_wrapping_with_another_hash(void **state)
{
	VS_CLEANUP(own_done) struct own o;
	VS_CLEANUP(vs_buf_done) struct vs_buf der = {0};

	(void)state;
	own_new(&o);
	rk_pkcs8(p256, RK_WITH_PUBLIC, &der);
	rk_wrap("SHA1", vs_buf_view(&der), &o.ct);
	own_expect(&o, VS_E_REFUSED_ANSWER, 1, NULL);
	rk_wrap("SHA384", vs_buf_view(&der), &o.ct);
	own_expect(&o, VS_E_REFUSED_ANSWER, 1, NULL);
	rk_wrap("SHA256", vs_buf_view(&der), &o.ct);
	own_expect(&o, VS_E_OK, 1, NULL);
}

static void
refuses_keys_that_are_not_the_one_shown(void **state)
{
	VS_CLEANUP(own_done) struct own o;
	VS_CLEANUP(vs_buf_done) struct vs_buf der = {0};
	static const uint8_t octets[40] = {9};
	EVP_PKEY *other = rk_new_ec("P-256");
	EVP_PKEY *other_curve = rk_new_ec("secp256k1");
	EVP_PKEY *rsa = netkit_new_rsa(2048);
	EVP_PKEY *others[] = {other, other_curve, rsa};

	(void)state;
	own_new(&o);
	for (size_t i = 0; i < 3; i++) {
		rk_pkcs8(others[i], RK_WITH_PUBLIC, &der);
		rk_wrap("SHA256", vs_buf_view(&der), &o.ct);
		own_expect(&o, VS_E_REFUSED_KEY, 1, NULL);
	}
	/* A public part inside that hides another private part. */
	rk_pkcs8(p256, RK_WITH_PUBLIC, &der);
	der.p[40] ^= 1;
	rk_wrap("SHA256", vs_buf_view(&der), &o.ct);
	own_expect(&o, VS_E_REFUSED_KEY, 1, NULL);
	rk_wrap("SHA256", vs_bytes_of(octets, 32), &o.ct);
	own_expect(&o, VS_E_REFUSED_KEY, 1, NULL);
	/* Secret keys of lengths that AES does not have. */
	rk_payload_new(&o.p, NULL, "RSA_AES_KEY_WRAP_256", &o.ct);
	rk_entry(&o.e, NULL);
	static const size_t lengths[] = {1, 15, 17, 31, 33, 40};
	for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
		rk_wrap("SHA256", vs_bytes_of(octets, lengths[i]), &o.ct);
		own_expect(&o, VS_E_REFUSED_KEY, 1, NULL);
	}
	rk_wrap("SHA256", vs_bytes_of(octets, 32), &o.ct);
	o.e.bits = 128;
	own_expect(&o, VS_E_REFUSED_KEY, 1, NULL);
	o.e.bits = 256;
	own_expect(&o, VS_E_OK, 1, NULL);
	EVP_PKEY_free(other);
	EVP_PKEY_free(other_curve);
	EVP_PKEY_free(rsa);
}

static void
tells_what_the_tpm_says_of_itself(void **state)
{
	VS_CLEANUP(own_done) struct own o;
	struct rk_tpm tpm = {.fail = VS_E_REFUSED_BINDING};

	(void)state;
	own_new(&o);
	own_expect(&o, VS_E_OK, 1, NULL);
	assert_code(open_with(&o.want, vs_buf_view(&o.jws), &tpm, NULL), REFUSED_BINDING);
	tpm.fail = VS_E_TPM;
	assert_code(open_with(&o.want, vs_buf_view(&o.jws), &tpm, NULL), TPM);
	tpm.fail = VS_E_DATA;
	assert_code(open_with(&o.want, vs_buf_view(&o.jws), &tpm, NULL), REFUSED_ANSWER);
	tpm = (struct rk_tpm){.give = 31};
	assert_code(open_with(&o.want, vs_buf_view(&o.jws), &tpm, NULL), REFUSED_ANSWER);
	tpm.give = 33;
	assert_code(open_with(&o.want, vs_buf_view(&o.jws), &tpm, NULL), REFUSED_ANSWER);
	tpm.give = 32;
	assert_code(open_with(&o.want, vs_buf_view(&o.jws), &tpm, NULL), REFUSED_ANSWER);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opens_every_kind_of_key_in_every_form),
		cmocka_unit_test(the_forms_under_test_are_those_of_the_recordings),
		cmocka_unit_test(refuses_signed_answers_that_say_something_else),
		cmocka_unit_test(refuses_signers_that_are_not_the_vault),
		cmocka_unit_test(every_changed_byte_of_answer_and_wrapped_key_is_refused_alike),
		cmocka_unit_test(refuses_a_wrapping_with_another_hash),
		cmocka_unit_test(refuses_keys_that_are_not_the_one_shown),
		cmocka_unit_test(tells_what_the_tpm_says_of_itself),
	};

	return cmocka_run_group_tests(tests, group_up, group_down);
}
