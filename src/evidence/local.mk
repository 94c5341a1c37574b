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
