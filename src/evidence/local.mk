# SPDX-License-Identifier: BSD-2-Clause
noinst_LTLIBRARIES += libvsevidence.la
libvsevidence_la_SOURCES = \
	%D%/akcert.c \
	%D%/cbor.c %D%/cbor.h \
	%D%/check.c %D%/check.h \
	%D%/collateral.c %D%/collateral.h \
	%D%/dcap.c %D%/dcap.h %D%/dcap_tcb.c \
	%D%/ev_azguest.c %D%/ev_azguest.h \
	%D%/ev_cert.c %D%/ev_cert.h %D%/ev_cert_impl.h \
	%D%/ev_chain.c %D%/ev_crl.c %D%/ev_crl.h \
	%D%/ev_crypto.c %D%/ev_crypto.h \
	%D%/eventlog.c %D%/eventlog.h \
	%D%/evidence.c \
	%D%/hcl.c %D%/hcl.h \
	%D%/ima.c %D%/ima.h %D%/ima_files.c \
	%D%/quote.c %D%/quote.h \
	%D%/roots.c %D%/roots.h \
	%D%/saved.c \
	%D%/secureboot.c \
	%D%/snp.c %D%/snp.h \
	%D%/tpm.c %D%/tpm.h %D%/tpm_impl.h \
	%D%/tpm_check.c %D%/tpm_key.c %D%/tpm_nv.c \
	%D%/tpm_link.c %D%/tpm_link.h \
	%D%/uvm.c %D%/uvm.h \
	%D%/verify.c %D%/verify.h %D%/verify_impl.h %D%/verify_boot.c
libvsevidence_la_CFLAGS = $(AM_CFLAGS) $(TSS_CFLAGS) $(CRYPTO_CFLAGS)
libvsevidence_la_LIBADD = $(TSS_LIBS) $(CRYPTO_LIBS)

check_PROGRAMS += tests/evidence/test_azguest
tests_evidence_test_azguest_SOURCES = tests/evidence/test_azguest.c tests/evidence/swtpm.c tests/evidence/swtpm.h \
	tests/evidence/data.c
tests_evidence_test_azguest_CPPFLAGS = $(TEST_CPPFLAGS)
tests_evidence_test_azguest_LDADD = libvsevidence.la libvsjose.la libvscrypto.la libvsbase.la $(JANSSON_LIBS) $(CRYPTO_LIBS) $(TSS_LIBS) -lcmocka
TESTS += tests/evidence/test_azguest

check_PROGRAMS += tests/unit/test_evidence_hw
tests_unit_test_evidence_hw_SOURCES = tests/unit/test_evidence_hw.c tests/evidence/data.c tests/evidence/data.h
tests_unit_test_evidence_hw_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_evidence_hw_LDADD = libvsevidence.la libvsjose.la libvsbase.la $(JANSSON_LIBS) $(CRYPTO_LIBS) -lcmocka
TESTS += tests/unit/test_evidence_hw

check_PROGRAMS += tests/unit/test_evidence_set
tests_unit_test_evidence_set_SOURCES = tests/unit/test_evidence_set.c tests/evidence/data.c tests/evidence/data.h
tests_unit_test_evidence_set_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_evidence_set_LDADD = libvsevidence.la libvsjose.la libvsbase.la $(JANSSON_LIBS) $(CRYPTO_LIBS) -lcmocka
TESTS += tests/unit/test_evidence_set

check_PROGRAMS += tests/unit/test_evidence_crl
tests_unit_test_evidence_crl_SOURCES = tests/unit/test_evidence_crl.c tests/unit/pkikit.c tests/unit/pkikit.h \
	tests/evidence/data.c tests/evidence/data.h
tests_unit_test_evidence_crl_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_evidence_crl_LDADD = libvsevidence.la libvsjose.la libvsbase.la $(JANSSON_LIBS) $(CRYPTO_LIBS) -lcmocka
TESTS += tests/unit/test_evidence_crl

check_PROGRAMS += tests/unit/test_evidence_uvm
tests_unit_test_evidence_uvm_SOURCES = tests/unit/test_evidence_uvm.c tests/unit/cosekit.c tests/unit/cosekit.h \
	tests/unit/pkikit.c tests/unit/pkikit.h \
	tests/evidence/data.c tests/evidence/data.h
tests_unit_test_evidence_uvm_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_evidence_uvm_LDADD = libvsevidence.la libvsjose.la libvsbase.la $(JANSSON_LIBS) $(CRYPTO_LIBS) -lcmocka
TESTS += tests/unit/test_evidence_uvm

bytes_sources = tests/evidence/bytes.c tests/evidence/bytes.h tests/evidence/sets.c tests/evidence/sets.h \
	tests/evidence/data.c tests/evidence/data.h
bytes_libs = libvsevidence.la libvsjose.la libvsbase.la $(JANSSON_LIBS) $(CRYPTO_LIBS) -lcmocka
bytes_programs = tests/evidence/test_bytes tests/evidence/test_bytes_hardware tests/evidence/test_bytes_logs \
	tests/evidence/test_mixes
check_PROGRAMS += $(bytes_programs)
tests_evidence_test_bytes_SOURCES = tests/evidence/test_bytes.c $(bytes_sources)
tests_evidence_test_bytes_CPPFLAGS = $(TEST_CPPFLAGS)
tests_evidence_test_bytes_LDADD = $(bytes_libs)
tests_evidence_test_bytes_hardware_SOURCES = tests/evidence/test_bytes_hardware.c \
	tests/evidence/bytes.c tests/evidence/bytes.h tests/evidence/data.c tests/evidence/data.h
tests_evidence_test_bytes_hardware_CPPFLAGS = $(TEST_CPPFLAGS)
tests_evidence_test_bytes_hardware_LDADD = $(bytes_libs)
tests_evidence_test_bytes_logs_SOURCES = tests/evidence/test_bytes_logs.c $(bytes_sources)
tests_evidence_test_bytes_logs_CPPFLAGS = $(TEST_CPPFLAGS)
tests_evidence_test_bytes_logs_LDADD = $(bytes_libs)
tests_evidence_test_mixes_SOURCES = tests/evidence/test_mixes.c $(bytes_sources)
tests_evidence_test_mixes_CPPFLAGS = $(TEST_CPPFLAGS)
tests_evidence_test_mixes_LDADD = $(bytes_libs)
EXTRA_DIST += tests/evidence/uncovered.txt tests/evidence/uncovered-hardware.txt tests/evidence/uncovered-logs.txt
# Every byte with every value, also of the service's evidence and of release answers, and the lists of
# uncovered bytes exactly; every mix of two sets (some minutes).
bytes_all_programs = $(bytes_programs) tests/unit/test_keys_recorded tests/unit/test_keys_release
check-bytes: $(bytes_all_programs) tests/unit/test_service_evidence
	@set -e; for p in $(bytes_all_programs); do VS_BYTES=all VS_SRCDIR='$(abs_top_srcdir)' $$p; done
	@VS_TEST_EVERY_BYTE=1 VS_SRCDIR='$(abs_top_srcdir)' tests/unit/test_service_evidence
.PHONY: check-bytes
TESTS += $(bytes_programs)

check_PROGRAMS += tests/unit/test_evidence_ima
tests_unit_test_evidence_ima_SOURCES = tests/unit/test_evidence_ima.c tests/unit/pkikit.c tests/unit/pkikit.h \
	tests/evidence/data.c tests/evidence/data.h
tests_unit_test_evidence_ima_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_evidence_ima_LDADD = libvsevidence.la libvsjose.la libvsbase.la $(JANSSON_LIBS) $(CRYPTO_LIBS) -lcmocka
TESTS += tests/unit/test_evidence_ima

check_PROGRAMS += tests/unit/test_evidence_log
tests_unit_test_evidence_log_SOURCES = tests/unit/test_evidence_log.c tests/evidence/data.c tests/evidence/data.h
tests_unit_test_evidence_log_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_evidence_log_LDADD = libvsevidence.la libvsjose.la libvsbase.la $(JANSSON_LIBS) $(CRYPTO_LIBS) -lcmocka
TESTS += tests/unit/test_evidence_log

check_PROGRAMS += tests/evidence/test_counter
tests_evidence_test_counter_SOURCES = tests/evidence/test_counter.c tests/evidence/swtpm.c tests/evidence/swtpm.h
tests_evidence_test_counter_CPPFLAGS = $(TEST_CPPFLAGS)
tests_evidence_test_counter_LDADD = $(tests_evidence_test_azguest_LDADD)
TESTS += tests/evidence/test_counter

check_PROGRAMS += tests/evidence/test_links
tests_evidence_test_links_SOURCES = tests/evidence/test_links.c tests/evidence/swtpm.c tests/evidence/swtpm.h
tests_evidence_test_links_CPPFLAGS = $(TEST_CPPFLAGS)
tests_evidence_test_links_LDADD = $(tests_evidence_test_azguest_LDADD)
TESTS += tests/evidence/test_links

check_PROGRAMS += tests/evidence/test_lab
tests_evidence_test_lab_SOURCES = tests/evidence/test_lab.c tests/unit/pkikit.c tests/unit/pkikit.h \
	tests/evidence/swtpm.c tests/evidence/swtpm.h tests/evidence/data.c
tests_evidence_test_lab_CPPFLAGS = $(TEST_CPPFLAGS) -I$(srcdir)/tools -I$(srcdir)/tests/lab
tests_evidence_test_lab_LDADD = libvslabfixture.la libvslab.la libvslabmachine.la $(tests_evidence_test_azguest_LDADD) $(SSL_LIBS)
TESTS += tests/evidence/test_lab

check_PROGRAMS += tests/evidence/test_cmd
tests_evidence_test_cmd_SOURCES = tests/evidence/test_cmd.c tests/evidence/data.c tests/evidence/data.h
tests_evidence_test_cmd_CPPFLAGS = $(TEST_CPPFLAGS)
tests_evidence_test_cmd_LDADD = $(tests_unit_test_evidence_hw_LDADD)
TESTS += tests/evidence/test_cmd

include tests/data/evidence/local.mk
