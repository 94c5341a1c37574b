#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# NSS: modutil adds the module to a database, certutil lists and makes a request, cmsutil signs.
. "$VS_SRCDIR/tests/interop/lib.sh"
need modutil certutil cmsutil openssl
lab_up
own_certificate rsa2048
own_certificate ec256
mkdir "$T/db"
DB=sql:$T/db
echo >"$T/none"
succeeds "a database" certutil -N -d "$DB" --empty-password
succeeds "the CA is trusted" certutil -A -d "$DB" -n own-ca -t C,C,C -i "$T/own-ca.pem"
succeeds "modutil adds the module" modutil -force -dbdir "$DB" -add Vouchsafe -libfile "$P11_MODULE"
succeeds "modutil lists the tokens" modutil -force -dbdir "$DB" -list Vouchsafe
says 'Token Name: lab-vault'
says 'Token Name: lab-hsm'
succeeds "certutil lists certificates" certutil -L -d "$DB" -h lab-vault -f "$T/none"
says 'lab-vault:rsa2048 +u,u,u'
succeeds "certutil lists keys" certutil -K -d "$DB" -h lab-vault -f "$T/none"
says 'rsa .*rsa2048'
succeeds "certutil exports the certificate" certutil -L -d "$DB" -h lab-vault -n lab-vault:rsa2048 -a -f "$T/none"
openssl x509 -in "$T/cmd.out" -noout -fingerprint -sha256 >"$T/a"
openssl x509 -in "$D/certs/rsa2048.pem" -noout -fingerprint -sha256 | cmp - "$T/a" || fail "another certificate"
ok "  and it is the token's"
openssl rand -hex 100 >"$T/data"
cms() { # NICKNAME
	rm -f "$T/cms"
	timeout 60 cmsutil -S -d "$DB" -N "lab-vault:$1" -f "$T/none" -i "$T/data" -o "$T/cms" -H SHA256 -G
}
for key in rsa2048 ec256; do
	succeeds "cmsutil signs with $key" cms $key
	succeeds "  and openssl verifies" openssl cms -verify -inform DER -binary -in "$T/cms" -CAfile "$T/own-ca.pem" \
		 -certfile "$D/certs/$key.pem" -purpose any -out "$T/out"
	cmp "$T/data" "$T/out" || fail "other bytes"
done
openssl cms -encrypt -binary -aes-256-cbc -in "$T/data" -outform DER -out "$T/env" "$D/certs/rsa2048.pem"
open_env() { rm -f "$T/dec"; timeout 60 cmsutil -D -d "$DB" -f "$T/none" -i "$T/env" -o "$T/dec"; }
succeeds "cmsutil opens an envelope (C_UnwrapKey)" open_env
cmp "$T/data" "$T/dec" || fail "other bytes"
tampered pcr 4
refused "cmsutil signs nothing after a PCR changed" cms rsa2048
[ ! -s "$T/cms" ] || ! openssl cms -verify -inform DER -binary -in "$T/cms" -noverify -out /dev/null 2>/dev/null || fail "a signature"
refused "cmsutil opens no envelope" open_env
! cmp -s "$T/data" "$T/dec" || fail "opened"
succeeds "the keys are still listed" certutil -K -d "$DB" -h lab-vault -f "$T/none"
tampered undo
succeeds "and signs again afterwards" cms rsa2048
audit_whole
