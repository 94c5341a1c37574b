#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# vouchsafe volume on images, in user space: enrolling, opening up to the activation, forged headers.
. "$VS_SRCDIR/tests/interop/lib.sh"
"$VOUCHSAFE" volume --help >"$T/help" 2>&1 || { # built without libcryptsetup
	[ -z "${CI-}${VS_REQUIRE_ALL-}" ] || fail "vouchsafe was built without libcryptsetup"
	echo "skipped: built without libcryptsetup"
	trap - EXIT
	rm -rf "$T"
	exit 77
}
need cryptsetup
lab_up
format() { # FILE OPTIONS...: a volume with the passphrase "typed"
	f=$1
	shift
	truncate -s 20M "$f"
	printf typed | cryptsetup luksFormat -q --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 "$@" "$f" - \
		>"$T/format.out" 2>&1 || { cat "$T/format.out"; fail "luksFormat"; }
}
enroll() { printf 'typed\n' | timeout 60 "$VOUCHSAFE" volume enroll --token lab-vault --key rsa2048 "$@"; }
try_enroll() {
	RC=0
	enroll "$@" >"$T/cmd.out" 2>&1 || RC=$?
}
V=$T/volume.img
format "$V"
cp "$V" "$T/plain.img"

try_enroll --passphrase-fd 0 "$V"
[ "$RC" = 0 ] || { cat "$T/cmd.out"; fail "enrolling: $RC"; }
fingerprint=$(sed -n 's/^fingerprint //p' "$T/cmd.out")
[ ${#fingerprint} = 64 ] || fail "no fingerprint"
ok "a volume is enrolled without any attestation"
[ "$(audit_count granted)" = "" ] || [ "$(audit_count granted)" = 0 ] || fail "enrolling attested"
printf typed | cryptsetup open --test-passphrase "$V" - || fail "the old passphrase is lost"
ok "the passphrase it had still opens it"
succeeds "an attested machine can open it" "$VOUCHSAFE" volume open --test --expect "$fingerprint" "$V"
says 'can be opened'
if grep -q device-mapper /proc/misc && [ -c /dev/mapper/control ] && [ "$(id -u)" = 0 ]; then
	succeeds "it is activated" "$VOUCHSAFE" volume open "$V" "vs-test-$$"
	succeeds "and closed" "$VOUCHSAFE" volume close "vs-test-$$"
else
	refused "without a device mapper in the kernel it is not activated" "$VOUCHSAFE" volume open "$V" "vs-test-$$"
	says 'cannot be activated'
fi

refused "a volume is not enrolled twice" sh -c "printf 'typed\n' | '$VOUCHSAFE' volume enroll --token lab-vault --key rsa2048 '$V'"
says 'enrolled already'
cp "$T/plain.img" "$T/again.img"
refused "a wrong passphrase" sh -c "printf 'wrong\n' | '$VOUCHSAFE' volume enroll --token lab-vault --key rsa2048 '$T/again.img'"
says 'opens no key slot'
cmp "$T/plain.img" "$T/again.img" || fail "a refused enrolment changed the volume"
ok "a refused enrolment changes no byte"
refused "an elliptic key cannot wrap" sh -c "printf 'typed\n' | '$VOUCHSAFE' volume enroll --token lab-vault --key ec256 '$T/again.img'"
says 'no RSA key'
refused "a volume that is not enrolled" "$VOUCHSAFE" volume open --test "$T/plain.img"
says 'not enrolled'
refused "no LUKS2 header" "$VOUCHSAFE" volume open --test "$VOUCHSAFE"
says 'no LUKS2 header'
refused "a header with another fingerprint" "$VOUCHSAFE" volume open --test --expect "$(printf '%064d' 7)" "$V"
says "fingerprint is $fingerprint"

# Headers as somebody who holds the disk would write them: our entry in another volume ...
format "$T/other.img"
entry=$(cryptsetup token export --token-id 0 "$V")
printf typed | cryptsetup luksAddKey -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file - "$T/other.img" "$VS_SRCDIR/LICENSE" \
	>/dev/null 2>&1 || fail "luksAddKey"
printf '%s' "$entry" | cryptsetup token import --token-id 0 "$T/other.img" || fail "token import"
refused "a wrapped passphrase in another volume's header" "$VOUCHSAFE" volume open --test "$T/other.img"
says 'was not wrapped for this header'
[ "$RC" = 1 ] || fail "status $RC, expected 1"
# ... other ciphers ...
for c in cipher_null-ecb aes-cbc-essiv:sha256 aes-ecb; do
	rm -f "$T/c.img"
	truncate -s 20M "$T/c.img"
	printf typed | cryptsetup luksFormat -q --type luks2 --cipher "$c" --pbkdf pbkdf2 --pbkdf-force-iterations 1000 "$T/c.img" - \
		>"$T/format.out" 2>&1 || { note "$c cannot be made here: $(tail -n 1 "$T/format.out")"; continue; }
	refused "cipher $c" "$VOUCHSAFE" volume open --test "$T/c.img"
	says 'header was refused'
	refused "enrolling with cipher $c" sh -c "printf 'typed\n' | '$VOUCHSAFE' volume enroll --token lab-vault --key rsa2048 '$T/c.img'"
	says 'header was refused'
done
# ... re-encryption begun.
cp "$V" "$T/r.img"
if printf typed | cryptsetup reencrypt -q --init-only --force-offline-reencrypt --resilience none --key-slot 0 --key-file - "$T/r.img" \
	>"$T/format.out" 2>&1; then
	refused "re-encryption that was begun" "$VOUCHSAFE" volume open --test "$T/r.img"
	says 'header was refused'
else
	note "re-encryption cannot be begun here: $(tail -n 1 "$T/format.out")"
fi

"$LAB" tamper secure-boot off --dir "$D" >/dev/null
refused "a changed machine" "$VOUCHSAFE" volume open --test "$V"
[ "$RC" = 1 ] || fail "status $RC, expected 1"
"$LAB" tamper undo --dir "$D" >/dev/null
sleep 6
succeeds "the machine as it was" "$VOUCHSAFE" volume open --test "$V"
audit_whole
