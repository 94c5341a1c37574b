# SPDX-License-Identifier: BSD-2-Clause
noinst_LTLIBRARIES += libvsnet.la
libvsnet_la_SOURCES = \
	%D%/url.c %D%/url.h \
	%D%/http.c %D%/http.h \
	%D%/head.c %D%/head.h \
	%D%/roots.c %D%/roots.h \
	%D%/http_curl.c %D%/http_curl.h
libvsnet_la_CPPFLAGS = $(AM_CPPFLAGS) $(CURL_CFLAGS) $(SSL_CFLAGS) $(CRYPTO_CFLAGS)
libvsnet_la_LIBADD = libvsbase.la $(CURL_LIBS) $(SSL_LIBS) $(CRYPTO_LIBS)
