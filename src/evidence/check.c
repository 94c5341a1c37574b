/* SPDX-License-Identifier: BSD-2-Clause */
#include "evidence/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/codec.h"

bool
vs_check_add(struct vs_verdict *v, const char *rule, const char *name, bool passed,
	const char *expected, const char *seen, ...)
{
	if (v->n_checks >= VS_VERDICT_CHECKS_MAX) {
		/* One too many: the last place says so and fails, whatever this one says. */
		struct vs_check *last = &v->checks[VS_VERDICT_CHECKS_MAX - 1];
		*last = (struct vs_check){.rule = rule, .name = "too many checks"};
		return false;
	}
	struct vs_check *c = &v->checks[v->n_checks++];
	*c = (struct vs_check){.rule = rule, .name = name, .passed = passed};
	snprintf(c->expected, sizeof c->expected, "%s", expected);
	va_list ap;
	va_start(ap, seen);
	vsnprintf(c->seen, sizeof c->seen, seen, ap);
	va_end(ap);
	vs_text_clean(c->expected);
	vs_text_clean(c->seen);
	return passed;
}

bool
vs_check_rc(struct vs_verdict *v, const char *rule, const char *name, vs_rc rc,
	const char *expected, const struct vs_err *err)
{
	char sentence[sizeof(((struct vs_check *)0)->seen)] = "as expected";
	if (vs_failed(rc))
		vs_err_sentence(err, sentence, sizeof sentence);
	return vs_check_add(v, rule, name, !vs_failed(rc), expected, "%s", sentence);
}

void
vs_check_append(struct vs_verdict *v, const struct vs_verdict *more, bool advisory)
{
	for (size_t i = 0; i < more->n_checks; i++) {
		const struct vs_check *c = &more->checks[i];
		if (v->n_checks >= VS_VERDICT_CHECKS_MAX) {
			(void)vs_check_add(v, c->rule, c->name, c->passed, "", "%s", "");
			continue;
		}
		v->checks[v->n_checks] = *c;
		v->checks[v->n_checks++].advisory = c->advisory || (advisory && !c->passed);
	}
}

const struct vs_check *
vs_check_first_failed(const struct vs_verdict *v)
{
	for (size_t i = 0; i < v->n_checks; i++) {
		if (!v->checks[i].passed && !v->checks[i].advisory)
			return &v->checks[i];
	}
	return NULL;
}

void
vs_check_finish(struct vs_verdict *v)
{
	v->passed = v->n_checks != 0 && vs_check_first_failed(v) == NULL;
}

bool
vs_check_skipped(const struct vs_check *c)
{
	static const char words[] = "not evaluated";
	return c->passed && strncmp(c->seen, words, sizeof words - 1) == 0;
}

char *
vs_check_hex(struct vs_bytes b, char out[64])
{
	const size_t n = b.n > 24 ? 24 : b.n;
	vs_hex_str(b.p, n, out, 64);
	if (b.n > n)
		snprintf(out + 2 * n, 64 - 2 * n, "...");
	return out;
}
