#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Builds each fuzz_*.c here with clang's libFuzzer and the sanitizers, over the
# pure sources (base and policy) and those that its "Sources:" lines name, and
# runs it for FUZZ_S seconds from the seeds in corpus/NAME/. A finding is left in
# build/fuzz/ and fails. FUZZ_ONLY=NAME: only that one.
# FUZZ_MUTANT: without that defence (lib/base/mutant.h).

set -u

cd "$(dirname "$0")/../.." || exit 1
secs=${FUZZ_S:-30}
out=build/fuzz${FUZZ_MUTANT:+/$FUZZ_MUTANT}
failed=0
passed=0

type -P clang > /dev/null || { echo "no clang (make deps)"; exit 77; }
mkdir -p "$out"
for src in tests/fuzz/fuzz_*.c; do
	[ -e "$src" ] || { echo "no fuzzers"; exit 77; }
	name=$(basename "$src" .c)
	[ "${FUZZ_ONLY:-$name}" = "$name" ] || continue
	# shellcheck disable=SC2207
	more=($(sed -n 's/^ \* Sources: *//p' "$src"))
	[ "${more[0]:-}" != all ] ||
		more=(lib/*.c lib/{plat,mech,guard}/*.c lib/*/*.S
			"${more[@]:1}")
	if ! clang -std=gnu11 -g -O1 -D_GNU_SOURCE -DNB_DEBUG -Iinclude \
		-fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=undefined -o "$out/$name" \
		${FUZZ_MUTANT:+"-DNB_MUTANT_$FUZZ_MUTANT"} \
		"$src" lib/base/*.c lib/policy/*.c "${more[@]}" -ldl; then
		failed=$((failed + 1))
		continue
	fi
	mkdir -p "$out/corpus/$name"
	seeds=("$out/corpus/$name")
	[ -d "tests/fuzz/corpus/$name" ] && seeds+=("tests/fuzz/corpus/$name")
	if "$out/$name" -max_total_time="$secs" -artifact_prefix="$out/$name-" \
		-print_final_stats=1 "${seeds[@]}" > "$out/$name.log" 2>&1; then
		passed=$((passed + 1))
		echo "ok    $name: $(sed -n \
			's/^stat::number_of_executed_units: *//p' \
			"$out/$name.log") runs"
	else
		failed=$((failed + 1))
		echo "FAIL  $name"
		tail -n 40 "$out/$name.log" | sed 's/^/      | /'
	fi
done
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
