# SPDX-License-Identifier: BSD-2-Clause
# What comes over the socket between module and agent, and from the host of the module.
fuzz_proto_programs = tests/fuzz/fuzz_proto tests/fuzz/fuzz_client tests/fuzz/fuzz_agent tests/fuzz/fuzz_module

tests_fuzz_fuzz_proto_SOURCES = %D%/fuzz_proto.c $(fuzz_main)
tests_fuzz_fuzz_proto_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_proto_LDFLAGS = $(AM_LDFLAGS) $(fuzz_ldflags)
tests_fuzz_fuzz_proto_LDADD = libvsproto.la libvsbase.la

tests_fuzz_fuzz_client_SOURCES = %D%/fuzz_client.c $(fuzz_main)
tests_fuzz_fuzz_client_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_client_LDFLAGS = $(AM_LDFLAGS) $(fuzz_ldflags) -Wl,--wrap=connect,--wrap=send
tests_fuzz_fuzz_client_LDADD = libvsclient.la libvsproto.la libvsbase.la

tests_fuzz_fuzz_agent_SOURCES = %D%/fuzz_agent.c $(fuzz_main)
tests_fuzz_fuzz_agent_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_agent_LDFLAGS = $(AM_LDFLAGS) $(fuzz_ldflags)
tests_fuzz_fuzz_agent_LDADD = libvsagent.la libvscore.la libvsgate.la libvsproto.la libvsbase.la

tests_fuzz_fuzz_module_SOURCES = %D%/fuzz_module.c $(fuzz_main)
tests_fuzz_fuzz_module_CPPFLAGS = $(fake_cppflags)
tests_fuzz_fuzz_module_LDFLAGS = $(AM_LDFLAGS) $(fuzz_ldflags)
tests_fuzz_fuzz_module_LDADD = tests/module/libfakemodule.la $(fake_libs)

check_PROGRAMS += $(fuzz_proto_programs)
if !FUZZING
TESTS += $(fuzz_proto_programs)
endif
