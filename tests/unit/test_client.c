/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/profile.h"
#include "conf/conf.h"

static char dir[] = "/tmp/vouchsafe-client-test.XXXXXX";
static char path[64];

static void
write_conf(const char *text, mode_t mode)
{
	(void)unlink(path);
	const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static struct vs_profile *
load(const char *text)
{
	struct vs_err err = {0};
	struct vs_profile *p = NULL;
	write_conf(text, 0644);
	assert_ok(vs_profile_load(&p, &err), &err);
	return p;
}

static int
set_up(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof path, "%s/conf", dir);
	return setenv("VOUCHSAFE_CONF", path, 1);
}

static int
clear_away(void **state)
{
	(void)state;
	(void)unlink(path);
	return rmdir(dir);
}

#define ATTESTATION "attestation = https://contoso.weu.attest.azure.net\n"
#define TOKEN "vault = https://contoso.vault.azure.net/\n" ATTESTATION

static const char good[] = "[global]\n"
			   "agent-socket = /run/x/agent.sock\n"
			   "agent-program = /opt/agent\n"
			   "memory-lock = required\n"
			   "[token data-keys]\n" TOKEN "login = attest\n"
			   "visible = attested\n"
			   "[token two words]\n" TOKEN "raw-rsa = yes\n";

static void
reads_what_presents_the_slots(void **state)
{
	(void)state;
	struct vs_profile *p = load(good);
	assert_false(p->broken);
	assert_string_equal(p->path, path);
	assert_string_equal(p->agent_socket, "/run/x/agent.sock");
	assert_string_equal(p->agent_program, "/opt/agent");
	assert_int_equal(p->lock_mode, VS_LOCK_REQUIRED);
	assert_false(p->lab);
	assert_int_equal(p->n_tokens, 2);
	assert_string_equal(p->tokens[0].label, "data-keys");
	assert_int_equal(p->tokens[0].login, VS_LOGIN_ATTEST);
	assert_true(p->tokens[0].visible_attested);
	assert_false(p->tokens[0].raw_rsa_decrypt);
	assert_string_equal(p->tokens[1].label, "two words");
	assert_true(p->tokens[1].raw_rsa_decrypt);
	assert_int_equal(p->tokens[1].login, VS_LOGIN_NONE);
	vs_profile_free(p);
}

/* The module and the agent read the same file with different readers. */
static void
says_the_same_as_the_reader_of_the_agent(void **state)
{
	(void)state;
	static const char *const texts[] = {good, "[token a]\n" TOKEN,
		"# nothing\n[global]\nmode = production\n[token b]\n" TOKEN
		"login = none\nkeys = x, y\nmax-lease = 10m\n",
		"[global]\nmemory-lock = warn\n[token \"c\"]\n" TOKEN,
		"[token d]\nvault = https://CONTOSO.vault.azure.net:443/\n" ATTESTATION,
		"[global]\nmode = lab\ntcti = swtpm:host=127.0.0.1,port=1\nimds = "
		"http://127.0.0.1:1\n[token e]\n"
		"vault = https://LocalHost:8443\nvault-kind = key-vault\n"
		"attestation = https://localhost:1\nauthority = "
		"https://localhost:2\nvault-resource = https://localhost:3\n",
		"[global]\nmode = lab\ntcti = swtpm:host=127.0.0.1,port=1\nimds = "
		"http://127.0.0.1:1\n[token f]\n"
		"vault = https://[::1]\nvault-kind = key-vault\n"
		"attestation = https://localhost:1\nauthority = "
		"https://localhost:2\nvault-resource = https://localhost:3\n"};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct vs_err err = {0};
		struct vs_conf *conf = NULL;
		struct vs_profile *p = load(texts[i]);
		assert_ok(vs_conf_load(path, &conf, &err), &err);
		assert_false(p->broken);
		assert_int_equal(p->n_tokens, conf->n_tokens);
		assert_int_equal(p->lab, conf->lab);
		assert_string_equal(p->agent_socket, conf->agent_socket);
		assert_string_equal(p->agent_program, conf->agent_program);
		assert_int_equal(p->lock_mode == VS_LOCK_REQUIRED, conf->memory_lock_required);
		for (size_t k = 0; k < p->n_tokens; k++) {
			assert_string_equal(p->tokens[k].label, conf->tokens[k].label);
			assert_string_equal(p->tokens[k].serial, conf->tokens[k].serial);
			assert_int_equal(p->tokens[k].login, conf->tokens[k].login);
			assert_int_equal(
				p->tokens[k].visible_attested, conf->tokens[k].visible_attested);
			assert_int_equal(p->tokens[k].raw_rsa_decrypt, conf->tokens[k].raw_rsa);
		}
		vs_conf_free(conf);
		vs_profile_free(p);
	}
}

static void
without_a_file_there_are_no_slots(void **state)
{
	(void)state;
	struct vs_err err = {0};
	struct vs_profile *p = NULL;
	(void)unlink(path);
	assert_ok(vs_profile_load(&p, &err), &err);
	assert_int_equal(p->n_tokens, 0);
	assert_false(p->broken);
	assert_string_equal(p->path, "");
	vs_profile_free(p);
}

static void
a_file_others_can_write_gives_one_broken_slot(void **state)
{
	(void)state;
	struct vs_err err = {0};
	struct vs_profile *p = NULL;
	write_conf(good, 0666);
	assert_ok(vs_profile_load(&p, &err), &err);
	assert_true(p->broken);
	assert_int_equal(p->n_tokens, 1);
	assert_string_equal(p->tokens[0].label, "vouchsafe");
	assert_int_equal(strlen(p->tokens[0].serial), 16);
	assert_non_null(strstr(p->why, path));
	vs_profile_free(p);
}

static void
a_symbolic_link_is_not_followed(void **state)
{
	(void)state;
	struct vs_err err = {0};
	struct vs_profile *p = NULL;
	(void)unlink(path);
	assert_int_equal(symlink("/etc/hostname", path), 0);
	assert_ok(vs_profile_load(&p, &err), &err);
	assert_true(p->broken);
	vs_profile_free(p);
}

static void
broken_files_keep_the_labels_read_so_far(void **state)
{
	(void)state;
	static const char *const rest[] = {"[token b]\nlogin = sometimes\n", "[token b\n",
		"[token b]\nvisible = no\n", "[token b]\nraw-rsa = perhaps\n", "[token b]\n\"\n",
		"[token a]\n", "[token this-label-has-more-than-32-bytes-x]\n", "[token]\n"};
	for (size_t i = 0; i < sizeof rest / sizeof rest[0]; i++) {
		char text[512];
		snprintf(text, sizeof text, "[token a]\n" TOKEN "%s", rest[i]);
		struct vs_profile *p = load(text);
		assert_true(p->broken);
		assert_true(p->why[0] != '\0');
		assert_true(p->n_tokens >= 1);
		assert_string_equal(p->tokens[0].label, "a");
		vs_profile_free(p);
	}
}

static void
every_truncation_of_a_file_is_survived(void **state)
{
	(void)state;
	char text[sizeof good];
	for (size_t n = 0; n < sizeof good; n++) {
		memcpy(text, good, n);
		text[n] = '\0';
		struct vs_profile *p = load(text);
		assert_true(p->n_tokens <= 2);
		vs_profile_free(p);
	}
}

static void
more_tokens_than_slots_are_refused(void **state)
{
	(void)state;
	char text[8192] = "";
	size_t n = 0;
	for (int i = 0; i <= VS_PROFILE_TOKENS_MAX; i++)
		n += (size_t)snprintf(
			text + n, sizeof text - n, "[token t%d]\nvault = https://v%d\n", i, i);
	struct vs_profile *p = load(text);
	assert_true(p->broken);
	assert_int_equal(p->n_tokens, VS_PROFILE_TOKENS_MAX);
	vs_profile_free(p);
}

static void
a_relative_path_becomes_absolute(void **state)
{
	(void)state;
	struct vs_err err = {0};
	struct vs_profile *p = NULL;
	char old[1024];
	write_conf(good, 0644);
	assert_non_null(getcwd(old, sizeof old));
	assert_int_equal(chdir(dir), 0);
	setenv("VOUCHSAFE_CONF", "conf", 1);
	assert_ok(vs_profile_load(&p, &err), &err);
	setenv("VOUCHSAFE_CONF", path, 1);
	assert_int_equal(chdir(old), 0);
	assert_string_equal(p->path, path);
	assert_int_equal(p->n_tokens, 2);
	vs_profile_free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_presents_the_slots),
		cmocka_unit_test(says_the_same_as_the_reader_of_the_agent),
		cmocka_unit_test(without_a_file_there_are_no_slots),
		cmocka_unit_test(a_file_others_can_write_gives_one_broken_slot),
		cmocka_unit_test(a_symbolic_link_is_not_followed),
		cmocka_unit_test(broken_files_keep_the_labels_read_so_far),
		cmocka_unit_test(every_truncation_of_a_file_is_survived),
		cmocka_unit_test(more_tokens_than_slots_are_refused),
		cmocka_unit_test(a_relative_path_becomes_absolute),
	};
	return cmocka_run_group_tests(tests, set_up, clear_away);
}
