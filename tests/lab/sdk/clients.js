// SPDX-License-Identifier: BSD-2-Clause
// The vendor's own JavaScript clients, unchanged, against the lab.
// One switch is set, which every service on localhost needs: the name of the challenge's resource
// is not compared with the host.
const assert = require("assert");
const crypto = require("crypto");
const fs = require("fs");
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
const evidence = JSON.parse(fs.readFileSync(0, "utf8"));
const attestation = evidence.token;
const transport = crypto.createPrivateKey(evidence.private_key_pem);

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

// What the released text holds, opened with the key that the attestation token names.
function unwrap(value, hash) {
	const part = (n) => JSON.parse(Buffer.from(value.split(".")[n], "base64url"));
	assert.equal(part(0).alg, "RS256");
	const leaf = new crypto.X509Certificate(Buffer.from(part(0).x5c[0], "base64"));
	const [head, body, signature] = value.split(".");
	assert(crypto.verify("sha256", Buffer.from(head + "." + body), leaf.publicKey,
		Buffer.from(signature, "base64url")));
	const held = JSON.parse(Buffer.from(part(1).response.key.key.key_hsm, "base64url"));
	const wrapped = Buffer.from(held.ciphertext, "base64url");
	const kek = crypto.privateDecrypt(
		{ key: transport, padding: crypto.constants.RSA_PKCS1_OAEP_PADDING, oaepHash: hash },
		wrapped.subarray(0, 256));
	assert.equal(kek.length, 32);
	const open = crypto.createDecipheriv("id-aes256-wrap-pad", kek, Buffer.from("a65959a6", "hex"));
	return Buffer.concat([open.update(wrapped.subarray(256)), open.final()]);
}

// Some vaults write exponents with a leading zero octet.
const number = (bytes) => BigInt("0x" + Buffer.from(bytes).toString("hex"));
const encs = { CKM_RSA_AES_KEY_WRAP: "sha1", RSA_AES_KEY_WRAP_256: "sha256", RSA_AES_KEY_WRAP_384: "sha384" };

async function releasedKeysAreTheKeys(client, imported) {
	for (const [enc, hash] of Object.entries(encs)) {
		for (const name of ["rsa2048", "ec384"]) {
			const { key } = await client.getKey(name);
			const out = await client.releaseKey(name, attestation, { nonce: "n", algorithm: enc });
			const jwk = crypto.createPrivateKey(
				{ key: unwrap(out.value, hash), format: "der", type: "pkcs8" }).export({ format: "jwk" });
			for (const member of name === "rsa2048" ? ["n", "e"] : ["x", "y"])
				assert.equal(number(Buffer.from(jwk[member], "base64url")), number(key[member]));
		}
		if (imported) {
			const out = await client.releaseKey("js-import", attestation, { algorithm: enc });
			const again = crypto.createPrivateKey(
				{ key: unwrap(out.value, hash), format: "der", type: "pkcs8" });
			assert.deepEqual(again.export({ format: "jwk" }), imported.export({ format: "jwk" }));
		} else {
			const out = await client.releaseKey("aes256", attestation, { algorithm: enc });
			assert.equal(unwrap(out.value, hash).length, 32);
		}
		assert.throws(() => unwrap("a.b.c", hash));
	}
	await assert.rejects(
		client.releaseKey("rsa2048", attestation, { algorithm: "RSA-OAEP" }), { statusCode: 400 });
	const spoilt = attestation.slice(0, -8) + (attestation.slice(-8) === "AAAAAAAA" ? "BBBBBBBB" : "AAAAAAAA");
	await assert.rejects(client.releaseKey("rsa2048", spoilt), { statusCode: 403 });
}

async function pagesMayBeEmpty(client) {
	let empty = 0, all = 0;
	for await (const page of client.listPropertiesOfKeys().byPage({ maxPageSize: 1 })) {
		empty += page.length === 0;
		all += page.length;
	}
	assert(all >= 4);
	return empty;
}

async function keysAreImported(vault, hsm) {
	const pair = crypto.generateKeyPairSync("rsa", { modulusLength: 2048 });
	const jwk = { kty: "RSA-HSM" };
	for (const [name, value] of Object.entries(pair.privateKey.export({ format: "jwk" })))
		if (name !== "kty")
			jwk[name] = Buffer.from(value, "base64url");
	await vault.importKey(
		"js-import", jwk, { hardwareProtected: true, exportable: true, releasePolicy });
	const back = await vault.getKey("js-import");
	assert.equal(Buffer.from(back.key.n).toString("base64url"), pair.publicKey.export({ format: "jwk" }).n);
	await hsm.createOctKey("js-oct", { hsm: true, keySize: 256, exportable: true, releasePolicy });
	return pair.privateKey;
}

async function certificatesAreRead() {
	const client = new CertificateClient(env.VAULT_URL, credentials.secret, options);
	const certificate = await client.getCertificate("rsa2048");
	assert(new crypto.X509Certificate(Buffer.from(certificate.cer)).subject.includes("LAB"));
	await assert.rejects(client.getCertificate("nothing"), { statusCode: 404 });
}

(async () => {
	const vault = new KeyClient(env.VAULT_URL, credentials.secret, options);
	const hsm = new KeyClient(env.MHSM_URL, credentials.machine, options);
	await everyCredentialOpensBothVaults();
	for (const client of [vault, hsm]) {
		await keysLiveAndDie(client);
		await releaseDecides(client);
	}
	const imported = await keysAreImported(vault, hsm);
	await releasedKeysAreTheKeys(vault, imported);
	await releasedKeysAreTheKeys(hsm, null);
	await pagesMayBeEmpty(vault);
	await pagesMayBeEmpty(hsm);
	await certificatesAreRead();
	console.log("the vendor's clients work against the lab");
})().catch((e) => {
	console.error(e);
	process.exit(1);
});
