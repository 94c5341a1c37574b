/* SPDX-License-Identifier: BSD-2-Clause */
/* The instance metadata service: identity tokens, hardware certificates, instance facts. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "lab/lab_entra.h"
#include "lab/lab_machine.h"

enum { TOKEN_LIFE_S = 86399 };

static void
refuse(struct lab_resp *resp, int status, const char *error, const char *text)
{
	lab_resp_json(
		resp, status, json_pack("{s:s,s:s}", "error", error, "error_description", text));
}

void
lab_imds_resource_id(const struct lab *lab, char out[256])
{
	(void)snprintf(out, 256,
		"/subscriptions/%s/resourcegroups/lab/providers/Microsoft.ManagedIdentity/"
		"userAssignedIdentities/lab",
		lab->subscription_id);
}

/* client_id, object_id or msi_res_id must name the one identity there is; none names it, too. */
static bool
selector_ok(const struct lab *lab, const struct lab_req *req)
{
	const char *client = lab_req_query(req, "client_id");
	const char *object = lab_req_query(req, "object_id");
	const char *resource = lab_req_query(req, "msi_res_id");
	char want[256];
	lab_imds_resource_id(lab, want);
	if ((client != NULL) + (object != NULL) + (resource != NULL) > 1)
		return false;
	if (client != NULL)
		return strcasecmp(client, lab->entra->client_id[LAB_ID_MACHINE]) == 0;
	if (object != NULL)
		return strcasecmp(object, lab->entra->object_id[LAB_ID_MACHINE]) == 0;
	return resource == NULL || strcasecmp(resource, want) == 0;
}

static void
handle_token(struct lab *lab, const struct lab_req *req, struct lab_resp *resp)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf token = {0};
	const char *resource = lab_req_query(req, "resource");
	char until[24], from[24];
	const int64_t now = lab_now(lab);
	const char *version = lab_req_query(req, "api-version");
	const bool arc = version != NULL &&
		(strcmp(version, "2020-06-01") == 0 || strcmp(version, "2019-11-01") == 0);
	if (arc && !lab_arc_admit(lab, req, resp))
		return;
	if (lab_req_query(req, "api-version") == NULL)
		refuse(resp, 400, "invalid_request",
			"Required query variable 'api-version' is missing");
	else if (resource == NULL || *resource == '\0')
		refuse(resp, 400, "invalid_request",
			"Required query variable 'resource' is missing");
	else if (!selector_ok(lab, req))
		refuse(resp, 400, "invalid_request", "Identity not found");
	else if (!lab_entra_knows(resource))
		refuse(resp, 400, "invalid_resource",
			"AADSTS500011: The resource principal was not found in the tenant named "
			"Vouchsafe LAB.");
	else if (vs_failed(lab_entra_token(
			 lab, LAB_ID_MACHINE, resource, TOKEN_LIFE_S, &token, NULL)))
		refuse(resp, 500, "unknown", "Failed to retrieve token from the Active directory.");
	else {
		(void)snprintf(until, sizeof(until), "%lld", (long long)(now + TOKEN_LIFE_S));
		(void)snprintf(from, sizeof(from), "%lld", (long long)now);
		json_t *answer = json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s}", "access_token",
			vs_buf_cstr(&token), "client_id", lab->entra->client_id[LAB_ID_MACHINE],
			"expires_in", "86399", "expires_on", until, "ext_expires_in", "86399",
			"not_before", from, "resource", resource, "token_type", "Bearer");
		/* A recent agent says which identity it was asked for. */
		for (size_t i = 0; arc && i < 2; i++) {
			const char *name = i == 0 ? "object_id" : "msi_res_id";
			if (lab_req_query(req, name) != NULL)
				(void)json_object_set_new(
					answer, name, json_string(lab_req_query(req, name)));
		}
		lab_resp_json(resp, 200, answer);
	}
}

static json_t *
compute(const struct lab *lab)
{
	return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:{s:s},s:{s:s,s:s},s:s,s:s,s:s,s:s}",
		"azEnvironment", "AzurePublicCloud", "location", "labregion", "name", "lab-machine",
		"offer", "vouchsafe-lab", "osType", "Linux", "publisher", "Vouchsafe LAB",
		"resourceGroupName", "lab", "securityProfile", "encryptionAtHost", "false",
		"extendedLocation", "name", "", "type", "", "sku", "lab", "subscriptionId",
		lab->subscription_id, "vmId", lab->vm_id, "vmSize", "Standard_DC2as_v5");
}

/* /metadata/instance and what lies below it, as JSON or (format=text) one value. */
static void
handle_instance(struct lab *lab, const struct lab_req *req, struct lab_resp *resp)
{
	json_t *root = json_pack("{s:o,s:{s:[]}}", "compute", compute(lab), "network", "interface");
	json_t *at = root;
	const char *format = lab_req_query(req, "format");
	for (size_t i = 2; i < req->n_segments && at != NULL; i++)
		if (req->segments[i][0] != '\0')
			at = json_object_get(at, req->segments[i]);
	if (lab_req_query(req, "api-version") == NULL)
		lab_resp_json(resp, 400,
			json_pack("{s:s}", "error",
				"Bad request. api-version is invalid or was not specified in the "
				"request."));
	else if (at == NULL)
		lab_resp_json(resp, 404, json_pack("{s:s}", "error", "Not found"));
	else if (format != NULL && strcmp(format, "text") == 0 && json_is_string(at))
		lab_resp_text(resp, 200, "text/plain; charset=utf-8", json_string_value(at));
	else if (json_is_string(at))
		lab_resp_json(resp, 400,
			json_pack(
				"{s:s}", "error", "Bad request. format=text is needed for a leaf"));
	else
		lab_resp_json(resp, 200, json_incref(at));
	json_decref(root);
}

static void
handle_thim(struct lab *lab, struct lab_resp *resp)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf json = {0};
	struct vs_err err = {0};
	if (vs_failed(lab_machine_thim(lab->machine, &json, &err)))
		refuse(resp, 500, "unknown", "The hardware's certificates are not at hand.");
	else
		lab_resp_text(resp, 200, "application/json; charset=utf-8", vs_buf_cstr(&json));
}

/* Clients append a slash to some paths. */
static bool
path_is(const struct lab_req *req, const char *path)
{
	const size_t n = strlen(path);
	return strncmp(req->path, path, n) == 0 &&
		(req->path[n] == '\0' || strcmp(req->path + n, "/") == 0);
}

void
lab_imds_handle(struct lab *lab, const struct lab_req *req, struct lab_resp *resp)
{
	const char *metadata = lab_req_header(req, "metadata");
	lab_resp_header(resp, "Server", "IMDS/150.870.65.1854 (Vouchsafe LAB)");
	if (lab_req_header(req, "x-forwarded-for") != NULL)
		refuse(resp, 400, "invalid_request", "X-Forwarded-For header is not allowed");
	else if (metadata == NULL || strcasecmp(metadata, "true") != 0)
		refuse(resp, 400, "invalid_request", "Required metadata header not specified");
	else if (path_is(req, "/acc/tdquote"))
		refuse(resp, 404, "not_found", "This machine has no TDX");
	else if (strcmp(req->method, "GET") != 0)
		refuse(resp, 405, "method_not_allowed", "Only GET is possible");
	else if (path_is(req, "/metadata/identity/oauth2/token"))
		handle_token(lab, req, resp);
	else if (path_is(req, "/metadata/THIM/amd/certification"))
		handle_thim(lab, resp);
	else if (path_is(req, "/metadata/attested/document"))
		lab_imds_attested(lab, req, resp);
	else if (strncmp(req->path, "/metadata/instance", 18) == 0)
		handle_instance(lab, req, resp);
	else
		refuse(resp, 404, "not_found", "Endpoint not found");
}
