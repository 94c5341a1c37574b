#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Who may include whom, and which third-party headers stand in which files (ARCHITECTURE, layers)."""
import os
import re
import sys

SRC = os.environ.get("VS_SRCDIR", ".")
CORE = "base crypto proto conf jose net evidence attest keys audit gate core".split()
LAYERS = {
    "base": ["base"],
    "crypto": ["crypto", "base"],
    "proto": ["proto", "base"],
    "client": ["client", "base", "proto"],
    "token": ["token", "base", "crypto", "proto", "client"],
    "module": ["module", "token", "base", "client"],
    "jose": ["jose", "base", "crypto"],
    "net": ["net", "base"],
    "conf": ["conf", "base", "jose", "crypto"],
    "evidence": ["evidence", "base", "crypto", "conf", "jose"],
    "attest": ["attest", "base", "crypto", "jose", "net", "conf"],
    "keys": ["keys", "base", "crypto", "jose", "net", "conf", "proto"],
    "audit": ["audit", "base", "crypto", "jose", "conf"],
    "gate": CORE,
    "core": CORE,
    "agent": ["agent"] + CORE,
    "tools": ["tools", "agent", "client"] + CORE,
    "tools/lab": ["tools/lab", "lab", "base", "crypto", "jose"],
}
# pattern of a third-party header: where it may stand
FOREIGN = [
    (r"jansson\.h", r"src/jose/|src/conf/policy|src/attest/|src/keys/|tools/"),
    (r"libcryptsetup\.h", r"tools/(cmd_volume|volume_slot)\.c"),
    (r"curl/", r"src/net/http_curl\.c|src/net/url\.c"),
    (r"tss2/", r"src/evidence/(tpm|ev_)|tools/lab/"),
    (r"openssl/", r"src/(crypto|jose)/|src/net/|src/evidence/(ev_)?|src/token/op_|src/keys/|tools/lab/"),
    (r"p11-kit/", r"src/token/ck\.h"),
    (r"pkcs11", r"src/token/ck\.h"),
]
GUEST = ("src/base/", "src/crypto/", "src/proto/", "src/client/", "src/token/", "module/")


def folder(path):
    parts = path.split("/")
    if parts[0] == "src":
        return parts[1]
    return "tools/lab" if path.startswith("tools/lab/") else parts[0]


def check(path, text):
    mine = folder(path)
    allowed = LAYERS[mine]
    for no, line in enumerate(text.splitlines(), 1):
        m = re.match(r'\s*#\s*include\s+([<"])([^>"]+)[>"]', line)
        if not m:
            continue
        kind, name = m.groups()
        where = f"{path}:{no}"
        if kind == '"':
            top = name.split("/")[0]
            if "/" not in name:
                yield f"{where}: {name}: write the folder, too"
            elif top == "vouchsafe":
                if name == "vouchsafe/vouchsafe.h" and mine not in ("core", "agent", "tools"):
                    yield f"{where}: the façade is for core, agent and tools"
                if mine in ("token", "module") and name != "vouchsafe/err.h":
                    yield f"{where}: {name} is not for the module"
            elif top not in allowed and "/".join(name.split("/")[:2]) not in allowed:
                yield f"{where}: {mine} may not include {name}"
        for pattern, places in FOREIGN:
            if re.match(pattern, name) and not re.match(places, path):
                yield f"{where}: {name} does not belong into this file"
    if re.search(r"\bCK_[A-Z]{2}", text) and mine not in ("token", "module"):
        yield f"{path}: CK_ names do not exist outside token and module"


def main():
    bad, seen = [], 0
    for top in ("src", "module", "tools"):
        for root, _, names in os.walk(os.path.join(SRC, top)):
            for name in sorted(names):
                if name.endswith((".c", ".h")):
                    path = os.path.relpath(os.path.join(root, name), SRC)
                    seen += 1
                    with open(os.path.join(SRC, path), encoding="utf-8") as f:
                        bad += check(path, f.read())
    print("\n".join(bad) or f"{seen} files keep to their layers")
    # An empty walk would be a check that cannot fail.
    return 1 if bad or seen < 10 else 0


if __name__ == "__main__":
    sys.exit(main())
