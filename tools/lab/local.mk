# SPDX-License-Identifier: BSD-2-Clause
# The lab: a program of its own; nothing of it is linked into module, agent or CLI.
# The machine's and the attestation service's half lists its files in machine.mk.
LAB_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/tools $(SSL_CFLAGS) $(CRYPTO_CFLAGS) $(JANSSON_CFLAGS)
noinst_HEADERS += %D%/lab.h %D%/lab_http.h
