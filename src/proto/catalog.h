/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the agent says of a token's public data, ready for use: no JSON, no DER to walk. All views
 * point into one block that the catalog owns; it is immutable once made.
 */
#ifndef VS_PROTO_CATALOG_H
#define VS_PROTO_CATALOG_H

#include "base/buf.h"
#include "base/keytype.h"

/* Permitted operations of a key, from the service's key_ops. */
enum vs_key_ops {
	VS_KOP_SIGN = 1 << 0,
	VS_KOP_VERIFY = 1 << 1,
	VS_KOP_ENCRYPT = 1 << 2,
	VS_KOP_DECRYPT = 1 << 3,
	VS_KOP_WRAP = 1 << 4,
	VS_KOP_UNWRAP = 1 << 5,
	VS_KOP_DERIVE = 1 << 6,
};

struct vs_cat_entry {
	struct vs_bytes name; /* the key's name, UTF-8: CKA_LABEL */
	struct vs_bytes version; /* 32 hex digits */
	struct vs_bytes kid; /* full identifier, https://host/keys/name/version */
	struct vs_bytes id; /* CKA_ID: 20 bytes, from the public key or the identity */
	enum vs_key_type type;
	enum vs_curve curve; /* EC only */
	uint32_t bits; /* RSA modulus, EC field, AES (0: not known before release) */
	uint32_t ops; /* enum vs_key_ops */
	bool enabled;
	struct vs_bytes n, e; /* RSA, big endian, no leading zeros */
	struct vs_bytes x, y; /* EC, fixed field length */
	/* Certificate, if one is configured or stored under the same name; all empty otherwise. */
	struct vs_bytes cert; /* DER */
	struct vs_bytes cert_subject, cert_issuer; /* DER Names */
	struct vs_bytes cert_serial; /* DER INTEGER */
	struct vs_bytes spki; /* DER SubjectPublicKeyInfo of the key (asymmetric) */
};

struct vs_catalog_data {
	uint64_t generation; /* changes whenever the contents do; never 0 */
	size_t n;
	struct vs_cat_entry *entries;
	struct vs_buf block; /* what the views point into */
};
void vs_catalog_data_free(struct vs_catalog_data *c);

enum { VS_CATALOG_ENTRIES_MAX = 20000, VS_CATALOG_BYTES_MAX = 32 << 20 };

/*
 * The catalog as one block of bytes, for the socket and the agent's cache file. Appends to out,
 * whose maximum should be VS_CATALOG_BYTES_MAX. Error: FORMAT for an entry that has a field longer
 * than decode takes; LIMIT, MEMORY.
 */
VS_RC vs_catalog_encode(const struct vs_catalog_data *c, struct vs_buf *out, struct vs_err *err);
/* Takes the bytes over into the catalog (in is empty afterwards). Error: FORMAT, LIMIT, MEMORY. */
VS_RC vs_catalog_decode(struct vs_buf *in, struct vs_catalog_data **ret, struct vs_err *err);

#endif
