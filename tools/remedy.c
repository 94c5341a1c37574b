/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/remedy.h"

#include <stdio.h>

/* The page on troubleshooting has the same words, and a test compares them. */
static const struct {
	enum vs_code code;
	const char *text;
} remedies[] = {
	{VS_E_USAGE, "`vouchsafe COMMAND --help` says how it is used"},
	{VS_E_NOT_FOUND,
		"`vouchsafe status` lists tokens; `pkcs11-tool --list-objects` lists "
		"keys; compare with `keys` in the token's section"},
	{VS_E_WRITE_PROTECTED,
		"keys are made and deleted in the vault; make session objects "
		"(`CKA_TOKEN` false) for the rest"},
	{VS_E_PIN,
		"the PIN is the content of `pin-file`; without `login = pin` none is "
		"asked"},
	{VS_E_CONFIG_FILE,
		"`vouchsafe conf check` names the file; look at owner, mode and every "
		"folder on the way to it"},
	{VS_E_CONFIG_SYNTAX, "`vouchsafe conf check` names file and line"},
	{VS_E_CONFIG_NAME,
		"the sentence names the nearest known setting; `vouchsafe conf defaults` "
		"lists all"},
	{VS_E_CONFIG_VALUE, "the sentence names the allowed values"},
	{VS_E_CONFIG_MISSING, "a token needs at least `vault`, `attestation` and `policy`"},
	{VS_E_CONFIG_MODE,
		"lab endpoints need `mode = lab` in `[global]`, real ones must not have "
		"it; start from a fresh file"},
	{VS_E_POLICY_FILE,
		"`vouchsafe policy test` names the place in the document; without a "
		"policy everything is refused"},
	{VS_E_MEMORY, "the process has a memory limit (`ulimit -v`, cgroup) that is too small"},
	{VS_E_LIMIT,
		"too many of what the sentence names: sessions, objects, connections of "
		"one user; close what is not used"},
	{VS_E_LOCK_MEMORY,
		"raise `LimitMEMLOCK=` (systemd) or `ulimit -l` to 16 MiB, or set "
		"`memory-lock = warn`"},
	{VS_E_FILE, "look at owner, mode and free space of the file in the sentence"},
	{VS_E_SOCKET,
		"is the agent running, is `agent-socket` the same for both sides, may "
		"this user enter the folder?"},
	{VS_E_AGENT,
		"`systemctl status vouchsafe-agent.socket`; without a service "
		"`agent-program` must be executable by the application's user"},
	{VS_E_AUDIT,
		"no record, no key: free space, owner `vouchsafe`, mode 0750 of the log's "
		"folder"},
	{VS_E_CONNECT,
		"name resolution, route, firewall; a proxy must be set by `proxy`, the "
		"environment is not asked"},
	{VS_E_TIMEOUT,
		"name resolution, route, firewall; for a slow link raise `connect-timeout` "
		"and `request-timeout`"},
	{VS_E_TLS,
		"the certificate does not lead to `ca-bundle`, or names another host: "
		"often a proxy that breaks TLS"},
	{VS_E_THROTTLED,
		"the vault or the service limits requests; the agent waits and tries "
		"again by itself"},
	{VS_E_UNAVAILABLE,
		"look at the service's own status page; add `attestation-fallback` for "
		"the attestation service"},
	{VS_E_CREDENTIAL,
		"managed identity assigned to the machine? `client-id` of the right one? "
		"secret or certificate expired?"},
	{VS_E_ANSWER,
		"something between here and the service changes answers, or the service "
		"has a new form: report it with the log"},
	{VS_E_WIRE,
		"module and agent are of different versions: install the same, restart "
		"the application"},
	{VS_E_FORMAT, "the sentence names the data; it was made by something else or was cut"},
	{VS_E_CRYPTO, "libcrypto said no; the sentence has its words"},
	{VS_E_DATA, "wrong key, wrong mechanism or changed data"},
	{VS_E_BAD_KEY, "the key in the vault is not one that can be accepted: make a new one"},
	{VS_E_DATA_LEN, "the data is longer or shorter than this mechanism and key can have"},
	{VS_E_SIGNATURE, "wrong key, wrong mechanism or changed data"},
	{VS_E_SIGNATURE_LEN, "ECDSA signatures are r and s side by side, not DER"},
	{VS_E_PARAM,
		"hash, MGF, salt, tag or IV of the mechanism's parameter; the sentence "
		"says which"},
	{VS_E_KEY_KIND,
		"for example an EC key with an RSA mechanism; the page mechanisms.md has "
		"the table"},
	{VS_E_KEY_SIZE, "RSA from 2048 to 8192 bits, AES 16, 24 or 32 bytes"},
	{VS_E_ROOM, "ask for the size first (NULL buffer), then give that much"},
	{VS_E_TPM,
		"the code of the TPM is in the sentence; `journalctl -k -g tpm` has the "
		"kernel's words; a lockout ends by itself"},
	{VS_E_TPM_ABSENT,
		"`ls -l /dev/tpmrm0`; the agent's user must be in group `tss`; in "
		"containers the device must be passed in"},
	{VS_E_EVIDENCE,
		"is this a confidential VM (AK at 0x81000003, report in NV 0x01400001)? "
		"is `/sys/kernel/security` mounted?"},
	{VS_E_EVIDENCE_STALE,
		"the machine's report was made before this boot or for another nonce: "
		"reboot; if it stays, the host replays"},
	{VS_E_REFUSED_FORM,
		"what came is not an attestation token; look at `attestation` and at what "
		"stands between"},
	{VS_E_REFUSED_SIGNATURE,
		"the token was not signed by a key of `attestation`; a wrong address, or "
		"an attack"},
	{VS_E_REFUSED_CLAIMS,
		"clock (`timedatectl`), `attestation` exactly as the token's issuer, no "
		"cached token"},
	{VS_E_REFUSED_FLOOR,
		"the machine runs with debugging, migration or a privilege level that is "
		"never accepted: make a new one"},
	{VS_E_REFUSED_POLICY,
		"`vouchsafe attest` prints each condition with what was expected and "
		"seen: repair the machine or the policy"},
	{VS_E_REFUSED_BINDING,
		"an answer for another request: retry once; if it stays, somebody replays "
		"answers"},
	{VS_E_REFUSED_EVIDENCE, "`vouchsafe evidence show` prints each check of the evidence"},
	{VS_E_REFUSED_ATTESTATION,
		"the service's own sentence is quoted; the policy of the attestation "
		"provider, or the machine's state, says no"},
	{VS_E_REFUSED_RELEASE,
		"the policy stored with the key says no: compare by `vouchsafe policy "
		"diff FILE STORED`; is the key exportable?"},
	{VS_E_REFUSED_ANSWER,
		"the answer's signature or key identifier is wrong: wrong "
		"`release-roots`, or an attack"},
	{VS_E_REFUSED_KEY,
		"key was replaced in the vault while its old public key was cached here: "
		"start the agent again; else an attack"},
	{VS_E_REFUSED_PEER, "add the user to `allow` of the token"},
	{VS_E_REFUSED_ACCESS,
		"give the identity `get`, `list` and `release` on keys (role Key Vault "
		"Crypto Service Release User beside a reader's)"},
	{VS_E_STATE, "the call does not fit the session's state; an operation was not finished"},
	{VS_E_LEASE_ENDED, "call the operation anew: its Init attests again"},
	{VS_E_REVOKED, "the machine was refused at renewal; `vouchsafe status` says why"},
	{VS_E_KEY_GONE, "enable the key in the vault, or take its successor"},
	{VS_E_INTERNAL, "report it with the sentence, it names the place"},
};

const char *
vs_remedy(enum vs_code code)
{
	for (size_t i = 0; i < sizeof remedies / sizeof remedies[0]; i++)
		if (remedies[i].code == code)
			return remedies[i].text;
	return "report it with the sentence";
}

void
vs_remedy_print(const char *command, enum vs_code code)
{
	if (command && code == VS_E_USAGE) {
		(void)fprintf(
			stderr, "  remedy: 'vouchsafe %s --help' says how it is used\n", command);
		return;
	}
	(void)fputs("  remedy: ", stderr);
	for (const char *p = vs_remedy(code); *p; p++)
		(void)fputc(*p == '`' ? '\'' : *p, stderr);
	(void)fputc('\n', stderr);
}
