#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# systemd-cryptenroll enrols the token in a LUKS2 image; the volume key comes back through the token.
. "$VS_SRCDIR/tests/interop/lib.sh"
need systemd-cryptenroll openssl python3
CRYPTSETUP=$(PATH=$PATH:/usr/sbin command -v cryptsetup) || need cryptsetup
unshare -rm true 2>/dev/null || { echo "skipped: no mount namespace here"; trap - EXIT; rm -rf "$T"; exit 77; }
lab_up
# systemd asks p11-kit, which knows only the system's folder of module configurations.
mkdir "$T/modules"
printf 'module: %s\n' "$P11_MODULE" >"$T/modules/vouchsafe.module"
CONFIGS=$(pkg-config --variable=p11_module_configs p11-kit-1)
cat >"$T/configured" <<-EOT
	#!/bin/sh
	mount --bind "$T/modules" "$CONFIGS" || exit 99
	exec "\$@"
EOT
chmod 755 "$T/configured"
in_ns() { timeout 100 unshare -rm "$T/configured" "$@"; }
truncate -s 32M "$T/disk"
printf secret >"$T/pass"
"$CRYPTSETUP" luksFormat -q --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file "$T/pass" "$T/disk" ||
	fail "cryptsetup cannot make a volume"
succeeds "systemd-cryptenroll lists the tokens" in_ns systemd-cryptenroll --pkcs11-token-uri=list
says 'token=lab-vault'
URI='pkcs11:token=lab-vault;object=rsa2048'
enroll() { PASSWORD=secret in_ns systemd-cryptenroll --pkcs11-token-uri="$URI" "$T/disk"; }
succeeds "systemd-cryptenroll enrols the token" enroll
"$CRYPTSETUP" luksDump --dump-json-metadata "$T/disk" >"$T/luks.json"
python3 - "$T" <<'EOT' || fail "the volume has no token record"
import base64, json, sys
t = sys.argv[1]
tokens = json.load(open(t + "/luks.json"))["tokens"]
rec = [x for x in tokens.values() if x["type"] == "systemd-pkcs11"][0]
assert "token=lab-vault" in rec["pkcs11-uri"]
open(t + "/blob", "wb").write(base64.b64decode(rec["pkcs11-key"]))
EOT
ok "the volume's header has a record with the wrapped key"
# What systemd-cryptsetup does at boot: C_Decrypt with CKM_RSA_PKCS, base64, a passphrase of the volume.
unlock() {
	rm -f "$T/key" "$T/key64"
	timeout 60 pkcs11-tool --module "$P11_MODULE" --token-label lab-vault --decrypt --mechanism RSA-PKCS \
		--id "$(key_id lab-vault rsa2048)" --input-file "$T/blob" --output-file "$T/key" || return 1
	base64 -w0 "$T/key" >"$T/key64"
	"$CRYPTSETUP" open --test-passphrase --key-file "$T/key64" "$T/disk"
}
succeeds "the token's answer opens the volume" unlock
PLUGIN=$(ls /usr/lib/*/cryptsetup/libcryptsetup-token-systemd-pkcs11.so 2>/dev/null || true)
if [ -n "$PLUGIN" ]; then
	token_open() { in_ns "$CRYPTSETUP" open --test-passphrase --token-only "$T/disk" </dev/null; }
	succeeds "systemd's plugin of cryptsetup opens the volume" token_open
fi
tampered pcr 4
refused "after a PCR changed the volume stays shut" unlock
[ -z "$PLUGIN" ] || refused "  by systemd's plugin, too" token_open
tampered undo
succeeds "and opens afterwards" unlock
audit_whole
