# SPDX-License-Identifier: BSD-2-Clause
bin_PROGRAMS += vouchsafe
vouchsafe_SOURCES = \
	%D%/main.c %D%/cmd.h \
	%D%/cli.c %D%/cli.h \
	%D%/cmd_attest.c %D%/cmd_audit.c %D%/cmd_conf.c %D%/cmd_policy.c %D%/cmd_status.c %D%/cmd_token.c
vouchsafe_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)
vouchsafe_LDADD = libvsclient.la libvsgate.la libvskeys.la libvsattest.la libvsevidence.la libvsaudit.la \
	libvsconf.la libvsnet.la libvsjose.la libvsproto.la libvscrypto.la libvsbase.la \
	$(TSS_LIBS) $(CURL_LIBS) $(JANSSON_LIBS) $(SSL_LIBS) $(CRYPTO_LIBS)
