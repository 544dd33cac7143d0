#!/bin/bash
# SPDX-License-Identifier: MIT
#
# System calls: pipes, sockets, futexes, signals, files, timers; each stressor checks.
# packages: stress-ng
# tier: bracket
# min-faults: 200
# timeout: 180

# shellcheck disable=SC2086 # NB_RUN is words
set -eu -o pipefail
type -P stress-ng > /dev/null || { echo "no stress-ng" && exit 77; }

for s in 'pipe 2 --pipe-ops 50000' 'sock 2 --sock-ops 150' \
	'udp 2 --udp-ops 3000' 'futex 2 --futex-ops 20000' \
	'poll 1 --poll-ops 5000' 'epoll 1 --epoll-ops 500' \
	'eventfd 2 --eventfd-ops 20000' 'sigfd 1 --sigfd-ops 20000' \
	'sigq 1 --sigq-ops 20000' \
	'sigsuspend 1 --sigsuspend-ops 10000' 'timerfd 1 --timerfd-ops 500' \
	'timer 1 --timer-ops 1000' 'hdd 1 --hdd-bytes 8M --hdd-ops 500' \
	'iomix 1 --iomix-bytes 4M --iomix-ops 100' 'dir 1 --dir-ops 300' \
	'mq 1 --mq-ops 10000' 'msg 1 --msg-ops 10000' \
	'aio 1 --aio-ops 300' 'getrandom 1 --getrandom-ops 500' \
	'access 1 --access-ops 200' \
	'readahead 1 --readahead-ops 2000'; do
	status=0
	$NB_RUN stress-ng --verify --temp-path . --no-rand-seed \
		-t 40 --$s >&2 || status=$?
	echo "${s%% *}: $status"
done
