#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Python's own tests: asyncio.
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
	test.test_asyncio.test_streams test.test_asyncio.test_subprocess \
	test.test_asyncio.test_queues test.test_asyncio.test_sock_lowlevel
