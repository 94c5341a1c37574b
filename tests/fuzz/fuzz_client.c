/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The module's side of the socket before an agent that lies: frames, pages, catalogs, keys, errors
 * and descriptors in any order, on any number of connections. The first byte says what is asked;
 * the rest are the agent's words, each head (1) | length (2) | bytes. head: bits 0-2 which
 * descriptor comes along, bits 3-6 what it is, bit 7 a wrong request number. After each request the
 * agent says one frame with the right number, and what stands before it. The real socket code runs:
 * connect() makes a pair of sockets, and send() lets the other end speak.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/codec.h"
#include "client/client.h"
#include "fuzz/fuzz.h"
#include "proto/msg.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

enum { ASK_CATALOG = 1, ASK_NEED = 2, ASK_STATUS = 4, ASK_KNOWN = 8, RAW_HELLO = 16 };
enum { FRAME_KINDS = 8, RAW = 8, NEXT_CONNECTION = 9, CONNECTIONS_MAX = 6, GENERATION = 5 };

static struct vs_arena *arena;
static struct vs_reader script;
static bool raw_hello;
static unsigned n_connections;
static int agent_fd[CONNECTIONS_MAX];
/* none, the good page, not sealed, the counters, no page's content, no memory at all */
static int fds[8];

int __wrap_connect(int fd, const struct sockaddr *addr, socklen_t n);
ssize_t __wrap_send(int fd, const void *p, size_t n, int flags);

/* ---- the agent ------------------------------------------------------------------------------ */

static void
say(int to, struct vs_bytes text, int fd, size_t n_fds)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(8 * sizeof(int))] = {0};
	uint8_t copy[4096];
	struct iovec iov = {
		.iov_base = copy, .iov_len = text.n < sizeof copy ? text.n : sizeof copy};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	if (iov.iov_len == 0)
		return;
	memcpy(copy, text.p, iov.iov_len);
	if (fd >= 0) {
		m.msg_control = control;
		m.msg_controllen = CMSG_SPACE(n_fds * sizeof fd);
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n_fds * sizeof fd);
		for (size_t i = 0; i < n_fds; i++)
			memcpy(CMSG_DATA(c) + i * sizeof fd, &fd, sizeof fd);
	}
	/* A full socket loses the rest: the client sees an end in the middle. */
	(void)!sendmsg(to, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void
say_hello(int to)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf out = {0};
	const struct vs_msg_hello_answer a = {.protocol = VS_WIRE_VERSION,
		.program = vs_bytes_str("x"),
		.instance = vs_bytes_of("0123456789abcdef", 16),
		.boot_ns = (uint64_t)vs_boot_now_ns(),
		.mine = true};
	if (!vs_failed(vs_msg_add(VS_MSG_HELLO_ANSWER, &a, 1, &out, NULL)))
		say(to, vs_buf_view(&out), -1, 0);
}

/* What is said next; false: the connection ends. *ret_turn: the client is to speak. */
static bool
say_next(int to, uint32_t request, bool *ret_turn)
{
	static const uint8_t types[FRAME_KINDS] = {VS_MSG_HELLO_ANSWER, VS_MSG_TOKENS_ANSWER,
		VS_MSG_CATALOG_ANSWER, VS_MSG_NEED_ANSWER, VS_MSG_KEY_ANSWER, VS_MSG_STATUS_ANSWER,
		VS_MSG_ERROR, VS_MSG_NEED};
	uint8_t frame[VS_WIRE_HEAD + 4000];
	const uint8_t head = vs_get_u8(&script);
	struct vs_bytes body = vs_get_bytes(&script, vs_get_be16(&script));
	const unsigned kind = head >> 3 & 15;
	if (script.bad || kind >= NEXT_CONNECTION || body.n > sizeof frame - VS_WIRE_HEAD)
		return false;
	*ret_turn = kind < FRAME_KINDS && (head & 0x80) == 0;
	if (kind < FRAME_KINDS) {
		const struct vs_frame f = {.type = types[kind],
			.request = request + (head >> 7),
			.length = (uint32_t)body.n};
		vs_frame_put(&f, frame);
		if (body.n != 0)
			memcpy(frame + VS_WIRE_HEAD, body.p, body.n);
		body = vs_bytes_of(frame, VS_WIRE_HEAD + body.n);
	}
	say(to, body, fds[head & 7], (head & 7) == 7 ? 5 : (head & 7) == 6 ? 2 : 1);
	return true;
}

int
__wrap_connect(int fd, const struct sockaddr *addr, socklen_t n)
{
	int pair[2];
	(void)addr;
	(void)n;
	if (n_connections >= CONNECTIONS_MAX) {
		errno = ECONNREFUSED;
		return -1;
	}
	FUZZ_MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
	FUZZ_MUST(dup3(pair[0], fd, O_CLOEXEC) == fd);
	(void)close(pair[0]);
	agent_fd[n_connections++] = pair[1];
	return 0;
}

/* The client sends a frame at a time; what it sends is well-formed. */
ssize_t
__wrap_send(int fd, const void *p, size_t n, int flags)
{
	const int to = agent_fd[n_connections - 1];
	struct vs_frame f;
	bool turn = false;
	(void)fd;
	(void)flags;
	FUZZ_MUST(n > VS_WIRE_HEAD && !vs_failed(vs_frame_get(p, &f, NULL)) &&
		f.length == n - VS_WIRE_HEAD && f.type < VS_MSG_ANSWER);
	if (f.type == VS_MSG_HELLO && !raw_hello) {
		say_hello(to);
		return (ssize_t)n;
	}
	while (!turn)
		if (!say_next(to, f.request, &turn)) {
			(void)shutdown(to, SHUT_WR);
			break;
		}
	return (ssize_t)n;
}

/* ---- the application ------------------------------------------------------------------------ */

static void
check_error(vs_rc rc, const struct vs_err *err)
{
	char text[VS_ERR_TEXT_MAX];
	FUZZ_MUST(vs_failed(rc));
	vs_err_sentence(err, text, sizeof text);
	FUZZ_MUST(text[0] != '\0' && vs_utf8_ok(vs_bytes_str(text)));
}

static void
ask_catalog(struct vs_client *c, uint64_t known, int64_t deadline)
{
	struct vs_catalog_data *data = NULL;
	struct vs_err err = {0};
	const vs_rc rc = vs_client_catalog(c, 0, known, deadline, &data, &err);
	if (vs_failed(rc)) {
		FUZZ_MUST(data == NULL);
		check_error(rc, &err);
		return;
	}
	FUZZ_MUST(data != NULL || known != 0);
	for (size_t i = 0; data != NULL && i < data->n; i++) {
		const struct vs_bytes name = data->entries[i].name;
		FUZZ_MUST(name.n == 0 ||
			(name.p >= data->block.p &&
				name.p + name.n <= data->block.p + data->block.n));
	}
	FUZZ_MUST(data == NULL || data->generation != 0);
	if (data != NULL)
		vs_catalog_data_free(data);
}

static void
ask_key(struct vs_client *c, int64_t deadline)
{
	VS_CLEANUP(vs_secret_done) struct vs_secret key = {0};
	struct vs_grant *g = NULL;
	struct vs_err err = {0};
	uint32_t no = UINT32_MAX;
	vs_rc rc = vs_client_need(c, 0, "1234", 4, deadline, &g, &err);
	if (vs_failed(rc)) {
		FUZZ_MUST(g == NULL);
		check_error(rc, &err);
		return;
	}
	const struct vs_page *page = vs_grant_page(g);
	FUZZ_MUST(page->magic == VS_PAGE_MAGIC && page->version == VS_PAGE_VERSION);
	rc = vs_client_key(
		c, g, vs_bytes_str("k"), vs_bytes_str("1"), deadline, NULL, &key, &no, &err);
	if (vs_failed(rc)) {
		FUZZ_MUST(key.p == NULL && no == UINT32_MAX);
		check_error(rc, &err);
	} else {
		FUZZ_MUST(no < VS_PAGE_KEYS_MAX && key.n <= VS_MSG_KEY_MAX);
		FUZZ_MUST(vs_grant_uses(g) != NULL);
		(void)vs_page_allows(page, no, false);
		vs_uses_add(vs_grant_uses(g), no, 0);
	}
	vs_grant_unref(g);
}

static void
ask_status(struct vs_client *c, int64_t deadline)
{
	struct vs_token_status st;
	struct vs_err err = {0};
	const vs_rc rc = vs_client_status(c, 1, deadline, &st, &err);
	if (vs_failed(rc)) {
		check_error(rc, &err);
		return;
	}
	FUZZ_MUST(memchr(st.state, '\0', sizeof st.state) != NULL && st.last_wall_unix >= 0);
	FUZZ_MUST(vs_utf8_ok(vs_bytes_str(st.last_sentence)));
	for (const char *p = st.last_sentence; *p != '\0'; p++)
		FUZZ_MUST((unsigned char)*p >= 0x20);
}

/* ---- before the first run ------------------------------------------------------------------- */

static int
new_page(off_t size, uint64_t magic, int seals)
{
	struct vs_page page = {.magic = magic, .version = VS_PAGE_VERSION};
	const int fd = memfd_create("page", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	memcpy(page.lease_id, "0123456789abcdef", sizeof page.lease_id);
	FUZZ_MUST(fd >= 0 && write(fd, &page, sizeof page) == (ssize_t)sizeof page);
	FUZZ_MUST(ftruncate(fd, size) == 0);
	FUZZ_MUST(seals == 0 || fcntl(fd, F_ADD_SEALS, seals) == 0);
	return fd;
}

static struct vs_profile *
set_up(void)
{
	static struct vs_profile profile = {
		.path = "/conf", .agent_socket = "/agent", .n_tokens = 2};
	const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL | F_SEAL_FUTURE_WRITE;
	if (arena != NULL)
		return &profile;
	(void)snprintf(profile.tokens[0].label, sizeof profile.tokens[0].label, "a");
	(void)snprintf(profile.tokens[1].label, sizeof profile.tokens[1].label, "b");
	FUZZ_MUST(!vs_failed(vs_arena_new(65536, 1 << 20, VS_LOCK_WARN, &arena, NULL)));
	fds[0] = -1;
	fds[1] = new_page(VS_PAGE_BYTES, VS_PAGE_MAGIC, seals);
	fds[2] = new_page(VS_PAGE_BYTES, VS_PAGE_MAGIC, 0);
	fds[3] = new_page(VS_USES_BYTES, 0, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	fds[4] = new_page(VS_PAGE_BYTES, 0, seals);
	fds[5] = open("/dev/null", O_RDWR | O_CLOEXEC);
	fds[6] = fds[7] = fds[1];
	FUZZ_MUST(fds[5] >= 0);
	return &profile;
}

static int
lowest_free_fd(void)
{
	const int fd = fcntl(fds[1], F_DUPFD_CLOEXEC, 3);
	FUZZ_MUST(fd >= 0);
	(void)close(fd);
	return fd;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct vs_profile *profile = set_up();
	const int64_t deadline = vs_boot_now_ns() + INT64_C(1000000000);
	const int before = lowest_free_fd();
	struct vs_client *c = NULL;
	script = vs_reader_of(vs_bytes_of(data, size));
	const uint8_t what = vs_get_u8(&script);
	raw_hello = (what & RAW_HELLO) != 0;
	n_connections = 0;
	FUZZ_MUST(!vs_failed(vs_client_new(profile, arena, &c, NULL)));
	if ((what & ASK_CATALOG) != 0)
		ask_catalog(c, 0, deadline);
	if ((what & ASK_NEED) != 0)
		ask_key(c, deadline);
	if ((what & ASK_STATUS) != 0)
		ask_status(c, deadline);
	if ((what & ASK_KNOWN) != 0)
		ask_catalog(c, GENERATION, deadline);
	vs_client_free(c);
	while (n_connections > 0)
		(void)close(agent_fd[--n_connections]);
	/* Whatever came along was taken or closed. */
	FUZZ_MUST(lowest_free_fd() == before);
	return 0;
}
