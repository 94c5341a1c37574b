/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Measuring two ways of doing the same in one run: batches of both take turns, so that whatever
 * else the machine does hits both; medians are compared.
 */
#ifndef TESTS_BENCH_H
#define TESTS_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* make gives what one thread works with; run does n operations; both end the program when they
 * cannot. */
struct bench_op {
	void *(*make)(void);
	void (*run)(void *work, unsigned n);
	void (*drop)(void *work);
};

struct bench_row {
	const char *name;
	const struct bench_op *ours, *raw;
	double bar; /* least ratio ours / raw in operations per second; 0: none */
};

/* Ends the program with a message. */
__attribute__((noreturn, format(printf, 1, 2))) void bench_die(const char *fmt, ...);
#define BENCH_REQUIRE(cond) \
	do { \
		if (!(cond)) \
			bench_die("%s:%d: %s", __FILE__, __LINE__, #cond); \
	} while (0)

/*
 * Zeroed and at the start of a page. Both sides of a comparison keep input and output at the same
 * places in it: how two buffers lie to each other alone can make a cipher a few per cent slower.
 */
void *bench_alloc(size_t n);
double bench_now_ns(void);
/* Nanoseconds per operation and thread: median of many batches. */
double bench_alone(const struct bench_op *op, unsigned threads);
/* The same for two that take turns. */
void bench_pair(const struct bench_op *one, const struct bench_op *two, unsigned threads,
	double *ret_one, double *ret_two);
/* A line for each number of threads; false when a bar is missed. */
bool bench_compare(const struct bench_row *row, const unsigned *threads, size_t n_threads);
void bench_head(const char *title);
/* A line for a figure with its limit ("at most" or, negative, "at least"); false when missed. */
bool bench_figure(const char *name, double value, const char *unit, double limit);

/* ---- plain OpenSSL, used as well as it can be: everything prepared, only the operation repeated.
 */
void bench_raw_init(void);
extern const struct bench_op raw_rsa_pkcs1, raw_rsa_pss, raw_oaep, raw_ecdsa, raw_gcm_16k,
	raw_gcm_64, raw_gcm_16k_open, raw_cbc_16k, raw_sha256, raw_hmac, raw_random;

enum { BENCH_ROOM = 16384 + 64, BENCH_BIG = 16384, BENCH_SMALL = 64, BENCH_TINY = 32 };

#endif
