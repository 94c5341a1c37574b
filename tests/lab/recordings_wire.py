# SPDX-License-Identifier: BSD-2-Clause
"""Each request of sdk-wire-js.json, as the official clients wrote it, at the lab.

The capture holds true requests; the answers were made by the server that took them, so what differs
from those says something about the lab only where the facts do not say why. Both flavours of the
vault get every request for keys. What cannot be sent again as it was is made anew in the same form:
secrets, assertions, attestation tokens, names of the lab's identities. The quotes of the capture
were none; they are sent as they were, to be refused, and then with real ones in their place.
"""
import base64
import hashlib
import json
import os
import subprocess
import time
import urllib.parse

DATA = os.path.join(os.environ["VS_SRCDIR"], "tests/data")
NAME = "keyvault/sdk-wire-js.json"
CUT = 1500  # characters that the capture kept of an answer
HERE = "https://127.0.0.1:18443"  # the vault's name in the capture
# file (with the flavour), place, reason: added to TOLERATED
TOLERATED = [
    (NAME + "@vault", "/id_token_signing_alg_values_supported", "the capture's authority said only what the client reads"),
    (NAME + "@vault", "/response_types_supported", "the same"),
    (NAME + "@vault", "/refresh_in", "only tokens that live for long have it"),
    (NAME + "@vault", "status 200/400 *Oct*", "vaults have no oct-HSM keys, as recorded in 2022"),
    (NAME + "@vault", "status 200/400 importKey oct", "the same"),
    (NAME + "@vault", "status 200/400 getKeyAttestation*", "key attestation is the Managed HSM's"),
    (NAME + "@vault", "status 20?/404 d*", "the oct-HSM keys that the vault did not make"),
    (NAME + "@vault", "/value[[]]/attributes/[cru]*", "recorded with keys; of certificates the capture's server said less"),
    (NAME + "@*", "/value[[]]/attributes/nbf", "lists begin with one of the lab's own keys or certificates"),
    (NAME + "@*", "/value[[]]/attributes/exp", "the same"),
    (NAME + "@*", "/value[[]]/tags", "the same"),
    (NAME + "@*", "/value", "the same; and a vault's pages may be empty, as recorded"),
    (NAME + "@*", "/nextLink", "the list is longer by those; a Managed HSM's last page has no such member, as recorded"),
    (NAME + "@vault", "/revocation_endpoint", "recorded; the capture's server left it out"),
    (NAME + "@vault", "/claims_supported", "recorded are as many as the lab has"),
    (NAME + "@vault", "/token.payload/jti", "no recorded answer about policies has it"),
    (NAME + "@vault", "/token.payload/x-ms-policy-signer", "recorded with each signed policy"),
    (NAME + "@vault", "/token.payload/x-ms-policy-token-hash",
     "signed anew, the text is another one; a removal is recorded without"),
    (NAME + "@mhsm", "", "a Managed HSM's 401 is recorded without a body"),
    (NAME + "@mhsm", "/key/key_ops", "recorded are these seven for oct-HSM"),
    (NAME + "@mhsm", "status 200/404 *Cert*", "a Managed HSM has no certificates"),
]


def b64u(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def to_b64u(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def lab(*words):
    return subprocess.run([os.path.join(os.environ["VS_BUILDDIR"], "vouchsafe-lab"), *words], check=True,
                          capture_output=True, text=True).stdout.strip()


def mend(text):
    """The members that a cut answer still has in full."""
    closers, ends, quoted, escaped = [], [], False, False
    for i, c in enumerate(text):
        if quoted:
            quoted, escaped = escaped or c != '"', c == "\\" and not escaped
        elif c == '"':
            quoted = True
        elif c in "[{":
            closers.append("]" if c == "[" else "}")
        elif c in "]}":
            closers.pop()
        elif c == ",":
            ends.append(text[:i] + "".join(reversed(closers)))
    return json.loads(ends[-1])


class Wire:
    def __init__(self, r):
        self.r, self.env, self.links = r, os.environ, {}
        self.identity = {"object_id": self.env["MI_OBJECT_ID"], "client_id": self.env["MI_CLIENT_ID"],
                         "msi_res_id": self.env["MI_RESOURCE_ID"]}

    # ---- what is made anew

    def jws(self, header, payload):
        """An assertion by the lab's client certificate, with the recorded members of its header."""
        file = self.env["CLIENT_CERT_FILE"]
        pem = open(file).read()
        ders = ["".join(p.split("-----END")[0].split()) for p in
                pem.split("-----BEGIN CERTIFICATE-----")[1:]]
        der = base64.b64decode(ders[0])
        mine = {"alg": "PS256", "typ": "JWT",
                "x5t#S256": to_b64u(hashlib.sha256(der).digest())}
        if "x5c" in header:
            mine["x5c"] = ders
        text = ".".join(to_b64u(json.dumps(o).encode()) for o in (mine, payload))
        sig = subprocess.run(["openssl", "dgst", "-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt",
                              "rsa_pss_saltlen:32", "-sign", file], input=text.encode(),
                             capture_output=True, check=True).stdout
        return text + "." + to_b64u(sig)

    def form(self, e, target):
        f = dict(urllib.parse.parse_qsl(e["body"], keep_blank_values=True))
        assertion = f.get("client_assertion")
        if assertion is None:
            f["client_id"] = self.env["CLIENT_ID"]
            if f["client_secret"] == "s3cret":
                f["client_secret"] = self.env["CLIENT_SECRET"]
        elif f["client_id"] == "wi-app":
            f["client_id"] = self.env["WI_CLIENT_ID"]
            f["client_assertion"] = open(self.env["FEDERATED_TOKEN_FILE"]).read().strip()
        else:
            f["client_id"] = self.env["CERT_CLIENT_ID"]
            payload = json.loads(b64u(assertion.split(".")[1]))
            now = int(time.time())
            payload.update(aud=self.env["AUTHORITY_URL"] + target.split("?")[0], iss=f["client_id"],
                           sub=f["client_id"], nbf=now, iat=now, exp=now + 600)
            f["client_assertion"] = self.jws(["x5c"] if "x5c" in e["call"] else [], payload)
        return urllib.parse.urlencode(f).encode()

    def json_body(self, e):
        body = json.loads(e["body"])
        if "release_policy" in body:
            body["release_policy"]["data"] = self.r.policy(body["release_policy"]["data"])
        if "target" in body:
            body["target"] = self.r.token + ("x" if e["call"] == "release bad" else "")
        return json.dumps(body).encode()

    def genuine(self, body, path):
        """The same request with a quote that is one, and with the data that it holds."""
        kind = "openenclave-runtimedata-json-aad" if "Open" in path else (
            "sgxenclave-runtimedata-json-shared" if body["runtimeData"]["dataType"] == "JSON"
            else "sgxenclave-runtimedata-binary-aad")
        file = os.path.join(DATA, f"maa/exchanges/attest-{kind}.json")
        real = json.load(open(file))["Entries"]
        real = next(x["RequestBody"] for x in real if "/attest/" in x["RequestUri"])
        body = {k: v for k, v in body.items() if k != "initTimeData"}  # an enclave's CONFIGID would hold it
        return dict(body, **real)

    # ---- sending

    def base(self, e, flavour):
        if e["service"] == "authority":
            return self.env["AUTHORITY_URL"], None
        if e["service"] == "maa":
            return self.env["MAA_URL"], "maa"
        if e["service"] == "vault":
            return self.env[flavour.upper() + "_URL"], flavour
        return self.env["IMDS_URL"], None

    def target(self, e):
        t = self.r.target(HERE + e["target"], self.links)
        t = t.replace("/11111111-2222-3333-4444-555555555555", "/" + self.env["TENANT_ID"])
        if e["service"] == "imds":
            path, _, query = t.partition("?")
            q = dict(urllib.parse.parse_qsl(query))
            for name in self.identity:
                if name in q and q[name] != "missing":
                    q[name] = self.identity[name]
            t = path + "?" + urllib.parse.urlencode(q)
        return t

    def send(self, e, flavour, body, what=None):
        r = self.r
        base, service = self.base(e, flavour)
        r.what = what or f"{e['call']}: {e['method']} {e['target'].split('?')[0]}"
        headers = {k: v for k, v in e["headers"].items() if k not in ("content-length", "authorization")}
        target = self.target(e)
        service = service if "authorization" in e["headers"] else None
        r.count += 1
        for _ in range(5):  # a deletion takes a moment
            answer = r.ask(e["method"], base, target, body, service, headers)
            if answer[0] != 404 or "/deletedkeys/" not in target:
                break
        return answer

    def compare(self, e, answer):
        r, (status, _, data) = self.r, answer
        if status != e["answer_status"]:
            r.differ(f"status {e['answer_status']}/{status} {e['call']}", data[:200].decode("latin-1"))
            return
        r.partial = len(e["answer_body"]) == CUT
        want = mend(e["answer_body"]) if r.partial else json.loads(e["answer_body"] or "null")
        have = json.loads(data) if data else None
        r.ordered = False
        r.same("", want, have)
        r.partial = False
        r.learn(want, have, self.links)

    def one(self, e, flavour):
        path, body = e["target"].split("?")[0], None
        if e["service"] == "authority" and e["method"] == "POST":
            body = self.form(e, self.target(e))
        elif e["body"].startswith("{"):
            body = self.json_body(e)
        elif e["call"] == "setPolicy signed":
            body = json.loads(self.r.signed(e["body"])).encode()
        elif e["body"] or e["method"] in ("POST", "PUT", "PATCH"):
            body = e["body"].encode()
        answer = self.send(e, flavour, body)
        if path in ("/attest/SgxEnclave", "/attest/OpenEnclave"):
            error = json.loads(answer[2]).get("error", {})
            if answer[0] != 400 or error.get("code") != "InvalidParameter":
                self.r.bad.append(f"{self.r.file}: {self.r.what}: a quote that is none: {answer}")
            answer = self.send(e, flavour, json.dumps(self.genuine(json.loads(e["body"]), path)).encode())
        self.compare(e, answer)


def replay(r, tolerated):
    tolerated += TOLERATED
    w = Wire(r)
    # The capture's server had policies for everything; the service has no default one for Tpm.
    text = b"version= 1.0;authorizationrules{=> permit();};"
    policy = to_b64u(json.dumps({"AttestationPolicy": to_b64u(text)}).encode())
    r.ask("PUT", os.environ["MAA_URL"], "/policies/Tpm?api-version=2020-10-01",
          f"eyJhbGciOiJub25lIn0.{policy}.".encode(), "maa")
    exchanges = json.load(open(os.path.join(DATA, NAME)))["exchanges"]
    for flavour in ("vault", "mhsm"):
        r.file = f"{NAME}@{flavour}"
        w.links = {}
        if flavour == "vault":
            lab("key", "create", "somecert", "--type", "rsa-2048")
            lab("certificate", "issue", "somecert")
        for e in exchanges:
            if flavour == "vault" or e["service"] == "vault":
                w.one(e, flavour)
