#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The command line on a lab: exit codes and words of DESIGN 11; audit required means no record, no key.
. "$VS_SRCDIR/tests/interop/lib.sh"
need curl openssl pkcs11-tool python3
lab_up
status_is() { # WANTED what CMD...
	_want=$1 _w=$2
	shift 2
	try cmd bounded "$@"
	[ $RC = "$_want" ] || { cat "$T/cmd.out"; fail "$_w: status $RC, expected $_want: $*"; }
	ok "$_w"
}
status_is 0 "conf check accepts the lab's configuration" "$VOUCHSAFE" conf check
says 'LAB mode'
sed 's/^attestation .*/&\npolcy = x/' "$VOUCHSAFE_CONF" >"$T/bad.conf"
status_is 2 "conf check names line and nearest setting" "$VOUCHSAFE" conf check "$T/bad.conf"
says "unknown setting 'polcy'; did you mean 'policy'"
status_is 2 "an unknown command" "$VOUCHSAFE" frobnicate
status_is 2 "an unknown option" "$VOUCHSAFE" attest --no-such-option
status_is 2 "attest asks which token" "$VOUCHSAFE" attest
says 'lab-vault, lab-hsm'
for c in attest audit conf doctor gate policy status token; do
	status_is 0 "$c --help" "$VOUCHSAFE" $c --help
	says '^usage: '
done
status_is 0 "status before anything happened" "$VOUCHSAFE" status
says 'no verdict'

status_is 0 "attest is accepted" "$VOUCHSAFE" attest --token lab-vault
says '^ok +T-A2 +our key in the token'
says 'accepted \(LAB'
says '"x-ms-attestation-type": "azurevm"'
status_is 0 "attest --json" "$VOUCHSAFE" attest --token lab-hsm --json
python3 -c 'import json,sys; d = json.load(open(sys.argv[1])); assert d["accepted"] is True and len(d["checks"]) > 20 and d["claims"]["iss"]' \
	"$T/cmd.out" || fail "attest --json is not what it says"
ok "its JSON is complete"
"$LAB" tamper pcr 4 --dir "$D" >/dev/null
status_is 1 "attest is refused after a PCR changed" "$VOUCHSAFE" attest --token lab-vault
says 'PCR 4'
status_is 1 "status tells it from the audit log" "$VOUCHSAFE" status
says 'PCR 4'
"$LAB" tamper undo --dir "$D" >/dev/null
"$LAB" fault maa refused --dir "$D" >/dev/null
status_is 3 "attest without a service: try again" "$VOUCHSAFE" attest --token lab-vault
"$LAB" fault clear --dir "$D" >/dev/null

note "token verify"
curl -fsS --noproxy '*' --cacert "$CA_FILE" "$MAA_URL/certs" >"$T/jwks"
"$LAB" token --dir "$D" >"$T/token"
nonce=$(python3 - "$T/token" <<-'EOT'
	import base64, json, sys
	p = open(sys.argv[1]).read().strip().split(".")[1]
	c = json.loads(base64.urlsafe_b64decode(p + "=" * (-len(p) % 4)))
	n = c["x-ms-runtime"].get("client-payload", {}).get("nonce", "")
	print(base64.b64decode(n).hex() or "00")
	EOT
)
now=$(date +%s)
verify() { "$VOUCHSAFE" token verify --jwks "$T/jwks" --issuer "$MAA_URL" --policy "$D/policy.json" "$@"; }
try cmd verify --nonce "$nonce" --at "$now" "$T/token"
[ $RC = 0 ] || { cat "$T/cmd.out"; fail "token verify refuses a good token"; }
ok "token verify accepts a good token"
try cmd verify --nonce "$nonce" --at $((now + 90000)) "$T/token"
[ $RC = 1 ] && grep -q A11 "$T/cmd.out" || { cat "$T/cmd.out"; fail "token verify and time"; }
ok "token verify refuses it a day later, by A11"
try cmd verify --nonce "${nonce}00" --at "$now" "$T/token"
[ $RC = 1 ] && grep -q A14 "$T/cmd.out" || { cat "$T/cmd.out"; fail "token verify and nonce"; }
ok "token verify refuses another nonce, by A14"
try cmd verify --nonce "$nonce" --at "$now" "$T/no-such-file"
[ $RC = 2 ] || { cat "$T/cmd.out"; fail "token verify and a missing file"; }
ok "token verify: a missing file is status 2"
status_is 0 "policy test shows each condition" "$VOUCHSAFE" policy test "$T/token" --policy "$D/policy.json"

note "audit = required: a full disk means no key"
sign() { p11 --token-label lab-vault --sign --mechanism SHA256-RSA-PKCS --id "$id" --input-file "$T/token" --output-file "$T/sig"; }
id=$(key_id lab-vault rsa2048)
try cmd sign
[ $RC = 0 ] || { cat "$T/cmd.out"; fail "the token does not sign"; }
ok "signs while the log can be written"
size=$(wc -c <"$D/audit.log")
rm -f "$T/sig"
try cmd sh -c "ulimit -f $((size / 512)); exec pkcs11-tool --module '$P11_MODULE' --token-label lab-vault --sign \
	--mechanism SHA256-RSA-PKCS --id $id --input-file '$T/token' --output-file '$T/sig'"
[ $RC != 0 ] && [ ! -s "$T/sig" ] || fail "a signature without an audit record"
ok "no signature when the log cannot grow"
try cmd sign
[ $RC = 0 ] || { cat "$T/cmd.out"; fail "the token does not sign again"; }
ok "signs again without a restart of anything"
audit_whole
