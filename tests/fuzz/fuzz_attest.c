/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as what a TPM says: attestations, public areas, whole answers to commands. */
#include "evidence/quote.h"
#include "evidence/tpm_link.h"
#include "fuzz/fuzz.h"

static void
inside(struct vs_bytes part, const uint8_t *data, size_t size)
{
	FUZZ_MUST(part.n == 0 || (part.p >= data && part.p + part.n <= data + size));
}

static void
try_attest(const uint8_t *data, size_t size)
{
	struct vs_tpm_attest a;
	if (vs_failed(vs_tpm_attest_parse(vs_bytes_of(data, size), &a, NULL)))
		return;
	FUZZ_MUST(a.type == VS_ATTEST_QUOTE || a.type == VS_ATTEST_CERTIFY);
	FUZZ_MUST(a.n_banks <= VS_TPM_BANKS_MAX);
	inside(a.signer, data, size);
	inside(a.extra, data, size);
	inside(a.pcr_digest, data, size);
	inside(a.name, data, size);
	inside(a.qualified_name, data, size);
}

static void
try_public(const uint8_t *data, size_t size)
{
	struct vs_tpm_public p;
	uint8_t name[VS_TPM_NAME_BYTES];
	if (vs_failed(vs_tpm_public_parse(vs_bytes_of(data, size), &p, NULL)))
		return;
	FUZZ_MUST(p.area.n + 2 == size && p.n.n * 8 == p.bits);
	inside(p.n, data, size);
	inside(p.policy, data, size);
	(void)vs_failed(vs_tpm_public_name(&p, name, NULL));
}

/* The first byte picks one of our commands, the second the number of authorisations. */
static void
try_response(const uint8_t *data, size_t size)
{
	static const struct {
		uint8_t code, handles;
	} commands[] = {{0x22, 2}, {0x2A, 1}, {0x31, 1}, {0x37, 2}, {0x48, 2}, {0x4E, 2}, {0x58, 1},
		{0x59, 1}, {0x61, 0}, {0x62, 1}, {0x65, 0}, {0x69, 1}, {0x73, 1}, {0x76, 2},
		{0x7A, 0}, {0x7E, 0}, {0x7F, 1}, {0x81, 0}};
	if (size < 2)
		return;
	const size_t which = data[0] % (sizeof commands / sizeof *commands);
	const uint8_t sessions = data[1] % 3;
	uint8_t command[10 + 8 + 4 + 18] = {
		0x80, sessions != 0 ? 2 : 1, 0, 0, 0, 10, 0, 0, 1, commands[which].code};
	size_t n = 10;
	if (sessions != 0) {
		n += 4 * (size_t)commands[which].handles;
		command[n + 3] = (uint8_t)(9 * sessions);
		n += 4 + 9 * (size_t)sessions;
	}
	(void)vs_failed(vs_tpm_response_check(
		vs_bytes_of(command, n), vs_bytes_of(data + 2, size - 2), NULL));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_attest(data, size);
	try_public(data, size);
	try_response(data, size);
	return 0;
}
