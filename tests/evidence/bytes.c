/* SPDX-License-Identifier: BSD-2-Clause */
#include "evidence/bytes.h"

#include "unit/unit.h"

#include <sys/random.h>

#include "evidence/data.h"

enum { PARTS_MAX = 256, COLUMNS = 98, VALUES = 3 };

/* What the list says of a byte. */
enum listed { COVERED = 0, UNCOVERED, EITHER };

static struct vs_buf list;
static bool all, writing;
static uint64_t seed;
static size_t n_tried, n_open, n_parts;
static char parts[PARTS_MAX][80];

bool
bytes_all(void)
{
	return all;
}

size_t
bytes_random(size_t limit)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (size_t)(seed >> 11) % limit;
}

void
bytes_open(const char *name)
{
	char path[128];
	const char *mode = getenv("VS_BYTES"), *text = getenv("VS_SEED");
	struct vs_err err = {0};
	if (name != NULL) {
		snprintf(path, sizeof path, "../../evidence/%s", name);
		list = data_load(path);
	} else {
		assert_ok(vs_buf_add_str(&list, "", &err), &err);
	}
	all = mode != NULL;
	writing = all && strcmp(mode, "write") == 0;
	n_tried = n_open = n_parts = 0;
	if (text != NULL)
		seed = strtoull(text, NULL, 10);
	else if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed)
		fail_msg("no random seed");
	seed |= 1;
	if (!all)
		print_message("VS_SEED=%llu\n", (unsigned long long)seed);
}

/* The part that a line is about; NULL: it is a comment, or empty. */
static const char *
line_part(const char *line, size_t n, size_t *ret_n)
{
	const size_t name_n = strcspn(line, " \n");
	if (n == 0 || line[0] == '#')
		return NULL;
	assert_true(name_n < n && line[name_n] == ' ');
	*ret_n = name_n;
	return line;
}

static void
read_ranges(const char *p, const char *end, enum listed *listed, size_t n)
{
	while (p < end) {
		char *behind = NULL;
		const bool either = p[0] == ' ' && p[1] == '~';
		p += either ? 2 : 0;
		const size_t from = strtoul(p, &behind, 10);
		const size_t to = *behind == '-' ? strtoul(behind + 1, &behind, 10) : from;
		assert_true(behind > p && from <= to && to < n);
		for (size_t i = from; i <= to; i++) {
			assert_int_equal(listed[i], COVERED);
			listed[i] = either ? EITHER : UNCOVERED;
		}
		p = behind;
		assert_true(p >= end || *p == ' ');
	}
}

static enum listed *
read_listed(const char *part, size_t n)
{
	enum listed *listed = calloc(n, sizeof *listed);
	assert_non_null(listed);
	for (const char *p = vs_buf_cstr(&list); *p != '\0';) {
		const size_t line_n = strcspn(p, "\n");
		size_t name_n = 0;
		const char *name = line_part(p, line_n, &name_n);
		if (name != NULL && name_n == strlen(part) && memcmp(name, part, name_n) == 0)
			read_ranges(p + name_n, p + line_n, listed, n);
		p += line_n + (p[line_n] == '\n');
	}
	return listed;
}

bool *
bytes_listed(const char *part, size_t n)
{
	enum listed *listed = read_listed(part, n);
	bool *ret = calloc(n, sizeof *ret);
	assert_non_null(ret);
	for (size_t i = 0; i < n; i++)
		ret[i] = listed[i] != COVERED;
	free(listed);
	return ret;
}

/* Accepted with one of the three values in its place? */
static bool
is_open(uint8_t *at, bytes_accepts_fn *accepts, void *arg)
{
	const uint8_t was = *at;
	const uint8_t values[VALUES] = {was ^ 1, 0x00, 0xFF};
	bool open = false;
	for (size_t k = 0; k < VALUES && !open; k++) {
		if (values[k] == was)
			continue;
		*at = values[k];
		open = accepts(arg);
		n_tried++;
	}
	*at = was;
	n_open += open;
	return open;
}

static void
write_ranges(const char *part, const bool *open, size_t n)
{
	size_t column = 0;
	for (size_t from = 0; from < n; from++) {
		char text[64];
		size_t to = from;
		if (!open[from])
			continue;
		while (to + 1 < n && open[to + 1])
			to++;
		const int m = from == to ? snprintf(text, sizeof text, " %zu", from)
					 : snprintf(text, sizeof text, " %zu-%zu", from, to);
		if (column != 0 && column + (size_t)m > COLUMNS) {
			printf("\n");
			column = 0;
		}
		if (column == 0)
			column = (size_t)printf("%s", part);
		column += (size_t)printf("%s", text);
		from = to;
	}
	if (column != 0)
		printf("\n");
	(void)fflush(stdout);
}

static void
compare(const char *part, const enum listed *listed, size_t at, bool open)
{
	if (open && listed[at] == COVERED)
		fail_msg("%s: byte %zu is covered by no check, and not on the list", part, at);
	if (!open && listed[at] == UNCOVERED)
		fail_msg("%s: byte %zu is covered, and still on the list", part, at);
}

void
bytes_part(const char *part, void *p, size_t n, size_t sample, bytes_accepts_fn *accepts, void *arg)
{
	uint8_t *b = p;
	assert_true(n != 0 && n_parts < PARTS_MAX && strlen(part) < sizeof parts[0]);
	assert_null(strchr(part, ' '));
	for (size_t i = 0; i < n_parts; i++)
		assert_string_not_equal(parts[i], part);
	memcpy(parts[n_parts++], part, strlen(part) + 1);
	if (!accepts(arg))
		fail_msg("%s is refused as it is", part);
	enum listed *listed = read_listed(part, n);
	bool *open = calloc(n, sizeof *open);
	assert_non_null(open);
	for (size_t i = 0; i < (all ? n : sample); i++) {
		const size_t at = all ? i : bytes_random(n);
		open[at] = is_open(b + at, accepts, arg);
		if (!writing)
			compare(part, listed, at, open[at]);
		else if (listed[at] == EITHER)
			open[at] = false;
	}
	if (writing)
		write_ranges(part, open, n);
	free(listed);
	free(open);
	assert_true(accepts(arg));
}

void
bytes_close(size_t at_least, size_t at_least_sampled)
{
	for (const char *p = vs_buf_cstr(&list); *p != '\0';) {
		const size_t line_n = strcspn(p, "\n");
		size_t name_n = 0;
		bool tried = false;
		const char *name = line_part(p, line_n, &name_n);
		for (size_t i = 0; name != NULL && i < n_parts && !tried; i++)
			tried = strlen(parts[i]) == name_n && memcmp(name, parts[i], name_n) == 0;
		if (name != NULL && !tried && !writing)
			fail_msg("the list names %.*s, which was not tried", (int)name_n, name);
		p += line_n + (p[line_n] == '\n');
	}
	print_message("%zu parts, %zu changes, %zu bytes not covered\n", n_parts, n_tried, n_open);
	assert_true(n_tried >= (all ? at_least : at_least_sampled));
	vs_buf_done(&list);
}
