# SPDX-License-Identifier: BSD-2-Clause
noinst_LTLIBRARIES += libvsaudit.la
libvsaudit_la_SOURCES = \
	%D%/audit.c %D%/audit.h \
	%D%/chain.c %D%/chain.h \
	%D%/internal.h \
	%D%/lock.c \
	%D%/read.c %D%/read.h \
	%D%/record.c \
	%D%/tail.c \
	%D%/verify.c %D%/verify.h
libvsaudit_la_LIBADD = libvscrypto.la libvsbase.la

noinst_HEADERS += tests/unit/audit_world.h
check_PROGRAMS += tests/unit/test_audit tests/unit/test_audit_trouble tests/unit/test_audit_verify
tests_unit_test_audit_SOURCES = tests/unit/test_audit.c tests/unit/audit_world.c
tests_unit_test_audit_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_audit_LDADD = libvsaudit.la libvscrypto.la libvsbase.la -lcmocka
tests_unit_test_audit_trouble_SOURCES = tests/unit/test_audit_trouble.c tests/unit/audit_world.c
tests_unit_test_audit_trouble_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_audit_trouble_LDADD = libvsaudit.la libvscrypto.la libvsbase.la -lcmocka
tests_unit_test_audit_verify_SOURCES = tests/unit/test_audit_verify.c
tests_unit_test_audit_verify_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_audit_verify_LDADD = libvsaudit.la libvscrypto.la libvsbase.la -lcmocka
TESTS += tests/unit/test_audit tests/unit/test_audit_trouble tests/unit/test_audit_verify

check_PROGRAMS += tests/unit/test_audit_faults
tests_unit_test_audit_faults_SOURCES = tests/unit/test_audit_faults.c tests/unit/audit_world.c
tests_unit_test_audit_faults_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_audit_faults_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=open,--wrap=write,--wrap=fsync,--wrap=ftruncate \
	-Wl,--wrap=pread,--wrap=flock
tests_unit_test_audit_faults_LDADD = libvsaudit.la libvscrypto.la libvsbase.la -lcmocka
TESTS += tests/unit/test_audit_faults

check_PROGRAMS += tests/unit/test_audit_files tests/unit/test_audit_kill
tests_unit_test_audit_files_SOURCES = tests/unit/test_audit_files.c tests/unit/audit_world.c
tests_unit_test_audit_files_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_audit_files_LDADD = libvsaudit.la libvscrypto.la libvsbase.la -lcmocka
tests_unit_test_audit_kill_SOURCES = tests/unit/test_audit_kill.c tests/unit/audit_world.c
tests_unit_test_audit_kill_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_audit_kill_LDADD = libvsaudit.la libvscrypto.la libvsbase.la -lcmocka
TESTS += tests/unit/test_audit_files tests/unit/test_audit_kill
