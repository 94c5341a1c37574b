# SPDX-License-Identifier: BSD-2-Clause
noinst_HEADERS += %D%/tpm.h %D%/tpm_link.h %D%/ev_azguest.h
