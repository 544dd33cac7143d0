#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The site finder on the libcs of Debian's releases, from glibc 2.31 to the
# newest, and on musl. Of each file: objdump sees the same sites, no branch
# leads into a window, none is unguarded without a reason, and of glibc none is
# unguarded at all. Of files that are in sites.golden, by their build-ids, the
# numbers by kind are as they are there. (x86-64: there is no guard elsewhere.)
#
# Versions come and go: one that is not in sites.golden is printed as a line to
# add, one that is not to be had any more is told of.
# timeout: 1200

# shellcheck source=tests/libc/debian.sh
. "$(dirname "$0")/debian.sh"

golden=$PWD/tests/libc/sites.golden
finder=${NB_OUT:-$PWD/build}/tests/integration/test_site_windows
[ -x "$finder" ] || skip "no $finder"
for tool in objdump readelf; do
	type -P "$tool" > /dev/null || skip "no $tool"
done
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
seen=0

build_id() # FILE
{
	readelf -n "$1" 2> /dev/null | sed -n 's/^ *Build ID: //p' | head -n 1
}

check() # SUITE PACKAGE FILE
{
	local id counts want name

	id=$(build_id "$3")
	name=$(basename "$3")
	"$finder" "$3" > "$tmp/out" 2>&1 || {
		fail "$1 $2 $3"
		grep -v '^counts\|^unguarded' "$tmp/out"
	}
	counts=$(sed -n 's/^counts //p' "$tmp/out")
	echo "$1: $2 $(version "$1" "$2") $name: $counts"
	sed -n 's/^unguarded.*: /    unguarded: /p' "$tmp/out" | sort | uniq -c
	[ -n "$counts" ] || fail "no counts of $3"
	case $2$counts in
	musl* | *" unguarded=0") ;;
	*) fail "$1 $2 $name: not all is guarded" ;;
	esac
	seen=$((seen + 1))
	echo "$id" >> "$tmp/ids"
	want=$(sed -n "s/^$id [^ ]* [^ ]* //p" "$golden")
	if [ -z "$want" ]; then
		echo "not in ${golden##*/} yet:"
		echo "$id $(version "$1" "$2") $name $counts"
	elif [ "$want" != "$counts" ]; then
		fail "$1 $2 $name: expected $want"
	fi
}

check_suite() # SUITE
{
	local dir f p

	suite "$1" || return
	for p in libc6 musl; do
		dir=$cache/files/$p-$(version "$1" "$p")
		mkdir -p "$dir"
		[ -e "$dir/usr" ] || {
			(cd "$dir" && apt "$1" apt-get download "$p") &&
				dpkg-deb -x "$dir"/*.deb "$dir"
		} > "$tmp/log" 2>&1 || {
			echo "$1: no $p: $(tail -n 1 "$tmp/log")"
			continue
		}
		for f in $(find "$dir" -type f -name 'libc.so*' -o \
			-type f -name 'libc-2*.so' -o \
			-type f -name 'libpthread-2*.so' -o \
			-type f -name 'ld-linux-x86-64.so.2' -o \
			-type f -name 'ld-2*.so' | sort); do
			check "$1" "$p" "$f"
		done
	done
}

: > "$tmp/ids"
for s in ${LIBC_SUITES:-bullseye bookworm trixie sid}; do
	check_suite "$s"
done
[ "$seen" -gt 0 ] || skip "no libc could be had"
while read -r id version name _; do
	case $id in '#') continue ;; esac
	grep -q "^$id" "$tmp/ids" ||
		echo "$name $version ($id) is not to be had any more"
done < "$golden"
exit "$bad"
