#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A TLS server and a TLS client of GnuTLS, each with a key of the token.
. "$VS_SRCDIR/tests/interop/lib.sh"
need gnutls-serv gnutls-cli openssl python3
lab_up
global_setting 'refusal-hold = 100ms'
CA=$D/ca.pem
key() { echo "pkcs11:token=lab-vault;object=$1;type=private"; }

server() { # KEY PRIORITY
	PORT=$(free_port)
	serve gnutls-serv gnutls-serv --provider "$P11_MODULE" --port "$PORT" --http --priority "$2" \
		--x509keyfile "$(key "$1")" --x509certfile "$D/certs/$1.pem"
	until_open "$PORT"
}
for key in rsa2048 ec256; do
	for version in 1.2 1.3; do
		server $key "NORMAL:-VERS-ALL:+VERS-TLS$version"
		succeeds "TLS $version with $key: openssl accepts the server" tls "$PORT" "$D/certs/$key.pem"
		says "Protocol *: TLSv$version|New, TLSv$version"
		stop "$SERVED"
	done
done

note "blocked"
tampered pcr 4
server rsa2048 NORMAL
refused "after a PCR changed the server starts, no handshake succeeds" tls "$PORT" "$D/certs/rsa2048.pem"
says 'alert|error'
tampered undo
sleep 0.2
succeeds "and the same server succeeds afterwards" tls "$PORT" "$D/certs/rsa2048.pem"
stop "$SERVED"

note "a client certificate"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$T/srv.key" -out "$T/srv.pem" \
	-subj /CN=localhost -addext 'subjectAltName=DNS:localhost' -days 2 2>/dev/null
PORT=$(free_port)
serve s_server openssl s_server -accept "127.0.0.1:$PORT" -cert "$T/srv.pem" -key "$T/srv.key" -Verify 2 \
	-CAfile "$D/certs/rsa2048.pem" -partial_chain -verify_return_error -www
until_open "$PORT"
client() {
	printf 'GET / HTTP/1.0\r\n\r\n' | timeout 30 gnutls-cli --provider "$P11_MODULE" --x509cafile "$T/srv.pem" --port "$PORT" \
		--x509keyfile "$(key rsa2048)" --x509certfile "$D/certs/rsa2048.pem" \
		--verify-hostname localhost 127.0.0.1 # a bare system cannot resolve localhost
}
succeeds "gnutls-cli shows a client certificate" client
says 'CN ?= ?rsa2048'
tampered pcr 4
refused "blocked after a PCR changed" client
tampered undo
audit_whole
