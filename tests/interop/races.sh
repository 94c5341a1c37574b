#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Guest manners with real clients: threads that initialise at once, forks, many processes at once, the
# end of a process, and an OpenSSL whose default context points back at the module.
. "$VS_SRCDIR/tests/interop/lib.sh"
need pkcs11-tool openssl p11tool
need_engine
lab_up
head -c 400 /dev/urandom >"$T/data"
pubkey lab-vault rsa2048 "$T/pub.pem" || fail "no public key"
ID=$(key_id lab-vault rsa2048)

note "threads and forks"
# pkcs11-tool 0.23 may wait for ever for threads that have already returned; it is these that count.
for i in 1 2 3; do
	try cmd timeout 5 pkcs11-tool --module "$P11_MODULE" --test-threads INGISLT0 --test-threads ILGISLT0 \
		--test-threads ILGISLT1 --test-threads INGISLT1
	case $RC in 0 | 124) ;; *) cat "$T/cmd.out"; fail "--test-threads: status $RC" ;; esac
	[ "$(grep -c 'returning rv = 0$' "$T/cmd.out")" = 4 ] || { cat "$T/cmd.out"; fail "not all of four threads ended well"; }
	[ "$(grep -cE 'C_Initialize +returned CKR_OK$' "$T/cmd.out")" -le 1 ] || fail "two threads initialised"
	ok "four threads that initialise at once, run $i"
done
succeeds "pkcs11-tool --test-fork" p11 --test-fork
! grep -qE 'CKR_|rror' "$T/cmd.out" || { cat "$T/cmd.out"; fail "the child could not initialise"; }

note "a host with habits"
succeeds "descriptors 0 to 2 closed or files, loaded and unloaded, errno and error queue left alone" \
	timeout 120 "$VS_BUILDDIR/tests/module/guest" 0 "$P11_MODULE"

note "many processes at once, each with an agent of its own"
pids=
for i in 1 2 3 4 5 6; do
	p11 --token-label lab-vault --sign --mechanism SHA256-RSA-PKCS --id "$ID" --input-file "$T/data" --output-file "$T/sig.$i" \
		>"$T/many.$i" 2>&1 &
	pids="$pids $!"
done
for p in $pids; do
	wait "$p" || { cat "$T"/many.*; fail "one of six processes failed"; }
done
for i in 1 2 3 4 5 6; do
	openssl dgst -sha256 -verify "$T/pub.pem" -signature "$T/sig.$i" "$T/data" >/dev/null || fail "signature $i"
done
ok "six processes at once sign"

note "the end of a process"
engine_conf
engine() { OPENSSL_CONF="$T/openssl.cnf" openssl "$@"; }
for i in 1 2 3; do
	refused "the engine without its key ends cleanly, run $i" engine dgst -engine pkcs11 -keyform engine -sha256 \
		-sign 'pkcs11:token=lab-vault;object=nobody;type=private' -out "$T/none" "$T/data"
done
succeeds "the engine with its key ends cleanly" engine dgst -engine pkcs11 -keyform engine -sha256 \
	-sign 'pkcs11:token=lab-vault;object=rsa2048;type=private' -out "$T/sig" "$T/data"

note "the default context points back at the module"
${CC:-cc} -shared -fPIC -o "$T/loopback.so" $(pkg-config --cflags p11-kit-1) "$VS_SRCDIR/tests/interop/loopback.c" -ldl ||
	fail "the provider does not compile"
sed 's/^engines = engines$/&\nproviders = providers/' "$T/openssl.cnf" >"$T/loop.cnf"
cat >>"$T/loop.cnf" <<-EOT
	[providers]
	loopback = loopback
	default = builtin
	[loopback]
	module = $T/loopback.so
	activate = 1
	[builtin]
	activate = 1
EOT
export LOOPBACK_COUNT="$T/count"
looped() { # a recursion or a deadlock would be a crash or a time-out
	rm -f "$T/count"
	OPENSSL_CONF="$T/loop.cnf" timeout 60 openssl "$@"
}
succeeds "the engine signs" looped dgst -engine pkcs11 -keyform engine -sha256 \
	-sign 'pkcs11:token=lab-vault;object=rsa2048;type=private' -out "$T/sig" "$T/data"
[ "$(cat "$T/count")" -gt 0 ] || fail "the provider was not asked: the test proves nothing"
succeeds "  and openssl verifies; the provider called the module $(cat "$T/count") times" openssl dgst -sha256 \
	-verify "$T/pub.pem" -signature "$T/sig" "$T/data"
# The same with pkcs11-provider, where it is present: it asks the module for every key of the default context.
PROVIDER=${VS_PKCS11_PROVIDER-}
for f in /usr/lib/*/ossl-modules/pkcs11.so /usr/lib64/ossl-modules/pkcs11.so; do
	[ -n "$PROVIDER" ] || [ ! -f "$f" ] || PROVIDER=$f
done
if [ -n "$PROVIDER" ]; then
	sed -e "s#^module = $T/loopback.so#module = $PROVIDER\npkcs11-module-path = $P11_MODULE\npkcs11-module-load-behavior = early#" \
		"$T/loop.cnf" >"$T/provider.cnf"
	provided() { OPENSSL_CONF="$T/provider.cnf" timeout 60 "$@"; }
	succeeds "the engine signs beside pkcs11-provider" provided openssl dgst -engine pkcs11 -keyform engine -sha256 \
		-sign 'pkcs11:token=lab-vault;object=rsa2048;type=private' -out "$T/sig" "$T/data"
	succeeds "  and openssl verifies" openssl dgst -sha256 -verify "$T/pub.pem" -signature "$T/sig" "$T/data"
	succeeds "pkcs11-tool signs beside pkcs11-provider" provided pkcs11-tool --module "$P11_MODULE" --token-label lab-vault \
		--sign --mechanism SHA256-RSA-PKCS --id "$ID" --input-file "$T/data" --output-file "$T/sig"
	succeeds "  and openssl verifies" openssl dgst -sha256 -verify "$T/pub.pem" -signature "$T/sig" "$T/data"
	succeeds "a host with habits beside pkcs11-provider" provided "$VS_BUILDDIR/tests/module/guest" 0 "$P11_MODULE"
else
	note "pkcs11-provider is not here"
fi
tampered pcr 4
refused "blocked after a PCR changed" looped dgst -engine pkcs11 -keyform engine -sha256 \
	-sign 'pkcs11:token=lab-vault;object=rsa2048;type=private' -out "$T/sig" "$T/data"
audit_whole
