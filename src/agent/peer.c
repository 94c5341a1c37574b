/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/server.h"
#include "base/log.h"

#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59
#endif

/* A whole encoded frame. */
struct vs_out {
	struct vs_out *next;
	struct vs_buf plain;
	struct vs_secret secret;
	struct vs_bytes left;
	int fd;
};

/* ---- who ------------------------------------------------------------------------------------ */

struct vs_who
vs_peer_who(const struct vs_peer *p)
{
	return (struct vs_who){.uid = p->uid, .pid = p->pid};
}

static VS_RC
ask_kernel(struct vs_peer *p, struct vs_err *err)
{
	struct ucred cred = {.uid = (uid_t)-1, .gid = (gid_t)-1};
	socklen_t n = sizeof cred;
	if (getsockopt(p->fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) != 0 || n != sizeof cred)
		VS_FAIL_N(err, REFUSED_PEER, errno, "who is connecting cannot be found out");
	p->uid = cred.uid;
	p->gid = cred.gid;
	p->pid = cred.pid;
	n = sizeof p->groups;
	/* Somebody in more groups than we look at is matched by user or primary group only. */
	if (getsockopt(p->fd, SOL_SOCKET, SO_PEERGROUPS, p->groups, &n) == 0)
		p->n_groups = n / sizeof p->groups[0];
	return VS_OK;
}

static bool
in_group(const struct vs_peer *p, uint32_t gid)
{
	for (size_t i = 0; i < p->n_groups; i++)
		if (p->groups[i] == gid)
			return true;
	return p->gid == gid;
}

VS_RC
vs_peer_allowed(const struct vs_peer *p, const struct vs_conf_token *token, struct vs_err *err)
{
	const bool own = p->uid == 0 || p->uid == geteuid();
	bool ok = false;
	if (p->server->env.private_fd >= 0)
		ok = p->uid == geteuid();
	else if (token->n_allow == 0)
		ok = own;
	for (size_t i = 0; p->server->env.private_fd < 0 && i < token->n_allow; i++) {
		const struct vs_conf_allow *a = &token->allow[i];
		if (a->group ? in_group(p, a->id) : p->uid == a->id)
			ok = true;
	}
	if (!ok)
		VS_FAIL(err, REFUSED_PEER,
			"user %u may not use the token \"%.64s\": add it to `allow` in its section",
			p->uid, token->label);
	return VS_OK;
}

/* ---- going ---------------------------------------------------------------------------------- */

static void
out_free(struct vs_out *o)
{
	if (!o)
		return;
	vs_buf_done(&o->plain);
	vs_secret_done(&o->secret);
	if (o->fd >= 0)
		(void)close(o->fd);
	free(o);
}

static void
frame_reset(struct vs_peer *p)
{
	vs_buf_done(&p->plain);
	vs_secret_done(&p->secret);
	p->body = NULL;
	p->head_n = p->body_n = 0;
	vs_timer_clear(&p->frame_timer);
}

static void
unlink_peer(struct vs_peer *p)
{
	struct vs_server *s = p->server;
	for (struct vs_peer **at = &s->peers; *at; at = &(*at)->next)
		if (*at == p) {
			*at = p->next;
			s->n_peers--;
			return;
		}
}

void
vs_peer_drop(struct vs_peer *p)
{
	struct vs_server *s = p->server;
	p->closing = true;
	vs_requests_cancel(p);
	for (size_t i = 0; i < s->n_tokens; i++)
		if (p->holds & UINT64_C(1) << i)
			vs_keeper_hold(s->tokens[i].keeper, -1);
	for (size_t i = 0; i < s->n_tokens; i++)
		vs_keeper_peer_gone(s->tokens[i].keeper, p);
	if (p->src)
		vs_loop_remove(p->src);
	if (p->pid_src)
		vs_loop_remove(p->pid_src);
	(void)close(p->fd);
	if (p->pid_fd >= 0)
		(void)close(p->pid_fd);
	frame_reset(p);
	while (p->out) {
		struct vs_out *o = p->out;
		p->out = o->next;
		out_free(o);
	}
	unlink_peer(p);
	free(p);
	vs_server_peer_gone(s);
}

/* ---- sending -------------------------------------------------------------------------------- */

/* False: the connection is of no use any more. */
static bool
send_some(struct vs_peer *p, struct vs_out *o)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {0};
	union {
		const void *c;
		void *p;
	} u = {.c = o->left.p};
	struct iovec iov = {.iov_base = u.p, .iov_len = o->left.n};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	if (o->fd >= 0) {
		m.msg_control = control;
		m.msg_controllen = sizeof control;
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &o->fd, sizeof o->fd);
	}
	const ssize_t n = sendmsg(p->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (o->fd >= 0)
		(void)close(o->fd);
	o->fd = -1;
	o->left.p += n;
	o->left.n -= (size_t)n;
	return true;
}

static bool
flush(struct vs_peer *p)
{
	while (p->out) {
		struct vs_out *o = p->out;
		const size_t before = o->left.n;
		if (!send_some(p, o))
			return false;
		p->out_bytes -= before - o->left.n;
		if (o->left.n > 0) {
			if (before == o->left.n)
				break;
			continue;
		}
		p->out = o->next;
		if (!p->out)
			p->out_end = &p->out;
		p->secret_bytes -= o->secret.n;
		out_free(o);
	}
	vs_loop_set(p->src, p->out ? EPOLLIN | EPOLLOUT : EPOLLIN);
	return true;
}

/* Keys that wait to be read, by all connections of this user. */
static size_t
unread_secrets(const struct vs_peer *p)
{
	size_t n = 0;
	for (const struct vs_peer *q = p->server->peers; q; q = q->next)
		if (q->uid == p->uid)
			n += q->secret_bytes;
	return n;
}

static VS_RC
encode(struct vs_peer *p, const struct vs_msg_desc *desc, const void *msg, uint32_t request,
	struct vs_out *o, struct vs_err *err)
{
	const size_t size = vs_msg_frame_size(desc, msg);
	uint8_t *at = NULL;
	size_t n = 0;
	if (size > VS_PEER_OUT_BYTES_MAX - p->out_bytes)
		VS_FAIL(err, LIMIT, "a peer does not read its answers");
	if (desc->secret && size > VS_USER_SECRET_BYTES_MAX - unread_secrets(p))
		VS_FAIL(err, LIMIT, "user %u does not read the keys it asks for", p->uid);
	if (desc->secret) {
		VS_TRY(vs_secret_new(vs_core_arena(p->server->env.core), size, &o->secret, err));
		at = o->secret.p;
	} else {
		VS_TRY(vs_buf_room(&o->plain, size, &at, err));
	}
	VS_TRY(vs_msg_put(desc, msg, request, at, size, &n, err));
	o->left = vs_bytes_of(at, n);
	return VS_OK;
}

/* The loop closes it soon: the caller may still be using it. */
static void
close_soon(struct vs_peer *p)
{
	p->closing = true;
	(void)shutdown(p->fd, SHUT_RDWR);
}

void
vs_peer_answer(struct vs_peer *p, enum vs_msg_type type, const void *msg, uint32_t request, int fd)
{
	const struct vs_msg_desc *desc = vs_msg_desc((uint8_t)type);
	struct vs_err err = {0};
	struct vs_out *o = calloc(1, sizeof *o);
	if (o)
		o->fd = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : -1;
	if (!o || !desc || (desc->has_fd && o->fd < 0) ||
		vs_failed(encode(p, desc, msg, request, o, &err))) {
		vs_log_err(&p->server->env.log, VS_LOG_WARN, "agent", "an answer cannot be sent",
			&err);
		out_free(o);
		close_soon(p);
		return;
	}
	*p->out_end = o;
	p->out_end = &o->next;
	p->out_bytes += o->left.n;
	p->secret_bytes += o->secret.n;
	if (!flush(p))
		close_soon(p);
}

void
vs_peer_error(struct vs_peer *p, uint32_t request, const struct vs_err *error)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf frames = {.max = VS_MSG_ERROR_BYTES_MAX};
	vs_msg_error_put(error, &frames);
	const struct vs_msg_error m = {.frames = vs_buf_view(&frames)};
	vs_peer_answer(p, VS_MSG_ERROR, &m, request, -1);
}

/* ---- receiving ------------------------------------------------------------------------------ */

static VS_RC
start_body(struct vs_peer *p, struct vs_err *err)
{
	VS_TRY(vs_frame_get(p->head, &p->frame, err));
	const struct vs_msg_desc *desc = vs_msg_desc(p->frame.type);
	if (!desc || p->frame.type >= VS_MSG_ANSWER || p->frame.length > vs_msg_length_max(desc) ||
		p->frame.length == 0)
		VS_FAIL(err, WIRE, "a message of unknown kind or length");
	if (desc->secret && p->server->env.core) {
		VS_TRY(vs_secret_new(
			vs_core_arena(p->server->env.core), p->frame.length, &p->secret, err));
		p->body = p->secret.p;
		return VS_OK;
	}
	return vs_buf_room(&p->plain, p->frame.length, &p->body, err);
}

/* One piece of a frame. *ret_more: there may be more to read. */
static VS_RC
receive_some(struct vs_peer *p, bool *ret_more, struct vs_err *err)
{
	uint8_t *at = p->body ? p->body + p->body_n : p->head + p->head_n;
	const size_t wanted = p->body ? p->frame.length - p->body_n : VS_WIRE_HEAD - p->head_n;
	const ssize_t n = recv(p->fd, at, wanted, MSG_DONTWAIT);
	*ret_more = false;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return VS_OK;
	if (n <= 0)
		VS_FAIL(err, SOCKET, "the peer has gone");
	*ret_more = true;
	if (!p->body) {
		if (p->head_n == 0)
			vs_timer_set(p->server->loop, &p->frame_timer,
				vs_boot_now_ns() + VS_PEER_FRAME_MS * INT64_C(1000000));
		p->head_n += (size_t)n;
		return p->head_n == VS_WIRE_HEAD ? start_body(p, err) : VS_OK;
	}
	p->body_n += (size_t)n;
	if (p->body_n < p->frame.length)
		return VS_OK;
	const vs_rc rc = vs_request_take(p, vs_bytes_of(p->body, p->body_n), err);
	vs_wipe(p->body, p->body_n);
	frame_reset(p);
	return rc;
}

static void
on_socket(void *arg, uint32_t events)
{
	struct vs_peer *p = arg;
	struct vs_err err = {0};
	vs_rc rc = VS_OK;
	bool more = true;
	/* Whatever the reason is, asking again at once would only spin. */
	if ((events & EPOLLOUT) && !flush(p))
		close_soon(p);
	/* A fair share: others wait, too. */
	for (int i = 0; more && i < 16 && !p->closing && !vs_failed(rc); i++)
		rc = receive_some(p, &more, &err);
	if (vs_failed(rc) && rc.code != VS_E_SOCKET)
		vs_log_err(
			&p->server->env.log, VS_LOG_WARN, "agent", "a connection is closed", &err);
	if (vs_failed(rc) || p->closing || (events & (EPOLLHUP | EPOLLERR)))
		vs_peer_drop(p);
}

static void
on_process_end(void *arg, uint32_t events)
{
	(void)events;
	vs_peer_drop(arg);
}

static void
on_frame_timeout(void *arg)
{
	struct vs_peer *p = arg;
	vs_log(&p->server->env.log, VS_LOG_WARN, "agent",
		"a peer of user %u does not finish its message", p->uid);
	vs_peer_drop(p);
}

/* ---- coming --------------------------------------------------------------------------------- */

static VS_RC
check_limits(const struct vs_server *s, const struct vs_peer *p, struct vs_err *err)
{
	unsigned same = 0;
	for (const struct vs_peer *q = s->peers; q; q = q->next)
		same += q->uid == p->uid;
	/* Who can end the agent anyway need not be kept from crowding others out. */
	const bool master = p->uid == 0 || p->uid == geteuid();
	if (s->n_peers >= VS_PEERS_MAX || (!master && same >= VS_PEERS_PER_USER_MAX))
		VS_FAIL(err, LIMIT, "user %u has too many connections", p->uid);
	return VS_OK;
}

/* Notices the death of a process even while a forked child of it holds the socket. */
static void
watch_process(struct vs_peer *p)
{
	if (p->pid <= 0)
		return;
	p->pid_fd = (int)syscall(SYS_pidfd_open, p->pid, 0);
	if (p->pid_fd < 0)
		return;
	(void)fcntl(p->pid_fd, F_SETFD, FD_CLOEXEC);
	if (vs_failed(vs_loop_add(
		    p->server->loop, p->pid_fd, EPOLLIN, on_process_end, p, &p->pid_src, NULL)))
		p->pid_src = NULL;
}

VS_RC
vs_peer_new(struct vs_server *s, int fd, struct vs_err *err)
{
	struct vs_peer *p = calloc(1, sizeof *p);
	if (!p) {
		(void)close(fd);
		VS_FAIL(err, MEMORY, "out of memory");
	}
	p->server = s;
	p->fd = fd;
	p->pid_fd = -1;
	p->out_end = &p->out;
	p->plain.max = VS_WIRE_LENGTH_MAX;
	p->frame_timer = (struct vs_timer){.fn = on_frame_timeout, .arg = p};
	vs_rc rc = ask_kernel(p, err);
	if (!vs_failed(rc))
		rc = check_limits(s, p, err);
	if (!vs_failed(rc))
		rc = vs_loop_add(s->loop, fd, EPOLLIN, on_socket, p, &p->src, err);
	if (vs_failed(rc)) {
		(void)close(fd);
		free(p);
		return rc;
	}
	watch_process(p);
	p->next = s->peers;
	s->peers = p;
	s->n_peers++;
	return VS_OK;
}
