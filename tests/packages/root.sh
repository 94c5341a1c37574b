# SPDX-License-Identifier: BSD-2-Clause
# Sourced by what works in a bare Debian root of its own; everything of it is gone at the end.
skip() {
	[ -z "${CI-}${VS_REQUIRE_ALL-}" ] || { echo "FAILED: $1"; exit 1; }
	echo "skipped: $1"
	exit 77
}
ok() { echo "ok $*"; }
fail() { echo "FAILED: $*"; exit 1; }
# Starts the calling script again with mounts and processes that nobody else sees.
private_root() {
	[ "$(id -u)" = 0 ] || skip "a bare root needs root"
	[ -z "${VS_PRIVATE_MOUNTS-}" ] || return 0
	unshare -m -p -f true 2>/dev/null || skip "mounts and processes of its own are not possible here"
	VS_PRIVATE_MOUNTS=1 exec unshare -m -p -f --kill-child --propagation private sh "$0" "$@"
}
remove_root() {
	rc=$?
	trap - EXIT
	umount -l "$R/proc" 2>/dev/null || true
	umount -R -l "$R/dev" 2>/dev/null || true
	rm -rf --one-file-system "$R"
	exit $rc
}
# $1: tar of a minimal root; without one debootstrap makes it.
make_root() {
	R=$(mktemp -d "${TMPDIR:-/tmp}/vs-bare.XXXXXX")
	trap remove_root EXIT
	trap 'exit 143' INT TERM
	if [ -n "$1" ]; then
		tar -C "$R" -xf "$1"
	else
		command -v debootstrap >/dev/null || skip "no BARE_ROOT_TAR, and debootstrap is not installed"
		debootstrap --variant=minbase bookworm "$R" >"$R.log" 2>&1 || { tail "$R.log"; rm -f "$R.log"; fail "debootstrap"; }
		rm -f "$R.log"
	fi
	cp /etc/resolv.conf "$R/etc/resolv.conf"
	for f in /etc/apt/apt.conf.d/*prox*; do [ ! -f "$f" ] || cp "$f" "$R/etc/apt/apt.conf.d/"; done
	mount -t proc proc "$R/proc"
	mount --rbind /dev "$R/dev"
	mount --make-rslave "$R/dev"
}
inside() { # as root, without this environment
	env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C \
		DEBIAN_FRONTEND=noninteractive TERM=dumb chroot "$R" "$@"
}
quietly() { # what CMD...
	what=$1
	shift
	inside "$@" >"$R/tmp/out" 2>&1 || { tail -n 30 "$R/tmp/out"; fail "$what"; }
}
