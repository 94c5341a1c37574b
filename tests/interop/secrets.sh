#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Where a key is while it may be used, and that it is nowhere afterwards: after a refusal, the lease's
# end, the key's disabling, C_Finalize, and in a forked child's life. While it may be used its numbers
# are in OpenSSL's heap, as SECURITY.md says; its raw form, as it was released, is in no unprotected
# page, no child and no core dump.
. "$VS_SRCDIR/tests/interop/lib.sh"
need openssl curl python3
lab_up
global_setting 'refusal-hold = 100ms'
CLIENT=$VS_BUILDDIR/tests/interop/client
mkfifo "$T/in" "$T/out"
start_client() {
	(cd "$T" && exec "$CLIENT" "$P11_MODULE") <"$T/in" >"$T/out" 2>"$T/client.err" &
	CLIENT_PID=$!
	exec 8>"$T/in" 9<"$T/out"
	expect "open lab-vault = CKR_OK"
	expect "find $1 = CKR_OK found"
}
stop_client() {
	exec 8>&- 9<&-
	wait $CLIENT_PID || fail "the application ended with an error: $(cat "$T/client.err")"
	CLIENT_PID=
}
ask() {
	printf '%s\n' "$*" >&8
	read -r ANSWER <&9 || fail "the application died at: $* $(cat "$T/client.err")"
}
expect() { # COMMAND... = ANSWER
	_want=${*##* = }
	_cmd=${*%% = *}
	ask "$_cmd"
	case $ANSWER in $_want) ;; *) fail "$_cmd: expected $_want, got $ANSWER" ;; esac
}
# An imported key whose private part the test knows, in both byte orders: what to look for.
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -outform DER -out "$T/known.der" 2>/dev/null
python3 - "$T" "$D/policy.json" <<'EOT'
import base64, json, subprocess, sys
t, policy = sys.argv[1:]
der = subprocess.run(["openssl", "rsa", "-inform", "DER", "-in", t + "/known.der", "-traditional", "-outform", "DER"],
                     capture_output=True, check=True).stdout
def length(i):
    if der[i] < 128: return der[i], i + 1
    k = der[i] & 127
    return int.from_bytes(der[i + 1:i + 1 + k], "big"), i + 1 + k
_, i = length(1)
ints = []
while i < len(der):
    n, i = length(i + 1)
    ints.append(der[i:i + n].lstrip(b"\0"))
    i += n
b64 = lambda b: base64.urlsafe_b64encode(b).rstrip(b"=").decode()
key = dict(zip(["n", "e", "d", "p", "q", "dp", "dq", "qi"], map(b64, ints[1:9])),
           kty="RSA-HSM", key_ops=["sign", "verify", "decrypt", "encrypt"])
json.dump({"Hsm": True, "key": key, "attributes": {"exportable": True},
           "release_policy": {"data": b64(open(policy, "rb").read())}}, open(t + "/import.json", "w"))
for name, v in zip("dpq", (ints[3], ints[4], ints[5])):
    # A part of it is enough to be found, and more robust: the middle 32 bytes, in both byte orders.
    m = len(v) // 2
    open(f"{t}/{name}.be", "wb").write(v[m - 16:m + 16])
    open(f"{t}/{name}.le", "wb").write(v[::-1][m - 16:m + 16])
# The raw form: two numbers as neighbours, which they are in the released encoding alone.
d, p = ints[3:5]
between = der[der.index(d) + len(d):der.index(p)]
open(t + "/raw", "wb").write(d[-16:] + between + p[:16])
EOT
token=$(curl -fsS --noproxy '*' -H 'Metadata: true' \
	"$IMDS_URL/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fvault.azure.net" |
	python3 -c 'import json,sys; print(json.load(sys.stdin)["access_token"])')
curl -fsS --noproxy '*' --cacert "$CA_FILE" -X PUT -H "Authorization: Bearer $token" -H 'Content-Type: application/json' \
	--data "@$T/import.json" "$VAULT_URL/keys/known?api-version=7.4" >/dev/null || fail "the key cannot be imported"
rm -f "$T/known.der" "$T/import.json"

nowhere() { # WHAT [COMMAND]
	for part in d p q; do
		for order in be le; do
			expect "${2-scan} $T/$part.$order = absent"
		done
	done
	ok "$1: nothing of d, p, q in either byte order"
}
found() { # how often it is found in all
	FOUND=0
	for part in d p q; do
		for order in be le; do
			ask "scan $T/$part.$order"
			case $ANSWER in present*) FOUND=$((FOUND + ${ANSWER#present })) ;; absent) ;; *) fail "scan: $ANSWER" ;; esac
		done
	done
}
# The process' memory as the kernel describes it: what holds the key must be locked, left out of
# dumps and wiped on fork.
where() { # FILE...: flags of each mapping that holds one
	python3 - "$CLIENT_PID" "$@" <<-'EOT'
		import re, sys
		pid, files = sys.argv[1], sys.argv[2:]
		want = [open(f, "rb").read() for f in files]
		maps, cur = [], None
		for line in open(f"/proc/{pid}/smaps"):
		    m = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+\s*(.*)", line)
		    if m: cur = [int(m[1], 16), int(m[2], 16), m[3], m[4], ""]; maps.append(cur)
		    elif line.startswith("VmFlags:"): cur[4] = line[8:].split()
		mem = open(f"/proc/{pid}/mem", "rb", 0)
		for a, b, mode, name, flags in maps:
		    if mode[0] != "r" or name.startswith("[v"): continue
		    try:
		        mem.seek(a); data = mem.read(b - a)
		    except (OSError, ValueError, OverflowError): continue
		    if any(w in data for w in want):
		        missing = {"dd", "wf", "lo"} - set(flags)
		        print("bad" if missing else "good", name or "anonymous", " ".join(flags), "lacks", *missing)
	EOT
}
start_client known
expect "sign rsa = CKR_OK 256"
expect "sign pss = CKR_OK 256"
# From outside, before the application's own scan has made copies of what it looks for.
where "$T"/[dpq].[bl]e >"$T/where"
sed 's/^/# /' "$T/where"
[ -s "$T/where" ] || fail "the key is found nowhere even while it is used: the scan proves nothing"
! grep -vE '^good|^bad \[heap\] ' "$T/where" || fail "key bytes in other places than OpenSSL's heap and protected pages"
ok "while it may be used its numbers are in the heap and in protected pages only"
where "$T/raw" >"$T/where"
! grep '^bad' "$T/where" || fail "the raw key is in pages that are not locked, left out of dumps and wiped on fork"
ok "its raw form is in no unprotected page"
found
[ "$FOUND" -gt 0 ] || fail "the application's own scan does not find it: it proves nothing"
expect "fork-scan $T/raw = absent"
ok "nothing of the raw form in a forked child"
nowhere "in a forked child that has initialised the module" fork-init-scan
expect "finalize = CKR_OK"
nowhere "after C_Finalize"
expect "initialize = CKR_OK"
expect "open lab-vault = CKR_OK"
expect "find known = CKR_OK found"
expect "sign rsa = CKR_OK 256"
nowhere "in a child of the second life" fork-init-scan
stop_client

note "the lease's end, a refusal, a disabled key"
lease_of 2s
start_client known
expect "sign rsa = CKR_OK 256"
"$LAB" fault maa refused --dir "$D" >/dev/null
ask "sleep 3500"
expect "sign rsa = CKR_DEVICE_ERROR 0"
nowhere "after the lease's end"
"$LAB" fault clear --dir "$D" >/dev/null
ask "sleep 3200"
expect "sign rsa = CKR_OK 256"
tampered pcr 4
ask "sleep 2500"
expect "sign rsa = CKR_FUNCTION_REJECTED 0"
nowhere "after a renewal that was refused"
tampered undo
ask "sleep 300"
expect "sign rsa = CKR_OK 256"
"$LAB" key disable known --dir "$D" >/dev/null
ask "sleep 3500"
expect "sign rsa = CKR_DEVICE_REMOVED 0"
nowhere "after the key was disabled"
"$LAB" key enable known --dir "$D" >/dev/null
stop_client
lease_of 1h

note "a core dump"
case $(cat /proc/sys/kernel/core_pattern) in
*/* | '|'* | '') note "core dumps go elsewhere on this machine: not looked at" ;;
*)
	ulimit -c unlimited 2>/dev/null || true
	# The scan that proves the key's presence would leave its own copy in the client, so there is none.
	start_client known
	expect "sign rsa = CKR_OK 256"
	expect "sign pss = CKR_OK 256"
	printf 'crash\n' >&8
	rc=0
	wait "$CLIENT_PID" || rc=$?
	CLIENT_PID=
	exec 8>&- 9<&-
	[ $rc = 134 ] || fail "the application ended with $rc"
	core=$(ls "$T"/core* 2>/dev/null | head -n 1)
	if [ -z "$core" ]; then
		note "this machine writes no core dump: not looked at"
	else
		python3 - "$core" "$T" <<-'EOT' || fail "the raw key is in the core dump"
			import sys
			core, t = open(sys.argv[1], "rb").read(), sys.argv[2]
			assert b"data to be signed" in core, "this is no dump of the application"
			sys.exit("found" if open(t + "/raw", "rb").read() in core else 0)
		EOT
		ok "nothing of the raw form in a core dump of $(stat -c %s "$core") bytes"
	fi
	;;
esac
audit_whole
