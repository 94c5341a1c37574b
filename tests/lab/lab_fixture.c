/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit/unit.h"

#include <ftw.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/file.h"
#include "lab/lab_fixture.h"
#include "lab/lab_roots.h"

static void
start(struct fixture *f, const char *name, bool vm)
{
	struct vs_err err = {0};
	memset(f, 0, sizeof *f);
	f->lab.log_fd = -1;
	f->lab.vm = vm;
	assert_true(snprintf(f->lab.dir, sizeof f->lab.dir, "/tmp/vs-lab-%s-XXXXXX", name) > 0);
	assert_non_null(mkdtemp(f->lab.dir));
	memcpy(f->lab.vm_id, "d3fd4b09-37a3-40d5-8f2a-ea80762213cc", 37);
	memcpy(f->lab.id, "0123456789ab", 13);
	memcpy(f->lab.url[LAB_MAA], "https://localhost:4711", 23);
	assert_ok(lab_machine_start(&f->lab, &f->lab.machine, &err), &err);
}

void
fixture_start(struct fixture *f, const char *name)
{
	start(f, name, false);
}

void
fixture_start_vm(struct fixture *f, const char *name)
{
	start(f, name, true);
}

void
fixture_start_beside(struct fixture *f)
{
	struct vs_err err = {0};
	assert_true(snprintf(f->beside_dir, sizeof f->beside_dir, "%s/beside", f->lab.dir) > 0);
	assert_int_equal(mkdir(f->beside_dir, 0700), 0);
	assert_ok(lab_machine_start_beside(f->lab.machine, f->beside_dir,
			  "11111111-2222-4333-8444-555555555555", &f->beside, &err),
		&err);
}

static int
remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

void
fixture_stop(struct fixture *f)
{
	lab_machine_stop(f->beside);
	lab_machine_stop(f->lab.machine);
	nftw(f->lab.dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

json_t *
fixture_collect(struct lab_machine *m, const struct lab_guest_options *o)
{
	struct vs_err err = {0};
	struct lab_guest *guest = NULL;
	json_t *info = NULL;
	assert_ok(lab_guest_start(m, &guest, &err), &err);
	assert_ok(lab_guest_collect(guest, o, &info, &err), &err);
	lab_guest_stop(guest);
	return info;
}

enum lab_check
fixture_verify(const struct fixture *f, const json_t *info, struct lab_facts *facts,
	struct lab_refusal *why)
{
	struct vs_err err = {0};
	struct lab_anchors anchors;
	assert_ok(lab_anchors_make(
			  lab_machine_roots(f->lab.machine), (int64_t)time(NULL), &anchors, &err),
		&err);
	char *text = json_dumps(info, JSON_COMPACT);
	assert_non_null(text);
	const bool ok = lab_evidence_verify(vs_bytes_str(text), &anchors, facts, why);
	free(text);
	assert_true(ok == (why->check == LAB_CHECK_NONE));
	return why->check;
}

void
fixture_expect(const struct fixture *f, const json_t *info, enum lab_check check)
{
	struct lab_facts facts;
	struct lab_refusal why;
	fixture_verify(f, info, &facts, &why);
	if (why.check != check)
		print_error("%s\n", why.text);
	assert_string_equal(lab_check_name(why.check), lab_check_name(check));
	lab_facts_done(&facts);
}

void
fixture_tamper(struct fixture *f, const char *words)
{
	struct vs_err err = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf said = {0};
	char text[64], *arg = NULL;
	snprintf(text, sizeof text, "%s", words);
	if ((arg = strchr(text, ' ')))
		*arg++ = '\0';
	char *argv[] = {text, arg, NULL};
	assert_ok(lab_machine_tamper(f->lab.machine, argv, &said, &err), &err);
	assert_true(said.n > 10);
}

struct vs_buf
fixture_get(const json_t *o, const char *name)
{
	struct vs_err err = {0};
	struct vs_buf out = {.max = 4 << 20};
	const char *text = json_string_value(json_object_get(o, name));
	assert_non_null(text);
	assert_ok(vs_b64_any_decode(vs_bytes_str(text), &out, &err), &err);
	return out;
}

void
fixture_set(json_t *o, const char *name, struct vs_bytes b)
{
	struct vs_err err = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf out = {.max = 64 << 20};
	assert_ok(vs_b64_encode(b, &out, &err), &err);
	json_object_set_new(o, name, json_string(vs_buf_cstr(&out)));
}

struct vs_buf
fixture_file(const char *path)
{
	struct vs_err err = {0};
	struct vs_buf out = {0};
	char full[512];
	snprintf(full, sizeof full, "%s/tests/data/%s", VS_TEST_SRCDIR, path);
	assert_ok(vs_file_read(full, 1 << 20, VS_FILE_ANY, &out, &err), &err);
	return out;
}
