/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#include "base/latch.h"

enum { THREADS = 8, ROUNDS = 20000 };

static struct vs_latch latch;
static unsigned long number; /* only under the latch */
static _Atomic bool inside, began;

static void
rest_ms(long ms)
{
	const struct timespec t = {ms / 1000, ms % 1000 * 1000000};
	(void)nanosleep(&t, NULL);
}

static bool
is_free(void)
{
	const bool got = vs_latch_try(&latch);
	if (got)
		vs_latch_unlock(&latch);
	return got;
}

static int
set_up(void **state)
{
	(void)state;
	vs_latch_init(&latch);
	number = 0;
	atomic_store(&inside, false);
	atomic_store(&began, false);
	return 0;
}

static void *
add(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < ROUNDS; i++) {
		if (i % 3 != 0)
			vs_latch_lock(&latch);
		else
			while (!vs_latch_try(&latch))
				(void)sched_yield();
		const unsigned long was = number;
		/* Now and then somebody is interrupted inside, and the others have to sleep. */
		if (i % 1000 == 0)
			(void)sched_yield();
		number = was + 1;
		vs_latch_unlock(&latch);
	}
	return NULL;
}

static void
only_one_thread_is_inside_at_a_time(void **state)
{
	(void)state;
	pthread_t t[THREADS];
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, add, NULL), 0);
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(t[i], NULL), 0);
	assert_int_equal(number, (unsigned long)THREADS * ROUNDS);
	assert_true(is_free());
}

static void *
enter_once(void *arg)
{
	(void)arg;
	errno = ERANGE;
	atomic_store(&began, true);
	vs_latch_lock(&latch);
	atomic_store(&inside, true);
	const int kept = errno;
	vs_latch_unlock(&latch);
	return kept == ERANGE ? NULL : (void *)1;
}

/* It is on its way into the wait, or in it. */
static pthread_t
begin_waiting(void)
{
	pthread_t t;
	assert_int_equal(pthread_create(&t, NULL, enter_once, NULL), 0);
	while (!atomic_load(&began))
		(void)sched_yield();
	rest_ms(10);
	return t;
}

static void
end_waiting(pthread_t t)
{
	void *wrong = NULL;
	assert_int_equal(pthread_join(t, &wrong), 0);
	assert_null(wrong);
	assert_true(atomic_load(&inside));
	assert_true(is_free());
}

static void
one_that_waits_gets_in_when_the_other_leaves_and_not_before(void **state)
{
	(void)state;
	vs_latch_lock(&latch);
	assert_false(vs_latch_try(&latch));
	const pthread_t t = begin_waiting();
	/* Longer than several of its moments. */
	rest_ms(60);
	assert_false(atomic_load(&inside));
	vs_latch_unlock(&latch);
	end_waiting(t);
}

/* It would leave an operation half done: the call that it waits in ends as ever. */
static void
a_cancelled_thread_still_gets_in(void **state)
{
	(void)state;
	vs_latch_lock(&latch);
	const pthread_t t = begin_waiting();
	assert_int_equal(pthread_cancel(t), 0);
	rest_ms(20);
	vs_latch_unlock(&latch);
	end_waiting(t);
}

static void
one_that_waits_leaves_the_processor_alone(void **state)
{
	(void)state;
	clockid_t clock;
	struct timespec t0, t1;
	vs_latch_lock(&latch);
	const pthread_t t = begin_waiting();
	assert_int_equal(pthread_getcpuclockid(t, &clock), 0);
	assert_int_equal(clock_gettime(clock, &t0), 0);
	rest_ms(300);
	assert_int_equal(clock_gettime(clock, &t1), 0);
	vs_latch_unlock(&latch);
	end_waiting(t);
	/* Whoever spins has used all of it. */
	const double used =
		(double)(t1.tv_sec - t0.tv_sec) + (double)(t1.tv_nsec - t0.tv_nsec) / 1e9;
	assert_true(used < 0.1);
}

static void
on_signal(int sig)
{
	(void)sig;
}

static void
signals_let_nobody_in(void **state)
{
	(void)state;
	const struct sigaction sa = {.sa_handler = on_signal};
	assert_int_equal(sigaction(SIGUSR1, &sa, NULL), 0);
	vs_latch_lock(&latch);
	const pthread_t t = begin_waiting();
	for (unsigned i = 0; i < 50; i++) {
		assert_int_equal(pthread_kill(t, SIGUSR1), 0);
		rest_ms(1);
		assert_false(atomic_load(&inside));
	}
	vs_latch_unlock(&latch);
	end_waiting(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(only_one_thread_is_inside_at_a_time, set_up),
		cmocka_unit_test_setup(
			one_that_waits_gets_in_when_the_other_leaves_and_not_before, set_up),
		cmocka_unit_test_setup(a_cancelled_thread_still_gets_in, set_up),
		cmocka_unit_test_setup(one_that_waits_leaves_the_processor_alone, set_up),
		cmocka_unit_test_setup(signals_let_nobody_in, set_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
