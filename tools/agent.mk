# SPDX-License-Identifier: BSD-2-Clause
# Tests of the agent as a process; the program itself is in local.mk.
VS_AGENT_LIBS = libvsagent.la libvscore.la
VS_DECIDE_LIBS = libvsgate.la libvsconf.la libvsjose.la libvscrypto.la libvsproto.la libvsbase.la

# The same program with services and an audit log made of data.
check_PROGRAMS += tests/agent/agent-of-data
tests_agent_agent_of_data_SOURCES = %D%/agent.c tests/fake/fake_services.c tests/fake/fake_audit.c
tests_agent_agent_of_data_CPPFLAGS = $(TEST_CPPFLAGS)
tests_agent_agent_of_data_LDADD = $(VS_AGENT_LIBS) $(VS_DECIDE_LIBS) $(JANSSON_LIBS) $(CRYPTO_LIBS)

check_PROGRAMS += tests/agent/test_agent
tests_agent_test_agent_SOURCES = tests/agent/test_agent.c
tests_agent_test_agent_CPPFLAGS = $(TEST_CPPFLAGS)
tests_agent_test_agent_LDADD = libvsclient.la libvsproto.la libvsbase.la -lcmocka
TESTS += tests/agent/test_agent

check_PROGRAMS += tests/agent/elevated
tests_agent_elevated_SOURCES = tests/agent/elevated.c
tests_agent_elevated_CPPFLAGS = $(TEST_CPPFLAGS)
tests_agent_elevated_LDADD = libvsclient.la libvsproto.la libvsbase.la

check_PROGRAMS += tests/agent/watch
tests_agent_watch_SOURCES = tests/agent/watch.c
tests_agent_watch_CPPFLAGS = $(TEST_CPPFLAGS)
tests_agent_watch_LDADD = libvsclient.la libvsproto.la libvsbase.la

TESTS += tests/agent/lab.sh
EXTRA_DIST += tests/agent/lab.sh
