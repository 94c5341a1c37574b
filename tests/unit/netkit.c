/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit/netkit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/clock.h"
#include "unit/unit.h"

enum { DAY = 86400, PEERS_MAX = 4096 };

static char dir[64], ca_file[96];
static EVP_PKEY *key, *ca_key, *other_key;
static X509 *ca, *other_ca, *certs[NETKIT_CERT_COUNT_];

EVP_PKEY *
netkit_new_rsa(unsigned bits)
{
	EVP_PKEY *k = EVP_RSA_gen(bits);
	assert_non_null(k);
	return k;
}

static void
add_ext(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;

	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	assert_non_null(e);
	assert_int_equal(X509_add_ext(x, e, -1), 1);
	X509_EXTENSION_free(e);
}

X509 *
netkit_new_cert(EVP_PKEY *k, const char *cn, const char *names, bool is_ca, X509 *issuer,
	EVP_PKEY *issuer_key, long from_s, long to_s)
{
	static long serial = 1000;
	X509 *x = X509_new();

	assert_non_null(x);
	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial);
	X509_gmtime_adj(X509_getm_notBefore(x), from_s);
	X509_gmtime_adj(X509_getm_notAfter(x), to_s);
	X509_set_pubkey(x, k);
	X509_NAME *name = X509_get_subject_name(x);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)cn, -1, -1, 0);
	X509_set_issuer_name(x, issuer != NULL ? X509_get_subject_name(issuer) : name);
	add_ext(x, issuer != NULL ? issuer : x, NID_basic_constraints,
		is_ca ? "critical,CA:TRUE" : "CA:FALSE");
	add_ext(x, issuer != NULL ? issuer : x, NID_key_usage,
		is_ca ? "critical,keyCertSign,cRLSign"
		      : "critical,digitalSignature,keyEncipherment");
	add_ext(x, issuer != NULL ? issuer : x, NID_subject_key_identifier, "hash");
	if (issuer != NULL)
		add_ext(x, issuer, NID_authority_key_identifier, "keyid");
	if (!is_ca)
		add_ext(x, issuer != NULL ? issuer : x, NID_ext_key_usage, "serverAuth");
	if (names != NULL)
		add_ext(x, issuer != NULL ? issuer : x, NID_subject_alt_name, names);
	assert_true(X509_sign(x, issuer_key != NULL ? issuer_key : k, EVP_sha256()) > 0);
	return x;
}

void
netkit_up(void)
{
	static const char here[] = "DNS:localhost,IP:127.0.0.1";

	(void)signal(SIGPIPE, SIG_IGN);
	(void)snprintf(dir, sizeof dir, "/tmp/vs-netkit.XXXXXX");
	assert_non_null(mkdtemp(dir));
	(void)snprintf(ca_file, sizeof ca_file, "%s/ca.pem", dir);
	key = netkit_new_rsa(2048);
	ca_key = netkit_new_rsa(2048);
	other_key = netkit_new_rsa(2048);
	ca = netkit_new_cert(ca_key, "Netkit CA", NULL, true, NULL, NULL, -DAY, DAY);
	other_ca = netkit_new_cert(other_key, "Netkit CA", NULL, true, NULL, NULL, -DAY, DAY);
	certs[NETKIT_GOOD] = netkit_new_cert(key, "server", here, false, ca, ca_key, -DAY, DAY);
	certs[NETKIT_WRONG_NAME] =
		netkit_new_cert(key, "localhost", "DNS:other.test", false, ca, ca_key, -DAY, DAY);
	certs[NETKIT_WILDCARD] =
		netkit_new_cert(key, "server", "DNS:*.localhost", false, ca, ca_key, -DAY, DAY);
	certs[NETKIT_EXPIRED] =
		netkit_new_cert(key, "server", here, false, ca, ca_key, -2 * DAY, -60);
	certs[NETKIT_NOT_YET] =
		netkit_new_cert(key, "server", here, false, ca, ca_key, DAY, 2 * DAY);
	certs[NETKIT_SELF_SIGNED] =
		netkit_new_cert(key, "server", here, false, NULL, NULL, -DAY, DAY);
	certs[NETKIT_OTHER_CA] =
		netkit_new_cert(key, "server", here, false, other_ca, other_key, -DAY, DAY);
	FILE *f = fopen(ca_file, "w");
	assert_non_null(f);
	assert_int_equal(PEM_write_X509(f, ca), 1);
	assert_int_equal(fclose(f), 0);
}

void
netkit_down(void)
{
	for (size_t i = 0; i < NETKIT_CERT_COUNT_; i++)
		X509_free(certs[i]);
	X509_free(ca);
	X509_free(other_ca);
	EVP_PKEY_free(key);
	EVP_PKEY_free(ca_key);
	EVP_PKEY_free(other_key);
	(void)unlink(ca_file);
	(void)rmdir(dir);
}

const char *
netkit_ca_file(void)
{
	return ca_file;
}

const char *
netkit_dir(void)
{
	return dir;
}

/* ---- the server ---------------------------------------------------------------------------- */

struct peer {
	struct netkit_server *s;
	int fd;
	SSL_CTX *ctx;
	SSL *ssl;
};

/* Waits in short steps, so that a stop is noticed. */
static int
get(struct peer *p, char *buf, int n)
{
	struct pollfd pfd = {.fd = p->fd, .events = POLLIN};

	while (!p->s->stop && (p->ssl == NULL || SSL_pending(p->ssl) == 0) &&
		poll(&pfd, 1, 20) == 0)
		;
	if (p->s->stop)
		return -1;
	return p->ssl != NULL ? SSL_read(p->ssl, buf, n) : (int)recv(p->fd, buf, (size_t)n, 0);
}

static bool
put(struct peer *p, const uint8_t *buf, size_t n)
{
	while (n > 0) {
		const int w = p->ssl != NULL ? SSL_write(p->ssl, buf, (int)n)
					     : (int)send(p->fd, buf, n, MSG_NOSIGNAL);
		if (w <= 0)
			return false;
		buf += w;
		n -= (size_t)w;
	}
	return true;
}

static bool
read_request(struct peer *p)
{
	char buf[sizeof p->s->last];
	size_t n = 0;
	size_t want = 0;

	while (want == 0 || n < want) {
		const int got = n + 1 < sizeof buf ? get(p, buf + n, (int)(sizeof buf - 1 - n)) : 0;
		if (got <= 0)
			return false;
		n += (size_t)got;
		buf[n] = '\0';
		const char *end = strstr(buf, "\r\n\r\n");
		const char *length = strcasestr(buf, "\r\nContent-Length:");
		if (end != NULL)
			want = (size_t)(end - buf) + 4 +
				(length != NULL && length < end ? strtoul(length + 17, NULL, 10)
								: 0);
	}
	memcpy(p->s->last, buf, n + 1);
	return true;
}

/* All is read before the first byte goes out: after the last one the test may change it. */
static bool
send_answer(struct peer *p)
{
	const struct netkit_server *s = p->s;
	const struct vs_bytes answer = s->answer;
	const size_t n = s->cut < answer.n ? s->cut : answer.n;
	const bool stay = s->cut == SIZE_MAX && !s->close_after;
	const struct timespec pause = {s->pause_ms / 1000, (long)(s->pause_ms % 1000) * 1000000};

	if (pause.tv_sec == 0 && pause.tv_nsec == 0)
		return put(p, answer.p, n) && stay;
	for (size_t i = 0; i < n && !s->stop; i++) {
		(void)nanosleep(&pause, NULL);
		if (!put(p, answer.p + i, 1))
			return false;
	}
	return stay;
}

static bool
shake_hands(struct peer *p)
{
	struct netkit_server *s = p->s;

	if (s->cert == NETKIT_PLAIN)
		return true;
	p->ctx = SSL_CTX_new(TLS_server_method());
	if (s->old_tls) {
		SSL_CTX_set_security_level(p->ctx, 0);
		SSL_CTX_set_min_proto_version(p->ctx, TLS1_VERSION);
		SSL_CTX_set_max_proto_version(p->ctx, TLS1_1_VERSION);
		SSL_CTX_set_cipher_list(p->ctx, "ALL:@SECLEVEL=0");
	}
	SSL_CTX_use_certificate(p->ctx, certs[s->cert]);
	SSL_CTX_use_PrivateKey(p->ctx, key);
	p->ssl = SSL_new(p->ctx);
	SSL_set_fd(p->ssl, p->fd);
	return SSL_accept(p->ssl) == 1;
}

static void *
serve_peer(void *arg)
{
	struct peer *p = arg;

	if (shake_hands(p)) {
		while (!p->s->stop && read_request(p)) {
			p->s->requests++;
			if (!send_answer(p))
				break;
		}
	}
	if (p->ssl != NULL)
		(void)SSL_shutdown(p->ssl);
	SSL_free(p->ssl);
	SSL_CTX_free(p->ctx);
	(void)shutdown(p->fd, SHUT_RDWR);
	(void)close(p->fd);
	free(p);
	return NULL;
}

static void *
accept_peers(void *arg)
{
	struct netkit_server *s = arg;
	pthread_t threads[PEERS_MAX];
	size_t n = 0;

	while (!s->stop) {
		struct pollfd pfd = {.fd = s->fd, .events = POLLIN};
		if (poll(&pfd, 1, 20) <= 0)
			continue;
		const int fd = accept(s->fd, NULL, NULL);
		struct peer *p = calloc(1, sizeof *p);
		if (fd < 0 || p == NULL || n == PEERS_MAX) {
			free(p);
			continue;
		}
		const struct timeval patience = {.tv_sec = 3};
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
		s->connections++;
		*p = (struct peer){.s = s, .fd = fd};
		if (pthread_create(&threads[n], NULL, serve_peer, p) == 0)
			n++;
	}
	for (size_t i = 0; i < n; i++) {
		pthread_join(threads[i], NULL);
	}
	return NULL;
}

void
netkit_start(struct netkit_server *s, enum netkit_cert cert, bool old_tls)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof a;
	const int one = 1;

	memset(s, 0, sizeof *s);
	s->cert = cert;
	s->old_tls = old_tls;
	s->cut = SIZE_MAX;
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(s->fd >= 0);
	(void)setsockopt(s->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	assert_int_equal(bind(s->fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(getsockname(s->fd, (struct sockaddr *)&a, &n), 0);
	s->port = ntohs(a.sin_port);
	assert_int_equal(listen(s->fd, 64), 0);
	assert_int_equal(pthread_create(&s->thread, NULL, accept_peers, s), 0);
}

void
netkit_stop(struct netkit_server *s)
{
	s->stop = true;
	pthread_join(s->thread, NULL);
	(void)close(s->fd);
}

void
netkit_say(struct netkit_server *s, const char *text)
{
	s->answer = vs_bytes_str(text);
	s->cut = SIZE_MAX;
	s->pause_ms = 0;
	s->close_after = false;
}

const char *
netkit_url(const struct netkit_server *s, const char *path)
{
	static _Thread_local char url[512];

	(void)snprintf(url, sizeof url, "%s:%d%s",
		s->cert == NETKIT_PLAIN ? "http://127.0.0.1" : "https://localhost", s->port, path);
	return url;
}

int64_t
netkit_in_ms(int ms)
{
	const struct vs_clock c = vs_clock_system();

	return c.ops->boot_ns(c.self) + (int64_t)ms * 1000000;
}
