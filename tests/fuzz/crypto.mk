# SPDX-License-Identifier: BSD-2-Clause
# Keys in all forms, lines of the audit log, the bundle for an auditor.
fuzz_crypto_programs = tests/fuzz/fuzz_keys tests/fuzz/fuzz_audit tests/fuzz/fuzz_auditfile \
	tests/fuzz/fuzz_bundle

tests_fuzz_fuzz_keys_SOURCES = %D%/fuzz_keys.c $(fuzz_main)
tests_fuzz_fuzz_keys_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_keys_LDFLAGS = $(AM_LDFLAGS) $(fuzz_ldflags)
tests_fuzz_fuzz_keys_LDADD = libvscrypto.la libvsbase.la $(CRYPTO_LIBS)

tests_fuzz_fuzz_audit_SOURCES = %D%/fuzz_audit.c $(fuzz_main)
tests_fuzz_fuzz_audit_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_audit_LDFLAGS = $(AM_LDFLAGS) $(fuzz_ldflags)
tests_fuzz_fuzz_audit_LDADD = libvsaudit.la libvscrypto.la libvsbase.la $(CRYPTO_LIBS)

tests_fuzz_fuzz_auditfile_SOURCES = %D%/fuzz_auditfile.c $(fuzz_main)
tests_fuzz_fuzz_auditfile_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_auditfile_LDFLAGS = $(AM_LDFLAGS) $(fuzz_ldflags) -Wl,--wrap=vs_ossl_new
tests_fuzz_fuzz_auditfile_LDADD = libvsaudit.la libvscrypto.la libvsbase.la $(CRYPTO_LIBS)

tests_fuzz_fuzz_bundle_SOURCES = %D%/fuzz_bundle.c $(fuzz_main)
tests_fuzz_fuzz_bundle_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_bundle_LDFLAGS = $(AM_LDFLAGS) $(fuzz_ldflags)
tests_fuzz_fuzz_bundle_LDADD = libvscheckpoint.la libvsaudit.la $(fuzz_evidence_libs)

check_PROGRAMS += $(fuzz_crypto_programs)
if !FUZZING
TESTS += $(fuzz_crypto_programs)
endif
