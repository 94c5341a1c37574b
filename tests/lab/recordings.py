#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Every recorded request of tests/data/{keyvault,maa} again, at the lab; answers member by member.

Run as `vouchsafe-lab run --no-throttle -- recordings.py`; make check does it through replay.sh. Compared
are status, names of headers and the values of constant ones, members of bodies with their order and
types, error codes, and header and claims of tokens. What may differ stands in TOLERATED with its
reason; a row that nothing needs any more is an error, too.
"""
import base64
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

# A bare system has no /etc/hosts that knows localhost.
_resolve = socket.getaddrinfo
socket.getaddrinfo = lambda host, *a, **k: _resolve("127.0.0.1" if host == "localhost" else host, *a, **k)

ENV = os.environ
DATA = os.path.join(ENV["VS_SRCDIR"], "tests/data")
LAB = os.path.join(ENV["VS_BUILDDIR"], "vouchsafe-lab")
AUDIENCE = {"vault": "https://vault.azure.net", "mhsm": "https://managedhsm.azure.net",
            "maa": "https://attest.azure.net"}
CONSTANT = {"cache-control", "content-type", "expires", "pragma", "server", "x-content-type-options",
            "x-frame-options", "content-security-policy", "transfer-encoding"}
# Claims about the same evidence, hashes of the same text, results: their values are compared, too.
SAME_VALUE = re.compile(r"x-ms-sgx-(?!collateral).*|is-debuggable|product-id|sgx-mr.*|svn|tee|quotehash|"
                        r"..a-ehd|x-ms-attestation-type|x-ms-runtime|jwk|crv|custom-name|"
                        r"x-ms-policy-result|x-ms-policy-token-hash|x-ms-policycertificates-result|"
                        r"x-ms-certificate-thumbprint|alg|typ|x-ms-ver")
# file, place, reason; a place is what differ() prints before the colon
TOLERATED = [
    ("*", "header date", "the recorder dropped it from some answers"),
    ("*", "header x-powered-by", "an early version of the vault told what it was made with"),
    ("*", "header x-ms-build-version", "internals of a Managed HSM's nodes, on some answers"),
    ("keyvault/*", "status 404/200", "the service takes seconds to delete, the lab does it at once"),
    ("*", "header x-ms-keyvault-rbac-*", "an early version of the vault told what decided"),
    ("keyvault/release-refused-*", "/attributes/exportable", "the vault of 2021 left it out"),
    ("keyvault/list-*", "/value", "the lab has its own first keys in the list; where pages end differs"),
    ("keyvault/list-*", "/nextLink", "the same"),
    ("maa/*", "/keys", "real sets differ in number, too; the lab's also has a weak and an expired key"),
    ("maa/*", "*/vouchsafe-lab", "every token of the lab says what it is"),
]


def b64u(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def to_b64u(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def lab(*words):
    return subprocess.run([LAB, *words], check=True, capture_output=True, text=True).stdout.strip()


class Replay:
    def __init__(self):
        self.context = ssl.create_default_context(cafile=ENV["CA_FILE"])
        self.bearer = {k: lab("access-token", v) for k, v in AUDIENCE.items()}
        self.used, self.bad, self.count, self.file = set(), [], 0, ""
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

    def ask(self, method, base, target, body, service):
        url = urllib.parse.urlsplit(base)
        c = http.client.HTTPSConnection(url.hostname, url.port, context=self.context, timeout=20)
        headers = {"Content-Type": "application/json"} if body is not None else {}
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
            if len(want) != len(have):
                self.differ(place, f"{len(have)} elements instead of {len(want)}")
            if want and have and place.endswith("key_ops"):
                if set(want) != set(have):
                    self.differ(place, f"{have} instead of {want}")
            elif want and have:
                self.same(place + "[]", want[0], have[0])
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
                return u.path + "?" + u.query + ("" if "api-version" in u.query else "&api-version=7.3")
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
        status, headers, data = self.ask(method, base, target,
                                         self.body(entry["RequestBody"], target),
                                         None if anonymous else service)
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
            recording, links = json.load(open(path)), {}
            if "Entries" not in recording:
                continue  # release-jws.json is a digest; the C++ recording has no bodies of requests
            for entry in recording["Entries"]:
                self.one(entry, links)
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
