# SPDX-License-Identifier: BSD-2-Clause
noinst_LTLIBRARIES += libvsconf.la
libvsconf_la_SOURCES = \
	%D%/conf.c %D%/conf.h \
	%D%/check.c %D%/check.h \
	%D%/table.c %D%/table.h \
	%D%/value.c %D%/value.h \
	%D%/weak.c \
	%D%/policy.c %D%/policy_eval.c %D%/policy_form.c %D%/policy.h %D%/policy_tree.h

check_PROGRAMS += tests/unit/test_conf
tests_unit_test_conf_SOURCES = tests/unit/test_conf.c
tests_unit_test_conf_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_conf_LDADD = libvsconf.la libvscrypto.la libvsbase.la $(CRYPTO_LIBS) -lcmocka
TESTS += tests/unit/test_conf
