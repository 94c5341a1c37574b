/* SPDX-License-Identifier: BSD-2-Clause */
#include "lab/lab_vm.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lab/lab_tpm.h"

/* swtpm's control protocol: a command's number and its argument, all big-endian. */
enum {
	CMD_GET_CAPABILITY = 1,
	CMD_INIT = 2,
	CMD_SHUTDOWN = 3,
	CMD_GET_TPMESTABLISHED = 4,
	CMD_SET_LOCALITY = 5,
	CMD_RESET_TPMESTABLISHED = 11,
	CMD_STOP = 14,
	CMD_SET_DATAFD = 16,
	CMD_SET_BUFFERSIZE = 17,
	/* bits of the answer to CMD_GET_CAPABILITY: init, shutdown, established, locality, reset
	 * of established, stop, data descriptor, buffer size */
	CAPABILITIES = 1 | 1 << 1 | 1 << 2 | 1 << 3 | 1 << 7 | 1 << 10 | 1 << 12 | 1 << 13,
	RESULT_FAIL = 9,
	CONTROL_MAX = 64,
	SEND_MS = 2000,
};

struct lab_vm {
	char path[sizeof((struct sockaddr_un *)0)->sun_path];
	lab_proxy_fn *fn;
	lab_vm_power_fn *power;
	void *arg;
	int listen_fd, control_fd, data_fd;
	int wake[2];
	pthread_t thread;
	bool running;
	size_t n;
	uint8_t in[LAB_TPM_MESSAGE_MAX]; /* of the data channel */
};

static void
drop_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

static void
drop_data(struct lab_vm *vm)
{
	drop_fd(&vm->data_fd);
	vm->n = 0;
}

static void
drop_all(struct lab_vm *vm)
{
	drop_fd(&vm->control_fd);
	drop_data(vm);
}

static bool
send_all(int fd, const uint8_t *p, size_t n)
{
	while (n > 0) {
		const ssize_t put = send(fd, p, n, MSG_NOSIGNAL);
		if (put < 0 && errno == EAGAIN) {
			struct pollfd pfd = {.fd = fd, .events = POLLOUT};
			if (poll(&pfd, 1, SEND_MS) <= 0)
				return false;
			continue;
		}
		if (put <= 0)
			return false;
		p += put;
		n -= (size_t)put;
	}
	return true;
}

/* ---- control -------------------------------------------------------------------------------- */

static void
put_be32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (24 - 8 * i));
}

/* One message and at most one descriptor; the monitor waits for each answer, so none come joined.
 */
static size_t
receive(int from, uint8_t in[CONTROL_MAX], int *ret_fd)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec iov = {.iov_base = in, .iov_len = CONTROL_MAX};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.room,
		.msg_controllen = sizeof control.room};
	*ret_fd = -1;
	const ssize_t n = recvmsg(from, &msg, MSG_CMSG_CLOEXEC);
	for (struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&msg) : NULL; c; c = CMSG_NXTHDR(&msg, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
			c->cmsg_len == CMSG_LEN(sizeof(int)))
			memcpy(ret_fd, CMSG_DATA(c), sizeof(int));
	return n > 0 ? (size_t)n : 0;
}

static bool
take_data_fd(struct lab_vm *vm, int *fd)
{
	if (*fd < 0 || fcntl(*fd, F_SETFL, O_NONBLOCK) != 0)
		return false;
	drop_data(vm);
	vm->data_fd = *fd;
	*fd = -1;
	return true;
}

/* Length of the answer, 0 when there is none. */
static size_t
obey(struct lab_vm *vm, const uint8_t in[CONTROL_MAX], size_t n, int *fd, uint8_t out[16])
{
	const uint32_t cmd = n >= 4 && !in[0] && !in[1] && !in[2] ? in[3] : 0;
	bool ok = true;
	size_t size = 4;
	memset(out, 0, 16);
	switch (cmd) {
	case CMD_GET_CAPABILITY: put_be32(out + 4, CAPABILITIES); return 8;
	case CMD_INIT: ok = n >= 8 && !vs_failed(vm->power(vm->arg, NULL)); break;
	case CMD_SET_LOCALITY: ok = n >= 5 && in[4] == 0; break;
	case CMD_SET_DATAFD: ok = take_data_fd(vm, fd); break;
	case CMD_GET_TPMESTABLISHED: size = 8; break;
	case CMD_SET_BUFFERSIZE:
		for (size_t i = 4; i < 16; i += 4)
			put_be32(out + i, LAB_TPM_MESSAGE_MAX);
		size = 16;
		break;
	case CMD_SHUTDOWN:
	case CMD_RESET_TPMESTABLISHED:
	case CMD_STOP: break;
	default: ok = false;
	}
	put_be32(out, ok ? 0 : RESULT_FAIL);
	return size;
}

static void
serve_control(struct lab_vm *vm)
{
	uint8_t in[CONTROL_MAX], out[16];
	int fd = -1;
	const size_t n = receive(vm->control_fd, in, &fd);
	const size_t size = n > 0 ? obey(vm, in, n, &fd, out) : 0;
	drop_fd(&fd);
	if (size == 0 || !send_all(vm->control_fd, out, size))
		drop_all(vm);
}

/* ---- data ----------------------------------------------------------------------------------- */

static bool
answer(struct lab_vm *vm, size_t size)
{
	uint8_t rsp[LAB_TPM_MESSAGE_MAX];
	size_t n = sizeof rsp;
	return !vs_failed(vm->fn(vm->arg, 0, vm->in, size, rsp, &n, NULL)) &&
		send_all(vm->data_fd, rsp, n);
}

static void
serve_data(struct lab_vm *vm)
{
	const ssize_t got = read(vm->data_fd, vm->in + vm->n, sizeof vm->in - vm->n);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got > 0)
		vm->n += (size_t)got;
	while (got > 0 && vm->n >= 6) {
		const size_t size = (size_t)vm->in[2] << 24 | (size_t)vm->in[3] << 16 |
			(size_t)vm->in[4] << 8 | vm->in[5];
		if (size >= 10 && size <= sizeof vm->in && vm->n < size)
			return;
		if (size < 10 || size > sizeof vm->in || !answer(vm, size))
			break;
		vm->n -= size;
		memmove(vm->in, vm->in + size, vm->n);
		if (vm->n == 0)
			return;
	}
	if (got <= 0 || vm->n >= 6)
		drop_data(vm);
}

/* ---- thread --------------------------------------------------------------------------------- */

static void *
vm_thread(void *arg)
{
	struct lab_vm *vm = arg;
	for (;;) {
		struct pollfd p[] = {{.fd = vm->wake[0], .events = POLLIN},
			{.fd = vm->control_fd < 0 ? vm->listen_fd : -1, .events = POLLIN},
			{.fd = vm->control_fd, .events = POLLIN},
			{.fd = vm->data_fd, .events = POLLIN}};
		if (poll(p, 4, -1) < 0 && errno != EINTR)
			return NULL;
		if (p[0].revents)
			return NULL;
		if (p[3].revents)
			serve_data(vm);
		if (p[2].revents)
			serve_control(vm);
		if (p[1].revents)
			vm->control_fd = accept4(vm->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	}
}

static VS_RC
listen_here(struct lab_vm *vm, const char *path, struct vs_err *err)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof sa.sun_path)
		VS_FAIL(err, SOCKET, "%s is too long for a socket; use a shorter directory", path);
	memcpy(sa.sun_path, path, strlen(path) + 1);
	(void)unlink(path);
	vm->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (vm->listen_fd < 0 ||
		bind(vm->listen_fd, (const struct sockaddr *)&sa, sizeof sa) != 0 ||
		chmod(path, 0600) != 0 || listen(vm->listen_fd, 4) != 0)
		VS_FAIL_N(err, SOCKET, errno, "cannot listen on %s: %s", path, strerror(errno));
	memcpy(vm->path, path, strlen(path) + 1);
	if (pipe2(vm->wake, O_CLOEXEC) != 0)
		VS_FAIL_N(err, SOCKET, errno, "no pipe");
	if (pthread_create(&vm->thread, NULL, vm_thread, vm) != 0)
		VS_FAIL(err, MEMORY, "no thread");
	vm->running = true;
	return VS_OK;
}

VS_RC
lab_vm_start(const char *path, lab_proxy_fn *fn, lab_vm_power_fn *power, void *arg,
	struct lab_vm **ret, struct vs_err *err)
{
	struct lab_vm *vm = calloc(1, sizeof *vm);
	if (!vm)
		VS_FAIL(err, MEMORY, "out of memory");
	*vm = (struct lab_vm){.fn = fn,
		.power = power,
		.arg = arg,
		.listen_fd = -1,
		.control_fd = -1,
		.data_fd = -1,
		.wake = {-1, -1}};
	const vs_rc rc = listen_here(vm, path, err);
	if (vs_failed(rc)) {
		lab_vm_stop(vm);
		return rc;
	}
	*ret = vm;
	return VS_OK;
}

void
lab_vm_stop(struct lab_vm *vm)
{
	if (!vm)
		return;
	drop_fd(&vm->wake[1]);
	if (vm->running)
		pthread_join(vm->thread, NULL);
	drop_fd(&vm->wake[0]);
	drop_all(vm);
	drop_fd(&vm->listen_fd);
	if (vm->path[0])
		(void)unlink(vm->path);
	free(vm);
}
