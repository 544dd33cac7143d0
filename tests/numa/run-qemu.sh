# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# One guest from its command line to its verdict; sourced by guest.
#
# Uses guest's variables: tmp (a directory of this run), build, the options
# (append, balancing, cpu, env, keep, limit, share, thp, err_port) and what
# topology_args left. qemu_command fills qemu[], write_command puts the
# command into an initramfs, run_qemu runs it with its output passed on, and
# verdict ends the script, or returns when the guest should boot again.

# The options are set by guest.
# shellcheck disable=SC2154

quote() # STRING: for a POSIX shell
{
	printf "'%s'" "${1//\'/\'\\\'\'}"
}

# What the guest is to do, as a second archive behind the common one: the
# kernel unpacks both.
write_command() # COMMAND...
{
	local e d=$tmp/cmd

	mkdir "$d"
	printf 'SHARE=%s\nTHP=%s\nERR=%s\n' "${share:+1}" "$thp" \
		"$err_port" > "$d/guest.conf"
	{
		echo "cd $(quote "$PWD") || cd /"
		for e in "PATH=$PATH" "HOME=${HOME:-/}" "${env[@]}"; do
			echo "export ${e%%=*}=$(quote "${e#*=}")"
		done
		printf exec
		for e; do printf ' %s' "$(quote "$e")"; done
		echo
	} > "$d/guest.cmd"
	(cd "$d" && printf '%s\n' guest.conf guest.cmd |
		cpio -o -H newc --quiet) | cat "$build/initrd" - > "$tmp/initrd"
}

# ioeventfd=off: QEMU handles a write of the guest before the guest goes on,
# so nothing can be left behind when it powers off.
qemu_command() # fills qemu[]
{
	local kernel=$build/kernel/vmlinux accel=tcg,thread=multi p

	[ -s "$kernel" ] || kernel=$build/kernel/vmlinuz
	[ "$cpu" = max ] || accel=kvm
	# shellcheck disable=SC2054 # the commas are QEMU's
	qemu=(qemu-system-x86_64 -machine q35 -accel "$accel" -cpu "$cpu"
	      -nodefaults -display none -no-reboot
	      "${topo_args[@]}" -kernel "$kernel" -initrd "$tmp/initrd"
	      -append "console=ttyS0 quiet loglevel=1 panic=-1 \
tsc=reliable cryptomgr.notests mitigations=off \
numa_balancing=$balancing$topo_append$append"
	      -serial "file:$tmp/console.log"
	      -device virtio-serial-pci,ioeventfd=off
	      -virtfs "local,path=/,mount_tag=host,security_model=none,\
readonly=on,multidevs=remap,id=host")
	for p in out err result; do
		[ $p = err ] && [ "$err_port" = out ] && continue
		qemu+=(-chardev "file,id=$p,path=$tmp/$p"
		       -device "virtserialport,chardev=$p,name=$p")
	done
	[ -z "$share" ] || qemu+=(-virtfs "local,path=${share//,/,,},\
mount_tag=share,security_model=none,id=share")
}

# The guest's output goes to files, which take it at any speed, and from
# there to us: `tail --pid` reads the rest after QEMU ended, then stops.
run_qemu()
{
	local p

	: > "$tmp/out"
	: > "$tmp/result"
	[ "$err_port" = out ] || : > "$tmp/err"
	timeout -k 5 "$limit" "${qemu[@]}" \
		< /dev/null > /dev/null 2> "$tmp/qemu.log" &
	pid=$!
	trap 'kill "$pid" 2> /dev/null; wait "$pid"; exit 125' INT TERM HUP
	tail -c +1 -s 0.1 -f --pid="$pid" "$tmp/out" &
	readers=("$!")
	if [ "$err_port" = err ]; then
		tail -c +1 -s 0.1 -f --pid="$pid" "$tmp/err" >&2 &
		readers+=("$!")
	fi
	qemu_status=0
	wait "$pid" || qemu_status=$?
	for p in "${readers[@]}"; do
		wait "$p" || true
	done
}

# Tells what became of the guest. A guest that failed leaves its log.
verdict()
{
	local word value why

	read -r word value < <(tail -n 1 "$tmp/result") || true
	if [ "${word-}" = status ] && [[ $value =~ ^[0-9]+$ ]]; then
		[ "$keep" = 0 ] || echo "guest: log kept in $(save_log)" >&2
		exit "$value"
	elif [ "${word-}" = error ]; then
		why=$value
	elif [ "$qemu_status" -eq 124 ] || [ "$qemu_status" -eq 137 ]; then
		why="no end after $limit s"
	elif [ "$qemu_status" -ne 0 ]; then
		why="QEMU failed: $(tail -n 1 "$tmp/qemu.log")"
	elif grep -a -q 'Kernel panic' "$tmp/console.log"; then
		why=$(grep -a -o 'Kernel panic.*' "$tmp/console.log" |
		      tr -d '\r' | tail -n 1)
	else
		why="it stopped without a result"
	fi
	# Under emulation (seen with QEMU 7.2, a few boots in a hundred) a
	# kernel that patches its own code while several CPUs run can die of
	# a breakpoint that it has already taken away. Nothing of the command
	# has run yet, so it may simply boot again.
	if [ ! -s "$tmp/result" ] && [ $((attempts += 1)) -lt 5 ] &&
	   grep -a -q 'Oops: int3' "$tmp/console.log"; then
		[ "$keep" = 0 ] ||
			echo "guest: $why; log: $(save_log); again" >&2
		return 1
	fi
	die "$topology guest: $why; log: $(save_log)"
}

save_log()
{
	local log

	log=$(mktemp "$build/log.XXXXXX")
	cat "$tmp/qemu.log" "$tmp/console.log" > "$log" 2> /dev/null || true
	mv "$log" "$log.txt"
	echo "$log.txt"
}
