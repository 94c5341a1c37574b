# SPDX-License-Identifier: BSD-2-Clause
noinst_LTLIBRARIES += libvsproto.la
libvsproto_la_SOURCES = \
	%D%/wire.c %D%/wire.h \
	%D%/msg.c %D%/msg_parts.c %D%/msg.h \
	%D%/catalog.c %D%/catalog.h \
	%D%/page.c %D%/page.h
