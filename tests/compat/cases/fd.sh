#!/bin/bash
# SPDX-License-Identifier: MIT
#
# fd: parallel walks of a tree, commands run for each file.
# packages: fd-find
# tier: bracket
# min-faults: 20
# timeout: 60

# shellcheck disable=SC2086 # NB_RUN is words
set -eu -o pipefail
type -P fdfind > /dev/null || { echo "no fd" && exit 77; }
$NB_RUN fdfind -j 4 . /usr/include /usr/share/doc | sort | sha256sum
$NB_RUN fdfind -j 4 -e h -x wc -c "{}" ";" . /usr/include/linux/netfilter |
	sort | sha256sum
$NB_RUN fdfind -j 4 -e h -X cksum . /usr/include/linux | sort | sha256sum
