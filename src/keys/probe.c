/* SPDX-License-Identifier: BSD-2-Clause */
/* What this identity may do in the vault, and what the vault keeps with a key: for doctor. */
#include <stdio.h>
#include <string.h>

#include "base/codec.h"
#include "keys/akv_impl.h"

enum { POLICY_MAX = 65536, SEGMENT_MAX = 256 };

vs_rc
vs_akv_may_list(struct vs_akv *akv, int64_t deadline_boot_ns, struct vs_err *err)
{
	static const char *const segments[] = {"keys", NULL};
	VS_CLEANUP(vs_buf_done) struct vs_buf url = {.max = VS_URL_MAX};
	VS_CLEANUP(vs_json_freep) struct vs_json *page = NULL;

	VS_TRY(vs_akv_url(akv, &url, segments, err));
	VS_TRY(vs_url_add_query(&url, "api-version", vs_bytes_str(VS_AKV_API_VERSION), err));
	VS_TRY(vs_buf_add_str(&url, "&maxresults=1", err));
	return vs_akv_get_json(
		akv, vs_buf_cstr(&url), "the list of keys", deadline_boot_ns, &page, err);
}

vs_rc
vs_akv_may_release(struct vs_akv *akv, const struct vs_cat_entry *entry, int64_t deadline_boot_ns,
	struct vs_err *err)
{
	static const char no_attestation[] = "e30.e30.AA";
	VS_CLEANUP(vs_buf_done) struct vs_buf jws = {0};
	char request_id[80];
	struct vs_err why = {0};
	const vs_rc rc = vs_akv_release(
		akv, entry, vs_bytes_str(no_attestation), deadline_boot_ns, &jws, request_id, &why);

	/* It judged the statement, so it had let us in. */
	if (rc.code == VS_E_REFUSED_RELEASE)
		return VS_OK;
	if (rc.code == VS_E_ANSWER && why.frames[0].foreign == 400)
		return VS_OK;
	if (!vs_failed(rc))
		VS_FAIL(err, REFUSED_ACCESS,
			"the vault released a key for something that is no attestation");
	if (err)
		*err = why;
	return rc;
}

vs_rc
vs_akv_stored_policy(struct vs_akv *akv, const struct vs_cat_entry *entry, int64_t deadline_boot_ns,
	struct vs_buf *ret_policy, bool *ret_immutable, struct vs_err *err)
{
	char name[SEGMENT_MAX], version[SEGMENT_MAX];
	const char *const segments[] = {"keys", name, version, NULL};
	VS_CLEANUP(vs_buf_done) struct vs_buf url = {.max = VS_URL_MAX};
	VS_CLEANUP(vs_json_freep) struct vs_json *root = NULL;
	struct vs_bytes text = {0};
	bool immutable = false;

	VS_REQUIRE(err, entry->name.n < sizeof name && entry->version.n < sizeof version);
	(void)snprintf(name, sizeof name, "%.*s", (int)entry->name.n, (const char *)entry->name.p);
	(void)snprintf(version, sizeof version, "%.*s", (int)entry->version.n,
		(const char *)entry->version.p);
	VS_TRY(vs_akv_url(akv, &url, segments, err));
	VS_TRY(vs_url_add_query(&url, "api-version", vs_bytes_str(VS_AKV_API_VERSION), err));
	VS_TRY(vs_akv_get_json(akv, vs_buf_cstr(&url), name, deadline_boot_ns, &root, err));
	if (!vs_json_bytes(vs_json_path(root, "release_policy.data"), &text))
		VS_FAIL(err, ANSWER, "the vault has no release policy for key %s", name);
	(void)vs_json_bool(vs_json_path(root, "release_policy.immutable"), &immutable);
	VS_TRY(vs_b64_any_decode(text, ret_policy, err));
	if (ret_policy->n > POLICY_MAX)
		VS_FAIL(err, ANSWER, "the release policy of key %s is too long", name);
	*ret_immutable = immutable;
	return VS_OK;
}
