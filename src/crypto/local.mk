# SPDX-License-Identifier: BSD-2-Clause
noinst_LTLIBRARIES += libvscrypto.la
libvscrypto_la_SOURCES = \
	%D%/cipher.c %D%/cipher.h \
	%D%/cipher_internal.h \
	%D%/cipher_run.c \
	%D%/curve.c \
	%D%/der.c %D%/der.h \
	%D%/derive.c %D%/derive.h \
	%D%/ecdsa.c %D%/ecdsa.h \
	%D%/hash.c %D%/hash.h \
	%D%/internal.h \
	%D%/keywrap.c %D%/keywrap.h \
	%D%/ossl.c %D%/ossl.h \
	%D%/pkey.c %D%/pkey.h \
	%D%/pkey_check.c \
	%D%/pkey_import.c \
	%D%/pkey_pkcs8.c \
	%D%/pkey_make.c \
	%D%/rsa_crypt.c %D%/rsa_crypt.h \
	%D%/rsa_pad.c %D%/rsa_pad.h \
	%D%/sign.c %D%/sign.h
libvscrypto_la_CFLAGS = $(AM_CFLAGS) $(CRYPTO_CFLAGS)
libvscrypto_la_LIBADD = $(CRYPTO_LIBS)

EXTRA_DIST += tests/data/wycheproof
noinst_HEADERS += tests/unit/wycheproof.h

check_PROGRAMS += tests/unit/test_crypto_wycheproof
tests_unit_test_crypto_wycheproof_SOURCES = tests/unit/test_crypto_wycheproof.c tests/unit/wycheproof.c
tests_unit_test_crypto_wycheproof_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_crypto_wycheproof_LDADD = libvscrypto.la libvsbase.la $(JANSSON_LIBS) -lcmocka
TESTS += tests/unit/test_crypto_wycheproof

check_PROGRAMS += tests/unit/test_crypto_wycheproof_pk
tests_unit_test_crypto_wycheproof_pk_SOURCES = tests/unit/test_crypto_wycheproof_pk.c tests/unit/wycheproof.c
tests_unit_test_crypto_wycheproof_pk_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_crypto_wycheproof_pk_LDADD = libvscrypto.la libvsbase.la $(JANSSON_LIBS) -lcmocka
TESTS += tests/unit/test_crypto_wycheproof_pk

EXTRA_DIST += tests/data/rsa-implicit-rejection
check_PROGRAMS += tests/unit/test_crypto_rsa
tests_unit_test_crypto_rsa_SOURCES = tests/unit/test_crypto_rsa.c
tests_unit_test_crypto_rsa_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_crypto_rsa_LDADD = libvscrypto.la libvsbase.la $(CRYPTO_LIBS) -lcmocka
TESTS += tests/unit/test_crypto_rsa

check_PROGRAMS += tests/unit/test_crypto_pkey
tests_unit_test_crypto_pkey_SOURCES = tests/unit/test_crypto_pkey.c
tests_unit_test_crypto_pkey_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_crypto_pkey_LDADD = libvscrypto.la libvsbase.la $(CRYPTO_LIBS) -lcmocka
TESTS += tests/unit/test_crypto_pkey

check_PROGRAMS += tests/unit/test_crypto_badkey
tests_unit_test_crypto_badkey_SOURCES = tests/unit/test_crypto_badkey.c
tests_unit_test_crypto_badkey_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_crypto_badkey_LDADD = libvscrypto.la libvsbase.la $(CRYPTO_LIBS) -lcmocka
TESTS += tests/unit/test_crypto_badkey

check_PROGRAMS += tests/unit/test_crypto_keywrap tests/unit/test_crypto_cipher
tests_unit_test_crypto_keywrap_SOURCES = tests/unit/test_crypto_keywrap.c
tests_unit_test_crypto_keywrap_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_crypto_keywrap_LDADD = libvscrypto.la libvsbase.la -lcmocka
tests_unit_test_crypto_cipher_SOURCES = tests/unit/test_crypto_cipher.c
tests_unit_test_crypto_cipher_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_crypto_cipher_LDADD = libvscrypto.la libvsbase.la -lcmocka
TESTS += tests/unit/test_crypto_keywrap tests/unit/test_crypto_cipher

check_PROGRAMS += tests/unit/test_crypto_sign tests/unit/test_crypto_ossl
tests_unit_test_crypto_sign_SOURCES = tests/unit/test_crypto_sign.c
tests_unit_test_crypto_sign_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_crypto_sign_LDADD = libvscrypto.la libvsbase.la $(CRYPTO_LIBS) -lcmocka
tests_unit_test_crypto_ossl_SOURCES = tests/unit/test_crypto_ossl.c
tests_unit_test_crypto_ossl_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_crypto_ossl_LDADD = libvscrypto.la libvsbase.la $(CRYPTO_LIBS) -lcmocka
TESTS += tests/unit/test_crypto_sign tests/unit/test_crypto_ossl

check_PROGRAMS += tests/unit/test_crypto_faults
tests_unit_test_crypto_faults_SOURCES = tests/unit/test_crypto_faults.c
tests_unit_test_crypto_faults_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_crypto_faults_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc
tests_unit_test_crypto_faults_LDADD = libvscrypto.la libvsbase.la $(CRYPTO_LIBS) -lcmocka
TESTS += tests/unit/test_crypto_faults
