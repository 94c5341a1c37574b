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
	"$1" evidence show --config "$VOUCHSAFE_CONF.vendors" --token lab-vault 2>&1 | grep -q "pinned root"
' sh "$build/vouchsafe"
