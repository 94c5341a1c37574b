/* SPDX-License-Identifier: BSD-2-Clause */
/* What writing and verifying a bundle share. */
#ifndef VS_CORE_BUNDLE_IMPL_H
#define VS_CORE_BUNDLE_IMPL_H

#include "core/bundle.h"

enum { VS_BUNDLE_PATH_BYTES = 1200, VS_BUNDLE_HEX = 65, VS_NV_NAME_BYTES = 34 };

struct vs_bundle_file {
	char name[32]; /* 0001.log */
	char sha256[VS_BUNDLE_HEX];
};

/* The manifest's lines, in their order. */
struct vs_bundle_manifest {
	char made[40], host[80];
	bool lab;
	char log_id[33]; /* of the last file */
	uint64_t records, last_seq;
	char last_hash[VS_BUNDLE_HEX];
	uint32_t nv;
	uint64_t counter;
	size_t n;
	struct vs_bundle_file *files; /* VS_BUNDLE_FILES_MAX */
};

VS_RC
vs_bundle_manifest_put(const struct vs_bundle_manifest *m, struct vs_buf *out, struct vs_err *err);
/* Exactly what _put makes. Error: FORMAT. files is the caller's. */
VS_RC
vs_bundle_manifest_get(struct vs_bytes text, struct vs_bundle_manifest *m, struct vs_err *err);

/* DIR/NAME. Error: FILE (too long). */
VS_RC vs_bundle_path(
	const char *dir, const char *name, char out[VS_BUNDLE_PATH_BYTES], struct vs_err *err);
VS_RC vs_bundle_hash_file(const char *path, char ret[VS_BUNDLE_HEX], struct vs_err *err);

/* SubjectPublicKeyInfo of an RSA key as PEM, and back; only 2048 to 4096 bits and 65537. */
VS_RC
vs_bundle_key_put(struct vs_bytes n, struct vs_buf *der, struct vs_buf *pem, struct vs_err *err);
VS_RC
vs_bundle_key_get(struct vs_bytes pem, struct vs_buf *n, struct vs_buf *der, struct vs_err *err);
/* What is between BEGIN and END, decoded, appended; false: there is no such block. */
VS_RC vs_bundle_pem_get(struct vs_bytes pem, const char *label, bool *ret_found, struct vs_buf *der,
	struct vs_err *err);
VS_RC
vs_bundle_pem_put(struct vs_bytes der, const char *label, struct vs_buf *out, struct vs_err *err);

/* The TPM's statement about a counter. */
struct vs_bundle_statement {
	struct vs_bytes extra; /* what it was asked to carry */
	uint64_t clock_ms;
	uint32_t resets, restarts;
	struct vs_bytes name; /* of the NV index */
	uint64_t counter;
};
VS_RC vs_bundle_statement_get(
	struct vs_bytes attest, struct vs_bundle_statement *ret, struct vs_err *err);
/* Name of a counter as this program defines it: another kind of index has another one. */
VS_RC vs_bundle_nv_name(uint32_t nv, uint8_t ret[VS_NV_NAME_BYTES], struct vs_err *err);

extern const char vs_bundle_readme[];

#endif
