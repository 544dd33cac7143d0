#!/bin/bash
# SPDX-License-Identifier: MIT
#
# numabal doctor: what it finds, what a command would get, exit statuses; and
# that no command runs.

# shellcheck source=tests/integration/preload.sh
. "$(dirname "$0")/preload.sh"

numabal=$NB_OUT/numabal
unset LD_PRELOAD "${!NUMABAL@}"
json=$tmp/json

# try STATUS ARGUMENT...: standard output is in $tmp/out
try()
{
	local want=$1 rc
	shift
	"$numabal" doctor "$@" > "$tmp/out" 2> "$tmp/err"
	rc=$?
	[ "$rc" = "$want" ] || fail "doctor $*: exit status $rc, not $want"
}

says() # TEXT: in the output of the last try
{
	grep -qF -- "$1" "$tmp/out" || {
		fail "not said: $1"
		sed 's/^/  | /' "$tmp/out"
	}
}

# field NAME: of the command, in the JSON of the last try
field()
{
	sed -n "s/.*\"command\":{.*\"$1\":\"\([^\"]*\)\".*/\1/p" "$tmp/out"
}

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
NUMABAL_GUARD=conservative try 0 -j -- true
[ "$(field tier):$(field why)" = conservative:NUMABAL_GUARD=conservative ] ||
	fail "tier is '$(field tier):$(field why)'"
NUMABAL_SKIP=true try 1 -j -- true
[ "$(field state)" = idle ] || fail "skipped: '$(field state)'"
NUMABAL=0 try 1 -- true
says "this command cannot be balanced"

# Commands that cannot be asked.
try 1 -- /no/such/program
says "it cannot be executed: No such file or directory"
echo 'int main(void) { return 0; }' > "$tmp/main.c"
if gcc -static "$tmp/main.c" -o "$tmp/static" 2> /dev/null; then
	try 1 -- "$tmp/static"
	says "statically linked"
fi
gcc -shared -x c /dev/null -Wl,-soname,libgone.so -o "$tmp/libgone.so"
gcc "$tmp/main.c" -Wl,--no-as-needed -L"$tmp" -lgone -o "$tmp/gone"
rm "$tmp/libgone.so"
try 1 -- "$tmp/gone"
says "it cannot start: libgone.so is not found"

# What is stepped back from, by what is in the program: tier off.
off() # WHY PROGRAM
{
	try 1 -j -- "$2"
	[ "$(field tier)" = off ] || fail "$2: tier is '$(field tier)'"
	[ "$(field why)" = "$1" ] || fail "$2: '$(field why)', not '$1'"
}
cat > "$tmp/go.c" <<'END'
__asm__(".section .note.go.buildid,\"a\",@note\n"
	".long 4, 4, 4\n.asciz \"Go\\0\"\n.asciz \"id.\"\n.text\n");
int main(void) { return 0; }
END
gcc "$tmp/go.c" -o "$tmp/go"
off "Go's runtime has signals and stacks of its own" "$tmp/go"
echo 'void __asan_init(void) {} int main(void) { return 0; }' > "$tmp/asan.c"
gcc -rdynamic "$tmp/asan.c" -o "$tmp/asan"
off "it was built with a sanitizer" "$tmp/asan"
cp /bin/true "$tmp/node"
off "it runs the V8 JavaScript engine" "$tmp/node"
gcc -shared -x c /dev/null -o "$tmp/libjvm.so"
gcc "$tmp/main.c" -Wl,--no-as-needed,-rpath,"$tmp" -L"$tmp" -ljvm \
	-o "$tmp/java"
off "it runs a Java virtual machine" "$tmp/java"
RUNNING_UNDER_RR=1 off "it runs under rr" true

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
