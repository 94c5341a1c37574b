#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A region is lost: the primary attestation service is dead in each way, the fallback gives the keys
# within the deadline; when the primary lives again, the next application is served by it.
. "$VS_SRCDIR/tests/interop/lib.sh"
need python3
lab_up
CLIENT=$VS_BUILDDIR/tests/interop/client

# Keys and tokens trust both providers; the lab's own policy names the first one only.
python3 - "$D/policy.json" "$MAA_SHARED_URL" <<-'EOT'
	import json, sys
	p = json.load(open(sys.argv[1]))
	p["anyOf"].append(dict(p["anyOf"][0], authority=sys.argv[2]))
	json.dump(p, open(sys.argv[1], "w"))
EOT
"$LAB" key create both --type rsa-2048 --policy "$D/policy.json" --dir "$D" >/dev/null
sed -i "s|^attestation .*|&\nattestation-fallback = $MAA_SHARED_URL|
	s/^\[global\]/[global]\nrefusal-hold = 100ms\nrequest-timeout = 1s\nconnect-timeout = 1s\noperation-timeout = 8s/" \
	"$VOUCHSAFE_CONF"

sign() { printf 'open lab-vault\nfind both\nsign rsa\n' | timeout 30 "$CLIENT" "$P11_MODULE" >"$T/sign" || true; }
issuer() { grep '"event":"attempt"' "$D/audit.log" | tail -n 1 | grep -o "\"issuer\":\"[^\"]*" | cut -d'"' -f4; }
signed_by() { # what URL
	grep -q 'CKR_OK 256' "$T/sign" || { cat "$T/sign"; fail "$1: the key cannot be used"; }
	[ "$(issuer)" = "$2" ] || fail "$1: attested by $(issuer)"
	ok "$1"
}
sign
signed_by "without a fault the primary attests" "$MAA_URL"
for way in refused reset silent stall drip close reset-answer 500 502 503 504 429 403 404 not-tls tls-expired html; do
	"$LAB" fault maa "$way" --dir "$D" >/dev/null
	from=$(date +%s%N)
	sign
	ms=$((($(date +%s%N) - from) / 1000000))
	"$LAB" fault clear --dir "$D" >/dev/null
	case $way in
	429 | 403 | 404 | not-tls | tls-expired | html) # it lives, or somebody stands in the middle: no reason to ask elsewhere
		! grep -q 'CKR_OK 256' "$T/sign" || fail "primary $way: $(cat "$T/sign")"
		ok "primary $way: no fallback" ;;
	*) signed_by "primary $way: the fallback attests after $ms ms" "$MAA_SHARED_URL" ;;
	esac
	[ $ms -le 9000 ] || fail "primary $way: $ms ms"
done
sign
signed_by "the primary is back" "$MAA_URL"
for way in refused stall 500 tls-expired; do
	"$LAB" fault maa-shared "$way" --dir "$D" >/dev/null
	sign
	"$LAB" fault clear --dir "$D" >/dev/null
	signed_by "fallback $way: the primary does not need it" "$MAA_URL"
done
"$LAB" attestation rotate --dir "$D" >/dev/null
sign
signed_by "after a rotation the new key is believed" "$MAA_URL"
"$LAB" attestation rotate --forget --dir "$D" >/dev/null
sign
signed_by "and after one that forgets the old key" "$MAA_URL"
"$LAB" fault maa refused --dir "$D" >/dev/null
"$LAB" fault maa-shared refused --dir "$D" >/dev/null
sign
grep -q CKR_DEVICE_ERROR "$T/sign" || fail "both dead: $(cat "$T/sign")"
ok "both dead: CKR_DEVICE_ERROR"
audit_whole
