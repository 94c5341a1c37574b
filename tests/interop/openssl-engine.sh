#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# openssl dgst and cms through libengine-pkcs11-openssl, checked by plain openssl.
. "$VS_SRCDIR/tests/interop/lib.sh"
need openssl p11tool
openssl engine pkcs11 >/dev/null 2>&1 || { PATH=/nonexistent need engine-pkcs11; }
lab_up
cat >"$T/openssl.cnf" <<EOT
openssl_conf = init
[init]
engines = engines
[engines]
pkcs11 = pkcs11
[pkcs11]
engine_id = pkcs11
MODULE_PATH = $P11_MODULE
init = 0
EOT
head -c 5000 /dev/urandom >"$T/data"
engine() { OPENSSL_CONF="$T/openssl.cnf" openssl "$@"; }
for token in lab-vault lab-hsm; do
	for key in rsa2048 ec256 ec384; do
		pubkey $token $key "$T/$key.pem" || fail "no public key $key"
		succeeds "$token: dgst signs with $key" engine dgst -engine pkcs11 -keyform engine -sha256 \
			-sign "pkcs11:token=$token;object=$key;type=private" -out "$T/sig" "$T/data"
		succeeds "  and openssl verifies" openssl dgst -sha256 -verify "$T/$key.pem" -signature "$T/sig" "$T/data"
	done
	succeeds "$token: dgst signs PSS" engine dgst -engine pkcs11 -keyform engine -sha256 -sigopt rsa_padding_mode:pss \
		-sign "pkcs11:token=$token;object=rsa2048;type=private" -out "$T/sig" "$T/data"
	succeeds "  and openssl verifies" openssl dgst -sha256 -sigopt rsa_padding_mode:pss -verify "$T/rsa2048.pem" \
		-signature "$T/sig" "$T/data"
	succeeds "$token: a certificate for the key" engine req -new -x509 -engine pkcs11 -keyform engine -days 2 \
		-key "pkcs11:token=$token;object=rsa2048;type=private" -subj "/CN=engine" -out "$T/cert.pem"
	succeeds "$token: cms signs" engine cms -sign -nodetach -engine pkcs11 -keyform engine -binary -in "$T/data" \
		-signer "$T/cert.pem" -inkey "pkcs11:token=$token;object=rsa2048;type=private" -outform DER -out "$T/cms"
	succeeds "  and openssl verifies" openssl cms -verify -binary -inform DER -in "$T/cms" -CAfile "$T/cert.pem" \
		-purpose any -out "$T/out"
	cmp "$T/data" "$T/out" || fail "cms gave other bytes"
	for mode in pkcs1 oaep; do
		opt=
		[ $mode = pkcs1 ] || opt='-keyopt rsa_padding_mode:oaep'
		openssl cms -encrypt -binary -in "$T/data" -aes-256-cbc -outform DER -out "$T/env" -recip "$T/cert.pem" $opt
		succeeds "$token: cms decrypts ($mode)" engine cms -decrypt -engine pkcs11 -keyform engine -binary -inform DER \
			-in "$T/env" -recip "$T/cert.pem" -inkey "pkcs11:token=$token;object=rsa2048;type=private" -out "$T/out"
		cmp "$T/data" "$T/out" || fail "cms gave other bytes"
	done
done
audit_whole
