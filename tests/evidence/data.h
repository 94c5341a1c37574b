/* SPDX-License-Identifier: BSD-2-Clause */
/* Files below tests/data/evidence. */
#ifndef TESTS_EVIDENCE_DATA_H
#define TESTS_EVIDENCE_DATA_H

#include "base/buf.h"
#include "evidence/check.h"
#include "jose/json.h"

/* 2026-08-15T00:00:00Z, 2025-07-01, 2023-06-20 */
#define AT_2026 1786752000
#define AT_2025 1751328000
#define AT_2023 1687219200

/* Fails the test when the file cannot be read. Empty with vs_buf_done. */
struct vs_buf data_load(const char *path);
char *data_path(const char *path, char *out, size_t out_size);
struct vs_json *data_json(const char *path);
/* The check of this name, or fails the test. */
const struct vs_check *data_check(const struct vs_verdict *v, const char *name);
/* Prints every failed check. */
void data_print(const struct vs_verdict *v);

#endif
