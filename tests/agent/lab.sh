#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The real agent against the lab, seen by a client that does what the module does: grant and key,
# a second process, renewal, a machine that is tampered with under a lease and before one, a TPM
# reset, an outage, SIGTERM. No module, no PKCS#11 client: those are other tests.
set -eu
b=$VS_BUILDDIR
if [ "${1:-}" != inside ]; then
	for tool in swtpm pgrep; do
		command -v $tool >/dev/null || { echo "SKIP: no $tool"; exit 77; }
	done
	exec "$b/vouchsafe-lab" run -- sh "$0" inside
fi
D=$(dirname "$VOUCHSAFE_CONF")
lab="$b/vouchsafe-lab"
watch="$b/tests/agent/watch"
agent=
fail() {
	echo "FAIL: $*"
	echo "--- agent"; cat "$D/agent.out" 2>/dev/null
	exit 1
}
expect() { # file text
	grep -q -- "$2" "$1" || { cat "$1"; fail "expected \"$2\" in $1"; }
}
forbid() {
	if grep -q -- "$2" "$1"; then cat "$1"; fail "did not expect \"$2\" in $1"; fi
}
records() { grep -c -- "$1" "$D/audit.log" || true; }
# A configuration of its own, so that leases are short; same lab, same folder.
conf() { # max-lease
	sed -e "s/^max-lease .*/max-lease = $1/" -e "s/^\[token lab-vault\]/refusal-hold = 300ms\n&/" \
		"$D/vouchsafe.conf" >"$D/short.conf"
	VOUCHSAFE_CONF=$D/short.conf
	export VOUCHSAFE_CONF
}
start() {
	"$b/vouchsafe-agent" --config "$VOUCHSAFE_CONF" 2>"$D/agent.out" &
	agent=$!
	n=0
	until [ -S "$D/agent.sock" ]; do
		n=$((n + 1))
		[ $n -lt 100 ] || fail "the agent does not listen"
		sleep 0.05
	done
}
stop() {
	kill -TERM "$agent"
	wait "$agent" || fail "the agent ended with $?"
	agent=
}
trap '[ -z "$agent" ] || kill "$agent" 2>/dev/null || true' EXIT

echo "# a private agent grants, records, and leaves no process behind"
"$watch" 0 rsa2048 0 >"$D/out" || { cat "$D/out"; fail "no key"; }
expect "$D/out" '^key of 1[0-9]* bytes'
[ "$(records '"event":"attempt".*"result":"granted"')" = 1 ] || fail "no record of the grant"
[ "$(records '"event":"release".*"result":"granted"')" = 1 ] || fail "no record of the release"
expect "$D/audit.log" '"lab":true'
sleep 0.3
if pgrep -f "vouchsafe-agent --config $D/" >/dev/null; then fail "the private agent is still there"; fi

echo "# one attestation serves a second process, which waits less than 50 ms"
conf 1h
start
"$watch" 1 ec256 0 >"$D/out" || { cat "$D/out"; fail "no key"; }
"$watch" 1 ec256 0 >"$D/out2" || { cat "$D/out2"; fail "no key"; }
us=$(sed -n 's/^key of .* after \([0-9]*\) us$/\1/p' "$D/out2")
[ "$us" -lt 50000 ] || fail "the second process waited $us us"
[ "$(records '"event":"attempt".*"result":"granted"')" = 2 ] || fail "not one attestation for two processes"

echo "# a TPM reset ends the lease, the next process attests anew"
"$lab" tamper undo --dir "$D" >/dev/null
sleep 1.1
"$watch" 1 ec256 0 >"$D/out" || { cat "$D/out"; fail "no key after the reset"; }
[ "$(records '"event":"revocation"')" = 1 ] || fail "no revocation was recorded"
[ "$(records '"event":"attempt".*"result":"granted"')" = 3 ] || fail "not attested anew"

echo "# a PCR that changes under a lease: the next release fails, and the whole lease with it"
"$watch" 1 ec256 20 >"$D/out" &
w=$!
sleep 0.5
"$lab" tamper pcr 4 --dir "$D" >/dev/null
if "$watch" 1 rsa3072 0 >"$D/out2"; then fail "a key was released to a changed machine"; fi
expect "$D/out2" '^key LEASE_ENDED: .*PCR'
wait $w || true
expect "$D/out" '^page REVOKED reason LEASE_ENDED'
"$lab" tamper undo --dir "$D" >/dev/null
sleep 0.5

echo "# SIGTERM revokes the page of a process that still runs"
"$watch" 1 ec256 20 >"$D/out" &
w=$!
sleep 0.5
stop
wait $w || true
expect "$D/out" '^page REVOKED reason REVOKED'

echo "# a lease is renewed: the vault has to agree again each time"
conf 4s
start
releases=$(records '"event":"release".*"result":"granted"')
"$watch" 0 rsa2048 7 >"$D/out" || { cat "$D/out"; fail "no key"; }
expect "$D/out" '^page OK'
[ "$(records '"kind":"renewal","result":"granted"')" -ge 2 ] || fail "not renewed twice"
[ "$(records '"event":"release".*"result":"granted"')" -ge $((releases + 3)) ] || fail "not released again"

echo "# a machine that is tampered with under a lease loses its keys at the next renewal"
"$watch" 0 rsa2048 20 >"$D/out" &
w=$!
sleep 0.5
"$lab" tamper pcr 0 --dir "$D" >/dev/null
wait $w || true
expect "$D/out" '^page REVOKED reason REFUSED_ATTESTATION'
expect "$D/out" '^status DENIED lab=1: .*PCR 0'

echo "# and gets none afterwards, with the reason in words"
sleep 0.5
if "$watch" 0 rsa2048 0 >"$D/out"; then fail "a key for a tampered machine"; fi
expect "$D/out" '^need REFUSED_ATTESTATION: .*PCR 0'
forbid "$D/audit.log" 'BEGIN PRIVATE'
"$lab" tamper undo --dir "$D" >/dev/null
sleep 0.5
"$watch" 0 rsa2048 0 >"$D/out" || { cat "$D/out"; fail "no key after the reboot"; }

echo "# an outage of the attestation service keeps a lease to its end, and no longer"
"$watch" 0 rsa2048 20 >"$D/out" &
w=$!
sleep 0.3
"$lab" fault maa refused --dir "$D" >/dev/null
wait $w || true
expect "$D/out" '^page LEASE_ENDED'
"$lab" fault clear --dir "$D" >/dev/null
stop
echo PASS
