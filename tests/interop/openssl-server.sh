#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# openssl s_server with a key by the engine, TLS 1.2 and 1.3; curl with a client certificate by the engine.
. "$VS_SRCDIR/tests/interop/lib.sh"
need openssl curl python3
need_engine
lab_up
global_setting 'refusal-hold = 100ms'
engine_conf
key() { echo "pkcs11:token=lab-vault;object=$1;type=private"; }
server() { # KEY OPTIONS...
	_k=$1
	shift
	PORT=$(free_port)
	serve s_server env OPENSSL_CONF="$T/openssl.cnf" openssl s_server -accept "127.0.0.1:$PORT" -engine pkcs11 -keyform engine \
		-key "$(key "$_k")" -cert "$D/certs/$_k.pem" -www "$@"
	until_open "$PORT"
}
for key in rsa2048 ec256; do
	server $key
	succeeds "TLS 1.2 with $key" tls "$PORT" "$D/certs/$key.pem" -tls1_2
	says 'TLSv1.2'
	succeeds "TLS 1.3 with $key" tls "$PORT" "$D/certs/$key.pem" -tls1_3
	says 'TLSv1.3'
	if [ $key = rsa2048 ]; then
		says 'Peer signature type: RSA-PSS'
	fi
	stop "$SERVED"
done
note "blocked"
tampered pcr 4
server rsa2048
for opt in -tls1_2 -tls1_3; do
	refused "after a PCR changed: no handshake ($opt)" tls "$PORT" "$D/certs/rsa2048.pem" $opt
	says 'alert|error'
done
kill -0 "$SERVED" || fail "the server ended"
tampered undo
sleep 0.2
succeeds "and the same server succeeds afterwards" tls "$PORT" "$D/certs/rsa2048.pem"
stop "$SERVED"

note "curl with a client certificate"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$T/srv.key" -out "$T/srv.pem" \
	-subj /CN=localhost -addext 'subjectAltName=DNS:localhost' -days 2 2>/dev/null
PORT=$(free_port)
cat "$D/certs/rsa2048.pem" "$D/certs/ec256.pem" >"$T/accepted.pem"
serve client-auth openssl s_server -accept "127.0.0.1:$PORT" -cert "$T/srv.pem" -key "$T/srv.key" -Verify 2 \
	-CAfile "$T/accepted.pem" -partial_chain -verify_return_error -www
until_open "$PORT"
client() { # KEY
	OPENSSL_CONF="$T/openssl.cnf" timeout 60 curl -sS --noproxy '*' --cacert "$T/srv.pem" --engine pkcs11 --key-type ENG \
		--key "$(key "$1")" --cert "$D/certs/$1.pem" "https://localhost:$PORT/"
}
for key in rsa2048 ec256; do
	succeeds "curl shows the certificate of $key" client $key
	says "CN ?= ?$key"
done
try cmd timeout 60 curl -sS --noproxy '*' --cacert "$T/srv.pem" "https://localhost:$PORT/"
[ $RC != 0 ] || fail "the server does not ask for a certificate"
ok "the server accepts nobody without one"
tampered pcr 4
refused "curl is blocked after a PCR changed" client rsa2048
says 'curl: \([0-9]+\)'
tampered undo
succeeds "and succeeds afterwards" client rsa2048
audit_whole
