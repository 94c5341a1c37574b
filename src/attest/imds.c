/* SPDX-License-Identifier: BSD-2-Clause */
/* What the metadata service adds to a machine's evidence. */
#include "attest/maa.h"
#include "base/codec.h"
#include "jose/json.h"
#include "net/url.h"

enum { QUOTE_MAX = 64 * 1024 };

static const char imds_name[] = "the metadata service (IMDS)";

static VS_RC
ask_imds(const struct vs_net *net, const char *imds, const char *path, const struct vs_bytes *body,
	const struct vs_http_retry *retry, int64_t deadline_boot_ns, struct vs_json **ret,
	struct vs_err *err)
{
	static const char *const headers[] = {"Metadata: true", NULL};
	VS_CLEANUP(vs_buf_done) struct vs_buf url = {.max = VS_URL_MAX};
	VS_CLEANUP(vs_http_res_done) struct vs_http_res res = {.retry_after_s = -1};

	VS_TRY(vs_buf_addf(&url, err, "%s%s", imds, path));
	const struct vs_http_req req = {
		.method = body != NULL ? VS_HTTP_POST : VS_HTTP_GET,
		.url = vs_buf_cstr(&url),
		.headers = headers,
		.body = body != NULL ? *body : (struct vs_bytes){0},
		.allow_plain = true,
		.no_proxy = true,
		.deadline_boot_ns = deadline_boot_ns,
	};
	VS_TRY(vs_net_call(net, &req, retry, imds_name, &res, err));
	VS_TRY(vs_http_require_json(&res, imds_name, err));
	if (vs_failed(vs_json_load_object(
		    vs_buf_view(&res.body), VS_HTTP_BODY_MAX, "answer", ret, NULL)))
		VS_FAIL(err, ANSWER, "%s answered with JSON that cannot be read", imds_name);
	return VS_OK;
}

vs_rc
vs_maa_amd_chain(const struct vs_net *net, const char *imds, const struct vs_http_retry *retry,
	int64_t deadline_boot_ns, struct vs_buf *ret_pem, struct vs_err *err)
{
	VS_CLEANUP(vs_json_freep) struct vs_json *root = NULL;
	VS_CLEANUP(vs_buf_done) struct vs_buf pem = {0};
	struct vs_bytes vcek = {0};
	struct vs_bytes chain = {0};

	VS_TRY(ask_imds(net, imds, "/metadata/THIM/amd/certification", NULL, retry,
		deadline_boot_ns, &root, err));
	if (!vs_json_bytes(vs_json_get(root, "vcekCert"), &vcek) ||
		!vs_json_bytes(vs_json_get(root, "certificateChain"), &chain) || vcek.n == 0 ||
		chain.n == 0)
		VS_FAIL(err, ANSWER, "%s does not know the AMD certificates of this machine",
			imds_name);
	VS_TRY(vs_buf_add(&pem, vcek.p, vcek.n, err));
	VS_TRY(vs_buf_add(&pem, chain.p, chain.n, err));
	vs_buf_move(ret_pem, &pem);
	return VS_OK;
}

vs_rc
vs_maa_td_quote(const struct vs_net *net, const char *imds, struct vs_bytes td_report,
	int64_t deadline_boot_ns, struct vs_buf *ret_quote, struct vs_err *err)
{
	VS_CLEANUP(vs_json_freep) struct vs_json *root = NULL;
	VS_CLEANUP(vs_buf_done) struct vs_buf body = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf quote = {.max = QUOTE_MAX};
	struct vs_bytes text = {0};

	VS_TRY(vs_buf_add_str(&body, "{\"report\":\"", err));
	VS_TRY(vs_b64url_encode(td_report, &body, err));
	VS_TRY(vs_buf_add_str(&body, "\"}", err));
	const struct vs_bytes view = vs_buf_view(&body);
	VS_TRY(ask_imds(net, imds, "/acc/tdquote", &view, &vs_http_retry_imds, deadline_boot_ns,
		&root, err));
	if (!vs_json_bytes(vs_json_get(root, "quote"), &text) ||
		vs_failed(vs_b64_any_decode(text, &quote, NULL)) || quote.n == 0)
		VS_FAIL(err, ANSWER, "%s made no TD quote for this machine", imds_name);
	vs_buf_move(ret_quote, &quote);
	return VS_OK;
}
