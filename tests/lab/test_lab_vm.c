/* SPDX-License-Identifier: BSD-2-Clause */
/* The TPM's door for a machine monitor: what it may do there, and what comes of nonsense. */
#include "unit/unit.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lab/lab_fixture.h"
#include "lab/lab_tpm.h"
#include "lab/lab_vm.h"

enum { ANSWER_MS = 5000, SILENCE_MS = 200 };

static unsigned powered;
static bool power_fails;

/* Answers with the command itself. */
static vs_rc
echo(void *arg, pid_t peer, const uint8_t *cmd, size_t n, uint8_t *rsp, size_t *rsp_n,
	struct vs_err *err)
{
	(void)arg;
	(void)peer;
	(void)err;
	assert_true(n <= *rsp_n);
	memcpy(rsp, cmd, n);
	*rsp_n = n;
	return VS_OK;
}

static vs_rc
power(void *arg, struct vs_err *err)
{
	(void)arg;
	powered++;
	if (power_fails)
		VS_FAIL(err, TPM, "no power");
	return VS_OK;
}

static int
monitor(const char *path)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(strlen(path) < sizeof sa.sun_path);
	memcpy(sa.sun_path, path, strlen(path) + 1);
	assert_int_equal(connect(fd, (const struct sockaddr *)&sa, sizeof sa), 0);
	return fd;
}

/* Bytes of the answer; 0 when the other side hung up, -1 when it says nothing. */
static ssize_t
answer(int fd, uint8_t *out, size_t room, int ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	if (poll(&p, 1, ms) <= 0)
		return -1;
	const ssize_t n = read(fd, out, room);
	return n < 0 ? 0 : n;
}

static ssize_t
ask(int fd, const char *cmd, size_t n, uint8_t out[16])
{
	memset(out, 0xee, 16);
	assert_int_equal(send(fd, cmd, n, MSG_NOSIGNAL), n);
	return answer(fd, out, 16, ANSWER_MS);
}

/* CMD_SET_DATAFD; our end of the channel. */
static int
hand_over(int fd, uint8_t out[16])
{
	int pair[2];
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {0};
	char cmd[] = {0, 0, 0, 16};
	struct iovec iov = {.iov_base = cmd, .iov_len = 4};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.room,
		.msg_controllen = sizeof control.room};
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &pair[1], sizeof(int));
	assert_int_equal(sendmsg(fd, &msg, MSG_NOSIGNAL), 4);
	close(pair[1]);
	assert_int_equal(answer(fd, out, 16, ANSWER_MS), 4);
	return pair[0];
}

static struct lab_vm *
open_door(char path[64])
{
	struct vs_err err = {0};
	struct lab_vm *vm = NULL;
	memcpy(path, "/tmp/vs-vm-XXXXXX", 18);
	assert_non_null(mkdtemp(path));
	memcpy(path + 17, "/s", 3);
	assert_ok(lab_vm_start(path, echo, power, NULL, &vm, &err), &err);
	powered = 0;
	power_fails = false;
	return vm;
}

static void
close_door(struct lab_vm *vm, char path[64])
{
	lab_vm_stop(vm);
	assert_int_not_equal(access(path, F_OK), 0);
	path[17] = '\0';
	assert_int_equal(rmdir(path), 0);
}

static void
a_monitor_switches_on_and_hands_over_its_channel(void **state)
{
	static const uint8_t ok[4] = {0},
			     cmd[14] = {0x80, 1, 0, 0, 0, 14, 0, 0, 1, 0x7b, 1, 2, 3, 4};
	char path[64];
	uint8_t out[16], both[28], seen[64];
	(void)state;
	struct lab_vm *vm = open_door(path);
	const int fd = monitor(path);
	assert_int_equal(ask(fd, "\0\0\0\1", 4, out), 8);
	assert_int_equal(out[6] << 8 | out[7], 0x348f); /* what a monitor wants of a TPM 2.0 */
	const int data = hand_over(fd, out);
	assert_memory_equal(out, ok, 4);
	assert_int_equal(ask(fd, "\0\0\0\16", 4, out), 4);
	assert_int_equal(ask(fd, "\0\0\0\21\0\0\0\0", 8, out), 16);
	assert_memory_equal(out, ok, 4);
	assert_int_equal(out[6] << 8 | out[7], LAB_TPM_MESSAGE_MAX);
	assert_int_equal(ask(fd, "\0\0\0\2\0\0\0\0", 8, out), 4);
	assert_memory_equal(out, ok, 4);
	assert_int_equal(powered, 1);
	assert_int_equal(ask(fd, "\0\0\0\5\0\0\0\0", 8, out), 4);
	assert_memory_equal(out, ok, 4);
	assert_int_equal(ask(fd, "\0\0\0\4", 4, out), 8);
	/* whole, in pieces, and two at once */
	assert_int_equal(write(data, cmd, sizeof cmd), sizeof cmd);
	assert_int_equal(answer(data, seen, sizeof seen, ANSWER_MS), sizeof cmd);
	assert_memory_equal(seen, cmd, sizeof cmd);
	assert_int_equal(write(data, cmd, 3), 3);
	assert_int_equal(answer(data, seen, sizeof seen, SILENCE_MS), -1);
	assert_int_equal(write(data, cmd + 3, 11), 11);
	assert_int_equal(answer(data, seen, sizeof seen, ANSWER_MS), sizeof cmd);
	memcpy(both, cmd, 14);
	memcpy(both + 14, cmd, 14);
	assert_int_equal(write(data, both, sizeof both), sizeof both);
	for (size_t got = 0; got < sizeof both;) {
		const ssize_t n = answer(data, seen, sizeof seen, ANSWER_MS);
		assert_true(n > 0);
		got += (size_t)n;
	}
	close(fd);
	assert_int_equal(answer(data, seen, sizeof seen, ANSWER_MS), 0);
	close(data);
	close_door(vm, path);
}

static void
what_a_monitor_may_not_is_refused(void **state)
{
	static const struct {
		const char *cmd;
		size_t n;
	} cases[] = {
		{"\0\0\0\20", 4}, /* a channel without a descriptor */
		{"\0\0\0\5\1\0\0\0", 8}, /* locality 1 */
		{"\0\0\0\5", 4},
		{"\0\0\0\2", 4}, /* switched on without flags */
		{"\0\0\0\14\0\0\0\0\0\0\0\1\0\0\0\0", 16}, /* read the TPM's state */
		{"\0\0\0\15\0\0\0\0", 8}, /* set it */
		{"\0\0\0\x63", 4},
		{"\1\0\0\2\0\0\0\0", 8},
		{"\0\2", 2},
	};
	char path[64];
	uint8_t out[16];
	(void)state;
	struct lab_vm *vm = open_door(path);
	const int fd = monitor(path);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(ask(fd, cases[i].cmd, cases[i].n, out), 4);
		assert_memory_equal(out, "\0\0\0\11", 4);
	}
	assert_int_equal(powered, 0);
	power_fails = true;
	assert_int_equal(ask(fd, "\0\0\0\2\0\0\0\0", 8, out), 4);
	assert_memory_equal(out, "\0\0\0\11", 4);
	close(fd);
	close_door(vm, path);
}

static void
commands_without_a_sensible_length_end_the_channel(void **state)
{
	static const uint8_t cases[][12] = {
		{0x80, 1, 0xff, 0xff, 0xff, 0xff, 0, 0, 1, 0x7b},
		{0x80, 1, 0, 1, 0, 0, 0, 0, 1, 0x7b},
		{0x80, 1, 0, 0, 0, 9, 0, 0, 1, 0x7b},
		{0x80, 1, 0, 0, 0, 0, 0, 0, 1, 0x7b},
	};
	char path[64];
	uint8_t out[16];
	(void)state;
	struct lab_vm *vm = open_door(path);
	const int fd = monitor(path);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const int data = hand_over(fd, out);
		assert_int_equal(write(data, cases[i], sizeof cases[i]), sizeof cases[i]);
		assert_int_equal(answer(data, out, sizeof out, ANSWER_MS), 0);
		close(data);
	}
	/* the monitor is still heard */
	assert_int_equal(ask(fd, "\0\0\0\1", 4, out), 8);
	close(fd);
	close_door(vm, path);
}

static void
a_second_monitor_waits_for_the_first_to_go(void **state)
{
	char path[64];
	uint8_t out[16];
	(void)state;
	struct lab_vm *vm = open_door(path);
	const int first = monitor(path);
	assert_int_equal(ask(first, "\0\0\0\1", 4, out), 8);
	const int second = monitor(path);
	assert_int_equal(send(second, "\0\0\0\1", 4, MSG_NOSIGNAL), 4);
	assert_int_equal(answer(second, out, sizeof out, SILENCE_MS), -1);
	close(first);
	assert_int_equal(answer(second, out, sizeof out, ANSWER_MS), 8);
	close(second);
	close_door(vm, path);
}

/* PCR 0-7 of the SHA-256 bank. */
static void
read_pcrs(int data, uint8_t out[8][32])
{
	static const uint8_t cmd[20] = {
		0x80, 1, 0, 0, 0, 20, 0, 0, 1, 0x7e, 0, 0, 0, 1, 0, 0xb, 3, 0xff, 0, 0};
	uint8_t rsp[LAB_TPM_MESSAGE_MAX];
	assert_int_equal(write(data, cmd, sizeof cmd), sizeof cmd);
	const ssize_t n = answer(data, rsp, sizeof rsp, ANSWER_MS);
	assert_int_equal(n, 10 + 4 + 10 + 4 + 8 * 34);
	assert_memory_equal(rsp + 6, "\0\0\0\0", 4);
	for (size_t i = 0; i < 8; i++)
		memcpy(out[i], rsp + 28 + 34 * i + 2, 32);
}

static void
the_machine_is_measured_by_nobody_but_itself(void **state)
{
	static const uint8_t zero[8][32] = {{0}};
	/* TPM2_PCR_Extend of PCR 4 with an empty password */
	static const uint8_t extend[65] = {0x80, 2, 0, 0, 0, 65, 0, 0, 1, 0x82, 0, 0, 0, 4, 0, 0, 0,
		9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0xb, 7};
	struct fixture f;
	uint8_t pcrs[8][32], out[16], rsp[64];
	char path[300];
	(void)state;
	fixture_start_vm(&f, "vm");
	assert_true(snprintf(path, sizeof path, "%s/tpm.sock", f.lab.dir) > 0);
	const int fd = monitor(path), data = hand_over(fd, out);
	assert_int_equal(ask(fd, "\0\0\0\2\0\0\0\0", 8, out), 4);
	assert_memory_equal(out, "\0\0\0\0", 4);
	read_pcrs(data, pcrs);
	assert_memory_equal(pcrs, zero, sizeof zero);
	assert_int_equal(write(data, extend, sizeof extend), sizeof extend);
	assert_true(answer(data, rsp, sizeof rsp, ANSWER_MS) > 10);
	assert_memory_equal(rsp + 6, "\0\0\0\0", 4);
	read_pcrs(data, pcrs);
	assert_memory_not_equal(pcrs[4], zero[4], 32);
	/* a reset begins anew */
	assert_int_equal(ask(fd, "\0\0\0\2\0\0\0\0", 8, out), 4);
	read_pcrs(data, pcrs);
	assert_memory_equal(pcrs, zero, sizeof zero);
	close(data);
	close(fd);
	fixture_stop(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_monitor_switches_on_and_hands_over_its_channel),
		cmocka_unit_test(what_a_monitor_may_not_is_refused),
		cmocka_unit_test(commands_without_a_sensible_length_end_the_channel),
		cmocka_unit_test(a_second_monitor_waits_for_the_first_to_go),
		cmocka_unit_test(the_machine_is_measured_by_nobody_but_itself),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
