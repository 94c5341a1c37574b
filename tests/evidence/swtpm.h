/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A real swtpm, provisioned like the vTPM of an Azure confidential VM, with a small paravisor in
 * front: a thread that forwards commands and renews NV 0x01400001 when the guest reads it after
 * writing 0x01400002.
 */
#ifndef TESTS_EVIDENCE_SWTPM_H
#define TESTS_EVIDENCE_SWTPM_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "base/buf.h"

struct swtpm {
	char dir[64];
	char direct[96]; /* TCTI string of the swtpm itself */
	char front[96]; /* TCTI string through the paravisor */
	pid_t pid;
	pthread_t thread;
	int listen_fd;
	atomic_int stale; /* answer so many reads of the report with the old one */
	atomic_int renewals;
	atomic_bool stop;
	uint8_t user_data[64];
	uint8_t ak_n[256];
	/* Runs in the thread before a command is forwarded, with the swtpm at the other end of fd.
	 */
	void (*before)(struct swtpm *t, uint32_t code, int fd);
};

/* swtpm and tpm2-tools are here; otherwise the test exits with 77, "skipped". */
bool swtpm_available(void);
/* confidential: with NV 0x01400001. Fails the test when swtpm does not work. */
void swtpm_start(struct swtpm *t, bool confidential);
void swtpm_stop(struct swtpm *t);
/* A shell command with TPM2TOOLS_TCTI set to the swtpm itself; fails the test unless it is 0. */
void swtpm_sh(struct swtpm *t, const char *command);

/* For bridges of tests: connect to a local socket; one message in or out. */
int swtpm_connect(const char *path);
size_t swtpm_read_message(int fd, uint8_t buf[4096]);
bool swtpm_exchange(int fd, const uint8_t *command, size_t n, uint8_t answer[4096], size_t *ret_n);
/* TPM2_PCR_Extend of the SHA-256 bank. */
void swtpm_extend(int fd, uint32_t pcr);

#endif
