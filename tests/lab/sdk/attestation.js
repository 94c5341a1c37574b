// SPDX-License-Identifier: BSD-2-Clause
// The vendor's own attestation clients, unchanged, against the lab's three providers. Evidence is
// what real machines made: quotes of the recordings in tests/data/maa.
const assert = require("assert");
const crypto = require("crypto");
const fs = require("fs");
const {
	AttestationAdministrationClient,
	AttestationClient,
	createAttestationPolicyToken,
} = require("@azure/attestation");
const { createHttpHeaders, createPipelineRequest } = require("@azure/core-rest-pipeline");
const { ClientSecretCredential } = require("@azure/identity");
const { execFileSync } = require("child_process");

const env = process.env;
const authority = { authorityHost: env.AUTHORITY_URL, disableInstanceDiscovery: true };
const credential = new ClientSecretCredential(
	env.TENANT_ID, env.CLIENT_ID, env.CLIENT_SECRET, authority);
const providers = { shared: env.MAA_SHARED_URL, aad: env.MAA_URL, isolated: env.MAA_ISOLATED_URL };
const data = env.VS_SRCDIR + "/tests/data/maa/";
const slack = {
	validateToken: true,
	validateExpirationTime: true,
	validateNotBeforeTime: true,
	timeValidationSlack: 5,
};

function recorded(name, member) {
	const file = JSON.parse(fs.readFileSync(data + "exchanges/" + name + ".json"));
	const entry = file.Entries.find((e) => e.RequestMethod === "POST");
	const body = entry.RequestBody;
	return {
		evidence: Buffer.from(body[member], "base64url"),
		runtime: body.runtimeData && Buffer.from(body.runtimeData.data, "base64url"),
		draft: body.draftPolicyForAttestation,
	};
}
const sgx = recorded("attest-sgxenclave-runtimedata-json-shared", "quote");
const oe = recorded("attest-openenclave-runtimedata-json-aad", "report");

const client = (url) => new AttestationClient(url, {
	validationOptions: { ...slack, validateIssuer: true, expectedIssuer: url },
});
const administration = (url) => new AttestationAdministrationClient(url, credential, {
	validationOptions: { ...slack, validateIssuer: true, expectedIssuer: url },
});

async function everyProviderSignsWithTheRegionsKey() {
	const ids = new Set();
	for (const url of Object.values(providers)) {
		assert.equal((await client(url).getOpenIdMetadata()).issuer, url);
		const signers = await client(url).getAttestationSigners();
		assert(signers.length >= 3);
		ids.add(signers.map((s) => s.keyId).sort().join());
		const answer = await client(url).attestSgxEnclave(sgx.evidence);
		assert.equal(answer.body.issuer, url);
		await assert.rejects(
			client(url).attestSgxEnclave(sgx.evidence, {
				validationOptions: { ...slack, validateIssuer: true, expectedIssuer: "https://other" },
			}), /[Ii]ssuer/);
	}
	assert.equal(ids.size, 1);
}

async function enclavesAreAttested() {
	const c = client(providers.aad);
	for (const call of [
		(o) => c.attestSgxEnclave(sgx.evidence, o),
		(o) => c.attestOpenEnclave(oe.evidence, o),
	]) {
		const plain = (await call()).body;
		assert.equal(plain.isDebuggable, true);
		assert.equal(plain.productId, 1);
		assert.equal(plain.svn, 1);
		assert.equal(plain.mrEnclave, "292a1f4b519e46627eb2478a3d9851405653c5b4b0a6925de843834d9216850e");
		assert.equal(plain.mrSigner, "4aea5f9a0ed04b11f889aadfe6a1d376213a29a95a85ce7337ae6f7fece6610c");
		const json = (await call({ runTimeJson: sgx.runtime })).body;
		assert.equal(json.runTimeClaims.jwk.crv, "P-256");
		assert.equal(json.enclaveHeldData, undefined);
		const binary = (await call({ runTimeData: sgx.runtime })).body;
		assert.deepEqual(Buffer.from(binary.enclaveHeldData), sgx.runtime);
		await assert.rejects(call({ runTimeData: Buffer.from("other") }), { statusCode: 400 });
		await assert.rejects(call({ initTimeData: Buffer.from("other") }), { statusCode: 400 });
	}
	const body = (await c.attestSgxEnclave(sgx.evidence)).body;
	assert.equal(body.sgxCollateral.quotehash,
		crypto.createHash("sha256").update(sgx.evidence).digest("hex"));
}

async function bogusEvidenceIsRefused() {
	const c = client(providers.shared);
	for (const at of [0, 60, 200, 380, 440, 520, 700, 1100, 1400, 3000]) {
		const bad = Buffer.from(sgx.evidence);
		bad[at] ^= 1;
		await assert.rejects(c.attestSgxEnclave(bad), { statusCode: 400, code: "InvalidParameter" });
	}
	await assert.rejects(c.attestSgxEnclave(Buffer.alloc(100)), { statusCode: 400 });
	await assert.rejects(c.attestOpenEnclave(sgx.evidence), { statusCode: 400 });
	await assert.rejects(c.attestSgxEnclave(oe.evidence), { statusCode: 400 });
}

// This version of the client has no call for virtual machines; its own pipeline makes it, and its own
// keys judge the answer.
async function attestMachine(type, body) {
	const c = client(providers.shared);
	const request = createPipelineRequest({
		url: `${providers.shared}/attest/${type}?api-version=2025-06-01`,
		method: "POST",
		headers: createHttpHeaders({ "Content-Type": "application/json" }),
		body: JSON.stringify(body),
	});
	const response = await c._client.sendRequest(request);
	const answer = JSON.parse(response.bodyAsText);
	if (response.status !== 200)
		return { status: response.status, ...answer.error,
			header: response.headers.get("x-ms-error-code") };
	const [head, claims, signature] = answer.token.split(".");
	const kid = JSON.parse(Buffer.from(head, "base64url")).kid;
	const signer = (await c.getAttestationSigners()).find((s) => s.keyId === kid);
	const leaf = new crypto.X509Certificate(signer.certificates[0]);
	assert(crypto.verify("sha256", Buffer.from(head + "." + claims), leaf.publicKey,
		Buffer.from(signature, "base64url")));
	return { status: 200, claims: JSON.parse(Buffer.from(claims, "base64url")) };
}

async function machinesAreAttested() {
	const b64url = (b) => Buffer.from(b).toString("base64url");
	// A report of 2025 with the chain that its machine had, and a TD quote of 5006 bytes.
	const report = fs.readFileSync(data + "evidence/sevsnpvm-2025-04.report.b64url", "utf8").trim();
	const inner = JSON.parse(Buffer.from(report, "base64url"));
	const snp = Buffer.from(inner.SnpReport, "base64url");
	const good = await attestMachine("SevSnpVm", { report, nonce: "n" });
	assert.equal(good.status, 200, good.message);
	assert.equal(good.claims["x-ms-attestation-type"], "sevsnpvm");
	assert.equal(good.claims.nonce, "n");
	assert.equal(good.claims["x-ms-sevsnpvm-reportdata"], snp.subarray(0x50, 0x90).toString("hex"));
	assert.equal(good.claims["x-ms-sevsnpvm-launchmeasurement"], snp.subarray(0x90, 0xc0).toString("hex"));
	assert.equal(good.claims["x-ms-compliance-status"], undefined);
	for (const at of [0, 8, 0x38, 0x50, 0x90, 0x180, 0x1a0, 0x2a0, 0x2e8]) {
		const bad = Buffer.from(snp);
		bad[at] ^= 1;
		const answer = await attestMachine("SevSnpVm", {
			report: b64url(JSON.stringify({ ...inner, SnpReport: b64url(bad) })) });
		assert.equal(answer.status, 400, `report byte ${at}`);
		assert.equal(answer.code, "InvalidParameter");
		assert.equal(answer.header, "InvalidParameter");
		assert.match(answer.innererror.code, /^Snp/);
	}
	const pem = Buffer.from(inner.VcekCertChain, "base64url").toString();
	const without = pem.slice(0, pem.indexOf("-----BEGIN", 20));
	for (const chain of [without, pem.replace("MII", "MIJ"), ""])
		assert.equal((await attestMachine("SevSnpVm", { report: b64url(JSON.stringify(
			{ ...inner, VcekCertChain: b64url(chain) })) })).status, 400);
	const runtimeData = { data: b64url("something else"), dataType: "Binary" };
	assert.equal((await attestMachine("SevSnpVm", { report, runtimeData })).innererror.code, "SnpReportData");
	assert.equal((await attestMachine("SevSnpVm", { report, initTimeData: runtimeData })).innererror.code,
		"InitTimeData");

	const td = fs.readFileSync(data + "evidence/td_quote_v4.dat");
	const quote = b64url(td);
	const tdx = await attestMachine("TdxVm", { quote });
	assert.equal(tdx.status, 200, tdx.message);
	assert.equal(tdx.claims["x-ms-attestation-type"], "tdxvm");
	assert.equal(tdx.claims.tdx_mrtd, td.subarray(48 + 136, 48 + 184).toString("hex"));
	assert.equal(tdx.claims.tdx_report_data, td.subarray(48 + 520, 48 + 584).toString("hex"));
	for (const at of [0, 4, 60, 48 + 120, 48 + 136, 48 + 520, 640, 700, 770, 1200, 1400, 3000]) {
		const bad = Buffer.from(td);
		bad[at] ^= 1;
		const answer = await attestMachine("TdxVm", { quote: b64url(bad) });
		assert.equal(answer.status, 400, `quote byte ${at}`);
		assert.equal(answer.code, "InvalidParameter");
	}
	assert.equal((await attestMachine("TdxVm", { quote: b64url(sgx.evidence) })).status, 400);
	assert.equal((await attestMachine("SgxEnclave", { quote })).status, 400);
	assert.equal((await attestMachine("TdxVm", { quote, runtimeData })).innererror.code, "ReportData");
	assert.equal((await attestMachine("AzureGuest", { AttestationInfo: "e30" })).status, 400);
}

async function draftPoliciesAreTriedOut() {
	const c = client(providers.shared);
	const draft = recorded("attest-sgxenclave-draftpolicy-shared-200-and-400", "quote").draft;
	const answer = await c.attestSgxEnclave(sgx.evidence, { draftPolicyForAttestation: draft });
	assert.equal(answer.token.algorithm, "none");
	assert.equal(answer.body.policyClaims["custom-name"], answer.body.mrSigner);
	await assert.rejects(
		c.attestSgxEnclave(sgx.evidence, {
			draftPolicyForAttestation: "version= 1.0;authorizationrules{=> deny();};" }),
		{ statusCode: 400, code: "PolicyEvaluationError" });
}

function makeSigner(name) {
	return fs.readFileSync(`${env.SDK_SIGNERS}/${name}.pem`, "utf8");
}
const keyOf = (pem) => pem.slice(pem.indexOf("-----BEGIN PRIVATE"));
const certOf = (pem) => pem.slice(pem.indexOf("-----BEGIN CERT"),
	pem.indexOf("-----END CERTIFICATE-----") + 26);

const text = "version= 1.0; authorizationrules{=> permit();}; issuancerules{};";

async function changeAndReset(url, type, signing) {
	const a = administration(url);
	// The client cannot read the answer for a type without a policy, which Tpm is.
	const get = () => (type === "Tpm" ? null : a.getPolicy(type).then((r) => r.body));
	const before = await get();
	const set = (await a.setPolicy(type, text, signing)).body;
	const expected = createAttestationPolicyToken(text, signing.privateKey, signing.certificate);
	const hash = crypto.createHash("sha256").update(expected.serialize()).digest();
	assert.deepEqual(Buffer.from(set.policyTokenHash), hash);
	assert.equal(set.policyResolution, "Updated");
	assert.equal(Boolean(set.policySigner), Boolean(signing.certificate));
	assert.equal((await a.getPolicy(type)).body, text);
	assert.equal((await a.resetPolicy(type, signing)).body.policyResolution, "Removed");
	assert.equal(await get(), before);
}

async function policiesAreChanged() {
	const mine = makeSigner("mine"), first = fs.readFileSync(env.POLICY_SIGNER_FILE, "utf8");
	const signed = (pem) => ({ privateKey: keyOf(pem), certificate: certOf(pem) });
	for (const type of ["SgxEnclave", "OpenEnclave", "Tpm", "SevSnpVm", "TdxVm", "AzureGuest"]) {
		await changeAndReset(providers.aad, type, {});
		await changeAndReset(providers.aad, type, signed(mine));
		await changeAndReset(providers.isolated, type, signed(first));
		const isolated = administration(providers.isolated);
		await assert.rejects(isolated.setPolicy(type, text), { code: "InvalidOperation" });
		await assert.rejects(isolated.setPolicy(type, text, signed(mine)), { code: "InvalidOperation" });
		await assert.rejects(administration(providers.shared).setPolicy(type, text), { statusCode: 403 });
	}
	await assert.rejects(
		administration(providers.aad).setPolicy("SgxEnclave", "version= 1.0; nonsense"),
		{ code: "PolicyParsingError" });
}

async function policyCertificatesAreChanged() {
	const mine = makeSigner("mine"), first = fs.readFileSync(env.POLICY_SIGNER_FILE, "utf8");
	const a = administration(providers.isolated);
	assert.equal((await a.getPolicyManagementCertificates()).body.length, 1);
	const added = (await a.addPolicyManagementCertificate(certOf(mine), keyOf(first), certOf(first))).body;
	assert.equal(added.certificateResolution, "IsPresent");
	assert.equal(added.certificateThumbprint,
		new crypto.X509Certificate(certOf(mine)).fingerprint.replaceAll(":", ""));
	assert.equal((await a.getPolicyManagementCertificates()).body.length, 2);
	await changeAndReset(providers.isolated, "SgxEnclave",
		{ privateKey: keyOf(mine), certificate: certOf(mine) });
	const gone = (await a.removePolicyManagementCertificate(
		certOf(mine), keyOf(first), certOf(first))).body;
	assert.equal(gone.certificateResolution, "IsAbsent");
	await assert.rejects(
		a.addPolicyManagementCertificate(certOf(mine), keyOf(mine), certOf(mine)), { statusCode: 400 });
	await assert.rejects(
		a.removePolicyManagementCertificate(certOf(first), keyOf(first), certOf(first)),
		{ statusCode: 400 });
	for (const url of [providers.aad, providers.shared]) {
		assert.deepEqual((await administration(url).getPolicyManagementCertificates()).body, []);
		await assert.rejects(
			administration(url).addPolicyManagementCertificate(certOf(mine), keyOf(mine), certOf(mine)),
			{ code: "InvalidOperation" });
	}
}

const b64u = (v) => Buffer.from(v).toString("base64url");

// The request of the protocol's second exchange, signed by a key that the TPM's quote is about.
function tpmRequest(payload, spoil) {
	const { privateKey, publicKey } = crypto.generateKeyPairSync("rsa", { modulusLength: 2048 });
	const jwk = publicKey.export({ format: "jwk" });
	const challenge = Buffer.from(payload.challenge, "base64url");
	const about = crypto.createHash("sha256")
		.update(JSON.stringify(jwk)).update(Buffer.alloc(1)).update(challenge).digest("hex");
	const now = JSON.parse(execFileSync("python3",
		[env.VS_SRCDIR + "/tests/lab/attest_tpm.py", "evidence", about]));
	if (spoil)
		spoil(now);
	const body = {
		att_type: "basic",
		att_data: {
			rp_id: "https://rp.example",
			rp_data: b64u("nonce"),
			challenge: payload.challenge,
			tpm_att_data: { current_attestation: now },
			request_key: { jwk, info: { tpm_quote: { hash_alg: "sha-256" } } },
			service_context: payload.service_context,
		},
	};
	const text = [{ alg: "PS256", typ: "attReqV2" }, body].map((v) => b64u(JSON.stringify(v))).join(".");
	const signature = crypto.sign("sha256", Buffer.from(text), {
		key: privateKey,
		padding: crypto.constants.RSA_PKCS1_PSS_PADDING,
		saltLength: crypto.constants.RSA_PSS_SALTLEN_DIGEST,
	});
	return { jwk, request: JSON.stringify({ payload: { request: text + "." + b64u(signature) } }) };
}

async function theTpmIsAttested() {
	const known = (url) => new AttestationClient(url, credential);
	const c = known(providers.aad);
	const hello = JSON.stringify({ payload: { type: "aikcert" } });
	await assert.rejects(c.attestTpm(hello), { statusCode: 400 });
	await administration(providers.aad).setPolicy("Tpm", "version=1.2; authorizationrules{"
		+ "[type==\"aikValidated\", value==true] => permit();}; issuancerules{"
		+ "=> issue(type=\"vouchsafe-lab\", value=NegateBool(false));};");
	const start = async () => JSON.parse(await c.attestTpm(hello)).payload;
	const payload = await start();
	assert.equal(Buffer.from(payload.challenge, "base64url").length, 16);
	assert(payload.service_context.length > 20);

	const { jwk, request } = tpmRequest(payload);
	const { report } = JSON.parse(await c.attestTpm(request)).payload;
	const [head, claims] = report.split(".").slice(0, 2).map((p) => JSON.parse(Buffer.from(p, "base64url")));
	const leaf = new crypto.X509Certificate(Buffer.from(head.x5c[0], "base64"));
	assert(leaf.verify(new crypto.X509Certificate(Buffer.from(head.x5c[1], "base64")).publicKey));
	assert(crypto.verify("sha256", Buffer.from(report.slice(0, report.lastIndexOf("."))),
		leaf.publicKey, Buffer.from(report.split(".")[2], "base64url")));
	assert((await c.getAttestationSigners()).some((s) => s.keyId === head.kid));
	assert.deepEqual(claims.cnf.jwk, jwk);
	assert.equal(claims.iss, providers.aad);
	assert.deepEqual(claims["x-ms-policy"], { "vouchsafe-lab": true });

	const flip = (text) => text.slice(0, 80) + (text[80] === "A" ? "B" : "A") + text.slice(81);
	for (const member of ["quote", "signature", "aik_cert"]) {
		const bad = tpmRequest(await start(), (now) => (now[member] = flip(now[member])));
		await assert.rejects(c.attestTpm(bad.request), { statusCode: 400, code: "InvalidParameter" });
	}
	// A challenge answers only for its own exchange.
	const other = await start();
	const mixed = tpmRequest({ ...other, service_context: payload.service_context });
	await assert.rejects(c.attestTpm(mixed.request), { statusCode: 400, code: "InvalidParameter" });
	await assert.rejects(
		c.attestTpm(JSON.stringify({ payload: { request: "a.b.c" } })), { statusCode: 400 });
	await assert.rejects(client(providers.aad).attestTpm(hello), { statusCode: 401 });
	await assert.rejects(known(providers.shared).attestTpm(hello), { statusCode: 400 });
	await administration(providers.aad).resetPolicy("Tpm");
}

(async () => {
	await everyProviderSignsWithTheRegionsKey();
	await enclavesAreAttested();
	await bogusEvidenceIsRefused();
	await machinesAreAttested();
	await draftPoliciesAreTriedOut();
	await policiesAreChanged();
	await policyCertificatesAreChanged();
	await theTpmIsAttested();
	console.log("the vendor's attestation clients work against the lab");
})().catch((e) => {
	console.error(e);
	process.exit(1);
});
