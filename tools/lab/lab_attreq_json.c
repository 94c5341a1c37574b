/* SPDX-License-Identifier: BSD-2-Clause */
/* The evidence as the JSON that policies of version 1.2 query. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "lab/lab_attreq.h"
#include "lab/lab_evidence_priv.h"

static const char *
type_name(uint32_t type)
{
	static const struct {
		uint32_t type;
		const char *name;
	} names[] = {
		{0x00000001, "EV_POST_CODE"},
		{0x00000003, "EV_NO_ACTION"},
		{0x00000004, "EV_SEPARATOR"},
		{0x00000005, "EV_ACTION"},
		{0x00000006, "EV_EVENT_TAG"},
		{0x00000007, "EV_S_CRTM_CONTENTS"},
		{0x00000008, "EV_S_CRTM_VERSION"},
		{0x0000000a, "EV_PLATFORM_CONFIG_FLAGS"},
		{0x0000000b, "EV_TABLE_OF_DEVICES"},
		{0x0000000c, "EV_COMPACT_HASH"},
		{0x0000000d, "EV_IPL"},
		{0x00000011, "EV_NONHOST_INFO"},
		{0x80000001, "EV_EFI_VARIABLE_DRIVER_CONFIG"},
		{0x80000002, "EV_EFI_VARIABLE_BOOT"},
		{0x80000003, "EV_EFI_BOOT_SERVICES_APPLICATION"},
		{0x80000004, "EV_EFI_BOOT_SERVICES_DRIVER"},
		{0x80000005, "EV_EFI_RUNTIME_SERVICES_DRIVER"},
		{0x80000006, "EV_EFI_GPT_EVENT"},
		{0x80000007, "EV_EFI_ACTION"},
		{0x80000008, "EV_EFI_PLATFORM_FIRMWARE_BLOB"},
		{0x80000009, "EV_EFI_HANDOFF_TABLES"},
		{0x8000000a, "EV_EFI_PLATFORM_FIRMWARE_BLOB2"},
		{0x8000000b, "EV_EFI_HANDOFF_TABLES2"},
		{0x800000e0, "EV_EFI_VARIABLE_AUTHORITY"},
	};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (names[i].type == type)
			return names[i].name;
	return "EV_UNKNOWN";
}

static void
guid_text(const uint8_t *g, char out[37])
{
	snprintf(out, 37, "%02X%02X%02X%02X-%02X%02X-%02X%02X-%02X%02X-%02X%02X%02X%02X%02X%02X",
		g[3], g[2], g[1], g[0], g[5], g[4], g[7], g[6], g[8], g[9], g[10], g[11], g[12],
		g[13], g[14], g[15]);
}

/* A variable, where the data are what was measured; everything else is no evidence (T-A5). */
static json_t *
processed(const struct lab_event *e)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {.max = 1 << 20};
	const uint8_t *guid = NULL;
	struct vs_bytes value = {0};
	char name[32] = "", guid_hex[37];
	if (e->type < 0x80000001 || e->type > 0x80000002 || !lab_log_bound(e) ||
		!lab_log_variable(e->data, &guid, name, &value) ||
		vs_failed(vs_b64url_encode(value, &text, NULL)))
		return json_object();
	guid_text(guid, guid_hex);
	return json_pack("{s:s,s:s,s:s}", "VariableGuid", guid_hex, "UnicodeName", name,
		"VariableData", vs_buf_cstr(&text));
}

static bool
add_event(void *ctx, const struct lab_event *e)
{
	json_t *list = ctx;
	char digest[65];
	vs_hex_str(e->digest, 32, digest, sizeof digest);
	return json_array_append_new(list,
		       json_pack("{s:s,s:I,s:I,s:I,s:s,s:o}", "EventTypeString", type_name(e->type),
			       "EventType", (json_int_t)e->type, "PcrIndex", (json_int_t)e->pcr,
			       "EventSeq", (json_int_t)json_array_size(list), "Digest", digest,
			       "ProcessedData", processed(e))) == 0;
}

static char *
dump(const char *name, json_t *list)
{
	json_t *o = json_pack("{s:o}", name, list);
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	json_decref(o);
	return text;
}

char *
lab_attreq_events(const struct lab_attreq *r)
{
	struct lab_refusal why = {0};
	json_t *list = json_array();
	if (list && lab_log_walk(vs_buf_view(&r->log_bytes), add_event, list, &why))
		return dump("Events", list);
	json_decref(list);
	return NULL;
}

/* Digests in hexadecimal, as the service's samples of golden values have them. */
char *
lab_attreq_pcrs(const struct lab_attreq *r)
{
	json_t *list = json_array();
	for (size_t i = 0; list && i < LAB_PCRS; i++) {
		char hex[65];
		json_t *digests = json_object();
		if (r->sha1_mask & (1u << i)) {
			vs_hex_str(r->sha1[i], LAB_SHA1, hex, sizeof hex);
			json_object_set_new(digests, "SHA1", json_string(hex));
		}
		if (r->pcrs.mask & (1u << i)) {
			vs_hex_str(r->pcrs.value[i], 32, hex, sizeof hex);
			json_object_set_new(digests, "SHA256", json_string(hex));
		}
		if (json_object_size(digests) > 0)
			json_array_append_new(
				list, json_pack("{s:i,s:O}", "Index", (int)i, "Digests", digests));
		json_decref(digests);
	}
	return dump("PCRs", list);
}
