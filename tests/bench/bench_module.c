/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The module as an application loads it, against plain EVP. Usage: bench_module MODULE [--strict |
 * --first | --only TEXT] With a lab around it (vouchsafe-lab run --agent -- bench_module ...) the
 * lab's released keys are used; without one, keys made in the session.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/bench.h"
#include "token/ck.h"

static CK_FUNCTION_LIST *f;
static CK_SLOT_ID slots[2]; /* of the RSA and EC keys; of the AES key */
static CK_OBJECT_HANDLE rsa, rsa_pub, ec, aes;
static CK_SESSION_HANDLE keeper[2]; /* session keys live as long as these */
static CK_BBOOL yes = CK_TRUE;

#define OK(call) \
	do { \
		const CK_RV rv_ = (call); \
		if (rv_ != CKR_OK) \
			bench_die("%s: 0x%lx", #call, (unsigned long)rv_); \
	} while (0)

struct work {
	CK_BYTE in[BENCH_ROOM], out[BENCH_ROOM]; /* first, as in raw.c */
	CK_SESSION_HANDLE session;
	CK_OBJECT_HANDLE key;
	CK_MECHANISM mech;
	CK_RSA_PKCS_PSS_PARAMS pss;
	CK_RSA_PKCS_OAEP_PARAMS oaep;
	struct ck_gcm_params gcm;
	CK_ULONG in_n;
	CK_BYTE iv[16];
};

static struct work *
new_work(int slot, CK_OBJECT_HANDLE key, CK_MECHANISM_TYPE type, CK_ULONG in_n)
{
	struct work *w = bench_alloc(sizeof *w);
	OK(f->C_OpenSession(slots[slot], CKF_SERIAL_SESSION, NULL, NULL, &w->session));
	w->key = key;
	w->mech.mechanism = type;
	w->in_n = in_n;
	return w;
}

static void
drop(void *work)
{
	struct work *w = work;
	OK(f->C_CloseSession(w->session));
	free(w);
}

/* ---- signatures -------------------------------------------------------------------------- */

static void *
make_pkcs1(void)
{
	return new_work(0, rsa, CKM_SHA256_RSA_PKCS, BENCH_TINY);
}

static void *
make_pss(void)
{
	struct work *w = new_work(0, rsa, CKM_SHA256_RSA_PKCS_PSS, BENCH_TINY);
	w->pss = (CK_RSA_PKCS_PSS_PARAMS){CKM_SHA256, CKG_MGF1_SHA256, 32};
	w->mech.pParameter = &w->pss;
	w->mech.ulParameterLen = sizeof w->pss;
	return w;
}

static void *
make_ecdsa(void)
{
	return new_work(0, ec, CKM_ECDSA_SHA256, BENCH_TINY);
}

static void
run_sign(void *work, unsigned n)
{
	struct work *w = work;

	while (n-- != 0) {
		CK_ULONG out_n = sizeof w->out;
		OK(f->C_SignInit(w->session, &w->mech, w->key));
		OK(f->C_Sign(w->session, w->in, w->in_n, w->out, &out_n));
	}
}

static void *
make_oaep(void)
{
	struct work *w = new_work(0, rsa, CKM_RSA_PKCS_OAEP, 0);
	w->oaep =
		(CK_RSA_PKCS_OAEP_PARAMS){CKM_SHA256, CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED, NULL, 0};
	w->mech.pParameter = &w->oaep;
	w->mech.ulParameterLen = sizeof w->oaep;
	w->in_n = sizeof w->in;
	OK(f->C_EncryptInit(w->session, &w->mech, rsa_pub));
	OK(f->C_Encrypt(w->session, w->out, 32, w->in, &w->in_n));
	return w;
}

/* ---- ciphers ----------------------------------------------------------------------------- */

static struct work *
make_gcm(CK_ULONG in_n)
{
	struct work *w = new_work(1, aes, CKM_AES_GCM, in_n);
	w->gcm.pIv = w->iv;
	w->gcm.ulIvLen = 12;
	w->gcm.ulIvBits = 96;
	w->gcm.ulTagBits = 128;
	w->mech.pParameter = &w->gcm;
	w->mech.ulParameterLen = sizeof w->gcm;
	return w;
}

static void
run_encrypt(void *work, unsigned n)
{
	struct work *w = work;

	while (n-- != 0) {
		CK_ULONG out_n = sizeof w->out;
		OK(f->C_EncryptInit(w->session, &w->mech, w->key));
		OK(f->C_Encrypt(w->session, w->in, w->in_n, w->out, &out_n));
	}
}

static void
run_decrypt(void *work, unsigned n)
{
	struct work *w = work;

	while (n-- != 0) {
		CK_ULONG out_n = sizeof w->out;
		OK(f->C_DecryptInit(w->session, &w->mech, w->key));
		OK(f->C_Decrypt(w->session, w->in, w->in_n, w->out, &out_n));
	}
}

static void *
make_gcm_big(void)
{
	return make_gcm(BENCH_BIG);
}

static void *
make_gcm_small(void)
{
	return make_gcm(BENCH_SMALL);
}

static void *
make_gcm_open(void)
{
	struct work *w = make_gcm(BENCH_BIG);
	run_encrypt(w, 1);
	w->in_n = BENCH_BIG + 16;
	memcpy(w->in, w->out, w->in_n);
	return w;
}

static void *
make_digest(void)
{
	return new_work(0, 0, CKM_SHA256, BENCH_SMALL);
}

static void
run_digest(void *work, unsigned n)
{
	struct work *w = work;

	while (n-- != 0) {
		CK_ULONG out_n = sizeof w->out;
		OK(f->C_DigestInit(w->session, &w->mech));
		OK(f->C_Digest(w->session, w->in, w->in_n, w->out, &out_n));
	}
}

static void
run_random(void *work, unsigned n)
{
	struct work *w = work;
	while (n-- != 0)
		OK(f->C_GenerateRandom(w->session, w->out, BENCH_TINY));
}

/* ---- sessions and searches --------------------------------------------------------------- */

static void
run_sessions(void *work, unsigned n)
{
	struct work *w = work;
	(void)w;
	while (n-- != 0) {
		CK_SESSION_HANDLE s = 0;
		OK(f->C_OpenSession(slots[0], CKF_SERIAL_SESSION, NULL, NULL, &s));
		OK(f->C_CloseSession(s));
	}
}

static void
run_find(void *work, unsigned n)
{
	struct work *w = work;
	char label[32];
	CK_ATTRIBUTE t[] = {{CKA_LABEL, label, 0}};
	CK_OBJECT_HANDLE h = 0;

	(void)snprintf(label, sizeof label, "bench-7");
	t[0].ulValueLen = strlen(label);
	while (n-- != 0) {
		CK_ULONG found = 0;
		OK(f->C_FindObjectsInit(w->session, t, 1));
		OK(f->C_FindObjects(w->session, &h, 1, &found));
		OK(f->C_FindObjectsFinal(w->session));
		BENCH_REQUIRE(found == 1);
	}
}

static const struct bench_op our_pkcs1 = {make_pkcs1, run_sign, drop},
			     our_pss = {make_pss, run_sign, drop},
			     our_ecdsa = {make_ecdsa, run_sign, drop},
			     our_oaep = {make_oaep, run_decrypt, drop},
			     our_gcm_16k = {make_gcm_big, run_encrypt, drop},
			     our_gcm_64 = {make_gcm_small, run_encrypt, drop},
			     our_gcm_open = {make_gcm_open, run_decrypt, drop},
			     our_sha256 = {make_digest, run_digest, drop},
			     our_random = {make_digest, run_random, drop},
			     our_sessions = {make_digest, run_sessions, drop},
			     our_find = {make_digest, run_find, drop};

static const struct bench_row rows[] = {
	{"RSA-2048 sign, PKCS#1 SHA-256", &our_pkcs1, &raw_rsa_pkcs1, 0.97},
	{"RSA-2048 sign, PSS SHA-256", &our_pss, &raw_rsa_pss, 0.97},
	{"RSA-2048 decrypt, OAEP SHA-256", &our_oaep, &raw_oaep, 0.97},
	{"ECDSA P-256 sign, SHA-256", &our_ecdsa, &raw_ecdsa, 0.92},
	{"AES-256-GCM encrypt, 16 KiB", &our_gcm_16k, &raw_gcm_16k, 0.95},
	{"AES-256-GCM decrypt, 16 KiB", &our_gcm_open, &raw_gcm_16k_open, 0},
	{"AES-256-GCM encrypt, 64 B", &our_gcm_64, &raw_gcm_64, 0.60},
	{"SHA-256, 64 B", &our_sha256, &raw_sha256, 0.70},
	{"random, 32 B", &our_random, &raw_random, 0.70},
};

/* ---- starting ---------------------------------------------------------------------------- */

static double
resident_kib(void)
{
	long pages = 0;
	FILE *file = fopen("/proc/self/statm", "re");
	BENCH_REQUIRE(file != NULL && fscanf(file, "%*s %ld", &pages) == 1);
	(void)fclose(file);
	return (double)pages * (double)sysconf(_SC_PAGESIZE) / 1024;
}

/* The token of this label, or the first one. */
static CK_SLOT_ID
slot_of(const char *label)
{
	CK_SLOT_ID ids[64];
	CK_ULONG n = 64;
	CK_TOKEN_INFO info;

	OK(f->C_GetSlotList(CK_TRUE, ids, &n));
	BENCH_REQUIRE(n > 0);
	for (CK_ULONG i = 0; i < n; i++) {
		OK(f->C_GetTokenInfo(ids[i], &info));
		if (memcmp(info.label, label, strlen(label)) == 0)
			return ids[i];
	}
	return ids[0];
}

static bool
find_key(CK_SESSION_HANDLE s, CK_OBJECT_CLASS class, const char *label, CK_OBJECT_HANDLE *ret)
{
	CK_ATTRIBUTE t[] = {{CKA_CLASS, &class, sizeof class},
		{CKA_LABEL, (void *)(uintptr_t)label, strlen(label)}};
	CK_ULONG n = 0;

	/* Without an agent nothing is known of the token's own keys. */
	if (f->C_FindObjectsInit(s, t, 2) != CKR_OK)
		return false;
	OK(f->C_FindObjects(s, ret, 1, &n));
	OK(f->C_FindObjectsFinal(s));
	return n == 1;
}

static void
make_session_keys(void)
{
	static const CK_BYTE p256[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
	CK_ULONG bits = 2048, len = 32;
	CK_OBJECT_HANDLE pub = 0;
	CK_ATTRIBUTE sign[] = {{CKA_SIGN, &yes, 1}, {CKA_DECRYPT, &yes, 1}},
		     derive[] = {{CKA_SIGN, &yes, 1}},
		     rsa_t[] = {{CKA_MODULUS_BITS, &bits, sizeof bits}, {CKA_ENCRYPT, &yes, 1}},
		     ec_t[] = {{CKA_EC_PARAMS, (void *)(uintptr_t)p256, sizeof p256}},
		     aes_t[] = {{CKA_VALUE_LEN, &len, sizeof len}, {CKA_ENCRYPT, &yes, 1},
			     {CKA_DECRYPT, &yes, 1}};
	CK_MECHANISM gen_rsa = {CKM_RSA_PKCS_KEY_PAIR_GEN, NULL, 0},
		     gen_ec = {CKM_EC_KEY_PAIR_GEN, NULL, 0}, gen_aes = {CKM_AES_KEY_GEN, NULL, 0};

	slots[1] = slots[0];
	OK(f->C_GenerateKeyPair(keeper[0], &gen_rsa, rsa_t, 2, sign, 2, &rsa_pub, &rsa));
	OK(f->C_GenerateKeyPair(keeper[0], &gen_ec, ec_t, 1, derive, 1, &pub, &ec));
	OK(f->C_GenerateKey(keeper[0], &gen_aes, aes_t, 3, &aes));
}

static void
add_data_objects(unsigned from, unsigned to)
{
	CK_OBJECT_CLASS class = CKO_DATA;
	char label[32];
	CK_OBJECT_HANDLE h = 0;

	for (unsigned i = from; i < to; i++) {
		CK_ATTRIBUTE t[] = {{CKA_CLASS, &class, sizeof class}, {CKA_LABEL, label, 0},
			{CKA_VALUE, label, 4}};
		t[1].ulValueLen = (CK_ULONG)snprintf(label, sizeof label, "bench-%u", i);
		OK(f->C_CreateObject(keeper[0], t, 3, &h));
	}
}

static bool
start_figures(const char *path)
{
	bool good = true;
	const double before = resident_kib();
	void *so = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (so == NULL)
		bench_die("%s", dlerror());
	CK_RV (*get)(CK_FUNCTION_LIST **);
	*(void **)&get = dlsym(so, "C_GetFunctionList");
	BENCH_REQUIRE(get != NULL);
	OK(get(&f));
	const double start = bench_now_ns();
	OK(f->C_Initialize(NULL));
	const double init = bench_now_ns();
	good = bench_figure("C_Initialize", (init - start) / 1e3, "us", 1000) && good;
	good = bench_figure("module's memory after it", resident_kib() - before, "KiB", 2048) &&
		good;

	slots[0] = slot_of("lab-vault");
	OK(f->C_OpenSession(slots[0], CKF_SERIAL_SESSION, NULL, NULL, &keeper[0]));
	slots[1] = slot_of("lab-hsm");
	OK(f->C_OpenSession(slots[1], CKF_SERIAL_SESSION, NULL, NULL, &keeper[1]));
	CK_OBJECT_HANDLE released[4];
	const bool lab = find_key(keeper[0], CKO_PRIVATE_KEY, "ec256", &released[1]) &&
		find_key(keeper[0], CKO_PRIVATE_KEY, "rsa2048", &released[0]) &&
		find_key(keeper[0], CKO_PUBLIC_KEY, "rsa2048", &released[2]) &&
		find_key(keeper[1], CKO_SECRET_KEY, "aes256", &released[3]);
	if (lab) {
		CK_MECHANISM m = {CKM_ECDSA, NULL, 0};
		CK_BYTE digest[32] = {1}, sig[64];
		CK_ULONG n = sizeof sig;
		OK(f->C_SignInit(keeper[0], &m, released[1]));
		OK(f->C_Sign(keeper[0], digest, sizeof digest, sig, &n));
		(void)bench_figure("first signature after C_Initialize",
			(bench_now_ns() - start) / 1e6, "ms", 0);
		ec = released[1];
		rsa = released[0];
		rsa_pub = released[2];
		aes = released[3];
	} else {
		make_session_keys();
	}
	printf("keys: %s\n", lab ? "the lab's, released" : "of the session");
	return good;
}

int
main(int argc, char **argv)
{
	static const unsigned threads[] = {1, 2};
	const char *only = argc > 3 && strcmp(argv[2], "--only") == 0 ? argv[3] : NULL;
	bool good = true;

	if (argc < 2)
		bench_die("usage: bench_module MODULE [--strict | --first | --only TEXT]");
	good = start_figures(argv[1]) && good;
	if (argc > 2 && strcmp(argv[2], "--first") == 0)
		return 0;
	bench_raw_init();
	bench_head("through the module");
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (only == NULL || strstr(rows[i].name, only) != NULL)
			good = bench_compare(&rows[i], threads, 2) && good;
	if (only != NULL)
		return 0;
	(void)putchar('\n');
	good = bench_figure("open and close a session", 1e9 / bench_alone(&our_sessions, 1), "/s",
		       -1e6) &&
		good;
	(void)bench_figure(
		"the same in each of two threads", 1e9 / bench_alone(&our_sessions, 2), "/s", 0);
	add_data_objects(0, 10);
	good = bench_figure("find by label among 10", bench_alone(&our_find, 1), "ns", 3000) &&
		good;
	add_data_objects(10, 10000);
	good = bench_figure("find by label among 10 000", bench_alone(&our_find, 1), "ns", 3000) &&
		good;
	OK(f->C_Finalize(NULL));
	return argc > 2 && strcmp(argv[2], "--strict") == 0 && !good ? 1 : 0;
}
