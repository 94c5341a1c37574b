# SPDX-License-Identifier: BSD-2-Clause
noinst_LTLIBRARIES += libvsclient.la
libvsclient_la_SOURCES = \
	%D%/profile.c %D%/profile.h \
	%D%/client.h
