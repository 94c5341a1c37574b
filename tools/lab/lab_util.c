/* SPDX-License-Identifier: BSD-2-Clause */
#include "lab/lab.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

static const char *const service_names[LAB_SERVICES_COUNT_] = {
	[LAB_IMDS] = "imds",
	[LAB_ENTRA] = "entra",
	[LAB_MAA] = "maa",
	[LAB_MAA_SHARED] = "maa-shared",
	[LAB_MAA_ISOLATED] = "maa-isolated",
	[LAB_VAULT] = "vault",
	[LAB_MHSM] = "mhsm",
};

const char *
lab_service_name(enum lab_service s)
{
	return (unsigned)s < LAB_SERVICES_COUNT_ ? service_names[s] : "?";
}

enum lab_service
lab_service_parse(const char *name)
{
	for (int i = 0; i < LAB_SERVICES_COUNT_; i++)
		if (strcmp(service_names[i], name) == 0)
			return (enum lab_service)i;
	return LAB_SERVICES_COUNT_;
}

int64_t
lab_now(const struct lab *lab)
{
	const struct vs_clock clock = vs_clock_system();
	return clock.ops->wall_unix(clock.self) +
		__atomic_load_n(&lab->clock_offset_s, __ATOMIC_RELAXED);
}

VS_RC
lab_path(const struct lab *lab, const char *name, char out[LAB_PATH_MAX], struct vs_err *err)
{
	const int n = snprintf(out, LAB_PATH_MAX, "%s/%s", lab->dir, name);
	if (n < 0 || n >= LAB_PATH_MAX)
		VS_FAIL(err, LIMIT, "the path of %s in the lab's directory is too long", name);
	return VS_OK;
}

VS_RC
lab_random(void *out, size_t n, struct vs_err *err)
{
	const struct vs_rng rng = vs_rng_system();
	return rng.ops->fill(rng.self, out, n, err);
}

VS_RC
lab_guid(char out[LAB_GUID_SIZE], struct vs_err *err)
{
	uint8_t b[16] = {0};
	VS_TRY(lab_random(b, sizeof(b), err));
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	(void)snprintf(out, LAB_GUID_SIZE,
		"%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
		b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
		b[15]);
	return VS_OK;
}

static pthread_mutex_t say_lock = PTHREAD_MUTEX_INITIALIZER;

void
lab_say(const struct lab *lab, const char *fmt, ...)
{
	char line[512];
	const struct vs_clock clock = vs_clock_system();
	const time_t now = (time_t)clock.ops->wall_unix(clock.self);
	struct tm tm = {0};
	gmtime_r(&now, &tm);
	int n = (int)strftime(line, 32, "%Y-%m-%dT%H:%M:%SZ ", &tm);
	va_list ap;
	va_start(ap, fmt);
	const int m = vsnprintf(line + n, sizeof(line) - (size_t)n - 1, fmt, ap);
	va_end(ap);
	if (m < 0)
		return;
	n += m < (int)sizeof(line) - n - 1 ? m : (int)sizeof(line) - n - 2;
	line[n++] = '\n';
	if (lab->log_fd < 0)
		return;
	pthread_mutex_lock(&say_lock);
	const ssize_t w = write(lab->log_fd, line, (size_t)n);
	pthread_mutex_unlock(&say_lock);
	(void)w;
}
