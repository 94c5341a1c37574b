#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The vendor's JavaScript clients against the lab. `make check-sdk` installs them, pinned by
# tests/lab/sdk/package-lock.json, into the build directory and runs this; another folder with them:
#   VS_SDK_JS=FOLDER make check TESTS=tests/lab/test_lab_sdk.sh
set -eu
b=${VS_BUILDDIR:?}
s=${VS_SRCDIR:?}
: "${VS_SDK_JS:=$b/check-sdk}"
export VS_SDK_JS
if [ "${1:-}" != inside ]; then
	command -v node >/dev/null || { echo "SKIP: no node"; exit 77; }
	[ -d "$VS_SDK_JS/node_modules/@azure/keyvault-keys" ] || {
		echo "SKIP: the vendor's clients are not installed; make check-sdk installs them"
		exit 77
	}
	exec "$b/vouchsafe-lab" run --no-throttle -- sh "$0" inside
fi
# node resolves packages from the script's own folder upwards
d=$VOUCHSAFE_LAB/state/sdk
mkdir "$d"
ln -s "$VS_SDK_JS/node_modules" "$d/node_modules"
cp "$s/tests/lab/sdk/clients.js" "$s/tests/lab/sdk/attestation.js" "$d/"
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=LAB policy signer" \
	-addext basicConstraints=critical,CA:TRUE -keyout "$d/key" -out "$d/cert" 2>/dev/null
cat "$d/cert" "$d/key" >"$d/mine.pem"
export NODE_EXTRA_CA_CERTS="$CA_FILE" NODE_NO_WARNINGS=1 SDK_SIGNERS="$d"
"$b/vouchsafe-lab" token --software-key | node "$d/clients.js"
node "$d/attestation.js"
