#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# What an init system and its helpers do with what is installed: units, user, folders, socket
# activation, rotation of the log under a running agent.
. "$VS_SRCDIR/tests/interop/lib.sh"
need openssl pkcs11-tool python3
unset MAKEFLAGS MFLAGS MAKELEVEL
"${MAKE:-make}" -s -C "$B" install DESTDIR="$T/root" >"$T/install.log" 2>&1 || { cat "$T/install.log"; fail "make install"; }
R=$T/root
UNIT=$(find "$R" -name vouchsafe-agent.service)
SYSUSERS=$(find "$R" -path '*sysusers.d/vouchsafe.conf')
TMPFILES=$(find "$R" -path '*tmpfiles.d/vouchsafe.conf')
ROTATE=$(find "$R" -path '*logrotate.d/vouchsafe')
has() { command -v "$1" >/dev/null 2>&1 || { note "not looked at: $1 is not installed"; return 1; }; }

if has systemd-analyze; then
	# Its own words only: other units of this machine are not ours to judge.
	try cmd systemd-analyze verify --root="$R" --man=no --recursive-errors=no "$UNIT" "${UNIT%service}socket"
	! grep -i vouchsafe "$T/cmd.out" | grep -viE 'not found|Failed to load .*\.(target|slice|mount)' ||
		fail "systemd has something to say about the units"
	ok "systemd has nothing to say about the units"
	try cmd systemd-analyze security --offline=true --threshold=25 --no-pager "$UNIT"
	[ $RC = 0 ] || { grep -v '✓' "$T/cmd.out"; fail "the service is exposed by more than 2.5"; }
	says 'Overall exposure level'
	ok "the service is closed: $(sed -n 's/.*Overall exposure level for [^:]*: //p' "$T/cmd.out")"
	sed '/^ProtectSystem=/d; /^CapabilityBoundingSet=/d; /^SystemCallFilter=/d; /^DevicePolicy=/d' "$UNIT" >"$T/open.service"
	refused "an open unit would be noticed" systemd-analyze security --offline=true --threshold=25 --no-pager "$T/open.service"
fi

if [ "$(id -u)" = 0 ] && has systemd-sysusers && has systemd-tmpfiles; then
	mkdir -p "$R/etc"
	printf 'root:x:0:0:root:/root:/bin/sh\n' >"$R/etc/passwd"
	printf 'root:x:0:\ntss:x:777:\n' >"$R/etc/group"
	succeeds "the user is made" systemd-sysusers --root="$R" "$SYSUSERS"
	grep -q '^vouchsafe:' "$R/etc/passwd" && grep -q '^tss:.*:vouchsafe$' "$R/etc/group" || fail "no user vouchsafe in group tss"
	grep '^vouchsafe:' "$R/etc/passwd" | grep -q 'nologin$' || fail "one can log in as vouchsafe"
	uid=$(sed -n 's/^vouchsafe:[^:]*:\([0-9]*\):.*/\1/p' "$R/etc/passwd")
	succeeds "its folders are made" systemd-tmpfiles --root="$R" --create "$TMPFILES"
	sed -n 's/^d \([^ ]*\) \([0-7]*\) \([a-z]*\) .*/\1 \2 \3/p' "$TMPFILES" >"$T/folders"
	[ "$(wc -l <"$T/folders")" -ge 3 ] || fail "too few folders"
	while read -r folder mode owner; do
		[ "$owner" = root ] && o=0 || o=$uid
		[ "0$(stat -c '%a %u' "$R$folder")" = "$mode $o" ] || fail "$folder: $(stat -c '%a %u' "$R$folder"), not $mode $o"
	done <"$T/folders"
	ok "with the modes and the owner that they are to have"
	succeeds "doing both again changes nothing" systemd-tmpfiles --root="$R" --create "$TMPFILES"
fi

lab_up
openssl rand 64 >"$T/data"
sign() {
	rm -f "$T/sig"
	timeout 60 pkcs11-tool --module "$P11_MODULE" --token-label lab-vault --sign --mechanism SHA256-RSA-PKCS --label rsa2048 \
		--input-file "$T/data" --output-file "$T/sig" && [ "$(wc -c <"$T/sig")" = 256 ]
}
if has systemd-socket-activate; then
	note "activated by the socket"
	# All of systemd's that the agent sees: LISTEN_FDS and LISTEN_PID. It starts at the first connection.
	serve activate systemd-socket-activate --listen="$D/agent.sock" "$B/vouchsafe-agent" --config "$VOUCHSAFE_CONF"
	AGENT=$SERVED
	until_true 10 test -S "$D/agent.sock" || fail "nobody listens"
	grep -q serving "$T/activate.log" && fail "the agent was started without a connection"
	succeeds "the first signature starts the agent" sign
	until_true 5 grep -q "serving $VOUCHSAFE_CONF" "$T/activate.log" || fail "the agent did not start"
	succeeds "and is served by it" "$VOUCHSAFE" status --agent
	says 'UNLOCKED'
	[ "$(tr '\0' ' ' <"/proc/$AGENT/cmdline" | grep -c vouchsafe-agent)" = 1 ] || fail "another process answers"
else
	serve agent "$B/vouchsafe-agent" --config "$VOUCHSAFE_CONF"
	AGENT=$SERVED
	until_true 10 test -S "$D/agent.sock" || fail "the agent does not start"
	succeeds "a signature" sign
fi

LOGROTATE=$(PATH=$PATH:/usr/sbin command -v logrotate) || LOGROTATE=
if [ -n "$LOGROTATE" ]; then
	note "logrotate, while the agent writes"
	[ "$(grep -c '{$' "$ROTATE")" = 1 ] || fail "logrotate's file has not one log"
	sed -e "s,^/.*{,$D/audit.log {," -e "s,^\([[:space:]]*su\) .*,\1 $(id -un) $(id -gn)," "$ROTATE" >"$T/rotate"
	chmod 644 "$T/rotate"
	chmod go-w "$D"
	rotate() { "$LOGROTATE" --state "$T/rotate.state" "$@" "$T/rotate"; }
	succeeds "a small young log stays" rotate
	[ ! -e "$D/audit.log.1" ] || fail "it was rotated"
	before=$(wc -l <"$D/audit.log")
	succeeds "the log is rotated" rotate --force
	[ "$(wc -l <"$D/audit.log.1")" = "$before" ] && [ ! -e "$D/audit.log" ] || fail "not rotated"
	succeeds "the same agent still signs" sign
	"$VOUCHSAFE" gate --lab --agent --token lab-hsm --timeout 20s >/dev/null 2>&1 || fail "no attestation after the rotation"
	until_true 5 test -s "$D/audit.log" || fail "the agent does not begin a new file"
	[ "$(wc -l <"$D/audit.log.1")" = "$before" ] || fail "the agent went on in the old file"
	# The early checkpoint of a file tells other programs where the chain stands.
	n=0
	until [ "$(wc -l <"$D/audit.log")" -ge 9 ]; do
		n=$((n + 1))
		[ $n -lt 12 ] || fail "too few records"
		"$VOUCHSAFE" attest --token lab-hsm >/dev/null 2>&1 || fail "no attestation"
	done
	succeeds "a second time" rotate --force
	tampered pcr 4
	try cmd "$VOUCHSAFE" attest --token lab-hsm
	[ $RC = 1 ] || fail "attested after a PCR changed"
	tampered undo
	succeeds "three files are one whole log" "$VOUCHSAFE" audit verify "$D/audit.log.2" "$D/audit.log.1" "$D/audit.log"
	refused "without the middle one they are not" "$VOUCHSAFE" audit verify "$D/audit.log.2" "$D/audit.log"
	succeeds "and the configured log alone is the newest part of it" "$VOUCHSAFE" audit verify
else
	note "not looked at: logrotate is not installed"
fi
stop "$AGENT"
