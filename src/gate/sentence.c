/* SPDX-License-Identifier: BSD-2-Clause */
#include "gate/sentence.h"

#include <stdio.h>
#include <string.h>

static bool
refuses(const struct vs_check *c)
{
	return !c->passed && !c->advisory;
}

static size_t
format_check(const struct vs_check *c, bool full, bool first, char *out, size_t out_size)
{
	const char *lead = first ? "" : "; ";
	int n = 0;
	if (full)
		n = snprintf(out, out_size, "%s%s (%s): expected %s, seen %s", lead, c->name,
			c->rule, c->expected[0] ? c->expected : "something else",
			c->seen[0] ? c->seen : "nothing");
	else
		n = snprintf(out, out_size, "%s%s (%s)", lead, c->name, c->rule);
	return n > 0 ? (size_t)n : 0;
}

/* Bytes of all failed checks when the first n_full of them are given in full. */
static size_t
measure(const struct vs_verdict *v, size_t n_full)
{
	size_t total = 0, seen = 0;
	for (size_t i = 0; i < v->n_checks && i < VS_VERDICT_CHECKS_MAX; i++)
		if (refuses(&v->checks[i])) {
			total += format_check(&v->checks[i], seen < n_full, seen == 0, NULL, 0);
			seen++;
		}
	return total;
}

void
vs_verdict_sentence(const struct vs_verdict *v, char *out, size_t out_size)
{
	size_t n_failed = 0, n_full = 0, used = 0, seen = 0;
	if (out_size == 0)
		return;
	out[0] = '\0';
	for (size_t i = 0; i < v->n_checks && i < VS_VERDICT_CHECKS_MAX; i++)
		n_failed += refuses(&v->checks[i]);
	while (n_full < n_failed && measure(v, n_full + 1) < out_size)
		n_full++;
	for (size_t i = 0; i < v->n_checks && i < VS_VERDICT_CHECKS_MAX && used < out_size; i++)
		if (refuses(&v->checks[i])) {
			used += format_check(&v->checks[i], seen < n_full, seen == 0, out + used,
				out_size - used);
			seen++;
		}
}
