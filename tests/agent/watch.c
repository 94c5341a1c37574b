/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For shell tests: takes a grant and a key like the module does, says how long that took, then
 * says what the lease page says until it is no longer OK, or the time is over.
 *
 *   watch TOKEN-NUMBER KEY-NAME SECONDS
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/client.h"

#define S INT64_C(1000000000)

static int
say(const char *what, vs_rc rc, const struct vs_err *err)
{
	char text[1600];
	vs_err_sentence(err, text, sizeof text);
	printf("%s %s: %s\n", what, vs_code_name(rc.code), text);
	return 1;
}

static void
watch(const struct vs_page *page, uint32_t no, int64_t until)
{
	const struct timespec pause = {.tv_nsec = 10000000};
	enum vs_code seen = VS_E_OK;
	while (seen == VS_E_OK && vs_boot_now_ns() < until) {
		nanosleep(&pause, NULL);
		seen = vs_page_allows(page, no, false);
	}
	printf("page %s reason %s\n", seen == VS_E_OK ? "OK" : vs_code_name(seen),
		vs_code_name(vs_code_from_number(atomic_load(&page->reason))));
}

static int
use(struct vs_client *client, size_t token, const char *name, int seconds, int64_t began)
{
	struct vs_err err = {0};
	struct vs_grant *grant = NULL;
	struct vs_secret secret = {0};
	struct vs_token_status st = {0};
	uint32_t no = 0;
	const int64_t deadline = began + 60 * S;
	vs_rc rc = vs_client_need(client, token, NULL, 0, deadline, &grant, &err);
	if (vs_failed(rc))
		return say("need", rc, &err);
	rc = vs_client_key(client, grant, vs_bytes_str(name), vs_bytes_str(""), deadline, NULL,
		&secret, &no, &err);
	if (!vs_failed(rc)) {
		printf("key of %zu bytes after %lld us\n", secret.n,
			(long long)((vs_boot_now_ns() - began) / 1000));
		fflush(stdout);
	}
	if (!vs_failed(rc) && seconds > 0)
		watch(vs_grant_page(grant), no, vs_boot_now_ns() + seconds * S);
	vs_secret_done(&secret);
	vs_grant_unref(grant);
	if (vs_failed(rc))
		return say("key", rc, &err);
	if (!vs_failed(vs_client_status(client, token, vs_boot_now_ns() + 5 * S, &st, &err)))
		printf("status %s lab=%d: %s\n", st.state, st.lab, st.last_sentence);
	return 0;
}

int
main(int argc, char **argv)
{
	struct vs_err err = {0};
	struct vs_profile *profile = NULL;
	struct vs_arena *arena = NULL;
	struct vs_client *client = NULL;
	if (argc != 4)
		return 2;
	size_t token = 0;
	int seconds = 0;
	if (sscanf(argv[1], "%zu", &token) != 1 || sscanf(argv[3], "%d", &seconds) != 1)
		return 2;
	const int64_t began = vs_boot_now_ns();
	if (vs_failed(vs_profile_load(&profile, &err)) ||
		vs_failed(vs_arena_new(65536, 1 << 20, VS_LOCK_WARN, &arena, &err)) ||
		vs_failed(vs_client_new(profile, arena, &client, &err)))
		return 2;
	const int status = use(client, token, argv[2], seconds, began);
	vs_client_free(client);
	vs_arena_free(arena);
	vs_profile_free(profile);
	return status;
}
