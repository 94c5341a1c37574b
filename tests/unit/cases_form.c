/* SPDX-License-Identifier: BSD-2-Clause */
/* Classes 1 to 3: form of the text, base64url, JSON. */
#include "base/codec.h"
#include "unit/token_cases.h"

/* ---- JSON --------------------------------------------------------------------------------- */

#define D8 "[[[[[[[["
#define E8 "]]]]]]]]"
const struct json_text json_texts[] = {
	/* duplicates */
	{"$B$,\"x\":1,\"x\":1}", false},
	{"$B$,\"x\":1,\"y\":2,\"x\":3}", false},
	{"$B$,\"x\":1,\"\\u0078\":2}", false},
	{"$B$,\"o\":{\"a\":1,\"a\":1}}", false},
	{"$B$,\"o\":{\"a\":1,\"\\u0061\":{}}}", false},
	{"$B$,\"o\":[1,{\"a\":1,\"a\":2}]}", false},
	{"$B$,\"o\":[[{\"b\":{\"\":1,\"\":2}}]]}", false},
	/* encodings */
	{"$B$,\"x\":\"\\u0000\"}", false},
	{"$B$,\"\\u0000\":1}", false},
	{"$B$,\"a\\u0000b\":1}", false},
	{"$B$,\"x\":\"$0$\"}", false},
	{"$B$,\"x\":1}$0$", false},
	{"$B$,\"x\":\"\\ud800\"}", false},
	{"$B$,\"x\":\"\\udc00\"}", false},
	{"$B$,\"x\":\"\\udc00\\ud800\"}", false},
	{"$B$,\"x\":\"\\ud800\\u0041\"}", false},
	{"$B$,\"\\ud800\":1}", false},
	{"$B$,\"x\":\"\xff\"}", false},
	{"$B$,\"x\":\"\xc0\x80\"}", false},
	{"$B$,\"x\":\"\xc1\xbf\"}", false},
	{"$B$,\"x\":\"\xe0\x80\xaf\"}", false},
	{"$B$,\"x\":\"\xed\xa0\x80\"}", false},
	{"$B$,\"x\":\"\xf4\x90\x80\x80\"}", false},
	{"$B$,\"x\":\"\xc3\"}", false},
	{"\xef\xbb\xbf$A$", false},
	{"\xff\xfe{$0$}$0$", false},
	{"$B$,\"x\":\"\x01\"}", false},
	{"$B$,\"x\":\"\n\"}", false},
	{"$B$,\"x\":\"\t\"}", false},
	/* numbers */
	{"$B$,\"x\":NaN}", false},
	{"$B$,\"x\":Infinity}", false},
	{"$B$,\"x\":-Infinity}", false},
	{"$B$,\"x\":1e400}", false},
	{"$B$,\"x\":-1e400}", false},
	{"$B$,\"x\":9223372036854775808}", false},
	{"$B$,\"x\":-9223372036854775809}", false},
	{"$B$,\"x\":0x10}", false},
	{"$B$,\"x\":01}", false},
	{"$B$,\"x\":-01}", false},
	{"$B$,\"x\":+1}", false},
	{"$B$,\"x\":.5}", false},
	{"$B$,\"x\":1.}", false},
	{"$B$,\"x\":1e}", false},
	{"$B$,\"x\":1e+}", false},
	{"$B$,\"x\":-}", false},
	{"$B$,\"x\":1_000}", false},
	/* syntax */
	{"$B$,}", false},
	{"$B$,\"x\":[1,]}", false},
	{"$B$,,\"x\":1}", false},
	{"$B$,\"x\"}", false},
	{"$B$,\"x\":}", false},
	{"$B$,\"x\" 1}", false},
	{"$B$,x:1}", false},
	{"$B$,'x':1}", false},
	{"$B$,\"x\":'a'}", false},
	{"$B$,1:1}", false},
	{"$B$,\"x\":True}", false},
	{"$B$,\"x\":undefined}", false},
	{"$B$,\"x\":nul}", false},
	{"$B$,\"x\":\"\\x41\"}", false},
	{"$B$,\"x\":\"\\u12\"}", false},
	{"$B$,\"x\":\"\\u{41}\"}", false},
	{"$B$,\"x\":\"a}", false},
	{"$B$,\"x\":1 /* c */}", false},
	{"// c\n$A$", false},
	{"$B$,\"x\":1 2}", false},
	{"$B$", false},
	{"$A$}", false},
	{"$A$$A$", false},
	{"$A$ null", false},
	{"$A$,", false},
	{"x$A$", false},
	{")]}'\n$A$", false},
	/* top level */
	{"[$A$]", false},
	{"\"text\"", false},
	{"5", false},
	{"true", false},
	{"null", false},
	{"[]", false},
	{" ", false},
	/* depth: 1 for the document, 32 more */
	{"$B$,\"x\":" D8 D8 D8 D8 E8 E8 E8 E8 "}", false},
	{"$B$,\"x\":" D8 D8 D8 D8 D8 D8 "}", false},
	{"$B$,\"x\":" D8 D8 D8 "[[[[[[[{\"a\":{}}]]]]]]]" E8 E8 E8 "}", false},
	/* and what must be read */
	{"$B$,\"x\":" D8 D8 D8 "[[[[[[[]]]]]]]" E8 E8 E8 "}", true},
	{"$B$,\"x\":" D8 D8 D8 "[[[[[[{}]]]]]]" E8 E8 E8 "}", true},
	{" \t\r\n$A$\n\t\r ", true},
	{"$B$,\"\\u0078\":1}", true},
	{"$B$,\"\":1}", true},
	{"$B$,\"x\":\"\\ud83d\\ude00\"}", true},
	{"$B$,\"x\":\"\xf0\x9f\x98\x80 \xc3\xa9\"}", true},
	{"$B$,\"x\":9223372036854775807,\"y\":-9223372036854775808}", true},
	{"$B$,\"x\":[1.5,-0,0.0,1e5,1E-5,-1.25e+3]}", true},
	{"$B$,\"x\":\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[\"}", true},
	{"$B$,\"x\":{\"x\":{\"x\":[{\"x\":1},{\"x\":2}]}}}", true},
	{"$B$,\"x\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}", true},
	{"$B$,\"x\":null,\"X\":true}", true},
};
const size_t json_texts_n = sizeof json_texts / sizeof json_texts[0];

struct vs_bytes
json_text_around(const struct json_text *t, const char *document)
{
	const size_t n = strlen(document);
	const struct forge_var around[] = {{"A", document}, {"B", forge_keep(document, n - 1)}};
	return forge_expand(t->text, around, 2);
}

/* Policy and key set allow no further members at their top: those texts go through the readers. */
static void
json_cases(void)
{
	const char *header = (const char *)expand(HEADER).p;
	const char *claims = (const char *)good_claims().p;
	for (size_t i = 0; i < json_texts_n; i++) {
		const struct json_text *t = &json_texts[i];
		struct vs_buf b = forge_token(
			json_text_around(t, header), good_claims(), FORGE_GOOD, FORGE_RS256);
		case_add((struct token_case){.name = numbered("JSON of the header", i),
			.expect = t->ok ? "" : "A4",
			.token = keep_buf(&b)});
		b = forge_token(
			expand(HEADER), json_text_around(t, claims), FORGE_GOOD, FORGE_RS256);
		case_add((struct token_case){.name = numbered("JSON of the claims", i),
			.expect = t->ok ? "" : "A4",
			.token = keep_buf(&b)});
	}
	/* the length of the header */
	static char long_header[4098];
	for (size_t n = 4095; n <= 4098; n++) {
		memset(long_header, ' ', 4098);
		memcpy(long_header, header, strlen(header));
		struct vs_buf b = forge_token(
			vs_bytes_of(long_header, n), good_claims(), FORGE_GOOD, FORGE_RS256);
		case_add((struct token_case){.name = numbered("header of so many bytes", n),
			.expect = n <= 4096 ? "" : "A4",
			.token = keep_buf(&b)});
	}
}

/* ---- form of the text --------------------------------------------------------------------- */

static const struct {
	const char *text, *expect;
} forms[] = {
	{"$H$.$P$.$S$", ""},
	{"$H$.$P$.$S$\n", ""},
	{"$H$.$P$.$S$\r\n", ""},
	{"$H$.$P$.$S$ \t\r\n \n", ""},
	{"", "A1"},
	{" \n\t\r", "A1"},
	{"$H$.$P$.$S$$0$", "A1"},
	{"$H$.$P$.$S$$0$\n", "A1"},
	{"$0$$H$.$P$.$S$", "A1"},
	{"$H$.$P$$0$.$S$", "A1"},
	{"\xef\xbb\xbf$H$.$P$.$S$", "A1"},
	{"$H$.$P$.$S$\xc2\xa0", "A1"},
	{"$H$.$P$.$S$\v", "A1"},
	{"$H$.$P$.$S$\f", "A1"},
	{"\n$H$.$P$.$S$", "A1"},
	{"$H$.\n$P$.$S$", "A1"},
	{"$H$.$P$.$S$\n$H$.$P$.$S$", "A1"},
	{"$H$.$P$.$S$\x7f", "A1"},
	{"$H$", "A2"},
	{"$H$.$P$", "A2"},
	{"$H$.$P$.", "A2"},
	{"$H$..$S$", "A2"},
	{".$P$.$S$", "A2"},
	{"..", "A2"},
	{".", "A2"},
	{"$H$.$P$.$S$.", "A2"},
	{"$H$.$P$.$S$.x", "A2"},
	{"$H$.$P$.$S$.$S$", "A2"},
	{".$H$.$P$.$S$", "A2"},
	{"$H$.$P$.$S$.$P$.$S$", "A2"},
	{"$H$..$P$.$S$", "A2"},
	{"$H$.$H$.$P$.$S$.$S$", "A2"},
	{"$H$ $P$ $S$", "A2"},
	{"{\"payload\":\"$P$\",\"protected\":\"$H$\",\"signature\":\"$S$\"}", "A2"},
	{"{\"payload\":\"$P$\",\"signatures\":[{\"protected\":\"$H$\",\"signature\":\"$S$\"}]}",
		"A2"},
	{"{\"a\":\"$H$.$P$.$S$\"}", "A3"},
	{"Bearer $H$.$P$.$S$", "A3"},
	{"\"$H$.$P$.$S$\"", "A3"},
	{"'$H$.$P$.$S$'", "A3"},
	{"{\"token\":\"$H$.$P$.$S$\"}", "A3"},
	{" $H$.$P$.$S$", "A3"},
	{"token=$H$.$P$.$S$", "A3"},
	{"$H$.$P$.$S$;", "A3"},
	{"$H$.$P$.$S$,", "A3"},
	{"$H$ .$P$.$S$", "A3"},
	{"$H$. $P$.$S$", "A3"},
	{"$H$.$P$.$S$ x", "A3"},
	{"jwt:$H$.$P$.$S$", "A3"},
	{"$S$.$P$.$H$", "A4"},
	{"$P$.$H$.$S$", "A5"},
	{"$H$.$H$.$S$", "A9"},
};

struct three {
	const char *h, *p, *s;
};

static struct three
good_parts(void)
{
	const struct vs_bytes token = signed_token(HEADER, good_claims());
	char *copy = forge_keep((const char *)token.p, token.n);
	char *p = strchr(copy, '.'), *s = strrchr(copy, '.');
	*p = *s = '\0';
	return (struct three){copy, p + 1, s + 1};
}

static void
form_cases(void)
{
	const struct three t = good_parts();
	const struct forge_var parts[] = {{"H", t.h}, {"P", t.p}, {"S", t.s}};
	for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
		struct vs_bytes text = forge_expand(forms[i].text, parts, 3);
		case_add((struct token_case){
			.name = numbered("form", i), .expect = forms[i].expect, .token = text});
	}
}

/* The longest token, one byte more, and trailing blanks that do not count. */
static void
length_cases(void)
{
	static char pad[80000];
	memset(pad, 'x', sizeof pad);
	pad[sizeof pad - 1] = '\0';
	const size_t empty =
		signed_token(HEADER, claims_with((struct claim[]){{"pad", "\"\""}}, 1)).n;
	/* four characters carry three bytes: aim just below, at and above the limit */
	for (size_t i = 0; i < 8; i++) {
		const size_t n = (65536 - empty) / 4 * 3 + i - 4;
		const struct vs_bytes value =
			forge_expand("\"$x$\"", (struct forge_var[]){{"x", forge_keep(pad, n)}}, 1);
		const struct vs_bytes token = signed_token(
			HEADER, claims_with((struct claim[]){{"pad", (const char *)value.p}}, 1));
		case_add((struct token_case){.name = numbered("length", token.n),
			.expect = token.n <= 65536 ? "" : "A1",
			.token = token});
		char *blanks = forge_keep(pad, token.n + 5000);
		memset(blanks, '\n', token.n + 5000);
		memcpy(blanks, token.p, token.n);
		case_add((struct token_case){.name = numbered("length with blanks", token.n),
			.expect = token.n <= 65536 ? "" : "A1",
			.token = vs_bytes_of(blanks, token.n + 5000)});
	}
}

/* ---- base64url ---------------------------------------------------------------------------- */

/* Changes one segment; NULL when this change cannot be made to it. */
typedef const char *odd_fn(const char *s);

static const char *
insert(const char *s, size_t at, const char *what)
{
	const struct forge_var v[] = {
		{"a", forge_keep(s, at)}, {"w", what}, {"b", forge_keep(s + at, strlen(s) - at)}};
	return (const char *)forge_expand("$a$$w$$b$", v, 3).p;
}

static const char *
one_pad(const char *s)
{
	return insert(s, strlen(s), "=");
}

static const char *
two_pads(const char *s)
{
	return insert(s, strlen(s), "==");
}

static const char *
right_padding(const char *s)
{
	static const char *const pads[] = {"", "", "==", "="};
	return strlen(s) % 4 >= 2 ? insert(s, strlen(s), pads[strlen(s) % 4]) : NULL;
}

static const char *
escaped_pad(const char *s)
{
	return insert(s, strlen(s), "%3D");
}

static const char *
other_alphabet(const char *s)
{
	char *copy = forge_keep(s, strlen(s));
	char *c = strpbrk(copy, "-_");
	if (c == NULL)
		return NULL;
	*c = *c == '-' ? '+' : '/';
	return copy;
}

static const char *
plus_inside(const char *s)
{
	return insert(s, 4, "++++");
}

static const char *
blank_inside(const char *s)
{
	return insert(s, 8, " ");
}

static const char *
four_blanks(const char *s)
{
	return insert(s, 8, "    ");
}

static const char *
ignored_character(const char *s)
{
	return insert(s, 8, "!");
}

static const char *
four_ignored(const char *s)
{
	return insert(s, 4, "$$$$");
}

static const char *
impossible_length(const char *s)
{
	static const char *const more[] = {"A", "AAAA", "AAA", "AA"};
	return insert(s, strlen(s), more[strlen(s) % 4]);
}

static const char *
unused_bits(const char *s)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	const size_t n = strlen(s);
	char *copy = forge_keep(s, n);
	if (n % 4 < 2)
		return NULL;
	copy[n - 1] = digits[(size_t)(strchr(digits, copy[n - 1]) - digits) + 1];
	return copy;
}

static const char *
quoted(const char *s)
{
	return insert(insert(s, strlen(s), "\""), 0, "\"");
}

static odd_fn *const odd_texts[] = {one_pad, two_pads, right_padding, escaped_pad, other_alphabet,
	plus_inside, blank_inside, four_blanks, ignored_character, four_ignored, impossible_length,
	unused_bits, quoted};

static void
add_odd(size_t fn, size_t which, const struct three *t)
{
	const char *h = t->h, *p = t->p, *s = t->s;
	const char **seg = which == 0 ? &h : which == 1 ? &p : &s;
	*seg = odd_texts[fn](*seg);
	if (*seg == NULL)
		return;
	struct vs_buf b = {0};
	if (which < 2)
		b = forge_sign_text(vs_bytes_str(h), vs_bytes_str(p), FORGE_GOOD, FORGE_RS256);
	else
		b = (struct vs_buf){.p = NULL};
	struct vs_bytes token = {0};
	const struct forge_var v[] = {{"h", h}, {"p", p}, {"s", s}};
	token = which < 2 ? keep_buf(&b) : forge_expand("$h$.$p$.$s$", v, 3);
	case_add((struct token_case){.name = numbered(which == 0  ? "base64url of the header"
						     : which == 1 ? "base64url of the claims"
								  : "base64url of the signature",
					     fn),
		.expect = "A3",
		.token = token});
}

static void
base64_cases(void)
{
	/* Blanks make the length come out with unused bits; the words make '-' and '_' occur. */
	const struct vs_bytes header = expand(
		"{\"alg\":\"RS256\",\"kid\":\"" KID "\",\"x\":\"?>?>?>~~~\xc3\xbf\xc3\xbf\"}");
	const char *claims = (const char *)claims_with(
		(struct claim[]){{"x", "\"?>?>?>~~~\xc3\xbf\xc3\xbf\xc3\xbf\""}}, 1)
				     .p;
	for (size_t blanks = 0; blanks < 3; blanks++) {
		const struct forge_var hv[] = {{"t", (const char *)header.p},
			{"b",
				blanks == 0           ? ""
					: blanks == 1 ? " "
						      : "  "}};
		const struct forge_var pv[] = {{"t", claims}, hv[1]};
		const struct vs_bytes h = forge_expand("$t$$b$", hv, 2);
		const struct vs_bytes p = forge_expand("$t$$b$", pv, 2);
		struct vs_buf b = forge_token(h, p, FORGE_GOOD, FORGE_RS256);
		const struct vs_bytes token = keep_buf(&b);
		char *copy = forge_keep((const char *)token.p, token.n);
		char *second = strchr(copy, '.'), *third = strrchr(copy, '.');
		*second = *third = '\0';
		const struct three t = {copy, second + 1, third + 1};
		case_add((struct token_case){.name = numbered("base64url, as it should be", blanks),
			.expect = "",
			.token = token});
		for (size_t fn = 0; fn < sizeof odd_texts / sizeof odd_texts[0]; fn++)
			for (size_t which = 0; which < (blanks == 0 ? 3 : 2); which++)
				add_odd(fn, which, &t);
	}
}

void
cases_form(void)
{
	form_cases();
	length_cases();
	base64_cases();
	json_cases();
}
