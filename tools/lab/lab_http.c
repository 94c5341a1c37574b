/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lab/lab.h"
#include "lab/lab_conn.h"
#include "lab/lab_fault.h"
#include "lab/lab_pki.h"

enum { CONNS_MAX = 256, BACKLOG = 128, IDLE_S = 120, POLL_MS = 200 };

struct lab_server {
	struct lab *lab;
	struct lab_server_spec spec;
	int listen_fd;
	int stopping; /* atomic */
	bool listening; /* only lab_server_sync and start change it */
	bool has_thread;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t none_left;
	size_t n_conns;
	struct {
		int fd;
		bool own; /* the lab's own request to its services: no faults */
	} conns[CONNS_MAX];
	uint64_t n_requests; /* atomic */
};

struct job {
	struct lab_server *server;
	int fd;
	bool own;
};

/* ---- one connection ------------------------------------------------------------------------- */

static SSL *
tls_accept(struct lab_server *s, const struct job *job)
{
	const struct lab_fault fault = job->own
		? (struct lab_fault){0}
		: lab_fault_take(s->lab->faults, s->spec.service, LAB_FAULT_TLS, NULL);
	SSL_CTX *spoilt = NULL;
	if (fault.kind != LAB_FAULT_NONE)
		spoilt = lab_pki_tls_spoilt(s->lab, fault.kind);
	SSL *ssl = SSL_new(spoilt != NULL ? spoilt : s->spec.tls);
	SSL_CTX_free(spoilt);
	if (ssl == NULL)
		return NULL;
	if (SSL_set_fd(ssl, job->fd) == 1 && SSL_accept(ssl) == 1)
		return ssl;
	SSL_free(ssl);
	return NULL;
}

/* Faults before the first byte; true: the connection is used up. */
static bool
spoil_accept(struct lab_server *s, const struct job *job)
{
	struct lab_conn c = {.fd = job->fd, .stopping = &s->stopping};
	if (job->own)
		return false;
	const struct lab_fault fault =
		lab_fault_take(s->lab->faults, s->spec.service, LAB_FAULT_ACCEPT, NULL);
	switch ((int)fault.kind) {
	case LAB_FAULT_NONE: return false;
	case LAB_FAULT_SILENT: lab_conn_hang(&c); return true;
	case LAB_FAULT_NOT_TLS: (void)lab_conn_write(&c, "SSH-2.0-lab\r\n", 13); return true;
	case LAB_FAULT_TLS_ALERT:
		/* fatal alert, handshake_failure */
		(void)lab_conn_write(&c, "\x15\x03\x03\x00\x02\x02\x28", 7);
		return true;
	default: lab_conn_reset(&c); return true;
	}
}

static void
refuse_request(struct lab_conn *c, const struct vs_err *err)
{
	char sentence[VS_ERR_TEXT_MAX] = "";
	struct lab_resp resp = {0};
	const struct lab_fault none = {0};
	vs_err_sentence(err, sentence, sizeof(sentence));
	lab_resp_error(&resp, 400, "BadRequest", sentence, NULL);
	(void)lab_conn_answer(c, &resp, &none, false, false);
	lab_resp_done(&resp);
}

/* One request and its answer; false: the connection ends. */
static bool
serve_one(struct lab_server *s, struct lab_conn *c, bool own)
{
	VS_CLEANUP(lab_reqmem_done) struct lab_reqmem m = {.req.service = s->spec.service};
	VS_CLEANUP(lab_resp_done) struct lab_resp resp = {.status = 500, .body.max = 8 << 20};
	struct vs_err err = {0};
	if (!lab_conn_read_head(c, &m, &err))
		return false;
	if (err.n_frames > 0) {
		refuse_request(c, &err);
		return false;
	}
	const bool early = s->spec.before != NULL && s->spec.before(s->lab, &m.req, &resp);
	if (early && m.expect_continue)
		m.keep_alive = false; /* the body will never be sent */
	else if (vs_failed(lab_conn_read_body(c, &m, &err))) {
		refuse_request(c, &err);
		return false;
	}
	if (!early)
		s->spec.handle(s->lab, &m.req, &resp);
	__atomic_fetch_add(&s->n_requests, 1, __ATOMIC_RELAXED);
	const struct lab_fault fault = own
		? (struct lab_fault){0}
		: lab_fault_take(s->lab->faults, s->spec.service, LAB_FAULT_ANSWER, m.req.path);
	lab_fault_content(&fault, &resp);
	lab_say(s->lab, "%s %s %.200s %d%s", lab_service_name((enum lab_service)s->spec.service),
		m.req.method, m.req.path, resp.status,
		fault.kind != LAB_FAULT_NONE ? " (fault)" : "");
	c->clock_offset_s = __atomic_load_n(&s->lab->clock_offset_s, __ATOMIC_RELAXED);
	return lab_conn_answer(c, &resp, &fault, strcmp(m.req.method, "HEAD") == 0, m.keep_alive);
}

static void
serve(struct lab_server *s, const struct job *job)
{
	struct lab_conn c = {.fd = job->fd,
		.stopping = &s->stopping,
		.in = {.max = LAB_BODY_MAX + 2 * LAB_HEAD_MAX}};
	if (spoil_accept(s, job))
		return;
	if (s->spec.tls != NULL && (c.ssl = tls_accept(s, job)) == NULL)
		return;
	while (!__atomic_load_n(&s->stopping, __ATOMIC_RELAXED) && serve_one(s, &c, job->own))
		;
	if (c.ssl != NULL) {
		(void)SSL_shutdown(c.ssl);
		SSL_free(c.ssl);
	}
	vs_buf_done(&c.in);
}

static void
forget(struct lab_server *s, int fd)
{
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->n_conns; i++)
		if (s->conns[i].fd == fd) {
			s->conns[i] = s->conns[--s->n_conns];
			break;
		}
	(void)close(fd);
	if (s->n_conns == 0)
		pthread_cond_broadcast(&s->none_left);
	pthread_mutex_unlock(&s->lock);
}

static void *
conn_main(void *arg)
{
	struct job job = *(struct job *)arg;
	free(arg);
	serve(job.server, &job);
	forget(job.server, job.fd);
	return NULL;
}

/* ---- accepting ------------------------------------------------------------------------------ */

static bool
is_own_port(const struct lab *lab, const struct sockaddr_in *peer)
{
	const unsigned port = ntohs(peer->sin_port);
	return (__atomic_load_n(&lab->own_ports[port / 8], __ATOMIC_ACQUIRE) >> (port % 8) & 1) !=
		0;
}

static void
start_conn(struct lab_server *s, int fd, bool own)
{
	const struct timeval idle = {.tv_sec = IDLE_S};
	const int one = 1;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &idle, sizeof(idle));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &idle, sizeof(idle));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	pthread_mutex_lock(&s->lock);
	const bool room = s->n_conns < CONNS_MAX;
	if (room) {
		s->conns[s->n_conns].fd = fd;
		s->conns[s->n_conns++].own = own;
	}
	pthread_mutex_unlock(&s->lock);
	struct job *job = room ? malloc(sizeof(*job)) : NULL;
	pthread_t thread;
	pthread_attr_t attr;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	if (job != NULL)
		*job = (struct job){.server = s, .fd = fd, .own = own};
	if (job == NULL || pthread_create(&thread, &attr, conn_main, job) != 0) {
		free(job);
		if (room)
			forget(s, fd);
		else
			(void)close(fd);
	}
	pthread_attr_destroy(&attr);
}

static void *
accept_main(void *arg)
{
	struct lab_server *s = arg;
	while (!__atomic_load_n(&s->stopping, __ATOMIC_RELAXED)) {
		struct pollfd p = {.fd = s->listen_fd, .events = POLLIN};
		if (poll(&p, 1, POLL_MS) <= 0)
			continue;
		struct sockaddr_in peer = {0};
		socklen_t n = sizeof(peer);
		const int fd = accept4(s->listen_fd, (struct sockaddr *)&peer, &n, SOCK_CLOEXEC);
		if (fd >= 0)
			start_conn(s, fd, is_own_port(s->lab, &peer));
		else
			(void)poll(NULL, 0, 20); /* not listening now, or out of descriptors */
	}
	return NULL;
}

static int
bound_socket(struct sockaddr_in *at)
{
	socklen_t n = sizeof(*at);
	const int one = 1;
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0 &&
		bind(fd, (struct sockaddr *)at, n) == 0 &&
		getsockname(fd, (struct sockaddr *)at, &n) == 0)
		return fd;
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

/*
 * A port that was asked for by number stays with its socket when that stops listening, one that the
 * kernel chose does not: so a first socket chooses, and a second one asks for the same.
 */
static int
listening_socket(unsigned *port)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const int first = bound_socket(&at);
	int fd = first >= 0 ? bound_socket(&at) : -1;
	if (first >= 0)
		(void)close(first);
	if (fd >= 0 && listen(fd, BACKLOG) != 0) {
		(void)close(fd);
		fd = -1;
	}
	*port = ntohs(at.sin_port);
	return fd;
}

VS_RC
lab_server_open(struct lab *lab, const struct lab_server_spec *spec, struct lab_server **ret,
	unsigned *port, struct vs_err *err)
{
	struct lab_server *s = calloc(1, sizeof(*s));
	if (s == NULL)
		VS_FAIL(err, MEMORY, "out of memory");
	s->lab = lab;
	s->spec = *spec;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->none_left, NULL);
	s->listen_fd = listening_socket(port);
	if (s->listen_fd < 0) {
		const int e = errno;
		lab_server_stop(s);
		VS_FAIL_N(err, SOCKET, e, "no listener on 127.0.0.1: %s", strerror(e));
	}
	s->listening = true;
	*ret = s;
	return VS_OK;
}

VS_RC
lab_server_start(struct lab_server *server, struct vs_err *err)
{
	if (pthread_create(&server->thread, NULL, accept_main, server) != 0)
		VS_FAIL(err, MEMORY, "no thread for a listener");
	server->has_thread = true;
	return VS_OK;
}

uint64_t
lab_server_requests(const struct lab_server *server)
{
	return __atomic_load_n(&server->n_requests, __ATOMIC_RELAXED);
}

static void
drop_conns(struct lab_server *s, bool own_too)
{
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->n_conns; i++)
		if (own_too || !s->conns[i].own)
			(void)shutdown(s->conns[i].fd, SHUT_RDWR);
	pthread_mutex_unlock(&s->lock);
}

/* A listening socket that is shut down keeps its port, and may listen again. */
void
lab_server_sync(struct lab_server *server, bool drop)
{
	const bool refuse = lab_fault_refuses(server->lab->faults, server->spec.service);
	if (refuse == server->listening) {
		if (refuse)
			(void)shutdown(server->listen_fd, SHUT_RDWR);
		else
			(void)listen(server->listen_fd, BACKLOG);
		server->listening = !refuse;
	}
	if (drop || refuse)
		drop_conns(server, false);
}

void
lab_server_stop(struct lab_server *server)
{
	if (server == NULL)
		return;
	__atomic_store_n(&server->stopping, 1, __ATOMIC_RELAXED);
	if (server->listen_fd >= 0)
		(void)shutdown(server->listen_fd, SHUT_RDWR); /* wakes the thread */
	if (server->has_thread)
		pthread_join(server->thread, NULL);
	drop_conns(server, true);
	pthread_mutex_lock(&server->lock);
	while (server->n_conns > 0)
		pthread_cond_wait(&server->none_left, &server->lock);
	pthread_mutex_unlock(&server->lock);
	if (server->listen_fd >= 0)
		(void)close(server->listen_fd);
	pthread_cond_destroy(&server->none_left);
	pthread_mutex_destroy(&server->lock);
	free(server);
}
