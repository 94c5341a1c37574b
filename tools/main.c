/* SPDX-License-Identifier: BSD-2-Clause */
/* vouchsafe: one table of sub-commands. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "tools/cli.h"

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *what;
} commands[] = {
	{"attest", vs_cmd_attest, "attest this machine now; print every check and the claims"},
	{"audit", vs_cmd_audit, "verify or read the audit log"},
	{"conf", vs_cmd_conf, "check the configuration, print the settings"},
	{"doctor", vs_cmd_doctor, "look at everything that has to be right, and say what to mend"},
	{"evidence", vs_cmd_evidence, "show this machine's evidence, verify a saved set"},
	{"gate", vs_cmd_gate, "wait until this machine is attested, then exit or start a command"},
	{"policy", vs_cmd_policy, "test, compare, hash or draft a policy"},
	{"status", vs_cmd_status, "state of each token, lease, last verdict"},
	{"token", vs_cmd_token, "verify an attestation token offline"},
	{"volume", vs_cmd_volume, "enroll, open and close data volumes (LUKS2)"},
};

static void
print_help(FILE *to)
{
	(void)fprintf(to,
		"usage: vouchsafe COMMAND [OPTIONS]\n\n"
		"The token's keys exist only while this machine can prove what it is.\n\n");
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
		(void)fprintf(to, "  %-8s %s\n", commands[i].name, commands[i].what);
	(void)fprintf(to,
		"\n'vouchsafe COMMAND --help' says more.\n"
		"Exit status: 0 granted or accepted, 1 refused, 2 usage, configuration or file, 3 "
		"try again.\n"
		"The configuration is %s unless VOUCHSAFE_CONF or --config names another.\n",
		VS_SYSCONFDIR "/vouchsafe/vouchsafe.conf");
}

/* Released keys and tokens may pass through this process: no dumps, no debuggers of others. */
static void
harden(void)
{
	struct rlimit core = {0};
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	/* The hard limit stays: `gate --then` gives a program what it would have had without us. */
	(void)getrlimit(RLIMIT_CORE, &core);
	core.rlim_cur = 0;
	(void)setrlimit(RLIMIT_CORE, &core);
	(void)signal(SIGPIPE, SIG_IGN);
}

int
main(int argc, char **argv)
{
	harden();
	if (argc < 2) {
		print_help(stderr);
		return VS_EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
		strcmp(argv[1], "help") == 0) {
		print_help(stdout);
		return vs_cli_done(VS_EXIT_OK);
	}
	if (strcmp(argv[1], "--version") == 0) {
		(void)printf("vouchsafe %s\n", PACKAGE_VERSION);
		return vs_cli_done(VS_EXIT_OK);
	}
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	(void)fprintf(stderr, "vouchsafe: '%.60s' is no command; 'vouchsafe --help' lists them\n",
		argv[1]);
	return VS_EXIT_USAGE;
}
