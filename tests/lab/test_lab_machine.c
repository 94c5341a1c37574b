/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The emulated machine: what a guest may and may not do with its TPM, several guests at once,
 * the paravisor's habits, and each way to tamper with what comes of it.
 */
#include "unit/unit.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <tss2/tss2_esys.h>
#include <tss2/tss2_tctildr.h>

#include "base/codec.h"
#include "lab/lab_fixture.h"
#include "lab/lab_tpm.h"

static struct fixture f;

static int
start(void **state)
{
	(void)state;
	fixture_start(&f, "machine");
	return 0;
}

static int
stop(void **state)
{
	(void)state;
	fixture_stop(&f);
	return 0;
}

static ESYS_CONTEXT *
open_tpm(TSS2_TCTI_CONTEXT **tcti)
{
	ESYS_CONTEXT *esys = NULL;
	assert_int_equal(Tss2_TctiLdr_Initialize(lab_machine_tcti(f.lab.machine), tcti), 0);
	assert_int_equal(Esys_Initialize(&esys, *tcti, NULL), 0);
	return esys;
}

static void
close_tpm(ESYS_CONTEXT *esys, TSS2_TCTI_CONTEXT *tcti)
{
	Esys_Finalize(&esys);
	Tss2_TctiLdr_Finalize(&tcti);
}

#define NO3 ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE
#define PW ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE

/* The whole runtime JSON of the report's index, read at offset first and then the rest. */
static struct vs_buf
read_report(ESYS_CONTEXT *esys)
{
	struct vs_buf out = {0};
	ESYS_TR nv = ESYS_TR_NONE;
	assert_int_equal(Esys_TR_FromTPMPublic(esys, LAB_NV_REPORT, NO3, &nv), 0);
	for (uint16_t at = 0; at < LAB_NV_SIZE; at = (uint16_t)(at + 512)) {
		TPM2B_MAX_NV_BUFFER *data = NULL;
		assert_int_equal(Esys_NV_Read(esys, ESYS_TR_RH_OWNER, nv, PW, 512, at, &data), 0);
		assert_false(vs_failed(vs_buf_add(&out, data->buffer, data->size, NULL)));
		Esys_Free(data);
	}
	Esys_TR_Close(esys, &nv);
	return out;
}

static void
write_user_data(ESYS_CONTEXT *esys, uint8_t fill)
{
	ESYS_TR nv = ESYS_TR_NONE;
	const TPM2B_NV_PUBLIC pub = {.nvPublic = {.nvIndex = LAB_NV_USER_DATA,
					     .nameAlg = TPM2_ALG_SHA256,
					     .attributes = TPMA_NV_OWNERREAD | TPMA_NV_OWNERWRITE,
					     .dataSize = 64}};
	const TPM2B_AUTH auth = {0};
	TPM2B_MAX_NV_BUFFER data = {.size = 64};
	memset(data.buffer, fill, 64);
	if (Esys_TR_FromTPMPublic(esys, LAB_NV_USER_DATA, NO3, &nv) != 0)
		assert_int_equal(
			Esys_NV_DefineSpace(esys, ESYS_TR_RH_OWNER, PW, &auth, &pub, &nv), 0);
	assert_int_equal(Esys_NV_Write(esys, ESYS_TR_RH_OWNER, nv, PW, &data, 0), 0);
	Esys_TR_Close(esys, &nv);
}

static bool
names_user_data(const struct vs_buf *report, uint8_t fill)
{
	char text[160] = "\"user-data\":\"";
	for (size_t i = 0; i < 64; i++)
		snprintf(text + 13 + 2 * i, 3, "%02X", fill);
	return strstr((const char *)report->p + 1236, text) != NULL;
}

static void
makes_the_report_anew_for_each_reading(void **state)
{
	(void)state;
	TSS2_TCTI_CONTEXT *tcti = NULL;
	ESYS_CONTEXT *esys = open_tpm(&tcti);
	VS_CLEANUP(vs_buf_done) struct vs_buf first = read_report(esys);
	assert_true(names_user_data(&first, 0));
	for (uint8_t fill = 0x1a; fill < 0x1d; fill++) {
		write_user_data(esys, fill);
		VS_CLEANUP(vs_buf_done) struct vs_buf report = read_report(esys);
		assert_true(names_user_data(&report, fill));
		assert_memory_equal(report.p, "HCLA", 4);
	}
	fixture_tamper(&f, "stale-report");
	write_user_data(esys, 0x77);
	VS_CLEANUP(vs_buf_done) struct vs_buf stale = read_report(esys);
	assert_false(names_user_data(&stale, 0x77));
	assert_true(names_user_data(&stale, 0x1c));
	fixture_tamper(&f, "undo");
	write_user_data(esys, 0x21);
	struct vs_buf before = read_report(esys);
	vs_buf_done(&before);
	fixture_tamper(&f, "stale-report 2");
	write_user_data(esys, 0x22);
	for (int i = 0; i < 3; i++) {
		VS_CLEANUP(vs_buf_done) struct vs_buf report = read_report(esys);
		assert_int_equal(names_user_data(&report, 0x22), i == 2);
	}
	close_tpm(esys, tcti);
	fixture_tamper(&f, "undo");
}

static void
keeps_the_platforms_indices_from_the_guest(void **state)
{
	(void)state;
	static const uint32_t indices[] = {LAB_NV_REPORT, LAB_NV_AK_CERT};
	TSS2_TCTI_CONTEXT *tcti = NULL;
	ESYS_CONTEXT *esys = open_tpm(&tcti);
	const TPM2B_MAX_NV_BUFFER data = {.size = 16};
	for (size_t i = 0; i < 2; i++) {
		ESYS_TR nv = ESYS_TR_NONE;
		TPM2B_NV_PUBLIC *pub = NULL;
		assert_int_equal(Esys_TR_FromTPMPublic(esys, indices[i], NO3, &nv), 0);
		assert_int_equal(Esys_NV_ReadPublic(esys, nv, NO3, &pub, NULL), 0);
		assert_int_equal(pub->nvPublic.attributes, 0x62060004);
		Esys_Free(pub);
		assert_int_equal(Esys_NV_Write(esys, ESYS_TR_RH_OWNER, nv, PW, &data, 0), 0x149);
		assert_int_equal(Esys_NV_Write(esys, nv, nv, PW, &data, 0), 0x9a2);
		assert_int_equal(Esys_NV_UndefineSpace(esys, ESYS_TR_RH_OWNER, nv, PW), 0x149);
		assert_int_equal(Esys_NV_UndefineSpace(esys, ESYS_TR_RH_PLATFORM, nv, PW), 0x9a2);
		Esys_TR_Close(esys, &nv);
	}
	close_tpm(esys, tcti);
}

static void *
collect_often(void *arg)
{
	struct lab_machine *m = arg;
	for (int i = 0; i < 4; i++) {
		struct lab_guest *guest = NULL;
		json_t *info = NULL;
		if (vs_failed(lab_guest_start(m, &guest, NULL)))
			return NULL;
		const vs_rc rc =
			lab_guest_collect(guest, &(struct lab_guest_options){0}, &info, NULL);
		lab_guest_stop(guest);
		struct lab_facts facts;
		struct lab_refusal why;
		if (vs_failed(rc) || fixture_verify(&f, info, &facts, &why) != LAB_CHECK_NONE)
			return NULL;
		lab_facts_done(&facts);
		json_decref(info);
	}
	return m;
}

static void
serves_two_guests_at_once(void **state)
{
	(void)state;
	pthread_t threads[2];
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, collect_often, f.lab.machine), 0);
	for (size_t i = 0; i < 2; i++) {
		void *ret = NULL;
		pthread_join(threads[i], &ret);
		assert_ptr_equal(ret, f.lab.machine);
	}
}

static int
connect_to(const char *suffix)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true((size_t)snprintf(sa.sun_path, sizeof sa.sun_path, "%s/tpm.sock%s", f.lab.dir,
			    suffix) < sizeof sa.sun_path);
	assert_int_equal(connect(fd, (const struct sockaddr *)&sa, sizeof sa), 0);
	const struct timeval patience = {.tv_sec = 5};
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	return fd;
}

static void
offers_locality_0_on_the_control_socket_and_nothing_else(void **state)
{
	(void)state;
	static const struct {
		uint8_t cmd[5], n, ok;
	} cases[] = {
		{{0, 0, 0, 5, 0}, 5, true}, /* locality 0 */
		{{0, 0, 0, 5, 4}, 5, false}, {{0, 0, 0, 3}, 4, false}, /* shut down */
		{{0, 0, 0, 2}, 4, false}, /* initialise */
		{{0, 0, 0, 13}, 4, false}, /* stop */
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		uint8_t rsp[4] = {0xee, 0xee, 0xee, 0xee};
		const int fd = connect_to(".ctrl");
		assert_int_equal(write(fd, cases[i].cmd, cases[i].n), cases[i].n);
		assert_int_equal(read(fd, rsp, 4), 4);
		const bool zero = rsp[0] == 0 && rsp[1] == 0 && rsp[2] == 0 && rsp[3] == 0;
		assert_int_equal(zero, cases[i].ok);
		close(fd);
	}
	json_t *info = fixture_collect(f.lab.machine, &(struct lab_guest_options){0});
	fixture_expect(&f, info, LAB_CHECK_NONE); /* and it is alive */
	json_decref(info);
}

static void
survives_nonsense_and_half_commands(void **state)
{
	(void)state;
	static const uint8_t random[] = {0x80, 0x01, 0, 0, 0, 0x0c, 0, 0, 0x01, 0x7b, 0, 8};
	static const uint8_t huge[] = {0x80, 0x01, 0x7f, 0xff, 0xff, 0xff, 0, 0, 1, 0x7b};
	static const uint8_t tiny[] = {0x80, 0x01, 0, 0, 0, 3, 0, 0, 1, 0x7b};
	uint8_t rsp[64];
	const int half = connect_to("");
	assert_int_equal(write(half, random, 7), 7); /* the rest comes later */
	for (int i = 0; i < 2; i++) {
		const int fd = connect_to("");
		assert_int_equal(write(fd, i ? huge : tiny, 10), 10);
		assert_int_equal(read(fd, rsp, sizeof rsp), 0);
		close(fd);
	}
	const int whole = connect_to("");
	assert_int_equal(write(whole, random, sizeof random), sizeof random);
	assert_int_equal(read(whole, rsp, sizeof rsp), 20);
	close(whole);
	assert_int_equal(write(half, random + 7, sizeof random - 7), sizeof random - 7);
	assert_int_equal(read(half, rsp, sizeof rsp), 20);
	close(half);
	const int gone = connect_to("");
	assert_int_equal(write(gone, random, sizeof random), sizeof random);
	close(gone); /* without waiting for the answer */
	json_t *info = fixture_collect(f.lab.machine, &(struct lab_guest_options){0});
	fixture_expect(&f, info, LAB_CHECK_NONE);
	json_decref(info);
}

static void
reboots_with_another_reset_count_and_the_same_measurements(void **state)
{
	(void)state;
	TSS2_TCTI_CONTEXT *tcti = NULL;
	ESYS_CONTEXT *esys = open_tpm(&tcti);
	TPMS_TIME_INFO *before = NULL, *after = NULL;
	json_t *first = fixture_collect(f.lab.machine, &(struct lab_guest_options){0});
	assert_int_equal(Esys_ReadClock(esys, NO3, &before), 0);
	fixture_tamper(&f, "undo");
	assert_int_equal(Esys_ReadClock(esys, NO3, &after), 0);
	assert_true(after->clockInfo.resetCount > before->clockInfo.resetCount);
	assert_int_equal(after->clockInfo.safe, 1);
	json_t *second = fixture_collect(f.lab.machine, &(struct lab_guest_options){0});
	assert_true(json_equal(json_object_get(json_object_get(first, "TpmInfo"), "PCRs"),
		json_object_get(json_object_get(second, "TpmInfo"), "PCRs")));
	assert_true(json_equal(json_object_get(json_object_get(first, "TpmInfo"), "AikPub"),
		json_object_get(json_object_get(second, "TpmInfo"), "AikPub")));
	Esys_Free(before);
	Esys_Free(after);
	json_decref(first);
	json_decref(second);
	close_tpm(esys, tcti);
}

/* Guests that die leave keys and sessions behind; the next one still finds room. */
static void
cleans_up_behind_guests_that_are_gone(void **state)
{
	(void)state;
	for (int i = 0; i < 8; i++) {
		const pid_t child = fork();
		if (child == 0) {
			struct lab_guest *guest = NULL;
			json_t *info = NULL;
			const bool ok = !vs_failed(lab_guest_start(f.lab.machine, &guest, NULL)) &&
				!vs_failed(lab_guest_collect(
					guest, &(struct lab_guest_options){0}, &info, NULL));
			_exit(ok ? 7 : 1); /* with the transport key still loaded */
		}
		int status = 0;
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_int_equal(WEXITSTATUS(status), 7);
	}
	/* Keys of a living guest are not touched: the TPM says that it is full. */
	struct lab_guest *guests[4] = {NULL};
	json_t *info = NULL;
	size_t n = 0;
	for (; n < 4; n++) {
		assert_false(vs_failed(lab_guest_start(f.lab.machine, &guests[n], NULL)));
		if (vs_failed(lab_guest_collect(
			    guests[n], &(struct lab_guest_options){0}, &info, NULL)))
			break;
		json_decref(info);
	}
	assert_in_range(n, 1, 3);
	for (size_t i = 0; i < 4; i++)
		lab_guest_stop(guests[i]);
}

static void
does_not_start_where_it_cannot(void **state)
{
	(void)state;
	struct lab lab = {.log_fd = -1};
	struct lab_machine *m = NULL;
	struct vs_err err = {0};
	memcpy(lab.vm_id, f.lab.vm_id, sizeof lab.vm_id);
	memset(lab.dir, 'd', 120);
	lab.dir[0] = '/';
	assert_true(vs_failed(lab_machine_start(&lab, &m, &err)));
	assert_null(m);
	memcpy(lab.dir, "/proc/not/there", 16);
	assert_true(vs_failed(lab_machine_start(&lab, &m, &err)));
	memset(lab.dir, 'd', sizeof lab.dir - 1);
	assert_true(vs_failed(lab_machine_start(&lab, &m, &err)));
}

/* A lab that is killed leaves no TPM behind. */
static void
takes_the_tpm_along_when_it_is_killed(void **state)
{
	(void)state;
	char dir[300];
	int fds[2];
	pid_t tpm = 0;
	snprintf(dir, sizeof dir, "%s/killed", f.lab.dir);
	assert_int_equal(mkdir(dir, 0700), 0);
	assert_int_equal(pipe(fds), 0);
	const pid_t child = fork();
	if (child == 0) {
		struct lab_machine *m = NULL;
		pid_t pid = 0;
		if (!vs_failed(lab_machine_start_beside(
			    f.lab.machine, dir, "11111111-2222-4333-8444-555555555555", &m, NULL)))
			pid = lab_machine_pid(m);
		(void)!write(fds[1], &pid, sizeof pid);
		pause();
		_exit(0);
	}
	close(fds[1]);
	assert_int_equal(read(fds[0], &tpm, sizeof tpm), sizeof tpm);
	close(fds[0]);
	assert_true(tpm > 0);
	assert_int_equal(kill(tpm, 0), 0);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	char path[64], text[256] = "";
	bool running = true;
	for (int i = 0; i < 200 && running; i++) {
		snprintf(path, sizeof path, "/proc/%d/stat", (int)tpm);
		const int fd = open(path, O_RDONLY | O_CLOEXEC);
		running = fd >= 0 && read(fd, text, sizeof text - 1) > 0 && !strstr(text, ") Z ");
		if (fd >= 0)
			close(fd);
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
	assert_false(running);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(makes_the_report_anew_for_each_reading),
		cmocka_unit_test(keeps_the_platforms_indices_from_the_guest),
		cmocka_unit_test(serves_two_guests_at_once),
		cmocka_unit_test(offers_locality_0_on_the_control_socket_and_nothing_else),
		cmocka_unit_test(survives_nonsense_and_half_commands),
		cmocka_unit_test(reboots_with_another_reset_count_and_the_same_measurements),
		cmocka_unit_test(cleans_up_behind_guests_that_are_gone),
		cmocka_unit_test(does_not_start_where_it_cannot),
		cmocka_unit_test(takes_the_tpm_along_when_it_is_killed),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
