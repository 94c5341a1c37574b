# SPDX-License-Identifier: BSD-2-Clause
# The module over an agent made of data: as a shared object for real clients, and linked into tests.
noinst_HEADERS += tests/fake/fake_client.h %D%/p11.h
fake_cppflags = $(TEST_CPPFLAGS) -I$(srcdir) $(P11KIT_CFLAGS)
fake_libs = libvstoken.la libvscrypto.la libvsproto.la libvsbase.la $(CRYPTO_LIBS)

check_LTLIBRARIES += %D%/libfakemodule.la
tests_module_libfakemodule_la_SOURCES = $(module_sources) tests/fake/fake_client.c
tests_module_libfakemodule_la_CPPFLAGS = $(fake_cppflags)

check_LTLIBRARIES += %D%/fake-pkcs11.la
tests_module_fake_pkcs11_la_SOURCES =
# -rpath makes libtool build a shared object although it is not installed.
tests_module_fake_pkcs11_la_LDFLAGS = $(AM_LDFLAGS) $(module_ldflags) -rpath /nowhere
tests_module_fake_pkcs11_la_LIBADD = %D%/libfakemodule.la $(fake_libs)

fake_ldadd = %D%/libfakemodule.la $(fake_libs) -lcmocka
module_tests = %D%/test_general %D%/test_gate %D%/test_crypto %D%/test_objects \
	%D%/test_manners %D%/test_memory %D%/test_padding %D%/test_dual %D%/test_message %D%/test_recover \
	%D%/test_standard %D%/test_nested %D%/test_templates %D%/test_wycheproof %D%/test_wycheproof_pk
check_PROGRAMS += $(module_tests)
TESTS += $(module_tests)
tests_module_test_nested_SOURCES = %D%/test_nested.c %D%/p11.c
tests_module_test_nested_CPPFLAGS = $(fake_cppflags)
tests_module_test_nested_LDADD = $(fake_ldadd)
tests_module_test_general_SOURCES = %D%/test_general.c %D%/p11.c
tests_module_test_general_CPPFLAGS = $(fake_cppflags)
tests_module_test_general_LDADD = $(fake_ldadd)
tests_module_test_gate_SOURCES = %D%/test_gate.c %D%/p11.c
tests_module_test_gate_CPPFLAGS = $(fake_cppflags)
tests_module_test_gate_LDADD = $(fake_ldadd)
tests_module_test_crypto_SOURCES = %D%/test_crypto.c %D%/p11.c
tests_module_test_crypto_CPPFLAGS = $(fake_cppflags)
tests_module_test_crypto_LDADD = $(fake_ldadd)
tests_module_test_objects_SOURCES = %D%/test_objects.c %D%/p11.c
tests_module_test_objects_CPPFLAGS = $(fake_cppflags)
tests_module_test_objects_LDADD = $(fake_ldadd)
tests_module_test_padding_SOURCES = %D%/test_padding.c %D%/p11.c
tests_module_test_padding_CPPFLAGS = $(fake_cppflags)
tests_module_test_padding_LDADD = $(fake_ldadd)
tests_module_test_dual_SOURCES = %D%/test_dual.c %D%/p11.c
tests_module_test_dual_CPPFLAGS = $(fake_cppflags)
tests_module_test_dual_LDADD = $(fake_ldadd)
tests_module_test_message_SOURCES = %D%/test_message.c %D%/p11.c
tests_module_test_message_CPPFLAGS = $(fake_cppflags)
tests_module_test_message_LDADD = $(fake_ldadd)
tests_module_test_recover_SOURCES = %D%/test_recover.c %D%/p11.c
tests_module_test_recover_CPPFLAGS = $(fake_cppflags)
tests_module_test_recover_LDADD = $(fake_ldadd)
tests_module_test_wycheproof_SOURCES = %D%/test_wycheproof.c %D%/p11.c tests/unit/wycheproof.c
tests_module_test_wycheproof_CPPFLAGS = $(fake_cppflags)
tests_module_test_wycheproof_LDADD = $(fake_ldadd) $(JANSSON_LIBS)
tests_module_test_wycheproof_pk_SOURCES = %D%/test_wycheproof_pk.c %D%/p11.c tests/unit/wycheproof.c
tests_module_test_wycheproof_pk_CPPFLAGS = $(fake_cppflags)
tests_module_test_wycheproof_pk_LDADD = $(fake_ldadd) $(JANSSON_LIBS)
tests_module_test_standard_SOURCES = %D%/test_standard.c %D%/p11.c
tests_module_test_standard_CPPFLAGS = $(fake_cppflags)
tests_module_test_standard_LDADD = $(fake_ldadd)
tests_module_test_templates_SOURCES = %D%/test_templates.c %D%/p11.c
tests_module_test_templates_CPPFLAGS = $(fake_cppflags)
tests_module_test_templates_LDADD = $(fake_ldadd)
tests_module_test_memory_SOURCES = %D%/test_memory.c %D%/p11.c
tests_module_test_memory_CPPFLAGS = $(fake_cppflags)
tests_module_test_memory_LDADD = $(fake_ldadd)
tests_module_test_manners_SOURCES = %D%/test_manners.c %D%/p11.c
tests_module_test_manners_CPPFLAGS = $(fake_cppflags)
tests_module_test_manners_LDADD = $(fake_ldadd)

TESTS += tests/rules/check-module.sh %D%/clients.sh %D%/java.sh
EXTRA_DIST += tests/rules/check-module.sh %D%/clients.sh %D%/java.sh %D%/Client.java

# Threads: a short run always. make check-threads (also by make check-full) takes minutes: the long
# run, and the same under ThreadSanitizer and under helgrind, which is a thousand times slower and
# therefore gets longer leases. The same races are found without the history of accesses, which would
# only say where the other one was: HELGRIND_HISTORY=full for that.
check_PROGRAMS += %D%/stress
TESTS += %D%/stress
tests_module_stress_SOURCES = %D%/stress.c
tests_module_stress_CPPFLAGS = $(fake_cppflags)
tests_module_stress_LDADD = %D%/libfakemodule.la $(fake_libs)
# Habits of hosts; ten thousand forks by make check-threads.
check_PROGRAMS += %D%/guest
TESTS += %D%/guest
tests_module_guest_SOURCES = %D%/guest.c
tests_module_guest_CPPFLAGS = $(fake_cppflags)
tests_module_guest_CFLAGS = $(AM_CFLAGS) $(CRYPTO_CFLAGS)
tests_module_guest_LDADD = $(CRYPTO_LIBS) -ldl
EXTRA_tests_module_guest_DEPENDENCIES = %D%/fake-pkcs11.la
STRESS_THREADS = 64
STRESS_OPERATIONS = 10000
HELGRIND_OPERATIONS = $(STRESS_OPERATIONS)
HELGRIND_SLOWER = 500
HELGRIND_HISTORY = none
EXTRA_DIST += %D%/helgrind.supp
check-full: check-threads
check-threads: tests/module/stress tests/module/guest
	tests/module/stress $(STRESS_THREADS) $(STRESS_OPERATIONS)
	tests/module/guest 10000
	$(MKDIR_P) build-threads
	cd build-threads && { test -f Makefile || $(abs_srcdir)/configure -q --enable-sanitizers=thread \
		CC='$(CC)' CFLAGS='-O1 -g'; } && $(MAKE) -s tests/module/stress
	cd build-threads && TSAN_OPTIONS=halt_on_error=0:exitcode=66 \
		tests/module/stress $(STRESS_THREADS) $(STRESS_OPERATIONS)
	$(MAKE) -s check-helgrind
check-helgrind:
	@command -v valgrind >/dev/null || { echo 'check-helgrind needs valgrind and its headers'; exit 1; }
	$(MKDIR_P) build-helgrind
	cd build-helgrind && { test -f Makefile || $(abs_srcdir)/configure -q --enable-valgrind \
		CC='$(CC)' CFLAGS='-O1 -g'; } && $(MAKE) -s tests/module/stress
	cd build-helgrind && valgrind --tool=helgrind --history-level=$(HELGRIND_HISTORY) --error-exitcode=67 \
		--suppressions=$(abs_srcdir)/tests/module/helgrind.supp \
		tests/module/stress $(STRESS_THREADS) $(HELGRIND_OPERATIONS) $(HELGRIND_SLOWER)
.PHONY: check-full check-threads check-helgrind
