/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an attempt checks for itself beside the service's word: this machine's own evidence, and the
 * evidence that the service's signing key carries. Each is off, only reported, or required.
 */
#include <stdlib.h>

#include "base/log.h"
#include "evidence/check.h"
#include "evidence/verify.h"
#include "gate/attempt_impl.h"
#include "gate/service_evidence.h"

enum { DEFAULT_PCRS = 0xFF };

/* The result joins v; a failure refuses only where the setting says require. */
static VS_RC
settle(struct vs_services *s, enum vs_switch3 mode, const char *what, struct vs_verdict *mine,
	struct vs_verdict *v, struct vs_err *err)
{
	vs_check_finish(mine);
	const struct vs_check *c = vs_check_first_failed(mine);

	vs_check_append(v, mine, mode != VS_REQUIRE_ON);
	if (mine->passed)
		return VS_OK;
	VS_REQUIRE(err, c != NULL);
	if (mode == VS_REQUIRE_ON)
		VS_FAIL(err, REFUSED_EVIDENCE, "%s: %s (%s): expected %s, seen %s", what, c->name,
			c->rule, c->expected, c->seen);
	vs_log(&s->env.log, VS_LOG_WARN, "gate",
		"%s would be refused: %s (%s): expected %s, seen %s", what, c->name, c->rule,
		c->expected, c->seen);
	return VS_OK;
}

static VS_RC
verify_local(struct vs_services *s, const struct vs_evidence *ev, struct vs_verdict *mine,
	struct vs_err *err)
{
	const struct vs_evidence_expect x = {
		.at_unix = s->env.clock.ops->wall_unix(s->env.clock.self),
		.roots = &s->roots,
		.nonce = vs_bytes_of(ev->nonce, sizeof ev->nonce),
		.user_data = VS_USER_DATA_HASH,
		.pcr_mask = s->env.token->pcr_mask != 0 ? s->env.token->pcr_mask : DEFAULT_PCRS,
		/* Which kind of machine it must be is the policy's to say. */
		.allow_trusted_launch = true,
		.require_event_log = true,
	};
	struct vs_err why = {0};
	const vs_rc rc = vs_evidence_verify(ev, &x, mine, &why);

	if (vs_failed(rc) && rc.code != VS_E_REFUSED_EVIDENCE) {
		if (err != NULL)
			*err = why;
		return vs_err_while(rc, err, "checking this machine's evidence");
	}
	return VS_OK;
}

vs_rc
vs_attempt_local_evidence(struct vs_services *s, const struct vs_evidence *ev, struct vs_verdict *v,
	struct vs_err *err)
{
	const enum vs_switch3 mode = s->env.token->local_evidence;

	if (mode == VS_OFF)
		return VS_OK;
	struct vs_verdict *mine = calloc(1, sizeof *mine);
	if (mine == NULL)
		VS_FAIL(err, MEMORY, "no memory for checking this machine's evidence");
	vs_rc rc = verify_local(s, ev, mine, err);
	if (!vs_failed(rc))
		rc = settle(s, mode, "this machine's evidence", mine, v, err);
	free(mine);
	return rc;
}

vs_rc
vs_attempt_service_evidence(struct vs_services *s, struct vs_bytes token,
	const struct vs_jwks *jwks, struct vs_verdict *v, struct vs_err *err)
{
	const enum vs_switch3 mode = s->env.token->service_evidence;
	const struct vs_service_expect x = {
		.at_unix = s->env.clock.ops->wall_unix(s->env.clock.self),
		.roots = &s->roots,
		.measurements = s->env.token->service_measurements,
	};

	if (mode == VS_OFF)
		return VS_OK;
	struct vs_verdict *mine = calloc(1, sizeof *mine);
	if (mine == NULL)
		VS_FAIL(err, MEMORY, "no memory for checking the service's evidence");
	vs_rc rc = vs_service_evidence_check(token, jwks, &x, mine, err);
	if (!vs_failed(rc))
		rc = settle(s, mode, "the attestation service's evidence", mine, v, err);
	free(mine);
	return rc;
}

vs_rc
vs_attempt_roots(struct vs_services *s, struct vs_err *err)
{
	const struct vs_conf *conf = s->env.conf;
	const struct vs_conf_token *t = s->env.token;

	if (t->local_evidence == VS_OFF && t->service_evidence == VS_OFF)
		return VS_OK;
	if (conf->evidence_roots == NULL)
		return vs_roots_production(&s->roots, err);
	if (!conf->lab)
		VS_FAIL(err, CONFIG_MODE, "evidence-roots is for the lab only");
	return vs_roots_load(conf->evidence_roots, &s->roots, err);
}
