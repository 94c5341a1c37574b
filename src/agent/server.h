/* SPDX-License-Identifier: BSD-2-Clause */
/* The agent: listens, bounds, keeps one keeper per token, ends cleanly. */
#ifndef VS_AGENT_SERVER_H
#define VS_AGENT_SERVER_H

#include "agent/peer.h"

struct vs_server_env {
	struct vs_core *core; /* NULL: the configuration is broken, conf_err says why */
	const struct vs_err *conf_err;
	const char *conf_path;
	int listen_fd; /* -1: private */
	int private_fd; /* -1: not private */
	struct vs_log log;
};

struct vs_token_slot {
	struct vs_keeper *keeper;
	struct vs_metadata *metadata;
	int64_t refusal_noted_boot_ns; /* of a peer that is not allowed */
	unsigned pin_failures;
	int64_t pin_hold_boot_ns;
};

struct vs_watch;

struct vs_server {
	struct vs_server_env env;
	struct vs_loop *loop;
	struct vs_work *work;
	struct vs_watch *watch;
	struct vs_loop_src *listen_src, *signal_src;
	struct vs_timer listen_timer; /* runs while no connection can be taken */
	int signal_fd;
	uint8_t instance[16];
	size_t n_tokens;
	struct vs_token_slot *tokens;
	struct vs_peer *peers;
	unsigned n_peers;
	bool ending;
};

/*
 * Serve until SIGTERM, SIGINT or SIGHUP, or until the last peer of a private agent is gone. Blocks
 * these signals in the calling thread. Takes the descriptors over. *ret_clean: everything has
 * ended and the core may be closed; otherwise just leave.
 */
VS_RC vs_server_run(const struct vs_server_env *env, bool *ret_clean, struct vs_err *err);
/* A socket of our own at path, mode 0666: `allow` decides. Errors: SOCKET. */
VS_RC vs_server_listen(const char *path, int *ret_fd, struct vs_err *err);
/* The last peer has gone, or nothing more can be done. */
void vs_server_peer_gone(struct vs_server *s);

#endif
