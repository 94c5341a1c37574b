# SPDX-License-Identifier: BSD-2-Clause
# Speed, as ratios to plain OpenSSL in the same run. `make bench`; not part of `make check`.
# BENCH_ARGS=--strict makes a missed bar an error.
noinst_HEADERS += %D%/bench.h
bench_programs = %D%/bench_crypto %D%/bench_check %D%/bench_module %D%/bench_padding %D%/bench_find \
	%D%/bench_start %D%/bench_audit
EXTRA_PROGRAMS += $(bench_programs)
CLEANFILES += $(bench_programs)
tests_bench_bench_crypto_SOURCES = %D%/bench_crypto.c %D%/bench.c %D%/raw.c
tests_bench_bench_crypto_CPPFLAGS = $(TEST_CPPFLAGS)
tests_bench_bench_crypto_CFLAGS = $(AM_CFLAGS) $(CRYPTO_CFLAGS)
tests_bench_bench_crypto_LDADD = libvscrypto.la libvsbase.la $(CRYPTO_LIBS)
tests_bench_bench_module_SOURCES = %D%/bench_module.c %D%/bench.c %D%/raw.c
tests_bench_bench_module_CPPFLAGS = $(TEST_CPPFLAGS) $(P11KIT_CFLAGS)
tests_bench_bench_module_CFLAGS = $(AM_CFLAGS) $(CRYPTO_CFLAGS)
tests_bench_bench_module_LDADD = $(CRYPTO_LIBS) -ldl
tests_bench_bench_padding_SOURCES = %D%/bench_padding.c %D%/bench.c
tests_bench_bench_padding_CPPFLAGS = $(TEST_CPPFLAGS)
tests_bench_bench_padding_CFLAGS = $(AM_CFLAGS) $(CRYPTO_CFLAGS)
tests_bench_bench_padding_LDADD = libvscrypto.la libvsbase.la $(CRYPTO_LIBS) -lm

tests_bench_bench_check_SOURCES = %D%/bench_check.c %D%/bench.c
tests_bench_bench_check_CPPFLAGS = $(TEST_CPPFLAGS)
tests_bench_bench_check_CFLAGS = $(AM_CFLAGS) $(CRYPTO_CFLAGS)
tests_bench_bench_check_LDADD = libvsevidence.la libvsattest.la libvsconf.la libvsnet.la libvsjose.la libvscrypto.la \
	libvsbase.la $(JANSSON_LIBS) $(CURL_LIBS) $(SSL_LIBS) $(CRYPTO_LIBS)

tests_bench_bench_find_SOURCES = %D%/bench_find.c %D%/bench.c
tests_bench_bench_find_CPPFLAGS = $(fake_cppflags)
tests_bench_bench_find_LDADD = tests/module/libfakemodule.la $(fake_libs)
tests_bench_bench_start_SOURCES = %D%/bench_start.c %D%/bench.c
tests_bench_bench_start_CPPFLAGS = $(TEST_CPPFLAGS) $(P11KIT_CFLAGS)
tests_bench_bench_start_LDADD = libvsclient.la libvsproto.la libvsbase.la -ldl

tests_bench_bench_audit_SOURCES = %D%/bench_audit.c %D%/bench.c
tests_bench_bench_audit_CPPFLAGS = $(TEST_CPPFLAGS) $(P11KIT_CFLAGS)
tests_bench_bench_audit_LDADD = libvsclient.la libvsproto.la libvsbase.la -ldl
# Counts what waits for the disk, in the processes that it is preloaded into.
EXTRA_LTLIBRARIES = tests/bench/syncs.la
CLEANFILES += tests/bench/syncs.la
tests_bench_syncs_la_SOURCES = %D%/syncs.c
tests_bench_syncs_la_LDFLAGS = -module -avoid-version -shared -rpath /nowhere
tests_bench_syncs_la_LIBADD = -ldl

# One lab with a machine agent, and one where each process spawns its own.
BENCH_AUDIT = f=$$(mktemp) && head -c 8 /dev/zero >$$f && VS_SYNCS=$$f LD_PRELOAD=$$PWD/tests/bench/.libs/syncs.so \
	./vouchsafe-lab run --agent -- tests/bench/bench_audit $(BENCH_ARGS) --minute; rc=$$?; rm -f $$f; test $$rc = 0
bench: $(bench_programs) tests/bench/syncs.la vouchsafe-lab vouchsafe-agent vouchsafe-pkcs11.la
	@tests/bench/bench_crypto $(BENCH_ARGS)
	@tests/bench/bench_check $(BENCH_ARGS)
	@tests/bench/bench_find $(BENCH_ARGS)
	@$(BENCH_AUDIT)
	@./vouchsafe-lab run --agent -- sh -c 'tests/bench/bench_start warm "$$VOUCHSAFE_LAB/agent.sock" $(BENCH_ARGS)'
	@./vouchsafe-lab run -- tests/bench/bench_start cold ./vouchsafe-lab $(BENCH_ARGS)
	@./vouchsafe-lab run --agent -- sh -c 'tests/bench/bench_module "$$P11_MODULE" $(BENCH_ARGS)'

# Statistics over many decryptions (minutes): can bad padding be told from good by its time?
bench-padding: tests/bench/bench_padding
	@tests/bench/bench_padding
# The rows of the audit log alone.
bench-audit: tests/bench/bench_audit tests/bench/syncs.la vouchsafe-lab vouchsafe-agent vouchsafe-pkcs11.la
	@$(BENCH_AUDIT)
.PHONY: bench bench-audit bench-padding
