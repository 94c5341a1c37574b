# SPDX-License-Identifier: BSD-2-Clause
# A target per parser. With --enable-fuzzing (clang) they are fuzzers; otherwise they replay their
# seeds and a fixed number of changes, which make check does.
noinst_HEADERS += %D%/fuzz.h
EXTRA_DIST += %D%/seeds %D%/targets %D%/campaign.py

if FUZZING
fuzz_main =
fuzz_ldflags = -fsanitize=fuzzer
else
fuzz_main = %D%/replay.c
fuzz_ldflags =
endif
fuzz_jose_libs = libvsattest.la libvsconf.la libvsnet.la libvsjose.la libvscrypto.la libvsbase.la \
	$(JANSSON_LIBS) $(CURL_LIBS) $(SSL_LIBS) $(CRYPTO_LIBS)
fuzz_programs = tests/fuzz/fuzz_token tests/fuzz/fuzz_claims tests/fuzz/fuzz_jwks \
	tests/fuzz/fuzz_policy tests/fuzz/fuzz_json tests/fuzz/fuzz_x509 tests/fuzz/fuzz_x5c tests/fuzz/fuzz_conf \
	tests/fuzz/fuzz_volume

tests_fuzz_fuzz_token_SOURCES = %D%/fuzz_token.c $(fuzz_main)
tests_fuzz_fuzz_token_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_token_LDFLAGS = $(AM_LDFLAGS) $(fuzz_ldflags)
tests_fuzz_fuzz_token_LDADD = $(fuzz_jose_libs)

tests_fuzz_fuzz_claims_SOURCES = %D%/fuzz_claims.c $(fuzz_main)
tests_fuzz_fuzz_claims_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_claims_LDFLAGS = $(AM_LDFLAGS) $(fuzz_ldflags)
tests_fuzz_fuzz_claims_LDADD = $(fuzz_jose_libs)

tests_fuzz_fuzz_jwks_SOURCES = %D%/fuzz_jwks.c $(fuzz_main)
tests_fuzz_fuzz_jwks_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_jwks_LDFLAGS = $(AM_LDFLAGS) $(fuzz_ldflags)
tests_fuzz_fuzz_jwks_LDADD = $(fuzz_jose_libs)

tests_fuzz_fuzz_policy_SOURCES = %D%/fuzz_policy.c $(fuzz_main)
tests_fuzz_fuzz_policy_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_policy_LDFLAGS = $(AM_LDFLAGS) $(fuzz_ldflags)
tests_fuzz_fuzz_policy_LDADD = $(fuzz_jose_libs)

tests_fuzz_fuzz_json_SOURCES = %D%/fuzz_json.c $(fuzz_main)
tests_fuzz_fuzz_json_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_json_LDFLAGS = $(AM_LDFLAGS) $(fuzz_ldflags)
tests_fuzz_fuzz_json_LDADD = $(fuzz_jose_libs)

tests_fuzz_fuzz_x509_SOURCES = %D%/fuzz_x509.c $(fuzz_main)
tests_fuzz_fuzz_x509_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_x509_LDFLAGS = $(AM_LDFLAGS) $(fuzz_ldflags)
tests_fuzz_fuzz_x509_LDADD = $(fuzz_jose_libs)

tests_fuzz_fuzz_x5c_SOURCES = %D%/fuzz_x5c.c $(fuzz_main)
tests_fuzz_fuzz_x5c_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_x5c_LDFLAGS = $(AM_LDFLAGS) $(fuzz_ldflags) -Wl,--wrap=vs_cert_chain
tests_fuzz_fuzz_x5c_LDADD = $(fuzz_jose_libs)

tests_fuzz_fuzz_conf_SOURCES = %D%/fuzz_conf.c $(fuzz_main)
tests_fuzz_fuzz_conf_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_conf_LDFLAGS = $(AM_LDFLAGS) $(fuzz_ldflags) -Wl,--wrap=vs_file_read,--wrap=vs_ossl_new
tests_fuzz_fuzz_conf_LDADD = libvsclient.la $(fuzz_jose_libs)

tests_fuzz_fuzz_volume_SOURCES = %D%/fuzz_volume.c tools/volume_header.c $(fuzz_main)
tests_fuzz_fuzz_volume_CPPFLAGS = $(TEST_CPPFLAGS) -I$(srcdir)
tests_fuzz_fuzz_volume_LDFLAGS = $(AM_LDFLAGS) $(fuzz_ldflags)
tests_fuzz_fuzz_volume_LDADD = libvsjose.la libvscrypto.la libvsbase.la $(JANSSON_LIBS) $(CRYPTO_LIBS)

check_PROGRAMS += $(fuzz_programs)
if !FUZZING
TESTS += $(fuzz_programs)
endif

fuzz_all_programs = $(fuzz_programs) $(fuzz_crypto_programs) $(fuzz_evidence_programs) $(fuzz_proto_programs) \
	$(fuzz_services_programs) $(fuzz_calls_programs)

fuzz-replay: $(fuzz_all_programs)
	@set -e; for p in $(fuzz_all_programs); do echo "$$p"; ./$$p; done

# A campaign: FUZZ_SECONDS of processor time for each target, FUZZ_JOBS at a time. It goes on where it
# was stopped; FUZZ_ARGS=--only=token,policy picks some.
FUZZ_SECONDS = 600
FUZZ_JOBS = 2
FUZZ_CORPUS = $(abs_builddir)/fuzz-corpus
if FUZZING
fuzz: $(fuzz_all_programs)
	@$(MKDIR_P) '$(FUZZ_CORPUS)'
	@$(PYTHON3) $(srcdir)/tests/fuzz/campaign.py --seconds $(FUZZ_SECONDS) --jobs $(FUZZ_JOBS) $(FUZZ_ARGS) \
		'$(FUZZ_CORPUS)' tests/fuzz
else
fuzz:
	@echo "make fuzz: configure with CC=clang --enable-fuzzing --enable-sanitizers=address,undefined" >&2; exit 1
endif
.PHONY: fuzz fuzz-replay
