/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes as a line of the audit log, and any bytes as a value in a record: what was written is
 * read back, and stands in plain ASCII.
 */
#include <string.h>

#include "audit/chain.h"
#include "base/codec.h"
#include "crypto/ossl.h"
#include "fuzz/fuzz.h"

static struct vs_ossl *o;

static void
as_line(struct vs_bytes in)
{
	struct vs_chain_link link;
	char reason[VS_CHAIN_REASON_MAX], value[64];

	const bool good = vs_chain_read(o, in, &link, reason);
	FUZZ_MUST(good || memchr(reason, 0, sizeof reason) != NULL);
	if (vs_chain_get(in, "event", value, sizeof value))
		FUZZ_MUST(memchr(value, 0, sizeof value) != NULL);
	if (good)
		FUZZ_MUST(link.seq != 0 && strlen(link.hash) == 64 && strlen(link.prev) == 64);
}

static void
as_value(struct vs_bytes in)
{
	static char text[8192], back[8192];
	const struct vs_chain_head head = {.log_id = "00112233445566778899aabbccddeeff",
		.boot_id = "b",
		.writer = "w",
		.prev = vs_chain_zero,
		.seq = 7,
		.wall = 1,
		.boot_ns = 2,
		.pid = 3};
	struct vs_buf body = {.max = 1 << 20}, line = {.max = 1 << 20};
	struct vs_chain_link link;
	char hash[65], reason[VS_CHAIN_REASON_MAX];

	if (in.n >= sizeof text || memchr(in.p, 0, in.n) != NULL)
		return;
	memcpy(text, in.p, in.n);
	text[in.n] = 0;
	FUZZ_MUST(!vs_failed(vs_buf_add_str(&body, "\"event\":\"x\",\"value\":", NULL)));
	FUZZ_MUST(!vs_failed(vs_chain_put_string(&body, text, NULL)));
	FUZZ_MUST(!vs_failed(vs_chain_compose(o, &head, vs_buf_view(&body), &line, hash, NULL)));
	for (size_t i = 0; i + 1 < line.n; i++)
		FUZZ_MUST(line.p[i] >= 0x20 && line.p[i] < 0x7f);
	const struct vs_bytes bare = vs_bytes_of(line.p, line.n - 1);
	FUZZ_MUST(vs_chain_read(o, bare, &link, reason) && link.seq == 7 &&
		strcmp(link.hash, hash) == 0);
	FUZZ_MUST(vs_chain_get(bare, "value", back, sizeof back));
	if (vs_utf8_ok(in))
		FUZZ_MUST(strcmp(back, text) == 0);
	vs_buf_done(&body);
	vs_buf_done(&line);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct vs_bytes in = vs_bytes_of(data, size);

	if (o == NULL)
		FUZZ_MUST(!vs_failed(vs_ossl_new(&o, NULL)));
	as_line(in);
	if (size != 0)
		as_value(in);
	return 0;
}
