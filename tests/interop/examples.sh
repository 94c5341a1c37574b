#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The examples of conf/examples with their clients: nginx, Apache, ssh, GnuPG, OpenSSL's engine and provider, Java, cryptsetup.
# Nothing of them is changed but names and paths; a client that is not installed is said and passed over.
. "$VS_SRCDIR/tests/interop/lib.sh"
need openssl python3 pkcs11-tool
lab_up
own_certificate ec256
E=$S/conf/examples
[ -d "$E" ] || fail "no examples"
# An example with this lab's names in place of its own.
example() { # FILE TO [SED-COMMAND...]
	_f=$1 _t=$2
	shift 2
	sed -e "s,/usr/lib/x86_64-linux-gnu/pkcs11/vouchsafe-pkcs11.so,$P11_MODULE,g" -e 's,token=web,token=lab-vault,g' \
		-e 's,object=tls-2026,object=rsa2048,g' -e "s,/etc/ssl/certs/tls-2026.pem,$D/certs/rsa2048.pem,g" "$@" "$E/$_f" >"$_t"
	! grep -qE 'token=web|tls-2026|/usr/lib/x86_64-linux-gnu/pkcs11' "$_t" || fail "$_f: names were left"
	DONE="${DONE-} $_f"
}
absent() {
	[ -z "${CI-}${VS_REQUIRE_ALL-}" ] || fail "$1 is not installed"
	note "not looked at: $1 is not installed"
}
has() { PATH=$PATH:/usr/sbin command -v "$1" >/dev/null 2>&1 || { absent "$1"; return 1; }; }
WORKER=$(id -un)
[ "$(id -u)" != 0 ] || WORKER=www-data
sed -i "s/^max-lease.*/&\\nallow = user:$WORKER, user:root/" "$VOUCHSAFE_CONF"
chmod 755 "$T" "$D"
chmod 644 "$VOUCHSAFE_CONF"
serve agent "$B/vouchsafe-agent" --config "$VOUCHSAFE_CONF"
AGENT=$SERVED
until_true 10 test -S "$D/agent.sock" || fail "the agent does not start"
openssl rand 64 >"$T/data"
openssl x509 -in "$D/certs/rsa2048.pem" -noout -pubkey >"$T/pub"

if openssl engine pkcs11 >/dev/null 2>&1; then
	note "OpenSSL, engine"
	example openssl-engine.cnf "$T/openssl.cnf"
	succeeds "openssl signs by the engine" engine dgst -sha256 -engine pkcs11 -keyform engine \
		-sign 'pkcs11:token=lab-vault;object=rsa2048;type=private' -out "$T/sig" "$T/data"
	succeeds "  and verifies without" openssl dgst -sha256 -verify "$T/pub" -signature "$T/sig" "$T/data"

	if has nginx; then
		PORT=$(free_port)
		mkdir -m 755 "$T/www" "$T/nginx"
		echo served >"$T/www/index.html"
		# The folders that a package would have made, and another port.
		example nginx.conf "$T/nginx/nginx.conf" -e "s,listen 443,listen 127.0.0.1:$PORT," -e "s,/var/www/html,$T/www," \
			-e "s,/run/nginx.pid,$T/nginx/pid," -e "s,^http {,error_log $T/nginx/error.log;\n&\n\taccess_log off;," \
			-e "$([ "$(id -u)" = 0 ] && echo s,x,x, || echo /^user/d)"
		serve nginx env OPENSSL_CONF="$T/openssl.cnf" "$(PATH=$PATH:/usr/sbin command -v nginx)" -g 'daemon off;' -e "$T/nginx/error.log" \
			-c "$T/nginx/nginx.conf"
		until_open "$PORT"
		succeeds "nginx: a handshake" tls "$PORT" "$D/certs/rsa2048.pem"
		stop "$SERVED"
	fi
	MODULES=/usr/lib/apache2/modules
	if has apache2 && [ -f $MODULES/mod_ssl.so ]; then
		PORT=$(free_port)
		mkdir -m 755 "$T/httpd"
		[ -d "$T/www" ] || mkdir -m 755 "$T/www"
		{
			printf '%s\n' "ServerRoot $T/httpd" 'ServerName localhost' "PidFile $T/httpd/pid" "DefaultRuntimeDir $T/httpd" \
				"Listen 127.0.0.1:$PORT" "LoadModule mpm_prefork_module $MODULES/mod_mpm_prefork.so" \
				"LoadModule authz_core_module $MODULES/mod_authz_core.so" \
				"LoadModule socache_shmcb_module $MODULES/mod_socache_shmcb.so" "LoadModule ssl_module $MODULES/mod_ssl.so" \
				"ErrorLog $T/httpd/error.log"
			[ "$(id -u)" != 0 ] || printf 'User %s\nGroup %s\n' "$WORKER" "$(id -gn "$WORKER")"
			example apache.conf "$T/httpd/site" -e "s,\*:443,127.0.0.1:$PORT," -e "s,/var/www/html,$T/www,"
			cat "$T/httpd/site"
		} >"$T/httpd/httpd.conf"
		DONE="$DONE apache.conf"
		serve httpd setsid env OPENSSL_CONF="$T/openssl.cnf" "$(PATH=$PATH:/usr/sbin command -v apache2)" -DFOREGROUND \
			-d "$T/httpd" -f "$T/httpd/httpd.conf"
		until_open "$PORT"
		succeeds "Apache: a handshake" tls "$PORT" "$D/certs/rsa2048.pem"
		stop "$SERVED"
	fi
else
	absent "OpenSSL's engine pkcs11"
fi

PROVIDER=${VS_PKCS11_PROVIDER-$(openssl version -m | sed 's/.*"\(.*\)"/\1/')/pkcs11.so}
if [ -f "$PROVIDER" ]; then
	note "OpenSSL, provider"
	example openssl-provider.cnf "$T/provider.cnf" -e "s,^module = .*,module = $PROVIDER,"
	provider() { OPENSSL_CONF="$T/provider.cnf" timeout 60 openssl "$@"; }
	succeeds "the provider is active" provider list -providers
	says pkcs11
	rm -f "$T/sig"
	succeeds "openssl signs by the provider" provider pkeyutl -sign -rawin -digest sha256 \
		-inkey 'pkcs11:token=lab-vault;object=rsa2048;type=private' -in "$T/data" -out "$T/sig"
	succeeds "  and verifies without" openssl dgst -sha256 -verify "$T/pub" -signature "$T/sig" "$T/data"
	succeeds "openssl makes a certificate request" provider req -new -subj /CN=x -key 'pkcs11:token=lab-vault;object=rsa2048;type=private' \
		-out "$T/csr"
	succeeds "  that verifies without" openssl req -in "$T/csr" -noout -verify
	PORT=$(free_port)
	serve s_server env OPENSSL_CONF="$T/provider.cnf" openssl s_server -accept "127.0.0.1:$PORT" \
		-key 'pkcs11:token=lab-vault;object=rsa2048;type=private' -cert "$D/certs/rsa2048.pem" -www
	until_open "$PORT"
	succeeds "and a TLS server's handshake" tls "$PORT" "$D/certs/rsa2048.pem" -tls1_3
	stop "$SERVED"
else
	absent "pkcs11-provider"
fi

if has ssh && has sshd; then
	note "ssh"
	mkdir -m 700 "$T/ssh"
	PORT=$(free_port)
	ssh-keygen -q -t ed25519 -N '' -f "$T/ssh/host"
	ssh-keygen -D "$P11_MODULE" 2>/dev/null | grep ' rsa2048' >"$T/ssh/authorized"
	[ "$(id -u)" != 0 ] || mkdir -p /run/sshd
	printf '%s\n' "Port $PORT" 'ListenAddress 127.0.0.1' "HostKey $T/ssh/host" "AuthorizedKeysFile $T/ssh/authorized" 'UsePAM no' \
		'PasswordAuthentication no' 'StrictModes no' 'PermitRootLogin yes' 'PidFile none' >"$T/ssh/sshd"
	serve sshd "$(PATH=$PATH:/usr/sbin command -v sshd)" -D -e -f "$T/ssh/sshd"
	until_open "$PORT"
	example ssh_config "$T/ssh/config"
	login() {
		timeout 60 ssh -F "$T/ssh/config" -o HostName=127.0.0.1 -p "$PORT" -o BatchMode=yes -o StrictHostKeyChecking=no \
			-o UserKnownHostsFile=/dev/null -o IdentityFile=none -o IdentityAgent=none -l "$(id -un)" server.example.com echo logged-in
	}
	succeeds "ssh logs in" login
	says logged-in
	stop "$SERVED"
fi

if has gpgsm && has gnupg-pkcs11-scd; then
	note "GnuPG"
	G=$(mktemp -d /tmp/vsg.XXXXXX)
	chmod 700 "$G"
	trap 'rc=$?; set +e; GNUPGHOME="$G" gpgconf --kill all >/dev/null 2>&1; rm -rf "$G"; (exit $rc); cleanup' EXIT
	example gnupg-pkcs11-scd.conf "$G/gnupg-pkcs11-scd.conf"
	example gpg-agent.conf "$G/gpg-agent.conf"
	printf 'disable-crl-checks\ndisable-dirmngr\n' >"$G/gpgsm.conf"
	sm() { GNUPGHOME="$G" timeout 60 gpgsm --batch --no-tty --pinentry-mode loopback --passphrase-fd 0 "$@" </dev/null; }
	openssl x509 -in "$D/certs/ec256.pem" -outform DER -out "$T/cert.der"
	succeeds "gpg-agent sees the token as a card" env GNUPGHOME="$G" gpg-connect-agent 'SCD LEARN --force' /bye
	says 'CERTINFO|KEYPAIRINFO|KEY-FRIEDNLY'
fi

if has java && has keytool; then
	note "Java"
	example java.cfg "$T/java.cfg"
	succeeds "keytool lists the token's keys" keytool -J-Xshare:auto -list -keystore NONE -storetype PKCS11 -storepass none \
		-providerClass sun.security.pkcs11.SunPKCS11 -providerArg "$T/java.cfg"
	says 'rsa2048, PrivateKeyEntry'
fi

GENERATOR=/lib/systemd/system-generators/systemd-cryptsetup-generator
if has cryptsetup && has systemd-cryptenroll && [ -x $GENERATOR ] && unshare -rm true 2>/dev/null; then
	note "cryptsetup"
	truncate -s 32M "$T/disk"
	printf secret >"$T/pass"
	PATH=$PATH:/usr/sbin cryptsetup luksFormat -q --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file "$T/pass" "$T/disk" ||
		fail "no volume"
	mkdir "$T/modules" "$T/units"
	printf 'module: %s\n' "$P11_MODULE" >"$T/modules/vouchsafe.module"
	printf '#!/bin/sh\nmount --bind "%s" "%s" || exit 99\nexec "$@"\n' "$T/modules" \
		"$(pkg-config --variable=p11_module_configs p11-kit-1)" >"$T/configured"
	chmod 755 "$T/configured"
	in_ns() { timeout 100 unshare -rm "$T/configured" "$@"; }
	example crypttab "$T/crypttab" -e "s,/dev/disk/by-partlabel/data,$T/disk,"
	# The command that the example's comment names.
	URI=$(sed -n "s/.*--pkcs11-token-uri='\([^']*\)'.*/\1/p" "$T/crypttab")
	enroll() { PASSWORD=secret in_ns systemd-cryptenroll --pkcs11-token-uri="$URI" "$T/disk"; }
	succeeds "systemd-cryptenroll enrols the token" enroll
	succeeds "systemd makes a unit of the line" env SYSTEMD_CRYPTTAB="$T/crypttab" SYSTEMD_LOG_TARGET=console $GENERATOR \
		"$T/units" "$T/units" "$T/units"
	grep -rqs 'pkcs11-uri=auto' "$T/units" || { ls "$T/units"; fail "the unit has not the option"; }
	if ls /usr/lib/*/cryptsetup/libcryptsetup-token-systemd-pkcs11.so >/dev/null 2>&1; then
		open_volume() { in_ns env PATH="$PATH:/usr/sbin" cryptsetup open --test-passphrase --token-only "$T/disk" </dev/null; }
		succeeds "the volume opens by the token" open_volume
		tampered pcr 4
		stop "$AGENT"
		refused "  and stays shut on a changed machine" open_volume
		tampered undo
	fi
fi
for f in "$E"/*; do
	case ${f##*/} in README.md) continue ;; esac
	grep -q "\`${f##*/}\`" "$E/README.md" || fail "README.md does not name ${f##*/}"
	case "$DONE " in *" ${f##*/} "*) ;; *) note "not looked at: ${f##*/}" ;; esac
done
[ "$N_CHECKS" -ge 6 ] || fail "too few clients are installed"
audit_whole
