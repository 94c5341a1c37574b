#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# T-L1: lab and production never mix. Each mixed configuration is refused by everything that reads
# one, and the lab shows everywhere that it is one. The lab itself starts fast and stays small.
. "$VS_SRCDIR/tests/interop/lib.sh"
need python3

# How long a start takes can be seen only while nothing else takes the processors: with real-time
# priority where that is allowed, else on a machine that is quiet. Where neither is so the time is
# told and not judged, and the processor's time alone is; it is judged always.
front=
why="the machine is quiet"
if chrt -f 10 true 2>/dev/null; then
	front="chrt -f 10"
	why="ahead of everything else that runs"
elif [ "$(cut -d. -f1 /proc/loadavg)" -ge 1 ]; then
	why=
fi
best=99999
cpu=99999
for _ in 1 2 3; do
	from=$(date +%s%N)
	$front "$LAB" up --dir "$D" --max-life 5m >/dev/null
	ms=$((($(date +%s%N) - from) / 1000000))
	pid=$(sed -n 's/.*"pid":\([0-9]*\).*/\1/p' "$D/lab.json")
	tpm=$(sed -n 's/.*"swtpm_pid":\([0-9]*\).*/\1/p' "$D/lab.json")
	kib=$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$pid/status")
	kib=$((kib + $(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$tpm/status")))
	[ $ms -ge $best ] || best=$ms
	used=$(cut -d' ' -f14-17 "/proc/$pid/stat" |
		awk -v hz="$(getconf CLK_TCK)" '{ print ($1 + $2 + $3 + $4) * 1000 / hz }')
	[ "$used" -ge $cpu ] || cpu=$used
	"$LAB" down --dir "$D" >/dev/null
done
note "start $best ms (${why:-the machine is busy, so this is not judged}), $cpu ms of processor time; lab and its TPM $kib KiB"
# Sanitizers cost time and memory of their own.
if ! ldd "$LAB" "$B/.libs/vouchsafe-lab" 2>/dev/null | grep -qE 'asan|ubsan|tsan' &&
	! grep -q '^VS_CFLAGS = .*-fsanitize' "$B/Makefile"; then
	[ -z "$why" ] || [ $best -le 2000 ] || fail "the lab needs $best ms to start"
	[ -z "$why" ] || ok "the lab starts in at most two seconds"
	[ "$cpu" -le 2000 ] || fail "the lab needs $cpu ms of processor time to start"
	ok "the lab starts with at most two seconds of processor time"
	[ "$kib" -le 32768 ] || fail "the lab needs $kib KiB"
	ok "the lab and its TPM need at most 32 MiB"
fi

lab_up
cp "$VOUCHSAFE_CONF" "$T/lab.conf"
succeeds "the lab's own configuration is taken" "$VOUCHSAFE" conf check "$T/lab.conf"
printf 'open lab-vault\nfind rsa2048\nsign rsa\n' >"$T/open"
# mixed WHAT SED-SCRIPT: command line tool, module and agent refuse it
mixed() {
	sed "$2" "$T/lab.conf" >"$T/mixed.conf"
	cmp -s "$T/lab.conf" "$T/mixed.conf" && fail "$1: nothing was changed"
	chmod 644 "$T/mixed.conf"
	refused "$1" "$VOUCHSAFE" conf check "$T/mixed.conf"
	says 'loopback|lab|in production'
	refused "  the agent" "$B/vouchsafe-agent" --config "$T/mixed.conf"
	before=$(audit_count granted)
	VOUCHSAFE_CONF=$T/mixed.conf timeout 30 "$B/tests/interop/client" "$P11_MODULE" <"$T/open" >"$T/said" 2>&1 || true
	! grep -qE '^CKR_OK (found|256)' "$T/said" || fail "$1: the module uses a key: $(cat "$T/said")"
	[ "$(audit_count granted)" = "$before" ] || fail "$1: something was granted"
	ok "  the module"
}
mixed "production with the lab's endpoints" 's/^mode .*/mode = production/'
mixed "no mode, so production, with the lab's endpoints" '/^mode /d'
mixed "lab with a real vault" 's|^vault  .*|vault = https://contoso.vault.azure.net|'
mixed "lab with a real attestation service" 's|^attestation .*|attestation = https://sharedweu.weu.attest.azure.net|'
mixed "lab with a real fallback" 's|^attestation .*|&\nattestation-fallback = https://sharedweu.weu.attest.azure.net|'
mixed "lab with a real authority" 's|^authority .*|authority = https://login.microsoftonline.com|'
mixed "lab with the real metadata service" 's|^imds .*|imds = http://169.254.169.254|'
mixed "lab with a name that looks like loopback" 's|^attestation .*|attestation = https://localhost.example.net:443|'

# Production settings throughout, then with one of the lab's among them.
production() { # what is left as the lab has it, or nothing
	[ "$1" = vault ] || echo 's|^vault  .*|vault = https://contoso.vault.azure.net|'
	[ "$1" = attestation ] || echo 's|^attestation .*|attestation = https://sharedweu.weu.attest.azure.net|'
	[ "$1" = authority ] || echo 's|^authority .*|authority = https://login.microsoftonline.com|'
	[ "$1" = imds ] || echo '/^imds /d'
	[ "$1" = tcti ] || echo '/^tcti /d'
	[ "$1" != fallback ] || printf '%s\n' 's|^policy .*|&\nattestation-fallback = '"$MAA_SHARED_URL"'|'
	printf '%s\n' 's/^mode .*/mode = production/' '/^\[token lab-hsm\]/,$d' '/^evidence-roots/d' '/^event-log/d'
}
production none >"$T/production"
sed -f "$T/production" "$T/lab.conf" >"$T/real.conf"
chmod 644 "$T/real.conf"
succeeds "settings of production alone are taken" "$VOUCHSAFE" conf check "$T/real.conf"
for left in vault attestation fallback authority imds tcti; do
	production $left >"$T/production"
	mixed "production with the lab's $left" "$(cat "$T/production")"
done
"$LAB" token --dir "$D" >"$T/token"
python3 - "$T/token" >"$T/labelled" <<-'EOT'
	import base64, json, sys
	p = open(sys.argv[1]).read().split(".")[1]
	c = json.loads(base64.urlsafe_b64decode(p + "=" * (-len(p) % 4)))
	print(c["vouchsafe-lab"] is True)
EOT
grep -qx True "$T/labelled" || fail "a lab token does not say so"
ok "each token of the lab says that it is one"

note "everything says LAB"
try info p11 --list-token-slots
grep -q 'LAB' "$T/info.out" || { cat "$T/info.out"; fail "the tokens do not say LAB"; }
ok "the tokens' information says LAB"
printf 'open lab-vault\nfind rsa2048\nsign rsa\n' | "$B/tests/interop/client" "$P11_MODULE" >"$T/said"
grep -q 'CKR_OK 256' "$T/said" || fail "the lab does not work: $(cat "$T/said")"
# one look: the agent still writes what became of the key
! grep -qv '"lab":true' "$D/audit.log" || fail "a record without lab"
ok "each audit record says lab"
for n in root server; do
	case $n in
	root) openssl x509 -in "$CA_FILE" -noout -subject ;;
	server) openssl s_client -connect "127.0.0.1:${MAA_URL##*:}" </dev/null 2>/dev/null | openssl x509 -noout -subject ;;
	esac >"$T/subject"
	grep -q LAB "$T/subject" || fail "the $n certificate: $(cat "$T/subject")"
done
ok "certificates say LAB"
