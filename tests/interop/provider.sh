#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# OpenSSL 3 with pkcs11-provider: dgst, pkeyutl, req, x509, cms, s_server with TLS 1.2 and 1.3. Each is checked by plain
# OpenSSL, and once more on a machine that is no longer trusted. VS_PKCS11_PROVIDER names the provider's shared object, or
# it lies where distributions put it.
. "$VS_SRCDIR/tests/interop/lib.sh"
PROVIDER=${VS_PKCS11_PROVIDER-}
for f in /usr/lib/*/ossl-modules/pkcs11.so /usr/lib64/ossl-modules/pkcs11.so /usr/local/lib/*/ossl-modules/pkcs11.so; do
	[ -n "$PROVIDER" ] || [ ! -f "$f" ] || PROVIDER=$f
done
[ -n "$PROVIDER" ] || { PATH=/nonexistent need pkcs11-provider; }
need openssl python3
lab_up
global_setting 'refusal-hold = 100ms'
cat >"$T/provider.cnf" <<EOT
openssl_conf = init
[init]
providers = providers
[providers]
default = default_sect
pkcs11 = pkcs11_sect
[default_sect]
activate = 1
[pkcs11_sect]
module = $PROVIDER
pkcs11-module-path = $P11_MODULE
activate = 1
EOT
head -c 5000 /dev/urandom >"$T/data"
openssl dgst -sha256 -binary -out "$T/digest" "$T/data"
provided() { OPENSSL_CONF="$T/provider.cnf" timeout 60 openssl "$@" </dev/null; }
key() { echo "pkcs11:token=$TOKEN;object=$1;type=private"; }

jobs() { # succeeds|refused
	for k in rsa2048 ec256 ec384; do
		$1 "$TOKEN: dgst signs with $k" provided dgst -sha256 -sign "$(key $k)" -out "$T/sig.$k" "$T/data"
		$1 "$TOKEN: pkeyutl signs with $k" provided pkeyutl -sign -inkey "$(key $k)" -pkeyopt digest:sha256 \
			-in "$T/digest" -out "$T/psig.$k"
	done
	$1 "$TOKEN: dgst signs PSS" provided dgst -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest \
		-sign "$(key rsa2048)" -out "$T/sig.pss" "$T/data"
	$1 "$TOKEN: req makes a request" provided req -new -key "$(key ec256)" -subj /CN=provider -out "$T/req.pem"
	$1 "$TOKEN: req makes a certificate" provided req -new -x509 -key "$(key rsa2048)" -subj /CN=provider -days 2 \
		-out "$T/made.pem"
	$1 "$TOKEN: x509 signs a certificate" provided x509 -req -in "$T/other.csr" -CA "$T/ca.pem" -CAkey "$(key rsa2048)" \
		-set_serial 7 -days 2 -out "$T/issued.pem"
	$1 "$TOKEN: cms signs" provided cms -sign -nodetach -binary -in "$T/data" -signer "$T/ca.pem" -inkey "$(key rsa2048)" \
		-outform DER -out "$T/cms"
	for mode in pkcs1 oaep; do
		$1 "$TOKEN: cms decrypts ($mode)" provided cms -decrypt -binary -inform DER -in "$T/env.$mode" -recip "$T/ca.pem" \
			-inkey "$(key rsa2048)" -out "$T/out.$mode"
		# The provider has no default of its own for OAEP: unasked it names no hash.
		opt=
		[ $mode = pkcs1 ] || opt='-pkeyopt rsa_oaep_md:sha1 -pkeyopt rsa_mgf1_md:sha1'
		$1 "$TOKEN: pkeyutl decrypts ($mode)" provided pkeyutl -decrypt -inkey "$(key rsa2048)" \
			-pkeyopt rsa_padding_mode:$mode $opt -in "$T/enc.$mode" -out "$T/dec.$mode"
	done
}
check() { # what was made, by plain OpenSSL
	for k in rsa2048 ec256 ec384; do
		succeeds "  openssl verifies dgst with $k" openssl dgst -sha256 -verify "$T/$k.pem" -signature "$T/sig.$k" "$T/data"
		succeeds "  openssl verifies pkeyutl with $k" openssl pkeyutl -verify -pubin -inkey "$T/$k.pem" \
			-pkeyopt digest:sha256 -in "$T/digest" -sigfile "$T/psig.$k"
	done
	succeeds "  openssl verifies PSS" openssl dgst -sha256 -sigopt rsa_padding_mode:pss -verify "$T/rsa2048.pem" \
		-signature "$T/sig.pss" "$T/data"
	succeeds "  openssl verifies the request" openssl req -verify -noout -in "$T/req.pem"
	openssl x509 -in "$T/made.pem" -noout -pubkey | cmp -s - "$T/rsa2048.pem" || fail "the certificate has another key"
	succeeds "  openssl verifies the certificate" openssl verify -CAfile "$T/made.pem" "$T/made.pem"
	succeeds "  openssl verifies what x509 issued" openssl verify -partial_chain -CAfile "$T/ca.pem" "$T/issued.pem"
	succeeds "  openssl verifies cms" openssl cms -verify -binary -inform DER -in "$T/cms" -CAfile "$T/ca.pem" -purpose any \
		-partial_chain -out "$T/out.cms"
	for f in out.cms out.pkcs1 out.oaep; do
		cmp "$T/data" "$T/$f" || fail "$f: other bytes"
	done
	for f in dec.pkcs1 dec.oaep; do
		cmp "$T/digest" "$T/$f" || fail "$f: other bytes"
	done
}
openssl req -new -newkey rsa:2048 -nodes -keyout "$T/other.key" -subj /CN=other -out "$T/other.csr" 2>/dev/null
prepare() { # what plain OpenSSL makes for this token's key
	for k in rsa2048 ec256 ec384; do
		pubkey "$TOKEN" $k "$T/$k.pem" || fail "no public key $k"
	done
	# A CA's certificate for the token's key.
	provided req -new -x509 -key "$(key rsa2048)" -subj /CN=ca -days 2 -addext basicConstraints=critical,CA:TRUE \
		-out "$T/ca.pem" >"$T/cmd.out" 2>&1 || { cat "$T/cmd.out"; fail "no CA certificate"; }
	for mode in pkcs1 oaep; do
		opt=
		[ $mode = pkcs1 ] || opt='-keyopt rsa_padding_mode:oaep'
		openssl cms -encrypt -binary -in "$T/data" -aes-256-cbc -outform DER -out "$T/env.$mode" -recip "$T/ca.pem" $opt
		openssl pkeyutl -encrypt -pubin -inkey "$T/rsa2048.pem" -pkeyopt rsa_padding_mode:$mode -in "$T/digest" \
			-out "$T/enc.$mode"
	done
}
server() { # KEY
	PORT=$(free_port)
	serve s_server env OPENSSL_CONF="$T/provider.cnf" openssl s_server -accept "127.0.0.1:$PORT" -key "$(key "$1")" \
		-cert "$D/certs/$1.pem" -www
	until_open "$PORT"
}
need p11tool
for TOKEN in lab-vault lab-hsm; do
	prepare
	jobs succeeds
	check
done
TOKEN=lab-vault
prepare
for k in rsa2048 ec256; do
	server $k
	for v in 1_2 1_3; do
		succeeds "TLS $v with $k" tls "$PORT" "$D/certs/$k.pem" -tls$v
		says "TLSv1.${v#1_}"
	done
	stop "$SERVED"
done
note "blocked"
rm -f "$T"/sig.* "$T"/psig.* "$T"/out.* "$T"/dec.* "$T/cms"
tampered pcr 4
jobs refused
for f in "$T"/sig.* "$T"/psig.* "$T"/dec.*; do
	[ ! -s "$f" ] || fail "$f: something was made"
done
server ec256
for v in 1_2 1_3; do
	refused "no handshake, TLS $v" tls "$PORT" "$D/certs/ec256.pem" -tls$v
	says 'alert|error'
done
kill -0 "$SERVED" || fail "the server ended"
tampered undo
sleep 0.3
succeeds "and the same server succeeds afterwards" tls "$PORT" "$D/certs/ec256.pem"
stop "$SERVED"
jobs succeeds
check
audit_whole
