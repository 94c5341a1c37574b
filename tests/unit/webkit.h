/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A struct vs_http made of a script, a clock moved by hand, sleeping that only moves it: for tests
 * of everything that talks. Requests are matched in order or by a rule.
 */
#ifndef TESTS_WEBKIT_H
#define TESTS_WEBKIT_H

#include <pthread.h>

#include "net/http.h"

enum { WEBKIT_STEPS = 64, WEBKIT_TEXT = 1 << 18 };

struct webkit_step {
	const char *match; /* "METHOD url" contains this; NULL: any. Unused steps match in order. */
	long status; /* 0: fail with code */
	enum vs_code code;
	const char *body;
	const char *content_type; /* NULL: application/json */
	const char *www_authenticate;
	int64_t retry_after_s; /* 0: absent (-1 in the answer); negative: 0 s */
	int delay_ms; /* of real time, before the answer */
	bool always; /* may be used any number of times */
	unsigned used;
};

struct webkit {
	struct webkit_step steps[WEBKIT_STEPS];
	size_t n;
	pthread_mutex_t lock;
	int64_t boot_ns, wall_unix;
	int64_t slept_ms, oversleep_ms;
	unsigned sleeps, requests, unexpected;
	char last_url[8192], last_body[WEBKIT_TEXT], last_bearer[256], last_headers[8192];
	struct vs_net net;
};

/* NULL-safe steps table copied; the clock starts at boot 1000 s, wall 1 700 000 000. */
void webkit_init(struct webkit *w, const struct webkit_step *steps, size_t n);
void webkit_add(struct webkit *w, struct webkit_step step);
int64_t webkit_in_s(const struct webkit *w, int64_t s);
unsigned webkit_used(const struct webkit *w, size_t step);

#endif
