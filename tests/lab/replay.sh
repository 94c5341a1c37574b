#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Every recorded request at the lab; see recordings.py.
exec "${VS_BUILDDIR:?}/vouchsafe-lab" run --no-throttle -- python3 "${VS_SRCDIR:?}/tests/lab/recordings.py"
