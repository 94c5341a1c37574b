/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For tests that talk: a server on loopback that sends exactly the bytes it is told to, with or
 * without TLS, and certificates of every kind. Everything is made per run.
 */
#ifndef TESTS_NETKIT_H
#define TESTS_NETKIT_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "vouchsafe/ports.h"

enum netkit_cert {
	NETKIT_PLAIN = 0, /* no TLS */
	NETKIT_GOOD, /* localhost, by the test's CA */
	NETKIT_WRONG_NAME,
	NETKIT_WILDCARD, /* *.localhost: not a name for localhost */
	NETKIT_EXPIRED,
	NETKIT_NOT_YET,
	NETKIT_SELF_SIGNED,
	NETKIT_OTHER_CA, /* same names, another root */
	NETKIT_CERT_COUNT_,
};

struct netkit_server {
	int fd, port;
	enum netkit_cert cert;
	bool old_tls; /* TLS 1.1 at most */
	pthread_t thread;
	atomic_bool stop;
	atomic_uint connections, requests;
	/* What is sent after each request; set before it is made. */
	struct vs_bytes answer;
	size_t cut; /* so many bytes of it, then close; SIZE_MAX: all, connection stays */
	int pause_ms; /* before each byte */
	bool close_after; /* close although all was sent */
	char last[16384]; /* the last request, as text */
};

/* Makes the CA and all certificates; files lie in a folder of their own. */
void netkit_up(void);
void netkit_down(void);
const char *netkit_ca_file(void);
const char *netkit_dir(void);

void netkit_start(struct netkit_server *s, enum netkit_cert cert, bool old_tls);
void netkit_stop(struct netkit_server *s);
/* Sets the answer: text, all of it, connection stays. */
void netkit_say(struct netkit_server *s, const char *text);
/* "https://localhost:PORT" or "http://127.0.0.1:PORT" with path behind it. */
const char *netkit_url(const struct netkit_server *s, const char *path);

/* Fresh keys and certificates for other tests: DER and PKCS#8. */
struct evp_pkey_st;
struct x509_st;
struct evp_pkey_st *netkit_new_rsa(unsigned bits);
/* issuer and issuer_key NULL: self-signed CA. names: "DNS:..." list or NULL. */
struct x509_st *netkit_new_cert(struct evp_pkey_st *key, const char *cn, const char *names, bool ca,
	struct x509_st *issuer, struct evp_pkey_st *issuer_key, long from_s, long to_s);

/* A deadline so many ms from now on the real boot clock. */
int64_t netkit_in_ms(int ms);

#endif
