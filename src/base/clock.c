/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/clock.h"

#include <errno.h>
#include <sys/random.h>
#include <time.h>

static int64_t
system_wall(void *self)
{
	(void)self;
	struct timespec ts;
	return clock_gettime(CLOCK_REALTIME, &ts) == 0 ? (int64_t)ts.tv_sec : 0;
}

static int64_t
system_boot(void *self)
{
	(void)self;
	struct timespec ts;
	/* A clock that cannot be read is later than every lease: deny. */
	if (clock_gettime(CLOCK_BOOTTIME, &ts) != 0)
		return INT64_MAX;
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static const struct vs_clock_ops system_clock_ops = {
	.name = "system",
	.version = 1,
	.wall_unix = system_wall,
	.boot_ns = system_boot,
};

struct vs_clock
vs_clock_system(void)
{
	return (struct vs_clock){.ops = &system_clock_ops};
}

static VS_RC
system_fill(void *self, void *out, size_t n, struct vs_err *err)
{
	(void)self;
	uint8_t *p = out;
	while (n) {
		const ssize_t got = getrandom(p, n, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			VS_FAIL_N(err, INTERNAL, errno, "the kernel gave no random bytes");
		p += got;
		n -= (size_t)got;
	}
	return VS_OK;
}

static const struct vs_rng_ops system_rng_ops = {
	.name = "getrandom",
	.version = 1,
	.fill = system_fill,
};

struct vs_rng
vs_rng_system(void)
{
	return (struct vs_rng){.ops = &system_rng_ops};
}
