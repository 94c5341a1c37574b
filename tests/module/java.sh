#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Java's SunPKCS11 and keytool on the module over an agent made of data; refused, Java gets the code.
set -u
M=$VS_BUILDDIR/tests/module/.libs/fake-pkcs11.so
[ -f "$M" ] || { echo "$M is not built"; exit 1; }
readelf -d "$M" | grep -q 'lib[atu][sb]san' && { echo "skipped: Java does not load sanitizers"; exit 77; }
command -v javac >/dev/null 2>&1 || { echo "skipped: no Java compiler"; exit 77; }
T=$(mktemp -d "${TMPDIR:-/tmp}/vs-java.XXXXXX") || exit 1
trap 'rm -rf "$T"' EXIT
export VOUCHSAFE_FAKE_DIR=$T
printf 'name = vouchsafe\nlibrary = %s\nslotListIndex = 0\n' "$M" >"$T/cfg"
timeout 120 java "$VS_SRCDIR/tests/module/Client.java" "$T/cfg" || exit 1
timeout 60 keytool -list -keystore NONE -storetype PKCS11 -addprovider SunPKCS11 -providerArg "$T/cfg" \
	-storepass any >"$T/out" 2>&1 || { cat "$T/out"; exit 1; }
grep -q 'ec256, PrivateKeyEntry' "$T/out" || { cat "$T/out"; echo "FAILED: keytool does not list ec256"; exit 1; }
echo "ok keytool lists"
VOUCHSAFE_FAKE_NEED=904 timeout 120 java "$VS_SRCDIR/tests/module/Client.java" "$T/cfg" >"$T/out" 2>&1 &&
	{ echo "FAILED: signed although refused"; exit 1; }
# Older and newer runtimes name it differently: by name, or by its number.
grep -q 'CKR_FUNCTION_REJECTED\|0x00000200' "$T/out" || { cat "$T/out"; echo "FAILED: the code is not said"; exit 1; }
echo "ok refused with CKR_FUNCTION_REJECTED"
