#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# stunnel with the engine: a TLS server, and a client with a client certificate.
. "$VS_SRCDIR/tests/interop/lib.sh"
need stunnel4 openssl python3 curl
need_engine
lab_up
global_setting 'refusal-hold = 100ms'
lease_of 2s
mkdir "$T/www"
echo served >"$T/www/index.html"
BACK=$(free_port)
serve backend python3 -m http.server --bind 127.0.0.1 --directory "$T/www" "$BACK"
until_open "$BACK"
FRONT=$(free_port)
LOCAL=$(free_port)
conf() { # NAME LINES
	cat >"$T/$1.conf" <<-EOT
		foreground = yes
		pid =
		engine = pkcs11
		engineCtrl = MODULE_PATH:$P11_MODULE
		engineCtrl = INIT
		sslVersionMin = TLSv1.2
		$2
	EOT
}
conf server "[https]
accept = 127.0.0.1:$FRONT
connect = 127.0.0.1:$BACK
cert = $D/certs/rsa2048.pem
key = pkcs11:token=lab-vault;object=rsa2048;type=private
engineId = pkcs11
sessionResume = no
requireCert = yes
verifyPeer = yes
CAfile = $D/certs/ec256.pem"
conf client "[https]
client = yes
accept = 127.0.0.1:$LOCAL
connect = 127.0.0.1:$FRONT
cert = $D/certs/ec256.pem
key = pkcs11:token=lab-vault;object=ec256;type=private
engineId = pkcs11
sessionResume = no
verifyPeer = yes
CAfile = $D/certs/rsa2048.pem"
serve server stunnel4 "$T/server.conf"
until_open "$FRONT"
serve client stunnel4 "$T/client.conf"
until_open "$LOCAL"
page() { timeout 20 curl -sS --noproxy '*' "http://127.0.0.1:$LOCAL/"; }
succeeds "a page through both tunnels, both ends with keys of the token" page
says served
refused "nobody without the client certificate" tls "$FRONT" "$D/certs/rsa2048.pem" -tls1_2
tampered pcr 4
shut() { ! page >/dev/null 2>&1; }
until_true 15 shut || fail "the tunnel works on a tampered machine"
ok "within a lease of a PCR's change the tunnel is shut"
refused "  and stays shut" page
tampered undo
until_true 15 page || fail "the tunnel does not recover"
ok "the same processes recover without a restart"
audit_whole
