# SPDX-License-Identifier: BSD-2-Clause
noinst_HEADERS += include/vouchsafe/vouchsafe.h
noinst_LTLIBRARIES += libvscore.la
libvscore_la_SOURCES = \
	%D%/core.c %D%/core.h \
	%D%/record.c %D%/record.h \
	%D%/loop.c %D%/loop.h \
	%D%/work.c %D%/work.h

# What talks to the TPM for the log stands apart, so that a test can put a log made of data in place.
noinst_LTLIBRARIES += libvscheckpoint.la
libvscheckpoint_la_SOURCES = %D%/checkpoint.c %D%/checkpoint.h %D%/tpmtime.c %D%/tpmtime.h
