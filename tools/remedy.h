/* SPDX-License-Identifier: BSD-2-Clause */
/* What to do about an error, by its code: one line for people, commands in backticks. */
#ifndef TOOLS_REMEDY_H
#define TOOLS_REMEDY_H

#include "vouchsafe/err.h"

const char *vs_remedy(enum vs_code code);
/* The line under a sentence on standard error. command: whose --help says how it is used, or NULL.
 */
void vs_remedy_print(const char *command, enum vs_code code);

#endif
