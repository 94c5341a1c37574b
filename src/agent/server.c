/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/server.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/watch.h"
#include "base/clock.h"
#include "base/log.h"

enum { BACKLOG = 128, FINISH_MS = 5000, ACCEPT_PER_ROUND = 16, ACCEPT_PAUSE_MS = 500 };

/* ---- coming and going ----------------------------------------------------------------------- */

static void
listen_again(void *arg)
{
	const struct vs_server *s = arg;
	vs_loop_set(s->listen_src, EPOLLIN);
}

static void
on_listen(void *arg, uint32_t events)
{
	struct vs_server *s = arg;
	(void)events;
	for (int i = 0; i < ACCEPT_PER_ROUND; i++) {
		struct vs_err err = {0};
		const int fd = accept4(s->env.listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0 && errno != EAGAIN && errno != ECONNABORTED && errno != EINTR) {
			/* No descriptor or memory is left: asking again at once would only spin. */
			vs_log(&s->env.log, VS_LOG_WARN, "agent", "a connection has to wait: %s",
				strerror(errno));
			vs_loop_set(s->listen_src, 0);
			vs_timer_set(s->loop, &s->listen_timer,
				vs_boot_now_ns() + ACCEPT_PAUSE_MS * INT64_C(1000000));
		}
		if (fd < 0)
			return;
		if (vs_failed(vs_peer_new(s, fd, &err)))
			vs_log_err(
				&s->env.log, VS_LOG_WARN, "agent", "a connection is refused", &err);
	}
}

void
vs_server_peer_gone(struct vs_server *s)
{
	if (s->env.private_fd >= 0 && s->n_peers == 0)
		vs_loop_stop(s->loop);
}

static void
on_signal(void *arg, uint32_t events)
{
	struct vs_server *s = arg;
	struct signalfd_siginfo info;
	(void)events;
	if (read(s->signal_fd, &info, sizeof info) != (ssize_t)sizeof info)
		return;
	vs_log(&s->env.log, VS_LOG_INFO, "agent", "signal %u: revoking all leases, then ending",
		info.ssi_signo);
	s->ending = true;
	vs_loop_stop(s->loop);
}

/* ---- making --------------------------------------------------------------------------------- */

static VS_RC
watch_signals(struct vs_server *s, struct vs_err *err)
{
	sigset_t set;
	sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP);
	(void)pthread_sigmask(SIG_BLOCK, &set, NULL);
	s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->signal_fd < 0)
		VS_FAIL_N(err, INTERNAL, errno, "signals cannot be watched: %s", strerror(errno));
	return vs_loop_add(s->loop, s->signal_fd, EPOLLIN, on_signal, s, &s->signal_src, err);
}

static void
token_status(void *arg, size_t token, struct vs_keeper_status *ret)
{
	const struct vs_server *s = arg;
	if (token < s->n_tokens)
		vs_keeper_status(s->tokens[token].keeper, ret);
}

static VS_RC
make_watch(struct vs_server *s, struct vs_err *err)
{
	const struct vs_watch_env env = {.core = s->env.core,
		.loop = s->loop,
		.work = s->work,
		.private_agent = s->env.private_fd >= 0,
		.status = token_status,
		.arg = s};
	VS_TRY(vs_watch_new(&env, &s->watch, err));
	vs_watch_touch(s->watch);
	return VS_OK;
}

static VS_RC
make_tokens(struct vs_server *s, struct vs_err *err)
{
	const struct vs_conf *conf = vs_core_conf(s->env.core);
	VS_REQUIRE(err, conf->n_tokens <= VS_MSG_TOKENS_MAX);
	s->tokens = calloc(conf->n_tokens + 1, sizeof *s->tokens);
	if (!s->tokens)
		VS_FAIL(err, MEMORY, "out of memory");
	for (size_t i = 0; i < conf->n_tokens; i++) {
		const struct vs_keeper_env env = {.core = s->env.core,
			.loop = s->loop,
			.work = s->work,
			.token = &conf->tokens[i],
			.watch = s->watch};
		VS_TRY(vs_keeper_new(&env, &s->tokens[i].keeper, err));
		s->n_tokens = i + 1;
		VS_TRY(vs_metadata_new(&env, &s->tokens[i].metadata, err));
	}
	return VS_OK;
}

static VS_RC
set_up(struct vs_server *s, struct vs_err *err)
{
	const struct vs_rng rng = vs_rng_system();
	VS_TRY(rng.ops->fill(rng.self, s->instance, sizeof s->instance, err));
	VS_TRY(vs_loop_new(&s->loop, err));
	VS_TRY(vs_work_new(s->loop, &s->work, err));
	VS_TRY(watch_signals(s, err));
	if (s->env.core) {
		/* With audit = required and no log, it serves and refuses with that reason. */
		if (vs_failed(vs_record_start(s->env.core, s->env.private_fd >= 0, NULL)))
			vs_log(&s->env.log, VS_LOG_ERROR, "agent", "the start was not recorded");
		VS_TRY(make_watch(s, err));
		VS_TRY(make_tokens(s, err));
	}
	if (s->env.listen_fd >= 0)
		VS_TRY(vs_loop_add(
			s->loop, s->env.listen_fd, EPOLLIN, on_listen, s, &s->listen_src, err));
	if (s->env.private_fd >= 0)
		VS_TRY(vs_peer_new(s, s->env.private_fd, err));
	return VS_OK;
}

/* ---- ending --------------------------------------------------------------------------------- */

static void
revoke_all(struct vs_server *s)
{
	struct vs_err reason = {0};
	(void)vs_err_put(&reason, VS_E_REVOKED, __func__, __LINE__, 0, "the agent was told to end");
	for (size_t i = 0; i < s->n_tokens; i++)
		vs_keeper_reset(s->tokens[i].keeper, &reason);
}

static void
tear_down(struct vs_server *s, bool *ret_clean)
{
	const bool private = s->env.private_fd >= 0;
	/* A private agent that lost its only peer leaves the page to run out: nobody but that
	 * process has it, and a host that closed our descriptor is still entitled to its lease. */
	if (s->ending || !private)
		revoke_all(s);
	vs_timer_clear(&s->listen_timer);
	vs_watch_stop(s->watch);
	if (s->listen_src)
		vs_loop_remove(s->listen_src);
	if (s->env.listen_fd >= 0)
		(void)close(s->env.listen_fd);
	while (s->peers)
		vs_peer_drop(s->peers);
	for (size_t i = 0; i < s->n_tokens; i++)
		vs_keeper_flush_uses(s->tokens[i].keeper);
	*ret_clean = !s->work ||
		vs_work_finish(s->work, vs_boot_now_ns() + FINISH_MS * INT64_C(1000000));
	if (s->env.core &&
		vs_failed(vs_record_event(
			s->env.core, "stop", NULL, NULL, vs_who_self(), NULL, NULL)))
		vs_log(&s->env.log, VS_LOG_ERROR, "agent", "the end was not recorded");
	if (!*ret_clean)
		return;
	for (size_t i = 0; i < s->n_tokens; i++) {
		vs_keeper_free(s->tokens[i].keeper);
		vs_metadata_free(s->tokens[i].metadata);
	}
	free(s->tokens);
	vs_watch_free(s->watch);
	if (s->signal_src)
		vs_loop_remove(s->signal_src);
	if (s->signal_fd >= 0)
		(void)close(s->signal_fd);
	vs_work_free(s->work);
	vs_loop_free(s->loop);
	free(s);
}

VS_RC
vs_server_run(const struct vs_server_env *env, bool *ret_clean, struct vs_err *err)
{
	struct vs_server *s = calloc(1, sizeof *s);
	*ret_clean = true;
	if (!s)
		VS_FAIL(err, MEMORY, "out of memory");
	s->env = *env;
	s->signal_fd = -1;
	s->listen_timer = (struct vs_timer){.fn = listen_again, .arg = s};
	vs_rc rc = set_up(s, err);
	if (!vs_failed(rc))
		rc = vs_loop_run(s->loop, err);
	tear_down(s, ret_clean);
	return rc;
}

/* ---- a socket of our own -------------------------------------------------------------------- */

static bool
somebody_listens(const struct sockaddr_un *addr)
{
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const bool yes = fd >= 0 &&
		(connect(fd, (const struct sockaddr *)addr, sizeof *addr) == 0 || errno == EAGAIN);
	if (fd >= 0)
		(void)close(fd);
	return yes;
}

VS_RC
vs_server_listen(const char *path, int *ret_fd, struct vs_err *err)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct stat st;
	if (strlen(path) >= sizeof addr.sun_path)
		VS_FAIL(err, SOCKET, "%.200s: longer than a socket's path may be", path);
	memcpy(addr.sun_path, path, strlen(path) + 1);
	if (somebody_listens(&addr))
		VS_FAIL(err, SOCKET, "%s: another agent listens there", path);
	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
		(void)unlink(path);
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&addr, sizeof addr) != 0 ||
		chmod(path, 0666) != 0 || listen(fd, BACKLOG) != 0) {
		const int error = errno;
		if (fd >= 0)
			(void)close(fd);
		VS_FAIL_N(err, SOCKET, error, "%s: %s", path, strerror(error));
	}
	*ret_fd = fd;
	return VS_OK;
}
