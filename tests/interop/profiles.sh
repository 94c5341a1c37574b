#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The profile test cases of OASIS, where they are present: VS_SUITES names a folder below which files like
# BL-M-1-30.xml, EXT-M-1-31.xml, AUTH-M-1-32.xml, CERT-M-1-32.xml lie. Each is played against the lab, with an
# open gate and with a closed one. Where the values differ from the illustrative ones and the profiles document
# does not let them, the item stands in conformance.md with its reason.
. "$VS_SRCDIR/tests/interop/lib.sh"
WHY=$VS_SRCDIR/tests/interop/conformance.md
SUITES=${VS_SUITES-}
[ -n "$SUITES" ] && [ -d "$SUITES" ] && find "$SUITES/" -name '[A-Z]*-M-1-3[0-9].xml' | sort >"$T/cases" && [ -s "$T/cases" ] || {
	echo "skipped: VS_SUITES does not name a folder with profile test cases"
	trap - EXIT
	rm -rf "$T"
	exit 77
}
need python3 pkg-config openssl
lab_up
SLOT=$(p11 --list-slots 2>/dev/null | sed -n 's/^Slot [0-9]* (0x\([0-9a-f]*\)): .*lab-vault.*/\1/p')
SLOT=$((0x$SLOT))
explained() { sed -n 's/^| profiles | `\([^`]*\)` |.*/\1/p' "$WHY"; }
play() { # CASE: $T/case.out
	set -- "$1" "$(basename "$1")"
	case $2 in
	# The case lists certificates: its token has nothing else.
	CERT-*) set -- "$1" "$2" --class CERTIFICATE ;;
	# The case names the two halves of its own key.
	AUTH-*) set -- "$1" "$2" --set testrsa-pub=rsa2048 --set testrsa-pri=rsa2048 ;;
	esac
	_c=$1
	shift 2
	RC=0
	timeout 60 python3 "$S/tests/interop/profiles.py" "$P11_MODULE" "$SLOT" 1234 "$_c" "$@" >"$T/case.out" 2>&1 || RC=$?
}
: >"$T/differs"
while read -r case; do
	play "$case"
	[ $RC = 0 ] || { cat "$T/case.out"; fail "$(basename "$case")"; }
	grep '^differs: ' "$T/case.out" >>"$T/differs" || true
	ok "$(basename "$case"): $(sed -n 's/^# \([0-9]* calls\)$/\1/p' "$T/case.out"), every return value as in the case"
done <"$T/cases"
sed -i 's/^differs: //' "$T/differs"
sort -u "$T/differs" >"$T/have"
explained | sort >"$T/explained"
comm -13 "$T/explained" "$T/have" >"$T/new"
comm -23 "$T/explained" "$T/have" >"$T/gone"
[ ! -s "$T/new" ] || { cat "$T/new"; fail "these values differ and are not explained in conformance.md"; }
[ ! -s "$T/gone" ] || { cat "$T/gone"; fail "these stand in conformance.md and do not differ"; }
ok "$(wc -l <"$T/have") values differ, each with its reason in conformance.md"
note "the machine is no longer trusted: what needs no key still answers, the signature is refused"
tampered pcr 4
while read -r case; do
	play "$case"
	case $case in
	*/AUTH-*)
		[ $RC != 0 ] && grep -q 'C_SignInit: 0x200' "$T/case.out" || { cat "$T/case.out"; fail "$(basename "$case") signs"; }
		ok "$(basename "$case"): C_SignInit says CKR_FUNCTION_REJECTED" ;;
	*)
		[ $RC = 0 ] || { cat "$T/case.out"; fail "$(basename "$case") with a closed gate"; }
		ok "$(basename "$case"): as before" ;;
	esac
done <"$T/cases"
audit_whole
