/* SPDX-License-Identifier: BSD-2-Clause */
#include "lab/lab_http.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static void
give_500(struct lab_resp *resp)
{
	vs_buf_reset(&resp->body);
	resp->content_type[0] = '\0';
	resp->status = 500;
}

void
lab_resp_done(struct lab_resp *resp)
{
	vs_buf_done(&resp->head);
	vs_buf_done(&resp->body);
}

void
lab_resp_header(struct lab_resp *resp, const char *name, const char *value)
{
	if (vs_failed(vs_buf_addf(&resp->head, NULL, "%s: %s\r\n", name, value)))
		give_500(resp);
}

void
lab_resp_text(struct lab_resp *resp, int status, const char *content_type, const char *text)
{
	resp->status = status;
	(void)snprintf(resp->content_type, sizeof(resp->content_type), "%s", content_type);
	vs_buf_reset(&resp->body);
	if (vs_failed(vs_buf_add_str(&resp->body, text, NULL)))
		give_500(resp);
}

static void
give_json(struct lab_resp *resp, int status, json_t *json, size_t flags)
{
	char *text = json != NULL ? json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY | flags) : NULL;
	json_decref(json);
	if (text == NULL)
		give_500(resp);
	else
		lab_resp_text(resp, status, "application/json; charset=utf-8", text);
	free(text);
}

void
lab_resp_json(struct lab_resp *resp, int status, json_t *json)
{
	give_json(resp, status, json, 0);
}

void
lab_resp_json_sorted(struct lab_resp *resp, int status, json_t *json)
{
	give_json(resp, status, json, JSON_SORT_KEYS);
}

void
lab_resp_error(
	struct lab_resp *resp, int status, const char *code, const char *message, const char *inner)
{
	json_t *error = json_pack("{s:s,s:s}", "code", code, "message", message);
	if (error != NULL && inner != NULL)
		(void)json_object_set_new(error, "innererror", json_pack("{s:s}", "code", inner));
	lab_resp_json(resp, status, json_pack("{s:o}", "error", error));
}
