# SPDX-License-Identifier: BSD-2-Clause
noinst_HEADERS += include/vouchsafe/vouchsafe.h
noinst_LTLIBRARIES += libvscore.la
libvscore_la_SOURCES = \
	%D%/core.c %D%/core.h \
	%D%/record.c %D%/record.h \
	%D%/loop.c %D%/loop.h \
	%D%/work.c %D%/work.h

# What talks to the TPM for the log stands apart, so that a test can put a log made of data in place.
noinst_LTLIBRARIES += libvscheckpoint.la
libvscheckpoint_la_SOURCES = %D%/checkpoint.c %D%/checkpoint.h %D%/tpmtime.c %D%/tpmtime.h \
	%D%/bundle.h %D%/bundle_impl.h %D%/bundle_form.c %D%/bundle_write.c %D%/bundle_check.c

check_PROGRAMS += tests/unit/test_bundle
tests_unit_test_bundle_SOURCES = tests/unit/test_bundle.c tests/unit/audit_world.c
tests_unit_test_bundle_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_bundle_LDADD = $(VS_SERVICE_LIBS) -lcmocka
TESTS += tests/unit/test_bundle
