/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/uses.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/uses_impl.h"
#include "base/codec.h"
#include "base/log.h"
#include "proto/page.h"

#define NS_PER_S INT64_C(1000000000)

struct vs_uses_job {
	struct vs_job job;
	struct vs_uses_book *book;
	size_t n;
	struct vs_use_sum *sums;
	int64_t since_unix, until_unix;
	bool written;
};

static int64_t
wall_now(const struct vs_uses_book *b)
{
	const struct vs_clock c = vs_core_clock(b->env.core);
	return c.ops->wall_unix(c.self);
}

/* ---- sums -------------------------------------------------------------------------------- */

void
vs_use_name(struct vs_use_name *ret, const struct vs_cat_entry *entry)
{
	(void)vs_quote(entry->name, ret->key, sizeof ret->key);
	(void)vs_quote(entry->version, ret->version, sizeof ret->version);
}

static bool
same_sum(const struct vs_use_sum *a, const struct vs_use_sum *b)
{
	return a->uid == b->uid && a->key_no == b->key_no && strcmp(a->lease, b->lease) == 0;
}

/* One for each key and user; NULL when there is no room, which is told. */
static struct vs_use_sum *
get_sum(struct vs_uses_book *b, const struct vs_use_sum *like)
{
	for (size_t i = 0; i < b->n_sums; i++)
		if (same_sum(&b->sums[i], like))
			return &b->sums[i];
	struct vs_use_sum *sums = b->n_sums < VS_USES_SUMS_MAX
		? realloc(b->sums, (b->n_sums + 1) * sizeof *sums)
		: NULL;
	if (sums == NULL) {
		vs_log(vs_core_log(b->env.core), VS_LOG_ERROR, "audit",
			"%s: uses of a key are not counted: no room", b->env.token->label);
		return NULL;
	}
	b->sums = sums;
	struct vs_use_sum *s = &sums[b->n_sums++];
	*s = *like;
	s->uses = s->handovers = 0;
	s->processes = 0;
	s->went_back = false;
	return s;
}

static void
merge(struct vs_use_sum *to, const struct vs_use_sum *from)
{
	to->uses = from->uses > (uint64_t)INT64_MAX - to->uses ? INT64_MAX : to->uses + from->uses;
	to->handovers += from->handovers;
	to->processes += from->processes;
	to->went_back = to->went_back || from->went_back;
	to->pid = to->processes == 1 ? from->pid : 0;
}

static struct vs_use_sum
sum_of(const struct vs_uses_page *p, const struct vs_uses_key *k)
{
	struct vs_use_sum s = {.uid = p->uid, .pid = p->pid, .key_no = k->no, .name = k->name};
	memcpy(s.lease, p->lease_hex, sizeof s.lease);
	return s;
}

void
vs_uses_add_sum(struct vs_uses_book *b, const struct vs_uses_page *p, const struct vs_uses_key *k,
	uint64_t uses, bool went_back)
{
	struct vs_use_sum more = sum_of(p, k);
	struct vs_use_sum *s = get_sum(b, &more);
	more.uses = uses;
	more.processes = 1;
	more.went_back = went_back;
	if (s != NULL)
		merge(s, &more);
}

/* ---- writing ----------------------------------------------------------------------------- */

static void
write_run(struct vs_job *job)
{
	struct vs_uses_job *j = (struct vs_uses_job *)job;
	j->written = !vs_failed(vs_record_uses(j->book->env.core, j->book->env.token, j->sums, j->n,
		j->since_unix, j->until_unix, NULL));
}

static void
job_free(struct vs_uses_job *j)
{
	if (j != NULL)
		free(j->sums);
	free(j);
}

/* What could not be written waits for the next minute. */
static void
write_done(struct vs_job *job)
{
	struct vs_uses_job *j = (struct vs_uses_job *)job;
	struct vs_uses_book *b = j->book;
	if (b->job == j)
		b->job = NULL;
	b->unwritten = !j->written;
	for (size_t i = 0; !j->written && i < j->n; i++) {
		struct vs_use_sum *s = get_sum(b, &j->sums[i]);
		if (s != NULL)
			merge(s, &j->sums[i]);
	}
	if (!j->written && j->since_unix < b->since_unix)
		b->since_unix = j->since_unix;
	job_free(j);
}

static void
write_sums(struct vs_uses_book *b, bool last)
{
	struct vs_err err = {0};
	if (b->n_sums == 0 || (b->job != NULL && !last))
		return;
	struct vs_uses_job *j = calloc(1, sizeof *j);
	if (j == NULL)
		return; /* the next minute may have memory */
	*j = (struct vs_uses_job){.job = {.run = write_run, .done = write_done},
		.book = b,
		.n = b->n_sums,
		.sums = b->sums,
		.since_unix = b->since_unix,
		.until_unix = wall_now(b)};
	b->sums = NULL;
	b->n_sums = 0;
	b->since_unix = j->until_unix;
	if (!last && !vs_failed(vs_work_post(b->env.work, &j->job, &err))) {
		b->job = j;
		return;
	}
	/* The agent ends, or no worker takes it. */
	write_run(&j->job);
	write_done(&j->job);
}

/* The next full minute, so that all tokens' records are of the same one. 0 idle: only with pages.
 */
static void
rearm(struct vs_uses_book *b)
{
	const int64_t period = VS_USES_PERIOD_S * NS_PER_S;
	if (b->pages == NULL && b->n_sums == 0 && b->job == NULL)
		vs_timer_clear(&b->timer);
	else if (b->timer.link == NULL)
		vs_timer_set(b->env.loop, &b->timer, (vs_boot_now_ns() / period + 1) * period);
}

static void
on_minute(void *arg)
{
	struct vs_uses_book *b = arg;
	vs_uses_read_all(b, false);
	b->n_budgets = 0;
	if (b->n_sums == 0)
		b->since_unix = wall_now(b);
	write_sums(b, false);
	rearm(b);
}

void
vs_uses_flush(struct vs_uses_book *b)
{
	vs_uses_read_all(b, false);
	write_sums(b, true);
}

/* ---- hand-overs -------------------------------------------------------------------------- */

/* How many of this user's were recorded in this minute. NULL: no memory. */
static struct vs_uses_budget *
budget_of(struct vs_uses_book *b, uint32_t uid)
{
	for (size_t i = 0; i < b->n_budgets; i++)
		if (b->budgets[i].uid == uid)
			return &b->budgets[i];
	if (b->n_budgets == b->cap_budgets) {
		struct vs_uses_budget *more =
			realloc(b->budgets, (b->cap_budgets + 8) * sizeof *more);
		if (more == NULL)
			return NULL;
		b->budgets = more;
		b->cap_budgets += 8;
	}
	b->budgets[b->n_budgets] = (struct vs_uses_budget){.uid = uid};
	return &b->budgets[b->n_budgets++];
}

enum vs_uses_note
vs_uses_note(struct vs_uses_book *b, const struct vs_uses_who *w, uint32_t no)
{
	const struct vs_uses_page *p = vs_uses_page_find(b, w);
	if (p != NULL && vs_uses_page_has(p, no))
		return VS_USES_KNOWN;
	struct vs_uses_budget *budget = budget_of(b, w->who.uid);
	/* Counting is for a log that can be written: without a record there is no key. */
	if (budget == NULL || b->unwritten)
		return VS_USES_RECORD;
	if (budget->n >= VS_USES_HANDOVERS_MAX)
		return budget->written >= VS_USES_HANDOVERS_MAX ? VS_USES_COUNT : VS_USES_RECORD;
	return ++budget->n == VS_USES_HANDOVERS_MAX ? VS_USES_RECORD_LAST : VS_USES_RECORD;
}

void
vs_uses_recorded(struct vs_uses_book *b, uint32_t uid, bool written)
{
	struct vs_uses_budget *budget = budget_of(b, uid);
	if (budget == NULL)
		return;
	if (!written)
		budget->n -= budget->n > 0;
	else if (budget->written < budget->n)
		budget->written++; /* what began in the minute before is not of this one */
}

static size_t
pages_of(const struct vs_uses_book *b, uint32_t uid)
{
	size_t n = 0;
	for (const struct vs_uses_page *p = b->pages; p != NULL; p = p->next)
		n += p->uid == uid;
	return n;
}

static bool
too_many(const struct vs_uses_book *b, uint32_t uid)
{
	return b->n_pages >= VS_USES_PAGES_MAX ||
		(uid != 0 && uid != geteuid() && pages_of(b, uid) >= VS_USES_USER_PAGES_MAX);
}

static VS_RC
get_page(struct vs_uses_book *b, const struct vs_uses_who *w, struct vs_uses_page **ret,
	struct vs_err *err)
{
	*ret = vs_uses_page_find(b, w);
	if (*ret != NULL)
		return VS_OK;
	if (too_many(b, w->who.uid))
		vs_uses_read_all(b, true);
	if (too_many(b, w->who.uid))
		VS_FAIL(err, LIMIT, "user %u has too many processes with keys", w->who.uid);
	if (b->pages == NULL && b->n_sums == 0)
		b->since_unix = wall_now(b);
	return vs_uses_page_new(b, w, ret, err);
}

vs_rc
vs_uses_give(struct vs_uses_book *b, const struct vs_uses_who *w, uint32_t no,
	const struct vs_cat_entry *entry, bool counted, int *ret_fd, struct vs_err *err)
{
	struct vs_uses_page *p = NULL;
	VS_TRY(get_page(b, w, &p, err));
	const bool had = vs_uses_page_has(p, no);
	if (!had)
		VS_TRY(vs_uses_page_add(p, no, entry, err));
	*ret_fd = p->fd;
	rearm(b);
	if (!counted || had)
		return VS_OK;
	/* Just added: counted is said of keys that the process did not have. */
	const struct vs_use_sum one = sum_of(p, &p->keys[p->n_keys - 1]);
	struct vs_use_sum *s = get_sum(b, &one);
	if (s == NULL)
		VS_FAIL(err, LIMIT, "too much waits for the audit log");
	s->handovers++;
	return VS_OK;
}

/* ---- the rest ---------------------------------------------------------------------------- */

vs_rc
vs_uses_new(const struct vs_uses_env *env, struct vs_uses_book **ret, struct vs_err *err)
{
	struct vs_uses_book *b = calloc(1, sizeof *b);
	if (b == NULL)
		VS_FAIL(err, MEMORY, "out of memory");
	b->env = *env;
	b->timer = (struct vs_timer){.fn = on_minute, .arg = b};
	*ret = b;
	return VS_OK;
}

void
vs_uses_free(struct vs_uses_book *b)
{
	if (b == NULL)
		return;
	vs_timer_clear(&b->timer);
	vs_uses_drop_pages(b);
	free(b->sums);
	free(b->budgets);
	free(b);
}

void
vs_uses_peer_gone(struct vs_uses_book *b, const void *peer)
{
	for (struct vs_uses_page *p = b->pages; p != NULL; p = p->next)
		if (p->pid <= 0 && p->peer == peer)
			p->gone = true;
}

void
vs_uses_lease(struct vs_uses_book *b, uint64_t lease_serial)
{
	b->lease_serial = lease_serial;
}
