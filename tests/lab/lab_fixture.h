/* SPDX-License-Identifier: BSD-2-Clause */
/* A machine of the lab in a directory of its own, and evidence of it. */
#ifndef TESTS_LAB_FIXTURE_H
#define TESTS_LAB_FIXTURE_H

#include <jansson.h>

#include "lab/lab.h"
#include "lab/lab_evidence.h"
#include "lab/lab_guest.h"
#include "lab/lab_machine.h"

struct fixture {
	struct lab lab;
	char beside_dir[300];
	struct lab_machine *beside; /* a second machine of the same cloud */
};

/* Fails the test when the machine does not start. */
void fixture_start(struct fixture *f, const char *name);
/* A machine that brings firmware and kernel; D/tpm.sock is its monitor's. */
void fixture_start_vm(struct fixture *f, const char *name);
void fixture_start_beside(struct fixture *f);
void fixture_stop(struct fixture *f);

/* Evidence of a machine as a JSON object. */
json_t *fixture_collect(struct lab_machine *m, const struct lab_guest_options *o);
/* Verify at the machine's roots; the check that refused, LAB_CHECK_NONE when nothing did. */
enum lab_check fixture_verify(const struct fixture *f, const json_t *info, struct lab_facts *facts,
	struct lab_refusal *why);
/* Does the whole thing and compares the name. */
void fixture_expect(const struct fixture *f, const json_t *info, enum lab_check check);

/* "tamper" in one line: "pcr 4". */
void fixture_tamper(struct fixture *f, const char *words);

/* Bytes of a base64 member and back. */
struct vs_buf fixture_get(const json_t *o, const char *name);
void fixture_set(json_t *o, const char *name, struct vs_bytes b);
/* A file of tests/data. */
struct vs_buf fixture_file(const char *path);

#endif
