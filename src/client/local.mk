# SPDX-License-Identifier: BSD-2-Clause
noinst_LTLIBRARIES += libvsclient.la
libvsclient_la_SOURCES = \
	%D%/profile.c %D%/profile.h \
	%D%/spawn.c %D%/spawn.h \
	%D%/link.c %D%/link.h \
	%D%/conn.c %D%/conn.h \
	%D%/grant.c %D%/grant.h \
	%D%/client.c %D%/client.h

check_PROGRAMS += tests/unit/test_client
tests_unit_test_client_SOURCES = tests/unit/test_client.c
tests_unit_test_client_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_client_LDADD = libvsclient.la libvsconf.la libvsjose.la libvscrypto.la libvsproto.la libvsbase.la \
	$(JANSSON_LIBS) $(CRYPTO_LIBS) -lcmocka
TESTS += tests/unit/test_client
