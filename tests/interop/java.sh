#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# SunPKCS11 of a JDK: KeyStore, Signature, Cipher, jarsigner; openssl and the JDK's own providers check.
. "$VS_SRCDIR/tests/interop/lib.sh"
need java keytool jarsigner jar openssl
JAVA_TOOL_OPTIONS= && unset JAVA_TOOL_OPTIONS
java -m jdk.compiler/com.sun.tools.javac.Main -version >/dev/null 2>&1 || need javac
lab_up
cat >"$T/p11.cfg" <<-EOT
	name = Vouchsafe
	library = $P11_MODULE
	slotListIndex = 0
EOT
succeeds "keytool lists the token's keys" keytool -J-Xshare:auto -list -keystore NONE -storetype PKCS11 -storepass none \
	-providerClass sun.security.pkcs11.SunPKCS11 -providerArg "$T/p11.cfg"
says 'rsa2048, PrivateKeyEntry'
says 'ec256, PrivateKeyEntry'
openssl rand 300 >"$T/data"
run() { timeout 100 java -Xshare:auto "$VS_SRCDIR/tests/interop/Token.java" "$T/p11.cfg" "$@"; }
succeeds "Java signs and decrypts with the token" run sign "$T/data" "$T"
says 'SHA256withRSA ok'
says 'decrypted'
for c in rsa2048 ec256; do
	openssl x509 -in "$D/certs/$c.pem" -noout -pubkey >"$T/$c.pub"
done
succeeds "openssl verifies RSA" openssl dgst -sha256 -verify "$T/rsa2048.pub" -signature "$T/SHA256withRSA.sig" "$T/data"
succeeds "openssl verifies RSA-PSS" openssl dgst -sha256 -sigopt rsa_padding_mode:pss -verify "$T/rsa2048.pub" \
	-signature "$T/RSASSA-PSS.sig" "$T/data"
succeeds "openssl verifies ECDSA" openssl dgst -sha256 -verify "$T/ec256.pub" -signature "$T/SHA256withECDSA.sig" "$T/data"
mkdir "$T/in"
cp "$T/data" "$T/in/"
jar cf "$T/x.jar" -C "$T/in" data
sign_jar() {
	timeout 100 jarsigner -keystore NONE -storetype PKCS11 -storepass none -providerClass sun.security.pkcs11.SunPKCS11 \
		-providerArg "$T/p11.cfg" -signedjar "$T/$1.jar" "$T/x.jar" "$2"
}
for key in rsa2048 ec256; do
	succeeds "jarsigner signs with $key" sign_jar $key $key
	succeeds "  and jarsigner verifies without the token" jarsigner -verify "$T/$key.jar"
	says 'jar verified'
done
tampered pcr 4
refused "Java is blocked after a PCR changed" run sign "$T/data" "$T/in"
says 'CKR_FUNCTION_REJECTED|0x200|512'
[ ! -e "$T/in/SHA256withRSA.sig" ] || fail "there is a signature"
refused "jarsigner is blocked" sign_jar blocked rsa2048
[ ! -e "$T/blocked.jar" ] || ! jarsigner -verify "$T/blocked.jar" | grep -q 'jar verified' || fail "a signed jar was made"
succeeds "the keys are still listed" run list
says rsa2048
tampered undo
succeeds "Java signs again afterwards" run sign "$T/data" "$T"
audit_whole
