/* SPDX-License-Identifier: BSD-2-Clause */
/* The life of a lab: everything started in order, and ended again. */
#ifndef LAB_LAB_UP_H
#define LAB_LAB_UP_H

#include "lab/lab.h"

struct lab_options {
	bool throttle; /* count create and release of the vault's HSM keys */
	bool agent; /* start a machine agent */
	bool vm; /* the machine is a virtual one of the user's; it gets the TPM only */
	int64_t max_life_s; /* end when nothing was asked of the lab for so long */
};

/* lab->dir is set. On failure nothing is left running and nothing of this lab is left in D. */
VS_RC lab_start(struct lab *lab, const struct lab_options *options, struct vs_err *err);
/* NULL-safe parts: also ends what was half started. */
void lab_stop(struct lab *lab);
/* Requests answered by all services and commands so far. */
uint64_t lab_activity(const struct lab *lab);

#endif
