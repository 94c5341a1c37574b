# SPDX-License-Identifier: BSD-2-Clause
noinst_LTLIBRARIES += libvsevidence.la
libvsevidence_la_SOURCES = \
	%D%/evidence.c \
	%D%/ev_azguest.c %D%/ev_azguest.h \
	%D%/ev_crypto.c %D%/ev_crypto.h \
	%D%/hcl.c %D%/hcl.h \
	%D%/quote.c %D%/quote.h \
	%D%/tpm.c %D%/tpm.h %D%/tpm_impl.h \
	%D%/tpm_check.c %D%/tpm_key.c %D%/tpm_nv.c \
	%D%/tpm_link.c %D%/tpm_link.h
libvsevidence_la_CFLAGS = $(AM_CFLAGS) $(TSS_CFLAGS) $(CRYPTO_CFLAGS)
libvsevidence_la_LIBADD = $(TSS_LIBS) $(CRYPTO_LIBS)

check_PROGRAMS += tests/evidence/test_azguest
tests_evidence_test_azguest_SOURCES = tests/evidence/test_azguest.c tests/evidence/swtpm.c tests/evidence/swtpm.h
tests_evidence_test_azguest_CPPFLAGS = $(TEST_CPPFLAGS)
tests_evidence_test_azguest_LDADD = libvsevidence.la libvsjose.la libvscrypto.la libvsbase.la $(JANSSON_LIBS) $(CRYPTO_LIBS) $(TSS_LIBS) -lcmocka
TESTS += tests/evidence/test_azguest
