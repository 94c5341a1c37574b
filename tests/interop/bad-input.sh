#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# What is wrong in a command line, a file or a right is told in one sentence with its remedy, by every
# command, with status 2; an interrupt leaves nothing half done.
. "$VS_SRCDIR/tests/interop/lib.sh"
need openssl python3
COMMANDS=$("$VOUCHSAFE" --help | sed -n 's/^  \([a-z]*\)  *[a-z].*/\1/p')
[ "$(echo "$COMMANDS" | wc -l)" -ge 10 ] || fail "too few commands: $COMMANDS"
has_volume() { "$VOUCHSAFE" volume --help >/dev/null 2>&1; }
N=0
# One line of sentence, which ends with what to do or has it on a second line; nothing on standard output.
bad() { # PATTERN ARGUMENT...
	_p=$1
	shift
	RC=0
	timeout 20 "$VOUCHSAFE" "$@" >"$T/out" 2>"$T/cmd.out" </dev/null || RC=$?
	case $1 in volume) has_volume || return 0 ;; esac
	# A library's own word about this machine's kernel.
	sed -i '/device-mapper.*dm_mod/d' "$T/cmd.out"
	[ "$RC" = 2 ] || { cat "$T/cmd.out"; fail "status $RC, expected 2: vouchsafe $*"; }
	[ ! -s "$T/out" ] || { cat "$T/out"; fail "something on standard output: vouchsafe $*"; }
	grep -qE "^vouchsafe[a-z ]*: .*$_p" "$T/cmd.out" || { cat "$T/cmd.out"; fail "expected '$_p': vouchsafe $*"; }
	_n=$(wc -l <"$T/cmd.out")
	if [ "$_n" = 1 ]; then
		grep -qE "'vouchsafe [a-z ]*--help'|did you mean" "$T/cmd.out" || { cat "$T/cmd.out"; fail "no remedy: vouchsafe $*"; }
	else
		[ "$_n" = 2 ] && sed -n 2p "$T/cmd.out" | grep -qE '^  remedy: .{10}' || { cat "$T/cmd.out"; fail "not one sentence: vouchsafe $*"; }
	fi
	! grep -qE '\(null\)|%[sdz]' "$T/cmd.out" || fail "a hole in the sentence: vouchsafe $*"
	N=$((N + 1))
}
# Enough to be read as far as the thing that is wrong.
rest() {
	case $1 in
	audit) echo verify ;;
	conf) echo check ;;
	evidence) echo show ;;
	policy) echo test ;;
	token) echo verify ;;
	volume) echo open ;;
	esac
}
note "command lines"
bad 'no command' frobnicate
bad 'no command' --frobnicate
for c in $COMMANDS; do
	bad '' "$c" $(rest "$c") --frobnicate
	says 'frobnicate'
	bad '' "$c" $(rest "$c") -Z
	case $c in conf | policy | token) ;; *) bad '' "$c" $(rest "$c") --config ;; esac
	bad '' "$c" $(rest "$c") one two three four
done
for c in audit conf evidence policy token volume; do
	bad '' "$c"
	bad '' "$c" frobnicate
done
for t in 5 5x -1 1e3 '' 99999h; do
	bad 'unit' gate --timeout "$t"
	bad 'unit' status --watch --interval "$t"
done
bad 'no row' doctor --row nothing
# Number 0 would be no checkpoint at all, and the end of the log would pass for unproven.
zeros=$(printf '%064d' 0)
for c in 0 00 -1 +7 ' 7' 99999999999999999999; do
	bad 'a checkpoint is' audit verify --checkpoint "$c:$zeros" "$T/none.log"
done
ok "$N wrong command lines"

note "files"
N=0
files() { # PATTERN FILE: for each command that reads a configuration
	for c in 'attest --token x' 'audit verify' 'audit checkpoint' 'evidence show' 'gate --timeout 1s' status 'volume open'; do
		case $c in volume*) [ -z "${DEVICE-}" ] || bad "$1" $c --config "$2" "$DEVICE" name ;; *) bad "$1" $c --config "$2" ;; esac
	done
	bad "$1" conf check "$2"
}
files 'No such file' "$T/none.conf"
files 'folder|directory|regular' "$T"
printf 'polcy = x\n[token t]\n' >"$T/bad.conf"; chmod 600 "$T/bad.conf"
files 'bad.conf:1' "$T/bad.conf"
head -c 4096 /dev/urandom >"$T/noise.conf"; chmod 600 "$T/noise.conf"
files 'noise.conf' "$T/noise.conf"
: >"$T/empty.conf"; chmod 600 "$T/empty.conf"
bad 'no .token' gate --timeout 1s --config "$T/empty.conf"
bad 'no .token' attest --config "$T/empty.conf"
printf '[token t]\nvault = https://x.vault.azure.net\nattestation = https://x.weu.attest.azure.net\n' >"$T/open.conf"
chmod 622 "$T/open.conf"
files 'written by others' "$T/open.conf"
if [ "$(id -u)" = 0 ]; then
	chmod 600 "$T/open.conf"
	chown 1:1 "$T/open.conf"
	files 'belong|owner' "$T/open.conf"
	chown 0:0 "$T/open.conf"
fi
bad 'No such file' policy test "$T/none.jwt" --policy "$T/none.json"
bad 'No such file' policy hash "$T/none.json"
bad '' policy record "$T/noise.conf"
bad 'No such file' evidence verify "$T/none"
bad 'No such file' audit verify "$T/none.log"
bad 'No such file' token verify --jwks "$T/none" --issuer https://x.weu.attest.azure.net --policy "$T/none" --nonce 00 --at 1 "$T/none"
if has_volume; then
	bad 'No such file|is not there' volume open "$T/none.img" name
	bad '' volume open "$T" name
	bad '' volume open "$T/noise.conf" name
fi
ok "$N wrong files, devices and rights"

note "the other programs"
for args in '' '--frobnicate' '--config' '--config relative.conf' "--config $T/open.conf --private x"; do
	RC=0
	timeout 20 "$B/vouchsafe-agent" $args >"$T/out" 2>"$T/cmd.out" </dev/null || RC=$?
	[ $RC = 2 ] && [ ! -s "$T/out" ] && [ "$(wc -l <"$T/cmd.out")" = 1 ] && grep -q -- --help "$T/cmd.out" ||
		{ cat "$T/cmd.out"; fail "status $RC: vouchsafe-agent $args"; }
done
RC=0
timeout 20 "$B/vouchsafe-agent" --config "$T/none.conf" --socket "$T/s" >"$T/out" 2>"$T/cmd.out" </dev/null || RC=$?
[ $RC = 2 ] && grep -q 'No such file' "$T/cmd.out" || { cat "$T/cmd.out"; fail "status $RC: an agent without a configuration"; }
for args in '--frobnicate' 'up --frobnicate' 'frobnicate'; do
	RC=0
	timeout 20 env -u VOUCHSAFE_LAB "$LAB" $args >"$T/out" 2>&1 </dev/null || RC=$?
	[ $RC = 2 ] && [ -s "$T/out" ] || { cat "$T/out"; fail "status $RC: vouchsafe-lab $args"; }
done
ok "agent and lab say it, too"

note "interrupts"
lab_up
"$LAB" fault maa stall --dir "$D" >/dev/null 2>&1 || "$LAB" fault maa timeout --dir "$D" >/dev/null || fail "no fault that takes time"
before=$(ls -A "$D" "$T" | sort)
interrupt() { # COMMAND...: in the middle of its work
	for s in INT TERM; do
		python3 - "$s" "$VOUCHSAFE" "$@" <<-'EOT' || fail "SIG$s: vouchsafe $*"
			import signal, subprocess, sys, time
			# A shell's background job ignores interrupts; a user's does not.
			signal.signal(signal.SIGINT, signal.SIG_DFL)
			p = subprocess.Popen(sys.argv[2:], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
			time.sleep(0.5)
			if p.poll() is not None: sys.exit(f"ended by itself: {p.returncode} {p.stdout.read()[-300:]}")
			s = getattr(signal, "SIG" + sys.argv[1])
			p.send_signal(s)
			try: rc = p.wait(5)
			except subprocess.TimeoutExpired: p.kill(); sys.exit("does not end")
			if rc not in (-s, 128 + s, 0 if "--watch" in sys.argv else -s): sys.exit(f"status {rc}")
		EOT
	done
	ok "interrupted: vouchsafe $*"
}
interrupt attest --token lab-vault
interrupt gate --lab --token lab-vault --timeout 60s
interrupt doctor --row attestation-keys
interrupt status --watch --interval 200ms
"$LAB" fault clear --dir "$D" >/dev/null
[ "$(ls -A "$D" "$T" | grep -vE '^(cmd|tamper)\.out$|^audit|lock$|checkpoint|^tpm' | sort)" = \
	"$(echo "$before" | grep -vE '^(cmd|tamper)\.out$|^audit|lock$|checkpoint|^tpm')" ] ||
	{ ls -A "$D" "$T"; fail "something was left"; }
succeeds "and the next one works" "$VOUCHSAFE" attest --token lab-vault
audit_whole
