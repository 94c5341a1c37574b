# SPDX-License-Identifier: BSD-2-Clause
# Parsers of evidence: what hardware, TPM and firmware say.
fuzz_evidence_libs = libvsevidence.la libvsjose.la libvscrypto.la libvsbase.la $(JANSSON_LIBS) $(CRYPTO_LIBS)
fuzz_evidence_programs = tests/fuzz/fuzz_hcl tests/fuzz/fuzz_snp tests/fuzz/fuzz_attest tests/fuzz/fuzz_eventlog \
	tests/fuzz/fuzz_dcap tests/fuzz/fuzz_ima
fuzz_evidence_data = $(fuzz_data)/evidence

tests_fuzz_fuzz_hcl_SOURCES = %D%/fuzz_hcl.c $(fuzz_main)
tests_fuzz_fuzz_hcl_CPPFLAGS = $(TEST_CPPFLAGS) -DVS_FUZZ_SEEDS='"$(fuzz_evidence_data)/azure/snp-milan-challenge:$(fuzz_evidence_data)/azure/tdx-challenge:$(fuzz_evidence_data)/azure/snp-hcl-old-2048"'
tests_fuzz_fuzz_hcl_LDFLAGS = $(AM_LDFLAGS) $(fuzz_ldflags)
tests_fuzz_fuzz_hcl_LDADD = $(fuzz_evidence_libs)

tests_fuzz_fuzz_snp_SOURCES = %D%/fuzz_snp.c $(fuzz_main)
tests_fuzz_fuzz_snp_CPPFLAGS = $(TEST_CPPFLAGS) -DVS_FUZZ_SEEDS='"$(fuzz_evidence_data)/amd"'
tests_fuzz_fuzz_snp_LDFLAGS = $(AM_LDFLAGS) $(fuzz_ldflags)
tests_fuzz_fuzz_snp_LDADD = $(fuzz_evidence_libs)

tests_fuzz_fuzz_attest_SOURCES = %D%/fuzz_attest.c $(fuzz_main)
tests_fuzz_fuzz_attest_CPPFLAGS = $(TEST_CPPFLAGS) -DVS_FUZZ_SEEDS='"$(fuzz_evidence_data)/tpm:$(fuzz_evidence_data)/azure/foreign-quote:$(fuzz_seeds)/tpm"'
tests_fuzz_fuzz_attest_LDFLAGS = $(AM_LDFLAGS) $(fuzz_ldflags)
tests_fuzz_fuzz_attest_LDADD = $(fuzz_evidence_libs)

tests_fuzz_fuzz_eventlog_SOURCES = %D%/fuzz_eventlog.c $(fuzz_main)
tests_fuzz_fuzz_eventlog_CPPFLAGS = $(TEST_CPPFLAGS) -DVS_FUZZ_SEEDS='"$(fuzz_evidence_data)/tcg/debian-10.bin:$(fuzz_evidence_data)/tcg/event-sd-boot-fedora37.bin:$(fuzz_evidence_data)/tcg/glinux-alex.bin"'
tests_fuzz_fuzz_eventlog_LDFLAGS = $(AM_LDFLAGS) $(fuzz_ldflags)
tests_fuzz_fuzz_eventlog_LDADD = $(fuzz_evidence_libs)

tests_fuzz_fuzz_dcap_SOURCES = %D%/fuzz_dcap.c $(fuzz_main)
tests_fuzz_fuzz_dcap_CPPFLAGS = $(TEST_CPPFLAGS) -DVS_FUZZ_SEEDS='"$(fuzz_evidence_data)/intel/tdx-v5:$(fuzz_evidence_data)/intel/sgx-v3:$(fuzz_evidence_data)/intel/tdx-v4-spr"'
tests_fuzz_fuzz_dcap_LDFLAGS = $(AM_LDFLAGS) $(fuzz_ldflags)
tests_fuzz_fuzz_dcap_LDADD = $(fuzz_evidence_libs)

tests_fuzz_fuzz_ima_SOURCES = %D%/fuzz_ima.c $(fuzz_main)
tests_fuzz_fuzz_ima_CPPFLAGS = $(TEST_CPPFLAGS) -DVS_FUZZ_SEEDS='"$(fuzz_seeds)/ima"'
tests_fuzz_fuzz_ima_LDFLAGS = $(AM_LDFLAGS) $(fuzz_ldflags)
tests_fuzz_fuzz_ima_LDADD = $(fuzz_evidence_libs)

check_PROGRAMS += $(fuzz_evidence_programs)
if !FUZZING
TESTS += $(fuzz_evidence_programs)
endif
