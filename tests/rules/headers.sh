#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Every header compiles alone.
set -u
bad=0 seen=0
cd "$VS_SRCDIR" || exit 1
for h in $(find src include tools -name '*.h' | sort); do
	seen=$((seen + 1))
	printf '#include "%s"\nint vs_header_alone;\n' "$h" |
		${CC:-cc} -std=gnu11 -D_GNU_SOURCE -fsyntax-only -Wall -Wextra -Werror -Isrc -Iinclude -Itools -I. \
			$VS_HEADER_CFLAGS -x c - || { echo "$h does not compile alone"; bad=1; }
done
[ "$seen" -ge 10 ] || { echo "only $seen headers found"; exit 1; }
echo "$seen headers looked at"
exit $bad
