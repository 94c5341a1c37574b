/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Preloaded into whatever writes the audit log: counts what waits for the disk on its behalf, in
 * the file that VS_SYNCS names. Only for measuring.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static _Atomic uint64_t *
counter(void)
{
	static _Atomic(void *) where;
	void *p = atomic_load(&where);
	const char *path = getenv("VS_SYNCS");
	if (p != NULL || path == NULL)
		return p;
	const int fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	p = mmap(NULL, sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	(void)close(fd);
	if (p == MAP_FAILED)
		return NULL;
	atomic_store(&where, p);
	return p;
}

/* Of the log itself, and of what is noted beside it for its sake. */
static void
count(int fd)
{
	char link[64], path[4096];
	(void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	const ssize_t n = readlink(link, path, sizeof path - 1);
	_Atomic uint64_t *c = counter();
	if (n <= 0 || c == NULL)
		return;
	path[n] = '\0';
	if (strstr(path, "/audit.log") != NULL || strstr(path, "/audit-checkpoint") != NULL)
		atomic_fetch_add(c, 1);
}

__attribute__((visibility("default"))) int fsync(int fd);
__attribute__((visibility("default"))) int fdatasync(int fd);

int
fsync(int fd)
{
	int (*real)(int) = NULL;
	*(void **)&real = dlsym(RTLD_NEXT, "fsync");
	count(fd);
	return real(fd);
}

int
fdatasync(int fd)
{
	int (*real)(int) = NULL;
	*(void **)&real = dlsym(RTLD_NEXT, "fdatasync");
	count(fd);
	return real(fd);
}
