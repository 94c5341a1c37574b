/* SPDX-License-Identifier: BSD-2-Clause */
#include "evidence/data.h"

#include "unit/unit.h"

#include "base/file.h"

char *
data_path(const char *path, char *out, size_t out_size)
{
	const char *top = getenv("VS_SRCDIR");
	snprintf(out, out_size, "%s/tests/data/evidence/%s", top != NULL ? top : VS_TEST_SRCDIR,
		path);
	return out;
}

struct vs_buf
data_load(const char *path)
{
	char full[512];
	struct vs_buf b = {.max = 8 << 20};
	struct vs_err err = {0};
	assert_ok(vs_file_read(data_path(path, full, sizeof full), 8 << 20, VS_FILE_ANY, &b, &err),
		&err);
	return b;
}

struct vs_json *
data_json(const char *path)
{
	struct vs_buf b = data_load(path);
	struct vs_json *j = NULL;
	struct vs_err err = {0};
	assert_ok(vs_json_load(vs_buf_view(&b), 1 << 20, path, &j, &err), &err);
	vs_buf_done(&b);
	return j;
}

const struct vs_check *
data_check(const struct vs_verdict *v, const char *name)
{
	for (size_t i = 0; i < v->n_checks; i++) {
		if (strcmp(v->checks[i].name, name) == 0)
			return &v->checks[i];
	}
	fail_msg("there is no check \"%s\"", name);
	return NULL;
}

void
data_print(const struct vs_verdict *v)
{
	for (size_t i = 0; i < v->n_checks; i++) {
		const struct vs_check *c = &v->checks[i];
		if (!c->passed)
			print_message("%s %s: expected %s, seen %s\n", c->rule, c->name,
				c->expected, c->seen);
	}
}
