/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes as what comes with a quote: the attestation, its signature, a transport key with its
 * certification, PCR values. Five parts, length (2) | bytes, then index (1) | value (32) each. The
 * attestation key is that of a real machine, so only that machine's quote has a signature that
 * verifies; what the verdict says of the values is computed here once more.
 */
#include <stdio.h>
#include <string.h>

#include <openssl/sha.h>

#include "evidence/check.h"
#include "evidence/hcl.h"
#include "evidence/verify.h"
#include "fuzz/fuzz.h"

#define SET VS_TEST_SRCDIR "/tests/data/evidence/azure/snp-milan-challenge/"
enum { PCR_MASK = 0xFFFFFF };

static struct vs_roots roots;
static struct vs_evidence machine; /* attestation key, quote and signature of the real set */

static void
read_file(const char *path, struct vs_buf *out)
{
	uint8_t bytes[8192];
	FILE *f = fopen(path, "rb");
	FUZZ_MUST(f != NULL);
	const size_t n = fread(bytes, 1, sizeof bytes, f);
	fclose(f);
	FUZZ_MUST(n != 0 && !vs_failed(vs_buf_set(out, bytes, n, NULL)));
}

/* The key as the platform's template has it: TPM2B_PUBLIC. */
static void
set_up(void)
{
	static const uint8_t head[] = {1, 24, 0, 1, 0, 0xb, 0, 5, 4, 0x72, 0, 0, 0, 0x10, 0, 0x14,
		0, 0xb, 8, 0, 0, 0, 0, 0, 1, 0};
	struct vs_hcl hcl;
	struct vs_runtime rt;
	if (machine.quote.n != 0)
		return;
	read_file(SET "hcl.bin", &machine.hcl);
	read_file(SET "quote.msg", &machine.quote);
	read_file(SET "quote.sig", &machine.quote_sig);
	FUZZ_MUST(!vs_failed(vs_hcl_parse(vs_buf_view(&machine.hcl), &hcl, NULL)));
	FUZZ_MUST(!vs_failed(vs_runtime_parse(hcl.json, &rt, NULL)) && rt.ak_n_bytes == 256);
	FUZZ_MUST(!vs_failed(vs_buf_add(&machine.ak_public_2b, head, sizeof head, NULL)));
	FUZZ_MUST(!vs_failed(vs_buf_add(&machine.ak_public_2b, rt.ak_n, 256, NULL)));
	FUZZ_MUST(!vs_failed(vs_roots_production(&roots, NULL)));
}

static void
take_part(struct vs_reader *r, struct vs_buf *out)
{
	const struct vs_bytes part = vs_get_bytes(r, vs_get_be16(r));
	if (!r->bad)
		FUZZ_MUST(!vs_failed(vs_buf_set(out, part.p, part.n, NULL)));
}

static void
take_evidence(struct vs_reader *r, struct vs_evidence *ev)
{
	take_part(r, &ev->quote);
	take_part(r, &ev->quote_sig);
	take_part(r, &ev->enc_public_2b);
	take_part(r, &ev->enc_certify);
	take_part(r, &ev->enc_certify_sig);
	while (!r->bad && r->left > 0) {
		const uint8_t i = vs_get_u8(r) % VS_PCRS_MAX;
		const struct vs_bytes value = vs_get_bytes(r, 32);
		if (r->bad)
			break;
		memcpy(ev->pcr[i], value.p, 32);
		ev->pcr_mask |= UINT32_C(1) << i;
	}
	FUZZ_MUST(!vs_failed(vs_buf_set(
		&ev->ak_public_2b, machine.ak_public_2b.p, machine.ak_public_2b.n, NULL)));
}

static bool
says(const struct vs_verdict *v, const char *name)
{
	for (size_t i = 0; i < v->n_checks; i++)
		if (strcmp(v->checks[i].name, name) == 0)
			return v->checks[i].passed;
	return false;
}

static void
check_verdict(const struct vs_evidence *ev, const struct vs_verdict *v)
{
	unsigned char digest[SHA256_DIGEST_LENGTH];
	const bool genuine = vs_bytes_eq(vs_buf_view(&ev->quote), vs_buf_view(&machine.quote)) &&
		vs_bytes_eq(vs_buf_view(&ev->quote_sig), vs_buf_view(&machine.quote_sig));
	/* Without a certificate of the key there is no machine to believe. */
	FUZZ_MUST(!v->passed);
	FUZZ_MUST(says(v, "quote's signature") == genuine);
	FUZZ_MUST(!says(v, "transport key's certification"));
	(void)SHA256(ev->pcr[0], sizeof ev->pcr, digest);
	/* The digest is the attestation's last part. */
	if (says(v, "PCR values"))
		FUZZ_MUST(ev->pcr_mask == PCR_MASK && ev->quote.n > sizeof digest &&
			memcmp(ev->quote.p + ev->quote.n - sizeof digest, digest, sizeof digest) ==
				0);
	if (genuine && says(v, "PCR values"))
		FUZZ_MUST(says(v, "nonce in the quote") && says(v, "TPM clock is safe"));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vs_reader r = vs_reader_of(vs_bytes_of(data, size));
	struct vs_evidence ev = {.tee = VS_TEE_TRUSTED_LAUNCH};
	struct vs_verdict v;
	set_up();
	take_evidence(&r, &ev);
	const struct vs_evidence_expect x = {.at_unix = 1786752000,
		.roots = &roots,
		.nonce = vs_bytes_str("challenge"),
		.pcr_mask = PCR_MASK,
		.allow_trusted_launch = true};
	FUZZ_MUST(vs_failed(vs_evidence_verify(&ev, &x, &v, NULL)));
	check_verdict(&ev, &v);
	vs_evidence_done(&ev);
	return 0;
}
