/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Addresses, strictly: scheme, host and port are compared as parsed, never as text (T-N5), and
 * what comes from elsewhere goes into a path or query percent-encoded (T-N7).
 */
#ifndef VS_NET_URL_H
#define VS_NET_URL_H

#include <stdint.h>

#include "base/buf.h"

enum { VS_URL_HOST_MAX = 253, VS_URL_MAX = 8192 };

struct vs_url {
	bool https;
	char host[VS_URL_HOST_MAX + 1]; /* lower case; an IPv6 address stands in brackets */
	uint16_t port; /* the scheme's own when none is written */
	const char *target; /* "/path?query" inside the parsed text, or "" */
};

/*
 * Only http and https, no user, no fragment, no white space, control or non-ASCII characters, no
 * backslash, no dot segments (also not percent-encoded), a valid host name or address.
 * Error: USAGE.
 */
VS_RC vs_url_parse(const char *text, struct vs_url *ret, struct vs_err *err);
/* Scheme, host and port are equal. */
bool vs_url_same_origin(const struct vs_url *a, const struct vs_url *b);
/* 127.0.0.0/8, [::1] or "localhost". */
bool vs_url_is_loopback(const struct vs_url *u);
/* The literal metadata address 169.254.169.254, or loopback: where plain http may be spoken. */
bool vs_url_plain_allowed(const struct vs_url *u);

/* Append '/' and one percent-encoded segment. Error: USAGE when empty, "." or "..", or not text. */
VS_RC vs_url_add_segment(struct vs_buf *url, struct vs_bytes segment, struct vs_err *err);
/* Append '?' or '&', name, '=', percent-encoded value. Error: USAGE when the value is not text. */
VS_RC
vs_url_add_query(struct vs_buf *url, const char *name, struct vs_bytes value, struct vs_err *err);
/* Append percent-encoded bytes (also for form bodies). */
VS_RC vs_url_add_encoded(struct vs_buf *out, struct vs_bytes value, struct vs_err *err);

#endif
