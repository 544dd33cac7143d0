#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Python's own tests: processes.
# packages: python3 libpython3.11-testsuite
# tier: bracket
# min-faults: 1000
# timeout: 400

# shellcheck disable=SC2086 # NB_RUN is words
set -eu -o pipefail
type -P /usr/bin/python3 > /dev/null || { echo "no python3" && exit 77; }
/usr/bin/python3 -c 'import test.test_io' 2> /dev/null ||
	{ echo "no tests of python3" && exit 77; }
$NB_RUN /usr/bin/python3 "${0%/*}/../unittests.py" \
	test.test_subprocess:POSIX \
	test.test_fork1 test.test_wait3 test.test_wait4 test.test_posix:Spawn
