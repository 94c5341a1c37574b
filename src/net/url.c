/* SPDX-License-Identifier: BSD-2-Clause */
#include "net/url.h"

#include <string.h>

#include "base/codec.h"

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static char
lower(char c)
{
	return (c >= 'A' && c <= 'Z') ? (char)(c - 'A' + 'a') : c;
}

static bool
is_alnum(char c)
{
	return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z');
}

static bool
is_hex(char c)
{
	return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'f');
}

static bool
is_unreserved(char c)
{
	return is_alnum(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

/* Labels of letters, digits and inner hyphens; no empty label, so no trailing dot either. */
static bool
host_name_ok(const char *p, size_t n)
{
	size_t label = 0;

	for (size_t i = 0; i < n; i++) {
		if (p[i] == '.') {
			if (label == 0 || p[i - 1] == '-')
				return false;
			label = 0;
			continue;
		}
		if (!is_alnum(p[i]) && !(p[i] == '-' && label > 0))
			return false;
		if (++label > 63)
			return false;
	}
	return label > 0 && p[n - 1] != '-';
}

/*
 * A name whose last label is a number would be read as an IPv4 address by some resolvers, also as
 * 0x7f.1 or 2130706433: then only the plain dotted form counts.
 */
static bool
ipv4_or_name_ok(const char *p, size_t n)
{
	size_t last = n;
	while (last > 0 && p[last - 1] != '.')
		last--;
	if (!is_digit(p[last]))
		return true;
	unsigned parts = 0;
	for (size_t i = 0; i < n; i++) {
		unsigned v = 0;
		size_t digits = 0;
		const bool zero = p[i] == '0';
		for (; i < n && p[i] != '.'; i++, digits++) {
			if (!is_digit(p[i]) || digits == 3)
				return false;
			v = v * 10 + (unsigned)(p[i] - '0');
		}
		if (digits == 0 || v > 255 || (zero && digits > 1))
			return false;
		parts++;
	}
	return parts == 4;
}

static bool
ipv6_ok(const char *p, size_t n)
{
	if (n < 2 || n > 39)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!is_hex(p[i]) && p[i] != ':')
			return false;
	}
	return true;
}

static bool
parse_host(const char **at, struct vs_url *u)
{
	const char *p = *at;
	size_t n = 0;

	if (*p == '[') {
		n = strcspn(p + 1, "]/?#");
		if (p[1 + n] != ']' || !ipv6_ok(p + 1, n))
			return false;
		n += 2;
	} else {
		n = strcspn(p, ":/?#");
		if (n == 0 || n > VS_URL_HOST_MAX || !host_name_ok(p, n) || !ipv4_or_name_ok(p, n))
			return false;
	}
	for (size_t i = 0; i < n; i++)
		u->host[i] = lower(p[i]);
	u->host[n] = '\0';
	*at = p + n;
	return true;
}

static bool
parse_port(const char **at, struct vs_url *u)
{
	const char *p = *at;
	unsigned v = 0;
	size_t digits = 0;

	u->port = u->https ? 443 : 80;
	if (*p != ':')
		return true;
	for (p++; is_digit(*p); p++, digits++) {
		if (digits == 5)
			return false;
		v = v * 10 + (unsigned)(*p - '0');
	}
	if (digits == 0 || v == 0 || v > 65535)
		return false;
	u->port = (uint16_t)v;
	*at = p;
	return true;
}

/* One path segment after decoding "%2e" is "." or "..". */
static bool
is_dot_segment(const char *p, size_t n)
{
	size_t dots = 0;

	for (size_t i = 0; i < n; i++, dots++) {
		if (p[i] == '.')
			continue;
		if (p[i] == '%' && n - i >= 3 && p[i + 1] == '2' && lower(p[i + 2]) == 'e')
			i += 2;
		else
			return false;
	}
	return dots == 1 || dots == 2;
}

static bool
target_ok(const char *p)
{
	const size_t path = strcspn(p, "?");

	for (size_t i = 0; p[i] != '\0'; i++) {
		if (p[i] == '%' && (!is_hex(p[i + 1]) || !is_hex(p[i + 2])))
			return false;
		if (!is_unreserved(p[i]) && strchr("%/?:@!$&'()*+,;=", p[i]) == NULL)
			return false;
	}
	for (size_t i = 0; i < path;) {
		const size_t n = strcspn(p + i, "/?");
		if (is_dot_segment(p + i, n))
			return false;
		i += n + 1;
	}
	return *p == '\0' || *p == '/' || *p == '?';
}

vs_rc
vs_url_parse(const char *text, struct vs_url *ret, struct vs_err *err)
{
	struct vs_url u = {0};
	char quoted[128];
	const char *p = text;

	if (text == NULL || strnlen(text, VS_URL_MAX + 1) > VS_URL_MAX)
		VS_FAIL(err, USAGE, "an address is longer than %d characters", (int)VS_URL_MAX);
	vs_quote(vs_bytes_str(text), quoted, sizeof quoted);
	if (strncmp(p, "https://", 8) == 0)
		u.https = true;
	else if (strncmp(p, "http://", 7) != 0)
		VS_FAIL(err, USAGE, "the address \"%s\" begins with neither https:// nor http://",
			quoted);
	p += u.https ? 8 : 7;
	if (!parse_host(&p, &u) || !parse_port(&p, &u) || !target_ok(p))
		VS_FAIL(err, USAGE, "the address \"%s\" is not valid", quoted);
	u.target = p;
	*ret = u;
	return VS_OK;
}

bool
vs_url_same_origin(const struct vs_url *a, const struct vs_url *b)
{
	return a->https == b->https && a->port == b->port && strcmp(a->host, b->host) == 0;
}

bool
vs_url_is_loopback(const struct vs_url *u)
{
	return strcmp(u->host, "localhost") == 0 || strcmp(u->host, "[::1]") == 0 ||
		(strncmp(u->host, "127.", 4) == 0 && is_digit(u->host[strlen(u->host) - 1]));
}

bool
vs_url_plain_allowed(const struct vs_url *u)
{
	return vs_url_is_loopback(u) || strcmp(u->host, "169.254.169.254") == 0;
}

vs_rc
vs_url_add_encoded(struct vs_buf *out, struct vs_bytes value, struct vs_err *err)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < value.n; i++) {
		const uint8_t c = value.p[i];
		const char esc[3] = {'%', hex[c >> 4], hex[c & 15]};
		if (is_unreserved((char)c))
			VS_TRY(vs_buf_add_u8(out, c, err));
		else
			VS_TRY(vs_buf_add(out, esc, sizeof esc, err));
	}
	return VS_OK;
}

static bool
is_clean_text(struct vs_bytes b)
{
	for (size_t i = 0; i < b.n; i++) {
		if (b.p[i] < 0x20 || b.p[i] == 0x7f)
			return false;
	}
	return vs_utf8_ok(b);
}

vs_rc
vs_url_add_segment(struct vs_buf *url, struct vs_bytes segment, struct vs_err *err)
{
	char quoted[64];

	if (segment.n == 0 || !is_clean_text(segment) || vs_bytes_eq_str(segment, ".") ||
		vs_bytes_eq_str(segment, ".."))
		VS_FAIL(err, USAGE, "\"%s\" cannot be part of an address",
			vs_quote(segment, quoted, sizeof quoted));
	VS_TRY(vs_buf_add_u8(url, '/', err));
	return vs_url_add_encoded(url, segment, err);
}

vs_rc
vs_url_add_query(struct vs_buf *url, const char *name, struct vs_bytes value, struct vs_err *err)
{
	if (!is_clean_text(value))
		VS_FAIL(err, USAGE, "the value of \"%s\" cannot be part of an address", name);
	const bool more = url->n > 0 && memchr(url->p, '?', url->n) != NULL;
	VS_TRY(vs_buf_add_u8(url, more ? '&' : '?', err));
	VS_TRY(vs_buf_add_str(url, name, err));
	VS_TRY(vs_buf_add_u8(url, '=', err));
	return vs_url_add_encoded(url, value, err);
}
