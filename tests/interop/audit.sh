#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The audit log and what is noted of it outside: state-dir, the TPM's counter, rotated files.
. "$VS_SRCDIR/tests/interop/lib.sh"
lab_up
L=$D/audit.log
not_whole() { # what CMD...
	_w=$1
	shift
	try cmd bounded "$@"
	[ $RC = 1 ] || { cat "$T/cmd.out"; fail "$_w: status $RC"; }
	says 'NOT WHOLE'
	ok "$_w"
}
notes_away() { mv "$D"/state/audit-checkpoint-* "$T/"; }
notes_back() { mv "$T"/audit-checkpoint-* "$D/state/"; }

note "checkpoints"
succeeds "attests once" "$VOUCHSAFE" attest --token lab-vault
succeeds "without a checkpoint nothing is compared" "$VOUCHSAFE" audit verify
says 'there is no checkpoint yet'
succeeds "makes a checkpoint" "$VOUCHSAFE" audit checkpoint
says 'counter [0-9]+ in the TPM'
succeeds "the TPM proves the end" "$VOUCHSAFE" audit verify
says 'end proven by the checkpoint'
says 'proven by the TPM'
cp "$L" "$T/old"
grep -q '"event":"attempt".*"tpm_clock_ms":[0-9]*,"tpm_resets":[0-9]*,"tpm_restarts":[0-9]*,"tpm_boot_ns":[0-9]*,' "$L" ||
	fail "a record does not carry the TPM's clock"
ok "records carry the TPM's clock and counts"
succeeds "attests again" "$VOUCHSAFE" attest --token lab-vault
succeeds "what came after the checkpoint is not covered" "$VOUCHSAFE" audit verify
says 'nothing that a checkpoint covers is missing'
succeeds "makes another" "$VOUCHSAFE" audit checkpoint --json
says '"counter":'
cp "$L" "$T/full"

note "an attacker cuts the end, or brings an old copy back"
sed '$d' "$T/full" >"$L"
not_whole "a cut end is found by the note" "$VOUCHSAFE" audit verify
notes_away
not_whole "a cut end is found by the TPM alone" "$VOUCHSAFE" audit verify
says 'old copy'
cp "$T/old" "$L"
not_whole "an old copy is found by the TPM alone" "$VOUCHSAFE" audit verify
succeeds "--no-tpm does without" "$VOUCHSAFE" audit verify --no-tpm
notes_back
not_whole "an old copy is found by the note" "$VOUCHSAFE" audit verify --no-tpm
succeeds "the next writer goes on" "$VOUCHSAFE" attest --token lab-vault
grep -q '"event":"loss"' "$L" || fail "the loss is not in the log"
ok "and says that something is lost"
cp "$T/full" "$L"
succeeds "the whole log is whole again" "$VOUCHSAFE" audit verify

note "rotation"
mv "$L" "$L.1"
succeeds "a new file begins" "$VOUCHSAFE" attest --token lab-vault
succeeds "it says that it comes after another" "$VOUCHSAFE" audit verify
says 'earlier files can be given'
says 'last checkpoint is in an earlier file'
succeeds "both are one chain, proven by the TPM" "$VOUCHSAFE" audit verify "$L.1" "$L"
says 'proven by the TPM'
not_whole "the wrong order is refused" "$VOUCHSAFE" audit verify "$L" "$L.1"
sed '$d' "$T/full" >"$L.1"
not_whole "a cut end of the rotated file is found by the next file" "$VOUCHSAFE" audit verify "$L.1" "$L"
cp "$T/full" "$L.1"

note "checkpoints come by themselves, from whoever writes"
mv "$L" "$L.2"
for _ in 1 2 3 4 5; do "$VOUCHSAFE" attest --token lab-vault >/dev/null || fail "attest"; done
"$B/vouchsafe-agent" --config "$VOUCHSAFE_CONF" 2>"$T/agent.log" &
AGENT_PID=$!
succeeds "a grant by the agent" "$VOUCHSAFE" gate --lab --timeout 30s
kill -TERM "$AGENT_PID"
wait "$AGENT_PID" || true
AGENT_PID=
[ "$(grep -c '"event":"checkpoint"' "$L")" = 1 ] || fail "there is no checkpoint"
ok "a checkpoint behind the eighth record"
succeeds "three files are one chain, proven by the TPM" "$VOUCHSAFE" audit verify "$L.1" "$L.2" "$L"
says 'proven by the TPM'
note "a real disk that is full, then one that is read-only"
if unshare -m true 2>/dev/null; then
	mkdir "$T/small"
	sed "s,^audit-log .*,audit-log = $T/small/audit.log," "$VOUCHSAFE_CONF" >"$T/small.conf"
	chmod 600 "$T/small.conf"
	cat >"$T/small.sh" <<-'EOT'
		attest() { "$VOUCHSAFE" attest --token lab-vault --config "$T/small.conf" >"$T/small.out" 2>&1; }
		denied() { # REASON
			if attest; then echo "granted without a record"; exit 1; fi
			grep -q "$1" "$T/small.out" || { cat "$T/small.out"; exit 1; }
			"$VOUCHSAFE" audit verify --no-tpm "$T/small/audit.log"
		}
		mount -t tmpfs -o size=64k,mode=700 tmpfs "$T/small" || exit 77
		attest
		head -c 1000000 /dev/zero >"$T/small/fill" 2>/dev/null || true
		denied 'No space left'
		rm "$T/small/fill"
		attest
		mount -o remount,ro "$T/small"
		denied 'Read-only file system'
		mount -o remount,rw "$T/small"
		attest
		"$VOUCHSAFE" audit verify --no-tpm "$T/small/audit.log"
	EOT
	export T VOUCHSAFE
	try cmd timeout 60 unshare -m sh -e "$T/small.sh"
	case $RC in
	0) [ "$(grep -c ': whole: ' "$T/cmd.out")" = 3 ] || { cat "$T/cmd.out"; fail "the log is not whole"; }
	   ok "no record, no attestation; it goes on when there is room again" ;;
	77) note "skipped: nothing can be mounted here" ;;
	*) cat "$T/cmd.out"; fail "a full or read-only disk: status $RC" ;;
	esac
else
	note "skipped: no mount namespace can be made here"
fi
note "done: $N_CHECKS checks"
