/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Secure Boot out of PCR 7. An event's type can be changed by whoever hands over the log, so what
 * counts is order and content: the first digest of PCR 7 is that of the variable SecureBoot, the
 * end of the firmware's part is the one separator, found by its digest whatever its type says.
 */
#include "evidence/eventlog.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "evidence/ev_crypto.h"

enum { PCR = 7, NAME_MAX_CHARS = 64, VARIABLE_HEAD = 32 };

static const uint8_t global_guid[16] = {0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11, 0xaa, 0x0d,
	0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c};

/* UEFI_VARIABLE_DATA with a name of ASCII letters. */
struct variable {
	bool exact; /* nothing stands behind it */
	bool global;
	char name[NAME_MAX_CHARS + 1];
	struct vs_bytes value;
};

static bool
read_variable(struct vs_bytes data, struct variable *ret)
{
	struct vs_reader r = vs_reader_of(data);
	struct variable v = {.global = false};
	const struct vs_bytes guid = vs_get_bytes(&r, 16);
	const uint64_t name_n = vs_get_le64(&r), value_n = vs_get_le64(&r);
	if (r.bad || name_n == 0 || name_n > NAME_MAX_CHARS)
		return false;
	for (uint64_t i = 0; i < name_n; i++) {
		const uint16_t c = vs_get_le16(&r);
		if (c < 0x21 || c > 0x7E)
			return false;
		v.name[i] = (char)c;
	}
	if (value_n > r.left)
		return false;
	v.value = vs_get_bytes(&r, (size_t)value_n);
	v.global = memcmp(guid.p, global_guid, sizeof global_guid) == 0;
	v.exact = vs_reader_done(&r);
	*ret = v;
	return !r.bad;
}

struct scan {
	enum vs_hash bank;
	uint8_t separator[VS_HASH_MAX_BYTES]; /* digest of the normal one */
	unsigned n_events, n_separators;
	enum vs_tristate said; /* by the variable */
	struct vs_secure_boot *out;
	bool broken; /* out->why says how */
	bool insecure; /* likewise */
};

__attribute__((format(printf, 2, 3))) static void
give_up(struct scan *s, const char *fmt, ...)
{
	va_list ap;
	if (s->broken || s->insecure)
		return;
	va_start(ap, fmt);
	vsnprintf(s->out->why, sizeof s->out->why, fmt, ap);
	va_end(ap);
	s->broken = true;
}

/* The first measurement of PCR 7 must be the variable, and its data what was measured. */
static void
scan_first(struct scan *s, const struct vs_event *e)
{
	struct variable v;
	if (e->type != VS_EV_VARIABLE_DRIVER_CONFIG || !vs_event_data_is_measured(e, s->bank) ||
		!read_variable(e->data, &v) || !v.exact || !v.global ||
		strcmp(v.name, "SecureBoot") != 0) {
		give_up(s, "the first event of PCR 7 is not the measured variable SecureBoot");
		return;
	}
	if (v.value.n > 1 || (v.value.n == 1 && v.value.p[0] > 1)) {
		give_up(s, "the variable SecureBoot has an odd value");
		return;
	}
	s->said = v.value.n == 1 && v.value.p[0] == 1 ? VS_YES : VS_NO;
}

static void
scan_separator(struct scan *s, const struct vs_event *e, bool normal)
{
	s->n_separators++;
	if (e->type != VS_EV_SEPARATOR)
		give_up(s, "a separator of PCR 7 is labelled as another event");
	else if (!normal)
		give_up(s, "the separator of PCR 7 signals an error or is not what was measured");
	else if (s->n_separators > 1)
		give_up(s, "PCR 7 has a second separator");
}

/* shim measures the data without its last byte. */
static bool
authority_is_measured(const struct vs_event *e, enum vs_hash bank)
{
	struct vs_event shorter = *e;
	if (vs_event_data_is_measured(e, bank))
		return true;
	if (shorter.data.n <= VARIABLE_HEAD)
		return false;
	shorter.data.n--;
	return vs_event_data_is_measured(&shorter, bank);
}

/* Before the separator: keys and settings; nothing may claim to be the variable again. */
static void
scan_early(struct scan *s, const struct vs_event *e)
{
	struct variable v;
	switch (e->type) {
	case VS_EV_VARIABLE_DRIVER_CONFIG:
		if (!vs_event_data_is_measured(e, s->bank) || !read_variable(e->data, &v) ||
			!v.exact)
			give_up(s, "a variable of PCR 7 is not what was measured");
		else if (strcmp(v.name, "SecureBoot") == 0)
			give_up(s, "the variable SecureBoot is measured twice");
		return;
	case VS_EV_VARIABLE_AUTHORITY:
		/* Of a driver or option ROM. Unproven, it could be an action under another label.
		 */
		if (!authority_is_measured(e, s->bank) || !read_variable(e->data, &v))
			give_up(s, "an authority before the separator is not what was measured");
		return;
	case VS_EV_EFI_ACTION:
		if (!s->broken && !s->insecure)
			snprintf(s->out->why, sizeof s->out->why,
				"the firmware reports an action in PCR 7, such as a debug mode");
		s->insecure = true;
		return;
	default: give_up(s, "PCR 7 has an event of type %x before its separator", e->type);
	}
}

static void
scan_late(struct scan *s, const struct vs_event *e)
{
	struct variable v;
	if (e->type == VS_EV_VARIABLE_DRIVER_CONFIG && read_variable(e->data, &v) &&
		strcmp(v.name, "SecureBoot") == 0) {
		give_up(s, "the variable SecureBoot is measured after the separator");
		return;
	}
	if (e->type != VS_EV_VARIABLE_AUTHORITY || !authority_is_measured(e, s->bank))
		return;
	/* Some firmware leaves bytes behind the variable, measured like the rest. */
	if (!read_variable(e->data, &v))
		return;
	if (s->out->n_authorities++ != 0)
		return;
	snprintf(s->out->authority, sizeof s->out->authority, "%.31s", v.name);
	s->out->authority_data = v.value;
}

static void
scan_event(struct scan *s, const struct vs_event *e)
{
	const struct vs_bytes digest = vs_event_digest(e, s->bank);
	const bool normal = digest.n != 0 && memcmp(digest.p, s->separator, digest.n) == 0;
	if (s->n_events++ == 0)
		scan_first(s, e);
	else if (normal || e->type == VS_EV_SEPARATOR)
		scan_separator(s, e, normal);
	else if (s->n_separators == 0)
		scan_early(s, e);
	else
		scan_late(s, e);
}

vs_rc
vs_eventlog_secure_boot(
	struct vs_bytes bytes, enum vs_hash bank, struct vs_secure_boot *ret, struct vs_err *err)
{
	static const uint8_t zeros[4];
	const struct vs_bytes normal = {zeros, sizeof zeros};
	struct vs_secure_boot out = {.state = VS_UNKNOWN};
	struct scan s = {.bank = bank, .out = &out};
	struct vs_eventlog log;
	VS_TRY(vs_ev_hash(bank, &normal, 1, s.separator, err));
	VS_TRY(vs_eventlog_open(bytes, &log, err));
	for (;;) {
		struct vs_event e;
		bool end = false;
		VS_TRY(vs_eventlog_next(&log, &e, &end, err));
		if (end)
			break;
		if (e.pcr == PCR && e.type != VS_EV_NO_ACTION)
			scan_event(&s, &e);
	}
	if (s.n_events == 0)
		give_up(&s, "the log has no event for PCR 7");
	else if (s.n_separators == 0)
		give_up(&s, "PCR 7 has no separator");
	if (s.broken)
		out.state = VS_UNKNOWN;
	else
		out.state = s.insecure ? VS_NO : s.said;
	*ret = out;
	return VS_OK;
}
