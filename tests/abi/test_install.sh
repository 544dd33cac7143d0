#!/bin/bash
# SPDX-License-Identifier: MIT
#
# make install: every file is where the .pc says, a program builds with it and
# runs, statically too, and make uninstall leaves nothing.

set -eu

cd "$(dirname "$0")/../.."
[ "${NB_BUILD:-release}" = release ] || { echo "release build only"; exit 77; }
dest=$(mktemp -d)
trap 'rm -rf "$dest"' EXIT
unset MAKEFLAGS MFLAGS MAKEOVERRIDES
make -s install PREFIX=/opt/nb DESTDIR="$dest" > "$dest/log" 2>&1 ||
	{ cat "$dest/log"; exit 1; }
root=$dest/opt/nb
for f in bin/numabal include/numabal.h lib/libnumabal.so lib/libnumabal.a \
	lib/libnumabal.so.0 lib/libnumabal-preload.so lib/pkgconfig/numabal.pc; do
	[ -e "$root/$f" ] || { echo "not installed: $f"; exit 1; }
done

if type -P pkg-config > /dev/null; then
	export PKG_CONFIG_PATH=$root/lib/pkgconfig
	pc=(pkg-config --define-variable=prefix="$root"
		--define-variable=libdir="$root/lib")
	version=$(pkg-config --modversion numabal)
	read -r -a flags < <("${pc[@]}" --cflags --libs numabal)
	read -r -a private < <("${pc[@]}" --static --libs-only-l numabal |
		sed 's/-lnumabal//')
else
	version=unknown
	flags=(-I"$root/include" -L"$root/lib" -lnumabal)
	private=(-lpthread -ldl)
fi
echo "version $version, flags ${flags[*]}"

gcc tests/abi/test_build.c "${flags[@]}" -Wl,-rpath,"$root/lib" \
	-o "$dest/shared"
"$dest/shared"
# The .a alone, with what the .pc says that it needs.
gcc -I"$root/include" tests/abi/test_build.c "$root/lib/libnumabal.a" \
	"${private[@]}" -o "$dest/archive"
"$dest/archive"

# As an administrator would see it: the tool finds its own libraries.
"$root/bin/numabal" run -- true

make -s uninstall PREFIX=/opt/nb DESTDIR="$dest" > /dev/null
left=$(find "$root" ! -type d)
[ -z "$left" ] || { echo "left behind: $left"; exit 1; }
