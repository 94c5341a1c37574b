/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The messages between module and agent: one plain struct each, one const table for both ends.
 * Every field of a message is always present, in the table's order; what does not apply is empty.
 */
#ifndef VS_PROTO_MSG_H
#define VS_PROTO_MSG_H

#include "proto/wire.h"

enum vs_msg_type {
	VS_MSG_NONE = 0,
	VS_MSG_HELLO = 1,
	VS_MSG_TOKENS = 2,
	VS_MSG_CATALOG = 3,
	VS_MSG_NEED = 4,
	VS_MSG_KEY = 5,
	VS_MSG_STATUS = 6,
	VS_MSG_ANSWER = 64, /* an answer's type is its request's with this bit */
	VS_MSG_HELLO_ANSWER = 65,
	VS_MSG_TOKENS_ANSWER = 66,
	VS_MSG_CATALOG_ANSWER = 67,
	VS_MSG_NEED_ANSWER = 68,
	VS_MSG_KEY_ANSWER = 69,
	VS_MSG_STATUS_ANSWER = 70,
	VS_MSG_ERROR = 127, /* answer to any request */
};

enum {
	VS_MSG_LABEL_MAX = 32,
	VS_MSG_PATH_MAX = 1023,
	VS_MSG_PIN_MAX = 255,
	VS_MSG_NAME_MAX = 127,
	VS_MSG_VERSION_MAX = 64,
	VS_MSG_KEY_MAX = 16384,
	VS_MSG_SENTENCE_MAX = 1023,
	VS_MSG_CHUNK_MAX = 60000,
	VS_MSG_TOKENS_MAX = 64,
	VS_LEASE_ID_BYTES = 16,
};

struct vs_msg_hello {
	uint32_t protocol; /* VS_WIRE_VERSION */
	struct vs_bytes path; /* configuration file of the asker */
	uint64_t boot_ns; /* its boot clock, to notice another time namespace */
};

struct vs_msg_hello_answer {
	uint32_t protocol;
	struct vs_bytes program; /* "vouchsafe-agent 0.1.0" */
	struct vs_bytes instance; /* 16 random bytes of this agent process */
	uint64_t boot_ns;
	bool mine; /* false: this agent serves another configuration file */
	bool lab;
};

struct vs_msg_tokens {
	uint32_t zero; /* for later use, 0 */
};

struct vs_msg_tokens_answer {
	struct vs_bytes list; /* vs_msg_token_put / _get */
};

struct vs_msg_catalog {
	struct vs_bytes label; /* of the token */
	uint64_t known; /* generation the asker has, 0: none */
	uint32_t cursor; /* 0, then what the last answer says */
};

struct vs_msg_catalog_answer {
	bool unchanged; /* `known` is current; nothing else is set */
	uint64_t generation;
	uint32_t total; /* bytes of the encoded catalog */
	uint32_t cursor; /* where data starts */
	struct vs_bytes data;
};

struct vs_msg_need {
	struct vs_bytes label;
	uint64_t deadline_boot_ns;
	struct vs_bytes pin;
};

struct vs_msg_need_answer { /* carries the page's descriptor */
	struct vs_bytes lease_id;
};

struct vs_msg_key {
	struct vs_bytes label;
	struct vs_bytes lease_id;
	struct vs_bytes name, version;
	uint64_t deadline_boot_ns;
};

/* Secret: encoded into and decoded in arena memory only. Carries the descriptor of proto/uses.h. */
struct vs_msg_key_answer {
	uint32_t key_no;
	struct vs_bytes bytes;
};

struct vs_msg_status {
	struct vs_bytes label;
};

struct vs_msg_status_answer {
	struct vs_bytes state; /* "LOCKED" ... */
	bool lab;
	uint64_t lease_left_s; /* UINT64_MAX: no lease */
	uint32_t n_keys, n_peers;
	uint32_t code; /* vs_code number of the last reason, 0: none */
	uint64_t wall_unix; /* of the last reason */
	struct vs_bytes sentence;
};

struct vs_msg_error {
	struct vs_bytes frames; /* vs_msg_error_put / _get */
};

enum vs_field_kind {
	VS_FIELD_NONE = 0,
	VS_FIELD_U32,
	VS_FIELD_U64,
	VS_FIELD_BOOL,
	VS_FIELD_BYTES,
	VS_FIELD_TEXT, /* UTF-8 without control characters */
	VS_FIELD_COUNT_,
};

struct vs_msg_field {
	const char *name;
	uint8_t tag;
	enum vs_field_kind kind;
	size_t offset;
	uint32_t min, max; /* length of BYTES and TEXT */
};

struct vs_msg_desc {
	enum vs_msg_type type;
	const char *name;
	size_t size; /* of its struct */
	bool has_fd; /* one descriptor travels with it */
	bool secret; /* only in arena memory */
	size_t n_fields;
	struct vs_msg_field fields[8];
};

/* NULL for numbers that are not in the table. */
const struct vs_msg_desc *vs_msg_desc(uint8_t type);
/* The rows in order, for tests: NULL behind the last. */
const struct vs_msg_desc *vs_msg_row(size_t i);
/* Longest possible length of the fields of this message. */
size_t vs_msg_length_max(const struct vs_msg_desc *desc);

/* Bytes of the whole frame of this message. */
size_t vs_msg_frame_size(const struct vs_msg_desc *desc, const void *msg);
/*
 * Encode a whole frame into memory of exactly vs_msg_frame_size() bytes or more.
 * Error: INTERNAL when a field is longer than the table allows, or the memory too short.
 */
VS_RC vs_msg_put(const struct vs_msg_desc *desc, const void *msg, uint32_t request, uint8_t *out,
	size_t out_size, size_t *ret_n, struct vs_err *err);
/* The same appended to a buffer; refused for secret messages. */
VS_RC vs_msg_add(enum vs_msg_type type, const void *msg, uint32_t request, struct vs_buf *out,
	struct vs_err *err);
/* Decode the fields of a frame; views point into payload. Error: WIRE. */
VS_RC
vs_msg_get(const struct vs_msg_desc *desc, struct vs_bytes payload, void *ret, struct vs_err *err);

/* ---- nested parts ------------------------------------------------------------------------- */

enum { VS_MSG_ERROR_BYTES_MAX = 2048, VS_MSG_STATE_MAX = 15 };

/*
 * A sentence for people that was quoted where it was made: kept as it is, but for bytes that no
 * sentence has (control characters, what is no UTF-8), which become '?'. Cut to fit. Terminated.
 */
void vs_msg_sentence(struct vs_bytes text, char *out, size_t out_size);

/* All frames of an error, shortened where needed; functions and lines stay behind. */
void vs_msg_error_put(const struct vs_err *error, struct vs_buf *out);
/* The error that came: its code. Always an error: what cannot be read is WIRE. */
vs_rc vs_msg_error_get(struct vs_bytes frames, struct vs_err *err);

struct vs_msg_token {
	char label[VS_MSG_LABEL_MAX + 1];
	char serial[17];
	char state[VS_MSG_STATE_MAX + 1];
	uint32_t code; /* of what is wrong with its section, 0: nothing */
};
VS_RC vs_msg_token_put(struct vs_buf *out, const struct vs_msg_token *token, struct vs_err *err);
/* Next of the list; *ret_more is false at the end. Error: WIRE. */
VS_RC
vs_msg_token_get(struct vs_reader *r, struct vs_msg_token *ret, bool *ret_more, struct vs_err *err);

#endif
