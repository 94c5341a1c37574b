# SPDX-License-Identifier: BSD-2-Clause
# Sourced by the interop tests: a lab of its own for each test, checks that say what they looked at.
# Environment: VS_BUILDDIR, VS_SRCDIR (set by make check).
set -eu
B=$VS_BUILDDIR
S=$VS_SRCDIR
LAB=$B/vouchsafe-lab
VOUCHSAFE=$B/vouchsafe
T=$(mktemp -d "${TMPDIR:-/tmp}/vs-interop.XXXXXX")
D=$T/lab
N_CHECKS=0
# A closed network is part of the test: nothing may be fetched, no proxy asked.
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY all_proxy 2>/dev/null || true

cleanup() {
	rc=$?
	trap - EXIT
	[ -z "${SSHD_PID-}" ] || kill "$SSHD_PID" 2>/dev/null || true
	[ -z "${CLIENT_PID-}" ] || kill "$CLIENT_PID" 2>/dev/null || true
	[ -z "${AGENT_PID-}" ] || kill "$AGENT_PID" 2>/dev/null || true
	for p in ${PIDS-}; do kill "$p" 2>/dev/null || true; done
	if [ $rc -ne 0 ]; then
		for f in "$D/lab.log" "$D/audit.log" "$T/agent.log" ${LOGS-}; do
			[ -f "$f" ] && { echo "--- ${f##*/}"; tail -n 6 "$f" | cut -c1-1500; }
		done
	fi
	"$LAB" down --dir "$D" >/dev/null 2>&1 || true
	# An agent of a process that just ended may be writing its last record.
	for _try in 1 2 3 4 5; do
		rm -rf "$T" 2>/dev/null && break
		sleep 0.5
	done
	exit $rc
}
trap cleanup EXIT
trap 'exit 143' TERM INT

note() { printf '# %s\n' "$*"; }
fail() { printf 'FAILED: %s\n' "$*"; exit 1; }
ok() { N_CHECKS=$((N_CHECKS + 1)); printf 'ok %d %s\n' "$N_CHECKS" "$*"; }

# Programs a test needs. In CI everything is there, so a missing one is a failure.
need() {
	for c in "$@"; do
		command -v "$c" >/dev/null 2>&1 && continue
		[ -z "${CI-}${VS_REQUIRE_ALL-}" ] || fail "$c is not installed"
		echo "skipped: $c is not installed"
		trap - EXIT
		rm -rf "$T"
		exit 77
	done
}

lab_up() {
	"$LAB" up --dir "$D" "$@" >"$T/up.out" 2>&1 || { cat "$T/up.out"; fail "the lab does not start"; }
	. "$D/env"
	export VOUCHSAFE_CONF
}

# Run and keep output and status: try NAME CMD...; then $RC and $T/NAME.out
try() {
	_n=$1
	shift
	RC=0
	"$@" >"$T/$_n.out" 2>&1 </dev/null || RC=$?
}
bounded() { # shell functions of a test bound themselves, but for these two, which stand for one program each
	case $1 in
	p11) shift; timeout 120 pkcs11-tool --module "$P11_MODULE" "$@" ;;
	engine) shift; OPENSSL_CONF="$T/openssl.cnf" timeout 120 openssl "$@" ;;
	*) case $(command -v "$1") in
		/*) timeout 120 "$@" ;;
		*) "$@" ;;
		esac ;;
	esac
}
succeeds() { # what CMD...
	_w=$1
	shift
	try cmd bounded "$@"
	[ $RC = 0 ] || { cat "$T/cmd.out"; fail "$_w: status $RC: $*"; }
	ok "$_w"
}
refused() { # what CMD...: ends by itself with an error (255 is ssh's)
	_w=$1
	shift
	try cmd bounded "$@"
	[ $RC != 0 ] && [ $RC != 124 ] && { [ $RC -lt 128 ] || [ $RC = 255 ]; } || { cat "$T/cmd.out"; fail "$_w: status $RC: $*"; }
	ok "$_w"
}
says() { grep -qE -- "$1" "$T/cmd.out" || { cat "$T/cmd.out"; fail "expected to read: $1"; }; }

tampered() { "$LAB" tamper "$@" --dir "$D" >"$T/tamper.out" 2>&1 || { cat "$T/tamper.out"; fail "tamper $*"; }; }
# A server in the background, ended by cleanup: serve NAME CMD...; its pid is $SERVED, its output $T/NAME.log
serve() {
	_n=$1
	shift
	LOGS="${LOGS-} $T/$_n.log"
	"$@" >"$T/$_n.log" 2>&1 </dev/null &
	SERVED=$!
	PIDS="${PIDS-} $SERVED"
}
stop() { # PID: it ends when it is told to
	kill "$1" 2>/dev/null || true
	until_true 15 ended "$1" || { kill -9 "$1"; fail "process $1 does not end"; }
	wait "$1" 2>/dev/null || true
}
ended() {
	case $(ps -o stat= -p "$1" 2>/dev/null) in '' | Z*) return 0 ;; esac
	return 1
}
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
until_open() { # PORT: something listens there
	_i=0
	until python3 -c 'import socket, sys; socket.create_connection(("127.0.0.1", int(sys.argv[1])), 1)' "$1" 2>/dev/null; do
		_i=$((_i + 1))
		[ $_i -lt 60 ] || fail "nothing listens on port $1"
		sleep 0.2
	done
}
until_true() { # SECONDS CMD...: the command succeeds in time
	_i=$(($1 * 5))
	shift
	until "$@" >/dev/null 2>&1; do
		_i=$((_i - 1))
		[ $_i -gt 0 ] || return 1
		sleep 0.2
	done
}
# Settings of the lab's configuration: short leases, refusals that are soon asked again
global_setting() { sed -i "s/^\[global\]/[global]\n$1/" "$VOUCHSAFE_CONF"; }
lease_of() { sed -i "s/^max-lease.*/max-lease = $1/" "$VOUCHSAFE_CONF"; }
# One TLS connection by plain openssl; the certificate shown must be the lab's: tls PORT CAFILE [OPTIONS]
tls() {
	_p=$1 _c=$2
	shift 2
	echo Q | timeout 30 openssl s_client -connect 127.0.0.1:"$_p" -CAfile "$_c" -verify_return_error \
		-verify 1 -partial_chain "$@"
}
# A certificate for mail in place of the lab's, by a CA of the test's own ($T/own-ca.pem): own_certificate KEY
own_certificate() {
	[ -f "$T/own-ca.pem" ] || openssl req -x509 -newkey rsa:2048 -nodes -keyout "$T/own-ca.key" -out "$T/own-ca.pem" -days 2 \
		-subj "/O=Vouchsafe LAB/CN=Test CA" -addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null || fail "no CA"
	openssl x509 -in "$D/certs/$1.pem" -noout -pubkey >"$T/own.pub"
	cat >"$T/own.ext" <<-EOT
		basicConstraints = critical, CA:FALSE
		keyUsage = critical, digitalSignature, keyEncipherment
		extendedKeyUsage = emailProtection
		subjectAltName = email:$1@example.com
		subjectKeyIdentifier = hash
		authorityKeyIdentifier = keyid
	EOT
	openssl x509 -new -force_pubkey "$T/own.pub" -subj "/O=Vouchsafe LAB/CN=$1/emailAddress=$1@example.com" -days 2 \
		-CA "$T/own-ca.pem" -CAkey "$T/own-ca.key" -extfile "$T/own.ext" -out "$T/own.pem" 2>/dev/null &&
		cp "$T/own.pem" "$D/certs/$1.pem" || fail "no certificate for $1"
}
engine_conf() { # $T/openssl.cnf: the engine with our module
	cat >"$T/openssl.cnf" <<-EOT
		openssl_conf = init
		[init]
		engines = engines
		[engines]
		pkcs11 = pkcs11
		[pkcs11]
		engine_id = pkcs11
		MODULE_PATH = $P11_MODULE
		init = 0
	EOT
}
need_engine() { openssl engine pkcs11 >/dev/null 2>&1 || { PATH=/nonexistent need engine-pkcs11; }; }
p11() { pkcs11-tool --module "$P11_MODULE" "$@"; }
# CKA_ID of a key by its label, hex
key_id() { # TOKEN LABEL
	p11 --token-label "$1" --list-objects --type pubkey 2>/dev/null |
		awk -v want="$2" '/^Public Key/ {label = ""} $1 == "label:" {label = $2}
			$1 == "ID:" && label == want {print $2; exit}'
}
pubkey() { # TOKEN LABEL FILE: the public key as PEM (GnuTLS exports it; OpenSC 0.23 cannot for P-384)
	p11tool --provider "$P11_MODULE" --export-pubkey "pkcs11:token=$1;object=$2;type=public" --outfile "$3" >/dev/null 2>&1 &&
		openssl pkey -pubin -in "$3" -noout
}
# Records of one result: refused, unreachable, granted
audit_count() { [ -f "$D/audit.log" ] && grep -c "\"result\":\"$1\"" "$D/audit.log" || true; }
audit_whole() { succeeds "the audit log is whole" "$VOUCHSAFE" audit verify; }
