#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# No secret in arguments, environment, logs, records, numbers, verdicts or temporary files: a client secret, a PIN, an access
# token, an attestation token, in success, refusal and failure, at the highest log level.
. "$VS_SRCDIR/tests/interop/lib.sh"
need openssl pkcs11-tool python3
lab_up
SECRET=$CLIENT_SECRET
# The lab tells it to those who try services by hand; here it stands in its file alone.
unset CLIENT_SECRET
PIN=71826354
umask 077
printf %s "$SECRET" >"$T/secret-file"
printf %s "$PIN" >"$T/pin-file"
mkdir "$T/tmp" "$T/seen" "$T/hook"
TMPDIR=$T/tmp
VOUCHSAFE_LOG=debug
export TMPDIR VOUCHSAFE_LOG
printf '#!/bin/sh\ncat >>%s\n' "$T/seen/verdict" >"$T/hook/refused"
chmod 700 "$T/hook/refused"
sed -i "s,^\[global\],[global]\nmetrics-file = $T/seen/prom\nrefusal-hook = $T/hook/refused\nrefusal-hold = 100ms\nlog-level = debug," "$VOUCHSAFE_CONF"
python3 - "$VOUCHSAFE_CONF" "$T" "$CLIENT_ID" <<'EOT'
import sys
path, t, client = sys.argv[1:]
out, section = [], ""
for line in open(path):
    if line.startswith("["): section = line.strip()
    name = line.split("=")[0].strip()
    if section == "[token lab-vault]" and name in ("credential", "client-id", "login", "pin-file", "client-secret-file"): continue
    out.append(line)
    if line.strip() == "[token lab-vault]":
        out.append(f"credential = client-secret-file\nclient-secret-file = {t}/secret-file\nclient-id = {client}\nlogin = pin\npin-file = {t}/pin-file\n")
open(path, "w").writelines(out)
EOT
succeeds "the configuration is usable" "$VOUCHSAFE" conf check
# Arguments and environment of every process of ours, as often as can be looked.
python3 - "$T/seen/processes" "$B" <<'EOT' &
import os, sys, time
out, build, seen = open(sys.argv[1], "wb", 0), sys.argv[2], set()
while not os.path.exists(sys.argv[1] + ".end"):
    for p in os.listdir("/proc"):
        if not p.isdigit(): continue
        try:
            exe = os.readlink(f"/proc/{p}/exe")
            if not exe.startswith(build) or exe.endswith("lab"): continue
            for f in ("cmdline", "environ"):
                data = open(f"/proc/{p}/{f}", "rb").read()
                if (p, f, data) not in seen:
                    seen.add((p, f, data)); out.write(exe.encode() + b" " + f.encode() + b" " + data + b"\n")
        except OSError: pass
    time.sleep(0.005)
EOT
WATCH=$!
PIDS="${PIDS-} $WATCH"
openssl rand 32 >"$T/data"
sign() { # PIN
	timeout 60 pkcs11-tool --module "$P11_MODULE" --token-label lab-vault --login --pin "$1" --sign --mechanism SHA256-RSA-PKCS \
		--label rsa2048 --input-file "$T/data" --output-file "$T/sig"
}
all() { # what is done in each state; each result is kept
	sign "$PIN" >>"$T/seen/sign" 2>&1 || true
	"$VOUCHSAFE" attest --token lab-vault >>"$T/seen/attest" 2>&1 || true
	"$VOUCHSAFE" attest --token lab-vault --json >>"$T/seen/attest-json" 2>&1 || true
	"$VOUCHSAFE" doctor --json >>"$T/seen/doctor" 2>&1 || true
	"$VOUCHSAFE" gate --lab --token lab-vault --timeout 1s >>"$T/seen/gate" 2>&1 || true
	"$VOUCHSAFE" status >>"$T/seen/status" 2>&1 || true
}
"$B/vouchsafe-agent" --config "$VOUCHSAFE_CONF" 2>"$T/seen/agent" &
AGENT_PID=$!
until_true 10 "$VOUCHSAFE" status --agent || fail "no agent"
all
[ "$(wc -c <"$T/sig")" = 256 ] || { cat "$T/seen/sign" "$T/seen/agent"; fail "the token does not sign"; }
sign 00000000 >>"$T/seen/sign" 2>&1 && fail "any PIN is right"
tampered pcr 4
all
tampered undo
# A secret that is one character off, and services that fail in the middle.
printf '%sx' "$SECRET" >"$T/secret-file"
all
printf %s "$SECRET" >"$T/secret-file"
for f in 'entra 500' 'entra not-json' 'maa token-expired' 'maa not-json' 'vault 500' 'vault forbidden-policy'; do
	"$LAB" fault $f --dir "$D" >/dev/null || fail "fault $f"
	stop "$AGENT_PID"
	"$B/vouchsafe-agent" --config "$VOUCHSAFE_CONF" 2>>"$T/seen/agent" &
	AGENT_PID=$!
	until_true 10 "$VOUCHSAFE" status --agent || fail "no agent"
	sign "$PIN" >>"$T/seen/sign" 2>&1 || true
	"$VOUCHSAFE" attest --token lab-vault >>"$T/seen/attest" 2>&1 || true
	"$LAB" fault clear --dir "$D" >/dev/null
done
stop "$AGENT_PID"
AGENT_PID=
# And without the machine's agent: the module starts one for its process.
rm -f "$D/agent.sock" "$T/sig"
sign "$PIN" >>"$T/seen/sign" 2>&1 || { cat "$T/seen/sign"; fail "no signature by a private agent"; }
: >"$T/seen/processes.end"
wait $WATCH || true
cp "$D/audit.log" "$T/seen/audit"
state=$(sed -n 's/^state-dir *= *//p' "$VOUCHSAFE_CONF")
[ -n "$state" ] && [ -d "$state" ] || fail "no state folder"
python3 - "$T" "$state" "$SECRET" "$PIN" <<'EOT' || fail "a secret was seen"
import base64, os, re, sys
t, state, secret, pin = sys.argv[1:]
def forms(s):
    b = s.encode()
    yield b
    yield b.hex().encode()
    yield base64.b64encode(b).rstrip(b"=")
    yield "".join("%%%02X" % c if not chr(c).isalnum() else chr(c) for c in b).encode()
bad, files, size = [], 0, 0
token = re.compile(rb"eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}")
for folder in (t + "/seen", state):
    for root, _, names in os.walk(folder):
        for n in names:
            p = os.path.join(root, n)
            if not os.path.isfile(p): continue
            data = open(p, "rb").read()
            if folder == state and data.startswith(b"-----BEGIN") : continue
            files += 1; size += len(data)
            for what, s in (("client secret", secret), ("PIN", pin)):
                for f in forms(s):
                    if f in data: bad.append(f"{p}: the {what}: ...{data[max(0, data.index(f) - 80):data.index(f)]!r}")
            m = token.search(data)
            if m: bad.append(f"{p}: a token: ...{data[max(0, m.start() - 120):m.start() + 40]!r}")
            if re.search(rb"Bearer [A-Za-z0-9]", data): bad.append(f"{p}: an authorization header")
left = os.listdir(t + "/tmp")
if left: bad.append(f"temporary files were left: {left}")
procs = open(t + "/seen/processes", "rb").read()
if procs.count(b"vouchsafe-agent cmdline") < 2: bad.append("too few agents were looked at")
if files < 8 or size < 20000: bad.append(f"only {files} files, {size} bytes")
print(f"{files} files, {size} bytes, {procs.count(b' cmdline ')} processes")
sys.exit("\n".join(bad) if bad else 0)
EOT
ok "no secret was seen"
# The look itself can fail.
grep -q 'client_secret\|secret-file' "$T/seen/processes" && fail "an argument names the secret"
grep -q "refused" "$T/seen/verdict" || fail "no verdict was kept"
