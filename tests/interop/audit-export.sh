#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The audit log as a signed bundle: made, believed, checked with openssl alone by its own README,
# and every forgery of it refused. And the log for people: `audit show`.
. "$VS_SRCDIR/tests/interop/lib.sh"
need openssl od
lab_up
L=$D/audit.log
E=$T/bundle
K=$T/expected.pem
verdict() { # what WANTED-SENTENCE: the bundle in $T/forged is refused for this reason
	try cmd bounded "$VOUCHSAFE" audit verify --bundle "$T/forged" --signer "$K"
	[ $RC = 1 ] || { cat "$T/cmd.out"; fail "$1: status $RC"; }
	says "$2"
	ok "refused: $1"
}
forged() { rm -rf "$T/forged" && cp -r "$E" "$T/forged"; }

note "a bundle of a rotated log"
for _ in 1 2 3; do "$VOUCHSAFE" attest --token lab-vault >/dev/null || fail attest; done
mv "$L" "$L.1"
"$VOUCHSAFE" attest --token lab-vault >/dev/null || fail attest
"$LAB" tamper secure-boot off --dir "$D" >/dev/null || fail tamper
refused "a refusal is in the log, too" "$VOUCHSAFE" attest --token lab-vault
"$LAB" tamper undo --dir "$D" >/dev/null || fail undo
sed 's/"azure-compliant-cvm"/"azure-perfect-cvm"/' "$D/policy.json" >"$D/strict.json"
chmod 600 "$D/strict.json"
sed -i '/lab-vault/,/lab-hsm/s/policy.json/strict.json/' "$VOUCHSAFE_CONF"
refused "and one by the local policy" "$VOUCHSAFE" attest --token lab-vault
sed -i 's/strict.json/policy.json/' "$VOUCHSAFE_CONF"
succeeds "export makes it" "$VOUCHSAFE" audit export --out "$E" "$L.1" "$L"
says 'signed by attestation key sha256:[0-9a-f]{64}'
says 'up to checkpoint [0-9]+ of the TPM'
cp "$E/ak.pub.pem" "$K"
[ "$(cd "$E" && ls | tr '\n' ' ')" = "0001.log 0002.log README.txt $([ -f "$E/ak.cert.pem" ] && echo 'ak.cert.pem ')ak.pub.pem manifest.txt statement.bin statement.sig " ] ||
	fail "the bundle holds: $(ls "$E")"
[ "$(stat -c %a "$E")" = 700 ] || fail "others can read the bundle"
cmp -s "$L.1" "$E/0001.log" || fail "the rotated file was not copied as it is"
"$VOUCHSAFE" attest --token lab-vault >/dev/null || fail attest
cmp -n "$(stat -c %s "$E/0002.log")" "$L" "$E/0002.log" || fail "the live file was not copied as it is"
ok "both files are in it, the live one up to the checkpoint"
refused "a bundle is not overwritten" "$VOUCHSAFE" audit export --out "$E"
refused "a bundle needs a place" "$VOUCHSAFE" audit export
refused "the live log comes last" "$VOUCHSAFE" audit export --out "$T/no" "$L" "$L.1"

note "believed by whom, and for which key"
succeeds "the expected signer's bundle is accepted" "$VOUCHSAFE" audit verify --bundle "$E" --signer "$K"
says 'accepted: [0-9]+ records \(LAB\), end proven'
says "$(openssl pkey -pubin -in "$K" -outform DER | openssl dgst -sha256 -r | cut -c1-64)"
succeeds "also in JSON" "$VOUCHSAFE" audit verify --bundle "$E" --signer "$K" --json
says '"accepted":true'
refused "without a signer nothing is believed" "$VOUCHSAFE" audit verify --bundle "$E"
[ $RC = 2 ] || fail "status $RC"
openssl genrsa -traditional -out "$T/other.key" 2048 2>/dev/null
openssl rsa -in "$T/other.key" -pubout -out "$T/other.pem" 2>/dev/null
try cmd "$VOUCHSAFE" audit verify --bundle "$E" --signer "$T/other.pem"
[ $RC = 1 ] || fail "another signer: status $RC"
says 'another key than the one expected'
ok "another signer is not believed"
P=$(sed -n 's/^last //p' "$E/manifest.txt")
succeeds "a record noted earlier is still in it" "$VOUCHSAFE" audit verify --bundle "$E" --signer "$K" --checkpoint "$P"
try cmd "$VOUCHSAFE" audit verify --bundle "$E" --signer "$K" --checkpoint "2:$(printf '%064d' 0)"
[ $RC = 1 ] || fail "a log that was written anew: status $RC"
says 'rewritten'
ok "a log that was written anew is found by what was noted earlier"
if [ -f "$E/ak.cert.pem" ]; then
	succeeds "the key's certificate is a signer" "$VOUCHSAFE" audit verify --bundle "$E" --signer "$E/ak.cert.pem"
	openssl req -x509 -newkey rsa:2048 -nodes -keyout "$T/ca.key" -out "$T/ca.pem" -days 2 -subj "/CN=other CA" 2>/dev/null
	try cmd "$VOUCHSAFE" audit verify --bundle "$E" --ca "$T/ca.pem"
	[ $RC = 1 ] || fail "another CA: status $RC"
	says 'certificate of the bundle.s key is not accepted'
	ok "another CA's certificate is not accepted"
	cat "$D"/roots/azure-vtpm-*.pem >"$T/root.pem"
	succeeds "the vTPM's root vouches for the key" "$VOUCHSAFE" audit verify --bundle "$E" --ca "$T/root.pem"
	succeeds "so says openssl" openssl verify -CAfile "$T/root.pem" -untrusted "$T/root.pem" "$E/ak.cert.pem"
	openssl x509 -in "$E/ak.cert.pem" -noout -pubkey | cmp - "$E/ak.pub.pem" || fail "the certificate is of another key"
	rm -rf "$T/forged" && cp -r "$E" "$T/forged"
	openssl req -x509 -newkey rsa:2048 -nodes -keyout "$T/x.key" -out "$T/forged/ak.cert.pem" -days 2 -subj "/CN=AK" 2>/dev/null
	try cmd "$VOUCHSAFE" audit verify --bundle "$T/forged" --ca "$T/root.pem"
	[ $RC = 1 ] || fail "a certificate of nobody: status $RC"
	ok "a certificate that nobody vouches for is not accepted"
fi

note "an auditor with openssl and a shell: the README's own lines"
sed -n 's/^   \$ //p' "$E/README.txt" >"$T/steps"
[ "$(wc -l <"$T/steps")" = 7 ] || fail "the README has $(wc -l <"$T/steps") steps"
auditor() { # DIR: every step succeeds
	while read -r step; do
		(cd "$1" && bash -c "$step") >"$T/step.out" 2>&1 </dev/null || { FAILED_STEP=$step; return 1; }
		rm -f "$1/sums.tmp"
	done <"$T/steps"
}
forged
auditor "$T/forged" || { cat "$T/step.out"; fail "the README's step does not work: $FAILED_STEP"; }
ok "seven steps accept the bundle"

note "forgeries, each for us and for the auditor"
both() { # what WANTED
	verdict "$1" "$2"
	! auditor "$T/forged" || fail "the README's steps accept: $1"
	ok "the auditor's steps find it, too"
}
forged
sed -i '2s/granted/refused/' "$T/forged/0001.log"
both "a changed record" 'not the file that the manifest names'
forged
sed -i '2s/granted/refused/' "$T/forged/0001.log"
sed -i "s/^file 0001.log .*/file 0001.log sha256 $(openssl dgst -sha256 -r "$T/forged/0001.log" | cut -c1-64)/" "$T/forged/manifest.txt"
both "a changed record with a new manifest" 'signed another manifest'
forged
sed -i '$d' "$T/forged/0002.log"
both "a cut end" 'not the file that the manifest names'
forged
rm "$T/forged/0001.log"
sed -i '/^file 0001/d; s/^file 0002/file 0001/' "$T/forged/manifest.txt"
mv "$T/forged/0002.log" "$T/forged/0001.log"
both "a missing file" 'signed another manifest'
forged
sed -i "s/^counter .*/counter 1/" "$T/forged/manifest.txt"
both "another counter" 'signed another manifest'
forged
openssl dgst -sha256 -sign "$T/other.key" -out "$T/forged/statement.sig" "$T/forged/statement.bin"
both "a signature by another key" 'not one of ak.pub.pem'
cp "$T/other.pem" "$T/forged/ak.pub.pem"
verdict "the same with that key in the bundle" 'another key than the one expected'
for at in 0 4 5 40 60 80 100 120; do
	forged
	python3 - "$T/forged/statement.bin" $at <<'PY'
import sys
p, at = sys.argv[1], int(sys.argv[2])
b = bytearray(open(p, "rb").read())
b[at % len(b)] ^= 1
open(p, "wb").write(b)
PY
	verdict "a changed statement, octet $at" 'not one of ak.pub.pem'
done
# A statement of the TPM's own making about something else: a quote has the same key and magic.
forged
tail -c +2 "$E/statement.bin" >"$T/forged/statement.bin"
verdict "a shorter statement" 'not one of ak.pub.pem'
# A true statement of this very TPM, for another bundle.
succeeds "a later bundle" "$VOUCHSAFE" audit export --out "$T/later" "$L.1" "$L"
forged
cp "$T/later/statement.bin" "$T/later/statement.sig" "$T/forged/"
both "the statement of a later bundle" 'signed another manifest'
forged
cp "$T/later/manifest.txt" "$T/later/statement.bin" "$T/later/statement.sig" "$T/forged/"
both "an older log under a later manifest" 'not the file that the manifest names'
# What is no bundle at all is unusable input, not a refusal.
for f in manifest.txt statement.bin statement.sig ak.pub.pem; do
	forged
	rm "$T/forged/$f"
	try cmd "$VOUCHSAFE" audit verify --bundle "$T/forged" --signer "$K"
	[ $RC = 2 ] || fail "$f is missing: status $RC"
done
ok "missing parts are unusable input"
for line in 'vouchsafe-audit-bundle 2' 'mode none' 'counter -1' 'counter 01' 'last 0:00' 'log zz' 'file 0002.log sha256 00'; do
	forged
	word=${line%% *}
	sed -i "s/^$word .*/$line/" "$T/forged/manifest.txt"
	try cmd "$VOUCHSAFE" audit verify --bundle "$T/forged" --signer "$K"
	[ $RC = 2 ] || { cat "$T/cmd.out"; fail "manifest '$line': status $RC"; }
done
ok "malformed manifests are unusable input"
cp "$L" "$T/good"
sed -i '$d' "$L"
try cmd "$VOUCHSAFE" audit export --out "$T/broken" "$L.1" "$L"
cp "$L" "$T/after"
sed -i '3d' "$L"
try cmd "$VOUCHSAFE" audit export --out "$T/broken2" "$L.1" "$L"
[ $RC = 1 ] && [ ! -e "$T/broken2" ] || { cat "$T/cmd.out"; fail "a log that is not whole: status $RC"; }
ok "a log that is not whole is not exported"
cp "$T/good" "$L"

note "audit show"
succeeds "all records" "$VOUCHSAFE" audit show "$L.1" "$L"
says '^20[0-9-]+T[0-9:]+Z #2 LAB attempt granted token lab-vault by vouchsafe\[[0-9]+\] of uid '"$(id -u)"'$'
says 'checks: [0-9]+ passed, 0 not'
succeeds "only refusals" "$VOUCHSAFE" audit show --result refused "$L.1" "$L"
[ "$(grep -c '^20' "$T/cmd.out")" = 2 ] || { cat "$T/cmd.out"; fail "not two refusals"; }
says '^    NO .*: expected .*azure-perfect-cvm.*, seen .*azure-compliant-cvm'
says '^    checks: [0-9]+ passed, 1 not'
succeeds "with all checks" "$VOUCHSAFE" audit show --event attempt --last 1 --checks
[ "$(grep -c '^20' "$T/cmd.out")" = 1 ] || fail "not one record"
[ "$(grep -c '^    ok ' "$T/cmd.out")" -gt 10 ] || fail "the checks are not shown"
succeeds "by event" "$VOUCHSAFE" audit show --event checkpoint "$L"
[ "$(grep -c '^20' "$T/cmd.out")" = 2 ] || { cat "$T/cmd.out"; fail "not two checkpoints"; }
succeeds "as JSON" "$VOUCHSAFE" audit show --json "$L.1"
cmp -s "$T/cmd.out" "$L.1" || fail "the records are not those of the log"
succeeds "of a time to come" "$VOUCHSAFE" audit show --since 2099-01-01
[ ! -s "$T/cmd.out" ] || fail "records of the future"
succeeds "of the last hour" "$VOUCHSAFE" audit show --since 1h --until 2099-01-01T00:00:00Z
[ "$(grep -c '^20' "$T/cmd.out")" = "$(wc -l <"$L")" ] || fail "not all of the last hour"
succeeds "of another token" "$VOUCHSAFE" audit show --token nobody
[ ! -s "$T/cmd.out" ] || fail "records of another token"
for o in '--since yesterday' '--last 0' '--last -1' '--bogus' '--since 5x'; do
	# shellcheck disable=SC2086
	try cmd "$VOUCHSAFE" audit show $o
	[ $RC = 2 ] || fail "show $o: status $RC"
done
ok "bad options are refused"
sed '2s/granted/refuged/' "$L.1" >"$T/bad.log"
try cmd "$VOUCHSAFE" audit show "$T/bad.log"
[ $RC = 1 ] || fail "a changed record: status $RC"
says 'line 2: the record was changed'
says '#3 '
ok "a changed record is named, the others are shown"
note "done: $N_CHECKS checks"
