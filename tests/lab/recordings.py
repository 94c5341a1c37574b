#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Every recorded request of tests/data/{keyvault,maa} again, at the lab; answers member by member.

Three are kept in a form of their own: a recording without bodies, whose answers repeat what was asked
for; a request of 2020 with its token; a request of 2025 with its token. recordings_wire.py has what
the vendor's clients write today.

Run as `vouchsafe-lab run --no-throttle -- recordings.py`; make check does it through replay.sh. Compared
are status, names of headers and the values of constant ones, members of bodies with their order and
types, error codes, and header and claims of tokens. What may differ stands in TOLERATED with its
reason; a row that nothing needs any more is an error, too.
"""
import fnmatch
import glob
import http.client
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import urllib.parse

import recordings_wire
from recordings_wire import DATA, b64u, lab, to_b64u

# A bare system has no /etc/hosts that knows localhost.
_resolve = socket.getaddrinfo
socket.getaddrinfo = lambda host, *a, **k: _resolve("127.0.0.1" if host == "localhost" else host, *a, **k)

ENV = os.environ
AUDIENCE = {"vault": "https://vault.azure.net", "mhsm": "https://managedhsm.azure.net",
            "maa": "https://attest.azure.net"}
CONSTANT = {"cache-control", "content-type", "expires", "pragma", "server", "x-content-type-options",
            "x-frame-options", "content-security-policy", "transfer-encoding"}
# Claims about the same evidence, hashes of the same text, results: their values are compared, too.
SAME_VALUE = re.compile(r"x-ms-sgx-(?!collateral).*|x-ms-sevsnpvm-.*|x-ms-policy-hash|AttestationPolicy|"
                        r"is-debuggable|product-id|sgx-mr.*|svn|tee|quotehash|"
                        r"..a-ehd|x-ms-attestation-type|x-ms-runtime|jwk|crv|custom-name|"
                        r"x-ms-policy-result|x-ms-policy-token-hash|x-ms-policycertificates-result|"
                        r"x-ms-certificate-thumbprint|alg|typ|x-ms-ver|maa-policyHash|maa-quotehash")
# file, place, reason; a place is what differ() prints before the colon
TOLERATED = [
    ("*", "header date", "the recorder dropped it from some answers"),
    ("*", "header x-powered-by", "an early version of the vault told what it was made with"),
    ("*", "header x-ms-build-version", "internals of a Managed HSM's nodes, on some answers"),
    ("keyvault/*", "status 404/200", "the service takes seconds to delete, the lab does it at once"),
    ("*", "header x-ms-keyvault-rbac-*", "an early version of the vault told what decided"),
    ("keyvault/release-refused-*", "/attributes/exportable", "the vault of 2021 left it out"),
    ("keyvault/release-akv-p256-wrap256-*", "/attributes/exportable",
     "the recorded backup was of a key from before there was such an attribute"),
    ("keyvault/list-*", "/value", "the lab has its own first keys in the list; where pages end differs"),
    ("keyvault/list-*", "/nextLink", "the same"),
    ("maa/*", "/keys", "real sets differ in number, too; the lab's also has a weak and an expired key"),
    ("maa/*", "/keys[[]]/x5c", "which of the keys have a chain; the lab's is the last"),
    ("*", "*/vouchsafe-lab", "every token of the lab says what it is"),
    ("maa/evidence/sevsnpvm-*", "/token.payload/x-ms-sevsnpvm-chipid", "real tokens have it since 2026"),
    ("maa/evidence/sevsnpvm-*", "/token.payload/x-ms-sevsnpvm-ciphertext-hiding-dram-enabled",
     "real tokens have it since later in 2025"),
    ("maa/evidence/sevsnpvm-*", "/token.payload/x-ms-sevsnpvm-cxl-allowed", "the same"),
    ("maa/evidence/sevsnpvm-*", "/token.payload/x-ms-sevsnpvm-mem-aes256-xts-required", "the same"),
    ("maa/evidence/sevsnpvm-*", "/token.payload/x-ms-sevsnpvm-page-swap-disabled", "the same"),
    ("maa/evidence/sevsnpvm-*", "/token.payload/x-ms-sevsnpvm-rapl-disabled", "the same"),
    ("maa/evidence/sevsnpvm-*", "/token.payload/x-ms-sevsnpvm-singlesocket", "the same"),
]
# Files that are no lists of entries, and what becomes of them.
ELSEWHERE = {
    "release-jws.json": "a digest of the release answers, which are replayed",
    "sdk-wire-js.json": "recordings_wire.py",
    "2020-post.attest.body.json": "year_2020()",
    "2020-post.attest.response.jwt.body.json": "year_2020(), what must come out",
}


class Replay:
    def __init__(self):
        self.context = ssl.create_default_context(cafile=ENV["CA_FILE"])
        self.bearer = {k: lab("access-token", v) for k, v in AUDIENCE.items()}
        self.used, self.bad, self.count, self.file = set(), [], 0, ""
        self.partial = False  # whether what is wanted was cut when it was recorded
        self.set_claim()
        lab("attestation", "keyset", "short")  # as in the years of the recordings
        self.token = json.loads(lab("token", "--software-key"))["token"]

    def set_claim(self):
        """Recorded release policies want the claim of the SDK's own test service."""
        text = ('version= 1.0;authorizationrules{=> permit();};issuancerules{'
                '=> issue(type="sdk-test", value="true");};')
        policy = json.dumps({"AttestationPolicy": to_b64u(text.encode())})
        jws = "eyJhbGciOiJub25lIn0." + to_b64u(policy.encode()) + "."
        status, _, _ = self.ask("PUT", ENV["MAA_URL"], "/policies/AzureGuest?api-version=2020-10-01",
                                jws.encode(), "maa")
        assert status == 200, "the lab does not take the policy"

    def ask(self, method, base, target, body, service, headers=None):
        url = urllib.parse.urlsplit(base)
        c = (http.client.HTTPSConnection(url.hostname, url.port, context=self.context, timeout=20)
             if url.scheme == "https" else http.client.HTTPConnection(url.hostname, url.port, timeout=20))
        headers = dict(headers or {})
        if body is not None and not any(h.lower() == "content-type" for h in headers):
            headers["Content-Type"] = "application/json"
        if service:
            headers["Authorization"] = "Bearer " + self.bearer[service]
        c.request(method, target, body, headers)
        r = c.getresponse()
        data = r.read()
        answer = r.status, {k.lower(): v for k, v in r.getheaders()}, data
        c.close()
        return answer

    def differ(self, place, text):
        for row in TOLERATED:
            if fnmatch.fnmatch(self.file, row[0]) and fnmatch.fnmatch(place, row[1]):
                self.used.add(row)
                return
        self.bad.append(f"{self.file}: {self.what}: {place}: {text}")

    # ---- comparing

    def same_headers(self, want, have):
        for name in sorted(set(want) - set(have)):
            self.differ("header " + name, "missing")
        for name in sorted(set(have) - set(want)):
            self.differ("header " + name, "not in the recording")
        for name in sorted(CONSTANT & set(want) & set(have)):
            if want[name] != have[name]:
                self.differ("header " + name, f"{have[name]!r} instead of {want[name]!r}")

    def same(self, place, want, have):
        if type(want) is not type(have):
            self.differ(place, f"{type(have).__name__} instead of {type(want).__name__}")
        elif isinstance(want, dict):
            for name in sorted(set(want) ^ set(have)):
                if name in want or not self.partial:
                    self.differ(f"{place}/{name}", "missing" if name in want else "too much")
            both = [n for n in want if n in have]
            if self.ordered and [n for n in have if n in want] != both:
                self.differ(place, f"order {list(have)} instead of {list(want)}")
            for name in both:
                fixed = name == "code" or (".payload" in place and SAME_VALUE.fullmatch(name))
                if fixed and not isinstance(want[name], dict) and want[name] != have[name]:
                    self.differ(f"{place}/{name}", f"{have[name]} instead of {want[name]}")
                self.same(f"{place}/{name}", want[name], have[name])
        elif isinstance(want, list):
            if len(want) != len(have) and not self.partial:
                self.differ(place, f"{len(have)} elements instead of {len(want)}")
            if want and have and place.endswith("key_ops"):
                if set(want) != set(have):
                    self.differ(place, f"{have} instead of {want}")
            else:
                for w, h in zip(want, have):
                    self.same(place + "[]", w, h)
        elif isinstance(want, str) and re.fullmatch(r"eyJ[\w-]+\.[\w-]*\.[\w-]*", want):
            self.same_token(place, want, have)

    def same_token(self, place, want, have):
        w, h = want.split("."), have.split(".")
        if len(h) != 3:
            self.differ(place, "is no token")
            return
        self.same(place + ".header", json.loads(b64u(w[0])), json.loads(b64u(h[0])))
        if bool(w[1]) != bool(h[1]) or bool(w[2]) != bool(h[2]):
            self.differ(place, "has other parts")
        elif w[1]:
            self.same(place + ".payload", json.loads(b64u(w[1])), json.loads(b64u(h[1])))

    # ---- sending

    def place(self, uri):
        host = urllib.parse.urlsplit(uri).hostname or ""
        if "attest.azure.net" in host:
            for kind, name in (("shared", "MAA_SHARED_URL"), ("isolated", "MAA_ISOLATED_URL")):
                if kind in self.file:
                    return "maa", ENV[name]
            return "maa", ENV["MAA_URL"]
        if "managedhsm" in host or "mhsm" in host:
            return "mhsm", ENV["MHSM_URL"]
        return ("vault", ENV["VAULT_URL"]) if "vault" in host or "kv" in host else (None, None)

    def policy(self, data):
        """The recorded authority does not exist; an empty one stays empty."""
        text = re.sub(r'"https://[^"]*"', json.dumps(ENV["MAA_URL"]), b64u(data).decode())
        # Nor does one recorded enclave, whose signer a policy wants.
        text = re.sub(r'"claim":"x-ms-sgx-mrsigner","equals":"[^"]*"',
                      '"claim":"sdk-test","equals":"true"', text)
        if self.what.startswith("PATCH"):  # a recorder wrote the first policy into both requests
            text = text.replace('"equals":"true"', '"equals":"false"')
        return to_b64u(text.encode())

    def signed(self, text):
        """A request about certificates, signed by the lab's first policy signer instead."""
        payload = text.strip('"').split(".")[1]
        pem = open(ENV["POLICY_SIGNER_FILE"]).read()
        der = "".join(pem.split("-----BEGIN CERTIFICATE-----")[1].split("-----END")[0].split())
        head = to_b64u(json.dumps({"alg": "RS256", "x5c": [der]}).encode())
        sig = subprocess.run(["openssl", "dgst", "-sha256", "-sign", ENV["POLICY_SIGNER_FILE"]],
                             input=f"{head}.{payload}".encode(), capture_output=True, check=True)
        return json.dumps(f"{head}.{payload}.{to_b64u(sig.stdout)}")

    def body(self, body, target):
        if body is None:
            return None
        if isinstance(body, str):
            if "certificates:" in target and "isolated" in self.file:
                body = self.signed(body)
            return body.encode()
        body = json.loads(json.dumps(body))
        if "release_policy" in body:
            body["release_policy"]["data"] = self.policy(body["release_policy"]["data"])
        if body.get("target") == "redacted":
            body["target"] = self.token
        return json.dumps(body).encode()

    def target(self, uri, links):
        for old, new in links.items():
            if old.startswith("http") and uri.replace(":443", "") == old:
                u = urllib.parse.urlsplit(new)
                version = urllib.parse.parse_qs(urllib.parse.urlsplit(uri).query).get("api-version", ["7.3"])[0]
                return u.path + "?" + u.query + ("" if "api-version" in u.query else f"&api-version={version}")
        u = urllib.parse.urlsplit(uri)
        path = u.path
        for old, new in links.items():
            path = path.replace(old, new)
        return path + ("?" + u.query if u.query else "")

    def learn(self, want, have, links):
        """Versions and continuations that the next requests name."""
        def find(o, name):
            if isinstance(o, dict):
                for k, v in o.items():
                    if k == name and isinstance(v, str):
                        return v
                    inner = find(v, name)
                    if inner:
                        return inner
            return None
        w, h = find(want, "kid"), find(have, "kid")
        if w and h and "/keys/" in w and w.count("/") == 5 and h.count("/") == 5:
            links[w.split("/")[-1]] = h.split("/")[-1]
        w, h = find(want, "nextLink"), find(have, "nextLink")
        if w and h:
            links[w.replace(":443", "")] = h

    # ---- recordings in other forms

    def bodies(self, records):
        """The C++ recorder kept no bodies; the answers repeat what was asked for."""
        for record in records:
            answer = record["Response"]
            body, have = None, json.loads(answer.pop("BODY"))
            path = urllib.parse.urlsplit(record["Url"]).path
            if path.endswith("/create"):
                body = {k: have["key"][k] for k in ("kty", "crv")}
                body["attributes"] = {"exportable": have["attributes"]["exportable"]}
                body["release_policy"] = {"data": have["release_policy"]["data"]}
            elif path.endswith("/release"):
                request = json.loads(b64u(have["value"].split(".")[1]))["request"]
                body = {"target": "redacted", "enc": request["enc"]}
            elif path == "/keys/restore":
                body = {"value": self.backup(have)}
            else:
                self.bad.append(f"{self.file}: {path}: nobody knows what was asked")
            status = int(answer.pop("STATUS_CODE"))
            answer.pop("REASON_PHRASE")
            yield {"RequestUri": record["Url"], "RequestMethod": record["Method"],
                   "RequestHeaders": record["Headers"], "RequestBody": body, "StatusCode": status,
                   "ResponseHeaders": answer, "ResponseBody": have}

    def backup(self, key):
        """A key like the recorded one, which is gone but for its backup."""
        path = "/keys/" + key["key"]["kid"].split("/")[4]
        attributes = {"exp": key["attributes"]["exp"]} if "exp" in key["attributes"] else {}

        def call(method, target, body=None):
            text = json.dumps(body).encode() if body is not None else None
            for _ in range(5):  # deleting takes a moment, as it does with the real one
                status, _, data = self.ask(method, ENV["VAULT_URL"], target + "?api-version=7.3", text, "vault")
                if status != 404:
                    break
            assert status in (200, 204), (target, status, data)
            return json.loads(data) if data else None

        call("POST", path + "/create", {"kty": key["key"]["kty"], "attributes": attributes})
        blob = call("POST", path + "/backup", {})["value"]
        call("DELETE", path)
        call("DELETE", path.replace("/keys/", "/deletedkeys/"))
        return blob

    def year_2020(self):
        """Sent with the API of 2018 when the default policy was the first one; kept as two texts."""
        self.file, self.what = "maa/exchanges/2020-post.attest.body.json", "POST /attest/Tee/OpenEnclave"
        target = "/attest/Tee/OpenEnclave?api-version=2018-09-01-preview"
        claims = ("is-debuggable", "sgx-mrsigner", "sgx-mrenclave", "product-id", "svn", "tee")
        text = ('version= 1.0;authorizationrules{c:[type=="$is-debuggable"] => permit();};issuancerules{' +
                "".join(f'c:[type=="${n}"] => issue(type="{n}", value=c.value);' for n in claims) + "};")
        policy = json.dumps({"AttestationPolicy": to_b64u(text.encode())}).encode()
        status, _, data = self.ask("PUT", ENV["MAA_URL"], "/policies/OpenEnclave?api-version=2020-10-01",
                                   f"eyJhbGciOiJub25lIn0.{to_b64u(policy)}.".encode(), "maa")
        assert status == 200, data
        sent = open(os.path.join(DATA, self.file), "rb").read()
        head, payload = open(os.path.join(DATA, self.file.replace(".body", ".response.jwt.body"))).read().split(
            "}\n\n")
        want = ".".join(to_b64u(p.encode()) for p in (head + "}", payload, "signature"))
        status, _, data = self.ask("POST", ENV["MAA_URL"], target, sent, "maa")
        self.count += 1
        if status != 200:
            self.bad.append(f"{self.file}: {status} {data[:300]}")
            return
        self.ordered = True
        self.same("", want, json.loads(data))
        status, headers, data = self.ask("POST", ENV["MAA_URL"], target, sent, None)
        if status != 401 or "www-authenticate" not in headers:
            self.bad.append(f"{self.file}: without a bearer {status} {data[:200]}")
        self.ask("POST", ENV["MAA_URL"], "/policies/OpenEnclave:reset?api-version=2020-10-01",
                 b"eyJhbGciOiJub25lIn0..", "maa")

    def snp_2025(self):
        """What a client of 2025 sent about a real processor, and the token that it got."""
        self.file, self.what = "maa/evidence/sevsnpvm-2025-04.report.b64url", "POST /attest/SevSnpVm"
        sent = json.dumps({"report": open(os.path.join(DATA, self.file)).read().strip()}).encode()
        want = open(os.path.join(DATA, "maa/tokens/sevsnpvm-sharedweu.test-2025-04.jwt")).read().strip()
        status, _, data = self.ask("POST", ENV["MAA_URL"], "/attest/SevSnpVm?api-version=2022-08-01", sent, None)
        self.count += 1
        if status != 200:
            self.bad.append(f"{self.file}: {status} {data[:300]}")
        else:
            self.ordered = True
            self.same("", {"token": want}, json.loads(data))

    def one(self, entry, links):
        uri, method = entry["RequestUri"], entry["RequestMethod"]
        service, base = self.place(uri)
        if service is None:
            return  # the SDK's own token service, which is no part of the cloud
        self.what = f"{method} {urllib.parse.urlsplit(uri).path}"
        target = self.target(uri, links)
        if "skiptoken" in target and "skiptoken" in uri and target.endswith(
                urllib.parse.urlsplit(uri).query):
            self.differ("/nextLink", "the lab's list has ended before")
            return
        anonymous = entry["StatusCode"] == 401 or target.startswith(("/certs", "/.well-known"))
        name = "x-ms-client-request-id"  # an answer of the vault repeats it
        client = {k: v for k, v in entry["RequestHeaders"].items() if k.lower() == name}
        status, headers, data = self.ask(method, base, target,
                                         self.body(entry["RequestBody"], target),
                                         None if anonymous else service,
                                         {k: v[0] if isinstance(v, list) else v for k, v in client.items()})
        self.count += 1
        for _ in range(5):  # how often a client had to ask for a deleted key is chance
            if entry["StatusCode"] != 200 or status != 404 or "/deletedkeys/" not in target:
                break
            status, headers, data = self.ask(method, base, target, None, service)
        if status != entry["StatusCode"]:
            self.differ(f"status {entry['StatusCode']}/{status}", data[:300].decode("latin-1"))
            return
        self.same_headers({k.lower(): v[0] if isinstance(v, list) else v
                           for k, v in entry["ResponseHeaders"].items()}, headers)
        want, have = entry["ResponseBody"], json.loads(data) if data else None
        # Recorders sort the members of Managed HSM's answers no less than the HSM itself.
        self.ordered = service == "vault" or (service == "mhsm" and isinstance(want, dict))
        self.same("", want, have)
        self.learn(want, have, links)

    def run(self):
        for path in sorted(glob.glob(DATA + "/keyvault/*.json") + glob.glob(DATA + "/maa/exchanges/*.json")):
            self.file = os.path.relpath(path, DATA)
            if os.path.basename(path) in ELSEWHERE:
                continue
            recording, links = json.load(open(path)), {}
            if "networkCallRecords" in recording:
                recording["Entries"] = self.bodies(recording["networkCallRecords"])
            for entry in recording["Entries"]:
                self.one(entry, links)
        self.year_2020()
        self.snp_2025()
        recordings_wire.replay(self, TOLERATED)
        for row in TOLERATED:
            if row not in self.used:
                self.bad.append(f"tolerated without need: {row}")


def main():
    r = Replay()
    r.run()
    for line in r.bad:
        print(line)
    print(f"{r.count} recorded requests, {len(r.bad)} differences that are not tolerated")
    return 1 if r.bad or r.count < 100 else 0


if __name__ == "__main__":
    sys.exit(main())
