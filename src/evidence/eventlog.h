/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The firmware's event log (TCG PC Client, both formats). The log is nobody's word: a replay that
 * equals a quoted PCR proves the sequence of digests, never an event's type, and an event's data
 * only where the data's hash is the digest (T-A5).
 */
#ifndef VS_EVIDENCE_EVENTLOG_H
#define VS_EVIDENCE_EVENTLOG_H

#include "crypto/hash.h"
#include "evidence/hcl.h"

enum {
	VS_EVENTLOG_MAX = 4 << 20,
	VS_EVENTLOG_EVENTS_MAX = 65536,
	VS_EVENTLOG_ALGS_MAX = 8,
	VS_EV_NO_ACTION = 3,
	VS_EV_SEPARATOR = 4,
};
#define VS_EV_VARIABLE_DRIVER_CONFIG 0x80000001u
#define VS_EV_EFI_ACTION 0x80000007u
#define VS_EV_VARIABLE_AUTHORITY 0x800000E0u

struct vs_event {
	uint32_t pcr, type;
	size_t n_digests;
	struct {
		uint16_t alg;
		struct vs_bytes value;
	} digests[VS_EVENTLOG_ALGS_MAX];
	struct vs_bytes data;
};

/* A place in a log. */
struct vs_eventlog {
	struct vs_reader r;
	size_t size, fill; /* fill: bytes at the end that are all 0 or all 0xFF */
	bool agile; /* crypto-agile; else SHA-1 only */
	size_t n_algs;
	struct {
		uint16_t alg, size;
	} algs[VS_EVENTLOG_ALGS_MAX];
	size_t n_events; /* seen so far */
	struct vs_event first; /* the first event, if it was one of its own (legacy) */
	bool first_pending;
};

/* Reads the header. Errors: FORMAT, LIMIT. */
VS_RC vs_eventlog_open(struct vs_bytes log, struct vs_eventlog *ret, struct vs_err *err);
/* *ret_end: nothing is left but padding. Errors: FORMAT, LIMIT. */
VS_RC
vs_eventlog_next(struct vs_eventlog *log, struct vs_event *ret, bool *ret_end, struct vs_err *err);
/* Offset behind the last event read. */
size_t vs_eventlog_offset(const struct vs_eventlog *log);
/* The digest for a bank; empty when the event has none. */
struct vs_bytes vs_event_digest(const struct vs_event *e, enum vs_hash bank);
/* Is the digest the hash of the data? */
bool vs_event_data_is_measured(const struct vs_event *e, enum vs_hash bank);

struct vs_replay {
	enum vs_hash bank;
	bool has_bank;
	uint8_t pcr[VS_PCRS_MAX][VS_HASH_MAX_BYTES];
	uint32_t touched; /* bit i: some event extends PCR i */
	uint8_t locality; /* of the start-up, the initial value of PCR 0 */
	size_t n_events; /* including those that extend nothing */
	bool agile;
	size_t end; /* offset behind the last event */
};

/* What the PCRs of one bank must be if this log is true. Errors: FORMAT, LIMIT, CRYPTO. */
VS_RC vs_eventlog_replay(
	struct vs_bytes log, enum vs_hash bank, struct vs_replay *ret, struct vs_err *err);

struct vs_secure_boot {
	enum vs_tristate state; /* UNKNOWN: the log does not let one say */
	char why[120];
	unsigned n_authorities; /* which keys let boot images through, after the separator */
	char authority[32]; /* variable of the first one, "db" or "Shim" */
	struct vs_bytes authority_data; /* EFI_SIGNATURE_DATA where it is "db"; in the log */
};

/*
 * Secure Boot as PCR 7 of the log shows it. Only to be believed when the replayed PCR 7 equals a
 * quoted one. Errors: FORMAT, LIMIT, CRYPTO.
 */
VS_RC vs_eventlog_secure_boot(
	struct vs_bytes log, enum vs_hash bank, struct vs_secure_boot *ret, struct vs_err *err);

#endif
