# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# debian.sh: sourced by the tests here. Packages of other Debian releases than
# this machine's, by an apt that knows nothing of this machine, unpacked into
# folders and never installed. Kept in build/libc; needs no root.
#
# NB_DEBIAN: the mirror.

set -u

cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
cache=$(realpath -m "${NUMABAL_BUILD:-build}")/libc
export LC_ALL=C
bad=0

skip() # WHY
{
	echo "$*"
	exit 77
}

fail() # WHAT
{
	echo "FAIL $*"
	# shellcheck disable=SC2034 # theirs
	bad=1
}

case ${NB_BUILD:-release} in
asan | tsan) skip "sanitizers cannot be preloaded into plain programs" ;;
esac
[ "$(uname -m)" = x86_64 ] || skip "x86-64 only"
for tool in apt-get apt-cache dpkg-deb; do
	type -P "$tool" > /dev/null || skip "no $tool"
done
keys=/usr/share/keyrings/debian-archive-keyring.gpg
[ -e "$keys" ] || skip "no $keys"

apt() # SUITE COMMAND...
{
	local dir=$cache/apt/$1 tool=$2

	shift 2
	timeout 600 "$tool" -qq -o APT::Get::Assume-Yes=true -o Dir::Etc::sourcelist="$dir/sources.list" \
		-o Dir::Etc::sourceparts=/dev/null -o Dir::Cache="$dir/cache" \
		-o Dir::State::lists="$dir/lists" \
		-o Dir::State::status="$dir/status" \
		-o APT::Sandbox::User="$(id -un)" -o Acquire::Languages=none \
		-o Acquire::Retries=2 "$@"
}

# A release that is over is in the archive of old ones alone.
suite() # SUITE: its list of packages is here, and not older than a day
{
	local dir=$cache/apt/$1 mirror

	mkdir -p "$dir"/lists/partial "$dir"/cache/archives/partial
	: > "$dir/status"
	[ -z "$(find "$dir/done" -mmin -1440 2> /dev/null)" ] || return 0
	for mirror in "${NB_DEBIAN:-http://deb.debian.org/debian}" \
		http://archive.debian.org/debian; do
		echo "deb [signed-by=$keys] $mirror $1 main" \
			> "$dir/sources.list"
		apt "$1" apt-get -o Acquire::Check-Valid-Until=false \
			-o APT::Update::Error-Mode=any update \
			> "$dir/log" 2>&1 && touch "$dir/done" && return 0
	done
	echo "Debian $1 cannot be had: $(tail -n 1 "$dir/log")"
	return 1
}

version() # SUITE PACKAGE
{
	apt "$1" apt-cache policy "$2" | sed -n 's/^ *Candidate: //p'
}

# Each package once; what has been unpacked stays.
unpack() # SUITE FOLDER APT-COMMAND PACKAGE...
{
	local suite=$1 folder=$2 dir=$cache/apt/$1 deb how=$3

	shift 3
	mkdir -p "$folder/.unpacked"
	apt "$suite" apt-get --no-install-recommends --download-only \
		"$how" "$@" > "$dir/log" 2>&1 || {
		echo "packages of $suite cannot be had: $(tail -n 1 "$dir/log")"
		return 1
	}
	for deb in "$dir"/cache/archives/*.deb; do
		[ ! -e "$folder/.unpacked/${deb##*/}" ] || continue
		dpkg-deb -x "$deb" "$folder" || return 1
		touch "$folder/.unpacked/${deb##*/}"
	done
}
