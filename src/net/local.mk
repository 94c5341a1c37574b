# SPDX-License-Identifier: BSD-2-Clause
noinst_LTLIBRARIES += libvsnet.la
libvsnet_la_SOURCES = \
	%D%/url.c %D%/url.h \
	%D%/http.c %D%/http.h \
	%D%/head.c %D%/head.h \
	%D%/roots.c %D%/roots.h \
	%D%/http_curl.c %D%/http_curl.h
libvsnet_la_CPPFLAGS = $(AM_CPPFLAGS) $(CURL_CFLAGS) $(SSL_CFLAGS) $(CRYPTO_CFLAGS)
libvsnet_la_LIBADD = $(CURL_LIBS) $(SSL_LIBS) $(CRYPTO_LIBS)

check_PROGRAMS += tests/unit/test_net_curl
tests_unit_test_net_curl_SOURCES = tests/unit/test_net_curl.c tests/unit/netkit.c tests/unit/netkit.h
tests_unit_test_net_curl_CPPFLAGS = $(TEST_CPPFLAGS) $(SSL_CFLAGS)
tests_unit_test_net_curl_LDADD = libvsnet.la libvsbase.la $(CURL_LIBS) $(SSL_LIBS) $(CRYPTO_LIBS) -lcmocka
TESTS += tests/unit/test_net_curl

check_PROGRAMS += tests/unit/test_net
tests_unit_test_net_SOURCES = tests/unit/test_net.c tests/unit/webkit.c tests/unit/webkit.h
tests_unit_test_net_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_net_LDADD = libvsnet.la libvsbase.la -lcmocka
TESTS += tests/unit/test_net
