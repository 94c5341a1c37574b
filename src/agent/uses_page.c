/* SPDX-License-Identifier: BSD-2-Clause */
/* The counters of one process and lease. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/uses_impl.h"

static void
page_free(struct vs_uses_page *p)
{
	if (p->fd >= 0)
		(void)close(p->fd);
	if (p->pid_fd >= 0)
		(void)close(p->pid_fd);
	free(p->keys);
	free(p);
}

/* Neither side can take memory away under the other. */
static VS_RC
make_counters(struct vs_uses_page *p, struct vs_err *err)
{
	p->fd = memfd_create("vouchsafe-uses", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (p->fd < 0 || ftruncate(p->fd, VS_USES_BYTES) != 0)
		VS_FAIL_N(
			err, MEMORY, errno, "counters of uses cannot be made: %s", strerror(errno));
	if (fcntl(p->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
		VS_FAIL_N(err, MEMORY, errno, "counters of uses cannot be sealed: %s",
			strerror(errno));
	return VS_OK;
}

vs_rc
vs_uses_page_new(struct vs_uses_book *b, const struct vs_uses_who *w, struct vs_uses_page **ret,
	struct vs_err *err)
{
	struct vs_uses_page *p = calloc(1, sizeof *p);

	if (p == NULL)
		VS_FAIL(err, MEMORY, "out of memory");
	*p = (struct vs_uses_page){.uid = w->who.uid,
		.pid = w->who.pid,
		.peer = w->who.pid > 0 ? NULL : w->peer,
		.fd = -1,
		.pid_fd = w->pid_fd >= 0 ? fcntl(w->pid_fd, F_DUPFD_CLOEXEC, 3) : -1,
		.lease_serial = w->lease_serial};
	(void)memcpy(p->lease_hex, w->lease_hex, sizeof p->lease_hex);
	const vs_rc rc = make_counters(p, err);
	if (vs_failed(rc)) {
		page_free(p);
		return rc;
	}
	p->next = b->pages;
	b->pages = p;
	b->n_pages++;
	*ret = p;
	return VS_OK;
}

struct vs_uses_page *
vs_uses_page_find(const struct vs_uses_book *b, const struct vs_uses_who *w)
{
	for (struct vs_uses_page *p = b->pages; p != NULL; p = p->next)
		if (p->lease_serial == w->lease_serial && p->uid == w->who.uid &&
			p->pid == w->who.pid && !p->gone && (p->pid > 0 || p->peer == w->peer))
			return p;
	return NULL;
}

bool
vs_uses_page_has(const struct vs_uses_page *p, uint32_t no)
{
	for (size_t i = 0; i < p->n_keys; i++)
		if (p->keys[i].no == no)
			return true;
	return false;
}

vs_rc
vs_uses_page_add(
	struct vs_uses_page *p, uint32_t no, const struct vs_cat_entry *entry, struct vs_err *err)
{
	VS_REQUIRE(err, no < VS_USES_KEYS_MAX && p->n_keys < VS_USES_KEYS_MAX);
	struct vs_uses_key *keys = realloc(p->keys, (p->n_keys + 1) * sizeof *keys);
	if (keys == NULL)
		VS_FAIL(err, MEMORY, "out of memory");
	p->keys = keys;
	struct vs_uses_key *k = &p->keys[p->n_keys++];
	*k = (struct vs_uses_key){.no = no};
	vs_use_name(&k->name, entry);
	return VS_OK;
}

/* The process has ended; the memory it counted in has not. */
static bool
is_dead(const struct vs_uses_page *p)
{
	struct pollfd at = {.fd = p->pid_fd, .events = POLLIN};

	if (p->gone)
		return true;
	if (p->pid_fd >= 0)
		return poll(&at, 1, 0) > 0;
	return p->pid > 0 && kill(p->pid, 0) != 0 && errno == ESRCH;
}

/*
 * What was added since. A process can write what it likes into its own counters: one that goes back
 * is told as such and counts for nothing. Mapped only while they are read, so that thousands of
 * processes do not add up to memory of the agent; without room for it the next reading sees all.
 */
static bool
read_page(struct vs_uses_book *b, struct vs_uses_page *p)
{
	void *m = mmap(NULL, VS_USES_BYTES, PROT_READ, MAP_SHARED, p->fd, 0);

	if (m == MAP_FAILED)
		return false;
	for (size_t i = 0; i < p->n_keys; i++) {
		struct vs_uses_key *k = &p->keys[i];
		const uint64_t now = vs_uses_sum(m, k->no);
		const uint64_t more = now - k->seen;
		if (more == 0)
			continue;
		k->seen = now;
		vs_uses_add_sum(b, p, k, more > INT64_MAX ? 0 : more, more > INT64_MAX);
	}
	(void)munmap(m, VS_USES_BYTES);
	return true;
}

void
vs_uses_read_all(struct vs_uses_book *b, bool dead_only)
{
	for (struct vs_uses_page **at = &b->pages; *at != NULL;) {
		struct vs_uses_page *p = *at;
		/* Before reading: what it counts after that is seen the next time. */
		const bool dead = is_dead(p);
		const bool read = (dead || !dead_only) && read_page(b, p);
		const bool over = p->ended && !dead_only;
		p->ended = p->lease_serial != b->lease_serial;
		if (!read || (!dead && !over)) {
			at = &p->next;
			continue;
		}
		*at = p->next;
		b->n_pages--;
		page_free(p);
	}
}

void
vs_uses_drop_pages(struct vs_uses_book *b)
{
	while (b->pages != NULL) {
		struct vs_uses_page *p = b->pages;
		b->pages = p->next;
		page_free(p);
	}
	b->n_pages = 0;
}
