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

/* The first byte picks one of our commands, the second the tag. */
static void
try_response(const uint8_t *data, size_t size)
{
	static const uint8_t codes[] = {0x22, 0x2A, 0x31, 0x37, 0x48, 0x4E, 0x58, 0x59, 0x61, 0x62,
		0x65, 0x69, 0x73, 0x76, 0x7A, 0x7E, 0x7F, 0x81};
	if (size < 2)
		return;
	const uint8_t command[10] = {
		0x80, 1 + (data[1] & 1), 0, 0, 0, 10, 0, 0, 1, codes[data[0] % sizeof codes]};
	(void)vs_failed(vs_tpm_response_check(
		vs_bytes_of(command, sizeof command), vs_bytes_of(data + 2, size - 2), NULL));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_attest(data, size);
	try_public(data, size);
	try_response(data, size);
	return 0;
}
