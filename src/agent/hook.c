/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/watch.h"
#include "base/file.h"
#include "proto/page.h"

enum { STEP_MS = 100 };

struct child {
	pid_t pid;
	int in; /* its standard input */
};

static VS_RC
set_up(posix_spawn_file_actions_t *actions, posix_spawnattr_t *attr, int in)
{
	sigset_t none, all;
	sigemptyset(&none);
	sigfillset(&all);
	(void)posix_spawnattr_setsigmask(attr, &none);
	(void)posix_spawnattr_setsigdefault(attr, &all);
	(void)posix_spawnattr_setflags(
		attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
	const int bad = posix_spawn_file_actions_adddup2(actions, in, STDIN_FILENO) |
		posix_spawn_file_actions_addopen(actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	return bad ? (vs_rc){.code = VS_E_MEMORY} : VS_OK;
}

static VS_RC
start(const char *program, struct child *ret, struct vs_err *err)
{
	static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
	char *const env[] = {path, NULL};
	char *const argv[] = {(char *)(uintptr_t)program, NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	int pipe_fd[2];
	if (pipe2(pipe_fd, O_CLOEXEC) != 0)
		VS_FAIL_N(err, FILE, errno, "no pipe for %s: %s", program, strerror(errno));
	(void)fcntl(pipe_fd[1], F_SETFL, O_NONBLOCK);
	(void)posix_spawn_file_actions_init(&actions);
	(void)posix_spawnattr_init(&attr);
	int bad = ENOMEM;
	if (!vs_failed(set_up(&actions, &attr, pipe_fd[0])))
		bad = posix_spawn(&ret->pid, program, &actions, &attr, argv, env);
	(void)posix_spawn_file_actions_destroy(&actions);
	(void)posix_spawnattr_destroy(&attr);
	(void)close(pipe_fd[0]);
	if (bad != 0) {
		(void)close(pipe_fd[1]);
		VS_FAIL_N(err, FILE, bad, "%s cannot be started: %s", program, strerror(bad));
	}
	ret->in = pipe_fd[1];
	return VS_OK;
}

static void
close_input(struct child *c)
{
	if (c->in >= 0)
		(void)close(c->in);
	c->in = -1;
}

/* As much as it takes now; a program that does not read its input is no error. */
static void
feed(struct child *c, struct vs_bytes *input)
{
	const ssize_t n = input->n ? write(c->in, input->p, input->n) : 0;
	if (n > 0) {
		input->p += n;
		input->n -= (size_t)n;
	}
	if (input->n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		close_input(c);
}

/* False: it did not end in time. */
static bool
attend(struct child *c, int pid_fd, struct vs_bytes input, const _Atomic bool *stop)
{
	const int64_t deadline = vs_boot_now_ns() + VS_HOOK_MS * INT64_C(1000000);
	while (!atomic_load(stop) && vs_boot_now_ns() < deadline) {
		struct pollfd p[2] = {{.fd = pid_fd, .events = POLLIN},
			{.fd = c->in, .events = POLLOUT}}; /* -1 is passed over */
		if (poll(p, 2, STEP_MS) < 0 && errno != EINTR)
			return false;
		if (p[0].revents)
			return true;
		if (p[1].revents)
			feed(c, &input);
	}
	return false;
}

vs_rc
vs_hook_run(
	const char *program, struct vs_bytes input, const _Atomic bool *stop, struct vs_err *err)
{
	struct child c = {.in = -1};
	int status = 0;
	VS_TRY(vs_file_trusted(program, err));
	VS_TRY(start(program, &c, err));
	const int pid_fd = pidfd_open(c.pid, 0);
	const bool ended = pid_fd >= 0 && attend(&c, pid_fd, input, stop);
	close_input(&c);
	if (pid_fd >= 0)
		(void)close(pid_fd);
	/* It leads a session of its own: whatever it has started ends with it. */
	if (!ended)
		(void)kill(-c.pid, SIGKILL);
	while (waitpid(c.pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!ended)
		VS_FAIL(err, FILE, "%s did not end within %d s and was killed", program,
			VS_HOOK_MS / 1000);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		VS_FAIL(err, FILE, "%s ended with %s %d", program,
			WIFEXITED(status) ? "status" : "signal",
			WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
	return VS_OK;
}
