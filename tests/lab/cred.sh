#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The client's credentials against a lab of their own.
build=${VS_BUILDDIR:-.}
exec "$build/vouchsafe-lab" run --no-throttle -- "$build/tests/lab/test_lab_cred"
