# SPDX-License-Identifier: BSD-2-Clause
# The module over an agent made of data: as a shared object for real clients, and linked into tests.
noinst_HEADERS += tests/fake/fake_client.h %D%/p11.h
fake_sources = tests/fake/fake_client.c
fake_libs = libvstoken.la libvscrypto.la libvsproto.la libvsbase.la $(CRYPTO_LIBS)

check_LTLIBRARIES += %D%/fake-pkcs11.la
tests_module_fake_pkcs11_la_SOURCES = $(module_sources) $(fake_sources)
tests_module_fake_pkcs11_la_CPPFLAGS = $(TEST_CPPFLAGS) -I$(srcdir) $(P11KIT_CFLAGS)
# -rpath makes libtool build a shared object although it is not installed.
tests_module_fake_pkcs11_la_LDFLAGS = $(AM_LDFLAGS) $(module_ldflags) -rpath /nowhere
tests_module_fake_pkcs11_la_LIBADD = $(fake_libs)
