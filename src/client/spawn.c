/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * posix_spawn in a helper that shares our memory while we are suspended, and whose exit signal is
 * 0: only a wait for exactly that number with __WCLONE sees it. When it ends, the agent's parent
 * becomes init.
 */
#include "client/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PRIVATE_FD = 3, STACK_BYTES = 64 * 1024 };

struct order {
	const char *program;
	char *const *argv;
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	int result; /* of posix_spawn */
};

static int
run_order(void *arg)
{
	struct order *o = arg;
	char *const no_environment[] = {NULL};
	pid_t pid = 0;
	o->result = posix_spawn(&pid, o->program, &o->actions, &o->attr, o->argv, no_environment);
	return 0;
}

/* The helper, with all signals blocked so that no handler of the host runs in it. */
static VS_RC
run_helper(struct order *o, struct vs_err *err)
{
	void *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (stack == MAP_FAILED)
		VS_FAIL_N(err, MEMORY, errno, "no memory to start the agent");
	sigset_t all, old;
	sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	const pid_t pid = clone(run_order, (char *)stack + STACK_BYTES, CLONE_VM | CLONE_VFORK, o);
	const int clone_errno = errno;
	if (pid > 0)
		while (waitpid(pid, NULL, (int)__WCLONE) < 0 && errno == EINTR)
			;
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	(void)munmap(stack, STACK_BYTES);
	if (pid < 0)
		VS_FAIL_N(err, AGENT, clone_errno, "a private agent cannot be started: %s",
			strerror(clone_errno));
	if (o->result != 0)
		VS_FAIL_N(err, AGENT, o->result, "%s cannot be started: %s", o->program,
			strerror(o->result));
	return VS_OK;
}

static bool
fill_order(struct order *o, int fd)
{
	sigset_t all, none;
	sigfillset(&all);
	sigemptyset(&none);
	bool ok = posix_spawn_file_actions_adddup2(&o->actions, fd, PRIVATE_FD) == 0;
	ok = ok && posix_spawn_file_actions_addopen(&o->actions, 0, "/dev/null", O_RDWR, 0) == 0;
	ok = ok && posix_spawn_file_actions_adddup2(&o->actions, 0, 1) == 0;
	ok = ok && posix_spawn_file_actions_adddup2(&o->actions, 0, 2) == 0;
	ok = ok && posix_spawn_file_actions_addclosefrom_np(&o->actions, PRIVATE_FD + 1) == 0;
	ok = ok && posix_spawnattr_setsigdefault(&o->attr, &all) == 0;
	ok = ok && posix_spawnattr_setsigmask(&o->attr, &none) == 0;
	return ok &&
		posix_spawnattr_setflags(&o->attr,
			(short)(POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF |
				POSIX_SPAWN_SETSIGMASK)) == 0;
}

static VS_RC
spawn_with(const char *program, const char *config, int fd, struct vs_err *err)
{
	char text[2][1024], number[16], option[2][16];
	snprintf(text[0], sizeof text[0], "%s", program);
	snprintf(text[1], sizeof text[1], "%s", config);
	snprintf(number, sizeof number, "%d", PRIVATE_FD);
	snprintf(option[0], sizeof option[0], "--config");
	snprintf(option[1], sizeof option[1], "--private");
	char *const argv[] = {text[0], option[0], text[1], option[1], number, NULL};
	struct order o = {.program = program, .argv = argv, .result = ENOMEM};
	if (posix_spawn_file_actions_init(&o.actions) != 0)
		VS_FAIL(err, MEMORY, "no memory to start the agent");
	if (posix_spawnattr_init(&o.attr) != 0) {
		(void)posix_spawn_file_actions_destroy(&o.actions);
		VS_FAIL(err, MEMORY, "no memory to start the agent");
	}
	vs_rc rc = VS_OK;
	if (fill_order(&o, fd))
		rc = run_helper(&o, err);
	else
		rc = vs_err_put(
			err, VS_E_MEMORY, __func__, __LINE__, 0, "no memory to start the agent");
	(void)posix_spawnattr_destroy(&o.attr);
	(void)posix_spawn_file_actions_destroy(&o.actions);
	return rc;
}

/* Hosts may have closed 0 to 2; ours must not be taken for their standard streams. */
static int
above_stdio(int fd)
{
	if (fd > 2)
		return fd;
	const int up = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	(void)close(fd);
	return up;
}

VS_RC
vs_spawn_agent(const char *program, const char *config, int *ret_fd, struct vs_err *err)
{
	int pair[2] = {-1, -1};
	if (program[0] != '/')
		VS_FAIL(err, AGENT, "the setting agent-program is not an absolute path");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
		VS_FAIL_N(err, AGENT, errno, "a socket cannot be made: %s", strerror(errno));
	pair[0] = above_stdio(pair[0]);
	pair[1] = above_stdio(pair[1]);
	vs_rc rc = VS_OK;
	if (pair[0] < 0 || pair[1] < 0)
		rc = vs_err_put(
			err, VS_E_AGENT, __func__, __LINE__, errno, "no descriptor is left");
	else
		rc = spawn_with(program, config, pair[1], err);
	if (pair[1] >= 0)
		(void)close(pair[1]);
	if (vs_failed(rc)) {
		if (pair[0] >= 0)
			(void)close(pair[0]);
		return rc;
	}
	*ret_fd = pair[0];
	return VS_OK;
}
