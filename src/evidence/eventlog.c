/* SPDX-License-Identifier: BSD-2-Clause */
/* TCG PC Client Platform Firmware Profile, part 10; little endian. */
#include "evidence/eventlog.h"

#include <string.h>

#include "evidence/ev_crypto.h"

enum {
	ALG_SHA1 = 4,
	ALG_SHA256 = 0xB,
	ALG_SHA384 = 0xC,
	ALG_SHA512 = 0xD,
	SHA1_BYTES = 20,
	DIGEST_MAX = 64,
	DRTM_FIRST = 17,
	DRTM_LAST = 22,
	SPEC_ID_HEAD = 24,
};

static const char spec_id[] = "Spec ID Event03";
static const char startup_locality[] = "StartupLocality";

static size_t
known_size(uint16_t alg)
{
	switch (alg) {
	case ALG_SHA1: return 20;
	case ALG_SHA256: return 32;
	case ALG_SHA384: return 48;
	case ALG_SHA512: return 64;
	default: return 0;
	}
}

static uint16_t
alg_of(enum vs_hash bank)
{
	static const uint16_t algs[VS_HASH_COUNT_] = {
		[VS_HASH_SHA1] = ALG_SHA1,
		[VS_HASH_SHA256] = ALG_SHA256,
		[VS_HASH_SHA384] = ALG_SHA384,
		[VS_HASH_SHA512] = ALG_SHA512,
	};
	return bank < VS_HASH_COUNT_ ? algs[bank] : 0;
}

static bool
starts_with_text(struct vs_bytes b, const char *text)
{
	const size_t n = strlen(text) + 1;
	return b.n >= n && memcmp(b.p, text, n) == 0;
}

static bool
pcr_ok(const struct vs_event *e)
{
	return e->pcr < VS_PCRS_MAX || (e->pcr == UINT32_MAX && e->type == VS_EV_NO_ACTION);
}

/* The header's data: which algorithms, how long their digests are. */
static vs_rc
read_spec_id(struct vs_bytes data, struct vs_eventlog *log, struct vs_err *err)
{
	struct vs_reader r = vs_reader_of(data);
	vs_get_bytes(&r, SPEC_ID_HEAD);
	const uint32_t n = vs_get_le32(&r);
	if (r.bad || n == 0 || n > VS_EVENTLOG_ALGS_MAX)
		VS_FAIL(err, FORMAT,
			"the event log's header names %u algorithms; 1 to %d are possible", n,
			VS_EVENTLOG_ALGS_MAX);
	for (uint32_t i = 0; i < n; i++) {
		const uint16_t alg = vs_get_le16(&r), size = vs_get_le16(&r);
		const size_t known = known_size(alg);
		if (size == 0 || size > DIGEST_MAX || (known != 0 && known != size))
			VS_FAIL(err, FORMAT, "the event log's header gives algorithm %04x %u bytes",
				alg, size);
		for (uint32_t k = 0; k < i; k++) {
			if (log->algs[k].alg == alg)
				VS_FAIL(err, FORMAT,
					"the event log's header names algorithm %04x twice", alg);
		}
		log->algs[i].alg = alg;
		log->algs[i].size = size;
	}
	vs_get_bytes(&r, vs_get_u8(&r));
	if (!vs_reader_done(&r))
		VS_FAIL(err, FORMAT, "the event log's header does not fill its event");
	log->n_algs = n;
	return VS_OK;
}

static vs_rc
read_legacy(struct vs_eventlog *log, struct vs_event *ret, struct vs_err *err)
{
	struct vs_event e = {.pcr = vs_get_le32(&log->r)};
	e.type = vs_get_le32(&log->r);
	e.n_digests = 1;
	e.digests[0].alg = ALG_SHA1;
	e.digests[0].value = vs_get_bytes(&log->r, SHA1_BYTES);
	e.data = vs_get_bytes(&log->r, vs_get_le32(&log->r));
	if (log->r.bad || !pcr_ok(&e))
		VS_FAIL(err, FORMAT, "event %zu of the event log is cut off or for no PCR",
			log->n_events);
	*ret = e;
	return VS_OK;
}

static vs_rc
read_digest(struct vs_eventlog *log, struct vs_event *e, struct vs_err *err)
{
	const uint16_t alg = vs_get_le16(&log->r);
	size_t size = 0;
	for (size_t k = 0; k < log->n_algs; k++) {
		if (log->algs[k].alg == alg)
			size = log->algs[k].size;
	}
	if (log->r.bad || size == 0)
		VS_FAIL(err, FORMAT,
			"event %zu of the event log has an algorithm (%04x) that its header "
			"does not name",
			log->n_events, alg);
	for (size_t k = 0; k < e->n_digests; k++) {
		if (e->digests[k].alg == alg)
			VS_FAIL(err, FORMAT, "event %zu of the event log has algorithm %04x twice",
				log->n_events, alg);
	}
	e->digests[e->n_digests].alg = alg;
	e->digests[e->n_digests].value = vs_get_bytes(&log->r, size);
	e->n_digests++;
	return VS_OK;
}

static vs_rc
read_agile(struct vs_eventlog *log, struct vs_event *ret, struct vs_err *err)
{
	struct vs_event e = {.pcr = vs_get_le32(&log->r)};
	e.type = vs_get_le32(&log->r);
	const uint32_t count = vs_get_le32(&log->r);
	if (log->r.bad || count > log->n_algs)
		VS_FAIL(err, FORMAT,
			"event %zu of the event log has %u digests; its header names %zu "
			"algorithms",
			log->n_events, count, log->n_algs);
	for (uint32_t i = 0; i < count; i++)
		VS_TRY(read_digest(log, &e, err));
	e.data = vs_get_bytes(&log->r, vs_get_le32(&log->r));
	if (log->r.bad || !pcr_ok(&e))
		VS_FAIL(err, FORMAT, "event %zu of the event log is cut off or for no PCR",
			log->n_events);
	*ret = e;
	return VS_OK;
}

/* How much of the end is fill bytes: areas for logs are larger than the logs. */
static size_t
fill_of(struct vs_bytes b)
{
	const uint8_t last = b.n != 0 ? b.p[b.n - 1] : 1;
	size_t n = 0;
	if (last != 0 && last != 0xFF)
		return 0;
	while (n < b.n && b.p[b.n - 1 - n] == last)
		n++;
	return n;
}

vs_rc
vs_eventlog_open(struct vs_bytes bytes, struct vs_eventlog *ret, struct vs_err *err)
{
	if (bytes.n > VS_EVENTLOG_MAX)
		VS_FAIL(err, LIMIT, "an event log of %zu bytes; up to %d are read", bytes.n,
			VS_EVENTLOG_MAX);
	struct vs_eventlog log = {
		.r = vs_reader_of(bytes), .size = bytes.n, .fill = fill_of(bytes)};
	VS_TRY(read_legacy(&log, &log.first, err));
	log.agile = log.first.type == VS_EV_NO_ACTION && starts_with_text(log.first.data, spec_id);
	if (log.agile)
		VS_TRY(read_spec_id(log.first.data, &log, err));
	else
		log.algs[log.n_algs++].alg = ALG_SHA1;
	log.first_pending = true;
	*ret = log;
	return VS_OK;
}

vs_rc
vs_eventlog_next(struct vs_eventlog *log, struct vs_event *ret, bool *ret_end, struct vs_err *err)
{
	*ret_end = false;
	if (log->first_pending) {
		log->first_pending = false;
		log->n_events++;
		*ret = log->first;
		return VS_OK;
	}
	if (log->r.left <= log->fill) {
		*ret_end = true;
		return VS_OK;
	}
	if (log->n_events == VS_EVENTLOG_EVENTS_MAX)
		VS_FAIL(err, LIMIT, "an event log of more than %d events", VS_EVENTLOG_EVENTS_MAX);
	VS_TRY(log->agile ? read_agile(log, ret, err) : read_legacy(log, ret, err));
	log->n_events++;
	return VS_OK;
}

size_t
vs_eventlog_offset(const struct vs_eventlog *log)
{
	return log->size - log->r.left;
}

struct vs_bytes
vs_event_digest(const struct vs_event *e, enum vs_hash bank)
{
	for (size_t i = 0; i < e->n_digests; i++) {
		if (e->digests[i].alg == alg_of(bank))
			return e->digests[i].value;
	}
	return (struct vs_bytes){NULL, 0};
}

bool
vs_event_data_is_measured(const struct vs_event *e, enum vs_hash bank)
{
	uint8_t hash[VS_HASH_MAX_BYTES];
	const struct vs_bytes digest = vs_event_digest(e, bank);
	return digest.n != 0 && !vs_failed(vs_ev_hash(bank, &e->data, 1, hash, NULL)) &&
		memcmp(hash, digest.p, digest.n) == 0;
}

/* ---- replay --------------------------------------------------------------------------------- */

static vs_rc
note_locality(const struct vs_event *e, struct vs_replay *r, struct vs_err *err)
{
	if (e->pcr != 0 || !starts_with_text(e->data, startup_locality))
		return VS_OK;
	const uint8_t locality =
		e->data.n == sizeof startup_locality + 1 ? e->data.p[e->data.n - 1] : 0xFF;
	if ((locality != 0 && locality != 3 && locality != 4) || r->locality != 0 ||
		(r->touched & 1) != 0)
		VS_FAIL(err, FORMAT,
			"the event log has an odd start-up locality (%u), a second or a late one",
			locality);
	r->locality = locality;
	r->pcr[0][vs_ev_hash_size(r->bank) - 1] = locality;
	return VS_OK;
}

static vs_rc
extend(const struct vs_event *e, struct vs_replay *r, struct vs_err *err)
{
	const struct vs_bytes digest = vs_event_digest(e, r->bank);
	if (digest.n == 0)
		VS_FAIL(err, FORMAT, "event for PCR %u has no digest for the bank (%s)", e->pcr,
			r->bank == VS_HASH_SHA1 ? "SHA-1" : "SHA-2");
	const struct vs_bytes parts[] = {{r->pcr[e->pcr], digest.n}, digest};
	VS_TRY(vs_ev_hash(r->bank, parts, 2, r->pcr[e->pcr], err));
	r->touched |= 1U << e->pcr;
	return VS_OK;
}

vs_rc
vs_eventlog_replay(
	struct vs_bytes bytes, enum vs_hash bank, struct vs_replay *ret, struct vs_err *err)
{
	struct vs_eventlog log;
	VS_TRY(vs_eventlog_open(bytes, &log, err));
	struct vs_replay r = {.bank = bank, .agile = log.agile};
	for (size_t i = 0; i < log.n_algs; i++)
		r.has_bank = r.has_bank || log.algs[i].alg == alg_of(bank);
	for (int pcr = DRTM_FIRST; pcr <= DRTM_LAST; pcr++)
		memset(r.pcr[pcr], 0xFF, vs_ev_hash_size(bank));
	for (;;) {
		struct vs_event e;
		bool end = false;
		VS_TRY(vs_eventlog_next(&log, &e, &end, err));
		if (end)
			break;
		if (e.type == VS_EV_NO_ACTION)
			VS_TRY(note_locality(&e, &r, err));
		else if (r.has_bank)
			VS_TRY(extend(&e, &r, err));
	}
	r.n_events = log.n_events;
	r.end = vs_eventlog_offset(&log);
	*ret = r;
	return VS_OK;
}
