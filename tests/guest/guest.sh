#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A machine whose volumes open only while it is what it was: a virtual machine with UEFI firmware,
# Secure Boot, shim, GRUB and kernel of Debian, all of which measure themselves into an emulated TPM;
# attestation service and vault are the lab's. One volume is opened in the initramfs, one by systemd's
# unit, and one by systemd's own tools, which know nothing but PKCS#11.
# usage: guest.sh FOLDER-OF-DEBS BUILD-FOLDER [ROOT-TAR]
# Needs root, a package mirror, qemu-system-x86, ovmf, mtools, cryptsetup-bin, curl, swtpm; no KVM.
# GUEST_ACCEL (tcg) and GUEST_KEEP (a folder for the consoles) may be set.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../packages/root.sh"
for p in qemu-system-x86_64 mcopy mke2fs cryptsetup swtpm curl; do
	command -v "$p" >/dev/null || PATH=$PATH:/usr/sbin:/sbin command -v "$p" >/dev/null || skip "$p is not installed"
done
CODE=/usr/share/OVMF/OVMF_CODE_4M.secboot.fd
[ -f "$CODE" ] || skip "ovmf is not installed"
private_root "$@"
PATH=$PATH:/usr/sbin:/sbin
debs=$(cd "$1" && pwd)
LAB=$(cd "$2" && pwd)/vouchsafe-lab
begin=$(date +%s)
W=$(mktemp -d "${TMPDIR:-/tmp}/vs-guest.XXXXXX")
vm=
finish() {
	rc=$?
	trap - EXIT
	[ -z "$vm" ] || kill "$vm" 2>/dev/null || true
	"$LAB" down --dir "$W/lab" >/dev/null 2>&1 || true
	if [ $rc != 0 ] && [ -n "${boot-}" ]; then
		echo "--- the last lines of the console of boot $boot"
		text | tail -n 60 | cut -c1-600
		tail -n 5 "$W/lab/lab.log" 2>/dev/null || true
	fi
	[ -z "${GUEST_KEEP-}" ] || { mkdir -p "$GUEST_KEEP" && cp "$W"/*.console "$GUEST_KEEP/"; } 2>/dev/null || true
	umount -l "$R/proc" 2>/dev/null || true
	umount -R -l "$R/dev" 2>/dev/null || true
	rm -rf --one-file-system "$W" "$R"
	exit $rc
}
make_root "${3-}"
trap finish EXIT
trap 'exit 143' INT TERM

# ---- the root file system, with the packages ---------------------------------------------------
quietly "the package lists" apt-get update -q
mkdir -p "$R/tmp/debs"
for p in libvouchsafe-pkcs11 vouchsafe-agent vouchsafe vouchsafe-initramfs; do cp "$debs/${p}"_*.deb "$R/tmp/debs/"; done
quietly "installing" sh -c 'apt-get install -y -q --no-install-recommends /tmp/debs/*.deb linux-image-cloud-amd64 initramfs-tools \
	systemd-sysv udev tpm-udev cryptsetup-initramfs cryptsetup libp11-kit0 socat kmod && cd /tmp && apt-get download -q shim-signed grub-efi-amd64-signed &&
	for d in shim-signed_*.deb grub-efi-amd64-signed_*.deb; do dpkg-deb -x $d /tmp/boot; done; rm -rf /tmp/debs /tmp/*.deb; apt-get clean'
kernel=$(basename "$R"/boot/vmlinuz-*)
ok "packages, kernel ${kernel#vmlinuz-}, $(($(date +%s) - begin)) s"

"$LAB" up --vm --dir "$W/lab" --max-life 30m >/dev/null || fail "the lab does not start"
# The service's own default wants a firmware vendor's Secure Boot keys that it knows; here the release
# policy alone shall decide.
b64url() { base64 -w0 | tr '+/' '-_' | tr -d '='; }
maa=$(sed -n 's/^attestation *= *//p' "$W/lab/vouchsafe.conf" | head -n 1)
text=$(printf '{"AttestationPolicy":"%s"}' "$(echo 'version= 1.0;authorizationrules{=> permit();};issuancerules{=> issue(type="vouchsafe-lab", value=true);};' | b64url)" | b64url)
curl -sS -f --cacert "$W/lab/ca.pem" -X PUT -H "Authorization: Bearer $("$LAB" access-token https://attest.azure.net --dir "$W/lab")" \
	-d "eyJhbGciOiJub25lIn0.$text." "$maa/policies/AzureGuest?api-version=2020-10-01" >/dev/null || fail "the attestation policy"
ports=$(sed -n 's/.*:\([0-9][0-9]*\)"*$/\1/p' "$W/lab/vouchsafe.conf" | sort -u)
c=$R/etc/vouchsafe
mkdir -p "$c/volumes" "$c/roots"
cp "$W/lab/ca.pem" "$c/"
cp "$W/lab"/roots/* "$c/roots/"
# The lab's configuration, without the token of the Managed HSM, for a machine with a TPM of its own
sed -e '/^\[token lab-hsm\]/,$d' -e '/^certificate\./d' -e '/^agent-\|^audit-log\|^state-dir\|^event-log/d' \
	-e 's,^tcti .*,tcti = device:/dev/tpmrm0,' -e 's,^ca-bundle .*,ca-bundle = /etc/vouchsafe/ca.pem,' \
	-e 's,^evidence-roots .*,evidence-roots = /etc/vouchsafe/roots,' -e 's,^policy .*,policy = /etc/vouchsafe/policy.json,' \
	"$W/lab/vouchsafe.conf" >"$c/vouchsafe.conf"
echo "pcrs = 0-9" >>"$c/vouchsafe.conf"
cp "$here/inside.sh" "$R/usr/local/sbin/guest-test"
chmod 755 "$R/usr/local/sbin/guest-test"
# The lab listens on the host's loopback; the guest reaches it on its own.
cat >"$R/usr/local/sbin/guest-forward" <<EOT
#!/bin/sh
for p in $(echo $ports); do
	socat TCP-LISTEN:\$p,bind=127.0.0.1,fork,reuseaddr TCP:10.0.2.2:\$p </dev/null >/dev/null 2>&1 &
	[ -z "\$1" ] || echo \$! >>"\$1"
done
[ -n "\$1" ] || wait
EOT
cat >"$R/usr/share/initramfs-tools/hooks/guest-lab" <<'EOT'
#!/bin/sh
[ "$1" != prereqs ] || exit 0
. /usr/share/initramfs-tools/hook-functions
copy_exec /usr/bin/socat
copy_file script /usr/local/sbin/guest-forward
EOT
cat >"$R/usr/share/initramfs-tools/scripts/local-top/guest-lab" <<'EOT'
#!/bin/sh
[ "$1" != prereqs ] || exit 0
ip link set lo up
/usr/local/sbin/guest-forward /run/guest-forward.pids
EOT
cat >"$R/usr/share/initramfs-tools/scripts/local-bottom/guest-lab" <<'EOT'
#!/bin/sh
[ "$1" != prereqs ] || exit 0
while read -r p; do kill "$p"; done </run/guest-forward.pids
EOT
chmod 755 "$R"/usr/local/sbin/guest-* "$R"/usr/share/initramfs-tools/*/guest-lab "$R"/usr/share/initramfs-tools/scripts/*/guest-lab
cat >"$R/etc/systemd/system/guest-forward.service" <<-'EOT'
	[Unit]
	Before=network-online.target
	[Service]
	ExecStart=/usr/local/sbin/guest-forward
	[Install]
	WantedBy=multi-user.target
EOT
cat >"$R/etc/systemd/system/guest-test.service" <<-'EOT'
	[Unit]
	After=network-online.target guest-forward.service vouchsafe-agent.socket vouchsafe-volume@data.service
	Wants=network-online.target
	[Service]
	ExecStart=/usr/local/sbin/guest-test
	StandardInput=tty-force
	StandardOutput=tty
	StandardError=tty
	TTYPath=/dev/ttyS0
	[Install]
	WantedBy=multi-user.target
EOT
printf '[Match]\nName=en* eth*\n[Network]\nDHCP=ipv4\n' >"$R/etc/systemd/network/all.network"
echo guest >"$R/etc/hostname"
printf '127.0.0.1 localhost guest\n' >"$R/etc/hosts"
echo '/dev/vdb / ext4 defaults 0 1' >"$R/etc/fstab"
quietly "enabling units" systemctl enable guest-forward guest-test systemd-networkd systemd-networkd-wait-online
quietly "masking units" systemctl mask serial-getty@ttyS0 getty@tty1 systemd-timesyncd apt-daily.timer apt-daily-upgrade.timer \
	dpkg-db-backup.timer e2scrub_all.timer fstrim.timer systemd-firstboot systemd-hwdb-update
quietly "a machine id" systemd-machine-id-setup
# Only what this machine has: firmware and GRUB measure every byte of it.
sed -i 's/^MODULES=.*/MODULES=list/' "$R/etc/initramfs-tools/initramfs.conf"
printf '%s\n' virtio_pci virtio_blk virtio_net virtio_rng ext4 >>"$R/etc/initramfs-tools/modules"
initramfs() { quietly "the initramfs" update-initramfs -u -k "${kernel#vmlinuz-}"; }
initramfs

# ---- disks ---------------------------------------------------------------------------------------
disks=$W
# By its EFI entry with and without Secure Boot: otherwise the kernel would have no event log.
grub() { # further words for the kernel
	cat >"$W/grub.cfg" <<-EOT
		serial --unit=0 --speed=115200
		terminal_output serial
		linuxefi /vmlinuz root=/dev/vdb rw console=ttyS0 quiet $*
		initrdefi /initrd.img
		boot
	EOT
	mcopy -o -i "$disks/esp" "$W/grub.cfg" ::/EFI/debian/grub.cfg
}
boot_files() {
	mcopy -o -i "$disks/esp" "$R/boot/initrd.img-${kernel#vmlinuz-}" ::/initrd.img
}
truncate -s 120M "$disks/esp"
mformat -i "$disks/esp" -F -v ESP ::
mmd -i "$disks/esp" ::/EFI ::/EFI/BOOT ::/EFI/debian
mcopy -i "$disks/esp" "$R/tmp/boot/usr/lib/shim/shimx64.efi.signed" ::/EFI/BOOT/BOOTX64.EFI
mcopy -i "$disks/esp" "$R/tmp/boot/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed" ::/EFI/BOOT/grubx64.efi
mcopy -i "$disks/esp" "$R/boot/$kernel" ::/vmlinuz
boot_files
grub
rm -rf "$R/tmp/boot" "$R"/boot/initrd*
umount -l "$R/proc"
umount -R -l "$R/dev"
truncate -s 1500M "$disks/root"
mke2fs -q -t ext4 -d "$R" "$disks/root" || fail "the root's image"
mount -t proc proc "$R/proc"
for d in secret data plain; do
	truncate -s 48M "$disks/$d"
	printf recovery-passphrase | cryptsetup luksFormat -q --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 "$disks/$d" -
done
mkfifo "$W/keys"
exec 3<>"$W/keys"
ok "disks: ESP, root, three LUKS2 volumes with a recovery passphrase, $(($(date +%s) - begin)) s"

# ---- booting -------------------------------------------------------------------------------------
start() { # NAME VARS [options of qemu]: in the background, console in $W/NAME.console
	boot=$1
	cp "/usr/share/OVMF/$2" "$W/vars"
	shift 2
	booted=$(date +%s)
	: >"$W/$boot.console"
	qemu-system-x86_64 -accel "${GUEST_ACCEL:-tcg}" -machine q35,smm=on -smp 2 -m 768 -display none -no-reboot \
		-global driver=cfi.pflash01,property=secure,value=on \
		-drive if=pflash,format=raw,unit=0,file="$CODE",readonly=on -drive if=pflash,format=raw,unit=1,file="$W/vars" \
		-drive file="$disks/esp",format=raw,if=virtio,readonly=on -drive file="$disks/root",format=raw,if=virtio,cache=unsafe \
		-drive file="$disks/secret",format=raw,if=virtio -drive file="$disks/data",format=raw,if=virtio \
		-drive file="$disks/plain",format=raw,if=virtio \
		-chardev socket,id=c,path="$W/lab/tpm.sock" -tpmdev emulator,id=t,chardev=c -device tpm-tis,tpmdev=t \
		-object rng-random,id=r,filename=/dev/urandom -device virtio-rng-pci,rng=r \
		-serial stdio "$@" <"$W/keys" >"$W/$boot.console" 2>"$W/$boot.qemu" &
	vm=$!
}
text() { tr -d '\r' <"$W/$boot.console" | sed 's/\x1b\[[0-9;=?]*[A-Za-z]//g'; } # without what moves the cursor
said() { text | grep -a -q -e "$1"; }
until_said() { # SECONDS PATTERN
	_i=$(($1 * 2))
	until said "$2"; do
		kill -0 "$vm" 2>/dev/null || { said "$2" && return; cat "$W/$boot.qemu"; fail "boot $boot ended and did not say: $2"; }
		_i=$((_i - 1))
		[ $_i -gt 0 ] || fail "boot $boot did not say in $1 s: $2"
		sleep 0.5
	done
}
down() { # wait for the machine to end by itself
	until_said 400 '^GUEST end'
	_i=40
	while kill -0 "$vm" 2>/dev/null && [ $_i -gt 0 ]; do
		sleep 0.5
		_i=$((_i - 1))
	done
	kill "$vm" 2>/dev/null || true
	wait "$vm" 2>/dev/null || true
	vm=
	echo "--- boot $boot, $(($(date +%s) - booted)) s, on its console:"
	text | grep -a -e '^GUEST' -e '[Vv]ouchsafe' | cut -c1-400 | sed 's/^/    /'
}
must() { said "$2" || fail "boot $boot: $1: expected to read: $2"; ok "$1"; }
never() { ! said "$2" || fail "boot $boot: $1: did not expect: $2"; ok "$1"; }
nic() { echo "-nic user,model=virtio-net-pci,restrict=no"; }

# 1: as installed; the machine says what it is, gets its key, enrols both volumes
start first OVMF_VARS_4M.ms.fd $(nic)
until_said 400 '^GUEST policy '
text | sed -n 's/^GUEST policy //p' | base64 -d >"$W/policy.json"
"$LAB" key create volume --type rsa-2048 --policy "$W/policy.json" --dir "$W/lab" >/dev/null || fail "no key"
"$LAB" certificate issue volume --dir "$W/lab" >/dev/null || fail "no certificate"
echo go >&3
down
must "booted with Secure Boot" '^GUEST boot plain secure-boot 1'
for d in secret data; do
	must "the volume $d is enrolled in the guest and has a file" "^GUEST filled $d"
	fingerprint=$(text | sed -n "s/^GUEST fingerprint $d //p")
	eval "$d=\$fingerprint"
done
must "systemd-cryptenroll enrols the third" '^GUEST enrolled plain'
must "  which has a file" '^GUEST filled plain'
# What an administrator does next: name the volume for the initramfs, and make that anew.
cp "$W/policy.json" "$c/"
hook_refuses() { # what, the sentence
	mkdir -p "$R/tmp/dest"
	if inside env DESTDIR=/tmp/dest sh /usr/share/initramfs-tools/hooks/vouchsafe >"$W/hook.out" 2>&1; then
		fail "the hook takes $1"
	fi
	grep -q "$2" "$W/hook.out" || { cat "$W/hook.out"; fail "the hook and $1: expected to read: $2"; }
	rm -rf "$R/tmp/dest" "$c/initramfs.conf"
	ok "no initramfs is made with $1"
}
printf 'DEVICE=/dev/vdc\nINITRAMFS=yes\n' >"$c/volumes/secret.conf"
hook_refuses "a volume without its fingerprint" 'secret.conf has no EXPECT='
printf 'DEVICE=/dev/vdc\nEXPECT=%s\nWAIT=45s\nINITRAMFS=yes\n' "$secret" >"$c/volumes/secret.conf"
sed 's,^policy .*,policy = /etc/vouchsafe/none.json,' "$c/vouchsafe.conf" >"$c/initramfs.conf"
hook_refuses "a configuration that opens nothing" 'no volume could be opened'
printf 'x\n' >"$c/secret-of-client"
chmod 600 "$c/secret-of-client"
sed -e 's,^credential .*,credential = client-secret-file,' "$c/vouchsafe.conf" >"$c/initramfs.conf"
echo 'client-secret-file = /etc/vouchsafe/secret-of-client' >>"$c/initramfs.conf"
hook_refuses "a client secret in it" 'client-secret-file would be readable on /boot'
rm "$c/secret-of-client"
echo 'secret /dev/vdc none luks,initramfs' >"$R/etc/crypttab"
initramfs
boot_files

opens() { # NAME
	start "$1" OVMF_VARS_4M.ms.fd $(nic)
	down
	must "the initramfs opened a volume" '^/dev/vdc is open'
	must "  with dm-crypt, and its file is there" '^GUEST read secret: contents of secret'
	must "systemd opened the other when the network was there" '^GUEST read data: contents of data'
	must "  and closes it when it is told to" '^GUEST closed data by'
	must "systemd-cryptsetup opened the third by pkcs11-uri=" '^GUEST read plain: contents of plain'
	must "the audit log of the initramfs is kept and whole" '^GUEST audit /var/log/vouchsafe/initramfs-.* 2 granted, 0 refused, verify 0'
	never "nobody was asked for a passphrase" 'Please unlock disk'
}
stays_shut() { # NAME VARS REASON: what is said on the console and by vouchsafe status
	start "$1" "$2" $(nic)
	until_said 400 'Please unlock disk secret'
	must "the initramfs did not open the volume, and says why" "vouchsafe: .*$3"
	must "  and whom to ask now" 'vouchsafe: secret was not opened; its recovery key opens it'
	echo recovery-passphrase >&3
	down
	must "the recovery key opened it" '^GUEST read secret: contents of secret'
	must "systemd's volume stays shut" '^GUEST closed data'
	must "  with status 1, refused" '^GUEST open data: status 1'
	must "  and vouchsafe status says why" "^GUEST status: .*$3"
	must "  its recovery key opens it, too" '^GUEST read data: contents of data'
	must "systemd-cryptsetup opens nothing" '^GUEST closed plain'
	must "the refusal is in the initramfs's audit log" '^GUEST audit /var/log/vouchsafe/initramfs-.* 0 granted, 1 refused, verify 0'
}
opens second
grub init_on_alloc=0 guest.boot=changed
stays_shut cmdline OVMF_VARS_4M.ms.fd 'x-ms-azurevm-attested-pcr-values.pcr8'
grub
"$LAB" tamper secure-boot off --dir "$W/lab" >/dev/null
stays_shut insecure OVMF_VARS_4M.fd secureboot
must "booted without Secure Boot" '^GUEST boot plain secure-boot 0'
"$LAB" tamper undo --dir "$W/lab" >/dev/null

# Without a network: it says what it waits for, gives up in time, and asks for the recovery key.
start alone OVMF_VARS_4M.ms.fd -nic none
until_said 400 'vouchsafe: waiting for the network'
waiting=$(date +%s)
until_said 240 'Please unlock disk secret'
ok "without a network the initramfs says so, gives up after $(($(date +%s) - waiting)) s (WAIT=45s), and asks for the recovery key"
kill "$vm"
wait "$vm" 2>/dev/null || true
vm=
opens again
echo "ok all of it in $(($(date +%s) - begin)) s"
