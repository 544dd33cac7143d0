#!/bin/sh
# SPDX-License-Identifier: MIT
#
# /init of a test guest (busybox sh): builds the guest's file system, runs the
# command and powers off.
#
# The host's `/` arrives read-only over 9p and gets an overlay in guest memory
# on top, so that everything can be written and nothing is kept. /proc, /sys,
# /dev and /tmp's rights are the guest's own. The wrapper `guest` adds
# /guest.conf (settings) and /guest.cmd (the command) to the initramfs; three
# virtio-serial ports carry standard output, standard error and the result.
# On the last, "started" comes before the command and "status N" after it:
# without the second, `guest` reports a failure of the guest.

export PATH=/bin

fail()
{
	echo "guest-init: $*" > /dev/console
	[ -z "$result" ] || echo "error $*" >&5
	poweroff -f
	sleep 60
}

port() # NAME: the device node of a virtio-serial port
{
	for p in /sys/class/virtio-ports/*; do
		[ "$(cat "$p/name" 2> /dev/null)" = "$1" ] || continue
		echo "/dev/${p##*/}"
		return 0
	done
	return 1
}

mount_9p() # TAG DIRECTORY OPTIONS
{
	mount -t 9p -o "trans=virtio,version=9p2000.L,msize=512000,$3" "$1" "$2"
}

result=
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
# shellcheck source=/dev/null
. /guest.conf
while read -r m; do
	insmod "/modules/$m.ko" || fail "cannot load module $m"
done < /modules/order

# The ports are announced by messages: they may take a moment. Each can be
# open only once.
tries=0
until result=$(port result) && out=$(port out) && err=$(port "$ERR"); do
	tries=$((tries + 1))
	[ $tries -lt 100 ] || fail "no virtio-serial ports"
	sleep 0.05
done

exec 3> "$out" 5> "$result"
if [ "$err" = "$out" ]; then
	exec 4>&3
else
	exec 4> "$err"
fi

mount_9p host /host ro,cache=loose || fail "cannot mount the host's file system"
mount -t tmpfs -o mode=755 top /top
mkdir /top/upper /top/work
mount -t overlay -o lowerdir=/host,upperdir=/top/upper,workdir=/top/work \
	over /root || fail "cannot mount the overlay"
for d in proc sys dev mnt run tmp; do
	[ -d /root/$d ] || mkdir -p /root/$d
done
mount -t proc proc /root/proc
mount -t sysfs sys /root/sys
mount -t devtmpfs dev /root/dev
mkdir -p /root/dev/shm /root/dev/pts
mount -t tmpfs -o mode=1777 shm /root/dev/shm
mount -t devpts pts /root/dev/pts
mount -t tmpfs -o mode=755 run /root/run
[ -e /dev/fd ] || ln -s /proc/self/fd /dev/fd
[ -e /dev/stdin ] || ln -s fd/0 /dev/stdin
[ -e /dev/stdout ] || ln -s fd/1 /dev/stdout
[ -e /dev/stderr ] || ln -s fd/2 /dev/stderr
if [ -n "$SHARE" ]; then
	mkdir -p /root/mnt/share
	mount_9p share /root/mnt/share rw,cache=none || fail "cannot mount the share"
fi
[ -z "$THP" ] || echo "$THP" > /sys/kernel/mm/transparent_hugepage/enabled ||
	fail "cannot set transparent huge pages to $THP"
cat /guest.cmd > /root/run/guest.cmd

# A session of its own: a command that kills its process group must not
# reach this script, which is process 1.
echo started >&5
setsid chroot /root /bin/sh /run/guest.cmd < /dev/null >&3 2>&4 3>&- 4>&- \
	5>&-
echo "status $?" >&5
poweroff -f
