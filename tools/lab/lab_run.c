/* SPDX-License-Identifier: BSD-2-Clause */
#include "lab/lab_run.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "lab/lab_ctl.h"
#include "lab/lab_state.h"

extern char **environ;

enum {
	READY_FD = 3,
	TICK_MS = 500,
	END_WAIT_MS = 5000,
	START_WAIT_S = 60,
	NS_PER_MS = 1000000,
};

static void
complain(const struct vs_err *err)
{
	char sentence[VS_ERR_TEXT_MAX * 2] = "";
	vs_err_sentence(err, sentence, sizeof(sentence));
	(void)fprintf(stderr, "vouchsafe-lab: %s\n", sentence);
}

/* Signals that end a lab are taken by the main thread, in sigtimedwait; before any thread starts.
 */
static void
block_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGHUP);
	sigaddset(set, SIGCHLD);
	sigprocmask(SIG_BLOCK, set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static int
wait_signal(const sigset_t *set, int ms)
{
	const struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * NS_PER_MS};
	return sigtimedwait(set, NULL, &ts);
}

/* A child with default signals; fds beyond 2 close themselves. */
static int
spawn(const char *program, char *const *argv, char *const *envp, bool background,
	const posix_spawn_file_actions_t *actions, pid_t *pid)
{
	posix_spawnattr_t attr;
	sigset_t none, defaults;
	short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
	sigemptyset(&none);
	sigemptyset(&defaults);
	sigaddset(&defaults, SIGPIPE);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &defaults);
	if (background)
		flags |= POSIX_SPAWN_SETSID;
	posix_spawnattr_setflags(&attr, flags);
	const int rc = posix_spawnp(pid, program, actions, &attr, argv, envp);
	posix_spawnattr_destroy(&attr);
	return rc;
}

/* Into D/lab.log from now on; a lab in the background also sends its standard error there. */
static void
open_log(struct lab *lab, bool with_stderr)
{
	char path[LAB_PATH_MAX];
	lab->log_fd = -1;
	if (vs_failed(lab_path(lab, "lab.log", path, NULL)))
		return;
	lab->log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (lab->log_fd >= 0 && with_stderr)
		(void)dup2(lab->log_fd, STDERR_FILENO);
}

/* ---- machine agent -------------------------------------------------------------------------- */

static pid_t
start_agent(const struct lab *lab)
{
	char program[LAB_PATH_MAX], conf[LAB_PATH_MAX], log[LAB_PATH_MAX];
	char config[] = "--config";
	pid_t pid = 0;
	posix_spawn_file_actions_t actions;
	lab_state_agent(program);
	if (vs_failed(lab_path(lab, "vouchsafe.conf", conf, NULL)) ||
		vs_failed(lab_path(lab, "agent.log", log, NULL)))
		return 0;
	char *argv[] = {program, config, conf, NULL};
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	posix_spawn_file_actions_adddup2(&actions, 1, 2);
	if (spawn(program, argv, environ, true, &actions, &pid) != 0)
		pid = 0;
	posix_spawn_file_actions_destroy(&actions);
	return pid;
}

/* Wait for the agent's socket; false when it ended or did not come. */
static bool
agent_ready(const struct lab *lab, pid_t pid)
{
	char socket[LAB_PATH_MAX];
	const struct timespec pause = {.tv_nsec = 20 * NS_PER_MS};
	if (pid == 0 || vs_failed(lab_path(lab, "agent.sock", socket, NULL)))
		return false;
	for (int ms = 0; ms < END_WAIT_MS; ms += 20) {
		if (access(socket, F_OK) == 0)
			return true;
		if (waitpid(pid, NULL, WNOHANG) == pid)
			return false;
		(void)nanosleep(&pause, NULL);
	}
	return false;
}

static void
end_child(pid_t pid)
{
	const struct timespec pause = {.tv_nsec = 20 * NS_PER_MS};
	if (pid <= 0)
		return;
	(void)kill(pid, SIGTERM);
	for (int ms = 0; ms < END_WAIT_MS; ms += 20) {
		if (waitpid(pid, NULL, WNOHANG) != 0)
			return;
		(void)nanosleep(&pause, NULL);
	}
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
}

/* ---- run ------------------------------------------------------------------------------------ */

static VS_RC
make_dir(struct lab *lab, struct vs_err *err)
{
	const char *tmp = secure_getenv("TMPDIR");
	if (tmp == NULL || tmp[0] != '/' || strlen(tmp) > 60)
		tmp = "/tmp";
	(void)snprintf(lab->dir, sizeof(lab->dir), "%s/vouchsafe-lab.XXXXXX", tmp);
	if (mkdtemp(lab->dir) == NULL)
		VS_FAIL_N(
			err, FILE, errno, "no folder can be made in %s: %s", tmp, strerror(errno));
	return VS_OK;
}

/* environ with the lab's variables in front; freed with one free. */
static char **
make_environment(const struct lab_var *vars, size_t n)
{
	size_t old = 0, used = 0;
	while (environ[old] != NULL)
		old++;
	char **envp = calloc(1, (n + old + 1) * sizeof(char *) + n * (LAB_PATH_MAX + 64));
	if (envp == NULL)
		return NULL;
	char *text = (char *)(envp + n + old + 1);
	for (size_t i = 0; i < n; i++, text += LAB_PATH_MAX + 64) {
		(void)snprintf(text, LAB_PATH_MAX + 64, "%s=%s", vars[i].name, vars[i].value);
		envp[used++] = text;
	}
	for (size_t i = 0; i < old; i++) {
		bool ours = false;
		for (size_t j = 0; j < n; j++) {
			const size_t length = strlen(vars[j].name);
			ours = ours ||
				(strncmp(environ[i], vars[j].name, length) == 0 &&
					environ[i][length] == '=');
		}
		if (!ours)
			envp[used++] = environ[i];
	}
	return envp;
}

static int
status_code(int status)
{
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : 1;
}

/* SIGINT comes from a terminal and reaches the command by itself; others are passed on. */
static int
wait_command(pid_t pid, const sigset_t *set)
{
	int status = 0;
	for (;;) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return status_code(status);
		const int sig = wait_signal(set, TICK_MS);
		if (sig == SIGTERM || sig == SIGHUP)
			(void)kill(pid, sig);
	}
}

static int
run_command(const struct lab *lab, char *const *command, const sigset_t *set)
{
	struct lab_var vars[LAB_VARS_MAX];
	size_t n = 0;
	pid_t pid = 0;
	struct vs_err err = {0};
	if (vs_failed(lab_state_vars(lab, vars, &n, &err))) {
		complain(&err);
		return 3;
	}
	char **envp = make_environment(vars, n);
	const int rc = envp == NULL ? ENOMEM : spawn(command[0], command, envp, false, NULL, &pid);
	free(envp);
	if (rc != 0) {
		(void)fprintf(
			stderr, "vouchsafe-lab: %s cannot be run: %s\n", command[0], strerror(rc));
		return rc == ENOENT ? 127 : 126;
	}
	return wait_command(pid, set);
}

int
lab_run(const struct lab_options *options, char *const *command)
{
	struct vs_err err = {0};
	sigset_t set;
	pid_t agent = 0;
	int code = 3;
	struct lab *lab = calloc(1, sizeof(*lab));
	block_signals(&set);
	if (lab == NULL)
		return 3;
	vs_rc rc = make_dir(lab, &err);
	if (vs_failed(rc)) {
		complain(&err);
		free(lab);
		return 3;
	}
	open_log(lab, false);
	rc = lab_start(lab, options, &err);
	if (vs_failed(rc)) {
		complain(&err);
	} else {
		if (options->agent)
			agent = start_agent(lab);
		if (options->agent && !agent_ready(lab, agent))
			(void)fprintf(stderr, "vouchsafe-lab: the machine agent did not start\n");
		else
			code = run_command(lab, command, &set);
		end_child(agent);
		lab_stop(lab);
	}
	if (lab->log_fd >= 0)
		(void)close(lab->log_fd);
	lab_state_remove(lab, true);
	free(lab);
	return code;
}

/* ---- background ----------------------------------------------------------------------------- */

static void
say_ready(const char *text)
{
	const ssize_t n = write(READY_FD, text, strlen(text));
	(void)n;
	(void)close(READY_FD);
}

/* Until asked to end, or forgotten: the directory is gone, or nobody asked for max_life. */
static void
stand_by(struct lab *lab, const struct lab_options *o, const sigset_t *set, pid_t agent)
{
	const struct vs_clock clock = vs_clock_system();
	uint64_t seen = 0;
	int64_t since = clock.ops->boot_ns(clock.self);
	for (;;) {
		const int sig = wait_signal(set, TICK_MS);
		if (sig == SIGTERM || sig == SIGINT)
			return;
		if (sig == SIGCHLD && agent > 0 && waitpid(agent, NULL, WNOHANG) == agent)
			lab_say(lab, "the machine agent ended");
		const int64_t now = clock.ops->boot_ns(clock.self);
		const uint64_t n = lab_activity(lab);
		if (n != seen) {
			seen = n;
			since = now;
		}
		if (lab_ctl_asked_to_end(lab->ctl) || !lab_state_alive(lab) ||
			(now - since) / 1000000000 >= o->max_life_s)
			return;
	}
}

int
lab_serve(const char *dir, const struct lab_options *options)
{
	struct vs_err err = {0};
	sigset_t set;
	pid_t agent = 0;
	char sentence[VS_ERR_TEXT_MAX * 2] = "";
	struct lab *lab = calloc(1, sizeof(*lab));
	block_signals(&set);
	if (lab == NULL || fcntl(READY_FD, F_SETFD, FD_CLOEXEC) != 0) {
		free(lab);
		return 3;
	}
	(void)snprintf(lab->dir, sizeof(lab->dir), "%s", dir);
	(void)mkdir(lab->dir, 0700); /* lab_start judges it; the log wants to be there first */
	open_log(lab, true);
	if (vs_failed(lab_start(lab, options, &err))) {
		vs_err_sentence(&err, sentence, sizeof(sentence));
		say_ready(sentence);
		free(lab);
		return 3;
	}
	if (options->agent) {
		agent = start_agent(lab);
		if (!agent_ready(lab, agent)) {
			say_ready("the machine agent did not start; see agent.log in the lab's "
				  "directory");
			lab_stop(lab);
			lab_state_remove(lab, false);
			free(lab);
			return 3;
		}
	}
	say_ready("ready");
	stand_by(lab, options, &set, agent);
	const bool there = lab_state_alive(lab);
	end_child(agent);
	lab_stop(lab);
	if (there)
		lab_state_remove(lab, false);
	if (lab->log_fd >= 0)
		(void)close(lab->log_fd);
	free(lab);
	return 0;
}

/* The background process's one line on the pipe; "ready" or a sentence, empty when it died. */
static void
read_ready(int fd, char *out, size_t size)
{
	size_t n = 0;
	for (;;) {
		const ssize_t r = read(fd, out + n, size - 1 - n);
		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			break;
		n += (size_t)r;
	}
	out[n] = '\0';
}

int
lab_up_background(const char *dir, const struct lab_options *o)
{
	int fds[2] = {-1, -1};
	char life[32], said[1024] = "";
	char exe[] = "/proc/self/exe", name[] = "vouchsafe-lab", serve[] = "serve", d[] = "--dir";
	char max_life[] = "--max-life", agent[] = "--agent", no_throttle[] = "--no-throttle";
	char vm[] = "--vm";
	char *argv[12] = {name, serve, d, strdup(dir), max_life, life, NULL};
	size_t n = 6;
	pid_t pid = 0;
	posix_spawn_file_actions_t actions;
	(void)snprintf(life, sizeof(life), "%llds", (long long)o->max_life_s);
	if (o->agent)
		argv[n++] = agent;
	if (o->vm)
		argv[n++] = vm;
	if (!o->throttle)
		argv[n++] = no_throttle;
	if (argv[3] == NULL || pipe2(fds, O_CLOEXEC) != 0) {
		free(argv[3]);
		return 3;
	}
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDWR, 0);
	posix_spawn_file_actions_adddup2(&actions, fds[1], READY_FD);
	posix_spawn_file_actions_adddup2(&actions, 0, 1);
	posix_spawn_file_actions_adddup2(&actions, 0, 2);
	const int rc = spawn(exe, argv, environ, true, &actions, &pid);
	posix_spawn_file_actions_destroy(&actions);
	free(argv[3]);
	(void)close(fds[1]);
	if (rc == 0)
		read_ready(fds[0], said, sizeof(said));
	(void)close(fds[0]);
	if (strcmp(said, "ready") == 0) {
		(void)printf("The lab is up. Next: . %s/env\n", dir);
		return 0;
	}
	(void)fprintf(stderr, "vouchsafe-lab: %s\n",
		rc != 0                   ? strerror(rc)
			: said[0] != '\0' ? said
					  : "the lab ended while starting");
	return 3;
}

int
lab_down(const char *dir)
{
	const struct timespec pause = {.tv_nsec = 20 * NS_PER_MS};
	static const char *const words[] = {"stop"};
	char mark[LAB_PATH_MAX + 16];
	(void)snprintf(mark, sizeof(mark), "%.255s/lab.json", dir);
	const int pid = lab_state_find(dir);
	if (pid == 0) {
		(void)fprintf(stderr, "vouchsafe-lab: no lab is running in %s\n", dir);
		return 2;
	}
	if (lab_ctl_call(dir, words, 1) != 0)
		(void)kill(pid, SIGTERM);
	for (int ms = 0; ms < 4 * END_WAIT_MS; ms += 20) {
		if (kill(pid, 0) != 0 || access(mark, F_OK) != 0)
			return 0;
		(void)nanosleep(&pause, NULL);
	}
	(void)fprintf(stderr, "vouchsafe-lab: process %d does not end\n", pid);
	return 3;
}
