/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sub-commands of `vouchsafe`: each takes the arguments from its own name on (argv[0] is
 * "token", "policy") and returns the exit code of DESIGN 11.
 */
#ifndef TOOLS_CMD_H
#define TOOLS_CMD_H

enum {
	VS_EXIT_OK = 0, /* granted, accepted, equal */
	VS_EXIT_REFUSED = 1, /* a check said no */
	VS_EXIT_USAGE = 2, /* usage, configuration, file */
	VS_EXIT_TEMPORARY = 3, /* unreachable, try again */
};

int vs_cmd_attest(int argc, char **argv);
int vs_cmd_audit(int argc, char **argv);
int vs_cmd_conf(int argc, char **argv);
int vs_cmd_doctor(int argc, char **argv);
int vs_cmd_evidence(int argc, char **argv);
int vs_cmd_gate(int argc, char **argv);
int vs_cmd_policy(int argc, char **argv);
int vs_cmd_status(int argc, char **argv);
int vs_cmd_token(int argc, char **argv);
int vs_cmd_volume(int argc, char **argv);

#endif
