#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# What a real agent writes into a real log: every event with what it has to say, read back by
# `audit show --json`. Real application, real TPM, real refusals.
. "$VS_SRCDIR/tests/interop/lib.sh"
need openssl python3
lab_up
CLIENT=$VS_BUILDDIR/tests/interop/client
mkfifo "$T/in" "$T/out"
start_agent() {
	"$B/vouchsafe-agent" --config "$VOUCHSAFE_CONF" 2>"$T/agent.log" &
	AGENT_PID=$!
	until_true 10 test -S "$D/agent.sock" || fail "the agent does not listen"
}
stop_agent() {
	kill -TERM "$AGENT_PID"
	wait "$AGENT_PID" || true
	AGENT_PID=
}
start_client() {
	"$CLIENT" "$P11_MODULE" <"$T/in" >"$T/out" 2>"$T/client.err" &
	CLIENT_PID=$!
	exec 8>"$T/in" 9<"$T/out"
	expect "open lab-vault = CKR_OK"
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
# event NAME what PYTHON-CONDITION: in some record r of this event the condition holds
event() {
	"$VOUCHSAFE" audit show --json --event "$1" >"$T/events" || fail "audit show --event $1"
	python3 - "$T/events" "$3" <<'PY' || { cat "$T/events" | cut -c1-3000; fail "$2: no $1 record with: $3"; }
import json, re, sys
rs = [json.loads(l) for l in open(sys.argv[1])]
every = lambda r, ok: bool(r["checks"]) and all(c["passed"] == ok for c in r["checks"])
def failed(r, word):
    return any(not c["passed"] and c["expected"] and word in json.dumps(c) for c in r.get("checks", []))
sha = lambda s: bool(re.fullmatch("[0-9a-f]{64}", s))
sys.exit(0 if any(eval(sys.argv[2], globals(), {"r": r, "rs": rs}) for r in rs) else 1)
PY
	ok "$2"
}
has_event() { "$VOUCHSAFE" audit show --event "$1" | grep -q .; }
# Nested deeper than is read here; the vault takes it.
python3 - "$D/policy.json" >"$T/odd.json" <<'PY'
import json, sys
d = json.load(open(sys.argv[1]))
deep = d["anyOf"][0]["allOf"].pop()
for i in range(25):
    deep = {"anyOf": [deep]}
d["anyOf"][0]["allOf"].append(deep)
print(json.dumps(d))
PY
"$LAB" key create odd --type ec-p256 --policy "$T/odd.json" --dir "$D" >/dev/null || fail "key create"
"$LAB" key create off --type ec-p256 --dir "$D" >/dev/null || fail "key create"
lease_of 4s
global_setting 'refusal-hold = 300ms'
sed -i "s/^audit-log .*/&\naudit-checkpoint = tpm/" "$VOUCHSAFE_CONF"
sed -i '/^\[token lab-hsm\]/a raw-rsa = yes' "$VOUCHSAFE_CONF"
CONF_SHA=$(openssl dgst -sha256 -r "$VOUCHSAFE_CONF" | cut -c1-64)
POLICY_SHA=$(openssl dgst -sha256 -r "$D/policy.json" | cut -c1-64)

note "start, grant, release, hand-over"
start_agent
start_client
expect "find ec256 = CKR_OK found"
for _ in 1 2 3 4 5 6 7; do expect "sign ecdsa = CKR_OK 64"; done
event start "the start: configuration and its hash, mode" \
	"r['config-sha256'] == '$CONF_SHA' and r['mode'] == 'lab' and r['config'] == '$VOUCHSAFE_CONF' and r['lab'] and not r['private']"
event start "which settings weaken the defaults" "r['weakened'] == 'raw-rsa = yes in lab-hsm'"
event start "each policy with its hash" "r['policy-1'] == 'lab-vault $POLICY_SHA' and r['policy-2'].startswith('lab-hsm ')"
event attempt "the grant: every check, token, lease, who asked" \
	"r['result'] == 'granted' and r['kind'] == 'need' and every(r, True) and len(r['checks']) > 15 and r['pid'] == $CLIENT_PID and r['uid'] == $(id -u) and r['lease-s'] > 0 and sha(r['token-sha256']) and sha(r['policy-sha256']) and r['accepted'] and r['issuer'] and r['request-id'] and len(r['lease']) == 32"
event attempt "with the TPM's clock" "r['tpm_clock_ms'] > 0 and r['tpm_resets'] == r['tpm-resets'] and 0 <= r['boot_ns'] - r['tpm_boot_ns'] < 60 * 10**9"
event release "the release: key, version, stored policy" \
	"r['result'] == 'granted' and r['key'] == 'ec256' and sha(r['release-policy-sha256']) and r['release-policy-known'] and r['release-policy-immutable'] is False and r['version'] in r['kid'] and r['request-id']"
event key "who got the key" "r['key'] == 'ec256' and r['pid'] == $CLIENT_PID and r['uid'] == $(id -u) and len(rs) == 1"
expect "find odd = CKR_OK found"
expect "sign ecdsa = CKR_OK 64"
event release "a stored policy of unknown form is named by its hash, too" \
	"r['key'] == 'odd' and sha(r['release-policy-sha256']) and not r['release-policy-known']"
note "a release that is refused"
expect "find off = CKR_OK found"
"$LAB" key disable off --dir "$D" >/dev/null || fail "key disable"
ask "sign ecdsa"
case $ANSWER in CKR_DEVICE_REMOVED* | CKR_FUNCTION_REJECTED*) ;; *) fail "a disabled key: $ANSWER" ;; esac
event release "a refused release and why" "r['key'] == 'off' and r['result'] == 'refused' and r['code'] and r['sentence'] and 'kid' not in r"

note "renewal"
renewed() { "$VOUCHSAFE" audit show --json --event attempt | grep '"kind":"renewal"' | grep -q '"result":"granted"'; }
until_true 15 renewed || fail "there is no renewal"
event attempt "a renewal, with the lease it goes on" "r['kind'] == 'renewal' and r['result'] == 'granted' and every(r, True) and r['lease'] == rs[0]['lease']"
expect "find ec256 = CKR_OK found"
expect "sign ecdsa = CKR_OK 64"

note "refusal, revocation"
tampered pcr 4
until_true 15 has_event revocation || fail "there is no revocation"
event attempt "the refused renewal: all checks, those that failed with expected and seen" \
	"r['kind'] == 'renewal' and r['result'] == 'refused' and not r.get('accepted') and r['code'].startswith('REFUSED') and (failed(r, '') or 'PCR' in r['sentence'])"
event revocation "the revocation: which lease, why" "r['token'] == 'lab-vault' and len(r['lease']) == 32 and r['sentence'] and r['code']"
ask "sign ecdsa"
case $ANSWER in CKR_OK*) fail "a revoked key signed" ;; esac
tampered undo
signs() { ask "sign ecdsa"; [ "$ANSWER" = "CKR_OK 64" ]; }
until_true 20 signs || fail "the keys do not come back: $ANSWER"

note "expiry"
exec 8>&- 9<&-
wait $CLIENT_PID || fail "the application: $(cat "$T/client.err")"
CLIENT_PID=
until_true 15 has_event expiry || fail "there is no expiry"
event expiry "a lease that nobody used any more" "r['token'] == 'lab-vault' and len(r['lease']) == 32"

note "uses, also of a process that is killed; a stranger; the end"
start_client
expect "find rsa2048 = CKR_OK found"
for _ in 1 2 3; do expect "sign rsa = CKR_OK 256"; done
KILLED=$CLIENT_PID
kill -9 "$CLIENT_PID"
wait "$CLIENT_PID" 2>/dev/null || true
CLIENT_PID=
exec 8>&- 9<&-
if [ "$(id -u)" = 0 ]; then
	chmod 755 "$T" "$D"
	cp "$CLIENT" "$T/client"
	printf 'open lab-vault\nfind rsa2048\nsign rsa\n' | timeout 60 setpriv --reuid=65534 --regid=65534 --clear-groups \
		env VOUCHSAFE_CONF="$VOUCHSAFE_CONF" "$T/client" "$P11_MODULE" >"$T/stranger" 2>&1 || true
	! grep -q '^CKR_OK 256' "$T/stranger" || fail "a stranger signed"
	if "$VOUCHSAFE" audit show --event peer-refused | grep -q .; then
		event peer-refused "a stranger is refused and named" "r['uid'] == 65534 and 'allow' in r['sentence']"
	else
		note "not looked at: a stranger cannot read $T here"
	fi
fi
stop_agent
event uses "uses by key and minute, of all leases" \
	"r['key'] == 'ec256' and r['uid'] == $(id -u) and r['until'] >= r['from'] > 1700000000 and sum(x['uses'] for x in rs if x['key'] == 'ec256') >= 9"
event uses "no use of another key is counted for it" "sum(x['uses'] for x in rs if x['key'] == 'odd') == 1 and not any(x['key'] == 'off' for x in rs)"
event uses "uses of a process that was killed" "r['key'] == 'rsa2048' and r['uses'] == 3 and r['pid'] == $KILLED and r['processes'] == 1"
event stop "the end" "r['writer'] == 'vouchsafe-agent'"
event checkpoint "checkpoints of its own" "r['counter'] > 0 and r['nv']"
note "a policy that cannot be read"
mv "$D/policy.json" "$T/policy.kept"
for how in missing writable garbage; do
	case $how in
	missing) rm -f "$D/policy.json" ;;
	writable) cp "$T/policy.kept" "$D/policy.json" && chmod 666 "$D/policy.json" ;;
	garbage) rm -f "$D/policy.json" && echo '{"version":' >"$D/policy.json" && chmod 600 "$D/policy.json" ;;
	esac
	RC=0
	"$VOUCHSAFE" attest --token lab-vault >"$T/cmd.out" 2>&1 || RC=$?
	[ "$RC" != 0 ] || fail "attested with a policy that is $how"
	event attempt "$how: the tool's attempt is recorded as refused, with the file and who asked" \
		"r is rs[-1] and r['result'] == 'refused' and r['kind'] == 'tool' and '$D/policy.json' in json.dumps(r) and r['writer_uid'] == $(id -u) and failed(r, 'unreadable') and not r['accepted']"
	start_agent
	start_client
	expect "find ec256 = CKR_OK found"
	expect "sign ecdsa = CKR_F*"
	event attempt "$how: an application's attempt is recorded as refused" \
		"r is rs[-1] and r['result'] == 'refused' and r['kind'] == 'need' and r['pid'] == $CLIENT_PID and '$D/policy.json' in json.dumps(r) and failed(r, 'unreadable')"
	kill -9 "$CLIENT_PID"
	wait "$CLIENT_PID" 2>/dev/null || true
	exec 8>&- 9<&-
	stop_agent
done
rm -f "$D/policy.json"
mv "$T/policy.kept" "$D/policy.json"
succeeds "mended, it is granted again" "$VOUCHSAFE" attest --token lab-vault
"$VOUCHSAFE" audit show --json | python3 -c 'import json, sys
rs = [json.loads(l) for l in sys.stdin]
sys.exit(0 if rs and all(r["lab"] for r in rs) else 1)' || fail "a record does not say that it is of a lab"
ok "every record says LAB"
succeeds "the log is whole, and the TPM says so" "$VOUCHSAFE" audit verify
says 'proven by the TPM'
note "done: $N_CHECKS checks"
