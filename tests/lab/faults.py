#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Every fault at every request of an exchange, end to end: application, module, agent, lab.

For each case a new application (and with it a new agent, so that nothing is cached) uses a key while
the fault stands: it must get an error of the right kind within the time limit, hold no part of the
key, and leave a record that grants nothing; the agent keeps its limits of memory and descriptors; and
when the fault has ended, the same application succeeds. Run as `vouchsafe-lab run -- faults.py [N/M]`:
only each M-th case, from the N-th on.
"""
import base64
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import time
import urllib.request

# A bare system has no /etc/hosts that knows localhost.
_resolve = socket.getaddrinfo
socket.getaddrinfo = lambda host, *a, **k: _resolve("127.0.0.1" if host == "localhost" else host, *a, **k)

ENV = os.environ
BUILD = ENV["VS_BUILDDIR"]
LAB, CONF, DIR = BUILD + "/vouchsafe-lab", ENV["VOUCHSAFE_CONF"], ENV["VOUCHSAFE_LAB"]
LIMIT_S, RECOVER_S = 9, 12  # operation-timeout is 3 s, and three functions may each take that long
RSS_MAX_KIB, FDS_MAX = 65536, 64
REQUESTS = [("imds", "/identity/"), ("imds", "/THIM/"), ("maa", "/attest/"), ("maa", "/certs"),
            ("vault", "/keys"), ("vault", "/release"), ("entra", "/oauth2/")]
# Only some requests can get these.
SPECIAL = [("identity-not-found", REQUESTS[0])]
SPECIAL += [("forbidden-" + k, r) for k in ("rbac", "policy", "firewall", "connection")
            for r in REQUESTS[4:6]]
# Not in the matrix: what is no fault, and false answers, which tests/interop/refusals.sh goes through.
OTHER = re.compile("slow|replay|token-.*|release-.*")
REACH, TLS, ANSWER, BUSY, ANY = "5\\d\\d", "5\\d\\d", "6\\d\\d", "5\\d\\d", "\\d+"
FAULTS = [(k, None, REACH) for k in ("refused", "reset", "silent")]
FAULTS += [(k, None, TLS) for k in ("not-tls", "tls-alert", "tls-self-signed", "tls-unknown-ca",
                                    "tls-expired", "tls-future", "tls-wrong-name", "tls-incomplete",
                                    "tls-old", "tls-wildcard")]
FAULTS += [(k, None, REACH) for k in ("reset-answer", "close", "stall", "drip")]
FAULTS += [("cut", "10", ANSWER)]
FAULTS += [(k, None, ANSWER) for k in ("length-long", "length-short", "length-twice", "chunk-cut",
                                       "garbage", "headers", "empty", "html", "type", "encoded",
                                       "not-json", "truncated", "trailing", "oversized")]
# Whoever is sent to must not be visited (T-N2), least of all with a credential (T-N5).
ELSEWHERE = socket.create_server(("127.0.0.1", 0), backlog=128)
ELSEWHERE.setblocking(False)
URL = f"https://localhost:{ELSEWHERE.getsockname()[1]}/"
FAULTS += [("301", URL, ANSWER), ("302", "http://169.254.169.254/", ANSWER),
           ("307", "file:///etc/passwd", ANSWER), ("308", URL, ANSWER)]
# A challenge that names another authority and resource: neither is asked, and the token stays (T-N5).
FAULTS += [("401", f'Bearer authorization="{URL}tenant", resource="https://graph.microsoft.com"', ANY)]
FAULTS += [(k, None, ANY) for k in ("400", "401", "403", "404", "410")]
FAULTS += [(k, None, BUSY) for k in ("408", "500", "502", "504")]
FAULTS += [("429", "120", BUSY), ("429", "garbage", BUSY),
           ("503", "Fri, 31 Dec 9999 23:59:59 GMT", BUSY)]
EARLY = {"refused", "reset", "silent", "not-tls"}


def lab(*words):
    subprocess.run([LAB, *words], check=True, capture_output=True)


def b64u(number):
    return base64.urlsafe_b64encode(number).rstrip(b"=").decode()


class App:
    """The long-lived application of tests/interop."""

    def __init__(self):
        self.p = subprocess.Popen([BUILD + "/tests/interop/client", ENV["P11_MODULE"]], text=True,
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=1)

    def ask(self, line):
        self.p.stdin.write(line + "\n")
        self.p.stdin.flush()
        return self.p.stdout.readline().strip()

    def use(self, token):
        """The first answer that is not success, or None."""
        for line, want in (("open " + token, "CKR_OK"), ("find known", "CKR_OK found"),
                           ("sign rsa", "CKR_OK 256")):
            answer = self.ask(line)
            if answer != want:
                return line.split()[0], answer
        return None

    def end(self):
        self.p.stdin.close()
        self.p.stdout.close()
        return self.p.wait(timeout=20)


def agents():
    """Agents of this lab: their memory and open descriptors."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            line = open(f"/proc/{pid}/cmdline", "rb").read()
            if b"vouchsafe-agent" in line.split(b"\0")[0] and CONF.encode() in line:
                status = open(f"/proc/{pid}/status").read()
                rss = int(re.search(r"VmRSS:\s+(\d+)", status).group(1))
                yield pid, rss, len(os.listdir(f"/proc/{pid}/fd"))
        except (OSError, AttributeError):
            continue


def records():
    try:
        return [json.loads(line) for line in open(DIR + "/audit.log")]
    except FileNotFoundError:
        return []


def results(rows):
    return [(r["event"], r["result"]) for r in rows if "result" in r]


def make_known_key():
    """Imported like a customer would, so that there is something to look for in memory."""
    pem = subprocess.run(["openssl", "genrsa", "-traditional", "2048"], capture_output=True,
                         check=True).stdout
    der = subprocess.run(["openssl", "rsa", "-traditional", "-outform", "DER"], input=pem,
                         capture_output=True, check=True).stdout

    def length(i):
        n = der[i] & 127
        return (der[i], i + 1) if der[i] < 128 else (int.from_bytes(der[i + 1:i + 1 + n], "big"),
                                                     i + 1 + n)
    _, i = length(1)
    numbers = []
    while i < len(der):
        n, i = length(i + 1)
        numbers.append(der[i:i + n].lstrip(b"\0"))
        i += n
    key = dict(zip(["n", "e", "d", "p", "q", "dp", "dq", "qi"], map(b64u, numbers[1:9])),
               kty="RSA-HSM", key_ops=["sign", "verify", "decrypt", "encrypt"])
    body = {"Hsm": True, "key": key, "attributes": {"exportable": True},
            "release_policy": {"data": b64u(open(DIR + "/policy.json", "rb").read())}}
    bearer = subprocess.run([LAB, "access-token", "https://vault.azure.net"], check=True,
                            capture_output=True, text=True).stdout.strip()
    r = urllib.request.Request(ENV["VAULT_URL"] + "/keys/known?api-version=7.4", method="PUT",
                               data=json.dumps(body).encode(),
                               headers={"Authorization": "Bearer " + bearer,
                                        "Content-Type": "application/json"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(
        context=ssl.create_default_context(cafile=ENV["CA_FILE"])))
    opener.open(r).read()
    paths = []
    for name, data in (("p", numbers[4]), ("p.le", numbers[4][::-1])):
        paths.append(f"{DIR}/state/pattern.{name}")
        open(paths[-1], "wb").write(data)
    return paths


class Case:
    def __init__(self, service, path, kind, value, number):
        self.words = ["fault", service, kind]
        if kind not in EARLY and not kind.startswith("tls-"):
            self.words += ["--path", path]
        if value is not None:
            self.words += ["--value", value]
        self.token = "by-certificate" if service == "entra" else "lab-vault"
        self.name, self.number, self.early = " ".join([*self.words[1:3], path]), number, \
            kind in EARLY or kind.startswith("tls-")

    def fails(self, app, patterns):
        before = len(records())
        start = time.monotonic()
        failed = app.use(self.token)
        took = time.monotonic() - start
        if failed is None:
            return "the key was used in spite of the fault"
        if took > LIMIT_S:
            return f"it took {took:.1f} s"
        step, answer = failed
        if not re.match(r"CKR_(DEVICE_ERROR|FUNCTION_REJECTED|DEVICE_REMOVED|TOKEN_NOT_PRESENT|"
                        r"FUNCTION_FAILED)|CKR_OK none", answer):
            return f"{step}: {answer}"
        for path in patterns:
            if app.ask("scan " + path) != "absent":
                return "a part of the key is in memory"
        if step == "sign":
            device = app.ask("device")
            if not re.fullmatch("CKR_OK " + self.number, device):
                return f"device error {device}, expected {self.number}"
            said = results(records()[before:])
            no = [s for s in said if s[1] in ("unreachable", "refused")]
            if len(no) != 1 or no[0] != said[-1]:
                return f"audit records {said}"
        if ("release", "granted") in results(records()[before:]):
            return "a record grants the key"
        for pid, rss, fds in agents():
            if rss > RSS_MAX_KIB or fds > FDS_MAX:
                return f"the agent has {rss} KiB and {fds} descriptors"
        return None

    def run(self, patterns):
        lab(*self.words)
        app = App()
        try:
            why = self.fails(app, patterns)
        finally:
            lab("fault", "clear")
        end = time.monotonic() + RECOVER_S
        while why is None and app.use(self.token) is not None:
            if time.monotonic() > end:
                why = "no success after the fault"
            time.sleep(0.3)
        if app.end() != 0:
            why = why or "the application died"
        try:
            ELSEWHERE.accept()[0].close()
            why = why or "somebody else was visited"
        except BlockingIOError:
            pass
        return why


def main():
    part = sys.argv[1] if len(sys.argv) > 1 else "0/1"
    first, step = map(int, part.split("/"))
    conf = open(CONF).read().replace("[global]\n", "[global]\nrefusal-hold = 100ms\n"
                                     "request-timeout = 1s\noperation-timeout = 3s\n"
                                     "connect-timeout = 1s\n", 1)
    # Who asks Entra is not the machine but an application with a certificate.
    section = conf[conf.index("[token lab-vault]"):conf.index("[token lab-hsm]")]
    section = section.replace("[token lab-vault]", "[token by-certificate]")
    for name, value in (("credential", "client-certificate"), ("client-id", ENV["CERT_CLIENT_ID"])):
        section = re.sub(f"(?m)^{name} .*", f"{name} = {value}", section)
    conf += f"\n{section}client-certificate-file = {ENV['CLIENT_CERT_FILE']}\n"
    open(CONF, "w").write(conf)
    patterns = make_known_key()
    cases = [Case(s, p, k, v, n) for k, v, n in FAULTS for s, p in REQUESTS
             if not (s == "imds" and (n == TLS and (k == "not-tls" or k.startswith("tls-"))))]
    cases += [Case(s, p, k, None, ANY) for k, (s, p) in SPECIAL]
    said = subprocess.run([LAB, "fault", "--help"], check=True, capture_output=True, text=True).stdout
    known = {k for k, _, _ in FAULTS} | {k for k, _ in SPECIAL}
    missing = [k for k in re.findall(r"(?m)^  ([a-z0-9-]+) ", said)
               if k not in known and not OTHER.fullmatch(k)]
    if missing:
        print("FAILED: faults that no case is about:", *missing)
        return 1
    bad, n, start = 0, 0, time.monotonic()
    for case in cases[first::step]:
        why = case.run(patterns)
        n += 1
        if why:
            bad += 1
            print(f"FAILED: {case.name}: {why}", flush=True)
    print(f"{n} of {len(cases)} cases, {bad} failures, {time.monotonic() - start:.0f} s")
    return 1 if bad or not n else 0


if __name__ == "__main__":
    sys.exit(main())
