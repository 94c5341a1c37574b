#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# ssh-keygen -D lists the keys; a login to an sshd on loopback with a key of the token.
. "$VS_SRCDIR/tests/interop/lib.sh"
need ssh ssh-keygen
SSHD=$(PATH=$PATH:/usr/sbin command -v sshd) || need sshd
lab_up
succeeds "ssh-keygen -D prints public keys" ssh-keygen -D "$P11_MODULE"
says 'ssh-rsa .* rsa2048'
says 'ecdsa-sha2-nistp256 .* ec256'
grep -E '^(ssh|ecdsa)' "$T/cmd.out" >"$T/keys"
me=$(id -un)
port=$(awk 'BEGIN {srand(); print 20000 + int(rand() * 20000)}')
mkdir -p "$T/ssh"
chmod 700 "$T/ssh"
ssh-keygen -q -t ed25519 -N '' -f "$T/ssh/host"
[ "$(id -u)" != 0 ] || mkdir -p /run/sshd
login() { # KEY-LINE-PATTERN EXPECTED-STATUS WHAT
	grep "$1" "$T/keys" | head -n 1 >"$T/ssh/authorized"
	try cmd timeout 60 ssh -F none -p $port -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
		-o IdentitiesOnly=no -o PKCS11Provider="$P11_MODULE" -o IdentityFile=none -o IdentityAgent=none \
		"$me@127.0.0.1" echo logged-in
}
cat >"$T/ssh/config" <<EOT
Port $port
ListenAddress 127.0.0.1
HostKey $T/ssh/host
AuthorizedKeysFile $T/ssh/authorized
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
PermitRootLogin yes
PidFile none
LogLevel ERROR
EOT
"$SSHD" -D -e -f "$T/ssh/config" 2>"$T/sshd.log" &
SSHD_PID=$!
for i in 1 2 3 4 5 6 7 8 9 10; do
	ssh-keyscan -p $port 127.0.0.1 >/dev/null 2>&1 && break
	sleep 0.2
done
for key in rsa2048 ec256; do
	login " $key" 0
	[ $RC = 0 ] && grep -q logged-in "$T/cmd.out" || { cat "$T/cmd.out" "$T/sshd.log"; fail "no login with $key"; }
	ok "ssh logs in with $key"
done
"$LAB" tamper pcr 4 --dir "$D" >/dev/null
login ' rsa2048' 255
[ $RC != 0 ] || fail "a login with a tampered machine"
grep -qE 'C_SignInit failed: 512|agent refused|Permission denied' "$T/cmd.out" || { cat "$T/cmd.out"; fail "not the expected refusal"; }
ok "ssh is blocked after a PCR changed"
"$LAB" tamper undo --dir "$D" >/dev/null
login ' rsa2048' 0
[ $RC = 0 ] || { cat "$T/cmd.out"; fail "no login after the machine was mended"; }
ok "and logs in again afterwards"
audit_whole
