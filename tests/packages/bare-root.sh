#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The life of the packages in a bare Debian root: install, what stands where, the README's five
# minutes by an ordinary user, removal, purge. usage: bare-root.sh FOLDER-OF-DEBS [ROOT-TAR]
# Needs root and a package mirror for the packages' dependencies; mounts and processes are private.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
skip() {
	[ -z "${CI-}${VS_REQUIRE_ALL-}" ] || { echo "FAILED: $1"; exit 1; }
	echo "skipped: $1"
	exit 77
}
[ "$(id -u)" = 0 ] || skip "a bare root needs root"
if [ -z "${VS_PRIVATE_MOUNTS-}" ]; then
	unshare -m -p -f true 2>/dev/null || skip "mounts and processes of its own are not possible here"
	VS_PRIVATE_MOUNTS=1 exec unshare -m -p -f --kill-child --propagation private sh "$0" "$@"
fi
debs=$(cd "$1" && pwd)
tar=${2-}
R=$(mktemp -d "${TMPDIR:-/tmp}/vs-bare.XXXXXX")
cleanup() {
	rc=$?
	trap - EXIT
	umount "$R/proc" "$R/dev" 2>/dev/null || umount -l "$R/proc" "$R/dev" 2>/dev/null || true
	rm -rf --one-file-system "$R"
	exit $rc
}
trap cleanup EXIT
trap 'exit 143' INT TERM
ok() { echo "ok $*"; }
fail() { echo "FAILED: $*"; exit 1; }
if [ -n "$tar" ]; then
	tar -C "$R" -xf "$tar"
else
	command -v debootstrap >/dev/null || skip "no BARE_ROOT_TAR, and debootstrap is not installed"
	debootstrap --variant=minbase bookworm "$R" >"$R.log" 2>&1 || { tail "$R.log"; fail "debootstrap"; }
	rm -f "$R.log"
fi
cp /etc/resolv.conf "$R/etc/resolv.conf"
for f in /etc/apt/apt.conf.d/*prox*; do [ ! -f "$f" ] || cp "$f" "$R/etc/apt/apt.conf.d/"; done
mount -t proc proc "$R/proc"
mount --rbind /dev "$R/dev"
inside() { # as root, without this environment
	env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C \
		DEBIAN_FRONTEND=noninteractive TERM=dumb chroot "$R" "$@"
}
quietly() { # what CMD...
	what=$1
	shift
	inside "$@" >"$R/tmp/out" 2>&1 || { tail -n 30 "$R/tmp/out"; fail "$what"; }
}
names="libvouchsafe-pkcs11 vouchsafe-agent vouchsafe vouchsafe-lab"

quietly "the package lists" apt-get update -q
mkdir "$R/tmp/debs"
for p in $names; do cp "$debs/${p}"_*.deb "$R/tmp/debs/"; done
start=$(date +%s)
quietly "installing" sh -c 'apt-get install -y -q --no-install-recommends /tmp/debs/*.deb opensc openssl gnutls-bin openssh-client procps'
ok "installed with what they depend on, in $(($(date +%s) - start)) s"

inside getent passwd vouchsafe | grep -q ':/var/lib/vouchsafe:' || fail "no user vouchsafe"
inside id -nG vouchsafe | grep -qw tss || fail "the user is not in group tss"
[ "$(inside stat -c '%a %U %G' /var/lib/vouchsafe)" = "750 vouchsafe vouchsafe" ] || fail "state folder"
[ "$(inside stat -c '%a %U %G' /var/log/vouchsafe)" = "750 vouchsafe vouchsafe" ] || fail "log folder"
ok "user, group and folders are there, readable by nobody else"
for u in vouchsafe-agent.service vouchsafe-agent.socket; do
	grep -q '^ConditionPathExists=/etc/vouchsafe/vouchsafe.conf$' "$R/lib/systemd/system/$u" || fail "$u starts without a configuration"
done
[ ! -e "$R/etc/vouchsafe/vouchsafe.conf" ] || fail "a configuration was installed"
quietly "units" systemd-analyze verify --man=no /lib/systemd/system/vouchsafe-agent.socket /lib/systemd/system/vouchsafe-agent.service
! grep -i vouchsafe "$R/tmp/out" || fail "systemd has something to say about the units"
ok "the units are valid and do nothing before there is a configuration"
inside p11tool --list-tokens >"$R/tmp/out" 2>&1 || fail "p11-kit with the module registered, not configured"
quietly "the sample configuration" sh -c 'mkdir -p /etc/vouchsafe && {
	echo "[token t]"; echo "vault = https://contoso.vault.azure.net"
	echo "attestation = https://contoso.weu.attest.azure.net"; echo "policy = /usr/share/vouchsafe/policy/azure-cvm-snp.json"
	} >/etc/vouchsafe/vouchsafe.conf && vouchsafe conf check && p11tool --list-tokens | grep -q "token=t"'
ok "p11-kit finds the module; a four-line configuration is enough"
quietly "logrotate's file" sh -c 'apt-get install -y -q --no-install-recommends logrotate && logrotate -d /etc/logrotate.d/vouchsafe'
! grep -i '^error' "$R/tmp/out" || fail "logrotate refuses its file"
ok "logrotate takes its file"

cp "$here/five-minutes.sh" "$R/tmp/"
chmod 755 "$R/tmp/five-minutes.sh"
mv "$R/etc/vouchsafe/vouchsafe.conf" "$R/etc/vouchsafe/kept"
quietly "a user" useradd -m tester
quietly "README" sh -c 'f=/usr/share/doc/vouchsafe/README.md; { [ -f $f ] && cat $f || zcat $f.gz; } >/tmp/README.md'
inside su tester -c 'sh /tmp/five-minutes.sh /tmp/README.md' || fail "the README's five minutes"
mv "$R/etc/vouchsafe/kept" "$R/etc/vouchsafe/vouchsafe.conf"

echo '{"seq":1}' >"$R/var/log/vouchsafe/audit.log"
quietly "removing" apt-get remove -y -q $names
[ -f "$R/var/log/vouchsafe/audit.log" ] || fail "removal took the audit log"
quietly "purging" dpkg --purge $names
inside dpkg-query -W -f '${Package} ${Status}\n' 2>/dev/null | grep -E '^(lib)?vouchsafe' && fail "not purged"
inside rm /etc/vouchsafe/vouchsafe.conf
inside rmdir /etc/vouchsafe
rm -rf "$R/tmp/debs"
left=$(find "$R" -xdev -path "$R/proc" -prune -o -path "$R/dev" -prune -o -iname '*vouchsafe*' -print)
[ -z "$left" ] || fail "left after purge: $left"
ok "removal keeps the audit log, purge leaves nothing but the operator's own file"
