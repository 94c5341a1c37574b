/* SPDX-License-Identifier: BSD-2-Clause */
#include "lab/lab_skr.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "lab/lab_jwt.h"

/* ---- grammar -------------------------------------------------------------------------------- */

static VS_RC
normalise_list(const json_t *list, bool mhsm, unsigned depth, json_t **ret, struct vs_err *err);

/* {"anyOf":[...]} or {"allOf":[...]}, which of the two; neither or both is an error. */
static VS_RC
find_list(const json_t *object, const char **name, const json_t **list, struct vs_err *err)
{
	const json_t *any = json_object_get(object, "anyOf"),
		     *all = json_object_get(object, "allOf");
	if ((any == NULL) == (all == NULL))
		VS_FAIL(err, POLICY_FILE, "not exactly one of anyOf and allOf");
	*name = any != NULL ? "anyOf" : "allOf";
	*list = any != NULL ? any : all;
	return VS_OK;
}

static bool
claim_name_ok(const char *name)
{
	const size_t n = name != NULL ? strlen(name) : 0;
	return n > 0 && name[0] != '.' && name[n - 1] != '.' && strstr(name, "..") == NULL;
}

/* {"claim":NAME,"equals":VALUE}; Managed HSM also took {"claim","condition":"equals","value"}. */
static VS_RC
normalise_claim(const json_t *object, bool mhsm, json_t **ret, struct vs_err *err)
{
	const char *name = lab_json_text(object, "claim");
	const json_t *value = json_object_get(object, "equals");
	size_t members = 2;
	const char *old = lab_json_text(object, "condition");
	if (mhsm && value == NULL && old != NULL && strcmp(old, "equals") == 0) {
		value = json_object_get(object, "value");
		members = 3;
	}
	if (!claim_name_ok(name))
		VS_FAIL(err, POLICY_FILE, "a condition without a usable claim name");
	if (value == NULL || json_object_size(object) != members)
		VS_FAIL(err, POLICY_FILE, "equals is the only operator that is implemented");
	if (!json_is_string(value) && !json_is_number(value) && !json_is_boolean(value))
		VS_FAIL(err, POLICY_FILE, "a value that is no string, number or boolean");
	*ret = json_pack("{s:s,s:o}", "claim", name, "equals", json_deep_copy(value));
	if (*ret == NULL)
		VS_FAIL(err, MEMORY, "out of memory");
	return VS_OK;
}

static VS_RC
normalise_condition(
	const json_t *object, bool mhsm, unsigned depth, json_t **ret, struct vs_err *err)
{
	const char *name = NULL;
	const json_t *list = NULL;
	json_t *inner = NULL;
	if (depth > LAB_SKR_DEPTH_MAX)
		VS_FAIL(err, POLICY_FILE, "conditions are nested too deeply");
	if (!json_is_object(object))
		VS_FAIL(err, POLICY_FILE, "a condition is not an object");
	if (json_object_get(object, "claim") != NULL)
		return normalise_claim(object, mhsm, ret, err);
	VS_TRY(find_list(object, &name, &list, err));
	if (json_object_size(object) != 1)
		VS_FAIL(err, POLICY_FILE, "unknown members beside %s", name);
	VS_TRY(normalise_list(list, mhsm, depth + 1, &inner, err));
	*ret = json_pack("{s:o}", name, inner);
	return VS_OK;
}

static VS_RC
normalise_list(const json_t *list, bool mhsm, unsigned depth, json_t **ret, struct vs_err *err)
{
	json_t *out = json_array();
	vs_rc rc = VS_OK;
	if (out == NULL || !json_is_array(list) || json_array_size(list) == 0) {
		json_decref(out);
		VS_FAIL(err, POLICY_FILE, "anyOf and allOf need a list that is not empty");
	}
	for (size_t i = 0; i < json_array_size(list) && !vs_failed(rc); i++) {
		json_t *one = NULL;
		rc = normalise_condition(json_array_get(list, i), mhsm, depth, &one, err);
		if (!vs_failed(rc) && json_array_append_new(out, one) != 0)
			rc = vs_err_put(err, VS_E_MEMORY, __func__, __LINE__, 0, "out of memory");
	}
	if (vs_failed(rc))
		json_decref(out);
	else
		*ret = out;
	return rc;
}

/* Member order: the vault puts the authority first, Managed HSM sorts. */
static VS_RC
normalise_authority(const json_t *object, bool mhsm, json_t **ret, struct vs_err *err)
{
	const char *authority = lab_json_text(object, "authority"), *name = NULL;
	const json_t *list = NULL;
	json_t *inner = NULL;
	if (!json_is_object(object) || authority == NULL)
		VS_FAIL(err, POLICY_FILE, "an entry of anyOf without authority");
	VS_TRY(find_list(object, &name, &list, err));
	if (json_object_size(object) != 2)
		VS_FAIL(err, POLICY_FILE, "unknown members beside authority and %s", name);
	VS_TRY(normalise_list(list, mhsm, 1, &inner, err));
	*ret = mhsm ? json_pack("{s:o,s:s}", name, inner, "authority", authority)
		    : json_pack("{s:s,s:o}", "authority", authority, name, inner);
	if (*ret == NULL)
		VS_FAIL(err, MEMORY, "out of memory");
	return VS_OK;
}

static VS_RC
normalise_document(const json_t *doc, bool mhsm, json_t **ret, struct vs_err *err)
{
	const json_t *version = json_object_get(doc, "version"),
		     *any = json_object_get(doc, "anyOf");
	const char *text = json_string_value(version);
	if (!json_is_object(doc) || json_object_size(doc) != (version != NULL ? 2u : 1u))
		VS_FAIL(err, POLICY_FILE, "the policy is not an object of version and anyOf");
	if (version != NULL &&
		(text == NULL || (strcmp(text, "1.0.0") != 0 && strcmp(text, "1.0") != 0)))
		VS_FAIL(err, POLICY_FILE, "the policy's version is not 1.0.0");
	if (!json_is_array(any) || json_array_size(any) == 0)
		VS_FAIL(err, POLICY_FILE, "anyOf needs a list of authorities that is not empty");
	json_t *list = json_array();
	vs_rc rc = VS_OK;
	for (size_t i = 0; i < json_array_size(any) && !vs_failed(rc); i++) {
		json_t *one = NULL;
		rc = normalise_authority(json_array_get(any, i), mhsm, &one, err);
		if (!vs_failed(rc) && json_array_append_new(list, one) != 0)
			rc = vs_err_put(err, VS_E_MEMORY, __func__, __LINE__, 0, "out of memory");
	}
	if (vs_failed(rc)) {
		json_decref(list);
		return rc;
	}
	*ret = mhsm ? json_pack("{s:o,s:s}", "anyOf", list, "version", "1.0.0")
		    : json_pack("{s:s,s:o}", "version", "1.0.0", "anyOf", list);
	if (*ret == NULL)
		VS_FAIL(err, MEMORY, "out of memory");
	return VS_OK;
}

VS_RC
lab_skr_parse(struct vs_bytes text, bool mhsm, json_t **ret, struct vs_err *err)
{
	if (text.n == 0 || text.n > LAB_SKR_MAX)
		VS_FAIL(err, POLICY_FILE, "the policy is empty or longer than 64 KiB");
	json_t *doc = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, NULL);
	if (doc == NULL)
		VS_FAIL(err, POLICY_FILE, "the policy is not JSON");
	const vs_rc rc = normalise_document(doc, mhsm, ret, err);
	json_decref(doc);
	return rc;
}

/* ---- evaluation ----------------------------------------------------------------------------- */

/* Dots enter objects; arrays cannot be entered. */
static const json_t *
find_claim(const json_t *claims, const char *path)
{
	const json_t *at = claims;
	while (at != NULL) {
		char part[256] = "";
		const size_t n = strcspn(path, ".");
		if (!json_is_object(at) || n >= sizeof(part))
			return NULL;
		memcpy(part, path, n);
		at = json_object_get(at, part);
		if (path[n] == '\0')
			return at;
		path += n + 1;
	}
	return NULL;
}

/* A policy's string also equals a boolean or integer of that text; all samples rely on it. */
static bool
value_equals(const json_t *want, const json_t *have)
{
	char text[32] = "";
	if (have == NULL || json_is_null(have) || json_is_object(have) || json_is_array(have))
		return false;
	if (!json_is_string(want) || json_is_string(have))
		return json_equal(want, have) == 1;
	if (json_is_boolean(have))
		(void)snprintf(text, sizeof(text), "%s", json_is_true(have) ? "true" : "false");
	else if (json_is_integer(have))
		(void)snprintf(text, sizeof(text), "%lld", (long long)json_integer_value(have));
	else
		return false;
	return strcmp(text, json_string_value(want)) == 0;
}

static bool
condition_met(const json_t *condition, const json_t *claims)
{
	const char *name = lab_json_text(condition, "claim");
	if (name != NULL)
		return value_equals(json_object_get(condition, "equals"), find_claim(claims, name));
	const json_t *all = json_object_get(condition, "allOf");
	const json_t *list = all != NULL ? all : json_object_get(condition, "anyOf");
	size_t met = 0;
	for (size_t i = 0; i < json_array_size(list); i++)
		met += condition_met(json_array_get(list, i), claims);
	return all != NULL ? met > 0 && met == json_array_size(list) : met > 0;
}

/* A trailing slash of the authority does not count: the published policies have one, iss has not.
 */
static bool
is_authority(const json_t *entry, const json_t *claims)
{
	const char *authority = lab_json_text(entry, "authority"),
		   *iss = lab_json_text(claims, "iss");
	size_t n = authority != NULL ? strlen(authority) : 0;
	if (n == 0 || iss == NULL)
		return false;
	n -= authority[n - 1] == '/';
	return strlen(iss) == n && strncmp(authority, iss, n) == 0;
}

bool
lab_skr_knows(const json_t *policy, const json_t *claims)
{
	const json_t *any = json_object_get(policy, "anyOf");
	for (size_t i = 0; i < json_array_size(any); i++)
		if (is_authority(json_array_get(any, i), claims))
			return true;
	return false;
}

bool
lab_skr_met(const json_t *policy, const json_t *claims)
{
	const json_t *any = json_object_get(policy, "anyOf");
	for (size_t i = 0; i < json_array_size(any); i++) {
		const json_t *entry = json_array_get(any, i);
		if (is_authority(entry, claims) && condition_met(entry, claims))
			return true;
	}
	return false;
}
