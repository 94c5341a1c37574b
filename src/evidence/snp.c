/* SPDX-License-Identifier: BSD-2-Clause */
/* AMD publication 56860, table "ATTESTATION_REPORT"; 57230 for the certificates. Little endian. */
#include "evidence/snp.h"

#include <stdio.h>
#include <string.h>

#include "base/codec.h"
#include "evidence/check.h"
#include "evidence/ev_crypto.h"
#include "evidence/hcl.h"

enum {
	SIGNED_BYTES = 0x2A0,
	SIG_HALF = 72,
	ALGO_ECDSA_P384_SHA384 = 1,
	VERSION_MIN = 2,
	VERSION_MAX = 5,
	HWID_TURIN = 8,
};
#define POLICY_MUST_BE_ONE (1ULL << 17)
#define OID_AMD "1.3.6.1.4.1.3704.1."

static bool
all_are(struct vs_bytes b, uint8_t value)
{
	for (size_t i = 0; i < b.n; i++) {
		if (b.p[i] != value)
			return false;
	}
	return true;
}

static enum vs_snp_gen
gen_of(uint8_t family, uint8_t model)
{
	if (family == 0x19 && model <= 0x0F)
		return VS_SNP_MILAN;
	if (family == 0x19 &&
		((model >= 0x10 && model <= 0x1F) || (model >= 0xA0 && model <= 0xAF)))
		return VS_SNP_GENOA;
	if (family == 0x1A && model <= 0x11)
		return VS_SNP_TURIN;
	return VS_SNP_GEN_NONE;
}

const char *
vs_snp_gen_name(enum vs_snp_gen gen)
{
	switch (gen) {
	case VS_SNP_MILAN: return "Milan";
	case VS_SNP_GENOA: return "Genoa";
	case VS_SNP_TURIN: return "Turin";
	case VS_SNP_GEN_NONE: break;
	}
	return "unknown";
}

static struct vs_bytes
cut(struct vs_bytes report, size_t at, size_t n)
{
	return (struct vs_bytes){report.p + at, n};
}

static uint64_t
le(struct vs_bytes report, size_t at, size_t n)
{
	uint64_t v = 0;
	for (size_t i = 0; i < n; i++)
		v |= (uint64_t)report.p[at + i] << (8 * i);
	return v;
}

/* Reserved areas by version: 3 added the processor's bytes, 5 the mitigation vectors. */
static bool
reserved_ok(struct vs_bytes b, uint32_t version)
{
	static const struct {
		size_t at, n;
		uint32_t below; /* reserved in versions below this one */
	} areas[] = {
		{0x04C, 4, 99},
		{0x188, 3, 3},
		{0x18B, 21, 99},
		{0x1EB, 1, 99},
		{0x1EF, 1, 99},
		{0x1F8, 16, 5},
		{0x208, 152, 99},
		{0x330, 368, 99},
	};
	for (size_t i = 0; i < sizeof areas / sizeof *areas; i++) {
		if (version < areas[i].below && !all_are(cut(b, areas[i].at, areas[i].n), 0))
			return false;
	}
	return true;
}

static void
fill_report(struct vs_bytes b, struct vs_snp_report *r)
{
	r->guest_svn = (uint32_t)le(b, 0x004, 4);
	r->policy = le(b, 0x008, 8);
	r->vmpl = (uint32_t)le(b, 0x030, 4);
	r->platform_info = le(b, 0x040, 8);
	r->author_key = (r->key_info & 1) != 0;
	r->chip_masked = (r->key_info & 2) != 0;
	r->report_data = cut(b, 0x050, 64);
	r->measurement = cut(b, 0x090, 48);
	r->host_data = cut(b, 0x0C0, 32);
	r->id_key_digest = cut(b, 0x0E0, 48);
	r->author_key_digest = cut(b, 0x110, 48);
	r->report_id = cut(b, 0x140, 32);
	r->chip_id = cut(b, 0x1A0, 64);
	r->current_tcb = cut(b, 0x038, 8);
	r->reported_tcb = cut(b, 0x180, 8);
	r->committed_tcb = cut(b, 0x1E0, 8);
	r->launch_tcb = cut(b, 0x1F0, 8);
	r->signed_bytes = cut(b, 0, SIGNED_BYTES);
	r->sig_r = cut(b, SIGNED_BYTES, SIG_HALF);
	r->sig_s = cut(b, SIGNED_BYTES + SIG_HALF, SIG_HALF);
}

vs_rc
vs_snp_parse(struct vs_bytes report, struct vs_snp_report *ret, struct vs_err *err)
{
	if (report.n != VS_SNP_REPORT_BYTES)
		VS_FAIL(err, FORMAT, "an SNP report of %zu bytes; it has 1184", report.n);
	struct vs_snp_report r = {.version = (uint32_t)le(report, 0, 4)};
	if (r.version < VERSION_MIN || r.version > VERSION_MAX)
		VS_FAIL(err, FORMAT, "an SNP report of version %u; 2 to 5 are known", r.version);
	const uint32_t algo = (uint32_t)le(report, 0x034, 4);
	if (algo != ALGO_ECDSA_P384_SHA384)
		VS_FAIL(err, FORMAT, "an SNP report signed with algorithm %u; 1 is known", algo);
	r.key_info = (uint32_t)le(report, 0x048, 4);
	const uint32_t signer = r.key_info >> 2;
	if (signer != VS_SNP_VCEK && signer != VS_SNP_VLEK)
		VS_FAIL(err, FORMAT,
			"an SNP report with key information %x: neither VCEK nor VLEK signed it",
			r.key_info);
	r.signer = (enum vs_snp_signer)signer;
	if (!reserved_ok(report, r.version))
		VS_FAIL(err, FORMAT, "reserved bytes of an SNP report are not zero");
	if (r.version >= 3) {
		r.gen = gen_of(report.p[0x188], report.p[0x189]);
		if (r.gen == VS_SNP_GEN_NONE)
			VS_FAIL(err, FORMAT,
				"an SNP report of processor family %x, model %x; Milan, Genoa, "
				"Turin are known",
				report.p[0x188], report.p[0x189]);
	}
	fill_report(report, &r);
	*ret = r;
	return VS_OK;
}

struct vs_snp_tcb
vs_snp_tcb_of(enum vs_snp_gen gen, struct vs_bytes raw)
{
	const uint8_t *p = raw.p;
	if (gen == VS_SNP_TURIN)
		return (struct vs_snp_tcb){.fmc = p[0],
			.boot_loader = p[1],
			.tee = p[2],
			.snp = p[3],
			.microcode = p[7]};
	return (struct vs_snp_tcb){
		.boot_loader = p[0], .tee = p[1], .snp = p[6], .microcode = p[7]};
}

bool
vs_snp_tcb_le(const struct vs_snp_tcb *a, const struct vs_snp_tcb *b)
{
	return a->fmc <= b->fmc && a->boot_loader <= b->boot_loader && a->tee <= b->tee &&
		a->snp <= b->snp && a->microcode <= b->microcode;
}

/* ---- certificate ---------------------------------------------------------------------------- */

/* "Milan-B0", "Genoa", "Turin-...": an IA5String, in VLEKs without the stepping. */
enum vs_snp_gen
vs_snp_product(const struct vs_ev_cert *cert)
{
	static const enum vs_snp_gen gens[] = {VS_SNP_MILAN, VS_SNP_GENOA, VS_SNP_TURIN};
	const struct vs_bytes v = vs_ev_cert_ext(cert, OID_AMD "2");
	if (v.n < 3 || v.p[0] != 0x16 || v.p[1] != v.n - 2)
		return VS_SNP_GEN_NONE;
	for (size_t i = 0; i < sizeof gens / sizeof *gens; i++) {
		const char *name = vs_snp_gen_name(gens[i]);
		const size_t n = strlen(name);
		if (v.n - 2 >= n && memcmp(v.p + 2, name, n) == 0 &&
			(v.n - 2 == n || v.p[2 + n] == '-'))
			return gens[i];
	}
	return VS_SNP_GEN_NONE;
}

static bool
tcb_of_cert(const struct vs_ev_cert *cert, enum vs_snp_gen gen, struct vs_snp_tcb *ret)
{
	*ret = (struct vs_snp_tcb){.fmc = 0};
	return vs_ev_cert_ext_u8(cert, OID_AMD "3.1", &ret->boot_loader) &&
		vs_ev_cert_ext_u8(cert, OID_AMD "3.2", &ret->tee) &&
		vs_ev_cert_ext_u8(cert, OID_AMD "3.3", &ret->snp) &&
		vs_ev_cert_ext_u8(cert, OID_AMD "3.8", &ret->microcode) &&
		(gen != VS_SNP_TURIN || vs_ev_cert_ext_u8(cert, OID_AMD "3.9", &ret->fmc));
}

static bool
hwid_fits(const struct vs_snp_report *r, enum vs_snp_gen gen, struct vs_bytes hwid)
{
	const struct vs_bytes id = r->chip_id;
	if (hwid.n == id.n + 2 && hwid.p[0] == 4 && hwid.p[1] == id.n)
		hwid = (struct vs_bytes){hwid.p + 2, id.n}; /* wrapped as an OCTET STRING */
	if (gen == VS_SNP_TURIN && hwid.n == HWID_TURIN)
		return memcmp(hwid.p, id.p, HWID_TURIN) == 0 &&
			all_are((struct vs_bytes){id.p + HWID_TURIN, id.n - HWID_TURIN}, 0);
	/* An empty chip id is what a masked report shows; it must not match an empty extension. */
	return vs_bytes_eq(hwid, id) && !all_are(id, 0);
}

static void
print_tcb(const struct vs_snp_tcb *t, char out[64])
{
	snprintf(out, 64, "fmc %u, boot loader %u, tee %u, snp %u, microcode %u", t->fmc,
		t->boot_loader, t->tee, t->snp, t->microcode);
}

static void
check_chain(const struct vs_ev_cert *signer, const struct vs_snp_expect *x, struct vs_verdict *v)
{
	struct vs_ev_path path = {.n = 0};
	struct vs_err why = {0};
	vs_rc rc = vs_ev_cert_chain(signer, x->helpers, x->roots, x->at_unix, &path, &why);
	vs_check_rc(v, "T-A3", "SNP certificate chain", rc, "chain to a pinned AMD root", &why);
	if (!vs_failed(rc))
		vs_revocation_check(
			&path, 1, &x->revocation, x->at_unix, "SNP certificate revocation", v);
	bool pss = vs_ev_cert_signed_pss384(signer);
	for (size_t i = 0; i < x->helpers->n; i++)
		pss = pss && vs_ev_cert_signed_pss384(x->helpers->v[i]);
	vs_check_add(v, "T-A3", "SNP certificate algorithm", pss, "RSA-PSS, SHA-384, salt 48", "%s",
		pss ? "RSA-PSS, SHA-384, salt 48" : "another signature algorithm");
}

static enum vs_snp_gen
check_certificate(
	const struct vs_snp_report *r, const struct vs_ev_cert *signer, struct vs_verdict *v)
{
	char name[VS_EV_CERT_NAME_MAX], a[64], b[64];
	const bool vlek = r->signer == VS_SNP_VLEK;
	const char *cn = vlek ? "SEV-VLEK" : "SEV-VCEK";
	vs_check_add(v, "T-A3", "SNP certificate kind",
		strcmp(vs_ev_cert_subject(signer, name), cn) == 0, cn, "%s", name);
	const enum vs_snp_gen product = vs_snp_product(signer);
	const enum vs_snp_gen gen = r->gen != VS_SNP_GEN_NONE ? r->gen : product;
	vs_check_add(v, "T-A3", "SNP product", product != VS_SNP_GEN_NONE && product == gen,
		vs_snp_gen_name(gen), "%s", vs_snp_gen_name(product));
	const struct vs_bytes hwid = vs_ev_cert_ext(signer, OID_AMD "4");
	if (vlek)
		vs_check_add(v, "T-A3", "SNP chip",
			hwid.n == 0 && vs_ev_cert_ext(signer, OID_AMD "5").n != 0,
			"a VLEK names a provider, no chip", "%zu bytes of chip identifier", hwid.n);
	else
		vs_check_add(v, "T-A3", "SNP chip", hwid_fits(r, gen, hwid),
			vs_check_hex(r->chip_id, a), "%s", vs_check_hex(hwid, b));
	struct vs_snp_tcb cert = {0};
	const struct vs_snp_tcb reported = vs_snp_tcb_of(gen, r->reported_tcb);
	const bool there = tcb_of_cert(signer, gen, &cert);
	print_tcb(&reported, a);
	print_tcb(&cert, b);
	vs_check_add(v, "T-A3", "SNP TCB of the certificate",
		there && memcmp(&cert, &reported, sizeof cert) == 0, a, "%s", b);
	return gen;
}

/* ---- report --------------------------------------------------------------------------------- */

static vs_rc
verify_signature(const struct vs_snp_report *r, const struct vs_ev_cert *signer, struct vs_err *err)
{
	uint8_t sig[96];
	for (size_t i = 0; i < 48; i++) {
		sig[i] = r->sig_r.p[47 - i];
		sig[48 + i] = r->sig_s.p[47 - i];
	}
	/* Zero extended to 72 bytes; what stands there is part of the number. */
	if (!all_are((struct vs_bytes){r->sig_r.p + 48, 24}, 0) ||
		!all_are((struct vs_bytes){r->sig_s.p + 48, 24}, 0))
		VS_FAIL(err, REFUSED_EVIDENCE, "the signature's numbers are too large for P-384");
	return vs_ev_ecdsa_verify_key(VS_EV_P384, vs_ev_cert_key(signer), r->signed_bytes,
		(struct vs_bytes){sig, sizeof sig}, err);
}

static void
check_tcb(const struct vs_snp_report *r, enum vs_snp_gen gen, const struct vs_snp_expect *x,
	struct vs_verdict *v)
{
	char a[64], b[64];
	const struct vs_snp_tcb current = vs_snp_tcb_of(gen, r->current_tcb);
	const struct vs_snp_tcb committed = vs_snp_tcb_of(gen, r->committed_tcb);
	const struct vs_snp_tcb reported = vs_snp_tcb_of(gen, r->reported_tcb);
	print_tcb(&current, a);
	print_tcb(&reported, b);
	vs_check_add(v, "T-A6", "SNP TCB order",
		vs_snp_tcb_le(&committed, &current) && vs_snp_tcb_le(&reported, &current), a, "%s",
		b);
	if (!x->has_min_tcb)
		return;
	print_tcb(&x->min_tcb, a);
	vs_check_add(
		v, "T-A6", "SNP minimum TCB", vs_snp_tcb_le(&x->min_tcb, &reported), a, "%s", b);
}

static bool
in_list(struct vs_bytes value, const uint8_t (*list)[48], size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (memcmp(list[i], value.p, 48) == 0)
			return true;
	}
	return false;
}

static void
check_policy(const struct vs_snp_report *r, const struct vs_snp_expect *x, struct vs_verdict *v)
{
	char a[64], b[64];
	const bool debug = (r->policy & VS_SNP_POLICY_DEBUG) != 0;
	vs_check_add(v, "T-A6", "SNP debug", x->allow_debug || !debug, "debugging not allowed",
		"policy %llx", (unsigned long long)r->policy);
	vs_check_add(v, "T-A6", "SNP migration", (r->policy & VS_SNP_POLICY_MIGRATE) == 0,
		"no migration agent", "policy %llx", (unsigned long long)r->policy);
	vs_check_add(v, "T-A6", "SNP policy form", (r->policy & POLICY_MUST_BE_ONE) != 0,
		"bit 17 set", "policy %llx", (unsigned long long)r->policy);
	if (!x->allow_vlek) {
		vs_check_add(v, "T-A6", "SNP signing key", r->signer == VS_SNP_VCEK, "VCEK", "%s",
			r->signer == VS_SNP_VCEK ? "VCEK" : "VLEK");
		vs_check_add(v, "T-A6", "SNP privilege level", r->vmpl == 0, "VMPL 0", "VMPL %u",
			r->vmpl);
	}
	if (x->min_guest_svn != 0) {
		snprintf(a, sizeof a, "at least %u", x->min_guest_svn);
		vs_check_add(v, "T-A6", "SNP guest version", r->guest_svn >= x->min_guest_svn, a,
			"%u", r->guest_svn);
	}
	if (x->n_measurements != 0)
		vs_check_add(v, "T-A6", "SNP measurement",
			in_list(r->measurement, x->measurements, x->n_measurements),
			"one of the allowed measurements", "%s", vs_check_hex(r->measurement, a));
	if (x->n_id_keys != 0)
		vs_check_add(v, "T-A6", "SNP identity key",
			in_list(r->id_key_digest, x->id_keys, x->n_id_keys),
			"one of the allowed key digests", "%s", vs_check_hex(r->id_key_digest, a));
	if (x->host_data.n != 0)
		vs_check_add(v, "T-A6", "SNP host data", vs_bytes_eq(r->host_data, x->host_data),
			vs_check_hex(x->host_data, a), "%s", vs_check_hex(r->host_data, b));
}

vs_rc
vs_snp_verify(const struct vs_snp_report *report, const struct vs_ev_cert *signer,
	const struct vs_snp_expect *expect, struct vs_verdict *v, struct vs_err *err)
{
	VS_REQUIRE(err, expect->roots != NULL && expect->helpers != NULL);
	check_chain(signer, expect, v);
	const enum vs_snp_gen gen = check_certificate(report, signer, v);
	struct vs_err why = {0};
	const vs_rc rc = verify_signature(report, signer, &why);
	vs_check_rc(v, "T-A3", "SNP report signature", rc, "signed by the certificate's key", &why);
	check_tcb(report, gen, expect, v);
	check_policy(report, expect, v);
	return VS_OK;
}
