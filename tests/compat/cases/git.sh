#!/bin/bash
# SPDX-License-Identifier: MIT
#
# git: a large repository is made, changed, packed, cloned and checked.
# packages: git
# tier: bracket
# min-faults: 2000
# timeout: 300

# shellcheck disable=SC2086 # NB_RUN is words
set -eu -o pipefail
type -P git > /dev/null || { echo "no git" && exit 77; }
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org
export GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.org
export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null

commit() # N
{
	GIT_AUTHOR_DATE="2020-01-01T00:00:$1Z" \
		GIT_COMMITTER_DATE="2020-01-01T00:00:$1Z" \
		$NB_RUN git commit -q -a -m "change $1"
}

$NB_RUN git init -q -b main repo
cp -r /usr/include/linux /usr/include/c++ repo/
cd repo
$NB_RUN git add .
commit 10
for i in {11..25}; do
	for f in linux/[a-f]*.h; do
		echo "/* $i of $f */" >> "$f"
	done
	commit "$i"
done
$NB_RUN git checkout -q -b side HEAD~5
seq 100000 > numbers
$NB_RUN git add numbers
commit 30
GIT_AUTHOR_DATE=2020-01-01T00:00:40Z GIT_COMMITTER_DATE=2020-01-01T00:00:40Z \
	$NB_RUN git merge -q -m both main
$NB_RUN git -c pack.threads=4 gc -q --aggressive --prune=now
$NB_RUN git fsck --full --strict 2> /dev/null
$NB_RUN git log --stat -p | sha256sum
cd ..
$NB_RUN git clone -q --no-local repo copy
cd copy
$NB_RUN git fsck --full 2> /dev/null
# Not a plain word: for those git has PCRE make code, and memory is armed less.
$NB_RUN git -c grep.threads=4 grep -c 'define *[A-M]' | sha256sum
$NB_RUN git blame linux/fs.h | sha256sum
$NB_RUN git archive HEAD | sha256sum
$NB_RUN git rev-parse HEAD
