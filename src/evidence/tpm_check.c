/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The shape of TPM responses (TPM 2.0 part 3). The library that parses them afterwards knows the
 * size of its buffer but not where this answer ended in it, so the bounds are checked here.
 */
#include "evidence/tpm_link.h"

enum {
	TAG_NO_SESSIONS = 0x8001,
	TAG_SESSIONS = 0x8002,
	LIST_MAX = 1024,
	CAP_HANDLES = 1,
	CAP_PCRS = 5,
	CAP_PROPERTIES = 6,
};

/*
 * 1 4 8: integers of so many bytes; b: TPM2B; s: TPMT_SIGNATURE (RSA only); p: TPML_PCR_SELECTION;
 * d: TPML_DIGEST; t: ticket; c: capability data.
 */
struct shape {
	uint32_t code;
	unsigned sent; /* handles in the command */
	unsigned handles; /* in the answer */
	const char *fields;
};

static const struct shape shapes[] = {
	{0x00000122, 2, 0, ""}, /* NV_UndefineSpace */
	{0x0000012A, 1, 0, ""}, /* NV_DefineSpace */
	{0x00000131, 1, 1, "bbbtb"}, /* CreatePrimary */
	{0x00000134, 2, 0, ""}, /* NV_Increment */
	{0x00000137, 2, 0, ""}, /* NV_Write */
	{0x00000148, 2, 0, "bs"}, /* Certify */
	{0x0000014E, 2, 0, "b"}, /* NV_Read */
	{0x00000158, 1, 0, "bs"}, /* Quote */
	{0x00000159, 1, 0, "b"}, /* RSA_Decrypt */
	{0x00000161, 0, 1, ""}, /* ContextLoad */
	{0x00000162, 1, 0, "844b"}, /* ContextSave */
	{0x00000165, 0, 0, ""}, /* FlushContext */
	{0x00000169, 1, 0, "bb"}, /* NV_ReadPublic */
	{0x00000173, 1, 0, "bbb"}, /* ReadPublic */
	{0x00000176, 2, 1, "b"}, /* StartAuthSession */
	{0x0000017A, 0, 0, "1c"}, /* GetCapability */
	{0x0000017E, 0, 0, "4pd"}, /* PCR_Read */
	{0x0000017F, 1, 0, ""}, /* PolicyPCR */
	{0x00000181, 0, 0, "88441"}, /* ReadClock */
	{0x00000184, 3, 0, "bs"}, /* NV_Certify */
};

static void
skip_list(struct vs_reader *r, size_t item)
{
	const uint32_t count = vs_get_be32(r);
	if (count > LIST_MAX)
		r->bad = true;
	else
		vs_get_bytes(r, count * item);
}

static void
skip_selections(struct vs_reader *r)
{
	const uint32_t count = vs_get_be32(r);
	if (count > LIST_MAX)
		r->bad = true;
	for (uint32_t i = 0; i < count && !r->bad; i++) {
		vs_get_be16(r);
		vs_get_bytes(r, vs_get_u8(r));
	}
}

static void
skip_digests(struct vs_reader *r)
{
	const uint32_t count = vs_get_be32(r);
	if (count > LIST_MAX)
		r->bad = true;
	for (uint32_t i = 0; i < count && !r->bad; i++)
		vs_get_2b(r);
}

static void
skip_capability(struct vs_reader *r)
{
	switch (vs_get_be32(r)) {
	case CAP_HANDLES: skip_list(r, 4); break;
	case CAP_PROPERTIES: skip_list(r, 8); break;
	case CAP_PCRS: skip_selections(r); break;
	default: r->bad = true;
	}
}

static void
skip_signature(struct vs_reader *r)
{
	vs_get_be16(r);
	vs_get_be16(r);
	vs_get_2b(r);
}

static void
skip_field(struct vs_reader *r, char field)
{
	switch (field) {
	case '1': vs_get_u8(r); break;
	case '4': vs_get_be32(r); break;
	case '8': vs_get_be64(r); break;
	case 'b': vs_get_2b(r); break;
	case 's': skip_signature(r); break;
	case 'p': skip_selections(r); break;
	case 'd': skip_digests(r); break;
	case 't':
		vs_get_be16(r);
		vs_get_be32(r);
		vs_get_2b(r);
		break;
	case 'c': skip_capability(r); break;
	default: r->bad = true;
	}
}

/* As many whole entries as there were authorisations in the command. */
static bool
sessions_ok(struct vs_reader *r, unsigned expected)
{
	unsigned n = 0;
	while (r->left != 0 && !r->bad) {
		vs_get_2b(r);
		vs_get_u8(r);
		vs_get_2b(r);
		n++;
	}
	return !r->bad && n == expected;
}

/* r stands behind the command's header. */
static unsigned
count_sessions(struct vs_reader *r, unsigned handles)
{
	unsigned n = 0;
	vs_get_bytes(r, 4 * (size_t)handles);
	struct vs_reader area = vs_reader_of(vs_get_bytes(r, vs_get_be32(r)));
	while (area.left != 0 && !area.bad) {
		vs_get_be32(&area);
		vs_get_2b(&area);
		vs_get_u8(&area);
		vs_get_2b(&area);
		n++;
	}
	return area.bad || r->bad ? 0 : n;
}

static const struct shape *
shape_of(uint32_t code)
{
	for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
		if (shapes[i].code == code)
			return &shapes[i];
	}
	return NULL;
}

vs_rc
vs_tpm_response_check(struct vs_bytes command, struct vs_bytes response, struct vs_err *err)
{
	struct vs_reader c = vs_reader_of(command);
	const uint16_t command_tag = vs_get_be16(&c);
	vs_get_be32(&c);
	const struct shape *shape = shape_of(vs_get_be32(&c));
	VS_REQUIRE(err, !c.bad && shape != NULL);

	if (response.n < VS_TPM_MSG_MIN || response.n > VS_TPM_MSG_MAX)
		VS_FAIL(err, TPM, "the TPM's answer has %zu bytes; 10 to 4096 are possible",
			response.n);
	struct vs_reader r = vs_reader_of(response);
	const uint16_t tag = vs_get_be16(&r);
	const uint32_t size = vs_get_be32(&r);
	const uint32_t code = vs_get_be32(&r);
	if (size != response.n)
		VS_FAIL(err, TPM, "the TPM's answer says it has %u bytes but has %zu", size,
			response.n);
	if (code != 0) {
		if (tag != TAG_NO_SESSIONS || r.left != 0)
			VS_FAIL(err, TPM, "the TPM's error answer is malformed");
		return VS_OK;
	}
	if (tag != command_tag)
		VS_FAIL(err, TPM, "the TPM's answer has tag %04x, expected %04x", tag, command_tag);
	for (unsigned i = 0; i < shape->handles; i++)
		vs_get_be32(&r);
	struct vs_reader params = r;
	if (tag == TAG_SESSIONS) {
		const struct vs_bytes area = vs_get_bytes(&r, vs_get_be32(&r));
		const unsigned sessions = count_sessions(&c, shape->sent);
		if (r.bad || sessions == 0 || !sessions_ok(&r, sessions))
			VS_FAIL(err, TPM, "the TPM's answer has a malformed session area");
		params = vs_reader_of(area);
	}
	for (const char *f = shape->fields; *f != '\0' && !params.bad; f++)
		skip_field(&params, *f);
	if (!vs_reader_done(&params))
		VS_FAIL(err, TPM,
			"the TPM's answer to command %x has fields that do not fit its length",
			shape->code);
	return VS_OK;
}
