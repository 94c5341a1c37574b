# SPDX-License-Identifier: BSD-2-Clause
# What decides (pure) and what talks (attempt.c) are two libraries, so that a test can put
# services made of data in the place of the second.
noinst_LTLIBRARIES += libvsgate.la
libvsgate_la_SOURCES = \
	%D%/gate.c %D%/gate.h \
	%D%/lease.c %D%/lease.h \
	%D%/keyring.c %D%/keyring.h \
	%D%/sentence.c %D%/sentence.h

check_PROGRAMS += tests/unit/test_gate
tests_unit_test_gate_SOURCES = tests/unit/test_gate.c
tests_unit_test_gate_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_gate_LDADD = libvsgate.la libvsproto.la libvsbase.la -lcmocka
TESTS += tests/unit/test_gate

noinst_LTLIBRARIES += libvsattempt.la
libvsattempt_la_SOURCES = \
	%D%/attempt.c %D%/attempt.h %D%/attempt_impl.h \
	%D%/attest_run.c %D%/collateral.c \
	%D%/local_evidence.c \
	%D%/service_evidence.c %D%/service_evidence.h

# Against the lab, with its TPM: run as `vouchsafe-lab run -- tests/lab/test_attempt`.
check_PROGRAMS += tests/lab/test_attempt
tests_lab_test_attempt_SOURCES = tests/lab/test_attempt.c tests/lab/attemptkit.c tests/lab/attemptkit.h
tests_lab_test_attempt_CPPFLAGS = $(TEST_CPPFLAGS)
tests_lab_test_attempt_LDADD = libvsattempt.la libvsattest.la libvskeys.la libvsevidence.la libvsconf.la \
	libvsnet.la libvsjose.la libvscrypto.la libvsproto.la libvsbase.la $(TSS_LIBS) $(JANSSON_LIBS) $(CURL_LIBS) \
	$(SSL_LIBS) $(CRYPTO_LIBS) -lcmocka
check_PROGRAMS += tests/lab/test_attempt_faults
tests_lab_test_attempt_faults_SOURCES = tests/lab/test_attempt_faults.c tests/lab/attemptkit.c tests/lab/attemptkit.h
tests_lab_test_attempt_faults_CPPFLAGS = $(TEST_CPPFLAGS)
tests_lab_test_attempt_faults_LDADD = $(tests_lab_test_attempt_LDADD)
check_PROGRAMS += tests/lab/test_attempt_evidence
tests_lab_test_attempt_evidence_SOURCES = tests/lab/test_attempt_evidence.c tests/lab/attemptkit.c tests/lab/attemptkit.h
tests_lab_test_attempt_evidence_CPPFLAGS = $(TEST_CPPFLAGS)
tests_lab_test_attempt_evidence_LDADD = $(tests_lab_test_attempt_LDADD)
check_PROGRAMS += tests/lab/test_lab_cred
tests_lab_test_lab_cred_SOURCES = tests/lab/test_lab_cred.c tests/lab/attemptkit.c tests/lab/attemptkit.h
tests_lab_test_lab_cred_CPPFLAGS = $(TEST_CPPFLAGS)
tests_lab_test_lab_cred_LDADD = $(tests_lab_test_attempt_LDADD)
TESTS += tests/lab/cred.sh
EXTRA_DIST += tests/lab/cred.sh
TESTS += tests/lab/attempt.sh tests/lab/attempt-faults.sh tests/lab/attempt-evidence.sh
EXTRA_DIST += tests/lab/attempt.sh tests/lab/attempt-faults.sh tests/lab/attempt-evidence.sh

check_PROGRAMS += tests/unit/test_service_evidence
tests_unit_test_service_evidence_SOURCES = tests/unit/test_service_evidence.c
tests_unit_test_service_evidence_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_service_evidence_LDADD = $(tests_lab_test_attempt_LDADD)
TESTS += tests/unit/test_service_evidence

check_PROGRAMS += tests/unit/test_collateral
tests_unit_test_collateral_SOURCES = tests/unit/test_collateral.c tests/unit/pkikit.c tests/unit/pkikit.h \
	tests/evidence/data.c tests/evidence/data.h
tests_unit_test_collateral_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_collateral_LDADD = $(tests_lab_test_attempt_LDADD)
TESTS += tests/unit/test_collateral

check_PROGRAMS += tests/unit/test_evidence_gens
tests_unit_test_evidence_gens_SOURCES = tests/unit/test_evidence_gens.c
tests_unit_test_evidence_gens_CPPFLAGS = $(TEST_CPPFLAGS) -I$(srcdir)/tools
tests_unit_test_evidence_gens_LDADD = libvslabmachine.la $(tests_lab_test_attempt_LDADD)
TESTS += tests/unit/test_evidence_gens

check_PROGRAMS += tests/unit/test_service_snp
tests_unit_test_service_snp_SOURCES = tests/unit/test_service_snp.c tests/unit/cosekit.c tests/unit/cosekit.h \
	tests/unit/pkikit.c tests/unit/pkikit.h
tests_unit_test_service_snp_CPPFLAGS = $(TEST_CPPFLAGS) -I$(srcdir)/tools
tests_unit_test_service_snp_LDADD = libvslabmachine.la $(tests_lab_test_attempt_LDADD)
TESTS += tests/unit/test_service_snp
