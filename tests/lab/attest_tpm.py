#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The TPM attestation protocol, both exchanges, with a client that shares no code with the lab.

Run as `vouchsafe-lab run -- python3 attest_tpm.py`. With `evidence HEX` it prints what the TPM has to
say, for the vendor's client in make check-sdk. Every refusal is one for the check that it names.
"""
import hashlib
import json
import os
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from tpmkit import (AK, DIR, NV_AK_CERT, SHA1, SHA256, Tpm, Web, b64u, event_log, modulus,  # noqa: E402
                    rsa_public, sized, take, unb64u)

LAB = os.environ["VS_BUILDDIR"] + "/vouchsafe-lab"
ALL = list(range(24))
TPM, MAA = Tpm(), Web("MAA_URL")
POLICY = """version=1.2;
configurationrules{=> issueproperty(type="report_validity_in_minutes", value=5760);%s};
authorizationrules{
c:[type=="pcrs", issuer=="AttestationService"] => add(type="pcr0Known", value=JsonToClaimValue(
JmesPath(c.value, "PCRs[? Index == `0`].Digests.SHA256 | @[0] == '%s'")));
[type=="pcr0Known", value==true] => permit();
};
issuancerules{
c:[type=="aikValidated", issuer=="AttestationService"] => issue(claim=c);
c:[type=="tpmVersion"] => issue(type="TpmVersion", value=c.value);
c:[type=="events", issuer=="AttestationService"] => add(type="vars", value=JmesPath(c.value,
"Events[? EventTypeString == 'EV_EFI_VARIABLE_DRIVER_CONFIG' && ProcessedData.VariableGuid == '8BE4DF61-93CA-11D2-AA0D-00E098032B8C']"));
c:[type=="vars", issuer=="AttestationPolicy"] => issue(type="SecureBootEnabled", value=JsonToClaimValue(
JmesPath(c.value, "[? ProcessedData.UnicodeName == 'SecureBoot'] | length(@) == `1` && @[0].ProcessedData.VariableData == 'AQ'")));
![type=="SecureBootEnabled", issuer=="AttestationPolicy"] => issue(type="SecureBootEnabled", value=false);
c:[issuer=="CustomClaim"] => issue(claim=c);
};"""


def bearer():
    return {"Authorization": "Bearer " + subprocess.run(
        [LAB, "access-token", "https://attest.azure.net"], check=True, capture_output=True,
        text=True).stdout.strip(), "Content-Type": "application/json"}


TOKEN = bearer()


def set_policy(pcr0, rules=""):
    text = POLICY % (rules, pcr0)
    jws = b64u(b'{"alg":"none"}') + "." + b64u(
        json.dumps({"AttestationPolicy": b64u(text.encode())}).encode()) + "."
    status, answer = MAA.ask("PUT", "/policies/Tpm?api-version=2020-10-01", jws, TOKEN)
    assert status == 200, answer
    return b64u(hashlib.sha256(b64u(text.encode()).encode()).digest())


def post(payload, headers=TOKEN):
    data = b64u(json.dumps({"payload": payload}).encode())
    status, answer = MAA.ask("POST", "/attest/Tpm?api-version=2020-10-01",
                             json.dumps({"data": data}), headers)
    if status == 200:
        return json.loads(unb64u(answer["data"]))["payload"]
    return status, answer["error"]["code"], answer["error"]["innererror"]["code"]


class Software:
    """A request key outside the TPM; openssl makes PS256 with it."""

    def __init__(self):
        self.pem = tempfile.NamedTemporaryFile(dir=DIR)
        subprocess.run(["openssl", "genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt",
                        "rsa_keygen_bits:2048", "-out", self.pem.name], check=True,
                       capture_output=True)
        n = subprocess.run(["openssl", "rsa", "-in", self.pem.name, "-noout", "-modulus"],
                           check=True, capture_output=True, text=True).stdout
        # The quote is about this text, whatever its spaces and order.
        self.jwk = '{ "n":"%s",\n"kty" : "RSA", "e":"AQAB"}' % b64u(
            bytes.fromhex(n.split("=")[1].strip()))

    def bind(self, challenge):
        self.qualifying = hashlib.sha256(self.jwk.encode() + b"\0" + challenge).digest()
        return {"tpm_quote": {"hash_alg": "sha-256"}}

    def sign(self, text):
        return subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.pem.name, "-sigopt",
                               "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"],
                              input=text, check=True, capture_output=True).stdout


class Hardware:
    """A request key that the TPM holds and certifies."""

    def __init__(self):
        scheme = struct.pack(">HH", 0x0016, SHA256)
        self.handle, self.public = TPM.create_primary(rsa_public(0x00040072, scheme=scheme))
        self.jwk = json.dumps({"kty": "RSA", "n": b64u(modulus(self.public)), "e": "AQAB"})

    def bind(self, challenge):
        self.qualifying = challenge
        attest, signature = TPM.certify(self.handle, challenge)
        return {"tpm_certify": {"public": b64u(take(self.public)[0]), "certification": b64u(attest),
                                "signature": b64u(signature)}}

    def sign(self, text):
        return TPM.sign_pss(self.handle, hashlib.sha256(text).digest())


def evidence(qualifying, banks):
    quote, signature = TPM.quote(qualifying, banks)
    return {"logs": [{"type": "TCG", "log": b64u(event_log())}],
            "aik_cert": b64u(TPM.nv(NV_AK_CERT)),
            "aik_pub": {"kty": "RSA", "n": b64u(modulus(TPM.read_public(AK))), "e": "AQAB"},
            "pcrs": [{"algorithm": alg, "values": [
                {"index": i, "digest": b64u(v)} for i, v in TPM.pcrs(alg, indexes).items()]}
                for alg, indexes in banks],
            "quote": b64u(quote), "signature": b64u(signature)}


def request(key, hello, banks=((SHA256, ALL),), change=None, header=None, late=None):
    """The report's parts, or what refused it. change(att_data) before signing, late(jws) after."""
    info = key.bind(unb64u(hello["challenge"]))
    att = {"rp_id": "https://rp.example", "rp_data": b64u(b"nonce of the relying party"),
           "challenge": hello["challenge"],
           "tpm_att_data": {"current_attestation": evidence(key.qualifying, list(banks))},
           "request_key": {"jwk": "JWK", "info": info},
           "custom_claims": [{"name": "team", "value": "red", "value_type": "String"},
                             {"name": "rank", "value": "7", "value_type": "Integer"}],
           "service_context": hello["service_context"]}
    payload = {"att_type": "basic", "att_data": att}
    if change:
        change(payload)
    text = json.dumps(payload).replace('"JWK"', key.jwk)
    head = header or {"alg": "PS256", "typ": "attReqV2"}
    signed = b64u(json.dumps(head).encode()) + "." + b64u(text.encode())
    jws = signed + "." + b64u(key.sign(signed.encode()))
    answer = post({"request": late(jws) if late else jws})
    if not isinstance(answer, dict):
        return answer
    return [json.loads(unb64u(part)) for part in answer["report"].split(".")[:2]], answer["report"]


def hello():
    return post({"type": "aikcert"})


def verified(header, report):
    """By the chain in the header, with openssl; and the key set lists the very key."""
    status, keys = MAA.ask("GET", "/certs")
    assert status == 200
    mine = [k for k in keys["keys"] if k["kid"] == header["kid"]]
    assert len(mine) == 1 and mine[0]["x5c"] == header["x5c"] and len(header["x5c"]) == 3
    with tempfile.TemporaryDirectory(dir=DIR) as d:
        for i, cert in enumerate(header["x5c"]):
            with open(f"{d}/{i}", "w") as f:
                f.write(f"-----BEGIN CERTIFICATE-----\n{cert}\n-----END CERTIFICATE-----\n")
        subprocess.run(["openssl", "verify", "-CAfile", d + "/2", "-untrusted", d + "/1", d + "/0"],
                       check=True, capture_output=True)
        signed, sig = report.rsplit(".", 1)
        with open(d + "/sig", "wb") as f:
            f.write(unb64u(sig))
        key = subprocess.run(["openssl", "x509", "-in", d + "/0", "-noout", "-pubkey"], check=True,
                             capture_output=True).stdout
        with open(d + "/key", "wb") as f:
            f.write(key)
        subprocess.run(["openssl", "dgst", "-sha256", "-verify", d + "/key", "-signature",
                        d + "/sig"], input=signed.encode(), check=True, capture_output=True)


def expect(what, got, *want):
    if got != want:
        print(f"FAILED: {what}: {got if isinstance(got, tuple) else 'accepted'}, expected {want}")
        sys.exit(1)
    print("ok", what)


def accepted(what, got):
    if isinstance(got[0], int):
        print(f"FAILED: {what}: {got}")
        sys.exit(1)
    print("ok", what)
    return got


def now(payload):
    return payload["att_data"]["tpm_att_data"]["current_attestation"]


def flip(text, at=10):
    data = bytearray(unb64u(text))
    data[at] ^= 1
    return b64u(bytes(data))


def main():
    pcr0 = TPM.pcrs(SHA256, [0])[0].hex()
    software = Software()
    assert post({"type": "aikcert"})[0] == 400, "without a policy"
    digest = set_policy(pcr0)
    assert post({"type": "aikcert"}, {"Content-Type": "application/json"})[0] == 401

    (header, claims), report = accepted("a request key bound by the quote",
                                        request(software, hello()))
    assert list(header) == ["typ", "alg", "x5c", "kid"], header
    verified(header, report)
    assert list(claims) == ["nbf", "exp", "iat", "iss", "jti", "ver", "x-ms-ver", "rp_data", "nonce",
                            "cnf", "x-ms-policy-hash", "x-ms-tpm-request-key", "x-ms-policy", "vouchsafe-lab"]
    assert claims["exp"] - claims["iat"] == 5760 * 60 and claims["iat"] - claims["nbf"] == 300
    assert claims["nonce"] == claims["rp_data"] == b64u(b"nonce of the relying party")
    assert claims["cnf"]["jwk"] == json.loads(software.jwk) and len(claims["jti"]) == 40
    assert claims["x-ms-policy-hash"] == digest
    iss = os.environ["MAA_URL"]
    assert claims["iss"] == iss and claims["x-ms-policy"] == {
        "aikValidated": True, "TpmVersion": 2, "SecureBootEnabled": True,
        iss + "/team": "red", iss + "/rank": 7}, claims["x-ms-policy"]

    hardware = Hardware()
    accepted("a request key that the TPM holds and certifies", request(hardware, hello()))
    accepted("two banks", request(software, hello(), [(SHA1, ALL), (SHA256, ALL)]))
    bad = (400, "InvalidParameter")

    # Form and signature of the request
    expect("a JWS with one bit changed", request(
        software, hello(), late=lambda j: j[:-9] + ("A" if j[-9] != "A" else "B") + j[-8:]),
        *bad, "RequestSignature")
    expect("a JWS signed by another key", request(
        software, hello(), change=lambda p: p["att_data"]["request_key"].update(
            jwk=json.loads(hardware.jwk))), *bad, "RequestSignature")
    expect("version 1", request(software, hello(), header={"alg": "PS256", "typ": "attReq"}),
           *bad, "RequestForm")
    for alg in ("RS256", "none", "HS256"):
        expect("algorithm " + alg, request(software, hello(), header={"alg": alg, "typ": "attReqV2"}),
               *bad, "RequestForm")
    expect("no JWS", post({"request": "a.b.c"}), *bad, "RequestForm")
    expect("no request", post({"request": 7}), *bad, "InvalidParameter")
    expect("a VBS enclave, which is not there", request(
        software, hello(), change=lambda p: p.update(att_type="vbs")), *bad, "IsolationType")
    for name in ("rp_id", "rp_data", "challenge", "service_context", "request_key", "tpm_att_data"):
        expect("without " + name, request(
            software, hello(), change=lambda p: p["att_data"].pop(name)), *bad, "RequestForm")
    expect("a claim of another type", request(software, hello(), change=lambda p: p["att_data"].update(
        custom_claims=[{"name": "a", "value": "b", "value_type": "Integer"}])), *bad, "RequestForm")

    # Challenge
    h, other = hello(), hello()
    expect("the challenge of another hello", request(
        software, {**h, "challenge": other["challenge"]}), *bad, "Challenge")
    context = json.loads(unb64u(h["service_context"]))
    context["ProtectedContext"] = flip(context["ProtectedContext"], 20)
    expect("a forged context", request(software, {
        **h, "service_context": b64u(json.dumps(context).encode())}), *bad, "Challenge")
    expect("another service's context", request(software, {
        **h, "service_context": b64u(b'{"ProtectedContext":"AAAA"}')}), *bad, "Challenge")

    # The quote is about this key and this challenge, and nothing of it can be exchanged
    old = {}
    request(software, h, change=lambda p: old.update(now(p)))
    expect("an old quote", request(software, other, change=lambda p: now(p).update(
        {k: old[k] for k in ("quote", "signature", "pcrs")})), *bad, "RequestKey")
    expect("a quote about another key", request(
        software, hello(), change=lambda p: p["att_data"]["request_key"].update(
            info={"tpm_certify": hardware.bind(bytes(16))["tpm_certify"]})), *bad, "RequestKey")
    expect("a certification for another challenge", request(
        hardware, hello(), change=lambda p: p["att_data"]["request_key"].update(
            info=hardware.bind(bytes(16)))), *bad, "RequestKey")
    expect("a quote in place of a certification", request(
        hardware, hello(), change=lambda p: p["att_data"]["request_key"]["info"]["tpm_certify"].update(
            certification=now(p)["quote"], signature=now(p)["signature"])), *bad, "CertifyForm")
    expect("a certification with one bit changed", request(
        hardware, hello(), change=lambda p: p["att_data"]["request_key"]["info"]["tpm_certify"].update(
            certification=flip(p["att_data"]["request_key"]["info"]["tpm_certify"]["certification"]))),
        *bad, "CertifySignature")
    expect("another hash", request(software, hello(), change=lambda p: p["att_data"]["request_key"][
        "info"].update(tpm_quote={"hash_alg": "sha-1"})), *bad, "RequestKey")
    expect("a quote with one bit changed", request(software, hello(), change=lambda p: now(p).update(
        quote=flip(now(p)["quote"], 50))), *bad, "QuoteSignature")
    expect("a signature with one bit changed", request(software, hello(), change=lambda p: now(
        p).update(signature=flip(now(p)["signature"], 50))), *bad, "QuoteSignature")
    expect("another attestation key", request(software, hello(), change=lambda p: now(p).update(
        aik_pub=json.loads(software.jwk))), *bad, "QuoteSignature")
    expect("a PCR with one bit changed", request(software, hello(), change=lambda p: now(p)["pcrs"][0][
        "values"][3].update(digest=b64u(bytes(32)))), *bad, "QuoteDigest")
    expect("a PCR left out", request(software, hello(), change=lambda p: now(p)["pcrs"][0][
        "values"].pop()), *bad, "QuoteSelection")
    expect("PCRs out of order", request(software, hello(), change=lambda p: now(p)["pcrs"][0][
        "values"].reverse()), *bad, "RequestForm")
    expect("SHA-1 alone", request(software, hello(), [(SHA1, ALL)]), *bad, "RequestForm")
    expect("not all PCRs that the policy requires", request(
        software, hello(), [(SHA256, list(range(8)))]), *bad, "QuoteSelection")
    log = event_log()
    expect("a log with one bit changed", request(software, hello(), change=lambda p: now(p).update(
        logs=[{"type": "TCG", "log": flip(b64u(log), 120)}])), *bad, "TcgLogReplay")
    expect("a log that is cut off", request(software, hello(), change=lambda p: now(p).update(
        logs=[{"type": "TCG", "log": b64u(log[:-5])}])), *bad, "TcgLogForm")
    expect("an IMA list", request(software, hello(), change=lambda p: now(p)["logs"].append(
        {"type": "IMA", "log": ""})), *bad, "TcgLogForm")
    expect("a certificate with one bit changed", request(software, hello(), change=lambda p: now(
        p).update(aik_cert=flip(now(p)["aik_cert"], 400))), *bad, "AikCertChain")

    # What the policy decides
    set_policy("00" * 32)
    expect("other golden values", request(software, hello()), 400, "PolicyEvaluationError",
           "PolicyEvaluationError")
    set_policy(pcr0, '=> issueproperty(type="required_pcr_mask", value=255);'
               '=> issueproperty(type="require_valid_aik_cert", value=false);'
               '=> issueproperty(type="omit_x5c", value=true);')
    (header, claims), _ = accepted("a policy that asks for less", request(
        software, hello(), [(SHA256, list(range(8)))], change=lambda p: now(p).pop("aik_cert")))
    assert "x5c" not in header and header["x5t"] == header["kid"]
    assert claims["x-ms-policy"]["aikValidated"] is False
    h = hello()
    subprocess.run([LAB, "tamper", "clock", "+301"], check=True, capture_output=True)
    try:
        global TOKEN
        TOKEN = bearer()
        expect("a challenge that is too old", request(software, h), *bad, "Challenge")
    finally:
        subprocess.run([LAB, "tamper", "undo"], check=True, capture_output=True)
    print("all is well")


if sys.argv[1:2] == ["evidence"]:  # for other clients: qualifying data in hexadecimal
    print(json.dumps(evidence(bytes.fromhex(sys.argv[2]), [(SHA256, ALL)])))
else:
    main()
