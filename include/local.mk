# SPDX-License-Identifier: BSD-2-Clause
noinst_HEADERS += \
	%D%/vouchsafe/err.h \
	%D%/vouchsafe/ports.h \
	%D%/vouchsafe/provider.h
