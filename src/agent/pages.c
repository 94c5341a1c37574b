/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/pages.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

struct vs_lease_page {
	int fd;
	struct vs_page *page;
};

static VS_RC
map_and_seal(struct vs_lease_page *p, struct vs_err *err)
{
	p->fd = memfd_create("vouchsafe-lease", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (p->fd < 0 || ftruncate(p->fd, VS_PAGE_BYTES) != 0)
		VS_FAIL_N(err, MEMORY, errno, "a lease page cannot be made: %s", strerror(errno));
	void *m = mmap(NULL, VS_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, p->fd, 0);
	if (m == MAP_FAILED)
		VS_FAIL_N(err, MEMORY, errno, "a lease page cannot be mapped: %s", strerror(errno));
	p->page = m;
	/* After this only our own mapping can write, and nobody can change size or seals. */
	if (fcntl(p->fd, F_ADD_SEALS,
		    F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) != 0)
		VS_FAIL_N(err, MEMORY, errno, "a lease page cannot be sealed: %s", strerror(errno));
	return VS_OK;
}

static void
page_cleanup(struct vs_lease_page **p)
{
	vs_lease_page_free(*p);
}

VS_RC
vs_lease_page_new(const uint8_t lease_id[VS_LEASE_ID_BYTES], int64_t valid_boot_ns,
	int64_t end_boot_ns, struct vs_lease_page **ret, struct vs_err *err)
{
	VS_CLEANUP(page_cleanup) struct vs_lease_page *p = calloc(1, sizeof *p);
	if (!p)
		VS_FAIL(err, MEMORY, "out of memory");
	p->fd = -1;
	VS_TRY(map_and_seal(p, err));
	p->page->magic = VS_PAGE_MAGIC;
	p->page->version = VS_PAGE_VERSION;
	p->page->n_keys = VS_PAGE_KEYS_MAX;
	memcpy(p->page->lease_id, lease_id, VS_LEASE_ID_BYTES);
	atomic_store_explicit(&p->page->grace_until_boot_ns, end_boot_ns, memory_order_relaxed);
	atomic_store_explicit(&p->page->valid_until_boot_ns, valid_boot_ns, memory_order_release);
	atomic_store_explicit(&p->page->state, VS_PAGE_LIVE, memory_order_release);
	*ret = VS_TAKE(p);
	return VS_OK;
}

void
vs_lease_page_free(struct vs_lease_page *p)
{
	if (!p)
		return;
	if (p->page)
		(void)munmap(p->page, VS_PAGE_BYTES);
	if (p->fd >= 0)
		(void)close(p->fd);
	free(p);
}

int
vs_lease_page_fd(const struct vs_lease_page *p)
{
	return p->fd;
}

const struct vs_page *
vs_lease_page_view(const struct vs_lease_page *p)
{
	return p->page;
}

void
vs_lease_page_extend(struct vs_lease_page *p, int64_t valid_boot_ns, int64_t end_boot_ns)
{
	if (end_boot_ns > atomic_load_explicit(&p->page->grace_until_boot_ns, memory_order_relaxed))
		atomic_store_explicit(
			&p->page->grace_until_boot_ns, end_boot_ns, memory_order_release);
	if (valid_boot_ns >
		atomic_load_explicit(&p->page->valid_until_boot_ns, memory_order_relaxed))
		atomic_store_explicit(
			&p->page->valid_until_boot_ns, valid_boot_ns, memory_order_release);
}

void
vs_lease_page_revoke(struct vs_lease_page *p, enum vs_code reason)
{
	atomic_store_explicit(&p->page->reason, (uint32_t)reason, memory_order_release);
	atomic_store_explicit(&p->page->state, VS_PAGE_REVOKED, memory_order_release);
}

void
vs_lease_page_end(struct vs_lease_page *p)
{
	atomic_store_explicit(&p->page->reason, VS_E_LEASE_ENDED, memory_order_release);
	atomic_store_explicit(&p->page->state, VS_PAGE_ENDED, memory_order_release);
}

void
vs_lease_page_key(struct vs_lease_page *p, uint32_t no, enum vs_page_key state)
{
	if (no < VS_PAGE_KEYS_MAX)
		atomic_store_explicit(&p->page->key[no], (uint8_t)state, memory_order_release);
}
