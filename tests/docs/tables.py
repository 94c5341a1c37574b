#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Documents against the code: mechanisms, error codes, doctor's rows, clients, links, pictures, named tests and settings.

With --write the generated tables are written into the documents; with --results, too, how many checks of each client passed in the
build folder's last `make check` and `make check-interop`."""
import glob
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


def functions():
    """Which C_* functions do nothing but answer, read from the entry points themselves."""
    names, fixed = [], {}
    for f in sorted(os.listdir(os.path.join(SRC, "module"))):
        if not f.endswith(".c"):
            continue
        text = read("module/" + f)
        for m in re.finditer(r"^(C_\w+)\(.*?\n{\n(.*?)^}", text, re.M | re.S):
            names.append(m[1])
            said = re.findall(r"VS_IN_\w+\(\w+, (.*)\);|VS_IN_INSTANCE\((.*)\);", m[2])
            said = " ".join(a + b for a, b in said)
            helper = re.match(r"(\w+)\(", said)
            if helper:
                body = re.search(r"^%s\(.*?\n{\n(.*?)^}" % helper[1], text, re.M | re.S)
                answers = re.findall(r"return (.*?);", body[1], re.S) if body else []
                said = " ".join(answers) if all("CKR_" in a for a in answers) else ""
            codes = re.findall(r"CKR_\w+", said)
            if codes and "CKR_OK" not in codes and not re.search(r"\w\(", said):
                fixed[m[1]] = codes
    if len(names) < 88 or len(set(names)) != len(names):
        bad.append(f"module: only {len(names)} functions")
    want = f"| of {len(names)} functions all do their work, but these only answer | with |\n|---|---|\n"
    for n in sorted(fixed):
        want += "| `%s` | %s |\n" % (n, ", ".join(f"`{c}`" for c in fixed[n]))
    generated("conf/doc/mechanisms.md", "functions", want)
    return len(names)


def results():
    """Checks that passed in the last runs of `make check` and `make check-interop`, by script."""
    found = {}
    try:
        with open(os.path.join(BUILD, "check-interop.log"), encoding="utf-8", errors="replace") as f:
            for part in re.split(r"^=== ", f.read(), flags=re.M)[1:]:
                m = re.match(r"tests/interop/(\S+): (\d+)\n", part)
                if m and m[2] == "0":
                    found[m[1]] = len(re.findall(r"^ok \d", part, re.M))
    except OSError:
        pass
    for name in os.listdir(os.path.join(SRC, "tests", "interop")):
        base = os.path.join(BUILD, "tests/interop", name[:-3])
        if os.path.exists(base + ".trs") and ":test-result: PASS" in open(base + ".trs", encoding="utf-8").read():
            with open(base + ".log", encoding="utf-8", errors="replace") as f:
                found[name] = len(re.findall(r"^ok \d", f.read(), re.M))
    return found


# These run clients, too, but to look at something else.
NO_CLIENTS = {"bad-input.sh", "cli.sh", "conformance.sh", "leaks.sh", "lib.sh", "observe.sh", "profiles.sh", "races.sh", "secrets.sh",
              "services.sh"}


def clients():
    """The table of clients is made of the tests: who a test runs stands in its first line, its checks are those that passed
    when the table was made (--write --results)."""
    path = "conf/doc/mechanisms.md"
    known = dict(re.findall(r"^\| `([\w-]+\.sh)` \|.*\| (\d+) \|$", read(path), re.M))
    if "--results" in sys.argv:
        known.update({k: str(v) for k, v in results().items()})
    want = "| test | what it runs | in | checks |\n|---|---|---|---|\n"
    local = read("tests/local.mk") + read("tools/local.mk")
    more = local[local.index("interop_more ="):]
    n = 0
    for name in sorted(os.listdir(os.path.join(SRC, "tests", "interop"))):
        text = read("tests/interop/" + name) if name.endswith(".sh") and name not in NO_CLIENTS else ""
        if "P11_MODULE" not in text and "engine_conf" not in text and name != "pkcs11-tool.sh":
            continue
        first = re.search(r"^# (?!SPDX)(.*?)(?=^[^#])", text, re.M | re.S)[1].replace("\n# ", " ")
        what = re.split(r"(?<=\w)[.;] ", first.strip() + " ")[0].strip().rstrip(".")
        if len(what) < 20 or "|" in what:
            bad.append(f"tests/interop/{name}: says not what it is in its first lines")
        if f"interop/{name}" not in local:
            bad.append(f"tests/interop/{name}: no target runs it")
        if int(known.get(name, 0)) < 1:
            continue
        target = "make check-interop" if f"interop/{name}" in more else "make check"
        want += f"| `{name}` | {what} | `{target}` | {known.get(name, 0)} |\n"
        n += 1
    if n < 15:
        bad.append(f"{path}: only {n} clients")
    generated(path, "clients", want)
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
            # NAME stands for any.
            if not glob.glob(os.path.join(glob.escape(SRC), name.replace("NAME", "*"))):
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


print("%d mechanisms, %d functions, %d codes, %d rows of doctor, %d clients, %d links, %d settings, %d pictures" %
      (mechanisms(), functions(), codes(), doctor(), clients(), links(), settings(), pictures()))
for line in bad:
    print(line)
sys.exit(1 if bad else 0)
