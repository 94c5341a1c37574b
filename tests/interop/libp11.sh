#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The test programs of libp11, those of its engine and those of its provider. VS_SUITES names a folder with
# libp11 (OpenSC/libp11). It is copied and built outside both trees. Its scripts make keys on a software token;
# here its programs get the lab's keys instead, with the arguments of those scripts. Programs that do not apply
# stand in conformance.md with their reason, and none else may be left out.
. "$VS_SRCDIR/tests/interop/lib.sh"
WHY=$VS_SRCDIR/tests/interop/conformance.md
SUITES=${VS_SUITES-}
[ -n "$SUITES" ] && [ -d "$SUITES/libp11/tests" ] || {
	echo "skipped: VS_SUITES does not name a folder with libp11"
	trap - EXIT
	rm -rf "$T"
	exit 77
}
need autoreconf gcc make openssl
L=$T/libp11
cp -r "$SUITES/libp11" "$L"
(cd "$L" && autoreconf -fi && ./configure -q --disable-static && make -s -j2 && make -s -j2 check TESTS=) \
	>"$T/build.log" 2>&1 || { tail -n 20 "$T/build.log"; fail "libp11 does not build"; }
lab_up
cat >"$T/engines.cnf" <<EOT
openssl_conf = openssl_def
[openssl_def]
engines = engine_section
[engine_section]
pkcs11 = pkcs11_section
[pkcs11_section]
engine_id = pkcs11
dynamic_path = $L/src/.libs/pkcs11.so
MODULE_PATH = $P11_MODULE
init = 0
EOT
export LD_LIBRARY_PATH="$L/src/.libs" OPENSSL_MODULES="$L/src/.libs" OPENSSL_ENGINES="$L/src/.libs" PKCS11_MODULE_PATH="$P11_MODULE"
PIN=1234
RSA="pkcs11:token=lab-vault;object=rsa2048"
EC="pkcs11:token=lab-vault;object=ec256"
CERTS=$D/certs
cd "$L/tests"
: >"$T/ran"
program() { # succeeds|refused NAME ARGS...
	_how=$1 _name=$2
	shift 2
	echo "$_name" >>"$T/ran"
	case $_name in auth | decrypt | getrandom | listkeys*) _path=../examples/$_name ;; *) _path=./$_name ;; esac
	$_how "$_name $(printf '%s ' "$@" | sed "s|$T/[^ ]*/||g; s|${P11_MODULE%/*}/||; s|$T/||g; s|pkcs11:token=lab-vault;object=||g; s/ $//")" \
		timeout 100 "$_path" "$@"
}
each() { # succeeds|refused: every program that needs a private key
	for key in "$RSA" "$EC"; do
		for how in ctrl default; do
			program "$1" evp-sign $how $PIN "$T/engines.cnf" "$key;type=private" "$key;type=public" "$P11_MODULE"
			program "$1" evp-sign-prov $how "$key;type=private;pin-value=$PIN" "$key;type=public"
		done
	done
	program "$1" rsa-pss-sign $PIN "$T/engines.cnf" "$RSA;type=private" "$RSA;type=public" "$P11_MODULE"
	program "$1" rsa-pss-sign-prov "$RSA;type=private;pin-value=$PIN" "$RSA;type=public"
	program "$1" rsa-oaep $PIN "$T/engines.cnf" "$RSA;type=private" "$RSA;type=public" "$P11_MODULE"
	program "$1" rsa-oaep-prov "$RSA;type=private;pin-value=$PIN" "$RSA;type=public"
	# These take the first certificate of the first token and want it to be an RSA one.
	cp "$VOUCHSAFE_CONF" "$T/conf.before"
	sed -i "s/^\\[token lab-vault\\]/&\nkeys = rsa2048/; /^certificate.ec256/d" "$VOUCHSAFE_CONF"
	program "$1" auth "$P11_MODULE" $PIN
	program "$1" fork-test "$P11_MODULE" $PIN
	cp "$T/conf.before" "$VOUCHSAFE_CONF"
}
note "an open gate"
each succeeds
note "what needs no private key"
program succeeds list-tokens "$P11_MODULE"
program succeeds getrandom "$P11_MODULE"
program succeeds listkeys "$P11_MODULE" $PIN
says 'rsa2048'
program succeeds listkeys_ext -m "$P11_MODULE" -p $PIN -l rsa2048
says 'rsa2048'
for key in rsa2048 ec256; do
	uri="pkcs11:token=lab-vault;object=$key"
	program succeeds check-privkey "$CERTS/$key.pem" "$uri;type=private;pin-value=$PIN" "$P11_MODULE" "$T/engines.cnf"
	program succeeds check-privkey "$uri;type=cert" "$uri;type=private;pin-value=$PIN" "$P11_MODULE" "$T/engines.cnf"
	program succeeds check-privkey-prov "$CERTS/$key.pem" "$uri;type=private;pin-value=$PIN"
	program succeeds check-privkey-prov "$uri;type=cert" "$uri;type=private;pin-value=$PIN"
	program succeeds check-all-prov "$uri"
	program succeeds dup-key "$uri;type=private;pin-value=$PIN" "$P11_MODULE" "$T/engines.cnf"
	program succeeds dup-key-prov "$uri;type=private;pin-value=$PIN"
done
program refused check-privkey "$CERTS/ec256.pem" "$RSA;type=private;pin-value=$PIN" "$P11_MODULE" "$T/engines.cnf"
program succeeds session-pool-test
note "a machine that is no longer trusted"
tampered pcr 4
each refused
# What was built, less what ran, is what the document explains.
{
	find . -maxdepth 1 -type f -perm -u+x ! -name '*.*' -printf '%f\n'
	find ../examples -maxdepth 1 -type f -perm -u+x ! -name '*.*' -printf '%f\n'
} | sort -u >"$T/built"
sort -u "$T/ran" | comm -23 "$T/built" - >"$T/left"
sed -n 's/^| libp11 | `\([^`]*\)` |.*/\1/p' "$WHY" | sort >"$T/explained"
comm -23 "$T/left" "$T/explained" >"$T/new"
[ ! -s "$T/new" ] || { cat "$T/new"; fail "these programs were left out and are not explained in conformance.md"; }
ok "$(wc -l <"$T/left") of $(wc -l <"$T/built") programs do not apply, each with its reason in conformance.md"
unset LD_LIBRARY_PATH OPENSSL_MODULES OPENSSL_ENGINES PKCS11_MODULE_PATH
audit_whole
