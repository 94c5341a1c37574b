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
need cryptsetup python3
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

# What a person gets wrong: one sentence with the remedy, status 2, and nothing was begun.
usage() { # what, pattern, arguments of volume...
	_w=$1 _p=$2
	shift 2
	refused "$_w" "$VOUCHSAFE" volume "$@"
	[ "$RC" = 2 ] || { cat "$T/cmd.out"; fail "status $RC, expected 2"; }
	says "$_p"
}
mkfifo "$T/fifo"
usage "a device that is not there" 'is not there; lsblk' open --test "$T/nothing"
usage "a folder" 'neither a block device nor an image' open --test "$T"
usage "a pipe, which would wait for ever" 'neither a block device nor an image' open --test "$T/fifo"
usage "a terminal device" 'neither a block device nor an image' open --test /dev/null
usage "a fingerprint that is none" '64 hex digits' open --test --expect abc "$V"
usage "a wait without a unit" 'number with unit' open --test --wait 5 "$V"
usage "a wait for ever" 'at most 1h' open --test --wait 2h "$V"
usage "a wait for enrol" 'is for open' enroll --wait 5s --token lab-vault --key rsa2048 "$V"
usage "an option that does not exist" "--help" open --hurry "$V"
usage "a name with a slash" 'no name for a mapping' open "$V" a/b
usage "a name that the device mapper cannot have" 'no name for a mapping' open "$V" "$(printf '%0128d' 1)"
usage "no name and no --test" 'takes other arguments' open "$V"
usage "enrol without a key" 'needs --token and --key' enroll "$V"
usage "a token that is not configured" 'has no token' enroll --token nobody --key rsa2048 "$T/again.img"
if [ "$(id -u)" = 0 ]; then
	usage "nothing of that name is open" 'no volume .* is open' close "vs-test-$$"
	setpriv --reuid=65534 --clear-groups true 2>/dev/null && {
		chmod 755 "$T"
		chmod 600 "$V"
		nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups "$VOUCHSAFE" volume "$@"; }
		RC=0
		nobody open "$V" name >"$T/cmd.out" 2>&1 || RC=$?
		[ "$RC" = 2 ] && grep -q 'only root may open a volume; run this as root' "$T/cmd.out" || { cat "$T/cmd.out"; fail "another user opens"; }
		RC=0
		nobody open --test "$V" >"$T/cmd.out" 2>&1 || RC=$?
		[ "$RC" = 2 ] && grep -q 'Permission denied; run this as root' "$T/cmd.out" || { cat "$T/cmd.out"; fail "another user reads"; }
		chmod 700 "$T"
		ok "another user is told to be root, before anything is asked for"
	}
fi

# Waiting: it says for what, comes through when that is there, gives up in time otherwise.
"$VOUCHSAFE" volume open --test --wait 60s "$T/late.img" >"$T/late.out" 2>&1 &
waiter=$!
until_true 20 grep -q 'waiting for .*late.img, try 1, .* s left: .*is not there' "$T/late.out" || { cat "$T/late.out"; fail "it does not say what it waits for"; }
cp "$V" "$T/late.tmp" && mv "$T/late.tmp" "$T/late.img"
wait "$waiter" || { cat "$T/late.out"; fail "it does not come through"; }
ok "a device that comes later is waited for, and that is said"
begin=$(date +%s)
refused "a device that never comes" "$VOUCHSAFE" volume open --test --wait 2s "$T/nothing"
[ "$RC" = 2 ] && [ $(($(date +%s) - begin)) -le 5 ] || fail "status $RC after $(($(date +%s) - begin)) s"
"$LAB" fault maa refused --dir "$D" >/dev/null
begin=$(date +%s)
refused "a service that cannot be reached" "$VOUCHSAFE" volume open --test --wait 4s "$V"
"$LAB" fault clear --dir "$D" >/dev/null
says 'waiting for .*volume.img, try 1'
[ "$RC" = 3 ] && [ $(($(date +%s) - begin)) -le 12 ] || fail "status $RC after $(($(date +%s) - begin)) s"
begin=$(date +%s)
refused "a refusal, which no waiting mends" "$VOUCHSAFE" volume open --test --wait 60s --expect "$(printf '%064d' 7)" "$V"
[ "$RC" = 1 ] && [ $(($(date +%s) - begin)) -le 20 ] || fail "status $RC after $(($(date +%s) - begin)) s"

# Ctrl-C: at the prompt, with the terminal as it was afterwards; while it waits; nothing is half done.
cp "$T/plain.img" "$T/ctrl.img"
python3 - "$VOUCHSAFE" "$T/ctrl.img" <<'EOT' || fail "Ctrl-C at the prompt"
import os, pty, signal, sys, termios
pid, master = pty.fork()
if pid == 0:
    # Whoever runs the tests in the background has it ignored, which is inherited.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.execv(sys.argv[1], [sys.argv[1], "volume", "enroll", "--token", "lab-vault", "--key", "rsa2048", sys.argv[2]])
seen = b""
while b"A passphrase of" not in seen:
    seen += os.read(master, 100)
assert not termios.tcgetattr(master)[3] & termios.ECHO, "the passphrase would be seen"
os.write(master, b"typ\x03")
_, status = os.waitpid(pid, 0)
assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == 2, status
assert termios.tcgetattr(master)[3] & termios.ECHO, "the terminal is left without echo"
EOT
ok "Ctrl-C at the prompt ends it, and the terminal echoes again"
cmp "$T/plain.img" "$T/ctrl.img" || fail "the volume changed"
ok "and the volume is as it was"
# At any moment: either nothing was done, or all of it.
for ms in 100 200 300 500 800; do
	cp "$T/plain.img" "$T/ctrl.img"
	printf 'typed\n' >"$T/typed"
	"$VOUCHSAFE" volume enroll --token lab-vault --key rsa2048 "$T/ctrl.img" <"$T/typed" >"$T/ctrl.out" 2>&1 &
	p=$!
	sleep "0.$ms"
	kill -TERM "$p" 2>/dev/null || true
	wait "$p" 2>/dev/null || true
	cryptsetup luksDump --dump-json-metadata "$T/ctrl.img" >"$T/ctrl.json" || fail "no header after $ms ms"
	python3 -c 'import json, sys; h = json.load(open(sys.argv[1])); assert len(h["keyslots"]) == 1 + len(h["tokens"]), h' "$T/ctrl.json" ||
		fail "half an enrolment after $ms ms"
done
ok "ended at any moment, a volume has slot and entry, or neither"

# Power lost in the middle, as test_volume_slot has it at each write: the entry that was begun, without
# and with its slot, and with another's slot in its place.
begun_entry() { # SLOT ITERATIONS
	printf '%s' "$entry" | python3 -c 'import json, sys; e = json.load(sys.stdin); e["keyslots"] = []; e["vouchsafe-begun"] = sys.argv[1]
e["vouchsafe-iterations"] = int(sys.argv[2]); print(json.dumps(e))' "$1" "$2"
}
slot_of() { # SLOT ITERATIONS FILE, with the passphrase "other"
	printf other >"$T/other.key"
	printf typed | cryptsetup luksAddKey -q --key-slot "$1" --pbkdf pbkdf2 --pbkdf-force-iterations "$2" --key-file - "$3" "$T/other.key" \
		>/dev/null 2>&1 || fail "luksAddKey"
}
for what in entry slot foreign; do
	cp "$T/plain.img" "$T/cut.img"
	begun_entry 1 4711 | cryptsetup token import --token-id 0 "$T/cut.img" || fail "token import"
	[ "$what" = entry ] || slot_of 1 "$([ "$what" = slot ] && echo 4711 || echo 1000)" "$T/cut.img"
	refused "a volume whose enrolment was cut off ($what)" "$VOUCHSAFE" volume open --test "$T/cut.img"
	says 'was cut off before its end; do vouchsafe volume enroll again'
	succeeds "the next enrolment ($what)" sh -c "printf 'typed\n' | '$VOUCHSAFE' volume enroll --token lab-vault --key rsa2048 '$T/cut.img'"
	says 'an enrolment of .* that was cut off is taken back'
	left=1
	printf other | cryptsetup open --test-passphrase "$T/cut.img" - 2>/dev/null || left=0
	[ "$left" = "$([ "$what" = foreign ] && echo 1 || echo 0)" ] || fail "$what: another's slot: $left"
	cryptsetup luksDump --dump-json-metadata "$T/cut.img" >"$T/ctrl.json" || fail "no header"
	python3 -c 'import json, sys; h = json.load(open(sys.argv[1])); assert len(h["keyslots"]) == 2 + int(sys.argv[2]) and len(h["tokens"]) == 1, h' \
		"$T/ctrl.json" "$left" || fail "$what: something is left"
	succeeds "opens again ($what)" "$VOUCHSAFE" volume open --test "$T/cut.img"
done
# An entry that calls the slot of the recovery passphrase left over.
cp "$T/plain.img" "$T/cut.img"
begun_entry 0 1000 | cryptsetup token import --token-id 0 "$T/cut.img" || fail "token import"
refused "an entry that wants the person's own slot" sh -c "printf 'typed\n' | '$VOUCHSAFE' volume enroll --token lab-vault --key rsa2048 '$T/cut.img'"
says 'it is the slot of your passphrase'
printf typed | cryptsetup open --test-passphrase "$T/cut.img" - || fail "the passphrase is lost"

"$LAB" tamper secure-boot off --dir "$D" >/dev/null
refused "a changed machine" "$VOUCHSAFE" volume open --test "$V"
[ "$RC" = 1 ] || fail "status $RC, expected 1"
"$LAB" tamper undo --dir "$D" >/dev/null
sleep 6
succeeds "the machine as it was" "$VOUCHSAFE" volume open --test "$V"
audit_whole
