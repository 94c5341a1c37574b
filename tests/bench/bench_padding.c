/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Can PKCS#1 v1.5 padding that is wrong be told from padding that is right by the time that
 * unpadding takes (T-P4)? Blocks of two classes in random order, at least 10^5 of each; Welch's t
 * over the times, slowest tail cut away. |t| above 4.42 is a difference at p < 10^-5. Exit status 1
 * then.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "crypto/ossl.h"
#include "crypto/rsa_pad.h"

enum { K = 256, SAMPLES = 120000, T_LIMIT_CENTI = 442 };

static struct vs_ossl *o;
static uint8_t secret[VS_RSA_PAD_SECRET_BYTES];

/* 00 02 PS 00 M with a message of n octets; kind says what is wrong with it. */
static void
make_block(uint8_t em[K], int kind, size_t n)
{
	memset(em, 0x77, K);
	em[0] = kind == 1 ? 1 : 0;
	em[1] = kind == 2 ? 1 : 2;
	em[K - 1 - n] = kind == 3 ? 1 : 0;
	if (kind == 3)
		memset(em + K - n, 0x55, n);
	if (kind == 4)
		em[5] = 0; /* padding string too short */
}

struct class
{
	const char *name;
	int kind;
	size_t n;
};

static int
by_size(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

struct moments {
	double n, mean, variance;
};

static struct moments
moments_of(const double *v, size_t n, double cut)
{
	struct moments m = {0};
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		if (v[i] <= cut) {
			m.n += 1;
			sum += v[i];
		}
	m.mean = sum / m.n;
	for (size_t i = 0; i < n; i++)
		if (v[i] <= cut)
			m.variance += (v[i] - m.mean) * (v[i] - m.mean) / (m.n - 1);
	return m;
}

static double
welch(const double *a, const double *b)
{
	static double all[2 * SAMPLES];

	memcpy(all, a, SAMPLES * sizeof *a);
	memcpy(all + SAMPLES, b, SAMPLES * sizeof *b);
	qsort(all, 2 * SAMPLES, sizeof *all, by_size);
	const double cut = all[2 * SAMPLES / 10 * 9];
	const struct moments x = moments_of(a, SAMPLES, cut), y = moments_of(b, SAMPLES, cut);
	return (x.mean - y.mean) / sqrt(x.variance / x.n + y.variance / y.n);
}

static double
time_one(const uint8_t em[K], const uint8_t ct[K])
{
	uint8_t out[K];
	size_t n = 0;
	const double start = bench_now_ns();
	if (vs_failed(vs_rsa_unpad_implicit(o, secret, vs_bytes_of(ct, K), em, K, out, &n, NULL)))
		bench_die("unpadding failed");
	return bench_now_ns() - start;
}

static double
compare(const struct class *good, const struct class *other)
{
	static double times[2][SAMPLES];
	static uint8_t em[2][K], block[K], ct[K];
	size_t taken[2] = {0};
	uint64_t random = 0;

	make_block(em[0], good->kind, good->n);
	make_block(em[1], other->kind, other->n);
	while (taken[0] < SAMPLES || taken[1] < SAMPLES) {
		if (vs_failed(vs_random(&random, sizeof random, NULL)) ||
			vs_failed(vs_random(ct, K, NULL)))
			bench_die("no random bytes");
		const unsigned which = (unsigned)(random & 1);
		if (taken[which] == SAMPLES)
			continue;
		/* the same memory for both */
		memcpy(block, em[which], K);
		times[which][taken[which]++] = time_one(block, ct);
	}
	return welch(times[0], times[1]);
}

int
main(void)
{
	static const struct class classes[] = {
		{"right, message of 32 octets", 0, 32},
		{"right, the same again (control)", 0, 32},
		{"right, empty message", 0, 0},
		{"right, longest message", 0, K - 11},
		{"wrong first octet", 1, 32},
		{"wrong second octet", 2, 32},
		{"no zero octet", 3, 32},
		{"padding string too short", 4, 32},
	};
	bool good = true;

	if (vs_failed(vs_ossl_new(&o, NULL)) || vs_failed(vs_random(secret, sizeof secret, NULL)))
		bench_die("cannot start");
	printf("%-36s %8s\n", "against: right, 32 octets", "t");
	for (size_t i = 1; i < sizeof classes / sizeof classes[0]; i++) {
		const double t = compare(&classes[0], &classes[i]);
		const bool same = fabs(t) * 100 < T_LIMIT_CENTI;
		printf("%-36s %8.2f%s\n", classes[i].name, t, same ? "" : "  DIFFERENT");
		(void)fflush(stdout);
		good = good && same;
	}
	vs_ossl_unref(o);
	return good ? 0 : 1;
}
