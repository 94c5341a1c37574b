/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of tokens share: files, inputs, and the rule that refused. */
#ifndef TESTS_TOKENKIT_H
#define TESTS_TOKENKIT_H

#include "attest/validate.h"
#include "unit/unit.h"

/* A file below tests/data; fails the test when it is not there. Caller empties. */
struct vs_buf kit_data(const char *name);
/* A whole file by path. */
struct vs_buf kit_file(const char *path);

/* Rules that refused, in order, separated by blanks ("A11 A14"); "" when accepted; the code's name
 * in brackets when no verdict was reached ("[MEMORY]"). Never longer than out_size. */
const char *kit_rules(const struct vs_validate_in *in, char *out, size_t out_size);

#endif
