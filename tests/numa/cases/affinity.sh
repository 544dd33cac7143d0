#!/bin/bash
# SPDX-License-Identifier: MIT
# timeout: 120
#
# The program does not see numabal's pins, nor do its children have them.

. "$(dirname "$0")/lib.sh"

"${NB[@]}" -- "$P/tests/numa/prog_affinity" || die "exit status $?"

# What it started with is what a program gets that a pinned thread goes on as.
want=$(nproc)
got=$("${NB[@]}" -- "$P/tests/numa/prog_affinity" exec)
[ "$want" = "$got" ] || die "nproc: $got, want $want"
