/* SPDX-License-Identifier: BSD-2-Clause */
/* Log lines for operators. Borders log; library code returns errors instead. */
#ifndef VS_BASE_LOG_H
#define VS_BASE_LOG_H

#include "vouchsafe/ports.h"

/* area is a folder's name: "gate", "http". A NULL log is silent. */
__attribute__((format(printf, 4, 5))) void
vs_log(const struct vs_log *log, enum vs_log_level level, const char *area, const char *fmt, ...);
/* "what: sentence" of an error. */
void vs_log_err(const struct vs_log *log, enum vs_log_level level, const char *area,
	const char *what, const struct vs_err *err);

/* Lines to a descriptor, "<level> area: text"; self is (void *)(intptr_t)fd. */
extern const struct vs_log_ops vs_log_fd_ops;
struct vs_log vs_log_stderr(enum vs_log_level max);
/* "error", "warn", "info", "debug"; false when unknown. */
bool vs_log_level_parse(const char *s, enum vs_log_level *ret);

#endif
