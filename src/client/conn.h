/* SPDX-License-Identifier: BSD-2-Clause */
/* One connection shared by all threads of a process: whoever finds nobody reading reads for all. */
#ifndef VS_CLIENT_CONN_H
#define VS_CLIENT_CONN_H

#include "base/secret.h"
#include "client/client.h"
#include "client/profile.h"
#include "proto/msg.h"

struct vs_conn;

VS_RC vs_conn_new(const struct vs_profile *profile, struct vs_arena *arena, struct vs_conn **ret,
	struct vs_err *err);
void vs_conn_free(struct vs_conn *conn);
/* In a forked child: no lock is touched; the inherited descriptor is closed if it is ours. */
void vs_conn_abandon(struct vs_conn *conn);

/* An answer: its fields in plain memory, or for secret messages in the arena. */
struct vs_reply {
	struct vs_buf plain;
	struct vs_secret secret;
	int fd; /* -1, or the descriptor that came along */
};
void vs_reply_done(struct vs_reply *reply);

/*
 * Send a request and wait for its answer, which is decoded into ret_answer (views into *reply).
 * Connects if necessary, and again once if the connection turns out to be gone. Thread-safe; blocks
 * in poll, or waiting for the thread that reads. Errors: what the agent reports, AGENT, TIMEOUT,
 * WIRE, MEMORY, CONFIG (broken profile).
 */
VS_RC vs_conn_ask(struct vs_conn *conn, enum vs_msg_type type, const void *msg,
	int64_t deadline_boot_ns, struct vs_reply *reply, void *ret_answer, struct vs_err *err);
/*
 * The same; meanwhile (unless its fn is NULL) is called once, with no lock held, between sending
 * and waiting: what the caller will need anyway costs no time while the agent works.
 */
VS_RC vs_conn_ask_meanwhile(struct vs_conn *conn, enum vs_msg_type type, const void *msg,
	int64_t deadline_boot_ns, const struct vs_meanwhile *meanwhile, struct vs_reply *reply,
	void *ret_answer, struct vs_err *err);

#endif
