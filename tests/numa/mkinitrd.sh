#!/bin/bash
# SPDX-License-Identifier: MIT
#
# mkinitrd.sh KERNEL_DIR OUTPUT: the small first file system of a test guest.
#
# KERNEL_DIR is what get-kernel.sh made: `vmlinuz` and `modules/`. OUTPUT is a
# cpio archive with a static busybox, guest-init.sh as /init and the modules
# that lead to the host's file system: 9p over virtio, and overlay. Everything
# else the guest runs comes from the host through that share, so this file
# does not depend on what is tested and is rebuilt only when the kernel,
# busybox, guest-init.sh or this script changes.
#
# Exit status: 0, or 1 with one line on standard error.

set -eu

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

die()
{
	echo "mkinitrd: $*" >&2
	exit 1
}

[ $# -eq 2 ] || die "usage: mkinitrd.sh KERNEL_DIR OUTPUT"
kdir=$1
out=$2
wanted="virtio_pci virtio_console 9pnet_virtio 9p overlay"

find_busybox()
{
	local b

	for b in /bin/busybox /usr/bin/busybox /usr/bin/busybox-static; do
		[ -x "$b" ] || continue
		# A dynamically linked one would need its libraries in here.
		ldd "$b" 2>&1 | grep -q -e 'not a dynamic' -e 'statically' &&
			echo "$b" && return
	done
	die "no static busybox (Debian: busybox-static)"
}

stale()
{
	local f

	[ -s "$out" ] || return 0
	for f in "$busybox" "$here/guest-init.sh" "$here/mkinitrd.sh" \
		 "$kdir/vmlinuz"; do
		[ "$f" -nt "$out" ] && return 0
	done
	return 1
}

unpack_module() # FILE: the module itself on standard output
{
	case $1 in
	*.xz) "$busybox" unxz -c "$1" ;;
	*.gz) "$busybox" zcat "$1" ;;
	*.zst) zstd -qdc "$1" ;;
	*) cat "$1" ;;
	esac
}

# A freshly unpacked package has no modules.dep (depmod writes it when the
# package is installed), so the dependencies are read from the modules.
add_module() # NAME
{
	local file dep pat=${1//[-_]/[-_]}

	case " $done_list " in *" $1 "*) return 0 ;; esac
	done_list="$done_list $1"
	grep -q -E "/$pat\.ko$" "$kdir/modules/modules.builtin" && return 0
	file=$(find "$kdir/modules/" -regex ".*/${1//[-_]/[-_]}\.ko\(\.[a-z]+\)?")
	[ -n "$file" ] || die "this kernel has no module $1"
	unpack_module "$file" > "$tmp/modules/$1.ko" ||
		die "cannot unpack $file"
	# No pipe into `head` or `grep -m1`: their early exit would count as
	# an error of the whole pipe.
	for dep in $(tr '\0' '\n' < "$tmp/modules/$1.ko" |
		     sed -n 's/^depends=//p' | tr , ' '); do
		add_module "$dep"
	done
	echo "$1" >> "$tmp/modules/order"
}

busybox=$(find_busybox)
stale || exit 0
command -v cpio > /dev/null || die "no cpio"

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp"/{bin,dev,proc,sys,host,top,root,modules}
cp "$busybox" "$tmp/bin/busybox"
for applet in sh mount umount insmod mkdir mknod cat chroot poweroff sleep \
	      ln setsid; do
	ln -s busybox "$tmp/bin/$applet"
done
cp "$here/guest-init.sh" "$tmp/init"
chmod 755 "$tmp/init"
done_list=
: > "$tmp/modules/order"
for name in $wanted; do
	add_module "$name"
done
# The name changes only when the content is whole: another guest may be
# reading the old one at this moment.
(cd "$tmp" && find . | cpio -o -H newc --quiet -R 0:0) > "$out.$$"
mv "$out.$$" "$out"
