#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# pkcs11-provider's own tests, with the lab's keys. VS_SUITES names a folder with pkcs11-provider
# (latchset/pkcs11-provider). It is copied and built outside both trees. Its set-up makes keys on a software token;
# here its tests get the lab's keys, on a token with a PIN, for many of them are about PINs. Tests that do not apply
# stand in conformance.md with their reason, and none else may be left out or fail.
. "$VS_SRCDIR/tests/interop/lib.sh"
WHY=$VS_SRCDIR/tests/interop/conformance.md
SUITES=${VS_SUITES-}
[ -n "$SUITES" ] && [ -d "$SUITES/pkcs11-provider/tests" ] || {
	echo "skipped: VS_SUITES does not name a folder with pkcs11-provider"
	trap - EXIT
	rm -rf "$T"
	exit 77
}
need meson ninja gcc openssl expect p11tool bash
cp -r "$SUITES/pkcs11-provider" "$T/src"
{ meson setup "$T/b" "$T/src" --buildtype=release && ninja -C "$T/b" -j2; } >"$T/build.log" 2>&1 || {
	tail -n 20 "$T/build.log"
	fail "pkcs11-provider does not build"
}
lab_up
B2=$T/b/tests
SRC=$T/src/tests
mkdir -p "$B2/lab"
TMPPDIR=$B2/lab
PIN=1234
printf '%s\n' $PIN >"$TMPPDIR/pinfile.txt"
sed -e "s|@libtoollibs@|$T/b/src|g; s|@testsblddir@|$B2|g; s|@testsdir@|$TMPPDIR|g; s|@SHARED_EXT@|.so|g" \
	-e "s|@PINFILE@|$TMPPDIR/pinfile.txt|g; s|##TOKENOPTIONS||g" "$SRC/openssl.cnf.in" >"$TMPPDIR/openssl.cnf"
uri() { # KEY: by its CKA_ID, as the suite has it
	_id=$(key_id lab-vault "$1" | sed 's/../%&/g')
	[ -n "$_id" ] || fail "no identifier of $1"
	echo "pkcs11:token=lab-vault;id=$_id"
}
RSA=$(uri rsa2048) EC=$(uri ec256) PEER=$(uri ec384) CA=$(uri rsa3072)
# The certificates that the suite looks for, by a CA whose key is in the token, too.
with_provider() { PKCS11_PROVIDER_MODULE="$P11_MODULE" OPENSSL_CONF="$TMPPDIR/openssl.cnf" openssl "$@"; }
with_provider req -new -x509 -key "$CA;type=private" -subj /CN=Issuer -days 2 -addext basicConstraints=critical,CA:TRUE \
	-out "$D/certs/rsa3072.pem" 2>"$T/cmd.out" || { cat "$T/cmd.out"; fail "no CA certificate"; }
issue() { # KEY SUBJECT
	pubkey lab-vault "$1" "$T/$1.pub"
	printf 'subjectAltName = DNS:localhost\n' >"$T/ext"
	openssl req -new -newkey rsa:2048 -nodes -keyout "$T/none.key" -subj "$2" -out "$T/csr" 2>/dev/null
	with_provider x509 -req -in "$T/csr" -force_pubkey "$T/$1.pub" -CA "$D/certs/rsa3072.pem" -CAkey "$CA;type=private" \
		-set_serial "$3" -days 2 -extfile "$T/ext" -out "$D/certs/$1.pem" 2>"$T/cmd.out" || { cat "$T/cmd.out"; fail "no certificate $1"; }
}
issue rsa2048 '/O=PKCS11 Provider/CN=My Test Cert' 3
issue ec256 '/O=PKCS11 Provider/CN=My EC Cert' 4
issue ec384 '/CN=My Peer EC Cert' 5
(umask 077 && echo $PIN >"$T/pin")
sed -i "s|^\[token lab-vault\]|&\nlogin = pin\npin-file = $T/pin\nraw-rsa = yes\ncertificate.rsa3072 = $D/certs/rsa3072.pem\ncertificate.ec384 = $D/certs/ec384.pem|
	/^\[token lab-hsm\]/,\$d" "$VOUCHSAFE_CONF"
head -c 2048 /dev/urandom >"$TMPPDIR/noisefile.bin"
head -c 65536 /dev/urandom >"$TMPPDIR/64krandom.bin"
openssl dgst -sha256 -binary -out "$TMPPDIR/sha256.bin" "$TMPPDIR/64krandom.bin"
set_of() { # PREFIX URI
	cat <<-EOT
		export $1BASEURIWITHPINVALUE="$2?pin-value=$PIN"
		export $1BASEURIWITHPINSOURCE="$2?pin-source=file:$TMPPDIR/pinfile.txt"
		export $1BASEURI="$2"
		export $1PUBURI="$2;type=public"
		export $1PRIURI="$2;type=private"
		export $1CRTURI="$2;type=cert"
	EOT
}
{
	set_of '' "$RSA"
	set_of EC "$EC"
	set_of ECPEER "$PEER"
	set_of CA "$CA"
	cat <<-EOT
		export P11LIB="$P11_MODULE" PKCS11_PROVIDER_MODULE="$P11_MODULE" TOKENTYPE=lab TOKENLABEL=lab-vault
		export PPDBGFILE="$TMPPDIR/p11prov-debug.log" PKCS11_PROVIDER_DEBUG="file:$TMPPDIR/p11prov-debug.log"
		export OPENSSL_CONF="$TMPPDIR/openssl.cnf" TESTSSRCDIR="$SRC" TESTBLDDIR="$B2" TMPPDIR="$TMPPDIR"
		export SUPPORT_ED25519=0 SUPPORT_ED448=0 SUPPORT_X25519=0 SUPPORT_X448=0 SUPPORT_ML_DSA=0 SUPPORT_ML_KEM=0
		export SUPPORT_RSA_PKCS1_ENCRYPTION=1 SUPPORT_RSA_KEYGEN_PUBLIC_EXPONENT=0 SUPPORT_TLSFUZZER=0
		export SUPPORT_ALLOWED_MECHANISMS=0 SUPPORT_SKEY=0 SUPPORT_SYMMETRIC=0 SUPPORT_BLOCK_MODES=
		export PINVALUE=$PIN SEEDFILE="$TMPPDIR/noisefile.bin" RAND64FILE="$TMPPDIR/64krandom.bin"
		export CACRT="$D/certs/rsa3072.pem"
	EOT
} >"$TMPPDIR/testvars"
: >"$T/failed"
for t in $(sed -n "/^tests = {/,/^}/s/^  '\([a-z0-9_]*\)'.*/\1/p" "$SRC/meson.build"); do
	rc=0
	(cd "$B2" && TEST_PATH="$SRC" TESTBLDDIR="$B2" timeout 100 bash "$SRC/test-wrapper" "$t-lab.t") >"$T/$t.log" 2>&1 </dev/null || rc=$?
	if [ $rc = 0 ]; then
		ok "$t"
	else
		echo "$t" >>"$T/failed"
		note "$t: status $rc: $(grep '^## ' "$T/$t.log" | tail -n 1 | cut -c4-)"
	fi
done
sed -n 's/^| pkcs11-provider | `\([^`]*\)` |.*/\1/p' "$WHY" | sort >"$T/explained"
sort "$T/failed" >"$T/have"
comm -13 "$T/explained" "$T/have" >"$T/new"
comm -23 "$T/explained" "$T/have" >"$T/gone"
[ ! -s "$T/new" ] || {
	while read -r t; do echo "--- $t"; tail -n 25 "$T/$t.log"; done <"$T/new"
	fail "these tests fail and are not explained in conformance.md: $(tr '\n' ' ' <"$T/new")"
}
[ ! -s "$T/gone" ] || { cat "$T/gone"; fail "these tests stand in conformance.md and pass"; }
ok "$(wc -l <"$T/have") tests do not apply, each with its reason in conformance.md"
audit_whole
