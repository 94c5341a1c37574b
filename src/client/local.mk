# SPDX-License-Identifier: BSD-2-Clause
noinst_LTLIBRARIES += libvsclient.la
libvsclient_la_SOURCES = \
	%D%/profile.c %D%/profile.h \
	%D%/spawn.c %D%/spawn.h \
	%D%/link.c %D%/link.h \
	%D%/conn.c %D%/conn.h \
	%D%/grant.c %D%/grant.h \
	%D%/client.c %D%/client.h
