/* SPDX-License-Identifier: BSD-2-Clause */
/* The lab's own small HTTPS client, for the vaults' look at an attestation authority. */
#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lab/lab_authority.h"
#include "lab/lab_pki.h"

enum { ANSWER_MAX = 1 << 20, WAIT_S = 10 };

struct url {
	char host[64];
	unsigned port;
	char path[256];
};

/* https://localhost[:port]/path or https://127.0.0.1...: the lab reaches nothing else. */
static VS_RC
parse_url(const char *text, struct url *ret, struct vs_err *err)
{
	char rest[256] = "/";
	struct url u = {.port = 443};
	if (sscanf(text, "https://%63[a-z0-9.]:%5u%255s", u.host, &u.port, rest) < 2)
		u.port = sscanf(text, "https://%63[a-z0-9.]%255s", u.host, rest) >= 1 ? 443 : 0;
	const size_t n = strlen(u.host);
	const bool local = strcmp(u.host, "localhost") == 0 || strcmp(u.host, "127.0.0.1") == 0 ||
		(n > 10 && strcmp(u.host + n - 10, ".localhost") == 0);
	if (!local || u.port == 0 || u.port > 65535 || rest[0] != '/')
		VS_FAIL(err, CONNECT, "the lab reaches https addresses on loopback only");
	memcpy(u.path, rest, sizeof(rest));
	*ret = u;
	return VS_OK;
}

static void
mark_own(struct lab *lab, unsigned port, bool on)
{
	const unsigned char bit = (unsigned char)(1u << (port % 8));
	if (on)
		__atomic_fetch_or(&lab->own_ports[port / 8], bit, __ATOMIC_ACQ_REL);
	else
		__atomic_fetch_and(
			&lab->own_ports[port / 8], (unsigned char)~bit, __ATOMIC_ACQ_REL);
}

/* The source port is marked before connecting, so that faults spare the lab's own requests. */
static VS_RC
connect_to(struct lab *lab, unsigned port, int *ret, unsigned *own_port, struct vs_err *err)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(at);
	const struct timeval wait = {.tv_sec = WAIT_S};
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		VS_FAIL_N(err, CONNECT, errno, "no socket");
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	if (bind(fd, (struct sockaddr *)&at, n) != 0 ||
		getsockname(fd, (struct sockaddr *)&at, &n) != 0) {
		(void)close(fd);
		VS_FAIL_N(err, CONNECT, errno, "no source port");
	}
	*own_port = ntohs(at.sin_port);
	mark_own(lab, *own_port, true);
	at.sin_port = htons((uint16_t)port);
	if (connect(fd, (struct sockaddr *)&at, n) != 0) {
		const int e = errno;
		mark_own(lab, *own_port, false);
		(void)close(fd);
		VS_FAIL_N(err, CONNECT, e, "port %u does not answer", port);
	}
	*ret = fd;
	return VS_OK;
}

static VS_RC
read_answer(SSL *ssl, struct vs_buf *out, struct vs_err *err)
{
	for (;;) {
		uint8_t *p = NULL;
		VS_TRY(vs_buf_room(out, 8192, &p, err));
		const int n = SSL_read(ssl, p, 8192);
		if (n <= 0)
			return VS_OK;
		out->n += (size_t)n;
	}
}

static VS_RC
exchange(struct lab *lab, int fd, const struct url *u, struct vs_buf *out, struct vs_err *err)
{
	SSL_CTX *ctx = NULL;
	char request[512];
	VS_TRY(lab_pki_client(lab, &ctx, err));
	SSL *ssl = SSL_new(ctx);
	SSL_CTX_free(ctx);
	const bool numeric = strcmp(u->host, "127.0.0.1") == 0;
	const int n = snprintf(request, sizeof(request),
		"GET %s HTTP/1.1\r\nHost: %s:%u\r\nAccept: application/json\r\nConnection: "
		"close\r\n\r\n",
		u->path, u->host, u->port);
	vs_rc rc = VS_OK;
	if (ssl == NULL || SSL_set_fd(ssl, fd) != 1 ||
		(numeric ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), u->host)
			 : SSL_set1_host(ssl, u->host)) != 1 ||
		SSL_connect(ssl) != 1)
		rc = vs_err_put(
			err, VS_E_TLS, __func__, __LINE__, 0, "no TLS connection to %s", u->host);
	else if (SSL_write(ssl, request, n) != n)
		rc = vs_err_put(
			err, VS_E_CONNECT, __func__, __LINE__, 0, "the request was not sent");
	else
		rc = read_answer(ssl, out, err);
	SSL_free(ssl);
	return rc;
}

/* Chunks to plain bytes, in place. */
static VS_RC
join_chunks(char *body, size_t n, size_t *ret, struct vs_err *err)
{
	size_t in = 0, out = 0;
	for (;;) {
		char *end = NULL;
		const unsigned long size = in < n ? strtoul(body + in, &end, 16) : 0;
		if (in >= n || end == body + in || size > n || strncmp(end, "\r\n", 2) != 0)
			VS_FAIL(err, ANSWER, "bad chunks");
		in = (size_t)(end - body) + 2;
		if (size == 0)
			break;
		if (size + 2 > n - in)
			VS_FAIL(err, ANSWER, "a chunk is cut off");
		memmove(body + out, body + in, size);
		out += size;
		in += size + 2;
	}
	*ret = out;
	return VS_OK;
}

static VS_RC
take_json(struct vs_buf *answer, json_t **ret, struct vs_err *err)
{
	char *text = (char *)answer->p, *head_end = text != NULL ? strstr(text, "\r\n\r\n") : NULL;
	if (head_end == NULL || strncmp(text, "HTTP/1.1 200 ", 13) != 0)
		VS_FAIL(err, ANSWER, "the answer is not a 200");
	size_t n = answer->n - (size_t)(head_end + 4 - text);
	char *body = head_end + 4;
	const char *length = strcasestr(text, "\r\nContent-Length:");
	const char *chunked = strcasestr(text, "\r\nTransfer-Encoding: chunked");
	if (chunked != NULL && chunked < head_end)
		VS_TRY(join_chunks(body, n, &n, err));
	else if (length == NULL || length > head_end || strtoul(length + 17, NULL, 10) != n)
		VS_FAIL(err, ANSWER, "the answer's length is wrong");
	*ret = json_loadb(body, n, JSON_REJECT_DUPLICATES, NULL);
	if (*ret == NULL)
		VS_FAIL(err, ANSWER, "the answer is not JSON");
	return VS_OK;
}

VS_RC
lab_authority_get(struct lab *lab, const char *url, json_t **ret, struct vs_err *err)
{
	struct url u = {0};
	int fd = -1;
	unsigned own_port = 0;
	VS_CLEANUP(vs_buf_done) struct vs_buf answer = {.max = ANSWER_MAX};
	VS_TRY(parse_url(url, &u, err));
	VS_TRY(connect_to(lab, u.port, &fd, &own_port, err));
	const vs_rc rc = exchange(lab, fd, &u, &answer, err);
	mark_own(lab, own_port, false);
	(void)close(fd);
	VS_TRY(rc);
	return take_json(&answer, ret, err);
}
