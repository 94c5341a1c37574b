#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# p11-kit: a configured module, the proxy module, and a token served to another process by socket.
. "$VS_SRCDIR/tests/interop/lib.sh"
need p11-kit pkcs11-tool p11tool openssl unshare
LIBDIR=$(dirname "$(pkg-config --variable=proxy_module p11-kit-1)")
CLIENT=$LIBDIR/pkcs11/p11-kit-client.so
PROXY=$LIBDIR/p11-kit-proxy.so
[ -f "$CLIENT" ] || { PATH=/nonexistent need p11-kit-client.so; }
lab_up
head -c 40 /dev/urandom >"$T/data"
pubkey lab-vault rsa2048 "$T/pub.pem" || fail "no public key"
ID=$(key_id lab-vault rsa2048)

signs() { # WHAT COMMAND...: pkcs11-tool by that command; the module it loads is in $M
	_what=$1
	shift
	rm -f "$T/sig"
	succeeds "$_what" "$@" pkcs11-tool --module "$M" --token-label lab-vault --sign --mechanism SHA256-RSA-PKCS \
		--id "$ID" --input-file "$T/data" --output-file "$T/sig"
	succeeds "  and openssl verifies" openssl dgst -sha256 -verify "$T/pub.pem" -signature "$T/sig" "$T/data"
}
blocked() {
	_what=$1
	shift
	rm -f "$T/sig"
	refused "$_what" "$@" pkcs11-tool --module "$M" --token-label lab-vault --sign --mechanism SHA256-RSA-PKCS \
		--id "$ID" --input-file "$T/data" --output-file "$T/sig"
	says 'C_SignInit.*(0x200|FUNCTION_REJECTED)'
	[ ! -s "$T/sig" ] || fail "there is a signature"
}

note "a token served to another process"
serve server p11-kit server -f -n "$T/p11.sock" --provider "$P11_MODULE" "pkcs11:token=lab-vault"
SERVER=$SERVED
until_true 10 test -S "$T/p11.sock" || fail "p11-kit server does not start"
M=$CLIENT
remote() { P11_KIT_SERVER_ADDRESS="unix:path=$T/p11.sock" VOUCHSAFE_CONF=/nonexistent timeout 60 "$@"; }
succeeds "the client lists the token" remote p11tool --provider "$CLIENT" --list-tokens
says 'token=lab-vault'
! grep -q 'token=lab-hsm' "$T/cmd.out" || fail "a token that is not served is seen"
signs "the client signs" env P11_KIT_SERVER_ADDRESS="unix:path=$T/p11.sock" VOUCHSAFE_CONF=/nonexistent
tampered pcr 4
blocked "the client is blocked after a PCR changed" env P11_KIT_SERVER_ADDRESS="unix:path=$T/p11.sock"
tampered undo
signs "and signs again afterwards" env P11_KIT_SERVER_ADDRESS="unix:path=$T/p11.sock"
stop $SERVER

# p11-kit knows only the system's folder of module configurations: show it another one.
if unshare -rm true 2>/dev/null; then
	note "a configured module"
	mkdir "$T/modules"
	printf 'module: %s\ncritical: no\n' "$P11_MODULE" >"$T/modules/vouchsafe.module"
	CONFIGS=$(pkg-config --variable=p11_module_configs p11-kit-1)
	cat >"$T/configured" <<-EOT
		#!/bin/sh
		mount --bind "$T/modules" "$CONFIGS" || exit 99
		exec "\$@"
	EOT
	chmod 755 "$T/configured"
	succeeds "list-modules shows module and tokens" unshare -rm "$T/configured" p11-kit list-modules
	says 'vouchsafe: .*vouchsafe-pkcs11.so'
	says 'token: lab-vault'
	says 'token: lab-hsm'
	succeeds "p11tool finds the tokens by configuration" unshare -rm "$T/configured" p11tool --list-tokens
	says 'token=lab-hsm'
	note "its file as it is installed, and its advice taken"
	sed "s,^module: .*,module: $P11_MODULE," "$B/module/vouchsafe.module" >"$T/modules/vouchsafe.module"
	succeeds "p11tool finds the tokens by the installed file" unshare -rm "$T/configured" p11tool --list-tokens
	says 'token=lab-hsm'
	seen_by_p11tool() { unshare -rm "$T/configured" p11tool --list-tokens 2>/dev/null | grep -q 'token=lab-vault'; }
	sed -i 's/^#enable-in/enable-in/' "$T/modules/vouchsafe.module"
	succeeds "with enable-in those who are named see it" seen_by_p11tool
	sed -i 's/^enable-in: .*/enable-in: nginx/' "$T/modules/vouchsafe.module"
	try cmd seen_by_p11tool
	[ $RC != 0 ] || fail "p11tool sees a module that is for nginx"
	ok "  and others do not"
	sed -i 's/^enable-in: .*/disable-in: p11tool/' "$T/modules/vouchsafe.module"
	try cmd seen_by_p11tool
	[ $RC != 0 ] || fail "p11tool sees a module that is not for it"
	ok "with disable-in those who are named do not"
	printf 'module: %s\ncritical: no\n' "$P11_MODULE" >"$T/modules/vouchsafe.module"
	M=$PROXY
	signs "the proxy signs" unshare -rm "$T/configured"
	tampered pcr 4
	blocked "the proxy is blocked after a PCR changed" unshare -rm "$T/configured"
	tampered undo
	VOUCHSAFE_CONF=/nonexistent
	succeeds "a broken configuration leaves p11-kit's other users alone" unshare -rm "$T/configured" p11-kit list-modules
	. "$D/env"
else
	note "no mount namespace here: configured module and proxy are not looked at"
fi
audit_whole
