/* SPDX-License-Identifier: BSD-2-Clause */
#include "lab/lab_proxy.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lab/lab_tpm.h"

enum { CLIENTS_MAX = 32, FIXED = 3, CMD_SET_LOCALITY = 5, PTM_FAIL = 9, SEND_MS = 2000 };

struct client {
	int fd; /* -1: free */
	bool control;
	pid_t peer;
	size_t n;
	uint8_t in[LAB_TPM_MESSAGE_MAX];
};

struct lab_proxy {
	char path[sizeof((struct sockaddr_un *)0)->sun_path];
	lab_proxy_fn *fn;
	void *arg;
	int listen_fd[2]; /* data, control */
	int wake[2];
	pthread_t thread;
	bool running;
	struct client clients[CLIENTS_MAX];
};

static vs_rc
listen_on(const char *path, int *ret, struct vs_err *err)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof sa.sun_path)
		VS_FAIL(err, SOCKET, "%s is too long for a socket; use a shorter directory", path);
	memcpy(sa.sun_path, path, strlen(path) + 1);
	unlink(path);
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&sa, sizeof sa) != 0 ||
		chmod(path, 0600) != 0 || listen(fd, 128) != 0) {
		const int e = errno;
		if (fd >= 0)
			close(fd);
		VS_FAIL_N(err, SOCKET, e, "cannot listen on %s: %s", path, strerror(e));
	}
	*ret = fd;
	return VS_OK;
}

static void
drop(struct client *c)
{
	close(c->fd);
	c->fd = -1;
	c->n = 0;
}

static bool
send_all(int fd, const uint8_t *p, size_t n)
{
	while (n > 0) {
		const ssize_t put = send(fd, p, n, MSG_NOSIGNAL);
		if (put < 0 && errno == EAGAIN) {
			struct pollfd pfd = {.fd = fd, .events = POLLOUT};
			if (poll(&pfd, 1, SEND_MS) <= 0)
				return false;
			continue;
		}
		if (put <= 0)
			return false;
		p += put;
		n -= (size_t)put;
	}
	return true;
}

static void
accept_one(struct lab_proxy *p, bool control)
{
	struct client *c = NULL;
	for (size_t i = 0; i < CLIENTS_MAX && !c; i++)
		c = p->clients[i].fd < 0 ? &p->clients[i] : NULL;
	if (!c)
		return;
	c->fd = accept4(p->listen_fd[control], NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	c->control = control;
	c->n = 0;
	c->peer = 0;
	struct ucred cred;
	socklen_t size = sizeof cred;
	if (c->fd >= 0 && getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) == 0)
		c->peer = cred.pid;
}

/* Bytes that the message at the head of the buffer has in all; 0 while that is not known. */
static size_t
message_size(const struct client *c)
{
	if (c->control)
		return c->n < 4 ? 0 : c->in[3] == CMD_SET_LOCALITY ? 5 : 4;
	if (c->n < 6)
		return 0;
	return (size_t)c->in[2] << 24 | (size_t)c->in[3] << 16 | (size_t)c->in[4] << 8 | c->in[5];
}

static bool
answer_control(struct client *c)
{
	const bool ok = c->in[0] == 0 && c->in[1] == 0 && c->in[2] == 0 &&
		c->in[3] == CMD_SET_LOCALITY && c->in[4] == 0;
	const uint8_t result[4] = {0, 0, 0, ok ? 0 : PTM_FAIL};
	return send_all(c->fd, result, sizeof result);
}

static bool
answer_data(struct lab_proxy *p, struct client *c, size_t size)
{
	uint8_t rsp[LAB_TPM_MESSAGE_MAX];
	size_t n = sizeof rsp;
	return !vs_failed(p->fn(p->arg, c->peer, c->in, size, rsp, &n, NULL)) &&
		send_all(c->fd, rsp, n);
}

static void
serve(struct lab_proxy *p, struct client *c)
{
	const ssize_t got = read(c->fd, c->in + c->n, sizeof c->in - c->n);
	if (got <= 0) {
		if (got == 0 || (errno != EAGAIN && errno != EINTR))
			drop(c);
		return;
	}
	c->n += (size_t)got;
	for (size_t size = message_size(c); size > 0 && c->n >= size; size = message_size(c)) {
		if (!c->control && size < 10) {
			drop(c);
			return;
		}
		if (!(c->control ? answer_control(c) : answer_data(p, c, size))) {
			drop(c);
			return;
		}
		memmove(c->in, c->in + size, c->n - size);
		c->n -= size;
	}
	if (message_size(c) > sizeof c->in)
		drop(c);
}

static void *
proxy_thread(void *arg)
{
	struct lab_proxy *p = arg;
	for (;;) {
		struct pollfd pfd[FIXED + CLIENTS_MAX];
		bool room = false;
		for (size_t i = 0; i < CLIENTS_MAX; i++) {
			pfd[FIXED + i] = (struct pollfd){.fd = p->clients[i].fd, .events = POLLIN};
			room = room || p->clients[i].fd < 0;
		}
		pfd[0] = (struct pollfd){.fd = p->wake[0], .events = POLLIN};
		for (int i = 0; i < 2; i++)
			pfd[1 + i] = (struct pollfd){
				.fd = room ? p->listen_fd[i] : -1, .events = POLLIN};
		if (poll(pfd, FIXED + CLIENTS_MAX, -1) < 0 && errno != EINTR)
			return NULL;
		if (pfd[0].revents)
			return NULL;
		for (size_t i = 0; i < CLIENTS_MAX; i++) {
			if (pfd[FIXED + i].revents && p->clients[i].fd == pfd[FIXED + i].fd)
				serve(p, &p->clients[i]);
		}
		for (int i = 0; i < 2; i++) {
			if (pfd[1 + i].revents)
				accept_one(p, i == 1);
		}
	}
}

static vs_rc
open_proxy(struct lab_proxy *p, struct vs_err *err)
{
	char ctrl[sizeof p->path + 8];
	snprintf(ctrl, sizeof ctrl, "%s.ctrl", p->path);
	VS_TRY(listen_on(p->path, &p->listen_fd[0], err));
	VS_TRY(listen_on(ctrl, &p->listen_fd[1], err));
	if (pipe2(p->wake, O_CLOEXEC) != 0)
		VS_FAIL_N(err, SOCKET, errno, "no pipe");
	if (pthread_create(&p->thread, NULL, proxy_thread, p) != 0)
		VS_FAIL(err, MEMORY, "no thread");
	p->running = true;
	return VS_OK;
}

vs_rc
lab_proxy_start(
	const char *path, lab_proxy_fn *fn, void *arg, struct lab_proxy **ret, struct vs_err *err)
{
	struct lab_proxy *p = calloc(1, sizeof *p);
	if (!p)
		VS_FAIL(err, MEMORY, "out of memory");
	p->fn = fn;
	p->arg = arg;
	p->listen_fd[0] = p->listen_fd[1] = p->wake[0] = p->wake[1] = -1;
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		p->clients[i].fd = -1;
	vs_rc rc = VS_OK;
	if ((size_t)snprintf(p->path, sizeof p->path, "%s", path) >= sizeof p->path)
		rc = vs_err_put(err, VS_E_SOCKET, __func__, __LINE__, 0,
			"%s is too long for a socket; use a shorter directory", path);
	else
		rc = open_proxy(p, err);
	if (vs_failed(rc)) {
		lab_proxy_stop(p);
		return rc;
	}
	*ret = p;
	return VS_OK;
}

static void
close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void
lab_proxy_stop(struct lab_proxy *p)
{
	if (!p)
		return;
	if (p->running) {
		close_fd(p->wake[1]);
		p->wake[1] = -1;
		pthread_join(p->thread, NULL);
	}
	char ctrl[sizeof p->path + 8];
	snprintf(ctrl, sizeof ctrl, "%s.ctrl", p->path);
	if (p->listen_fd[0] >= 0)
		unlink(p->path);
	if (p->listen_fd[1] >= 0)
		unlink(ctrl);
	for (int i = 0; i < 2; i++) {
		close_fd(p->listen_fd[i]);
		close_fd(p->wake[i]);
	}
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		close_fd(p->clients[i].fd);
	free(p);
}
