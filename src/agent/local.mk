# SPDX-License-Identifier: BSD-2-Clause
noinst_LTLIBRARIES += libvsagent.la
libvsagent_la_SOURCES = \
	%D%/pages.c %D%/pages.h \
	%D%/attempt_job.c %D%/keeper_impl.h \
	%D%/keeper.c %D%/keeper.h \
	%D%/keeper_counts.c \
	%D%/keeper_keys.c \
	%D%/metadata.c %D%/metadata.h \
	%D%/peer.c %D%/peer.h \
	%D%/pin.c %D%/pin.h \
	%D%/rekey.c \
	%D%/hook.c %D%/watch.c %D%/watch.h \
	%D%/request.c \
	%D%/server.c %D%/server.h \
	%D%/uses.c %D%/uses.h %D%/uses_impl.h %D%/uses_page.c
