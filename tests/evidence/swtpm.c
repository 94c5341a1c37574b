/* SPDX-License-Identifier: BSD-2-Clause */
#include "evidence/swtpm.h"

#include <errno.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "unit/unit.h"

#include "base/codec.h"
#include "evidence/ev_crypto.h"
#include "evidence/quote.h"

extern char **environ;

enum { MSG = 4096, NV_BYTES = 2048, CC_NV_WRITE = 0x137, CC_NV_READ = 0x14E };
#define NV_HCL 0x01400001u
#define NV_USER_DATA 0x01400002u

static uint32_t
be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void
put_le32(uint8_t *p, size_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static pid_t
spawn_sh(const char *command)
{
	char sh[] = "sh", c[] = "-c";
	char *const argv[] = {sh, c, (char *)(uintptr_t)command, NULL};
	pid_t pid = -1;
	assert_int_equal(posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, environ), 0);
	return pid;
}

bool
swtpm_available(void)
{
	int status = -1;
	const pid_t pid =
		spawn_sh("command -v swtpm swtpm_ioctl tpm2_createprimary openssl >/dev/null");
	waitpid(pid, &status, 0);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void
swtpm_sh(struct swtpm *t, const char *command)
{
	char line[4096];
	int status = -1;
	snprintf(line, sizeof line, "cd %s && export TPM2TOOLS_TCTI=%s && { %s ; } </dev/null",
		t->dir, t->direct, command);
	const pid_t pid = spawn_sh(line);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		fail_msg("status %x of: %s", (unsigned)status, line);
}

int
swtpm_connect(const char *path)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	strncpy(sa.sun_path, path, sizeof sa.sun_path - 1);
	for (int i = 0; i < 500; i++) {
		const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (connect(fd, (struct sockaddr *)&sa, sizeof sa) == 0)
			return fd;
		close(fd);
		(void)poll(NULL, 0, 10);
	}
	return -1;
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

/* One TPM message; 0 at the end of the connection. */
size_t
swtpm_read_message(int fd, uint8_t buf[MSG])
{
	if (!read_n(fd, buf, 10))
		return 0;
	const size_t n = be32(buf + 2);
	if (n < 10 || n > MSG || !read_n(fd, buf + 10, n - 10))
		return 0;
	return n;
}

bool
swtpm_exchange(int fd, const uint8_t *command, size_t n, uint8_t answer[MSG], size_t *ret_n)
{
	if (send(fd, command, n, MSG_NOSIGNAL) != (ssize_t)n)
		return false;
	*ret_n = swtpm_read_message(fd, answer);
	return *ret_n != 0;
}

/* The report as the paravisor makes it; the hardware's signature is not needed by collect. */
static size_t
make_report(struct swtpm *t, uint8_t out[NV_BYTES])
{
	char json[1024], hex[129];
	struct vs_buf n = {0};
	struct vs_err err = {0};
	memset(out, 0, NV_BYTES);
	assert_ok(vs_b64url_encode((struct vs_bytes){t->ak_n, 256}, &n, &err), &err);
	vs_hex_str(t->user_data, 64, hex, sizeof hex);
	const size_t len = (size_t)snprintf(json, sizeof json,
		"{\"keys\":[{\"kid\":\"HCLAkPub\",\"key_ops\":[\"sign\"],\"kty\":\"RSA\",\"e\":"
		"\"AQAB\","
		"\"n\":\"%s\"}],\"vm-configuration\":{\"secure-boot\":true,\"vmUniqueId\":"
		"\"00000000-0000-4000-8000-000000000001\"},\"user-data\":\"%s\"}",
		vs_buf_cstr(&n), hex);
	vs_buf_done(&n);
	memcpy(out, "HCLA", 4);
	put_le32(out + 4, 2);
	put_le32(out + 8, 1236 + len);
	put_le32(out + 12, 2);
	out[32] = 3;
	put_le32(out + 1216, 20 + len);
	put_le32(out + 1220, 1);
	put_le32(out + 1224, 2);
	put_le32(out + 1228, 1);
	put_le32(out + 1232, len);
	memcpy(out + 1236, json, len);
	assert_ok(
		vs_ev_sha256((struct vs_bytes){(const uint8_t *)json, len}, out + 32 + 0x50, &err),
		&err);
	return 1236 + len;
}

/* NV_Write with the index's own authorisation, which only the platform knows. */
static void
write_nv(int fd, uint32_t index, const uint8_t *data, size_t n)
{
	for (size_t at = 0; at < n;) {
		const size_t k = n - at > 512 ? 512 : n - at;
		uint8_t c[MSG], answer[MSG];
		struct vs_buf b = {0};
		struct vs_err err = {0};
		size_t got = 0;
		assert_ok(vs_buf_add_be16(&b, 0x8002, &err), &err);
		assert_ok(vs_buf_add_be32(&b, (uint32_t)(10 + 8 + 4 + 14 + 2 + k + 2), &err), &err);
		assert_ok(vs_buf_add_be32(&b, CC_NV_WRITE, &err), &err);
		assert_ok(vs_buf_add_be32(&b, index, &err), &err);
		assert_ok(vs_buf_add_be32(&b, index, &err), &err);
		assert_ok(vs_buf_add_be32(&b, 14, &err), &err);
		assert_ok(vs_buf_add_be32(&b, 0x40000009, &err), &err);
		assert_ok(vs_buf_add_be16(&b, 0, &err), &err);
		assert_ok(vs_buf_add_u8(&b, 0, &err), &err);
		assert_ok(vs_buf_add_be16(&b, 5, &err), &err);
		assert_ok(vs_buf_add_str(&b, "labnv", &err), &err);
		assert_ok(vs_buf_add_be16(&b, (uint16_t)k, &err), &err);
		assert_ok(vs_buf_add(&b, data + at, k, &err), &err);
		assert_ok(vs_buf_add_be16(&b, (uint16_t)at, &err), &err);
		memcpy(c, b.p, b.n);
		assert_true(swtpm_exchange(fd, c, b.n, answer, &got));
		assert_int_equal(be32(answer + 6), 0);
		vs_buf_done(&b);
		at += k;
	}
}

void
swtpm_extend(int fd, uint32_t pcr)
{
	static const uint8_t head[] = {0x80, 2, 0, 0, 0, 65, 0, 0, 1, 0x82, 0, 0, 0, 0, 0, 0, 0, 9,
		0x40, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0xB};
	uint8_t c[65], a[MSG];
	size_t n = 0;
	memset(c, 0x5A, sizeof c);
	memcpy(c, head, sizeof head);
	c[13] = (uint8_t)pcr;
	assert_true(swtpm_exchange(fd, c, sizeof c, a, &n));
	assert_int_equal(be32(a + 6), 0);
}

static void
renew(struct swtpm *t, int fd)
{
	uint8_t report[NV_BYTES];
	if (atomic_load(&t->stale) > 0) {
		atomic_fetch_sub(&t->stale, 1);
		return;
	}
	make_report(t, report);
	write_nv(fd, NV_HCL, report, sizeof report);
	atomic_fetch_add(&t->renewals, 1);
}

static void
serve(struct swtpm *t, int guest, int tpm)
{
	uint8_t c[MSG], a[MSG];
	for (size_t n = swtpm_read_message(guest, c); n != 0; n = swtpm_read_message(guest, c)) {
		const uint32_t code = be32(c + 6);
		if (t->before != NULL)
			t->before(t, code, tpm);
		/* Handles at 10 and 14, the authorisation of an empty password in 13 bytes, data.
		 */
		if (code == CC_NV_WRITE && be32(c + 14) == NV_USER_DATA &&
			n == 10 + 8 + 4 + 9 + 2 + 64 + 2)
			memcpy(t->user_data, c + 10 + 8 + 4 + 9 + 2, 64);
		const bool report = code == CC_NV_READ && be32(c + 14) == NV_HCL;
		if (report && c[n - 1] == 0 && c[n - 2] == 0)
			renew(t, tpm);
		size_t m = 0;
		if (!swtpm_exchange(tpm, c, n, a, &m) ||
			send(guest, a, m, MSG_NOSIGNAL) != (ssize_t)m)
			break;
	}
}

static void *
front(void *arg)
{
	struct swtpm *t = arg;
	char path[96];
	snprintf(path, sizeof path, "%s/tpm", t->dir);
	while (!atomic_load(&t->stop)) {
		struct pollfd p = {.fd = t->listen_fd, .events = POLLIN};
		if (poll(&p, 1, 50) <= 0)
			continue;
		const int guest = accept(t->listen_fd, NULL, NULL);
		const int tpm = guest >= 0 ? swtpm_connect(path) : -1;
		if (tpm >= 0)
			serve(t, guest, tpm);
		close(tpm);
		close(guest);
	}
	return NULL;
}

static void
read_ak(struct swtpm *t)
{
	char path[128];
	uint8_t b[512];
	struct vs_tpm_public public;
	struct vs_err err = {0};
	snprintf(path, sizeof path, "%s/ak.tss", t->dir);
	FILE *f = fopen(path, "rb");
	assert_non_null(f);
	const size_t n = fread(b, 1, sizeof b, f);
	fclose(f);
	assert_ok(vs_tpm_public_parse((struct vs_bytes){b, n}, &public, &err), &err);
	assert_int_equal(public.n.n, 256);
	memcpy(t->ak_n, public.n.p, 256);
}

static void
provision(struct swtpm *t, bool confidential)
{
	/* A certificate is needed as bytes only; self-signed by another key is enough here. */
	swtpm_sh(t,
		"tpm2_createprimary -Q -C e -G rsa2048:rsassa-sha256:null -g sha256 -c ak.ctx -a "
		"'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|sign' && "
		"tpm2_evictcontrol -Q -C o -c ak.ctx 0x81000003 && tpm2_flushcontext -t && "
		"tpm2_readpublic -Q -c 0x81000003 -f tss -o ak.tss && tpm2_readpublic -Q -c "
		"0x81000003 "
		"-f pem -o ak.pem && "
		"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=lab -keyout ca.key "
		"-out "
		"ca.pem 2>/dev/null && "
		"openssl x509 -new -force_pubkey ak.pem -subj /CN=lab-ak -CA ca.pem -CAkey ca.key "
		"-days 2 "
		"-outform DER -out ak.der 2>/dev/null && "
		"{ cat ak.der; head -c 2048 /dev/zero; } | head -c 2048 >ak.nv && "
		"tpm2_nvdefine -Q -C p 0x01C101D0 -s 2048 -a "
		"'platformcreate|ownerread|authread|authwrite|no_da' -p labnv && "
		"tpm2_nvwrite -Q 0x01C101D0 -C 0x01C101D0 -P labnv -i ak.nv && "
		"for i in 0 1 2 3 4 5 6 7; do tpm2_pcrextend $i:sha256=$(printf \"lab event $i\" | "
		"sha256sum | cut -d' ' -f1) || exit 1; done");
	read_ak(t);
	if (!confidential)
		return;
	uint8_t report[NV_BYTES];
	char path[128];
	make_report(t, report);
	snprintf(path, sizeof path, "%s/hcl.nv", t->dir);
	FILE *f = fopen(path, "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(report, 1, sizeof report, f), sizeof report);
	fclose(f);
	swtpm_sh(t,
		"tpm2_nvdefine -Q -C p 0x01400001 -s 2048 -a "
		"'platformcreate|ownerread|authread|authwrite|no_da' -p labnv && "
		"tpm2_nvwrite -Q 0x01400001 -C 0x01400001 -P labnv -i hcl.nv");
}

void
swtpm_start(struct swtpm *t, bool confidential)
{
	char line[512];
	*t = (struct swtpm){.listen_fd = -1};
	snprintf(t->dir, sizeof t->dir, "/tmp/vs-swtpm.XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	snprintf(t->direct, sizeof t->direct, "swtpm:path=%s/tpm", t->dir);
	snprintf(t->front, sizeof t->front, "swtpm:path=%s/front", t->dir);
	snprintf(line, sizeof line,
		"cd %s && mkdir state && exec swtpm socket --tpm2 --tpmstate dir=state --server "
		"type=unixio,path=tpm --ctrl type=unixio,path=tpm.ctrl --flags "
		"not-need-init,startup-clear >swtpm.out 2>&1",
		t->dir);
	t->pid = spawn_sh(line);
	char path[96];
	snprintf(path, sizeof path, "%s/tpm", t->dir);
	const int fd = swtpm_connect(path);
	assert_true(fd >= 0);
	close(fd);
	provision(t, confidential);

	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	snprintf(sa.sun_path, sizeof sa.sun_path, "%s/front", t->dir);
	t->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(t->listen_fd, (struct sockaddr *)&sa, sizeof sa), 0);
	assert_int_equal(listen(t->listen_fd, 4), 0);
	assert_int_equal(pthread_create(&t->thread, NULL, front, t), 0);
}

void
swtpm_stop(struct swtpm *t)
{
	char line[128];
	int status;
	atomic_store(&t->stop, true);
	pthread_join(t->thread, NULL);
	close(t->listen_fd);
	kill(t->pid, SIGTERM);
	waitpid(t->pid, &status, 0);
	snprintf(line, sizeof line, "rm -rf %s", t->dir);
	const pid_t pid = spawn_sh(line);
	waitpid(pid, &status, 0);
}
