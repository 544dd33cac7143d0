#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A server with append-only file and snapshots, which it writes in forked children; restarted from each.
# packages: redis-server redis-tools
# tier: bracket
# min-faults: 1000
# timeout: 180

# shellcheck disable=SC2086 # NB_RUN is words
set -eu -o pipefail
for p in redis-server redis-benchmark redis-cli; do
	type -P $p > /dev/null || { echo "no $p" && exit 77; }
done

cli()
{
	redis-cli -s "$PWD/s" "$@"
}

start()
{
	$NB_RUN redis-server --port 0 --unixsocket "$PWD/s" --dir "$PWD" \
		--save '' --appendonly "$1" >&2 &
	server=$!
	until cli ping 2> /dev/null | grep -q PONG; do
		kill -0 $server
		sleep 0.05
	done
	while cli info persistence | grep -q loading:1; do sleep 0.05; done
}

stop()
{
	cli shutdown "$1" >&2 || true
	wait $server
}

background() # COMMAND: and until it is done
{
	cli "$1" >&2
	while cli info persistence |
		grep -qE '(bgsave|rewrite)_in_progress:1|rewrite_scheduled:1'; do
		sleep 0.05
	done
	cli info persistence | tr -d '\r' |
		grep -E '(last_bgsave|last_bgrewrite)_status'
}


start yes
cli eval 'for i = 1, 20000 do
	redis.call("set", "k" .. i, string.rep(i, 10))
	redis.call("rpush", "list" .. i % 100, i, i * 7)
	redis.call("hset", "hash" .. i % 100, "f" .. i, i * i)
	redis.call("zadd", "zset" .. i % 10, i * 13 % 1009, "m" .. i)
end return "filled"' 0
background bgrewriteaof
redis-benchmark -s "$PWD/s" -q -n 20000 -c 20 -P 4 -r 1000 \
	-t set,get,incr,lpush,sadd,hset,spop,zadd,mset >&2
cli llen mylist
cli del mylist myset myhash myzset counter:__rand_int__ > /dev/null
cli --scan --pattern 'k*__*' | head -n 3
cli --scan --pattern 'key:*' | xargs -n 500 redis-cli -s "$PWD/s" del >&2
cli --scan --pattern 'counter:*' | xargs -n 500 redis-cli -s "$PWD/s" del >&2
cli --scan --pattern 'element:*' | wc -l
background bgsave
full=$(cli mget k1 k777 k20000 | sha256sum)
echo "$full"
cli lrange list7 0 -1 | sha256sum
cli zrange zset3 0 -1 withscores | sha256sum
stop nosave

start yes
[ "$full" = "$(cli mget k1 k777 k20000 | sha256sum)" ]
cli dbsize
cli hgetall hash9 | paste - - | sort | sha256sum
background bgsave
stop nosave

start no
cli dbsize
cli hgetall hash9 | paste - - | sort | sha256sum
cli zrange zset3 0 -1 withscores | sha256sum
stop nosave
redis-check-rdb dump.rdb | grep -c 'RDB looks OK'
