# SPDX-License-Identifier: BSD-2-Clause
noinst_LTLIBRARIES += libvsjose.la
libvsjose_la_SOURCES = \
	%D%/json.c %D%/jsontext.c %D%/json.h \
	%D%/lib.c %D%/lib.h \
	%D%/x509.c %D%/x509.h \
	%D%/jose.c %D%/jwk.c %D%/jose.h
libvsjose_la_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS) $(CRYPTO_CFLAGS)
