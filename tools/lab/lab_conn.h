/* SPDX-License-Identifier: BSD-2-Clause */
/* One accepted connection of the lab's server: bytes in, bytes out, and the ways to spoil them. */
#ifndef LAB_LAB_CONN_H
#define LAB_LAB_CONN_H

#include "lab/lab_fault.h"
#include "lab/lab_req.h"

struct ssl_st;

struct lab_conn {
	int fd;
	struct ssl_st *ssl; /* NULL: plain */
	const int *stopping; /* atomic; the server ends */
	int64_t clock_offset_s; /* of the services' clock, for the Date header */
	struct vs_buf in; /* read, not yet used */
};

/* Reset the connection instead of closing it. */
void lab_conn_reset(struct lab_conn *c);
/* Nothing happens any more until the peer gives up or the server stops. */
void lab_conn_hang(struct lab_conn *c);
bool lab_conn_write(struct lab_conn *c, const void *p, size_t n);

/* Read a head and parse it. false: the connection ended; err set: it was not HTTP. */
bool lab_conn_read_head(struct lab_conn *c, struct lab_reqmem *m, struct vs_err *err);
/* Read the body that the head announces into m->body. */
VS_RC lab_conn_read_body(struct lab_conn *c, struct lab_reqmem *m, struct vs_err *err);
/* Send an answer, spoilt as the fault says. false: the connection cannot go on. */
bool lab_conn_answer(struct lab_conn *c, struct lab_resp *resp, const struct lab_fault *fault,
	bool head_only, bool keep_alive);

#endif
