/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control socket D/ctl.sock: commands talk to the running lab. One JSON line each way:
 * {"cwd","words":[...]} and {"exit","out","err"}.
 */
#ifndef LAB_LAB_CTL_H
#define LAB_LAB_CTL_H

#include "lab/lab.h"

struct lab_ctl;

/* Error: SOCKET. */
VS_RC lab_ctl_start(struct lab *lab, struct lab_ctl **ret, struct vs_err *err);
/* Waits for the command that runs. NULL-safe. */
void lab_ctl_stop(struct lab_ctl *ctl);
uint64_t lab_ctl_commands(const struct lab_ctl *ctl);
/* Somebody said `down`. */
bool lab_ctl_asked_to_end(const struct lab_ctl *ctl);

/* Whether a lab answers in dir. */
bool lab_ctl_alive(const char *dir);
/* The other end: send words to the lab in dir, print what it says; an exit code of DESIGN 11. */
int lab_ctl_call(const char *dir, const char *const *words, size_t n);

/* One command, executed in the lab. Errors become exit codes by their category. */
/* Whether these words are a command, before any lab is asked. Error: USAGE. */
VS_RC lab_cmd_check(const char *const *words, size_t n, struct vs_err *err);
VS_RC lab_cmd_run(struct lab *lab, const char *cwd, const char *const *words, size_t n,
	struct vs_buf *out, struct vs_err *err);

int lab_exit_code(vs_rc rc);

#endif
