#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# `make install` puts each file where it belongs, `make uninstall` leaves nothing.
# Environment: VS_BUILDDIR, MAKE (set by make check), the configured folders.
set -eu
T=$(mktemp -d "${TMPDIR:-/tmp}/vs-destdir.XXXXXX")
trap 'rm -rf "$T"' EXIT
fail() { echo "FAILED: $*"; exit 1; }
unset MAKEFLAGS MFLAGS MAKELEVEL
make=${MAKE:-make}
$make -s -C "$VS_BUILDDIR" install DESTDIR="$T/root" >"$T/log" 2>&1 || { cat "$T/log"; fail "make install"; }
# what it is, where make says its folder is
folder() { sed -n "s/^$1 = //p" "$VS_BUILDDIR/Makefile" | head -n 1; }
expand() { # a make variable's value, folders in it filled in
	v="\${$1}"
	while :; do
		name=$(printf '%s' "$v" | sed -n 's/^[^$]*\${\([A-Za-z0-9_]*\)}.*$/\1/p')
		[ -n "$name" ] || break
		value=$(folder "$name" | sed 's/\$(\([A-Za-z0-9_]*\))/${\1}/g')
		v=$(printf '%s' "$v" | sed "s|\${$name}|$(printf '%s' "$value" | sed 's/[|&]/\\&/g')|")
	done
	printf '%s' "$v"
}
n=0
has() { # FOLDER-VARIABLE FILE...
	d=$(expand "$1")
	shift
	for f in "$@"; do
		[ -f "$T/root$d/$f" ] || { find "$T/root" -type f; fail "$d/$f is not installed"; }
		n=$((n + 1))
	done
}
has pkcs11moduledir vouchsafe-pkcs11.so
has p11moduledir vouchsafe.module
has libexecdir vouchsafe-agent
has bindir vouchsafe vouchsafe-lab
has man1dir vouchsafe.1 vouchsafe-lab.1
has man5dir vouchsafe.conf.5 vouchsafe-policy.5
has man7dir vouchsafe-pkcs11.7
has man8dir vouchsafe-agent.8 vouchsafe-volume.8
has inithookdir vouchsafe
has inittopdir vouchsafe
has initbottomdir vouchsafe
has systemdunitdir vouchsafe-agent.service vouchsafe-agent.socket vouchsafe-volume@.service
has sysusersdir vouchsafe.conf
has tmpfilesdir vouchsafe.conf
has logrotatedir vouchsafe
has policydir azure-cvm-snp.json
has exampledir vouchsafe.conf README.md nginx.conf apache.conf openssl-engine.cnf openssl-provider.cnf ssh_config \
	gnupg-pkcs11-scd.conf gpg-agent.conf java.cfg crypttab
has pkgconfigdir vouchsafe.pc
has bashcompdir vouchsafe
has zshcompdir _vouchsafe
has docdir README.md SECURITY.md CHANGELOG.md LICENSE
echo "ok $n files stand where they belong"

[ ! -e "$T/root$(expand sysconfdir)/vouchsafe/vouchsafe.conf" ] || fail "a configuration was installed: services would start"
! grep -rlE '@[A-Za-z_]+@' "$T/root" --include='*.service' --include='*.socket' --include='*.conf' --include='*.pc' \
	--include='*.module' || fail "a folder's name was not filled in"
! grep -rlE '@[A-Za-z_]+@' "$T/root$(expand inithookdir)" "$T/root$(expand inittopdir)" "$T/root$(expand initbottomdir)" ||
	fail "a folder's name was not filled in"
! grep -E '@[A-Za-z_]+@' "$T/root$(expand logrotatedir)/vouchsafe" || fail "a folder's name was not filled in"
module=$(expand pkcs11moduledir)/vouchsafe-pkcs11.so
grep -qx "module: $module" "$T/root$(expand p11moduledir)/vouchsafe.module" || fail "vouchsafe.module names another module"
socket=$(expand runstatedir)/vouchsafe/agent.sock
grep -qx "ListenStream=$socket" "$T/root$(expand systemdunitdir)/vouchsafe-agent.socket" || fail "the socket unit listens elsewhere"
VOUCHSAFE_CONF= "$VS_BUILDDIR/vouchsafe" conf defaults | grep -qx "#agent-socket = $socket" ||
	fail "the module looks for the agent elsewhere"
echo "ok module, p11-kit's file and the units name the same paths"

if command -v pkg-config >/dev/null; then
	PKG_CONFIG_PATH=$T/root$(expand pkgconfigdir)
	export PKG_CONFIG_PATH
	[ "$(pkg-config --variable=module vouchsafe)" = "$module" ] || fail "pkg-config does not know the module"
	[ "$(pkg-config --modversion vouchsafe)" = "$("$VS_BUILDDIR/vouchsafe" --version | cut -d ' ' -f 2)" ] || fail "pkg-config's version"
	echo "ok pkg-config names module and version"
fi

$make -s -C "$VS_BUILDDIR" uninstall DESTDIR="$T/root" >"$T/log" 2>&1 || { cat "$T/log"; fail "make uninstall"; }
left=$(find "$T/root" ! -type d)
[ -z "$left" ] || fail "left after make uninstall: $left"
echo "ok make uninstall leaves nothing"
