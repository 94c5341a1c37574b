# SPDX-License-Identifier: BSD-2-Clause
# Sequences of calls against a model; the module also gives out the knobs of its agent made of data.
noinst_HEADERS += %D%/calls.h
EXTRA_DIST += %D%/calls.map
check_LTLIBRARIES += %D%/calls-pkcs11.la
tests_fuzz_calls_pkcs11_la_SOURCES = %D%/calls_knobs.c
tests_fuzz_calls_pkcs11_la_CPPFLAGS = $(fake_cppflags)
tests_fuzz_calls_pkcs11_la_LDFLAGS = $(AM_LDFLAGS) -module -avoid-version -no-undefined -Wl,-z,nodelete \
	-Wl,-Bsymbolic -rpath /nowhere -Wl,--version-script=$(srcdir)/tests/fuzz/calls.map
tests_fuzz_calls_pkcs11_la_LIBADD = tests/module/libfakemodule.la $(fake_libs)
fuzz_calls_programs = tests/fuzz/fuzz_calls
tests_fuzz_fuzz_calls_SOURCES = $(fuzz_main) %D%/fuzz_calls.c %D%/calls_play.c %D%/calls_ops.c %D%/calls_message.c \
	%D%/calls_dual.c %D%/calls_keys.c %D%/calls_make.c %D%/calls_model.c %D%/calls_plain.c
# It has more to do than to replay, so main() is its own.
tests_fuzz_fuzz_calls_CPPFLAGS = $(fake_cppflags) -DFUZZ_OWN_MAIN
tests_fuzz_fuzz_calls_CFLAGS = $(AM_CFLAGS) $(CRYPTO_CFLAGS)
tests_fuzz_fuzz_calls_LDADD = $(CRYPTO_LIBS) -ldl
EXTRA_tests_fuzz_fuzz_calls_DEPENDENCIES = %D%/calls-pkcs11.la
check_PROGRAMS += $(fuzz_calls_programs)
if FUZZING
tests_fuzz_fuzz_calls_CPPFLAGS += -DVS_FUZZING
tests_fuzz_fuzz_calls_LDFLAGS = $(AM_LDFLAGS) $(fuzz_ldflags)
else
TESTS += $(fuzz_calls_programs)
endif
