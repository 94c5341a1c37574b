#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Conformance suites that others wrote, where their sources are present: VS_SUITES names a folder with
# pkcs11test (google/pkcs11test) and OpenSC (OpenSC/OpenSC). They are copied, built outside both trees
# and run against the lab. A case that fails must stand in conformance.md with its reason, and a case
# that stands there must fail: the list is the whole truth.
. "$VS_SRCDIR/tests/interop/lib.sh"
WHY=$VS_SRCDIR/tests/interop/conformance.md
SUITES=${VS_SUITES-}
[ -n "$SUITES" ] && [ -d "$SUITES" ] || {
	echo "skipped: VS_SUITES does not name a folder with pkcs11test and OpenSC"
	trap - EXIT
	rm -rf "$T"
	exit 77
}
need g++ gcc make
lab_up
SLOT=$(p11 --list-slots 2>/dev/null | sed -n 's/^Slot [0-9]* (0x\([0-9a-f]*\)): .*lab-vault.*/\1/p')
SLOT=$((0x$SLOT))

# The cases of a suite that the document explains, one a line
explained() { sed -n "s/^| $1 | \`\\([^\`]*\\)\` |.*/\\1/p" "$WHY"; }
compare() { # SUITE FILE: what failed, one a line
	explained "$1" | sort >"$T/explained"
	sort "$2" >"$T/failed"
	comm -13 "$T/explained" "$T/failed" >"$T/new"
	comm -23 "$T/explained" "$T/failed" >"$T/gone"
	[ ! -s "$T/new" ] || { cat "$T/new"; grep -B12 "FAILED" "$T/run.log" | head -n 300; fail "$1: these cases fail and are not explained in conformance.md"; }
	[ ! -s "$T/gone" ] || { cat "$T/gone"; fail "$1: these cases stand in conformance.md and pass"; }
	ok "$1: $(wc -l <"$T/failed") cases fail, each with its reason in conformance.md"
}

# A key of our own in the place of the suite's RSA key of 1024 bits: eight numbers in hexadecimal
rsa_numbers() {
	openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 2>/dev/null | openssl rsa -noout -text 2>/dev/null |
		awk '/^publicExponent/ {print n; print "010001"; n = ""; next}
			/^[a-z]/ {if (n != "") print n; n = ""; next}
			/^  / {gsub(/[ :]/, ""); n = n $0} END {print n}' | sed 's/^00//'
}
adapt_pkcs11test() {
	# The suite makes DES keys and RSA keys of 1024 bits, which this token has not, where any key
	# would do: AES and 2048 bits instead. Wrapping is done with AES-KEY-WRAP. Session keys where
	# it makes token keys for no reason.
	sed -i 's/CKM_DES3_KEY_GEN,$/CKM_AES_KEY_GEN,/; s/int keylen = -1)/int keylen = 16)/; s/modulus_bits = 1024/modulus_bits = 2048/' pkcs11test.h
	sed -i 's/modulus_bits = 1024/modulus_bits = 2048/; s/EXPECT_EQ(128, ciphertext_len)/EXPECT_EQ(256, ciphertext_len)/' keypair.cc key.cc
	sed -i 's/{CKA_ENCRYPT, CKA_TOKEN}/{CKA_ENCRYPT}/; s/{CKA_DECRYPT, CKA_TOKEN}/{CKA_DECRYPT}/' keypair.cc
	sed -i 's/, CKM_DES_KEY_GEN)/, CKM_AES_KEY_GEN)/' digest.cc
	sed -i 's/CKM_DES_KEY_GEN/CKM_AES_KEY_GEN/; s/CKK_DES3\{0,1\}/CKK_AES/; s/{CKA_WRAP, CKA_UNWRAP, CKA_DECRYPT}/{CKA_WRAP, CKA_UNWRAP}/' key.cc
	sed -i 's/^  {"AES-ECB", {.*/&\n  {"AES-KEY-WRAP", {CKK_AES, CKM_AES_KEY_GEN, 0x2109, 8, false, 16}},/' globals.cc
	sed -i '/^INSTANTIATE/,/;$/s/"3\{0,1\}DES-[A-Z]*",//' cipher.cc dual.cc
	sed -i '/{ "3\{0,1\}DES-[A-Z]*", {{/,+1d; s/string key = hex_decode("")/string key = hex_decode("000102030405060708090a0b0c0d0e0f")/; s/key_type = CKK_DES;/key_type = CKK_AES;/' cipher.cc
	sed -i 's/CKM_DES_ECB/CKM_AES_ECB/; s/plaintext.get(), 8, output/plaintext.get(), 16, output/; s/EXPECT_EQ(8, output_len)/EXPECT_EQ(16, output_len)/' session.cc
	sed -i 's/CKM_DES_KEY_GEN, -1/CKM_GENERIC_SECRET_KEY_GEN, 16/; s/des_type = CKK_DES/des_type = CKK_GENERIC_SECRET/' object.cc
	rsa_numbers >"$T/numbers"
	[ "$(wc -l <"$T/numbers")" = 8 ] || return 1
	{ echo 'RSAKeyData kRsaKey1 = {'; sed 's/.*/  "&",/' "$T/numbers"; echo '};'; } >"$T/key.cc"
	sed -i -e "/^RSAKeyData kRsaKey1 = {/,/^};/{/^};/r $T/key.cc" -e 'd}' keypair.cc
	make -j2
}
run_pkcs11test() { # SUITE, as the document calls it
	rc=0
	(cd "$T/pkcs11test" && timeout 200 ./pkcs11test -m "${P11_MODULE##*/}" -l "${P11_MODULE%/*}" -s "$SLOT" -u 1234 -o 1234 \
		-w AES-KEY-WRAP --gtest_filter='*:-SOSessionTest.*') >"$T/run.log" 2>&1 || rc=$?
	[ $rc -le 1 ] || { tail -n 20 "$T/run.log"; fail "pkcs11test ended with $rc"; }
	sed -n 's/^\[  PASSED  \] //p' "$T/run.log" | sed 's/^/# passed: /'
	awk '/FAILED.*listed below/ {on = 1; next} on && /^\[  FAILED  \]/ {sub(/,$/, "", $4); print $4}' "$T/run.log" >"$T/list"
	awk '/were skipped because/ {sub(/.*because: /, ""); r = $0; next} r != "" && /^  / {n[r]++} END {for (r in n) print "# skipped by the suite: " n[r] ": " r}' "$T/run.log"
	compare "$1" "$T/list"
}
if [ -d "$SUITES/pkcs11test" ]; then
	note "google/pkcs11test"
	cp -r "$SUITES/pkcs11test" "$T/pkcs11test"
	(cd "$T/pkcs11test" && adapt_pkcs11test) >"$T/build.log" 2>&1 || { tail -n 20 "$T/build.log"; fail "pkcs11test does not build"; }
	run_pkcs11test pkcs11test
	note "the same on a token with a PIN"
	cp "$VOUCHSAFE_CONF" "$T/conf.before"
	(umask 077 && echo 1234 >"$T/pin")
	sed -i "s|^\[token lab-vault\]|&\nlogin = pin\npin-file = $T/pin|" "$VOUCHSAFE_CONF"
	run_pkcs11test pkcs11test+PIN
	cp "$T/conf.before" "$VOUCHSAFE_CONF"
fi
if [ -d "$SUITES/OpenSC/src/tests/p11test" ]; then
	note "OpenSC p11test"
	mkdir "$T/OpenSC"
	cp -r "$SUITES/OpenSC/src" "$T/OpenSC/src"
	printf '#define ENABLE_OPENSSL 1\n#define PACKAGE_VERSION "0"\n' >"$T/OpenSC/src/config.h"
	# The interfaces of this module say that they are safe after a fork: flags 1.
	sed -i 's/flags, 0);/flags, 1);/' "$T/OpenSC/src/tests/p11test/p11test_case_interface.c"
	(cd "$T/OpenSC/src/tests/p11test" && gcc -w -DHAVE_CONFIG_H -I../.. -o p11test ./*.c -lcmocka -lcrypto -ldl -lpthread) \
		>"$T/build.log" 2>&1 || { tail -n 20 "$T/build.log"; fail "p11test does not build"; }
	rc=0
	(cd "$T/OpenSC/src/tests/p11test" && timeout 200 ./p11test -m "$P11_MODULE" -s "$SLOT" -p 1234) >"$T/run.log" 2>&1 || rc=$?
	[ $rc -le 20 ] || { tail -n 20 "$T/run.log"; fail "p11test ended with $rc"; }
	grep -E '^\[  PASSED' "$T/run.log" | sed 's/^/# /'
	awk '/(FAILED|SKIPPED).*listed below/ {on = 1; next} on && /^\[  (FAILED|SKIPPED)/ {print $4}' "$T/run.log" >"$T/list"
	grep -q '^\[  PASSED' "$T/run.log" || { tail -n 20 "$T/run.log"; fail "p11test says nothing"; }
	compare p11test "$T/list"
fi
[ $N_CHECKS -gt 0 ] || fail "no suite in $SUITES"
audit_whole
