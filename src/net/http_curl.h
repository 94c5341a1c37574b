/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * struct vs_http over libcurl: https only (plain to the metadata address or loopback where the
 * request allows it), TLS 1.2 or later with verification always on, no redirects, no environment,
 * capped headers and bodies, complete bodies only, warm connections with an age limit.
 */
#ifndef VS_NET_HTTP_CURL_H
#define VS_NET_HTTP_CURL_H

#include "vouchsafe/ports.h"
#include "vouchsafe/provider.h"

struct vs_http_curl;

struct vs_http_curl_env {
	const char *ca_bundle; /* PEM file of TLS roots; read once, here */
	const char *proxy; /* NULL: none */
	int64_t connect_timeout_ms; /* 0: 5 s */
	int64_t request_timeout_ms; /* 0: 30 s */
	struct vs_clock clock;
	struct vs_log log;
};

/* Errors: CONFIG_FILE (CA bundle), MEMORY, INTERNAL (libcurl without OpenSSL). */
VS_RC
vs_http_curl_new(const struct vs_http_curl_env *env, struct vs_http_curl **ret, struct vs_err *err);
/* No request may be running. NULL-safe. */
void vs_http_curl_free(struct vs_http_curl *h);
/* "7.88.1": of the library that this process runs with. */
const char *vs_http_curl_version(void);
/* Valid until vs_http_curl_free; thread-safe. */
struct vs_http vs_http_curl_port(struct vs_http_curl *h);

#endif
