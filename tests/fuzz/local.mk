# SPDX-License-Identifier: BSD-2-Clause
# A target per parser. With --enable-fuzzing (clang) they are fuzzers; otherwise they replay their
# seeds and a fixed number of changes, which make check does.
noinst_HEADERS += %D%/fuzz.h
EXTRA_DIST += %D%/seeds

if FUZZING
fuzz_main =
fuzz_ldflags = -fsanitize=fuzzer
else
fuzz_main = %D%/replay.c
fuzz_ldflags =
endif
fuzz_seeds = $(abs_srcdir)/tests/fuzz/seeds
fuzz_data = $(abs_srcdir)/tests/data
fuzz_jose_libs = libvsattest.la libvsconf.la libvsnet.la libvsjose.la libvscrypto.la libvsbase.la \
	$(JANSSON_LIBS) $(CURL_LIBS) $(SSL_LIBS) $(CRYPTO_LIBS)
fuzz_programs = tests/fuzz/fuzz_token tests/fuzz/fuzz_claims tests/fuzz/fuzz_jwks \
	tests/fuzz/fuzz_policy tests/fuzz/fuzz_json tests/fuzz/fuzz_x509

tests_fuzz_fuzz_token_SOURCES = %D%/fuzz_token.c $(fuzz_main)
tests_fuzz_fuzz_token_CPPFLAGS = $(TEST_CPPFLAGS) -DVS_FUZZ_SEEDS='"$(fuzz_data)/maa/tokens"'
tests_fuzz_fuzz_token_LDFLAGS = $(AM_LDFLAGS) $(fuzz_ldflags)
tests_fuzz_fuzz_token_LDADD = $(fuzz_jose_libs)

tests_fuzz_fuzz_claims_SOURCES = %D%/fuzz_claims.c $(fuzz_main)
tests_fuzz_fuzz_claims_CPPFLAGS = $(TEST_CPPFLAGS) -DVS_FUZZ_SEEDS='"$(fuzz_seeds)/claims"'
tests_fuzz_fuzz_claims_LDFLAGS = $(AM_LDFLAGS) $(fuzz_ldflags)
tests_fuzz_fuzz_claims_LDADD = $(fuzz_jose_libs)

tests_fuzz_fuzz_jwks_SOURCES = %D%/fuzz_jwks.c $(fuzz_main)
tests_fuzz_fuzz_jwks_CPPFLAGS = $(TEST_CPPFLAGS) -DVS_FUZZ_SEEDS='"$(fuzz_data)/maa/jwks"'
tests_fuzz_fuzz_jwks_LDFLAGS = $(AM_LDFLAGS) $(fuzz_ldflags)
tests_fuzz_fuzz_jwks_LDADD = $(fuzz_jose_libs)

tests_fuzz_fuzz_policy_SOURCES = %D%/fuzz_policy.c $(fuzz_main)
tests_fuzz_fuzz_policy_CPPFLAGS = $(TEST_CPPFLAGS) -DVS_FUZZ_SEEDS='"$(fuzz_seeds)/policy"'
tests_fuzz_fuzz_policy_LDFLAGS = $(AM_LDFLAGS) $(fuzz_ldflags)
tests_fuzz_fuzz_policy_LDADD = $(fuzz_jose_libs)

tests_fuzz_fuzz_json_SOURCES = %D%/fuzz_json.c $(fuzz_main)
tests_fuzz_fuzz_json_CPPFLAGS = $(TEST_CPPFLAGS) \
	-DVS_FUZZ_SEEDS='"$(fuzz_seeds)/json:$(fuzz_seeds)/claims:$(fuzz_seeds)/policy"'
tests_fuzz_fuzz_json_LDFLAGS = $(AM_LDFLAGS) $(fuzz_ldflags)
tests_fuzz_fuzz_json_LDADD = $(fuzz_jose_libs)

tests_fuzz_fuzz_x509_SOURCES = %D%/fuzz_x509.c $(fuzz_main)
tests_fuzz_fuzz_x509_CPPFLAGS = $(TEST_CPPFLAGS) -DVS_FUZZ_SEEDS='"$(fuzz_seeds)/x509"'
tests_fuzz_fuzz_x509_LDFLAGS = $(AM_LDFLAGS) $(fuzz_ldflags)
tests_fuzz_fuzz_x509_LDADD = $(fuzz_jose_libs)

check_PROGRAMS += $(fuzz_programs)
if !FUZZING
TESTS += $(fuzz_programs)
endif

.PHONY: fuzz-replay
fuzz-replay: $(fuzz_programs)
	@set -e; for p in $(fuzz_programs); do echo "$$p"; ./$$p; done
