/* SPDX-License-Identifier: BSD-2-Clause */
#include "lab/lab_report.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <openssl/ecdsa.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include "base/codec.h"
#include "lab/lab_roots.h"

static void
put_le(uint8_t *p, uint64_t v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

vs_rc
lab_chip_new(const struct lab_roots *roots, struct lab_chip **ret, struct vs_err *err)
{
	static const uint8_t zero[] = {2, 1, 0}, bl[] = {2, 1, 4}, snp[] = {2, 1, 24},
			     ucode[] = {2, 2, 0, 219};
	static const uint8_t product[] = {0x16, 8, 'M', 'i', 'l', 'a', 'n', '-', 'B', '0'};
	struct lab_chip *c = calloc(1, sizeof *c);
	if (!c)
		VS_FAIL(err, MEMORY, "out of memory");
	const struct lab_ext ext[] = {
		{.oid = "1.3.6.1.4.1.3704.1.1", .der = {zero, 3}},
		{.oid = "1.3.6.1.4.1.3704.1.2", .der = {product, sizeof product}},
		{.oid = "1.3.6.1.4.1.3704.1.3.1", .der = {bl, 3}},
		{.oid = "1.3.6.1.4.1.3704.1.3.2", .der = {zero, 3}},
		{.oid = "1.3.6.1.4.1.3704.1.3.4", .der = {zero, 3}},
		{.oid = "1.3.6.1.4.1.3704.1.3.5", .der = {zero, 3}},
		{.oid = "1.3.6.1.4.1.3704.1.3.6", .der = {zero, 3}},
		{.oid = "1.3.6.1.4.1.3704.1.3.7", .der = {zero, 3}},
		{.oid = "1.3.6.1.4.1.3704.1.3.3", .der = {snp, 3}},
		{.oid = "1.3.6.1.4.1.3704.1.3.8", .der = {ucode, sizeof ucode}},
		{.oid = "1.3.6.1.4.1.3704.1.4", .der = {c->id, sizeof c->id}},
		{0},
	};
	vs_rc rc = VS_OK;
	if (RAND_bytes(c->id, sizeof c->id) != 1 || !(c->vcek_key = EVP_EC_gen("P-384")))
		rc = lab_ossl_fail("cannot make a chip key", err);
	else
		rc = lab_hwcert_new(&(struct lab_hwcert){.cn = "SEV-VCEK",
					    .key = c->vcek_key,
					    .issuer = &roots->ask,
					    .serial = 0,
					    .pss = true,
					    .ext = ext},
			&c->vcek, err);
	if (vs_failed(rc)) {
		lab_chip_free(c);
		return rc;
	}
	*ret = c;
	return VS_OK;
}

void
lab_chip_free(struct lab_chip *c)
{
	if (!c)
		return;
	EVP_PKEY_free(c->vcek_key);
	X509_free(c->vcek);
	free(c);
}

vs_rc
lab_runtime_json(const struct lab_runtime *rt, struct vs_buf *out, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf n = {0};
	char hex[2 * 64 + 1];
	VS_TRY(vs_b64url_encode(vs_bytes_of(rt->ak_n, 256), &n, err));
	vs_hex_str(rt->user_data, 64, hex, sizeof hex);
	for (char *p = hex; *p; p++)
		*p = *p >= 'a' && *p <= 'f' ? (char)(*p - 'a' + 'A') : *p;
	return vs_buf_addf(out, err,
		"{\"keys\":[{\"kid\":\"HCLAkPub\",\"key_ops\":[\"sign\"],\"kty\":\"RSA\",\"e\":"
		"\"AQAB\","
		"\"n\":\"%s\"}],\"vm-configuration\":{\"console-enabled\":true,\"secure-boot\":%s,"
		"\"tpm-enabled\":true,\"tpm-persisted\":true,\"vmUniqueId\":\"%s\"},"
		"\"user-data\":\"%s\"}",
		vs_buf_cstr(&n), rt->secure_boot ? "true" : "false", rt->vm_id_upper, hex);
}

static vs_rc
sign_report(uint8_t *report, EVP_PKEY *key, struct vs_err *err)
{
	uint8_t der[160];
	size_t n = sizeof der;
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	const bool ok = md && EVP_DigestSignInit(md, NULL, EVP_sha384(), NULL, key) == 1 &&
		EVP_DigestSign(md, der, &n, report, LAB_SNP_SIGNED) == 1;
	EVP_MD_CTX_free(md);
	const uint8_t *p = der;
	ECDSA_SIG *sig = ok ? d2i_ECDSA_SIG(NULL, &p, (long)n) : NULL;
	if (!sig)
		return lab_ossl_fail("cannot sign a report", err);
	const bool fits = BN_bn2lebinpad(ECDSA_SIG_get0_r(sig), report + 0x2a0, 72) == 72 &&
		BN_bn2lebinpad(ECDSA_SIG_get0_s(sig), report + 0x2e8, 72) == 72;
	ECDSA_SIG_free(sig);
	VS_REQUIRE(err, fits);
	return VS_OK;
}

vs_rc
lab_snp_report(const struct lab_snp *snp, uint8_t out[LAB_SNP_SIZE], struct vs_err *err)
{
	uint8_t r[LAB_SNP_SIZE] = {0};
	put_le(r + 0x000, 3, 4);
	put_le(r + 0x004, 10, 4);
	put_le(r + 0x008, snp->policy, 8);
	r[0x010] = 1; /* family */
	r[0x020] = 2; /* image */
	put_le(r + 0x030, snp->vmpl, 4);
	put_le(r + 0x034, 1, 4);
	put_le(r + 0x038, LAB_TCB, 8);
	put_le(r + 0x040, 0x25, 8);
	SHA256(snp->runtime_json.p, snp->runtime_json.n, r + 0x050);
	SHA384((const uint8_t *)snp->paravisor, strlen(snp->paravisor), r + 0x090);
	SHA384((const uint8_t *)LAB_ID_KEY, strlen(LAB_ID_KEY), r + 0x0e0);
	memcpy(r + 0x140, snp->report_id, 32);
	memset(r + 0x160, 0xff, 32);
	put_le(r + 0x180, LAB_TCB, 8);
	r[0x188] = 0x19;
	r[0x189] = 0x01;
	r[0x18a] = 0x01;
	memcpy(r + 0x1a0, snp->chip->id, LAB_CHIP_ID_SIZE);
	put_le(r + 0x1e0, LAB_TCB, 8);
	put_le(r + 0x1e8, 0x01371d, 4);
	put_le(r + 0x1ec, 0x01371d, 4);
	put_le(r + 0x1f0, LAB_TCB, 8);
	VS_TRY(sign_report(r, snp->sign_with ? snp->sign_with : snp->chip->vcek_key, err));
	memcpy(out, r, LAB_SNP_SIZE);
	return VS_OK;
}

vs_rc
lab_hcl_blob(const uint8_t report[LAB_SNP_SIZE], struct vs_bytes json, struct vs_buf *out,
	struct vs_err *err)
{
	uint8_t head[32] = {'H', 'C', 'L', 'A'}, claims[20] = {0};
	put_le(head + 4, 1, 4);
	put_le(head + 8, 32 + LAB_SNP_SIZE + 20 + json.n, 4);
	put_le(head + 12, 2, 4);
	put_le(claims, 20 + json.n, 4);
	put_le(claims + 4, 1, 4);
	put_le(claims + 8, 2, 4); /* SNP */
	put_le(claims + 12, 1, 4); /* SHA-256 */
	put_le(claims + 16, json.n, 4);
	VS_TRY(vs_buf_add(out, head, sizeof head, err));
	VS_TRY(vs_buf_add(out, report, LAB_SNP_SIZE, err));
	VS_TRY(vs_buf_add(out, claims, sizeof claims, err));
	return vs_buf_add(out, json.p, json.n, err);
}

vs_rc
lab_thim_json(const struct lab_roots *roots, const struct lab_chip *chip, struct vs_buf *out,
	struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf vcek = {0}, chain = {0};
	VS_TRY(lab_hwcert_pem(chip->vcek, &vcek, err));
	VS_TRY(lab_hwcert_pem(roots->ask.cert, &chain, err));
	VS_TRY(lab_hwcert_pem(roots->ark.cert, &chain, err));
	json_t *o = json_pack("{s:s,s:s,s:s,s:s}", "vcekCert", vs_buf_cstr(&vcek), "tcbm",
		"DB18000000000004", "certificateChain", vs_buf_cstr(&chain), "cacheControl",
		"86400");
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	json_decref(o);
	if (!text)
		VS_FAIL(err, MEMORY, "out of memory");
	const vs_rc rc = vs_buf_add_str(out, text, err);
	free(text);
	return rc;
}
