#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Mutated evidence through the lab alone: a sample of the bytes; EVIDENCE=0/1 (make check-full) is all.
exec "${VS_BUILDDIR:?}/vouchsafe-lab" run --no-throttle -- \
	python3 "${VS_SRCDIR:?}/tests/lab/mutate_evidence.py" "${EVIDENCE:-17/101}"
