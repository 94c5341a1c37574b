#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The README's five minutes, with installed programs alone, by an ordinary user: the commands are
# taken from the README itself. usage: five-minutes.sh README
# Prints a transcript. Inside `vouchsafe-lab run` it calls itself with --inside.
set -eu
if [ "$1" != --inside ]; then
	t=$(mktemp -d "${TMPDIR:-/tmp}/vs-five.XXXXXX")
	trap 'rm -rf "$t"' EXIT
	# The code block below "## Five minutes", without the build folder's name.
	awk '/^## /{on = ($0 == "## Five minutes")} on && /^    [^ ]/{print substr($0, 5)}
		on && /^(.build[/]. is what|A real configuration)/{exit}' "$1" | sed 's,build/,,g' >"$t/commands"
	first=$(head -n 1 "$t/commands")
	case $first in
	"vouchsafe-lab run -- sh"*) ;;
	*) echo "FAILED: the README's five minutes begin with: $first"; exit 1 ;;
	esac
	sed -i 1d "$t/commands"
	n=$(wc -l <"$t/commands")
	[ "$n" -ge 5 ] || { echo "FAILED: only $n commands in the README"; exit 1; }
	cd "$t"
	start=$(date +%s)
	VS_START=$start
	export VS_START
	printf '$ %s\n' "$first"
	vouchsafe-lab run -- sh "$0" --inside "$t/commands"
	i=0
	while left=$(ps -o pid=,comm= -u "$(id -u)" | grep -E ' (swtpm|vouchsafe-lab|vouchsafe-agent)$'); do
		[ "$i" -lt 50 ] || break
		sleep 0.1
		i=$((i + 1))
	done
	[ -z "$left" ] || { echo "FAILED: processes are left running: $left"; exit 1; }
	echo "ok $n commands of the README's five minutes, in $(($(date +%s) - start)) s"
	exit 0
fi
export LC_ALL=C
signed=0
while IFS= read -r line <&3; do
	printf '$ %s\n' "$line"
	want=0
	case $line in *"now refused"*) want=1 ;; esac
	rc=0
	sh -c "$line" >out 2>&1 </dev/null || rc=$?
	cut -c1-160 out | sed -n 1,12p
	[ "$rc" = "$want" ] || { cat out; echo "FAILED: status $rc, expected $want: $line"; exit 1; }
	case $line in *--verify* | *"-verify "*)
		if grep -qE 'Verified OK|Signature is valid' out; then
			signed=1
			echo "# a verified signature $(($(date +%s) - VS_START)) s after the first command"
		fi
		;;
	esac
done 3<"$2"
[ "$signed" = 1 ] || { echo "FAILED: the README's five minutes come to no verified signature"; exit 1; }
