#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The whole way, from the vTPM to the verdict: each tampering is refused by vouchsafe attest with
# the sentence that names the right check, and is accepted again when it was taken back.
set -u
b=${VS_BUILDDIR:?}
if [ "${1:-}" != inside ]; then
	exec "$b/vouchsafe-lab" run --no-throttle -- sh "$0" inside
fi
failed=0

attest() { # expected status, expected text
	got=$("$b/vouchsafe" attest --token lab-vault 2>&1)
	status=$?
	if [ $status -ne "$1" ]; then
		echo "FAIL $how: status $status, expected $1"
		echo "$got" | grep -e '^NO' -e '^vouchsafe'
		failed=1
	elif ! echo "$got" | grep -q -e "$2"; then
		echo "FAIL $how: nothing about '$2':"
		echo "$got" | grep -e '^NO' -e '^vouchsafe'
		failed=1
	fi
}
tamper() { # status, text, words
	want=$1 text=$2
	shift 2
	how="$*"
	"$b/vouchsafe-lab" tamper "$@" >/dev/null || { echo "FAIL tamper $how"; failed=1; }
	attest "$want" "$text"
	"$b/vouchsafe-lab" tamper undo >/dev/null || failed=1
}

how=untouched
attest 0 '^accepted'
tamper 1 'Check TcgLogReplay' pcr 4
tamper 1 'type==.*secureboot' secure-boot off
tamper 1 'Check HCLAkPub' ak
tamper 1 'Check AikAttributes' ak unrestricted
tamper 1 'Check AikCertKey' ak uncertified
tamper 1 'Check AikCertKey' ak-cert
tamper 1 'Check AikCertChain' ak-cert-foreign
tamper 1 'Check HCLAkPub' foreign-report
tamper 1 'refused by A15 .*is-debuggable' debug-bit
tamper 1 'refused by A15 .*migration-allowed' migratable
tamper 1 'refused by A15\|A15.*vmpl' vmpl 1
tamper 1 'refused by A16' paravisor
tamper 1 'Check SnpReportSignature' vcek
tamper 1 'refused by A16' trusted-launch
tamper 1 'Check TcgLogData' event-log data
tamper 1 'Check TcgLogReplay' event-log digest
tamper 1 'Check TcgLogReplay' event-log drop
tamper 1 'Check TcgLogForm' event-log cut
tamper 1 'refused by A8' token short-key
tamper 1 'refused by A8' token expired-key
tamper 1 'refused by A8' token unknown-key
tamper 1 'refused by A9' token wrong-key
tamper 1 'refused by A2' token alg-none
tamper 1 'refused by A14' token nonce
tamper 1 'refused by T-A2' token other-key
tamper 1 'refused by A10' token issuer
tamper 1 'refused by A1' token kind
tamper 1 'refused by A11' clock +600
tamper 1 'refused by A11' clock -86400
tamper 0 '^accepted' stale-report 1
tamper 0 '^accepted' pcr 16
# the agent tries for a minute before it gives up
[ -z "${VS_LAB_ALL:-}" ] || tamper 3 'does not contain the data just written' stale-report
tamper 3 '0x81000003' ak-missing
tamper 3 'not yet written' ak-cert missing
how="taken back"
attest 0 '^accepted'
exit $failed
