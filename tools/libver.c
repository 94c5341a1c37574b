/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/libver.h"

#include <string.h>

const struct vs_lib_range vs_lib_ranges[] = {
	{"OpenSSL", "0", "2.99.99", "older than this program is made for"},
	{"OpenSSL", "3.0.0", "3.0.7",
		"a certificate can crash its reader (CVE-2022-3602, CVE-2023-0286)"},
	{"OpenSSL", "3.0.8", "3.0.11", "lengths of AES keys and IVs are mixed up (CVE-2023-5363)"},
	{"OpenSSL", "3.1.0", "3.1.3", "lengths of AES keys and IVs are mixed up (CVE-2023-5363)"},
	{"libcurl", "0", "7.84.99", "older than this program is made for"},
	{"jansson", "0", "2.12.99", "older than this program is made for"},
	/* Debian 12 ships 3.2.1, repaired. */
	{"tpm2-tss", "0", "3.2.0", "texts of TPM errors overflow (CVE-2023-22745)"},
	{"tpm2-tss", "4.0.0", "4.0.0", "texts of TPM errors overflow (CVE-2023-22745)"},
};
const size_t vs_n_lib_ranges = sizeof vs_lib_ranges / sizeof vs_lib_ranges[0];

static unsigned
next_number(const char **p)
{
	unsigned v = 0;
	while (**p >= '0' && **p <= '9' && v < 1000000)
		v = v * 10 + (unsigned)(*(*p)++ - '0');
	if (**p == '.')
		(*p)++;
	else
		*p += strlen(*p);
	return v;
}

int
vs_version_compare(const char *a, const char *b)
{
	for (int i = 0; i < 4; i++) {
		const unsigned x = next_number(&a), y = next_number(&b);
		if (x != y)
			return x < y ? -1 : 1;
	}
	return 0;
}

const struct vs_lib_range *
vs_lib_bad(const char *library, const char *version)
{
	for (size_t i = 0; i < vs_n_lib_ranges; i++) {
		const struct vs_lib_range *x = &vs_lib_ranges[i];
		if (strcmp(x->library, library) == 0 &&
			vs_version_compare(version, x->first) >= 0 &&
			vs_version_compare(version, x->last) <= 0)
			return x;
	}
	return NULL;
}
