#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Labs begin, end, and leave nothing behind.
set -u
lab=${VS_BUILDDIR:?}/vouchsafe-lab
tmp=$(mktemp -d /tmp/lablife.XXXXXX)
TMPDIR=$tmp
export TMPDIR
unset VOUCHSAFE_LAB VOUCHSAFE_CONF
failed=0
n=0

# ok TEXT COMMAND...: COMMAND must succeed
ok() {
	n=$((n + 1))
	text=$1
	shift
	if "$@"; then
		echo "ok $n - $text"
	else
		echo "not ok $n - $text"
		failed=1
	fi
}

empty() {
	[ -z "$(ls -A "$1")" ]
}

gone() {
	i=0
	while kill -0 "$1" 2>/dev/null && [ "$(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null)" != Z ]; do
		i=$((i + 1))
		[ $i -lt 100 ] || return 1
		sleep 0.1
	done
}

status_is() {
	want=$1
	shift
	"$@" >/dev/null 2>"$tmp/err"
	[ $? -eq "$want" ]
}

pid_of() {
	sed -n 's/.*"pid":\([0-9]*\).*/\1/p' "$1/lab.json"
}

swtpm_of() {
	sed -n 's/.*"swtpm_pid":\([0-9]*\).*/\1/p' "$1/lab.json"
}

ok "run gives the command's status" status_is 7 "$lab" run -- sh -c 'exit 7'
ok "run tells a killed command like a shell does" status_is 143 "$lab" run -- sh -c 'kill -TERM $$'
ok "run says when the command does not exist" status_is 127 "$lab" run -- /nonexistent/command
rm -f "$tmp/err"
ok "run leaves nothing behind" empty "$tmp"

ok "the environment is complete" "$lab" run -- sh -c '
	for v in VOUCHSAFE_CONF P11_MODULE VAULT_URL MHSM_URL MAA_URL MAA_SHARED_URL MAA_ISOLATED_URL POLICY_SIGNER_FILE IMDS_URL AUTHORITY_URL TENANT_ID \
		CLIENT_ID CLIENT_SECRET CLIENT_CERT_FILE CERT_CLIENT_ID FEDERATED_TOKEN_FILE WI_CLIENT_ID \
		MI_CLIENT_ID MI_OBJECT_ID MI_RESOURCE_ID CA_FILE VOUCHSAFE_LAB; do
		eval "[ -n \"\${$v:-}\" ]" || exit 1
		grep -q "^export $v=" "$VOUCHSAFE_LAB/env" || exit 1
	done
	[ "$(stat -c %a "$VOUCHSAFE_LAB")" = 700 ]'
ok "only loopback is listened on" "$lab" run -- sh -c '
	pid=$(sed -n "s/.*\"pid\":\([0-9]*\).*/\1/p" "$VOUCHSAFE_LAB/lab.json")
	inodes=$(ls -l /proc/$pid/fd 2>/dev/null | sed -n "s/.*socket:\[\([0-9]*\)\]/\1/p")
	[ -n "$inodes" ] || exit 1
	for i in $inodes; do
		awk -v i="$i" "\$10 == i && \$4 == \"0A\" && \$2 !~ /^0100007F:/ { bad = 1 } END { exit bad }" \
			/proc/net/tcp || exit 1
		! grep -q " $i " /proc/net/tcp6 || exit 1
	done'

# a lab that is terminated while its command runs takes both down
"$lab" run -- sh -c 'echo "$VOUCHSAFE_LAB" > "$TMPDIR/dir"; exec sleep 60' &
run=$!
i=0
while [ ! -s "$tmp/dir" ] && [ $i -lt 100 ]; do
	i=$((i + 1))
	sleep 0.1
done
tpm=$(swtpm_of "$(cat "$tmp/dir")")
kill -TERM $run
wait $run
ok "a terminated run ends its command and its machine" gone "$tpm"
rm -f "$tmp/dir"
ok "a terminated run leaves nothing behind" empty "$tmp"

d=$tmp/up
ok "up starts a lab" status_is 0 "$lab" up --dir "$d" --max-life 5m
ok "a second up in the same place is refused" status_is 3 "$lab" up --dir "$d"
ok "and the first one still works" status_is 0 "$lab" status --dir "$d"
ok "D/env sets the default for other commands" sh -c ". '$d/env' && '$lab' key list" >/dev/null
tpm=$(swtpm_of "$d")
ok "down ends it" status_is 0 "$lab" down --dir "$d"
ok "down ends the machine" gone "$tpm"
ok "down again says that there is none" status_is 2 "$lab" down --dir "$d"
ok "commands say that there is none" status_is 3 "$lab" key list --dir "$d"

ok "up again in the same folder" status_is 0 "$lab" up --dir "$d" --max-life 5m
pid=$(pid_of "$d")
tpm=$(swtpm_of "$d")
rm -rf "$d"
ok "a lab whose folder is gone ends by itself" gone "$pid"
ok "and so does its machine" gone "$tpm"

ok "up with a short life" status_is 0 "$lab" up --dir "$d" --max-life 1s
pid=$(pid_of "$d")
ok "an idle lab ends by itself" gone "$pid"
ok "a folder that others may write to is closed" sh -c "
	chmod 777 '$d' && '$lab' up --dir '$d' --max-life 5m >/dev/null && [ \"\$(stat -c %a '$d')\" = 700 ]"
pid=$(pid_of "$d")
tpm=$(swtpm_of "$d")
kill -KILL "$pid"
gone "$pid"
ok "the machine of a killed lab ends, too" gone "$tpm"
ok "what a killed lab left is no obstacle" status_is 0 "$lab" up --dir "$d" --max-life 5m
ok "and it ends well" status_is 0 "$lab" down --dir "$d"
ok "usage errors are 2" status_is 2 "$lab" up --bogus
ok "usage errors are 2, also of run" status_is 2 "$lab" run
# What was wrong, in one sentence on stderr with the remedy; nothing on stdout, and no lab is needed.
told() { # TEXT WORD...
	want=$1
	shift
	set +e
	VOUCHSAFE_LAB=$tmp/none "$lab" "$@" >"$tmp/out" 2>"$tmp/err"
	rc=$?
	set -e
	[ $rc = 2 ] && [ ! -s "$tmp/out" ] && [ "$(wc -l <"$tmp/err")" = 1 ] &&
		grep -q "^vouchsafe-lab.*$want.*; 'vouchsafe-lab.* --help' " "$tmp/err" || {
		echo "# $*: $rc $(cat "$tmp/out" "$tmp/err")"
		return 1
	}
}
ok "an unknown option is told" told "'--frobnicate' is no command" --frobnicate
ok "an unknown short one" told "'-x' is no command" -x
ok "an unknown command" told "'frobnicate' is no command" frobnicate
ok "an unknown command that is asked for help" told "'frobnicate' is no command" frobnicate --help
ok "help for nothing" told "'frobnicate' is no command" help frobnicate
ok "no command" told "there is no command"
ok "run without a command" told "no COMMAND" run
ok "run without --" told "'true' is one word too many" run true
ok "a life that is none" told "needs a time" up --max-life x
for c in run up down status "key list" "key create n" "key disable n" "key enable n" "key rotate n" "key delete n" \
	"key recover n" "certificate issue n" "tamper undo" "fault list" token "attestation rotate" \
	"attestation keyset full" "access-token a" "throttle on"; do
	# shellcheck disable=SC2086
	ok "$c with an unknown option" told "option --frobnicate is not known" $c --frobnicate
	# shellcheck disable=SC2086
	ok "$c with too much" told "is one word too many" $c one two three four five
done
ok "--version" sh -c "'$lab' --version | grep -q '^vouchsafe-lab [0-9]'"
for c in run up down status key certificate tamper fault token attestation access-token throttle; do
	ok "$c --help explains itself" status_is 0 "$lab" "$c" --help
done
rm -rf "$tmp"
echo "1..$n"
exit $failed
