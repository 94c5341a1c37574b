#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Documents against the code: mechanism table, error codes, links, pictures, named tests and settings.

With --write the generated tables are written into the documents."""
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as xml

SRC = os.environ.get("VS_SRCDIR", ".")
BUILD = os.environ.get("VS_BUILDDIR", ".")
DOC = os.path.join(SRC, "conf", "doc")
bad = []


def read(path):
    with open(os.path.join(SRC, path), encoding="utf-8") as f:
        return f.read()


def table(which):
    return subprocess.run([os.path.join(BUILD, "tests/docs/tables"), which], check=True,
                          capture_output=True, text=True).stdout


def mechanisms():
    path = "conf/doc/mechanisms.md"
    text = read(path)
    m = re.search(r"(?<=<!-- mechanisms -->\n)(.*?)(?=<!-- end -->)", text, re.S)
    want = table("mechanisms")
    if not m:
        bad.append(f"{path}: no place for the table")
    elif m.group(1) != want:
        if "--write" in sys.argv:
            with open(os.path.join(SRC, path), "w", encoding="utf-8") as f:
                f.write(text[:m.start()] + want + text[m.end():])
        else:
            bad.append(f"{path}: not what the code has; `tests/docs/tables.py --write` writes it")
    return want.count("\n") - 2


def codes():
    path = "conf/doc/troubleshooting.md"
    have = {}
    for line in read(path).splitlines():
        m = re.match(r"\| (\d+) \| (.*?) \| (`CKR_\w+`) \| (\d) \| (.*) \|$", line)
        if m:
            have[m.group(1)] = m
    want = table("codes").splitlines()
    for line in want:
        number = line.split(" ")[1]
        m = have.pop(number, None)
        if not m:
            bad.append(f"{path}: no row for {line}")
            continue
        row = "| %s | %s | %s | %s |" % m.group(1, 2, 3, 4)
        if row != line:
            bad.append(f"{path}: '{row}' should be '{line}'")
        if len(m.group(5)) < 12:
            bad.append(f"{path}: code {number} has no remedy")
    for number in have:
        bad.append(f"{path}: the code has no number {number}")
    return len(want)


def links():
    n = 0
    pages = ["README.md", "SECURITY.md", "CONTRIBUTING.md"]
    pages += ["conf/doc/" + f for f in sorted(os.listdir(DOC)) if f.endswith(".md")]
    for path in pages:
        text = read(path)
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
            if re.match(r"[a-z]+:", target):
                continue
            n += 1
            if not os.path.exists(os.path.join(SRC, os.path.dirname(path), target)):
                bad.append(f"{path}: there is no {target}")
        for name in re.findall(r"`(tests/[\w./-]+)`", text):
            n += 1
            if not os.path.exists(os.path.join(SRC, name)):
                bad.append(f"{path}: there is no {name}")
    return n


def settings():
    """Settings that a page shows in a configuration must exist."""
    known = set(re.findall(r"^#([a-z-]+)(?:\.NAME)? =", read("conf/vouchsafe.conf"), re.M))
    n = 0
    for f in sorted(os.listdir(DOC)):
        if not f.endswith(".md"):
            continue
        for block in re.findall(r"```ini\n(.*?)```", read("conf/doc/" + f), re.S):
            for name in re.findall(r"^([a-z-]+)(?:\.[\w-]+)?\s*=", block, re.M):
                n += 1
                if name not in known:
                    bad.append(f"conf/doc/{f}: there is no setting {name}")
    return n


def pictures():
    n = 0
    for f in sorted(os.listdir(DOC)):
        if not f.endswith(".svg"):
            continue
        root = xml.parse(os.path.join(DOC, f)).getroot()
        _, _, width, height = (float(x) for x in root.get("viewBox").split())
        n += 1
        ns = "{http://www.w3.org/2000/svg}"
        if root.find(ns + "title") is None or root.find(ns + "desc") is None:
            bad.append(f"conf/doc/{f}: a picture has a title and a description")
        for e in root.iter():
            if e.tag in (ns + "script", ns + "image", ns + "foreignObject"):
                bad.append(f"conf/doc/{f}: {e.tag} is not a drawing")
            for a, limit in (("x", width), ("x1", width), ("x2", width), ("y", height), ("y1", height), ("y2", height)):
                if e.get(a) and not 0 <= float(e.get(a)) <= limit:
                    bad.append(f"conf/doc/{f}: {e.tag} stands outside the picture")
    return n


print("%d mechanisms, %d codes, %d links, %d settings, %d pictures" %
      (mechanisms(), codes(), links(), settings(), pictures()))
for line in bad:
    print(line)
sys.exit(1 if bad else 0)
