/* SPDX-License-Identifier: BSD-2-Clause */
#include "lab/lab_args.h"

#include <stdlib.h>
#include <string.h>

/* 0: not allowed, 1: a flag, 2: with a value. name has n characters and no dashes. */
static int
find_allowed(const char *allowed, const char *name, size_t n, const char **stored, size_t *stored_n)
{
	while (*allowed != '\0') {
		const size_t length = strcspn(allowed, " ");
		const bool value = length > 0 && allowed[length - 1] == '=';
		if (length - value == n && strncmp(allowed, name, n) == 0) {
			*stored = allowed;
			*stored_n = n;
			return value ? 2 : 1;
		}
		allowed += length;
		allowed += strspn(allowed, " ");
	}
	return 0;
}

VS_RC
lab_args_parse(const char *const *words, size_t n, const char *allowed, struct lab_args *ret,
	struct vs_err *err)
{
	struct lab_args a = {0};
	bool only_words = false;
	for (size_t i = 0; i < n; i++) {
		const char *word = words[i], *stored = NULL;
		size_t stored_n = 0;
		if (only_words || strncmp(word, "--", 2) != 0) {
			if (a.n_words == LAB_WORDS_MAX)
				VS_FAIL(err, USAGE, "too many words");
			a.words[a.n_words++] = word;
			continue;
		}
		if (word[2] == '\0') {
			only_words = true;
			continue;
		}
		const size_t length = strcspn(word + 2, "=");
		const int kind = find_allowed(allowed, word + 2, length, &stored, &stored_n);
		const char *value = word[2 + length] == '=' ? word + 3 + length : NULL;
		if (kind == 0 || a.n_options == LAB_OPTIONS_MAX)
			VS_FAIL(err, USAGE, "the option --%.*s is not known",
				(int)(length < 60 ? length : 60), word + 2);
		if (kind == 1 && value != NULL)
			VS_FAIL(err, USAGE, "--%.*s takes no value", (int)length, word + 2);
		if (kind == 2 && value == NULL && ++i < n)
			value = words[i];
		if (kind == 2 && value == NULL)
			VS_FAIL(err, USAGE, "--%.*s needs a value", (int)length, word + 2);
		a.options[a.n_options].name = stored;
		a.options[a.n_options++].value = value != NULL ? value : "";
	}
	*ret = a;
	return VS_OK;
}

const char *
lab_args_option(const struct lab_args *args, const char *name)
{
	const size_t n = strlen(name);
	for (size_t i = 0; i < args->n_options; i++) {
		const char *stored = args->options[i].name;
		if (strncmp(stored, name, n) == 0 && strchr("= ", stored[n]) != NULL)
			return args->options[i].value;
	}
	return NULL;
}

VS_RC
lab_args_number(const struct lab_args *args, const char *name, unsigned otherwise, unsigned *ret,
	struct vs_err *err)
{
	const char *text = lab_args_option(args, name);
	char *end = NULL;
	if (text == NULL) {
		*ret = otherwise;
		return VS_OK;
	}
	const unsigned long n = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || n > 1000000)
		VS_FAIL(err, USAGE, "--%s needs a number from 0 to 1000000", name);
	*ret = (unsigned)n;
	return VS_OK;
}
