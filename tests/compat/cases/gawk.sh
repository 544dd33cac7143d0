#!/bin/bash
# SPDX-License-Identifier: MIT
#
# gawk: large arrays and strings, pipes, coprocesses; it has libsigsegv's
# handler of stack overflows, and its own word about a recursion without end.
# packages: gawk
# tier: bracket
# min-faults: 30
# timeout: 120

# shellcheck disable=SC2086 # NB_RUN is words
set -eu -o pipefail
type -P gawk > /dev/null || { echo "no gawk" && exit 77; }

# shellcheck disable=SC2016 # awk's own
$NB_RUN gawk 'BEGIN {
	for (i = 0; i < 2000000; i++)
		a[i % 5003 "-" i % 7] += i
	n = asorti(a, k)
	for (i = 1; i <= n; i++)
		s = (s * 31 + a[k[i]]) % 1000003
	print n, s
	for (i = 0; i < 20000; i++)
		t = t sprintf("%d ", i * 7 % 1009)
	print length(t), gsub(/9+/, "<&>", t), length(t)
	cmd = "sort -n | tail -n 3"
	for (i = 1; i < 3000; i++)
		print i * 7919 % 3001 |& cmd
	close(cmd, "to")
	while ((cmd |& getline line) > 0)
		print line
	close(cmd)
	print substr("x" sprintf("%1000000s", ""), 1, 3) "."
}'

ulimit -c 0 -s 1024
rc=0
# shellcheck disable=SC2016
$NB_RUN gawk 'function f(n) { return f(n + 1) + f(n + 2) }
	BEGIN { a = "x"; while (length(a) < 200000) a = "(" a ")"
		print length(a); print "y" ~ a }' > deep 2> err || rc=$?
# A stack that is used up: the same end, whoever looks first.
echo "deep: $rc $(head -n 1 deep)"
