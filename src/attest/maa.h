/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Microsoft Azure Attestation: the AzureGuest request, the call, the encrypted answer. The token
 * that comes out is not believed here: attest/validate.h decides.
 */
#ifndef VS_ATTEST_MAA_H
#define VS_ATTEST_MAA_H

#include "base/secret.h"
#include "net/http.h"

enum { VS_MAA_TOKEN_MAX = 64 * 1024, VS_MAA_REQUEST_MAX = 8 << 20 };

struct vs_maa_os {
	char distro[64]; /* NAME of os-release */
	uint32_t major, minor; /* VERSION_ID */
};
/* From the text of an os-release file; what is missing gets "Linux" and 0. */
void vs_maa_os_parse(struct vs_bytes text, struct vs_maa_os *ret);
/* The same from /etc/os-release. */
void vs_maa_os_read(struct vs_maa_os *ret);

/* Body of POST /attest/AzureGuest. Error: EVIDENCE (a blob is missing), LIMIT, MEMORY. */
VS_RC vs_maa_request(const struct vs_evidence *ev, const struct vs_maa_os *os, struct vs_buf *ret,
	struct vs_err *err);

/*
 * Send it to one provider (https origin). ret_envelope gets the decoded envelope.
 * Errors: REFUSED_ATTESTATION (400: the service's sentence quoted), THROTTLED, UNAVAILABLE, ANSWER,
 * and those of struct vs_http.
 */
VS_RC vs_maa_attest(const struct vs_net *net, const char *origin, struct vs_bytes body,
	int64_t deadline_boot_ns, struct vs_buf *ret_envelope, char ret_request_id[80],
	struct vs_err *err);

/*
 * Decrypt the envelope with the transport key inside the TPM. ret_token: compact JWS.
 * Errors: REFUSED_BINDING (PCRs changed), ANSWER (one sentence for everything else), TPM, MEMORY.
 */
struct vs_ossl;
VS_RC vs_maa_open(struct vs_ossl *ossl, struct vs_bytes envelope, const struct vs_evidence_src *ev,
	struct vs_arena *arena, struct vs_buf *ret_token, struct vs_err *err);

/* AMD's certificates for this machine from the metadata service: VCEK, then its chain, PEM. */
VS_RC
vs_maa_amd_chain(const struct vs_net *net, const char *imds, const struct vs_http_retry *retry,
	int64_t deadline_boot_ns, struct vs_buf *ret_pem, struct vs_err *err);
/* The TD quote for a TDREPORT. */
VS_RC vs_maa_td_quote(const struct vs_net *net, const char *imds, struct vs_bytes td_report,
	int64_t deadline_boot_ns, struct vs_buf *ret_quote, struct vs_err *err);

#endif
