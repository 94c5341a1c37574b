#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Every refusal end to end: one application that is never restarted. For each fault: the right CKR
# code, no key in the application's memory, one audit record, one sentence that names the check;
# and after the fault has ended the next use succeeds.
. "$VS_SRCDIR/tests/interop/lib.sh"
need openssl curl python3
lab_up
CLIENT=$VS_BUILDDIR/tests/interop/client
mkfifo "$T/in" "$T/out"
# One application for each case; it stays through the fault and its end.
start_client() {
	"$CLIENT" "$P11_MODULE" <"$T/in" >"$T/out" 2>"$T/client.err" &
	CLIENT_PID=$!
	exec 8>"$T/in" 9<"$T/out"
	expect "open ${1-lab-vault} = CKR_OK"
	expect "find ${2-known} = CKR_OK found"
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

# A key whose private part the test knows, imported like any customer would: what to scan for.
make_known_key() {
	openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -outform DER -out "$T/known.der" 2>/dev/null
	openssl rsa -inform DER -in "$T/known.der" -traditional -outform DER -out "$T/known.pkcs1" 2>/dev/null
	python3 - "$T" "$D/policy.json" <<-'EOT'
		import base64, json, sys
		t, policy = sys.argv[1:]
		d = open(t + "/known.pkcs1", "rb").read()
		def length(i):
		    n = d[i]
		    if n < 128: return n, i + 1
		    k = n & 127
		    return int.from_bytes(d[i + 1:i + 1 + k], "big"), i + 1 + k
		_, i = length(1)
		ints = []
		while i < len(d):
		    n, i = length(i + 1)
		    ints.append(d[i:i + n].lstrip(b"\0"))
		    i += n
		b64 = lambda b: base64.urlsafe_b64encode(b).rstrip(b"=").decode()
		names = ["n", "e", "d", "p", "q", "dp", "dq", "qi"]
		key = dict(zip(names, map(b64, ints[1:9])), kty="RSA-HSM", key_ops=["sign", "verify", "decrypt", "encrypt"])
		body = {"Hsm": True, "key": key, "attributes": {"exportable": True},
		        "release_policy": {"data": b64(open(policy, "rb").read())}}
		json.dump(body, open(t + "/import.json", "w"))
		open(t + "/pattern.p", "wb").write(ints[4])
		open(t + "/pattern.p.le", "wb").write(ints[4][::-1])
	EOT
	token=$(curl -fsS --noproxy '*' -H 'Metadata: true' \
		"$IMDS_URL/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fvault.azure.net" |
		python3 -c 'import json,sys; print(json.load(sys.stdin)["access_token"])')
	curl -fsS --noproxy '*' --cacert "$CA_FILE" -X PUT -H "Authorization: Bearer $token" -H 'Content-Type: application/json' \
		--data "@$T/import.json" "$VAULT_URL/keys/known?api-version=7.4" >/dev/null || fail "the key cannot be imported"
}
no_key_in_memory() {
	expect "scan $T/pattern.p = absent"
	expect "scan $T/pattern.p.le = absent"
}

make_known_key
# A refusal is repeated for a moment without asking again; keep that short here.
sed -i 's/^\[global\]/[global]\nrefusal-hold = 100ms/' "$VOUCHSAFE_CONF"

tamper() { "$LAB" tamper "$@" --dir "$D" >"$T/tamper.out" 2>&1 || { cat "$T/tamper.out"; fail "tamper $*"; }; }
fault() { "$LAB" fault "$@" --dir "$D" >"$T/tamper.out" 2>&1 || { cat "$T/tamper.out"; fail "fault $*"; }; }
mend() { tamper undo; fault clear; }

# The fault is ordered: the next use is refused, the process holds nothing, one record says why.
see_refusal() { # NAME CKR NUMBER PATTERN EVENT
	before=$(audit_count "$5")
	expect "sign rsa = $2 0"
	no_key_in_memory
	expect "device = CKR_OK $3"
	after=$(audit_count "$5")
	[ $((after - before)) = 1 ] || fail "$1: $((after - before)) audit records of $5, expected 1"
	grep "\"result\":\"$5\"" "$D/audit.log" | tail -n 1 >"$T/record"
	grep -qE -- "$4" "$T/record" || fail "$1: the record does not say /$4/: $(cut -c1-3000 "$T/record")"
	ok "$1: $2, nothing in memory, one record"
}
see_success() {
	ask "sleep 150"
	expect "sign rsa = CKR_OK 256"
	ok "$1: the next use succeeds"
}
# case NAME CKR NUMBER PATTERN EVENT ORDER...
case_of() {
	_n=$1 _c=$2 _u=$3 _p=$4 _e=$5
	shift 5
	start_client
	"$@"
	see_refusal "$_n" "$_c" "$_u" "$_p" "$_e"
	mend
	# After a silence the agent waits a second before it asks again.
	[ "$_e" != unreachable ] || ask "sleep 1700"
	see_success "$_n"
	stop_client
}
R=CKR_FUNCTION_REJECTED
E=CKR_DEVICE_ERROR

note "without any fault"
start_client
expect "sign rsa = CKR_OK 256"
expect "sign pss = CKR_OK 256"
# The scanner must be able to find the key: while the lease lives it stands in OpenSSL's heap.
ask "scan $T/pattern.p"
found=$ANSWER
ask "scan $T/pattern.p.le"
case "$found $ANSWER" in *present*) ok "the scan finds a live key" ;; *) fail "the scan finds nothing even in a live lease" ;; esac
stop_client

note "the machine"
case_of "PCR extended after boot" $R 907 'PCR 4' refused tamper pcr 4
case_of "secure boot off" $R 907 'secure ?boot' refused tamper secure-boot off
case_of "event log edited" $R 907 'Replay' refused tamper event-log
case_of "AK not the one in the report" $R 907 'HCLAkPub|AK' refused tamper ak
case_of "report of another machine" $R 907 'report' refused tamper foreign-report
case_of "debuggable guest" $R '90[37]' 'debug' refused tamper debug-bit

note "the attestation service's answer"
case_of "an old answer replayed" $R 905 'transport key|ephemeral|encrypted' refused fault maa replay
case_of "token of a second machine" $R 905 'key' refused fault maa token-other-key
case_of "token expired" $R 902 'A11' refused fault maa token-expired
case_of "token not yet valid" $R 902 'A11' refused fault maa token-future
case_of "foreign issuer" $R 902 'A10' refused fault maa token-issuer
case_of "alg none" $R 900 'A2.*no signature' refused fault maa token-alg-none
case_of "bad signature" $R 901 'A9' refused fault maa token-signature
case_of "foreign nonce" $R 902 'A14' refused fault maa token-nonce

note "policies"
cp "$D/policy.json" "$T/policy.json"
local_policy() { sed "s/azure-compliant-cvm/$1/" "$T/policy.json" >"$D/policy.json"; }
restore_policy() { cp "$T/policy.json" "$D/policy.json"; }
policy_case() { # NAME NUMBER CODE PATTERN: the policy file was changed before the application started
	start_client
	see_refusal "$1" "$3" "$2" "$4" refused
	restore_policy
	stop_client
	start_client
	see_success "$1"
	stop_client
}
local_policy azure-compliant-uvm
policy_case "local policy not met" 904 $R 'azure-compliant-uvm'
mv "$D/policy.json" "$D/policy.away"
start_client
expect "sign rsa = CKR_FUNCTION_FAILED 0"
expect "device = CKR_OK 2??"
no_key_in_memory
ok "no policy file: CKR_FUNCTION_FAILED"
mv "$D/policy.away" "$D/policy.json"
stop_client
sed 's/azure-compliant-cvm/azure-compliant-uvm/' "$T/policy.json" >"$T/strict.json"
"$LAB" key create strict --type rsa-2048 --vault akv --policy "$T/strict.json" --dir "$D" >/dev/null
start_client lab-vault strict
see_refusal "release policy not met" $R 908 'release policy|policy requirements' refused
stop_client

note "the release answer"
case_of "answer for another key" $R 909 'answer' refused fault vault release-other-key
case_of "answer for another version" $R 909 'answer' refused fault vault release-other-version
case_of "a flipped byte in the wrapped key" $R 909 'answer' refused fault vault release-flip
case_of "a foreign signature" $R 909 'answer' refused fault vault release-foreign
case_of "a private key that does not match" $R '9[01][09]' 'does not belong' refused fault vault release-wrong-private

note "the key"
start_client
"$LAB" key disable known --dir "$D" >/dev/null
see_refusal "key disabled" 'CKR_DEVICE_REMOVED' 1101 'disabled' refused
"$LAB" key enable known --dir "$D" >/dev/null
see_success "key disabled"
stop_client

note "services that do not answer"
case_of "attestation service unreachable" $E 500 'reach|connect' unreachable fault maa refused
case_of "attestation service throttles" $E 503 '429|later' unreachable fault maa 429
case_of "attestation service reports 500" $E 504 '500' unreachable fault maa 500
case_of "attestation service sends garbage" $E '6??' '.' unreachable fault maa not-json
case_of "vault unreachable" $E 500 'reach|connect' unreachable fault vault refused
case_of "vault throttles" $E 503 '429|later' unreachable fault vault 429
case_of "vault reports 500" $E 504 '500' unreachable fault vault 500
case_of "vault sends garbage" $E '6??' '.' unreachable fault vault not-json

note "the lease"
sed -i 's/^max-lease.*/max-lease = 2s/' "$VOUCHSAFE_CONF"
start_client
expect "sign rsa = CKR_OK 256"
fault maa refused
ask "sleep 3500"
expect "sign rsa = $E 0"
no_key_in_memory
ok "lease ended with the service down"
mend
ask "sleep 3200"
expect "sign rsa = CKR_OK 256"
ok "lease ended: the next use succeeds"
stop_client

audit_whole
succeeds "a changed record is found" cp "$D/audit.log" "$T/audit.log"
sed -i '3s/"seq":[0-9]*/"seq":77/' "$T/audit.log"
refused "  audit verify refuses it" "$VOUCHSAFE" audit verify "$T/audit.log"
says 'line 3'
