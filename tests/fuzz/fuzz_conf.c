/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes as the configuration file, for the two readers that it has: that of the agent, which
 * knows every setting, and the small one of the module. What the first one takes, both understand
 * in the same way.
 */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "client/profile.h"
#include "conf/conf.h"
#include "crypto/ossl.h"
#include "fuzz/fuzz.h"

static struct vs_bytes text;

vs_rc __wrap_vs_file_read(const char *path, size_t max, enum vs_file_check check,
	struct vs_buf *ret, struct vs_err *err);

vs_rc
__wrap_vs_file_read(const char *path, size_t max, enum vs_file_check check, struct vs_buf *ret,
	struct vs_err *err)
{
	(void)check;
	if (strcmp(path, "/conf") != 0)
		VS_FAIL(err, FILE, "there is no other file");
	if (text.n > max)
		VS_FAIL(err, LIMIT, "the file is too long");
	return vs_buf_set(ret, text.p, text.n, err);
}

/* A library context is made for each file, which takes longer than to read it. */
vs_rc __real_vs_ossl_new(struct vs_ossl **ret, struct vs_err *err);
vs_rc __wrap_vs_ossl_new(struct vs_ossl **ret, struct vs_err *err);

vs_rc
__wrap_vs_ossl_new(struct vs_ossl **ret, struct vs_err *err)
{
	static struct vs_ossl *one;
	if (one == NULL)
		VS_TRY(__real_vs_ossl_new(&one, err));
	*ret = vs_ossl_ref(one);
	return VS_OK;
}

static void
compare(const struct vs_conf *c, const struct vs_profile *p)
{
	FUZZ_MUST(!p->broken && p->n_tokens == c->n_tokens && p->lab == c->lab);
	FUZZ_MUST(strcmp(p->agent_socket, c->agent_socket) == 0);
	FUZZ_MUST(strcmp(p->agent_program, c->agent_program) == 0);
	FUZZ_MUST((p->lock_mode == VS_LOCK_REQUIRED) == c->memory_lock_required);
	for (size_t i = 0; i < p->n_tokens; i++) {
		const struct vs_profile_token *t = &p->tokens[i];
		const struct vs_conf_token *u = &c->tokens[i];
		FUZZ_MUST(strcmp(t->label, u->label) == 0 && strcmp(t->serial, u->serial) == 0);
		FUZZ_MUST((int)t->login == u->login && t->visible_attested == u->visible_attested);
		FUZZ_MUST(t->raw_rsa_decrypt == u->raw_rsa);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vs_conf *conf = NULL;
	struct vs_profile *profile = NULL;
	struct vs_err err = {0};
	char sentence[VS_ERR_TEXT_MAX];
	text = vs_bytes_of(data, size);
	FUZZ_MUST(setenv("VOUCHSAFE_CONF", "/conf", 1) == 0);
	FUZZ_MUST(!vs_failed(vs_profile_load(&profile, NULL)));
	FUZZ_MUST(profile->n_tokens <= VS_PROFILE_TOKENS_MAX);
	FUZZ_MUST(!profile->broken || (profile->n_tokens != 0 && profile->why[0] != '\0'));
	const vs_rc rc = vs_conf_parse("/conf", text, &conf, &err);
	if (vs_failed(rc)) {
		FUZZ_MUST(conf == NULL && rc.code != VS_E_INTERNAL);
		vs_err_sentence(&err, sentence, sizeof sentence);
		FUZZ_MUST(sentence[0] != '\0');
	} else {
		compare(conf, profile);
		vs_conf_free(conf);
	}
	vs_profile_free(profile);
	return 0;
}
