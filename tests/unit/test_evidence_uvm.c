/* SPDX-License-Identifier: BSD-2-Clause */
/* Endorsements of utility VMs: a real one of 2023, and made ones that are wrong in one way each. */
#include "unit/cosekit.h"
#include "unit/unit.h"

#include "base/codec.h"
#include "evidence/cbor.h"
#include "evidence/data.h"
#include "evidence/snp.h"
#include "evidence/uvm.h"

#define EKU "1.3.6.1.4.1.311.76.59.1.2"
#define M16 "00112233445566778899aabbccddeeff"
#define PAYLOAD \
	"{\"x-ms-sevsnpvm-guestsvn\":\"22\"," \
	"\"x-ms-sevsnpvm-launchmeasurement\":\"" M16 M16 M16 "\"}"

static struct pki root, ca, leaf, no_eku, ca_leaf, stranger, strange_leaf;
static char did[160];
static const struct vs_uvm_expect made = {.issuer = did};

static int
set_up(void **state)
{
	(void)state;
	root = pki_make(&(struct pki_cert){.cn = "Root", .serial = 1, .ca = true, .rsa = true});
	ca = pki_make(&(struct pki_cert){
		.cn = "CA", .issuer = &root, .serial = 2, .ca = true, .rsa = true});
	leaf = pki_make(&(struct pki_cert){
		.cn = "Leaf", .issuer = &ca, .serial = 3, .rsa = true, .eku = EKU});
	no_eku = pki_make(&(struct pki_cert){.cn = "Leaf",
		.issuer = &ca,
		.serial = 4,
		.rsa = true,
		.eku = "1.3.6.1.4.1.311.76.59.1.1"});
	ca_leaf = pki_make(&(struct pki_cert){
		.cn = "Leaf", .issuer = &ca, .serial = 5, .rsa = true, .ca = true, .eku = EKU});
	stranger = pki_make(&(struct pki_cert){.cn = "Root", .serial = 1, .ca = true, .rsa = true});
	strange_leaf = pki_make(&(struct pki_cert){
		.cn = "Leaf", .issuer = &stranger, .serial = 3, .rsa = true, .eku = EKU});
	cose_did(&root, EKU, did);
	return 0;
}

static int
tear_down(void **state)
{
	struct pki *const all[] = {&root, &ca, &leaf, &no_eku, &ca_leaf, &stranger, &strange_leaf};
	(void)state;
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		pki_done(all[i]);
	return 0;
}

static struct cose
good(void)
{
	return (struct cose){
		.chain = {&leaf, &ca, &root}, .did = did, .feed = VS_UVM_FEED, .payload = PAYLOAD};
}

static void
a_real_endorsement_names_the_measurement_of_its_report(void **state)
{
	(void)state;
	struct vs_buf cose = data_load("amd/aci-uvm/body.uvm_reference_info.bin");
	struct vs_buf b = data_load("amd/aci-uvm/snp_report.bin");
	struct vs_uvm_expect x = {.min_svn = 22};
	struct vs_snp_report report;
	struct vs_uvm uvm;
	struct vs_err err = {0};
	assert_ok(vs_snp_parse(vs_buf_view(&b), &report, &err), &err);
	assert_ok(vs_uvm_verify(vs_buf_view(&cose), &x, &uvm, &err), &err);
	assert_true(vs_bytes_eq(report.measurement, vs_bytes_of(uvm.measurement, 48)));
	assert_int_equal(uvm.svn, 22);
	assert_int_equal(uvm.signed_unix, 1675834943);
	x.min_svn = 23;
	assert_code(vs_uvm_verify(vs_buf_view(&cose), &x, &uvm, &err), REFUSED_EVIDENCE);
	x = (struct vs_uvm_expect){.feed = "ConfAKS-AMD-UVM"};
	assert_code(vs_uvm_verify(vs_buf_view(&cose), &x, &uvm, &err), REFUSED_EVIDENCE);
	x = (struct vs_uvm_expect){.issuer = did};
	assert_code(vs_uvm_verify(vs_buf_view(&cose), &x, &uvm, &err), REFUSED_EVIDENCE);
	vs_buf_done(&b);
	vs_buf_done(&cose);
}

/* Where the unprotected header's time stamp lies: nobody signs it, and nothing looks at it. */
static void
find_stamp(struct vs_bytes cose, size_t *from, size_t *to)
{
	struct vs_reader r = vs_reader_of(cose);
	struct vs_bytes part;
	uint64_t n = 0;
	assert_true(vs_cbor_expect(&r, VS_CBOR_TAG, &n) && vs_cbor_expect(&r, VS_CBOR_ARRAY, &n) &&
		vs_cbor_string(&r, VS_CBOR_BYTES, &part) && vs_cbor_expect(&r, VS_CBOR_MAP, &n) &&
		vs_cbor_string(&r, VS_CBOR_TEXT, &part) &&
		vs_cbor_string(&r, VS_CBOR_BYTES, &part));
	*from = (size_t)(part.p - cose.p);
	*to = *from + part.n;
}

static void
any_changed_byte_of_a_real_endorsement_is_refused(void **state)
{
	(void)state;
	struct vs_buf cose = data_load("amd/aci-uvm/body.uvm_reference_info.bin");
	const struct vs_uvm_expect x = {.min_svn = 0};
	struct vs_uvm uvm;
	size_t from = 0, to = 0, accepted = 0;
	find_stamp(vs_buf_view(&cose), &from, &to);
	for (size_t at = 0; at < cose.n; at++) {
		static const int how[] = {-1, 0x00, 0xFF};
		const bool stamp = at >= from && at < to;
		const uint8_t was = cose.p[at];
		/* The rest of the stamp is as its beginning. */
		if (stamp && at > from + 16 && at + 16 < to)
			continue;
		for (size_t k = 0; k < 3; k++) {
			cose.p[at] = how[k] < 0 ? was ^ 1 : (uint8_t)how[k];
			if (cose.p[at] == was || (k != 0 && at % 11 != 0))
				continue;
			const bool ok =
				!vs_failed(vs_uvm_verify(vs_buf_view(&cose), &x, &uvm, NULL));
			accepted += ok;
			if (ok != stamp)
				fail_msg("byte %zu as %02x", at, cose.p[at]);
		}
		cose.p[at] = was;
	}
	assert_true(accepted != 0);
	vs_buf_done(&cose);
}

static void
cut_and_longer_endorsements_are_refused(void **state)
{
	(void)state;
	struct vs_buf cose = data_load("amd/aci-uvm/body.uvm_reference_info.bin");
	const struct vs_uvm_expect x = {.min_svn = 0};
	struct vs_uvm uvm;
	for (size_t n = 0; n < cose.n; n += n < 200 ? 1 : 37) {
		uint8_t *copy = malloc(n != 0 ? n : 1);
		memcpy(copy, cose.p, n);
		assert_code(vs_uvm_verify(vs_bytes_of(copy, n), &x, &uvm, NULL), FORMAT);
		free(copy);
	}
	VS_CLEANUP(vs_buf_done) struct vs_buf huge = {.max = VS_UVM_MAX + 1};
	uint8_t *p = NULL;
	assert_false(vs_failed(vs_buf_room(&huge, VS_UVM_MAX + 1, &p, NULL)));
	memset(p, 0xd2, VS_UVM_MAX + 1);
	assert_code(vs_uvm_verify(vs_bytes_of(p, VS_UVM_MAX + 1), &x, &uvm, NULL), FORMAT);
	vs_buf_done(&cose);
}

static void
made_ones_are_accepted_in_both_spellings(void **state)
{
	(void)state;
	struct cose variants[] = {good(), good(), good()};
	variants[1].numeric = true;
	variants[2].no_time = true;
	for (size_t i = 0; i < 3; i++) {
		VS_CLEANUP(vs_buf_done) struct vs_buf b = {0};
		struct vs_uvm uvm;
		struct vs_err err = {0};
		cose_make(&variants[i], &b);
		assert_ok(vs_uvm_verify(vs_buf_view(&b), &made, &uvm, &err), &err);
		assert_int_equal(uvm.svn, 22);
		assert_int_equal(uvm.measurement[1], 0x11);
		/* Made by anybody, they say nothing to those who trust Microsoft's issuer. */
		assert_code(vs_uvm_verify(vs_buf_view(&b), &(struct vs_uvm_expect){.min_svn = 0},
				    &uvm, &err),
			REFUSED_EVIDENCE);
	}
}

static void
each_thing_that_is_wrong_is_refused_for_its_own_reason(void **state)
{
	(void)state;
	char other_did[160], eku_did[160];
	cose_did(&stranger, EKU, other_did);
	cose_did(&root, "1.2.3", eku_did);
	const struct cose g = good();
	struct cose c[32];
	const char *says[32];
	size_t n = 0;
#define BAD(words, ...) \
	do { \
		c[n] = g; \
		__VA_ARGS__; \
		says[n++] = words; \
	} while (0)
	BAD("does not verify", c[n].sign_with = ca.key);
	BAD("does not verify", c[n].pkcs1 = true);
	BAD("another algorithm", c[n].alg = -37);
	BAD("another algorithm", c[n].alg = -35);
	BAD("is by", c[n].did = other_did);
	BAD("is by", c[n].did = eku_did);
	BAD("is by", c[n].did = VS_UVM_ISSUER);
	BAD("is about", c[n].feed = "ContainerPlat-AMD-UVM2");
	BAD("issuer's root", c[n].chain[0] = &strange_leaf; c[n].chain[1] = &stranger;
		c[n].chain[2] = NULL);
	BAD("does not lead", c[n].chain[0] = &strange_leaf);
	BAD("does not lead", c[n].chain[1] = &root; c[n].chain[2] = NULL);
	BAD("not what its issuer must be", c[n].chain[0] = &no_eku);
	BAD("not what its issuer must be", c[n].chain[0] = &ca_leaf);
	BAD("not what its issuer must be", c[n].chain[2] = &stranger; c[n].chain[3] = &root);
	BAD("not what its issuer must be", c[n].chain[1] = &root; c[n].chain[2] = &ca;
		c[n].chain[3] = &root);
	BAD("another certificate", c[n].bad_thumb = true);
	BAD("does not lead", c[n].signed_at = PKI_AT - 3L * 365 * 86400);
	BAD("does not lead", c[n].signed_at = PKI_AT + 3L * 365 * 86400);
	BAD("not of the known form", c[n].no_feed = true);
	BAD("not of the known form", c[n].twice_feed = true);
	BAD("not of the known form", c[n].crit = true);
	BAD("not of the known form", c[n].long_length = true);
	BAD("not JSON", c[n].other_content = true);
	BAD("no canonical", c[n].behind = true);
	BAD("no canonical", c[n].extra_unprotected = true);
	BAD("no measurement", c[n].payload = "{}");
	BAD("no measurement",
		c[n].payload = "{\"x-ms-sevsnpvm-guestsvn\":22,"
			       "\"x-ms-sevsnpvm-launchmeasurement\":\"" M16 M16 M16 "\"}");
	BAD("no measurement",
		c[n].payload = "{\"x-ms-sevsnpvm-guestsvn\":\"22\","
			       "\"x-ms-sevsnpvm-launchmeasurement\":\"" M16 M16 "\"}");
	BAD("no number",
		c[n].payload = "{\"x-ms-sevsnpvm-guestsvn\":\"-1\","
			       "\"x-ms-sevsnpvm-launchmeasurement\":\"" M16 M16 M16 "\"}");
	BAD("not usable JSON", c[n].payload = PAYLOAD "x");
	for (size_t i = 0; i < n; i++) {
		VS_CLEANUP(vs_buf_done) struct vs_buf b = {0};
		struct vs_uvm uvm;
		struct vs_err err = {0};
		char sentence[512];
		cose_make(&c[i], &b);
		assert_true(vs_failed(vs_uvm_verify(vs_buf_view(&b), &made, &uvm, &err)));
		vs_err_sentence(&err, sentence, sizeof sentence);
		if (strstr(sentence, says[i]) == NULL)
			fail_msg("case %zu: %s", i, sentence);
	}
	assert_true(n >= 28);
}

static void
an_issuer_that_is_no_did_is_an_error(void **state)
{
	(void)state;
	static const char *const dids[] = {"did:web:x", "did:x509:0:sha256:AAAA", "", "::eku:1.2"};
	for (size_t i = 0; i < 4; i++) {
		VS_CLEANUP(vs_buf_done) struct vs_buf b = {0};
		struct vs_uvm uvm;
		struct cose c = good();
		c.did = dids[i];
		cose_make(&c, &b);
		assert_code(vs_uvm_verify(vs_buf_view(&b),
				    &(struct vs_uvm_expect){.issuer = dids[i]}, &uvm, NULL),
			CONFIG_VALUE);
	}
}

static void
cbor_is_read_in_one_spelling(void **state)
{
	(void)state;
	static const struct {
		const char *hex;
		bool ok;
	} cases[] = {
		{"00", true},
		{"17", true},
		{"1818", true},
		{"1817", false},
		{"1900ff", false},
		{"190100", true},
		{"1a0000ffff", false},
		{"1a00010000", true},
		{"1b00000000ffffffff", false},
		{"1b0000000100000000", true},
		{"1c", false},
		{"1f", false},
		{"20", true},
		{"3818", true},
		{"40", true},
		{"4100", true},
		{"41", false},
		{"5f4100ff", false},
		{"60", true},
		{"6161", true},
		{"61ff", false},
		{"7fff", false},
		{"80", true},
		{"8100", true},
		{"81", false},
		{"9fff", false},
		{"a0", true},
		{"a10000", true},
		{"a100", false},
		{"bfff", false},
		{"c100", true},
		{"c1", false},
		{"f4", true},
		{"f5", true},
		{"f6", true},
		{"f7", false},
		{"f0", false},
		{"f97e00", false},
		{"fb0000000000000000", false},
		{"ff", false},
		{"8181818181818100", true},
		{"818181818181818100", false},
		{"9840", false},
		{"9841", false},
		{"", false},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		VS_CLEANUP(vs_buf_done) struct vs_buf b = {.max = 64};
		assert_false(vs_failed(vs_hex_decode(vs_bytes_str(cases[i].hex), &b, NULL)));
		uint8_t *copy = malloc(b.n != 0 ? b.n : 1);
		if (b.n != 0)
			memcpy(copy, b.p, b.n);
		struct vs_reader r = vs_reader_of(vs_bytes_of(copy, b.n));
		const bool ok = vs_cbor_skip(&r) && vs_reader_done(&r);
		free(copy);
		if (ok != cases[i].ok)
			fail_msg("%s", cases[i].hex);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_real_endorsement_names_the_measurement_of_its_report),
		cmocka_unit_test(any_changed_byte_of_a_real_endorsement_is_refused),
		cmocka_unit_test(cut_and_longer_endorsements_are_refused),
		cmocka_unit_test(made_ones_are_accepted_in_both_spellings),
		cmocka_unit_test(each_thing_that_is_wrong_is_refused_for_its_own_reason),
		cmocka_unit_test(an_issuer_that_is_no_did_is_an_error),
		cmocka_unit_test(cbor_is_read_in_one_spelling),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
