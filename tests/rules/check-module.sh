#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# What the built module shows to the world: symbols, libraries, flags.
set -u
so="${VS_BUILDDIR:-.}/.libs/vouchsafe-pkcs11.so"
map="${VS_SRCDIR:-.}/src/token/ck.h"
bad=0
say() { echo "$*"; bad=1; }
[ -f "$so" ] || { echo "$so is not built"; exit 1; }

names=$(nm -D --defined-only "$so" | awk '{print $NF}' | sort)
# Every function of both lists, and nothing else.
want=$(sed -n '/define VS_CK_LIST_2_40/,/^typedef struct CK_FUNCTION_LIST_3_0/p' "$map" |
	grep -o 'C_[A-Z][A-Za-z0-9]*' | sort -u)
[ "$(echo "$want" | wc -l)" -eq 92 ] || say "ck.h lists $(echo "$want" | wc -l) functions, not 92"
for n in $names; do
	echo "$want" | grep -qx "$n" || say "$n is exported and is no PKCS#11 function"
done
for n in $want; do
	echo "$names" | grep -qx "$n" || say "$n is not exported"
done

if ! readelf -d "$so" | grep -q 'Shared library: \[lib[atu][sb]san'; then
	for lib in $(readelf -d "$so" | sed -n 's/.*Shared library: \[\(.*\)\]/\1/p'); do
		case $lib in
		libcrypto.so.3 | libc.so.6) ;;
		*) say "the module needs $lib" ;;
		esac
	done
fi
readelf -d "$so" | grep -q 'NODELETE' || say "-z nodelete is missing"
readelf -d "$so" | grep -q 'SYMBOLIC' || say "-Bsymbolic is missing"
readelf -d "$so" | grep -q 'BIND_NOW\|NOW' || say "-z now is missing"
readelf -lW "$so" | grep -q 'GNU_RELRO' || say "RELRO is missing"
readelf -lW "$so" | grep 'GNU_STACK' | grep -q 'RWE' && say "the stack is executable"
# A guest ends no process and starts no thread.
for n in pthread_create pthread_atfork exit _exit abort fork system popen signal sigaction setlocale setenv putenv; do
	nm -D --undefined-only "$so" | awk '{print $NF}' | sed 's/@.*//' | grep -qx "$n" && say "the module calls $n"
done
[ $bad -eq 0 ] && echo "exports, libraries and flags are as they should be"
exit $bad
