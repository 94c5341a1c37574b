/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One thread, one epoll descriptor, one timer descriptor on the boot clock, one event descriptor
 * for posts from other threads. With nothing to do it does not wake.
 */
#ifndef VS_CORE_LOOP_H
#define VS_CORE_LOOP_H

#include <stdint.h>

#include "vouchsafe/err.h"

struct vs_loop;
struct vs_loop_src;

VS_RC vs_loop_new(struct vs_loop **ret, struct vs_err *err);
void vs_loop_free(struct vs_loop *loop);

/* Runs until vs_loop_stop(). Error: INTERNAL when waiting itself fails. */
VS_RC vs_loop_run(struct vs_loop *loop, struct vs_err *err);
void vs_loop_stop(struct vs_loop *loop);

/* ---- descriptors: events are EPOLLIN, EPOLLOUT; the descriptor stays the caller's ----------- */

typedef void vs_loop_fd_fn(void *arg, uint32_t events);
VS_RC vs_loop_add(struct vs_loop *loop, int fd, uint32_t events, vs_loop_fd_fn *fn, void *arg,
	struct vs_loop_src **ret, struct vs_err *err);
void vs_loop_set(struct vs_loop_src *src, uint32_t events);
/* No call comes after this one, also not for events already fetched. Call before close(). */
void vs_loop_remove(struct vs_loop_src *src);

/* ---- timers: embedded, zero-initialised; fn and arg are set once ----------------------------- */

struct vs_timer {
	struct vs_timer *next, **link; /* link is NULL while not set */
	int64_t at_boot_ns;
	void (*fn)(void *arg);
	void *arg;
};
void vs_timer_set(struct vs_loop *loop, struct vs_timer *timer, int64_t at_boot_ns);
void vs_timer_clear(struct vs_timer *timer);

/* ---- posts ---------------------------------------------------------------------------------- */

/* Embedded; fn is called once on the loop's thread, which may then free it. */
struct vs_post {
	struct vs_post *next;
	void (*fn)(struct vs_post *post);
};
/* From any thread. */
void vs_loop_post(struct vs_loop *loop, struct vs_post *post);
/* Carry out what was posted until now; for shutting down without running the loop. */
void vs_loop_drain(struct vs_loop *loop);

#endif
