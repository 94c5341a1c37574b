#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The TPM attestation protocol against the lab, by a client of its own.
exec "${VS_BUILDDIR:?}/vouchsafe-lab" run --no-throttle -- \
	python3 "${VS_SRCDIR:?}/tests/lab/attest_tpm.py"
