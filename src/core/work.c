/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/work.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "proto/page.h"

struct vs_work {
	struct vs_loop *loop;
	pthread_mutex_t lock;
	pthread_cond_t more; /* a job was queued, or no more will come */
	pthread_cond_t fewer; /* a thread has ended */
	struct vs_job *first, **end;
	unsigned n_queued, n_threads, n_idle;
	bool closing;
};

VS_RC
vs_work_new(struct vs_loop *loop, struct vs_work **ret, struct vs_err *err)
{
	struct vs_work *w = calloc(1, sizeof *w);
	pthread_condattr_t attr;
	if (!w || pthread_condattr_init(&attr) != 0) {
		free(w);
		VS_FAIL(err, MEMORY, "out of memory");
	}
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&w->more, &attr);
	(void)pthread_cond_init(&w->fewer, &attr);
	(void)pthread_condattr_destroy(&attr);
	(void)pthread_mutex_init(&w->lock, NULL);
	w->loop = loop;
	w->end = &w->first;
	*ret = w;
	return VS_OK;
}

static void
tell_done(struct vs_post *post)
{
	struct vs_job *job = (struct vs_job *)((char *)post - offsetof(struct vs_job, post));
	job->done(job);
}

static struct timespec
in_ms(int64_t ms)
{
	struct timespec t = {0};
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += ms % 1000 * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_nsec -= 1000000000;
		t.tv_sec++;
	}
	return t;
}

/* The next job, or NULL when this thread has nothing more to do. Lock held. */
static struct vs_job *
take_job(struct vs_work *w)
{
	const struct timespec until = in_ms(VS_WORK_IDLE_S * 1000);
	while (!w->first) {
		if (w->closing)
			return NULL;
		w->n_idle++;
		const int rc = pthread_cond_timedwait(&w->more, &w->lock, &until);
		w->n_idle--;
		if (rc == ETIMEDOUT && !w->first)
			return NULL;
	}
	struct vs_job *job = w->first;
	w->first = job->next;
	if (!w->first)
		w->end = &w->first;
	w->n_queued--;
	return job;
}

static void *
worker(void *arg)
{
	struct vs_work *w = arg;
	(void)pthread_mutex_lock(&w->lock);
	for (struct vs_job *job = take_job(w); job; job = take_job(w)) {
		(void)pthread_mutex_unlock(&w->lock);
		job->run(job);
		job->post.fn = tell_done;
		vs_loop_post(w->loop, &job->post);
		(void)pthread_mutex_lock(&w->lock);
	}
	w->n_threads--;
	(void)pthread_cond_broadcast(&w->fewer);
	(void)pthread_mutex_unlock(&w->lock);
	return NULL;
}

/* Signals belong to the loop's thread. Lock held. */
static bool
start_thread(struct vs_work *w)
{
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t all, old;
	if (pthread_attr_init(&attr) != 0)
		return false;
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	(void)pthread_attr_setstacksize(&attr, VS_WORK_STACK_BYTES);
	sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	const bool ok = pthread_create(&thread, &attr, worker, w) == 0;
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	(void)pthread_attr_destroy(&attr);
	if (ok)
		w->n_threads++;
	return ok;
}

VS_RC
vs_work_post(struct vs_work *w, struct vs_job *job, struct vs_err *err)
{
	vs_rc rc = VS_OK;
	(void)pthread_mutex_lock(&w->lock);
	const bool enough = w->n_idle > w->n_queued || w->n_threads == VS_WORK_THREADS_MAX;
	if (w->closing)
		rc = vs_err_put(
			err, VS_E_STATE, __func__, __LINE__, 0, "the agent is about to end");
	else if (w->n_queued >= VS_WORK_QUEUE_MAX)
		rc = vs_err_put(
			err, VS_E_LIMIT, __func__, __LINE__, 0, "the agent has too much to do");
	else if (!enough && !start_thread(w) && w->n_threads == 0)
		rc = vs_err_put(
			err, VS_E_MEMORY, __func__, __LINE__, 0, "no thread can be started");
	else {
		job->work = w;
		job->next = NULL;
		*w->end = job;
		w->end = &job->next;
		w->n_queued++;
		(void)pthread_cond_signal(&w->more);
	}
	(void)pthread_mutex_unlock(&w->lock);
	return rc;
}

bool
vs_work_finish(struct vs_work *w, int64_t deadline_boot_ns)
{
	(void)pthread_mutex_lock(&w->lock);
	w->closing = true;
	(void)pthread_cond_broadcast(&w->more);
	while (w->n_threads > 0) {
		const int64_t left_ms = (deadline_boot_ns - vs_boot_now_ns()) / 1000000;
		if (left_ms <= 0)
			break;
		const struct timespec until = in_ms(left_ms);
		(void)pthread_cond_timedwait(&w->fewer, &w->lock, &until);
	}
	const bool all = w->n_threads == 0;
	(void)pthread_mutex_unlock(&w->lock);
	vs_loop_drain(w->loop);
	return all;
}

void
vs_work_free(struct vs_work *w)
{
	if (!w)
		return;
	(void)pthread_cond_destroy(&w->more);
	(void)pthread_cond_destroy(&w->fewer);
	(void)pthread_mutex_destroy(&w->lock);
	free(w);
}
