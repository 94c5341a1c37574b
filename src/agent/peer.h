/* SPDX-License-Identifier: BSD-2-Clause */
/* One connection: who is there, frames in, answers out, what it holds. */
#ifndef VS_AGENT_PEER_H
#define VS_AGENT_PEER_H

#include <sys/types.h>

#include "agent/keeper.h"
#include "agent/metadata.h"

enum {
	VS_PEERS_MAX = 2048,
	VS_PEERS_PER_USER_MAX = 256, /* root and the agent's own user: only the line above */
	VS_PEER_REQUESTS_MAX = 64,
	VS_PEER_GROUPS_MAX = 64,
	VS_PEER_FRAME_MS = 10000, /* from a frame's first byte to its last */
	VS_PEER_OUT_BYTES_MAX = 1 << 20,
	/* Of all connections of one user, so that it takes no place from others: */
	VS_USER_REQUESTS_MAX = 512, /* in flight; half of what workers may have before them */
	VS_USER_SECRET_BYTES_MAX = 1 << 20, /* not yet read; of the memory for secrets */
};

struct vs_server;
struct vs_request;
struct vs_out;

struct vs_peer {
	struct vs_peer *next;
	struct vs_server *server;
	int fd, pid_fd; /* pid_fd is -1 where there is none */
	struct vs_loop_src *src, *pid_src;
	uint32_t uid, gid;
	int32_t pid;
	size_t n_groups;
	gid_t groups[VS_PEER_GROUPS_MAX];
	bool greeted, closing;
	/* The frame being received. */
	uint8_t head[VS_WIRE_HEAD];
	size_t head_n, body_n;
	struct vs_frame frame;
	struct vs_buf plain;
	struct vs_secret secret;
	uint8_t *body;
	struct vs_timer frame_timer;
	/* Answers on their way. */
	struct vs_out *out, **out_end;
	size_t out_bytes, secret_bytes;
	/* Requests that wait for something. */
	struct vs_request *requests;
	unsigned n_requests;
	uint64_t holds, pin_ok; /* one bit per token */
};

/* Takes the descriptor over. Errors: LIMIT, REFUSED_PEER, SOCKET, MEMORY; then it is closed. */
VS_RC vs_peer_new(struct vs_server *s, int fd, struct vs_err *err);
/* Drops everything of it; frees it. */
void vs_peer_drop(struct vs_peer *peer);
/* Encode and queue an answer; fd (or -1) is duplicated. A failure closes the connection. */
void vs_peer_answer(
	struct vs_peer *peer, enum vs_msg_type type, const void *msg, uint32_t request, int fd);
void vs_peer_error(struct vs_peer *peer, uint32_t request, const struct vs_err *error);

/* May it use this token's keys? Error: REFUSED_PEER. */
VS_RC
vs_peer_allowed(const struct vs_peer *peer, const struct vs_conf_token *token, struct vs_err *err);
struct vs_who vs_peer_who(const struct vs_peer *peer);

/* ---- request.c ------------------------------------------------------------------------------ */

/* A whole frame has come. Error: the connection is to be closed. */
VS_RC vs_request_take(struct vs_peer *peer, struct vs_bytes payload, struct vs_err *err);
/* All that wait: their peer goes. */
void vs_requests_cancel(struct vs_peer *peer);

#endif
