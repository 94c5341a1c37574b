/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of `vouchsafe policy` share. */
#ifndef VS_TOOLS_CMD_POLICY_H
#define VS_TOOLS_CMD_POLICY_H

#include <stdbool.h>

#include "base/buf.h"

struct vs_json;

struct vs_policy_args {
	const char *policy;
	const char *file[2];
	int n_files;
	bool json, measurements, reviewed, help;
};

/* Claims out of a compact JWS or from JSON; nothing is verified here. */
VS_RC vs_policy_load_claims(const char *path, struct vs_json **ret, struct vs_err *err);
/* `policy record`: the document into out, what it leaves out on standard error. */
VS_RC vs_policy_record(
	const struct vs_policy_args *a, struct vs_buf *out, int *ret_exit, struct vs_err *err);

#endif
