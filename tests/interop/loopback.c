/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A provider of OpenSSL that points back at the module, as pkcs11-provider does when the
 * application's openssl.cnf loads it: whatever is fetched in the default library context first
 * calls the module. It offers nothing and leaves its count of calls in the file that LOOPBACK_COUNT
 * names.
 */
#include <dlfcn.h>
#include <openssl/core.h>
#include <openssl/core_dispatch.h>
#include <p11-kit/pkcs11.h>
#include <stdio.h>
#include <stdlib.h>

static CK_FUNCTION_LIST *f;
static unsigned calls;

static const OSSL_ALGORITHM *
query(void *ctx, int operation, int *no_cache)
{
	CK_SLOT_ID slots[8];
	CK_ULONG n = 8;
	CK_TOKEN_INFO info;
	CK_SESSION_HANDLE s;
	CK_BYTE b[8];
	(void)ctx;
	(void)operation;
	*no_cache = 1;
	if (f == NULL)
		return NULL;
	(void)f->C_Initialize(NULL);
	if (f->C_GetSlotList(CK_TRUE, slots, &n) != CKR_OK || n == 0)
		return NULL;
	if (f->C_GetTokenInfo(slots[0], &info) == CKR_OK &&
		f->C_OpenSession(slots[0], CKF_SERIAL_SESSION, NULL, NULL, &s) == CKR_OK) {
		if (f->C_GenerateRandom(s, b, sizeof b) == CKR_OK)
			calls++;
		(void)f->C_CloseSession(s);
	}
	return NULL;
}

static void
teardown(void *ctx)
{
	(void)ctx;
	const char *path = getenv("LOOPBACK_COUNT");
	FILE *out = path ? fopen(path, "w") : NULL;
	if (out) {
		(void)fprintf(out, "%u\n", calls);
		(void)fclose(out);
	}
	if (f)
		(void)f->C_Finalize(NULL);
}

static const OSSL_DISPATCH table[] = {{OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))query},
	{OSSL_FUNC_PROVIDER_TEARDOWN, (void (*)(void))teardown}, {0, NULL}};

int OSSL_provider_init(
	const OSSL_CORE_HANDLE *h, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out, void **ctx);
int
OSSL_provider_init(
	const OSSL_CORE_HANDLE *h, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out, void **ctx)
{
	(void)h;
	(void)in;
	const char *module = getenv("P11_MODULE");
	void *dl = module ? dlopen(module, RTLD_NOW | RTLD_LOCAL) : NULL;
	CK_C_GetFunctionList get = NULL;
	if (dl)
		*(void **)&get = dlsym(dl, "C_GetFunctionList");
	if (get)
		(void)get(&f);
	*out = table;
	*ctx = &calls;
	return 1;
}
