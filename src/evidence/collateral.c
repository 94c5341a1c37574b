/* SPDX-License-Identifier: BSD-2-Clause */
#include "evidence/collateral.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { PART_MAX = VS_EV_CRL_MAX, DIR_CHARS = 512 };

static const char *const files[VS_COLL_COUNT_] = {
	[VS_COLL_CRL_AMD_MILAN] = "amd-milan.crl",
	[VS_COLL_CRL_AMD_GENOA] = "amd-genoa.crl",
	[VS_COLL_CRL_AMD_TURIN] = "amd-turin.crl",
	[VS_COLL_CRL_AMD_MILAN_VLEK] = "amd-milan-vlek.crl",
	[VS_COLL_CRL_AMD_GENOA_VLEK] = "amd-genoa-vlek.crl",
	[VS_COLL_CRL_AMD_TURIN_VLEK] = "amd-turin-vlek.crl",
	[VS_COLL_CRL_INTEL_ROOT] = "intel-root.crl",
	[VS_COLL_CRL_INTEL_PLATFORM] = "intel-pck-platform.crl",
	[VS_COLL_CRL_INTEL_PROCESSOR] = "intel-pck-processor.crl",
	[VS_COLL_TDX_TCB_INFO] = "tdx-tcb-info.json",
	[VS_COLL_TDX_QE_IDENTITY] = "tdx-qe-identity.json",
	[VS_COLL_INTEL_TCB_CHAIN] = "intel-tcb-chain.pem",
	[VS_COLL_VTPM_CA] = "azure-vtpm-ca.pem",
};

const char *
vs_collateral_file(enum vs_collateral_part part)
{
	return files[part];
}

static vs_rc
add(struct vs_collateral *c, enum vs_collateral_part part, struct vs_bytes content,
	struct vs_err *err)
{
	struct vs_buf *to = NULL;
	switch (part) {
	case VS_COLL_CRL_AMD_MILAN:
	case VS_COLL_CRL_AMD_GENOA:
	case VS_COLL_CRL_AMD_TURIN:
	case VS_COLL_CRL_AMD_MILAN_VLEK:
	case VS_COLL_CRL_AMD_GENOA_VLEK:
	case VS_COLL_CRL_AMD_TURIN_VLEK:
	case VS_COLL_CRL_INTEL_ROOT:
	case VS_COLL_CRL_INTEL_PLATFORM:
	case VS_COLL_CRL_INTEL_PROCESSOR: return vs_ev_crls_add(&c->crls, content, err);
	case VS_COLL_VTPM_CA: return vs_ev_certs_pem(content, &c->vtpm_helpers, err);
	case VS_COLL_TDX_TCB_INFO: to = &c->tcb_info; break;
	case VS_COLL_TDX_QE_IDENTITY: to = &c->qe_identity; break;
	case VS_COLL_INTEL_TCB_CHAIN: to = &c->tcb_chain; break;
	case VS_COLL_COUNT_: break;
	}
	VS_REQUIRE(err, to != NULL);
	return vs_buf_set(to, content.p, content.n, err);
}

vs_rc
vs_collateral_add(struct vs_collateral *c, enum vs_collateral_part part, struct vs_bytes content,
	struct vs_err *err)
{
	VS_REQUIRE(err, part < VS_COLL_COUNT_);
	const vs_rc rc = add(c, part, content, err);
	if (vs_failed(rc))
		return vs_err_while(rc, err, "reading %s", files[part]);
	c->has |= 1U << part;
	return VS_OK;
}

static vs_rc
load_part(const char *dir, enum vs_file_check check, enum vs_collateral_part part,
	struct vs_collateral *c, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf content = {.max = PART_MAX};
	char path[DIR_CHARS];
	struct stat st;
	const int n = snprintf(path, sizeof path, "%s/%s", dir, files[part]);
	if (n < 0 || n >= (int)sizeof path)
		VS_FAIL(err, CONFIG_FILE, "the path of the collateral is too long");
	if (lstat(path, &st) != 0 && errno == ENOENT)
		return VS_OK;
	VS_TRY(vs_file_read(path, PART_MAX, check, &content, err));
	return vs_collateral_add(c, part, vs_buf_view(&content), err);
}

vs_rc
vs_collateral_load(
	const char *dir, enum vs_file_check check, struct vs_collateral *ret, struct vs_err *err)
{
	VS_CLEANUP(vs_collateral_done) struct vs_collateral c = {.crls = {.n = 0}};
	struct stat st;
	if (stat(dir, &st) != 0 || !S_ISDIR(st.st_mode))
		VS_FAIL(err, CONFIG_FILE, "%s is no directory of collateral", dir);
	for (int i = 0; i < VS_COLL_COUNT_; i++)
		VS_TRY(load_part(dir, check, (enum vs_collateral_part)i, &c, err));
	*ret = c;
	c = (struct vs_collateral){.crls = {.n = 0}};
	return VS_OK;
}

void
vs_collateral_done(struct vs_collateral *c)
{
	vs_ev_crls_done(&c->crls);
	vs_ev_certs_done(&c->vtpm_helpers);
	vs_buf_done(&c->tcb_info);
	vs_buf_done(&c->qe_identity);
	vs_buf_done(&c->tcb_chain);
	c->has = 0;
}

vs_rc
vs_collateral_intel(const struct vs_collateral *c, uint8_t sig[2][64],
	struct vs_dcap_collateral *ret, bool *ret_has, struct vs_err *err)
{
	*ret_has = c->tcb_info.n != 0 && c->qe_identity.n != 0 && c->tcb_chain.n != 0;
	if (!*ret_has)
		return VS_OK;
	struct vs_dcap_collateral d = {.chain_pem = vs_buf_view(&c->tcb_chain),
		.tcb_info_sig = vs_bytes_of(sig[0], 64),
		.qe_identity_sig = vs_bytes_of(sig[1], 64)};
	VS_TRY(vs_dcap_split_collateral(
		vs_buf_view(&c->tcb_info), "tcbInfo", &d.tcb_info, sig[0], err));
	VS_TRY(vs_dcap_split_collateral(
		vs_buf_view(&c->qe_identity), "enclaveIdentity", &d.qe_identity, sig[1], err));
	*ret = d;
	return VS_OK;
}
