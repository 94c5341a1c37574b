/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every byte of something genuine, changed in one bit, to 00 and to FF: refused, or on a written
 * list of bytes that no check covers. VS_BYTES=all tries all of them and wants the list exact both
 * ways: a byte that is covered now and still stands there is as wrong as one that is not covered
 * and does not. VS_BYTES=write prints the list as it is instead. Without VS_BYTES some bytes of
 * each part are tried, chosen by VS_SEED or by chance, and each of them must be as the list says.
 *
 * The list: "part from-to at from-to ...", offsets from 0, both included; a part may have several
 * lines; # begins a line that says why. A range behind ~ is of bytes from which nothing is taken
 * and which may do either: whether a copy of a certificate can still be read is up to libcrypto.
 */
#ifndef TESTS_EVIDENCE_BYTES_H
#define TESTS_EVIDENCE_BYTES_H

#include <stdbool.h>
#include <stddef.h>

/* Is what has the changed byte in it still accepted, or as much of it as was before? */
typedef bool bytes_accepts_fn(void *arg);

/* list: below tests/evidence; NULL: every byte is covered. Says which seed it is. */
void bytes_open(const char *list);
/* Try n bytes at p. sample: how many without VS_BYTES. The part is accepted as it is, before and
 * after. */
void bytes_part(
	const char *part, void *p, size_t n, size_t sample, bytes_accepts_fn *accepts, void *arg);
/* Where the list says that no check covers a byte of a part of n bytes; free it. */
bool *bytes_listed(const char *part, size_t n);
/* Fails the test where the list has a part that was not tried, or fewer changes were than this. */
void bytes_close(size_t at_least, size_t at_least_sampled);
bool bytes_all(void);
/* From 0 to limit - 1, by the seed. */
size_t bytes_random(size_t limit);

#endif
