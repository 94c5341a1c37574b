/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/ini.h"

#include <string.h>

struct scan {
	const char *file;
	unsigned line;
	char kind[VS_INI_LINE_MAX];
	char label[VS_INI_LINE_MAX];
};

static bool
blank(char c)
{
	return c == ' ' || c == '\t';
}

static char *
trim(char *s)
{
	while (blank(*s))
		s++;
	size_t n = strlen(s);
	while (n && blank(s[n - 1]))
		s[--n] = '\0';
	return s;
}

/* Cut a comment that stands at the start or after white space, outside quotes. */
static VS_RC
cut_comment(struct scan *sc, char *s, struct vs_err *err)
{
	bool quoted = false;
	for (char *p = s; *p; p++) {
		if (*p == '"')
			quoted = !quoted;
		else if (!quoted && (*p == ';' || *p == '#') && (p == s || blank(p[-1]))) {
			*p = '\0';
			return VS_OK;
		}
	}
	if (quoted)
		VS_FAIL(err, CONFIG_SYNTAX, "%s:%u: a quote is not closed", sc->file, sc->line);
	return VS_OK;
}

static VS_RC
scan_section(struct scan *sc, char *s, vs_ini_fn *fn, void *arg, struct vs_err *err)
{
	const size_t n = strlen(s);
	if (s[n - 1] != ']')
		VS_FAIL(err, CONFIG_SYNTAX, "%s:%u: a section head ends with ']'", sc->file,
			sc->line);
	s[n - 1] = '\0';
	char *kind = trim(s + 1);
	char *label = kind;
	while (*label && !blank(*label))
		label++;
	if (*label)
		*label++ = '\0';
	label = trim(label);
	if (!*kind || strpbrk(kind, "[]") || strpbrk(label, "[]"))
		VS_FAIL(err, CONFIG_SYNTAX, "%s:%u: a section head is [kind] or [kind label]",
			sc->file, sc->line);
	memcpy(sc->kind, kind, strlen(kind) + 1);
	memcpy(sc->label, label, strlen(label) + 1);
	const struct vs_ini_line l = {.line = sc->line, .kind = sc->kind, .label = sc->label};
	return fn(arg, &l, err);
}

static VS_RC
unquote(struct scan *sc, char **value, struct vs_err *err)
{
	char *v = *value;
	const size_t n = strlen(v);
	if (!strchr(v, '"'))
		return VS_OK;
	if (n < 2 || v[0] != '"' || v[n - 1] != '"' || memchr(v + 1, '"', n - 2))
		VS_FAIL(err, CONFIG_SYNTAX, "%s:%u: quotes may only stand around the whole value",
			sc->file, sc->line);
	v[n - 1] = '\0';
	*value = v + 1;
	return VS_OK;
}

static VS_RC
scan_line(struct scan *sc, char *text, vs_ini_fn *fn, void *arg, struct vs_err *err)
{
	VS_TRY(cut_comment(sc, text, err));
	char *s = trim(text);
	if (!*s)
		return VS_OK;
	if (*s == '[')
		return scan_section(sc, s, fn, arg, err);
	char *eq = strchr(s, '=');
	if (!eq)
		VS_FAIL(err, CONFIG_SYNTAX, "%s:%u: a line is 'name = value' or '[section]'",
			sc->file, sc->line);
	*eq = '\0';
	char *name = trim(s), *value = trim(eq + 1);
	if (!*name)
		VS_FAIL(err, CONFIG_SYNTAX, "%s:%u: there is no name before '='", sc->file,
			sc->line);
	VS_TRY(unquote(sc, &value, err));
	const struct vs_ini_line l = {.line = sc->line,
		.kind = sc->kind,
		.label = sc->label,
		.name = name,
		.value = value};
	return fn(arg, &l, err);
}

VS_RC
vs_ini_scan(const char *file, struct vs_bytes text, vs_ini_fn *fn, void *arg, struct vs_err *err)
{
	struct scan sc = {.file = file};
	char line[VS_INI_LINE_MAX];
	if (text.n > VS_INI_FILE_MAX)
		VS_FAIL(err, CONFIG_SYNTAX, "%s: longer than %d bytes", file, VS_INI_FILE_MAX);
	for (size_t i = 0; i < text.n;) {
		const uint8_t *nl = memchr(text.p + i, '\n', text.n - i);
		size_t n = nl ? (size_t)(nl - (text.p + i)) : text.n - i;
		const uint8_t *p = text.p + i;
		i += n + 1;
		sc.line++;
		if (n && p[n - 1] == '\r')
			n--;
		if (n >= sizeof line)
			VS_FAIL(err, CONFIG_SYNTAX, "%s:%u: a line is longer than %zu bytes", file,
				sc.line, sizeof line - 1);
		for (size_t k = 0; k < n; k++)
			if ((p[k] < 0x20 && p[k] != '\t') || p[k] == 0x7f)
				VS_FAIL(err, CONFIG_SYNTAX,
					"%s:%u: a control character (column %zu)", file, sc.line,
					k + 1);
		if (n)
			memcpy(line, p, n);
		line[n] = '\0';
		VS_TRY(scan_line(&sc, line, fn, arg, err));
	}
	return VS_OK;
}
