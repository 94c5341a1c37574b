/* SPDX-License-Identifier: BSD-2-Clause */
#include "bench/bench.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROUNDS = 101, THREADS_MAX = 8 };
static const double BATCH_NS = 2e6;

void
bench_die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	(void)fputc('\n', stderr);
	exit(2);
}

/*
 * On a machine that is busy with other work a wall clock measures that work. Then processor time
 * is counted instead, which hides waiting for locks.
 */
static bool count_cpu;

static double
clock_ns(clockid_t id)
{
	struct timespec ts;
	(void)clock_gettime(id, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

void *
bench_alloc(size_t n)
{
	enum { PAGE = 4096 };
	n = (n + PAGE - 1) / PAGE * PAGE;
	void *p = aligned_alloc(PAGE, n);
	BENCH_REQUIRE(p != NULL);
	memset(p, 0, n);
	return p;
}

double
bench_now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

/* ---- threads that run batches together --------------------------------------------------- */

struct crew {
	const struct bench_op *op;
	unsigned threads, n;
	bool stop;
	pthread_barrier_t start, end;
	pthread_t ids[THREADS_MAX];
	void *work[THREADS_MAX];
	double cpu_ns[THREADS_MAX];
	struct member {
		struct crew *crew;
		unsigned index;
	} members[THREADS_MAX];
};

static void *
member_main(void *arg)
{
	struct member *m = arg;
	struct crew *c = m->crew;

	for (;;) {
		(void)pthread_barrier_wait(&c->start);
		if (c->stop)
			return NULL;
		const double before = clock_ns(CLOCK_THREAD_CPUTIME_ID);
		c->op->run(c->work[m->index], c->n);
		c->cpu_ns[m->index] = clock_ns(CLOCK_THREAD_CPUTIME_ID) - before;
		(void)pthread_barrier_wait(&c->end);
	}
}

static void
crew_start(struct crew *c, const struct bench_op *op, unsigned threads)
{
	*c = (struct crew){.op = op, .threads = threads};
	BENCH_REQUIRE(threads <= THREADS_MAX);
	BENCH_REQUIRE(pthread_barrier_init(&c->start, NULL, threads + 1) == 0);
	BENCH_REQUIRE(pthread_barrier_init(&c->end, NULL, threads + 1) == 0);
	for (unsigned i = 0; i < threads; i++) {
		c->work[i] = op->make();
		c->members[i] = (struct member){c, i};
		BENCH_REQUIRE(pthread_create(&c->ids[i], NULL, member_main, &c->members[i]) == 0);
	}
}

/* Nanoseconds per operation of each thread. */
static double
crew_batch(struct crew *c, unsigned n)
{
	c->n = n;
	(void)pthread_barrier_wait(&c->start);
	const double start = bench_now_ns();
	(void)pthread_barrier_wait(&c->end);
	if (!count_cpu)
		return (bench_now_ns() - start) / n;
	double sum = 0;
	for (unsigned i = 0; i < c->threads; i++)
		sum += c->cpu_ns[i];
	return sum / c->threads / n;
}

static void
crew_stop(struct crew *c)
{
	c->stop = true;
	(void)pthread_barrier_wait(&c->start);
	for (unsigned i = 0; i < c->threads; i++) {
		(void)pthread_join(c->ids[i], NULL);
		c->op->drop(c->work[i]);
	}
	(void)pthread_barrier_destroy(&c->start);
	(void)pthread_barrier_destroy(&c->end);
}

static unsigned
batch_size(struct crew *c)
{
	unsigned n = 1;

	/* What only the first call does (fetch, build an index) says nothing about the size. */
	(void)crew_batch(c, 1);
	for (;;) {
		double ns = crew_batch(c, n) * n;
		/* Nor does a time that something else was running in. */
		const double again = ns >= BATCH_NS / 2 ? crew_batch(c, n) * n : ns;
		ns = again < ns ? again : ns;
		if (ns >= BATCH_NS / 2 || n >= 1U << 26)
			break;
		n = ns < BATCH_NS / 100 ? n * 16 : n * 2;
	}
	return n;
}

/* ---- figures ----------------------------------------------------------------------------- */

static int
by_size(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

static double
median(double *v, size_t n)
{
	qsort(v, n, sizeof *v, by_size);
	return v[n / 2];
}

double
bench_alone(const struct bench_op *op, unsigned threads)
{
	struct crew c;
	double ns[ROUNDS];

	crew_start(&c, op, threads);
	const unsigned n = batch_size(&c);
	for (size_t i = 0; i < ROUNDS; i++)
		ns[i] = crew_batch(&c, n);
	crew_stop(&c);
	return median(ns, ROUNDS);
}

void
bench_head(const char *title)
{
	double load = 0;
	count_cpu = getloadavg(&load, 1) == 1 && load > 1.0;
	if (count_cpu)
		printf("\n(the machine is busy, load %.1f: processor time is counted)", load);
	printf("\n%-38s %7s %12s %12s %7s %7s\n", title, "threads", "ours ns/op", "raw ns/op",
		"ratio", "bar");
}

void
bench_pair(const struct bench_op *one, const struct bench_op *two, unsigned threads,
	double *ret_one, double *ret_two)
{
	struct crew c, d;
	double a[ROUNDS], b[ROUNDS];

	crew_start(&c, one, threads);
	crew_start(&d, two, threads);
	const unsigned na = batch_size(&c), nb = batch_size(&d);
	for (size_t i = 0; i < ROUNDS; i++) {
		/* in turns, and also who begins */
		if (i % 2 == 0)
			a[i] = crew_batch(&c, na);
		b[i] = crew_batch(&d, nb);
		if (i % 2 != 0)
			a[i] = crew_batch(&c, na);
	}
	crew_stop(&c);
	crew_stop(&d);
	*ret_one = median(a, ROUNDS);
	*ret_two = median(b, ROUNDS);
}

static bool
compare_once(const struct bench_row *row, unsigned threads)
{
	double ns, raw_ns;

	bench_pair(row->ours, row->raw, threads, &ns, &raw_ns);
	const double r = raw_ns / ns;
	const bool good = r >= row->bar;
	printf("%-38s %7u %12.0f %12.0f %7.3f", row->name, threads, ns, raw_ns, r);
	if (row->bar > 0)
		printf(" %7.2f%s", row->bar, good ? "" : "  BELOW");
	(void)putchar('\n');
	(void)fflush(stdout);
	return good;
}

bool
bench_compare(const struct bench_row *row, const unsigned *threads, size_t n_threads)
{
	bool good = true;

	for (size_t i = 0; i < n_threads; i++)
		good = compare_once(row, threads[i]) && good;
	return good;
}

bool
bench_figure(const char *name, double value, const char *unit, double limit)
{
	const bool good = limit == 0 || (limit > 0 ? value <= limit : value >= -limit);

	printf("%-38s %20.2f %s", name, value, unit);
	if (limit != 0)
		printf("   (%s %g%s)", limit > 0 ? "at most" : "at least",
			limit > 0 ? limit : -limit, good ? "" : "  MISSED");
	(void)putchar('\n');
	(void)fflush(stdout);
	return good;
}
