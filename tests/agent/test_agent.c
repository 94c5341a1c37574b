/* SPDX-License-Identifier: BSD-2-Clause */
/* The agent as a process, with services and audit log made of data; the module's client talks. */
#include "unit/unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client/client.h"
#include "client/grant.h"
#include "client/spawn.h"
#include "proto/msg.h"

#define S INT64_C(1000000000)

struct lab {
	char dir[64], conf[96], socket[96], script[96], calls[128], audit[96], fail[128];
	char allow[128], login[128], more[256];
	int max_lease_s;
	pid_t agent;
	struct vs_profile *profile;
	struct vs_arena *arena;
	struct vs_client *client;
};

static const char *
agent_path(void)
{
	return VS_TEST_BUILDDIR "/tests/agent/agent-of-data";
}

static void
write_file(const char *path, const char *text, mode_t mode)
{
	char tmp[160];
	snprintf(tmp, sizeof tmp, "%s.new", path);
	const int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
	assert_int_equal(rename(tmp, path), 0);
}

static void
script(const struct lab *l, const char *text)
{
	write_file(l->script, text, 0644);
}

/* Lines of a file that contain word; all of them if word is NULL. */
static size_t
count_lines(const char *path, const char *word)
{
	char line[4096];
	size_t n = 0;
	FILE *f = fopen(path, "re");
	while (f && fgets(line, sizeof line, f))
		n += !word || strstr(line, word);
	if (f)
		fclose(f);
	return n;
}

static void
write_conf(const struct lab *l)
{
	char text[2048];
	snprintf(text, sizeof text,
		"[global]\n"
		"agent-socket = %s\n"
		"agent-program = %s\n"
		"audit-log = %s\n"
		"state-dir = %s\n"
		"refusal-hold = 400ms\n"
		"operation-timeout = 4s\n"
		"%s\n"
		"[token data]\n"
		"vault = https://contoso.vault.azure.net\n"
		"attestation = https://contoso.weu.attest.azure.net\n"
		"policy = %s\n"
		"max-lease = %ds\n"
		"%s\n%s\n",
		l->socket, agent_path(), l->audit, l->dir, l->more, l->script, l->max_lease_s,
		l->allow, l->login);
	write_file(l->conf, text, 0644);
}

static void
nap_ms(long ms)
{
	const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
	nanosleep(&t, NULL);
}

static void
start_agent(struct lab *l)
{
	l->agent = fork();
	assert_true(l->agent >= 0);
	if (l->agent == 0) {
		const int null = open("/dev/null", O_RDWR);
		if (!getenv("AGENT_LOG"))
			dup2(null, 2);
		execl(agent_path(), "vouchsafe-agent", "--config", l->conf, (char *)NULL);
		_exit(127);
	}
	for (int i = 0; i < 500; i++) {
		struct sockaddr_un a = {.sun_family = AF_UNIX};
		snprintf(a.sun_path, sizeof a.sun_path, "%s", l->socket);
		const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		const int rc = connect(fd, (struct sockaddr *)&a, sizeof a);
		close(fd);
		if (rc == 0)
			return;
		nap_ms(10);
	}
	fail_msg("the agent does not listen");
}

static int
wait_agent(struct lab *l)
{
	int status = -1;
	if (l->agent > 0)
		assert_int_equal(waitpid(l->agent, &status, 0), l->agent);
	l->agent = 0;
	return status;
}

static void
load_profile(struct lab *l)
{
	struct vs_err err = {0};
	setenv("VOUCHSAFE_CONF", l->conf, 1);
	assert_ok(vs_profile_load(&l->profile, &err), &err);
	if (l->profile->broken)
		fail_msg("%s", l->profile->why);
}

static struct vs_client *
new_client(const struct lab *l)
{
	struct vs_err err = {0};
	struct vs_client *c = NULL;
	assert_ok(vs_client_new(l->profile, l->arena, &c, &err), &err);
	return c;
}

static struct lab *
new_lab(int max_lease_s)
{
	struct vs_err err = {0};
	struct lab *l = calloc(1, sizeof *l);
	snprintf(l->dir, sizeof l->dir, "/tmp/vouchsafe-agent-test.XXXXXX");
	assert_non_null(mkdtemp(l->dir));
	assert_int_equal(chmod(l->dir, 0755), 0);
	snprintf(l->conf, sizeof l->conf, "%s/conf", l->dir);
	snprintf(l->socket, sizeof l->socket, "%s/sock", l->dir);
	snprintf(l->script, sizeof l->script, "%s/script", l->dir);
	snprintf(l->calls, sizeof l->calls, "%s.calls", l->script);
	snprintf(l->audit, sizeof l->audit, "%s/audit", l->dir);
	snprintf(l->fail, sizeof l->fail, "%s.fail", l->audit);
	l->max_lease_s = max_lease_s;
	script(l, "attest = accept\n");
	write_conf(l);
	assert_ok(vs_arena_new(65536, 4 << 20, VS_LOCK_WARN, &l->arena, &err), &err);
	load_profile(l);
	return l;
}

/* The private agent of this configuration, by its command line; 0: none. */
static pid_t
find_agent(const char *conf)
{
	char path[64], line[1024], wanted[256];
	DIR *dir = opendir("/proc");
	pid_t found = 0;
	assert_non_null(dir);
	for (const struct dirent *e = readdir(dir); e && found == 0; e = readdir(dir)) {
		int pid = 0;
		if (sscanf(e->d_name, "%d", &pid) != 1)
			continue;
		snprintf(path, sizeof path, "/proc/%d/cmdline", pid);
		const int fd = open(path, O_RDONLY | O_CLOEXEC);
		const ssize_t n = fd < 0 ? 0 : read(fd, line, sizeof line - 1);
		if (fd >= 0)
			close(fd);
		for (ssize_t i = 0; i < n; i++)
			line[i] = line[i] ? line[i] : ' ';
		line[n > 0 ? n : 0] = '\0';
		snprintf(wanted, sizeof wanted, "--config %s --private", conf);
		if (strstr(line, wanted))
			found = pid;
	}
	closedir(dir);
	return found;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void
end_lab(struct lab *l)
{
	vs_client_free(l->client);
	if (l->agent > 0) {
		kill(l->agent, SIGTERM);
		(void)wait_agent(l);
	}
	vs_profile_free(l->profile);
	vs_arena_free(l->arena);
	/* A private agent may still be writing its last record. */
	for (int i = 0; i < 300 && find_agent(l->conf) > 0; i++)
		nap_ms(10);
	assert_int_equal(nftw(l->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
	free(l);
}

static int64_t
in_s(int s)
{
	return vs_boot_now_ns() + s * S;
}

static vs_rc
need(struct vs_client *c, struct vs_grant **g, struct vs_err *err)
{
	return vs_client_need(c, 0, NULL, 0, in_s(10), g, err);
}

static vs_rc
key(struct vs_client *c, struct vs_grant *g, const char *name, struct vs_secret *ret, uint32_t *no,
	struct vs_err *err)
{
	return vs_client_key(c, g, vs_bytes_str(name),
		vs_bytes_str("0123456789abcdef0123456789abcdef"), in_s(10), NULL, ret, no, err);
}

static struct lab *
started_lab(int max_lease_s)
{
	struct lab *l = new_lab(max_lease_s);
	start_agent(l);
	l->client = new_client(l);
	return l;
}

/* Wait until the page says `want` for this key. */
static void
expect_page(const struct vs_grant *g, uint32_t no, enum vs_code want, int within_ms)
{
	enum vs_code seen = VS_E_OK;
	for (int i = 0; i <= within_ms / 10; i++) {
		seen = vs_page_allows(vs_grant_page(g), no, false);
		if (seen == want)
			return;
		nap_ms(10);
	}
	fail_msg("the page says %s, not %s", vs_code_name(seen), vs_code_name(want));
}

/* ---- the happy path -------------------------------------------------------------------------- */

static void
grants_releases_and_records_in_this_order(void **state)
{
	(void)state;
	struct lab *l = started_lab(60);
	struct vs_err err = {0};
	struct vs_catalog_data *cat = NULL;
	struct vs_grant *g = NULL;
	struct vs_secret secret = {0};
	uint32_t no = 99;
	assert_ok(vs_client_catalog(l->client, 0, 0, in_s(10), &cat, &err), &err);
	assert_int_equal(cat->n, 3);
	assert_int_equal(count_lines(l->calls, "attest"), 0);
	struct vs_catalog_data *same = cat;
	assert_ok(vs_client_catalog(l->client, 0, cat->generation, in_s(10), &same, &err), &err);
	assert_null(same);
	assert_ok(need(l->client, &g, &err), &err);
	assert_int_equal(vs_page_allows(vs_grant_page(g), 0, false), VS_E_KEY_GONE);
	assert_ok(key(l->client, g, "key-2", &secret, &no, &err), &err);
	assert_int_equal(secret.n, 32);
	assert_memory_equal(secret.p, "secret of key-2  ", 16);
	assert_int_equal(vs_page_allows(vs_grant_page(g), no, false), VS_E_OK);
	assert_int_equal(count_lines(l->audit, "start "), 1);
	assert_int_equal(count_lines(l->audit, "attempt token=data lease="), 1);
	assert_int_equal(count_lines(l->audit, "result=granted"), 2);
	assert_int_equal(count_lines(l->audit, "release token=data"), 1);
	assert_int_equal(count_lines(l->audit, "key token=data"), 1);
	assert_int_equal(count_lines(l->audit, "secret of"), 0);
	struct vs_token_status st;
	assert_ok(vs_client_status(l->client, 0, in_s(10), &st, &err), &err);
	assert_string_equal(st.state, "UNLOCKED");
	assert_int_equal(st.n_keys_released, 1);
	assert_int_equal(st.n_peers, 1);
	assert_in_range(st.lease_left_s, 40, 60);
	vs_secret_done(&secret);
	vs_grant_unref(g);
	vs_catalog_data_free(cat);
	end_lab(l);
}

static void
the_page_cannot_be_written_by_its_readers(void **state)
{
	(void)state;
	struct lab *l = started_lab(60);
	struct vs_err err = {0};
	struct vs_grant *g = NULL;
	assert_ok(need(l->client, &g, &err), &err);
	const struct vs_page *page = vs_grant_page(g);
	const uintptr_t at = (uintptr_t)page;
	assert_int_equal(mprotect((void *)at, VS_PAGE_BYTES, PROT_READ | PROT_WRITE), -1);
	vs_grant_unref(g);
	end_lab(l);
}

static void
a_key_made_later_is_listed_within_five_seconds(void **state)
{
	(void)state;
	struct lab *l = started_lab(60);
	struct vs_err err = {0};
	struct vs_catalog_data *cat = NULL;
	assert_ok(vs_client_catalog(l->client, 0, 0, in_s(10), &cat, &err), &err);
	assert_int_equal(cat->n, 3);
	const uint64_t known = cat->generation;
	vs_catalog_data_free(cat);
	cat = NULL;
	script(l, "keys = 4\n");
	/* Asked each second, as by a module that searches now and then. */
	for (int i = 0; i < 5 && cat == NULL; i++) {
		nap_ms(1000);
		assert_ok(vs_client_catalog(l->client, 0, known, in_s(10), &cat, &err), &err);
	}
	assert_non_null(cat);
	assert_int_equal(cat->n, 4);
	vs_catalog_data_free(cat);
	end_lab(l);
}

static void
a_large_catalog_comes_in_parts(void **state)
{
	(void)state;
	struct lab *l = new_lab(60);
	struct vs_err err = {0};
	struct vs_catalog_data *cat = NULL;
	script(l, "keys = 3000\n");
	start_agent(l);
	l->client = new_client(l);
	assert_ok(vs_client_catalog(l->client, 0, 0, in_s(10), &cat, &err), &err);
	assert_int_equal(cat->n, 3000);
	assert_true(vs_bytes_eq_str(cat->entries[2999].name, "key-3000"));
	vs_catalog_data_free(cat);
	end_lab(l);
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void
a_refusal_names_each_failed_check_and_is_held(void **state)
{
	(void)state;
	struct lab *l = new_lab(60);
	struct vs_err err = {0};
	struct vs_grant *g = NULL;
	char text[1024];
	script(l, "attest = refuse\n");
	start_agent(l);
	l->client = new_client(l);
	assert_code(need(l->client, &g, &err), REFUSED_POLICY);
	assert_null(g);
	vs_err_sentence(&err, text, sizeof text);
	assert_non_null(strstr(text, "secure boot (policy): expected true, seen false"));
	assert_non_null(strstr(text, "debug flag (A15)"));
	assert_null(strstr(text, "signature"));
	for (int i = 0; i < 5; i++)
		assert_code(need(l->client, &g, &err), REFUSED_POLICY);
	assert_int_equal(count_lines(l->calls, "attest"), 1);
	assert_int_equal(count_lines(l->audit, "result=refused"), 1);
	assert_int_equal(count_lines(l->audit, "check=A15/failed"), 1);
	struct vs_token_status st;
	assert_ok(vs_client_status(l->client, 0, in_s(10), &st, &err), &err);
	assert_string_equal(st.state, "DENIED");
	assert_int_equal(st.last_code, 904);
	assert_non_null(strstr(st.last_sentence, "secure boot"));
	script(l, "attest = accept\n");
	nap_ms(450);
	assert_ok(need(l->client, &g, &err), &err);
	vs_grant_unref(g);
	end_lab(l);
}

static void
an_unreachable_service_backs_off(void **state)
{
	(void)state;
	struct lab *l = new_lab(60);
	struct vs_err err = {0};
	struct vs_grant *g = NULL;
	script(l, "attest = unreachable\n");
	start_agent(l);
	l->client = new_client(l);
	for (int i = 0; i < 5; i++)
		assert_code(need(l->client, &g, &err), CONNECT);
	assert_int_equal(count_lines(l->calls, "attest"), 1);
	assert_int_equal(count_lines(l->audit, "result=unreachable"), 1);
	script(l, "attest = accept\n");
	nap_ms(1300);
	assert_ok(need(l->client, &g, &err), &err);
	vs_grant_unref(g);
	end_lab(l);
}

/* ---- what the audit log says of keys and their uses ------------------------------------------ */

/* Run it in another process; its result, or 255 when it ended in another way. */
static int
in_child(struct lab *l, int (*fn)(struct lab *l, int arg), int arg)
{
	int status = 0;
	const pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct vs_err err = {0};
		struct lab mine = *l;
		mine.arena = NULL;
		if (vs_failed(vs_arena_new(65536, 1 << 20, VS_LOCK_WARN, &mine.arena, &err)) ||
			vs_failed(vs_client_new(l->profile, mine.arena, &mine.client, &err)))
			_exit(254);
		_exit(fn(&mine, arg));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

static int
asks_for_key_1(struct lab *l, int wanted)
{
	struct vs_err err = {0};
	struct vs_grant *g = NULL;
	struct vs_secret secret = {0};
	uint32_t no = 0;
	vs_rc rc = need(l->client, &g, &err);
	if (!vs_failed(rc))
		rc = key(l->client, g, "key-1", &secret, &no, &err);
	return (int)rc.code == wanted && (secret.n == 0) == vs_failed(rc) ? 0 : 1;
}

static void
count(struct vs_uses *u, uint32_t no, int n)
{
	for (int i = 0; i < n; i++)
		vs_uses_add(u, no, (uint32_t)i);
}

static void
stop_agent(struct lab *l)
{
	kill(l->agent, SIGTERM);
	(void)wait_agent(l);
}

/* Lines of the log with both words. */
static size_t
count_both(const char *path, const char *a, const char *b)
{
	char line[4096];
	size_t n = 0;
	FILE *f = fopen(path, "re");
	while (f && fgets(line, sizeof line, f))
		n += strstr(line, a) && strstr(line, b);
	if (f)
		fclose(f);
	return n;
}

static void
uses_are_recorded_for_each_key_when_the_agent_ends(void **state)
{
	(void)state;
	struct lab *l = started_lab(60);
	struct vs_err err = {0};
	struct vs_grant *g = NULL;
	struct vs_secret secret = {0};
	uint32_t one = 0, two = 0, three = 0;
	char pid[32];
	assert_ok(need(l->client, &g, &err), &err);
	assert_null(vs_grant_uses(g));
	assert_ok(key(l->client, g, "key-1", &secret, &one, &err), &err);
	vs_secret_done(&secret);
	struct vs_uses *u = vs_grant_uses(g);
	assert_non_null(u);
	assert_ok(key(l->client, g, "key-2", &secret, &two, &err), &err);
	vs_secret_done(&secret);
	assert_ptr_equal(vs_grant_uses(g), u);
	assert_ok(key(l->client, g, "key-3", &secret, &three, &err), &err);
	vs_secret_done(&secret);
	count(u, one, 1234);
	count(u, two, 1);
	assert_int_equal(count_lines(l->audit, "uses token"), 0);
	stop_agent(l);
	snprintf(pid, sizeof pid, " pid=%d ", (int)getpid());
	assert_int_equal(count_lines(l->audit, "uses token=data lease="), 2);
	assert_int_equal(count_both(l->audit, " key=key-1 ", " uses=1234 processes=1\n"), 1);
	assert_int_equal(count_both(l->audit, " key=key-2 ", " uses=1 processes=1\n"), 1);
	assert_int_equal(count_both(l->audit, "uses token", pid), 2);
	assert_int_equal(count_lines(l->audit, "stop "), 1);
	vs_grant_unref(g);
	end_lab(l);
}

static int
uses_key_1(struct lab *l, int n)
{
	struct vs_err err = {0};
	struct vs_grant *g = NULL;
	struct vs_secret secret = {0};
	uint32_t no = 0;
	if (vs_failed(need(l->client, &g, &err)) ||
		vs_failed(key(l->client, g, "key-1", &secret, &no, &err)))
		return 1;
	count(vs_grant_uses(g), no, n < 0 ? -n : n);
	if (n < 0)
		kill(getpid(), SIGKILL);
	return 0;
}

static void
uses_of_a_process_that_was_killed_are_recorded(void **state)
{
	(void)state;
	struct lab *l = started_lab(60);
	assert_int_equal(in_child(l, uses_key_1, -777), 255);
	assert_int_equal(in_child(l, uses_key_1, 23), 0);
	stop_agent(l);
	/* Of one user: one record, no pid. */
	assert_int_equal(count_both(l->audit, " key=key-1 ", " uses=800 processes=2\n"), 1);
	assert_int_equal(count_both(l->audit, "uses token", " pid="), 0);
	end_lab(l);
}

static void
uses_under_a_lease_that_has_ended_are_recorded(void **state)
{
	(void)state;
	struct lab *l = started_lab(2);
	struct vs_err err = {0};
	struct vs_grant *g = NULL;
	struct vs_secret secret = {0};
	uint32_t no = 0;
	script(l, "attest = accept\n");
	assert_ok(need(l->client, &g, &err), &err);
	assert_ok(key(l->client, g, "key-1", &secret, &no, &err), &err);
	vs_secret_done(&secret);
	count(vs_grant_uses(g), no, 5);
	script(l, "attest = refuse\n");
	expect_page(g, no, VS_E_REVOKED, 3000);
	script(l, "attest = accept\n");
	nap_ms(600);
	struct vs_grant *later = NULL;
	assert_ok(need(l->client, &later, &err), &err);
	assert_ok(key(l->client, later, "key-1", &secret, &no, &err), &err);
	vs_secret_done(&secret);
	/* Two leases, two sums, whatever numbers their keys have. */
	count(vs_grant_uses(later), no, 7);
	stop_agent(l);
	assert_int_equal(count_both(l->audit, " key=key-1 ", " uses=5 processes=1\n"), 1);
	assert_int_equal(count_both(l->audit, " key=key-1 ", " uses=7 processes=1\n"), 1);
	vs_grant_unref(g);
	vs_grant_unref(later);
	end_lab(l);
}

/* Everything a process can do to memory it may write. */
static int
spoils_its_counters(struct lab *l, int arg)
{
	(void)arg;
	struct vs_err err = {0};
	struct vs_grant *g = NULL;
	struct vs_secret secret = {0};
	uint32_t no = 0;
	if (vs_failed(need(l->client, &g, &err)) ||
		vs_failed(key(l->client, g, "key-2", &secret, &no, &err)))
		return 1;
	/* Pages are taken away under the agent, which reads zeros then; then all is overwritten. */
	if (madvise(vs_grant_uses(g), VS_USES_BYTES, MADV_REMOVE) != 0)
		return 2;
	memset(vs_grant_uses(g), 0xff, VS_USES_BYTES);
	return 0;
}

static void
what_a_process_writes_counts_for_itself_alone(void **state)
{
	(void)state;
	struct lab *l = started_lab(60);
	struct vs_err err = {0};
	struct vs_grant *g = NULL;
	struct vs_secret secret = {0};
	uint32_t one = 0, two = 0;
	assert_ok(need(l->client, &g, &err), &err);
	assert_ok(key(l->client, g, "key-1", &secret, &one, &err), &err);
	vs_secret_done(&secret);
	assert_ok(key(l->client, g, "key-2", &secret, &two, &err), &err);
	vs_secret_done(&secret);
	count(vs_grant_uses(g), one, 10);
	assert_int_equal(in_child(l, spoils_its_counters, 0), 0);
	stop_agent(l);
	/* Of key-1, which it was not given, there is no word of its own. */
	assert_int_equal(count_lines(l->audit, "uses token"), 2);
	assert_int_equal(count_both(l->audit, " key=key-1 ", " uses=10 processes=1\n"), 1);
	assert_int_equal(
		count_both(l->audit, " key=key-2 ", " uses=0 processes=1 counters-went-back=true"),
		1);
	vs_grant_unref(g);
	end_lab(l);
}

static void
counters_that_are_not_sealed_are_not_mapped(void **state)
{
	(void)state;
	struct lab *l = started_lab(60);
	struct vs_err err = {0};
	struct vs_grant *g = NULL;
	assert_ok(need(l->client, &g, &err), &err);
	const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	const struct {
		off_t size;
		int seals;
	} rows[] = {{VS_USES_BYTES, 0}, {VS_USES_BYTES, F_SEAL_GROW | F_SEAL_SEAL},
		{VS_USES_BYTES - 1, seals}, {2 * VS_USES_BYTES, seals}, {0, seals}};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const int fd = memfd_create("liar", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		assert_int_equal(ftruncate(fd, rows[i].size), 0);
		if (rows[i].seals != 0)
			assert_int_equal(fcntl(fd, F_ADD_SEALS, rows[i].seals), 0);
		assert_code(vs_grant_count_in(g, fd, &err), WIRE);
		close(fd);
	}
	assert_code(vs_grant_count_in(g, -1, &err), WIRE);
	assert_null(vs_grant_uses(g));
	vs_grant_unref(g);
	end_lab(l);
}

static void
a_process_that_asks_again_and_again_gets_one_record(void **state)
{
	(void)state;
	struct lab *l = started_lab(60);
	struct vs_err err = {0};
	for (int i = 0; i < 20; i++) {
		struct vs_client *c = new_client(l);
		struct vs_grant *g = NULL;
		struct vs_secret secret = {0};
		uint32_t no = 0;
		assert_ok(need(c, &g, &err), &err);
		for (int k = 0; k < 5; k++) {
			assert_ok(key(c, g, "key-1", &secret, &no, &err), &err);
			vs_secret_done(&secret);
		}
		count(vs_grant_uses(g), no, 1);
		vs_grant_unref(g);
		vs_client_free(c);
	}
	assert_int_equal(count_lines(l->audit, "key token=data"), 1);
	stop_agent(l);
	assert_int_equal(count_both(l->audit, " key=key-1 ", " uses=20 processes=1\n"), 1);
	end_lab(l);
}

/* The disk is not a user's to fill: beyond some records a minute hand-overs are counted. */
static void
processes_without_number_do_not_fill_the_log(void **state)
{
	(void)state;
	enum { PROCESSES = 150, RECORDS = 120 };
	struct lab *l = started_lab(60);
	size_t counted = 0;
	const int64_t minute = vs_boot_now_ns() / (60 * S);
	for (int i = 0; i < PROCESSES; i++)
		assert_int_equal(in_child(l, asks_for_key_1, VS_E_OK), 0);
	const size_t single = count_lines(l->audit, "key token=data");
	stop_agent(l);
	char line[4096];
	FILE *f = fopen(l->audit, "re");
	while (f && fgets(line, sizeof line, f)) {
		const char *at = strstr(line, " handovers=");
		counted += at ? strtoul(at + 11, NULL, 10) : 0;
	}
	if (f)
		fclose(f);
	/* None is forgotten. A new minute may have begun in between. */
	if (vs_boot_now_ns() / (60 * S) == minute) {
		assert_int_equal(single, RECORDS);
		assert_int_equal(counted, PROCESSES - RECORDS);
		assert_int_equal(count_lines(l->audit, "further-are-counted=true"), 1);
	}
	assert_true(single <= 2 * RECORDS);
	end_lab(l);
}

static void
without_a_record_there_is_no_grant(void **state)
{
	(void)state;
	struct lab *l = started_lab(60);
	struct vs_err err = {0};
	struct vs_grant *g = NULL;
	struct vs_secret secret = {0};
	uint32_t no = 0;
	write_file(l->fail, "x", 0600);
	assert_code(need(l->client, &g, &err), AUDIT);
	assert_null(g);
	assert_int_equal(unlink(l->fail), 0);
	nap_ms(1300);
	assert_ok(need(l->client, &g, &err), &err);
	/* Nor a key: neither its release nor its hand-over. */
	write_file(l->fail, "x", 0600);
	assert_code(key(l->client, g, "key-1", &secret, &no, &err), AUDIT);
	assert_int_equal(unlink(l->fail), 0);
	nap_ms(1100);
	assert_ok(key(l->client, g, "key-1", &secret, &no, &err), &err);
	/* What was released without a record was not kept either. */
	assert_int_equal(count_lines(l->calls, "release key-1"), 2);
	vs_secret_done(&secret);
	write_file(l->fail, "x", 0600);
	/* Who has it by a record may have it again; another process may not. */
	assert_ok(key(l->client, g, "key-1", &secret, &no, &err), &err);
	vs_secret_done(&secret);
	assert_int_equal(in_child(l, asks_for_key_1, VS_E_AUDIT), 0);
	vs_grant_unref(g);
	end_lab(l);
}

/* A full disk is not a way around the log: what could not be recorded is not counted either. */
static void
many_who_ask_do_not_get_a_key_without_a_record(void **state)
{
	(void)state;
	enum { PROCESSES = 130 }; /* more than have a record of their own in a minute */
	struct lab *l = started_lab(60);
	struct vs_err err = {0};
	struct vs_grant *g = NULL;
	struct vs_secret secret = {0};
	uint32_t no = 0;
	assert_ok(need(l->client, &g, &err), &err);
	assert_ok(key(l->client, g, "key-1", &secret, &no, &err), &err);
	vs_secret_done(&secret);
	write_file(l->fail, "x", 0600);
	for (int i = 0; i < PROCESSES; i++)
		assert_int_equal(in_child(l, asks_for_key_1, VS_E_AUDIT), 0);
	/* When it can be written again each has its record again. */
	assert_int_equal(unlink(l->fail), 0);
	assert_int_equal(in_child(l, asks_for_key_1, VS_E_OK), 0);
	assert_int_equal(count_lines(l->audit, "key token=data"), 2);
	vs_grant_unref(g);
	end_lab(l);
}

static void
best_effort_audit_grants_without_a_record(void **state)
{
	(void)state;
	struct lab *l = new_lab(60);
	struct vs_err err = {0};
	struct vs_grant *g = NULL;
	snprintf(l->more, sizeof l->more, "audit = best-effort");
	write_conf(l);
	write_file(l->fail, "x", 0600);
	start_agent(l);
	l->client = new_client(l);
	assert_ok(need(l->client, &g, &err), &err);
	vs_grant_unref(g);
	end_lab(l);
}

static void
a_refused_release_gives_no_key_and_others_go_on(void **state)
{
	(void)state;
	struct lab *l = new_lab(60);
	struct vs_err err = {0};
	struct vs_grant *g = NULL;
	struct vs_secret secret = {0};
	uint32_t no = 0;
	script(l, "keys = 4\n");
	start_agent(l);
	l->client = new_client(l);
	assert_ok(need(l->client, &g, &err), &err);
	script(l, "gone = key-1\nkeys = 4\n");
	assert_code(key(l->client, g, "key-1", &secret, &no, &err), KEY_GONE);
	assert_ok(key(l->client, g, "key-2", &secret, &no, &err), &err);
	vs_secret_done(&secret);
	script(l, "release = refuse\nkeys = 4\n");
	assert_code(key(l->client, g, "key-3", &secret, &no, &err), REFUSED_RELEASE);
	assert_code(key(l->client, g, "key-3", &secret, &no, &err), REFUSED_RELEASE);
	assert_int_equal(count_lines(l->calls, "release key-3"), 1);
	/* An outage, too, is not asked about as often as somebody likes: each time is a record. */
	script(l, "release = unreachable\nkeys = 4\n");
	for (int i = 0; i < 30; i++)
		assert_true(vs_failed(key(l->client, g, "key-4", &secret, &no, &err)));
	assert_in_range(count_lines(l->calls, "release key-4"), 1, 2);
	script(l, "release = accept\nkeys = 4\n");
	nap_ms(1100);
	assert_ok(key(l->client, g, "key-4", &secret, &no, &err), &err);
	vs_secret_done(&secret);
	assert_code(key(l->client, g, "key-9", &secret, &no, &err), NOT_FOUND);
	vs_grant_unref(g);
	end_lab(l);
}

static void
only_listed_users_get_keys_but_all_see_the_catalog(void **state)
{
	(void)state;
	struct lab *l = new_lab(60);
	struct vs_err err = {0};
	struct vs_grant *g = NULL;
	struct vs_catalog_data *cat = NULL;
	snprintf(l->allow, sizeof l->allow, "allow = user:nobody");
	write_conf(l);
	start_agent(l);
	l->client = new_client(l);
	assert_ok(vs_client_catalog(l->client, 0, 0, in_s(10), &cat, &err), &err);
	vs_catalog_data_free(cat);
	for (int i = 0; i < 3; i++)
		assert_code(need(l->client, &g, &err), REFUSED_PEER);
	assert_int_equal(count_lines(l->calls, "attest"), 0);
	nap_ms(100);
	assert_int_equal(count_lines(l->audit, "peer-refused"), 1);
	end_lab(l);
}

/* As root: another user is refused by default, and let in when it is listed. */
static int
need_as_nobody(struct lab *l)
{
	int status = -1;
	const pid_t pid = fork();
	if (pid == 0) {
		struct vs_err err = {0};
		struct vs_grant *g = NULL;
		struct vs_arena *arena = NULL;
		struct vs_client *c = NULL;
		if (setgid(65534) != 0 || setuid(65534) != 0 ||
			vs_failed(vs_arena_new(65536, 1 << 20, VS_LOCK_WARN, &arena, &err)) ||
			vs_failed(vs_client_new(l->profile, arena, &c, &err)))
			_exit(99);
		const vs_rc rc = need(c, &g, &err);
		_exit(rc.code == VS_E_OK ? 0 : rc.code == VS_E_REFUSED_PEER ? 1 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
another_user_is_refused_unless_listed(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	struct lab *l = started_lab(60);
	assert_int_equal(need_as_nobody(l), 1);
	kill(l->agent, SIGTERM);
	(void)wait_agent(l);
	snprintf(l->allow, sizeof l->allow, "allow = user:nobody");
	write_conf(l);
	start_agent(l);
	assert_int_equal(need_as_nobody(l), 0);
	end_lab(l);
}

static void
a_pin_is_asked_for_and_guessing_is_slowed_down(void **state)
{
	(void)state;
	struct lab *l = new_lab(60);
	struct vs_err err = {0};
	struct vs_grant *g = NULL;
	char path[160];
	snprintf(path, sizeof path, "%s/pin", l->dir);
	write_file(path, "correct horse\n", 0600);
	snprintf(l->login, sizeof l->login, "login = pin\npin-file = %s/pin", l->dir);
	write_conf(l);
	start_agent(l);
	l->client = new_client(l);
	assert_code(need(l->client, &g, &err), PIN);
	assert_code(vs_client_need(l->client, 0, "wrong", 5, in_s(5), &g, &err), PIN);
	assert_code(vs_client_need(l->client, 0, "correct horsf", 13, in_s(5), &g, &err), PIN);
	assert_ok(vs_client_need(l->client, 0, "correct horse", 13, in_s(5), &g, &err), &err);
	vs_grant_unref(g);
	assert_ok(need(l->client, &g, &err), &err);
	vs_grant_unref(g);
	for (int i = 0; i < 3; i++)
		assert_code(vs_client_need(l->client, 0, "wrong", 5, in_s(5), &g, &err), PIN);
	assert_code(vs_client_need(l->client, 0, "correct horse", 13, in_s(5), &g, &err), PIN);
	assert_int_equal(count_lines(l->audit, "horse"), 0);
	end_lab(l);
}

/* ---- lease ---------------------------------------------------------------------------------- */

static void
a_lease_is_renewed_while_somebody_uses_it(void **state)
{
	(void)state;
	struct lab *l = started_lab(2);
	struct vs_err err = {0};
	struct vs_grant *g = NULL;
	struct vs_secret secret = {0};
	uint32_t no = 0;
	assert_ok(need(l->client, &g, &err), &err);
	assert_ok(key(l->client, g, "key-1", &secret, &no, &err), &err);
	for (int i = 0; i < 35; i++) {
		assert_int_equal(vs_page_allows(vs_grant_page(g), no, false), VS_E_OK);
		nap_ms(100);
	}
	assert_true(count_lines(l->calls, "attest") >= 3);
	/* The vault had to agree again each time. */
	assert_int_equal(count_lines(l->calls, "release key-1"), count_lines(l->calls, "attest"));
	assert_true(count_lines(l->audit, "kind=renewal") >= 2);
	vs_secret_done(&secret);
	vs_grant_unref(g);
	end_lab(l);
}

static void
the_shortest_of_setting_token_and_policy_ends_a_lease(void **state)
{
	static const struct {
		const char *script;
		uint32_t least, most;
	} rows[] = {
		{"policy-lease-s = 20\n", 10, 20},
		{"policy-lease-s = 600\n", 40, 60},
		{"policy-lease-s = 0\nexp-s = 15\n", 5, 15},
		{"policy-lease-s = 10\nexp-s = 25\n", 3, 10},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct lab *l = new_lab(60);
		struct vs_err err = {0};
		struct vs_grant *g = NULL;
		script(l, rows[i].script);
		start_agent(l);
		l->client = new_client(l);
		assert_ok(need(l->client, &g, &err), &err);
		const int64_t left_ns =
			(int64_t)atomic_load(&vs_grant_page(g)->valid_until_boot_ns) -
			vs_boot_now_ns();
		assert_in_range(left_ns / 1000000000, rows[i].least, rows[i].most);
		vs_grant_unref(g);
		end_lab(l);
	}
}

static void
a_lease_nobody_uses_ends_and_is_asked_for_anew(void **state)
{
	(void)state;
	struct lab *l = started_lab(2);
	struct vs_err err = {0};
	struct vs_grant *g = NULL, *g2 = NULL;
	assert_ok(need(l->client, &g, &err), &err);
	vs_client_free(l->client);
	l->client = NULL;
	nap_ms(2300);
	assert_int_equal(count_lines(l->calls, "attest"), 1);
	assert_int_equal(vs_page_allows(vs_grant_page(g), 0, true), VS_E_LEASE_ENDED);
	assert_int_equal(count_lines(l->audit, "expiry"), 1);
	l->client = new_client(l);
	struct vs_secret secret = {0};
	uint32_t no = 0;
	assert_ok(need(l->client, &g2, &err), &err);
	assert_int_equal(count_lines(l->calls, "attest"), 2);
	assert_code(key(l->client, g, "key-1", &secret, &no, &err), LEASE_ENDED);
	vs_grant_unref(g);
	vs_grant_unref(g2);
	end_lab(l);
}

static void
a_refused_renewal_revokes_at_once(void **state)
{
	(void)state;
	struct lab *l = started_lab(4);
	struct vs_err err = {0};
	struct vs_grant *g = NULL;
	struct vs_secret secret = {0};
	uint32_t no = 0;
	assert_ok(need(l->client, &g, &err), &err);
	assert_ok(key(l->client, g, "key-1", &secret, &no, &err), &err);
	vs_secret_done(&secret);
	script(l, "attest = refuse\n");
	expect_page(g, no, VS_E_REVOKED, 3000);
	assert_true(vs_boot_now_ns() < atomic_load(&vs_grant_page(g)->valid_until_boot_ns));
	assert_int_equal(atomic_load(&vs_grant_page(g)->reason), VS_E_REFUSED_POLICY);
	assert_code(need(l->client, &g, &err), REFUSED_POLICY);
	nap_ms(100);
	assert_int_equal(count_lines(l->audit, "revocation"), 1);
	vs_grant_unref(g);
	end_lab(l);
}

static void
an_unreachable_renewal_keeps_the_lease_to_its_end(void **state)
{
	(void)state;
	struct lab *l = started_lab(3);
	struct vs_err err = {0};
	struct vs_grant *g = NULL;
	struct vs_secret secret = {0};
	uint32_t no = 0;
	assert_ok(need(l->client, &g, &err), &err);
	assert_ok(key(l->client, g, "key-1", &secret, &no, &err), &err);
	vs_secret_done(&secret);
	const int64_t until = atomic_load(&vs_grant_page(g)->valid_until_boot_ns);
	script(l, "attest = unreachable\n");
	nap_ms(2200);
	assert_true(count_lines(l->calls, "attest") >= 2);
	assert_int_equal(vs_page_allows(vs_grant_page(g), no, false), VS_E_OK);
	assert_int_equal(atomic_load(&vs_grant_page(g)->valid_until_boot_ns), until);
	expect_page(g, no, VS_E_LEASE_ENDED, 1500);
	vs_grant_unref(g);
	end_lab(l);
}

static void
a_key_the_vault_refuses_at_renewal_is_gone_and_others_live(void **state)
{
	(void)state;
	struct lab *l = started_lab(2);
	struct vs_err err = {0};
	struct vs_grant *g = NULL;
	struct vs_secret a = {0}, b = {0};
	uint32_t no_a = 0, no_b = 0;
	assert_ok(need(l->client, &g, &err), &err);
	assert_ok(key(l->client, g, "key-1", &a, &no_a, &err), &err);
	assert_ok(key(l->client, g, "key-2", &b, &no_b, &err), &err);
	assert_int_not_equal(no_a, no_b);
	script(l, "gone = key-1\n");
	expect_page(g, no_a, VS_E_KEY_GONE, 2000);
	assert_int_equal(vs_page_allows(vs_grant_page(g), no_b, false), VS_E_OK);
	vs_secret_done(&a);
	vs_secret_done(&b);
	assert_code(key(l->client, g, "key-1", &a, &no_a, &err), KEY_GONE);
	vs_grant_unref(g);
	end_lab(l);
}

static void
keys_in_use_are_released_again_side_by_side(void **state)
{
	(void)state;
	enum { KEYS = 4, EACH_MS = 600 };
	struct lab *l = started_lab(6);
	struct vs_err err = {0};
	struct vs_grant *g = NULL;
	struct vs_secret secrets[KEYS] = {0};
	uint32_t no[KEYS];
	script(l, "keys = 4\n");
	assert_ok(need(l->client, &g, &err), &err);
	for (int i = 0; i < KEYS; i++) {
		char name[8];
		snprintf(name, sizeof name, "key-%d", i + 1);
		assert_ok(key(l->client, g, name, &secrets[i], &no[i], &err), &err);
	}
	assert_int_equal(count_lines(l->calls, "release"), KEYS);
	script(l, "keys = 4\nrelease-delay-ms = 600\n");
	/* From the first release of the renewal to its record. */
	for (int i = 0; i < 600 && count_lines(l->calls, "release") == KEYS; i++)
		nap_ms(10);
	const int64_t began = vs_boot_now_ns();
	for (int i = 0; i < 600 && count_lines(l->audit, "kind=renewal") == 0; i++)
		nap_ms(10);
	assert_int_equal(count_lines(l->calls, "release"), 2 * KEYS);
	assert_in_range((vs_boot_now_ns() - began) / 1000000, 0, 2 * EACH_MS);
	for (int i = 0; i < KEYS; i++) {
		assert_int_equal(vs_page_allows(vs_grant_page(g), no[i], false), VS_E_OK);
		vs_secret_done(&secrets[i]);
	}
	vs_grant_unref(g);
	end_lab(l);
}

static void
a_tpm_reset_ends_the_lease(void **state)
{
	(void)state;
	struct lab *l = started_lab(60);
	struct vs_err err = {0};
	struct vs_grant *g = NULL, *g2 = NULL;
	struct vs_secret secret = {0};
	uint32_t no = 0;
	assert_ok(need(l->client, &g, &err), &err);
	assert_ok(key(l->client, g, "key-1", &secret, &no, &err), &err);
	script(l, "resets = 8\n");
	nap_ms(1100);
	/* The next asker finds out, attests anew, and the old page is revoked. */
	assert_ok(need(l->client, &g2, &err), &err);
	assert_int_equal(vs_page_allows(vs_grant_page(g), no, true), VS_E_REVOKED);
	assert_int_equal(count_lines(l->calls, "attest"), 2);
	nap_ms(1100);
	script(l, "counts = fail\nresets = 8\n");
	vs_grant_unref(g);
	g = NULL;
	assert_code(need(l->client, &g, &err), TPM);
	vs_secret_done(&secret);
	vs_grant_unref(g2);
	end_lab(l);
}

static void
sigterm_revokes_all_pages(void **state)
{
	(void)state;
	struct lab *l = started_lab(60);
	struct vs_err err = {0};
	struct vs_grant *g = NULL;
	struct vs_secret secret = {0};
	uint32_t no = 0;
	assert_ok(need(l->client, &g, &err), &err);
	assert_ok(key(l->client, g, "key-1", &secret, &no, &err), &err);
	assert_int_equal(kill(l->agent, SIGTERM), 0);
	const int status = wait_agent(l);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_int_equal(vs_page_allows(vs_grant_page(g), no, true), VS_E_REVOKED);
	assert_int_equal(count_lines(l->audit, "revocation"), 1);
	assert_int_equal(count_lines(l->audit, "stop"), 1);
	assert_int_equal(access(l->socket, F_OK), -1);
	vs_secret_done(&secret);
	vs_grant_unref(g);
	end_lab(l);
}

static void
a_killed_agent_extends_nothing_and_the_client_comes_back(void **state)
{
	(void)state;
	/* Killed while locked, attesting, unlocked, releasing. */
	for (int when = 0; when < 4; when++) {
		struct lab *l = new_lab(2);
		struct vs_err err = {0};
		struct vs_grant *g = NULL;
		struct vs_secret secret = {0};
		uint32_t no = 0;
		script(l,
			when == 1           ? "delay-ms = 3000\n"
				: when == 3 ? "release-delay-ms = 3000\n"
					    : "keys = 1\n");
		start_agent(l);
		l->client = new_client(l);
		const pid_t killer = fork();
		if (killer == 0) {
			nap_ms(400);
			kill(l->agent, SIGKILL);
			_exit(0);
		}
		if (when == 1)
			assert_true(vs_failed(
				vs_client_need(l->client, 0, NULL, 0, in_s(1), &g, &err)));
		if (when >= 2)
			assert_ok(need(l->client, &g, &err), &err);
		if (when == 3)
			assert_true(vs_failed(vs_client_key(l->client, g, vs_bytes_str("key-1"),
				vs_bytes_str(""), in_s(1), NULL, &secret, &no, &err)));
		waitpid(killer, NULL, 0);
		(void)wait_agent(l);
		script(l, "keys = 1\n");
		if (g) {
			nap_ms(2000);
			assert_int_equal(vs_page_allows(vs_grant_page(g), 0, true),
				when == 2 ? VS_E_KEY_GONE : VS_E_KEY_GONE);
			assert_true(vs_boot_now_ns() >
				atomic_load(&vs_grant_page(g)->grace_until_boot_ns));
			vs_grant_unref(g);
			g = NULL;
		}
		start_agent(l);
		assert_ok(need(l->client, &g, &err), &err);
		vs_grant_unref(g);
		end_lab(l);
	}
}

/* ---- private agents -------------------------------------------------------------------------- */

static bool
process_exists(pid_t pid)
{
	return kill(pid, 0) == 0;
}

static volatile sig_atomic_t n_sigchld;

static void
on_sigchld(int sig)
{
	(void)sig;
	n_sigchld++;
}

static void
without_a_machine_agent_a_private_one_serves_and_ends_with_us(void **state)
{
	(void)state;
	struct lab *l = new_lab(60);
	struct vs_err err = {0};
	struct vs_grant *g = NULL;
	struct vs_secret secret = {0};
	uint32_t no = 0;
	n_sigchld = 0;
	void (*old)(int) = signal(SIGCHLD, on_sigchld);
	l->client = new_client(l);
	assert_ok(need(l->client, &g, &err), &err);
	assert_ok(key(l->client, g, "key-1", &secret, &no, &err), &err);
	/* No child to be seen. */
	assert_int_equal(n_sigchld, 0);
	errno = 0;
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	signal(SIGCHLD, old);
	const pid_t agent = find_agent(l->conf);
	assert_true(agent > 0);
	assert_int_equal(getsid(agent), agent);
	char path[64], target[64] = "";
	snprintf(path, sizeof path, "/proc/%d/fd/2", (int)agent);
	if (geteuid() == 0) {
		assert_true(readlink(path, target, sizeof target - 1) > 0);
		assert_string_equal(target, "/dev/null");
	}
	vs_client_free(l->client);
	l->client = NULL;
	for (int i = 0; i < 300 && process_exists(agent); i++)
		nap_ms(10);
	assert_false(process_exists(agent));
	assert_int_equal(count_lines(l->audit, "private=true"), 1);
	vs_secret_done(&secret);
	vs_grant_unref(g);
	end_lab(l);
}

static void
a_private_agent_ends_when_its_process_dies(void **state)
{
	(void)state;
	struct lab *l = new_lab(60);
	int fds[2], hold[2];
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(pipe(hold), 0);
	const pid_t pid = fork();
	if (pid == 0) {
		struct vs_err err = {0};
		struct vs_grant *g = NULL;
		struct vs_client *c = new_client(l);
		const vs_rc rc = need(c, &g, &err);
		/* A forked child goes on holding the socket. */
		if (fork() == 0) {
			(void)!write(fds[1], vs_failed(rc) ? "n" : "y", 1);
			close(hold[1]);
			(void)!read(hold[0], &(char){0}, 1);
			_exit(0);
		}
		nap_ms(200);
		kill(getpid(), SIGKILL);
	}
	char answer = 0;
	assert_int_equal(read(fds[0], &answer, 1), 1);
	assert_int_equal(answer, 'y');
	const pid_t agent = find_agent(l->conf);
	assert_true(agent > 0);
	waitpid(pid, NULL, 0);
	for (int i = 0; i < 1000 && process_exists(agent); i++)
		nap_ms(10);
	assert_false(process_exists(agent));
	for (int i = 0; i < 2; i++) {
		close(fds[i]);
		close(hold[i]);
	}
	end_lab(l);
}

static void
a_broken_configuration_is_told_by_the_private_agent(void **state)
{
	(void)state;
	struct lab *l = new_lab(60);
	struct vs_err err = {0};
	struct vs_grant *g = NULL;
	snprintf(l->more, sizeof l->more, "no-such-setting = 1");
	write_conf(l);
	l->client = new_client(l);
	assert_code(need(l->client, &g, &err), CONFIG_NAME);
	char text[1024];
	vs_err_sentence(&err, text, sizeof text);
	assert_non_null(strstr(text, "no-such-setting"));
	end_lab(l);
}

static void
a_missing_agent_program_is_an_error(void **state)
{
	(void)state;
	struct lab *l = new_lab(60);
	struct vs_err err = {0};
	struct vs_grant *g = NULL;
	snprintf(l->profile->agent_program, sizeof l->profile->agent_program, "/nonexistent/agent");
	l->client = new_client(l);
	assert_code(need(l->client, &g, &err), AGENT);
	assert_int_equal(err.frames[0].foreign, ENOENT);
	end_lab(l);
}

static void
an_agent_of_another_file_is_not_ours(void **state)
{
	(void)state;
	struct lab *l = started_lab(60);
	struct vs_err err = {0};
	struct vs_grant *g = NULL;
	char other[160];
	snprintf(other, sizeof other, "%s/other.conf", l->dir);
	snprintf(l->profile->path, sizeof l->profile->path, "%s", other);
	char text[2048] = "";
	FILE *f = fopen(l->conf, "re");
	assert_non_null(f);
	text[fread(text, 1, sizeof text - 1, f)] = '\0';
	fclose(f);
	write_file(other, text, 0644);
	assert_ok(need(l->client, &g, &err), &err);
	assert_true(find_agent(other) > 0);
	vs_grant_unref(g);
	end_lab(l);
}

/* ---- threads, many clients ------------------------------------------------------------------- */

enum { THREADS = 16, CLIENTS = 100 };

struct job {
	struct lab *l;
	struct vs_client *client;
	_Atomic int failures;
};

static void *
ask_many_times(void *arg)
{
	struct job *j = arg;
	for (int i = 0; i < 20; i++) {
		struct vs_err err = {0};
		struct vs_grant *g = NULL;
		struct vs_secret s = {0};
		uint32_t no = 0;
		char name[16];
		snprintf(name, sizeof name, "key-%d", i % 3 + 1);
		if (vs_failed(need(j->client, &g, &err)) ||
			vs_failed(key(j->client, g, name, &s, &no, &err)) || s.n != 32 ||
			s.p[14] != (uint8_t)('1' + i % 3)) {
			char text[1600];
			vs_err_sentence(&err, text, sizeof text);
			print_error("%s\n", text);
			atomic_fetch_add(&j->failures, 1);
		}
		vs_secret_done(&s);
		vs_grant_unref(g);
	}
	return NULL;
}

static void
threads_share_one_connection_and_one_attempt(void **state)
{
	(void)state;
	struct lab *l = new_lab(60);
	script(l, "delay-ms = 200\nrelease-delay-ms = 100\n");
	start_agent(l);
	l->client = new_client(l);
	struct job j = {.l = l, .client = l->client};
	pthread_t t[THREADS];
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, ask_many_times, &j), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(j.failures, 0);
	assert_int_equal(count_lines(l->calls, "attest"), 1);
	assert_int_equal(count_lines(l->calls, "release"), 3);
	end_lab(l);
}

static void *
one_client(void *arg)
{
	struct job *j = arg;
	struct vs_client *c = new_client(j->l);
	struct job own = {.l = j->l, .client = c};
	(void)ask_many_times(&own);
	if (own.failures)
		atomic_fetch_add(&j->failures, 1);
	vs_client_free(c);
	return NULL;
}

static void
a_hundred_clients_are_served_by_one_attempt(void **state)
{
	(void)state;
	struct lab *l = started_lab(60);
	struct job j = {.l = l};
	pthread_t t[CLIENTS];
	for (int i = 0; i < CLIENTS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, one_client, &j), 0);
	for (int i = 0; i < CLIENTS; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(j.failures, 0);
	assert_int_equal(count_lines(l->calls, "attest"), 1);
	assert_int_equal(count_lines(l->calls, "release"), 3);
	end_lab(l);
}

/* Each caller has its own deadline, and the attempt goes on without those who left. */
static void
waiters_have_deadlines_of_their_own(void **state)
{
	(void)state;
	struct lab *l = new_lab(60);
	struct vs_err err = {0};
	struct vs_grant *g = NULL;
	script(l, "delay-ms = 1500\n");
	start_agent(l);
	l->client = new_client(l);
	const int64_t before = vs_boot_now_ns();
	assert_code(vs_client_need(l->client, 0, NULL, 0, before + S / 4, &g, &err), TIMEOUT);
	assert_in_range(vs_boot_now_ns() - before, S / 5, S);
	assert_ok(need(l->client, &g, &err), &err);
	assert_int_equal(count_lines(l->calls, "attest"), 1);
	vs_grant_unref(g);
	end_lab(l);
}

static void
the_catalog_survives_an_outage_by_its_cache_file(void **state)
{
	(void)state;
	struct lab *l = started_lab(60);
	struct vs_err err = {0};
	struct vs_catalog_data *cat = NULL, *again = NULL;
	assert_ok(vs_client_catalog(l->client, 0, 0, in_s(10), &cat, &err), &err);
	kill(l->agent, SIGTERM);
	(void)wait_agent(l);
	script(l, "catalog = unreachable\n");
	start_agent(l);
	assert_ok(vs_client_catalog(l->client, 0, 0, in_s(10), &again, &err), &err);
	assert_int_equal(again->n, 3);
	assert_int_equal(again->generation, cat->generation);
	vs_catalog_data_free(again);
	again = NULL;
	/* Without it, an outage is an error and not an empty list. */
	char cache[160];
	kill(l->agent, SIGTERM);
	(void)wait_agent(l);
	snprintf(cache, sizeof cache, "%s/catalog-%s", l->dir, l->profile->tokens[0].serial);
	assert_int_equal(unlink(cache), 0);
	start_agent(l);
	assert_code(vs_client_catalog(l->client, 0, 0, in_s(10), &again, &err), CONNECT);
	assert_null(again);
	vs_catalog_data_free(cat);
	end_lab(l);
}

/* Everybody may ask for the list, also who may not use a key; the vault is not theirs to flood. */
static void
a_list_that_cannot_be_had_is_not_asked_for_without_end(void **state)
{
	(void)state;
	struct lab *l = new_lab(60);
	struct vs_err err = {0};
	struct vs_catalog_data *cat = NULL;
	script(l, "catalog = unreachable\n");
	start_agent(l);
	l->client = new_client(l);
	const int64_t before = vs_boot_now_ns();
	for (int i = 0; i < 50; i++)
		assert_code(vs_client_catalog(l->client, 0, 0, in_s(10), &cat, &err), CONNECT);
	const size_t most = 1 + (size_t)((vs_boot_now_ns() - before) / S);
	assert_in_range(count_lines(l->calls, "catalog"), 1, most);
	/* When the vault answers again that is seen soon. */
	script(l, "catalog = ok\n");
	nap_ms(1100);
	assert_ok(vs_client_catalog(l->client, 0, 0, in_s(10), &cat, &err), &err);
	vs_catalog_data_free(cat);
	end_lab(l);
}

/* ---- hosts that meddle ----------------------------------------------------------------------- */

/* A host that closes all descriptors and opens its own under our number. */
static void
a_closed_or_replaced_descriptor_is_noticed(void **state)
{
	(void)state;
	struct lab *l = started_lab(60);
	struct vs_err err = {0};
	struct vs_grant *g = NULL;
	assert_ok(need(l->client, &g, &err), &err);
	vs_grant_unref(g);
	g = NULL;
	int ours = -1;
	for (int fd = 3; fd < 64 && ours < 0; fd++) {
		struct ucred cred;
		socklen_t n = sizeof cred;
		if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) == 0 && cred.pid == l->agent)
			ours = fd;
	}
	assert_true(ours > 2);
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	assert_int_equal(dup2(pair[0], ours), ours);
	assert_ok(need(l->client, &g, &err), &err);
	vs_grant_unref(g);
	/* Nothing went into the host's own socket, and it is still open. */
	char byte = 0;
	assert_int_equal(read(pair[1], &byte, 1), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(fcntl(ours, F_GETFD) >= 0, 1);
	close(ours);
	close(pair[0]);
	close(pair[1]);
	end_lab(l);
}

static void
a_forked_child_abandons_and_connects_anew(void **state)
{
	(void)state;
	struct lab *l = started_lab(60);
	struct vs_err err = {0};
	struct vs_grant *g = NULL;
	int status = 0;
	assert_ok(need(l->client, &g, &err), &err);
	const pid_t pid = fork();
	if (pid == 0) {
		struct vs_grant *mine = NULL;
		struct vs_arena *arena = NULL;
		struct vs_client *c = NULL;
		vs_client_abandon(l->client);
		vs_arena_abandon(l->arena);
		if (vs_failed(vs_arena_new(65536, 1 << 20, VS_LOCK_WARN, &arena, &err)) ||
			vs_failed(vs_client_new(l->profile, arena, &c, &err)))
			_exit(9);
		_exit(vs_failed(need(c, &mine, &err)) ? 1 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	vs_grant_unref(g);
	/* The parent's connection lives on. */
	assert_ok(need(l->client, &g, &err), &err);
	assert_int_equal(count_lines(l->calls, "attest"), 1);
	vs_grant_unref(g);
	end_lab(l);
}

/* ---- peers that misbehave ---------------------------------------------------------------------
 */

static int
raw_connect(const struct lab *l)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	snprintf(a.sun_path, sizeof a.sun_path, "%s", l->socket);
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
	return fd;
}

/* True if the agent closes within the time. */
static bool
gets_closed(int fd, int within_ms)
{
	uint8_t bytes[4096];
	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		if (poll(&p, 1, within_ms) <= 0)
			return false;
		if (read(fd, bytes, sizeof bytes) <= 0)
			return true;
	}
}

static void
send_msg(int fd, enum vs_msg_type type, const void *m, uint32_t number)
{
	const struct vs_msg_desc *d = vs_msg_desc((uint8_t)type);
	uint8_t frame[2048];
	size_t n = 0;
	struct vs_err err = {0};
	assert_ok(vs_msg_put(d, m, number, frame, sizeof frame, &n, &err), &err);
	assert_int_equal(send(fd, frame, n, MSG_NOSIGNAL), n);
}

static void
greet(const struct lab *l, int fd)
{
	const struct vs_msg_hello hello = {.protocol = VS_WIRE_VERSION,
		.path = vs_bytes_str(l->conf),
		.boot_ns = (uint64_t)vs_boot_now_ns()};
	uint8_t bytes[512];
	send_msg(fd, VS_MSG_HELLO, &hello, 1);
	assert_true(read(fd, bytes, sizeof bytes) > VS_WIRE_HEAD);
	assert_int_equal(bytes[1], VS_MSG_HELLO_ANSWER);
}

static void
peers_that_break_the_protocol_are_closed(void **state)
{
	(void)state;
	struct lab *l = started_lab(60);
	const struct vs_msg_status status = {.label = vs_bytes_str("data")};
	uint8_t junk[64];
	/* No hello. */
	int fd = raw_connect(l);
	send_msg(fd, VS_MSG_STATUS, &status, 1);
	assert_true(gets_closed(fd, 2000));
	close(fd);
	/* Hello twice. */
	fd = raw_connect(l);
	greet(l, fd);
	const struct vs_msg_hello again = {.protocol = 1, .path = vs_bytes_str(l->conf)};
	send_msg(fd, VS_MSG_HELLO, &again, 2);
	assert_true(gets_closed(fd, 2000));
	close(fd);
	/* Every byte of a head wrong in turn, answers as requests, unknown types. */
	for (int i = 0; i < 256; i++) {
		if (i >= VS_MSG_HELLO && i <= VS_MSG_STATUS)
			continue;
		fd = raw_connect(l);
		const struct vs_frame f = {.type = (uint8_t)i, .request = 1, .length = 4};
		vs_frame_put(&f, junk);
		assert_int_equal(send(fd, junk, VS_WIRE_HEAD, MSG_NOSIGNAL), VS_WIRE_HEAD);
		assert_true(gets_closed(fd, 2000));
		close(fd);
	}
	/* Too long. */
	fd = raw_connect(l);
	const struct vs_frame longest = {.type = VS_MSG_HELLO, .request = 1, .length = 65536};
	vs_frame_put(&longest, junk);
	assert_int_equal(send(fd, junk, VS_WIRE_HEAD, MSG_NOSIGNAL), VS_WIRE_HEAD);
	assert_true(gets_closed(fd, 2000));
	close(fd);
	/* And the agent is well. */
	struct vs_err err = {0};
	struct vs_grant *g = NULL;
	assert_ok(need(l->client, &g, &err), &err);
	vs_grant_unref(g);
	end_lab(l);
}

static void
a_hello_of_another_time_namespace_gets_nothing(void **state)
{
	(void)state;
	struct lab *l = started_lab(60);
	const int64_t offsets[] = {3600 * S, -3600 * S};
	for (int i = 0; i < 2; i++) {
		const int fd = raw_connect(l);
		const struct vs_msg_hello hello = {.protocol = VS_WIRE_VERSION,
			.path = vs_bytes_str(l->conf),
			.boot_ns = (uint64_t)(vs_boot_now_ns() + offsets[i])};
		uint8_t bytes[512];
		send_msg(fd, VS_MSG_HELLO, &hello, 1);
		assert_true(read(fd, bytes, sizeof bytes) > VS_WIRE_HEAD);
		assert_int_equal(bytes[1], VS_MSG_ERROR);
		close(fd);
	}
	end_lab(l);
}

static void
requests_in_flight_are_bounded(void **state)
{
	(void)state;
	struct lab *l = new_lab(60);
	script(l, "delay-ms = 1000\n");
	start_agent(l);
	int fd = raw_connect(l);
	greet(l, fd);
	const struct vs_msg_need ask = {
		.label = vs_bytes_str("data"), .deadline_boot_ns = UINT64_MAX};
	for (uint32_t i = 2; i < 2 + 65; i++)
		send_msg(fd, VS_MSG_NEED, &ask, i);
	uint8_t bytes[4096];
	assert_true(read(fd, bytes, sizeof bytes) > VS_WIRE_HEAD);
	assert_int_equal(bytes[1], VS_MSG_ERROR);
	/* The number of one that waits must not be used again. */
	send_msg(fd, VS_MSG_NEED, &ask, 2);
	assert_true(gets_closed(fd, 2000));
	close(fd);
	end_lab(l);
}

/* How many of n connections at a time the agent closes. */
static size_t
crowd(const struct lab *l, size_t n)
{
	int many[2200];
	size_t refused = 0;
	for (size_t i = 0; i < n; i++) {
		many[i] = raw_connect(l);
		/* Not faster than the agent takes them: its queue is short. */
		if (i % 50 == 49)
			nap_ms(5);
	}
	nap_ms(300);
	for (size_t i = 0; i < n; i++) {
		struct pollfd p = {.fd = many[i], .events = POLLIN};
		refused += poll(&p, 1, 0) == 1;
		close(many[i]);
	}
	return refused;
}

/* The agent's own user, and strangers by their number, each within their bound. */
static void
connections_are_bounded(void **state)
{
	(void)state;
	struct rlimit files = {0};
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
	const rlim_t had = files.rlim_cur;
	const bool many = files.rlim_max >= 5000;
	files.rlim_cur = many ? 5000 : files.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
	struct lab *l = started_lab(60);
	if (many)
		assert_in_range(crowd(l, 2200), 2200 - 2048, 2200 - 2000);
	files.rlim_cur = had;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
	if (geteuid() == 0) {
		int status = 0;
		const pid_t pid = fork();
		if (pid == 0) {
			if (setgid(65534) != 0 || setuid(65534) != 0)
				_exit(255);
			const size_t refused = crowd(l, 300);
			_exit(refused <= 100 ? (int)refused : 254);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		assert_in_range(WEXITSTATUS(status), 300 - 256, 300 - 250);
	}
	struct vs_err err = {0};
	struct vs_grant *g = NULL;
	nap_ms(100);
	assert_ok(need(l->client, &g, &err), &err);
	vs_grant_unref(g);
	end_lab(l);
}

/* One's own requests in flight are 800 on 20 connections: how many are refused at once? */
static int
refused_of_800(const struct lab *l)
{
	const struct vs_msg_need ask = {
		.label = vs_bytes_str("data"), .deadline_boot_ns = UINT64_MAX};
	int fds[20], refused = 0;
	for (size_t i = 0; i < 20; i++) {
		fds[i] = raw_connect(l);
		greet(l, fds[i]);
		for (uint32_t n = 2; n < 42; n++)
			send_msg(fds[i], VS_MSG_NEED, &ask, n);
	}
	nap_ms(500);
	for (size_t i = 0; i < 20; i++) {
		uint8_t bytes[65536];
		const ssize_t n = recv(fds[i], bytes, sizeof bytes, MSG_DONTWAIT);
		for (ssize_t at = 0; at + VS_WIRE_HEAD <= n;) {
			struct vs_frame frame = {0};
			if (vs_failed(vs_frame_get(bytes + at, &frame, NULL)))
				return -1;
			refused += frame.type == VS_MSG_ERROR;
			at += VS_WIRE_HEAD + (ssize_t)frame.length;
		}
	}
	return refused;
}

static void
no_user_fills_the_queue_that_all_share(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	struct lab *l = new_lab(60);
	struct vs_err err = {0};
	struct vs_grant *g = NULL;
	int status = 0;
	snprintf(l->allow, sizeof l->allow, "allow = user:nobody, user:root");
	write_conf(l);
	script(l, "delay-ms = 2500\n");
	start_agent(l);
	l->client = new_client(l);
	const pid_t pid = fork();
	if (pid == 0) {
		if (setgid(65534) != 0 || setuid(65534) != 0)
			_exit(255);
		_exit(refused_of_800(l) == 800 - 512 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_ok(need(l->client, &g, &err), &err);
	vs_grant_unref(g);
	end_lab(l);
}

/* With a lease; 40 keys are asked for, none is read. */
static int
ask_for_40_keys(const struct lab *l)
{
	const struct vs_msg_need ask = {
		.label = vs_bytes_str("data"), .deadline_boot_ns = UINT64_MAX};
	uint8_t bytes[512];
	const int fd = raw_connect(l);
	greet(l, fd);
	send_msg(fd, VS_MSG_NEED, &ask, 2);
	assert_true(read(fd, bytes, sizeof bytes) >= VS_WIRE_HEAD + 3 + VS_LEASE_ID_BYTES);
	assert_int_equal(bytes[1], VS_MSG_NEED_ANSWER);
	const struct vs_msg_key want = {.label = vs_bytes_str("data"),
		.lease_id = vs_bytes_of(bytes + VS_WIRE_HEAD + 3, VS_LEASE_ID_BYTES),
		.name = vs_bytes_str("key-1"),
		.version = vs_bytes_str("0123456789abcdef0123456789abcdef"),
		.deadline_boot_ns = UINT64_MAX};
	for (uint32_t n = 3; n < 43; n++)
		send_msg(fd, VS_MSG_KEY, &want, n);
	return fd;
}

static void
keys_that_nobody_reads_do_not_use_up_the_memory_for_secrets(void **state)
{
	(void)state;
	struct lab *l = new_lab(60);
	struct vs_err err = {0};
	struct vs_grant *g = NULL;
	int fds[6];
	size_t closed = 0;
	script(l, "key-bytes = 16000\n");
	start_agent(l);
	l->client = new_client(l);
	for (size_t i = 0; i < 6; i++)
		fds[i] = ask_for_40_keys(l);
	nap_ms(500);
	for (size_t i = 0; i < 6; i++) {
		struct pollfd p = {.fd = fds[i], .events = POLLRDHUP};
		closed += poll(&p, 1, 0) == 1;
		close(fds[i]);
	}
	/* Each alone is within its bound, all together are not. */
	assert_in_range(closed, 1, 5);
	assert_ok(need(l->client, &g, &err), &err);
	vs_grant_unref(g);
	end_lab(l);
}

/*
 * Descriptors that peers have not taken yet count against the limit of the agent's user: with a
 * low one a few silent peers would keep all others from getting a page.
 */
static void
the_agent_takes_all_descriptors_it_may_have(void **state)
{
	(void)state;
	char path[64], line[256], soft[32] = "", hard[32] = "";
	struct rlimit files = {0}, low;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
	low = (struct rlimit){.rlim_cur = 512, .rlim_max = files.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	struct lab *l = started_lab(60);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
	snprintf(path, sizeof path, "/proc/%d/limits", (int)l->agent);
	FILE *f = fopen(path, "re");
	assert_non_null(f);
	while (fgets(line, sizeof line, f))
		(void)!sscanf(line, "Max open files %31s %31s", soft, hard);
	fclose(f);
	assert_true(hard[0] != '\0');
	assert_string_equal(soft, hard);
	end_lab(l);
}

/* ---- agents that misbehave --------------------------------------------------------------------
 */

struct liar {
	int listen_fd;
	int kind;
};

enum {
	SILENT = 0,
	GARBAGE,
	CUT,
	WRONG_CLOCK,
	CLOSES,
	UNASKED,
	PLAIN_PAGE,
	LONG_PAGE,
	OTHER_PAGE,
	LYING_KINDS
};

static void
send_with_fd(int fd, const uint8_t *p, size_t n, int passed)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)p, .iov_len = n};
	struct msghdr m = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof control};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &passed, sizeof passed);
	(void)!sendmsg(fd, &m, MSG_NOSIGNAL);
}

static void
lie(int fd, int kind)
{
	uint8_t in[2048], out[2048];
	size_t n = 0;
	static const uint8_t id[16] = {1};
	(void)!read(fd, in, sizeof in);
	struct vs_msg_hello_answer a = {.protocol = 1,
		.program = vs_bytes_str("liar"),
		.instance = vs_bytes_of(id, 16),
		.boot_ns = (uint64_t)vs_boot_now_ns(),
		.mine = true};
	if (kind == SILENT) {
		nap_ms(1500);
		return;
	}
	if (kind == GARBAGE) {
		memset(out, 0x5a, sizeof out);
		(void)!send(fd, out, sizeof out, MSG_NOSIGNAL);
		return;
	}
	if (kind == WRONG_CLOCK)
		a.boot_ns += 3600 * (uint64_t)S;
	(void)vs_msg_put(vs_msg_desc(VS_MSG_HELLO_ANSWER), &a, 1, out, sizeof out, &n, NULL).code;
	if (kind == CUT)
		n -= 3;
	(void)!send(fd, out, n, MSG_NOSIGNAL);
	if (kind == CUT || kind == WRONG_CLOCK)
		return;
	(void)!read(fd, in, sizeof in);
	if (kind == CLOSES)
		return;
	const struct vs_msg_need_answer grant = {.lease_id = vs_bytes_of(id, 16)};
	struct vs_frame f = {0};
	(void)vs_frame_get(in, &f, NULL).code;
	const uint32_t number = kind == UNASKED ? f.request + 7 : f.request;
	(void)vs_msg_put(vs_msg_desc(VS_MSG_NEED_ANSWER), &grant, number, out, sizeof out, &n, NULL)
		.code;
	/* Right in all but the one thing that the lie is about. */
	const int page = memfd_create("liar", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct vs_page *p = calloc(1, sizeof *p);
	p->magic = VS_PAGE_MAGIC;
	p->version = VS_PAGE_VERSION;
	memcpy(p->lease_id, id, sizeof id);
	if (kind == OTHER_PAGE)
		p->lease_id[3] ^= 1;
	(void)!write(page, p, sizeof *p);
	free(p);
	(void)!ftruncate(page, kind == LONG_PAGE ? 2 * VS_PAGE_BYTES : VS_PAGE_BYTES);
	if (kind != PLAIN_PAGE)
		(void)fcntl(page, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | 0x10 | F_SEAL_SEAL);
	send_with_fd(fd, out, n, page);
	close(page);
	nap_ms(300);
}

static void *
liar(void *arg)
{
	const struct liar *x = arg;
	for (int i = 0; i < 2; i++) {
		struct pollfd p = {.fd = x->listen_fd, .events = POLLIN};
		if (poll(&p, 1, 1500) <= 0)
			return NULL;
		const int fd = accept(x->listen_fd, NULL, NULL);
		lie(fd, x->kind);
		close(fd);
	}
	return NULL;
}

static void
no_lie_of_an_agent_becomes_a_grant(void **state)
{
	(void)state;
	for (int kind = 0; kind < LYING_KINDS; kind++) {
		struct lab *l = new_lab(60);
		struct sockaddr_un a = {.sun_family = AF_UNIX};
		struct liar x = {
			.kind = kind, .listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
		struct vs_err err = {0};
		struct vs_grant *g = NULL;
		pthread_t t;
		snprintf(a.sun_path, sizeof a.sun_path, "%s", l->socket);
		assert_int_equal(bind(x.listen_fd, (struct sockaddr *)&a, sizeof a), 0);
		assert_int_equal(listen(x.listen_fd, 8), 0);
		assert_int_equal(pthread_create(&t, NULL, liar, &x), 0);
		l->client = new_client(l);
		const int64_t before = vs_boot_now_ns();
		const vs_rc rc = vs_client_need(l->client, 0, NULL, 0, before + S, &g, &err);
		assert_true(vs_failed(rc));
		assert_null(g);
		assert_true(vs_boot_now_ns() - before < 2 * S);
		if (kind == SILENT)
			assert_code(rc, TIMEOUT);
		else if (kind != CLOSES && kind != CUT && kind != WRONG_CLOCK)
			assert_code(rc, WIRE);
		else
			assert_code(rc, AGENT);
		char text[1600];
		vs_err_sentence(&err, text, sizeof text);
		assert_int_equal(strstr(text, "time namespace") != NULL, kind == WRONG_CLOCK);
		pthread_join(t, NULL);
		close(x.listen_fd);
		end_lab(l);
	}
}

static void
the_agent_is_not_dumpable_and_gains_no_rights(void **state)
{
	(void)state;
	struct lab *l = started_lab(60);
	char path[64], line[256];
	bool seen = false;
	snprintf(path, sizeof path, "/proc/%d/status", (int)l->agent);
	FILE *f = fopen(path, "re");
	assert_non_null(f);
	while (fgets(line, sizeof line, f))
		if (strncmp(line, "NoNewPrivs:", 11) == 0)
			seen = strchr(line, '1') != NULL;
	fclose(f);
	assert_true(seen);
	snprintf(path, sizeof path, "/proc/%d/limits", (int)l->agent);
	f = fopen(path, "re");
	assert_non_null(f);
	seen = false;
	while (fgets(line, sizeof line, f))
		if (strncmp(line, "Max core file size", 18) == 0)
			seen = strncmp(line + 18 + strspn(line + 18, " "), "0 ", 2) == 0;
	fclose(f);
	assert_true(seen);
	end_lab(l);
}

/* A stranger that listens in a folder of root's. SO_PEERCRED tells who called listen(). */
static void
a_stranger_at_the_socket_is_not_trusted(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	struct lab *l = new_lab(60);
	struct vs_err err = {0};
	struct vs_grant *g = NULL;
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(a.sun_path, sizeof a.sun_path, "%s", l->socket);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	const pid_t pid = fork();
	if (pid == 0) {
		if (setuid(65534) != 0 || listen(fd, 8) != 0)
			_exit(1);
		nap_ms(5000);
		_exit(0);
	}
	nap_ms(200);
	l->client = new_client(l);
	assert_code(vs_client_need(l->client, 0, NULL, 0, in_s(2), &g, &err), AGENT);
	char text[1600];
	vs_err_sentence(&err, text, sizeof text);
	assert_non_null(strstr(text, "65534"));
	assert_int_equal(find_agent(l->conf), 0);
	/* The owner of the folder may be the one who listens. */
	assert_int_equal(chown(l->dir, 65534, (gid_t)-1), 0);
	assert_code(vs_client_need(l->client, 0, NULL, 0, in_s(1), &g, &err), TIMEOUT);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(fd);
	end_lab(l);
}

/* A copy of the helper that belongs to another user and is set-user-ID. */
static void
programs_with_raised_rights_read_no_environment_and_spawn_nothing(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	struct lab *l = new_lab(60);
	char copy[160], buf[65536], out[512] = "";
	snprintf(copy, sizeof copy, "%s/elevated", l->dir);
	const int from = open(VS_TEST_BUILDDIR "/tests/agent/elevated", O_RDONLY | O_CLOEXEC);
	const int to = open(copy, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	assert_true(from >= 0 && to >= 0);
	for (ssize_t n = read(from, buf, sizeof buf); n > 0; n = read(from, buf, sizeof buf))
		assert_int_equal(write(to, buf, (size_t)n), n);
	assert_int_equal(fchown(to, 65534, 65534), 0);
	assert_int_equal(fchmod(to, 04755), 0);
	close(from);
	close(to);
	int fds[2], status = 0;
	assert_int_equal(pipe(fds), 0);
	const pid_t pid = fork();
	if (pid == 0) {
		dup2(fds[1], 1);
		execl(copy, copy, l->conf, agent_path(), (char *)NULL);
		_exit(127);
	}
	close(fds[1]);
	size_t n = 0;
	for (ssize_t got = 1; got > 0 && n<sizeof out - 1; n += got> 0 ? (size_t)got : 0)
		got = read(fds[0], out + n, sizeof out - 1 - n);
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (strncmp(out, "not elevated", 12) == 0) {
		/* The folder is mounted nosuid. */
		end_lab(l);
		skip();
	}
	assert_string_equal(out, "environment ignored\nneed AGENT\n");
	assert_int_equal(find_agent(l->conf), 0);
	end_lab(l);
}

static void
a_socket_handed_over_by_the_service_manager_is_used(void **state)
{
	(void)state;
	struct lab *l = new_lab(60);
	struct vs_err err = {0};
	struct vs_grant *g = NULL;
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	snprintf(a.sun_path, sizeof a.sun_path, "%s", l->socket);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(fd, 8), 0);
	l->agent = fork();
	if (l->agent == 0) {
		char pid[32];
		const int null = open("/dev/null", O_RDWR);
		dup2(null, 2);
		dup2(fd, 3);
		snprintf(pid, sizeof pid, "%d", (int)getpid());
		setenv("LISTEN_PID", pid, 1);
		setenv("LISTEN_FDS", "1", 1);
		execl(agent_path(), "vouchsafe-agent", "--config", l->conf, (char *)NULL);
		_exit(127);
	}
	close(fd);
	l->client = new_client(l);
	assert_ok(need(l->client, &g, &err), &err);
	vs_grant_unref(g);
	kill(l->agent, SIGTERM);
	(void)wait_agent(l);
	/* It belongs to the service manager, so it stays. */
	assert_int_equal(access(l->socket, F_OK), 0);
	end_lab(l);
}

static long
wake_ups(pid_t pid)
{
	char path[64], line[256];
	long n = 0, sum = 0;
	snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	FILE *f = fopen(path, "re");
	while (f && fgets(line, sizeof line, f))
		if (sscanf(line, "voluntary_ctxt_switches: %ld", &n) == 1)
			sum += n;
	if (f)
		fclose(f);
	return sum;
}

static void
an_idle_agent_sleeps_and_keeps_no_threads(void **state)
{
	(void)state;
	struct lab *l = started_lab(3600);
	struct vs_err err = {0};
	struct vs_grant *g = NULL;
	char path[64];
	assert_ok(need(l->client, &g, &err), &err);
	nap_ms(5600);
	const long before = wake_ups(l->agent);
	assert_true(before > 0);
	nap_ms(2000);
	assert_int_equal(wake_ups(l->agent), before);
	size_t threads = 0;
	snprintf(path, sizeof path, "/proc/%d/task", (int)l->agent);
	DIR *dir = opendir(path);
	assert_non_null(dir);
	while (readdir(dir))
		threads++;
	closedir(dir);
	assert_int_equal(threads, 3);
	vs_grant_unref(g);
	end_lab(l);
}

static void
sigterm_during_an_attempt_grants_nothing(void **state)
{
	(void)state;
	/* One that ends in time, and one that does not. */
	for (int i = 0; i < 2; i++) {
		struct lab *l = new_lab(60);
		struct vs_err err = {0};
		struct vs_grant *g = NULL;
		script(l, i == 0 ? "delay-ms = 1500\n" : "delay-ms = 20000\n");
		start_agent(l);
		l->client = new_client(l);
		assert_code(
			vs_client_need(l->client, 0, NULL, 0, vs_boot_now_ns() + S / 2, &g, &err),
			TIMEOUT);
		const int64_t before = vs_boot_now_ns();
		kill(l->agent, SIGTERM);
		const int status = wait_agent(l);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
		assert_true(vs_boot_now_ns() - before < 7 * S);
		assert_int_equal(count_lines(l->audit, "result=granted"), 0);
		assert_int_equal(count_lines(l->audit, "stop"), 1);
		end_lab(l);
	}
}

static void
a_peer_that_does_not_read_is_closed(void **state)
{
	(void)state;
	struct lab *l = started_lab(60);
	struct vs_err err = {0};
	struct vs_grant *g = NULL;
	const struct vs_msg_catalog ask = {.label = vs_bytes_str("data")};
	const int fd = raw_connect(l);
	greet(l, fd);
	bool closed = false;
	for (uint32_t i = 2; i < 20000 && !closed; i++) {
		uint8_t frame[256];
		size_t n = 0;
		assert_false(vs_failed(vs_msg_put(
			vs_msg_desc(VS_MSG_CATALOG), &ask, i, frame, sizeof frame, &n, NULL)));
		closed = send(fd, frame, n, MSG_NOSIGNAL) < 0;
	}
	assert_true(closed);
	close(fd);
	assert_ok(need(l->client, &g, &err), &err);
	vs_grant_unref(g);
	end_lab(l);
}

static void
objects_are_shown_only_after_attestation_where_that_is_set(void **state)
{
	(void)state;
	struct lab *l = new_lab(60);
	struct vs_err err = {0};
	struct vs_catalog_data *cat = NULL;
	snprintf(l->login, sizeof l->login, "visible = attested");
	write_conf(l);
	script(l, "attest = refuse\n");
	start_agent(l);
	l->client = new_client(l);
	assert_code(vs_client_catalog(l->client, 0, 0, in_s(10), &cat, &err), REFUSED_POLICY);
	assert_null(cat);
	script(l, "attest = accept\n");
	nap_ms(450);
	assert_ok(vs_client_catalog(l->client, 0, 0, in_s(10), &cat, &err), &err);
	vs_catalog_data_free(cat);
	end_lab(l);
}

static void
keys_that_change_their_binding_end_the_lease(void **state)
{
	(void)state;
	struct lab *l = started_lab(60);
	struct vs_err err = {0};
	struct vs_grant *g = NULL;
	struct vs_secret secret = {0};
	uint32_t no = 0;
	assert_ok(need(l->client, &g, &err), &err);
	assert_ok(key(l->client, g, "key-1", &secret, &no, &err), &err);
	vs_secret_done(&secret);
	script(l, "release = unbound\n");
	uint32_t other = 0;
	assert_code(key(l->client, g, "key-2", &secret, &other, &err), LEASE_ENDED);
	assert_int_equal(vs_page_allows(vs_grant_page(g), no, true), VS_E_REVOKED);
	assert_code(key(l->client, g, "key-1", &secret, &no, &err), LEASE_ENDED);
	vs_grant_unref(g);
	end_lab(l);
}

static void
a_private_agent_serves_only_its_own_user(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	struct lab *l = new_lab(60);
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(fcntl(pair[1], F_SETFD, FD_CLOEXEC), 0);
	const pid_t pid = fork();
	if (pid == 0) {
		const int null = open("/dev/null", O_RDWR);
		dup2(null, 2);
		/* Opened before: the other user may not be able to walk to the build folder. */
		const int program = open(agent_path(), O_RDONLY | O_CLOEXEC);
		dup2(pair[0], 3);
		if (program <= 3 || setgid(65534) != 0 || setuid(65534) != 0)
			_exit(126);
		char name[] = "vouchsafe-agent", config[] = "--config", private[] = "--private",
		     fd[] = "3";
		char *const args[] = {name, config, l->conf, private, fd, NULL};
		fexecve(program, args, environ);
		_exit(127);
	}
	close(pair[0]);
	greet(l, pair[1]);
	const struct vs_msg_need ask = {
		.label = vs_bytes_str("data"), .deadline_boot_ns = UINT64_MAX};
	uint8_t bytes[2048];
	struct vs_err err = {0};
	struct vs_msg_error m = {0};
	send_msg(pair[1], VS_MSG_NEED, &ask, 2);
	const ssize_t n = read(pair[1], bytes, sizeof bytes);
	assert_true(n > VS_WIRE_HEAD);
	assert_int_equal(bytes[1], VS_MSG_ERROR);
	assert_ok(vs_msg_get(vs_msg_desc(VS_MSG_ERROR),
			  vs_bytes_of(bytes + VS_WIRE_HEAD, (size_t)n - VS_WIRE_HEAD), &m, &err),
		&err);
	assert_code(vs_msg_error_get(m.frames, &err), REFUSED_PEER);
	close(pair[1]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	end_lab(l);
}

/* They mostly wait, so several processes take turns; each has labs of its own. */
static int
run_in_shards(const struct CMUnitTest *tests, size_t n)
{
	enum { SHARDS = 4 };
	int failures = 0;
	fflush(stdout);
	for (size_t shard = 0; shard < SHARDS; shard++) {
		struct CMUnitTest mine[64];
		size_t n_mine = 0;
		for (size_t i = shard; i < n && n_mine < 64; i += SHARDS)
			mine[n_mine++] = tests[i];
		const pid_t pid = fork();
		if (pid == 0) {
			if (getenv("TEST_ONLY"))
				cmocka_set_test_filter(getenv("TEST_ONLY"));
			const int failed =
				_cmocka_run_group_tests("agent", mine, n_mine, NULL, NULL);
			fflush(stdout);
			_exit(failed ? 1 : 0);
		}
		failures += pid < 0;
	}
	int status = 0;
	for (pid_t pid = wait(&status); pid > 0; pid = wait(&status))
		failures += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
	return failures ? 1 : 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grants_releases_and_records_in_this_order),
		cmocka_unit_test(the_page_cannot_be_written_by_its_readers),
		cmocka_unit_test(a_key_made_later_is_listed_within_five_seconds),
		cmocka_unit_test(a_large_catalog_comes_in_parts),
		cmocka_unit_test(a_refusal_names_each_failed_check_and_is_held),
		cmocka_unit_test(an_unreachable_service_backs_off),
		cmocka_unit_test(uses_are_recorded_for_each_key_when_the_agent_ends),
		cmocka_unit_test(uses_of_a_process_that_was_killed_are_recorded),
		cmocka_unit_test(uses_under_a_lease_that_has_ended_are_recorded),
		cmocka_unit_test(what_a_process_writes_counts_for_itself_alone),
		cmocka_unit_test(counters_that_are_not_sealed_are_not_mapped),
		cmocka_unit_test(a_process_that_asks_again_and_again_gets_one_record),
		cmocka_unit_test(processes_without_number_do_not_fill_the_log),
		cmocka_unit_test(without_a_record_there_is_no_grant),
		cmocka_unit_test(many_who_ask_do_not_get_a_key_without_a_record),
		cmocka_unit_test(best_effort_audit_grants_without_a_record),
		cmocka_unit_test(a_refused_release_gives_no_key_and_others_go_on),
		cmocka_unit_test(only_listed_users_get_keys_but_all_see_the_catalog),
		cmocka_unit_test(another_user_is_refused_unless_listed),
		cmocka_unit_test(a_pin_is_asked_for_and_guessing_is_slowed_down),
		cmocka_unit_test(a_lease_is_renewed_while_somebody_uses_it),
		cmocka_unit_test(the_shortest_of_setting_token_and_policy_ends_a_lease),
		cmocka_unit_test(a_lease_nobody_uses_ends_and_is_asked_for_anew),
		cmocka_unit_test(a_refused_renewal_revokes_at_once),
		cmocka_unit_test(an_unreachable_renewal_keeps_the_lease_to_its_end),
		cmocka_unit_test(a_key_the_vault_refuses_at_renewal_is_gone_and_others_live),
		cmocka_unit_test(keys_in_use_are_released_again_side_by_side),
		cmocka_unit_test(a_tpm_reset_ends_the_lease),
		cmocka_unit_test(sigterm_revokes_all_pages),
		cmocka_unit_test(a_killed_agent_extends_nothing_and_the_client_comes_back),
		cmocka_unit_test(without_a_machine_agent_a_private_one_serves_and_ends_with_us),
		cmocka_unit_test(a_private_agent_ends_when_its_process_dies),
		cmocka_unit_test(a_broken_configuration_is_told_by_the_private_agent),
		cmocka_unit_test(a_missing_agent_program_is_an_error),
		cmocka_unit_test(an_agent_of_another_file_is_not_ours),
		cmocka_unit_test(threads_share_one_connection_and_one_attempt),
		cmocka_unit_test(a_hundred_clients_are_served_by_one_attempt),
		cmocka_unit_test(waiters_have_deadlines_of_their_own),
		cmocka_unit_test(the_catalog_survives_an_outage_by_its_cache_file),
		cmocka_unit_test(a_list_that_cannot_be_had_is_not_asked_for_without_end),
		cmocka_unit_test(a_closed_or_replaced_descriptor_is_noticed),
		cmocka_unit_test(a_forked_child_abandons_and_connects_anew),
		cmocka_unit_test(peers_that_break_the_protocol_are_closed),
		cmocka_unit_test(a_hello_of_another_time_namespace_gets_nothing),
		cmocka_unit_test(requests_in_flight_are_bounded),
		cmocka_unit_test(connections_are_bounded),
		cmocka_unit_test(no_user_fills_the_queue_that_all_share),
		cmocka_unit_test(keys_that_nobody_reads_do_not_use_up_the_memory_for_secrets),
		cmocka_unit_test(the_agent_takes_all_descriptors_it_may_have),
		cmocka_unit_test(no_lie_of_an_agent_becomes_a_grant),
		cmocka_unit_test(the_agent_is_not_dumpable_and_gains_no_rights),
		cmocka_unit_test(a_stranger_at_the_socket_is_not_trusted),
		cmocka_unit_test(programs_with_raised_rights_read_no_environment_and_spawn_nothing),
		cmocka_unit_test(a_socket_handed_over_by_the_service_manager_is_used),
		cmocka_unit_test(an_idle_agent_sleeps_and_keeps_no_threads),
		cmocka_unit_test(sigterm_during_an_attempt_grants_nothing),
		cmocka_unit_test(a_peer_that_does_not_read_is_closed),
		cmocka_unit_test(objects_are_shown_only_after_attestation_where_that_is_set),
		cmocka_unit_test(keys_that_change_their_binding_end_the_lease),
		cmocka_unit_test(a_private_agent_serves_only_its_own_user),
	};
	return run_in_shards(tests, sizeof tests / sizeof tests[0]);
}
