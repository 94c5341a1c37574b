/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A line scanner that knows no setting.
 *
 *   # comment            ; comment
 *   [kind]   [kind label with blanks]
 *   name = value         ; comment after white space
 *
 * Text before the first section belongs to section "" . CR before LF is dropped. A value may be
 * quoted with "..." to keep blanks, '#' and ';'. No continuation lines.
 */
#ifndef VS_BASE_INI_H
#define VS_BASE_INI_H

#include "base/buf.h"

struct vs_ini_line {
	unsigned line; /* 1-based */
	const char *kind; /* "token", or "" before the first section */
	const char *label; /* "data-keys", or "" */
	const char *name; /* NULL: this line opens the section */
	const char *value; /* NULL with name */
};

/* Called for each section head and each setting; an error stops the scan and is passed on. */
typedef vs_rc vs_ini_fn(void *arg, const struct vs_ini_line *line, struct vs_err *err);

enum { VS_INI_LINE_MAX = 2048, VS_INI_FILE_MAX = 256 * 1024 };

/* file is for messages only ("file:line: ..."). Error: CONFIG_SYNTAX or the callback's. */
VS_RC
vs_ini_scan(const char *file, struct vs_bytes text, vs_ini_fn *fn, void *arg, struct vs_err *err);

#endif
