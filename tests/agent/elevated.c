/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Run set-user-ID: is VOUCHSAFE_CONF ignored, and is no private agent started even for a profile
 * that names one?
 *
 *   elevated CONFIGURATION AGENT-PROGRAM
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/client.h"

/* The leak checker cannot look into a set-user-ID process. */
const char *__asan_default_options(void);
__attribute__((visibility("default"), used)) const char *
__asan_default_options(void)
{
	return "detect_leaks=0";
}

int
main(int argc, char **argv)
{
	struct vs_profile *profile = NULL;
	struct vs_arena *arena = NULL;
	struct vs_client *client = NULL;
	struct vs_grant *grant = NULL;
	if (argc != 3)
		return 2;
	if (!vs_profile_elevated()) {
		puts("not elevated");
		return 0;
	}
	if (setenv("VOUCHSAFE_CONF", argv[1], 1) != 0 || vs_failed(vs_profile_load(&profile, NULL)))
		return 2;
	puts(strcmp(profile->path, argv[1]) == 0 ? "environment read" : "environment ignored");
	snprintf(profile->path, sizeof profile->path, "%s", argv[1]);
	snprintf(profile->agent_program, sizeof profile->agent_program, "%s", argv[2]);
	snprintf(profile->agent_socket, sizeof profile->agent_socket, "%s.no-socket", argv[1]);
	profile->broken = false;
	profile->n_tokens = 1;
	snprintf(profile->tokens[0].label, sizeof profile->tokens[0].label, "data");
	if (vs_failed(vs_arena_new(65536, 1 << 20, VS_LOCK_WARN, &arena, NULL)) ||
		vs_failed(vs_client_new(profile, arena, &client, NULL)))
		return 2;
	const vs_rc rc = vs_client_need(
		client, 0, NULL, 0, vs_boot_now_ns() + INT64_C(5000000000), &grant, NULL);
	printf("need %s\n", vs_code_name(rc.code));
	vs_grant_unref(grant);
	vs_client_free(client);
	vs_arena_free(arena);
	vs_profile_free(profile);
	return 0;
}
