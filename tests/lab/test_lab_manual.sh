#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The lab's help and its manual page speak of the same commands, options, faults, types, variables.
set -u
lab=${VS_BUILDDIR:?}/vouchsafe-lab
page=${VS_SRCDIR:?}/tools/lab/vouchsafe-lab.1
failed=0

wants() { # word, where from
	grep -q -e "\(^\|[^a-z0-9-]\)$1\($\|[^a-z0-9-]\)" "$page" || {
		echo "the manual page does not have $1 ($2)"
		failed=1
	}
}

for c in run up down status key certificate tamper fault token attestation access-token throttle; do
	wants "$c" command
	for o in $("$lab" "$c" --help | grep -o -e '--[a-z0-9]*[a-z0-9-]*[a-z0-9]' | sort -u); do
		wants "${o#-}" "option of $c"
	done
done
for kind in $("$lab" fault --help | sed -n 's/^  \([^ ][^ ]*\) .*/\1/p'); do
	wants "$kind" fault
	faults=x
done
[ "${faults:-}" = x ] || { echo "fault --help lists nothing"; failed=1; }
for type in $("$lab" key --help | sed -n 's/^Types: //p'); do
	wants "$type" type
done
for v in $("$lab" run -- sh -c 'sed -n "s/^export \([A-Z0-9_]*\)=.*/\1/p" "$VOUCHSAFE_LAB/env"'); do
	grep -q "^\.Ev $v " "$page" || { echo "the manual page does not have $v"; failed=1; }
done
# and the other way round: no fault is described that does not exist
for kind in $(sed -n '/^\.Ss Faults/,/^\.El/s/^\.It Cm //p' "$page"); do
	"$lab" fault --help | grep -q "^  $kind " || { echo "there is no fault $kind"; failed=1; }
done
# the same for the ways to tamper
for kind in $("$lab" tamper --help | sed -n 's/^  \([a-z-]*\) .*/\1/p'); do
	grep -q "^\.It Cm $kind\( \|$\)" "$page" || { echo "the manual page does not have tamper $kind"; failed=1; }
done
for kind in $(sed -n '/^\.Ss Tampering/,/^\.El/s/^\.It Cm \([a-z-]*\).*/\1/p' "$page"); do
	"$lab" tamper --help | grep -q "^  $kind " || { echo "there is no tamper $kind"; failed=1; }
done
if command -v mandoc >/dev/null; then
	mandoc -T lint -W warning "$page" || failed=1
fi
exit $failed
