#!/bin/bash
# SPDX-License-Identifier: MIT
#
# root.sh FOLDER OUT COMMAND...: run a command in a folder with another system
# in it, in a mount namespace of its own. There, this repository is /nb and the
# folder of what was built from it, OUT, is /out.

set -eu

folder=$1 out=$2
shift 2
mkdir -p "$folder"/{nb,out,proc,dev,sys,tmp}
[ "${NB_IN_NAMESPACE:-}" = 1 ] || {
	user=(-r)
	[ "$(id -u)" != 0 ] || user=()
	NB_IN_NAMESPACE=1 exec unshare -m "${user[@]}" \
		"$0" "$folder" "$out" "$@"
}
for d in proc dev sys; do
	mount --rbind "/$d" "$folder/$d"
done
mount --bind "$(cd "$(dirname "$0")/../.." && pwd)" "$folder/nb"
mount --bind "$out" "$folder/out"
unset NB_IN_NAMESPACE
exec chroot "$folder" /usr/bin/env -i PATH=/usr/sbin:/usr/bin HOME=/root \
	TMPDIR=/tmp NB_OUT=/out "$@"
