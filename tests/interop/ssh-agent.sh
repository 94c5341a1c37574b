#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# ssh-agent with the token's keys: a login through it, a host key through it.
. "$VS_SRCDIR/tests/interop/lib.sh"
need ssh ssh-keygen ssh-agent ssh-add python3
SSHD=$(PATH=$PATH:/usr/sbin command -v sshd) || need sshd
lab_up
global_setting 'refusal-hold = 100ms'
me=$(id -un)
[ "$(id -u)" != 0 ] || mkdir -p /run/sshd
mkdir -m 700 "$T/ssh"
serve agent ssh-agent -D -a "$T/ssh/agent" -P "$(dirname "$P11_MODULE")/*"
AGENT=$SERVED
until_true 10 test -S "$T/ssh/agent" || fail "ssh-agent does not start"
export SSH_AUTH_SOCK="$T/ssh/agent"
# Without a terminal and without a PIN: the token asks for none.
printf '#!/bin/sh\necho\n' >"$T/askpass"
chmod 755 "$T/askpass"
add() { setsid env SSH_ASKPASS="$T/askpass" SSH_ASKPASS_REQUIRE=force timeout 60 ssh-add "$@"; }
succeeds "ssh-add -s adds the token" add -s "$P11_MODULE"
succeeds "ssh-add -L lists its keys" ssh-add -L
says 'ssh-rsa .* rsa2048'
says 'ecdsa-sha2-nistp256 .* ec256'
grep -E '^(ssh|ecdsa)' "$T/cmd.out" >"$T/keys"
pick() { grep " $1" "$T/keys" | head -n 1; }
pick rsa2048 >"$T/ssh/rsa.pub"
pick ec256 >"$T/ssh/ec.pub"
pick ec384 >"$T/ssh/host-ec.pub"
for key in rsa ec; do
	succeeds "ssh-add -T proves the $key key" ssh-add -T "$T/ssh/$key.pub"
done

note "a login with the agent, to a server whose host key lives in the agent"
PORT=$(free_port)
cat >"$T/ssh/config" <<EOT
Port $PORT
ListenAddress 127.0.0.1
HostKeyAgent $SSH_AUTH_SOCK
HostKey $T/ssh/host-ec.pub
AuthorizedKeysFile $T/ssh/authorized
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
PermitRootLogin yes
PidFile none
LogLevel ERROR
EOT
serve sshd "$SSHD" -D -e -f "$T/ssh/config"
until_open "$PORT"
echo "[127.0.0.1]:$PORT $(cut -d' ' -f1,2 "$T/ssh/host-ec.pub")" >"$T/ssh/known"
login() { # KEY
	cp "$T/ssh/$1.pub" "$T/ssh/authorized"
	timeout 60 ssh -F none -p "$PORT" -o BatchMode=yes -o StrictHostKeyChecking=yes -o UserKnownHostsFile="$T/ssh/known" \
		-o IdentitiesOnly=yes -o IdentityFile="$T/ssh/$1.pub" "$me@127.0.0.1" echo logged-in
}
for key in rsa ec; do
	succeeds "ssh logs in with the agent's $key key; the host proves itself with ec384" login $key
	says logged-in
done
# Another host key than the one known is refused: the proof above was a proof.
cp "$T/ssh/known" "$T/ssh/known.right"
echo "[127.0.0.1]:$PORT $(cut -d' ' -f1,2 "$T/ssh/ec.pub")" >"$T/ssh/known"
refused "a host that shows another key is not believed" login rsa
cp "$T/ssh/known.right" "$T/ssh/known"

note "a signature by ssh-keygen -Y"
echo "somebody $(cut -d' ' -f1,2 "$T/ssh/ec.pub")" >"$T/ssh/signers"
echo data >"$T/data"
succeeds "ssh-keygen signs a file" ssh-keygen -Y sign -f "$T/ssh/ec.pub" -n file "$T/data"
verify() { timeout 60 ssh-keygen -Y verify -f "$T/ssh/signers" -I somebody -n file -s "$T/data.sig" <"$1"; }
succeeds "  and ssh-keygen verifies without the token" verify "$T/data"
echo other >"$T/other"
refused "  not so for another file" verify "$T/other"

note "blocked"
succeeds "the token is taken out of the agent" add -e "$P11_MODULE"
succeeds "and put in again" add -s "$P11_MODULE"
stop $AGENT
rm -f "$T/ssh/agent"
serve agent ssh-agent -D -a "$T/ssh/agent" -P "$(dirname "$P11_MODULE")/*"
until_true 10 test -S "$T/ssh/agent" || fail "ssh-agent does not start"
tampered pcr 4
succeeds "after a PCR changed the keys are still listed" add -s "$P11_MODULE"
refused "but prove nothing" ssh-add -T "$T/ssh/rsa.pub"
says 'agent refused operation'
refused "and log nobody in; the host cannot prove itself" login rsa
rm -f "$T/data.sig"
refused "and sign no file" ssh-keygen -Y sign -f "$T/ssh/ec.pub" -n file "$T/data"
[ ! -s "$T/data.sig" ] || fail "there is a signature"
tampered undo
sleep 0.2
succeeds "the same agent works afterwards" login ec
audit_whole
