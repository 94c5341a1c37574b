/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/pin.h"

#include <string.h>

#include "agent/server.h"
#include "base/codec.h"
#include "base/file.h"

enum { LOGIN_PIN = 2, PIN_FILE_MAX = 1024, FREE_FAILURES = 3, HOLD_MAX_S = 64 };

static void
wiped_buf_done(struct vs_buf *b)
{
	if (b->p)
		vs_wipe(b->p, b->cap);
	vs_buf_done(b);
}

/* Equal without telling by time where they differ; lengths are no secret. */
static bool
same(struct vs_bytes a, struct vs_bytes b)
{
	return a.n == b.n && a.n > 0 && vs_ct_eq(a.p, b.p, a.n);
}

static void
count_failure(struct vs_token_slot *slot)
{
	slot->pin_failures++;
	if (slot->pin_failures < FREE_FAILURES)
		return;
	const unsigned n = slot->pin_failures - FREE_FAILURES;
	const int64_t hold_s = n < 6 ? INT64_C(1) << n : HOLD_MAX_S;
	slot->pin_hold_boot_ns = vs_boot_now_ns() + hold_s * 1000000000;
}

VS_RC
vs_pin_check(struct vs_peer *peer, size_t token, struct vs_bytes pin, struct vs_err *err)
{
	struct vs_token_slot *slot = &peer->server->tokens[token];
	const struct vs_conf_token *conf = vs_keeper_token(slot->keeper);
	const uint64_t bit = UINT64_C(1) << token;
	VS_CLEANUP(wiped_buf_done) struct vs_buf file = {.max = PIN_FILE_MAX};
	if (conf->login != LOGIN_PIN || (pin.n == 0 && (peer->pin_ok & bit)))
		return VS_OK;
	if (pin.n == 0)
		VS_FAIL(err, PIN, "the token \"%.64s\" asks for a PIN first", conf->label);
	if (!conf->pin_file)
		VS_FAIL(err, CONFIG_MISSING,
			"login = pin needs pin-file in the section of \"%.64s\"", conf->label);
	if (vs_boot_now_ns() < slot->pin_hold_boot_ns)
		VS_FAIL(err, PIN, "too many wrong PINs: wait a while");
	VS_TRY(vs_file_read(conf->pin_file, PIN_FILE_MAX, VS_FILE_SECRET, &file, err));
	const uint8_t *end = file.n > 0 ? memchr(file.p, '\n', file.n) : NULL;
	const struct vs_bytes right = vs_bytes_of(file.p, end ? (size_t)(end - file.p) : file.n);
	if (!same(right, pin)) {
		count_failure(slot);
		VS_FAIL(err, PIN, "the PIN is wrong");
	}
	slot->pin_failures = 0;
	peer->pin_ok |= bit;
	return VS_OK;
}
