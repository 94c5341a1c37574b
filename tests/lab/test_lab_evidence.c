/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Evidence that was changed is refused by the lab's attestation service, and for the right
 * reason. VS_LAB_ALL=1 in the environment flips every byte instead of a sample.
 */
#include "unit/unit.h"

#include <openssl/evp.h>
#include <openssl/sha.h>

#include "lab/lab_fixture.h"

static struct fixture f;
static json_t *genuine, *second; /* evidence of two machines */

static int
start(void **state)
{
	(void)state;
	static const uint8_t nonce[32] = {1, 2, 3};
	fixture_start(&f, "evidence");
	fixture_start_beside(&f);
	genuine = fixture_collect(f.lab.machine, &(struct lab_guest_options){.nonce = nonce});
	second = fixture_collect(f.beside, &(struct lab_guest_options){.nonce = nonce});
	return 0;
}

static int
stop(void **state)
{
	(void)state;
	json_decref(genuine);
	json_decref(second);
	fixture_stop(&f);
	return 0;
}

/* A copy whose TpmInfo can be changed. */
static json_t *
copy(json_t **tpm)
{
	json_t *info = json_deep_copy(genuine);
	*tpm = json_object_get(info, "TpmInfo");
	return info;
}

static void
accepts_genuine_evidence(void **state)
{
	(void)state;
	struct lab_facts facts;
	struct lab_refusal why;
	assert_int_equal(fixture_verify(&f, genuine, &facts, &why), LAB_CHECK_NONE);
	assert_true(facts.tee && facts.compliant);
	assert_true(facts.log.secure_boot && facts.log.keys_validated && facts.log.db_validated &&
		facts.log.dbx_validated && facts.log.debuggers_disabled);
	assert_string_equal(facts.vm_id, "D3FD4B09-37A3-40D5-8F2A-EA80762213CC");
	assert_int_equal(facts.pcrs.mask, 0xff);
	assert_string_equal(facts.os_type, "Linux");
	assert_non_null(json_object_get(facts.payload, "nonce"));
	lab_facts_done(&facts);
	fixture_expect(&f, second, LAB_CHECK_NONE);
}

static void
accepts_either_alphabet_of_base64(void **state)
{
	(void)state;
	json_t *tpm = NULL, *info = copy(&tpm);
	char *text = strdup(json_string_value(json_object_get(tpm, "PcrQuote")));
	for (char *p = text; *p; p++)
		*p = *p == '+' ? '-' : *p == '/' ? '_' : *p == '=' ? '\0' : *p;
	json_object_set_new(tpm, "PcrQuote", json_string(text));
	free(text);
	fixture_expect(&f, info, LAB_CHECK_NONE);
	json_decref(info);
}

static void
accepts_a_trusted_launch_machine_but_says_nothing_about_a_tee(void **state)
{
	(void)state;
	struct lab_facts facts;
	struct lab_refusal why;
	json_t *info = fixture_collect(
		f.lab.machine, &(struct lab_guest_options){.trusted_launch = true, .pcrs = 0x43ff});
	assert_int_equal(fixture_verify(&f, info, &facts, &why), LAB_CHECK_NONE);
	assert_false(facts.tee);
	assert_null(facts.runtime);
	assert_int_equal(facts.pcrs.mask, 0x43ff);
	lab_facts_done(&facts);
	json_decref(info);
}

/* Every member of the request: missing, of another type, empty, not base64. */
static void
refuses_a_request_without_one_of_its_members(void **state)
{
	(void)state;
	static const char *const top[] = {"AttestationProtocolVersion", "OSType", "OSDistro",
		"OSBuild", "OSVersionMajor", "OSVersionMinor", "TcgLogs", "TpmInfo", NULL};
	static const char *const inner[] = {"AikCert", "AikPub", "PcrQuote", "PcrSignature",
		"PcrSet", "PCRs", "EncKeyPub", "EncKeyCertifyInfo", "EncKeyCertifyInfoSignature",
		NULL};
	for (size_t i = 0; top[i]; i++) {
		json_t *tpm = NULL, *info = copy(&tpm);
		json_object_del(info, top[i]);
		fixture_expect(&f, info, LAB_CHECK_REQUEST);
		json_object_set_new(info, top[i], json_true());
		fixture_expect(&f, info, LAB_CHECK_REQUEST);
		json_decref(info);
	}
	for (size_t i = 0; inner[i]; i++) {
		json_t *tpm = NULL, *info = copy(&tpm);
		json_object_del(tpm, inner[i]);
		fixture_expect(&f, info, LAB_CHECK_REQUEST);
		json_object_set_new(tpm, inner[i], json_string(""));
		fixture_expect(&f, info, LAB_CHECK_REQUEST);
		json_object_set_new(tpm, inner[i], json_string("no base64 here!"));
		fixture_expect(&f, info, LAB_CHECK_REQUEST);
		json_object_set_new(tpm, inner[i], json_array());
		fixture_expect(&f, info, LAB_CHECK_REQUEST);
		json_decref(info);
	}
	json_t *tpm = NULL, *info = copy(&tpm);
	json_object_del(info, "IsolationInfo");
	fixture_expect(&f, info, LAB_CHECK_TEE_TYPE);
	json_object_set_new(info, "IsolationInfo", json_pack("{s:s}", "Type", "Tdx"));
	fixture_expect(&f, info, LAB_CHECK_TEE_TYPE);
	json_object_set_new(info, "IsolationInfo", json_pack("{s:s}", "Type", "SevSnp"));
	fixture_expect(&f, info, LAB_CHECK_TEE_PROOF);
	json_decref(info);
}

static void
refuses_pcrs_that_were_not_quoted(void **state)
{
	(void)state;
	json_t *tpm = NULL, *info = copy(&tpm);
	json_t *set = json_object_get(tpm, "PcrSet"), *pcrs = json_object_get(tpm, "PCRs");
	json_array_append_new(set, json_integer(9));
	json_array_append_new(pcrs, json_deep_copy(json_array_get(pcrs, 0)));
	fixture_expect(&f, info, LAB_CHECK_REQUEST); /* its Index is 0 */
	json_object_set_new(json_array_get(pcrs, 8), "Index", json_integer(9));
	fixture_expect(&f, info, LAB_CHECK_QUOTE_SELECTION);
	json_array_remove(set, 8);
	json_array_remove(pcrs, 8);
	fixture_expect(&f, info, LAB_CHECK_NONE);
	json_array_remove(set, 7);
	json_array_remove(pcrs, 7);
	fixture_expect(&f, info, LAB_CHECK_REQUEST); /* PCR 7 left out */
	json_decref(info);

	info = copy(&tpm);
	pcrs = json_object_get(tpm, "PCRs");
	json_t *digest = json_incref(json_object_get(json_array_get(pcrs, 2), "Digest"));
	json_object_set_new(json_array_get(pcrs, 7), "Digest", digest);
	fixture_expect(&f, info, LAB_CHECK_QUOTE_DIGEST);
	json_decref(info);

	info = fixture_collect(f.lab.machine, &(struct lab_guest_options){.sha1_bank = true});
	fixture_expect(&f, info, LAB_CHECK_QUOTE_SELECTION);
	json_decref(info);
}

/* Certification and quote are both signed by the attestation key, but one is not the other. */
static void
refuses_a_certification_in_place_of_a_quote(void **state)
{
	(void)state;
	json_t *tpm = NULL, *info = copy(&tpm);
	json_object_set(tpm, "PcrQuote", json_object_get(tpm, "EncKeyCertifyInfo"));
	json_object_set(tpm, "PcrSignature", json_object_get(tpm, "EncKeyCertifyInfoSignature"));
	fixture_expect(&f, info, LAB_CHECK_QUOTE_FORM);
	json_decref(info);
	info = copy(&tpm);
	json_object_set(tpm, "EncKeyCertifyInfo", json_object_get(tpm, "PcrQuote"));
	json_object_set(tpm, "EncKeyCertifyInfoSignature", json_object_get(tpm, "PcrSignature"));
	fixture_expect(&f, info, LAB_CHECK_CERTIFY_FORM);
	json_decref(info);
}

static void
refuses_a_transport_key_that_is_not_bound_to_this_state(void **state)
{
	(void)state;
	json_t *info =
		fixture_collect(f.lab.machine, &(struct lab_guest_options){.weak_policy = true});
	fixture_expect(&f, info, LAB_CHECK_ENC_KEY_POLICY);
	json_decref(info);
	info = fixture_collect(f.lab.machine, &(struct lab_guest_options){.with_auth = true});
	fixture_expect(&f, info, LAB_CHECK_ENC_KEY_ATTRIBUTES);
	json_decref(info);
	/* A key of another collection, with its own certification: fine. Without: another key. */
	json_t *tpm = NULL, *other = fixture_collect(f.lab.machine, &(struct lab_guest_options){0});
	const json_t *other_tpm = json_object_get(other, "TpmInfo");
	info = copy(&tpm);
	json_object_set(tpm, "EncKeyPub", json_object_get(other_tpm, "EncKeyPub"));
	fixture_expect(&f, info, LAB_CHECK_CERTIFY_NAME);
	json_decref(info);
	json_decref(other);
}

/* Each element of two genuine sets of evidence put into the other (T-A3). */
static void
refuses_every_mixture_of_two_machines(void **state)
{
	(void)state;
	static const struct {
		const char *members[4];
		enum lab_check check;
	} cases[] = {
		{{"AikCert"}, LAB_CHECK_AIK_CERT_KEY},
		{{"AikPub"}, LAB_CHECK_AIK_CERT_KEY},
		{{"AikCert", "AikPub"}, LAB_CHECK_QUOTE_SIGNATURE},
		{{"PcrQuote"}, LAB_CHECK_QUOTE_SIGNATURE},
		{{"PcrSignature"}, LAB_CHECK_QUOTE_SIGNATURE},
		{{"PcrQuote", "PcrSignature"}, LAB_CHECK_QUOTE_SIGNATURE},
		{{"PCRs"}, LAB_CHECK_QUOTE_DIGEST},
		{{"EncKeyPub"}, LAB_CHECK_CERTIFY_NAME},
		{{"EncKeyCertifyInfo"}, LAB_CHECK_CERTIFY_SIGNATURE},
		{{"EncKeyCertifyInfo", "EncKeyCertifyInfoSignature"}, LAB_CHECK_CERTIFY_SIGNATURE},
		{{"EncKeyPub", "EncKeyCertifyInfo", "EncKeyCertifyInfoSignature"},
			LAB_CHECK_CERTIFY_SIGNATURE},
	};
	const json_t *theirs = json_object_get(second, "TpmInfo");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		json_t *tpm = NULL, *info = copy(&tpm);
		for (size_t k = 0; k < 4 && cases[i].members[k]; k++)
			json_object_set(tpm, cases[i].members[k],
				json_object_get(theirs, cases[i].members[k]));
		fixture_expect(&f, info, cases[i].check);
		json_decref(info);
	}
	json_t *tpm = NULL, *info = copy(&tpm);
	json_object_set(info, "TcgLogs", json_object_get(second, "TcgLogs"));
	fixture_expect(&f, info, LAB_CHECK_LOG_REPLAY);
	json_decref(info);
	info = copy(&tpm);
	json_object_set(info, "IsolationInfo", json_object_get(second, "IsolationInfo"));
	fixture_expect(&f, info, LAB_CHECK_HCL_AK);
	json_decref(info);
	info = copy(&tpm);
	json_t *evidence = json_object_get(json_object_get(info, "IsolationInfo"), "Evidence");
	const json_t *their = json_object_get(json_object_get(second, "IsolationInfo"), "Evidence");
	json_object_set(evidence, "RunTimeData", json_object_get(their, "RunTimeData"));
	fixture_expect(&f, info, LAB_CHECK_REPORT_DATA);
	json_decref(info);
	info = copy(&tpm);
	json_object_set(info, "TpmInfo", json_object_get(second, "TpmInfo"));
	fixture_expect(&f, info, LAB_CHECK_LOG_REPLAY);
	json_object_set(info, "TcgLogs", json_object_get(second, "TcgLogs"));
	fixture_expect(&f, info, LAB_CHECK_HCL_AK);
	json_decref(info);
}

/* Proof and its two parts. */
static json_t *
open_proof(const json_t *info)
{
	json_t *evidence = json_object_get(json_object_get(info, "IsolationInfo"), "Evidence");
	VS_CLEANUP(vs_buf_done) struct vs_buf text = fixture_get(evidence, "Proof");
	json_t *proof = json_loadb((const char *)text.p, text.n, 0, NULL);
	assert_non_null(proof);
	return proof;
}

static void
close_proof(json_t *info, json_t *proof)
{
	json_t *evidence = json_object_get(json_object_get(info, "IsolationInfo"), "Evidence");
	char *text = json_dumps(proof, JSON_COMPACT);
	fixture_set(evidence, "Proof", vs_bytes_str(text));
	free(text);
	json_decref(proof);
}

static void
refuses_the_report_of_one_machine_with_the_chip_of_another(void **state)
{
	(void)state;
	json_t *tpm = NULL, *info = copy(&tpm);
	json_t *mine = open_proof(info), *theirs = open_proof(second);
	json_object_set(mine, "VcekCertChain", json_object_get(theirs, "VcekCertChain"));
	json_decref(theirs);
	close_proof(info, mine);
	fixture_expect(&f, info, LAB_CHECK_REPORT_SIGNATURE);
	json_decref(info);
}

static void
refuses_a_chain_without_its_intermediate(void **state)
{
	(void)state;
	json_t *tpm = NULL, *info = copy(&tpm), *proof = open_proof(info);
	VS_CLEANUP(vs_buf_done) struct vs_buf chain = fixture_get(proof, "VcekCertChain");
	const char *ask = strstr(vs_buf_cstr(&chain) + 1, "-----BEGIN");
	const char *ark = strstr(ask + 1, "-----BEGIN");
	VS_CLEANUP(vs_buf_done) struct vs_buf cut = {0};
	const size_t leaf_n = (size_t)(ask - vs_buf_cstr(&chain));
	assert_false(vs_failed(vs_buf_add(&cut, chain.p, leaf_n, NULL)));
	assert_false(vs_failed(vs_buf_add_str(&cut, ark, NULL)));
	fixture_set(proof, "VcekCertChain", vs_buf_view(&cut));
	close_proof(info, proof);
	fixture_expect(&f, info, LAB_CHECK_VCEK_CHAIN);
	/* The root alone and an intermediate in place of the leaf do not do either. */
	proof = open_proof(info);
	fixture_set(proof, "VcekCertChain", vs_bytes_str(ask));
	close_proof(info, proof);
	fixture_expect(&f, info, LAB_CHECK_VCEK_CHAIN);
	json_decref(info);
}

/*
 * Flip one byte of a member; whatever it is, the evidence must be refused by one of the checks
 * from first to last (in their order).
 */
static void
flip(const char *member, enum lab_check first, enum lab_check last, size_t step, size_t until)
{
	json_t *tpm = NULL, *info = copy(&tpm);
	VS_CLEANUP(vs_buf_done) struct vs_buf b = fixture_get(tpm, member);
	if (getenv("VS_LAB_ALL"))
		step = 1;
	for (size_t i = 0; i < b.n && i < until; i += step) {
		struct lab_facts facts;
		struct lab_refusal why;
		b.p[i] ^= (uint8_t)(1u << (i % 8));
		fixture_set(tpm, member, vs_buf_view(&b));
		const enum lab_check check = fixture_verify(&f, info, &facts, &why);
		if (check < first || check > last)
			fail_msg("%s, byte %zu: %s (%s)", member, i, lab_check_name(check),
				why.text);
		b.p[i] ^= (uint8_t)(1u << (i % 8));
		lab_facts_done(&facts);
	}
	json_decref(info);
}

static void
refuses_every_flipped_byte_of_the_tpm_evidence(void **state)
{
	(void)state;
	flip("AikPub", LAB_CHECK_AIK_PUB, LAB_CHECK_QUOTE_SIGNER, 5, SIZE_MAX);
	flip("PcrQuote", LAB_CHECK_QUOTE_SIGNATURE, LAB_CHECK_QUOTE_SIGNATURE, 7, SIZE_MAX);
	flip("PcrSignature", LAB_CHECK_QUOTE_SIGNATURE, LAB_CHECK_QUOTE_SIGNATURE, 17, SIZE_MAX);
	flip("EncKeyPub", LAB_CHECK_ENC_KEY_PUB, LAB_CHECK_CERTIFY_NAME, 7, SIZE_MAX);
	flip("EncKeyCertifyInfo", LAB_CHECK_CERTIFY_SIGNATURE, LAB_CHECK_CERTIFY_SIGNATURE, 7,
		SIZE_MAX);
	flip("EncKeyCertifyInfoSignature", LAB_CHECK_CERTIFY_SIGNATURE, LAB_CHECK_CERTIFY_SIGNATURE,
		17, SIZE_MAX);
	flip("AikCert", LAB_CHECK_AIK_CERT_CHAIN, LAB_CHECK_AIK_CERT_KEY, 41, SIZE_MAX);
}

static void
refuses_tpm_evidence_cut_anywhere(void **state)
{
	(void)state;
	static const char *const members[] = {"AikCert", "AikPub", "PcrQuote", "PcrSignature",
		"EncKeyPub", "EncKeyCertifyInfo", "EncKeyCertifyInfoSignature"};
	for (size_t m = 0; m < sizeof members / sizeof *members; m++) {
		json_t *tpm = NULL, *info = copy(&tpm);
		VS_CLEANUP(vs_buf_done) struct vs_buf b = fixture_get(tpm, members[m]);
		/* A certificate's padding may be cut. */
		const size_t n = m == 0 ? 700 : b.n;
		for (size_t i = 1; i < n; i += getenv("VS_LAB_ALL") ? 1 : 37) {
			struct lab_facts facts;
			struct lab_refusal why;
			fixture_set(tpm, members[m], vs_bytes_of(b.p, i));
			assert_int_not_equal(
				fixture_verify(&f, info, &facts, &why), LAB_CHECK_NONE);
		}
		if (m > 0) {
			struct lab_facts facts;
			struct lab_refusal why;
			assert_false(vs_failed(vs_buf_add_u8(&b, 0, NULL)));
			fixture_set(tpm, members[m], vs_buf_view(&b));
			assert_int_not_equal(
				fixture_verify(&f, info, &facts, &why), LAB_CHECK_NONE);
		}
		json_decref(info);
	}
}

static void
refuses_every_flipped_byte_of_the_hardware_evidence(void **state)
{
	(void)state;
	json_t *tpm = NULL, *info = copy(&tpm);
	json_t *evidence = json_object_get(json_object_get(info, "IsolationInfo"), "Evidence");
	json_t *proof = open_proof(info);
	VS_CLEANUP(vs_buf_done) struct vs_buf report = fixture_get(proof, "SnpReport");
	VS_CLEANUP(vs_buf_done) struct vs_buf runtime = fixture_get(evidence, "RunTimeData");
	json_decref(proof);
	assert_int_equal(report.n, 1184);
	for (size_t i = 0; i < report.n; i += getenv("VS_LAB_ALL") ? 1 : 29) {
		struct lab_facts facts;
		struct lab_refusal why;
		report.p[i] ^= 0x10;
		proof = open_proof(info);
		fixture_set(proof, "SnpReport", vs_buf_view(&report));
		close_proof(info, proof);
		const enum lab_check check = fixture_verify(&f, info, &facts, &why);
		if (check != LAB_CHECK_REPORT_FORM && check != LAB_CHECK_REPORT_SIGNATURE)
			fail_msg("byte %zu: %s", i, lab_check_name(check));
		report.p[i] ^= 0x10;
	}
	proof = open_proof(info);
	fixture_set(proof, "SnpReport", vs_buf_view(&report));
	close_proof(info, proof);
	fixture_expect(&f, info, LAB_CHECK_NONE);
	for (size_t i = 0; i < runtime.n; i += getenv("VS_LAB_ALL") ? 1 : 31) {
		runtime.p[i] ^= 1;
		fixture_set(evidence, "RunTimeData", vs_buf_view(&runtime));
		fixture_expect(&f, info, LAB_CHECK_REPORT_DATA);
		runtime.p[i] ^= 1;
	}
	json_decref(info);
}

/* Bytes of the log that no PCR covers may change, but then nothing else may. */
static void
believes_nothing_new_from_a_changed_log(void **state)
{
	(void)state;
	struct lab_facts expected, facts;
	struct lab_refusal why;
	json_t *tpm = NULL, *info = copy(&tpm);
	VS_CLEANUP(vs_buf_done) struct vs_buf log = fixture_get(info, "TcgLogs");
	assert_int_equal(fixture_verify(&f, info, &expected, &why), LAB_CHECK_NONE);
	size_t refused = 0, tried = 0;
	for (size_t i = 0; i < log.n; i += getenv("VS_LAB_ALL") ? 1 : 53) {
		log.p[i] ^= (uint8_t)(1u << (i % 8));
		fixture_set(info, "TcgLogs", vs_buf_view(&log));
		const enum lab_check check = fixture_verify(&f, info, &facts, &why);
		if (check == LAB_CHECK_NONE) {
			assert_memory_equal(&facts.log.secure_boot, &expected.log.secure_boot, 1);
			assert_true(facts.log.keys_validated && facts.log.debuggers_disabled);
			assert_string_equal(facts.log.vm_id, expected.log.vm_id);
		} else
			assert_true(check == LAB_CHECK_LOG_FORM || check == LAB_CHECK_LOG_REPLAY ||
				check == LAB_CHECK_LOG_DATA || check == LAB_CHECK_VM_ID);
		refused += check != LAB_CHECK_NONE;
		tried++;
		lab_facts_done(&facts);
		log.p[i] ^= (uint8_t)(1u << (i % 8));
	}
	assert_true(refused > tried / 4);
	lab_facts_done(&expected);
	json_decref(info);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts_genuine_evidence),
		cmocka_unit_test(accepts_either_alphabet_of_base64),
		cmocka_unit_test(accepts_a_trusted_launch_machine_but_says_nothing_about_a_tee),
		cmocka_unit_test(refuses_a_request_without_one_of_its_members),
		cmocka_unit_test(refuses_pcrs_that_were_not_quoted),
		cmocka_unit_test(refuses_a_certification_in_place_of_a_quote),
		cmocka_unit_test(refuses_a_transport_key_that_is_not_bound_to_this_state),
		cmocka_unit_test(refuses_every_mixture_of_two_machines),
		cmocka_unit_test(refuses_the_report_of_one_machine_with_the_chip_of_another),
		cmocka_unit_test(refuses_a_chain_without_its_intermediate),
		cmocka_unit_test(refuses_every_flipped_byte_of_the_tpm_evidence),
		cmocka_unit_test(refuses_tpm_evidence_cut_anywhere),
		cmocka_unit_test(refuses_every_flipped_byte_of_the_hardware_evidence),
		cmocka_unit_test(believes_nothing_new_from_a_changed_log),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
