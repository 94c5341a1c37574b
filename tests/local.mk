# SPDX-License-Identifier: BSD-2-Clause
# Tests that belong to no single source folder. Unit tests are listed in src/<folder>/local.mk.
noinst_HEADERS += %D%/unit/unit.h

rules = %D%/rules/kubernetes.py %D%/interop/completion.sh %D%/rules/conf-man.py %D%/rules/layers.py %D%/rules/words.py %D%/rules/headers.sh
TESTS += $(rules)
EXTRA_DIST += $(rules) \
	%D%/data/kubernetes/README.md %D%/data/kubernetes/LICENSE %D%/data/kubernetes/pick.py \
	%D%/data/kubernetes/apps-v1.json %D%/data/kubernetes/core-v1.json %D%/data/kubernetes/kustomization.json
AM_TESTS_ENVIRONMENT += CC='$(CC)'; export CC; \
	VS_SYSCONFDIR='$(sysconfdir)'; export VS_SYSCONFDIR; VS_LIBEXECDIR='$(libexecdir)'; export VS_LIBEXECDIR; \
	VS_RUNSTATEDIR='$(runstatedir)'; export VS_RUNSTATEDIR; VS_LOCALSTATEDIR='$(localstatedir)'; export VS_LOCALSTATEDIR; \
	VS_HEADER_CFLAGS='$(TSS_CFLAGS) $(P11KIT_CFLAGS) $(JANSSON_CFLAGS)'; export VS_HEADER_CFLAGS;

# Real clients against a lab of their own; each says what it needs.
interop = \
	%D%/interop/observe.sh \
	%D%/interop/doctor.sh \
	%D%/interop/pkcs11-tool.sh \
	%D%/interop/gnutls.sh \
	%D%/interop/openssl-engine.sh \
	%D%/interop/ssh.sh \
	%D%/interop/refusals.sh \
	%D%/interop/cli.sh \
	%D%/interop/gate.sh \
	%D%/interop/services.sh \
	%D%/interop/bad-input.sh \
	%D%/interop/leaks.sh \
	%D%/interop/audit.sh %D%/interop/audit-events.sh %D%/interop/audit-export.sh \
	%D%/interop/p11-kit.sh \
	%D%/interop/gnutls-serv.sh \
	%D%/interop/openssl-server.sh \
	%D%/interop/ssh-agent.sh \
	%D%/interop/nginx.sh \
	%D%/interop/secrets.sh \
	%D%/interop/races.sh
TESTS += $(interop)
EXTRA_DIST += $(interop) %D%/interop/lib.sh %D%/interop/loopback.c
check_PROGRAMS += tests/interop/client
tests_interop_client_SOURCES = %D%/interop/client.c
tests_interop_client_CPPFLAGS = $(AM_CPPFLAGS) $(P11KIT_CFLAGS)
tests_interop_client_LDADD = -ldl

# Consumers with big packages, in a target of their own: nothing is installed; what is missing is
# said and skipped. Results: check-interop.log.
interop_more = \
	%D%/interop/java.sh \
	%D%/interop/apache.sh \
	%D%/interop/stunnel.sh \
	%D%/interop/nss.sh \
	%D%/interop/gnupg.sh \
	%D%/interop/strongswan.sh \
	%D%/interop/cryptenroll.sh \
	%D%/interop/pykcs11.sh \
	%D%/interop/examples.sh \
	%D%/interop/provider.sh \
	%D%/interop/provider-suite.sh \
	%D%/interop/conformance.sh \
	%D%/interop/libp11.sh \
	%D%/interop/profiles.sh
EXTRA_DIST += $(interop_more) %D%/interop/profiles.py %D%/interop/Token.java %D%/interop/conformance.md
CLEANFILES += check-interop.log
check-interop: all $(check_PROGRAMS)
	@VS_SRCDIR='$(abs_srcdir)' VS_BUILDDIR='$(abs_builddir)'; export VS_SRCDIR VS_BUILDDIR; \
	pass=0 skip=0 failed=; : >check-interop.log; \
	for t in $(interop_more); do \
		rc=0; sh $(srcdir)/$$t >check-interop.part 2>&1 </dev/null || rc=$$?; \
		{ echo "=== $$t: $$rc"; cat check-interop.part; } >>check-interop.log; \
		case $$rc in \
		0) pass=$$((pass + 1)); echo "PASS: $$t ($$(grep -c '^ok' check-interop.part) checks)" ;; \
		77) skip=$$((skip + 1)); echo "SKIP: $$t: $$(tail -n 1 check-interop.part)" ;; \
		*) failed="$$failed $$t"; echo "FAIL: $$t"; grep -v '^{' check-interop.part | tail -n 20 ;; \
		esac; \
	done; rm -f check-interop.part; \
	echo "check-interop: $$pass passed, $$skip skipped, failed:$${failed:- none}"; \
	test -z "$$failed"
.PHONY: check-interop
