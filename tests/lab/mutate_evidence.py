#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Mutated evidence against the lab alone, sent by a client that shares no code with agent or lab.

Every byte of every element of an AzureGuest request is changed once, one request each; each must be
refused by a check that is about this element. Bytes that no check covers are listed by uncovered() with
the reason; one that is accepted without standing there fails the test, and so does one that stands there
and is refused. Run as `vouchsafe-lab run -- python3 mutate_evidence.py [N/M [SEED]]`: only each M-th byte,
from the N-th on; the seed chooses the bits.
"""
import collections
import hashlib
import json
import os
import random
import re
import struct
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from tpmkit import (AK, NV_AK_CERT, SHA256, Tpm, Web, b64, b64u, event_log, isolation,  # noqa: E402
                    policy_pcr, rsa_public, signature_bytes)

PCRS = list(range(8))
POST = "/attest/AzureGuest?api-version=2020-10-01"

# Which checks may refuse a change of an element; the first stands for most of its bytes.
CHECKS = {
    "AikCert": "AikCertChain AikCertKey AikPub Request",
    "AikPub": "AikPub AikCertKey AikAttributes QuoteSigner",
    "PcrQuote": "QuoteSignature",
    "PcrSignature": "QuoteSignature",
    "PCRs": "QuoteDigest",
    "EncKeyPub": "CertifyName EncKeyPub",
    "EncKeyCertifyInfo": "CertifySignature",
    "EncKeyCertifyInfoSignature": "CertifySignature",
    "TcgLogs": "TcgLogReplay TcgLogForm TcgLogData VmUniqueId",
    "SnpReport": "SnpReportSignature SnpReportForm",
    "VcekCertChain": "VcekChain",
    "RunTimeData": "SnpReportData",
}


class Evidence:
    """The elements of a request as bytes, and the request around them."""

    def __init__(self):
        tpm = Tpm()
        values = tpm.pcrs(SHA256, PCRS)
        handle, public = tpm.create_primary(rsa_public(0x00020432, policy_pcr(PCRS, values)))
        certify, certify_sig = tpm.certify(handle)
        quote, quote_sig = tpm.quote(os.urandom(32), [(SHA256, PCRS)])
        tpm.flush(handle)
        self.parts = {
            "AikCert": tpm.nv(NV_AK_CERT), "AikPub": tpm.read_public(AK), "PcrQuote": quote,
            "PcrSignature": signature_bytes(quote_sig),
            "PCRs": b"".join(values[i] for i in PCRS), "EncKeyPub": public,
            "EncKeyCertifyInfo": certify, "EncKeyCertifyInfoSignature": signature_bytes(certify_sig),
            "TcgLogs": event_log(), **isolation()}

    def request(self, name=None, at=0, bit=0):
        parts = self.parts
        if name:
            changed = bytearray(parts[name])
            changed[at] ^= 1 << bit
            parts = {**parts, name: bytes(changed)}
        proof = json.dumps({k: b64u(parts[k]) for k in ("SnpReport", "VcekCertChain")})
        tpm = {k: b64(parts[k]) for k in ("AikCert", "AikPub", "PcrQuote", "PcrSignature", "EncKeyPub",
                                          "EncKeyCertifyInfo", "EncKeyCertifyInfoSignature")}
        tpm["PcrSet"] = PCRS
        tpm["PCRs"] = [{"Index": i, "Digest": b64(parts["PCRs"][32 * i:32 * i + 32])} for i in PCRS]
        info = {"AttestationProtocolVersion": "2.0", "OSType": b64(b"Linux"),
                "OSDistro": b64(b"LAB"), "OSVersionMajor": 12, "OSVersionMinor": 0,
                "OSBuild": b64(b"NotApplication"), "TcgLogs": b64(parts["TcgLogs"]), "TpmInfo": tpm,
                "ClientPayload": {"nonce": b64(bytes(32))},
                "IsolationInfo": {"Type": "SevSnp", "Evidence": {
                    "Proof": b64(proof.encode()), "RunTimeData": b64(parts["RunTimeData"])}}}
        return {"AttestationInfo": b64u(json.dumps(info).encode())}


def attempt(web, body):
    status, answer = web.ask("POST", POST, body)
    if status == 200:
        return "accepted"
    error = (answer or {}).get("error", {})
    return error.get("innererror", {}).get("code") or f"status {status}"


def log_fields(log):
    """(from, to, what, PCR, event type, whether the data are what was measured), over the whole log."""
    def u32(at):
        return struct.unpack_from("<I", log, at)[0]
    size, n_algs, sizes = u32(28), u32(56), {}
    yield 8, 28, "head", 0, 0, False
    yield 48, 56, "head", 0, 0, False
    for i in range(n_algs):
        alg, sizes_of = struct.unpack_from("<HH", log, 60 + 4 * i)
        sizes[alg] = sizes_of
    at = 32 + size
    while at < len(log):
        begin, pcr, kind, count, sha256 = at, u32(at), u32(at + 4), u32(at + 8), b""
        at += 12
        digests = []
        for _ in range(count):
            alg, = struct.unpack_from("<H", log, at)
            digests.append((at + 2, at + 2 + sizes[alg], alg))
            if alg == SHA256:
                sha256 = log[at + 2:at + 34]
            at += 2 + sizes[alg]
        data, end = at + 4, at + 4 + u32(at)
        bound = hashlib.sha256(log[data:end]).digest() == sha256
        yield begin, begin + 1, "pcr", pcr, kind, bound
        yield begin + 4, begin + 8, "type", pcr, kind, bound
        for low, high, alg in digests:
            yield low, high, "digest" if alg == SHA256 else "other digest", pcr, kind, bound
        yield data, end, "data", pcr, kind, bound
        at = end


def uncovered(evidence):
    """The written list of bytes that no check covers: element, place, and why that does no harm."""
    reasons = {
        "head": "the log's head says only which banks it has; nothing is concluded from the rest",
        "other digest": "the quote is of the SHA-256 bank, digests of other banks prove nothing",
        "unquoted": "the event's PCR is not in the quote, so the event is believed in nothing",
        "idle": "no claim is made of types and data of these events; digests are replayed",
    }
    separator, uuid = 4, 0xc
    places = {}
    for low, high, what, pcr, kind, _ in log_fields(evidence.parts["TcgLogs"]):
        if what in ("head", "other digest"):
            why = reasons[what]
        elif pcr not in PCRS:
            why = reasons["unquoted"]
        elif what in ("type", "data") and pcr != 7 and kind != separator and (pcr, kind) != (6, uuid):
            why = reasons["idle"]
        else:
            continue
        for at in range(low, high):
            places[at] = why
    chain, last = evidence.parts["VcekCertChain"], {}
    for m in re.finditer(rb".(?==+\n-----END)", chain):
        last[m.start()] = "a part of the last character in front of base64's padding is no data"
    return {"TcgLogs": places, "VcekCertChain": last}


def main():
    first, step = map(int, (sys.argv[1] if len(sys.argv) > 1 else "0/1").split("/"))
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    bits, evidence, web = random.Random(seed), Evidence(), Web("MAA_URL")
    if attempt(web, evidence.request()) != "accepted":
        print("FAILED: genuine evidence is refused")
        return 1
    allowed, bad, n, start = uncovered(evidence), 0, 0, time.monotonic()
    counts = collections.Counter()
    places = [(name, at) for name in CHECKS for at in range(len(evidence.parts[name]))]
    for name, at in places[first::step]:
        bit = bits.randrange(8)
        got = attempt(web, evidence.request(name, at, bit))
        n += 1
        counts[name, got] += 1
        want = allowed.get(name, {}).get(at)
        # The number of a PCR that is not quoted may become that of one which is, and be refused; and
        # a character has bits that are data.
        either = want and (name == "VcekCertChain" or want.startswith("the event's PCR")) and \
            got in ("TcgLogReplay", "TcgLogForm", "VcekChain")
        if got not in (["accepted"] if want else CHECKS[name].split()) and not either:
            bad += 1
            print(f"FAILED: {name}, byte {at}, bit {bit}: {got}"
                  f"{', which nothing covers because ' + want if want else ''}", flush=True)
    for (name, got), count in sorted(counts.items()):
        print(f"{name:28} {got:20} {count}")
    for name, list_ in allowed.items():
        for why, count in sorted(collections.Counter(list_.values()).items()):
            print(f"not covered: {count:5} bytes of {name}: {why}")
    print(f"{n} of {len(places)} bytes, {bad} failures, seed {seed}, {time.monotonic() - start:.0f} s")
    return 1 if bad or not n else 0


if __name__ == "__main__":
    sys.exit(main())
