/* SPDX-License-Identifier: BSD-2-Clause */
/* A directory with an audit log in it, for the tests of the log. */
#ifndef TESTS_UNIT_AUDIT_WORLD_H
#define TESTS_UNIT_AUDIT_WORLD_H

#include "audit/audit.h"
#include "audit/verify.h"
#include "unit/unit.h"

struct world {
	char dir[64], path[96];
	int64_t wall; /* 0: the real clock */
	int64_t boot_ahead_ns; /* of the real one */
	struct vs_audit_env env;
};

int world_setup(void **state);
int world_teardown(void **state);
struct vs_audit *open_log(struct world *w);
int64_t in_ms(int ms);
vs_rc add_attempt(struct vs_audit *a, const char *token, const char *result, struct vs_err *err);
void add_n(struct vs_audit *a, int n);
struct vs_audit_report report_of(struct world *w);
void assert_whole(struct world *w, uint64_t n);
struct vs_buf contents(const char *path);
void overwrite(const char *path, struct vs_bytes b);
bool log_has(struct world *w, const char *text);
int64_t real_boot(void *self);

#endif
