#!/bin/bash
# SPDX-License-Identifier: MIT
#
# numabal.h, alone and in a program, compiles without a warning as C99 to C17
# and C++11 to C++20.

set -eu

cd "$(dirname "$0")/../.."
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
echo '#include "numabal.h"' > "$tmp/alone.c"
cp "$tmp/alone.c" "$tmp/alone.cc"
warn=(-Wall -Wextra -Wshadow -pedantic -Werror -Iinclude -fsyntax-only)

for std in c99 c11 c17 gnu99 gnu17; do
	# Strict C hides what the header itself must ask for.
	gcc -std="$std" -D_POSIX_C_SOURCE=200809L "${warn[@]}" "$tmp/alone.c"
	gcc -std="$std" -D_POSIX_C_SOURCE=200809L "${warn[@]}" \
		tests/abi/test_build.c
	echo "$std"
done
type -P g++ > /dev/null || { echo "no g++: C++ not tried"; exit 77; }
for std in c++11 c++14 c++17 c++20; do
	g++ -std="$std" "${warn[@]}" "$tmp/alone.cc"
	g++ -std="$std" "${warn[@]}" -Wno-missing-field-initializers \
		tests/abi/test_build.cc
	echo "$std"
done
