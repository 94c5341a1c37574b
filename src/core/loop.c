/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "proto/page.h"

enum { EVENTS_PER_ROUND = 32 };

struct vs_loop_src {
	struct vs_loop *loop;
	struct vs_loop_src *next_dead;
	int fd;
	uint32_t events;
	vs_loop_fd_fn *fn; /* NULL: removed, freed after this round */
	void *arg;
};

struct vs_loop {
	int epoll_fd, timer_fd, event_fd;
	bool stop;
	struct vs_timer *timers; /* not sorted: there are few */
	int64_t armed_boot_ns; /* what timer_fd is set to; INT64_MAX: off */
	struct vs_loop_src *timer_src, *event_src;
	struct vs_loop_src *dead;
	pthread_mutex_t lock; /* of the posts */
	struct vs_post *posts, **posts_end;
};

static void
on_timer_fd(void *arg, uint32_t events)
{
	struct vs_loop *loop = arg;
	uint64_t n = 0;
	(void)events;
	(void)!read(loop->timer_fd, &n, sizeof n);
	loop->armed_boot_ns = INT64_MAX;
}

static void
on_event_fd(void *arg, uint32_t events)
{
	struct vs_loop *loop = arg;
	uint64_t n = 0;
	(void)events;
	(void)!read(loop->event_fd, &n, sizeof n);
	vs_loop_drain(loop);
}

static void
loop_cleanup(struct vs_loop **loop)
{
	vs_loop_free(*loop);
}

VS_RC
vs_loop_new(struct vs_loop **ret, struct vs_err *err)
{
	VS_CLEANUP(loop_cleanup) struct vs_loop *loop = calloc(1, sizeof *loop);
	if (!loop)
		VS_FAIL(err, MEMORY, "out of memory");
	(void)pthread_mutex_init(&loop->lock, NULL);
	loop->posts_end = &loop->posts;
	loop->armed_boot_ns = INT64_MAX;
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	loop->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	loop->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->epoll_fd < 0 || loop->timer_fd < 0 || loop->event_fd < 0)
		VS_FAIL_N(err, SOCKET, errno, "no descriptors for the event loop: %s",
			strerror(errno));
	VS_TRY(vs_loop_add(
		loop, loop->timer_fd, EPOLLIN, on_timer_fd, loop, &loop->timer_src, err));
	VS_TRY(vs_loop_add(
		loop, loop->event_fd, EPOLLIN, on_event_fd, loop, &loop->event_src, err));
	*ret = VS_TAKE(loop);
	return VS_OK;
}

static void
bury(struct vs_loop *loop)
{
	while (loop->dead) {
		struct vs_loop_src *src = loop->dead;
		loop->dead = src->next_dead;
		free(src);
	}
}

void
vs_loop_free(struct vs_loop *loop)
{
	if (!loop)
		return;
	if (loop->timer_src)
		vs_loop_remove(loop->timer_src);
	if (loop->event_src)
		vs_loop_remove(loop->event_src);
	bury(loop);
	const int fds[] = {loop->epoll_fd, loop->timer_fd, loop->event_fd};
	for (size_t i = 0; i < 3; i++)
		if (fds[i] >= 0)
			(void)close(fds[i]);
	(void)pthread_mutex_destroy(&loop->lock);
	free(loop);
}

/* ---- descriptors ---------------------------------------------------------------------------- */

VS_RC
vs_loop_add(struct vs_loop *loop, int fd, uint32_t events, vs_loop_fd_fn *fn, void *arg,
	struct vs_loop_src **ret, struct vs_err *err)
{
	struct vs_loop_src *src = calloc(1, sizeof *src);
	if (!src)
		VS_FAIL(err, MEMORY, "out of memory");
	*src = (struct vs_loop_src){.loop = loop, .fd = fd, .events = events, .fn = fn, .arg = arg};
	struct epoll_event e = {.events = events, .data = {.ptr = src}};
	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &e) != 0) {
		const int error = errno;
		free(src);
		VS_FAIL_N(
			err, SOCKET, error, "a descriptor cannot be watched: %s", strerror(error));
	}
	*ret = src;
	return VS_OK;
}

void
vs_loop_set(struct vs_loop_src *src, uint32_t events)
{
	if (src->events == events)
		return;
	struct epoll_event e = {.events = events, .data = {.ptr = src}};
	src->events = events;
	(void)epoll_ctl(src->loop->epoll_fd, EPOLL_CTL_MOD, src->fd, &e);
}

void
vs_loop_remove(struct vs_loop_src *src)
{
	(void)epoll_ctl(src->loop->epoll_fd, EPOLL_CTL_DEL, src->fd, NULL);
	src->fn = NULL;
	src->next_dead = src->loop->dead;
	src->loop->dead = src;
}

/* ---- timers --------------------------------------------------------------------------------- */

void
vs_timer_clear(struct vs_timer *timer)
{
	if (!timer->link)
		return;
	*timer->link = timer->next;
	if (timer->next)
		timer->next->link = timer->link;
	timer->next = NULL;
	timer->link = NULL;
}

void
vs_timer_set(struct vs_loop *loop, struct vs_timer *timer, int64_t at_boot_ns)
{
	vs_timer_clear(timer);
	timer->at_boot_ns = at_boot_ns;
	timer->next = loop->timers;
	timer->link = &loop->timers;
	if (timer->next)
		timer->next->link = &timer->next;
	loop->timers = timer;
}

static struct vs_timer *
earliest(const struct vs_loop *loop)
{
	struct vs_timer *best = loop->timers;
	for (struct vs_timer *t = loop->timers; t; t = t->next)
		if (t->at_boot_ns < best->at_boot_ns)
			best = t;
	return best;
}

/* Those whose time has come, one at a time: each may set or clear any other. */
static void
run_timers(struct vs_loop *loop)
{
	const int64_t now = vs_boot_now_ns();
	for (struct vs_timer *t = earliest(loop); t && t->at_boot_ns <= now; t = earliest(loop)) {
		vs_timer_clear(t);
		t->fn(t->arg);
	}
}

static void
arm(struct vs_loop *loop)
{
	const struct vs_timer *t = earliest(loop);
	int64_t at = t ? t->at_boot_ns : INT64_MAX;
	struct itimerspec spec = {0};
	if (at == loop->armed_boot_ns)
		return;
	if (at != INT64_MAX) {
		/* 0 would disarm; the past fires at once. */
		const int64_t when = at > 0 ? at : 1;
		spec.it_value.tv_sec = when / 1000000000;
		spec.it_value.tv_nsec = when % 1000000000;
	}
	if (timerfd_settime(loop->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL) == 0)
		loop->armed_boot_ns = at;
}

/* ---- posts ---------------------------------------------------------------------------------- */

void
vs_loop_post(struct vs_loop *loop, struct vs_post *post)
{
	const uint64_t one = 1;
	post->next = NULL;
	(void)pthread_mutex_lock(&loop->lock);
	*loop->posts_end = post;
	loop->posts_end = &post->next;
	/* Inside the lock: whoever drains under it cannot free the loop before this write is made.
	 */
	(void)!write(loop->event_fd, &one, sizeof one);
	(void)pthread_mutex_unlock(&loop->lock);
}

void
vs_loop_drain(struct vs_loop *loop)
{
	(void)pthread_mutex_lock(&loop->lock);
	struct vs_post *post = loop->posts;
	loop->posts = NULL;
	loop->posts_end = &loop->posts;
	(void)pthread_mutex_unlock(&loop->lock);
	while (post) {
		struct vs_post *next = post->next;
		post->fn(post);
		post = next;
	}
}

/* ---- running -------------------------------------------------------------------------------- */

VS_RC
vs_loop_run(struct vs_loop *loop, struct vs_err *err)
{
	loop->stop = false;
	while (!loop->stop) {
		struct epoll_event events[EVENTS_PER_ROUND];
		arm(loop);
		const int n = epoll_wait(loop->epoll_fd, events, EVENTS_PER_ROUND, -1);
		if (n < 0 && errno != EINTR)
			VS_FAIL_N(
				err, INTERNAL, errno, "the event loop failed: %s", strerror(errno));
		for (int i = 0; i < n; i++) {
			const struct vs_loop_src *src = events[i].data.ptr;
			if (src->fn)
				src->fn(src->arg, events[i].events);
		}
		run_timers(loop);
		bury(loop);
	}
	return VS_OK;
}

void
vs_loop_stop(struct vs_loop *loop)
{
	loop->stop = true;
}
