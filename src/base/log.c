/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 2048 };

static const char *const level_names[VS_LOG_COUNT_] = {"error", "warn", "info", "debug"};

void
vs_log(const struct vs_log *log, enum vs_log_level level, const char *area, const char *fmt, ...)
{
	if (!log || !log->ops || level > log->max)
		return;
	char line[LINE_MAX_BYTES];
	int n = snprintf(line, sizeof line, "%s: ", area);
	if (n < 0 || (size_t)n >= sizeof line)
		return;
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(line + n, sizeof line - (size_t)n, fmt, ap);
	va_end(ap);
	for (char *p = line; *p; p++)
		if ((unsigned char)*p < 0x20 || (unsigned char)*p == 0x7f)
			*p = '?';
	log->ops->line(log->self, level, line);
}

void
vs_log_err(const struct vs_log *log, enum vs_log_level level, const char *area, const char *what,
	const struct vs_err *err)
{
	char s[LINE_MAX_BYTES / 2];
	vs_err_sentence(err, s, sizeof s);
	vs_log(log, level, area, "%s: %s", what, s);
}

/* One write per line, so that lines of several threads do not mix. A lost line is not an error. */
static void
fd_line(void *self, enum vs_log_level level, const char *line)
{
	char out[LINE_MAX_BYTES + 16];
	const int n = snprintf(out, sizeof out, "%s %s\n", level_names[level], line);
	if (n <= 0)
		return;
	const size_t len = (size_t)n < sizeof out ? (size_t)n : sizeof out - 1;
	out[len - 1] = '\n';
	const ssize_t w = write((int)(intptr_t)self, out, len);
	(void)w;
}

const struct vs_log_ops vs_log_fd_ops = {.name = "fd", .version = 1, .line = fd_line};

struct vs_log
vs_log_stderr(enum vs_log_level max)
{
	return (struct vs_log){
		.ops = &vs_log_fd_ops, .self = (void *)(intptr_t)STDERR_FILENO, .max = max};
}

bool
vs_log_level_parse(const char *s, enum vs_log_level *ret)
{
	for (unsigned i = 0; i < VS_LOG_COUNT_; i++) {
		if (strcmp(s, level_names[i]) == 0) {
			*ret = (enum vs_log_level)i;
			return true;
		}
	}
	return false;
}
