#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Runs in the guest, once in each boot, with the serial console as its terminal. What it finds out
# it says in lines that begin with GUEST; the host judges them. usage: inside.sh (see guest.sh)
export LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin
stty -echo 2>/dev/null
say() { echo "GUEST $*"; }
recovery=recovery-passphrase
token=lab-vault key=volume

policy() { # the release policy for this machine as it has booted: Secure Boot, kernel command line
	pcr8=$(tr -d '\n' </sys/class/tpm/tpm0/pcr-sha256/8 | perl -e 'print pack("H*", <STDIN>)' | base64 -w0)
	cat <<-EOT
		{"version":"1.0.0","anyOf":[{"authority":"$(sed -n 's/^attestation *= *//p' /etc/vouchsafe/vouchsafe.conf)","allOf":[
		{"claim":"x-ms-isolation-tee.x-ms-attestation-type","equals":"sevsnpvm"},
		{"claim":"x-ms-isolation-tee.x-ms-compliance-status","equals":"azure-compliant-cvm"},
		{"claim":"secureboot","equals":true},
		{"claim":"x-ms-azurevm-attested-pcr-values.pcr8","equals":"$pcr8"}]}]}
	EOT
}
fill() { # NAME DEVICE
	printf %s "$recovery" | cryptsetup open --key-file - "$2" tmp && mkfs.ext4 -q /dev/mapper/tmp &&
		mount /dev/mapper/tmp /mnt && echo "contents of $1" >/mnt/file && umount /mnt && cryptsetup close tmp &&
		say "filled $1"
}
enrol() { # NAME DEVICE
	printf '%s\n' "$recovery" | vouchsafe volume enroll --token $token --key $key --passphrase-fd 0 "$2" >/run/enrol 2>&1
	rc=$?
	cat /run/enrol
	[ $rc = 0 ] || { say "enrol $1 failed"; return; }
	fingerprint=$(sed -n 's/^fingerprint //p' /run/enrol)
	printf 'DEVICE=%s\nEXPECT=%s\nWAIT=60s\n' "$2" "$fingerprint" >/etc/vouchsafe/volumes/$1.conf
	say "fingerprint $1 $fingerprint"
	fill "$1" "$2"
}
# systemd's own tools find the token by p11-kit, and the key by what they wrote into the header.
attach_plain() {
	timeout 90 /lib/systemd/systemd-cryptsetup attach plain /dev/vde - pkcs11-uri=auto,headless=true,token-timeout=30s </dev/null
	say "systemd-cryptsetup: status $?"
}
look() { # NAME: really dm-crypt, and the file comes back
	dmsetup table "$1" 2>/dev/null | grep -q ' crypt aes-xts-plain64 ' || { say "closed $1"; return 1; }
	mount -o ro "/dev/mapper/$1" /mnt && say "read $1: $(cat /mnt/file)"
	umount /mnt
}

say "boot $(sed 's/.*guest\.boot=\([a-z]*\).*/\1/;t;s/.*/plain/' /proc/cmdline) secure-boot $(od -An -tu1 -j4 -N1 /sys/firmware/efi/efivars/SecureBoot-* | tr -d ' ')"
if [ ! -e /etc/vouchsafe/policy.json ]; then
	policy >/etc/vouchsafe/policy.json
	say "policy $(base64 -w0 /etc/vouchsafe/policy.json)"
	read -r answer # the host has made the key
	say "answer $answer"
	enrol secret /dev/vdc
	enrol data /dev/vdd
	PASSWORD=$recovery systemd-cryptenroll --pkcs11-token-uri="pkcs11:token=$token;object=$key" /dev/vde &&
		say "enrolled plain"
	fill plain /dev/vde
	systemctl -q enable vouchsafe-volume@data.service
else
	look secret
	attach_plain
	look plain
	if ! look data; then
		vouchsafe volume open --test --expect "$(sed -n 's/^EXPECT=//p' /etc/vouchsafe/volumes/data.conf)" /dev/vdd
		say "open data: status $?"
		say "status: $(vouchsafe status | tr '\n' ' ')"
		printf %s "$recovery" | cryptsetup open --key-file - /dev/vdd data && say "recovery key opened data"
		look data
	else
		say "status: $(vouchsafe status | tr '\n' ' ')"
		systemctl stop vouchsafe-volume@data.service
		dmsetup table data >/dev/null 2>&1 || say "closed data by systemctl stop"
	fi
	for f in /var/log/vouchsafe/audit.log /var/log/vouchsafe/initramfs-"$(tr -d - </proc/sys/kernel/random/boot_id)".log; do
		[ -f "$f" ] && say "audit $f: $(grep -c '"result":"granted"' "$f") granted, $(grep -c '"result":"refused"' "$f") refused, verify $(vouchsafe audit verify "$f" >/dev/null 2>&1; echo $?)"
	done
fi
say end
sync
exec systemctl poweroff --force --force
