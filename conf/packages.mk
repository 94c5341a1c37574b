# SPDX-License-Identifier: BSD-2-Clause
# Debian packages, out of what `make dist` ships: a file that is missing there is noticed here.
debian_files = \
	%D%/debian/changelog.sh %D%/debian/control %D%/debian/copyright %D%/debian/not-installed \
	%D%/debian/rules %D%/debian/source/format \
	%D%/debian/libvouchsafe-pkcs11.examples %D%/debian/libvouchsafe-pkcs11.install \
	%D%/debian/vouchsafe-agent.dirs %D%/debian/vouchsafe-agent.examples \
	%D%/debian/vouchsafe-agent.install %D%/debian/vouchsafe-agent.lintian-overrides \
	%D%/debian/vouchsafe-agent.postrm \
	%D%/debian/vouchsafe-initramfs.install %D%/debian/vouchsafe-initramfs.postinst %D%/debian/vouchsafe-initramfs.triggers \
	%D%/debian/vouchsafe-lab.install \
	%D%/debian/vouchsafe.docs %D%/debian/vouchsafe.install
package_scripts = tests/packages/deb.sh tests/packages/reproducible.sh tests/packages/bare-root.sh tests/packages/five-minutes.sh \
	tests/packages/root.sh tests/packages/initramfs.sh tests/packages/arm64.sh tests/packages/image.sh
EXTRA_DIST += $(debian_files) $(package_scripts)

# The packages come to ./deb; DEB_BUILD_OPTIONS is respected (without one: nocheck).
.PHONY: deb check-deb
deb: dist
	$(SHELL) $(srcdir)/tests/packages/deb.sh $(distdir).tar.xz $(PACKAGE_VERSION) deb
# Twice the same bytes, no word from lintian, and, as root, a life in a bare root: install, five
# minutes of README, purge. BARE_ROOT_TAR is a tar of a minimal Debian root; without one debootstrap
# makes one.
check-deb: deb
	$(SHELL) $(srcdir)/tests/packages/reproducible.sh $(distdir).tar.xz $(PACKAGE_VERSION) deb
	$(SHELL) $(srcdir)/tests/packages/bare-root.sh deb $(BARE_ROOT_TAR)
# As root, with qemu-system-x86, ovmf and mtools: a machine with Secure Boot whose volumes open while
# it is what it was, in the initramfs and by systemd. Minutes, without KVM.
guest_scripts = tests/guest/guest.sh tests/guest/inside.sh
EXTRA_DIST += $(guest_scripts)
.PHONY: check-guest
check-guest: deb vouchsafe-lab
	$(SHELL) $(srcdir)/tests/guest/guest.sh deb . $(BARE_ROOT_TAR)
# As root, in a bare root: cross-build, unit tests under emulation.
.PHONY: check-arm64
check-arm64: dist
	$(SHELL) $(srcdir)/tests/packages/arm64.sh $(distdir).tar.xz $(BARE_ROOT_TAR)
# As root: the container image, and its entry points.
.PHONY: check-image
check-image: dist
	$(SHELL) $(srcdir)/tests/packages/image.sh $(distdir).tar.xz $(BARE_ROOT_TAR)
clean-local: clean-deb
.PHONY: clean-deb
clean-deb:
	rm -rf deb deb2

# In a clone all files have the time of the commit, so that packages depend on the source alone.
dist-hook:
	t=`git -C $(srcdir) log -1 --format=%ct 2>/dev/null` || exit 0; \
	find $(distdir) -type f -exec touch -d "@$$t" {} +

TESTS += tests/packages/destdir.sh
EXTRA_DIST += tests/packages/destdir.sh
AM_TESTS_ENVIRONMENT += MAKE='$(MAKE)'; export MAKE;
