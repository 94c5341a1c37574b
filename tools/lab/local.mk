# SPDX-License-Identifier: BSD-2-Clause
# The lab: a program of its own; nothing of it is linked into module, agent or CLI.
# The machine's and the attestation service's half lists its files in machine.mk.
LAB_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/tools $(SSL_CFLAGS) $(CRYPTO_CFLAGS) $(JANSSON_CFLAGS) \
	-DLAB_PKCS11DIR='"$(pkcs11moduledir)"'
noinst_LTLIBRARIES += libvslab.la
libvslab_la_SOURCES = \
	%D%/lab.h \
	%D%/lab_args.c %D%/lab_args.h \
	%D%/lab_authority.c %D%/lab_authority.h \
	%D%/lab_cert.c \
	%D%/lab_certs.c %D%/lab_certs.h \
	%D%/lab_cmd.c \
	%D%/lab_conn.c %D%/lab_conn.h \
	%D%/lab_create.c \
	%D%/lab_ctl.c %D%/lab_ctl.h \
	%D%/lab_entra.c %D%/lab_entra.h \
	%D%/lab_fault.c %D%/lab_fault.h \
	%D%/lab_get.c \
	%D%/lab_http.c %D%/lab_http.h \
	%D%/lab_imds.c %D%/lab_imds_doc.c %D%/lab_arc.c \
	%D%/lab_jwk.c %D%/lab_jwk.h \
	%D%/lab_jwt.c %D%/lab_jwt.h \
	%D%/lab_keygen.c %D%/lab_keygen.h \
	%D%/lab_keys.c \
	%D%/lab_lie.c %D%/lab_lie.h \
	%D%/lab_list.c \
	%D%/lab_login.c \
	%D%/lab_pki.c %D%/lab_pki.h \
	%D%/lab_release.c \
	%D%/lab_req.c %D%/lab_req.h \
	%D%/lab_resp.c \
	%D%/lab_run.c %D%/lab_run.h \
	%D%/lab_skr.c %D%/lab_skr.h \
	%D%/lab_state.c %D%/lab_state.h \
	%D%/lab_up.c %D%/lab_up.h \
	%D%/lab_util.c \
	%D%/lab_vault.c %D%/lab_vault.h \
	%D%/lab_vault_crypt.c %D%/lab_vault_extra.c
libvslab_la_CPPFLAGS = $(LAB_CPPFLAGS)

bin_PROGRAMS += vouchsafe-lab
vouchsafe_lab_SOURCES = %D%/lab.c
vouchsafe_lab_CPPFLAGS = $(LAB_CPPFLAGS)
vouchsafe_lab_LDADD = libvslab.la $(LABMACHINE_LIBS)

# Tests of the built program, from outside.
check_LTLIBRARIES += libvslabkit.la
libvslabkit_la_SOURCES = tests/lab/labkit.c tests/lab/labkit.h
libvslabkit_la_CPPFLAGS = $(TEST_CPPFLAGS) $(JANSSON_CFLAGS) $(CURL_CFLAGS)
LABKIT_CPPFLAGS = $(TEST_CPPFLAGS) -I$(srcdir)/tools $(JANSSON_CFLAGS) $(CRYPTO_CFLAGS)
LABKIT_LDADD = libvslabkit.la libvsbase.la $(CURL_LIBS) $(JANSSON_LIBS) -lcmocka

check_PROGRAMS += tests/lab/test_lab_vault
tests_lab_test_lab_vault_SOURCES = tests/lab/test_lab_vault.c
tests_lab_test_lab_vault_CPPFLAGS = $(LABKIT_CPPFLAGS)
tests_lab_test_lab_vault_LDADD = $(LABKIT_LDADD)
TESTS += tests/lab/test_lab_vault

check_PROGRAMS += tests/lab/test_lab_crypt
tests_lab_test_lab_crypt_SOURCES = tests/lab/test_lab_crypt.c
tests_lab_test_lab_crypt_CPPFLAGS = $(LABKIT_CPPFLAGS)
tests_lab_test_lab_crypt_LDADD = $(LABKIT_LDADD)
TESTS += tests/lab/test_lab_crypt

check_PROGRAMS += tests/lab/test_lab_release
tests_lab_test_lab_release_SOURCES = tests/lab/test_lab_release.c
tests_lab_test_lab_release_CPPFLAGS = $(LABKIT_CPPFLAGS)
tests_lab_test_lab_release_LDADD = libvslab.la $(LABKIT_LDADD) $(CRYPTO_LIBS)
TESTS += tests/lab/test_lab_release

check_PROGRAMS += tests/lab/test_lab_login
tests_lab_test_lab_login_SOURCES = tests/lab/test_lab_login.c
tests_lab_test_lab_login_CPPFLAGS = $(LABKIT_CPPFLAGS)
tests_lab_test_lab_login_LDADD = libvslab.la $(LABKIT_LDADD) $(CRYPTO_LIBS)
TESTS += tests/lab/test_lab_login

check_PROGRAMS += tests/lab/test_lab_faults
tests_lab_test_lab_faults_SOURCES = tests/lab/test_lab_faults.c
tests_lab_test_lab_faults_CPPFLAGS = $(LABKIT_CPPFLAGS) $(CURL_CFLAGS)
tests_lab_test_lab_faults_LDADD = $(LABKIT_LDADD)
TESTS += tests/lab/test_lab_faults

EXTRA_DIST += tests/lab/test_lab_life.sh
TESTS += tests/lab/test_lab_life.sh

# The vendor's clients come from the npm registry, so they are no part of make check.
EXTRA_DIST += tests/lab/test_lab_sdk.sh tests/lab/sdk/clients.js tests/lab/sdk/attestation.js \
	tests/lab/sdk/package.json tests/lab/sdk/package-lock.json
NPM = npm
check-sdk: vouchsafe-lab
	$(MKDIR_P) check-sdk
	cp $(srcdir)/tests/lab/sdk/package.json $(srcdir)/tests/lab/sdk/package-lock.json check-sdk/
	cd check-sdk && $(NPM) ci --ignore-scripts --no-audit --no-fund
	VS_SRCDIR='$(abs_srcdir)' VS_BUILDDIR='$(abs_builddir)' sh $(srcdir)/tests/lab/test_lab_sdk.sh
clean-local: clean-sdk
clean-sdk:
	rm -rf check-sdk
.PHONY: check-sdk clean-sdk

# A sample of the fault matrix; all of it takes minutes.
TESTS += tests/lab/matrix.sh tests/lab/bcdr.sh tests/lab/mixed.sh
EXTRA_DIST += tests/lab/matrix.sh tests/lab/faults.py tests/lab/bcdr.sh tests/lab/mixed.sh
check-full: check-full-faults
check-full-faults: all tests/interop/client
	MATRIX=0/1 VS_SRCDIR='$(abs_srcdir)' VS_BUILDDIR='$(abs_builddir)' sh $(srcdir)/tests/lab/matrix.sh
.PHONY: check-full check-full-faults

TESTS += tests/lab/replay.sh
EXTRA_DIST += tests/lab/replay.sh tests/lab/recordings.py tests/lab/recordings_wire.py \
	tests/data/keyvault/sdk-wire-js.json tests/data/keyvault/release-akv-p256k-ckm-7.4.json \
	tests/data/keyvault/release-mhsm-p256k-ckm-7.4.json \
	tests/data/keyvault/immutable-policy-mhsm-7.3.json tests/data/keyvault/list-keys-akv-7.3.json \
	tests/data/keyvault/list-keys-mhsm-7.3.json tests/data/keyvault/list-versions-akv-7.3.json

dist_man_MANS += %D%/vouchsafe-lab.1
EXTRA_DIST += tests/lab/test_lab_manual.sh
TESTS += tests/lab/test_lab_manual.sh

check_PROGRAMS += tests/lab/test_lab_rsa
tests_lab_test_lab_rsa_SOURCES = tests/lab/test_lab_rsa.c
tests_lab_test_lab_rsa_CPPFLAGS = $(LABKIT_CPPFLAGS)
tests_lab_test_lab_rsa_LDADD = libvslabmachine.la $(CRYPTO_LIBS) -lcmocka
TESTS += tests/lab/test_lab_rsa
