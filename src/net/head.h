/* SPDX-License-Identifier: BSD-2-Clause */
/* What the head of an answer tells us, and the defects in it that spoil the whole answer. */
#ifndef VS_NET_HEAD_H
#define VS_NET_HEAD_H

#include "vouchsafe/provider.h"

/* Zero-initialise per request. */
struct vs_http_head {
	size_t bytes;
	bool has_length, has_transfer_encoding;
	bool done; /* what follows are trailers, which say nothing to us */
	const char *defect; /* "has too many headers": the answer must not be used */
};

/* One line with its line end, status lines included. Fills the header members of res. */
void vs_http_head_line(
	struct vs_http_head *h, struct vs_bytes line, int64_t now_unix, struct vs_http_res *res);
/* A truncated body would be noticed: it has a length, or chunks, or there can be none. */
bool vs_http_head_framed(const struct vs_http_head *h, long status);

#endif
