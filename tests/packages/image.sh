#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The container image of conf/kubernetes/Dockerfile, built by buildah on a bare Debian root in place of
# the registry's, and its entry points. usage: image.sh TARBALL [ROOT-TAR]
# Needs root and a package mirror; images, mounts and processes are private and gone at the end.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/root.sh"
private_root "$@"
command -v buildah >/dev/null || skip "buildah is not installed"
tarball=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
make_root "${2-}"
umount -l "$R/proc"
umount -R -l "$R/dev"
W=$(mktemp -d "${TMPDIR:-/tmp}/vs-image.XXXXXX")
trap 'rc=$?; rm -rf "$W"; (exit $rc); remove_root' EXIT
STORAGE_DRIVER=vfs
BUILDAH_ISOLATION=chroot
export STORAGE_DRIVER BUILDAH_ISOLATION
b() { buildah --root "$W/images" --runroot "$W/run" "$@"; }
loud() { # what CMD...
	what=$1
	shift
	"$@" >"$W/out" 2>&1 || { tail -n 30 "$W/out"; fail "$what"; }
}
c=$(b from scratch)
loud "the base image" b add -q "$c" "$R" /
loud "the base image" b commit -q "$c" docker.io/library/debian:12-slim
mkdir "$W/source"
tar -C "$W/source" --strip-components=1 -xf "$tarball"
(cd "$W/source" && loud "the image" b bud --pull=never --network host -f conf/kubernetes/Dockerfile -t vouchsafe:test .)
ok "the image is built"
c=$(b from --pull=never localhost/vouchsafe:test)
inside_image() { b run "$c" -- "$@" >"$W/out" 2>&1; }
inside_image vouchsafe --version || { cat "$W/out"; fail "vouchsafe in the image"; }
inside_image /usr/libexec/vouchsafe-agent --version || { cat "$W/out"; fail "the agent in the image"; }
inside_image sh -c '! ldd /usr/libexec/vouchsafe-agent /usr/bin/vouchsafe /usr/lib/pkcs11/vouchsafe-pkcs11.so | grep "not found"' ||
	{ cat "$W/out"; fail "a library is missing in the image"; }
ok "programs and module have all their libraries"
rc=0
inside_image vouchsafe gate --agent --timeout 1s || rc=$?
[ $rc = 2 ] && grep -q vouchsafe.conf "$W/out" || { cat "$W/out"; fail "the gate without a configuration: $rc"; }
inside_image sh -c '! command -v vouchsafe-lab && ! command -v cc' || fail "the image has more than it needs"
entry=$(b inspect --format '{{.OCIv1.Config.Entrypoint}}' "$c")
[ "$entry" = "[/usr/libexec/vouchsafe-agent.sh]" ] || fail "entry point $entry"
rc=0
inside_image sh -c 'mkdir -p /etc/vouchsafe /var/lib/vouchsafe && echo nonsense >/etc/vouchsafe/vouchsafe.conf &&
	exec /usr/libexec/vouchsafe-agent.sh /etc/vouchsafe/vouchsafe.conf /run/agent.sock /var/lib/vouchsafe/state' || rc=$?
[ $rc = 2 ] && grep -q 'vouchsafe.conf:1' "$W/out" || { cat "$W/out"; fail "the entry point with a wrong configuration: $rc"; }
ok "entry points answer as they should"
