/* SPDX-License-Identifier: BSD-2-Clause */
#include "token/param.h"

#include <stdlib.h>
#include <string.h>

void
vs_params_done(struct vs_params *p)
{
	for (unsigned i = 0; i < p->n_big; i++)
		free(p->big[i]);
	p->n_big = 0;
	p->small_n = 0;
}

static CK_MECHANISM
load(const void *mechanism)
{
	CK_MECHANISM m;
	memcpy(&m, mechanism, sizeof m);
	return m;
}

VS_CK
vs_param_row(const void *mechanism, CK_FLAGS need, const struct vs_mech **io)
{
	if (mechanism == NULL)
		return CKR_ARGUMENTS_BAD;
	const CK_MECHANISM_TYPE type = load(mechanism).mechanism;
	const struct vs_mech *row = *io;
	if (row == NULL || row->type != type)
		row = vs_mech_find(type);
	if (row == NULL || (row->flags & need) == 0)
		return CKR_MECHANISM_INVALID;
	*io = row;
	return CKR_OK;
}

/* Copy the caller's bytes to where they stay until the operation ends. */
static VS_CK
keep(struct vs_params *p, const void *from, CK_ULONG n, size_t max, struct vs_bytes *ret)
{
	uint8_t *to = NULL;
	if (n > max || (n != 0 && from == NULL))
		return CKR_MECHANISM_PARAM_INVALID;
	if (n <= VS_PARAM_SMALL - p->small_n) {
		to = p->small + p->small_n;
		p->small_n += n;
	} else {
		if (p->n_big == VS_PARAM_COPIES)
			return CKR_MECHANISM_PARAM_INVALID;
		to = malloc(n);
		if (to == NULL)
			return CKR_HOST_MEMORY;
		p->big[p->n_big++] = to;
	}
	if (n != 0)
		memcpy(to, from, n);
	*ret = (struct vs_bytes){to, n};
	return CKR_OK;
}

/* A parameter of exactly this size, by copy. */
static VS_CK
fixed(const CK_MECHANISM *m, void *to, size_t n)
{
	if (m->pParameter == NULL || m->ulParameterLen != n)
		return CKR_MECHANISM_PARAM_INVALID;
	memcpy(to, m->pParameter, n);
	return CKR_OK;
}

static VS_CK
mgf_hash(CK_RSA_PKCS_MGF_TYPE mgf, enum vs_hash *ret)
{
	static const struct {
		CK_RSA_PKCS_MGF_TYPE mgf;
		enum vs_hash hash;
	} table[] = {
		{CKG_MGF1_SHA1, VS_HASH_SHA1},
		{CKG_MGF1_SHA224, VS_HASH_SHA224},
		{CKG_MGF1_SHA256, VS_HASH_SHA256},
		{CKG_MGF1_SHA384, VS_HASH_SHA384},
		{CKG_MGF1_SHA512, VS_HASH_SHA512},
		{CKG_MGF1_SHA3_224, VS_HASH_SHA3_224},
		{CKG_MGF1_SHA3_256, VS_HASH_SHA3_256},
		{CKG_MGF1_SHA3_384, VS_HASH_SHA3_384},
		{CKG_MGF1_SHA3_512, VS_HASH_SHA3_512},
	};
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		if (table[i].mgf == mgf) {
			*ret = table[i].hash;
			return CKR_OK;
		}
	}
	return CKR_MECHANISM_PARAM_INVALID;
}

static VS_CK
parse_pss(const CK_MECHANISM *m, const struct vs_mech *row, struct vs_params *p)
{
	CK_RSA_PKCS_PSS_PARAMS in;
	VS_CK_TRY(fixed(m, &in, sizeof in));
	p->sign.pss_hash = vs_mech_hash(in.hashAlg);
	if (p->sign.pss_hash == VS_HASH_NONE || in.sLen > VS_SIGN_MAX_BYTES ||
		(row->hash != VS_HASH_NONE && p->sign.pss_hash != (enum vs_hash)row->hash))
		return CKR_MECHANISM_PARAM_INVALID;
	p->sign.salt_bytes = (uint32_t)in.sLen;
	return mgf_hash(in.mgf, &p->sign.mgf_hash);
}

static VS_CK
take_oaep(const CK_RSA_PKCS_OAEP_PARAMS *in, struct vs_params *p)
{
	p->rsa.hash = vs_mech_hash(in->hashAlg);
	if (p->rsa.hash == VS_HASH_NONE)
		return CKR_MECHANISM_PARAM_INVALID;
	VS_CK_TRY(mgf_hash(in->mgf, &p->rsa.mgf_hash));
	/* pkcs11-tool says 0 for "no label". */
	if (in->source != CKZ_DATA_SPECIFIED && !(in->source == 0 && in->ulSourceDataLen == 0))
		return CKR_MECHANISM_PARAM_INVALID;
	return keep(p, in->pSourceData, in->ulSourceDataLen, VS_RSA_LABEL_MAX, &p->rsa.label);
}

static VS_CK
parse_oaep(const CK_MECHANISM *m, struct vs_params *p)
{
	CK_RSA_PKCS_OAEP_PARAMS in;
	VS_CK_TRY(fixed(m, &in, sizeof in));
	return take_oaep(&in, p);
}

static VS_CK
parse_rsa_aes(const CK_MECHANISM *m, struct vs_params *p)
{
	CK_RSA_AES_KEY_WRAP_PARAMS in;
	CK_RSA_PKCS_OAEP_PARAMS oaep;
	VS_CK_TRY(fixed(m, &in, sizeof in));
	if (in.pOAEPParams == NULL ||
		(in.ulAESKeyBits != 128 && in.ulAESKeyBits != 192 && in.ulAESKeyBits != 256))
		return CKR_MECHANISM_PARAM_INVALID;
	p->aes_bits = (uint32_t)in.ulAESKeyBits;
	memcpy(&oaep, (const void *)in.pOAEPParams, sizeof oaep);
	return take_oaep(&oaep, p);
}

/* Two structures are in use, told apart by their size; the IV's length is ulIvLen in both. */
static VS_CK
parse_gcm(const CK_MECHANISM *m, struct vs_params *p)
{
	struct vs_ck_gcm_params_short in;
	if (m->pParameter != NULL && m->ulParameterLen == sizeof(CK_GCM_PARAMS)) {
		CK_GCM_PARAMS full;
		memcpy(&full, m->pParameter, sizeof full);
		if (full.ulIvBits != 0 && full.ulIvBits != full.ulIvLen * 8)
			return CKR_MECHANISM_PARAM_INVALID;
		in = (struct vs_ck_gcm_params_short){
			full.pIv, full.ulIvLen, full.pAAD, full.ulAADLen, full.ulTagBits};
	} else {
		VS_CK_TRY(fixed(m, &in, sizeof in));
	}
	if (in.ulIvLen == 0 || in.ulTagBits > 128 || in.ulTagBits % 8 != 0)
		return CKR_MECHANISM_PARAM_INVALID;
	VS_CK_TRY(keep(p, in.pIv, in.ulIvLen, VS_AEAD_IV_MAX, &p->cipher.iv));
	p->cipher.tag_bytes = (uint32_t)(in.ulTagBits / 8);
	return keep(p, in.pAAD, in.ulAADLen, VS_AEAD_AAD_MAX, &p->cipher.aad);
}

static VS_CK
parse_ccm(const CK_MECHANISM *m, struct vs_params *p)
{
	CK_CCM_PARAMS in;
	VS_CK_TRY(fixed(m, &in, sizeof in));
	if (in.ulMACLen > 16)
		return CKR_MECHANISM_PARAM_INVALID;
	VS_CK_TRY(keep(p, in.pNonce, in.ulNonceLen, 13, &p->cipher.iv));
	p->cipher.tag_bytes = (uint32_t)in.ulMACLen;
	p->cipher.data_bytes = in.ulDataLen;
	return keep(p, in.pAAD, in.ulAADLen, VS_AEAD_AAD_MAX, &p->cipher.aad);
}

static VS_CK
parse_ctr(const CK_MECHANISM *m, struct vs_params *p)
{
	CK_AES_CTR_PARAMS in;
	VS_CK_TRY(fixed(m, &in, sizeof in));
	if (in.ulCounterBits == 0 || in.ulCounterBits > 128)
		return CKR_MECHANISM_PARAM_INVALID;
	p->cipher.ctr_bits = (uint32_t)in.ulCounterBits;
	return keep(p, in.cb, sizeof in.cb, sizeof in.cb, &p->cipher.iv);
}

static VS_CK
parse_mac_length(const CK_MECHANISM *m, const struct vs_mech *row, struct vs_params *p)
{
	CK_ULONG n;
	const size_t full = row->sign == VS_SIGN_CMAC ? 16 : vs_hash_size((enum vs_hash)row->hash);
	VS_CK_TRY(fixed(m, &n, sizeof n));
	if (n == 0 || n > full)
		return CKR_MECHANISM_PARAM_INVALID;
	p->sign.mac_bytes = (uint32_t)n;
	return CKR_OK;
}

static VS_CK
parse_ecdh(const CK_MECHANISM *m, const struct vs_mech *row, struct vs_params *p)
{
	static const enum vs_hash kdf[] = {
		[CKD_NULL] = VS_HASH_NONE,
		[CKD_SHA1_KDF] = VS_HASH_SHA1,
		[CKD_SHA224_KDF] = VS_HASH_SHA224,
		[CKD_SHA256_KDF] = VS_HASH_SHA256,
		[CKD_SHA384_KDF] = VS_HASH_SHA384,
		[CKD_SHA512_KDF] = VS_HASH_SHA512,
		[CKD_SHA3_224_KDF] = VS_HASH_SHA3_224,
		[CKD_SHA3_256_KDF] = VS_HASH_SHA3_256,
		[CKD_SHA3_384_KDF] = VS_HASH_SHA3_384,
		[CKD_SHA3_512_KDF] = VS_HASH_SHA3_512,
	};
	CK_ECDH1_DERIVE_PARAMS in;
	VS_CK_TRY(fixed(m, &in, sizeof in));
	if (in.kdf >= sizeof kdf / sizeof kdf[0] ||
		(in.kdf != CKD_NULL && kdf[in.kdf] == VS_HASH_NONE))
		return CKR_MECHANISM_PARAM_INVALID;
	p->ecdh.kdf_hash = kdf[in.kdf];
	p->ecdh.cofactor = row->derive == VS_DERIVE_ECDH_COFACTOR;
	if (in.kdf == CKD_NULL && in.ulSharedDataLen != 0)
		return CKR_MECHANISM_PARAM_INVALID;
	VS_CK_TRY(keep(p, in.pSharedData, in.ulSharedDataLen, VS_DERIVE_INFO_MAX, &p->ecdh.shared));
	/* The longest point of our curves: two coordinates of 66 and at most four bytes around. */
	return keep(p, in.pPublicData, in.ulPublicDataLen, 140, &p->ecdh.point);
}

static VS_CK
parse_hkdf(const CK_MECHANISM *m, struct vs_params *p)
{
	CK_HKDF_PARAMS in;
	VS_CK_TRY(fixed(m, &in, sizeof in));
	p->hkdf.extract = in.bExtract != CK_FALSE;
	p->hkdf.expand = in.bExpand != CK_FALSE;
	p->hkdf.hash = vs_mech_hash(in.prfHashMechanism);
	if (p->hkdf.hash == VS_HASH_NONE || (!p->hkdf.extract && !p->hkdf.expand))
		return CKR_MECHANISM_PARAM_INVALID;
	if (p->hkdf.extract && in.ulSaltType == CKF_HKDF_SALT_DATA)
		VS_CK_TRY(keep(p, in.pSalt, in.ulSaltLen, VS_DERIVE_INFO_MAX, &p->hkdf.salt));
	else if (p->hkdf.extract && in.ulSaltType == CKF_HKDF_SALT_KEY)
		p->hkdf_salt_key = in.hSaltKey;
	else if (p->hkdf.extract && in.ulSaltType != CKF_HKDF_SALT_NULL)
		return CKR_MECHANISM_PARAM_INVALID;
	if (in.ulSaltType == CKF_HKDF_SALT_KEY && p->hkdf.extract && in.hSaltKey == 0)
		return CKR_MECHANISM_PARAM_INVALID;
	return keep(p, in.pInfo, in.ulInfoLen, VS_DERIVE_INFO_MAX, &p->hkdf.info);
}

static VS_CK
parse_iv(const CK_MECHANISM *m, size_t n, bool optional, struct vs_params *p, struct vs_bytes *ret)
{
	if (optional && m->ulParameterLen == 0)
		return CKR_OK;
	if (m->ulParameterLen != n)
		return CKR_MECHANISM_PARAM_INVALID;
	return keep(p, m->pParameter, n, n, ret);
}

static VS_CK
parse(const CK_MECHANISM *m, const struct vs_mech *row, struct vs_params *p)
{
	switch ((enum vs_param)row->param) {
	case VS_PARAM_NONE: return m->ulParameterLen == 0 ? CKR_OK : CKR_MECHANISM_PARAM_INVALID;
	case VS_PARAM_PSS: return parse_pss(m, row, p);
	case VS_PARAM_OAEP: return parse_oaep(m, p);
	case VS_PARAM_IV16: return parse_iv(m, 16, false, p, &p->cipher.iv);
	case VS_PARAM_CTR: return parse_ctr(m, p);
	case VS_PARAM_GCM: return parse_gcm(m, p);
	case VS_PARAM_CCM: return parse_ccm(m, p);
	case VS_PARAM_MAC_LENGTH: return parse_mac_length(m, row, p);
	case VS_PARAM_KW_IV: return parse_iv(m, 8, true, p, &p->wrap_iv);
	case VS_PARAM_KWP_IV: return parse_iv(m, 4, true, p, &p->wrap_iv);
	case VS_PARAM_RSA_AES: return parse_rsa_aes(m, p);
	case VS_PARAM_ECDH: return parse_ecdh(m, row, p);
	case VS_PARAM_HKDF: return parse_hkdf(m, p);
	case VS_PARAM_COUNT_: break;
	}
	return CKR_MECHANISM_PARAM_INVALID;
}

VS_CK
vs_param_none(const void *mechanism)
{
	return load(mechanism).ulParameterLen == 0 ? CKR_OK : CKR_MECHANISM_PARAM_INVALID;
}

VS_CK
vs_param_parse(const void *mechanism, const struct vs_mech *row, enum vs_param_use use,
	struct vs_params *ret)
{
	const CK_MECHANISM m = load(mechanism);
	vs_params_done(ret);
	ret->row = row;
	if (use == VS_USE_SIGN)
		ret->sign = (struct vs_sign_params){
			.scheme = (enum vs_sign_scheme)row->sign, .hash = (enum vs_hash)row->hash};
	if (row->cipher != VS_CIPHER_NONE)
		ret->cipher = (struct vs_cipher_params){0};
	if (row->rsa != VS_RSA_NONE || row->param == VS_PARAM_RSA_AES)
		ret->rsa = (struct vs_rsa_params){.scheme = (enum vs_rsa_scheme)row->rsa};
	ret->wrap_iv = (struct vs_bytes){NULL, 0};
	ret->hkdf_salt_key = 0;
	if (row->derive != VS_DERIVE_NONE) {
		ret->ecdh = (struct vs_ecdh_params){0};
		ret->hkdf = (struct vs_hkdf_params){0};
	}
	const CK_RV rv = parse(&m, row, ret);
	if (rv != CKR_OK)
		vs_params_done(ret);
	return rv;
}
