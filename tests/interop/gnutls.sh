#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# GnuTLS: p11tool lists and tests keys, certtool signs with one.
. "$VS_SRCDIR/tests/interop/lib.sh"
need p11tool certtool openssl
lab_up
for token in lab-vault lab-hsm; do
	succeeds "$token: p11tool lists all" p11tool --provider "$P11_MODULE" --list-all "pkcs11:token=$token"
	says 'object=rsa2048;type=private'
	says 'object=ec256;type=public'
	for key in rsa2048 rsa3072 ec256 ec384; do
		succeeds "$token: p11tool signs with $key" p11tool --provider "$P11_MODULE" --test-sign \
			"pkcs11:token=$token;object=$key;type=private"
		says 'ok'
	done
	cat >"$T/tmpl" <<-EOT
		cn = "signed by the token"
		serial = 7
		expiration_days = 2
		signing_key
	EOT
	succeeds "$token: certtool makes a certificate" certtool --provider "$P11_MODULE" --generate-self-signed \
		--load-privkey "pkcs11:token=$token;object=rsa2048;type=private" \
		--load-pubkey "pkcs11:token=$token;object=rsa2048;type=public" \
		--template "$T/tmpl" --outfile "$T/self.pem"
	succeeds "$token: and openssl verifies it" openssl verify -CAfile "$T/self.pem" -check_ss_sig "$T/self.pem"
done
note "blocked"
tampered pcr 4
rm -f "$T/self.pem"
for key in rsa2048 ec256; do
	refused "after a PCR changed p11tool signs nothing with $key" p11tool --provider "$P11_MODULE" --test-sign \
		"pkcs11:token=lab-vault;object=$key;type=private"
	says 'Cannot sign|error'
done
refused "certtool makes no certificate" certtool --provider "$P11_MODULE" --generate-self-signed \
	--load-privkey "pkcs11:token=lab-vault;object=rsa2048;type=private" \
	--load-pubkey "pkcs11:token=lab-vault;object=rsa2048;type=public" --template "$T/tmpl" --outfile "$T/self.pem"
[ ! -s "$T/self.pem" ] || ! openssl x509 -in "$T/self.pem" -noout 2>/dev/null || fail "a certificate was made"
succeeds "but p11tool lists all as before" p11tool --provider "$P11_MODULE" --list-all "pkcs11:token=lab-vault"
says 'object=rsa2048;type=private'
tampered undo
succeeds "and signs afterwards" p11tool --provider "$P11_MODULE" --test-sign "pkcs11:token=lab-vault;object=rsa2048;type=private"
audit_whole
