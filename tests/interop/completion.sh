#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Completion offers exactly the commands and options that the help texts name, in both shells.
# The build calls it by sh.
[ -n "${BASH_VERSION-}" ] || exec bash "$0"
set -eu
fail() { echo "FAILED: $*"; exit 1; }
V=$VS_BUILDDIR/vouchsafe
. "$VS_SRCDIR/conf/completion/bash"
offered() { # WORD... CURRENT: what bash would offer
	COMP_WORDS=(vouchsafe "$@")
	COMP_CWORD=$#
	_vouchsafe
	printf '%s\n' "${COMPREPLY[@]}"
}
options() { grep -o -- '--[a-z][a-z-]*' | sort -u; }
commands=$("$V" --help | sed -n 's/^  \([a-z]*\)  *[a-z].*/\1/p' | sort)
[ "$(echo "$commands" | wc -l)" -ge 9 ] || fail "too few commands: $commands"
[ "$commands" = "$(offered '' | grep -v '^--' | sort)" ] || fail "commands: $(offered '' | tr '\n' ' ')"
n=0
for c in $commands; do
	want=$({ "$V" "$c" --help; echo --help; } | options)
	got=$(offered "$c" '' | options)
	[ "$want" = "$got" ] || fail "$c: the help says $(echo $want), completion offers $(echo $got)"
	for w in $("$V" "$c" --help | sed -n "s/.*vouchsafe $c \([a-z][a-z]*\) .*/\1/p" | sort -u); do
		offered "$c" '' | grep -qx "$w" || fail "$c $w is not offered"
	done
	n=$((n + 1))
done
[ "$(offered gate --t)" = "$(printf '%s\n' --token --timeout --then)" ] || fail "gate --t: $(offered gate --t)"
offered gate --lab --then /bin/tru | grep -qx /bin/true || fail "a command behind --then"
words() { sed -n '/^	case \$1 in$/,/^	esac$/p' "$VS_SRCDIR/conf/completion/$1"; }
[ -n "$(words zsh)" ] && [ "$(words zsh)" = "$(words bash)" ] || fail "zsh offers other words than bash"
# zsh itself, on a terminal of its own: what its completion makes of a line, and how much it offers.
if command -v zsh >/dev/null; then
	T=$(mktemp -d "${TMPDIR:-/tmp}/vs-zsh.XXXXXX")
	trap 'rm -rf "$T"' EXIT
	mkdir "$T/functions" "$T/empty"
	cp "$VS_SRCDIR/conf/completion/zsh" "$T/functions/_vouchsafe"
	cat >"$T/.zshrc" <<-EOT
		fpath=($T/functions \$fpath)
		autoload -Uz compinit
		compinit -u -d $T/dump
		PS1='> '
		setopt no_beep no_auto_menu
		dump() { print -r -- "\$BUFFER" >>$T/lines; zle kill-whole-line }
		zle -N dump
		bindkey '^X' dump
		counted() { _main_complete; print -r -- "\$compstate[nmatches]" >>$T/counts }
		zle -C counted complete-word counted
		bindkey '^I' counted
		cd $T/empty
		print ready >>$T/lines
	EOT
	{
		echo "vouchsafe ga|vouchsafe gate |1"
		echo "vouchsafe doctor --r|vouchsafe doctor --row |1"
		echo "vouchsafe gate --lab --then vouchsafe-no-such-comman|vouchsafe gate --lab --then vouchsafe-no-such-comman|0"
		for c in $commands; do
			n=$(offered "$c" -- | grep -c '^--')
			echo "vouchsafe $c --||$n"
		done
		echo "vouchsafe ||$(offered '' | wc -l)"
	} >"$T/table"
	python3 - "$T" <<-'EOT' || fail "completion in zsh"
		import os, pty, re, select, sys, time
		t = sys.argv[1]
		def lines(name):
		    try: return open(f"{t}/{name}").read().split("\n")[:-1]
		    except OSError: return []
		pid, fd = pty.fork()
		if pid == 0:
		    os.execvpe("zsh", ["zsh", "-i"], {"ZDOTDIR": t, "HOME": t, "PATH": os.environ["PATH"], "TERM": "xterm", "COLUMNS": "200", "LINES": "50"})
		seen = b""
		def until(name, n):
		    global seen
		    end = time.monotonic() + 20
		    while len(lines(name)) < n:
		        if time.monotonic() > end: sys.exit(f"zsh is silent: {name} {n}: {seen[-600:]!r}")
		        if select.select([fd], [], [], 0.02)[0]: seen += os.read(fd, 65536)
		until("lines", 1)
		for i, row in enumerate(open(f"{t}/table").read().splitlines()):
		    typed, want, count = row.split("|")
		    os.write(fd, typed.encode() + b"\t")
		    until("counts", i + 1)
		    os.write(fd, b"\x18")
		    until("lines", i + 2)
		    got, n = lines("lines")[-1], lines("counts")[-1]
		    if want and got != want: sys.exit(f"{typed!r} becomes {got!r}, not {want!r}")
		    if n != count: sys.exit(f"{typed!r}: {n} offers, {count} in bash")
		os.close(fd)
	EOT
	echo "zsh completes $(wc -l <"$T/table") lines"
elif [ -n "${CI-}${VS_REQUIRE_ALL-}" ]; then
	fail "zsh is not installed"
fi
echo "$(echo "$commands" | wc -l) commands agree"
