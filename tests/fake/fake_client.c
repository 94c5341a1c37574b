/* SPDX-License-Identifier: BSD-2-Clause */
#include "fake/fake_client.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/provider.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

struct vs_grant {
	_Atomic unsigned refs;
	struct vs_page *page;
	struct vs_uses *uses;
};

struct vs_client {
	struct vs_arena *arena;
};

static struct fake_agent agent;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* The real client uses no lock of its parent; neither does this one. */
static void
lock_anew(void)
{
	(void)pthread_mutex_init(&lock, NULL);
}

__attribute__((constructor)) static void
watch_forks(void)
{
	(void)pthread_atfork(NULL, NULL, lock_anew);
}

/* ---- keys ---------------------------------------------------------------------------------------
 */

static struct vs_bytes
keep(const void *p, size_t n)
{
	uint8_t *copy = malloc(n ? n : 1);
	if (copy == NULL)
		abort();
	memcpy(copy, p, n);
	return (struct vs_bytes){copy, n};
}

static struct vs_bytes
number(const EVP_PKEY *key, const char *name, size_t fixed)
{
	BIGNUM *bn = NULL;
	uint8_t out[1024];
	if (EVP_PKEY_get_bn_param(key, name, &bn) != 1)
		abort();
	const int n = fixed ? BN_bn2binpad(bn, out, (int)fixed) : BN_bn2bin(bn, out);
	BN_free(bn);
	return keep(out, (size_t)n);
}

static void
certify(struct fake_key *k, EVP_PKEY *key)
{
	X509 *x = X509_new();
	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 4711);
	X509_gmtime_adj(X509_getm_notBefore(x), -3600);
	X509_gmtime_adj(X509_getm_notAfter(x), 86400 * 30);
	X509_NAME_add_entry_by_txt(
		X509_get_subject_name(x), "CN", MBSTRING_ASC, (const uint8_t *)k->name, -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	X509_set_pubkey(x, key);
	if (X509_sign(x, key, EVP_sha256()) == 0)
		abort();
	uint8_t *der = NULL;
	int n = i2d_X509(x, &der);
	k->cert = keep(der, (size_t)n);
	OPENSSL_free(der);
	der = NULL;
	n = i2d_X509_NAME(X509_get_subject_name(x), &der);
	k->subject = k->issuer = keep(der, (size_t)n);
	OPENSSL_free(der);
	der = NULL;
	n = i2d_ASN1_INTEGER(X509_get_serialNumber(x), &der);
	k->serial = keep(der, (size_t)n);
	OPENSSL_free(der);
	X509_free(x);
}

/* ---- files --------------------------------------------------------------------------------------
 */

/*
 * With VOUCHSAFE_FAKE_DIR the keys are in files there, so that several processes see the same, and
 * so that a process whose OpenSSL leads back to this module needs none of it here.
 */
static FILE *
open_stored(const char *name, const char *end, const char *how)
{
	char path[512];
	const char *dir = secure_getenv("VOUCHSAFE_FAKE_DIR");
	if (dir == NULL)
		return NULL;
	snprintf(path, sizeof path, "%s/%s.%s", dir, name, end);
	return fopen(path, how);
}

enum { N_BLOBS = 10 };

static void
blobs_of(struct fake_key *k, struct vs_bytes *blobs[N_BLOBS])
{
	struct vs_bytes *all[N_BLOBS] = {&k->n, &k->e, &k->x, &k->y, &k->spki, &k->cert,
		&k->subject, &k->issuer, &k->serial, &k->secret};
	memcpy(blobs, all, sizeof all);
}

static bool
load(struct fake_key *k)
{
	struct vs_bytes *blobs[N_BLOBS];
	uint8_t buf[8192];
	FILE *f = open_stored(k->name, "data", "r");
	if (f == NULL)
		return false;
	blobs_of(k, blobs);
	bool ok = fread(k->id, sizeof k->id, 1, f) == 1;
	for (size_t i = 0; ok && i < N_BLOBS; i++) {
		size_t n = 0;
		ok = fread(&n, sizeof n, 1, f) == 1 && n <= sizeof buf && fread(buf, 1, n, f) == n;
		if (ok)
			*blobs[i] = keep(buf, n);
	}
	fclose(f);
	return ok;
}

static void
save(struct fake_key *k, EVP_PKEY *key)
{
	struct vs_bytes *blobs[N_BLOBS];
	FILE *f = open_stored(k->name, "pem", "w");
	if (f == NULL)
		return;
	PEM_write_PKCS8PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
	fclose(f);
	f = open_stored(k->name, "data", "w");
	if (f == NULL)
		return;
	blobs_of(k, blobs);
	fwrite(k->id, sizeof k->id, 1, f);
	for (size_t i = 0; i < N_BLOBS; i++) {
		fwrite(&blobs[i]->n, sizeof blobs[i]->n, 1, f);
		fwrite(blobs[i]->p, 1, blobs[i]->n, f);
	}
	fclose(f);
}

static void
add_pair(const char *name, EVP_PKEY *(*make_key)(OSSL_LIB_CTX *), enum vs_key_type type,
	enum vs_curve curve, uint32_t bits, uint32_t ops)
{
	static OSSL_LIB_CTX *ctx;
	struct fake_key *k = &agent.keys[agent.n_keys++];
	uint8_t *der = NULL;
	*k = (struct fake_key){
		.name = name, .type = type, .curve = curve, .bits = bits, .ops = ops};
	if (load(k))
		return;
	if (ctx == NULL) {
		ctx = OSSL_LIB_CTX_new();
		OSSL_PROVIDER_load(ctx, "default");
	}
	EVP_PKEY *key = make_key(ctx);
	if (key == NULL)
		abort();
	int n = i2d_PUBKEY(key, &der);
	k->spki = keep(der, (size_t)n);
	SHA1(der, (size_t)n, k->id);
	OPENSSL_free(der);
	der = NULL;
	PKCS8_PRIV_KEY_INFO *p8 = EVP_PKEY2PKCS8(key);
	n = i2d_PKCS8_PRIV_KEY_INFO(p8, &der);
	k->secret = keep(der, (size_t)n);
	OPENSSL_free(der);
	PKCS8_PRIV_KEY_INFO_free(p8);
	if (type == VS_KEY_RSA) {
		k->n = number(key, OSSL_PKEY_PARAM_RSA_N, 0);
		k->e = number(key, OSSL_PKEY_PARAM_RSA_E, 0);
	} else {
		k->x = number(key, OSSL_PKEY_PARAM_EC_PUB_X, (bits + 7) / 8);
		k->y = number(key, OSSL_PKEY_PARAM_EC_PUB_Y, (bits + 7) / 8);
	}
	certify(k, key);
	save(k, key);
	EVP_PKEY_free(key);
}

static void
add_aes(const char *name, size_t n, uint32_t ops)
{
	struct fake_key *k = &agent.keys[agent.n_keys++];
	uint8_t octets[32];
	*k = (struct fake_key){
		.name = name, .type = VS_KEY_AES, .bits = (uint32_t)n * 8, .ops = ops};
	/* Fixed, so that what the module encrypts can be looked at from outside. */
	for (size_t i = 0; i < n; i++)
		octets[i] = (uint8_t)(i + n);
	k->secret = keep(octets, n);
	snprintf((char *)k->id, sizeof k->id, "id of %s", name);
}

static EVP_PKEY *
make_rsa(OSSL_LIB_CTX *ctx)
{
	return EVP_PKEY_Q_keygen(ctx, NULL, "RSA", (size_t)2048);
}

static EVP_PKEY *
make_p256(OSSL_LIB_CTX *ctx)
{
	return EVP_PKEY_Q_keygen(ctx, NULL, "EC", "P-256");
}

static EVP_PKEY *
make_p384(OSSL_LIB_CTX *ctx)
{
	return EVP_PKEY_Q_keygen(ctx, NULL, "EC", "P-384");
}

static void
make(void)
{
	enum {
		RSA_OPS = VS_KOP_SIGN | VS_KOP_VERIFY | VS_KOP_ENCRYPT | VS_KOP_DECRYPT |
			VS_KOP_WRAP | VS_KOP_UNWRAP
	};
	add_pair("rsa2048", make_rsa, VS_KEY_RSA, VS_CURVE_NONE, 2048, RSA_OPS);
	add_pair(
		"rsa-sign", make_rsa, VS_KEY_RSA, VS_CURVE_NONE, 2048, VS_KOP_SIGN | VS_KOP_VERIFY);
	add_pair("ec256", make_p256, VS_KEY_EC, VS_CURVE_P256, 256,
		VS_KOP_SIGN | VS_KOP_VERIFY | VS_KOP_DERIVE);
	add_pair("ec384", make_p384, VS_KEY_EC, VS_CURVE_P384, 384, VS_KOP_SIGN | VS_KOP_VERIFY);
	add_aes("aes256", 32,
		VS_KOP_ENCRYPT | VS_KOP_DECRYPT | VS_KOP_WRAP | VS_KOP_UNWRAP | VS_KOP_DERIVE);
	add_aes("aes-wrap", 32, VS_KOP_WRAP | VS_KOP_UNWRAP);
}

struct fake_agent *
fake_agent(void)
{
	pthread_once(&once, make);
	return &agent;
}

void
fake_reset(void)
{
	struct fake_agent *a = fake_agent();
	a->catalog_code = a->need_code = a->key_code = 0;
	a->lie = a->garbage = false;
	a->lease_ms = 0;
	a->need_delay_ms = 0;
	a->n_new = a->n_catalog = a->n_need = a->n_key = 0;
	a->generation = 1;
	a->n_extra = 0;
	a->last_pin[0] = '\0';
	a->page = NULL;
	a->uses = NULL;
	a->profile = (struct vs_profile){
		.n_tokens = 2,
		.lab = true,
		.tokens = {{.label = "lab-vault", .serial = "0123456789abcdef"},
			{.label = "lab-hsm", .serial = "fedcba9876543210"}},
	};
}

/* ---- leases -------------------------------------------------------------------------------------
 */

void
fake_revoke(enum vs_code reason)
{
	agent.page->reason = (uint32_t)reason;
	agent.page->state = VS_PAGE_REVOKED;
}

/* For who makes more leases than a process may have mappings; the module must be finalised. */
enum { LEASES_MAX = 1024 };
static struct {
	void *page, *uses;
} leases[LEASES_MAX];
static size_t n_leases;

void
fake_forget_leases(void)
{
	for (size_t i = 0; i < n_leases; i++) {
		munmap(leases[i].page, VS_PAGE_BYTES);
		munmap(leases[i].uses, VS_USES_BYTES);
	}
	n_leases = 0;
	agent.page = NULL;
	agent.uses = NULL;
}

void
fake_extend_lease(int64_t ms)
{
	const int64_t until = vs_boot_now_ns() + ms * 1000000;
	agent.page->grace_until_boot_ns = until;
	agent.page->valid_until_boot_ns = until;
}

void
fake_end_lease(void)
{
	agent.page->valid_until_boot_ns = agent.page->grace_until_boot_ns = vs_boot_now_ns() - 1;
}

void
fake_key_gone(const char *name)
{
	for (size_t i = 0; i < agent.n_keys; i++) {
		if (strcmp(agent.keys[i].name, name) == 0)
			agent.page->key[i] = VS_PAGE_KEY_GONE;
	}
}

/* ---- client/client.h
 * ------------------------------------------------------------------------------ */

static VS_RC
answer(int code, struct vs_err *err)
{
	if (code == 0)
		return VS_OK;
	return vs_err_put(err, vs_code_from_number((unsigned long)code), __func__, __LINE__, 0,
		"the agent made of data was told to say so");
}

VS_RC
vs_client_new(const struct vs_profile *profile, struct vs_arena *arena, struct vs_client **ret,
	struct vs_err *err)
{
	(void)profile;
	struct vs_client *c = calloc(1, sizeof *c);
	if (c == NULL)
		VS_FAIL(err, MEMORY, "out of memory");
	fake_agent()->n_new++;
	c->arena = arena;
	*ret = c;
	return VS_OK;
}

void
vs_client_free(struct vs_client *c)
{
	free(c);
}

void
vs_client_abandon(struct vs_client *c)
{
	free(c);
}

/* Room for one entry's texts in the catalog's block. */
enum { ENTRY_BYTES = 320 };

static struct vs_bytes
put(uint8_t **at, const void *p, size_t n)
{
	const struct vs_bytes v = {*at, n};
	memcpy(*at, p, n);
	*at += n;
	return v;
}

static struct vs_cat_entry
entry(const struct fake_key *k, const char *name, const uint8_t *id, size_t token, uint8_t *room)
{
	static const char version[] = "00000000000000000000000000000001";
	char kid[160];
	const int n = snprintf(
		kid, sizeof kid, "https://fake%zu.localhost/keys/%s/%s", token, name, version);
	return (struct vs_cat_entry){
		.name = put(&room, name, strlen(name)),
		.version = put(&room, version, sizeof version - 1),
		.kid = put(&room, kid, (size_t)n),
		.id = put(&room, id, 20),
		.type = k->type,
		.curve = k->curve,
		.bits = k->bits,
		.ops = k->ops,
		.enabled = true,
		.n = k->n,
		.e = k->e,
		.x = k->x,
		.y = k->y,
		.spki = k->spki,
		.cert = k->cert,
		.cert_subject = k->subject,
		.cert_issuer = k->issuer,
		.cert_serial = k->serial,
	};
}

VS_RC
vs_client_catalog(struct vs_client *c, size_t token, uint64_t known, int64_t deadline_boot_ns,
	struct vs_catalog_data **ret, struct vs_err *err)
{
	struct fake_agent *a = fake_agent();
	(void)c;
	(void)deadline_boot_ns;
	a->n_catalog++;
	VS_TRY(answer(a->catalog_code, err));
	*ret = NULL;
	if (known == a->generation)
		return VS_OK;
	struct vs_catalog_data *d = calloc(1, sizeof *d);
	d->generation = a->generation;
	d->n = a->n_keys + a->n_extra;
	d->entries = calloc(d->n, sizeof *d->entries);
	d->block.p = malloc(d->n * ENTRY_BYTES);
	d->block.n = d->block.cap = d->n * ENTRY_BYTES;
	uint8_t *room = d->block.p;
	for (size_t i = 0; i < a->n_keys; i++, room += ENTRY_BYTES)
		d->entries[i] = entry(&a->keys[i], a->keys[i].name, a->keys[i].id, token, room);
	for (size_t i = 0; i < a->n_extra; i++, room += ENTRY_BYTES) {
		char name[32];
		uint8_t id[20] = {0x5a};
		snprintf(name, sizeof name, "extra-%zu", i);
		memcpy(id + 1, &i, sizeof i);
		struct vs_cat_entry e = entry(&a->keys[0], name, id, token, room);
		e.cert = (struct vs_bytes){NULL, 0};
		d->entries[a->n_keys + i] = e;
	}
	*ret = d;
	return VS_OK;
}

VS_RC
vs_client_need(struct vs_client *c, size_t token, const char *pin, size_t pin_len,
	int64_t deadline_boot_ns, struct vs_grant **ret, struct vs_err *err)
{
	struct fake_agent *a = fake_agent();
	(void)c;
	(void)token;
	(void)deadline_boot_ns;
	if (a->need_delay_ms) {
		const struct timespec ts = {
			a->need_delay_ms / 1000, a->need_delay_ms % 1000 * 1000000L};
		nanosleep(&ts, NULL);
	}
	pthread_mutex_lock(&lock);
	a->n_need++;
	snprintf(a->last_pin, sizeof a->last_pin, "%.*s", (int)pin_len, pin ? pin : "");
	const vs_rc rc = answer(a->need_code, err);
	if (!vs_failed(rc)) {
		struct vs_grant *g = calloc(1, sizeof *g);
		g->refs = 1;
		/* Never unmapped here: a test may look at it after the module let go. */
		g->page = mmap(NULL, VS_PAGE_BYTES, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		g->page->magic = VS_PAGE_MAGIC;
		g->page->version = VS_PAGE_VERSION;
		const int64_t until =
			vs_boot_now_ns() + (a->lease_ms ? a->lease_ms : 3600000) * 1000000;
		g->page->valid_until_boot_ns = until;
		g->page->grace_until_boot_ns = until;
		g->page->state = VS_PAGE_LIVE;
		a->page = g->page;
		g->uses = a->uses = mmap(NULL, VS_USES_BYTES, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		if (n_leases < LEASES_MAX) {
			leases[n_leases].page = g->page;
			leases[n_leases++].uses = g->uses;
		}
		*ret = g;
	}
	pthread_mutex_unlock(&lock);
	return rc;
}

struct vs_uses *
vs_grant_uses(const struct vs_grant *g)
{
	return g->uses;
}

uint64_t
fake_uses(const char *name)
{
	for (size_t i = 0; i < agent.n_keys; i++) {
		if (agent.uses != NULL && strcmp(agent.keys[i].name, name) == 0)
			return vs_uses_sum(agent.uses, (uint32_t)i);
	}
	return 0;
}

struct vs_grant *
vs_grant_ref(struct vs_grant *g)
{
	g->refs++;
	return g;
}

void
vs_grant_unref(struct vs_grant *g)
{
	if (g != NULL && --g->refs == 0)
		free(g);
}

const struct vs_page *
vs_grant_page(const struct vs_grant *g)
{
	return g->page;
}

VS_RC
vs_client_key(struct vs_client *c, struct vs_grant *g, struct vs_bytes name,
	struct vs_bytes version, int64_t deadline_boot_ns, const struct vs_meanwhile *meanwhile,
	struct vs_secret *ret, uint32_t *ret_key_no, struct vs_err *err)
{
	struct fake_agent *a = fake_agent();
	(void)version;
	(void)deadline_boot_ns;
	a->n_key++;
	if (meanwhile != NULL)
		meanwhile->fn(meanwhile->arg);
	VS_TRY(answer(a->key_code, err));
	if (g->page->state != VS_PAGE_LIVE)
		VS_FAIL(err, REVOKED, "the grant was revoked");
	for (uint32_t i = 0; i < a->n_keys; i++) {
		if (!vs_bytes_eq_str(name, a->keys[i].name))
			continue;
		if (g->page->key[i] == VS_PAGE_KEY_GONE)
			VS_FAIL(err, KEY_GONE, "the key is disabled");
		struct vs_bytes give = a->keys[i].secret;
		if (a->lie)
			give = a->keys[i].type == VS_KEY_RSA   ? a->keys[i ^ 1].secret
				: a->keys[i].type == VS_KEY_EC ? a->keys[i ^ 1].secret
							       : (struct vs_bytes){give.p, 16};
		if (a->garbage)
			give = (struct vs_bytes){(const uint8_t *)"not a key at all", 15};
		VS_TRY(vs_secret_from(c->arena, give.p, give.n, ret, err));
		g->page->key[i] = VS_PAGE_KEY_LIVE;
		*ret_key_no = i;
		return VS_OK;
	}
	VS_FAIL(err, NOT_FOUND, "there is no such key");
}

VS_RC
vs_client_status(struct vs_client *c, size_t token, int64_t deadline_boot_ns,
	struct vs_token_status *ret, struct vs_err *err)
{
	(void)c;
	(void)token;
	(void)deadline_boot_ns;
	(void)ret;
	VS_FAIL(err, AGENT, "an agent made of data has no status");
}

/* ---- client/profile.h
 * ----------------------------------------------------------------------------- */

VS_RC
vs_profile_load(struct vs_profile **ret, struct vs_err *err)
{
	struct vs_profile *p = malloc(sizeof *p);
	if (p == NULL)
		VS_FAIL(err, MEMORY, "out of memory");
	if (fake_agent()->generation == 0)
		fake_reset();
	const char *refuse = secure_getenv("VOUCHSAFE_FAKE_NEED");
	if (refuse != NULL)
		agent.need_code = (int)strtoul(refuse, NULL, 10);
	*p = agent.profile;
	*ret = p;
	return VS_OK;
}

void
vs_profile_free(struct vs_profile *p)
{
	free(p);
}

bool
vs_profile_elevated(void)
{
	return false;
}
