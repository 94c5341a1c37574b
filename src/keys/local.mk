# SPDX-License-Identifier: BSD-2-Clause
noinst_LTLIBRARIES += libvskeys.la
libvskeys_la_SOURCES = \
	%D%/cred.c %D%/cred.h %D%/cred_impl.h \
	%D%/cred_imds.c \
	%D%/cred_entra.c \
	%D%/cred_cert.c \
	%D%/akv.c %D%/akv.h %D%/akv_impl.h \
	%D%/jwk.c \
	%D%/catalog.c \
	%D%/keysource.c %D%/probe.c \
	%D%/known.c \
	%D%/release.c %D%/release.h

keys_test_libs = libvskeys.la libvsnet.la libvsjose.la libvscrypto.la libvsproto.la libvsbase.la \
	$(JANSSON_LIBS) $(CURL_LIBS) $(SSL_LIBS) $(CRYPTO_LIBS) -lcmocka

check_PROGRAMS += tests/unit/test_keys_release
tests_unit_test_keys_release_SOURCES = tests/unit/test_keys_release.c tests/unit/releasekit.c \
	tests/unit/releasekit.h tests/unit/netkit.c tests/unit/netkit.h \
	tests/evidence/bytes.c tests/evidence/bytes.h tests/evidence/data.c tests/evidence/data.h
tests_unit_test_keys_release_CPPFLAGS = $(TEST_CPPFLAGS) $(SSL_CFLAGS)
tests_unit_test_keys_release_LDADD = $(keys_test_libs)
TESTS += tests/unit/test_keys_release
EXTRA_DIST += \
	tests/data/keyvault/README.md \
	tests/data/keyvault/authority-unreachable-akv-7.3.json \
	tests/data/keyvault/create-oct-mhsm-7.3-preview.json \
	tests/data/keyvault/immutable-policy-akv-7.3.json \
	tests/data/keyvault/immutable-policy-mhsm-7.3.json \
	tests/data/keyvault/list-keys-akv-7.3.json \
	tests/data/keyvault/list-keys-mhsm-7.3.json \
	tests/data/keyvault/list-versions-akv-7.3.json \
	tests/data/keyvault/release-akv-p256-wrap256-7.3.json \
	tests/data/keyvault/release-akv-p256k-version-7.3.json \
	tests/data/keyvault/release-jws.json \
	tests/data/keyvault/release-mhsm-p256k-version-7.3.json \
	tests/data/keyvault/release-refused-akv-7.3-preview.json

check_PROGRAMS += tests/unit/test_keys_cred
tests_unit_test_keys_cred_SOURCES = tests/unit/test_keys_cred.c tests/unit/webkit.c tests/unit/webkit.h \
	tests/unit/netkit.c tests/unit/netkit.h
tests_unit_test_keys_cred_CPPFLAGS = $(TEST_CPPFLAGS) $(SSL_CFLAGS)
tests_unit_test_keys_cred_LDADD = $(keys_test_libs)
TESTS += tests/unit/test_keys_cred

check_PROGRAMS += tests/unit/test_keys_akv
tests_unit_test_keys_akv_SOURCES = tests/unit/test_keys_akv.c tests/unit/webkit.c tests/unit/webkit.h \
	tests/unit/netkit.c tests/unit/netkit.h tests/unit/releasekit.c tests/unit/releasekit.h
tests_unit_test_keys_akv_CPPFLAGS = $(TEST_CPPFLAGS) $(SSL_CFLAGS)
tests_unit_test_keys_akv_LDADD = $(keys_test_libs)
TESTS += tests/unit/test_keys_akv

check_PROGRAMS += tests/unit/test_keys_catalog
tests_unit_test_keys_catalog_SOURCES = tests/unit/test_keys_catalog.c tests/unit/webkit.c tests/unit/webkit.h \
	tests/unit/netkit.c tests/unit/netkit.h tests/unit/releasekit.c tests/unit/releasekit.h
tests_unit_test_keys_catalog_CPPFLAGS = $(TEST_CPPFLAGS) $(SSL_CFLAGS)
tests_unit_test_keys_catalog_LDADD = $(keys_test_libs)
TESTS += tests/unit/test_keys_catalog

check_PROGRAMS += tests/unit/test_keys_recorded
tests_unit_test_keys_recorded_SOURCES = tests/unit/test_keys_recorded.c tests/unit/releasekit.c \
	tests/unit/releasekit.h tests/unit/netkit.c tests/unit/netkit.h \
	tests/evidence/bytes.c tests/evidence/bytes.h tests/evidence/data.c tests/evidence/data.h
tests_unit_test_keys_recorded_CPPFLAGS = $(TEST_CPPFLAGS) $(SSL_CFLAGS)
tests_unit_test_keys_recorded_LDADD = $(keys_test_libs)
TESTS += tests/unit/test_keys_recorded
