#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# nginx, master and workers: the workers are another user, have an empty environment and get their keys
# from the machine's agent, which knows them by their user.
. "$VS_SRCDIR/tests/interop/lib.sh"
need openssl python3 curl
NGINX=$(PATH=$PATH:/usr/sbin command -v nginx) || need nginx
need_engine
WORKER=$(id -un)
if [ "$(id -u)" = 0 ]; then
	for WORKER in www-data nobody; do
		! id "$WORKER" >/dev/null 2>&1 || break
	done
fi
lab_up
global_setting 'refusal-hold = 100ms'
lease_of 2s
sed -i "s/^max-lease.*/&\\nallow = user:$WORKER/" "$VOUCHSAFE_CONF"
# The workers have to reach socket and catalogue, nothing else in the lab.
chmod 755 "$T" "$D"
chmod 644 "$VOUCHSAFE_CONF"
serve agent "$B/vouchsafe-agent" --config "$VOUCHSAFE_CONF"
AGENT=$SERVED
until_true 10 test -S "$D/agent.sock" || fail "the agent does not start"
engine_conf
PORT=$(free_port)
PORT2=$(free_port)
mkdir "$T/nginx" "$T/www"
echo served >"$T/www/index.html"
chmod 755 "$T/www"
cat >"$T/nginx/nginx.conf" <<EOT
daemon off;
master_process on;
worker_processes 2;
$([ "$(id -u)" != 0 ] || echo "user $WORKER;")
pid $T/nginx/pid;
error_log $T/nginx/error.log info;
ssl_engine pkcs11;
events { worker_connections 64; }
http {
	access_log off;
	client_body_temp_path $T/nginx/body;
	proxy_temp_path $T/nginx/proxy;
	fastcgi_temp_path $T/nginx/fastcgi;
	uwsgi_temp_path $T/nginx/uwsgi;
	scgi_temp_path $T/nginx/scgi;
	ssl_session_cache off;
	ssl_session_tickets off;
	ssl_protocols TLSv1.2 TLSv1.3;
	root $T/www;
	server {
		listen 127.0.0.1:$PORT ssl;
		ssl_certificate $D/certs/rsa2048.pem;
		ssl_certificate_key "engine:pkcs11:pkcs11:token=lab-vault;object=rsa2048;type=private";
	}
	server {
		listen 127.0.0.1:$PORT2 ssl;
		ssl_certificate $D/certs/hsm-ec256.pem;
		ssl_certificate_key "engine:pkcs11:pkcs11:token=lab-hsm;object=ec256;type=private";
	}
}
EOT
LOGS="${LOGS-} $T/nginx/error.log"
succeeds "nginx -t accepts the configuration" env OPENSSL_CONF="$T/openssl.cnf" "$NGINX" -t -c "$T/nginx/nginx.conf"
[ "$(audit_count granted)" = 0 ] || fail "the test of the configuration attested"
ok "which attests nothing"
serve nginx env OPENSSL_CONF="$T/openssl.cnf" "$NGINX" -c "$T/nginx/nginx.conf"
MASTER=$SERVED
until_open "$PORT"
workers() { pgrep -P "$MASTER"; }
if [ "$(id -u)" = 0 ]; then
	for w in $(workers); do
		[ "$(stat -c %U "/proc/$w")" = "$WORKER" ] || fail "worker $w is not $WORKER"
	done
	ok "the workers are $WORKER"
fi
for i in 1 2 3 4 5 6; do
	for p in "$PORT rsa2048" "$PORT2 hsm-ec256"; do
		try cmd tls "${p% *}" "$D/certs/${p#* }.pem"
		[ $RC = 0 ] || { cat "$T/cmd.out"; fail "handshake $i on $p"; }
	done
done
ok "twelve handshakes, RSA and EC keys of two tokens"
succeeds "TLS 1.2" tls "$PORT" "$D/certs/rsa2048.pem" -tls1_2
succeeds "a page is served" curl -sS --noproxy '*' --cacert "$CA_FILE" -k "https://localhost:$PORT/"
says served
grep '"event":"key"' "$D/audit.log" | grep -q "\"uid\":$(id -u "$WORKER")," || fail "no key went to $WORKER"
ok "the audit log names the workers' user"

note "blocked while it runs"
tampered pcr 4
shut() { ! tls "$PORT" "$D/certs/rsa2048.pem" >/dev/null 2>&1 && ! tls "$PORT2" "$D/certs/hsm-ec256.pem" >/dev/null 2>&1; }
until_true 15 shut || fail "handshakes succeed on a tampered machine"
ok "within a lease of the change no handshake succeeds"
refused "  and none does later" tls "$PORT" "$D/certs/rsa2048.pem"
says 'alert'
[ -n "$(workers)" ] || fail "the workers ended"
tampered undo
until_true 15 tls "$PORT" "$D/certs/rsa2048.pem" || fail "the same workers do not recover"
ok "the same workers recover without a restart"

note "a new set of workers"
OLD=$(workers | sort)
kill -HUP "$MASTER"
replaced() { _w=$(workers | sort); [ -n "$_w" ] && ! printf '%s\n' "$_w" | grep -qxF "$OLD"; }
until_true 15 replaced || fail "nginx does not reload"
until_true 10 tls "$PORT2" "$D/certs/hsm-ec256.pem" || fail "no handshake after the reload"
ok "handshakes after a reload"

if [ "$(id -u)" = 0 ]; then
	note "a user who is not allowed"
	allow() { # USER: the agent anew
		stop "$AGENT"
		sed -i "s/^allow = .*/allow = user:$1/" "$VOUCHSAFE_CONF"
		rm -f "$D/agent.sock"
		serve agent "$B/vouchsafe-agent" --config "$VOUCHSAFE_CONF"
		AGENT=$SERVED
		until_true 10 test -S "$D/agent.sock" || fail "the agent does not start"
	}
	allow daemon
	refused "an agent that does not allow $WORKER: no handshake" tls "$PORT" "$D/certs/rsa2048.pem"
	refused "  and none does later" tls "$PORT2" "$D/certs/hsm-ec256.pem"
	allow "$WORKER"
	until_true 10 tls "$PORT" "$D/certs/rsa2048.pem" || fail "no handshake after the agent was mended"
	ok "handshakes with an agent that allows $WORKER"
fi
stop "$MASTER"
audit_whole
