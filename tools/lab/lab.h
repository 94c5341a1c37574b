/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One emulated cloud beside one emulated machine. Loopback only; every key and certificate is made
 * for this lab, and its names say LAB (T-L1). Nothing here may be linked into module, agent or CLI,
 * and what the lab verifies it verifies with code of its own (T-L2).
 *
 * Layout of the lab's directory D (0700):
 *   lab.json         identifier, process, origins of the services; who reads it finds the lab
 *   ctl.sock         control socket of the running lab
 *   env              shell file with the variables of the lab
 *   vouchsafe.conf   mode = lab; tokens lab-vault and lab-hsm
 *   policy.json      default release policy, of the vaults and of the machine
 *   ca.pem           lab root and issuing certificate
 *   certs/           NAME.pem, certificates of keys
 *   state/           state-dir of the agent
 *   secrets/         client secret's certificate file, federated token
 *   eventlog.bin, tpm.sock, tpm.sock.ctrl, machine/    the emulated machine's (lab_machine.c)
 */
#ifndef LAB_LAB_H
#define LAB_LAB_H

#include <stdint.h>

#include "base/buf.h"
#include "lab/lab_http.h"
#include "vouchsafe/err.h"

enum lab_service {
	LAB_IMDS = 0,
	LAB_ENTRA,
	LAB_MAA,
	LAB_VAULT,
	LAB_MHSM,
	LAB_MAA_SHARED, /* other providers of the same region */
	LAB_MAA_ISOLATED,
	LAB_SERVICES_COUNT_,
};

/* "imds", "entra", "maa", "vault", "mhsm", "maa-shared", "maa-isolated"; LAB_SERVICES_COUNT_ when the name is not known. */
const char *lab_service_name(enum lab_service s);
enum lab_service lab_service_parse(const char *name);

enum { LAB_PATH_MAX = 256, LAB_URL_MAX = 64, LAB_GUID_SIZE = 37 };

struct lab_pki; /* lab_pki.h */
struct lab_faults; /* lab_fault.h */
struct lab_entra; /* lab_entra.h */
struct lab_vault; /* lab_vault.h */
struct lab_machine; /* lab_machine.h */
struct lab_maa; /* lab_maa.h */
struct lab_ctl; /* lab_ctl.h */

struct lab {
	char dir[LAB_PATH_MAX]; /* D, absolute */
	char id[13]; /* 12 hex digits, in every LAB name */
	char url[LAB_SERVICES_COUNT_][LAB_URL_MAX]; /* origins without trailing slash */
	char tenant_id[LAB_GUID_SIZE];
	char subscription_id[LAB_GUID_SIZE];
	char vm_id[LAB_GUID_SIZE];
	int64_t clock_offset_s; /* atomic; `tamper clock` */
	int log_fd; /* of lab_say; -1: silent */
	bool vm; /* the machine is a real one that brings firmware and kernel (`up --vm`) */
	struct lab_pki *pki;
	struct lab_faults *faults;
	struct lab_entra *entra;
	struct lab_vault *vault, *mhsm;
	struct lab_machine *machine;
	struct lab_maa *maa;
	struct lab_server *server[LAB_SERVICES_COUNT_];
	struct ssl_ctx_st *tls[LAB_SERVICES_COUNT_]; /* NULL for IMDS */
	struct lab_ctl *ctl; /* lab_ctl.h */
	unsigned char own_ports[65536 / 8]; /* atomic; source ports of the lab's own requests */
};

/* The clock of the lab's services, Unix seconds: wall clock and what `tamper clock` added. */
int64_t lab_now(const struct lab *lab);
/* D/name into out; LIMIT when it does not fit. */
VS_RC lab_path(const struct lab *lab, const char *name, char out[LAB_PATH_MAX], struct vs_err *err);
VS_RC lab_random(void *out, size_t n, struct vs_err *err);
/* A random version 4 GUID, lower case. */
VS_RC lab_guid(char out[LAB_GUID_SIZE], struct vs_err *err);
/* One line on the lab's log (D/lab.log when in the background), never a secret. */
__attribute__((format(printf, 2, 3))) void lab_say(const struct lab *lab, const char *fmt, ...);

/*
 * Whether a request carries a living access token of the lab's Entra for this audience (with or
 * without trailing slash). On refusal why gets a short sentence ("missing", "expired", ...).
 */
bool lab_access_ok(struct lab *lab, const struct lab_req *req, const char *audience, char *why,
	size_t why_size);

/*
 * What the services ask of the emulated machine and of its attestation service; both are started
 * before the first request and stopped after the last:
 *
 *   lab_machine.h
 *     VS_RC lab_machine_start(struct lab *, struct lab_machine **ret, struct vs_err *);
 *     void lab_machine_stop(struct lab_machine *);
 *     const char *lab_machine_tcti(const struct lab_machine *);
 *     VS_RC lab_machine_thim(struct lab_machine *, struct vs_buf *json, struct vs_err *);
 *     VS_RC lab_machine_tamper(struct lab_machine *, char *const *words, struct vs_buf *said,
 *         struct vs_err *);   words: kind and its arguments, or "undo"; NULL-terminated
 *   lab_maa.h
 *     VS_RC lab_maa_new(struct lab *, struct lab_maa **ret, struct vs_err *);
 *     void lab_maa_free(struct lab_maa *);
 *     lab_handler lab_maa_handle;
 *     VS_RC lab_maa_token(struct lab_maa *, bool expired, bool software_key, struct vs_buf *out,
 *         struct vs_err *);
 */

#endif
