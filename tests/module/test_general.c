/* SPDX-License-Identifier: BSD-2-Clause */
/* Initialising, slots, sessions, searches, attributes, login, fork, threads. */
#include <openssl/err.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "module/api.h"
#include "module/p11.h"
#include "token/mech.h"
#include "token/schema.h"

static void
every_call_before_initialize_is_refused(void **state)
{
	(void)state;
	CK_SESSION_HANDLE s = 0;
	CK_ULONG n = 0;
	CK_INFO info;
	fake_reset();
	assert_rv(C_GetInfo(&info), CKR_CRYPTOKI_NOT_INITIALIZED);
	assert_rv(C_GetSlotList(1, NULL, &n), CKR_CRYPTOKI_NOT_INITIALIZED);
	assert_rv(
		C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &s), CKR_CRYPTOKI_NOT_INITIALIZED);
	assert_rv(C_CloseSession(1), CKR_CRYPTOKI_NOT_INITIALIZED);
	assert_rv(C_Finalize(NULL), CKR_CRYPTOKI_NOT_INITIALIZED);
	assert_rv(C_SignInit(1, MECH(CKM_ECDSA), 1), CKR_CRYPTOKI_NOT_INITIALIZED);
}

static CK_RV
no_mutex(void **m)
{
	(void)m;
	fail_msg("a mutex function was called");
	return CKR_GENERAL_ERROR;
}

static CK_RV
no_lock(void *m)
{
	return no_mutex(m);
}

static void
initialize_takes_every_legal_combination(void **state)
{
	(void)state;
	fake_reset();
	for (CK_FLAGS flags = 0; flags < 4; flags++) {
		for (int with = 0; with < 2; with++) {
			CK_C_INITIALIZE_ARGS a = {.flags = flags};
			if (with) {
				a.CreateMutex = no_mutex;
				a.DestroyMutex = a.LockMutex = a.UnlockMutex = no_lock;
			}
			assert_rv_ok(C_Initialize(&a));
			assert_rv(C_Initialize(&a), CKR_CRYPTOKI_ALREADY_INITIALIZED);
			const CK_SESSION_HANDLE s = p11_open();
			(void)s;
			assert_rv_ok(C_Finalize(NULL));
		}
	}
	CK_C_INITIALIZE_ARGS half = {.CreateMutex = no_mutex};
	assert_rv(C_Initialize(&half), CKR_ARGUMENTS_BAD);
	CK_C_INITIALIZE_ARGS reserved = {.pReserved = &half};
	assert_rv(C_Initialize(&reserved), CKR_ARGUMENTS_BAD);
	assert_rv_ok(C_Initialize(NULL));
	assert_rv(C_Finalize(&half), CKR_ARGUMENTS_BAD);
	assert_rv_ok(C_Finalize(NULL));
}

static void
initialize_and_slots_ask_nobody(void **state)
{
	(void)state;
	CK_SLOT_ID slots[4];
	CK_ULONG n = 4;
	CK_TOKEN_INFO ti;
	CK_SLOT_INFO si;
	assert_rv_ok(C_GetSlotList(CK_TRUE, slots, &n));
	assert_int_equal(n, 2);
	assert_rv_ok(C_GetSlotInfo(0, &si));
	assert_int_equal(si.flags, CKF_TOKEN_PRESENT | CKF_HW_SLOT);
	assert_rv_ok(C_GetTokenInfo(1, &ti));
	assert_int_equal(ti.flags,
		CKF_RNG | CKF_WRITE_PROTECTED | CKF_TOKEN_INITIALIZED | CKF_DUAL_CRYPTO_OPERATIONS);
	assert_memory_equal(ti.label, "lab-hsm                         ", 32);
	assert_memory_equal(ti.serialNumber, "fedcba9876543210", 16);
	assert_memory_equal(ti.model, "Vouchsafe LAB   ", 16);
	assert_memory_equal(ti.manufacturerID, "Vouchsafe                       ", 32);
	assert_int_equal(ti.ulMaxSessionCount, 0);
	const CK_SESSION_HANDLE s = p11_open();
	assert_rv_ok(C_CloseSession(s));
	assert_int_equal(fake_agent()->n_new, 0);
	n = 1;
	assert_rv(C_GetSlotList(CK_TRUE, slots, &n), CKR_BUFFER_TOO_SMALL);
	assert_int_equal(n, 2);
	assert_rv(C_GetSlotInfo(2, &si), CKR_SLOT_ID_INVALID);
	assert_rv(C_GetTokenInfo((CK_SLOT_ID)-1, &ti), CKR_SLOT_ID_INVALID);
	assert_rv(C_GetTokenInfo(0, NULL), CKR_ARGUMENTS_BAD);
}

static void
interfaces_are_listed_newest_first(void **state)
{
	(void)state;
	CK_INTERFACE list[4];
	CK_INTERFACE_PTR one = NULL;
	CK_ULONG n = 4;
	CK_FUNCTION_LIST_PTR fl = NULL;
	CK_VERSION v2 = {2, 40}, v9 = {9, 9};
	assert_rv_ok(C_GetInterfaceList(list, &n));
	assert_int_equal(n, 2);
	assert_rv_ok(C_GetInterface(NULL, NULL, &one, 0));
	assert_int_equal(((CK_VERSION *)one->pFunctionList)->major, 3);
	assert_rv_ok(C_GetInterface(STR("PKCS 11"), &v2, &one, CKF_INTERFACE_FORK_SAFE));
	assert_rv_ok(C_GetFunctionList(&fl));
	assert_ptr_equal(one->pFunctionList, fl);
	assert_rv(
		C_GetInterface(STR("Vendor NSS FIPS Interface"), NULL, &one, 0), CKR_ARGUMENTS_BAD);
	assert_rv(C_GetInterface(STR("PKCS 11"), &v9, &one, 0), CKR_ARGUMENTS_BAD);
	n = 1;
	assert_rv(C_GetInterfaceList(list, &n), CKR_BUFFER_TOO_SMALL);
	/* No hole in either list. */
	assert_rv_ok(C_GetInterface(NULL, NULL, &one, 0));
	const CK_FUNCTION_LIST_3_0 *f3 = one->pFunctionList;
	void *const *p = (void *const *)&f3->C_Initialize;
	for (size_t i = 0; i < 92; i++)
		assert_non_null(p[i]);
}

static void
tables_are_sorted_and_whole(void **state)
{
	(void)state;
	for (size_t i = 0; i < vs_mech_count(); i++) {
		const struct vs_mech *m = vs_mech_at(i);
		assert_true(i == 0 || vs_mech_at(i - 1)->type < m->type);
		assert_ptr_equal(vs_mech_find(m->type), m);
		/* Java drops halves. */
		assert_int_equal(!!(m->flags & CKF_SIGN), !!(m->flags & CKF_VERIFY));
		assert_int_equal(!!(m->flags & CKF_ENCRYPT), !!(m->flags & CKF_DECRYPT));
		assert_int_equal(!!(m->flags & CKF_WRAP), !!(m->flags & CKF_UNWRAP));
		CK_MECHANISM_INFO info;
		assert_rv_ok(C_GetMechanismInfo(0, m->type, &info));
		assert_true(info.flags & CKF_HW);
	}
	for (unsigned k = 1; k < VS_KIND_COUNT_; k++) {
		CK_ATTRIBUTE_TYPE last = 0;
		size_t at = 0, rows = 0;
		for (const struct vs_schema *r; (r = vs_schema_next((enum vs_kind)k, &at)) != NULL;
			rows++) {
			assert_true(rows == 0 || r->type > last);
			assert_ptr_equal(vs_schema_find(r->type, (enum vs_kind)k), r);
			last = r->type;
		}
		assert_true(rows >= 7);
	}
	CK_MECHANISM_INFO info;
	assert_rv(C_GetMechanismInfo(0, CKM_MD5_RSA_PKCS, &info), CKR_MECHANISM_INVALID);
}

static void
sessions_open_always_and_handles_die(void **state)
{
	(void)state;
	CK_SESSION_HANDLE a = 0, b = 0;
	CK_SESSION_INFO info;
	fake_agent()->catalog_code = VS_E_CONNECT;
	fake_agent()->need_code = VS_E_REFUSED_POLICY;
	assert_rv_ok(C_OpenSession(0, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &a));
	assert_rv_ok(C_GetSessionInfo(a, &info));
	assert_int_equal(info.state, CKS_RW_USER_FUNCTIONS);
	assert_rv_ok(C_CloseSession(a));
	assert_rv(C_CloseSession(a), CKR_SESSION_HANDLE_INVALID);
	assert_rv_ok(C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &b));
	assert_true(a != b);
	assert_rv_ok(C_GetSessionInfo(b, &info));
	assert_int_equal(info.state, CKS_RO_USER_FUNCTIONS);
	assert_rv(C_GetSessionInfo(a, &info), CKR_SESSION_HANDLE_INVALID);
	assert_rv(C_GetSessionInfo(0, &info), CKR_SESSION_HANDLE_INVALID);
	assert_rv(C_GetSessionInfo((CK_SESSION_HANDLE)-1, &info), CKR_SESSION_HANDLE_INVALID);
	assert_rv(C_GetSessionInfo(b + 1, &info), CKR_SESSION_HANDLE_INVALID);
	assert_rv(C_GetSessionInfo(b ^ (1UL << 40), &info), CKR_SESSION_HANDLE_INVALID);
	assert_rv(C_OpenSession(0, 0, NULL, NULL, &a), CKR_SESSION_PARALLEL_NOT_SUPPORTED);
	assert_rv(C_OpenSession(7, CKF_SERIAL_SESSION, NULL, NULL, &a), CKR_SLOT_ID_INVALID);
	assert_rv(C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, NULL), CKR_ARGUMENTS_BAD);
	for (int i = 0; i < 1000; i++)
		assert_rv_ok(C_OpenSession(1, CKF_SERIAL_SESSION, NULL, NULL, &a));
	CK_TOKEN_INFO ti;
	assert_rv_ok(C_GetTokenInfo(1, &ti));
	assert_int_equal(ti.ulSessionCount, 1000);
	assert_rv_ok(C_CloseAllSessions(1));
	assert_rv(C_GetSessionInfo(a, &info), CKR_SESSION_HANDLE_INVALID);
	assert_rv_ok(C_GetSessionInfo(b, &info));
	/* A handle of before does not come alive again. */
	assert_rv_ok(C_Finalize(NULL));
	assert_rv(C_GetSessionInfo(b, &info), CKR_CRYPTOKI_NOT_INITIALIZED);
	assert_rv_ok(C_Initialize(NULL));
	assert_rv(C_GetSessionInfo(b, &info), CKR_SESSION_HANDLE_INVALID);
}

static void
objects_are_listed_without_attestation(void **state)
{
	(void)state;
	const CK_SESSION_HANDLE s = p11_open();
	CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
	CK_ATTRIBUTE t[] = {ATTR(CKA_CLASS, class)};
	assert_int_equal(p11_count(s, NULL, 0), 4 * 3 + 2);
	assert_int_equal(p11_count(s, t, 1), 4);
	class = CKO_PROFILE;
	assert_int_equal(p11_count(s, t, 1), 4);
	class = 0xce534351; /* a vendor's class finds nothing, and is no error */
	assert_int_equal(p11_count(s, t, 1), 0);
	CK_ULONG wrong = 1;
	CK_ATTRIBUTE odd[] = {{CKA_CLASS, &wrong, 3}, {0x80001234, &wrong, sizeof wrong}};
	assert_int_equal(p11_count(s, odd, 1), 0);
	assert_int_equal(p11_count(s, odd + 1, 1), 0);
	assert_int_equal(fake_agent()->n_need, 0);
	assert_int_equal(fake_agent()->n_catalog, 1);
}

static void
key_public_and_certificate_pair_up(void **state)
{
	(void)state;
	const CK_SESSION_HANDLE s = p11_open();
	const struct fake_key *k = p11_key("ec256");
	const CK_OBJECT_CLASS classes[] = {CKO_PRIVATE_KEY, CKO_PUBLIC_KEY, CKO_CERTIFICATE};
	for (size_t i = 0; i < 3; i++) {
		const CK_OBJECT_HANDLE h = p11_find(s, classes[i], "ec256");
		uint8_t id[20];
		CK_BBOOL private = CK_TRUE;
		CK_BBOOL copyable = CK_TRUE;
		CK_ATTRIBUTE t[] = {
			ATTR(CKA_ID, id), ATTR(CKA_PRIVATE, private), ATTR(CKA_COPYABLE, copyable)};
		assert_rv_ok(C_GetAttributeValue(s, h, t, COUNT(t)));
		assert_memory_equal(id, k->id, 20);
		assert_int_equal(private, CK_FALSE);
		assert_int_equal(copyable, CK_FALSE);
		CK_ATTRIBUTE by_id[] = {ATTR(CKA_ID, id),
			{CKA_CLASS, (void *)(uintptr_t)&classes[i], sizeof classes[i]}};
		assert_int_equal(p11_count(s, by_id, 2), 1);
		assert_int_equal(p11_count(s, by_id, 1), 3);
	}
	/* The point as a DER OCTET STRING. */
	uint8_t point[100];
	CK_ATTRIBUTE t[] = {ATTR(CKA_EC_POINT, point)};
	assert_rv_ok(C_GetAttributeValue(s, p11_find(s, CKO_PUBLIC_KEY, "ec256"), t, 1));
	assert_int_equal(t[0].ulValueLen, 67);
	assert_memory_equal(point, "\x04\x41\x04", 3);
	assert_memory_equal(point + 3, k->x.p, 32);
	/* By subject, issuer and serial number, whole values only. */
	CK_ATTRIBUTE cert[] = {BYTES(CKA_ISSUER, k->issuer.p, k->issuer.n),
		BYTES(CKA_SERIAL_NUMBER, k->serial.p, k->serial.n)};
	assert_int_equal(p11_count(s, cert, 2), 1);
	cert[0].ulValueLen--;
	assert_int_equal(p11_count(s, cert, 2), 0);
}

static void
attributes_follow_the_five_cases(void **state)
{
	(void)state;
	const CK_SESSION_HANDLE s = p11_open();
	const CK_OBJECT_HANDLE h = p11_find(s, CKO_PRIVATE_KEY, "rsa2048");
	uint8_t modulus[256], small[3], d[256];
	memset(d, 0xee, sizeof d);
	CK_ATTRIBUTE t[] = {
		{CKA_MODULUS, NULL, 0},
		ATTR(CKA_PRIVATE_EXPONENT, d),
		{CKA_MODULUS, modulus, sizeof modulus},
		{CKA_MODULUS, small, sizeof small},
		{CKA_VALUE_LEN, small, sizeof small},
	};
	assert_rv(C_GetAttributeValue(s, h, t, COUNT(t)), CKR_ATTRIBUTE_SENSITIVE);
	assert_int_equal(t[0].ulValueLen, 256);
	assert_int_equal(t[1].ulValueLen, CK_UNAVAILABLE_INFORMATION);
	assert_int_equal(d[0], 0xee);
	assert_memory_equal(modulus, p11_key("rsa2048")->n.p, 256);
	assert_int_equal(t[3].ulValueLen, CK_UNAVAILABLE_INFORMATION);
	assert_int_equal(t[4].ulValueLen, CK_UNAVAILABLE_INFORMATION);
	assert_rv(C_GetAttributeValue(s, h, t + 4, 1), CKR_ATTRIBUTE_TYPE_INVALID);
	t[3].ulValueLen = sizeof small;
	assert_rv(C_GetAttributeValue(s, h, t + 3, 1), CKR_BUFFER_TOO_SMALL);
	/* An array at an odd address. */
	uint8_t room[sizeof(CK_ATTRIBUTE) + 1];
	memcpy(room + 1, &t[2], sizeof t[2]);
	assert_rv_ok(C_GetAttributeValue(s, h, (CK_ATTRIBUTE_PTR)(void *)(room + 1), 1));
	assert_rv(C_GetAttributeValue(s, h, NULL, 1), CKR_ARGUMENTS_BAD);
	assert_rv(C_GetAttributeValue(s, h, t, (CK_ULONG)-1), CKR_ARGUMENTS_BAD);
	assert_rv(C_GetAttributeValue(s, h + 8192, t, 1), CKR_OBJECT_HANDLE_INVALID);
	assert_rv(C_GetAttributeValue(s, 0, t, 1), CKR_OBJECT_HANDLE_INVALID);
	assert_int_equal(fake_agent()->n_need, 0);
}

static void
sensitive_values_are_not_given_and_not_searched(void **state)
{
	(void)state;
	static const CK_ATTRIBUTE_TYPE secrets[] = {CKA_VALUE, CKA_PRIVATE_EXPONENT, CKA_PRIME_1,
		CKA_PRIME_2, CKA_EXPONENT_1, CKA_EXPONENT_2, CKA_COEFFICIENT};
	static const struct {
		CK_OBJECT_CLASS class;
		const char *label;
	} keys[] = {{CKO_PRIVATE_KEY, "rsa2048"}, {CKO_PRIVATE_KEY, "ec256"},
		{CKO_SECRET_KEY, "aes256"}};
	const CK_SESSION_HANDLE s = p11_open();
	for (size_t k = 0; k < COUNT(keys); k++) {
		const CK_OBJECT_HANDLE h = p11_find(s, keys[k].class, keys[k].label);
		for (size_t i = 0; i < COUNT(secrets); i++) {
			uint8_t buf[512];
			CK_ATTRIBUTE t[] = {{secrets[i], buf, sizeof buf}};
			const CK_RV rv = C_GetAttributeValue(s, h, t, 1);
			assert_true(
				rv == CKR_ATTRIBUTE_SENSITIVE || rv == CKR_ATTRIBUTE_TYPE_INVALID);
		}
	}
	const struct fake_key *aes = p11_key("aes256");
	CK_ATTRIBUTE t[] = {BYTES(CKA_VALUE, aes->secret.p, aes->secret.n)};
	assert_int_equal(p11_count(s, t, 1), 0);
}

static void
nothing_known_is_an_error_and_known_stays_known(void **state)
{
	(void)state;
	const CK_SESSION_HANDLE s = p11_open();
	CK_SESSION_INFO info;
	fake_agent()->catalog_code = VS_E_CONNECT;
	assert_rv(C_FindObjectsInit(s, NULL, 0), CKR_DEVICE_ERROR);
	assert_rv(C_FindObjectsFinal(s), CKR_OPERATION_NOT_INITIALIZED);
	assert_rv_ok(C_GetSessionInfo(s, &info));
	assert_int_equal(info.ulDeviceError, VS_E_CONNECT);
	fake_agent()->catalog_code = 0;
	assert_int_equal(p11_count(s, NULL, 0), 14);
	fake_agent()->catalog_code = VS_E_AGENT;
	assert_int_equal(p11_count(s, NULL, 0), 14);
}

static void
a_broken_configuration_shows_its_token_and_fails_late(void **state)
{
	(void)state;
	CK_SLOT_ID slot;
	CK_ULONG n = 1;
	CK_SESSION_HANDLE s = 0;
	fake_reset();
	fake_agent()->profile.broken = true;
	fake_agent()->profile.n_tokens = 1;
	assert_rv_ok(C_Initialize(NULL));
	assert_rv_ok(C_GetSlotList(CK_TRUE, &slot, &n));
	assert_int_equal(n, 1);
	assert_rv_ok(C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &s));
	assert_rv(C_FindObjectsInit(s, NULL, 0), CKR_FUNCTION_FAILED);
	assert_rv_ok(C_Finalize(NULL));
}

static void
finding_among_thousands_is_by_index(void **state)
{
	(void)state;
	fake_agent()->n_extra = 9994;
	const CK_SESSION_HANDLE s = p11_open();
	const CK_OBJECT_HANDLE h = p11_find(s, CKO_PUBLIC_KEY, "extra-4711");
	CK_ATTRIBUTE t[] = {BYTES(CKA_LABEL, "extra-4711", 10)};
	assert_int_equal(p11_count(s, t, 1), 2);
	assert_int_equal(p11_count(s, NULL, 0), 9994 * 2 + 14);
	struct timespec a, b;
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (int i = 0; i < 20000; i++) {
		CK_OBJECT_HANDLE got[2];
		CK_ULONG n = 0;
		assert_rv_ok(C_FindObjectsInit(s, t, 1));
		(void)C_FindObjects(s, got, 2, &n);
		(void)C_FindObjectsFinal(s);
	}
	clock_gettime(CLOCK_MONOTONIC, &b);
	const double us =
		((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / 20000e3;
	print_message("find by label among 10000 keys: %.2f us\n", us);
	assert_true(us < 50); /* a walk over all would take milliseconds */
	assert_true(h != 0);
}

static void
handles_survive_a_refresh(void **state)
{
	(void)state;
	const CK_SESSION_HANDLE s = p11_open();
	const CK_OBJECT_HANDLE before = p11_find(s, CKO_PRIVATE_KEY, "ec384");
	CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
	CK_ATTRIBUTE extra[] = {ATTR(CKA_CLASS, class), BYTES(CKA_LABEL, "extra-1", 7)};
	assert_int_equal(p11_count(s, extra, 2), 0);
	fake_agent()->generation = 2;
	fake_agent()->n_extra = 5;
	assert_int_equal(p11_count(s, extra, 2), 0); /* not yet: it was fresh a moment ago */
	struct vs_token *t0 = &atomic_load(&vs_module_instance)->tokens[0];
	/* A search under way keeps what it found. */
	CK_OBJECT_HANDLE got[4];
	CK_ULONG n = 0;
	CK_SESSION_HANDLE old = p11_open();
	assert_rv_ok(C_FindObjectsInit(old, NULL, 0));
	atomic_store(&t0->catalog_until_boot_ns, 0);
	assert_int_equal(p11_count(s, extra, 2), 1);
	assert_int_equal(fake_agent()->n_catalog, 2);
	assert_rv_ok(C_FindObjects(old, got, 4, &n));
	assert_int_equal(n, 4);
	assert_true(p11_find(s, CKO_PRIVATE_KEY, "ec384") == before);
	/* Another slot's handles are nothing here. */
	CK_SESSION_HANDLE other = 0;
	CK_BBOOL b;
	CK_ATTRIBUTE t[] = {ATTR(CKA_TOKEN, b)};
	assert_rv_ok(C_OpenSession(1, CKF_SERIAL_SESSION, NULL, NULL, &other));
	const CK_OBJECT_HANDLE theirs = p11_find(other, CKO_PRIVATE_KEY, "ec384");
	assert_true(theirs != before);
	assert_rv(C_GetAttributeValue(other, before, t, 1), CKR_OBJECT_HANDLE_INVALID);
	assert_rv(C_GetAttributeValue(s, theirs, t, 1), CKR_OBJECT_HANDLE_INVALID);
}

static void
login_is_always_fine_where_none_is_needed(void **state)
{
	(void)state;
	const CK_SESSION_HANDLE s = p11_open();
	assert_rv_ok(C_Login(s, CKU_USER, NULL, 0));
	assert_rv_ok(C_Login(s, CKU_USER, STR("1234"), 4));
	assert_rv_ok(C_LoginUser(s, CKU_USER, NULL, 0, NULL, 0));
	assert_rv_ok(C_Logout(s));
	assert_rv(C_Login(s, 77, NULL, 0), CKR_USER_TYPE_INVALID);
	assert_int_equal(fake_agent()->n_need, 0);
}

static void
writing_is_refused_call_by_call(void **state)
{
	(void)state;
	const CK_SESSION_HANDLE s = p11_open();
	const CK_OBJECT_HANDLE h = p11_find(s, CKO_PRIVATE_KEY, "rsa2048");
	CK_OBJECT_HANDLE copy = 0;
	CK_ATTRIBUTE label[] = {BYTES(CKA_LABEL, "x", 1)};
	CK_OBJECT_CLASS class = CKO_DATA;
	CK_ATTRIBUTE data[] = {
		ATTR(CKA_CLASS, class), ATTR(CKA_TOKEN, ck_true), BYTES(CKA_VALUE, "x", 1)};
	assert_rv(C_CopyObject(s, h, NULL, 0, &copy), CKR_ACTION_PROHIBITED);
	assert_rv(C_DestroyObject(s, h), CKR_ACTION_PROHIBITED);
	assert_rv(C_SetAttributeValue(s, h, label, 1), CKR_TOKEN_WRITE_PROTECTED);
	assert_rv(C_CreateObject(s, data, COUNT(data), &copy), CKR_TOKEN_WRITE_PROTECTED);
	assert_rv(C_InitToken(0, NULL, 0, STR("x")), CKR_TOKEN_WRITE_PROTECTED);
	assert_rv(C_SetPIN(s, NULL, 0, NULL, 0), CKR_TOKEN_WRITE_PROTECTED);
	CK_SLOT_ID slot;
	assert_rv(C_WaitForSlotEvent(CKF_DONT_BLOCK, &slot, NULL), CKR_NO_EVENT);
	assert_rv(C_WaitForSlotEvent(0, &slot, NULL), CKR_FUNCTION_NOT_SUPPORTED);
	uint8_t r[8];
	assert_rv(C_SeedRandom(s, r, 8), CKR_RANDOM_SEED_NOT_SUPPORTED);
	assert_rv(C_SeedRandom(s, NULL, 8), CKR_ARGUMENTS_BAD);
	CK_ULONG n = 0;
	assert_rv(C_GetOperationState(s, NULL, NULL), CKR_ARGUMENTS_BAD);
	assert_rv(C_GetOperationState(s, NULL, &n), CKR_OPERATION_NOT_INITIALIZED);
	assert_rv(C_SetOperationState(s, NULL, 8, 0, 0), CKR_ARGUMENTS_BAD);
	assert_rv_ok(C_GenerateRandom(s, r, 8));
	assert_rv(C_GenerateRandom(s, NULL, 8), CKR_ARGUMENTS_BAD);
}

/* 0 when all went well in the child. */
static int
in_child(CK_SESSION_HANDLE parent_session)
{
	uint8_t sig[512];
	CK_ULONG n = sizeof sig;
	CK_SESSION_HANDLE s = 0;
	if (C_Sign(parent_session, STR("x"), 1, sig, &n) != CKR_CRYPTOKI_NOT_INITIALIZED)
		return 1;
	if (C_Finalize(NULL) != CKR_CRYPTOKI_NOT_INITIALIZED)
		return 2;
	if (C_Initialize(NULL) != CKR_OK)
		return 3;
	if (C_CloseSession(parent_session) != CKR_SESSION_HANDLE_INVALID)
		return 4;
	if (C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &s) != CKR_OK)
		return 5;
	const unsigned needs = fake_agent()->n_need;
	const CK_OBJECT_HANDLE h = p11_find(s, CKO_PRIVATE_KEY, "rsa2048");
	n = sizeof sig;
	if (C_SignInit(s, MECH(CKM_SHA256_RSA_PKCS), h) != CKR_OK ||
		C_Sign(s, STR("x"), 1, sig, &n) != CKR_OK)
		return 6;
	if (fake_agent()->n_need != needs + 1) /* a grant of its own */
		return 7;
	return C_Finalize(NULL) == CKR_OK ? 0 : 8;
}

static void
a_forked_child_starts_anew_with_the_same_profile(void **state)
{
	(void)state;
	const CK_SESSION_HANDLE s = p11_open();
	uint8_t sig[512];
	CK_ULONG n = sizeof sig;
	const CK_OBJECT_HANDLE aes = p11_find(s, CKO_SECRET_KEY, "aes256");
	uint8_t iv[16] = {0};
	assert_rv_ok(
		C_SignInit(s, MECH(CKM_SHA256_RSA_PKCS), p11_find(s, CKO_PRIVATE_KEY, "rsa2048")));
	assert_rv_ok(C_EncryptInit(s, MECH_P(CKM_AES_CBC_PAD, iv), aes));
	/* What the child would read if it asked again. */
	fake_agent()->profile.n_tokens = 0;
	for (int i = 0; i < 3; i++) {
		const pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0)
			_exit(in_child(s));
		int status = 0;
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
	assert_rv_ok(C_Sign(s, STR("x"), 1, sig, &n));
}

static void *
busy(void *arg)
{
	uint8_t sig[512];
	for (int i = 0; i < 60; i++) {
		CK_SESSION_HANDLE s = 0;
		CK_ULONG n = sizeof sig;
		if (C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &s) != CKR_OK)
			return (void *)1;
		CK_OBJECT_HANDLE h[2];
		CK_ULONG got = 0;
		CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
		CK_ATTRIBUTE t[] = {ATTR(CKA_CLASS, class), BYTES(CKA_LABEL, "ec256", 5)};
		if (C_FindObjectsInit(s, t, 2) != CKR_OK ||
			C_FindObjects(s, h, 2, &got) != CKR_OK || got != 1 ||
			C_FindObjectsFinal(s) != CKR_OK)
			return (void *)2;
		for (int j = 0; j < 5; j++) {
			n = sizeof sig;
			if (C_SignInit(s, MECH(CKM_ECDSA_SHA256), h[0]) != CKR_OK)
				return (void *)3;
			if (C_Sign(s, STR("abc"), 3, sig, &n) != CKR_OK)
				return (void *)4;
		}
		if (C_CloseSession(s) != CKR_OK)
			return (void *)5;
	}
	return arg;
}

static void
threads_work_beside_each_other(void **state)
{
	(void)state;
	pthread_t t[6];
	for (size_t i = 0; i < COUNT(t); i++)
		assert_int_equal(pthread_create(&t[i], NULL, busy, NULL), 0);
	for (size_t i = 0; i < COUNT(t); i++) {
		void *r = NULL;
		pthread_join(t[i], &r);
		assert_null(r);
	}
}

enum { POOL = 4000 };

static void *
close_all_of(void *arg)
{
	const CK_SESSION_HANDLE *s = arg;
	for (size_t i = 0; i < POOL / 4; i++) {
		if (C_CloseSession(s[i]) != CKR_OK)
			return arg;
	}
	return NULL;
}

/* Pools do this: the table must not grow by it. */
static void
sessions_closed_by_other_threads_are_used_again(void **state)
{
	(void)state;
	static CK_SESSION_HANDLE s[POOL];
	struct vs_instance *inst = atomic_load(&vs_module_instance);
	pthread_t t[4];
	size_t before = 0;
	for (int round = 0; round < 8; round++) {
		for (size_t i = 0; i < POOL; i++)
			s[i] = p11_open();
		for (size_t i = 0; i < COUNT(t); i++)
			assert_int_equal(
				pthread_create(&t[i], NULL, close_all_of, &s[i * POOL / 4]), 0);
		for (size_t i = 0; i < COUNT(t); i++) {
			void *r = NULL;
			pthread_join(t[i], &r);
			assert_null(r);
		}
		if (round == 0)
			before = inst->n_chunks;
	}
	assert_int_equal(inst->n_chunks, before);
}

static void *
init_once(void *arg)
{
	(void)arg;
	return (void *)C_Initialize(NULL);
}

static void *
until_finalized(void *arg)
{
	(void)arg;
	for (;;) {
		CK_SESSION_HANDLE s = 0;
		CK_RV rv = C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &s);
		if (rv == CKR_CRYPTOKI_NOT_INITIALIZED)
			return NULL;
		if (rv != CKR_OK)
			return (void *)rv;
		uint8_t d[32];
		CK_ULONG n = sizeof d;
		rv = C_DigestInit(s, MECH(CKM_SHA256));
		if (rv == CKR_OK)
			rv = C_Digest(s, STR("x"), 1, d, &n);
		if (rv == CKR_CRYPTOKI_NOT_INITIALIZED || rv == CKR_SESSION_HANDLE_INVALID)
			return NULL;
		(void)C_CloseSession(s);
	}
}

static void
initialize_and_finalize_stand_races(void **state)
{
	(void)state;
	fake_reset();
	for (int round = 0; round < 30; round++) {
		pthread_t t[4];
		unsigned ok = 0;
		for (size_t i = 0; i < COUNT(t); i++)
			assert_int_equal(pthread_create(&t[i], NULL, init_once, NULL), 0);
		for (size_t i = 0; i < COUNT(t); i++) {
			void *r = NULL;
			pthread_join(t[i], &r);
			ok += r == (void *)CKR_OK;
			assert_true(r == (void *)CKR_OK ||
				r == (void *)CKR_CRYPTOKI_ALREADY_INITIALIZED);
		}
		assert_int_equal(ok, 1);
		for (size_t i = 0; i < COUNT(t); i++)
			assert_int_equal(pthread_create(&t[i], NULL, until_finalized, NULL), 0);
		usleep(2000);
		assert_rv_ok(C_Finalize(NULL));
		for (size_t i = 0; i < COUNT(t); i++) {
			void *r = NULL;
			pthread_join(t[i], &r);
			assert_null(r);
		}
	}
}

static void
errno_and_the_error_queue_stay_as_they_were(void **state)
{
	(void)state;
	const CK_SESSION_HANDLE s = p11_open();
	uint8_t buf[256] = {1};
	CK_ULONG n = sizeof buf;
	ERR_clear_error();
	ERR_raise(ERR_LIB_USER, 42);
	const unsigned long mine = ERR_peek_error();
	errno = 4711;
	assert_rv_ok(C_DecryptInit(s, MECH(CKM_RSA_PKCS), p11_find(s, CKO_PRIVATE_KEY, "rsa2048")));
	(void)C_Decrypt(s, buf, 256, buf, &n);
	assert_rv_ok(
		C_VerifyInit(s, MECH(CKM_SHA256_RSA_PKCS), p11_find(s, CKO_PUBLIC_KEY, "rsa2048")));
	assert_rv(C_Verify(s, buf, 5, buf, 256), CKR_SIGNATURE_INVALID);
	assert_int_equal(errno, 4711);
	assert_int_equal(ERR_peek_error(), mine);
	assert_int_equal(ERR_get_error(), mine);
	assert_int_equal(ERR_get_error(), 0);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, p11_setup, p11_teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_call_before_initialize_is_refused),
		cmocka_unit_test(initialize_takes_every_legal_combination),
		T(initialize_and_slots_ask_nobody),
		T(interfaces_are_listed_newest_first),
		T(tables_are_sorted_and_whole),
		T(sessions_open_always_and_handles_die),
		T(objects_are_listed_without_attestation),
		T(key_public_and_certificate_pair_up),
		T(attributes_follow_the_five_cases),
		T(sensitive_values_are_not_given_and_not_searched),
		T(nothing_known_is_an_error_and_known_stays_known),
		cmocka_unit_test(a_broken_configuration_shows_its_token_and_fails_late),
		T(finding_among_thousands_is_by_index),
		T(handles_survive_a_refresh),
		T(login_is_always_fine_where_none_is_needed),
		T(writing_is_refused_call_by_call),
		T(a_forked_child_starts_anew_with_the_same_profile),
		T(threads_work_beside_each_other),
		T(sessions_closed_by_other_threads_are_used_again),
		cmocka_unit_test(initialize_and_finalize_stand_races),
		T(errno_and_the_error_queue_stay_as_they_were),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
