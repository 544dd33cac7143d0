#!/bin/bash
# SPDX-License-Identifier: MIT
# timeout: 120
#
# The program does not see numabal's pins, nor do its children have them.

. "$(dirname "$0")/lib.sh"

"${NB[@]}" -- "$B/tests/numa/prog_affinity" || die "exit status $?"

# What it started with is what programs that it starts get: exec by a pinned
# thread is what bash does here for its last command.
want=$(nproc)
got=$("${NB[@]}" -- bash -c 'nproc')
[ "$want" = "$got" ] || die "nproc: $got, want $want"
