# SPDX-License-Identifier: BSD-2-Clause
# The emulated machine and the attestation service, as a convenience library of vouchsafe-lab.
noinst_LTLIBRARIES += libvslabmachine.la
libvslabmachine_la_SOURCES = \
	%D%/lab_roots.c %D%/lab_roots.h \
	%D%/lab_log.c %D%/lab_log.h \
	%D%/lab_report.c %D%/lab_report.h \
	%D%/lab_tpm.c %D%/lab_tpm.h \
	%D%/lab_proxy.c %D%/lab_proxy.h \
	%D%/lab_machine.c %D%/lab_machine.h %D%/lab_machine_priv.h \
	%D%/lab_machine_tamper.c \
	%D%/lab_evidence.c %D%/lab_evidence.h \
	%D%/lab_evidence_tpm.c %D%/lab_evidence_log.c %D%/lab_evidence_snp.c \
	%D%/lab_guest.c %D%/lab_guest.h \
	%D%/lab_policy.c %D%/lab_policy.h %D%/lab_policy_run.c %D%/lab_policy_ast.h \
	%D%/lab_claims.c %D%/lab_claims.h \
	%D%/lab_maa.c %D%/lab_maa.h %D%/lab_maa_priv.h \
	%D%/lab_maa_key.c %D%/lab_maa_key.h %D%/lab_maa_policy.c
libvslabmachine_la_CPPFLAGS = $(LAB_CPPFLAGS) $(TSS_CFLAGS)
LABMACHINE_LIBS = libvslabmachine.la libvsbase.la $(TSS_LIBS) $(SSL_LIBS) $(CRYPTO_LIBS) $(JANSSON_LIBS)
