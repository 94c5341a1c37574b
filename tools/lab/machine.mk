# SPDX-License-Identifier: BSD-2-Clause
# The emulated machine and the attestation service, as a convenience library of vouchsafe-lab.
noinst_LTLIBRARIES += libvslabmachine.la
libvslabmachine_la_SOURCES = \
	%D%/lab_rsa.c %D%/lab_rsa.h \
	%D%/lab_roots.c %D%/lab_roots.h \
	%D%/lab_log.c %D%/lab_log.h \
	%D%/lab_report.c %D%/lab_report.h \
	%D%/lab_tpm.c %D%/lab_tpm.h %D%/lab_tpm_setup.c \
	%D%/lab_proxy.c %D%/lab_proxy.h \
	%D%/lab_vm.c %D%/lab_vm.h \
	%D%/lab_rm.c %D%/lab_rm.h \
	%D%/lab_machine.c %D%/lab_machine.h %D%/lab_machine_priv.h \
	%D%/lab_machine_tamper.c \
	%D%/lab_evidence.c %D%/lab_evidence.h \
	%D%/lab_evidence_priv.h %D%/lab_attreq.c %D%/lab_attreq.h %D%/lab_attreq_json.c \
	%D%/lab_evidence_tpm.c %D%/lab_evidence_log.c %D%/lab_evidence_snp.c \
	%D%/lab_anchors.c \
	%D%/lab_guest.c %D%/lab_guest.h \
	%D%/lab_policy.c %D%/lab_policy.h %D%/lab_policy_run.c %D%/lab_policy_fn.c %D%/lab_policy_ast.h \
	%D%/lab_jmes.c %D%/lab_jmes.h %D%/lab_jmes_lex.c %D%/lab_jmes_run.c %D%/lab_jmes_ast.h \
	%D%/lab_claims.c %D%/lab_claims.h \
	%D%/lab_maa.c %D%/lab_maa.h %D%/lab_maa_priv.h \
	%D%/lab_maa_key.c %D%/lab_maa_key.h %D%/lab_maa_policy.c %D%/lab_maa_snp.c \
	%D%/lab_maa_token.c %D%/lab_maa_tpm.c %D%/lab_maa_data.c %D%/lab_maa_quote.c %D%/lab_maa_preview.c %D%/lab_maa_jws.c %D%/lab_maa_certs.c \
	%D%/lab_dcap.c %D%/lab_dcap.h
libvslabmachine_la_CPPFLAGS = $(LAB_CPPFLAGS) $(TSS_CFLAGS)
LABMACHINE_LIBS = libvslabmachine.la libvsbase.la $(TSS_LIBS) $(SSL_LIBS) $(CRYPTO_LIBS) $(JANSSON_LIBS)

check_LTLIBRARIES += libvslabfixture.la
libvslabfixture_la_SOURCES = tests/lab/lab_fixture.c tests/lab/lab_fixture.h
libvslabfixture_la_CPPFLAGS = $(TEST_CPPFLAGS) -I$(srcdir)/tools $(JANSSON_CFLAGS) $(TSS_CFLAGS) $(CRYPTO_CFLAGS)
LABTEST_CPPFLAGS = $(libvslabfixture_la_CPPFLAGS)
# The two libraries need each other: libvslab's lies are pulled before its archive is left behind.
LABTEST_LDFLAGS = $(AM_LDFLAGS) -Wl,-u,lab_lie_take
LABTEST_LDADD = libvslabfixture.la $(LABMACHINE_LIBS) -lcmocka

EXTRA_DIST += tests/data/lab tests/lab/tamper.sh
TESTS += tests/lab/tamper.sh

# Clients of their own, which share no code with agent or lab. All bytes of the evidence take minutes.
TESTS += tests/lab/attest-tpm.sh tests/lab/evidence.sh
EXTRA_DIST += tests/lab/README.md tests/lab/tpmkit.py tests/lab/attest-tpm.sh tests/lab/attest_tpm.py tests/lab/evidence.sh \
	tests/lab/mutate_evidence.py
check-full: check-full-evidence
check-full-evidence: all
	EVIDENCE=0/1 VS_SRCDIR='$(abs_srcdir)' VS_BUILDDIR='$(abs_builddir)' sh $(srcdir)/tests/lab/evidence.sh
.PHONY: check-full-evidence

labmachine_tests = \
	tests/lab/test_lab_evidence \
	tests/lab/test_lab_forged \
	tests/lab/test_lab_log \
	tests/lab/test_lab_snp \
	tests/lab/test_lab_dcap \
	tests/lab/test_lab_policy \
	tests/lab/test_lab_jmes \
	tests/lab/test_lab_maa \
	tests/lab/test_lab_preview \
	tests/lab/test_lab_tokens \
	tests/lab/test_lab_machine \
	tests/lab/test_lab_vm \
	tests/lab/test_lab_tamper
check_PROGRAMS += $(labmachine_tests)
TESTS += $(labmachine_tests)

tests_lab_test_lab_evidence_SOURCES = tests/lab/test_lab_evidence.c
tests_lab_test_lab_evidence_CPPFLAGS = $(LABTEST_CPPFLAGS)
tests_lab_test_lab_evidence_LDADD = $(LABTEST_LDADD)

tests_lab_test_lab_forged_SOURCES = tests/lab/test_lab_forged.c
tests_lab_test_lab_forged_CPPFLAGS = $(LABTEST_CPPFLAGS)
tests_lab_test_lab_forged_LDADD = $(LABTEST_LDADD)

tests_lab_test_lab_log_SOURCES = tests/lab/test_lab_log.c
tests_lab_test_lab_log_CPPFLAGS = $(LABTEST_CPPFLAGS)
tests_lab_test_lab_log_LDADD = $(LABTEST_LDADD)

tests_lab_test_lab_snp_SOURCES = tests/lab/test_lab_snp.c
tests_lab_test_lab_snp_CPPFLAGS = $(LABTEST_CPPFLAGS)
tests_lab_test_lab_snp_LDADD = $(LABTEST_LDADD)

tests_lab_test_lab_policy_SOURCES = tests/lab/test_lab_policy.c
tests_lab_test_lab_policy_CPPFLAGS = $(LABTEST_CPPFLAGS)
tests_lab_test_lab_policy_LDADD = $(LABTEST_LDADD)

tests_lab_test_lab_jmes_SOURCES = tests/lab/test_lab_jmes.c
tests_lab_test_lab_jmes_CPPFLAGS = $(LABTEST_CPPFLAGS)
tests_lab_test_lab_jmes_LDADD = $(LABTEST_LDADD)

tests_lab_test_lab_maa_SOURCES = tests/lab/test_lab_maa.c tests/lab/maa_client.c tests/lab/maa_client.h
tests_lab_test_lab_maa_CPPFLAGS = $(LABTEST_CPPFLAGS)
tests_lab_test_lab_maa_LDFLAGS = $(LABTEST_LDFLAGS)
tests_lab_test_lab_maa_LDADD = libvslab.la $(LABTEST_LDADD)

tests_lab_test_lab_preview_SOURCES = tests/lab/test_lab_preview.c tests/lab/maa_client.c tests/lab/maa_client.h
tests_lab_test_lab_preview_CPPFLAGS = $(LABTEST_CPPFLAGS)
tests_lab_test_lab_preview_LDFLAGS = $(LABTEST_LDFLAGS)
tests_lab_test_lab_preview_LDADD = libvslab.la $(LABTEST_LDADD)

tests_lab_test_lab_machine_SOURCES = tests/lab/test_lab_machine.c
tests_lab_test_lab_machine_CPPFLAGS = $(LABTEST_CPPFLAGS)
tests_lab_test_lab_machine_LDADD = libvslab.la $(LABTEST_LDADD)

tests_lab_test_lab_vm_SOURCES = tests/lab/test_lab_vm.c
tests_lab_test_lab_vm_CPPFLAGS = $(LABTEST_CPPFLAGS)
tests_lab_test_lab_vm_LDADD = libvslab.la $(LABTEST_LDADD)

tests_lab_test_lab_tokens_SOURCES = tests/lab/test_lab_tokens.c tests/lab/maa_client.c tests/lab/maa_client.h
tests_lab_test_lab_tokens_CPPFLAGS = $(LABTEST_CPPFLAGS)
tests_lab_test_lab_tokens_LDFLAGS = $(LABTEST_LDFLAGS)
tests_lab_test_lab_tokens_LDADD = libvslab.la $(LABTEST_LDADD)

tests_lab_test_lab_tamper_SOURCES = tests/lab/test_lab_tamper.c
tests_lab_test_lab_tamper_CPPFLAGS = $(LABTEST_CPPFLAGS)
tests_lab_test_lab_tamper_LDADD = libvslab.la $(LABTEST_LDADD)

tests_lab_test_lab_dcap_SOURCES = tests/lab/test_lab_dcap.c
tests_lab_test_lab_dcap_CPPFLAGS = $(LABTEST_CPPFLAGS)
tests_lab_test_lab_dcap_LDADD = $(LABTEST_LDADD)

EXTRA_DIST += tests/data/maa/exchanges tests/data/maa/evidence/td_quote_v4.dat \
	tests/data/maa/evidence/sevsnpvm-2025-04.report.b64url \
	tests/data/maa/evidence/sgx-oe-sdk.enclave.info.debug.json \
	tests/data/maa/evidence/sgx-intel-sdk.enclave.info.release.json
