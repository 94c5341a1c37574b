#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Apache httpd, mod_ssl by the engine: master as we are, workers as www-data, keys from the machine's agent.
. "$VS_SRCDIR/tests/interop/lib.sh"
need openssl python3 curl
HTTPD=$(PATH=$PATH:/usr/sbin command -v apache2) || need apache2
MODULES=/usr/lib/apache2/modules
[ -f $MODULES/mod_ssl.so ] || { PATH=/nonexistent need apache2; }
need_engine
lab_up
global_setting 'refusal-hold = 100ms'
lease_of 2s
WORKER=$(id -un)
[ "$(id -u)" != 0 ] || WORKER=www-data
sed -i "s/^max-lease.*/&\\nallow = user:$WORKER/" "$VOUCHSAFE_CONF"
chmod 755 "$T" "$D"
chmod 644 "$VOUCHSAFE_CONF"
serve agent "$B/vouchsafe-agent" --config "$VOUCHSAFE_CONF"
until_true 10 test -S "$D/agent.sock" || fail "the agent does not start"
engine_conf
mkdir -m 755 "$T/httpd" "$T/www"
echo served >"$T/www/index.html"
PORT=$(free_port)
cat >"$T/httpd/httpd.conf" <<EOT
ServerRoot $T/httpd
ServerName localhost
PidFile $T/httpd/pid
DefaultRuntimeDir $T/httpd
Listen 127.0.0.1:$PORT
$([ "$(id -u)" != 0 ] || printf 'User %s\nGroup %s\n' "$WORKER" "$(id -gn $WORKER)")
LoadModule mpm_prefork_module $MODULES/mod_mpm_prefork.so
LoadModule authz_core_module $MODULES/mod_authz_core.so
LoadModule socache_shmcb_module $MODULES/mod_socache_shmcb.so
LoadModule ssl_module $MODULES/mod_ssl.so
StartServers 2
MinSpareServers 2
ErrorLog $T/httpd/error.log
SSLCryptoDevice pkcs11
SSLSessionCache none
DocumentRoot $T/www
<Directory $T/www>
	Require all granted
</Directory>
<VirtualHost 127.0.0.1:$PORT>
	SSLEngine on
	SSLCertificateFile $D/certs/rsa2048.pem
	SSLCertificateKeyFile "pkcs11:token=lab-vault;object=rsa2048;type=private"
</VirtualHost>
EOT
LOGS="${LOGS-} $T/httpd/error.log"
# In a process group of its own, for httpd ends the whole group.
serve httpd setsid env OPENSSL_CONF="$T/openssl.cnf" "$HTTPD" -DFOREGROUND -d "$T/httpd" -f "$T/httpd/httpd.conf"
MASTER=$SERVED
until_open "$PORT"
if [ "$(id -u)" = 0 ]; then
	for w in $(pgrep -P "$MASTER"); do
		[ "$(stat -c %U "/proc/$w")" = "$WORKER" ] || fail "worker $w is not $WORKER"
	done
	ok "the workers are $WORKER"
fi
succeeds "TLS 1.3" tls "$PORT" "$D/certs/rsa2048.pem" -tls1_3
succeeds "TLS 1.2" tls "$PORT" "$D/certs/rsa2048.pem" -tls1_2
succeeds "a page is served" curl -sS --noproxy '*' -k "https://localhost:$PORT/index.html"
says served
tampered pcr 4
shut() { ! tls "$PORT" "$D/certs/rsa2048.pem" >/dev/null 2>&1; }
until_true 15 shut || fail "handshakes succeed on a tampered machine"
ok "within a lease of a PCR's change no handshake succeeds"
refused "  and none does later" tls "$PORT" "$D/certs/rsa2048.pem"
says alert
tampered undo
until_true 15 tls "$PORT" "$D/certs/rsa2048.pem" || fail "httpd does not recover"
ok "the same processes recover without a restart"
stop "$MASTER"
audit_whole
