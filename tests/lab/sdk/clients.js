// SPDX-License-Identifier: BSD-2-Clause
// The vendor's own JavaScript clients, unchanged, against the lab.
// One switch is set, which every service on localhost needs: the name of the challenge's resource
// is not compared with the host.
const assert = require("assert");
const crypto = require("crypto");
const fs = require("fs");
const { AttestationClient } = require("@azure/attestation");
const { CertificateClient } = require("@azure/keyvault-certificates");
const { KeyClient } = require("@azure/keyvault-keys");
const {
	ClientCertificateCredential,
	ClientSecretCredential,
	ManagedIdentityCredential,
	WorkloadIdentityCredential,
} = require("@azure/identity");

const env = process.env;
const options = { disableChallengeResourceVerification: true };
const authority = { authorityHost: env.AUTHORITY_URL, disableInstanceDiscovery: true };
env.AZURE_POD_IDENTITY_AUTHORITY_HOST = env.IMDS_URL;

const credentials = {
	secret: new ClientSecretCredential(
		env.TENANT_ID, env.CLIENT_ID, env.CLIENT_SECRET, authority),
	certificate: new ClientCertificateCredential(
		env.TENANT_ID, env.CERT_CLIENT_ID, { certificatePath: env.CLIENT_CERT_FILE }, authority),
	workload: new WorkloadIdentityCredential({
		tenantId: env.TENANT_ID,
		clientId: env.WI_CLIENT_ID,
		tokenFilePath: env.FEDERATED_TOKEN_FILE,
		...authority,
	}),
	machine: new ManagedIdentityCredential({ clientId: env.MI_CLIENT_ID }),
};
const releasePolicy = { encodedPolicy: fs.readFileSync(env.VOUCHSAFE_LAB + "/policy.json") };
const attestation = fs.readFileSync(0, "utf8").trim();

async function names(client) {
	const all = [];
	for await (const p of client.listPropertiesOfKeys())
		all.push(p.name);
	return all;
}

async function everyCredentialOpensBothVaults() {
	for (const credential of Object.values(credentials))
		for (const url of [env.VAULT_URL, env.MHSM_URL])
			assert((await names(new KeyClient(url, credential, options))).includes("rsa2048"));
	const wrong = new ClientSecretCredential(env.TENANT_ID, env.CLIENT_ID, "wrong", authority);
	await assert.rejects(names(new KeyClient(env.VAULT_URL, wrong, options)), /AADSTS7000215/);
}

async function keysLiveAndDie(client) {
	const made = await client.createRsaKey(
		"js-rsa", { hsm: true, keySize: 2048, exportable: true, releasePolicy });
	const got = await client.getKey("js-rsa");
	assert.deepEqual(Buffer.from(got.key.n), Buffer.from(made.key.n));
	await client.updateKeyProperties("js-rsa", { enabled: false });
	await client.updateKeyProperties("js-rsa", { enabled: true, tags: { a: "b" } });
	await (await client.beginDeleteKey("js-rsa", { intervalInMs: 50 })).pollUntilDone();
	await assert.rejects(client.getKey("js-rsa"), { code: "KeyNotFound" });
	await (await client.beginRecoverDeletedKey("js-rsa", { intervalInMs: 50 })).pollUntilDone();
	await (await client.beginDeleteKey("js-rsa", { intervalInMs: 50 })).pollUntilDone();
	await client.purgeDeletedKey("js-rsa");
	let pages = 0;
	for await (const _page of client.listPropertiesOfKeys().byPage({ maxPageSize: 2 }))
		pages++;
	assert(pages >= 3);
	await client.rotateKey("ec384");
	let versions = 0;
	for await (const _version of client.listPropertiesOfKeyVersions("ec384"))
		versions++;
	assert.equal(versions, 2);
}

async function releaseDecides(client) {
	await client.createEcKey("js-ec", {
		hsm: true,
		curve: "P-256",
		exportable: true,
		releasePolicy: { ...releasePolicy, immutable: true },
	});
	const other = {
		version: "1.0.0",
		anyOf: [{ authority: env.MAA_URL, anyOf: [{ claim: "a", equals: "b" }] }],
	};
	await assert.rejects(
		client.updateKeyProperties(
			"js-ec", { releasePolicy: { encodedPolicy: Buffer.from(JSON.stringify(other)) } }),
		{ statusCode: 400, code: "BadParameter" });
	const released = await client.releaseKey(
		"js-ec", attestation, { nonce: "abc", algorithm: "RSA_AES_KEY_WRAP_256" });
	assert.equal(released.value.split(".").length, 3);
	await assert.rejects(client.releaseKey("js-ec", "target"), { statusCode: 403, code: "Forbidden" });
}

async function keysAreImported(vault, hsm) {
	const pair = crypto.generateKeyPairSync("rsa", { modulusLength: 2048 });
	const jwk = { kty: "RSA-HSM" };
	for (const [name, value] of Object.entries(pair.privateKey.export({ format: "jwk" })))
		if (name !== "kty")
			jwk[name] = Buffer.from(value, "base64url");
	await vault.importKey(
		"js-import", jwk, { hardwareProtected: true, exportable: true, releasePolicy });
	await hsm.createOctKey("js-oct", { hsm: true, keySize: 256, exportable: true, releasePolicy });
}

async function certificatesAndMetadataAreRead() {
	const client = new CertificateClient(env.VAULT_URL, credentials.secret, options);
	const certificate = await client.getCertificate("rsa2048");
	assert(new crypto.X509Certificate(Buffer.from(certificate.cer)).subject.includes("LAB"));
	const service = new AttestationClient(env.MAA_URL, { credentials: credentials.secret });
	assert.equal((await service.getOpenIdMetadata()).issuer, env.MAA_URL);
	assert((await service.getAttestationSigners()).length > 0);
}

(async () => {
	const vault = new KeyClient(env.VAULT_URL, credentials.secret, options);
	const hsm = new KeyClient(env.MHSM_URL, credentials.machine, options);
	await everyCredentialOpensBothVaults();
	for (const client of [vault, hsm]) {
		await keysLiveAndDie(client);
		await releaseDecides(client);
	}
	await keysAreImported(vault, hsm);
	await certificatesAndMetadataAreRead();
	console.log("the vendor's clients work against the lab");
})().catch((e) => {
	console.error(e);
	process.exit(1);
});
