#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# strongSwan's pki: a self-signed certificate, a request and a public key with a key of the token.
. "$VS_SRCDIR/tests/interop/lib.sh"
need pki openssl pkcs11-tool
[ -e /usr/lib/ipsec/plugins/libstrongswan-pkcs11.so ] || { PATH=/nonexistent need libstrongswan-extra-plugins; }
lab_up
cat >"$T/strongswan.conf" <<-EOT
	pki {
		load = random openssl pkcs1 pkcs8 pem x509 pubkey pkcs11 nonce
	}
	libstrongswan {
		plugins {
			pkcs11 {
				modules {
					vouchsafe {
						path = $P11_MODULE
					}
				}
			}
		}
	}
EOT
export STRONGSWAN_CONF="$T/strongswan.conf"
for key in rsa2048 ec256; do
	pki_id=$(p11 --token-label lab-vault --list-objects --type cert 2>/dev/null |
		awk -v want=$key '$1 == "label:" {label = $2} $1 == "ID:" && label == want {print $2; exit}')
	[ -n "$pki_id" ] || fail "no certificate $key"
	make_cert() { rm -f "$T/self.pem"; timeout 60 pki --self --keyid "$pki_id" --dn 'CN=strongswan' --outform pem --lifetime 2 >"$T/self.pem"; }
	succeeds "pki makes a self-signed certificate with $key" make_cert
	succeeds "  and openssl verifies it" openssl verify -check_ss_sig -CAfile "$T/self.pem" "$T/self.pem"
	openssl x509 -in "$T/self.pem" -noout -pubkey >"$T/a"
	openssl x509 -in "$D/certs/$key.pem" -noout -pubkey | cmp - "$T/a" || fail "another key"
	make_req() { timeout 60 pki --req --keyid "$pki_id" --dn 'CN=strongswan' --outform pem >"$T/req.pem"; }
	succeeds "pki makes a request with $key" make_req
	succeeds "  and openssl verifies it" openssl req -in "$T/req.pem" -noout -verify
done
tampered pcr 4
refused "blocked after a PCR changed" make_cert
! openssl x509 -in "$T/self.pem" -noout 2>/dev/null || fail "there is a certificate"
tampered undo
succeeds "and works afterwards" make_cert
audit_whole
