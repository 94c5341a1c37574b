/* SPDX-License-Identifier: BSD-2-Clause */
#include "client/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "client/conn.h"
#include "client/grant.h"

struct vs_client {
	const struct vs_profile *profile;
	struct vs_arena *arena;
	struct vs_conn *conn;
};

enum { CATALOG_RESTARTS_MAX = 4 };

VS_RC
vs_client_new(const struct vs_profile *profile, struct vs_arena *arena, struct vs_client **ret,
	struct vs_err *err)
{
	struct vs_client *c = calloc(1, sizeof *c);
	if (!c)
		VS_FAIL(err, MEMORY, "out of memory");
	c->profile = profile;
	c->arena = arena;
	const vs_rc rc = vs_conn_new(profile, arena, &c->conn, err);
	if (vs_failed(rc)) {
		free(c);
		return rc;
	}
	*ret = c;
	return VS_OK;
}

void
vs_client_free(struct vs_client *c)
{
	if (!c)
		return;
	vs_conn_free(c->conn);
	free(c);
}

void
vs_client_abandon(struct vs_client *c)
{
	if (!c)
		return;
	vs_conn_abandon(c->conn);
	free(c);
}

static VS_RC
label_of(const struct vs_client *c, size_t token, struct vs_bytes *ret, struct vs_err *err)
{
	if (token >= c->profile->n_tokens)
		VS_FAIL(err, NOT_FOUND, "there is no token number %zu", token);
	*ret = vs_bytes_str(c->profile->tokens[token].label);
	return VS_OK;
}

/* ---- catalog -------------------------------------------------------------------------------- */

/* The next part; *ret_again: the agent's catalog has changed under us, begin anew. */
static VS_RC
append_part(const struct vs_msg_catalog_answer *a, uint64_t *generation, struct vs_buf *all,
	bool *ret_again, bool *ret_last, struct vs_err *err)
{
	*ret_again = *generation != 0 && a->generation != *generation;
	if (*ret_again)
		return VS_OK;
	if (a->generation == 0 || a->total > VS_CATALOG_BYTES_MAX || a->cursor != all->n ||
		all->n > a->total || a->data.n == 0 || a->data.n > a->total - all->n)
		VS_FAIL(err, WIRE, "the agent's catalog does not come in order");
	*generation = a->generation;
	VS_TRY(vs_buf_add(all, a->data.p, a->data.n, err));
	*ret_last = all->n == a->total;
	return VS_OK;
}

VS_RC
vs_client_catalog(struct vs_client *c, size_t token, uint64_t known, int64_t deadline_boot_ns,
	struct vs_catalog_data **ret, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf all = {.max = VS_CATALOG_BYTES_MAX};
	struct vs_msg_catalog ask = {.known = known};
	uint64_t generation = 0;
	bool last = false;
	VS_TRY(label_of(c, token, &ask.label, err));
	for (int restarts = 0; !last;) {
		VS_CLEANUP(vs_reply_done) struct vs_reply reply = {.fd = -1};
		struct vs_msg_catalog_answer answer = {0};
		bool again = false;
		ask.cursor = (uint32_t)all.n;
		VS_TRY(vs_conn_ask(
			c->conn, VS_MSG_CATALOG, &ask, deadline_boot_ns, &reply, &answer, err));
		if (answer.unchanged && known != 0 && all.n == 0) {
			*ret = NULL;
			return VS_OK;
		}
		VS_TRY(append_part(&answer, &generation, &all, &again, &last, err));
		if (again) {
			if (++restarts > CATALOG_RESTARTS_MAX)
				VS_FAIL(err, WIRE,
					"the agent's catalog changes faster than it can be read");
			vs_buf_reset(&all);
			generation = 0;
			last = false;
		}
	}
	struct vs_catalog_data *out = NULL;
	VS_TRY(vs_catalog_decode(&all, &out, err));
	if (out->generation != generation) {
		vs_catalog_data_free(out);
		VS_FAIL(err, WIRE, "the agent's catalog has another generation than announced");
	}
	*ret = out;
	return VS_OK;
}

/* ---- grant and key -------------------------------------------------------------------------- */

VS_RC
vs_client_need(struct vs_client *c, size_t token, const char *pin, size_t pin_len,
	int64_t deadline_boot_ns, struct vs_grant **ret, struct vs_err *err)
{
	VS_CLEANUP(vs_reply_done) struct vs_reply reply = {.fd = -1};
	struct vs_msg_need_answer answer = {0};
	struct vs_msg_need ask = {
		.deadline_boot_ns = deadline_boot_ns > 0 ? (uint64_t)deadline_boot_ns : 0};
	VS_TRY(label_of(c, token, &ask.label, err));
	if (pin_len > VS_MSG_PIN_MAX)
		VS_FAIL(err, PIN, "the PIN is longer than %d bytes", VS_MSG_PIN_MAX);
	if (pin)
		ask.pin = vs_bytes_of(pin, pin_len);
	VS_TRY(vs_conn_ask(c->conn, VS_MSG_NEED, &ask, deadline_boot_ns, &reply, &answer, err));
	return vs_grant_map(reply.fd, answer.lease_id, token, ret, err);
}

VS_RC
vs_client_key(struct vs_client *c, struct vs_grant *g, struct vs_bytes name,
	struct vs_bytes version, int64_t deadline_boot_ns, const struct vs_meanwhile *meanwhile,
	struct vs_secret *ret, uint32_t *ret_key_no, struct vs_err *err)
{
	VS_CLEANUP(vs_reply_done) struct vs_reply reply = {.fd = -1};
	struct vs_msg_key_answer answer = {0};
	struct vs_msg_key ask = {.lease_id = vs_grant_lease_id(g),
		.name = name,
		.version = version,
		.deadline_boot_ns = deadline_boot_ns > 0 ? (uint64_t)deadline_boot_ns : 0};
	VS_TRY(label_of(c, vs_grant_token(g), &ask.label, err));
	VS_TRY(vs_conn_ask_meanwhile(
		c->conn, VS_MSG_KEY, &ask, deadline_boot_ns, meanwhile, &reply, &answer, err));
	if (answer.key_no >= VS_PAGE_KEYS_MAX)
		VS_FAIL(err, WIRE, "the agent gave a key a number that no lease page has");
	VS_TRY(vs_grant_count_in(g, reply.fd, err));
	VS_TRY(vs_secret_from(c->arena, answer.bytes.p, answer.bytes.n, ret, err));
	*ret_key_no = answer.key_no;
	return VS_OK;
}

VS_RC
vs_client_status(struct vs_client *c, size_t token, int64_t deadline_boot_ns,
	struct vs_token_status *ret, struct vs_err *err)
{
	VS_CLEANUP(vs_reply_done) struct vs_reply reply = {.fd = -1};
	struct vs_msg_status_answer a = {0};
	struct vs_msg_status ask = {0};
	VS_TRY(label_of(c, token, &ask.label, err));
	VS_TRY(vs_conn_ask(c->conn, VS_MSG_STATUS, &ask, deadline_boot_ns, &reply, &a, err));
	struct vs_token_status out = {.lab = a.lab,
		.lease_left_s = a.lease_left_s > INT64_MAX ? -1 : (int64_t)a.lease_left_s,
		.n_keys_released = a.n_keys,
		.n_peers = a.n_peers,
		.last_code = a.code,
		.last_wall_unix = a.wall_unix > INT64_MAX ? 0 : (int64_t)a.wall_unix};
	snprintf(out.label, sizeof out.label, "%s", c->profile->tokens[token].label);
	(void)vs_quote(a.state, out.state, sizeof out.state);
	vs_msg_sentence(a.sentence, out.last_sentence, sizeof out.last_sentence);
	*ret = out;
	return VS_OK;
}
