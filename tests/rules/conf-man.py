#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""vouchsafe.conf, its manual page and the program's table of settings are the same set."""
import os
import re
import subprocess
import sys

SRC, BUILD = os.environ["VS_SRCDIR"], os.environ["VS_BUILDDIR"]
out = subprocess.run([BUILD + "/vouchsafe", "conf", "defaults"], check=True, capture_output=True, text=True).stdout
for name, dflt in (("SYSCONFDIR", "/etc"), ("LIBEXECDIR", "/usr/libexec"), ("RUNSTATEDIR", "/run"), ("LOCALSTATEDIR", "/var")):
    out = out.replace(os.environ["VS_" + name] + "/", dflt + "/")

if sys.argv[1:] == ["--write"]:
    with open(SRC + "/conf/vouchsafe.conf", "w", encoding="utf-8") as f:
        f.write(out)

bad = []
if open(SRC + "/conf/vouchsafe.conf", encoding="utf-8").read() != out:
    bad.append("conf/vouchsafe.conf is not what `vouchsafe conf defaults` prints")

settings = dict(re.findall(r"^#([a-z-]+) = ?(.*)$", out, re.M))
helps = dict((n, h) for h, n in re.findall(r"^# (.*) \(.*\)\n#([a-z-]+) =", out, re.M))
man = open(SRC + "/conf/man/vouchsafe.conf.5", encoding="utf-8").read()
items = re.findall(r"^\.It Cm ([a-z-]+)(?: Pq default: (.*))?\n((?:(?!\.It|\.El|\.Sh).*\n)+)", man, re.M)
if len(settings) < 20:
    bad.append("too few settings: the comparison would prove nothing")
for name in set(settings) - {i[0] for i in items}:
    bad.append(f"vouchsafe.conf.5 does not describe {name}")
for name, dflt, text in items:
    if name not in settings:
        bad.append(f"vouchsafe.conf.5 describes {name}, which does not exist")
    elif (dflt or "").replace("\\&", "") != settings[name]:
        bad.append(f"vouchsafe.conf.5: {name}: default {dflt!r}, the program says {settings[name]!r}")
    elif " ".join(text.split()) != " ".join(helps[name].split()):
        bad.append(f"vouchsafe.conf.5: {name}: other words than the program: {helps[name]}")
print("\n".join(bad) or f"{len(settings)} settings agree")
sys.exit(1 if bad else 0)
