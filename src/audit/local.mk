# SPDX-License-Identifier: BSD-2-Clause
noinst_HEADERS += %D%/audit.h %D%/verify.h
