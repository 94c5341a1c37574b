/* SPDX-License-Identifier: BSD-2-Clause */
/* One handler per message. What cannot be answered at once is a struct vs_request. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/peer.h"
#include "agent/pin.h"
#include "agent/server.h"
#include "base/codec.h"
#include "base/log.h"

enum { CLOCK_AGE_MAX_S = 60, CLOCK_SLACK_NS = 10000000, REFUSAL_NOTE_S = 60 };

struct vs_request {
	struct vs_request *next;
	struct vs_peer *peer;
	uint32_t number;
	size_t token;
	struct vs_need need;
	struct vs_key_ask key;
	struct vs_meta_ask meta;
	/* Of `catalog`. */
	bool wants_catalog;
	uint64_t known;
	uint32_t cursor;
	/* Of `key`: what to look for. */
	bool looked_again;
	struct vs_buf name, version;
};

/* ---- life of a request ---------------------------------------------------------------------- */

static void
request_free(struct vs_request *r)
{
	vs_need_cancel(&r->need);
	vs_key_ask_cancel(&r->key);
	vs_meta_ask_cancel(&r->meta);
	for (struct vs_request **p = &r->peer->requests; *p; p = &(*p)->next)
		if (*p == r) {
			*p = r->next;
			r->peer->n_requests--;
			break;
		}
	vs_buf_done(&r->name);
	vs_buf_done(&r->version);
	free(r);
}

void
vs_requests_cancel(struct vs_peer *peer)
{
	while (peer->requests)
		request_free(peer->requests);
}

static VS_RC
request_new(struct vs_peer *peer, size_t token, struct vs_request **ret, struct vs_err *err)
{
	struct vs_request *r = calloc(1, sizeof *r);
	if (!r)
		VS_FAIL(err, MEMORY, "out of memory");
	r->peer = peer;
	r->number = peer->frame.request;
	r->token = token;
	r->name.max = VS_MSG_NAME_MAX + 1;
	r->version.max = VS_MSG_VERSION_MAX + 1;
	r->next = peer->requests;
	peer->requests = r;
	peer->n_requests++;
	*ret = r;
	return VS_OK;
}

static void
fail_request(struct vs_request *r, const struct vs_err *err)
{
	vs_peer_error(r->peer, r->number, err);
	request_free(r);
}

static struct vs_token_slot *
slot_of(const struct vs_request *r)
{
	return &r->peer->server->tokens[r->token];
}

static VS_RC
find_token(const struct vs_server *s, struct vs_bytes label, size_t *ret, struct vs_err *err)
{
	for (size_t i = 0; i < s->n_tokens; i++)
		if (vs_bytes_eq_str(label, vs_keeper_token(s->tokens[i].keeper)->label)) {
			*ret = i;
			return VS_OK;
		}
	VS_FAIL(err, NOT_FOUND,
		"the agent knows no such token: its configuration is older, restart it");
}

/* Never later than the agent's own limit for an operation. */
static int64_t
clamp_deadline(const struct vs_server *s, uint64_t wanted)
{
	const int64_t latest = vs_boot_now_ns() +
		vs_core_conf(s->env.core)->operation_timeout_ms * INT64_C(1000000);
	return wanted > (uint64_t)latest ? latest : (int64_t)wanted;
}

/* A refused peer is recorded, but it cannot fill the log by asking again and again. */
static VS_RC
check_allowed(struct vs_peer *peer, size_t token, struct vs_err *err)
{
	struct vs_token_slot *slot = &peer->server->tokens[token];
	const struct vs_conf_token *conf = vs_keeper_token(slot->keeper);
	const vs_rc rc = vs_peer_allowed(peer, conf, err);
	const int64_t now = vs_boot_now_ns();
	if (!vs_failed(rc))
		return VS_OK;
	if (slot->refusal_noted_boot_ns == 0 ||
		now - slot->refusal_noted_boot_ns > REFUSAL_NOTE_S * INT64_C(1000000000)) {
		slot->refusal_noted_boot_ns = now;
		vs_keeper_note(slot->keeper, "peer-refused", vs_peer_who(peer), err);
	}
	return rc;
}

/* ---- hello, tokens, status ------------------------------------------------------------------ */

static VS_RC
take_hello(struct vs_peer *peer, const void *msg, struct vs_err *err)
{
	const struct vs_msg_hello *m = msg;
	const struct vs_server *s = peer->server;
	const int64_t now = vs_boot_now_ns();
	if (m->protocol != VS_WIRE_VERSION)
		VS_FAIL(err, WIRE, "the peer speaks protocol %u, this agent %d", m->protocol,
			VS_WIRE_VERSION);
	if (m->boot_ns > (uint64_t)(now + CLOCK_SLACK_NS) ||
		now - (int64_t)m->boot_ns > CLOCK_AGE_MAX_S * INT64_C(1000000000))
		VS_FAIL(err, AGENT,
			"the peer's boot clock is not ours: it lives in another time namespace");
	const bool mine = vs_bytes_eq_str(m->path, s->env.conf_path);
	if (mine && !s->env.core) {
		vs_peer_error(peer, peer->frame.request, s->env.conf_err);
		return VS_OK;
	}
	const struct vs_msg_hello_answer a = {.protocol = VS_WIRE_VERSION,
		.program = vs_bytes_str("vouchsafe-agent " PACKAGE_VERSION),
		.instance = vs_bytes_of(s->instance, sizeof s->instance),
		.boot_ns = (uint64_t)vs_boot_now_ns(),
		.mine = mine,
		.lab = s->env.core && vs_core_conf(s->env.core)->lab};
	peer->greeted = mine;
	vs_peer_answer(peer, VS_MSG_HELLO_ANSWER, &a, peer->frame.request, -1);
	return VS_OK;
}

static VS_RC
take_tokens(struct vs_peer *peer, const void *msg, struct vs_err *err)
{
	const struct vs_server *s = peer->server;
	VS_CLEANUP(vs_buf_done) struct vs_buf list = {.max = 8192};
	(void)msg;
	for (size_t i = 0; i < s->n_tokens && i < VS_MSG_TOKENS_MAX; i++) {
		struct vs_msg_token t = {0};
		struct vs_keeper_status st = {0};
		const struct vs_conf_token *conf = vs_keeper_token(s->tokens[i].keeper);
		vs_keeper_status(s->tokens[i].keeper, &st);
		snprintf(t.label, sizeof t.label, "%s", conf->label);
		snprintf(t.serial, sizeof t.serial, "%s", conf->serial);
		snprintf(t.state, sizeof t.state, "%s", vs_gate_state_name(st.state));
		t.code = st.code;
		VS_TRY(vs_msg_token_put(&list, &t, err));
	}
	const struct vs_msg_tokens_answer a = {.list = vs_buf_view(&list)};
	vs_peer_answer(peer, VS_MSG_TOKENS_ANSWER, &a, peer->frame.request, -1);
	return VS_OK;
}

static VS_RC
take_status(struct vs_peer *peer, const void *msg, struct vs_err *err)
{
	const struct vs_msg_status *m = msg;
	const struct vs_server *s = peer->server;
	struct vs_keeper_status st = {0};
	size_t token = 0;
	char sentence[VS_MSG_SENTENCE_MAX + 1];
	VS_TRY(find_token(s, m->label, &token, err));
	vs_keeper_status(s->tokens[token].keeper, &st);
	vs_msg_sentence(vs_bytes_str(st.sentence), sentence, sizeof sentence);
	const struct vs_msg_status_answer a = {.state = vs_bytes_str(vs_gate_state_name(st.state)),
		.lab = vs_core_conf(s->env.core)->lab,
		.lease_left_s = st.lease_left_s < 0 ? UINT64_MAX : (uint64_t)st.lease_left_s,
		.n_keys = st.n_keys,
		.n_peers = st.n_holders,
		.code = st.code,
		.wall_unix = (uint64_t)st.wall_unix,
		.sentence = vs_bytes_str(sentence)};
	vs_peer_answer(peer, VS_MSG_STATUS_ANSWER, &a, peer->frame.request, -1);
	return VS_OK;
}

/* ---- catalog -------------------------------------------------------------------------------- */

static void
on_catalog(struct vs_meta_ask *ask, vs_rc rc, const struct vs_err *err,
	const struct vs_catalog_data *data, struct vs_bytes bytes)
{
	struct vs_request *r = ask->arg;
	if (vs_failed(rc)) {
		fail_request(r, err);
		return;
	}
	struct vs_msg_catalog_answer a = {
		.generation = data->generation, .total = (uint32_t)bytes.n, .cursor = r->cursor};
	if (r->known == data->generation && r->cursor == 0) {
		a.unchanged = true;
	} else if (r->cursor >= bytes.n) {
		/* The asker was in the middle of an older, longer one: the generation tells it. */
		a.cursor = 0;
	}
	if (!a.unchanged) {
		const size_t left = bytes.n - a.cursor;
		a.data = vs_bytes_of(
			bytes.p + a.cursor, left < VS_MSG_CHUNK_MAX ? left : VS_MSG_CHUNK_MAX);
	}
	vs_peer_answer(r->peer, VS_MSG_CATALOG_ANSWER, &a, r->number, -1);
	request_free(r);
}

static void
get_catalog(struct vs_request *r)
{
	r->meta.fn = on_catalog;
	r->meta.arg = r;
	vs_metadata_get(slot_of(r)->metadata, &r->meta);
}

static void
on_need(struct vs_need *need, vs_rc rc, const struct vs_err *err, const struct vs_lease_page *page);

static void
ask_need(struct vs_request *r, int64_t deadline_boot_ns)
{
	r->need = (struct vs_need){.deadline_boot_ns = deadline_boot_ns,
		.who = vs_peer_who(r->peer),
		.fn = on_need,
		.arg = r};
	vs_keeper_need(slot_of(r)->keeper, &r->need);
}

static VS_RC
take_catalog(struct vs_peer *peer, const void *msg, struct vs_err *err)
{
	const struct vs_msg_catalog *m = msg;
	size_t token = 0;
	struct vs_request *r = NULL;
	VS_TRY(find_token(peer->server, m->label, &token, err));
	const bool gated = vs_keeper_token(peer->server->tokens[token].keeper)->visible_attested;
	if (gated)
		VS_TRY(check_allowed(peer, token, err));
	VS_TRY(request_new(peer, token, &r, err));
	r->wants_catalog = true;
	r->known = m->known;
	r->cursor = m->cursor;
	if (gated)
		ask_need(r, clamp_deadline(peer->server, UINT64_MAX));
	else
		get_catalog(r);
	return VS_OK;
}

/* ---- need ----------------------------------------------------------------------------------- */

static void
on_need(struct vs_need *need, vs_rc rc, const struct vs_err *err, const struct vs_lease_page *page)
{
	struct vs_request *r = need->arg;
	struct vs_peer *peer = r->peer;
	const uint64_t bit = UINT64_C(1) << r->token;
	if (vs_failed(rc) || !page) {
		fail_request(r, err);
		return;
	}
	if (r->wants_catalog) {
		get_catalog(r);
		return;
	}
	if (!(peer->holds & bit)) {
		peer->holds |= bit;
		vs_keeper_hold(slot_of(r)->keeper, 1);
	}
	const struct vs_msg_need_answer a = {
		.lease_id = vs_bytes_of(vs_lease_page_view(page)->lease_id, VS_LEASE_ID_BYTES)};
	vs_peer_answer(peer, VS_MSG_NEED_ANSWER, &a, r->number, vs_lease_page_fd(page));
	request_free(r);
}

static VS_RC
take_need(struct vs_peer *peer, const void *msg, struct vs_err *err)
{
	const struct vs_msg_need *m = msg;
	size_t token = 0;
	struct vs_request *r = NULL;
	VS_TRY(find_token(peer->server, m->label, &token, err));
	VS_TRY(check_allowed(peer, token, err));
	VS_TRY(vs_pin_check(peer, token, m->pin, err));
	VS_TRY(request_new(peer, token, &r, err));
	/* A key is what comes next: its public part is fetched beside the attestation. */
	vs_metadata_prepare(slot_of(r)->metadata);
	ask_need(r, clamp_deadline(peer->server, m->deadline_boot_ns));
	return VS_OK;
}

/* ---- key ------------------------------------------------------------------------------------ */

static void
on_key(struct vs_key_ask *ask, vs_rc rc, const struct vs_err *err, uint32_t no,
	const struct vs_secret *secret, int uses_fd)
{
	struct vs_request *r = ask->arg;
	if (vs_failed(rc) || !secret) {
		fail_request(r, err);
		return;
	}
	const struct vs_msg_key_answer a = {.key_no = no, .bytes = vs_secret_view(secret)};
	vs_peer_answer(r->peer, VS_MSG_KEY_ANSWER, &a, r->number, uses_fd);
	request_free(r);
}

/* The newest of that name where no version is asked for: the catalog lists one per name. */
static const struct vs_cat_entry *
find_entry(const struct vs_catalog_data *data, const struct vs_request *r)
{
	for (size_t i = 0; i < data->n; i++) {
		const struct vs_cat_entry *e = &data->entries[i];
		if (vs_bytes_eq(e->name, vs_buf_view(&r->name)) &&
			(r->version.n == 0 || vs_bytes_eq(e->version, vs_buf_view(&r->version))))
			return e;
	}
	return NULL;
}

static void
on_key_catalog(struct vs_meta_ask *ask, vs_rc rc, const struct vs_err *err,
	const struct vs_catalog_data *data, struct vs_bytes bytes)
{
	struct vs_request *r = ask->arg;
	struct vs_err local = {0};
	(void)bytes;
	if (vs_failed(rc)) {
		fail_request(r, err);
		return;
	}
	const struct vs_cat_entry *entry = find_entry(data, r);
	if (entry && !entry->enabled) {
		(void)vs_err_put(
			&local, VS_E_KEY_GONE, __func__, __LINE__, 0, "the key is disabled");
		fail_request(r, &local);
	} else if (entry) {
		vs_keeper_key(slot_of(r)->keeper, &r->key, entry);
	} else if (!r->looked_again) {
		r->looked_again = true;
		vs_metadata_find(slot_of(r)->metadata, &r->meta, data->generation);
	} else {
		(void)vs_err_put(&local, VS_E_NOT_FOUND, __func__, __LINE__, 0,
			"the token has no such key, or not in this version");
		fail_request(r, &local);
	}
}

static VS_RC
take_key(struct vs_peer *peer, const void *msg, struct vs_err *err)
{
	const struct vs_msg_key *m = msg;
	size_t token = 0;
	struct vs_request *r = NULL;
	VS_TRY(find_token(peer->server, m->label, &token, err));
	VS_TRY(check_allowed(peer, token, err));
	if (!(peer->holds & UINT64_C(1) << token))
		VS_FAIL(err, LEASE_ENDED, "this connection has no grant for the token yet");
	VS_TRY(request_new(peer, token, &r, err));
	vs_rc rc = vs_buf_add(&r->name, m->name.p, m->name.n, err);
	if (!vs_failed(rc))
		rc = vs_buf_add(&r->version, m->version.p, m->version.n, err);
	if (vs_failed(rc)) {
		request_free(r);
		return rc;
	}
	r->key = (struct vs_key_ask){
		.deadline_boot_ns = clamp_deadline(peer->server, m->deadline_boot_ns),
		.who = vs_peer_who(peer),
		.pid_fd = peer->pid_fd,
		.peer = peer,
		.fn = on_key,
		.arg = r};
	memcpy(r->key.lease_id, m->lease_id.p, sizeof r->key.lease_id);
	r->meta.fn = on_key_catalog;
	r->meta.arg = r;
	vs_metadata_find(slot_of(r)->metadata, &r->meta, 0);
	return VS_OK;
}

/* ---- dispatch ------------------------------------------------------------------------------- */

static const struct {
	enum vs_msg_type type;
	bool before_hello;
	VS_RC (*take)(struct vs_peer *peer, const void *msg, struct vs_err *err);
} handlers[] = {
	{VS_MSG_HELLO, true, take_hello},
	{VS_MSG_TOKENS, false, take_tokens},
	{VS_MSG_CATALOG, false, take_catalog},
	{VS_MSG_NEED, false, take_need},
	{VS_MSG_KEY, false, take_key},
	{VS_MSG_STATUS, false, take_status},
};

union message {
	struct vs_msg_hello hello;
	struct vs_msg_tokens tokens;
	struct vs_msg_catalog catalog;
	struct vs_msg_need need;
	struct vs_msg_key key;
	struct vs_msg_status status;
};

/* Root and the agent's own user can end the agent anyway. */
static bool
user_has_too_many(const struct vs_peer *peer)
{
	unsigned n = 0;
	if (peer->uid == 0 || peer->uid == geteuid())
		return false;
	for (const struct vs_peer *q = peer->server->peers; q; q = q->next)
		if (q->uid == peer->uid)
			n += q->n_requests;
	return n >= VS_USER_REQUESTS_MAX;
}

VS_RC
vs_request_take(struct vs_peer *peer, struct vs_bytes payload, struct vs_err *err)
{
	const struct vs_msg_desc *desc = vs_msg_desc(peer->frame.type);
	union message m;
	VS_REQUIRE(err, desc && desc->size <= sizeof m);
	VS_TRY(vs_msg_get(desc, payload, &m, err));
	for (const struct vs_request *r = peer->requests; r; r = r->next)
		if (r->number == peer->frame.request)
			VS_FAIL(err, WIRE, "a request number is used twice at a time");
	for (size_t i = 0; i < sizeof handlers / sizeof handlers[0]; i++) {
		struct vs_err local = {0};
		vs_rc rc = VS_OK;
		if (handlers[i].type != peer->frame.type)
			continue;
		if (peer->greeted == handlers[i].before_hello)
			VS_FAIL(err, WIRE, "hello comes first, and once");
		if (peer->n_requests >= VS_PEER_REQUESTS_MAX)
			rc = vs_err_put(&local, VS_E_LIMIT, __func__, __LINE__, 0,
				"more than %d requests at a time", VS_PEER_REQUESTS_MAX);
		else if (!handlers[i].before_hello && user_has_too_many(peer))
			rc = vs_err_put(&local, VS_E_LIMIT, __func__, __LINE__, 0,
				"user %u has more than %d requests at a time", peer->uid,
				VS_USER_REQUESTS_MAX);
		else
			rc = handlers[i].take(peer, &m, &local);
		if (vs_failed(rc))
			vs_peer_error(peer, peer->frame.request, &local);
		return VS_OK;
	}
	VS_FAIL(err, WIRE, "a message that is no request");
}
