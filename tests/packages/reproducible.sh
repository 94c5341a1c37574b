#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Are the packages the same bytes when they are built again, elsewhere and later, and has lintian
# nothing to say? usage: reproducible.sh TARBALL VERSION FOLDER (of a build by deb.sh)
set -eu
here=$(dirname "$0")
first=$3
second=$(mktemp -d "${TMPDIR:-/tmp}/vs-deb-again.XXXXXX")
trap 'rm -rf "$second"' EXIT
trap 'exit 143' INT TERM
umask 022
TZ=Pacific/Kiritimati LC_ALL=C sh "$here/deb.sh" "$1" "$2" "$second/again" >/dev/null
n=0
for f in "$first"/*.deb; do
	cmp "$f" "$second/again/$(basename "$f")" || { echo "FAILED: not reproducible: $(basename "$f")"; exit 1; }
	n=$((n + 1))
done
[ "$n" -ge 4 ] || { echo "FAILED: $n packages, expected at least 4"; exit 1; }
echo "ok $n packages are the same bytes when built again"
command -v lintian >/dev/null || { echo "FAILED: lintian is not installed"; exit 1; }
said=$(lintian --fail-on none --allow-root -I "$first"/*.changes)
[ -z "$said" ] || { printf '%s\n' "$said"; echo "FAILED: lintian has something to say"; exit 1; }
echo "ok lintian has nothing to say"
