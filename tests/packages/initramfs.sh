# SPDX-License-Identifier: BSD-2-Clause
# Sourced by bare-root.sh: what the package vouchsafe-initramfs puts into a real kernel's initramfs,
# what it refuses to put there, and what is left when it goes. $debs and $R are the caller's.
initrd_has() { # what, files...
	what=$1
	shift
	for f in "$@"; do
		[ -e "$tree/$f" ] || [ -L "$tree/$f" ] || { (cd "$tree" && find . | grep -i vouchsafe); fail "the initramfs has no $f ($what)"; }
	done
	ok "in the initramfs: $what"
}
unpack_initrd() {
	rm -rf "$R/tmp/initrd"
	quietly "unpacking the initramfs" unmkinitramfs "/boot/initrd.img-$kernel" /tmp/initrd
	tree=$R/tmp/initrd
	[ ! -d "$tree/main" ] || tree=$tree/main
}
hook_refuses() { # what, pattern: update-initramfs fails, with one sentence, and the image stays
	before=$(sha256sum "$R/boot/initrd.img-$kernel")
	if inside update-initramfs -u -k "$kernel" >"$R/tmp/out" 2>&1; then cat "$R/tmp/out"; fail "an initramfs was made with $1"; fi
	grep -q "^E: vouchsafe: .*$2" "$R/tmp/out" || { cat "$R/tmp/out"; fail "$1: not said"; }
	[ "$(sha256sum "$R/boot/initrd.img-$kernel")" = "$before" ] || fail "$1: the image changed"
	ok "refused: $1"
}
in_image() { # by the image's own loader and libraries, nothing of the system's
	env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C chroot "$tree" "$@"
}

initramfs_life() {
	cp "$debs"/vouchsafe-initramfs_*.deb "$R/tmp/debs/"
	volume=/etc/vouchsafe/volumes/data.conf
	quietly "a kernel and the initramfs package" sh -c 'apt-get install -y -q --no-install-recommends \
		linux-image-cloud-$(dpkg --print-architecture) initramfs-tools /tmp/debs/vouchsafe-initramfs_*.deb'
	kernel=$(basename "$R"/boot/vmlinuz-*)
	kernel=${kernel#vmlinuz-}
	# A list is enough, and made in a fraction of the time.
	sed -i 's/^MODULES=.*/MODULES=list/; s/^COMPRESS=.*/COMPRESS=gzip/' "$R/etc/initramfs-tools/initramfs.conf"
	quietly "the initramfs" update-initramfs -u -k "$kernel"
	unpack_initrd
	[ ! -e "$tree/usr/bin/vouchsafe" ] && [ ! -e "$tree/etc/vouchsafe" ] || fail "no volume asks for it, and it is in the initramfs"
	ok "initramfs: nothing before a volume asks for it"

	mkdir -p "$R/etc/vouchsafe/volumes"
	printf 'DEVICE=/dev/disk/by-uuid/0000\nINITRAMFS=yes\n' >"$R$volume"
	hook_refuses "a volume without the fingerprint of its header" "data.conf has no EXPECT=; see vouchsafe-volume(8)"
	printf 'EXPECT=%064d\n' 7 >>"$R$volume"
	cp "$R/etc/vouchsafe/vouchsafe.conf" "$R/etc/vouchsafe/kept"
	printf 'not-a-secret-of-anybody\n' >"$R/etc/vouchsafe/client-secret"
	chmod 600 "$R/etc/vouchsafe/client-secret"
	{
		cat "$R/etc/vouchsafe/kept"
		printf 'credential = client-secret-file\ntenant-id = 00000000-0000-0000-0000-000000000000\n'
		printf 'client-id = 00000000-0000-0000-0000-000000000000\nclient-secret-file = /etc/vouchsafe/client-secret\n'
	} >"$R/etc/vouchsafe/vouchsafe.conf"
	hook_refuses "a secret that would be readable on /boot" "client-secret-file would be readable on /boot"
	sed 's,^policy.*,policy = /etc/vouchsafe/nothing.json,' "$R/etc/vouchsafe/kept" >"$R/etc/vouchsafe/vouchsafe.conf"
	hook_refuses "a configuration that names a file that is not there" "vouchsafe.conf"
	rm "$R/etc/vouchsafe/vouchsafe.conf"
	hook_refuses "no configuration" "there is no /etc/vouchsafe/vouchsafe.conf"

	{
		printf '[global]\naudit-log = /var/log/vouchsafe/audit.log\n'
		cat "$R/etc/vouchsafe/kept"
		printf 'allow = user:root\n'
	} >"$R/etc/vouchsafe/vouchsafe.conf"
	quietly "the initramfs" update-initramfs -u -k "$kernel"
	unpack_initrd
	initrd_has "tools" usr/bin/vouchsafe usr/libexec/vouchsafe-agent scripts/local-top/vouchsafe scripts/local-bottom/vouchsafe
	initrd_has "configuration and what it names" etc/vouchsafe/vouchsafe.conf etc/vouchsafe/volumes/data.conf \
		usr/share/vouchsafe/policy/azure-cvm-snp.json etc/ssl/certs/ca-certificates.crt etc/hosts etc/passwd etc/group
	grep -q '"\?/scripts/local-top/vouchsafe' "$tree/scripts/local-top/ORDER" || fail "nothing calls /scripts/local-top/vouchsafe"
	for m in dm-crypt dm-mod; do # a module, or in the kernel
		find "$tree/" -name "$m.ko*" | grep -q . || grep -q "/$m.ko$" "$R/lib/modules/$kernel/modules.builtin" || fail "no module $m"
	done
	find "$tree/" -path '*drivers/net*' -name '*.ko*' | grep -q . || fail "no network driver"
	ok "in the initramfs: the order to start it, dm-crypt, network drivers"
	[ "$(grep -c '^audit-log = /run/vouchsafe/initramfs/audit.log$' "$tree/etc/vouchsafe/vouchsafe.conf")" = 1 ] &&
		! grep -qE '/var/|^allow' "$tree/etc/vouchsafe/vouchsafe.conf" || { cat "$tree/etc/vouchsafe/vouchsafe.conf"; fail "paths of the running system in the initramfs"; }
	! grep -rlq not-a-secret-of-anybody "$tree" || fail "a secret is in the initramfs"
	mkdir -p "$tree/run"
	in_image /usr/bin/vouchsafe --version >"$R/tmp/out" 2>&1 || { cat "$R/tmp/out"; fail "vouchsafe does not run in the initramfs"; }
	in_image /usr/libexec/vouchsafe-agent --version >"$R/tmp/out" 2>&1 || { cat "$R/tmp/out"; fail "the agent does not run in the initramfs"; }
	in_image /usr/bin/vouchsafe conf check >"$R/tmp/out" 2>&1 || { cat "$R/tmp/out"; fail "the configuration in the initramfs"; }
	in_image /usr/bin/vouchsafe volume open --test /etc/passwd >"$R/tmp/out" 2>&1 && fail "a text was opened as a volume"
	grep -q 'has no LUKS2 header' "$R/tmp/out" || { cat "$R/tmp/out"; fail "volume open in the initramfs"; }
	ok "with the image's own libraries: both programs run, the configuration is valid, a volume is judged"

	rm "$R/boot/initrd.img-$kernel"
	quietly "the initramfs" update-initramfs -c -k "$kernel"
	touch -d 2000-01-01 "$R/boot/initrd.img-$kernel"
	quietly "installing the tools again" sh -c 'dpkg -i /tmp/debs/vouchsafe_*.deb'
	[ "$(stat -c %Y "$R/boot/initrd.img-$kernel")" -gt 1000000000 ] || fail "new tools, and the initramfs has the old ones"
	ok "new tools come to the initramfs"
	quietly "purging the initramfs package" dpkg --purge vouchsafe-initramfs
	unpack_initrd
	! (cd "$tree" && find . | grep -i vouchsafe) || fail "left in the initramfs after purge"
	ok "purged, it is gone from the initramfs"
	mv "$R/etc/vouchsafe/kept" "$R/etc/vouchsafe/vouchsafe.conf"
	rm -rf "$R$volume" "$R/etc/vouchsafe/volumes" "$R/etc/vouchsafe/client-secret" "$R/tmp/initrd"
}
