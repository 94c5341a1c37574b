# SPDX-License-Identifier: BSD-2-Clause
noinst_LTLIBRARIES += libvskeys.la
libvskeys_la_SOURCES = \
	%D%/cred.c %D%/cred.h %D%/cred_impl.h \
	%D%/cred_imds.c \
	%D%/cred_entra.c \
	%D%/cred_cert.c \
	%D%/akv.c %D%/akv.h %D%/akv_impl.h \
	%D%/jwk.c \
	%D%/catalog.c \
	%D%/keysource.c \
	%D%/release.c %D%/release.h
