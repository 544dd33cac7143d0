#!/bin/bash
# SPDX-License-Identifier: MIT
#
# All private anonymous memory is armed, page by page here, and what the kernel
# writes to on its own never is: thread-local storage, alternate stacks, stacks
# of coroutines and threads, robust mutexes, memory with advice that forbids it.
# timeout: 400

# shellcheck source=tests/integration/preload.sh
. "$(dirname "$0")/preload.sh"

arming+=(NUMABAL_MIN_REGION_KB=4 NUMABAL_CHUNK_KB=4)
export NB_LIB=$progs/lib_calls.so
run_cases prog_kinds bss library small brk arena advice process-advice \
	populate sealed future
run_cases prog_kernel_owned threads robust altstack silent
run_cases prog_raw_threads raw-threads
# Memory is left alone for a second: then its stacks are known.
arming+=(NUMABAL_SCAN_DELAY_MS=1000)
run_cases prog_kernel_owned contexts by-hand
exit "$bad"
