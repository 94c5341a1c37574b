/* SPDX-License-Identifier: BSD-2-Clause */
#include "lab/lab_tpm.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <openssl/rand.h>
#include <tss2/tss2_rc.h>
#include <tss2/tss2_tcti.h>

extern char **environ;

enum { PATH_ROOM = 200, START_MS = 5000, ANSWER_MS = 30000, STOP_MS = 2000 };

/* ESYS talks through this instead of a library's TCTI, so that all commands share one socket. */
struct lab_tcti {
	TSS2_TCTI_CONTEXT_COMMON_V1 common;
	struct lab_tpm *tpm;
	size_t cmd_n;
	uint8_t cmd[LAB_TPM_MESSAGE_MAX];
};

struct lab_tpm {
	char dir[PATH_ROOM];
	char sock[PATH_ROOM];
	pid_t pid;
	int fd;
	pthread_mutex_t io;
	struct lab_tcti tcti;
	ESYS_CONTEXT *esys;
	TPM2B_AUTH nv_auth; /* of the platform's indices */
};

vs_rc
lab_tpm_rc(TSS2_RC rc, const char *what, struct vs_err *err)
{
	if (rc != TSS2_RC_SUCCESS)
		VS_FAIL_N(err, TPM, rc, "%s: %s", what, Tss2_RC_Decode(rc));
	return VS_OK;
}

static void
sleep_ms(long ms)
{
	nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

/* The whole of n bytes, or an error; the peer has ANSWER_MS for each piece. */
static vs_rc
read_all(int fd, uint8_t *p, size_t n, struct vs_err *err)
{
	while (n > 0) {
		struct pollfd pfd = {.fd = fd, .events = POLLIN};
		const int ready = poll(&pfd, 1, ANSWER_MS);
		if (ready < 0 && errno == EINTR)
			continue;
		const ssize_t got = ready > 0 ? read(fd, p, n) : -1;
		if (got <= 0)
			VS_FAIL_N(err, TPM, errno, "swtpm does not answer");
		p += got;
		n -= (size_t)got;
	}
	return VS_OK;
}

static vs_rc
exchange_locked(struct lab_tpm *t, const uint8_t *cmd, size_t n, uint8_t *rsp, size_t *rsp_n,
	struct vs_err *err)
{
	if (t->fd < 0)
		VS_FAIL(err, TPM, "the emulated TPM is switched off");
	while (n > 0) {
		const ssize_t put = send(t->fd, cmd, n, MSG_NOSIGNAL);
		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			VS_FAIL_N(err, TPM, errno, "cannot write to swtpm");
		cmd += put;
		n -= (size_t)put;
	}
	VS_TRY(read_all(t->fd, rsp, 10, err));
	const size_t size =
		(size_t)rsp[2] << 24 | (size_t)rsp[3] << 16 | (size_t)rsp[4] << 8 | rsp[5];
	if (size < 10 || size > *rsp_n)
		VS_FAIL(err, TPM, "swtpm's answer has %zu bytes", size);
	VS_TRY(read_all(t->fd, rsp + 10, size - 10, err));
	*rsp_n = size;
	return VS_OK;
}

vs_rc
lab_tpm_exchange(struct lab_tpm *t, const uint8_t *cmd, size_t n, uint8_t *rsp, size_t *rsp_n,
	struct vs_err *err)
{
	pthread_mutex_lock(&t->io);
	const vs_rc rc = exchange_locked(t, cmd, n, rsp, rsp_n, err);
	pthread_mutex_unlock(&t->io);
	return rc;
}

static TSS2_RC
tcti_transmit(TSS2_TCTI_CONTEXT *ctx, size_t size, const uint8_t *command)
{
	struct lab_tcti *tcti = (struct lab_tcti *)ctx;
	if (size > sizeof tcti->cmd)
		return TSS2_TCTI_RC_BAD_VALUE;
	memcpy(tcti->cmd, command, size);
	tcti->cmd_n = size;
	return TSS2_RC_SUCCESS;
}

/* ESYS may ask for the size with a NULL buffer first; the exchange happens with the real buffer. */
static TSS2_RC
tcti_receive(TSS2_TCTI_CONTEXT *ctx, size_t *size, uint8_t *response, int32_t timeout)
{
	struct lab_tcti *tcti = (struct lab_tcti *)ctx;
	(void)timeout;
	if (!response) {
		*size = LAB_TPM_MESSAGE_MAX;
		return TSS2_RC_SUCCESS;
	}
	if (vs_failed(lab_tpm_exchange(tcti->tpm, tcti->cmd, tcti->cmd_n, response, size, NULL)))
		return TSS2_TCTI_RC_IO_ERROR;
	return TSS2_RC_SUCCESS;
}

static void
tcti_finalize(TSS2_TCTI_CONTEXT *ctx)
{
	(void)ctx;
}

static vs_rc
spawn_swtpm(struct lab_tpm *t, struct vs_err *err)
{
	char state[PATH_ROOM + 32], server[PATH_ROOM + 32], ctrl[PATH_ROOM + 40],
		log[PATH_ROOM + 16];
	snprintf(state, sizeof state, "dir=%s", t->dir);
	snprintf(server, sizeof server, "type=unixio,path=%s", t->sock);
	snprintf(ctrl, sizeof ctrl, "type=unixio,path=%s.ctrl", t->sock);
	snprintf(log, sizeof log, "%s/swtpm.log", t->dir);
	char *argv[] = {(char *)(uintptr_t) "swtpm", (char *)(uintptr_t) "socket",
		(char *)(uintptr_t) "--tpm2", (char *)(uintptr_t) "--tpmstate", state,
		(char *)(uintptr_t) "--server", server, (char *)(uintptr_t) "--ctrl", ctrl,
		(char *)(uintptr_t) "--flags", (char *)(uintptr_t) "not-need-init,startup-clear",
		(char *)(uintptr_t) "--terminate", NULL};
	/* --terminate: swtpm ends with the lab's connection, also when the lab is killed. */
	unlink(t->sock);
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	sigset_t none;
	sigemptyset(&none);
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&fa, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	posix_spawn_file_actions_adddup2(&fa, 1, 2);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	/* A group of its own: a terminal's Ctrl-C reaches the lab, which then ends the TPM in
	 * order. */
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
	const int e = posix_spawnp(&t->pid, "swtpm", &fa, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&fa);
	if (e) {
		t->pid = -1;
		VS_FAIL_N(err, AGENT, e, "cannot start swtpm: %s (Debian package swtpm)",
			strerror(e));
	}
	return VS_OK;
}

static vs_rc
connect_swtpm(struct lab_tpm *t, struct vs_err *err)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	if (strlen(t->sock) + 6 > sizeof sa.sun_path)
		VS_FAIL(err, AGENT, "%s is too long for a socket; use a shorter directory",
			t->sock);
	memcpy(sa.sun_path, t->sock, strlen(t->sock) + 1);
	for (int waited = 0; waited < START_MS; waited += 5) {
		const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd < 0)
			VS_FAIL_N(err, SOCKET, errno, "no socket");
		if (connect(fd, (const struct sockaddr *)&sa, sizeof sa) == 0) {
			t->fd = fd;
			return VS_OK;
		}
		close(fd);
		if (waitpid(t->pid, NULL, WNOHANG) == t->pid) {
			t->pid = -1;
			VS_FAIL(err, AGENT, "swtpm ended at once; see %s/swtpm.log", t->dir);
		}
		sleep_ms(5);
	}
	VS_FAIL(err, AGENT, "swtpm does not listen on %s; see %s/swtpm.log", t->sock, t->dir);
}

static vs_rc
power_on(struct lab_tpm *t, struct vs_err *err)
{
	VS_TRY(spawn_swtpm(t, err));
	return connect_swtpm(t, err);
}

static void
power_off(struct lab_tpm *t)
{
	if (t->esys && t->fd >= 0)
		(void)Esys_Shutdown(
			t->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, TPM2_SU_CLEAR);
	pthread_mutex_lock(&t->io);
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
	pthread_mutex_unlock(&t->io);
	if (t->pid <= 0)
		return;
	kill(t->pid, SIGTERM);
	for (int waited = 0; waitpid(t->pid, NULL, WNOHANG) == 0; waited += 2) {
		if (waited >= STOP_MS) {
			kill(t->pid, SIGKILL);
			waitpid(t->pid, NULL, 0);
			break;
		}
		sleep_ms(2);
	}
	t->pid = -1;
}

static vs_rc
open_esys(struct lab_tpm *t, struct vs_err *err)
{
	TSS2_TCTI_CONTEXT *tcti = (TSS2_TCTI_CONTEXT *)&t->tcti;
	LAB_TPM(err, "Esys_Initialize", Esys_Initialize(&t->esys, tcti, NULL));
	return VS_OK;
}

vs_rc
lab_tpm_start(const char *dir, struct lab_tpm **ret, struct vs_err *err)
{
	struct lab_tpm *t = calloc(1, sizeof *t);
	if (!t)
		VS_FAIL(err, MEMORY, "out of memory");
	t->fd = -1;
	t->pid = -1;
	pthread_mutex_init(&t->io, NULL);
	t->tcti.tpm = t;
	t->tcti.common = (TSS2_TCTI_CONTEXT_COMMON_V1){
		.magic = 0x564f55434c414201,
		.version = 1,
		.transmit = tcti_transmit,
		.receive = tcti_receive,
		.finalize = tcti_finalize,
	};
	t->nv_auth.size = 16;
	/* Absent objects are an answer here, not news for the reader of the lab's log. */
	(void)setenv("TSS2_LOG", "all+none", 0);
	const bool fits = (size_t)snprintf(t->dir, sizeof t->dir, "%s", dir) < sizeof t->dir &&
		(size_t)snprintf(t->sock, sizeof t->sock, "%s/swtpm.sock", dir) < sizeof t->sock;
	vs_rc rc = VS_OK;
	if (!fits)
		rc = vs_err_put(
			err, VS_E_AGENT, __func__, __LINE__, 0, "the lab's path is too long");
	else if (mkdir(dir, 0700) != 0 && errno != EEXIST)
		rc = vs_err_put(err, VS_E_FILE, __func__, __LINE__, errno, "cannot make %s", dir);
	else if (RAND_bytes(t->nv_auth.buffer, t->nv_auth.size) != 1)
		rc = vs_err_put(err, VS_E_CRYPTO, __func__, __LINE__, 0, "no random bytes");
	if (!vs_failed(rc))
		rc = power_on(t, err);
	if (!vs_failed(rc))
		rc = open_esys(t, err);
	if (vs_failed(rc)) {
		lab_tpm_stop(t);
		return rc;
	}
	*ret = t;
	return VS_OK;
}

vs_rc
lab_tpm_reset(struct lab_tpm *t, struct vs_err *err)
{
	power_off(t);
	if (t->esys)
		Esys_Finalize(&t->esys);
	VS_TRY(power_on(t, err));
	return open_esys(t, err);
}

void
lab_tpm_stop(struct lab_tpm *t)
{
	if (!t)
		return;
	power_off(t);
	if (t->esys)
		Esys_Finalize(&t->esys);
	pthread_mutex_destroy(&t->io);
	free(t);
}

pid_t
lab_tpm_pid(const struct lab_tpm *t)
{
	return t->pid;
}

ESYS_CONTEXT *
lab_tpm_esys(struct lab_tpm *t)
{
	return t->esys;
}

const TPM2B_AUTH *
lab_tpm_nv_auth(const struct lab_tpm *t)
{
	return &t->nv_auth;
}
