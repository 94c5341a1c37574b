/* SPDX-License-Identifier: BSD-2-Clause */
#include "evidence/tpm_link.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/codec.h"
#include "evidence/tpm.h"

enum kind { KIND_NONE = 0, KIND_DEVICE, KIND_SWTPM, KIND_MSSIM };

/* Simulator protocol ("mssim"): words in front of commands and behind answers. */
enum {
	SIM_POWER_ON = 1,
	SIM_SEND_COMMAND = 8,
	SIM_NV_ON = 11,
	SIM_SESSION_END = 20,
};

enum { PORT_MAX = 65535, QUEUE_WAIT_MS = 10 };

struct target {
	enum kind kind;
	char path[108]; /* device or unix socket; empty: TCP */
	uint32_t host; /* IPv4, host order: loopback */
	uint16_t port;
};

struct vs_tpm_link {
	struct target target;
	int fd;
	bool broken; /* an exchange was cut: nothing can be believed any more */
	struct vs_clock clock;
	int64_t deadline_boot_ns;
};

static bool
take_prefix(const char **s, const char *prefix)
{
	const size_t n = strlen(prefix);
	if (strncmp(*s, prefix, n) != 0)
		return false;
	*s += n;
	return true;
}

static bool
parse_number(struct vs_bytes s, unsigned max, unsigned *ret)
{
	unsigned v = 0;
	if (s.n == 0 || s.n > 5)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		v = v * 10 + (unsigned)(s.p[i] - '0');
	}
	*ret = v;
	return v <= max;
}

/* 127.a.b.c or localhost: a simulated TPM of another machine says nothing about this one. */
static bool
parse_loopback(struct vs_bytes s, uint32_t *ret)
{
	if (vs_bytes_eq_str(s, "localhost")) {
		*ret = INADDR_LOOPBACK;
		return true;
	}
	uint32_t v = 0;
	for (int part = 0; part < 4; part++) {
		size_t n = 0;
		unsigned octet = 0;
		while (n < s.n && s.p[n] != '.')
			n++;
		if ((part < 3) == (n == s.n) ||
			!parse_number((struct vs_bytes){s.p, n}, 255, &octet))
			return false;
		v = v << 8 | octet;
		const size_t used = part < 3 ? n + 1 : n;
		s = (struct vs_bytes){s.p + used, s.n - used};
	}
	*ret = v;
	return v >> 24 == 127;
}

/* host=H,port=P in any order; both may be missing: the usual place. */
static bool
parse_host_port(const char *s, uint16_t default_port, struct target *t)
{
	t->host = INADDR_LOOPBACK;
	t->port = default_port;
	while (*s != '\0') {
		const bool host = take_prefix(&s, "host=");
		if (!host && !take_prefix(&s, "port="))
			return false;
		const size_t n = strcspn(s, ",");
		const struct vs_bytes value = {(const uint8_t *)s, n};
		unsigned port = 0;
		if (host && !parse_loopback(value, &t->host))
			return false;
		if (!host) {
			if (!parse_number(value, PORT_MAX - 1, &port) || port == 0)
				return false;
			t->port = (uint16_t)port;
		}
		s += n;
		if (*s == ',')
			s++;
	}
	return true;
}

static bool
parse_path(const char *s, struct target *t)
{
	const size_t n = strlen(s);
	if (n == 0 || n >= sizeof t->path || s[0] != '/')
		return false;
	memcpy(t->path, s, n + 1);
	return true;
}

static vs_rc
parse_target(const char *tcti, struct target *ret, struct vs_err *err)
{
	struct target t = {.kind = KIND_NONE};
	const char *s = tcti != NULL ? tcti : "";
	bool ok = false;
	if (take_prefix(&s, "device:")) {
		t.kind = KIND_DEVICE;
		ok = parse_path(s, &t);
	} else if (take_prefix(&s, "swtpm:")) {
		t.kind = KIND_SWTPM;
		ok = take_prefix(&s, "path=") ? parse_path(s, &t) : parse_host_port(s, 2321, &t);
	} else if (take_prefix(&s, "mssim:")) {
		t.kind = KIND_MSSIM;
		ok = parse_host_port(s, 2321, &t);
	}
	if (!ok) {
		char q[80];
		VS_FAIL(err, CONFIG_VALUE,
			"tcti \"%s\" is not usable: write device:/dev/tpmrm0, swtpm:path=/SOCKET, "
			"swtpm:host=127.0.0.1,port=N or mssim:host=127.0.0.1,port=N",
			vs_quote(vs_bytes_str(tcti != NULL ? tcti : ""), q, sizeof q));
	}
	*ret = t;
	return VS_OK;
}

vs_rc
vs_tpm_tcti_check(const char *tcti, struct vs_err *err)
{
	struct target t;
	return parse_target(tcti, &t, err);
}

static vs_rc
fail_device(const char *path, int e, struct vs_err *err)
{
	switch (e) {
	case ENOENT:
	case ENODEV:
	case ENXIO:
		VS_FAIL_N(err, TPM_ABSENT, e,
			"%s does not exist: this machine shows no TPM; a virtual machine needs a "
			"vTPM "
			"(Trusted Launch or confidential VM)",
			path);
	case EACCES:
	case EPERM:
		VS_FAIL_N(err, TPM_ABSENT, e,
			"no right to open %s: run as a member of group tss, or use the machine's "
			"agent",
			path);
	case EBUSY:
		VS_FAIL_N(err, TPM_ABSENT, e,
			"%s is in use by another program: use /dev/tpmrm0, which many can share",
			path);
	default: VS_FAIL_N(err, TPM_ABSENT, e, "%s cannot be opened: %s", path, strerror(e));
	}
}

static vs_rc
open_device(const struct target *t, int *ret, struct vs_err *err)
{
	const int fd = open(t->path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return fail_device(t->path, errno, err);
	struct stat st;
	if (fstat(fd, &st) != 0 || !S_ISCHR(st.st_mode)) {
		close(fd);
		VS_FAIL(err, TPM_ABSENT, "%s is not a character device", t->path);
	}
	*ret = fd;
	return VS_OK;
}

static int
wait_for(const struct vs_tpm_link *link, int fd, short events)
{
	for (;;) {
		const int left = vs_clock_left_ms(&link->clock, link->deadline_boot_ns);
		struct pollfd p = {.fd = fd, .events = events};
		const int n = poll(&p, 1, left);
		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			errno = ETIMEDOUT;
		return n > 0 ? 0 : -1;
	}
}

static int
connect_within(const struct vs_tpm_link *link, int fd, const struct sockaddr *sa, socklen_t n)
{
	/* A local socket answers EAGAIN while others queue for it: there is nothing to poll for. */
	while (connect(fd, sa, n) != 0) {
		if (errno == EINPROGRESS)
			break;
		if (errno != EAGAIN || vs_clock_left_ms(&link->clock, link->deadline_boot_ns) == 0)
			return -1;
		(void)poll(NULL, 0, QUEUE_WAIT_MS);
	}
	if (wait_for(link, fd, POLLOUT) != 0)
		return -1;
	int e = 0;
	socklen_t en = sizeof e;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &en) != 0)
		return -1;
	errno = e;
	return e == 0 ? 0 : -1;
}

static vs_rc
open_socket(const struct vs_tpm_link *link, uint16_t port, int *ret, struct vs_err *err)
{
	const struct target *t = &link->target;
	const bool local = t->path[0] != '\0';
	const int fd =
		socket(local ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		VS_FAIL_N(err, TPM_ABSENT, errno, "no socket for the simulated TPM: %s",
			strerror(errno));
	int rc = 0;
	if (local) {
		struct sockaddr_un sa = {.sun_family = AF_UNIX};
		memcpy(sa.sun_path, t->path, sizeof sa.sun_path);
		rc = connect_within(link, fd, (const struct sockaddr *)&sa, sizeof sa);
	} else {
		const struct sockaddr_in sa = {.sin_family = AF_INET,
			.sin_port = htons(port),
			.sin_addr.s_addr = htonl(t->host)};
		const int one = 1;
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		rc = connect_within(link, fd, (const struct sockaddr *)&sa, sizeof sa);
	}
	if (rc != 0) {
		const int e = errno;
		close(fd);
		if (local)
			VS_FAIL_N(err, TPM_ABSENT, e, "the simulated TPM at %s does not answer: %s",
				t->path, strerror(e));
		VS_FAIL_N(err, TPM_ABSENT, e,
			"the simulated TPM at local port %u does not answer: %s", port,
			strerror(e));
	}
	*ret = fd;
	return VS_OK;
}

static vs_rc
write_all(struct vs_tpm_link *link, int fd, const uint8_t *p, size_t n, struct vs_err *err)
{
	while (n != 0) {
		const bool sock = link->target.kind != KIND_DEVICE;
		const ssize_t k = sock ? send(fd, p, n, MSG_NOSIGNAL) : write(fd, p, n);
		if (k > 0) {
			p += k;
			n -= (size_t)k;
			continue;
		}
		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0 && errno == EAGAIN && wait_for(link, fd, POLLOUT) == 0)
			continue;
		link->broken = true;
		VS_FAIL_N(err, TPM, errno, "sending to the TPM failed: %s", strerror(errno));
	}
	return VS_OK;
}

/* Reads at least want and at most cap bytes behind *n. */
static vs_rc
read_some(struct vs_tpm_link *link, int fd, uint8_t *buf, size_t *n, size_t want, size_t cap,
	struct vs_err *err)
{
	while (*n < want) {
		if (wait_for(link, fd, POLLIN) != 0) {
			link->broken = true;
			VS_FAIL_N(err, TPM, errno, "the TPM did not answer in time");
		}
		const ssize_t k = read(fd, buf + *n, cap - *n);
		if (k > 0) {
			*n += (size_t)k;
			continue;
		}
		if (k < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		link->broken = true;
		VS_FAIL_N(err, TPM, k < 0 ? errno : 0,
			"the TPM's answer is cut off after %zu bytes: %s", *n,
			k < 0 ? strerror(errno) : "end of connection");
	}
	return VS_OK;
}

static uint32_t
be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void
put_be32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

/* Power and NV of a simulator are switched on through its second port. */
static vs_rc
power_on(struct vs_tpm_link *link, struct vs_err *err)
{
	static const uint32_t words[] = {SIM_POWER_ON, SIM_NV_ON, SIM_SESSION_END};
	int fd = -1;
	VS_TRY(open_socket(link, (uint16_t)(link->target.port + 1), &fd, err));
	vs_rc rc = VS_OK;
	for (size_t i = 0; i < sizeof words / sizeof *words && !vs_failed(rc); i++) {
		uint8_t word[4], answer[4];
		size_t n = 0;
		put_be32(word, words[i]);
		rc = write_all(link, fd, word, sizeof word, err);
		if (!vs_failed(rc) && words[i] != SIM_SESSION_END)
			rc = read_some(link, fd, answer, &n, sizeof answer, sizeof answer, err);
	}
	close(fd);
	return rc;
}

static vs_rc
start_link(struct vs_tpm_link *link, struct vs_err *err)
{
	if (link->target.kind == KIND_DEVICE)
		return open_device(&link->target, &link->fd, err);
	if (link->target.kind == KIND_MSSIM)
		VS_TRY(power_on(link, err));
	return open_socket(link, link->target.port, &link->fd, err);
}

vs_rc
vs_tpm_link_open(const char *tcti, const struct vs_clock *clock, int64_t deadline_boot_ns,
	struct vs_tpm_link **ret, struct vs_err *err)
{
	VS_CLEANUP(vs_tpm_link_closep) struct vs_tpm_link *link = calloc(1, sizeof *link);
	if (link == NULL)
		VS_FAIL(err, MEMORY, "no memory for a TPM connection");
	link->fd = -1;
	link->clock = *clock;
	link->deadline_boot_ns = deadline_boot_ns;
	VS_TRY(parse_target(tcti, &link->target, err));
	VS_TRY(start_link(link, err));
	*ret = VS_TAKE(link);
	return VS_OK;
}

void
vs_tpm_link_close(struct vs_tpm_link *link)
{
	if (link == NULL)
		return;
	if (link->fd >= 0) {
		if (link->target.kind == KIND_MSSIM && !link->broken) {
			uint8_t word[4];
			put_be32(word, SIM_SESSION_END);
			(void)write_all(link, link->fd, word, sizeof word, NULL);
		}
		close(link->fd);
	}
	free(link);
}

void
vs_tpm_link_closep(struct vs_tpm_link **link)
{
	vs_tpm_link_close(*link);
}

vs_rc
vs_tpm_link_renew(struct vs_tpm_link *link, int64_t deadline_boot_ns, struct vs_err *err)
{
	link->deadline_boot_ns = deadline_boot_ns;
	if (!link->broken)
		return VS_OK;
	close(link->fd);
	link->fd = -1;
	VS_TRY(start_link(link, err));
	link->broken = false;
	return VS_OK;
}

bool
vs_tpm_link_raw(const struct vs_tpm_link *link)
{
	return link->target.kind != KIND_DEVICE;
}

vs_rc
vs_tpm_link_send(struct vs_tpm_link *link, struct vs_bytes command, struct vs_err *err)
{
	if (link->broken)
		VS_FAIL(err, TPM, "the TPM connection is broken");
	if (link->target.kind == KIND_MSSIM) {
		uint8_t head[9];
		put_be32(head, SIM_SEND_COMMAND);
		head[4] = 0; /* locality */
		put_be32(head + 5, (uint32_t)command.n);
		VS_TRY(write_all(link, link->fd, head, sizeof head, err));
	}
	return write_all(link, link->fd, command.p, command.n, err);
}

/* The simulator says the length itself and puts an acknowledgement behind. */
static vs_rc
receive_mssim(struct vs_tpm_link *link, uint8_t *buf, size_t *ret_n, struct vs_err *err)
{
	uint8_t word[4];
	size_t n = 0;
	VS_TRY(read_some(link, link->fd, word, &n, sizeof word, sizeof word, err));
	const uint32_t size = be32(word);
	if (size > VS_TPM_MSG_MAX) {
		link->broken = true;
		VS_FAIL(err, TPM, "the TPM's answer has %u bytes; at most 4096 are possible", size);
	}
	n = 0;
	VS_TRY(read_some(link, link->fd, buf, &n, size, size, err));
	n = 0;
	VS_TRY(read_some(link, link->fd, word, &n, sizeof word, sizeof word, err));
	*ret_n = size;
	return VS_OK;
}

vs_rc
vs_tpm_link_receive(struct vs_tpm_link *link, uint8_t *buf, size_t *ret_n, struct vs_err *err)
{
	if (link->broken)
		VS_FAIL(err, TPM, "the TPM connection is broken");
	if (link->target.kind == KIND_MSSIM)
		return receive_mssim(link, buf, ret_n, err);
	/* A device gives the whole answer to one read; a stream may need more than one. */
	size_t n = 0;
	VS_TRY(read_some(link, link->fd, buf, &n, VS_TPM_MSG_MIN, VS_TPM_MSG_MAX, err));
	const uint32_t size = be32(buf + 2);
	if (size > VS_TPM_MSG_MAX || size < n) {
		link->broken = true;
		VS_FAIL(err, TPM, "the TPM's answer says it has %u bytes; %zu came", size, n);
	}
	VS_TRY(read_some(link, link->fd, buf, &n, size, size, err));
	*ret_n = n;
	return VS_OK;
}
