/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The module's tiny reader of vouchsafe.conf: only what presents the slots and finds the agent.
 * Never the network, TPM or agent; no libcrypto. A file that cannot be used still gives slots.
 */
#ifndef VS_CLIENT_PROFILE_H
#define VS_CLIENT_PROFILE_H

#include "base/secret.h"
#include "vouchsafe/err.h"

enum vs_login { VS_LOGIN_NONE = 0, VS_LOGIN_ATTEST, VS_LOGIN_PIN };
enum { VS_PROFILE_TOKENS_MAX = 64, VS_LABEL_MAX = 32 };

struct vs_profile_token {
	char label[VS_LABEL_MAX + 1]; /* section label, the token label */
	char serial[17]; /* 16 hex digits from label and vault: stable */
	enum vs_login login;
	bool visible_attested; /* visible = attested */
	bool raw_rsa_decrypt; /* raw-rsa = yes */
};

struct vs_profile {
	char path[1024]; /* absolute path of the file, "" when there is none */
	char agent_socket[108];
	char agent_program[1024];
	bool lab;
	enum vs_lock_mode lock_mode;
	bool broken; /* the file exists but cannot be used: why says so */
	char why[320];
	size_t n_tokens;
	struct vs_profile_token tokens[VS_PROFILE_TOKENS_MAX];
};

/*
 * Read VOUCHSAFE_CONF (secure_getenv) or the compiled-in path. Always gives a profile; a missing
 * file gives one without tokens, an unusable one the labels that can still be read, or one token
 * "vouchsafe", and broken. Error: MEMORY only.
 */
VS_RC vs_profile_load(struct vs_profile **ret, struct vs_err *err);
void vs_profile_free(struct vs_profile *p);
/* Set-user-ID, set-group-ID or file capabilities: environment is not read, no agent is spawned. */
bool vs_profile_elevated(void);

#endif
