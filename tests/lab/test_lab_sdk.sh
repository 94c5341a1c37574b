#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The vendor's JavaScript clients against the lab. Needs node and a folder where
# @azure/keyvault-keys, keyvault-certificates, identity and attestation are installed:
#   VS_SDK_JS=FOLDER make check TESTS=tests/lab/test_lab_sdk.sh
set -eu
b=${VS_BUILDDIR:?}
if [ "${1:-}" != inside ]; then
	command -v node >/dev/null || { echo "SKIP: no node"; exit 77; }
	[ -d "${VS_SDK_JS:-}/node_modules/@azure/keyvault-keys" ] || {
		echo "SKIP: VS_SDK_JS names no folder with the vendor's clients"
		exit 77
	}
	exec "$b/vouchsafe-lab" run --no-throttle -- sh "$0" inside
fi
# node resolves packages from the script's own folder upwards
mkdir "$VOUCHSAFE_LAB/state/sdk"
ln -s "$VS_SDK_JS/node_modules" "$VOUCHSAFE_LAB/state/sdk/node_modules"
cp "${VS_SRCDIR:?}/tests/lab/sdk/clients.js" "$VOUCHSAFE_LAB/state/sdk/"
"$b/vouchsafe-lab" token --software-key |
	node -e 'console.log(JSON.parse(require("fs").readFileSync(0)).token)' |
	NODE_EXTRA_CA_CERTS=$CA_FILE NODE_NO_WARNINGS=1 node "$VOUCHSAFE_LAB/state/sdk/clients.js"
