# SPDX-License-Identifier: BSD-2-Clause
noinst_HEADERS += \
	%D%/ossl.h %D%/hash.h %D%/pkey.h %D%/keywrap.h %D%/sign.h %D%/rsa_crypt.h %D%/rsa_pad.h \
	%D%/cipher.h %D%/derive.h
