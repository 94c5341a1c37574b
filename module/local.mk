# SPDX-License-Identifier: BSD-2-Clause
# What the shared object is made of; the check-only variant in tests/module has other friends.
module_sources = \
	%D%/api.h \
	%D%/api_crypto.c \
	%D%/api_general.c \
	%D%/api_key.c \
	%D%/api_message.c \
	%D%/api_object.c \
	%D%/entry.c
module_ldflags = -module -avoid-version -no-undefined -Wl,-z,nodelete -Wl,-Bsymbolic \
	-Wl,--version-script=$(srcdir)/module/vouchsafe-pkcs11.map
EXTRA_DIST += %D%/vouchsafe-pkcs11.map

pkcs11module_LTLIBRARIES += vouchsafe-pkcs11.la
vouchsafe_pkcs11_la_SOURCES = $(module_sources)
vouchsafe_pkcs11_la_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir) $(P11KIT_CFLAGS)
vouchsafe_pkcs11_la_LDFLAGS = $(AM_LDFLAGS) $(module_ldflags)
vouchsafe_pkcs11_la_LIBADD = libvstoken.la libvscrypto.la libvsclient.la libvsproto.la libvsbase.la $(CRYPTO_LIBS)
vouchsafe_pkcs11_la_DEPENDENCIES = libvstoken.la libvscrypto.la libvsclient.la libvsproto.la libvsbase.la \
	$(srcdir)/module/vouchsafe-pkcs11.map

# p11-kit finds the module by this file.
p11moduledir = $(p11_module_configs)
nodist_p11module_DATA = %D%/vouchsafe.module
CLEANFILES += %D%/vouchsafe.module
EXTRA_DIST += %D%/vouchsafe.module.in
%D%/vouchsafe.module: $(srcdir)/%D%/vouchsafe.module.in Makefile
	$(AM_V_GEN)$(MKDIR_P) %D% && sed 's|@pkcs11moduledir[@]|$(pkcs11moduledir)|' $(srcdir)/%D%/vouchsafe.module.in > $@
AM_DISTCHECK_CONFIGURE_FLAGS = --with-p11-module-configs=$$dc_install_base/share/p11-kit/modules
