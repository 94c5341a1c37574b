# SPDX-License-Identifier: BSD-2-Clause
# What services answer: addresses, heads, bodies, release answers.
fuzz_services_libs = libvskeys.la libvsattest.la libvsconf.la libvsnet.la libvsjose.la libvscrypto.la libvsproto.la \
	libvsbase.la $(JANSSON_LIBS) $(CURL_LIBS) $(SSL_LIBS) $(CRYPTO_LIBS)
fuzz_services_programs = tests/fuzz/fuzz_web tests/fuzz/fuzz_answers tests/fuzz/fuzz_release

tests_fuzz_fuzz_web_SOURCES = %D%/fuzz_web.c $(fuzz_main)
tests_fuzz_fuzz_web_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_web_LDFLAGS = $(AM_LDFLAGS) $(fuzz_ldflags)
tests_fuzz_fuzz_web_LDADD = $(fuzz_services_libs)

tests_fuzz_fuzz_answers_SOURCES = %D%/fuzz_answers.c $(fuzz_main)
tests_fuzz_fuzz_answers_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_answers_LDFLAGS = $(AM_LDFLAGS) $(fuzz_ldflags)
tests_fuzz_fuzz_answers_LDADD = $(fuzz_services_libs)

tests_fuzz_fuzz_release_SOURCES = %D%/fuzz_release.c $(fuzz_main) tests/unit/releasekit.c tests/unit/releasekit.h \
	tests/unit/netkit.c tests/unit/netkit.h
tests_fuzz_fuzz_release_CPPFLAGS = $(TEST_CPPFLAGS) $(SSL_CFLAGS)
tests_fuzz_fuzz_release_LDFLAGS = $(AM_LDFLAGS) $(fuzz_ldflags) -Wl,--wrap=vs_jws_open_x5c
tests_fuzz_fuzz_release_LDADD = $(fuzz_services_libs) -lcmocka

check_PROGRAMS += $(fuzz_services_programs)
if !FUZZING
TESTS += $(fuzz_services_programs)
endif
