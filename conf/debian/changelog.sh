#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# debian/changelog out of CHANGELOG.md. usage: changelog.sh SOURCE-FOLDER VERSION
# The newest section is "## Unreleased" or "## X.Y.Z - YYYY-MM-DD". A release has its day's date.
# What is not released has the time of its newest source file, so that the same source gives the
# same packages.
set -eu
src=$1
version=$2
heading=$(sed -n 's/^## //p' "$src/CHANGELOG.md" | head -n 1)
case $heading in
*" - "????-??-??)
	[ "${heading%% - *}" = "$version" ] || {
		echo "changelog.sh: CHANGELOG.md is at ${heading%% - *}, configure.ac at $version" >&2
		exit 2
	}
	date=$(LC_ALL=C date -u -R -d "${heading##* - } 00:00:00 UTC")
	;;
*)
	version=$version~unreleased
	newest=$(find "$src/src" "$src/module" "$src/tools" "$src/conf" "$src/CHANGELOG.md" -type f -printf '%T@\n' |
		sort -n | tail -n 1)
	date=$(LC_ALL=C date -u -R -d "@${newest%.*}")
	;;
esac
printf 'vouchsafe (%s) unstable; urgency=medium\n\n' "$version"
# One entry for each line of the section that begins with "- "; what goes on stays with it. Lines are
# broken at 78 columns.
sed -n '/^## /,$p' "$src/CHANGELOG.md" | awk '
	function flush(    n, i, words, line) {
		if (text == "") return
		n = split(text, words, " ")
		line = "  *"
		for (i = 1; i <= n; i++) {
			if (length(line) + 1 + length(words[i]) > 78) { print line; line = "   " }
			line = line " " words[i]
		}
		print line
		text = ""
		any = 1
	}
	/^## / { if (n++) exit; next }
	/^- / { flush(); text = substr($0, 3); next }
	/^  [^ ]/ && text != "" { text = text " " substr($0, 3); next }
	{ flush() }
	END { flush(); if (!any) print "  * See CHANGELOG.md." }'
printf '\n -- Vouchsafe maintainers <maintainers@vouchsafe.invalid>  %s\n' "$date"
