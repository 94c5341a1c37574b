#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# GnuPG with gnupg-pkcs11-scd: gpgsm learns the token's certificates, signs and decrypts.
. "$VS_SRCDIR/tests/interop/lib.sh"
need gpgsm gpg-agent gpg-connect-agent gnupg-pkcs11-scd openssl
lab_up
own_certificate rsa2048
global_setting 'refusal-hold = 100ms'
# Short: a socket's name has a limit.
G=$(mktemp -d /tmp/vsg.XXXXXX)
export GNUPGHOME="$G"
chmod 700 "$G"
end_agent() { gpgconf --kill all >/dev/null 2>&1 || true; GNUPGHOME="$G/plain" gpgconf --kill all >/dev/null 2>&1 || true; }
trap 'rc=$?; set +e; end_agent; rm -rf "$G"; (exit $rc); cleanup' EXIT
cat >"$G/gnupg-pkcs11-scd.conf" <<-EOT
	providers vouchsafe
	provider-vouchsafe-library $P11_MODULE
EOT
cat >"$G/gpg-agent.conf" <<-EOT
	scdaemon-program $(command -v gnupg-pkcs11-scd)
	allow-loopback-pinentry
	batch
EOT
printf 'disable-crl-checks\ndisable-dirmngr\n' >"$G/gpgsm.conf"
LOGS="${LOGS-} $G/agent.log"
succeeds "the card is seen" gpg-connect-agent 'SCD LEARN --force' /bye
says 'CERTINFO|KEYPAIRINFO|KEY-FRIEDNLY'
sm() { timeout 60 gpgsm --batch --no-tty --pinentry-mode loopback --passphrase-fd 0 "$@" </dev/null; }
openssl x509 -in "$D/certs/rsa2048.pem" -outform DER -out "$T/cert.der"
succeeds "gpgsm takes the certificate" sm --import "$T/cert.der"
succeeds "gpgsm takes its CA" sm --import "$T/own-ca.pem"
echo "$(openssl x509 -in "$T/own-ca.pem" -noout -fingerprint -sha1 | sed 's/.*=//; s/://g') S relax" >"$G/trustlist.txt"
gpgconf --kill gpg-agent
succeeds "gpgsm learns the card" sm --learn-card
FPR=$(sm --list-keys --with-colons rsa2048 2>/dev/null | awk -F: '$1 == "fpr" {print $10; exit}')
[ -n "$FPR" ] || fail "no certificate in the key box"
openssl rand -hex 100 >"$T/data"
sign() { rm -f "$T/sig"; sm --yes --local-user "$FPR" --disable-policy-checks --include-certs 1 --output "$T/sig" --detach-sign "$T/data"; }
decrypt() { rm -f "$T/dec"; sm --yes --output "$T/dec" --decrypt "$T/env"; }
succeeds "gpgsm signs" sign
# The daemon puts a zero byte before a signature whose first bit is set, which openssl does not take:
# GnuPG without a card verifies, and refuses other data.
mkdir -m 700 "$G/plain"
cp "$G/trustlist.txt" "$G/gpgsm.conf" "$G/plain/"
echo batch >"$G/plain/gpg-agent.conf"
plain() { timeout 60 env GNUPGHOME="$G/plain" gpgsm --batch --no-tty --disable-crl-checks "$@" </dev/null; }
succeeds "a GnuPG without the token takes the certificates" plain --import "$T/own-ca.pem" "$T/cert.der"
succeeds "  and verifies" plain --verify "$T/sig" "$T/data"
says 'Good signature'
sed 's/^./x/' "$T/data" >"$T/other"
refused "  not so other data" plain --verify "$T/sig" "$T/other"
openssl cms -encrypt -binary -aes-256-cbc -in "$T/data" -outform DER -out "$T/env" "$D/certs/rsa2048.pem"
succeeds "gpgsm decrypts what openssl encrypted" decrypt
cmp "$T/data" "$T/dec" || fail "other bytes"
end_agent
tampered pcr 4
refused "gpgsm signs nothing after a PCR changed" sign
! plain --verify "$T/sig" "$T/data" >/dev/null 2>&1 || fail "there is a signature"
refused "gpgsm decrypts nothing" decrypt
! cmp -s "$T/data" "$T/dec" || fail "decrypted"
tampered undo
sleep 0.2
succeeds "and the same agent signs afterwards" sign
succeeds "and decrypts" decrypt
audit_whole
