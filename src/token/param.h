/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mechanism parameters: read by copy (they may be unaligned, and the caller may free them after
 * the Init), bounded, and translated. Nothing behind this knows a CK_MECHANISM.
 */
#ifndef VS_TOKEN_PARAM_H
#define VS_TOKEN_PARAM_H

#include "crypto/derive.h"
#include "token/attr.h"
#include "token/mech.h"

enum { VS_PARAM_SMALL = 320, VS_PARAM_COPIES = 3 };

struct vs_params {
	const struct vs_mech *row;
	struct vs_sign_params sign;
	struct vs_rsa_params rsa;
	struct vs_cipher_params cipher;
	struct vs_ecdh_params ecdh;
	struct vs_hkdf_params hkdf;
	CK_OBJECT_HANDLE hkdf_salt_key; /* 0: none */
	uint32_t aes_bits; /* RSA_AES_KEY_WRAP */
	struct vs_bytes wrap_iv;
	/* What the views above point into. */
	size_t small_n;
	unsigned n_big;
	uint8_t *big[VS_PARAM_COPIES];
	uint8_t small[VS_PARAM_SMALL];
};

enum vs_param_use { VS_USE_SIGN = 1, VS_USE_CRYPT, VS_USE_WRAP, VS_USE_DERIVE };

/* Frees copies; the struct may be used again. */
void vs_params_done(struct vs_params *p);
/*
 * mechanism  as the caller gave it
 * CKR_ARGUMENTS_BAD without one, MECHANISM_INVALID, MECHANISM_PARAM_INVALID, HOST_MEMORY. Empties
 * what was in ret; on failure ret is empty, too.
 */
/* *io may hold a row to look at first, or NULL; it changes on success only. */
VS_CK vs_param_row(const void *mechanism, CK_FLAGS need, const struct vs_mech **io);
/* For rows that take no parameter: there must be none. */
VS_CK vs_param_none(const void *mechanism);
VS_CK vs_param_parse(const void *mechanism, const struct vs_mech *row, enum vs_param_use use,
	struct vs_params *ret);

#endif
