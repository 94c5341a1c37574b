# SPDX-License-Identifier: BSD-2-Clause
noinst_LTLIBRARIES += libvsproto.la
libvsproto_la_SOURCES = \
	%D%/wire.c %D%/wire.h \
	%D%/msg.c %D%/msg_parts.c %D%/msg.h \
	%D%/catalog.c %D%/catalog.h \
	%D%/page.c %D%/page.h \
	%D%/uses.c %D%/uses.h

check_PROGRAMS += tests/unit/test_proto
tests_unit_test_proto_SOURCES = tests/unit/test_proto.c
tests_unit_test_proto_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_proto_LDADD = libvsproto.la libvsbase.la -lcmocka
TESTS += tests/unit/test_proto
