#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# openssl dgst, pkeyutl, req, x509 and cms through libengine-pkcs11-openssl, checked by plain openssl; then blocked.
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
openssl dgst -sha256 -binary -out "$T/digest" "$T/data"
openssl req -new -newkey rsa:2048 -nodes -keyout "$T/other.key" -subj /CN=other -out "$T/other.csr" 2>/dev/null
key() { echo "pkcs11:token=$token;object=$1;type=private"; }
with="-engine pkcs11 -keyform engine"
jobs() { # succeeds|refused
	for key in rsa2048 ec256 ec384; do
		$1 "$token: dgst signs with $key" engine dgst $with -sha256 -sign "$(key $key)" -out "$T/sig.$key" "$T/data"
		$1 "$token: pkeyutl signs with $key" engine pkeyutl -sign $with -inkey "$(key $key)" -pkeyopt digest:sha256 \
			-in "$T/digest" -out "$T/psig.$key"
	done
	$1 "$token: dgst signs PSS" engine dgst $with -sha256 -sigopt rsa_padding_mode:pss -sign "$(key rsa2048)" \
		-out "$T/sig.pss" "$T/data"
	$1 "$token: req makes a request" engine req -new $with -key "$(key ec256)" -subj /CN=engine -out "$T/req.pem"
	$1 "$token: req makes a certificate" engine req -new -x509 $with -days 2 -key "$(key rsa2048)" -subj /CN=engine \
		-out "$T/made.pem"
	$1 "$token: x509 signs a certificate" engine x509 -req -in "$T/other.csr" -engine pkcs11 -CAkeyform engine -CA "$T/cert.pem" \
		-CAkey "$(key rsa2048)" -set_serial 7 -days 2 -out "$T/issued.pem"
	$1 "$token: cms signs" engine cms -sign -nodetach $with -binary -in "$T/data" -signer "$T/cert.pem" \
		-inkey "$(key rsa2048)" -outform DER -out "$T/cms"
	for mode in pkcs1 oaep; do
		$1 "$token: cms decrypts ($mode)" engine cms -decrypt $with -binary -inform DER -in "$T/env.$mode" \
			-recip "$T/cert.pem" -inkey "$(key rsa2048)" -out "$T/out.$mode"
		$1 "$token: pkeyutl decrypts ($mode)" engine pkeyutl -decrypt $with -inkey "$(key rsa2048)" \
			-pkeyopt rsa_padding_mode:$mode -in "$T/enc.$mode" -out "$T/dec.$mode"
	done
}
check() { # what was made, by plain OpenSSL
	for key in rsa2048 ec256 ec384; do
		succeeds "  openssl verifies dgst with $key" openssl dgst -sha256 -verify "$T/$key.pem" -signature "$T/sig.$key" "$T/data"
		succeeds "  openssl verifies pkeyutl with $key" openssl pkeyutl -verify -pubin -inkey "$T/$key.pem" \
			-pkeyopt digest:sha256 -in "$T/digest" -sigfile "$T/psig.$key"
	done
	succeeds "  openssl verifies PSS" openssl dgst -sha256 -sigopt rsa_padding_mode:pss -verify "$T/rsa2048.pem" \
		-signature "$T/sig.pss" "$T/data"
	succeeds "  openssl verifies the request" openssl req -verify -noout -in "$T/req.pem"
	succeeds "  openssl verifies the certificate" openssl verify -check_ss_sig -CAfile "$T/made.pem" "$T/made.pem"
	succeeds "  openssl verifies what x509 issued" openssl verify -partial_chain -CAfile "$T/cert.pem" "$T/issued.pem"
	succeeds "  openssl verifies cms" openssl cms -verify -binary -inform DER -in "$T/cms" -CAfile "$T/cert.pem" \
		-purpose any -out "$T/out.cms"
	for f in out.cms out.pkcs1 out.oaep; do
		cmp "$T/data" "$T/$f" || fail "$f: other bytes"
	done
	for f in dec.pkcs1 dec.oaep; do
		cmp "$T/digest" "$T/$f" || fail "$f: other bytes"
	done
}
prepare() { # what plain OpenSSL makes for this token's key
	for key in rsa2048 ec256 ec384; do
		pubkey $token $key "$T/$key.pem" || fail "no public key $key"
	done
	engine req -new -x509 $with -days 2 -key "$(key rsa2048)" -subj /CN=ca -addext basicConstraints=critical,CA:TRUE \
		-out "$T/cert.pem" >"$T/cmd.out" 2>&1 || { cat "$T/cmd.out"; fail "no CA certificate"; }
	for mode in pkcs1 oaep; do
		opt=
		[ $mode = pkcs1 ] || opt='-keyopt rsa_padding_mode:oaep'
		openssl cms -encrypt -binary -in "$T/data" -aes-256-cbc -outform DER -out "$T/env.$mode" -recip "$T/cert.pem" $opt
		openssl pkeyutl -encrypt -pubin -inkey "$T/rsa2048.pem" -pkeyopt rsa_padding_mode:$mode -in "$T/digest" \
			-out "$T/enc.$mode"
	done
}
token=lab-hsm
for key in rsa2048 ec256 ec384; do
	pubkey $token $key "$T/$key.pem" || fail "no public key $key"
	succeeds "$token: dgst signs with $key" engine dgst $with -sha256 -sign "$(key $key)" -out "$T/sig" "$T/data"
	succeeds "  and openssl verifies" openssl dgst -sha256 -verify "$T/$key.pem" -signature "$T/sig" "$T/data"
done
token=lab-vault
prepare
jobs succeeds
check
note "blocked"
rm -f "$T"/sig.* "$T"/psig.* "$T"/out.* "$T"/dec.* "$T/cms" "$T/made.pem" "$T/issued.pem"
tampered pcr 4
jobs refused
for f in "$T"/sig.* "$T"/psig.* "$T"/dec.* "$T/made.pem" "$T/issued.pem"; do
	[ ! -s "$f" ] || fail "$f: something was made"
done
tampered undo
succeeds "and dgst signs afterwards" engine dgst $with -sha256 -sign "$(key ec256)" -out "$T/sig" "$T/data"
succeeds "  and openssl verifies" openssl dgst -sha256 -verify "$T/ec256.pem" -signature "$T/sig" "$T/data"
audit_whole
