/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an attempt checks for itself beside the service's word: this machine's own evidence, and the
 * evidence that the service's signing key carries. Each is off, only reported, or required.
 */
#include <stdlib.h>

#include "base/log.h"
#include "evidence/check.h"
#include "evidence/verify.h"
#include "base/file.h"
#include "gate/attempt_impl.h"
#include "gate/service_evidence.h"

enum { DEFAULT_PCRS = 0xFF, KEYS_FILE_MAX = 256 * 1024 };

/* The settings' numbers are the verifier's. */
_Static_assert((int)VS_CONF_TCB_UP_TO_DATE == VS_TCB_UP_TO_DATE &&
		(int)VS_CONF_TCB_SW_HARDENING == VS_TCB_SW_HARDENING &&
		(int)VS_CONF_TCB_CONFIGURATION == VS_TCB_CONFIGURATION &&
		(int)VS_CONF_TCB_CONFIGURATION_AND_SW_HARDENING ==
			VS_TCB_CONFIGURATION_AND_SW_HARDENING &&
		(int)VS_CONF_TCB_OUT_OF_DATE == VS_TCB_OUT_OF_DATE &&
		(int)VS_CONF_TCB_OUT_OF_DATE_CONFIGURATION == VS_TCB_OUT_OF_DATE_CONFIGURATION,
	"allowed-tcb");
_Static_assert((int)VS_CONF_IMA_LIST == VS_IMA_LIST && (int)VS_CONF_IMA_SIGNED == VS_IMA_SIGNED &&
		(int)VS_CONF_IMA_OFF == VS_IMA_ANY,
	"ima");

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
verify_local(struct vs_services *s, const struct vs_evidence *ev,
	const struct vs_collateral *collateral, struct vs_verdict *mine, struct vs_err *err)
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
		.collateral = collateral,
		.collateral_required = s->env.token->collateral_required,
		.allowed_tcb_status = s->env.token->allowed_tcb,
		.ima = (enum vs_ima_rule)s->env.token->ima,
		.ima_keys = {.certs = &s->ima_keys},
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
vs_attempt_local_evidence(struct vs_services *s, const struct vs_evidence *ev,
	const struct vs_collateral *collateral, struct vs_verdict *v, struct vs_err *err)
{
	const enum vs_switch3 mode = s->env.token->local_evidence;

	if (mode == VS_OFF)
		return VS_OK;
	struct vs_verdict *mine = calloc(1, sizeof *mine);
	if (mine == NULL)
		VS_FAIL(err, MEMORY, "no memory for checking this machine's evidence");
	vs_rc rc = verify_local(s, ev, collateral, mine, err);
	if (!vs_failed(rc))
		rc = settle(s, mode, "this machine's evidence", mine, v, err);
	free(mine);
	return rc;
}

vs_rc
vs_attempt_service_evidence(struct vs_services *s, struct vs_bytes token,
	const struct vs_jwks *jwks, const struct vs_collateral *collateral, struct vs_verdict *v,
	struct vs_err *err)
{
	const enum vs_switch3 mode = s->env.token->service_evidence;
	const struct vs_service_expect x = {
		.at_unix = s->env.clock.ops->wall_unix(s->env.clock.self),
		.roots = &s->roots,
		.measurements = s->env.token->service_measurements,
		.uvm = {.min_svn = s->env.token->service_min_svn},
		.collateral = collateral,
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

static VS_RC
read_ima_keys(struct vs_services *s, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf pem = {.max = KEYS_FILE_MAX};
	const char *path = s->env.conf->ima_keys;

	if (s->env.token->ima != VS_CONF_IMA_SIGNED)
		return VS_OK;
	VS_REQUIRE(err, path != NULL);
	VS_TRY(vs_file_read(path, KEYS_FILE_MAX, VS_FILE_TRUSTED, &pem, err));
	const vs_rc rc = vs_ev_certs_pem(vs_buf_view(&pem), &s->ima_keys, err);
	if (vs_failed(rc))
		return vs_err_while(rc, err, "reading ima-keys");
	if (s->ima_keys.n == 0)
		VS_FAIL(err, CONFIG_VALUE, "%s has no certificate", path);
	return VS_OK;
}

vs_rc
vs_attempt_roots(struct vs_services *s, struct vs_err *err)
{
	const struct vs_conf *conf = s->env.conf;
	const struct vs_conf_token *t = s->env.token;

	if (t->local_evidence == VS_OFF && t->service_evidence == VS_OFF)
		return VS_OK;
	VS_TRY(read_ima_keys(s, err));
	if (conf->evidence_roots == NULL)
		return vs_roots_production(&s->roots, err);
	if (!conf->lab)
		VS_FAIL(err, CONFIG_MODE, "evidence-roots is for the lab only");
	return vs_roots_load(conf->evidence_roots, &s->roots, err);
}
