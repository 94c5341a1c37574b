#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Cross-build for arm64 in a bare Debian root, then the programs and the unit tests that need no
# other process run under qemu's user emulation. usage: arm64.sh TARBALL [ROOT-TAR]
# Needs root and a package mirror; mounts and processes are private.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/root.sh"
private_root "$@"
tarball=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
make_root "${2-}"
inside dpkg --add-architecture arm64
quietly "the package lists" apt-get update -q
quietly "the cross compiler and libraries" apt-get install -y -q --no-install-recommends \
	crossbuild-essential-arm64 make pkg-config qemu-user-static xz-utils file \
	libssl-dev:arm64 libcurl4-openssl-dev:arm64 libjansson-dev:arm64 libtss2-dev:arm64 \
	libp11-kit-dev:arm64 libcmocka-dev:arm64
ok "cross compiler and libraries are installed"
mkdir "$R/src"
tar -C "$R/src" --strip-components=1 -xf "$tarball"
quietly "configure" sh -c 'mkdir /build && cd /build && PKG_CONFIG_LIBDIR=/usr/lib/aarch64-linux-gnu/pkgconfig:/usr/share/pkgconfig ../src/configure -q --host=aarch64-linux-gnu --prefix=/usr --enable-werror'
quietly "the build" sh -c 'cd /build && make -s -j$(nproc) all'
quietly "what file says" sh -c 'cd /build && file vouchsafe vouchsafe-agent vouchsafe-lab .libs/vouchsafe-pkcs11.so'
[ "$(grep -c 'ARM aarch64' "$R/tmp/out")" = 4 ] || { cat "$R/tmp/out"; fail "not all programs are for arm64"; }
ok "everything builds without a warning"

emulated() { # PROGRAM ARGUMENTS...
	# No -L: the loader must be of the same build as the C library, which the packages for arm64
	# bring. With the cross compiler's loader of another version pthread_create never returns.
	inside env VS_SRCDIR=/src VS_BUILDDIR=/build timeout 300 qemu-aarch64-static "$@"
}
version=$(emulated /build/vouchsafe --version)
[ "$version" = "vouchsafe $(sed -n "s/^PACKAGE_VERSION='\(.*\)'$/\1/p" "$R/src/configure")" ] || fail "vouchsafe --version: $version"
emulated /build/vouchsafe conf defaults >"$R/tmp/defaults"
sed 's,^#\(agent-program\|agent-socket\|audit-log\|state-dir\) = .*,,' "$R/tmp/defaults" >"$R/tmp/a"
sed 's,^#\(agent-program\|agent-socket\|audit-log\|state-dir\) = .*,,' "$R/src/conf/vouchsafe.conf" >"$R/tmp/b"
cmp "$R/tmp/a" "$R/tmp/b" || fail "vouchsafe conf defaults"
emulated /build/vouchsafe-lab --help >/dev/null || fail "vouchsafe-lab --help"
ok "the programs run ($version)"
# Left out: what takes minutes under emulation, and two that the emulator of Debian 12 cannot run:
# test_base, since its madvise(MADV_WIPEONFORK) answers 0 and does nothing (a program of six lines
# shows it; qemu 10 does it), and test_audit_kill, which traces its children.
tests="json policy trust token_real crypto_ossl crypto_sign crypto_cipher crypto_keywrap crypto_rsa crypto_pkey
crypto_badkey crypto_wycheproof proto client gate net net_curl conf audit_faults audit_files service_snp evidence_log
attest_maa cmd_policy libver volume_header"
targets=
for t in $tests; do targets="$targets tests/unit/test_$t"; done
quietly "the unit tests" sh -c "cd /build && make -s -j\$(nproc) $targets tests/module/test_crypto tests/module/test_objects"
n=0
for t in $targets tests/module/test_crypto tests/module/test_objects; do
	emulated "/build/$t" >"$R/tmp/out" 2>&1 || { tail -n 30 "$R/tmp/out"; fail "$t on arm64"; }
	n=$((n + $(sed -n 's/^\[  PASSED  \] \([0-9]*\) test.*/\1/p' "$R/tmp/out" | head -n 1)))
done
[ "$n" -ge 100 ] || fail "only $n tests ran"
ok "$n unit tests pass under emulation"
