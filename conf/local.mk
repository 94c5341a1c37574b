# SPDX-License-Identifier: BSD-2-Clause
# What is installed beside the programs.
edit_paths = $(SED) -e 's,@libexecdir\@,$(libexecdir),g' -e 's,@sysconfdir\@,$(sysconfdir),g'

systemdunit_DATA = %D%/systemd/vouchsafe-agent.socket conf/systemd/vouchsafe-agent.service
conf/systemd/vouchsafe-agent.service: $(srcdir)/conf/systemd/vouchsafe-agent.service.in Makefile
	@$(MKDIR_P) conf/systemd
	$(AM_V_GEN)$(edit_paths) $(srcdir)/conf/systemd/vouchsafe-agent.service.in >$@
CLEANFILES += conf/systemd/vouchsafe-agent.service

policydir = $(datadir)/vouchsafe/policy
policy_DATA = %D%/policy/azure-cvm-snp.json
EXTRA_DIST += $(policy_DATA) %D%/systemd/vouchsafe-agent.socket %D%/systemd/vouchsafe-agent.service.in \
	%D%/systemd/sysusers.conf %D%/systemd/tmpfiles.conf %D%/logrotate

install-data-hook:
	$(MKDIR_P) '$(DESTDIR)$(prefix)/lib/sysusers.d' '$(DESTDIR)$(prefix)/lib/tmpfiles.d'
	$(INSTALL_DATA) $(srcdir)/conf/systemd/sysusers.conf '$(DESTDIR)$(prefix)/lib/sysusers.d/vouchsafe.conf'
	$(INSTALL_DATA) $(srcdir)/conf/systemd/tmpfiles.conf '$(DESTDIR)$(prefix)/lib/tmpfiles.d/vouchsafe.conf'
uninstall-hook:
	rm -f '$(DESTDIR)$(prefix)/lib/sysusers.d/vouchsafe.conf' '$(DESTDIR)$(prefix)/lib/tmpfiles.d/vouchsafe.conf'

dist_man_MANS += %D%/man/vouchsafe.1 %D%/man/vouchsafe.conf.5 %D%/man/vouchsafe-policy.5 %D%/man/vouchsafe-agent.8 %D%/man/vouchsafe-pkcs11.7
EXTRA_DIST += %D%/vouchsafe.conf
