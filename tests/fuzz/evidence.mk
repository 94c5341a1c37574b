# SPDX-License-Identifier: BSD-2-Clause
# Parsers of evidence: what hardware, TPM and firmware say.
fuzz_evidence_libs = libvsevidence.la libvsjose.la libvscrypto.la libvsbase.la $(JANSSON_LIBS) $(CRYPTO_LIBS)
fuzz_evidence_programs = tests/fuzz/fuzz_hcl tests/fuzz/fuzz_snp tests/fuzz/fuzz_attest tests/fuzz/fuzz_eventlog \
	tests/fuzz/fuzz_dcap tests/fuzz/fuzz_ima tests/fuzz/fuzz_quote \
	tests/fuzz/fuzz_tcb tests/fuzz/fuzz_evcert tests/fuzz/fuzz_uvm tests/fuzz/fuzz_crl

tests_fuzz_fuzz_hcl_SOURCES = %D%/fuzz_hcl.c $(fuzz_main)
tests_fuzz_fuzz_hcl_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_hcl_LDFLAGS = $(AM_LDFLAGS) $(fuzz_ldflags)
tests_fuzz_fuzz_hcl_LDADD = $(fuzz_evidence_libs)

tests_fuzz_fuzz_snp_SOURCES = %D%/fuzz_snp.c $(fuzz_main)
tests_fuzz_fuzz_snp_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_snp_LDFLAGS = $(AM_LDFLAGS) $(fuzz_ldflags)
tests_fuzz_fuzz_snp_LDADD = $(fuzz_evidence_libs)

tests_fuzz_fuzz_attest_SOURCES = %D%/fuzz_attest.c $(fuzz_main)
tests_fuzz_fuzz_attest_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_attest_LDFLAGS = $(AM_LDFLAGS) $(fuzz_ldflags)
tests_fuzz_fuzz_attest_LDADD = $(fuzz_evidence_libs)

tests_fuzz_fuzz_eventlog_SOURCES = %D%/fuzz_eventlog.c $(fuzz_main)
tests_fuzz_fuzz_eventlog_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_eventlog_LDFLAGS = $(AM_LDFLAGS) $(fuzz_ldflags)
tests_fuzz_fuzz_eventlog_LDADD = $(fuzz_evidence_libs)

tests_fuzz_fuzz_dcap_SOURCES = %D%/fuzz_dcap.c $(fuzz_main)
tests_fuzz_fuzz_dcap_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_dcap_LDFLAGS = $(AM_LDFLAGS) $(fuzz_ldflags)
tests_fuzz_fuzz_dcap_LDADD = $(fuzz_evidence_libs)

tests_fuzz_fuzz_ima_SOURCES = %D%/fuzz_ima.c $(fuzz_main)
tests_fuzz_fuzz_ima_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_ima_LDFLAGS = $(AM_LDFLAGS) $(fuzz_ldflags)
tests_fuzz_fuzz_ima_LDADD = $(fuzz_evidence_libs)

tests_fuzz_fuzz_quote_SOURCES = %D%/fuzz_quote.c $(fuzz_main)
tests_fuzz_fuzz_quote_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_quote_LDFLAGS = $(AM_LDFLAGS) $(fuzz_ldflags)
tests_fuzz_fuzz_quote_LDADD = $(fuzz_evidence_libs)

tests_fuzz_fuzz_tcb_SOURCES = %D%/fuzz_tcb.c $(fuzz_main)
tests_fuzz_fuzz_tcb_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_tcb_LDFLAGS = $(AM_LDFLAGS) $(fuzz_ldflags) -Wl,--wrap=vs_ev_ecdsa_verify_key \
	-Wl,--wrap=vs_ev_cert_chain,--wrap=vs_ev_certs_pem,--wrap=vs_ev_certs_done
tests_fuzz_fuzz_tcb_LDADD = $(fuzz_evidence_libs)

tests_fuzz_fuzz_evcert_SOURCES = %D%/fuzz_evcert.c $(fuzz_main)
tests_fuzz_fuzz_evcert_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_evcert_LDFLAGS = $(AM_LDFLAGS) $(fuzz_ldflags)
tests_fuzz_fuzz_evcert_LDADD = $(fuzz_evidence_libs)

tests_fuzz_fuzz_uvm_SOURCES = %D%/fuzz_uvm.c $(fuzz_main)
tests_fuzz_fuzz_uvm_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_uvm_LDFLAGS = $(AM_LDFLAGS) $(fuzz_ldflags) -Wl,--wrap=vs_ev_cert_chain,--wrap=vs_ev_pss384_verify
tests_fuzz_fuzz_uvm_LDADD = $(fuzz_evidence_libs)

tests_fuzz_fuzz_crl_SOURCES = %D%/fuzz_crl.c $(fuzz_main)
tests_fuzz_fuzz_crl_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_crl_LDFLAGS = $(AM_LDFLAGS) $(fuzz_ldflags)
tests_fuzz_fuzz_crl_LDADD = $(fuzz_evidence_libs)

check_PROGRAMS += $(fuzz_evidence_programs)
if !FUZZING
TESTS += $(fuzz_evidence_programs)
endif
