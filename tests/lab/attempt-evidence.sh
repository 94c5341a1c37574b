#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Evidence checked by the attempt itself, against a lab of its own. Needs swtpm.
command -v swtpm >/dev/null 2>&1 || { echo "swtpm is not installed"; exit 77; }
build=${VS_BUILDDIR:-.}
exec "$build/vouchsafe-lab" run --no-throttle -- "$build/tests/lab/test_attempt_evidence"
