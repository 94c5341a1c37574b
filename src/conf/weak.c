/* SPDX-License-Identifier: BSD-2-Clause */
/* Each setting that weakens is named as one, wherever it is asked for: doctor, audit log. */
#include <stdio.h>
#include <string.h>

#include "conf/conf.h"

enum { BOOT_PCRS = 0xFF };

struct words {
	char *out;
	size_t size;
};

static void
add(struct words *w, const char *what, const char *of)
{
	const size_t n = strlen(w->out);
	(void)snprintf(w->out + n, w->size - n, "%s%s%s", n > 0 ? "; " : "", what, of);
}

char *
vs_conf_weakened(const struct vs_conf *conf, char *out, size_t out_size)
{
	struct words w = {.out = out, .size = out_size};
	out[0] = '\0';
	if (!conf->audit_required)
		add(&w, "audit = best-effort", "");
	if (!conf->audit_checkpoint)
		add(&w, "audit-checkpoint = off", "");
	if (conf->proxy)
		add(&w, "all services through a proxy: ", conf->proxy);
	for (size_t i = 0; i < conf->n_tokens; i++) {
		const struct vs_conf_token *t = &conf->tokens[i];
		if (t->raw_rsa)
			add(&w, "raw-rsa = yes in ", t->label);
		if (t->allowed_tcb & ~(UINT32_C(1) << VS_CONF_TCB_UP_TO_DATE))
			add(&w, "allowed-tcb beyond UpToDate in ", t->label);
		/* The transport key is then free of the boot that the provider saw. */
		if ((t->pcr_mask & BOOT_PCRS) != BOOT_PCRS)
			add(&w, "pcrs without 0-7 in ", t->label);
	}
	return out;
}
