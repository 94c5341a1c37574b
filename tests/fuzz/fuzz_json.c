/* SPDX-License-Identifier: BSD-2-Clause */
/* Any text: what is read is written so that it is read again as the same. */
#include "fuzz/fuzz.h"
#include "jose/json.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vs_json *one = NULL, *two = NULL;
	struct vs_buf text = {.max = 16 << 20};
	if (vs_failed(vs_json_load(vs_bytes_of(data, size), 1 << 20, "text", &one, NULL)))
		return 0;
	FUZZ_MUST(!vs_failed(vs_json_dump_sorted(one, &text, NULL)));
	FUZZ_MUST(!vs_failed(vs_json_load(vs_buf_view(&text), 16 << 20, "text", &two, NULL)));
	FUZZ_MUST(vs_json_same(one, two));
	vs_json_free(one);
	vs_json_free(two);
	vs_buf_done(&text);
	return 0;
}
