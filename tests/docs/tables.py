#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Documents against the code: mechanisms, error codes, doctor's rows, clients, links, pictures, named tests and settings.

With --write the generated tables are written into the documents."""
import json
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


def generated(path, mark, want):
    """What stands between <!-- mark --> and <!-- end --> is what the code says."""
    text = read(path)
    m = re.search(r"(?<=<!-- %s -->\n)(.*?)(?=<!-- end -->)" % mark, text, re.S)
    if not m:
        bad.append(f"{path}: no place for the table '{mark}'")
    elif m.group(1) != want:
        if "--write" in sys.argv:
            with open(os.path.join(SRC, path), "w", encoding="utf-8") as f:
                f.write(text[:m.start()] + want + text[m.end():])
        else:
            have = set(m.group(1).splitlines())
            odd = [line for line in want.splitlines() if line not in have][:3]
            bad.append(f"{path}: '{mark}' is not what the code has: {odd}; `tests/docs/tables.py --write` writes it")
    return want.count("\n") - 2


def mechanisms():
    return generated("conf/doc/mechanisms.md", "mechanisms", table("mechanisms"))


def codes():
    head = "| number | meaning | PKCS#11 | exit | what to do |\n|---|---|---|---|---|\n"
    rows = table("codes")
    for row in rows.splitlines():
        if len(row.split(" | ")) != 5 or len(row.split(" | ")[4]) < 14:
            bad.append(f"no remedy, or one with a bar: {row}")
    return generated("conf/doc/troubleshooting.md", "codes", head + rows)


def doctor():
    """Each row of doctor with its remedy; each row is broken by its test."""
    out = subprocess.run([os.path.join(BUILD, "vouchsafe"), "doctor", "--list", "--json"], check=True,
                         capture_output=True, text=True).stdout
    rows = json.loads(out)
    test = read("tests/interop/doctor.sh")
    want = "| row | expected | remedy |\n|---|---|---|\n"
    for r in rows:
        if not r["expected"] or not r["remedy"] or "|" in r["expected"] + r["remedy"]:
            bad.append(f"doctor: {r['row']} has no expectation or remedy")
        if not re.search(r"^.*\bbroken \d (bad|warning) .*[ ,]%s(,|;|$| )" % re.escape(r["row"]), test, re.M):
            bad.append(f"tests/interop/doctor.sh: nothing breaks the row {r['row']}")
        want += f"| `{r['row']}` | {r['expected']} | {r['remedy']} |\n"
    return generated("conf/doc/troubleshooting.md", "doctor", want)


def clients():
    """The table of clients is made of the tests: each says in its first lines who it runs, and its checks are counted."""
    want = "| test | what it runs | in |\n|---|---|---|\n"
    local = read("tests/local.mk")
    more = local[local.index("interop_more ="):]
    n = 0
    for name in sorted(os.listdir(os.path.join(SRC, "tests", "interop"))):
        if not name.endswith(".sh") or name == "lib.sh":
            continue
        text = read("tests/interop/" + name)
        if "P11_MODULE" not in text and "p11" not in text:
            continue
        what = []
        for line in text.splitlines()[2:]:
            if not line.startswith("# "):
                break
            what.append(line[2:])
        what = " ".join(what)
        if len(what) < 20 or "|" in what:
            bad.append(f"tests/interop/{name}: says not what it is in its first lines")
        target = "make check-interop" if f"interop/{name}" in more else "make check"
        if f"interop/{name}" not in local and f"interop/{name}" not in read("tools/local.mk"):
            bad.append(f"tests/interop/{name}: no target runs it")
        want += f"| `{name}` | {what} | `{target}` |\n"
        n += 1
    generated("conf/doc/mechanisms.md", "clients", want)
    return n


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


print("%d mechanisms, %d codes, %d rows of doctor, %d clients, %d links, %d settings, %d pictures" %
      (mechanisms(), codes(), doctor(), clients(), links(), settings(), pictures()))
for line in bad:
    print(line)
sys.exit(1 if bad else 0)
