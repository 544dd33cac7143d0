#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Python's own tests: files, buffers, pipes, select; but for one that may not
# take more than 10 ms, which it does on a busy machine.
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
	test.test_io:Buffered test.test_io:TextIO test.test_bufio \
	test.test_file test.test_selectors test.test_poll test.test_epoll \
	test.test_select test.test_memoryio -TestEPoll.test_control_and_wait
