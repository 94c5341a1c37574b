#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The life of the packages in a bare Debian root: install, what stands where, the README's five
# minutes by an ordinary user, the initramfs of a real kernel, removal, purge. usage: bare-root.sh FOLDER-OF-DEBS [ROOT-TAR]
# Needs root and a package mirror for the packages' dependencies; mounts and processes are private.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/root.sh"
. "$here/initramfs.sh"
private_root "$@"
debs=$(cd "$1" && pwd)
make_root "${2-}"
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

initramfs_life

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
