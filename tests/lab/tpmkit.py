# SPDX-License-Identifier: BSD-2-Clause
"""A guest of the lab that shares no code with the agent, the lab or any TPM library.

TPM commands are packed and parsed here, spoken over the machine's own socket; requests to the services
go over TLS. For tests that run as `vouchsafe-lab run -- ...`.
"""
import base64
import hashlib
import http.client
import json
import os
import socket
import ssl
import struct
import urllib.parse

DIR = os.environ["VOUCHSAFE_LAB"]
NULL, OWNER, PASSWORD = 0x40000007, 0x40000001, 0x40000009
AK, NV_REPORT, NV_AK_CERT = 0x81000003, 0x01400001, 0x01C101D0
SHA1, SHA256, RSA, RSASSA, RSAPSS, NOTHING = 0x0004, 0x000b, 0x0001, 0x0014, 0x0016, 0x0010
NO_SESSIONS, SESSIONS = 0x8001, 0x8002


def b64(data):
    return base64.b64encode(data).decode()


def b64u(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64u(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def sized(data):
    return struct.pack(">H", len(data)) + data


def take(data):
    """A TPM2B and what is behind it."""
    n, = struct.unpack_from(">H", data)
    assert len(data) >= 2 + n
    return data[2:2 + n], data[2 + n:]


class Tpm:
    def __init__(self):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.settimeout(30)
        self.s.connect(DIR + "/tpm.sock")

    def send(self, tag, code, body):
        for _ in range(5):
            self.s.sendall(struct.pack(">HII", tag, 10 + len(body), code) + body)
            _, size, rc = struct.unpack(">HII", self.receive(10))
            rest = self.receive(size - 10)
            if rc != 0x922:  # "try again", as before the first use of a key
                break
        if rc:
            raise RuntimeError(f"TPM command 0x{code:x} failed: 0x{rc:x}")
        return rest

    def receive(self, n):
        data = b""
        while len(data) < n:
            part = self.s.recv(n - len(data))
            assert part, "the TPM hung up"
            data += part
        return data

    def call(self, code, handles, params, auths=1, out_handles=0):
        """With empty passwords; gives out handles and parameters."""
        area = struct.pack(">IHBH", PASSWORD, 0, 1, 0) * auths
        body = b"".join(struct.pack(">I", h) for h in handles)
        rest = self.send(SESSIONS, code, body + struct.pack(">I", len(area)) + area + params)
        out = rest[:4 * out_handles]
        n, = struct.unpack_from(">I", rest, len(out))
        return out, rest[len(out) + 4:len(out) + 4 + n]

    def read_public(self, handle):
        """TPM2B_PUBLIC."""
        rest = self.send(NO_SESSIONS, 0x173, struct.pack(">I", handle))
        area, _ = take(rest)
        return sized(area)

    def nv(self, index):
        rest = self.send(NO_SESSIONS, 0x169, struct.pack(">I", index))
        area, _ = take(rest)
        size, = struct.unpack(">H", area[-2:])
        data = b""
        while len(data) < size:
            n = min(1024, size - len(data))
            _, out = self.call(0x14e, [OWNER, index], struct.pack(">HH", n, len(data)))
            data += take(out)[0]
        return data

    def pcrs(self, alg, indexes):
        values = {}
        for i in indexes:
            rest = self.send(NO_SESSIONS, 0x17e, selection([(alg, [i])]))
            values[i] = take(rest[4 + len(selection([(alg, [i])])) + 4:])[0]
        return values

    def create_primary(self, public):
        out, rest = self.call(0x131, [NULL], sized(sized(b"") + sized(b"")) + sized(public) +
                              sized(b"") + struct.pack(">I", 0), out_handles=1)
        return struct.unpack(">I", out)[0], sized(take(rest)[0])

    def attest(self, code, handles, params, auths):
        _, rest = self.call(code, handles, params, auths)
        attest, signature = take(rest)
        return attest, signature

    def certify(self, handle, qualifying=b""):
        """TPMS_ATTEST and TPMT_SIGNATURE."""
        return self.attest(0x148, [handle, AK], sized(qualifying) + struct.pack(">H", NOTHING), 2)

    def quote(self, qualifying, banks):
        return self.attest(0x158, [AK], sized(qualifying) + struct.pack(">H", NOTHING) +
                           selection(banks), 1)

    def sign_pss(self, handle, digest):
        params = sized(digest) + struct.pack(">H", NOTHING) + struct.pack(">HIH", 0x8024, NULL, 0)
        _, rest = self.call(0x15d, [handle], params)
        assert struct.unpack_from(">HH", rest) == (RSAPSS, SHA256)
        return take(rest[4:])[0]

    def flush(self, handle):
        self.send(NO_SESSIONS, 0x165, struct.pack(">I", handle))


def selection(banks):
    out = struct.pack(">I", len(banks))
    for alg, indexes in banks:
        mask = sum(1 << i for i in indexes)
        out += struct.pack(">HB", alg, 3) + mask.to_bytes(3, "little")
    return out


def rsa_public(attributes, policy=b"", scheme=None):
    return (struct.pack(">HHI", RSA, SHA256, attributes) + sized(policy) +
            struct.pack(">H", NOTHING) + (scheme or struct.pack(">H", NOTHING)) +
            struct.pack(">HI", 2048, 0) + sized(os.urandom(32)))


def policy_pcr(indexes, values):
    digest = hashlib.sha256(b"".join(values[i] for i in indexes)).digest()
    return hashlib.sha256(bytes(32) + struct.pack(">I", 0x17f) + selection([(SHA256, indexes)]) +
                          digest).digest()


def signature_bytes(signature):
    """Of a TPMT_SIGNATURE, RSASSA with SHA-256."""
    assert struct.unpack_from(">HH", signature) == (RSASSA, SHA256)
    return take(signature[4:])[0]


def modulus(public):
    """Of a TPM2B_PUBLIC, whose last part it is."""
    return public[-256:]


class Web:
    """One connection, kept, to a service whose URL stands in the environment."""

    def __init__(self, name):
        u = urllib.parse.urlsplit(os.environ[name])
        if u.scheme == "https":
            self.c = http.client.HTTPSConnection("127.0.0.1", u.port, timeout=30, context=self.tls())
        else:
            self.c = http.client.HTTPConnection("127.0.0.1", u.port, timeout=30)
        self.host = u.netloc

    @staticmethod
    def tls():
        return ssl.create_default_context(cafile=os.environ["CA_FILE"])

    def ask(self, method, path, body=None, headers=None):
        """Status, JSON (or None)."""
        if isinstance(body, (dict, list)):
            body, headers = json.dumps(body), {"Content-Type": "application/json", **(headers or {})}
        self.c.request(method, path, body, {"Host": self.host, **(headers or {})})
        r = self.c.getresponse()
        text = r.read()
        self.headers = r.headers
        try:
            return r.status, json.loads(text)
        except ValueError:
            return r.status, None


def isolation():
    """The report behind the TPM's index, with the certificates that the metadata service has."""
    hcl = Tpm().nv(NV_REPORT)
    size, = struct.unpack_from("<I", hcl, 32 + 1184 + 16)
    status, certs = Web("IMDS_URL").ask("GET", "/metadata/THIM/amd/certification", None,
                                        {"Metadata": "true"})
    assert status == 200
    return {"SnpReport": hcl[32:32 + 1184], "RunTimeData": hcl[0x4d4:0x4d4 + size],
            "VcekCertChain": (certs["vcekCert"] + certs["certificateChain"]).encode()}


def event_log():
    with open(DIR + "/eventlog.bin", "rb") as f:
        return f.read()
