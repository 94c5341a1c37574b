# SPDX-License-Identifier: BSD-2-Clause
# What is installed beside the programs. Every folder can be chosen at configure or make time, so
# files that name folders are made by make, not by configure.
edit_paths = $(AM_V_GEN)$(MKDIR_P) $(@D) && $(SED) -e 's,@prefix[@],$(prefix),g' -e 's,@exec_prefix[@],$(exec_prefix),g' \
	-e 's,@bindir[@],$(bindir),g' -e 's,@libdir[@],$(libdir),g' -e 's,@libexecdir[@],$(libexecdir),g' \
	-e 's,@sysconfdir[@],$(sysconfdir),g' -e 's,@localstatedir[@],$(localstatedir),g' \
	-e 's,@runstatedir[@],$(runstatedir),g' -e 's,@pkcs11moduledir[@],$(pkcs11moduledir),g' \
	-e 's,@PACKAGE_VERSION[@],$(PACKAGE_VERSION),g'

made_from_in = \
	conf/systemd/vouchsafe-agent.socket conf/systemd/vouchsafe-agent.service conf/systemd/vouchsafe-volume@.service \
	conf/initramfs/hooks/vouchsafe conf/initramfs/local-top/vouchsafe conf/initramfs/local-bottom/vouchsafe \
	conf/sysusers.d/vouchsafe.conf conf/tmpfiles.d/vouchsafe.conf conf/logrotate.d/vouchsafe \
	conf/vouchsafe.pc
CLEANFILES += $(made_from_in)
EXTRA_DIST += \
	%D%/systemd/vouchsafe-agent.socket.in %D%/systemd/vouchsafe-agent.service.in \
	%D%/systemd/vouchsafe-volume@.service.in \
	%D%/initramfs/hook.in %D%/initramfs/local-top.in %D%/initramfs/local-bottom.in \
	%D%/systemd/sysusers.conf.in %D%/systemd/tmpfiles.conf.in %D%/logrotate.in %D%/vouchsafe.pc.in

systemdunit_DATA = conf/systemd/vouchsafe-agent.socket conf/systemd/vouchsafe-agent.service conf/systemd/vouchsafe-volume@.service
conf/systemd/vouchsafe-volume@.service: $(srcdir)/%D%/systemd/vouchsafe-volume@.service.in Makefile
	$(edit_paths) $(srcdir)/conf/systemd/vouchsafe-volume@.service.in >$@

# For initramfs-tools, which runs what is executable.
inithookdir = $(datadir)/initramfs-tools/hooks
inithook_SCRIPTS = conf/initramfs/hooks/vouchsafe
inittopdir = $(datadir)/initramfs-tools/scripts/local-top
inittop_SCRIPTS = conf/initramfs/local-top/vouchsafe
initbottomdir = $(datadir)/initramfs-tools/scripts/local-bottom
initbottom_SCRIPTS = conf/initramfs/local-bottom/vouchsafe
conf/initramfs/hooks/vouchsafe: $(srcdir)/%D%/initramfs/hook.in Makefile
	$(edit_paths) $(srcdir)/conf/initramfs/hook.in >$@ && chmod +x $@
conf/initramfs/local-top/vouchsafe: $(srcdir)/%D%/initramfs/local-top.in Makefile
	$(edit_paths) $(srcdir)/conf/initramfs/local-top.in >$@ && chmod +x $@
conf/initramfs/local-bottom/vouchsafe: $(srcdir)/%D%/initramfs/local-bottom.in Makefile
	$(edit_paths) $(srcdir)/conf/initramfs/local-bottom.in >$@ && chmod +x $@
conf/systemd/vouchsafe-agent.socket: $(srcdir)/%D%/systemd/vouchsafe-agent.socket.in Makefile
	$(edit_paths) $(srcdir)/conf/systemd/vouchsafe-agent.socket.in >$@
conf/systemd/vouchsafe-agent.service: $(srcdir)/%D%/systemd/vouchsafe-agent.service.in Makefile
	$(edit_paths) $(srcdir)/conf/systemd/vouchsafe-agent.service.in >$@

sysusersdir = $(prefix)/lib/sysusers.d
sysusers_DATA = conf/sysusers.d/vouchsafe.conf
conf/sysusers.d/vouchsafe.conf: $(srcdir)/%D%/systemd/sysusers.conf.in Makefile
	$(edit_paths) $(srcdir)/conf/systemd/sysusers.conf.in >$@

tmpfilesdir = $(prefix)/lib/tmpfiles.d
tmpfiles_DATA = conf/tmpfiles.d/vouchsafe.conf
conf/tmpfiles.d/vouchsafe.conf: $(srcdir)/%D%/systemd/tmpfiles.conf.in Makefile
	$(edit_paths) $(srcdir)/conf/systemd/tmpfiles.conf.in >$@

logrotatedir = $(sysconfdir)/logrotate.d
logrotate_DATA = conf/logrotate.d/vouchsafe
conf/logrotate.d/vouchsafe: $(srcdir)/%D%/logrotate.in Makefile
	$(edit_paths) $(srcdir)/conf/logrotate.in >$@

pkgconfigdir = $(libdir)/pkgconfig
pkgconfig_DATA = conf/vouchsafe.pc
conf/vouchsafe.pc: $(srcdir)/%D%/vouchsafe.pc.in Makefile
	$(edit_paths) $(srcdir)/conf/vouchsafe.pc.in >$@

# Completion: shells look for files by the program's name.
bashcompdir = $(datadir)/bash-completion/completions
bashcomp_DATA = conf/completion/vouchsafe
conf/completion/vouchsafe: $(srcdir)/%D%/completion/bash
	$(AM_V_GEN)$(MKDIR_P) $(@D) && cp $(srcdir)/conf/completion/bash $@
zshcompdir = $(datadir)/zsh/vendor-completions
zshcomp_DATA = conf/completion/_vouchsafe
conf/completion/_vouchsafe: $(srcdir)/%D%/completion/zsh
	$(AM_V_GEN)$(MKDIR_P) $(@D) && cp $(srcdir)/conf/completion/zsh $@
CLEANFILES += conf/completion/vouchsafe conf/completion/_vouchsafe
EXTRA_DIST += %D%/completion/bash %D%/completion/zsh \
	%D%/kubernetes/Dockerfile %D%/kubernetes/agent.sh \
	%D%/kubernetes/base/deployment.yaml %D%/kubernetes/base/kustomization.yaml \
	%D%/kubernetes/base/policy.json %D%/kubernetes/base/serviceaccount.yaml \
	%D%/kubernetes/base/vouchsafe.conf

policydir = $(pkgdatadir)/policy
dist_policy_DATA = %D%/policy/azure-cvm-snp.json
# Every setting with its default; nothing starts before a copy of it stands in sysconfdir.
exampledir = $(docdir)/examples
dist_example_DATA = %D%/vouchsafe.conf \
	%D%/examples/README.md %D%/examples/nginx.conf %D%/examples/apache.conf %D%/examples/openssl-engine.cnf \
	%D%/examples/openssl-provider.cnf %D%/examples/ssh_config %D%/examples/gnupg-pkcs11-scd.conf \
	%D%/examples/gpg-agent.conf %D%/examples/java.cfg %D%/examples/crypttab
dist_doc_DATA = README.md SECURITY.md CHANGELOG.md LICENSE

dist_man_MANS += %D%/man/vouchsafe.1 %D%/man/vouchsafe.conf.5 %D%/man/vouchsafe-policy.5 %D%/man/vouchsafe-agent.8 %D%/man/vouchsafe-volume.8 %D%/man/vouchsafe-pkcs11.7

include %D%/packages.mk

dist_doc_DATA += CONTRIBUTING.md \
	%D%/doc/mechanisms.md %D%/doc/migration.md %D%/doc/protection.md %D%/doc/troubleshooting.md %D%/doc/volumes.md \
	%D%/doc/path.svg %D%/doc/processes.svg
