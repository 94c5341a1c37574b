/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A Key Vault (Premium) and a Managed HSM, each as its own recordings show it: two flavours of one
 * store. Keys are made here or imported, and leave by release only.
 */
#ifndef LAB_LAB_VAULT_H
#define LAB_LAB_VAULT_H

#include <pthread.h>

#include "lab/lab.h"
#include "lab/lab_keygen.h"

struct evp_pkey_st;
struct json_t;
struct x509_st;

/* How a private key is written when it is released; all three were seen. */
enum lab_pkcs8 {
	LAB_PKCS8_AUTO = 0, /* as the recordings: by flavour and curve */
	LAB_PKCS8_NAMED, /* named curve, no public key */
	LAB_PKCS8_PUBLIC, /* named curve with public key */
	LAB_PKCS8_EXPLICIT, /* explicit curve parameters, no public key */
};

/* One version of a key. Owned by the vault, reached under its lock. */
struct lab_version {
	char id[33];
	enum lab_key_type type;
	struct evp_pkey_st *pkey; /* NULL for oct */
	uint8_t oct[64];
	size_t n_oct;
	bool enabled;
	int64_t created, updated, nbf, exp; /* nbf, exp: 0 is none */
	struct json_t *key_ops; /* array, in this flavour's order */
	struct json_t *tags; /* object or NULL */
	struct x509_st *cert; /* of `certificate issue`, or NULL */
};

struct lab_key {
	char name[128];
	bool software; /* vault only: kty without -HSM */
	bool exportable;
	struct json_t *policy; /* normalised, or NULL */
	bool immutable;
	struct json_t *rotation; /* policy as shown, or NULL: the default */
	enum lab_pkcs8 pkcs8;
	int64_t deleted; /* 0: no */
	unsigned hidden_polls; /* /deletedkeys is 404 so many times more */
	size_t n_versions;
	struct lab_version **versions; /* the newest is the last */
};

enum { LAB_THROTTLE_WINDOW_S = 10, LAB_THROTTLE_MAX = 10 };

struct lab_vault {
	struct lab *lab;
	int service; /* LAB_VAULT or LAB_MHSM */
	bool mhsm;
	const char *audience;
	uint8_t backup_key[32];
	pthread_mutex_t lock;
	size_t n_keys, cap_keys;
	struct lab_key **keys; /* sorted by name */
	bool throttle; /* count create and release */
	size_t n_recent;
	int64_t recent_ns[LAB_THROTTLE_MAX]; /* boot clock */
};

VS_RC lab_vault_new(struct lab *lab, int service, struct lab_vault **ret, struct vs_err *err);
void lab_vault_free(struct lab_vault *v);

/* Server entry points, for both services. */
lab_handler lab_vault_handle;
lab_before lab_vault_before;

/* ---- lab_keys.c: the store; all with v->lock held ------------------------------------------- */

/* Key of this name (without case), deleted ones included, or NULL. */
struct lab_key *lab_key_find(const struct lab_vault *v, const char *name);
/* version NULL or "": the current one. NULL when there is none. */
struct lab_version *lab_key_version(const struct lab_key *k, const char *version);

struct lab_new_key {
	const char *name;
	enum lab_key_type type;
	bool software, exportable, immutable, enabled;
	int64_t nbf, exp;
	struct json_t *policy; /* borrowed */
	struct json_t *key_ops; /* borrowed; NULL: the flavour's default */
	struct json_t *tags; /* borrowed or NULL */
	enum lab_pkcs8 pkcs8;
	struct evp_pkey_st *pkey; /* taken on success; made by the caller, outside the lock */
	const uint8_t *oct;
	size_t n_oct;
};
/* Add a key, or a version to one. Errors: LIMIT, MEMORY. */
VS_RC lab_key_add(struct lab_vault *v, const struct lab_new_key *spec, struct lab_version **ret,
	struct vs_err *err);
void lab_key_remove(struct lab_vault *v, struct lab_key *k);

/* KeyBundle in the flavour's shape; in_jws: as inside a release answer. New reference. */
struct json_t *lab_key_bundle(const struct lab_vault *v, const struct lab_key *k,
	const struct lab_version *version, bool in_jws);
struct json_t *lab_key_item(const struct lab_vault *v, const struct lab_key *k,
	const struct lab_version *version, bool versioned);
/* What a released key's clear text is: PKCS#8 or raw octets. Wipe it. Error: CRYPTO. */
VS_RC lab_key_clear_text(const struct lab_vault *v, const struct lab_key *k,
	const struct lab_version *version, struct vs_buf *out, struct vs_err *err);

/* ---- lab_create.c, lab_release.c, lab_list.c, lab_certs.c, lab_vault_crypt.c, lab_vault_extra.c:
 * operations; they take the lock ------- */

void lab_vault_create(
	struct lab_vault *v, const struct lab_req *req, const char *name, struct lab_resp *resp);
void lab_vault_import(
	struct lab_vault *v, const struct lab_req *req, const char *name, struct lab_resp *resp);
void lab_vault_update(struct lab_vault *v, const struct lab_req *req, const char *name,
	const char *version, struct lab_resp *resp);
/* counted: the service's limits apply. */
void lab_vault_rotate(struct lab_vault *v, const char *name, bool counted, struct lab_resp *resp);
void lab_vault_release(struct lab_vault *v, const struct lab_req *req, const char *name,
	const char *version, struct lab_resp *resp);
void lab_vault_list(struct lab_vault *v, const struct lab_req *req, struct lab_resp *resp);
void lab_vault_versions(
	struct lab_vault *v, const struct lab_req *req, const char *name, struct lab_resp *resp);
void lab_vault_certificates(struct lab_vault *v, const struct lab_req *req, struct lab_resp *resp);

/* False: there is no such operation. */
bool lab_vault_crypt(struct lab_vault *v, const struct lab_req *req, const char *name,
	const char *version, const char *operation, struct lab_resp *resp);
void lab_vault_backup(struct lab_vault *v, const char *name, struct lab_resp *resp);
void lab_vault_restore(struct lab_vault *v, const struct lab_req *req, struct lab_resp *resp);
void lab_vault_rotation_policy(
	struct lab_vault *v, const struct lab_req *req, const char *name, struct lab_resp *resp);
void lab_vault_random(struct lab_vault *v, const struct lab_req *req, struct lab_resp *resp);
void lab_vault_attestation(struct lab_vault *v, const struct lab_req *req, const char *name,
	const char *version, struct lab_resp *resp);

/* ---- lab_vault.c: shared answers ------------------------------------------------------------ */

/*
 * An error in the flavour's words: code "AKV.SKR.1004" or NULL goes in front for the vault, and
 * "(Activity ID: ...)" behind for Managed HSM.
 */
void lab_vault_refuse(struct lab_vault *v, struct lab_resp *resp, int status, const char *code,
	const char *skr, const char *message, const char *inner);
void lab_vault_not_found(struct lab_vault *v, struct lab_resp *resp, const char *name);
/* Whether one more create or release of an HSM key is allowed now; else resp is the 429. */
bool lab_vault_admit(struct lab_vault *v, struct lab_resp *resp);
/* The JSON body as an object, or NULL and resp is the 400. New reference. */
struct json_t *
lab_vault_body(struct lab_vault *v, const struct lab_req *req, struct lab_resp *resp);
/* An answer in the flavour's member order; takes the reference. */
void lab_vault_answer(struct lab_vault *v, struct lab_resp *resp, int status, struct json_t *json);
const char *lab_vault_url(const struct lab_vault *v);

#endif
