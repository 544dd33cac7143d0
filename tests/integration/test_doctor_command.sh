#!/bin/bash
# SPDX-License-Identifier: MIT
#
# numabal doctor -- COMMAND, for commands that cannot be balanced: it says why.

# shellcheck source=tests/integration/doctor.sh
. "$(dirname "$0")/doctor.sh"

# Commands that cannot be asked.
export NUMABAL_FORCE=1
try 1 -- /no/such/program
says "it cannot be executed: No such file or directory"
echo '#!/no/such/shell' > "$tmp/script"
chmod 755 "$tmp/script"
try 1 -- "$tmp/script"
says "its interpreter /no/such/shell cannot be executed"
echo '#!/usr/bin/env no-such-shell' > "$tmp/script"
try 1 -- "$tmp/script"
says "no-such-shell cannot be executed"
echo 'int main(void) { return 0; }' > "$tmp/main.c"
if gcc -static "$tmp/main.c" -o "$tmp/static" 2> /dev/null; then
	try 1 -- "$tmp/static"
	says "statically linked"
	echo "#!/usr/bin/env $tmp/static" > "$tmp/script"
	try 1 -- "$tmp/script"
	says "$tmp/static: statically linked"
fi
musl-gcc "$tmp/main.c" -o "$tmp/musl" 2> "$tmp/log" && {
	try 1 -- "$tmp/musl"
	says "built for another C library"
}
cp /bin/true "$tmp/setuid"
chown nobody "$tmp/setuid" 2> "$tmp/log" && chmod u+s "$tmp/setuid" &&
	[ -u "$tmp/setuid" ] && {
	try 1 -- "$tmp/setuid"
	says "setuid, which cannot be preloaded into"
}
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
gcc -shared -x c /dev/null -o "$tmp/libjli.so"
gcc "$tmp/main.c" -Wl,--no-as-needed,-rpath,"$tmp" -L"$tmp" -ljli \
	-o "$tmp/launcher"
off "it runs a Java virtual machine" "$tmp/launcher"
RUNNING_UNDER_RR=1 off "it runs under rr" true
exit "$bad"
