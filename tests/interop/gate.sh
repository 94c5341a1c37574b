#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# vouchsafe gate as an operator and as a pod runs it: grants, waits, refuses, becomes a command.
. "$VS_SRCDIR/tests/interop/lib.sh"
need openssl python3
lab_up
status_is() { # WANTED what CMD...
	_want=$1 _w=$2
	shift 2
	try cmd bounded "$@"
	[ $RC = "$_want" ] || { cat "$T/cmd.out"; fail "$_w: status $RC, expected $_want: $*"; }
	ok "$_w"
}
start_agent() {
	"$B/vouchsafe-agent" --config "$VOUCHSAFE_CONF" 2>"$T/agent.log" &
	AGENT_PID=$!
}
stop_agent() {
	kill -TERM "$AGENT_PID"
	wait "$AGENT_PID" || true
	AGENT_PID=
}
tamper() { "$LAB" tamper "$@" --dir "$D" >/dev/null || fail "tamper $*"; }
fault() { "$LAB" fault "$@" --dir "$D" >/dev/null || fail "fault $*"; }

note "lab and production"
status_is 2 "a lab's grant needs --lab" "$VOUCHSAFE" gate --timeout 1s
says 'protect nothing.*--lab'
printf '%s\n' '[token x]' 'vault = https://x.vault.azure.net' 'attestation = https://x.weu.attest.azure.net' >"$T/production.conf"
chmod 600 "$T/production.conf"
status_is 2 "--lab is refused with a configuration for production" "$VOUCHSAFE" gate --lab --config "$T/production.conf"
says 'is for production'

note "without an agent: this process attests"
status_is 0 "grants all tokens" "$VOUCHSAFE" gate --lab
says 'lab-vault: granted \[LAB: protects nothing\]'
says 'lab-hsm: granted'
[ "$(grep -c '"kind":"gate"' "$D/audit.log")" = 2 ] || fail "not one record for each token"
ok "one audit record for each token"
status_is 7 "becomes the command, with its arguments and status" "$VOUCHSAFE" gate --lab --token lab-hsm --then \
	sh -c 'echo "it runs: $1"; ulimit -c >"$2"; exit 7' x 'two words' "$T/core"
says 'it runs: two words'
[ "$(cat "$T/core")" = "$(ulimit -H -c)" ] || fail "the command's core limit is $(cat "$T/core")"
status_is 2 "a command that does not exist" "$VOUCHSAFE" gate --lab --token lab-hsm --then "$T/no-such-program"
says 'cannot be started'
status_is 0 "--json" "$VOUCHSAFE" gate --lab --token lab-vault --json
grep '^{' "$T/cmd.out" | python3 -c 'import json,sys; d = json.load(sys.stdin); assert d["lab"] and d["tokens"][0]["granted"] and not d["tokens"][0]["by_agent"]' ||
	fail "gate --json is not what it says"
status_is 2 "no such token" "$VOUCHSAFE" gate --lab --token nobody
says 'lab-vault, lab-hsm'
status_is 2 "a timeout without unit" "$VOUCHSAFE" gate --lab --timeout 5
status_is 2 "--then without a command" "$VOUCHSAFE" gate --lab --then

note "refused"
tamper pcr 4
status_is 1 "refuses at once, with the verdict, and starts nothing" "$VOUCHSAFE" gate --lab --token lab-vault --timeout 60s --then touch "$T/started"
says 'lab-vault: refused: .*PCR 4'
[ ! -e "$T/started" ] || fail "the command was started"
tamper undo

note "unreachable"
fault maa refused
start=$(date +%s)
status_is 3 "gives up in time and starts nothing" "$VOUCHSAFE" gate --lab --token lab-vault --timeout 3s --then touch "$T/started"
[ $(($(date +%s) - start)) -le 8 ] || fail "it took $(($(date +%s) - start)) s"
says 'waiting, try 1, [0-9]+ s left: '
says 'not in time'
[ ! -e "$T/started" ] || fail "the command was started"
(sleep 2; "$LAB" fault clear --dir "$D" >/dev/null) &
status_is 0 "passes when the service comes back" "$VOUCHSAFE" gate --lab --token lab-vault --timeout 60s
says 'waiting, try 1'
wait $! || true
"$VOUCHSAFE" gate --lab --agent --timeout 60s 2>"$T/waiting" &
CLIENT_PID=$!
n=0
until grep -q 'waiting, try 1' "$T/waiting"; do
	n=$((n + 1))
	[ $n -lt 100 ] || fail "the gate does not say that it waits"
	sleep 0.1
done
kill -TERM $CLIENT_PID
rc=0
wait $CLIENT_PID || rc=$?
CLIENT_PID=
[ $rc = 143 ] || fail "SIGTERM while waiting: status $rc"
ok "SIGTERM ends the wait"

note "with the machine's agent, as a pod has it: the application has no TPM, no network, no log"
status_is 3 "--agent does not attest by itself" "$VOUCHSAFE" gate --lab --agent --token lab-vault --timeout 2s
says 'agent'
(sleep 1; exec "$B/vouchsafe-agent" --config "$VOUCHSAFE_CONF" 2>"$T/agent.log") &
AGENT_PID=$!
status_is 0 "waits for the agent and is granted by it" "$VOUCHSAFE" gate --lab --agent --token lab-vault --timeout 60s
says 'waiting, try 1'
says 'granted \(agent\) \[LAB'
# The same path with other contents is what the application's container sees.
cp "$VOUCHSAFE_CONF" "$T/machine.conf"
sed -e "s,^audit-log.*,audit-log = $T/none/audit.log," -e "s,^tcti.*,tcti = swtpm:path=$T/no-tpm," \
	-e "s,^ca-bundle.*,ca-bundle = $T/no-ca.pem," "$T/machine.conf" >"$VOUCHSAFE_CONF"
cmp -s "$T/machine.conf" "$VOUCHSAFE_CONF" && fail "the configuration did not change"
status_is 0 "granted without TPM, network, log and roots of one's own" "$VOUCHSAFE" gate --lab --agent --token lab-vault --timeout 5s
status_is 0 "readiness: status --agent" "$VOUCHSAFE" status --agent
tamper pcr 7
status_is 1 "the agent's refusal is the gate's" "$VOUCHSAFE" gate --lab --agent --token lab-hsm --timeout 30s
says 'lab-hsm: refused: .*PCR 7'
stop_agent
status_is 3 "readiness without an agent" "$VOUCHSAFE" status --agent
cp "$T/machine.conf" "$VOUCHSAFE_CONF"
tamper undo

note "the entry points as a pod runs them: volumes come open to everybody"
mkdir -m 777 "$T/volume"
chmod 777 "$D"
VOUCHSAFE_AGENT="$B/vouchsafe-agent" "$S/conf/kubernetes/agent.sh" "$VOUCHSAFE_CONF" "$D/agent.sock" "$T/volume/state" "$T/volume/log" 2>"$T/agent.log" &
AGENT_PID=$!
# The lab's configuration lies in that folder, too, and is believed when the folder is closed.
closed() { [ "$(stat -c %a "$D")" = 755 ]; }
until_true 30 closed || fail "the entry point does not close its folders"
status_is 0 "the gate of the pod" "$VOUCHSAFE" gate --agent --timeout 5m --lab
says 'lab-vault: granted \(agent\)'
status_is 0 "the probe of the pod" "$VOUCHSAFE" status --agent
[ "$(stat -c %a "$D" "$T/volume/state" "$T/volume/log" | tr '\n' ' ')" = "755 700 700 " ] || fail "modes of the volumes"
ok "volumes are closed to others"
stop_agent
status_is 2 "the entry point without arguments" "$S/conf/kubernetes/agent.sh"

if [ "$(id -u)" = 0 ] && unshare -m -n true 2>/dev/null && command -v pkcs11-tool >/dev/null; then
	note "the pod: the agent as root without a right, the application as another user without TPM and network"
	mkdir -p "$T/pod/etc"
	mkdir -m 777 "$T/pod/run" "$T/pod/lib"
	chmod 755 "$T" "$T/pod" "$T/pod/etc"
	cp "$D/policy.json" "$T/pod/etc/policy.json"
	POD=$T/pod/etc/vouchsafe.conf
	sed -e "s,^agent-socket.*,agent-socket = $T/pod/run/agent.sock," -e "s,^audit-log.*,audit-log = $T/pod/lib/log/audit.log," \
		-e "s,^state-dir.*,state-dir = $T/pod/lib/state," -e "s,^policy .*,policy = $T/pod/etc/policy.json\nallow = user:10001," \
		"$VOUCHSAFE_CONF" >"$POD"
	chmod 644 "$POD" "$T/pod/etc/policy.json"
	# What the manifest gives the sidecar: root's number, no capability, no way to one.
	VOUCHSAFE_AGENT="$B/vouchsafe-agent" setpriv --bounding-set -all --inh-caps -all --no-new-privs --clear-groups \
		"$S/conf/kubernetes/agent.sh" "$POD" "$T/pod/run/agent.sock" "$T/pod/lib/state" "$T/pod/lib/log" 2>"$T/agent.log" &
	AGENT_PID=$!
	openssl rand 32 >"$T/pod/data"
	mkdir -m 777 "$T/pod/out"
	# The application's container: a network of its own without any interface that is up, and nothing
	# of the machine's: TPM, certificates, secrets.
	cat >"$T/contained" <<-EOF
		#!/bin/sh
		mount -t tmpfs -o size=64k none "$D" || exit 99
		exec setpriv --reuid 10001 --regid 10001 --clear-groups --bounding-set -all --inh-caps -all --no-new-privs \
			env VOUCHSAFE_CONF="$POD" HOME=/ "\$@"
	EOF
	chmod 755 "$T/contained"
	contained() { timeout 60 unshare -m -n "$T/contained" "$@"; }
	succeeds "it sees nothing of the lab" contained sh -c "[ -z \"\$(ls -A $D)\" ] && ! cat /proc/net/route | grep -q 0000"
	sign() { # the init container, and then the application
		rm -f "$T/pod/out/sig"
		contained "$VOUCHSAFE" gate --agent --timeout 5m --lab && contained "$VOUCHSAFE" status --agent &&
			contained pkcs11-tool --module "$P11_MODULE" --token-label lab-vault --sign --mechanism SHA256-RSA-PKCS \
				--label rsa2048 --input-file "$T/pod/data" --output-file "$T/pod/out/sig"
	}
	status_is 0 "gate, probe and signature in the application's containers" sign
	openssl x509 -in "$D/certs/rsa2048.pem" -noout -pubkey >"$T/pub"
	succeeds "which openssl verifies" openssl dgst -sha256 -verify "$T/pub" -signature "$T/pod/out/sig" "$T/pod/data"
	contained sh -c 'cat "$1"' x "$T/pod/lib/log/audit.log" >/dev/null 2>&1 && fail "the application reads the agent's log"
	tamper pcr 4
	stop_agent
	VOUCHSAFE_AGENT="$B/vouchsafe-agent" setpriv --bounding-set -all --inh-caps -all --no-new-privs --clear-groups \
		"$S/conf/kubernetes/agent.sh" "$POD" "$T/pod/run/agent.sock" "$T/pod/lib/state" "$T/pod/lib/log" 2>>"$T/agent.log" &
	AGENT_PID=$!
	status_is 1 "on a changed machine the init container ends with a refusal, and nothing starts" sign
	says 'refused: .*PCR 4'
	[ ! -e "$T/pod/out/sig" ] || fail "there is a signature"
	tamper undo
	stop_agent
	succeeds "the sidecar's log is whole" "$VOUCHSAFE" audit verify --no-tpm "$T/pod/lib/log/audit.log"
fi
audit_whole
