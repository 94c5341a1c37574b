#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Calls that are banned, and the few places that are exceptions; licence lines; stray bytes."""
import os
import re
import sys

SRC = os.environ.get("VS_SRCDIR", ".")
EVERYWHERE = "strcpy strcat sprintf vsprintf strtok atoi atol strtol gets alloca localtime gmtime rand srand system popen".split()
# strtol's family is allowed where its result is checked by the line's own code
INSIDE = "getenv fork exit abort assert time".split()  # src/ and module/ only
EXCEPTIONS = {
    ("src/conf/conf.c", "strtoul"),
}


def strip(text):
    """Comments and string literals become blanks, line numbers stay."""
    def blank(m):
        return re.sub(r"[^\n]", " ", m.group(0))
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', blank, text, flags=re.S)


def check(path, text):
    code = strip(text)
    words = EVERYWHERE + (INSIDE if path.startswith(("src/", "module/")) else [])
    for word in words:
        for m in re.finditer(r"(?<![\w.>])%s\s*\(" % word, code):
            if (path, word) not in EXCEPTIONS:
                yield f"{path}:{code[:m.start()].count(chr(10)) + 1}: {word}() is banned"
    for m in re.finditer(r"memset\s*\([^;]*(?:secret|key_bytes|pin)", code):
        yield f"{path}:{code[:m.start()].count(chr(10)) + 1}: wipe with vs_wipe(), not memset()"
    if not text.startswith("/* SPDX-License-Identifier: BSD-2-Clause */"):
        yield f"{path}:1: the first line names the licence"
    for no, line in enumerate(text.splitlines(), 1):
        if line.rstrip() != line:
            yield f"{path}:{no}: blanks at the end"
        if re.search(r"\b(TODO|FIXME|XXX)\b", line):
            yield f"{path}:{no}: unfinished by its own words"


def size(path, text):
    lines = text.count("\n")
    if lines > 800:
        yield f"{path}: {lines} lines; the limit is 500, 800 with a reason"
    elif lines > 500 and "lines because" not in text[:1500]:
        yield f"{path}: {lines} lines; the limit is 500 (say in the first comment: '... lines because ...')"


def main():
    bad, seen = [], 0
    for top in ("src", "module", "tools", "include", "tests"):
        for root, _, names in os.walk(os.path.join(SRC, top)):
            for name in sorted(names):
                if not name.endswith((".c", ".h")):
                    continue
                path = os.path.relpath(os.path.join(root, name), SRC)
                with open(os.path.join(SRC, path), encoding="utf-8") as f:
                    text = f.read()
                seen += 1
                bad += check(path, text)
                if not path.startswith("tests/"):
                    bad += size(path, text)
    print("\n".join(bad) or f"{seen} files are clean")
    return 1 if bad or seen < 10 else 0


if __name__ == "__main__":
    sys.exit(main())
