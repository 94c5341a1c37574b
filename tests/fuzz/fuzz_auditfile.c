/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes as one or two files of the audit log: verified whole, and looked at from their end. The
 * first byte says whether the hashes are made to fit (bit 0), whether each record's prev is made
 * the hash before it (bit 1), and whether an empty line begins a second file (bit 2).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <openssl/sha.h>

#include "audit/internal.h"
#include "audit/verify.h"
#include "crypto/ossl.h"
#include "fuzz/fuzz.h"

enum { HASHES = 1, LINKS = 2, TWO_FILES = 4, HASH_MEMBER = 75, PREV_MEMBER = 74, HEX = 64 };

/* A library context is made for each verification, which takes longer than the verification. */
vs_rc __real_vs_ossl_new(struct vs_ossl **ret, struct vs_err *err);
vs_rc __wrap_vs_ossl_new(struct vs_ossl **ret, struct vs_err *err);

static int files[2] = {-1, -1};
static char paths[2][40];
static struct vs_ossl *ossl;

vs_rc
__wrap_vs_ossl_new(struct vs_ossl **ret, struct vs_err *err)
{
	if (ossl == NULL)
		VS_TRY(__real_vs_ossl_new(&ossl, err));
	*ret = vs_ossl_ref(ossl);
	return VS_OK;
}

/* Lines end like this: ,"prev":"<64>","hash":"<64>"} */
static void
seal_line(uint8_t *line, size_t n, unsigned how, char *before)
{
	unsigned char digest[SHA256_DIGEST_LENGTH];
	if (n < HASH_MEMBER + PREV_MEMBER)
		return;
	uint8_t *hash = line + n - HASH_MEMBER, *prev = hash - PREV_MEMBER;
	if (memcmp(hash, ",\"hash\":\"", 9) != 0 || memcmp(prev, ",\"prev\":\"", 9) != 0)
		return;
	if ((how & LINKS) != 0)
		memcpy(prev + 9, before, HEX);
	if ((how & HASHES) != 0) {
		/* What is hashed is the record without this member. */
		*hash = '}';
		(void)SHA256(line, n - HASH_MEMBER + 1, digest);
		*hash = ',';
		for (size_t i = 0; i < sizeof digest; i++) {
			hash[9 + 2 * i] = (uint8_t) "0123456789abcdef"[digest[i] >> 4];
			hash[10 + 2 * i] = (uint8_t) "0123456789abcdef"[digest[i] & 15];
		}
	}
	memcpy(before, hash + 9, HEX);
}

static void
seal(uint8_t *text, size_t n, unsigned how)
{
	char before[HEX];
	memset(before, '0', sizeof before);
	for (size_t at = 0; at < n;) {
		const uint8_t *end = memchr(text + at, '\n', n - at);
		const size_t len = end != NULL ? (size_t)(end - text) - at : n - at;
		if (len == 0)
			memset(before, '0', sizeof before);
		seal_line(text + at, len, how, before);
		at += len + 1;
	}
}

static void
put_file(size_t i, struct vs_bytes text)
{
	if (files[i] < 0) {
		files[i] = memfd_create("log", MFD_CLOEXEC);
		FUZZ_MUST(files[i] >= 0);
		(void)snprintf(paths[i], sizeof paths[i], "/proc/self/fd/%d", files[i]);
	}
	FUZZ_MUST(ftruncate(files[i], 0) == 0);
	FUZZ_MUST(text.n == 0 || pwrite(files[i], text.p, text.n, 0) == (ssize_t)text.n);
}

static void
look_at_end(struct vs_bytes text)
{
	struct vs_audit_tail tail = {0};
	if (vs_failed(vs_audit_read_tail(ossl, files[0], "log", &tail, NULL)))
		return;
	FUZZ_MUST(tail.size == (int64_t)text.n && tail.end <= tail.size);
	FUZZ_MUST(!tail.found || (tail.end > 0 && text.p[tail.end - 1] == '\n'));
	FUZZ_MUST(!tail.found || strlen(tail.link.hash) == HEX);
}

static void
verify(size_t n_files, struct vs_bytes text)
{
	const char *const both[] = {paths[0], paths[1]};
	struct vs_audit_report r = {0};
	FUZZ_MUST(!vs_failed(vs_audit_verify_files(both, n_files, NULL, &r, NULL)));
	FUZZ_MUST(memchr(r.reason, '\0', sizeof r.reason) != NULL);
	FUZZ_MUST(r.bad_file < n_files);
	if (!r.ok) {
		FUZZ_MUST(r.reason[0] != '\0' && r.bad_line != 0);
		return;
	}
	/* What is whole consists of lines that end, and each of them is a record. */
	size_t lines = 0;
	for (size_t i = 0; i < text.n; i++)
		lines += text.p[i] == '\n';
	FUZZ_MUST(n_files > 1 || r.n_records == lines);
	FUZZ_MUST(r.n_records == 0 || (r.last_seq >= r.first_seq && strlen(r.last_hash) == HEX));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	const size_t n = size - 1;
	size_t first = n, n_files = 1;
	uint8_t *text = malloc(n + 1);
	FUZZ_MUST(text != NULL);
	memcpy(text, data + 1, n);
	seal(text, n, data[0]);
	const uint8_t *gap = (data[0] & TWO_FILES) != 0 ? memmem(text, n, "\n\n", 2) : NULL;
	if (gap != NULL) {
		first = (size_t)(gap - text) + 1;
		put_file(1, vs_bytes_of(gap + 2, n - first - 1));
		n_files = 2;
	}
	put_file(0, vs_bytes_of(text, first));
	verify(n_files, vs_bytes_of(text, first));
	look_at_end(vs_bytes_of(text, first));
	free(text);
	return 0;
}
