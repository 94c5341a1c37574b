/* SPDX-License-Identifier: BSD-2-Clause */
#include "vouchsafe/provider.h"

#include "base/secret.h"

void
vs_evidence_done(struct vs_evidence *ev)
{
	if (ev == NULL)
		return;
	struct vs_buf *const bufs[] = {
		&ev->ak_cert,
		&ev->ak_public_2b,
		&ev->quote,
		&ev->quote_sig,
		&ev->enc_public_2b,
		&ev->enc_certify,
		&ev->enc_certify_sig,
		&ev->enc_n,
		&ev->event_log,
		&ev->ima_list,
		&ev->ima_quote,
		&ev->ima_quote_sig,
		&ev->hcl,
		&ev->hw_report,
		&ev->runtime_json,
		&ev->vcek_chain_pem,
		&ev->td_quote,
	};
	for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++)
		vs_buf_done(bufs[i]);
	*ev = (struct vs_evidence){.kind = VS_EVIDENCE_NONE};
}
