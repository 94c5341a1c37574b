/* SPDX-License-Identifier: BSD-2-Clause */
#include "client/link.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/codec.h"
#include "client/spawn.h"
#include "proto/msg.h"
#include "proto/page.h"

enum { BACKLOG_RETRY_MS = 5, CLOCK_SLACK_NS = 10000000 };

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

int
vs_link_left_ms(int64_t deadline_boot_ns)
{
	const int64_t now = vs_boot_now_ns();
	if (deadline_boot_ns <= now)
		return 0;
	const int64_t ms = (deadline_boot_ns - now) / 1000000 + 1;
	return ms > INT_MAX ? INT_MAX : (int)ms;
}

VS_RC
vs_link_wait(int fd, short events, int64_t deadline_boot_ns, struct vs_err *err)
{
	for (;;) {
		struct pollfd p = {.fd = fd, .events = events};
		const int n = poll(&p, 1, vs_link_left_ms(deadline_boot_ns));
		if (n > 0)
			return VS_OK;
		if (n < 0 && errno != EINTR)
			VS_FAIL_N(err, SOCKET, errno, "waiting for the agent failed: %s",
				strerror(errno));
		if (vs_link_left_ms(deadline_boot_ns) == 0)
			VS_FAIL(err, TIMEOUT, "the agent did not answer in time");
	}
}

VS_RC
vs_link_send(int fd, struct vs_bytes b, int64_t deadline_boot_ns, struct vs_err *err)
{
	while (b.n > 0) {
		const ssize_t n = send(fd, b.p, b.n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0) {
			b.p += n;
			b.n -= (size_t)n;
		} else if (n < 0 && (errno == EAGAIN)) {
			VS_TRY(vs_link_wait(fd, POLLOUT, deadline_boot_ns, err));
		} else if (n == 0 || errno != EINTR) {
			VS_FAIL_N(err, AGENT, errno, "the agent closed the connection");
		}
	}
	return VS_OK;
}

/* Take one descriptor, close all others; false: there were others. */
static bool
take_descriptor(struct msghdr *m, int *ret_fd)
{
	bool ok = (m->msg_flags & MSG_CTRUNC) == 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		const size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd = -1;
			memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
			if (ok && *ret_fd < 0) {
				*ret_fd = fd;
				continue;
			}
			(void)close(fd);
			ok = false;
		}
	}
	return ok;
}

VS_RC
vs_link_recv(int fd, void *p, size_t n, size_t *ret_n, int *ret_fd, struct vs_err *err)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(4 * sizeof(int))] = {0};
	struct iovec iov = {.iov_base = p, .iov_len = n};
	struct msghdr m = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof control};
	const ssize_t got = recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
		*ret_n = 0;
		return VS_OK;
	}
	if (got <= 0)
		VS_FAIL_N(err, AGENT, got < 0 ? errno : 0, "the agent closed the connection");
	if (!take_descriptor(&m, ret_fd))
		VS_FAIL(err, WIRE, "the agent sent descriptors that nobody asked for");
	*ret_n = (size_t)got;
	return VS_OK;
}

/* ---- finding an agent ---------------------------------------------------------------------- */

/* Root, our own user, or the owner of the folder the socket is in. */
static VS_RC
check_peer(int fd, const char *path, struct vs_err *err)
{
	struct ucred peer = {.uid = (uid_t)-1};
	socklen_t n = sizeof peer;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) != 0 || n != sizeof peer)
		VS_FAIL_N(err, AGENT, errno, "%s: who listens cannot be found out", path);
	if (peer.uid == 0 || peer.uid == geteuid())
		return VS_OK;
	char folder[sizeof((struct sockaddr_un *)0)->sun_path] = "";
	snprintf(folder, sizeof folder, "%s", path);
	char *slash = strrchr(folder, '/');
	struct stat st;
	if (slash && slash != folder) {
		*slash = '\0';
		if (stat(folder, &st) == 0 && st.st_uid == peer.uid)
			return VS_OK;
	}
	VS_FAIL(err, AGENT,
		"%s: user %u listens there, who is neither root nor the owner of the folder", path,
		(unsigned)peer.uid);
}

static int
socket_above_stdio(void)
{
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || fd > 2)
		return fd;
	const int up = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	(void)close(fd);
	return up;
}

/* *ret_fd is -1 when nobody is there. */
static VS_RC
connect_machine(
	const struct vs_profile *profile, int64_t deadline_boot_ns, int *ret_fd, struct vs_err *err)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	const char *path = profile->agent_socket;
	if (path[0] == '\0' || strlen(path) >= sizeof addr.sun_path)
		return VS_OK;
	memcpy(addr.sun_path, path, strlen(path) + 1);
	VS_CLEANUP(close_fd) int fd = socket_above_stdio();
	if (fd < 0)
		VS_FAIL_N(err, AGENT, errno, "a socket cannot be made: %s", strerror(errno));
	while (connect(fd, (const struct sockaddr *)&addr, sizeof addr) != 0) {
		if (errno == ENOENT || errno == ENOTDIR || errno == ECONNREFUSED || errno == EACCES)
			return VS_OK;
		if (errno != EAGAIN && errno != EINTR)
			VS_FAIL_N(err, AGENT, errno, "%s: %s", path, strerror(errno));
		if (vs_link_left_ms(deadline_boot_ns) == 0)
			VS_FAIL(err, TIMEOUT, "%s: the agent takes no more connections", path);
		(void)poll(NULL, 0, BACKLOG_RETRY_MS);
	}
	VS_TRY(check_peer(fd, path, err));
	*ret_fd = fd;
	fd = -1;
	return VS_OK;
}

static VS_RC
recv_exactly(int fd, uint8_t *p, size_t n, int64_t deadline_boot_ns, struct vs_err *err)
{
	while (n > 0) {
		size_t got = 0;
		VS_CLEANUP(close_fd) int stray = -1;
		VS_TRY(vs_link_wait(fd, POLLIN, deadline_boot_ns, err));
		VS_TRY(vs_link_recv(fd, p, n, &got, &stray, err));
		if (stray >= 0)
			VS_FAIL(err, WIRE, "the agent sent a descriptor with its hello");
		p += got;
		n -= got;
	}
	return VS_OK;
}

static VS_RC
read_hello(int fd, int64_t deadline_boot_ns, struct vs_buf *body, struct vs_msg_hello_answer *ret,
	struct vs_err *err)
{
	uint8_t head[VS_WIRE_HEAD];
	struct vs_frame frame = {0};
	VS_TRY(recv_exactly(fd, head, sizeof head, deadline_boot_ns, err));
	VS_TRY(vs_frame_get(head, &frame, err));
	const struct vs_msg_desc *desc = vs_msg_desc(frame.type);
	if (frame.request != 1 || !desc || frame.length > vs_msg_length_max(desc) ||
		(frame.type != VS_MSG_HELLO_ANSWER && frame.type != VS_MSG_ERROR))
		VS_FAIL(err, WIRE, "the agent does not answer hello with hello");
	uint8_t *p = NULL;
	VS_TRY(vs_buf_room(body, frame.length, &p, err));
	VS_TRY(recv_exactly(fd, p, frame.length, deadline_boot_ns, err));
	body->n = frame.length;
	if (frame.type == VS_MSG_ERROR) {
		struct vs_msg_error m = {0};
		VS_TRY(vs_msg_get(desc, vs_buf_view(body), &m, err));
		return vs_msg_error_get(m.frames, err);
	}
	return vs_msg_get(desc, vs_buf_view(body), ret, err);
}

/* *ret_mine is false when the agent serves another configuration file. */
static VS_RC
say_hello(const struct vs_profile *profile, int fd, int64_t deadline_boot_ns, bool *ret_mine,
	struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf out = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf body = {0};
	const int64_t before = vs_boot_now_ns();
	const struct vs_msg_hello hello = {.protocol = VS_WIRE_VERSION,
		.path = vs_bytes_str(profile->path),
		.boot_ns = (uint64_t)before};
	struct vs_msg_hello_answer answer = {0};
	VS_TRY(vs_msg_add(VS_MSG_HELLO, &hello, 1, &out, err));
	VS_TRY(vs_link_send(fd, vs_buf_view(&out), deadline_boot_ns, err));
	VS_TRY(read_hello(fd, deadline_boot_ns, &body, &answer, err));
	const int64_t after = vs_boot_now_ns();
	if (answer.protocol != VS_WIRE_VERSION)
		VS_FAIL(err, WIRE,
			"the agent speaks protocol %u, this module %d: install the same versions",
			answer.protocol, VS_WIRE_VERSION);
	if (answer.boot_ns > INT64_MAX || (int64_t)answer.boot_ns < before - CLOCK_SLACK_NS ||
		(int64_t)answer.boot_ns > after + CLOCK_SLACK_NS)
		VS_FAIL(err, AGENT,
			"the agent's boot clock is not ours: it lives in another time namespace");
	*ret_mine = answer.mine;
	/* An agent of the other mode would show lab keys as real ones, or the reverse (T-L1). */
	if (answer.mine && answer.lab != profile->lab)
		VS_FAIL(err, CONFIG_MODE,
			"the agent and this module disagree about lab mode: restart the agent");
	return VS_OK;
}

VS_RC
vs_link_open(
	const struct vs_profile *profile, int64_t deadline_boot_ns, int *ret_fd, struct vs_err *err)
{
	VS_CLEANUP(close_fd) int fd = -1;
	bool mine = false;
	VS_TRY(connect_machine(profile, deadline_boot_ns, &fd, err));
	if (fd >= 0) {
		const vs_rc rc = say_hello(profile, fd, deadline_boot_ns, &mine, err);
		if (vs_failed(rc))
			return vs_err_while(
				rc, err, "talking to the agent at %s", profile->agent_socket);
	}
	if (!mine) {
		close_fd(&fd);
		if (vs_profile_elevated())
			VS_FAIL(err, AGENT,
				"no agent for %s at %s, and a program with raised rights starts "
				"none: "
				"enable the machine's vouchsafe-agent service",
				profile->path, profile->agent_socket);
		if (profile->agent_program[0] == '\0')
			VS_FAIL(err, AGENT, "no agent for %s listens at %s", profile->path,
				profile->agent_socket);
		VS_TRY(vs_spawn_agent(profile->agent_program, profile->path, &fd, err));
		const vs_rc rc = say_hello(profile, fd, deadline_boot_ns, &mine, err);
		if (vs_failed(rc))
			return vs_err_while(
				rc, err, "talking to a private %s", profile->agent_program);
		if (!mine)
			VS_FAIL(err, AGENT, "%s serves another configuration",
				profile->agent_program);
	}
	*ret_fd = fd;
	fd = -1;
	return VS_OK;
}
