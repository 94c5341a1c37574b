# SPDX-License-Identifier: BSD-2-Clause
noinst_LTLIBRARIES += libvsbase.la
libvsbase_la_SOURCES = \
	%D%/err.c \
	%D%/buf.c %D%/buf.h \
	%D%/codec.c %D%/codec.h \
	%D%/secret.c %D%/secret.h \
	%D%/ini.c %D%/ini.h \
	%D%/file.c %D%/file.h \
	%D%/log.c %D%/log.h \
	%D%/clock.c %D%/clock.h \
	%D%/latch.c %D%/latch.h \
	%D%/race.h \
	%D%/keytype.h

check_PROGRAMS += tests/unit/test_base
tests_unit_test_base_SOURCES = tests/unit/test_base.c
tests_unit_test_base_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_base_LDADD = libvsbase.la -lcmocka
TESTS += tests/unit/test_base
check_PROGRAMS += tests/unit/test_latch
tests_unit_test_latch_SOURCES = tests/unit/test_latch.c
tests_unit_test_latch_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_latch_LDADD = libvsbase.la -lcmocka
TESTS += tests/unit/test_latch
