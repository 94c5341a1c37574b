/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Remote cryptography: encrypt, decrypt, wrapKey, unwrapKey, sign, verify with keys that stay where
 * they are. Asymmetric keys in both services, oct keys in Managed HSM.
 */
#include <jansson.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/codec.h"
#include "base/secret.h"
#include "lab/lab_jwt.h"
#include "lab/lab_vault.h"

enum { OUT_MAX = 8192, IN_MAX = 4096, GCM_IV = 12, GCM_TAG = 16 };

enum family { F_RSA_SIGN, F_EC_SIGN, F_RSA_CRYPT, F_GCM, F_KW, F_CBC, F_CBC_PAD };

static const struct alg {
	const char *name;
	enum family family;
	const char *md; /* RSA, EC */
	int padding; /* RSA */
	const char *crv; /* EC */
	unsigned bits; /* oct */
	const char *cipher;
} algs[] = {
	{"RS256", F_RSA_SIGN, "SHA256", RSA_PKCS1_PADDING, NULL, 0, NULL},
	{"RS384", F_RSA_SIGN, "SHA384", RSA_PKCS1_PADDING, NULL, 0, NULL},
	{"RS512", F_RSA_SIGN, "SHA512", RSA_PKCS1_PADDING, NULL, 0, NULL},
	{"PS256", F_RSA_SIGN, "SHA256", RSA_PKCS1_PSS_PADDING, NULL, 0, NULL},
	{"PS384", F_RSA_SIGN, "SHA384", RSA_PKCS1_PSS_PADDING, NULL, 0, NULL},
	{"PS512", F_RSA_SIGN, "SHA512", RSA_PKCS1_PSS_PADDING, NULL, 0, NULL},
	{"ES256", F_EC_SIGN, "SHA256", 0, "P-256", 0, NULL},
	{"ES256K", F_EC_SIGN, "SHA256", 0, "P-256K", 0, NULL},
	{"ES384", F_EC_SIGN, "SHA384", 0, "P-384", 0, NULL},
	{"ES512", F_EC_SIGN, "SHA512", 0, "P-521", 0, NULL},
	{"RSA1_5", F_RSA_CRYPT, NULL, RSA_PKCS1_PADDING, NULL, 0, NULL},
	{"RSA-OAEP", F_RSA_CRYPT, "SHA1", RSA_PKCS1_OAEP_PADDING, NULL, 0, NULL},
	{"RSA-OAEP-256", F_RSA_CRYPT, "SHA256", RSA_PKCS1_OAEP_PADDING, NULL, 0, NULL},
	{"A128GCM", F_GCM, NULL, 0, NULL, 128, "AES-128-GCM"},
	{"A192GCM", F_GCM, NULL, 0, NULL, 192, "AES-192-GCM"},
	{"A256GCM", F_GCM, NULL, 0, NULL, 256, "AES-256-GCM"},
	{"A128KW", F_KW, NULL, 0, NULL, 128, "AES-128-WRAP"},
	{"A192KW", F_KW, NULL, 0, NULL, 192, "AES-192-WRAP"},
	{"A256KW", F_KW, NULL, 0, NULL, 256, "AES-256-WRAP"},
	{"A128CBC", F_CBC, NULL, 0, NULL, 128, "AES-128-CBC"},
	{"A192CBC", F_CBC, NULL, 0, NULL, 192, "AES-192-CBC"},
	{"A256CBC", F_CBC, NULL, 0, NULL, 256, "AES-256-CBC"},
	{"A128CBCPAD", F_CBC_PAD, NULL, 0, NULL, 128, "AES-128-CBC"},
	{"A192CBCPAD", F_CBC_PAD, NULL, 0, NULL, 192, "AES-192-CBC"},
	{"A256CBCPAD", F_CBC_PAD, NULL, 0, NULL, 256, "AES-256-CBC"},
};

enum op { O_ENCRYPT, O_DECRYPT, O_WRAP, O_UNWRAP, O_SIGN, O_VERIFY, O_COUNT_ };

/* Keys outside their time still undo what they did. */
static const struct {
	const char *path, *key_op;
	bool always;
} ops[O_COUNT_] = {
	[O_ENCRYPT] = {"encrypt", "encrypt", false},
	[O_DECRYPT] = {"decrypt", "decrypt", true},
	[O_WRAP] = {"wrapkey", "wrapKey", false},
	[O_UNWRAP] = {"unwrapkey", "unwrapKey", true},
	[O_SIGN] = {"sign", "sign", false},
	[O_VERIFY] = {"verify", "verify", true},
};

struct crypt {
	enum op op;
	const struct alg *alg;
	char kid[256];
	enum lab_key_type type;
	EVP_PKEY *pkey;
	uint8_t oct[64];
	size_t n_oct;
	struct vs_buf value, digest, iv, aad, tag;
	struct vs_buf out;
};

static void
crypt_done(struct crypt *c)
{
	EVP_PKEY_free(c->pkey);
	vs_wipe(c->oct, sizeof(c->oct));
	vs_buf_done(&c->value);
	vs_buf_done(&c->digest);
	vs_buf_done(&c->iv);
	vs_buf_done(&c->aad);
	vs_buf_done(&c->tag);
	vs_buf_done(&c->out);
	ERR_clear_error();
}

static void
json_done(json_t **j)
{
	json_decref(*j);
}

/* ---- the key -------------------------------------------------------------------------------- */

static bool
listed(const json_t *list, const char *op)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		if (strcmp(json_string_value(json_array_get(list, i)), op) == 0)
			return true;
	return false;
}

/* Why the key may not do this now, or NULL; the inner codes are the lab's but for KeyDisabled. */
static const char *
forbidden(const struct lab_vault *v, const struct lab_version *k, enum op op, char text[128])
{
	const int64_t now = lab_now(v->lab);
	const char *why = NULL, *inner = NULL;
	if (!k->enabled) {
		why = "allowed on a disabled key";
		inner = "KeyDisabled";
	} else if (!listed(k->key_ops, ops[op].key_op)) {
		why = "permitted on this key";
		inner = "KeyOperationForbidden";
	} else if (!ops[op].always && k->nbf != 0 && now < k->nbf) {
		why = "allowed on a key that is not yet valid";
		inner = "KeyNotYetValid";
	} else if (!ops[op].always && k->exp != 0 && now >= k->exp) {
		why = "allowed on an expired key";
		inner = "KeyExpired";
	}
	if (why != NULL)
		(void)snprintf(text, 128, "Operation %s is not %s.", ops[op].path, why);
	return inner;
}

static bool
take_key(struct lab_vault *v, const char *name, const char *version, struct crypt *c,
	struct lab_resp *resp)
{
	char text[128] = "";
	const char *inner = NULL;
	pthread_mutex_lock(&v->lock);
	const struct lab_key *k = lab_key_find(v, name);
	const struct lab_version *found =
		k != NULL && k->deleted == 0 ? lab_key_version(k, version) : NULL;
	if (found != NULL && (inner = forbidden(v, found, c->op, text)) == NULL) {
		(void)snprintf(c->kid, sizeof(c->kid), "%s/keys/%s/%s", lab_vault_url(v), k->name,
			found->id);
		c->type = found->type;
		c->pkey = found->pkey;
		if (c->pkey != NULL)
			EVP_PKEY_up_ref(c->pkey);
		memcpy(c->oct, found->oct, sizeof(c->oct));
		c->n_oct = found->n_oct;
	}
	pthread_mutex_unlock(&v->lock);
	if (found == NULL)
		lab_vault_not_found(v, resp, name);
	else if (inner != NULL)
		lab_vault_refuse(v, resp, 403, "Forbidden", NULL, text, inner);
	return found != NULL && inner == NULL;
}

/* ---- the request ---------------------------------------------------------------------------- */

static bool
read_bytes(const json_t *body, const char *name, bool required, struct vs_buf *out)
{
	const char *text = lab_json_text(body, name);
	out->max = IN_MAX;
	if (text == NULL)
		return !required && json_object_get(body, name) == NULL;
	return !vs_failed(vs_b64_any_decode(vs_bytes_str(text), out, NULL)) &&
		(!required || out->n > 0);
}

static bool
family_ok(const struct crypt *c)
{
	const enum family f = c->alg->family;
	const bool is_sign = f == F_RSA_SIGN || f == F_EC_SIGN;
	if ((c->op == O_SIGN || c->op == O_VERIFY) != is_sign)
		return false;
	if (c->op == O_WRAP || c->op == O_UNWRAP)
		return f == F_RSA_CRYPT || f == F_KW;
	return f != F_KW;
}

/* Whether the key is of the kind that the algorithm is for. */
static bool
kind_ok(const struct crypt *c)
{
	const struct lab_key_row *row = lab_key_row(c->type);
	if (c->alg->bits != 0)
		return c->n_oct * 8 == c->alg->bits;
	if (c->alg->crv != NULL)
		return row->crv != NULL && strcmp(row->crv, c->alg->crv) == 0;
	return strcmp(row->kty, "RSA") == 0;
}

static const char *
read_request(const json_t *body, struct crypt *c)
{
	const char *name = lab_json_text(body, "alg");
	for (size_t i = 0; name != NULL && i < sizeof(algs) / sizeof(algs[0]); i++)
		if (strcmp(algs[i].name, name) == 0)
			c->alg = &algs[i];
	if (c->alg == NULL || !family_ok(c) || !kind_ok(c))
		return "Property alg has invalid value";
	const bool gcm = c->alg->family == F_GCM, cbc = c->alg->family >= F_CBC;
	if (!read_bytes(body, "value", true, &c->value))
		return "Property value has invalid value";
	if (!read_bytes(body, "digest", c->op == O_VERIFY, &c->digest))
		return "Property digest has invalid value";
	if (!read_bytes(body, "iv", cbc || (gcm && c->op == O_DECRYPT), &c->iv) ||
		(cbc && c->iv.n != 16) || (gcm && c->iv.n != 0 && c->iv.n != GCM_IV))
		return "Property iv has invalid value";
	if (!read_bytes(body, "aad", false, &c->aad) ||
		!read_bytes(body, "tag", gcm && c->op == O_DECRYPT, &c->tag) ||
		(c->tag.n != 0 && c->tag.n != GCM_TAG))
		return "Property tag has invalid value";
	const struct vs_buf *hash = c->op == O_VERIFY ? &c->digest : &c->value;
	if (c->alg->family <= F_EC_SIGN &&
		hash->n != (size_t)EVP_MD_get_size(EVP_get_digestbyname(c->alg->md)))
		return "The digest has another length than the algorithm's";
	return NULL;
}

/* ---- asymmetric ----------------------------------------------------------------------------- */

static bool
set_rsa(EVP_PKEY_CTX *ctx, const struct alg *a)
{
	const EVP_MD *md = a->md != NULL ? EVP_get_digestbyname(a->md) : NULL;
	if (EVP_PKEY_CTX_set_rsa_padding(ctx, a->padding) != 1)
		return false;
	if (a->family == F_RSA_CRYPT)
		return md == NULL ||
			(EVP_PKEY_CTX_set_rsa_oaep_md(ctx, md) == 1 &&
				EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, md) == 1);
	return EVP_PKEY_CTX_set_signature_md(ctx, md) == 1 &&
		(a->padding != RSA_PKCS1_PSS_PADDING ||
			EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1);
}

/* r and s side by side, as JWS has it, from and to DER. */
static bool
raw_of_der(const struct crypt *c, const uint8_t *der, size_t n, struct vs_buf *out)
{
	uint8_t raw[2 * 66];
	const int width = (EVP_PKEY_get_bits(c->pkey) + 7) / 8;
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)n);
	const bool ok = sig != NULL && BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, width) == width &&
		BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + width, width) == width &&
		!vs_failed(vs_buf_add(out, raw, 2 * (size_t)width, NULL));
	ECDSA_SIG_free(sig);
	return ok;
}

static int
der_of_raw(const struct crypt *c, uint8_t **der)
{
	const size_t width = ((size_t)EVP_PKEY_get_bits(c->pkey) + 7) / 8;
	int n = 0;
	*der = NULL;
	if (c->value.n != 2 * width)
		return 0;
	ECDSA_SIG *sig = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(c->value.p, (int)width, NULL),
	       *s = BN_bin2bn(c->value.p + width, (int)width, NULL);
	if (sig != NULL && r != NULL && s != NULL && ECDSA_SIG_set0(sig, r, s) == 1) {
		n = i2d_ECDSA_SIG(sig, der);
	} else {
		BN_free(r);
		BN_free(s);
	}
	ECDSA_SIG_free(sig);
	return n;
}

static bool
verify(const struct crypt *c, EVP_PKEY_CTX *ctx)
{
	uint8_t *der = NULL;
	const bool ec = c->alg->family == F_EC_SIGN;
	const int n = ec ? der_of_raw(c, &der) : (int)c->value.n;
	const bool ok = n > 0 && EVP_PKEY_verify_init(ctx) == 1 && (ec || set_rsa(ctx, c->alg)) &&
		EVP_PKEY_verify(ctx, ec ? der : c->value.p, (size_t)n, c->digest.p, c->digest.n) ==
			1;
	OPENSSL_free(der);
	return ok;
}

static bool
asymmetric(struct crypt *c, bool *verified)
{
	uint8_t out[1024];
	size_t n = sizeof(out);
	const bool ec = c->alg->family == F_EC_SIGN;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(c->pkey, NULL);
	bool ok = ctx != NULL;
	if (c->op == O_VERIFY) {
		*verified = ok && verify(c, ctx);
	} else if (c->op == O_SIGN) {
		ok = ok && EVP_PKEY_sign_init(ctx) == 1 && (ec || set_rsa(ctx, c->alg)) &&
			EVP_PKEY_sign(ctx, out, &n, c->value.p, c->value.n) == 1;
		ok = ok &&
			(ec ? raw_of_der(c, out, n, &c->out)
			    : !vs_failed(vs_buf_add(&c->out, out, n, NULL)));
	} else if (c->op == O_ENCRYPT || c->op == O_WRAP) {
		ok = ok && EVP_PKEY_encrypt_init(ctx) == 1 && set_rsa(ctx, c->alg) &&
			EVP_PKEY_encrypt(ctx, out, &n, c->value.p, c->value.n) == 1 &&
			!vs_failed(vs_buf_add(&c->out, out, n, NULL));
	} else {
		ok = ok && EVP_PKEY_decrypt_init(ctx) == 1 && set_rsa(ctx, c->alg) &&
			EVP_PKEY_decrypt(ctx, out, &n, c->value.p, c->value.n) == 1 &&
			!vs_failed(vs_buf_add(&c->out, out, n, NULL));
	}
	vs_wipe(out, sizeof(out));
	EVP_PKEY_CTX_free(ctx);
	return ok;
}

/* ---- symmetric ------------------------------------------------------------------------------ */

static bool
symmetric(struct crypt *c)
{
	uint8_t out[OUT_MAX], iv[GCM_IV];
	int n = 0, last = 0, unused = 0;
	const bool seal = c->op == O_ENCRYPT || c->op == O_WRAP, gcm = c->alg->family == F_GCM;
	if (gcm && seal &&
		(vs_failed(lab_random(iv, sizeof(iv), NULL)) ||
			vs_failed(vs_buf_set(&c->iv, iv, sizeof(iv), NULL))))
		return false;
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, c->alg->cipher, NULL);
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	bool ok = cipher != NULL && ctx != NULL;
	if (ok)
		EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
	ok = ok && EVP_CipherInit_ex2(ctx, cipher, c->oct, c->iv.p, seal, NULL) == 1 &&
		EVP_CIPHER_CTX_set_padding(ctx, c->alg->family == F_CBC_PAD) == 1;
	if (ok && gcm && !seal)
		ok = EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, GCM_TAG, c->tag.p) == 1;
	if (ok && c->aad.n > 0)
		ok = gcm && EVP_CipherUpdate(ctx, NULL, &unused, c->aad.p, (int)c->aad.n) == 1;
	ok = ok && EVP_CipherUpdate(ctx, out, &n, c->value.p, (int)c->value.n) == 1 &&
		EVP_CipherFinal_ex(ctx, out + n, &last) == 1 &&
		!vs_failed(vs_buf_add(&c->out, out, (size_t)(n + last), NULL));
	if (ok && gcm && seal) {
		uint8_t tag[GCM_TAG];
		ok = EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, GCM_TAG, tag) == 1 &&
			!vs_failed(vs_buf_set(&c->tag, tag, sizeof(tag), NULL));
	}
	vs_wipe(out, sizeof(out));
	EVP_CIPHER_CTX_free(ctx);
	EVP_CIPHER_free(cipher);
	return ok;
}

/* ---- the answer ----------------------------------------------------------------------------- */

static void
add_bytes(json_t *o, const char *name, const struct vs_buf *b)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {0};
	if (!vs_failed(vs_b64url_encode(vs_buf_view(b), &text, NULL)))
		(void)json_object_set_new(o, name, json_string(vs_buf_cstr(&text)));
}

static json_t *
result(const struct crypt *c)
{
	json_t *o = json_pack("{s:s}", "kid", c->kid);
	add_bytes(o, "value", &c->out);
	if (c->alg->family >= F_GCM && c->alg->family != F_KW && c->op == O_ENCRYPT) {
		add_bytes(o, "iv", &c->iv);
		if (c->alg->family == F_GCM)
			add_bytes(o, "tag", &c->tag);
		if (c->aad.n > 0)
			add_bytes(o, "aad", &c->aad);
	}
	return o;
}

bool
lab_vault_crypt(struct lab_vault *v, const struct lab_req *req, const char *name,
	const char *version, const char *operation, struct lab_resp *resp)
{
	VS_CLEANUP(crypt_done) struct crypt c = {.op = O_ENCRYPT};
	bool verified = false;
	while (c.op < O_COUNT_ && strcasecmp(ops[c.op].path, operation) != 0)
		c.op++;
	if (c.op == O_COUNT_)
		return false;
	VS_CLEANUP(json_done) json_t *body = lab_vault_body(v, req, resp);
	if (body == NULL || !take_key(v, name, version, &c, resp))
		return true;
	const char *bad = read_request(body, &c);
	if (bad == NULL && !(c.alg->bits != 0 ? symmetric(&c) : asymmetric(&c, &verified)))
		bad = "The parameter is incorrect.";
	if (bad != NULL)
		lab_vault_refuse(v, resp, 400, "BadParameter", NULL, bad, NULL);
	else if (c.op == O_VERIFY)
		lab_vault_answer(v, resp, 200, json_pack("{s:b}", "value", verified));
	else
		lab_vault_answer(v, resp, 200, result(&c));
	return true;
}
