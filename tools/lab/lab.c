/* SPDX-License-Identifier: BSD-2-Clause */
/* vouchsafe-lab: an emulated cloud beside an emulated machine, for tests and for trying out. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lab/lab_args.h"
#include "lab/lab_ctl.h"
#include "lab/lab_fault.h"
#include "lab/lab_keygen.h"
#include "lab/lab_machine.h"
#include "lab/lab_run.h"

enum { DEFAULT_LIFE_S = 12 * 3600, ARGS_MAX = 24 };

struct help {
	const char *name, *usage, *text;
};

static const struct help helps[] = {
	{"run", "run [--agent] [--no-throttle] -- COMMAND [ARGUMENT...]",
		"Start an ephemeral lab, run COMMAND with its environment, remove the lab, and "
		"exit with\n"
		"COMMAND's status. --agent starts a machine agent as well.\n"},
	{"up", "up [--dir D] [--agent] [--max-life 12h] [--no-throttle] [--vm]",
		"Start a lab in the background; D/env is a shell file with its environment. It "
		"ends when\n"
		"it is told to (down), when D disappears, or when nothing was asked of it for "
		"max-life. --vm: the machine is a virtual one of yours, with D/tpm.sock as its "
		"TPM's control\n"
		"socket; its own firmware and kernel measure, and report to the lab's services.\n"},
	{"down", "down [--dir D]", "End the lab in D.\n"},
	{"status", "status [--dir D]", "Addresses, numbers of requests, faults that stand.\n"},
	{"key",
		"key create NAME --type TYPE [--vault akv|mhsm] [--policy FILE]\n"
		"           [--pkcs8 auto|named|public|explicit] [--immutable] [--not-exportable]\n"
		"       key list [--vault akv|mhsm]\n"
		"       key disable|enable|rotate|delete|recover NAME [--vault akv|mhsm]",
		"Keys of the lab's vaults. create makes an exportable key with a release policy "
		"(default:\n"
		"the lab's own) or, where the name exists, a new version. --pkcs8 chooses how the "
		"private\n"
		"key is written when it is released; auto is what recordings of the services "
		"show.\n"},
	{"certificate", "certificate issue NAME [--vault akv|mhsm]",
		"Issue an X.509 certificate for a key: in the vault, and as D/certs/NAME.pem "
		"(hsm-NAME.pem\n"
		"for the Managed HSM's keys), which D/vouchsafe.conf then names.\n"},
	{"tamper", "tamper KIND [ARGUMENT...] | tamper undo",
		"Do to the machine what an attacker would do; undo is a reboot. Kinds:\n"},
	{"fault",
		"fault SERVICE KIND [--count N] [--value V] [--path TEXT]\n"
		"       fault list | fault clear",
		"Let imds, entra, maa, vault, mhsm, maa-shared or maa-isolated misbehave, N times\n"
		"or until cleared; --path limits it\n"
		"to requests whose path contains TEXT. Kinds:\n"},
	{"token", "token [--expired] [--software-key]",
		"An attestation token of the lab's attestation service about the machine as it is "
		"now.\n"
		"--software-key: a JSON object {token, private_key_pem} for clients without a "
		"TPM.\n"},
	{"attestation", "attestation rotate [--forget] | attestation keyset short|full",
		"rotate: the attestation service signs with a new key from now on; the old one "
		"stays in the\nkey set unless it is forgotten. keyset: members as until 2023, or "
		"as in 2026.\n"},
	{"access-token", "access-token AUDIENCE [--expired] [--life SECONDS]",
		"An access token of the machine's identity, as the metadata service would give "
		"it.\n"},
	{"throttle", "throttle on|off",
		"Whether the vault limits create and release of HSM keys to ten in ten seconds.\n"},
};

static void
print_kinds(const char *name)
{
	if (strcmp(name, "fault") == 0)
		for (const struct lab_fault_row *r = lab_fault_rows(); r->name != NULL; r++)
			(void)printf("  %-16s %s\n", r->name, r->help);
	if (strcmp(name, "tamper") == 0)
		for (const char *const *k = lab_machine_tamper_help(); *k != NULL; k++)
			(void)printf("  %s\n", *k);
	if (strcmp(name, "key") == 0) {
		(void)printf("Types:");
		for (int t = LAB_KEY_RSA2048; t < LAB_KEY_COUNT_; t++)
			(void)printf(" %s", lab_key_row((enum lab_key_type)t)->name);
		(void)printf("\n");
	}
}

static int
print_help(const char *name)
{
	for (size_t i = 0; name != NULL && i < sizeof(helps) / sizeof(helps[0]); i++)
		if (strcmp(helps[i].name, name) == 0) {
			(void)printf(
				"Usage: vouchsafe-lab %s\n\n%s", helps[i].usage, helps[i].text);
			print_kinds(name);
			return 0;
		}
	(void)printf(
		"vouchsafe-lab: an emulated machine and an emulated cloud; protects nothing.\n\n");
	for (size_t i = 0; i < sizeof(helps) / sizeof(helps[0]); i++)
		(void)printf("  vouchsafe-lab %s\n", helps[i].usage);
	(void)printf("\nEach command explains itself with --help. --dir D names the lab; the "
		     "default is\n"
		     "$VOUCHSAFE_LAB, which D/env sets.\n"
		     "Exit: 0 done, 1 refused, 2 usage or configuration, 3 not reachable.\n");
	return name == NULL ? 0 : 2;
}

static bool
is_known(const char *name)
{
	for (size_t i = 0; i < sizeof(helps) / sizeof(helps[0]); i++)
		if (strcmp(helps[i].name, name) == 0)
			return true;
	return strcmp(name, "serve") == 0;
}

/* One sentence with the remedy; name: the command that was meant. */
static int
usage_error(const char *name, const struct vs_err *err)
{
	char sentence[VS_ERR_TEXT_MAX * 2] = "";
	vs_err_sentence(err, sentence, sizeof(sentence));
	(void)fprintf(stderr,
		"vouchsafe-lab %s: %s; 'vouchsafe-lab %s --help' says how it is used\n", name,
		sentence, name);
	return 2;
}

static int
unknown_command(const char *name)
{
	(void)fprintf(stderr,
		"vouchsafe-lab: '%.60s' is no command; 'vouchsafe-lab --help' lists them\n", name);
	return 2;
}

/* "90s", "30m", "12h". */
static VS_RC
parse_life(const char *text, int64_t *ret, struct vs_err *err)
{
	char *end = NULL;
	const unsigned long n = strtoul(text, &end, 10);
	const int64_t unit = strcmp(end, "s") == 0 ? 1
		: strcmp(end, "m") == 0            ? 60
		: strcmp(end, "h") == 0            ? 3600
						   : 0;
	if (end == text || unit == 0 || n < 1 || n > 1000000)
		VS_FAIL(err, USAGE, "--max-life needs a time like 90s, 30m or 12h");
	*ret = (int64_t)n * unit;
	return VS_OK;
}

/* --dir, else the environment, else one place per user. An absolute path. */
static VS_RC
find_dir(const char *option, char out[PATH_MAX], struct vs_err *err)
{
	const char *env = secure_getenv("VOUCHSAFE_LAB");
	char cwd[PATH_MAX] = "";
	if (option == NULL)
		option = env;
	if (option == NULL || *option == '\0') {
		(void)snprintf(out, PATH_MAX, "/tmp/vouchsafe-lab-%u", (unsigned)geteuid());
		return VS_OK;
	}
	if (option[0] != '/' && getcwd(cwd, sizeof(cwd)) == NULL)
		VS_FAIL(err, USAGE,
			"the working directory has no name; give --dir an absolute path");
	const int n = snprintf(out, PATH_MAX, "%s%s%s", cwd, cwd[0] != '\0' ? "/" : "", option);
	if (n < 0 || n >= PATH_MAX)
		VS_FAIL(err, USAGE, "--dir is too long");
	for (size_t length = strlen(out); length > 1 && out[length - 1] == '/'; length--)
		out[length - 1] = '\0';
	return VS_OK;
}

static int
process_command(const char *name, const char *const *words, size_t n, char *const *command)
{
	struct lab_args args = {0};
	struct vs_err err = {0};
	struct lab_options o = {.throttle = true, .max_life_s = DEFAULT_LIFE_S};
	char dir[PATH_MAX] = "";
	const bool run = strcmp(name, "run") == 0;
	const char *allowed = run           ? "agent no-throttle"
		: strcmp(name, "down") == 0 ? "dir="
					    : "dir= agent no-throttle vm max-life=";
	if (vs_failed(lab_args_parse(words, n, allowed, &args, &err)))
		return usage_error(name, &err);
	const char *life = lab_args_option(&args, "max-life");
	o.agent = lab_args_option(&args, "agent") != NULL;
	o.vm = lab_args_option(&args, "vm") != NULL;
	o.throttle = lab_args_option(&args, "no-throttle") == NULL;
	vs_rc rc = VS_OK;
	if (args.n_words > 0)
		rc = vs_err_put(&err, VS_E_USAGE, __func__, __LINE__, 0,
			run ? "'%.60s' is one word too many; COMMAND stands behind --"
			    : "'%.60s' is one word too many",
			args.words[0]);
	else if (run && command == NULL)
		rc = vs_err_put(
			&err, VS_E_USAGE, __func__, __LINE__, 0, "there is no COMMAND behind --");
	if (vs_failed(rc))
		return usage_error(name, &err);
	if ((life != NULL && vs_failed(parse_life(life, &o.max_life_s, &err))) ||
		vs_failed(find_dir(lab_args_option(&args, "dir"), dir, &err)))
		return usage_error(name, &err);
	if (run)
		return lab_run(&o, command);
	if (strcmp(name, "up") == 0)
		return lab_up_background(dir, &o);
	if (strcmp(name, "down") == 0)
		return lab_down(dir);
	return lab_serve(dir, &o);
}

/* Everything else happens in the running lab; --dir is for us, the rest is passed on. */
static int
remote_command(const char *const *words, size_t n)
{
	const char *rest[ARGS_MAX], *option = NULL;
	size_t n_rest = 0;
	char dir[PATH_MAX] = "";
	struct vs_err err = {0};
	for (size_t i = 0; i < n; i++) {
		if (strncmp(words[i], "--dir=", 6) == 0)
			option = words[i] + 6;
		else if (strcmp(words[i], "--dir") == 0 && i + 1 < n)
			option = words[++i];
		else
			rest[n_rest++] = words[i];
	}
	if (vs_failed(lab_cmd_check(rest, n_rest, &err)) || vs_failed(find_dir(option, dir, &err)))
		return usage_error(words[0], &err);
	return lab_ctl_call(dir, rest, n_rest);
}

static bool
is_help(const char *word)
{
	return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static int
too_long(void)
{
	(void)fprintf(stderr,
		"vouchsafe-lab: no command takes so many words; 'vouchsafe-lab --help' lists "
		"them\n");
	return 2;
}

int
main(int argc, char **argv)
{
	static const char *const local[] = {"run", "up", "down", "serve"};
	const char *words[ARGS_MAX];
	size_t n = 0;
	char *const *command = NULL;
	bool help = false;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--") == 0) {
			command = i + 1 < argc ? argv + i + 1 : NULL;
			break;
		}
		if (n == ARGS_MAX)
			return too_long();
		help = help || is_help(argv[i]);
		words[n++] = argv[i];
	}
	if (n == 0) {
		(void)fprintf(stderr,
			"vouchsafe-lab: there is no command; 'vouchsafe-lab --help' lists them\n");
		return 2;
	}
	if (strcmp(words[0], "--version") == 0) {
		(void)printf("vouchsafe-lab %s\n", PACKAGE_VERSION);
		return 0;
	}
	const bool asks = strcmp(words[0], "help") == 0;
	if (is_help(words[0]) || (asks && (n == 1 || is_help(words[1]))))
		return print_help(NULL);
	if (asks)
		return is_known(words[1]) ? print_help(words[1]) : unknown_command(words[1]);
	if (!is_known(words[0]))
		return unknown_command(words[0]);
	if (help)
		return print_help(words[0]);
	for (size_t i = 0; i < sizeof(local) / sizeof(local[0]); i++)
		if (strcmp(local[i], words[0]) == 0)
			return process_command(words[0], words + 1, n - 1, command);
	return remote_command(words, n);
}
