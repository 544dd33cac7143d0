#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The checks must object to what they are for: each is shown a small tree with
# one fault in it, and the same tree without.

set -eu

lint=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$lint/../.." && pwd)
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
export NB_LINT_ROOT=$root NB_BUILD=release NB_OUT=$root/build
bad=0

compile() # SOURCE
{
	mkdir -p "$root/build/obj/release/${1%/*}"
	gcc -std=gnu11 -O2 -c -o "$root/build/obj/release/${1%.c}.o" "$root/$1"
}

# A tree that every check is content with.
fresh()
{
	local f

	rm -rf "$root"
	mkdir -p "$root"/lib/{base,policy,plat,mech} "$root"/{include,tests}
	cp "$top/lib/README.md" "$root/lib/"
	cp "$top/include/numabal.h" "$root/include/"
	printf '%s\n' '/* SPDX-License-Identifier: MIT */' \
		'#include <stdint.h>' '' '/**' ' * nb_ok() - fine' ' *' \
		' * Context: any' ' * Return: @a' ' */' \
		'int nb_ok(int a);' 'int nb_ok(int a)' '{' '	return a;' '}' \
		> "$root/lib/policy/ok.c"
	sed 's/nb_ok/nb_fine/' "$root/lib/policy/ok.c" > "$root/lib/base/fine.c"
	compile lib/policy/ok.c
	compile lib/base/fine.c
	# All that sigsafe.sh wants to see.
	for f in $(sed -n "/^files='/,/'\$/p" "$lint/sigsafe.sh" |
		tr -d "'" | sed 's/^files=//'); do
		mkdir -p "$root/lib/${f%/*}"
		sed "s/nb_ok/nb_${f#*/}/" "$root/lib/policy/ok.c" \
			> "$root/lib/$f.c"
		compile "lib/$f.c"
	done
}

accepts() # CHECK
{
	"$lint/$1.sh" > "$root/out" 2>&1 && return
	echo "$1.sh objects to a sound tree:"
	cat "$root/out"
	bad=1
}

# The tree has its fault: the check must fail and its message must match.
objects() # CHECK PATTERN
{
	if "$lint/$1.sh" > "$root/out" 2>&1; then
		echo "$1.sh does not object to: $2"
	elif ! grep -qE "$2" "$root/out"; then
		echo "$1.sh says the wrong thing (expected: $2):"
		cat "$root/out"
	else
		fresh
		return
	fi
	bad=1
	fresh
}

fresh
for check in purity sigsafe layering spdx size docs; do
	accepts "$check"
done

cat >> "$root/lib/policy/ok.c" <<-END
	#include <time.h>
	long nb_clock(void) { return time(0); }
END
compile lib/policy/ok.c
objects purity 'lib/policy/ok.c: calls time\(\)'

echo 'long time(long *); long nb_t(void) { return time(0); }' \
	>> "$root/lib/base/fine.c"
compile lib/base/fine.c
objects purity 'lib/base/fine.c: calls time\(\)'

echo 'int nb_sys(void); int nb_s(void) { return nb_sys(); }' \
	>> "$root/lib/policy/ok.c"
compile lib/policy/ok.c
objects purity 'calls nb_sys\(\)'

echo 'int nb_counter(void) { static int n; return ++n; }' \
	>> "$root/lib/policy/ok.c"
compile lib/policy/ok.c
objects purity 'variable n'

echo 'int nb_half(int a) { return (int)((double)a / 2); }' \
	>> "$root/lib/policy/ok.c"
compile lib/policy/ok.c
objects purity 'floating point'

echo '#include <time.h>' >> "$root/lib/policy/ok.c"
objects layering 'lib/policy/ok.c: may not include <time.h>'

echo '#include "../mech/arm.h"' >> "$root/lib/policy/ok.c"
touch "$root/lib/mech/arm.h"
objects layering 'lib/policy/ok.c: may not include lib/mech/arm.h'

echo '#include "../policy/scan.h"' >> "$root/lib/mech/arm.c"
touch "$root/lib/policy/scan.h"
objects layering 'lib/mech/arm.c: may not include lib/policy/scan.h'

echo 'void *malloc(unsigned long); void *nb_m(void) { return malloc(9); }' \
	>> "$root/lib/mech/hint_fault.c"
compile lib/mech/hint_fault.c
objects sigsafe 'lib/mech/hint_fault.c: uses malloc'

sed -i 1d "$root/lib/mech/arm.c"
objects spdx 'lib/mech/arm.c'

yes '' | head -n 300 >> "$root/lib/policy/ok.c"
objects size 'lib/policy/ok.c: 31[0-9] lines, limit 300'

{
	printf 'int nb_long(int a)\n{\n'
	yes '	a++;' | head -n 61
	printf '}\n'
} >> "$root/lib/mech/arm.c"
objects size 'function of 61 lines'

printf 'int nb_many(int a, int b, int c, int d,\n\tint e, int f)\n{\n}\n' \
	>> "$root/lib/mech/arm.c"
objects size 'more than 5 parameters'

printf '\nint nb_silent(void)\n{\n\treturn 0;\n}\n' >> "$root/lib/mech/arm.c"
objects docs 'nb_silent\(\) has no kernel-doc'

sed -i 's/numabal_version() - /the /' "$root/include/numabal.h"
objects docs 'numabal_version\(\) has no kernel-doc'

exit "$bad"
