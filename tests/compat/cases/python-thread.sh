#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Python's own tests: threads, queues, pools, mmap.
# packages: python3 libpython3.11-testsuite
# tier: bracket
# min-faults: 2000
# timeout: 300

# shellcheck disable=SC2086 # NB_RUN is words
set -eu -o pipefail
type -P /usr/bin/python3 > /dev/null || { echo "no python3" && exit 77; }
/usr/bin/python3 -c 'import test.test_io' 2> /dev/null ||
	{ echo "no tests of python3" && exit 77; }
# Left out: a test of half a second of waiting, which a busy machine fails; a
# test that maps data as code, after which memory is armed less.
$NB_RUN /usr/bin/python3 "${0%/*}/../unittests.py" \
	test.test_threading test.test_thread test.test_mmap \
	test.test_queue -test_set_and_clear -test_access_parameter
