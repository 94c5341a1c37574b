/* SPDX-License-Identifier: BSD-2-Clause */
#include "client/conn.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "client/link.h"
#include "proto/page.h"

enum { ATTEMPTS = 2, SEND_MS_MAX = 5000 };

/* One caller that waits, on its own stack. */
struct waiter {
	struct waiter *next;
	uint32_t request;
	bool done;
	uint8_t type; /* of the answer */
	vs_rc rc; /* of the connection, when it broke */
	struct vs_err err;
	struct vs_reply *reply;
};

/* The frame being received; kept here, because its reader may run out of time in the middle. */
struct incoming {
	uint8_t head[VS_WIRE_HEAD];
	size_t head_n;
	struct vs_frame frame;
	struct vs_reply reply;
	uint8_t *body; /* in reply */
	size_t body_n;
};

struct vs_conn {
	const struct vs_profile *profile;
	struct vs_arena *arena;
	pthread_mutex_t lock; /* number 4 of the lock order */
	pthread_cond_t changed;
	int fd; /* -1: not connected */
	dev_t dev; /* what fd was when we opened it */
	ino_t ino;
	bool busy; /* somebody connects */
	bool reading; /* somebody reads for all */
	uint32_t last_request;
	unsigned n_given_up; /* answers that will come and nobody waits for */
	struct waiter *waiters;
	struct incoming in;
};

void
vs_reply_done(struct vs_reply *reply)
{
	vs_buf_done(&reply->plain);
	vs_secret_done(&reply->secret);
	if (reply->fd >= 0)
		(void)close(reply->fd);
	reply->fd = -1;
}

static void
incoming_reset(struct incoming *in)
{
	vs_reply_done(&in->reply);
	in->body = NULL;
	in->body_n = in->head_n = 0;
}

VS_RC
vs_conn_new(const struct vs_profile *profile, struct vs_arena *arena, struct vs_conn **ret,
	struct vs_err *err)
{
	struct vs_conn *c = calloc(1, sizeof *c);
	pthread_condattr_t attr;
	if (!c || pthread_condattr_init(&attr) != 0) {
		free(c);
		VS_FAIL(err, MEMORY, "out of memory");
	}
	/* Cannot fail for these arguments on Linux. */
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_mutex_init(&c->lock, NULL);
	(void)pthread_cond_init(&c->changed, &attr);
	(void)pthread_condattr_destroy(&attr);
	c->profile = profile;
	c->arena = arena;
	c->fd = -1;
	c->in.reply.fd = -1;
	*ret = c;
	return VS_OK;
}

/* Hosts close or reuse descriptors they do not own: is this still the socket we opened? */
static bool
descriptor_is_ours(const struct vs_conn *c)
{
	struct stat st;
	return c->fd >= 0 && fstat(c->fd, &st) == 0 && st.st_dev == c->dev && st.st_ino == c->ino;
}

static void
forget_descriptor(struct vs_conn *c)
{
	if (descriptor_is_ours(c)) {
		/* Wakes a thread that polls it: closing alone would not. */
		(void)shutdown(c->fd, SHUT_RDWR);
		(void)close(c->fd);
	}
	c->fd = -1;
	c->n_given_up = 0;
	incoming_reset(&c->in);
}

void
vs_conn_free(struct vs_conn *c)
{
	if (!c)
		return;
	forget_descriptor(c);
	(void)pthread_cond_destroy(&c->changed);
	(void)pthread_mutex_destroy(&c->lock);
	free(c);
}

void
vs_conn_abandon(struct vs_conn *c)
{
	if (!c)
		return;
	if (descriptor_is_ours(c))
		(void)close(c->fd); /* no shutdown: the parent goes on using it */
	if (c->in.reply.fd >= 0)
		(void)close(c->in.reply.fd);
	vs_buf_done(&c->in.reply.plain);
	/* Locks are left as they are: their owner does not exist here. Arena memory is gone anyway.
	 */
	free(c);
}

/* The connection is gone: everybody who waits hears the same. Lock held. */
static void
break_connection(struct vs_conn *c, vs_rc rc, const struct vs_err *err)
{
	forget_descriptor(c);
	for (struct waiter *w = c->waiters; w; w = w->next) {
		if (w->done)
			continue;
		w->done = true;
		w->rc = rc;
		w->err = *err;
	}
	c->waiters = NULL;
	(void)pthread_cond_broadcast(&c->changed);
}

/* Wait for a change at most until the deadline; false: it passed. Lock held. */
static bool
wait_changed(struct vs_conn *c, int64_t deadline_boot_ns)
{
	const int left_ms = vs_link_left_ms(deadline_boot_ns);
	struct timespec until = {0};
	if (left_ms == 0)
		return false;
	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += left_ms / 1000;
	until.tv_nsec += (long)(left_ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	return pthread_cond_timedwait(&c->changed, &c->lock, &until) != ETIMEDOUT ||
		vs_link_left_ms(deadline_boot_ns) > 0;
}

/* ---- receiving ------------------------------------------------------------------------------ */

static struct waiter *
take_waiter(struct vs_conn *c, uint32_t request)
{
	for (struct waiter **p = &c->waiters; *p; p = &(*p)->next)
		if ((*p)->request == request) {
			struct waiter *w = *p;
			*p = w->next;
			return w;
		}
	return NULL;
}

static VS_RC
start_body(struct vs_conn *c, struct vs_err *err)
{
	struct incoming *in = &c->in;
	VS_TRY(vs_frame_get(in->head, &in->frame, err));
	const struct vs_msg_desc *desc = vs_msg_desc(in->frame.type);
	if (!desc || in->frame.type < VS_MSG_ANSWER || in->frame.length > vs_msg_length_max(desc) ||
		in->frame.length == 0)
		VS_FAIL(err, WIRE, "the agent sent a message of unknown kind or length");
	if (desc->secret) {
		VS_TRY(vs_secret_new(c->arena, in->frame.length, &in->reply.secret, err));
		in->body = in->reply.secret.p;
	} else {
		VS_TRY(vs_buf_room(&in->reply.plain, in->frame.length, &in->body, err));
		in->reply.plain.n = in->frame.length;
	}
	return VS_OK;
}

/* A whole frame is here: hand it to whom it belongs. */
static VS_RC
deliver(struct vs_conn *c, struct vs_err *err)
{
	struct incoming *in = &c->in;
	const struct vs_msg_desc *desc = vs_msg_desc(in->frame.type);
	if (desc->has_fd != (in->reply.fd >= 0))
		VS_FAIL(err, WIRE, "the agent sent a descriptor too many or too few");
	struct waiter *w = take_waiter(c, in->frame.request);
	if (!w && c->n_given_up == 0)
		VS_FAIL(err, WIRE, "the agent answered what nobody asked");
	if (!w) {
		c->n_given_up--;
		incoming_reset(in);
		return VS_OK;
	}
	vs_buf_move(&w->reply->plain, &in->reply.plain);
	vs_secret_move(&w->reply->secret, &in->reply.secret);
	w->reply->fd = in->reply.fd;
	in->reply.fd = -1;
	w->type = in->frame.type;
	w->done = true;
	incoming_reset(in);
	(void)pthread_cond_broadcast(&c->changed);
	return VS_OK;
}

/* Everything that can be read now. Lock held: nothing here waits. */
static VS_RC
receive(struct vs_conn *c, struct vs_err *err)
{
	struct incoming *in = &c->in;
	for (;;) {
		size_t n = 0;
		if (in->head_n < sizeof in->head) {
			VS_TRY(vs_link_recv(c->fd, in->head + in->head_n,
				sizeof in->head - in->head_n, &n, &in->reply.fd, err));
			in->head_n += n;
			if (in->head_n == sizeof in->head)
				VS_TRY(start_body(c, err));
		} else {
			VS_TRY(vs_link_recv(c->fd, in->body + in->body_n,
				in->frame.length - in->body_n, &n, &in->reply.fd, err));
			in->body_n += n;
			if (in->body_n == in->frame.length)
				VS_TRY(deliver(c, err));
		}
		if (n == 0)
			return VS_OK;
	}
}

/* Read for all until w has its answer or its time is up. Lock held on entry and exit. */
static VS_RC
read_for_all(struct vs_conn *c, struct waiter *w, int64_t deadline_boot_ns, struct vs_err *err)
{
	c->reading = true;
	vs_rc rc = VS_OK;
	while (!w->done && !vs_failed(rc)) {
		const int fd = c->fd;
		(void)pthread_mutex_unlock(&c->lock);
		rc = vs_link_wait(fd, POLLIN, deadline_boot_ns, err);
		(void)pthread_mutex_lock(&c->lock);
		if (w->done || vs_failed(rc))
			break;
		struct vs_err broken = {0};
		vs_rc got = VS_OK;
		if (fd != c->fd || !descriptor_is_ours(c))
			got = vs_err_put(&broken, VS_E_AGENT, __func__, __LINE__, 0,
				"the connection to the agent was closed by the application");
		else
			got = receive(c, &broken);
		if (vs_failed(got))
			break_connection(c, got, &broken);
	}
	c->reading = false;
	(void)pthread_cond_broadcast(&c->changed);
	return w->done ? VS_OK : rc;
}

/* ---- asking --------------------------------------------------------------------------------- */

/* Lock held; released while connecting. */
static VS_RC
ensure_connected(struct vs_conn *c, int64_t deadline_boot_ns, struct vs_err *err)
{
	while (c->busy)
		if (!wait_changed(c, deadline_boot_ns))
			VS_FAIL(err, TIMEOUT, "the agent did not answer in time");
	if (c->fd >= 0 && !descriptor_is_ours(c)) {
		struct vs_err gone = {0};
		break_connection(c,
			vs_err_put(&gone, VS_E_AGENT, __func__, __LINE__, 0,
				"the connection to the agent was closed by the application"),
			&gone);
	}
	if (c->fd >= 0)
		return VS_OK;
	int fd = -1;
	struct stat st = {0};
	c->busy = true;
	(void)pthread_mutex_unlock(&c->lock);
	vs_rc rc = vs_link_open(c->profile, deadline_boot_ns, &fd, err);
	if (!vs_failed(rc) && fstat(fd, &st) != 0) {
		(void)close(fd);
		rc = vs_err_put(err, VS_E_AGENT, __func__, __LINE__, errno,
			"the agent's socket is unusable");
	}
	(void)pthread_mutex_lock(&c->lock);
	c->busy = false;
	(void)pthread_cond_broadcast(&c->changed);
	VS_TRY(rc);
	c->fd = fd;
	c->dev = st.st_dev;
	c->ino = st.st_ino;
	c->n_given_up = 0;
	incoming_reset(&c->in);
	return VS_OK;
}

/* Encoded into the arena, because it may hold a PIN. Lock held. */
static VS_RC
send_request(struct vs_conn *c, enum vs_msg_type type, const void *msg, struct waiter *w,
	int64_t deadline_boot_ns, struct vs_err *err)
{
	const struct vs_msg_desc *desc = vs_msg_desc((uint8_t)type);
	VS_CLEANUP(vs_secret_done) struct vs_secret frame = {0};
	size_t n = 0;
	VS_REQUIRE(err, desc && type < VS_MSG_ANSWER);
	c->last_request = c->last_request == UINT32_MAX ? 1 : c->last_request + 1;
	VS_TRY(vs_secret_new(c->arena, vs_msg_frame_size(desc, msg), &frame, err));
	VS_TRY(vs_msg_put(desc, msg, c->last_request, frame.p, frame.n, &n, err));
	const int64_t longest = vs_boot_now_ns() + (int64_t)SEND_MS_MAX * 1000000;
	struct vs_err broken = {0};
	const vs_rc rc = vs_link_send(c->fd, vs_bytes_of(frame.p, n),
		deadline_boot_ns < longest ? deadline_boot_ns : longest, &broken);
	if (vs_failed(rc)) {
		/* Part of a frame may be out: the stream cannot be used any more. */
		break_connection(c, rc, &broken);
		if (err)
			*err = broken;
		return rc;
	}
	w->request = c->last_request;
	w->next = c->waiters;
	c->waiters = w;
	return VS_OK;
}

/* One try. *ret_again: the connection was lost before an answer came. Lock held. */
static VS_RC
ask_once(struct vs_conn *c, enum vs_msg_type type, const void *msg, int64_t deadline_boot_ns,
	const struct vs_meanwhile *meanwhile, struct waiter *w, bool *ret_again, struct vs_err *err)
{
	*ret_again = false;
	VS_TRY(ensure_connected(c, deadline_boot_ns, err));
	const vs_rc sent = send_request(c, type, msg, w, deadline_boot_ns, err);
	if (vs_failed(sent)) {
		*ret_again = sent.code == VS_E_AGENT;
		return sent;
	}
	if (meanwhile && meanwhile->fn) {
		(void)pthread_mutex_unlock(&c->lock);
		meanwhile->fn(meanwhile->arg);
		(void)pthread_mutex_lock(&c->lock);
	}
	vs_rc rc = VS_OK;
	while (!w->done && !vs_failed(rc)) {
		if (!c->reading)
			rc = read_for_all(c, w, deadline_boot_ns, err);
		else if (!wait_changed(c, deadline_boot_ns))
			rc = vs_err_put(err, VS_E_TIMEOUT, __func__, __LINE__, 0,
				"the agent did not answer in time");
	}
	if (!w->done) {
		(void)take_waiter(c, w->request);
		c->n_given_up++;
		return rc;
	}
	if (vs_failed(w->rc)) {
		*ret_again = w->rc.code == VS_E_AGENT;
		if (err)
			*err = w->err;
	}
	return w->rc;
}

static VS_RC
open_answer(enum vs_msg_type type, const struct waiter *w, void *ret_answer, struct vs_err *err)
{
	const struct vs_msg_desc *desc = vs_msg_desc(w->type);
	const struct vs_bytes payload =
		desc->secret ? vs_secret_view(&w->reply->secret) : vs_buf_view(&w->reply->plain);
	if (w->type == VS_MSG_ERROR) {
		struct vs_msg_error m = {0};
		VS_TRY(vs_msg_get(desc, payload, &m, err));
		return vs_msg_error_get(m.frames, err);
	}
	if (w->type != (uint8_t)(type | VS_MSG_ANSWER))
		VS_FAIL(err, WIRE, "the agent answered another question than was asked");
	return vs_msg_get(desc, payload, ret_answer, err);
}

VS_RC
vs_conn_ask(struct vs_conn *c, enum vs_msg_type type, const void *msg, int64_t deadline_boot_ns,
	struct vs_reply *reply, void *ret_answer, struct vs_err *err)
{
	return vs_conn_ask_meanwhile(c, type, msg, deadline_boot_ns, NULL, reply, ret_answer, err);
}

VS_RC
vs_conn_ask_meanwhile(struct vs_conn *c, enum vs_msg_type type, const void *msg,
	int64_t deadline_boot_ns, const struct vs_meanwhile *meanwhile, struct vs_reply *reply,
	void *ret_answer, struct vs_err *err)
{
	if (c->profile->broken)
		VS_FAIL(err, CONFIG_FILE, "%s", c->profile->why);
	if (c->profile->path[0] == '\0')
		VS_FAIL(err, CONFIG_FILE, "there is no configuration file");
	*reply = (struct vs_reply){.fd = -1};
	struct waiter w = {.reply = reply};
	struct vs_err local = {0};
	vs_rc rc = VS_OK;
	bool again = true;
	(void)pthread_mutex_lock(&c->lock);
	for (int i = 0; i < ATTEMPTS && again; i++) {
		w = (struct waiter){.reply = reply};
		local = (struct vs_err){0};
		rc = ask_once(c, type, msg, deadline_boot_ns, i == 0 ? meanwhile : NULL, &w, &again,
			&local);
	}
	(void)pthread_mutex_unlock(&c->lock);
	if (!vs_failed(rc))
		rc = open_answer(type, &w, ret_answer, &local);
	if (vs_failed(rc)) {
		vs_reply_done(reply);
		if (err)
			*err = local;
	}
	return rc;
}
