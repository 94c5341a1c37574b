// SPDX-License-Identifier: BSD-2-Clause
// The vendor's own JavaScript clients, unchanged, against the lab.
// One switch is set, which every service on localhost needs: the name of the challenge's resource
// is not compared with the host.
const assert = require("assert");
const crypto = require("crypto");
const fs = require("fs");
const { CertificateClient } = require("@azure/keyvault-certificates");
const { CryptographyClient, KeyClient } = require("@azure/keyvault-keys");
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
credentials.chain = new ClientCertificateCredential(env.TENANT_ID, env.CERT_CLIENT_ID,
	{ certificatePath: env.CLIENT_CERT_FILE }, { ...authority, sendCertificateChain: true });
credentials.system = new ManagedIdentityCredential();

// The one identity there is, by its other names.
async function namedOtherwise() {
	const { token } = await credentials.machine.getToken("https://vault.azure.net/.default");
	const claims = JSON.parse(Buffer.from(token.split(".")[1], "base64url"));
	const instance = await (await fetch(env.IMDS_URL + "/metadata/instance?api-version=2021-01-01",
		{ headers: { Metadata: "true" } })).json();
	credentials.object = new ManagedIdentityCredential({ objectId: claims.oid });
	credentials.resource = new ManagedIdentityCredential({ resourceId: "/subscriptions/"
		+ instance.compute.subscriptionId + "/resourcegroups/lab/providers/"
		+ "Microsoft.ManagedIdentity/userAssignedIdentities/lab" });
	const unknown = new ManagedIdentityCredential({ clientId: crypto.randomUUID() });
	await assert.rejects(unknown.getToken("https://vault.azure.net/.default"));
}

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

// What stays in the vault is used there; local answers of node's own library check the vault's.
async function keysAreUsedRemotely(client, credential) {
	const user = async (name) => new CryptographyClient(
		(await client.getKey(name)).id, credential, options);
	const text = Buffer.from("text to protect");
	const digest = (n) => crypto.createHash("sha" + n).update(text).digest();
	const rsa = await user("rsa2048"), ec = await user("ec256");
	const { key } = await client.getKey("rsa2048");
	const pub = crypto.createPublicKey({ format: "jwk", key: { kty: "RSA",
		n: Buffer.from(key.n).toString("base64url"), e: "AQAB" } });
	for (const [alg, n, padding] of [["RS256", 256, "RSA_PKCS1_PADDING"],
		["PS384", 384, "RSA_PKCS1_PSS_PADDING"], ["RS512", 512, "RSA_PKCS1_PADDING"]]) {
		const { result } = await rsa.sign(alg, digest(n));
		assert(crypto.verify("sha" + n, text, { key: pub,
			padding: crypto.constants[padding] }, result));
		assert.equal((await rsa.verify(alg, digest(n), result)).result, true);
		const wrong = Buffer.from(result);
		wrong[7] ^= 1;
		assert.equal((await rsa.verify(alg, digest(n), wrong)).result, false);
	}
	await assert.rejects(rsa.sign("ES256", digest(256)), { statusCode: 400 });
	await assert.rejects(rsa.sign("RS256", digest(384)), { statusCode: 400 });
	const signed = await ec.sign("ES256", digest(256));
	assert.equal(signed.result.length, 64);
	assert.equal((await ec.verify("ES256", digest(256), signed.result)).result, true);
	assert.equal((await ec.verify("ES256", digest(256), Buffer.alloc(64))).result, false);
	await assert.rejects(ec.sign("ES384", digest(384)), { statusCode: 400 });
	for (const alg of ["RSA-OAEP", "RSA-OAEP-256", "RSA1_5"]) {
		const { result } = await rsa.encrypt(alg, text);
		assert.deepEqual(Buffer.from((await rsa.decrypt(alg, result)).result), text);
		const wrapped = await rsa.wrapKey(alg, text);
		assert.deepEqual(Buffer.from((await rsa.unwrapKey(alg, wrapped.result)).result), text);
	}
	const bad = Buffer.alloc(256, 1);
	await assert.rejects(rsa.decrypt("RSA-OAEP", bad), { statusCode: 400 });

	// The client itself refuses operations that the key's description does not list.
	await client.createRsaKey("js-ops", { hsm: true, keySize: 2048, keyOps: ["verify"] });
	await assert.rejects((await user("js-ops")).sign("RS256", digest(256)));
	await client.updateKeyProperties("js-ops", { keyOps: ["sign", "verify"] });
	const ops = await user("js-ops");
	await ops.sign("RS256", digest(256));
	await client.updateKeyProperties("js-ops", { enabled: false });
	await assert.rejects(ops.sign("RS256", digest(256)), { statusCode: 403, code: "Forbidden" });
}

async function octKeysAreUsedRemotely(hsm, credential) {
	const aes = new CryptographyClient((await hsm.getKey("aes256")).id, credential, options);
	const text = Buffer.from("sixteen letters!"), aad = Buffer.from("about");
	const sealed = await aes.encrypt(
		{ algorithm: "A256GCM", plaintext: text, additionalAuthenticatedData: aad });
	const opened = (how) => aes.decrypt({ algorithm: "A256GCM", ciphertext: sealed.result,
		iv: sealed.iv, authenticationTag: sealed.authenticationTag,
		additionalAuthenticatedData: aad, ...how });
	assert.deepEqual(Buffer.from((await opened({})).result), text);
	await assert.rejects(opened({ additionalAuthenticatedData: text }), { statusCode: 400 });
	await assert.rejects(opened({ ciphertext: text }), { statusCode: 400 });
	const iv = Buffer.alloc(16, 7);
	const cbc = await aes.encrypt({ algorithm: "A256CBCPAD", plaintext: aad, iv });
	assert.deepEqual(Buffer.from((await aes.decrypt(
		{ algorithm: "A256CBCPAD", ciphertext: cbc.result, iv })).result), aad);
	const { result } = await aes.wrapKey("A256KW", text);
	assert.equal(result.length, text.length + 8);
	assert.deepEqual(Buffer.from((await aes.unwrapKey("A256KW", result)).result), text);
	await assert.rejects(aes.unwrapKey("A256KW", Buffer.alloc(24)), { statusCode: 400 });
	await assert.rejects(aes.wrapKey("A128KW", text), { statusCode: 400 });
	const random = await hsm.getRandomBytes(64);
	assert.equal(random.length, 64);
	assert.notDeepEqual(random, await hsm.getRandomBytes(64));
	await assert.rejects(hsm.getRandomBytes(4096), { statusCode: 400 });
}

async function keysAreBackedUp(client, other) {
	const before = await client.createRsaKey(
		"js-backup", { hsm: true, keySize: 2048, exportable: true, releasePolicy, tags: { a: "b" } });
	await client.createRsaKey(
		"js-backup", { hsm: true, keySize: 2048, exportable: true, releasePolicy });
	const backup = await client.backupKey("js-backup");
	await assert.rejects(client.restoreKeyBackup(backup), { statusCode: 409, code: "Conflict" });
	await (await client.beginDeleteKey("js-backup", { intervalInMs: 50 })).pollUntilDone();
	await assert.rejects(client.restoreKeyBackup(backup), { statusCode: 409 });
	let deleted = 0;
	for await (const key of client.listDeletedKeys())
		deleted += key.name === "js-backup";
	assert.equal(deleted, 1);
	await client.purgeDeletedKey("js-backup");
	await assert.rejects(other.restoreKeyBackup(backup), { statusCode: 400 });
	const spoilt = Buffer.from(backup);
	spoilt[40] ^= 1;
	await assert.rejects(client.restoreKeyBackup(spoilt), { statusCode: 400 });
	await client.restoreKeyBackup(backup);
	const { version } = before.properties;
	const again = await client.getKey("js-backup", { version });
	assert.deepEqual(Buffer.from(again.key.n), Buffer.from(before.key.n));
	assert.deepEqual(again.properties.tags, { a: "b" });
	const out = await client.releaseKey(
		"js-backup", attestation, { version, algorithm: "RSA_AES_KEY_WRAP_256" });
	const jwk = crypto.createPrivateKey(
		{ key: unwrap(out.value, "sha256"), format: "der", type: "pkcs8" }).export({ format: "jwk" });
	assert.equal(number(Buffer.from(jwk.n, "base64url")), number(before.key.n));
}

async function rotationPoliciesAreKept(client) {
	const first = await client.getKeyRotationPolicy("ec256");
	assert.equal(first.lifetimeActions[0].action, "Notify");
	await client.updateKeyRotationPolicy("ec256", {
		expiresIn: "P90D",
		lifetimeActions: [{ action: "Rotate", timeBeforeExpiry: "P30D" }],
	});
	const now = await client.getKeyRotationPolicy("ec256");
	assert.equal(now.expiresIn, "P90D");
	assert.deepEqual(now.lifetimeActions.map((a) => [a.action, a.timeBeforeExpiry]), [["Rotate", "P30D"]]);
	assert(now.createdOn && now.updatedOn);
	await assert.rejects(
		client.updateKeyRotationPolicy("ec256", { expiresIn: "soon" }), { statusCode: 400 });
	await assert.rejects(client.getKeyRotationPolicy("nothing"), { statusCode: 404 });
}

// Where the two services differ, they differ here.
async function flavoursDiffer(vault, hsm) {
	await assert.rejects(vault.createOctKey("js-no", { hsm: true, keySize: 256 }), { statusCode: 400 });
	const software = await vault.createRsaKey("js-soft", { keySize: 2048 });
	assert.equal(software.keyType, "RSA");
	assert.equal((await hsm.createRsaKey("js-soft", { keySize: 2048 })).keyType, "RSA-HSM");
	await assert.rejects(vault.createRsaKey("js-x", { hsm: true, exportable: true }), (e) =>
		e.statusCode === 400 && /^AKV\.SKR\.1004: /.test(e.message));
	await assert.rejects(hsm.createRsaKey("js-x", { hsm: true, exportable: true }), (e) =>
		e.statusCode === 400 && /^Exportable .* \(Activity ID: /.test(e.message));
	await assert.rejects(vault.createRsaKey("js-x", { exportable: true, releasePolicy }), /AKV\.SKR\.1006/);
	await assert.rejects(vault.createRsaKey("js-x", { hsm: true, releasePolicy }), /AKV\.SKR\.1005/);
	const { key } = await hsm.getKeyAttestation("rsa2048").then((k) => {
		const a = k.properties.attestation;
		assert(Buffer.from(a.certificatePemFile).toString().includes("BEGIN CERTIFICATE"));
		assert(a.privateKeyAttestation.length > 0 && a.publicKeyAttestation.length > 0);
		return k;
	});
	assert(key.n);
	await assert.rejects(vault.getKeyAttestation("rsa2048"), { statusCode: 400 });
	await assert.rejects(vault.getRandomBytes(8), { statusCode: 404 });
}

async function certificatesAreRead() {
	const client = new CertificateClient(env.VAULT_URL, credentials.secret, options);
	const certificate = await client.getCertificate("rsa2048");
	assert(new crypto.X509Certificate(Buffer.from(certificate.cer)).subject.includes("LAB"));
	await assert.rejects(client.getCertificate("nothing"), { statusCode: 404 });
	const { version } = certificate.properties;
	assert.deepEqual((await client.getCertificateVersion("rsa2048", version)).cer, certificate.cer);
	const all = [];
	for await (const p of client.listPropertiesOfCertificates())
		all.push(p.name);
	assert(all.includes("rsa2048") && all.includes("ec256"));
}

(async () => {
	const vault = new KeyClient(env.VAULT_URL, credentials.secret, options);
	const hsm = new KeyClient(env.MHSM_URL, credentials.machine, options);
	await namedOtherwise();
	await everyCredentialOpensBothVaults();
	for (const client of [vault, hsm]) {
		await keysLiveAndDie(client);
		await releaseDecides(client);
	}
	const imported = await keysAreImported(vault, hsm);
	await releasedKeysAreTheKeys(vault, imported);
	await releasedKeysAreTheKeys(hsm, null);
	assert(await pagesMayBeEmpty(vault) > 0);
	assert.equal(await pagesMayBeEmpty(hsm), 0);
	await certificatesAreRead();
	await keysAreUsedRemotely(vault, credentials.secret);
	await keysAreUsedRemotely(hsm, credentials.machine);
	await octKeysAreUsedRemotely(hsm, credentials.machine);
	await keysAreBackedUp(vault, hsm);
	await keysAreBackedUp(hsm, vault);
	for (const client of [vault, hsm])
		await rotationPoliciesAreKept(client);
	await flavoursDiffer(vault, hsm);
	console.log("the vendor's clients work against the lab");
})().catch((e) => {
	console.error(e);
	process.exit(1);
});
