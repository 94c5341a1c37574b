/* SPDX-License-Identifier: BSD-2-Clause */
#include "vouchsafe/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/codec.h"

struct code_row {
	enum vs_code code;
	enum vs_cat cat;
	const char *name;
	const char *text;
};

static const struct code_row codes[] = {
#define CODE_ROW(name, cat, number, text) {VS_E_##name, VS_CAT_##cat, #name, text},
	VS_ERR_LIST(CODE_ROW)
#undef CODE_ROW
};

static const char *const cat_names[VS_CAT_COUNT_] = {"NONE", "USAGE", "CONFIG", "RESOURCE", "IO",
	"REMOTE", "PROTOCOL", "CRYPTO", "EVIDENCE", "POLICY", "STATE", "GONE", "INTERNAL"};

static const struct code_row *
find_code(enum vs_code code)
{
	const struct code_row *bug = NULL;
	for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
		if (codes[i].code == code)
			return &codes[i];
		if (codes[i].code == VS_E_INTERNAL)
			bug = &codes[i];
	}
	return bug;
}

const char *
vs_code_name(enum vs_code code)
{
	return code == VS_E_OK ? "OK" : find_code(code)->name;
}

const char *
vs_code_text(enum vs_code code)
{
	return code == VS_E_OK ? "success" : find_code(code)->text;
}

enum vs_cat
vs_code_cat(enum vs_code code)
{
	return code == VS_E_OK ? VS_CAT_NONE : find_code(code)->cat;
}

const char *
vs_cat_name(enum vs_cat cat)
{
	return cat < VS_CAT_COUNT_ ? cat_names[cat] : "INTERNAL";
}

enum vs_code
vs_code_from_number(unsigned long number)
{
	for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
		if ((unsigned long)codes[i].code == number)
			return codes[i].code;
	return VS_E_INTERNAL;
}

__attribute__((format(printf, 6, 0))) static void
put_frame(struct vs_err_frame *f, enum vs_code code, const char *func, int line, long foreign,
	const char *fmt, va_list ap)
{
	*f = (struct vs_err_frame){.code = code, .line = line, .func = func, .foreign = foreign};
	if (vsnprintf(f->text, sizeof f->text, fmt, ap) < 0)
		f->text[0] = '\0';
	/* What callers let through of the outside world. */
	vs_text_clean(f->text);
}

vs_rc
vs_err_put(struct vs_err *err, enum vs_code code, const char *func, int line, long foreign,
	const char *fmt, ...)
{
	/* A caller that fails with "success" has a bug, and a bug denies. */
	if (code == VS_E_OK)
		code = VS_E_INTERNAL;
	if (err) {
		va_list ap;
		va_start(ap, fmt);
		put_frame(&err->frames[0], code, func, line, foreign, fmt, ap);
		va_end(ap);
		err->n_frames = 1;
	}
	return (vs_rc){.code = code};
}

vs_rc
vs_err_while(vs_rc rc, struct vs_err *err, const char *fmt, ...)
{
	if (rc.code == VS_E_OK)
		rc.code = VS_E_INTERNAL;
	if (err && err->n_frames < VS_ERR_FRAMES) {
		va_list ap;
		va_start(ap, fmt);
		put_frame(&err->frames[err->n_frames], rc.code, NULL, 0, 0, fmt, ap);
		va_end(ap);
		err->n_frames++;
	}
	return rc;
}

void
vs_err_sentence(const struct vs_err *err, char *out, size_t out_size)
{
	if (out_size == 0)
		return;
	out[0] = '\0';
	if (!err || err->n_frames == 0)
		return;
	size_t n = 0;
	const unsigned frames = err->n_frames < VS_ERR_FRAMES ? err->n_frames : VS_ERR_FRAMES;
	for (unsigned i = 0; i < frames && n < out_size; i++) {
		const char *text = err->frames[i].text;
		if (!*text)
			text = vs_code_text(err->frames[i].code);
		const char *before = i == 0 ? "" : i == 1 ? " (" : "; ";
		const int w = snprintf(out + n, out_size - n, "%s%s", before, text);
		if (w < 0)
			return;
		n += (size_t)w;
	}
	if (frames > 1 && n + 1 < out_size) {
		out[n] = ')';
		out[n + 1] = '\0';
	}
	vs_text_clean(out);
}
