#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The main job in front of the reader's eyes: sign, be blocked after a change, read the audit log.
# usage: demo.sh BUILD-DIRECTORY
set -eu
build=$(cd "$1" && pwd)
dir=$(mktemp -d "${TMPDIR:-/tmp}/vouchsafe-demo.XXXXXX")
lab=$build/vouchsafe-lab
vouchsafe=$build/vouchsafe
cleanup() {
	"$lab" down --dir "$dir/lab" >/dev/null 2>&1 || true
	rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
run() {
	printf '$ %s\n' "$(printf '%s' "$*" | sed "s#$build/.libs/##; s#$build/##g; s#$dir/##g")"
	"$@"
}
fail() { printf 'demo: %s\n' "$*" >&2; exit 1; }

say "1. A machine with a vTPM, an attestation service and a vault: the lab"
run "$lab" up --dir "$dir/lab"
. "$dir/lab/env"
export VOUCHSAFE_CONF

say "2. The token's keys are listed without any attestation (they are public data)"
run pkcs11-tool --module "$P11_MODULE" --token-label lab-vault --list-objects --type privkey 2>/dev/null |
	grep -E 'Private|label|Usage' || fail "the keys are not listed"

say "3. Signing: attest, validate, release, sign; verified by plain openssl with the public key"
echo "the quick brown fox" >"$dir/data"
id=$(pkcs11-tool --module "$P11_MODULE" --token-label lab-vault --list-objects --type privkey 2>/dev/null |
	awk '/label: *rsa2048$/ {hit=1} hit && /ID:/ {print $2; exit}')
run pkcs11-tool --module "$P11_MODULE" --token-label lab-vault --sign --mechanism SHA256-RSA-PKCS --id "$id" \
	--input-file "$dir/data" --output-file "$dir/sig" || fail "signing failed"
run pkcs11-tool --module "$P11_MODULE" --token-label lab-vault --read-object --type pubkey --id "$id" \
	--output-file "$dir/pub.der" >/dev/null 2>&1 || fail "the public key cannot be read"
run openssl dgst -sha256 -verify "$dir/pub.der" -keyform DER -signature "$dir/sig" "$dir/data" || fail "not verified"

say "4. Somebody changes the machine: a PCR is extended after boot"
run "$lab" tamper pcr 4 --dir "$dir/lab"

say "5. The same command is blocked, and the reason is one sentence"
if run pkcs11-tool --module "$P11_MODULE" --token-label lab-vault --sign --mechanism SHA256-RSA-PKCS --id "$id" \
	--input-file "$dir/data" --output-file "$dir/sig2"; then
	fail "a changed machine could sign"
fi
run "$vouchsafe" status || true

say "6. Every verdict is in the audit log, and the log is whole"
run "$vouchsafe" audit verify || fail "the audit log is not whole"

say "Done. Nothing is left running."
cat <<EOT
Try next:
  build/vouchsafe-lab run -- sh            a shell with a lab of its own; then for example
    p11tool --provider "\$P11_MODULE" --list-all pkcs11:token=lab-vault
    build/vouchsafe attest --token lab-vault
    build/vouchsafe-lab tamper secure-boot off
  build/vouchsafe --help
EOT
