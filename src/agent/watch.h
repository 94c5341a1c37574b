/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What operators watch: numbers for Prometheus in a file that is replaced as a whole, and a program
 * that is told of each refusal. Called on the loop's thread, which never waits for either.
 */
#ifndef VS_AGENT_WATCH_H
#define VS_AGENT_WATCH_H

#include "agent/keeper.h"

struct vs_watch;

struct vs_watch_env {
	struct vs_core *core;
	struct vs_loop *loop;
	struct vs_work *work;
	bool private_agent; /* one of many: no file of numbers */
	/* State of the i-th token now. */
	void (*status)(void *arg, size_t token, struct vs_keeper_status *ret);
	void *arg;
};
VS_RC vs_watch_new(const struct vs_watch_env *env, struct vs_watch **ret, struct vs_err *err);
/* The file is to be written soon. */
void vs_watch_touch(struct vs_watch *w);
/* No timer and no program after this; what runs is told to end. Before the workers are finished. */
void vs_watch_stop(struct vs_watch *w);
/* No job may run any more. NULL-safe. */
void vs_watch_free(struct vs_watch *w);

struct vs_watch_attempt {
	const struct vs_conf_token *token;
	bool renewal;
	vs_rc rc;
	const char *sentence;
	const struct vs_verdict *verdict;
	int64_t took_ns;
};
/* NULL-safe, as is the next. */
void vs_watch_attempt(struct vs_watch *w, const struct vs_watch_attempt *a);
void vs_watch_release(struct vs_watch *w, const struct vs_conf_token *token, vs_rc rc);

/* ---- hook.c --------------------------------------------------------------------------------- */

enum { VS_HOOK_MS = 10000 };
/*
 * Run a program without a shell, without arguments, with an almost empty environment and input on
 * its standard input; wait at most VS_HOOK_MS, or until *stop, then kill it. Blocks: on a worker.
 * Errors: CONFIG_FILE (it may be changed by others), FILE (it cannot be started, ended badly, or
 * took too long).
 */
VS_RC vs_hook_run(
	const char *program, struct vs_bytes input, const _Atomic bool *stop, struct vs_err *err);

#endif
