/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Event log: only what the quoted PCRs prove is believed. A matching PCR proves the sequence of
 * digests; an event's data is believed where it hashes to its digest; its type never on its own.
 */
#include <string.h>

#include <openssl/sha.h>

#include "lab/lab_evidence.h"
#include "lab/lab_evidence_priv.h"

enum {
	LOG_MAX = 1 << 20,
	LOG_EVENTS_MAX = 4096,
	LOG_ALGS_MAX = 8,
	ALG_SHA256 = 0x000b,
	EV_NO_ACTION = 3,
	EV_SEPARATOR = 4,
	EV_COMPACT_HASH = 0xc,
	VARIABLE_HEAD = 32,
};
#define EV_DRIVER_CONFIG 0x80000001u
#define EV_ACTION 0x80000007u
#define EV_AUTHORITY 0x800000e0u

static const uint8_t guid_global[16] = {0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11, 0xaa, 0x0d,
	0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c};
static const uint8_t guid_security[16] = {0xcb, 0xb2, 0x19, 0xd7, 0x3a, 0x3d, 0x96, 0x45, 0xa3,
	0xbc, 0xda, 0xd0, 0x0e, 0x67, 0x65, 0x6f};

struct log {
	struct vs_reader r;
	size_t n_algs;
	struct {
		uint16_t id, size;
	} algs[LOG_ALGS_MAX];
};

/* The five variables in the order in which firmware measures them. */
enum { V_SECURE_BOOT, V_PK, V_KEK, V_DB, V_DBX, V_COUNT };
static const struct {
	const char *name;
	const uint8_t *guid;
} variables[V_COUNT] = {
	{"SecureBoot", guid_global},
	{"PK", guid_global},
	{"KEK", guid_global},
	{"db", guid_security},
	{"dbx", guid_security},
};

struct state {
	const struct lab_anchors *anchors;
	struct lab_log_facts *facts;
	struct lab_refusal *why;
	uint8_t pcr[LAB_PCRS][32];
	bool extended[LAB_PCRS];
	unsigned separators[8];
	unsigned n_variables; /* of PCR 7, seen so far */
	bool filled[V_COUNT];
	uint8_t state_byte;
	bool vendor_keys;
	struct {
		uint32_t pcr;
		bool set;
	} bad; /* first event whose data is not what was measured */
};

static bool
hash_is(struct vs_bytes data, const uint8_t digest[32])
{
	uint8_t h[32];
	SHA256(data.p, data.n, h);
	return memcmp(h, digest, 32) == 0;
}

static bool
read_spec_id(struct log *log, struct lab_refusal *why)
{
	struct vs_reader *r = &log->r;
	const uint32_t pcr = vs_get_le32(r), type = vs_get_le32(r);
	(void)vs_get_bytes(r, 20);
	struct vs_reader d = vs_reader_of(vs_get_bytes(r, vs_get_le32(r)));
	const struct vs_bytes signature = vs_get_bytes(&d, 16);
	(void)vs_get_bytes(&d, 8);
	const uint32_t n = vs_get_le32(&d);
	if (r->bad || d.bad || pcr != 0 || type != EV_NO_ACTION ||
		!vs_bytes_eq(signature, vs_bytes_of("Spec ID Event03", 16)))
		return lab_refuse(why, LAB_CHECK_LOG_FORM,
			"TcgLogs is not a crypto-agile log (no Spec ID Event03 at its head)");
	bool sha256 = false;
	for (uint32_t i = 0; i < n && i < LOG_ALGS_MAX; i++) {
		log->algs[i].id = vs_get_le16(&d);
		log->algs[i].size = vs_get_le16(&d);
		log->n_algs++;
		for (uint32_t k = 0; k < i; k++) {
			if (log->algs[k].id == log->algs[i].id)
				d.bad = true;
		}
		if (log->algs[i].id == ALG_SHA256)
			sha256 = log->algs[i].size == 32;
	}
	(void)vs_get_bytes(&d, vs_get_u8(&d));
	if (n == 0 || n > LOG_ALGS_MAX || !sha256 || !vs_reader_done(&d))
		return lab_refuse(why, LAB_CHECK_LOG_FORM,
			"the log's Spec ID event has no usable SHA-256 bank");
	return true;
}

/* The end may be filled up with one byte value, zero or 0xff. */
static bool
only_padding(const struct vs_reader *r)
{
	if (r->p[0] != 0 && r->p[0] != 0xff)
		return false;
	for (size_t i = 1; i < r->left; i++) {
		if (r->p[i] != r->p[0])
			return false;
	}
	return true;
}

static bool
read_event(struct log *log, struct lab_event *e, struct lab_refusal *why)
{
	struct vs_reader *r = &log->r;
	unsigned seen = 0;
	*e = (struct lab_event){.pcr = vs_get_le32(r), .type = 0};
	e->type = vs_get_le32(r);
	const uint32_t count = vs_get_le32(r);
	bool ok = count > 0 && count <= log->n_algs;
	for (uint32_t i = 0; ok && i < count; i++) {
		const uint16_t id = vs_get_le16(r);
		size_t k = 0;
		while (k < log->n_algs && log->algs[k].id != id)
			k++;
		ok = k < log->n_algs && !(seen & (1u << k));
		if (!ok)
			break;
		seen |= 1u << k;
		const struct vs_bytes digest = vs_get_bytes(r, log->algs[k].size);
		if (id == ALG_SHA256)
			e->digest = digest.p;
	}
	if (ok)
		e->data = vs_get_bytes(r, vs_get_le32(r));
	if (!ok || r->bad || !e->digest)
		return lab_refuse(why, LAB_CHECK_LOG_FORM, "an event of the log is malformed");
	if (e->pcr >= LAB_PCRS && !(e->pcr == 0xffffffff && e->type == EV_NO_ACTION))
		return lab_refuse(
			why, LAB_CHECK_LOG_FORM, "an event of the log names PCR %u", e->pcr);
	return true;
}

static bool
extend(void *ctx, const struct lab_event *e)
{
	struct state *s = ctx;
	static const char locality[] = "StartupLocality";
	if (e->type == EV_NO_ACTION) {
		if (e->pcr == 0 && e->data.n == 17 && memcmp(e->data.p, locality, 16) == 0) {
			if (s->extended[0])
				return lab_refuse(s->why, LAB_CHECK_LOG_FORM,
					"the start-up locality comes after events of PCR 0");
			s->pcr[0][31] = e->data.p[16];
		}
		return true;
	}
	uint8_t both[64];
	memcpy(both, s->pcr[e->pcr], 32);
	memcpy(both + 32, e->digest, 32);
	SHA256(both, sizeof both, s->pcr[e->pcr]);
	s->extended[e->pcr] = true;
	return true;
}

bool
lab_log_variable(struct vs_bytes data, const uint8_t **guid, char name[32], struct vs_bytes *value)
{
	struct vs_reader r = vs_reader_of(data);
	*guid = vs_get_bytes(&r, 16).p;
	const uint64_t name_n = vs_get_le64(&r), value_n = vs_get_le64(&r);
	if (r.bad || name_n == 0 || name_n >= 32 || value_n > data.n)
		return false;
	for (uint64_t i = 0; i < name_n; i++) {
		const uint16_t c = vs_get_le16(&r);
		if (c < 0x20 || c > 0x7e)
			return false;
		name[i] = (char)c;
	}
	name[name_n] = '\0';
	*value = vs_get_bytes(&r, (size_t)value_n);
	return vs_reader_done(&r);
}

static bool
note_variable(struct state *s, const struct lab_event *e)
{
	char name[32] = "";
	const uint8_t *guid = NULL;
	struct vs_bytes value = {0};
	const unsigned i = s->n_variables;
	if (i >= V_COUNT || s->separators[7] || !lab_log_variable(e->data, &guid, name, &value) ||
		strcmp(name, variables[i].name) != 0 || memcmp(guid, variables[i].guid, 16) != 0)
		return lab_refuse(s->why, LAB_CHECK_LOG_DATA,
			"PCR 7 does not begin with SecureBoot, PK, KEK, db, dbx");
	s->n_variables++;
	s->filled[i] = value.n > 0;
	uint8_t h[32];
	SHA256(value.p, value.n, h);
	if (i == V_SECURE_BOOT) {
		s->filled[i] = value.n == 1;
		s->state_byte = value.n == 1 ? value.p[0] : 0;
	} else if (i == V_DBX)
		s->facts->dbx_validated = memcmp(h, s->anchors->dbx_sha256, 32) == 0;
	else {
		const bool known = memcmp(h, s->anchors->db_sha256, 32) == 0;
		s->vendor_keys = i == V_PK ? known : s->vendor_keys && known;
		if (i == V_DB)
			s->facts->db_validated = known;
	}
	return true;
}

/* PCR 7 decides about Secure Boot, so every one of its events must be understood. */
static bool
note_pcr7(struct state *s, const struct lab_event *e)
{
	const bool bound = hash_is(e->data, e->digest);
	/* shim logs one byte more than it measures */
	const bool nearly = e->type == EV_AUTHORITY && e->data.n > 0 &&
		hash_is(vs_bytes_of(e->data.p, e->data.n - 1), e->digest);
	if (!bound && !nearly)
		return lab_refuse(s->why, LAB_CHECK_LOG_DATA,
			"the data of an event of PCR 7 is not what was measured");
	if (e->type == EV_SEPARATOR)
		return true;
	if (e->type == EV_DRIVER_CONFIG)
		return note_variable(s, e);
	/* A variable: no hash covers the label, and the text of an action is shorter than its head.
	 */
	if (e->type == EV_AUTHORITY && s->n_variables == V_COUNT && e->data.n > VARIABLE_HEAD)
		return true;
	if (e->type == EV_ACTION) {
		s->facts->debuggers_disabled = false;
		return true;
	}
	return lab_refuse(s->why, LAB_CHECK_LOG_DATA, "PCR 7 has an event of type 0x%08x", e->type);
}

static bool
note_separator(struct state *s, const struct lab_event *e)
{
	static const uint8_t zero[4] = {0};
	if (e->pcr >= 8)
		return true;
	s->separators[e->pcr]++;
	if (s->separators[e->pcr] > 1 || !vs_bytes_eq(e->data, vs_bytes_of(zero, 4)) ||
		!hash_is(e->data, e->digest))
		return lab_refuse(s->why, LAB_CHECK_LOG_DATA,
			"PCR %u has a second or an unusual separator", e->pcr);
	return true;
}

static bool
note(void *ctx, const struct lab_event *e)
{
	struct state *s = ctx;
	if (e->type == EV_NO_ACTION)
		return true;
	if (e->type == EV_SEPARATOR && !note_separator(s, e))
		return false;
	if (e->pcr == 7)
		return note_pcr7(s, e);
	if (e->pcr == 6 && e->type == EV_COMPACT_HASH && e->data.n == 42 &&
		memcmp(e->data.p, "UUID: ", 6) == 0 && hash_is(e->data, e->digest)) {
		memcpy(s->facts->vm_id, e->data.p + 6, 36);
		s->facts->vm_id[36] = '\0';
	}
	return true;
}

bool
lab_log_walk(struct vs_bytes bytes, lab_event_fn *fn, void *ctx, struct lab_refusal *why)
{
	struct log log = {.r = vs_reader_of(bytes)};
	if (bytes.n > LOG_MAX)
		return lab_refuse(why, LAB_CHECK_LOG_FORM, "TcgLogs is too long");
	if (!read_spec_id(&log, why))
		return false;
	for (size_t n = 0; log.r.left > 0 && !only_padding(&log.r); n++) {
		struct lab_event e;
		if (n == LOG_EVENTS_MAX)
			return lab_refuse(why, LAB_CHECK_LOG_FORM, "TcgLogs has too many events");
		if (!read_event(&log, &e, why) || !fn(ctx, &e))
			return false;
	}
	return true;
}

bool
lab_log_bound(const struct lab_event *e)
{
	return hash_is(e->data, e->digest);
}

bool
lab_verify_log(struct vs_bytes bytes, const struct lab_pcrs *pcrs,
	const struct lab_anchors *anchors, struct lab_log_facts *facts, struct lab_refusal *why)
{
	struct state s = {.anchors = anchors, .facts = facts, .why = why};
	*facts = (struct lab_log_facts){.debuggers_disabled = true};
	for (size_t i = 17; i <= 22; i++)
		memset(s.pcr[i], 0xff, 32);
	if (!lab_log_walk(bytes, extend, &s, why))
		return false;
	for (unsigned i = 0; i < LAB_PCRS; i++) {
		if ((pcrs->mask & (1u << i)) && memcmp(s.pcr[i], pcrs->value[i], 32) != 0)
			return lab_refuse(why, LAB_CHECK_LOG_REPLAY,
				"the events of the log do not lead to the quoted value of PCR %u",
				i);
	}
	if (!lab_log_walk(bytes, note, &s, why))
		return false;
	for (unsigned i = 0; i < 8; i++) {
		if (s.separators[i] != 1)
			return lab_refuse(why, LAB_CHECK_LOG_DATA, "PCR %u has no separator", i);
	}
	if (s.n_variables != V_COUNT)
		return lab_refuse(why, LAB_CHECK_LOG_DATA, "PCR 7 lacks variables of Secure Boot");
	facts->secure_boot = s.filled[V_SECURE_BOOT] && s.state_byte == 1 && s.filled[V_PK] &&
		s.filled[V_KEK] && s.filled[V_DB];
	facts->keys_validated = s.vendor_keys;
	return true;
}
