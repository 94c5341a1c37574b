#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# OpenSC's pkcs11-tool: list, sign, decrypt, --test; every result checked with plain openssl.
. "$VS_SRCDIR/tests/interop/lib.sh"
need pkcs11-tool p11tool openssl
lab_up
head -c 40 /dev/urandom >"$T/data"
openssl dgst -sha256 -binary "$T/data" >"$T/hash"

for token in lab-vault lab-hsm; do
	succeeds "$token: lists its objects" p11 --token-label $token --list-objects
	for key in rsa2048 rsa3072 ec256 ec384; do
		[ -n "$(key_id $token $key)" ] || fail "$token has no public key $key"
		pubkey $token $key "$T/$key.pem" || fail "$token: public key of $key cannot be exported"
	done
	for key in rsa2048 rsa3072; do
		id=$(key_id $token $key)
		succeeds "$token: $key signs SHA256-RSA-PKCS" p11 --token-label $token --sign --mechanism SHA256-RSA-PKCS \
			--id "$id" --input-file "$T/data" --output-file "$T/sig"
		succeeds "  and openssl verifies" openssl dgst -sha256 -verify "$T/$key.pem" -signature "$T/sig" "$T/data"
		succeeds "$token: $key signs PSS" p11 --token-label $token --sign --mechanism SHA256-RSA-PKCS-PSS \
			--id "$id" --input-file "$T/data" --output-file "$T/sig"
		succeeds "  and openssl verifies" openssl dgst -sha256 -sigopt rsa_padding_mode:pss \
			-sigopt rsa_pss_saltlen:-1 -verify "$T/$key.pem" -signature "$T/sig" "$T/data"
		succeeds "$token: $key signs PSS over a digest" p11 --token-label $token --sign --mechanism RSA-PKCS-PSS \
			--hash-algorithm SHA256 --id "$id" --input-file "$T/hash" --output-file "$T/sig"
		succeeds "  and openssl verifies" openssl pkeyutl -verify -pubin -inkey "$T/$key.pem" -in "$T/hash" \
			-sigfile "$T/sig" -pkeyopt digest:sha256 -pkeyopt rsa_padding_mode:pss
		for hash in sha1 sha256; do
			openssl pkeyutl -encrypt -pubin -inkey "$T/$key.pem" -in "$T/data" -out "$T/enc" \
				-pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:$hash -pkeyopt rsa_mgf1_md:$hash
			H=$(echo $hash | tr a-z A-Z | sed 's/SHA1/SHA-1/')
			succeeds "$token: $key decrypts OAEP $hash" p11 --token-label $token --decrypt --mechanism RSA-PKCS-OAEP \
				--hash-algorithm "$H" --id "$id" --input-file "$T/enc" --output-file "$T/dec"
			cmp "$T/data" "$T/dec" || fail "OAEP gave other bytes"
		done
		openssl pkeyutl -encrypt -pubin -inkey "$T/$key.pem" -in "$T/data" -out "$T/enc"
		succeeds "$token: $key decrypts PKCS#1" p11 --token-label $token --decrypt --mechanism RSA-PKCS \
			--id "$id" --input-file "$T/enc" --output-file "$T/dec"
		cmp "$T/data" "$T/dec" || fail "PKCS#1 gave other bytes"
		# A broken padding is no oracle: an answer comes, and it is not the plaintext.
		cp "$T/enc" "$T/bad"
		byte=$(od -An -tu1 -j100 -N1 "$T/enc")
		printf "\\$(printf %03o $(((byte + 1) % 256)))" | dd of="$T/bad" bs=1 seek=100 conv=notrunc 2>/dev/null
		! cmp -s "$T/enc" "$T/bad" || fail "the ciphertext was not changed"
		try cmd p11 --token-label $token --decrypt --mechanism RSA-PKCS --id "$id" --input-file "$T/bad" --output-file "$T/dec"
		[ $RC = 0 ] || fail "a broken PKCS#1 padding is told apart by an error"
		! cmp -s "$T/data" "$T/dec" || fail "a broken ciphertext gave the plaintext"
		ok "$token: $key rejects a broken padding implicitly"
	done
	for key in ec256 ec384; do
		succeeds "$token: $key signs ECDSA-SHA256" p11 --token-label $token --sign --mechanism ECDSA-SHA256 \
			--signature-format openssl --id "$(key_id $token $key)" --input-file "$T/data" --output-file "$T/sig"
		succeeds "  and openssl verifies" openssl dgst -sha256 -verify "$T/$key.pem" -signature "$T/sig" "$T/data"
		succeeds "$token: $key signs ECDSA over a digest" p11 --token-label $token --sign --mechanism ECDSA \
			--signature-format openssl --id "$(key_id $token $key)" --input-file "$T/hash" --output-file "$T/sig"
		succeeds "  and openssl verifies" openssl pkeyutl -verify -pubin -inkey "$T/$key.pem" -in "$T/hash" -sigfile "$T/sig"
	done
	succeeds "$token: --test" p11 --token-label $token --test
	says 'No errors'
done
id=$(p11 --token-label lab-hsm --list-objects --type secrkey 2>/dev/null | awk '$1 == "ID:" {print $2; exit}')
[ -n "$id" ] || fail "lab-hsm has no secret key"
succeeds "lab-hsm: aes256 encrypts CBC-PAD" p11 --token-label lab-hsm --encrypt --mechanism AES-CBC-PAD \
	--iv 000102030405060708090a0b0c0d0e0f --id "$id" --input-file "$T/data" --output-file "$T/enc"
succeeds "lab-hsm: aes256 decrypts it" p11 --token-label lab-hsm --decrypt --mechanism AES-CBC-PAD \
	--iv 000102030405060708090a0b0c0d0e0f --id "$id" --input-file "$T/enc" --output-file "$T/dec"
cmp "$T/data" "$T/dec" || fail "AES gave other bytes"
note "every other type and size, with each wrapping algorithm"
for vault in akv mhsm; do
	[ $vault = akv ] && token=lab-vault || token=lab-hsm
	"$LAB" key create big --type rsa-4096 --vault $vault --dir "$D" >/dev/null
	"$LAB" key create curve --type ec-p521 --vault $vault --dir "$D" >/dev/null
	for enc in RSA_AES_KEY_WRAP_256 RSA_AES_KEY_WRAP_384 CKM_RSA_AES_KEY_WRAP; do
		sed -i -e '/^wrap /d' -e "s/^max-lease .*/&\nwrap = $enc/" "$VOUCHSAFE_CONF"
		pubkey $token big "$T/big.pem" && pubkey $token curve "$T/curve.pem" || fail "$token: new keys are not listed"
		succeeds "$token: rsa-4096 by $enc" p11 --token-label $token --sign --mechanism SHA512-RSA-PKCS \
			--id "$(key_id $token big)" --input-file "$T/data" --output-file "$T/sig"
		succeeds "  and openssl verifies" openssl dgst -sha512 -verify "$T/big.pem" -signature "$T/sig" "$T/data"
		succeeds "$token: ec-p521 by $enc" p11 --token-label $token --sign --mechanism ECDSA-SHA256 \
			--signature-format openssl --id "$(key_id $token curve)" --input-file "$T/data" --output-file "$T/sig"
		succeeds "  and openssl verifies" openssl dgst -sha256 -verify "$T/curve.pem" -signature "$T/sig" "$T/data"
	done
done
succeeds "the token says LAB" p11 --list-slots
says 'LAB'
note "blocked"
tampered pcr 4
rm -f "$T/sig" "$T/dec"
id=$(key_id lab-vault rsa2048)
openssl pkeyutl -encrypt -pubin -inkey "$T/rsa2048.pem" -in "$T/hash" -out "$T/enc"
for mechanism in RSA-PKCS SHA256-RSA-PKCS SHA256-RSA-PKCS-PSS; do
	refused "after a PCR changed nothing is signed with $mechanism" p11 --token-label lab-vault --sign \
		--mechanism $mechanism --id "$id" --input-file "$T/hash" --output-file "$T/sig"
	says 'C_SignInit failed: rv = (CKR_FUNCTION_REJECTED|unknown PKCS11 error) \(0x200\)'
	[ ! -s "$T/sig" ] || fail "a signature was made"
done
refused "and nothing decrypted" p11 --token-label lab-vault --decrypt --mechanism RSA-PKCS --id "$id" \
	--input-file "$T/enc" --output-file "$T/dec"
says '0x200'
[ ! -s "$T/dec" ] || fail "something was decrypted"
refused "and no secret key of the other token used" p11 --token-label lab-hsm --encrypt --mechanism AES-CBC-PAD \
	--iv 000102030405060708090a0b0c0d0e0f --id "$(p11 --token-label lab-hsm --list-objects --type secrkey 2>/dev/null |
		awk '$1 == "ID:" {print $2; exit}')" --input-file "$T/data" --output-file "$T/enc2"
says '0x200'
succeeds "but keys are listed as before" p11 --token-label lab-vault --list-objects
says 'rsa2048'
tampered undo
audit_whole
