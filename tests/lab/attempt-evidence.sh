#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Evidence checked by the attempt itself, against a lab of its own. Needs swtpm.
command -v swtpm >/dev/null 2>&1 || { echo "swtpm is not installed"; exit 77; }
build=${VS_BUILDDIR:-.}
"$build/vouchsafe-lab" run --no-throttle -- "$build/tests/lab/test_attempt_evidence" || exit
# The same by hand, with the lab's roots by the settings and without them.
exec "$build/vouchsafe-lab" run --no-throttle -- sh -c '
	"$1" evidence show --token lab-vault --require-log >/dev/null || exit 1
	sed /^evidence-roots/d "$VOUCHSAFE_CONF" >"$VOUCHSAFE_CONF.vendors"
	"$1" evidence show --config "$VOUCHSAFE_CONF.vendors" --token lab-vault 2>&1 | grep -q "pinned root" || exit 1
	# A set does not choose itself what it is judged by: PCR 16 says nothing about the boot.
	roots=$(sed -n "s/^evidence-roots *= *//p" "$VOUCHSAFE_CONF")
	sed "/^\[token /a pcrs = 16" "$VOUCHSAFE_CONF" >"$VOUCHSAFE_CONF.other"
	set=$(dirname "$VOUCHSAFE_CONF")/set
	"$1" evidence show --config "$VOUCHSAFE_CONF.other" --token lab-vault --save "$set" >/dev/null || exit 1
	"$1" evidence verify "$set" --roots "$roots" >"$set.out" 2>&1 && { cat "$set.out"; exit 1; }
	grep -q "^NO .*PCR selection .*0100ff" "$set.out" || { cat "$set.out"; exit 1; }
	grep -q "^-- .*nonce" "$set.out" || { cat "$set.out"; exit 1; }
	"$1" evidence verify "$set" --roots "$roots" --pcrs 16 >"$set.out" || { cat "$set.out"; exit 1; }
	nonce=$(od -An -v -tx1 "$set/nonce.bin" | tr -d " \n")
	"$1" evidence verify "$set" --roots "$roots" --pcrs 16 --nonce "$nonce" >"$set.out" || exit 1
	! grep "^-- .*nonce" "$set.out"
' sh "$build/vouchsafe"
