/* SPDX-License-Identifier: BSD-2-Clause */
/* Linux's list of measured files (PCR 10), binary form, machine endian (little). Pure. */
#ifndef VS_EVIDENCE_IMA_H
#define VS_EVIDENCE_IMA_H

#include "crypto/hash.h"
#include "evidence/ev_cert.h"
#include "vouchsafe/provider.h"

enum {
	VS_IMA_MAX = 32 << 20,
	VS_IMA_ENTRIES_MAX = 1 << 20,
	VS_IMA_FIELDS_MAX = 16,
	VS_IMA_PCR = 10,
};

struct vs_ima_entry {
	uint32_t pcr;
	struct vs_bytes template_hash; /* SHA-1, as listed */
	struct vs_bytes name; /* "ima-ng", "ima-sig", "ima" ... */
	struct vs_bytes data; /* what the template hash is over */
	bool violation; /* listed as zeros, extended as ones */
};

/* The next entry; *ret_end at the end. Error: FORMAT. */
VS_RC vs_ima_next(struct vs_reader *r, struct vs_ima_entry *ret, bool *ret_end, struct vs_err *err);
/* SHA-1 of the data is the listed hash (never true of a violation). */
bool vs_ima_hash_fits(const struct vs_ima_entry *e);
/* A field of "ima-ng" and "ima-sig": 0 digest with its algorithm, 1 path, 2 signature. */
struct vs_bytes vs_ima_field(const struct vs_ima_entry *e, size_t i);

struct vs_ima_replay {
	size_t n_entries; /* all in the list */
	size_t n_covered; /* as many lead to the quoted value; 0 and !matched: none do */
	size_t n_violations; /* among the covered ones */
	size_t n_wrong; /* among the covered ones: hash is not that of the data */
	bool matched;
	uint8_t last[VS_HASH_MAX_BYTES]; /* value after the whole list */
};

/*
 * Does some beginning of the list lead to this value of PCR 10? The list goes on growing after the
 * quote, so the rest is not counted. quoted has the bank's size; empty: replay all.
 * Entries extend the SHA-1 bank with the listed hash; other banks with the hash of the data, or
 * (old kernels) with the SHA-1 and zeros: both are tried. Errors: FORMAT, LIMIT, CRYPTO.
 */
VS_RC vs_ima_replay(struct vs_bytes list, enum vs_hash bank, struct vs_bytes quoted,
	struct vs_ima_replay *ret, struct vs_err *err);
/* The same with the bank's hash of the value, which is what a quote of PCR 10 alone holds. */
VS_RC vs_ima_replay_digest(struct vs_bytes list, enum vs_hash bank, struct vs_bytes digest,
	struct vs_ima_replay *ret, struct vs_err *err);

/* Whose signatures of files count. The dates of the certificates are not asked, as in the kernel.
 */
struct vs_ima_keys {
	const struct vs_ev_certs *certs;
	unsigned min_rsa_bits; /* 0: 2048 */
};

struct vs_ima_files {
	size_t n_files, n_signed, n_unsigned, n_bad; /* n_files is the sum of the others */
	size_t n_other; /* the kernel's own first entry */
	char first[96]; /* of those that are not signed well: path, quoted */
};

/*
 * The signatures of the first n_covered entries, over the file hashes in them. What counts: a
 * signature of version 2 in "ima-sig", "ima-sigv2" or "ima-modsig", SHA-256 or longer, by a key
 * whose identifier ends with the four bytes that it names. The first entry may be the kernel's
 * "boot_aggregate", which is no file; whatever else is no file ("ima-buf") counts as not signed,
 * because nothing vouches for an entry's kind. Errors: FORMAT, LIMIT.
 */
VS_RC vs_ima_check_files(struct vs_bytes list, size_t n_covered, const struct vs_ima_keys *keys,
	struct vs_ima_files *ret, struct vs_err *err);

#endif
