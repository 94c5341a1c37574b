/* SPDX-License-Identifier: BSD-2-Clause */
/* Templates inside keys: kept as given, given out as asked, and held to. */
#include "module/p11.h"

static CK_SESSION_HANDLE s;
static CK_OBJECT_CLASS secret_class = CKO_SECRET_KEY, data_class = CKO_DATA;
static CK_KEY_TYPE aes_type = CKK_AES, generic_type = CKK_GENERIC_SECRET;
static uint8_t octets[32] = {9, 8, 7};
static CK_BYTE iv[16] = {3};
static CK_MECHANISM kwp = {CKM_AES_KEY_WRAP_KWP, NULL, 0};

static int
set_up(void **state)
{
	if (p11_setup(state) != 0)
		return -1;
	s = p11_open();
	return 0;
}

/* An AES key with a flag and a template inside. */
static CK_RV
make(CK_ATTRIBUTE_TYPE flag, CK_ATTRIBUTE_TYPE which, void *inner, CK_ULONG n,
	CK_OBJECT_HANDLE *ret)
{
	CK_ATTRIBUTE t[] = {ATTR(CKA_CLASS, secret_class), ATTR(CKA_KEY_TYPE, aes_type),
		BYTES(CKA_VALUE, octets, sizeof octets), ATTR(flag, ck_true),
		BYTES(which, inner, n)};
	return C_CreateObject(s, t, COUNT(t), ret);
}

static CK_OBJECT_HANDLE
key_with(CK_ATTRIBUTE_TYPE flag, CK_ATTRIBUTE_TYPE which, CK_ATTRIBUTE *inner, CK_ULONG n)
{
	CK_OBJECT_HANDLE h = 0;
	assert_rv_ok(make(flag, which, inner, n * sizeof *inner, &h));
	return h;
}

static CK_OBJECT_HANDLE
to_wrap(const char *label, CK_BBOOL can_sign)
{
	CK_OBJECT_HANDLE h = 0;
	CK_ATTRIBUTE t[] = {ATTR(CKA_CLASS, secret_class), ATTR(CKA_KEY_TYPE, generic_type),
		BYTES(CKA_VALUE, "0123456789abcdef", 16), BYTES(CKA_LABEL, label, strlen(label)),
		ATTR(CKA_SIGN, can_sign)};
	assert_rv_ok(C_CreateObject(s, t, COUNT(t), &h));
	return h;
}

static CK_RV
wrap(CK_OBJECT_HANDLE with, CK_OBJECT_HANDLE key, CK_BYTE *out, CK_ULONG *n)
{
	return C_WrapKey(s, &kwp, with, key, out, n);
}

/* ---- wrap ---------------------------------------------------------------------------------- */

static void
only_what_matches_is_wrapped(void **state)
{
	CK_ATTRIBUTE inner[] = {BYTES(CKA_LABEL, "sessions", 8), ATTR(CKA_SIGN, ck_true),
		ATTR(CKA_KEY_TYPE, generic_type)};
	CK_BYTE out[64];
	CK_ULONG n = sizeof out;
	(void)state;
	const CK_OBJECT_HANDLE with = key_with(CKA_WRAP, CKA_WRAP_TEMPLATE, inner, 3);
	const CK_OBJECT_HANDLE plain = key_with(CKA_WRAP, CKA_WRAP_TEMPLATE, NULL, 0);
	/* What the array and its values lay in is the caller's, who may do with it as he likes. */
	memset(inner, 0xff, sizeof inner);
	const CK_OBJECT_HANDLE fits = to_wrap("sessions", CK_TRUE);
	assert_rv_ok(wrap(with, fits, out, &n));
	assert_int_equal(n, 24);
	const CK_OBJECT_HANDLE wrong[] = {to_wrap("sessions", CK_FALSE),
		to_wrap("Sessions", CK_TRUE), to_wrap("session", CK_TRUE), to_wrap("", CK_TRUE),
		plain};
	for (size_t i = 0; i < COUNT(wrong); i++) {
		n = sizeof out;
		assert_rv(wrap(with, wrong[i], out, &n), CKR_KEY_HANDLE_INVALID);
		/* Nor is its size said. */
		assert_rv(wrap(with, wrong[i], NULL, &n), CKR_KEY_HANDLE_INVALID);
		n = sizeof out;
		assert_rv_ok(wrap(plain, wrong[i], out, &n));
	}
	/* A change of the key counts from then on. */
	CK_ATTRIBUTE label = BYTES(CKA_LABEL, "other", 5);
	assert_rv_ok(C_SetAttributeValue(s, fits, &label, 1));
	n = sizeof out;
	assert_rv(wrap(with, fits, out, &n), CKR_KEY_HANDLE_INVALID);
}

static void
a_copy_does_not_shake_it_off(void **state)
{
	CK_ATTRIBUTE inner[] = {ATTR(CKA_SIGN, ck_true)};
	CK_ATTRIBUTE none = BYTES(CKA_WRAP_TEMPLATE, NULL, 0);
	CK_ATTRIBUTE name = BYTES(CKA_LABEL, "x", 1);
	CK_OBJECT_HANDLE copy = 0;
	CK_BYTE out[64];
	CK_ULONG n = sizeof out;
	(void)state;
	const CK_OBJECT_HANDLE with = key_with(CKA_WRAP, CKA_WRAP_TEMPLATE, inner, 1);
	const CK_OBJECT_HANDLE key = to_wrap("a", CK_FALSE);
	assert_rv(C_SetAttributeValue(s, with, &none, 1), CKR_ATTRIBUTE_READ_ONLY);
	assert_rv(C_CopyObject(s, with, &none, 1, &copy), CKR_ATTRIBUTE_READ_ONLY);
	assert_rv_ok(C_CopyObject(s, with, &name, 1, &copy));
	assert_rv_ok(C_SetAttributeValue(s, with, &name, 1));
	assert_rv(wrap(copy, key, out, &n), CKR_KEY_HANDLE_INVALID);
	assert_rv(wrap(with, key, out, &n), CKR_KEY_HANDLE_INVALID);
	assert_rv_ok(C_DestroyObject(s, with));
	assert_rv(wrap(copy, key, out, &n), CKR_KEY_HANDLE_INVALID);
	assert_rv_ok(wrap(copy, to_wrap("a", CK_TRUE), out, &n));
}

/* ---- unwrap -------------------------------------------------------------------------------- */

static CK_BBOOL
flag_of(CK_OBJECT_HANDLE h, CK_ATTRIBUTE_TYPE type)
{
	CK_BBOOL b = 7;
	CK_ATTRIBUTE a = ATTR(type, b);
	assert_rv_ok(C_GetAttributeValue(s, h, &a, 1));
	return b;
}

static void
what_is_unwrapped_gets_the_attributes(void **state)
{
	CK_ATTRIBUTE inner[] = {ATTR(CKA_SENSITIVE, ck_true), ATTR(CKA_EXTRACTABLE, ck_false),
		ATTR(CKA_CLASS, secret_class), BYTES(CKA_LABEL, "in", 2)};
	CK_ATTRIBUTE agrees[] = {ATTR(CKA_KEY_TYPE, generic_type), ATTR(CKA_EXTRACTABLE, ck_false),
		BYTES(CKA_ID, "7", 1)};
	CK_BYTE in[64];
	CK_ULONG n = sizeof in;
	CK_OBJECT_HANDLE h = 0;
	(void)state;
	const CK_OBJECT_HANDLE with = key_with(CKA_WRAP, CKA_WRAP_TEMPLATE, NULL, 0);
	const CK_OBJECT_HANDLE un = key_with(CKA_UNWRAP, CKA_UNWRAP_TEMPLATE, inner, 4);
	assert_rv_ok(wrap(with, to_wrap("a", CK_TRUE), in, &n));
	/* The class is the template's; the rest of it is added; what agrees may be said. */
	assert_rv_ok(C_UnwrapKey(s, &kwp, un, in, n, agrees, 3, &h));
	assert_true(
		flag_of(h, CKA_SENSITIVE) == CK_TRUE && flag_of(h, CKA_EXTRACTABLE) == CK_FALSE);
	CK_ATTRIBUTE find[] = {BYTES(CKA_LABEL, "in", 2), BYTES(CKA_ID, "7", 1)};
	assert_int_equal(p11_count(s, find, 2), 1);
	const CK_ATTRIBUTE against[] = {ATTR(CKA_EXTRACTABLE, ck_true),
		ATTR(CKA_SENSITIVE, ck_false), BYTES(CKA_LABEL, "on", 2),
		BYTES(CKA_LABEL, "in ", 3), BYTES(CKA_LABEL, NULL, 0), ATTR(CKA_CLASS, data_class)};
	for (size_t i = 0; i < COUNT(against); i++) {
		CK_ATTRIBUTE t[] = {ATTR(CKA_KEY_TYPE, generic_type), against[i]};
		h = 77;
		assert_rv(C_UnwrapKey(s, &kwp, un, in, n, t, 2, &h), CKR_TEMPLATE_INCONSISTENT);
		assert_int_equal(h, 77);
	}
	/* The type was in neither. */
	assert_rv(C_UnwrapKey(s, &kwp, un, in, n, agrees + 1, 2, &h), CKR_TEMPLATE_INCOMPLETE);
	assert_int_equal(p11_count(s, find, 2), 1);
}

/* What could not be asked for directly cannot be had this way. */
static void
a_template_inside_makes_nothing_that_is_forbidden(void **state)
{
	CK_MECHANISM_TYPE gcm = CKM_AES_GCM;
	CK_ULONG sixteen = 16;
	const struct {
		CK_ATTRIBUTE a;
		CK_RV rv;
	} cases[] = {
		{ATTR(CKA_TOKEN, ck_true), CKR_TOKEN_WRITE_PROTECTED},
		{ATTR(CKA_TRUSTED, ck_true), CKR_ATTRIBUTE_READ_ONLY},
		{ATTR(CKA_LOCAL, ck_true), CKR_TEMPLATE_INCONSISTENT},
		{ATTR(CKA_WRAP, ck_true),
			CKR_TEMPLATE_INCONSISTENT}, /* with the asked for DECRYPT */
		{ATTR(CKA_VALUE_LEN, sixteen), CKR_WRAPPED_KEY_LEN_RANGE},
		{ATTR(CKA_ALLOWED_MECHANISMS, gcm), CKR_OK},
	};
	CK_ATTRIBUTE t[] = {ATTR(CKA_CLASS, secret_class), ATTR(CKA_KEY_TYPE, aes_type),
		ATTR(CKA_DECRYPT, ck_true)};
	CK_BYTE in[64], out[16];
	CK_ULONG n = sizeof in, out_n = sizeof out;
	CK_OBJECT_HANDLE h = 0;
	(void)state;
	const CK_OBJECT_HANDLE with = key_with(CKA_WRAP, CKA_WRAP_TEMPLATE, NULL, 0);
	assert_rv_ok(wrap(with, with, in, &n));
	for (size_t i = 0; i < COUNT(cases); i++) {
		CK_ATTRIBUTE inner = cases[i].a;
		const CK_OBJECT_HANDLE un = key_with(CKA_UNWRAP, CKA_UNWRAP_TEMPLATE, &inner, 1);
		assert_rv(C_UnwrapKey(s, &kwp, un, in, n, t, 3, &h), cases[i].rv);
	}
	assert_rv(C_DecryptInit(s, MECH(CKM_AES_ECB), h), CKR_MECHANISM_INVALID);
	CK_MECHANISM cbc = {CKM_AES_CBC, iv, sizeof iv};
	assert_rv(C_DecryptInit(s, &cbc, h), CKR_MECHANISM_INVALID);
	assert_rv(C_Decrypt(s, iv, 16, out, &out_n), CKR_OPERATION_NOT_INITIALIZED);
}

/* ---- derive -------------------------------------------------------------------------------- */

static void
what_is_derived_gets_the_attributes(void **state)
{
	CK_HKDF_PARAMS p = {.bExpand = CK_TRUE, .prfHashMechanism = CKM_SHA256};
	CK_ULONG len = 24, other = 32;
	CK_ATTRIBUTE inner[] = {ATTR(CKA_VALUE_LEN, len), ATTR(CKA_SENSITIVE, ck_true),
		ATTR(CKA_KEY_TYPE, aes_type)};
	CK_ATTRIBUTE t[] = {ATTR(CKA_CLASS, secret_class)};
	CK_OBJECT_HANDLE h = 0;
	CK_ULONG got = 0;
	CK_ATTRIBUTE a = ATTR(CKA_VALUE_LEN, got);
	(void)state;
	const CK_OBJECT_HANDLE base = key_with(CKA_DERIVE, CKA_DERIVE_TEMPLATE, inner, 3);
	assert_rv_ok(C_DeriveKey(s, MECH_P(CKM_HKDF_DERIVE, p), base, t, 1, &h));
	assert_rv_ok(C_GetAttributeValue(s, h, &a, 1));
	assert_int_equal(got, 24);
	assert_true(flag_of(h, CKA_SENSITIVE) == CK_TRUE);
	assert_rv_ok(C_DeriveKey(s, MECH_P(CKM_HKDF_DERIVE, p), base, inner, 3, &h));
	const CK_ATTRIBUTE against[] = {ATTR(CKA_VALUE_LEN, other), ATTR(CKA_SENSITIVE, ck_false),
		ATTR(CKA_KEY_TYPE, generic_type), BYTES(CKA_VALUE_LEN, &len, 4)};
	for (size_t i = 0; i < COUNT(against); i++) {
		t[0] = against[i];
		assert_rv(C_DeriveKey(s, MECH_P(CKM_HKDF_DERIVE, p), base, t, 1, &h),
			CKR_TEMPLATE_INCONSISTENT);
	}
}

/* Data that is derived is as private as was asked, and what cannot be had is refused. */
static void
derived_data_has_what_was_asked_for(void **state)
{
	CK_HKDF_PARAMS p = {.bExpand = CK_TRUE, .prfHashMechanism = CKM_SHA256};
	CK_MECHANISM hkdf = {CKM_HKDF_DATA, &p, sizeof p};
	CK_ULONG len = 20;
	CK_ATTRIBUTE t[] = {ATTR(CKA_CLASS, data_class), ATTR(CKA_VALUE_LEN, len),
		ATTR(CKA_PRIVATE, ck_true), ATTR(CKA_MODIFIABLE, ck_false),
		BYTES(CKA_APPLICATION, "app", 3), ATTR(CKA_KEY_TYPE, generic_type)};
	CK_OBJECT_HANDLE h = 0;
	(void)state;
	const CK_OBJECT_HANDLE base = key_with(CKA_DERIVE, CKA_LABEL, NULL, 0);
	assert_rv_ok(C_DeriveKey(s, &hkdf, base, t, 6, &h));
	assert_true(flag_of(h, CKA_PRIVATE) == CK_TRUE && flag_of(h, CKA_MODIFIABLE) == CK_FALSE);
	CK_ATTRIBUTE find[] = {BYTES(CKA_APPLICATION, "app", 3), ATTR(CKA_CLASS, data_class)};
	assert_int_equal(p11_count(s, find, 2), 1);
	t[5] = (CK_ATTRIBUTE)BYTES(CKA_VALUE, octets, 20);
	assert_rv(C_DeriveKey(s, &hkdf, base, t, 6, &h), CKR_TEMPLATE_INCONSISTENT);
	t[5] = (CK_ATTRIBUTE)BYTES(0x80001234, octets, 1);
	assert_rv(C_DeriveKey(s, &hkdf, base, t, 6, &h), CKR_ATTRIBUTE_TYPE_INVALID);
	t[5] = (CK_ATTRIBUTE)ATTR(CKA_TOKEN, ck_true);
	assert_rv(C_DeriveKey(s, &hkdf, base, t, 6, &h), CKR_TOKEN_WRITE_PROTECTED);
	t[5] = (CK_ATTRIBUTE)BYTES(CKA_PRIVATE, "\1\1", 2);
	assert_rv(C_DeriveKey(s, &hkdf, base, t, 6, &h), CKR_ATTRIBUTE_VALUE_INVALID);
	assert_int_equal(p11_count(s, find, 2), 1);
}

/* ---- given out ----------------------------------------------------------------------------- */

static void
it_is_given_out_in_as_many_steps_as_the_caller_likes(void **state)
{
	CK_ATTRIBUTE inner[] = {
		BYTES(CKA_LABEL, "label", 5), ATTR(CKA_SIGN, ck_true), BYTES(CKA_ID, NULL, 0)};
	CK_BYTE label[8] = {0};
	CK_BBOOL b = 9;
	CK_ATTRIBUTE got[4] = {{0}};
	CK_ATTRIBUTE a = {CKA_WRAP_TEMPLATE, NULL, 99};
	(void)state;
	const CK_OBJECT_HANDLE h = key_with(CKA_WRAP, CKA_WRAP_TEMPLATE, inner, 3);
	assert_rv_ok(C_GetAttributeValue(s, h, &a, 1));
	assert_int_equal(a.ulValueLen, 3 * sizeof *got);
	/* Types and lengths; the rest of the array is left alone. */
	a.pValue = got;
	a.ulValueLen = sizeof got;
	got[3].type = 4711;
	assert_rv_ok(C_GetAttributeValue(s, h, &a, 1));
	assert_int_equal(a.ulValueLen, 3 * sizeof *got);
	for (size_t i = 0; i < 3; i++)
		assert_true(got[i].type == inner[i].type && got[i].pValue == NULL &&
			got[i].ulValueLen == inner[i].ulValueLen);
	assert_int_equal(got[3].type, 4711);
	/* A place that is too small does not keep the others from being filled. */
	got[0] = (CK_ATTRIBUTE)BYTES(CKA_ID, label, 4);
	got[1] = (CK_ATTRIBUTE)ATTR(CKA_ID, b);
	assert_rv(C_GetAttributeValue(s, h, &a, 1), CKR_BUFFER_TOO_SMALL);
	assert_true(got[0].type == CKA_LABEL && got[0].ulValueLen == CK_UNAVAILABLE_INFORMATION);
	assert_true(got[1].ulValueLen == 1 && b == CK_TRUE && label[0] == 0);
	got[0].ulValueLen = sizeof label;
	assert_rv_ok(C_GetAttributeValue(s, h, &a, 1));
	assert_memory_equal(label, "label\0\0", 8);
	/* No room for the array: nothing of it is touched. */
	got[0].ulValueLen = 4711;
	a.ulValueLen = 3 * sizeof *got - 1;
	assert_rv(C_GetAttributeValue(s, h, &a, 1), CKR_BUFFER_TOO_SMALL);
	assert_true(a.ulValueLen == CK_UNAVAILABLE_INFORMATION && got[0].ulValueLen == 4711);
	/* One that was not given is not there; of a token's key none is. */
	a = (CK_ATTRIBUTE){CKA_UNWRAP_TEMPLATE, NULL, 0};
	assert_rv(C_GetAttributeValue(s, h, &a, 1), CKR_ATTRIBUTE_TYPE_INVALID);
	a = (CK_ATTRIBUTE){CKA_WRAP_TEMPLATE, NULL, 0};
	assert_rv(C_GetAttributeValue(s, p11_find(s, CKO_SECRET_KEY, "aes-wrap"), &a, 1),
		CKR_ATTRIBUTE_TYPE_INVALID);
}

static void
a_search_compares_what_is_in_it(void **state)
{
	CK_ATTRIBUTE inner[] = {BYTES(CKA_LABEL, "label", 5), ATTR(CKA_SIGN, ck_true)};
	CK_ATTRIBUTE turned[] = {ATTR(CKA_SIGN, ck_true), BYTES(CKA_LABEL, "label", 5)};
	CK_ATTRIBUTE less[] = {BYTES(CKA_LABEL, "label", 5)};
	CK_ATTRIBUTE other[] = {BYTES(CKA_LABEL, "label", 5), ATTR(CKA_SIGN, ck_false)};
	CK_ATTRIBUTE twice[] = {ATTR(CKA_SIGN, ck_true), ATTR(CKA_SIGN, ck_true)};
	CK_ATTRIBUTE find[] = {BYTES(CKA_WRAP_TEMPLATE, inner, sizeof inner)};
	(void)state;
	assert_int_equal(p11_count(s, find, 1), 0);
	const CK_OBJECT_HANDLE h = key_with(CKA_WRAP, CKA_WRAP_TEMPLATE, inner, 2);
	assert_int_equal(p11_count(s, find, 1), 1);
	find[0].pValue = turned;
	assert_int_equal(p11_count(s, find, 1), 1);
	find[0].pValue = other;
	assert_int_equal(p11_count(s, find, 1), 0);
	find[0].pValue = twice;
	assert_int_equal(p11_count(s, find, 1), 0);
	find[0] = (CK_ATTRIBUTE)BYTES(CKA_WRAP_TEMPLATE, less, sizeof less);
	assert_int_equal(p11_count(s, find, 1), 0);
	find[0] = (CK_ATTRIBUTE)BYTES(CKA_WRAP_TEMPLATE, inner, sizeof inner - 1);
	assert_int_equal(p11_count(s, find, 1), 0);
	assert_rv_ok(C_DestroyObject(s, h));
}

/* ---- refused ------------------------------------------------------------------------------- */

static const CK_ATTRIBUTE_TYPE flags_and_names[33] = {CKA_TOKEN, CKA_PRIVATE, CKA_TRUSTED,
	CKA_SENSITIVE, CKA_ENCRYPT, CKA_DECRYPT, CKA_WRAP, CKA_UNWRAP, CKA_SIGN, CKA_SIGN_RECOVER,
	CKA_VERIFY, CKA_VERIFY_RECOVER, CKA_DERIVE, CKA_EXTRACTABLE, CKA_LOCAL,
	CKA_NEVER_EXTRACTABLE, CKA_ALWAYS_SENSITIVE, CKA_MODIFIABLE, CKA_COPYABLE, CKA_DESTROYABLE,
	CKA_LABEL, CKA_APPLICATION, CKA_OBJECT_ID, CKA_ISSUER, CKA_SERIAL_NUMBER, CKA_URL,
	CKA_SUBJECT, CKA_ID, CKA_MODULUS, CKA_PUBLIC_EXPONENT, CKA_PUBLIC_KEY_INFO, CKA_EC_PARAMS,
	CKA_EC_POINT};

static void
hostile_templates_inside_are_refused(void **state)
{
	static CK_BYTE big[20000];
	CK_ATTRIBUTE own[] = {ATTR(CKA_SIGN, ck_true)};
	CK_ATTRIBUTE many[33], full[32];
	CK_ULONG number = 5;
	const struct {
		CK_ATTRIBUTE a;
		CK_RV rv;
	} one[] = {
		{BYTES(CKA_WRAP_TEMPLATE, own, sizeof own), CKR_TEMPLATE_INCONSISTENT},
		{BYTES(CKA_UNWRAP_TEMPLATE, NULL, 0), CKR_TEMPLATE_INCONSISTENT},
		{BYTES(CKA_VALUE, octets, 16), CKR_TEMPLATE_INCONSISTENT},
		{BYTES(CKA_PRIVATE_EXPONENT, octets, 16), CKR_TEMPLATE_INCONSISTENT},
		{BYTES(0x80001234, octets, 1), CKR_ATTRIBUTE_TYPE_INVALID},
		{BYTES(0x40001234, octets, 0), CKR_ATTRIBUTE_TYPE_INVALID},
		{BYTES(CKA_SIGN, octets, 2), CKR_ATTRIBUTE_VALUE_INVALID},
		{BYTES(CKA_SIGN, octets, 1), CKR_ATTRIBUTE_VALUE_INVALID}, /* 9 is no bool */
		{BYTES(CKA_SIGN, NULL, 1), CKR_ATTRIBUTE_VALUE_INVALID},
		{BYTES(CKA_SIGN, NULL, 0), CKR_ATTRIBUTE_VALUE_INVALID},
		{BYTES(CKA_KEY_TYPE, &number, 4), CKR_ATTRIBUTE_VALUE_INVALID},
		{BYTES(CKA_LABEL, octets, (CK_ULONG)-1), CKR_ATTRIBUTE_VALUE_INVALID},
		{BYTES(CKA_LABEL, octets, ~0UL / 2), CKR_ATTRIBUTE_VALUE_INVALID},
		{BYTES(CKA_LABEL, big, sizeof big), CKR_TEMPLATE_INCONSISTENT},
	};
	CK_OBJECT_HANDLE h = 0;
	(void)state;
	for (size_t i = 0; i < COUNT(one); i++) {
		CK_ATTRIBUTE inner = one[i].a;
		assert_rv(make(CKA_WRAP, CKA_WRAP_TEMPLATE, &inner, sizeof inner, &h), one[i].rv);
		assert_rv(
			make(CKA_UNWRAP, CKA_UNWRAP_TEMPLATE, &inner, sizeof inner, &h), one[i].rv);
		assert_rv(
			make(CKA_DERIVE, CKA_DERIVE_TEMPLATE, &inner, sizeof inner, &h), one[i].rv);
	}
	CK_ATTRIBUTE twice[] = {own[0], own[0]};
	assert_rv(make(CKA_WRAP, CKA_WRAP_TEMPLATE, twice, sizeof twice, &h),
		CKR_TEMPLATE_INCONSISTENT);
	const CK_ULONG odd[] = {1, sizeof *own - 1, sizeof *own + 1, (CK_ULONG)-1};
	for (size_t i = 0; i < COUNT(odd); i++)
		assert_rv(make(CKA_WRAP, CKA_WRAP_TEMPLATE, twice, odd[i], &h),
			CKR_ATTRIBUTE_VALUE_INVALID);
	assert_rv(make(CKA_WRAP, CKA_WRAP_TEMPLATE, NULL, sizeof *own, &h),
		CKR_ATTRIBUTE_VALUE_INVALID);
	/* As many attributes as may be, and one more. */
	for (size_t i = 0; i < COUNT(many); i++)
		many[i] = (CK_ATTRIBUTE)BYTES(flags_and_names[i], &ck_true, 1);
	assert_rv_ok(make(CKA_WRAP, CKA_WRAP_TEMPLATE, many, 32 * sizeof *many, &h));
	assert_rv(make(CKA_WRAP, CKA_WRAP_TEMPLATE, many, sizeof many, &h),
		CKR_TEMPLATE_INCONSISTENT);
	/* As many octets as may be, and one more. */
	full[0] = (CK_ATTRIBUTE)BYTES(CKA_LABEL, big, 16 * 1024);
	assert_rv_ok(make(CKA_WRAP, CKA_WRAP_TEMPLATE, full, sizeof *full, &h));
	full[1] = (CK_ATTRIBUTE)BYTES(CKA_ID, big, 1);
	assert_rv(make(CKA_WRAP, CKA_WRAP_TEMPLATE, full, 2 * sizeof *full, &h),
		CKR_TEMPLATE_INCONSISTENT);
}

/* A public key wraps only, a private one unwraps and derives. */
static void
not_every_key_has_every_template(void **state)
{
	CK_ATTRIBUTE own[] = {ATTR(CKA_SIGN, ck_true)};
	CK_OBJECT_HANDLE h = 0;
	(void)state;
	CK_KEY_TYPE ec = CKK_EC;
	CK_ATTRIBUTE pub[] = {ATTR(CKA_KEY_TYPE, ec),
		BYTES(CKA_EC_PARAMS, "\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07", 10),
		BYTES(CKA_UNWRAP_TEMPLATE, own, sizeof own)};
	CK_ATTRIBUTE priv[] = {BYTES(CKA_WRAP_TEMPLATE, own, sizeof own)};
	CK_OBJECT_HANDLE h2 = 0;
	assert_rv(C_GenerateKeyPair(s, MECH(CKM_EC_KEY_PAIR_GEN), pub, 3, NULL, 0, &h, &h2),
		CKR_ATTRIBUTE_TYPE_INVALID);
	assert_rv(C_GenerateKeyPair(s, MECH(CKM_EC_KEY_PAIR_GEN), pub, 2, priv, 1, &h, &h2),
		CKR_ATTRIBUTE_TYPE_INVALID);
	pub[2].type = CKA_WRAP_TEMPLATE;
	priv[0].type = CKA_DERIVE_TEMPLATE;
	assert_rv_ok(C_GenerateKeyPair(s, MECH(CKM_EC_KEY_PAIR_GEN), pub, 3, priv, 1, &h, &h2));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, p11_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(only_what_matches_is_wrapped),
		TEST(a_copy_does_not_shake_it_off),
		TEST(what_is_unwrapped_gets_the_attributes),
		TEST(a_template_inside_makes_nothing_that_is_forbidden),
		TEST(what_is_derived_gets_the_attributes),
		TEST(derived_data_has_what_was_asked_for),
		TEST(it_is_given_out_in_as_many_steps_as_the_caller_likes),
		TEST(a_search_compares_what_is_in_it),
		TEST(hostile_templates_inside_are_refused),
		TEST(not_every_key_has_every_template),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
