#!/bin/bash
# SPDX-License-Identifier: MIT
#
# numabal doctor: what it finds, what a command would get, exit statuses; and
# that no command runs.

# shellcheck source=tests/integration/doctor.sh
. "$(dirname "$0")/doctor.sh"

json=$tmp/json

# The command line.
try 2 -z
try 2 --foo
try 0 -h
says "Usage: numabal doctor"

# This machine: one node is nothing to balance, unless forced.
nodes=$("$numabal" topo -j | grep -o '"nid"' | wc -l)
try $((nodes < 2)) -- true
[ "$nodes" -ge 2 ] || says "one node: there is nothing to balance"
export NUMABAL_FORCE=1
try 0
says "(numabal itself)"
says "verdict   balancing works"
try 0 -j
cp "$tmp/out" "$json"
if command -v python3 > /dev/null; then
	python3 -c 'import json, sys; json.load(sys.stdin)' < "$json" ||
		fail "no JSON"
fi
for c in move_pages mbind set_mempolicy get_mempolicy membarrier userfaultfd \
	process_vm_readv sched_setaffinity; do
	grep -qF "\"name\":\"$c(2)\"" "$json" || fail "$c is not looked at"
done

# A command: loaded, not run; its modules are listed.
try 0 -j -- touch "$tmp/ran"
[ ! -e "$tmp/ran" ] || fail "the command was run"
[ "$(field state)" = running ] || fail "state is '$(field state)'"
case $(field tier) in
bracket) says '"name":"libc.so.6","sites":' ;;
conservative) echo "conservative: $(field why)" ;;
*) fail "tier is '$(field tier)': $(field why)" ;;
esac
printf '#!/bin/sh\ntouch "%s"\n' "$tmp/ran" > "$tmp/script"
chmod 755 "$tmp/script"
try 0 -j -- "$tmp/script"
[ ! -e "$tmp/ran" ] || fail "the script was run"
case $(field program) in */sh) ;; *) fail "not run by sh: $(field program)" ;; esac
printf '#!/usr/bin/env -S A=1 touch %s\n' "$tmp/ran" > "$tmp/script"
try 0 -j -- "$tmp/script"
[ ! -e "$tmp/ran" ] || fail "the script of env was run"
[ "$(field comm)" = touch ] || fail "not touch, but $(field comm)"
NUMABAL_GUARD=conservative try 0 -j -- true
[ "$(field tier):$(field why)" = conservative:NUMABAL_GUARD=conservative ] ||
	fail "tier is '$(field tier):$(field why)'"
NUMABAL_SKIP=true try 1 -j -- true
[ "$(field state)" = idle ] || fail "skipped: '$(field state)'"
NUMABAL=0 try 1 -- true
says "this command cannot be balanced"

# Containers that refuse.
refused() # STATUS CALL TEXT
{
	local rc

	"$progs/prog_refuse" "$2" "$numabal" doctor -- true > "$tmp/out" 2>&1
	rc=$?
	[ "$rc" = "$1" ] || fail "without $2: exit status $rc, not $1"
	says "$3"
	says "remedy: "
}
refused 1 move_pages "where memory is cannot be seen"
refused 0 sched_setaffinity "threads stay where they are"
refused 0 membarrier "system calls cannot be guarded: conservative tier"
exit "$bad"
