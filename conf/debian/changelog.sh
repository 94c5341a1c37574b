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
# One entry for each line of the section that begins with "- "; what goes on stays with it.
sed -n '/^## /,$p' "$src/CHANGELOG.md" | awk '
	/^## / { if (n++) exit; next }
	/^- / { printf "  * %s\n", substr($0, 3); any = 1; next }
	/^  [^ ]/ { printf "    %s\n", substr($0, 3) }
	END { if (!any) print "  * See CHANGELOG.md." }'
printf '\n -- The Vouchsafe authors <maintainers@vouchsafe.example>  %s\n' "$date"
