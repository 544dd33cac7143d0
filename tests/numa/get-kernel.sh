#!/bin/bash
# SPDX-License-Identifier: MIT
#
# get-kernel.sh DIR: a kernel for the test guests in DIR/kernel.
#
# Makes DIR/kernel with `vmlinuz`, `modules/`, `release` (its version) and,
# where it could be unpacked, `vmlinux`. The kernel is the newest signed
# Debian one that apt knows, downloaded and unpacked but never installed; when
# apt has none, the host's own in /boot. Debian's "cloud" flavour is smaller
# but has no 9p, by which the guest sees the host's files: hence the general
# one. What is there already is kept; remove DIR/kernel for a newer one.
# Several callers at once are fine, and so is a user who is not root.
#
# NUMABAL_GUEST_KERNEL=PATTERN chooses among the package names (a grep -E
# pattern). Exit status: 0, or 1 with a line on standard error.

set -eu

# Every name that can still be downloaded ends like this; -dbg, -unsigned,
# -rt and -cloud are other packages.
pattern=${NUMABAL_GUEST_KERNEL:-'^linux-image-[0-9]+\.[0-9]+[0-9.+~a-z-]*-amd64$'}
attempts=4

die()
{
	echo "get-kernel: $*" >&2
	exit 1
}

candidates() # newest first
{
	apt-cache pkgnames linux-image- 2> /dev/null | grep -E "$pattern" |
		grep -v -E -e '-(rt|cloud|dbg|unsigned)(-|$)' | sort -rV |
		head -n "$attempts"
}

# The index may be older than the archive, which drops superseded kernels:
# then the next older name may still be there.
fetch() # DIR: a package from apt, unpacked into DIR
{
	local name

	command -v apt-get > /dev/null || return 1
	command -v dpkg-deb > /dev/null || return 1
	for name in $(candidates); do
		rm -f "$1"/*.deb
		(cd "$1" && timeout 900 apt-get -q download "$name") \
			> "$1/apt.log" 2>&1 || continue
		dpkg-deb -x "$1"/*.deb "$1" 2>> "$1/apt.log" && return 0
	done
	return 1
}

from_host() # DIR: the host's own newest kernel, if it can be read
{
	local img rel

	for img in $(printf '%s\n' /boot/vmlinuz-* | sort -rV); do
		rel=${img#/boot/vmlinuz-}
		[ -r "$img" ] || continue
		[ -d "/lib/modules/$rel/kernel" ] || continue
		mkdir -p "$1/boot" "$1/lib/modules"
		cp "$img" "$1/boot/"
		cp -r "/lib/modules/$rel" "$1/lib/modules/"
		return 0
	done
	return 1
}

# Unpacking the kernel inside the guest costs seconds under emulation. With
# the ELF image QEMU starts it at its PVH entry, without BIOS code for it.
# The numbers are those of the kernel's boot protocol: setup_sects at 0x1f1,
# payload_offset and payload_length at 0x248.
unpack_kernel() # VMLINUZ OUTPUT: 0 when OUTPUT is the whole ELF image
{
	local sects off len size

	sects=$(od -An -tu1 -j $((0x1f1)) -N 1 "$1" | tr -d ' ')
	read -r off len < <(od -An -tu4 -j $((0x248)) -N 8 "$1")
	off=$((off + (sects + 1) * 512))
	size=$(od -An -tu4 -j $((off + len - 4)) -N 4 "$1" | tr -d ' ')
	tail -c +$((off + 1)) "$1" | head -c $((len - 4)) > "$2.z"
	case $(od -An -tx1 -N 4 "$2.z" | tr -d ' ') in
	28b52ffd) zstd -qdc "$2.z" > "$2" 2> /dev/null ;;
	fd377a58) xz -dc "$2.z" > "$2" 2> /dev/null ;;
	1f8b*) gzip -dc "$2.z" > "$2" 2> /dev/null ;;
	*) false ;;
	esac || { rm -f "$2" "$2.z"; return 1; }
	rm -f "$2.z"
	[ "$(stat -c %s "$2")" = "$size" ] || { rm -f "$2"; return 1; }
}

[ $# -eq 1 ] || die "usage: get-kernel.sh DIR"
dir=$1
mkdir -p "$dir" || die "cannot make $dir"
[ -s "$dir/kernel/release" ] && exit 0
exec 9> "$dir/lock"
flock 9
[ -s "$dir/kernel/release" ] && exit 0

rm -rf "$dir/kernel" "$dir/unpack"
mkdir "$dir/unpack"
echo "get-kernel: fetching a kernel for the test guests (once)" >&2
fetch "$dir/unpack" || from_host "$dir/unpack" ||
	die "no kernel: apt-get download failed and /boot has none to read" \
	    "(see $dir/unpack/apt.log)"
mkdir "$dir/kernel"
cp "$dir/unpack"/boot/vmlinuz-* "$dir/kernel/vmlinuz"
mods=("$dir/unpack"/lib/modules/*)
[ -d "${mods[0]}" ] || mods=("$dir/unpack"/usr/lib/modules/*)
mv "${mods[0]}" "$dir/kernel/modules"
unpack_kernel "$dir/kernel/vmlinuz" "$dir/kernel/vmlinux" ||
	echo "get-kernel: the kernel stays packed: guests start slower" >&2
rm -rf "$dir/unpack"
# Last: this file says that the rest is whole.
basename "${mods[0]}" > "$dir/kernel/release"
