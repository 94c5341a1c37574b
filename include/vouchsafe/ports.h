/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the world provides, as small vtables, so that tests plug in without #ifdef.
 * Not for token/ and module/: a guest has no clock port, it reads the boot clock in proto/page.c.
 */
#ifndef VOUCHSAFE_PORTS_H
#define VOUCHSAFE_PORTS_H

#include <stddef.h>
#include <stdint.h>

#include "vouchsafe/err.h"

struct vs_clock_ops {
	const char *name;
	unsigned version;
	int64_t (*wall_unix)(void *self); /* seconds since 1970, CLOCK_REALTIME */
	int64_t (*boot_ns)(void *self); /* nanoseconds, CLOCK_BOOTTIME: suspend counts */
};

struct vs_clock {
	const struct vs_clock_ops *ops;
	void *self;
};

struct vs_rng_ops {
	const char *name;
	unsigned version;
	VS_RC (*fill)(void *self, void *out, size_t n, struct vs_err *err);
};

struct vs_rng {
	const struct vs_rng_ops *ops;
	void *self;
};

enum vs_log_level { VS_LOG_ERROR = 0, VS_LOG_WARN, VS_LOG_INFO, VS_LOG_DEBUG, VS_LOG_COUNT_ };

struct vs_log_ops {
	const char *name;
	unsigned version;
	/* One finished line without newline: "area: sentence". Thread-safe. Never fails. */
	void (*line)(void *self, enum vs_log_level level, const char *line);
};

struct vs_log {
	const struct vs_log_ops *ops; /* NULL: silent */
	void *self;
	enum vs_log_level max;
};

/* Time left until a deadline on the boot clock, in ms, at least 0, at most INT_MAX. */
static inline int
vs_clock_left_ms(const struct vs_clock *clock, int64_t deadline_boot_ns)
{
	const int64_t left = deadline_boot_ns - clock->ops->boot_ns(clock->self);
	if (left <= 0)
		return 0;
	return left / 1000000 > INT32_MAX ? INT32_MAX : (int)(left / 1000000);
}

#endif
