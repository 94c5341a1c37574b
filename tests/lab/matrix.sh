#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A sample of the fault matrix end to end; MATRIX=0/1 (make check-full) is all of it.
exec "${VS_BUILDDIR:?}/vouchsafe-lab" run --no-throttle -- \
	python3 "${VS_SRCDIR:?}/tests/lab/faults.py" "${MATRIX:-7/37}"
