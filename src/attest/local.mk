# SPDX-License-Identifier: BSD-2-Clause
noinst_LTLIBRARIES += libvsattest.la
libvsattest_la_SOURCES = \
	%D%/validate.c %D%/validate.h %D%/validate_run.h \
	%D%/maa.c %D%/imds.c %D%/maa.h \
	%D%/check_form.c %D%/check_claims.c \
	%D%/trust.c %D%/trust.h

token_test_libs = libvsattest.la libvsconf.la libvsnet.la libvsjose.la libvscrypto.la libvsbase.la $(JANSSON_LIBS) $(CURL_LIBS) $(SSL_LIBS) $(CRYPTO_LIBS) -lcmocka

check_PROGRAMS += tests/unit/test_token_real
tests_unit_test_token_real_SOURCES = tests/unit/test_token_real.c tests/unit/tokenkit.c tests/unit/tokenkit.h
tests_unit_test_token_real_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_token_real_LDADD = $(token_test_libs)
TESTS += tests/unit/test_token_real

check_PROGRAMS += tests/unit/test_trust
tests_unit_test_trust_SOURCES = tests/unit/test_trust.c tests/unit/tokenkit.c tests/unit/tokenkit.h
tests_unit_test_trust_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_trust_LDADD = $(token_test_libs)
TESTS += tests/unit/test_trust

token_case_sources = tests/unit/token_cases.c tests/unit/token_cases.h tests/unit/cases_form.c \
	tests/unit/cases_signature.c tests/unit/cases_header.c tests/unit/cases_claims.c \
	tests/unit/cases_policy.c tests/unit/forge.c tests/unit/forge.h \
	tests/unit/tokenkit.c tests/unit/tokenkit.h

check_PROGRAMS += tests/unit/test_token_cases
tests_unit_test_token_cases_SOURCES = tests/unit/test_token_cases.c $(token_case_sources)
tests_unit_test_token_cases_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_token_cases_LDADD = $(token_test_libs)
TESTS += tests/unit/test_token_cases

# The same table, built so that a row can be taken out: each row must be missed by some case.
check_PROGRAMS += tests/unit/test_token_remove
tests_unit_test_token_remove_SOURCES = tests/unit/test_token_remove.c src/attest/validate.c $(token_case_sources)
tests_unit_test_token_remove_CPPFLAGS = $(TEST_CPPFLAGS) -DVS_TEST_REMOVE_CHECK
tests_unit_test_token_remove_LDADD = $(token_test_libs)
TESTS += tests/unit/test_token_remove

check_PROGRAMS += tests/unit/test_json tests/unit/test_jose tests/unit/test_policy tests/unit/test_x509
tests_unit_test_x509_SOURCES = tests/unit/test_x509.c tests/unit/forge.c tests/unit/forge.h
tests_unit_test_x509_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_x509_LDADD = $(token_test_libs)
tests_unit_test_policy_SOURCES = tests/unit/test_policy.c $(token_case_sources)
tests_unit_test_policy_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_policy_LDADD = $(token_test_libs)
tests_unit_test_json_SOURCES = tests/unit/test_json.c $(token_case_sources)
tests_unit_test_json_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_json_LDADD = $(token_test_libs)
tests_unit_test_jose_SOURCES = tests/unit/test_jose.c $(token_case_sources)
tests_unit_test_jose_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_jose_LDADD = $(token_test_libs)
TESTS += tests/unit/test_json tests/unit/test_jose tests/unit/test_policy tests/unit/test_x509

check_PROGRAMS += tests/unit/test_cmd_token tests/unit/test_cmd_policy
tests_unit_test_cmd_token_SOURCES = tests/unit/test_cmd_token.c tools/remedy.c tests/unit/clirun.c tests/unit/clirun.h \
	tools/cmd_token.c $(token_case_sources)
tests_unit_test_cmd_token_CPPFLAGS = $(TEST_CPPFLAGS) -I$(srcdir)
tests_unit_test_cmd_token_LDADD = $(token_test_libs)
tests_unit_test_cmd_policy_SOURCES = tests/unit/test_cmd_policy.c tools/remedy.c tests/unit/clirun.c tests/unit/clirun.h \
	tools/cmd_policy.c tools/cmd_policy_record.c tests/unit/tokenkit.c tests/unit/tokenkit.h
tests_unit_test_cmd_policy_CPPFLAGS = $(TEST_CPPFLAGS) -I$(srcdir)
tests_unit_test_cmd_policy_LDADD = $(token_test_libs)
TESTS += tests/unit/test_cmd_token tests/unit/test_cmd_policy

check_PROGRAMS += tests/unit/test_token_faults
tests_unit_test_token_faults_SOURCES = tests/unit/test_token_faults.c $(token_case_sources)
tests_unit_test_token_faults_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_token_faults_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc \
	-Wl,--wrap=reallocarray,--wrap=strdup,--wrap=strndup
tests_unit_test_token_faults_LDADD = $(token_test_libs)
TESTS += tests/unit/test_token_faults

# Recordings that may not be distributed: make check-recordings RECORDINGS=folder
.PHONY: check-recordings
check-recordings: tests/unit/test_token_real
	@test -d "$(RECORDINGS)" || { echo "set RECORDINGS to the folder of the recordings"; exit 1; }
	./tests/unit/test_token_real "$(RECORDINGS)"

EXTRA_DIST += \
	tests/data/maa/README.md \
	tests/data/maa/tokens/azurevm-linux-snp-sharedwus-2022-09-07.jwt \
	tests/data/maa/tokens/azurevm-windows-snp-sharedweu-2023-03-30.jwt \
	tests/data/maa/tokens/azurevm-windows-trustedlaunch-sharedeus2-2022-04-14.jwt \
	tests/data/maa/tokens/sevsnpvm-sharedweu.test-2025-04.jwt \
	tests/data/maa/tokens/sgx-draftpolicy-algnone-2022-11.jwt \
	tests/data/maa/tokens/sgx-runtimejson-sharedwus-2022-11.jwt \
	tests/data/maa/tokens/sgx-sharedeus-2023-09-26.jwt \
	tests/data/maa/tokens/sgx-sharedwus-2022-11.jwt \
	tests/data/maa/tokens/tpm-x5c-chain-2025.jwt \
	tests/data/maa/jwks/2020-get.certs.response.body.json \
	tests/data/maa/jwks/sharedeus-2023-09.json \
	tests/data/maa/jwks/sharedwus-2022-11.json

check_PROGRAMS += tests/unit/test_attest_maa
tests_unit_test_attest_maa_SOURCES = tests/unit/test_attest_maa.c tests/unit/webkit.c tests/unit/webkit.h \
	tests/unit/netkit.c tests/unit/netkit.h tests/unit/releasekit.c tests/unit/releasekit.h
tests_unit_test_attest_maa_CPPFLAGS = $(TEST_CPPFLAGS) $(SSL_CFLAGS)
tests_unit_test_attest_maa_LDADD = libvsattest.la libvsnet.la libvsjose.la libvscrypto.la libvsbase.la \
	$(JANSSON_LIBS) $(CURL_LIBS) $(SSL_LIBS) $(CRYPTO_LIBS) -lcmocka
TESTS += tests/unit/test_attest_maa
EXTRA_DIST += \
	tests/data/maa/evidence/azureguest-tpminfo-2025-06-01-spec.json
