#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Unchanged clients on the module over an agent made of data: they find, read, sign, decrypt, and
# what they make verifies with plain openssl; refused, they end at once and say a code.
set -u
M=$VS_BUILDDIR/tests/module/.libs/fake-pkcs11.so
[ -f "$M" ] || { echo "$M is not built"; exit 1; }
readelf -d "$M" | grep -q 'lib[atu][sb]san' && { echo "skipped: clients do not load sanitizers"; exit 77; }
T=$(mktemp -d "${TMPDIR:-/tmp}/vs-clients.XXXXXX") || exit 1
trap 'rm -rf "$T"' EXIT
export VOUCHSAFE_FAKE_DIR=$T
cd "$T" || exit 1
bad=0 n=0
# Names, and prints output only when something is wrong.
check() {
	n=$((n + 1))
	name=$1
	shift
	if timeout 60 "$@" >out 2>&1; then echo "ok $name"; else echo "FAILED ($?): $name"; tail -5 out; bad=1; fi
}
says() {
	name=$1 want=$2
	n=$((n + 1))
	if grep -q -- "$want" out; then echo "ok $name"; else echo "FAILED: $name: \"$want\" is not said"; tail -5 out; bad=1; fi
}
have() { command -v "$1" >/dev/null 2>&1 || { echo "not here: $1"; return 1; }; }
echo "a message" >msg

if have pkcs11-tool; then
	P="pkcs11-tool --module $M --token-label lab-vault"
	check "pkcs11-tool lists slots" pkcs11-tool --module "$M" -L
	says "both tokens are there" "lab-hsm"
	check "pkcs11-tool lists objects" $P -O
	says "a certificate" "Certificate Object; type = X.509 cert"
	check "pkcs11-tool --login without PIN works" $P --login --pin any -O
	id=$($P -O --type pubkey 2>/dev/null | awk '/label: *rsa2048/{f=1} f&&/ID:/{print $2; exit}')
	ec=$($P -O --type pubkey 2>/dev/null | awk '/label: *ec256/{f=1} f&&/ID:/{print $2; exit}')
	for k in rsa2048 ec256; do openssl pkey -in $k.pem -pubout -out $k.pub; done
	for m in SHA256-RSA-PKCS SHA512-RSA-PKCS; do
		md=$(echo $m | cut -d- -f1 | tr A-Z a-z)
		check "pkcs11-tool signs $m" $P --id "$id" -s -m $m -i msg -o sig
		check "openssl verifies it" openssl dgst -$md -verify rsa2048.pub -signature sig msg
	done
	check "pkcs11-tool signs ECDSA" $P --id "$ec" -s -m ECDSA-SHA256 --signature-format openssl -i msg -o sig
	check "openssl verifies it" openssl dgst -sha256 -verify ec256.pub -signature sig msg
	openssl pkeyutl -encrypt -pubin -inkey rsa2048.pub -in msg -out ct
	check "pkcs11-tool decrypts PKCS#1" $P --id "$id" --decrypt -m RSA-PKCS -i ct -o pt
	check "it is the message" cmp msg pt
	check "pkcs11-tool --test" $P --test
	says "no errors" "No errors"
	check "pkcs11-tool --test-fork" $P --test-fork
	VOUCHSAFE_FAKE_NEED=904 $P --id "$id" -s -m SHA256-RSA-PKCS -i msg -o sig >out 2>&1 && { echo "FAILED: signed although refused"; bad=1; }
	says "refused is 0x200" "0x200"
	VOUCHSAFE_FAKE_NEED=500 $P --id "$id" -s -m SHA256-RSA-PKCS -i msg -o sig >out 2>&1 && { echo "FAILED: signed although unreachable"; bad=1; }
	says "unreachable is CKR_DEVICE_ERROR" "CKR_DEVICE_ERROR"
fi
if have p11tool; then
	for k in rsa2048 ec256; do
		check "p11tool signs with $k" p11tool --provider "$M" --test-sign "pkcs11:token=lab-vault;object=$k;type=private"
	done
	check "p11tool lists a token" p11tool --provider "$M" --list-all "pkcs11:token=lab-hsm"
	says "keys and certificates pair up" "object=ec384;type=cert"
	check "p11tool exports a certificate" p11tool --provider "$M" --export "pkcs11:token=lab-vault;object=rsa2048;type=cert"
fi
if have ssh-keygen; then
	check "ssh-keygen -D" ssh-keygen -D "$M"
	says "an EC key" "ecdsa-sha2-nistp256"
fi
engine=$(openssl version -e 2>/dev/null | sed 's/ENGINESDIR: "\(.*\)"/\1/')/pkcs11.so
if [ -f "$engine" ]; then
	cat >engine.cnf <<-EOC
	openssl_conf = a
	[a]
	engines = b
	[b]
	pkcs11 = c
	[c]
	engine_id = pkcs11
	MODULE_PATH = $M
	init = 0
	EOC
	for k in rsa2048 ec256; do
		check "openssl engine signs with $k" env OPENSSL_CONF="$T/engine.cnf" openssl dgst -engine pkcs11 -keyform engine \
			-sign "pkcs11:token=lab-vault;object=$k;type=private" -sha256 -out sig msg
		check "openssl verifies it" openssl dgst -sha256 -verify $k.pub -signature sig msg
	done
	timeout 20 env VOUCHSAFE_FAKE_NEED=904 OPENSSL_CONF="$T/engine.cnf" openssl dgst -engine pkcs11 -keyform engine \
		-sign "pkcs11:token=lab-vault;object=rsa2048;type=private" -sha256 -out sig msg >out 2>&1
	rc=$?
	n=$((n + 1))
	if [ $rc -eq 1 ]; then echo "ok refused, openssl ends with 1"; else echo "FAILED: openssl ended with $rc"; bad=1; fi
	says "with the number" "512"
fi
if have p11-kit; then
	mkdir -p home/.config/pkcs11/modules
	echo "module: $M" >home/.config/pkcs11/modules/vouchsafe.module
	echo "user-config: only" >home/.config/pkcs11/pkcs11.conf
	# Root reads no user configuration; then the list is only asked not to break.
	check "p11-kit lists modules" env HOME="$T/home" XDG_CONFIG_HOME="$T/home/.config" p11-kit list-modules
fi
[ $n -gt 0 ] || { echo "no client is here"; exit 77; }
exit $bad
