/* SPDX-License-Identifier: BSD-2-Clause */
#include "lab/lab_keygen.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lab/lab_rsa.h"

enum { JOBS_MAX = 32, THREADS = 4 };

static const struct lab_key_row rows[LAB_KEY_COUNT_] = {
	[LAB_KEY_RSA2048] = {"rsa-2048", "RSA", 2048, NULL, NULL},
	[LAB_KEY_RSA3072] = {"rsa-3072", "RSA", 3072, NULL, NULL},
	[LAB_KEY_RSA4096] = {"rsa-4096", "RSA", 4096, NULL, NULL},
	[LAB_KEY_P256] = {"ec-p256", "EC", 0, "P-256", "P-256"},
	[LAB_KEY_P256K] = {"ec-p256k", "EC", 0, "P-256K", "secp256k1"},
	[LAB_KEY_P384] = {"ec-p384", "EC", 0, "P-384", "P-384"},
	[LAB_KEY_P521] = {"ec-p521", "EC", 0, "P-521", "P-521"},
	[LAB_KEY_OCT128] = {"oct-128", "oct", 128, NULL, NULL},
	[LAB_KEY_OCT192] = {"oct-192", "oct", 192, NULL, NULL},
	[LAB_KEY_OCT256] = {"oct-256", "oct", 256, NULL, NULL},
};

const struct lab_key_row *
lab_key_row(enum lab_key_type type)
{
	return (unsigned)type < LAB_KEY_COUNT_ && rows[type].name != NULL ? &rows[type] : NULL;
}

enum lab_key_type
lab_key_type_parse(const char *name)
{
	for (int i = 1; i < LAB_KEY_COUNT_; i++)
		if (strcmp(rows[i].name, name) == 0)
			return (enum lab_key_type)i;
	return LAB_KEY_NONE;
}

enum lab_key_type
lab_key_type_find(const char *kty, unsigned bits, const char *crv)
{
	for (int i = 1; i < LAB_KEY_COUNT_; i++) {
		const struct lab_key_row *r = &rows[i];
		if (strcmp(r->kty, kty) != 0)
			continue;
		if (r->crv != NULL ? crv != NULL && strcmp(r->crv, crv) == 0 : r->bits == bits)
			return (enum lab_key_type)i;
	}
	return LAB_KEY_NONE;
}

EVP_PKEY *
lab_keygen(enum lab_key_type type)
{
	const struct lab_key_row *row = lab_key_row(type);
	if (row == NULL || strcmp(row->kty, "oct") == 0)
		return NULL;
	if (row->group != NULL)
		return EVP_EC_gen(row->group);
	return lab_rsa_gen(row->bits);
}

struct lab_keygen_pool {
	pthread_mutex_t lock;
	size_t n, next, n_threads;
	struct lab_keygen_job jobs[JOBS_MAX];
	pthread_t threads[THREADS];
};

static void *
work(void *arg)
{
	struct lab_keygen_pool *pool = arg;
	for (;;) {
		pthread_mutex_lock(&pool->lock);
		const size_t i = pool->next++;
		pthread_mutex_unlock(&pool->lock);
		if (i >= pool->n)
			return NULL;
		*pool->jobs[i].ret = lab_keygen(pool->jobs[i].type);
	}
}

VS_RC
lab_keygen_start(const struct lab_keygen_job *jobs, size_t n, struct lab_keygen_pool **ret,
	struct vs_err *err)
{
	VS_REQUIRE(err, n <= JOBS_MAX);
	struct lab_keygen_pool *pool = calloc(1, sizeof(*pool));
	if (pool == NULL)
		VS_FAIL(err, MEMORY, "out of memory");
	pthread_mutex_init(&pool->lock, NULL);
	pool->n = n;
	memcpy(pool->jobs, jobs, n * sizeof(*jobs));
	for (size_t i = 0; i < n; i++)
		*jobs[i].ret = NULL;
	for (size_t i = 0; i < THREADS; i++)
		if (pthread_create(&pool->threads[pool->n_threads], NULL, work, pool) == 0)
			pool->n_threads++;
	*ret = pool;
	return VS_OK;
}

VS_RC
lab_keygen_wait(struct lab_keygen_pool *pool, struct vs_err *err)
{
	bool all = true;
	for (size_t i = 0; i < pool->n_threads; i++)
		pthread_join(pool->threads[i], NULL);
	for (size_t i = 0; i < pool->n; i++)
		all = all && *pool->jobs[i].ret != NULL;
	pthread_mutex_destroy(&pool->lock);
	free(pool);
	if (!all)
		VS_FAIL(err, CRYPTO, "a key pair of the lab could not be made");
	return VS_OK;
}
