/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The cryptography of evidence verification in one place: the only file of this folder that calls
 * libcrypto. A private library context, made once; no configuration file is read.
 */
#ifndef VS_EVIDENCE_EV_CRYPTO_H
#define VS_EVIDENCE_EV_CRYPTO_H

#include "base/buf.h"
#include "crypto/hash.h"

/* Hash of the parts, one after the other; out has vs_ev_hash_size(h) bytes. Error: CRYPTO. */
VS_RC vs_ev_hash(enum vs_hash h, const struct vs_bytes *parts, size_t n_parts, uint8_t *out,
	struct vs_err *err);
VS_RC vs_ev_sha256(struct vs_bytes in, uint8_t ret[32], struct vs_err *err);
/* SHA-1, SHA-256, SHA-384, SHA-512; 0 for others. */
size_t vs_ev_hash_size(enum vs_hash h);

#endif
