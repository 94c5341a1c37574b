/* SPDX-License-Identifier: BSD-2-Clause */
/* Policies in force, and the calls that read and change them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lab/lab_maa_priv.h"

/* The lab's own default: what the real one is known to deny; the claim marks lab tokens (T-L1). */
static const char default_azure_guest[] =
	"version= 1.0;\n"
	"authorizationrules\n"
	"{\n"
	"[type==\"secureboot\", value==false] => deny();\n"
	"[type==\"x-ms-azurevm-default-securebootkeysvalidated\", value==false] => deny();\n"
	"[type==\"x-ms-azurevm-debuggersdisabled\", value==false] => deny();\n"
	"[type==\"x-ms-azurevm-signingdisabled\", value==false] => deny();\n"
	"[type==\"x-ms-azurevm-dbvalidated\", value==false] => deny();\n"
	"[type==\"x-ms-azurevm-dbxvalidated\", value==false] => deny();\n"
	"=> permit();\n"
	"};\n"
	"issuancerules\n"
	"{\n"
	"=> issue(type=\"vouchsafe-lab\", value=true);\n"
	"};\n";
static const char default_vm[] = "version= 1.0;authorizationrules{=> permit();};"
				 "issuancerules{=> issue(type=\"vouchsafe-lab\", value=true);};";

static const char *
default_text(enum lab_tee_type t)
{
	return t == LAB_TEE_AZURE_GUEST ? default_azure_guest : default_vm;
}

char *
lab_maa_policy_text(struct lab_maa *maa, enum lab_tee_type t, json_t **signer)
{
	pthread_mutex_lock(&maa->lock);
	const struct lab_maa_policy *p = &maa->policy[t];
	char *text = strdup(p->text ? p->text : default_text(t));
	if (signer)
		*signer = json_incref(p->signer);
	pthread_mutex_unlock(&maa->lock);
	return text;
}

vs_rc
lab_maa_set_policy(struct lab_maa *maa, const char *type, const char *text, struct vs_err *err)
{
	const enum lab_tee_type t = lab_tee_parse(type);
	struct lab_policy *policy = NULL;
	if (t == LAB_TEE_COUNT_)
		VS_FAIL(err, USAGE, "there is no attestation type of this name");
	if (text)
		VS_TRY(lab_policy_parse(vs_bytes_str(text), &policy, err));
	lab_policy_free(policy);
	char *copy = text ? strdup(text) : NULL;
	if (text && !copy)
		VS_FAIL(err, MEMORY, "out of memory");
	pthread_mutex_lock(&maa->lock);
	struct lab_maa_policy *p = &maa->policy[t];
	free(p->text);
	free(p->jws);
	json_decref(p->signer);
	*p = (struct lab_maa_policy){.text = copy};
	pthread_mutex_unlock(&maa->lock);
	return VS_OK;
}

bool
lab_maa_policies(struct lab_maa *maa, const struct lab_req *req, struct lab_resp *resp)
{
	(void)maa;
	(void)req;
	(void)resp;
	return false;
}
