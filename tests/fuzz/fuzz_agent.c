/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The agent before peers that lie: the real code of connections and requests, on real sockets and
 * the real loop. Keepers and metadata are made of data: they answer at once, later, in another
 * order, well or badly, as the input says. The input is a list of steps, head (1) and what it
 * needs; head: bits 0-3 the step, bits 4-5 the connection, bits 6-7 how.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/server.h"
#include "conf/conf.h"
#include "fuzz/fuzz.h"

enum { CONNECTIONS = 4, TOKENS = 3, WAITING_MAX = 512, STRANGER = 4242, FRIEND = 4243 };
enum {
	STEP_OPEN,
	STEP_HELLO,
	STEP_FRAME,
	STEP_RAW,
	STEP_CLOSE,
	STEP_NEED,
	STEP_KEY,
	STEP_META,
	STEP_READ,
	STEP_LATER,
	STEP_COUNT
};

/* ---- what stands in for the core, keepers and metadata -------------------------------------- */

struct vs_core {
	struct vs_conf conf;
	struct vs_arena *arena;
};
struct vs_keeper {
	const struct vs_conf_token *conf;
	int holders;
};
struct vs_metadata {
	int unused;
};

static struct vs_core core;
static struct vs_keeper keepers[TOKENS];
static struct vs_metadata metadata;
static struct vs_lease_page *page;
static struct vs_catalog_data *catalog;
static struct vs_buf catalog_bytes;
static struct vs_secret key;
static bool later; /* callbacks are kept for steps of their own */
static bool badly; /* and then tell of a failure */

static struct vs_need *needs[WAITING_MAX];
static struct vs_key_ask *keys[WAITING_MAX];
static struct vs_meta_ask *metas[WAITING_MAX];
static size_t n_needs, n_keys, n_metas;

#define TAKE(list_, n_, what_) \
	do { \
		for (size_t i_ = 0; i_ < (n_); i_++) \
			if ((list_)[i_] == (what_)) { \
				(list_)[i_] = (list_)[--(n_)]; \
				break; \
			} \
	} while (0)

static vs_rc
outcome(struct vs_err *err)
{
	if (!badly)
		return VS_OK;
	return vs_err_put(err, VS_E_REFUSED_POLICY, __func__, __LINE__, 0, "as told");
}

static void
finish_need(struct vs_need *need)
{
	struct vs_err err = {0};
	const vs_rc rc = outcome(&err);
	need->fn(need, rc, &err, vs_failed(rc) ? NULL : page);
}

static void
finish_key(struct vs_key_ask *ask)
{
	struct vs_err err = {0};
	const vs_rc rc = outcome(&err);
	/* Which descriptor comes along is not the connection's business. */
	ask->fn(ask, rc, &err, 7, vs_failed(rc) ? NULL : &key,
		vs_failed(rc) ? -1 : vs_lease_page_fd(page));
}

static void
finish_meta(struct vs_meta_ask *ask)
{
	struct vs_err err = {0};
	const vs_rc rc = outcome(&err);
	ask->fn(ask, rc, &err, vs_failed(rc) ? NULL : catalog, vs_buf_view(&catalog_bytes));
}

void
vs_keeper_need(struct vs_keeper *k, struct vs_need *need)
{
	(void)k;
	FUZZ_MUST(n_needs < WAITING_MAX);
	if (later)
		needs[n_needs++] = need;
	else
		finish_need(need);
}

void
vs_need_cancel(struct vs_need *need)
{
	TAKE(needs, n_needs, need);
}

void
vs_keeper_key(struct vs_keeper *k, struct vs_key_ask *ask, const struct vs_cat_entry *entry)
{
	(void)k;
	FUZZ_MUST(n_keys < WAITING_MAX && entry != NULL && entry->enabled);
	if (later)
		keys[n_keys++] = ask;
	else
		finish_key(ask);
}

void
vs_key_ask_cancel(struct vs_key_ask *ask)
{
	TAKE(keys, n_keys, ask);
}

void
vs_metadata_get(struct vs_metadata *m, struct vs_meta_ask *ask)
{
	(void)m;
	FUZZ_MUST(n_metas < WAITING_MAX);
	if (later)
		metas[n_metas++] = ask;
	else
		finish_meta(ask);
}

void
vs_metadata_find(struct vs_metadata *m, struct vs_meta_ask *ask, uint64_t not_enough)
{
	(void)not_enough;
	vs_metadata_get(m, ask);
}

void
vs_metadata_prepare(struct vs_metadata *m)
{
	(void)m;
}

void
vs_meta_ask_cancel(struct vs_meta_ask *ask)
{
	TAKE(metas, n_metas, ask);
}

void
vs_keeper_hold(struct vs_keeper *k, int change)
{
	k->holders += change;
	FUZZ_MUST(k->holders >= 0 && k->holders <= CONNECTIONS);
}

void
vs_keeper_peer_gone(struct vs_keeper *k, const void *peer)
{
	FUZZ_MUST(k->conf != NULL && peer != NULL);
}

void
vs_keeper_note(
	struct vs_keeper *k, const char *event, struct vs_who who, const struct vs_err *reason)
{
	/* Nobody else is refused; each token is for one user. */
	FUZZ_MUST(strcmp(event, "peer-refused") == 0 && reason != NULL &&
		who.uid != (k->conf->n_allow != 0 ? FRIEND : 0));
}

void
vs_keeper_status(const struct vs_keeper *k, struct vs_keeper_status *ret)
{
	*ret = (struct vs_keeper_status){
		.lease_left_s = -1, .n_holders = (uint32_t)k->holders, .sentence = "as told"};
}

const struct vs_conf_token *
vs_keeper_token(const struct vs_keeper *k)
{
	return k->conf;
}

const struct vs_conf *
vs_core_conf(const struct vs_core *c)
{
	return &c->conf;
}

struct vs_arena *
vs_core_arena(const struct vs_core *c)
{
	return c->arena;
}

/* ---- the server ----------------------------------------------------------------------------- */

static struct vs_token_slot slots[TOKENS];
static struct vs_server server = {
	.env = {.core = &core, .conf_path = "/conf", .listen_fd = -1, .private_fd = -1},
	.n_tokens = TOKENS,
	.tokens = slots};

static struct connection {
	int fd;
	uint32_t uid;
	bool granted; /* an answer to need came */
	size_t n;
	uint8_t heard[1 << 17];
} connections[CONNECTIONS];

void
vs_server_peer_gone(struct vs_server *s)
{
	(void)s;
}

static void
stop_loop(struct vs_post *post)
{
	(void)post;
	vs_loop_stop(server.loop);
}

static void
run_loop(void)
{
	struct vs_post stop = {.fn = stop_loop};
	vs_loop_post(server.loop, &stop);
	FUZZ_MUST(!vs_failed(vs_loop_run(server.loop, NULL)));
}

static void
set_up(void)
{
	static struct vs_conf_allow friends = {.id = FRIEND};
	static struct vs_conf_token tokens[TOKENS] = {{.n_allow = 1, .allow = &friends},
		{.visible_attested = true, .n_allow = 1, .allow = &friends}, {.login = 2}};
	static char labels[TOKENS][4] = {"a", "b", "pin"};
	uint8_t bytes[1024];
	if (server.loop != NULL)
		return;
	for (size_t i = 0; i < TOKENS; i++) {
		tokens[i].label = labels[i];
		keepers[i].conf = &tokens[i];
		slots[i] = (struct vs_token_slot){.keeper = &keepers[i], .metadata = &metadata};
	}
	core.conf = (struct vs_conf){
		.operation_timeout_ms = 60000, .n_tokens = TOKENS, .tokens = tokens};
	const int fd =
		open(VS_TEST_SRCDIR "/tests/fuzz/seeds/proto/catalog-data", O_RDONLY | O_CLOEXEC);
	const ssize_t n = read(fd, bytes, sizeof bytes);
	FUZZ_MUST(fd >= 0 && n > 0 && close(fd) == 0);
	struct vs_buf copy = {.max = sizeof bytes};
	FUZZ_MUST(!vs_failed(vs_buf_set(&catalog_bytes, bytes, (size_t)n, NULL)) &&
		!vs_failed(vs_buf_set(&copy, bytes, (size_t)n, NULL)) &&
		!vs_failed(vs_catalog_decode(&copy, &catalog, NULL)));
	FUZZ_MUST(!vs_failed(vs_arena_new(65536, 4 << 20, VS_LOCK_WARN, &core.arena, NULL)) &&
		!vs_failed(vs_secret_from(core.arena, "0123456789abcdef", 16, &key, NULL)) &&
		!vs_failed(vs_lease_page_new(
			(const uint8_t *)"0123456789abcdef", INT64_MAX, INT64_MAX, &page, NULL)) &&
		!vs_failed(vs_loop_new(&server.loop, NULL)));
}

/* ---- the peers ------------------------------------------------------------------------------ */

static void
check_answer(struct connection *c, const struct vs_frame *f, struct vs_bytes payload)
{
	union {
		struct vs_msg_hello_answer hello;
		struct vs_msg_catalog_answer catalog;
		struct vs_msg_key_answer key;
		struct vs_msg_status_answer status;
	} m;
	const struct vs_msg_desc *desc = vs_msg_desc(f->type);
	FUZZ_MUST(desc != NULL && f->type >= VS_MSG_ANSWER && desc->size <= sizeof m);
	FUZZ_MUST(!vs_failed(vs_msg_get(desc, payload, &m, NULL)));
	if (f->type == VS_MSG_NEED_ANSWER)
		c->granted = true;
	/* Nobody gets a key who was not told of a lease first, and no stranger gets any. */
	if (f->type == VS_MSG_KEY_ANSWER)
		FUZZ_MUST(c->granted && m.key.bytes.n == 16);
	if (f->type == VS_MSG_NEED_ANSWER)
		FUZZ_MUST(c->uid != STRANGER);
}

static void
hear(struct connection *c)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
	struct vs_frame f;
	size_t at = 0;
	for (;;) {
		struct iovec iov = {.iov_base = c->heard + c->n, .iov_len = sizeof c->heard - c->n};
		struct msghdr m = {.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = control,
			.msg_controllen = sizeof control};
		const ssize_t n = recvmsg(c->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		if (n <= 0)
			break;
		c->n += (size_t)n;
		const struct cmsghdr *h = CMSG_FIRSTHDR(&m);
		if (h != NULL && h->cmsg_len == CMSG_LEN(sizeof(int))) {
			int fd = -1;
			memcpy(&fd, CMSG_DATA(h), sizeof fd);
			FUZZ_MUST(fcntl(fd, F_GET_SEALS) > 0 && close(fd) == 0);
		}
	}
	for (; c->n - at >= VS_WIRE_HEAD; at += VS_WIRE_HEAD + f.length) {
		FUZZ_MUST(!vs_failed(vs_frame_get(c->heard + at, &f, NULL)));
		if (c->n - at - VS_WIRE_HEAD < f.length)
			break;
		check_answer(c, &f, vs_bytes_of(c->heard + at + VS_WIRE_HEAD, f.length));
	}
	memmove(c->heard, c->heard + at, c->n - at);
	c->n -= at;
}

static void
hang_up(struct connection *c)
{
	if (c->fd >= 0)
		(void)close(c->fd);
	c->fd = -1;
}

static void
come(struct connection *c, unsigned how)
{
	static const uint32_t users[] = {FRIEND, STRANGER, 0, FRIEND};
	int pair[2];
	hang_up(c);
	run_loop();
	FUZZ_MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
	FUZZ_MUST(!vs_failed(vs_peer_new(&server, pair[1], NULL)));
	/* As if another user had made the socket. */
	server.peers->uid = users[how];
	server.peers->gid = users[how];
	server.peers->n_groups = 0;
	c->fd = pair[0];
	c->uid = users[how];
	c->n = 0;
	c->granted = false;
}

static void
say(const struct connection *c, struct vs_bytes b)
{
	if (c->fd >= 0 && b.n != 0)
		(void)!send(c->fd, b.p, b.n, MSG_DONTWAIT | MSG_NOSIGNAL);
	run_loop();
}

static void
say_hello(const struct connection *c, unsigned how)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf out = {0};
	const struct vs_msg_hello m = {.protocol = how == 1 ? 2 : VS_WIRE_VERSION,
		.path = vs_bytes_str(how == 2 ? "/other" : "/conf"),
		.boot_ns = how == 3 ? 1 : (uint64_t)vs_boot_now_ns()};
	FUZZ_MUST(!vs_failed(vs_msg_add(VS_MSG_HELLO, &m, 1, &out, NULL)));
	say(c, vs_buf_view(&out));
}

/* type (1) | request (1) | length (2) | fields */
static void
say_frame(const struct connection *c, struct vs_reader *r)
{
	uint8_t bytes[VS_WIRE_HEAD + 4096];
	struct vs_frame f = {.type = vs_get_u8(r), .request = vs_get_u8(r)};
	const struct vs_bytes body = vs_get_bytes(r, vs_get_be16(r));
	if (r->bad || body.n > sizeof bytes - VS_WIRE_HEAD)
		return;
	f.length = (uint32_t)body.n;
	vs_frame_put(&f, bytes);
	if (body.n != 0)
		memcpy(bytes + VS_WIRE_HEAD, body.p, body.n);
	say(c, vs_bytes_of(bytes, VS_WIRE_HEAD + body.n));
}

static void
step(struct vs_reader *r)
{
	const uint8_t head = vs_get_u8(r);
	struct connection *c = &connections[head >> 4 & 3];
	const unsigned how = head >> 6;
	badly = (how & 1) != 0;
	switch (head & 15) {
	case STEP_OPEN: come(c, how); break;
	case STEP_HELLO: say_hello(c, how); break;
	case STEP_FRAME: say_frame(c, r); break;
	case STEP_RAW: say(c, vs_get_bytes(r, vs_get_u8(r))); break;
	case STEP_CLOSE: hang_up(c), run_loop(); break;
	case STEP_NEED:
		if (n_needs > 0)
			finish_need(needs[--n_needs]);
		break;
	case STEP_KEY:
		if (n_keys > 0)
			finish_key(keys[--n_keys]);
		break;
	case STEP_META:
		if (n_metas > 0)
			finish_meta(metas[--n_metas]);
		break;
	case STEP_READ:
		if (c->fd >= 0)
			hear(c);
		break;
	case STEP_LATER: later = how != 0; break;
	default: break;
	}
	for (const struct vs_peer *p = server.peers; p != NULL; p = p->next)
		FUZZ_MUST(p->n_requests <= VS_PEER_REQUESTS_MAX &&
			p->out_bytes <= VS_PEER_OUT_BYTES_MAX);
}

static int
lowest_free_fd(void)
{
	const int fd = fcntl(vs_lease_page_fd(page), F_DUPFD_CLOEXEC, 3);
	FUZZ_MUST(fd >= 0);
	(void)close(fd);
	return fd;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vs_reader r = vs_reader_of(vs_bytes_of(data, size));
	set_up();
	const int before = lowest_free_fd();
	later = badly = false;
	for (size_t i = 0; i < CONNECTIONS; i++)
		connections[i].fd = -1;
	while (!r.bad && r.left > 0)
		step(&r);
	for (size_t i = 0; i < CONNECTIONS; i++) {
		if (connections[i].fd >= 0)
			hear(&connections[i]);
		hang_up(&connections[i]);
	}
	run_loop();
	while (server.peers != NULL)
		vs_peer_drop(server.peers);
	/* Who has gone leaves nothing behind. */
	FUZZ_MUST(n_needs == 0 && n_keys == 0 && n_metas == 0 && server.n_peers == 0);
	for (size_t i = 0; i < TOKENS; i++)
		FUZZ_MUST(keepers[i].holders == 0);
	run_loop();
	FUZZ_MUST(lowest_free_fd() == before);
	return 0;
}
