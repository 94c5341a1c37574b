/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One line of the audit log: canonical JSON in pure ASCII, its fixed members in a fixed order,
 * and the two hashes that make a chain. A record's hash covers every byte of its line but the hash
 * itself, so also the hash of the line before.
 *
 *   {"v":1,"log":..,"seq":..,"time":..,"wall":..,"boot_id":..,"boot_ns":..,"writer":..,
 *    "writer_pid":..,["writer_uid":..,]["lab":true,]"event":..,...,["clock_back_s":..,]["tpm_clock_ms":..,
 *    "tpm_resets":..,"tpm_restarts":..,"tpm_boot_ns":..,]"prev":..,"hash":..}
 */
#ifndef VS_AUDIT_CHAIN_H
#define VS_AUDIT_CHAIN_H

#include "base/buf.h"
#include "vouchsafe/err.h"

struct vs_ossl;

enum { VS_CHAIN_VERSION = 1, VS_CHAIN_DEPTH_MAX = 4, VS_CHAIN_REASON_MAX = 160 };

/* What a record says of itself. */
struct vs_chain_link {
	uint64_t seq;
	int64_t wall;
	bool lab;
	char log_id[33];
	char boot_id[40];
	char time[40];
	char prev[65];
	char hash[65];
};

/* The first record's prev. */
extern const char vs_chain_zero[65];

/* ---- writing ----------------------------------------------------------------------------- */

/* Quotes included; control characters, non-ASCII and broken UTF-8 escaped. */
VS_RC vs_chain_put_string(struct vs_buf *out, const char *s, struct vs_err *err);

struct vs_chain_head {
	const char *log_id, *boot_id, *writer, *prev;
	uint64_t seq;
	int64_t wall, boot_ns;
	int pid;
	unsigned uid;
	bool lab;
};

/* The whole line with its newline; body is "event" and what follows, without prev and hash. */
VS_RC vs_chain_compose(struct vs_ossl *o, const struct vs_chain_head *head, struct vs_bytes body,
	struct vs_buf *out, char ret_hash[65], struct vs_err *err);

/* ---- reading ----------------------------------------------------------------------------- */

/*
 * Whether a line (without newline) is one record in canonical form whose hash fits; if not, reason
 * says why. ret->seq is set as far as it could be read, else 0.
 */
bool vs_chain_read(struct vs_ossl *o, struct vs_bytes line, struct vs_chain_link *ret,
	char reason[VS_CHAIN_REASON_MAX]);

/*
 * A top-level member of a line that vs_chain_read has accepted: a string unescaped into out, or a
 * number or word as it stands. False when there is none; cut when it does not fit.
 */
bool vs_chain_get(struct vs_bytes line, const char *name, char *out, size_t out_size);

#endif
