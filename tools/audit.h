/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts of `vouchsafe audit`. */
#ifndef TOOLS_AUDIT_H
#define TOOLS_AUDIT_H

#include "audit/verify.h"
#include "conf/conf.h"

enum { VS_AUDIT_FILES_MAX = 1000 };

/* argv[0] is the word itself. */
int vs_audit_show(int argc, char **argv);
int vs_audit_export(int argc, char **argv);

/* `audit verify --bundle`. */
struct vs_audit_bundle_args {
	const char *dir;
	const char *signer, *ca; /* files; one of them */
	const struct vs_audit_checkpoint *earlier; /* or NULL */
	bool json;
};
int vs_audit_verify_bundle(const struct vs_audit_bundle_args *a);

/* The configured log, where no file is named; or an exit code. files has room for one. */
int
vs_audit_default_file(const char *config, struct vs_conf **ret_conf, const char **files, size_t *n);

#endif
