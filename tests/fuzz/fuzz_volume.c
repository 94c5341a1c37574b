/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes as the metadata of a LUKS2 header, as whoever holds the disk could write them: what is
 * accepted has one fingerprint of one form, and our entry means the same when it is written again.
 */
#include <string.h>

#include "fuzz/fuzz.h"
#include "tools/volume_header.h"

/* The lines of what is hashed: title, UUID, members of the segment and of the digest. */
enum { LINES = 13 };

static void
try_judge(struct vs_bytes json)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf canonical = {.max = 1 << 20};
	static const char uuid[] = "8b0dbd5c-4a2f-4f4e-9f0c-1d2a3b4c5d6e";
	struct vs_err err = {0};
	size_t lines = 0;
	const vs_rc rc = vs_volume_judge(json, uuid, &canonical, &err);
	if (vs_failed(rc)) {
		FUZZ_MUST(canonical.n == 0 || rc.code == VS_E_LIMIT);
		FUZZ_MUST(err.n_frames != 0 && err.frames[0].text[0] != '\0');
		return;
	}
	for (size_t i = 0; i < canonical.n; i++) {
		FUZZ_MUST(canonical.p[i] == '\n' || canonical.p[i] >= 0x20);
		lines += canonical.p[i] == '\n';
	}
	/* No text of the header can stand for a line of its own. */
	FUZZ_MUST(lines == LINES && canonical.p[canonical.n - 1] == '\n');
	FUZZ_MUST(memmem(canonical.p, canonical.n, "\nencryption=\"aes-", 17) != NULL);
	FUZZ_MUST(memmem(canonical.p, canonical.n, "\ntype=\"crypt\"\n", 14) != NULL);
}

static void
try_entry(struct vs_bytes json)
{
	VS_CLEANUP(vs_volume_entry_done) struct vs_volume_entry one = {.number = -1};
	VS_CLEANUP(vs_volume_entry_done) struct vs_volume_entry two = {.number = -1};
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {.max = 1 << 20};
	if (vs_failed(vs_volume_entry_read(json, &one, NULL)))
		return;
	FUZZ_MUST(one.number >= 0 && one.number < 32 && one.slot >= 0 && one.slot < 32);
	FUZZ_MUST(!vs_failed(vs_buf_addf(&text, NULL, "{\"tokens\":{\"%d\":", one.number)));
	FUZZ_MUST(!vs_failed(vs_volume_entry_write(&one, &text, NULL)));
	FUZZ_MUST(!vs_failed(vs_buf_add_str(&text, "}}", NULL)));
	FUZZ_MUST(!vs_failed(vs_volume_entry_read(vs_buf_view(&text), &two, NULL)));
	FUZZ_MUST(one.number == two.number && one.slot == two.slot && one.begun == two.begun);
	FUZZ_MUST(strcmp(one.token, two.token) == 0 && strcmp(one.key, two.key) == 0 &&
		strcmp(one.version, two.version) == 0);
	FUZZ_MUST(vs_bytes_eq(vs_buf_view(&one.wrapped), vs_buf_view(&two.wrapped)));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_judge(vs_bytes_of(data, size));
	try_entry(vs_bytes_of(data, size));
	return 0;
}
