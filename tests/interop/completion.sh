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
if command -v zsh >/dev/null; then zsh -n "$VS_SRCDIR/conf/completion/zsh" || fail "zsh cannot read its file"; fi
echo "$n commands agree"
