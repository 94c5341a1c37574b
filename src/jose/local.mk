# SPDX-License-Identifier: BSD-2-Clause
noinst_HEADERS += %D%/json.h %D%/jose.h %D%/x509.h
