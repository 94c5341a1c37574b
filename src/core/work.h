/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * At most eight threads for what blocks (HTTP, TPM, file sync, unwrapping), started on demand and
 * ended when idle. A job works on data it was handed; its end is told on the loop's thread.
 */
#ifndef VS_CORE_WORK_H
#define VS_CORE_WORK_H

#include "core/loop.h"

enum {
	VS_WORK_THREADS_MAX = 8,
	VS_WORK_QUEUE_MAX = 1024,
	VS_WORK_STACK_BYTES = 512 * 1024,
	VS_WORK_IDLE_S = 5
};

struct vs_work;

/* Embedded in the caller's struct. Exactly one call of run, then one of done. */
struct vs_job {
	struct vs_post post;
	struct vs_job *next;
	struct vs_work *work;
	void (*run)(struct vs_job *job); /* on a worker */
	void (*done)(struct vs_job *job); /* on the loop; may free the job */
};

VS_RC vs_work_new(struct vs_loop *loop, struct vs_work **ret, struct vs_err *err);
/* Errors: LIMIT, MEMORY (no thread could be started); then neither run nor done is called. */
VS_RC vs_work_post(struct vs_work *work, struct vs_job *job, struct vs_err *err);
/*
 * Take no more jobs; drop none: those queued are run as long as there is time, their ends are told
 * from here. False: some are still running at the deadline, and nothing of theirs may be freed.
 */
bool vs_work_finish(struct vs_work *work, int64_t deadline_boot_ns);
/* Only after vs_work_finish() said true. NULL-safe. */
void vs_work_free(struct vs_work *work);

#endif
