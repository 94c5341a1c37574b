/* SPDX-License-Identifier: BSD-2-Clause */
/* Prints the code's tables as Markdown; tests/docs/tables.py compares documents with them. */
#include <stdio.h>
#include <string.h>

#include "token/ckrv.h"
#include "token/mech.h"
#include "tools/remedy.h"
#include "vouchsafe/err.h"

/* Of tools/cli.h, whose world has names in common with the token's. */
int vs_cli_exit_code(enum vs_code code);

static const struct {
	CK_FLAGS flag;
	const char *word;
} operations[] = {
	{CKF_SIGN | CKF_VERIFY, "sign, verify"},
	{CKF_MESSAGE_SIGN | CKF_MESSAGE_VERIFY, "message sign, verify"},
	{CKF_SIGN_RECOVER | CKF_VERIFY_RECOVER, "sign, verify with recovery"},
	{CKF_ENCRYPT | CKF_DECRYPT, "encrypt, decrypt"},
	{CKF_MESSAGE_ENCRYPT | CKF_MESSAGE_DECRYPT, "message encrypt, decrypt"},
	{CKF_WRAP | CKF_UNWRAP, "wrap, unwrap"},
	{CKF_DERIVE, "derive"},
	{CKF_DIGEST, "digest"},
	{CKF_GENERATE, "generate"},
	{CKF_GENERATE_KEY_PAIR, "generate pair"},
};

static const struct {
	unsigned bit;
	const char *name;
	const char *unit;
} families[] = {
	{VS_FAM_RSA, "RSA", "bits"},
	{VS_FAM_EC, "EC", "bits"},
	{VS_FAM_AES, "AES", "bytes"},
	{VS_FAM_SECRET, "generic secret, HMAC", "bytes"},
};

static const struct {
	CK_RV rv;
	const char *name;
} values[] = {
#define V(name) \
	{ \
		name, #name \
	}
	V(CKR_OK),
	V(CKR_ARGUMENTS_BAD),
	V(CKR_FUNCTION_FAILED),
	V(CKR_HOST_MEMORY),
	V(CKR_DEVICE_ERROR),
	V(CKR_FUNCTION_REJECTED),
	V(CKR_DEVICE_REMOVED),
	V(CKR_GENERAL_ERROR),
	V(CKR_KEY_HANDLE_INVALID),
	V(CKR_TOKEN_WRITE_PROTECTED),
	V(CKR_PIN_INCORRECT),
	V(CKR_DATA_INVALID),
	V(CKR_DATA_LEN_RANGE),
	V(CKR_SIGNATURE_INVALID),
	V(CKR_SIGNATURE_LEN_RANGE),
	V(CKR_MECHANISM_PARAM_INVALID),
	V(CKR_KEY_TYPE_INCONSISTENT),
	V(CKR_KEY_SIZE_RANGE),
	V(CKR_BUFFER_TOO_SMALL),
#undef V
};

static const char *
value_name(CK_RV rv)
{
	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
		if (values[i].rv == rv)
			return values[i].name;
	return NULL;
}

static void
print_words(const struct vs_mech *m)
{
	const char *comma = "";
	for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
		if ((m->flags & operations[i].flag) != operations[i].flag)
			continue;
		(void)printf("%s%s", comma, operations[i].word);
		comma = ", ";
	}
}

static int
print_mechanisms(void)
{
	(void)printf(
		"| mechanism | operations | keys | sizes | section |\n|---|---|---|---|---|\n");
	for (size_t i = 0; i < vs_mech_count(); i++) {
		const struct vs_mech *m = vs_mech_at(i);
		(void)printf("| `%s` | ", m->name);
		print_words(m);
		const char *unit = "", *comma = "";
		(void)printf(" | ");
		for (size_t f = 0; f < sizeof families / sizeof families[0]; f++) {
			if (!(m->family & families[f].bit))
				continue;
			(void)printf("%s%s", comma, families[f].name);
			unit = families[f].unit;
			comma = ", ";
		}
		(void)printf(" | ");
		if (m->max)
			(void)printf("%lu to %lu %s", m->min, m->max, unit);
		(void)printf(" | %s%s |\n", m->section,
			m->needs ? ", decryption is off by default" : "");
	}
	return 0;
}

static int
print_codes(void)
{
#define ROW(name, cat, number, text) {VS_E_##name, #name},
	static const struct {
		enum vs_code code;
		const char *name;
	} rows[] = {VS_ERR_LIST(ROW)};
#undef ROW
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const char *rv = value_name(vs_ckrv_code(rows[i].code, VS_DOING_ANY));
		if (!rv) {
			(void)fprintf(
				stderr, "the return value of %s has no name here\n", rows[i].name);
			return 1;
		}
		(void)printf("| %d | %s | `%s` | %d | %s |\n", (int)rows[i].code,
			vs_code_text(rows[i].code), rv, vs_cli_exit_code(rows[i].code),
			vs_remedy(rows[i].code));
	}
	return 0;
}

int
main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "mechanisms") == 0)
		return print_mechanisms();
	if (argc == 2 && strcmp(argv[1], "codes") == 0)
		return print_codes();
	(void)fprintf(stderr, "usage: tables mechanisms|codes\n");
	return 2;
}
