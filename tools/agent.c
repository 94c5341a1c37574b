/* SPDX-License-Identifier: BSD-2-Clause */
/* vouchsafe-agent: everything that talks. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/server.h"
#include "base/log.h"
#include "vouchsafe/vouchsafe.h"

/* Exit codes as of every program of this project. */
enum { EXIT_OK = 0, EXIT_USAGE = 2, EXIT_TEMPORARY = 3 };
enum { LISTEN_FD_FIRST = 3 };

struct options {
	const char *config;
	const char *socket;
	int private_fd;
};

static const char usage[] =
	"usage: vouchsafe-agent --config FILE [--socket PATH | --private FD]\n"
	"\n"
	"Attests this machine and releases keys to the vouchsafe PKCS#11 module.\n"
	"\n"
	"  --config FILE   the configuration; an absolute path\n"
	"  --socket PATH   listen here; default: the socket that systemd hands over,\n"
	"                  else the setting agent-socket\n"
	"  --private FD    serve the one connection that is open as FD, then end\n"
	"  --help          this text\n"
	"  --version       name and version\n"
	"\n"
	"SIGTERM, SIGINT and SIGHUP revoke all leases and end it.\n"
	"VOUCHSAFE_LOG=error|warn|info|debug overrides the setting log-level.\n";

static bool
parse_fd(const char *s, int *ret)
{
	int n = 0;
	if (*s == '\0' || strlen(s) > 6)
		return false;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return false;
		n = n * 10 + (*s - '0');
	}
	*ret = n;
	return true;
}

/* -1: go on; else an exit code. */
static int
parse_options(int argc, char **argv, struct options *o)
{
	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;
		if (strcmp(argv[i], "--help") == 0) {
			(void)fputs(usage, stdout);
			return EXIT_OK;
		}
		if (strcmp(argv[i], "--version") == 0) {
			(void)puts("vouchsafe-agent " PACKAGE_VERSION);
			return EXIT_OK;
		}
		if (!value)
			break;
		if (strcmp(argv[i], "--config") == 0)
			o->config = value;
		else if (strcmp(argv[i], "--socket") == 0)
			o->socket = value;
		else if (strcmp(argv[i], "--private") != 0 || !parse_fd(value, &o->private_fd))
			break;
		if (++i == argc - 1 && o->config && o->config[0] == '/' &&
			(!o->socket || o->private_fd < 0))
			return -1;
	}
	(void)fputs("vouchsafe-agent: expected --config FILE (an absolute path) and --socket PATH "
		    "or --private "
		    "FD; vouchsafe-agent --help says more\n",
		stderr);
	return EXIT_USAGE;
}

/* What nobody may look into or follow: no core, no ptrace by equals, no new rights. */
static void
harden(void)
{
	const struct rlimit none = {0, 0};
	struct rlimit files = {0};
	(void)setrlimit(RLIMIT_CORE, &none);
	/* All we may: pages that peers have not taken yet from their sockets count here, too. */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	/* The right to read the event log is ours, not that of the refusal hook. */
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	(void)signal(SIGPIPE, SIG_IGN);
	/* a limit on file sizes is an error of the audit log, not an end */
	(void)signal(SIGXFSZ, SIG_IGN);
	(void)umask(077);
	if (chdir("/") != 0)
		(void)fputs("vouchsafe-agent: cannot leave the current folder\n", stderr);
}

/* A socket of systemd's; -1: none. */
static int
activated_fd(void)
{
	const char *pid = secure_getenv("LISTEN_PID");
	const char *n = secure_getenv("LISTEN_FDS");
	int value = 0;
	if (!pid || !n || !parse_fd(n, &value) || value != 1)
		return -1;
	char own[16];
	snprintf(own, sizeof own, "%d", (int)getpid());
	if (strcmp(own, pid) != 0)
		return -1;
	(void)fcntl(LISTEN_FD_FIRST, F_SETFD, FD_CLOEXEC);
	(void)fcntl(LISTEN_FD_FIRST, F_SETFL, O_NONBLOCK);
	return LISTEN_FD_FIRST;
}

static VS_RC
take_private(int fd, struct vs_err *err)
{
	int type = 0;
	socklen_t n = sizeof type;
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) != 0 || type != SOCK_STREAM)
		VS_FAIL(err, USAGE, "--private: descriptor %d is no connected stream socket", fd);
	(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	return VS_OK;
}

static VS_RC
serve(const struct options *o, struct vs_core *core, const struct vs_err *conf_err,
	const char *socket_path, struct vs_log log, bool *ret_clean, struct vs_err *err)
{
	struct vs_server_env env = {.core = core,
		.conf_err = conf_err,
		.conf_path = o->config,
		.listen_fd = -1,
		.private_fd = o->private_fd,
		.log = log};
	if (o->private_fd >= 0) {
		VS_TRY(take_private(o->private_fd, err));
		return vs_server_run(&env, ret_clean, err);
	}
	env.listen_fd = o->socket ? -1 : activated_fd();
	const bool own = env.listen_fd < 0;
	if (own)
		VS_TRY(vs_server_listen(socket_path, &env.listen_fd, err));
	vs_log(&log, VS_LOG_INFO, "agent", "serving %s", o->config);
	const vs_rc rc = vs_server_run(&env, ret_clean, err);
	if (own)
		(void)unlink(socket_path);
	return rc;
}

int
main(int argc, char **argv)
{
	struct options o = {.private_fd = -1};
	struct vs_core *core = NULL;
	struct vs_err conf_err = {0}, err = {0};
	enum vs_log_level level = VS_LOG_INFO;
	const char *wanted = secure_getenv("VOUCHSAFE_LOG");
	const int code = parse_options(argc, argv, &o);
	if (code >= 0)
		return code;
	harden();
	const bool own_level = wanted && vs_log_level_parse(wanted, &level);
	const struct vs_log log = vs_log_stderr(level);
	const struct vs_core_env env = {.conf_path = o.config,
		.writer = "vouchsafe-agent",
		.log = log,
		.log_from_conf = !own_level};
	const vs_rc opened = vs_core_open(&env, &core, &conf_err);
	if (vs_failed(opened)) {
		vs_log_err(&log, VS_LOG_ERROR, "agent", o.config, &conf_err);
		/* A private agent stays to tell its module why; a machine's does not start. */
		if (o.private_fd < 0)
			return EXIT_USAGE;
	}
	bool clean = true;
	const char *path = o.socket ? o.socket : core ? vs_core_agent_socket(core) : NULL;
	const vs_rc rc =
		serve(&o, core, &conf_err, path, core ? *vs_core_log(core) : log, &clean, &err);
	if (vs_failed(rc))
		vs_log_err(&log, VS_LOG_ERROR, "agent", "cannot serve", &err);
	if (!clean) {
		/* Threads still wait for the network: the kernel frees what they use. */
		vs_log(&log, VS_LOG_WARN, "agent",
			"ending while requests are still waiting for the network");
		_exit(vs_failed(rc) ? EXIT_TEMPORARY : EXIT_OK);
	}
	vs_core_close(core);
	return vs_failed(rc) ? EXIT_TEMPORARY : EXIT_OK;
}
