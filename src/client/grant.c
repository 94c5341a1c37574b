/* SPDX-License-Identifier: BSD-2-Clause */
#include "client/grant.h"
#include "base/race.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

struct vs_grant {
	_Atomic unsigned refs;
	size_t token;
	uint8_t lease_id[VS_LEASE_ID_BYTES];
	const struct vs_page *page;
	struct vs_uses *_Atomic uses;
};

/* Neither writable by us, nor to be cut off under a reader. */
static VS_RC
check_seals(int fd, struct vs_err *err)
{
	const int wanted = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL | F_SEAL_FUTURE_WRITE;
	const int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;
	if (seals < 0 || (seals & wanted) != wanted)
		VS_FAIL(err, WIRE, "the lease page that came is not sealed");
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size != VS_PAGE_BYTES)
		VS_FAIL(err, WIRE, "the lease page that came has a wrong size");
	return VS_OK;
}

VS_RC
vs_grant_map(
	int fd, struct vs_bytes lease_id, size_t token, struct vs_grant **ret, struct vs_err *err)
{
	VS_REQUIRE(err, lease_id.n == VS_LEASE_ID_BYTES);
	VS_TRY(check_seals(fd, err));
	void *p = mmap(NULL, VS_PAGE_BYTES, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		VS_FAIL_N(err, MEMORY, errno, "the lease page cannot be mapped");
	const struct vs_page *page = p;
	struct vs_grant *g = NULL;
	vs_rc rc = VS_OK;
	if (page->magic != VS_PAGE_MAGIC || page->version != VS_PAGE_VERSION ||
		memcmp(page->lease_id, lease_id.p, VS_LEASE_ID_BYTES) != 0)
		rc = vs_err_put(err, VS_E_WIRE, __func__, __LINE__, 0,
			"the lease page that came is not the one of this lease");
	else if (!(g = calloc(1, sizeof *g)))
		rc = vs_err_put(err, VS_E_MEMORY, __func__, __LINE__, 0, "out of memory");
	if (vs_failed(rc)) {
		(void)munmap(p, VS_PAGE_BYTES);
		return rc;
	}
	atomic_init(&g->refs, 1);
	g->token = token;
	g->page = page;
	memcpy(g->lease_id, lease_id.p, VS_LEASE_ID_BYTES);
	*ret = g;
	return VS_OK;
}

struct vs_grant *
vs_grant_ref(struct vs_grant *g)
{
	if (g)
		atomic_fetch_add_explicit(&g->refs, 1, memory_order_relaxed);
	return g;
}

void
vs_grant_unref(struct vs_grant *g)
{
	if (!g || !VS_LAST_REF(g))
		return;
	union {
		const struct vs_page *page;
		void *p;
	} u = {.page = g->page};
	(void)munmap(u.p, VS_PAGE_BYTES);
	struct vs_uses *uses = atomic_load_explicit(&g->uses, memory_order_relaxed);
	if (uses)
		(void)munmap(uses, VS_USES_BYTES);
	free(g);
}

const struct vs_page *
vs_grant_page(const struct vs_grant *g)
{
	return g ? g->page : NULL;
}

VS_RC
vs_grant_count_in(struct vs_grant *g, int fd, struct vs_err *err)
{
	const int wanted = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	const int seals = fcntl(fd, F_GET_SEALS);
	struct vs_uses *none = NULL;
	struct stat st;
	if (vs_grant_uses(g))
		return VS_OK;
	if (seals < 0 || (seals & wanted) != wanted || fstat(fd, &st) != 0 ||
		!S_ISREG(st.st_mode) || st.st_size != VS_USES_BYTES)
		VS_FAIL(err, WIRE, "the counters that came are not sealed, or of a wrong size");
	void *p = mmap(NULL, VS_USES_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		VS_FAIL_N(err, MEMORY, errno, "the counters of uses cannot be mapped");
	if (!atomic_compare_exchange_strong(&g->uses, &none, p))
		(void)munmap(p, VS_USES_BYTES);
	return VS_OK;
}

struct vs_uses *
vs_grant_uses(const struct vs_grant *g)
{
	return atomic_load_explicit(&g->uses, memory_order_acquire);
}

size_t
vs_grant_token(const struct vs_grant *g)
{
	return g->token;
}

struct vs_bytes
vs_grant_lease_id(const struct vs_grant *g)
{
	return vs_bytes_of(g->lease_id, sizeof g->lease_id);
}
