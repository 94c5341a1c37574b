/* SPDX-License-Identifier: BSD-2-Clause */
/* Labs as processes: in the foreground around a command, in the background, ended. */
#ifndef LAB_LAB_RUN_H
#define LAB_LAB_RUN_H

#include "lab/lab_up.h"

/*
 * An ephemeral lab around one command: environment set, command run, everything removed, also on
 * signals. Returns the command's exit status (128 + signal when it was killed).
 */
int lab_run(const struct lab_options *options, char *const *command);
/* Start a lab in the background and wait until it is ready. Exit code. */
int lab_up_background(const char *dir, const struct lab_options *options);
/* The background process itself; says on descriptor 3 that it is ready, or why not. */
int lab_serve(const char *dir, const struct lab_options *options);
/* End the lab in dir and wait for it. Exit code. */
int lab_down(const char *dir);

#endif
