#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A search whose pattern becomes code at run time.
# packages: grep libpcre2-8-0
# tier: conservative
# why: system calls of code that is made at run time cannot be guarded
# min-faults: 0
# timeout: 180

# shellcheck disable=SC2086 # NB_RUN is words
set -eu -o pipefail
echo a | grep -qP 'a' 2> /dev/null || { echo "no grep -P" && exit 77; }

seq -f 'line %.0f and what is in it' 400000 > in
$NB_RUN grep -cP '(\d)(\d)\d*\2\1 and' in
$NB_RUN grep -P '^line (\d+?)\1+ (?=and)' in | sha256sum
$NB_RUN grep -oP '(?<=line )\d*7\d*(?= and)' in | sha256sum
