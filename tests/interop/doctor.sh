#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# vouchsafe doctor: each row is broken by exactly what it is about, and no other row by that.
. "$VS_SRCDIR/tests/interop/lib.sh"
need openssl python3 curl setpriv script
lab_up
C=$T/doctor.conf
tamper() { "$LAB" tamper "$@" --dir "$D" >/dev/null || fail "tamper $*"; }
fault() { "$LAB" fault "$@" --dir "$D" >/dev/null || fail "fault $*"; }
mend() {
	"$LAB" fault clear --dir "$D" >/dev/null
	"$LAB" tamper undo --dir "$D" >/dev/null
}
# The lab's configuration with settings added to or replaced in a section, one token.
conf() { # [SECTION NAME VALUE]...
	python3 - "$VOUCHSAFE_CONF" "$C" "$@" <<-'EOT'
		import sys
		src, dst, *rest = sys.argv[1:]
		out, section, sets = [], "", list(zip(rest[0::3], rest[1::3], rest[2::3]))
		for line in open(src):
		    if line.startswith("["):
		        section = line.strip().strip("[]")
		        if section == "token lab-hsm": break
		        out.append(line)
		        out += [f"{n} = {v}\n" for s, n, v in sets if "token " + s == section or s == section]
		        continue
		    name = line.split("=")[0].strip()
		    if any(n == name and ("token " + s == section or s == section) for s, n, _ in sets): continue
		    out.append(line)
		open(dst, "w").writelines(line for line in out if not line.rstrip().endswith("= -"))
	EOT
	chmod 600 "$C"
}
doctor() { RC=0; timeout 120 "$VOUCHSAFE" doctor --json --config "$C" "$@" >"$T/doc.json" 2>"$T/doc.err" </dev/null || RC=$?; }
# What differs from the healthy lab: exactly these rows, in this state, saying this; the exit code.
broken() { # EXIT STATE PATTERN ROW[,ROW...]
	python3 - "$T/healthy.json" "$T/doc.json" "$RC" "$@" <<-'EOT' || { cat "$T/doc.err"; fail "row $4"; }
		import json, re, sys
		healthy, now, rc, want_rc, state, pattern, rows = sys.argv[1:]
		old = {r["row"]: r for r in json.load(open(healthy))["rows"]}
		new = {r["row"]: r for r in json.load(open(now))["rows"]}
		rows = rows.split(",")
		# What rests on a broken row is not looked at; that is no finding of its own.
		changed = [n for n, r in new.items() if r["state"] not in (old[n]["state"], "skipped")]
		r = new[rows[0]]
		bad = []
		if sorted(changed) != sorted(rows): bad.append(f"changed: {changed}, expected {rows}")
		if r["state"] != state or not re.search(pattern, r["found"]): bad.append(f"{r}")
		if not r["expected"] or not r["remedy"]: bad.append("no expectation or remedy")
		if rc != want_rc or json.load(open(now))["exit"] != int(rc): bad.append(f"exit {rc}, expected {want_rc}")
		for n in changed: bad += [f"{n}: {new[n]['found']}"] if bad else []
		sys.exit("\n".join(bad) if bad else 0)
	EOT
	[ "$2" = ok ] || printf '%s\n' "${4%%,*}" >>"$T/rows"
	ok "$4: $3"
}

note "a healthy lab"
conf
"$VOUCHSAFE" attest --config "$C" >/dev/null 2>&1 || fail "the lab does not attest"
doctor
[ $RC = 0 ] || { cat "$T/doc.json"; fail "status $RC for a healthy lab"; }
cp "$T/doc.json" "$T/healthy.json"
python3 -c '
import json, sys
d = json.load(open(sys.argv[1]))
assert d["lab"] and len(d["rows"]) >= 34, len(d["rows"])
odd = {r["row"]: r["state"] for r in d["rows"] if r["state"] != "ok"}
odd.pop("libraries", None)
assert odd == {"lab": "warning", "mutable-policy": "warning", "agent": "warning"}, odd
' "$T/healthy.json" || fail "not healthy"
ok "all rows are right but those that a lab cannot have right"
succeeds "as text, with both tokens" "$VOUCHSAFE" doctor
says '^ok +permission-release \[lab-hsm\]'
says '^warn +lab +mode = lab'
says 'LAB: protects nothing'
script -qec "$VOUCHSAFE doctor --json --config $C" "$T/tty" >/dev/null 2>&1 </dev/null || fail "doctor on a terminal"
grep -q 'looking at permission-release of lab-vault' "$T/tty" || fail "no progress on a terminal"
grep -q looking "$T/doc.err" && fail "progress where there is no terminal"
ok "says on a terminal what it is looking at, and only there"
doctor --row tpm
python3 -c 'import json,sys; assert [r["row"] for r in json.load(open(sys.argv[1]))["rows"]] == ["file-modes", "configuration", "tpm"]' "$T/doc.json" || fail "--row"
ok "--row looks at one row and what it rests on"
refused "no such row" "$VOUCHSAFE" doctor --row nothing

note "files and settings"
chmod g+w "$C"; doctor; broken 2 bad 'chmod go-w' file-modes
mv "$C" "$C.real"; ln -s "$C.real" "$C"; doctor; broken 2 bad 'symbolic link' file-modes; rm "$C"
conf global log-levle info; doctor; broken 2 bad "did you mean 'log-level'" configuration
conf global audit best-effort lab-vault raw-rsa yes; doctor; broken 0 warning 'best-effort.*raw-rsa = yes in lab-vault' weakenings
conf lab-vault allowed-tcb 'UpToDate, OutOfDate'; doctor; broken 0 warning 'allowed-tcb beyond UpToDate in lab-vault' weakenings
conf global ca-bundle "$T/no.pem"; doctor; broken 2 bad 'No such file' ca-bundle
cp "$C" "$T/some.pem"; conf global ca-bundle "$T/some.pem"; doctor; broken 2 bad '[Cc]ertificate|PEM' ca-bundle
. "$D/env"
printf %s "$CLIENT_SECRET" >"$T/secret"; chmod 600 "$T/secret"
conf lab-vault credential client-secret-file lab-vault client-secret-file "$T/secret" lab-vault client-id "$CLIENT_ID"
doctor; [ $RC = 0 ] || { cat "$T/doc.json"; fail "a good secret file"; }
chmod o+r "$T/secret"; doctor; broken 2 bad 'can be read by everybody' secret-files,credential
conf lab-vault policy -; doctor; broken 2 bad 'everything is denied' policy
conf lab-vault policy "$T/policy.json"; doctor; broken 2 bad 'No such file' policy
python3 - "$D/policy.json" "$T" <<-'EOT'
	import json, sys
	p = json.load(open(sys.argv[1]))
	def save(name, f):
	    q = json.loads(json.dumps(p)); f(q); json.dump(q, open(sys.argv[2] + "/" + name, "w"))
	save("authority.json", lambda q: [e.update(authority="https://localhost:1") for e in q["anyOf"]])
	save("both.json", lambda q: q["anyOf"].append(dict(q["anyOf"][0], authority="https://localhost:1")))
	save("no-tee.json", lambda q: [e.update(allOf=[{"claim": "secureboot", "equals": "true"}]) for e in q["anyOf"]])
	save("planted.json", lambda q: [e["allOf"].append({"claim": "x-ms-runtime.vm-configuration.secure-boot", "equals": "true"}) for e in q["anyOf"]])
EOT
conf lab-vault policy "$T/authority.json"; doctor; broken 1 bad 'can never be met' policy-authority,stored-policy
conf lab-vault policy "$T/both.json"; doctor; broken 0 warning 'also believes https://localhost:1,' policy-authority,stored-policy
conf lab-vault policy "$T/no-tee.json"; doctor; broken 0 warning 'without any TEE' policy-tee,stored-policy
conf lab-vault policy "$T/planted.json"; doctor; broken 0 warning 'x-ms-runtime' policy-claims,stored-policy
mkdir -m 700 "$T/state"; conf global state-dir "$T/state"; chmod g+w "$T/state"; doctor; broken 2 bad 'written by others' state-dir
conf global state-dir "$D/lab.json"; doctor --row state-dir; [ $RC = 2 ] || fail "a file as state-dir"
sed '2s/"event":"attempt"/"event":"attemqt"/' "$D/audit.log" >"$T/audit.log"
conf global audit-log "$T/audit.log"; doctor; broken 1 bad 'not whole: line 2' audit-log
conf global audit-log "$T/none/audit.log"; doctor; broken 2 bad 'none can be begun' audit-log
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$T/k.pem" -subj /CN=x -days 3 -out "$T/soon.pem" 2>/dev/null
conf lab-vault certificate.ec256 "$T/soon.pem"; doctor; broken 2 warning 'ends in [23] days' certificate-files,certificates
conf lab-vault certificate.ec256 "$T/secret"; doctor; broken 2 bad 'reading' certificate-files,certificates
conf lab-vault certificate.ec384 "$D/certs/ec256.pem"; doctor; broken 2 bad 'not for the public key' certificates
conf lab-vault certificate.nobody "$D/certs/ec256.pem"; doctor; broken 2 bad 'no such key' certificates

note "lab and production"
production() { # CA-BUNDLE-LINE
	printf '%s\n' '[global]' "$1" "agent-socket = $D/agent.sock" '[token lab-vault]' \
		'vault = https://x.vault.azure.net' 'attestation = https://x.weu.attest.azure.net' >"$C"
	chmod 600 "$C"
}
production "ca-bundle = $CA_FILE"
doctor --row lab; broken 2 bad 'trusts the authority of a lab' lab
production ''
doctor --row lab; broken 0 ok 'no mark of a lab' lab

note "the machine"
unlocked() { # without the right to lock memory
	RC=0
	(ulimit -l 0; exec setpriv --bounding-set -ipc_lock --inh-caps -ipc_lock \
		"$VOUCHSAFE" doctor --json --config "$C" >"$T/doc.json" 2>"$T/doc.err") || RC=$?
}
conf
# A library of another version: its own function that names it, put in front of the real one's.
echo 'const char *jansson_version_str(void); const char *jansson_version_str(void) { return "2.12"; }' >"$T/old.c"
${CC:-cc} -shared -fPIC -o "$T/old.so" "$T/old.c" || fail "no library can be made"
RC=0
LD_PRELOAD="$T/old.so" ASAN_OPTIONS="${ASAN_OPTIONS-}${ASAN_OPTIONS:+:}verify_asan_link_order=0" timeout 120 "$VOUCHSAFE" doctor --json \
	--config "$C" >"$T/doc.json" 2>"$T/doc.err" </dev/null || RC=$?
if grep -q '"row":"libraries","state":"ok"' "$T/healthy.json" || grep -q '"row": *"libraries"[^}]*"state": *"ok"' "$T/healthy.json"; then
	broken 0 warning 'jansson 2[.]12, .*; jansson 0 to 2[.]12[.]99: older' libraries
else
	grep -q 'jansson 2.12' "$T/doc.json" || fail "the version is not seen"
	ok "libraries: another version is seen"
fi
conf; unlocked; broken 0 warning 'keys may reach the swap' memory-lock
conf global memory-lock required; unlocked; broken 2 bad 'memory-lock = required' memory-lock
conf global tcti "swtpm:path=$T/no-tpm"; doctor; broken 3 bad 'No such file' tpm-device,tpm
if [ "$(id -u)" = 0 ]; then
	conf global tcti "device:$T/tpm0"
	: >"$T/tpm0"
	chmod 660 "$T/tpm0"
	chmod 644 "$C"
	chmod 711 "$T"
	RC=0
	setpriv --reuid nobody --regid nogroup --clear-groups "$VOUCHSAFE" doctor --row tpm-device --json --config "$C" \
		>"$T/doc.json" 2>"$T/doc.err" </dev/null || RC=$?
	broken 2 bad 'tpm0: Permission denied .group root, mode 0660.' tpm-device
	chmod 700 "$T"
fi
python3 -c 'import socket,sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$T/dead"
conf global tcti "swtpm:path=$T/dead"; doctor; broken 3 bad . tpm
conf
tamper ak-missing; doctor; broken 3 bad 'key absent' attestation-key; mend
tamper ak-cert missing; doctor; broken 3 bad 'certificate absent|0x1C101D0|0x01C101D0' attestation-key; mend
tamper ak-cert; doctor; broken 1 bad "AK certificate's key: expected [0-9a-f]+" attestation-key; mend
tamper trusted-launch; doctor; broken 1 bad 'no TEE, but a policy demands a TEE' hardware-report; mend
conf global event-log "$T/none"; doctor; broken 2 bad 'No such file' event-log
: >"$T/empty"; conf global event-log "$T/empty"; doctor; broken 2 bad 'empty' event-log
g=$(python3 -c 'import grp,pwd; used = {p.pw_gid for p in pwd.getpwall()}; print(next(g.gr_name for g in grp.getgrall() if not g.gr_mem and g.gr_gid not in used))')
conf lab-vault allow "user:root, group:$g"; doctor; broken 0 warning "user:root, group:$g; but nobody is in group:$g" users

note "services"
conf
fault imds 500 --path /metadata/instance; doctor; broken 3 bad 'metadata service' metadata-service; mend
fault imds 400 --path identity; doctor; broken 3 bad . credential; mend
fault maa refused; doctor; broken 3 bad 'asking https://localhost' attestation-service; mend
fault maa not-json --path /certs; doctor; broken 3 bad . attestation-keys; mend
tamper clock +600; doctor; broken 1 bad '(600|599|601) s behind' clock; mend
tamper clock -30; doctor; broken 0 warning '(29|30|31) s ahead' clock; mend
fault vault refused; doctor; broken 3 bad 'asking https://localhost' vault; mend
fault vault tls-unknown-ca; doctor; broken 3 bad . vault; mend
# The first request is the one without identity.
fault vault forbidden-rbac --count 2; doctor; broken 1 bad 'ForbiddenByRbac' permission-list; mend
conf lab-vault keys 'rsa2048, ec256'
fault vault forbidden-rbac --count 2; doctor; broken 0 warning 'not needed here' permission-list; mend
fault vault forbidden-rbac --path /keys/rsa2048; doctor; broken 1 bad 'ForbiddenByRbac' permission-get; mend
conf lab-vault keys 'nothing-*'; doctor; broken 1 bad 'no key' permission-get
conf
fault vault forbidden-policy --path /release; doctor; broken 1 bad 'release' permission-release; mend
size=$(wc -c <"$D/audit.log")
"$LAB" key create fixed --type ec-p256 --immutable --dir "$D" >/dev/null
conf lab-vault keys fixed lab-vault certificate.ec256 - lab-vault certificate.rsa2048 -
doctor; broken 0 ok 'immutable for all 1' mutable-policy
# From here on a key that nobody can change is the healthy one.
cp "$T/healthy.json" "$T/lab.json"
cp "$T/doc.json" "$T/healthy.json"
conf lab-vault keys 'fixed, ec256' lab-vault certificate.ec256 - lab-vault certificate.rsa2048 -
doctor; broken 0 warning 'ec256' mutable-policy
cp "$T/lab.json" "$T/healthy.json"
"$LAB" key create open --type ec-p256 --policy "$T/no-tee.json" --dir "$D" >/dev/null
conf lab-vault keys open lab-vault certificate.ec256 - lab-vault certificate.rsa2048 -
doctor; broken 0 warning 'without any TEE: open' stored-policy
[ "$(wc -c <"$D/audit.log")" = "$size" ] || fail "doctor wrote records"
grep -q '/release 200' "$D/lab.log" && fail "doctor had a key released"
ok "no key was released and nothing recorded by looking"

note "the agent"
conf global agent-socket "$T/agent.sock" lab-vault keys 'rsa*, ec*'
: >"$T/agent.sock"; doctor; broken 2 bad 'no socket' agent
rm "$T/agent.sock"
python3 -c 'import socket,sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$T/agent.sock"
doctor; broken 3 bad 'agent' agent
"$B/vouchsafe-agent" --config "$C" 2>"$T/agent.log" &
AGENT_PID=$!
n=0
until "$VOUCHSAFE" status --agent --config "$C" >/dev/null 2>&1; do
	n=$((n + 1))
	[ $n -lt 100 ] || fail "no agent"
	sleep 0.05
done
doctor; broken 0 ok 'answers at .*mode 0666' agent

python3 - "$T/healthy.json" "$T/rows" <<-'EOT' || fail "rows that nothing above breaks"
	import json, sys
	left = {r["row"] for r in json.load(open(sys.argv[1]))["rows"]} - set(open(sys.argv[2]).read().split())
	sys.exit(f"never broken: {sorted(left)}" if left else 0)
EOT
ok "each row was broken by itself"
