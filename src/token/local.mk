# SPDX-License-Identifier: BSD-2-Clause
noinst_LTLIBRARIES += libvstoken.la
libvstoken_la_SOURCES = \
	%D%/attr.c %D%/attr.h \
	%D%/catalog.c %D%/catalog.h \
	%D%/ck.h \
	%D%/ckrv.c %D%/ckrv.h \
	%D%/find.c \
	%D%/instance.c %D%/instance.h \
	%D%/keyuse.c %D%/keyuse.h \
	%D%/login.c \
	%D%/make.c %D%/make.h \
	%D%/mech.c %D%/mech.h \
	%D%/nested.c %D%/nested.h \
	%D%/object.c %D%/object.h \
	%D%/objset.c %D%/objset.h \
	%D%/op.c %D%/op.h \
	%D%/op_cipher.c %D%/op_derive.c %D%/op_digest.c %D%/op_dual.c %D%/op_gen.c %D%/op_key.c %D%/op_message.c %D%/op_rsa.c \
	%D%/op_recover.c %D%/op_sign.c %D%/op_sign_message.c %D%/op_wrap.c \
	%D%/param.c %D%/param.h \
	%D%/refresh.c \
	%D%/schema.c %D%/schema.h \
	%D%/session.c %D%/session.h \
	%D%/store.c
libvstoken_la_CPPFLAGS = $(AM_CPPFLAGS) $(P11KIT_CFLAGS)
