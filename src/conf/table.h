/* SPDX-License-Identifier: BSD-2-Clause */
/* The one table of settings: the parser, `conf defaults`, the sample file and the manual use it. */
#ifndef VS_CONF_TABLE_H
#define VS_CONF_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum vs_set_scope { VS_SET_GLOBAL = 1, VS_SET_TOKEN };

enum vs_set_type {
	VS_SET_TEXT = 1, /* any text without control characters */
	VS_SET_PATH, /* absolute path */
	VS_SET_HTTPS, /* https origin */
	VS_SET_HTTPS_LIST, /* https origins, comma between */
	VS_SET_HTTP, /* http origin */
	VS_SET_PROXY, /* http or https origin */
	VS_SET_SWITCH, /* yes, no */
	VS_SET_ENUM, /* one of allowed */
	VS_SET_DURATION_S, /* number with unit ms, s, m, h; kept in seconds */
	VS_SET_DURATION_MS, /* the same, kept in milliseconds */
	VS_SET_NAMES, /* names or globs, comma between */
	VS_SET_PCRS, /* "0-7, 11" */
	VS_SET_ALLOW, /* user:NAME, group:NAME, comma between */
	VS_SET_TCTI, /* device:, swtpm:, mssim: */
	VS_SET_GUID, /* 8-4-4-4-12 hex digits */
	VS_SET_DIGESTS, /* values of 64 or 96 hex digits, comma between; kept in lower case */
	VS_SET_FLAGS, /* some of allowed, comma between; kept as bits */
	VS_SET_NUMBER, /* a decimal number */
};

struct vs_set_value {
	const char *name;
	int value;
};

struct vs_setting {
	const char *name;
	enum vs_set_scope scope;
	enum vs_set_type type;
	size_t offset, size; /* in struct vs_conf or struct vs_conf_token */
	const char *dflt; /* as text; NULL: none */
	const struct vs_set_value *allowed; /* ENUM, FLAGS: ends with a NULL name */
	int64_t min, max; /* durations, in the kept unit; numbers */
	const char *help; /* one sentence */
};

extern const struct vs_setting vs_settings[];
extern const size_t vs_n_settings;

/* The sample file: every setting with its help and default, commented out. */
VS_RC vs_conf_print_defaults(struct vs_buf *out, struct vs_err *err);
/* "yes or no", "one of a, b", "a number with unit ...": what a message says is allowed. */
void vs_setting_allowed(const struct vs_setting *s, char *out, size_t out_size);

#endif
