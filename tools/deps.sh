#!/bin/bash
# SPDX-License-Identifier: MIT
#
# deps.sh [--list] [GROUP...]: install the packages that numabal lacks here.
#
# Groups: build, test, demo, fuzz, compat (default: build test), as in deps.txt. Looks
# first at what is there and is silent when nothing is missing. Says what it
# installs; by apt, dnf or zypper; by sudo when not root; asks nothing.
# --list shows the table and what is present, and installs nothing.
#
# Exit status: 0; 1 when something that the build needs is still missing, or
# no package manager is known here. Tests that lack their tool skip.

set -u

here=$(cd "$(dirname "$0")" && pwd)

have() # PROBE
{
	local pattern

	case $1 in
	h:*) set -- "f:/usr/include/${1#h:} /usr/include/*/${1#h:}" ;;
	esac
	case $1 in
	f:*)
		for pattern in ${1#f:}; do
			compgen -G "$pattern" > /dev/null && return 0
		done
		return 1
		;;
	esac
	PATH=$PATH:/usr/sbin:/sbin type -P "$1" > /dev/null
}

manager() # prints apt, dnf or zypper
{
	local m

	for m in apt-get dnf zypper; do
		type -P "$m" > /dev/null && echo "${m%-get}" && return
	done
	return 1
}

# One line per row of the wanted groups: GROUPS|PROBE|PACKAGE|FOR WHAT
rows() # MANAGER GROUP...
{
	local col

	case $1 in apt) col=3 ;; dnf) col=4 ;; *) col=5 ;; esac
	shift
	awk -F ' *[|] *' -v col="$col" -v want="$*" '
	/^#/ { next }
	{
		n = split($1, g, " ")
		for (i = 1; i <= n; i++)
			if (index(" " want " ", " " g[i] " ")) {
				print $1 "|" $2 "|" $col "|" $6
				next
			}
	}' "$here/deps.txt"
}

missing() # MANAGER GROUP...: the packages that lack
{
	local probe pkg

	rows "$@" | while IFS='|' read -r _ probe pkg _; do
		[ "$pkg" = - ] || have "$probe" || echo "$pkg"
	done | sort -u
}

as_root()
{
	if [ "$(id -u)" = 0 ]; then
		"$@"
	else
		sudo "$@"
	fi
}

# The index of packages may be missing or older than the archive.
refresh() # MANAGER
{
	case $1 in
	apt) as_root apt-get -qq update ;;
	zypper) as_root zypper -q --non-interactive refresh ;;
	esac
}

install() # MANAGER PACKAGE...
{
	local m=$1

	shift
	case $m in
	apt)
		as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y \
			-o Dpkg::Use-Pty=0 install --no-install-recommends "$@"
		;;
	dnf) as_root dnf -q -y install "$@" ;;
	zypper) as_root zypper -q --non-interactive install "$@" ;;
	esac
}

list() # MANAGER GROUP...
{
	rows "$@" | while IFS='|' read -r groups probe pkg purpose; do
		have "$probe" && is=present || is=missing
		printf '%-9s %-8s %-22s %s\n' \
			"$groups" "$is" "$pkg" "$purpose"
	done
}

mode=install
[ "${1:-}" = --list ] && mode=list && shift
[ $# = 0 ] && set -- build test
m=$(manager) || m=
[ "$mode" = list ] && list "$m" "$@" && exit

mapfile -t lack < <(missing "${m:-apt}" "$@")
[ ${#lack[@]} = 0 ] && exit 0
if [ -z "$m" ]; then
	echo "deps: no apt, dnf or zypper here; needed:" \
		"${lack[*]} (Debian's names)" >&2
	exit 1
fi
if [ "$(id -u)" != 0 ] && ! type -P sudo > /dev/null; then
	echo "deps: not root and no sudo; needed: ${lack[*]}" >&2
	exit 1
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
echo "deps: installing with $m: ${lack[*]}"
refresh "$m" >> "$log" 2>&1
if ! install "$m" "${lack[@]}" >> "$log" 2>&1; then
	# One that this release does not have must not keep out the others.
	for p in "${lack[@]}"; do
		install "$m" "$p" >> "$log" 2>&1
	done
fi
mapfile -t lack < <(missing "$m" "$@")
[ ${#lack[@]} = 0 ] && exit 0
echo "deps: could not install: ${lack[*]}" >&2
[ -z "$(missing "$m" build)" ] && exit 0
tail -n 20 "$log" >&2
exit 1
