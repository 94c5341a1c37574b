/* SPDX-License-Identifier: BSD-2-Clause */
#include "conf/value.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_host_char(char c)
{
	return (c >= 'a' && c <= 'z') || is_digit(c) || c == '-' || c == '.';
}

/* A DNS name or IPv4 address; labels neither empty nor with '-' at an end. */
static bool
host_ok(const char *h, size_t n)
{
	if (n == 0 || n > 253)
		return false;
	for (size_t i = 0; i < n; i++) {
		const bool first = i == 0 || h[i - 1] == '.';
		const bool last = i + 1 == n || h[i + 1] == '.';
		if (!is_host_char(h[i]) || (h[i] == '.' && first) ||
			(h[i] == '-' && (first || last)))
			return false;
	}
	return h[n - 1] != '.';
}

static bool
port_ok(const char *p, size_t n, unsigned *ret)
{
	unsigned v = 0;
	if (n == 0 || n > 5 || p[0] == '0')
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!is_digit(p[i]))
			return false;
		v = v * 10 + (unsigned)(p[i] - '0');
	}
	*ret = v;
	return v <= 65535;
}

bool
vs_origin_parse(const char *text, const char *scheme, char **ret)
{
	char host[300];
	const size_t ns = strlen(scheme);
	if (strncmp(text, scheme, ns) != 0 || strncmp(text + ns, "://", 3) != 0)
		return false;
	const char *h = text + ns + 3;
	size_t n = strlen(h);
	if (n && h[n - 1] == '/')
		n--;
	if (n >= sizeof host)
		return false;
	for (size_t i = 0; i < n; i++)
		host[i] = h[i] >= 'A' && h[i] <= 'Z' ? (char)(h[i] - 'A' + 'a') : h[i];
	host[n] = '\0';
	size_t host_n = strcspn(host, ":");
	if (strncmp(host, "[::1]", 5) == 0)
		host_n = 5;
	else if (!host_ok(host, host_n))
		return false;
	unsigned port = 0;
	if (host[host_n] == ':') {
		if (!port_ok(host + host_n + 1, n - host_n - 1, &port))
			return false;
	} else if (host[host_n]) {
		return false;
	}
	const bool dflt = port == 0 || (strcmp(scheme, "https") == 0 && port == 443) ||
		(strcmp(scheme, "http") == 0 && port == 80);
	char *out = NULL;
	const int w = dflt ? asprintf(&out, "%s://%.*s", scheme, (int)host_n, host)
			   : asprintf(&out, "%s://%.*s:%u", scheme, (int)host_n, host, port);
	if (w < 0)
		return false;
	*ret = out;
	return true;
}

bool
vs_origin_host(const char *origin, char *out, size_t out_size)
{
	const char *h = strstr(origin, "://");
	if (!h)
		return false;
	h += 3;
	const size_t n = *h == '[' ? strcspn(h, "]") + 1 : strcspn(h, ":/");
	if (n >= out_size)
		return false;
	memcpy(out, h, n);
	out[n] = '\0';
	return true;
}

bool
vs_origin_is_loopback(const char *origin)
{
	char h[300];
	if (!vs_origin_host(origin, h, sizeof h))
		return false;
	const size_t n = strlen(h);
	static const char suffix[] = ".localhost";
	return strcmp(h, "localhost") == 0 || strcmp(h, "[::1]") == 0 ||
		(strncmp(h, "127.", 4) == 0 && strspn(h, "0123456789.") == n) ||
		(n > sizeof suffix - 1 && strcmp(h + n - (sizeof suffix - 1), suffix) == 0);
}

bool
vs_duration_parse(const char *text, int64_t *ret_ms)
{
	static const struct {
		const char *unit;
		int64_t ms;
	} units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
	int64_t v = 0;
	const char *p = text;
	for (; is_digit(*p); p++) {
		if (p - text >= 9)
			return false;
		v = v * 10 + (*p - '0');
	}
	if (p == text)
		return false;
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
		if (strcmp(p, units[i].unit) == 0) {
			*ret_ms = v * units[i].ms;
			return true;
		}
	}
	return false;
}

static bool
number_at(const char **p, unsigned *ret)
{
	unsigned v = 0;
	const char *start = *p;
	while (is_digit(**p) && *p - start < 3)
		v = v * 10 + (unsigned)(*(*p)++ - '0');
	*ret = v;
	return *p != start && v < VS_PCRS_MAX;
}

bool
vs_pcrs_parse(const char *text, uint32_t *ret_mask)
{
	uint32_t mask = 0;
	const char *p = text;
	for (;;) {
		unsigned from, to;
		p += strspn(p, " \t");
		if (!number_at(&p, &from))
			return false;
		to = from;
		if (*p == '-') {
			p++;
			if (!number_at(&p, &to) || to < from)
				return false;
		}
		for (unsigned i = from; i <= to; i++)
			mask |= UINT32_C(1) << i;
		p += strspn(p, " \t");
		if (!*p)
			break;
		if (*p++ != ',')
			return false;
	}
	*ret_mask = mask;
	return true;
}

bool
vs_guid_ok(const char *text)
{
	static const char shape[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
	if (strlen(text) != sizeof shape - 1)
		return false;
	for (size_t i = 0; i < sizeof shape - 1; i++)
		if (shape[i] == '-' ? text[i] != '-' : !isxdigit((unsigned char)text[i]))
			return false;
	return true;
}

bool
vs_tcti_ok(const char *text)
{
	return strncmp(text, "device:/", 8) == 0 || strncmp(text, "swtpm:", 6) == 0 ||
		strncmp(text, "mssim:", 6) == 0;
}

void
vs_list_free(char **list)
{
	if (list)
		for (char **p = list; *p; p++)
			free(*p);
	free(list);
}

bool
vs_list_parse(const char *text, size_t max, char ***ret)
{
	char **list = calloc(max + 1, sizeof *list);
	if (!list)
		return false;
	size_t n = 0;
	for (const char *p = text;;) {
		p += strspn(p, " \t");
		size_t len = strcspn(p, ",");
		const char *next = p + len;
		while (len && (p[len - 1] == ' ' || p[len - 1] == '\t'))
			len--;
		if (len == 0 || n == max || !(list[n] = strndup(p, len))) {
			vs_list_free(list);
			return false;
		}
		n++;
		if (!*next)
			break;
		p = next + 1;
	}
	*ret = list;
	return true;
}
