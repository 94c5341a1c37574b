/* SPDX-License-Identifier: BSD-2-Clause */
/* The ways to a TPM besides a local socket, each with a real swtpm behind; and a plain machine. */
#include "unit/unit.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "base/clock.h"
#include "evidence/ev_azguest.h"
#include "evidence/quote.h"
#include "evidence/swtpm.h"
#include "evidence/tpm.h"

static struct swtpm machine;
static atomic_bool stop;

static void
fill_env(struct vs_azguest_env *env, const char *tcti)
{
	*env = (struct vs_azguest_env){
		.tcti = tcti, .clock = vs_clock_system(), .rng = vs_rng_system()};
}

static int64_t
in_ms(int64_t ms)
{
	const struct vs_clock c = vs_clock_system();
	return c.ops->boot_ns(c.self) + ms * 1000000;
}

/* Evidence through this way, and a second conversation. */
static void
use(const char *tcti)
{
	struct vs_azguest_env env;
	struct vs_evidence_src src;
	struct vs_evidence ev = {0};
	struct vs_err err = {0};
	const uint8_t nonce[VS_NONCE_BYTES] = {1, 2, 3};
	uint32_t reset = 0, restart = 0;
	fill_env(&env, tcti);
	assert_ok(vs_azguest_open(&env, &src, &err), &err);
	assert_ok(src.ops->collect(src.self, nonce, in_ms(20000), &ev, &err), &err);
	assert_int_equal(ev.tee, VS_TEE_TRUSTED_LAUNCH);
	assert_int_equal(ev.hcl.n, 0);
	assert_int_equal(ev.quote.n, 145);
	assert_true(ev.ak_cert.n > 500 && ev.ak_cert.n < 2048);
	assert_ok(src.ops->counts(src.self, &reset, &restart, &err), &err);
	assert_int_equal(reset, ev.reset_count);
	vs_evidence_done(&ev);
	src.ops->close(src.self);
}

static void
a_machine_without_hardware_report_is_trusted_launch(void **state)
{
	(void)state;
	use(machine.front);
	use(machine.direct);
}

static int
connect_swtpm(void)
{
	char path[96];
	snprintf(path, sizeof path, "%s/tpm", machine.dir);
	const int fd = swtpm_connect(path);
	assert_true(fd >= 0);
	return fd;
}

/* ---- a character device --------------------------------------------------------------------- */

static bool
write_n(int fd, const uint8_t *p, size_t n)
{
	while (n != 0) {
		const ssize_t k = write(fd, p, n);
		if (k <= 0)
			return false;
		p += k;
		n -= (size_t)k;
	}
	return true;
}

static void *
serve_terminal(void *arg)
{
	const int master = *(int *)arg;
	while (!atomic_load(&stop)) {
		struct pollfd p = {.fd = master, .events = POLLIN};
		uint8_t c[4096], a[4096];
		size_t n = 0, m = 0;
		if (poll(&p, 1, 20) <= 0)
			continue;
		n = swtpm_read_message(master, c);
		const int tpm = n != 0 ? connect_swtpm() : -1;
		if (tpm >= 0 && swtpm_exchange(tpm, c, n, a, &m))
			(void)write_n(master, a, m);
		if (tpm >= 0)
			close(tpm);
	}
	return NULL;
}

/* A terminal in raw mode is the one character device that a test can make. */
static void
a_character_device_is_used_as_it_is(void **state)
{
	(void)state;
	pthread_t thread;
	char tcti[96];
	struct termios raw;
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(master >= 0);
	assert_int_equal(grantpt(master) | unlockpt(master), 0);
	snprintf(tcti, sizeof tcti, "device:%s", ptsname(master));
	const int slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(slave >= 0);
	assert_int_equal(tcgetattr(slave, &raw), 0);
	cfmakeraw(&raw);
	assert_int_equal(tcsetattr(slave, TCSANOW, &raw), 0);
	atomic_store(&stop, false);
	assert_int_equal(pthread_create(&thread, NULL, serve_terminal, &master), 0);
	use(tcti);
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	close(slave);
	close(master);
}

/* ---- the simulator's protocol --------------------------------------------------------------- */

struct sim {
	int command_fd, platform_fd;
	uint16_t port;
	atomic_int power_ons;
};

static int
listen_on(uint16_t port)
{
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	const struct sockaddr_in sa = {.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(fd, (const struct sockaddr *)&sa, sizeof sa) != 0 || listen(fd, 4) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static bool
read_n(int fd, uint8_t *p, size_t n)
{
	while (n != 0) {
		const ssize_t k = read(fd, p, n);
		if (k <= 0)
			return false;
		p += k;
		n -= (size_t)k;
	}
	return true;
}

static void
serve_platform(struct sim *sim, int fd)
{
	static const uint8_t ok[4];
	uint8_t w[4];
	while (read_n(fd, w, 4) && w[3] != 20) {
		if (w[3] == 1)
			atomic_fetch_add(&sim->power_ons, 1);
		if (!write_n(fd, ok, 4))
			return;
	}
}

static void
serve_commands(int fd)
{
	static const uint8_t ok[4];
	const int tpm = connect_swtpm();
	uint8_t head[9], c[4096], a[4096];
	while (read_n(fd, head, 4) && head[3] == 8 && read_n(fd, head + 4, 5)) {
		const size_t n = (size_t)head[7] << 8 | head[8];
		size_t m = 0;
		if (n > sizeof c || !read_n(fd, c, n) || !swtpm_exchange(tpm, c, n, a, &m))
			break;
		const uint8_t size[4] = {0, 0, (uint8_t)(m >> 8), (uint8_t)m};
		if (!write_n(fd, size, 4) || !write_n(fd, a, m) || !write_n(fd, ok, 4))
			break;
	}
	close(tpm);
}

static void *
serve_simulator(void *arg)
{
	struct sim *sim = arg;
	while (!atomic_load(&stop)) {
		struct pollfd p = {.fd = sim->command_fd, .events = POLLIN};
		if (poll(&p, 1, 20) <= 0)
			continue;
		const int fd = accept(sim->command_fd, NULL, NULL);
		serve_commands(fd);
		close(fd);
	}
	return NULL;
}

/* Beside it: other clients keep both connections open. */
static void *
serve_power(void *arg)
{
	struct sim *sim = arg;
	while (!atomic_load(&stop)) {
		struct pollfd p = {.fd = sim->platform_fd, .events = POLLIN};
		if (poll(&p, 1, 20) <= 0)
			continue;
		const int fd = accept(sim->platform_fd, NULL, NULL);
		serve_platform(sim, fd);
		close(fd);
	}
	return NULL;
}

static void
the_simulators_protocol_is_spoken(void **state)
{
	(void)state;
	struct sim sim = {.command_fd = -1};
	pthread_t thread, power;
	char tcti[64];
	for (uint16_t port = 20000 + (uint16_t)(getpid() % 20000); sim.command_fd < 0; port += 2) {
		sim.command_fd = listen_on(port);
		sim.platform_fd = sim.command_fd >= 0 ? listen_on(port + 1) : -1;
		if (sim.command_fd >= 0 && sim.platform_fd < 0) {
			close(sim.command_fd);
			sim.command_fd = -1;
		}
		sim.port = port;
	}
	atomic_store(&stop, false);
	assert_int_equal(pthread_create(&thread, NULL, serve_simulator, &sim), 0);
	assert_int_equal(pthread_create(&power, NULL, serve_power, &sim), 0);
	snprintf(tcti, sizeof tcti, "mssim:host=127.0.0.1,port=%u", sim.port);
	use(tcti);
	assert_true(atomic_load(&sim.power_ons) >= 2);
	/* Is this really the protocol? Ask a client that is not ours. */
	char line[160];
	snprintf(line, sizeof line, "TPM2TOOLS_TCTI=%s timeout 20 tpm2_getrandom --hex 4 >random",
		tcti);
	swtpm_sh(&machine, line);
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	pthread_join(power, NULL);
	close(sim.command_fd);
	close(sim.platform_fd);
}

/* ---- answers that do not come --------------------------------------------------------------- */

static void
a_silent_tpm_is_left_at_the_deadline(void **state)
{
	(void)state;
	struct vs_tpm *tpm = NULL;
	struct vs_err err = {0};
	uint32_t a, b;
	char tcti[64];
	const int fd = listen_on(0);
	struct sockaddr_in sa;
	socklen_t n = sizeof sa;
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &n), 0);
	snprintf(tcti, sizeof tcti, "swtpm:host=127.0.0.1,port=%u", ntohs(sa.sin_port));
	const struct vs_tpm_env env = {.tcti = tcti, .clock = vs_clock_system()};
	const int64_t start = in_ms(0);
	assert_ok(vs_tpm_open(&env, in_ms(200), &tpm, &err), &err);
	assert_code(vs_tpm_counts(tpm, &a, &b, &err), TPM);
	assert_in_range((in_ms(0) - start) / 1000000, 150, 2000);
	/* The connection is not used again: an answer now would be to another command. */
	assert_code(vs_tpm_counts(tpm, &a, &b, &err), TPM);
	vs_tpm_close(tpm);
	close(fd);
}

static void
says_what_is_wrong_with_the_machine(void **state)
{
	(void)state;
	struct vs_azguest_env env;
	struct vs_evidence_src src;
	struct vs_evidence ev = {0};
	struct vs_err err = {0};
	const uint8_t nonce[VS_NONCE_BYTES] = {1};
	char sentence[1600];
	fill_env(&env, machine.direct);
	assert_ok(vs_azguest_open(&env, &src, &err), &err);
	/* The certificate's index is there but not written yet. */
	swtpm_sh(&machine,
		"tpm2_nvundefine -Q -C p 0x01C101D0 && tpm2_nvdefine -Q -C p 0x01C101D0 -s 2048 -a "
		"'platformcreate|ownerread|authread|authwrite|no_da' -p labnv");
	assert_code(src.ops->collect(src.self, nonce, in_ms(20000), &ev, &err), EVIDENCE);
	vs_err_sentence(&err, sentence, sizeof sentence);
	assert_non_null(strstr(sentence, "not yet written"));
	swtpm_sh(&machine, "tpm2_nvundefine -Q -C p 0x01C101D0");
	assert_ok(src.ops->collect(src.self, nonce, in_ms(20000), &ev, &err), &err);
	assert_int_equal(ev.ak_cert.n, 0);
	vs_evidence_done(&ev);
	/* An owner password. */
	swtpm_sh(&machine,
		"tpm2_nvdefine -Q -C p 0x01400001 -s 2048 -a "
		"'platformcreate|ownerread|authread|authwrite|no_da' -p labnv && "
		"tpm2_changeauth -c owner secret");
	assert_code(src.ops->collect(src.self, nonce, in_ms(20000), &ev, &err), TPM);
	vs_err_sentence(&err, sentence, sizeof sentence);
	assert_non_null(strstr(sentence, "owner password"));
	swtpm_sh(&machine,
		"tpm2_changeauth -c owner -p secret && tpm2_nvundefine -Q -C p 0x01400001");
	/* No attestation key. */
	swtpm_sh(&machine, "tpm2_evictcontrol -Q -C o -c 0x81000003");
	assert_code(src.ops->collect(src.self, nonce, in_ms(20000), &ev, &err), EVIDENCE);
	vs_err_sentence(&err, sentence, sizeof sentence);
	assert_non_null(strstr(sentence, "0x81000003"));
	src.ops->close(src.self);
}

static int
set_up(void **state)
{
	(void)state;
	swtpm_start(&machine, false);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	swtpm_stop(&machine);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_machine_without_hardware_report_is_trusted_launch),
		cmocka_unit_test(a_character_device_is_used_as_it_is),
		cmocka_unit_test(the_simulators_protocol_is_spoken),
		cmocka_unit_test(a_silent_tpm_is_left_at_the_deadline),
		cmocka_unit_test(says_what_is_wrong_with_the_machine),
	};
	if (!swtpm_available())
		return 77;
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
