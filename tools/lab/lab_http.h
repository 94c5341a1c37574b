/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lab's HTTP/1.1 server: loopback, one thread per connection, keep-alive, a strict and bounded
 * parser, TLS by libssl, and faults on demand (lab_fault.h).
 */
#ifndef LAB_LAB_HTTP_H
#define LAB_LAB_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "vouchsafe/err.h"

struct lab;
struct json_t;

enum {
	LAB_HEAD_MAX = 64 * 1024, /* request line and headers */
	LAB_BODY_MAX = 4 * 1024 * 1024,
	LAB_HEADERS_MAX = 64,
	LAB_QUERY_MAX = 32,
	LAB_SEGMENTS_MAX = 12,
};

struct lab_pair {
	const char *name, *value;
};

/* Everything is NUL-terminated and lives as long as the request. */
struct lab_req {
	int service; /* enum lab_service */
	const char *method; /* "GET" */
	const char *target; /* as sent */
	const char *path; /* decoded, leading slashes collapsed to one */
	size_t n_segments; /* of the path, decoded, empty ones kept: "/keys/n//release" */
	const char *segments[LAB_SEGMENTS_MAX];
	size_t n_query; /* names and values decoded */
	struct lab_pair query[LAB_QUERY_MAX];
	size_t n_headers; /* names in lower case */
	struct lab_pair headers[LAB_HEADERS_MAX];
	struct vs_bytes body; /* empty while in lab_before */
};

/* First value or NULL; name in lower case. */
const char *lab_req_header(const struct lab_req *req, const char *name);
const char *lab_req_query(const struct lab_req *req, const char *name);
bool lab_req_is(const struct lab_req *req, const char *method, const char *path);
/* The body as a JSON value (strict: no duplicates, nothing behind it), or NULL. */
struct json_t *lab_req_json(const struct lab_req *req);

struct lab_resp {
	int status;
	struct vs_buf head; /* further header lines, each with CR LF */
	char content_type[96]; /* empty: none */
	struct vs_buf body;
	bool chunked; /* chunks instead of Content-Length */
	char request_id[40]; /* x-ms-request-id, where a service gives one */
	bool close; /* end the connection after this answer */
	bool platform; /* the api-version has hsmPlatform among a key's attributes */
};

void lab_resp_done(struct lab_resp *resp);
/* Add "name: value". Failure (memory) turns the answer into a 500. */
void lab_resp_header(struct lab_resp *resp, const char *name, const char *value);
/* Replace body and content type. */
void lab_resp_text(struct lab_resp *resp, int status, const char *content_type, const char *text);
/* Compact JSON in member order, "application/json; charset=utf-8"; takes the reference. */
void lab_resp_json(struct lab_resp *resp, int status, struct json_t *json);
/* The same with the members of every object sorted. */
void lab_resp_json_sorted(struct lab_resp *resp, int status, struct json_t *json);
/* {"error":{"code","message"[,"innererror":{"code"}]}}; inner may be NULL. */
void lab_resp_error(struct lab_resp *resp, int status, const char *code, const char *message,
	const char *inner);

/* Answers one request completely. Runs on the connection's thread; several run at once. */
typedef void lab_handler(struct lab *lab, const struct lab_req *req, struct lab_resp *resp);
/* Called before the body is read; true: resp is the answer and the body is thrown away. */
typedef bool lab_before(struct lab *lab, const struct lab_req *req, struct lab_resp *resp);

struct ssl_ctx_st;
struct lab_server;

struct lab_server_spec {
	int service;
	struct ssl_ctx_st *tls; /* NULL: plain HTTP */
	lab_before *before; /* or NULL */
	lab_handler *handle;
};

/*
 * Bind 127.0.0.1 on an unused port; *port gets it. Connections wait until lab_server_start.
 * Errors: SOCKET, MEMORY.
 */
VS_RC lab_server_open(struct lab *lab, const struct lab_server_spec *spec, struct lab_server **ret,
	unsigned *port, struct vs_err *err);
VS_RC lab_server_start(struct lab_server *server, struct vs_err *err);
/* Follow the faults: listen or refuse; drop: end the connections that are open. */
void lab_server_sync(struct lab_server *server, bool drop);
/* Requests answered so far. */
uint64_t lab_server_requests(const struct lab_server *server);
/* Stops accepting, ends all connections, waits for their threads, frees. NULL-safe. */
void lab_server_stop(struct lab_server *server);

#endif
