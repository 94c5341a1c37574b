# SPDX-License-Identifier: BSD-2-Clause
# Libraries in the order that a linker reads them: who uses comes before who is used.
VS_SERVICE_LIBS = libvscheckpoint.la libvsattempt.la libvsgate.la libvskeys.la libvsattest.la libvsevidence.la libvsaudit.la \
	libvsconf.la libvsnet.la libvsjose.la libvsproto.la libvscrypto.la libvsbase.la \
	$(TSS_LIBS) $(CURL_LIBS) $(JANSSON_LIBS) $(SSL_LIBS) $(CRYPTO_LIBS)

bin_PROGRAMS += vouchsafe
vouchsafe_SOURCES = \
	%D%/main.c %D%/cmd.h \
	%D%/cli.c %D%/cli.h %D%/remedy.c %D%/remedy.h \
	%D%/audit.h %D%/audit_bundle.c %D%/audit_show.c %D%/cmd_attest.c %D%/cmd_audit.c %D%/cmd_conf.c %D%/cmd_doctor.c %D%/cmd_evidence.c \
	%D%/doctor.h %D%/doctor_files.c %D%/doctor_machine.c %D%/doctor_services.c %D%/libver.c %D%/libver.h \
	%D%/cmd_gate.c %D%/cmd_policy.c %D%/cmd_policy.h %D%/cmd_policy_record.c %D%/cmd_status.c %D%/cmd_token.c \
	%D%/cmd_volume.c %D%/volume_ask.c %D%/volume_ask.h %D%/volume_header.c %D%/volume_header.h %D%/volume_key.c %D%/volume_key.h \
	%D%/volume_slot.c %D%/volume_slot.h
vouchsafe_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir) $(CRYPTSETUP_CFLAGS)
vouchsafe_LDADD = libvsclient.la $(VS_SERVICE_LIBS) $(CRYPTSETUP_LIBS)

libexec_PROGRAMS += vouchsafe-agent
vouchsafe_agent_SOURCES = %D%/agent.c
vouchsafe_agent_LDADD = libvsagent.la libvscore.la $(VS_SERVICE_LIBS)
EXTRA_DIST += %D%/demo.sh

check_PROGRAMS += tests/unit/test_libver
tests_unit_test_libver_SOURCES = tests/unit/test_libver.c tools/libver.c tools/libver.h
tests_unit_test_libver_CPPFLAGS = $(TEST_CPPFLAGS) -I$(srcdir)
tests_unit_test_libver_LDADD = -lcmocka
TESTS += tests/unit/test_libver

check_PROGRAMS += tests/unit/test_volume_header
tests_unit_test_volume_header_SOURCES = tests/unit/test_volume_header.c tools/volume_header.c
tests_unit_test_volume_header_CPPFLAGS = $(TEST_CPPFLAGS) -I$(srcdir)
tests_unit_test_volume_header_LDADD = libvsjose.la libvscrypto.la libvsbase.la $(JANSSON_LIBS) $(CRYPTO_LIBS) -lcmocka
TESTS += tests/unit/test_volume_header
TESTS += tests/interop/volume.sh
EXTRA_DIST += tests/interop/volume.sh

if CRYPTSETUP
check_PROGRAMS += tests/unit/test_volume_slot
tests_unit_test_volume_slot_SOURCES = tests/unit/test_volume_slot.c tools/volume_header.c tools/volume_slot.c
tests_unit_test_volume_slot_CPPFLAGS = $(TEST_CPPFLAGS) -I$(srcdir) $(CRYPTSETUP_CFLAGS)
tests_unit_test_volume_slot_LDADD = libvsjose.la libvscrypto.la libvsbase.la $(JANSSON_LIBS) $(CRYPTO_LIBS) $(CRYPTSETUP_LIBS) -lcmocka
TESTS += tests/unit/test_volume_slot
endif
