/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lab's Entra: identities, token endpoints, access tokens. Every credential is verified for
 * real; there is no way to a token but a secret, a signed assertion, or being the machine (IMDS).
 */
#ifndef LAB_LAB_ENTRA_H
#define LAB_LAB_ENTRA_H

#include <pthread.h>

#include "lab/lab.h"
#include "lab/lab_keygen.h"

struct x509_st;

enum lab_identity {
	LAB_ID_MACHINE = 0, /* user-assigned managed identity of the machine */
	LAB_ID_SECRET, /* application with a client secret */
	LAB_ID_CERTIFICATE, /* application with a client certificate */
	LAB_ID_FEDERATED, /* workload identity */
	LAB_IDENTITIES_COUNT_,
};

/* Challenges of the Azure Arc agent that were not answered yet; the oldest is forgotten. */
enum { LAB_ARC_PENDING = 8 };
struct lab_arc {
	pthread_mutex_t lock;
	unsigned next;
	char secret[LAB_ARC_PENDING][96];
	char path[LAB_ARC_PENDING][LAB_PATH_MAX];
};

struct lab_entra {
	struct evp_pkey_st *key; /* signs access tokens */
	char kid[48];
	char client_id[LAB_IDENTITIES_COUNT_][LAB_GUID_SIZE];
	char object_id[LAB_IDENTITIES_COUNT_][LAB_GUID_SIZE];
	char secret[48];
	struct evp_pkey_st *cert_key; /* of the client certificate */
	struct x509_st *cert;
	struct evp_pkey_st *federation_key; /* of the workload's own issuer */
	char federation_kid[20];
	struct lab_arc arc;
};

#define LAB_FEDERATION_AUDIENCE "api://AzureADTokenExchange"
#define LAB_FEDERATION_SUBJECT "system:serviceaccount:lab:workload"

VS_RC lab_entra_alloc(
	struct lab_entra **ret, struct lab_keygen_job jobs[4], size_t *n, struct vs_err *err);
/* Identities and D/secrets, when keys and origins are there. Errors: CRYPTO, FILE, MEMORY. */
VS_RC lab_entra_ready(struct lab *lab, struct vs_err *err);
void lab_entra_free(struct lab_entra *e);

/* An access token. seconds: lifetime, may be negative for one that has ended. Appends to out. */
VS_RC lab_entra_token(struct lab *lab, enum lab_identity who, const char *audience, int64_t seconds,
	struct vs_buf *out, struct vs_err *err);
/* The workload's token for token exchange, as a kubelet would put it into a file. */
VS_RC lab_entra_federated(struct lab *lab, struct vs_buf *out, struct vs_err *err);

lab_handler lab_entra_handle;
lab_handler lab_imds_handle;

/*
 * lab_arc.c: a request to the Azure Arc agent's endpoint. True: it proves that its sender can read
 * D/arc; otherwise resp is the challenge or a refusal.
 */
bool lab_arc_admit(struct lab *lab, const struct lab_req *req, struct lab_resp *resp);
/* How msi_res_id names the machine's identity. */
void lab_imds_resource_id(const struct lab *lab, char out[256]);
/* lab_imds_doc.c: the signed description of the machine. */
void lab_imds_attested(struct lab *lab, const struct lab_req *req, struct lab_resp *resp);

/* Resources that exist: vault, Managed HSM, attestation, token exchange. */
bool lab_entra_knows(const char *audience);

#endif
