#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Debian packages from a distribution tarball. usage: deb.sh TARBALL VERSION FOLDER
# FOLDER is made anew; its packages and its build log are what is left in it.
set -eu
tarball=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
version=$2
out=$3
for p in dpkg-buildpackage dh; do
	command -v "$p" >/dev/null || { echo "deb.sh: $p is not installed (apt-get install dpkg-dev debhelper)" >&2; exit 2; }
done
rm -rf "$out"
mkdir -p "$out/tree"
tar -C "$out/tree" --strip-components=1 -xf "$tarball"
cp -R "$out/tree/conf/debian" "$out/tree/debian"
rm "$out/tree/debian/changelog.sh"
sh "$out/tree/conf/debian/changelog.sh" "$out/tree" "$version" >"$out/tree/debian/changelog"
chmod +x "$out/tree/debian/rules"
: "${DEB_BUILD_OPTIONS=nocheck}"
export DEB_BUILD_OPTIONS
case " $DEB_BUILD_OPTIONS " in *" nocheck "*) profiles=nocheck ;; *) profiles= ;; esac
(cd "$out/tree" && DEB_BUILD_PROFILES=$profiles dpkg-buildpackage -b -us -uc -j"${VS_JOBS:-$(nproc)}") \
	>"$out/build.log" 2>&1 || { tail -n 40 "$out/build.log"; echo "deb.sh: the build failed; see $out/build.log" >&2; exit 1; }
rm -rf "$out/tree"
(cd "$out" && sha256sum ./*.deb)
