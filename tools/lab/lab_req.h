/* SPDX-License-Identifier: BSD-2-Clause */
/* The strict request parser of the lab's server. Pure: bytes in, request out. */
#ifndef LAB_LAB_REQ_H
#define LAB_LAB_REQ_H

#include "lab/lab_http.h"

/* A request with its memory. Zero-initialise. */
struct lab_reqmem {
	struct lab_req req;
	char *pool; /* decoded texts */
	size_t pool_n, pool_cap;
	struct vs_buf body;
	size_t content_length;
	bool chunked;
	bool expect_continue;
	bool keep_alive;
};

void lab_reqmem_done(struct lab_reqmem *m);
/*
 * Parse a head: request line, headers, empty line, nothing behind it.
 * Error: FORMAT with a sentence.
 */
VS_RC lab_req_parse(struct vs_bytes head, struct lab_reqmem *ret, struct vs_err *err);
/* application/x-www-form-urlencoded into pairs; texts go to *pool, which the caller frees. */
VS_RC lab_form_parse(struct vs_bytes body, struct lab_pair *pairs, size_t max, size_t *n,
	char **pool, struct vs_err *err);

#endif
