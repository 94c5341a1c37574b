/* SPDX-License-Identifier: BSD-2-Clause */
/* The lab's directory: made, filled, found again, removed. */
#ifndef LAB_LAB_STATE_H
#define LAB_LAB_STATE_H

#include "lab/lab.h"

/* Make D and its folders, 0700. Error: FILE; USAGE when D is in use, not ours or too long. */
VS_RC lab_state_make(struct lab *lab, struct vs_err *err);
/* policy.json and ca.pem. Error: FILE. */
VS_RC lab_state_write_trust(struct lab *lab, struct vs_err *err);
/* env, vouchsafe.conf and, last, lab.json. Error: FILE. */
VS_RC lab_state_write(struct lab *lab, struct vs_err *err);
/* Whether lab.json is still there and still this lab's. */
bool lab_state_alive(const struct lab *lab);
/* Remove everything the lab put into D; with_dir: and D. */
void lab_state_remove(const struct lab *lab, bool with_dir);

/* The default release policy, as text. */
VS_RC lab_state_policy(const struct lab *lab, struct vs_buf *out, struct vs_err *err);

/* One variable of D/env. */
struct lab_var {
	const char *name;
	char value[LAB_PATH_MAX];
};
enum { LAB_VARS_MAX = 26 };
/* The environment of the lab, in order. */
VS_RC lab_state_vars(
	const struct lab *lab, struct lab_var vars[LAB_VARS_MAX], size_t *n, struct vs_err *err);

/* The configuration alone, after keys or certificates changed. Error: FILE. */
VS_RC lab_state_write_conf(const struct lab *lab, struct vs_err *err);
/* Path of the agent of this build, or of the installed one. */
void lab_state_agent(char out[LAB_PATH_MAX]);

/* The process of the lab that answers in dir; 0 when there is none. */
int lab_state_find(const char *dir);

#endif
