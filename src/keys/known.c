/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the vault said of a key or certificate the last time, for as long as its list says that
 * nothing has changed since: a list that is asked for often costs one request then, not one for
 * each key. Only public data; what is released must match them anyway.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "keys/akv_impl.h"

enum {
	KNOWN_MAX = 256, /* of a token; what is beyond is fetched each time */
	KNOWN_AGE_MAX_S = 300,
	SETTLE_S = 2, /* stamps count whole seconds: two changes in one look alike */
};

struct known {
	char *what; /* NULL: free */
	struct vs_akv_stamp stamp;
	int64_t fetched_unix;
	struct vs_json *root;
};

struct vs_akv_known {
	pthread_mutex_t lock;
	struct known rows[KNOWN_MAX];
};

static void
forget(struct known *k)
{
	free(k->what);
	vs_json_free(k->root);
	*k = (struct known){0};
}

VS_RC
vs_akv_known_new(struct vs_akv_known **ret, struct vs_err *err)
{
	struct vs_akv_known *k = calloc(1, sizeof *k);

	if (k == NULL)
		VS_FAIL(err, MEMORY, "no memory for the vault client");
	pthread_mutex_init(&k->lock, NULL);
	*ret = k;
	return VS_OK;
}

void
vs_akv_known_free(struct vs_akv_known *k)
{
	if (k == NULL)
		return;
	for (size_t i = 0; i < KNOWN_MAX; i++)
		forget(&k->rows[i]);
	pthread_mutex_destroy(&k->lock);
	free(k);
}

struct vs_akv_stamp
vs_akv_stamp_of(const struct vs_json *item)
{
	struct vs_akv_stamp s = {0};

	s.given = vs_json_int(vs_json_path(item, "attributes.updated"), &s.updated) &&
		vs_json_int(vs_json_path(item, "attributes.created"), &s.created) &&
		vs_json_bool(vs_json_path(item, "attributes.enabled"), &s.enabled);
	return s;
}

static bool
still_true(const struct known *k, const struct vs_akv_stamp *stamp, int64_t now_unix)
{
	return stamp->given && k->stamp.updated == stamp->updated &&
		k->stamp.created == stamp->created && k->stamp.enabled == stamp->enabled &&
		now_unix >= k->fetched_unix && now_unix - k->fetched_unix < KNOWN_AGE_MAX_S;
}

struct vs_json *
vs_akv_known_take(struct vs_akv_known *k, const char *what, const struct vs_akv_stamp *stamp,
	int64_t now_unix, int64_t *ret_fetched_unix)
{
	struct vs_json *root = NULL;

	pthread_mutex_lock(&k->lock);
	for (size_t i = 0; i < KNOWN_MAX; i++) {
		struct known *row = &k->rows[i];
		if (row->what == NULL || strcmp(row->what, what) != 0)
			continue;
		if (still_true(row, stamp, now_unix)) {
			root = VS_TAKE(row->root);
			*ret_fetched_unix = row->fetched_unix;
		}
		forget(row);
		break;
	}
	pthread_mutex_unlock(&k->lock);
	return root;
}

void
vs_akv_known_put(struct vs_akv_known *k, const char *what, const struct vs_akv_stamp *stamp,
	int64_t now_unix, int64_t fetched_unix, struct vs_json *root)
{
	struct known *place = NULL;

	if (root == NULL)
		return;
	pthread_mutex_lock(&k->lock);
	for (size_t i = 0; i < KNOWN_MAX; i++) {
		struct known *row = &k->rows[i];
		if (row->what != NULL && now_unix - row->fetched_unix >= KNOWN_AGE_MAX_S)
			forget(row);
		if (row->what == NULL && place == NULL)
			place = row;
	}
	const bool settled = stamp->given && fetched_unix >= stamp->updated + SETTLE_S;
	char *name = place != NULL && settled ? strdup(what) : NULL;
	if (name != NULL)
		*place = (struct known){name, *stamp, fetched_unix, root};
	else
		vs_json_free(root);
	pthread_mutex_unlock(&k->lock);
}
