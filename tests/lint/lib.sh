#!/bin/bash
# SPDX-License-Identifier: MIT
#
# lib.sh: what the lint checks share; they source it and finish with lint_end.
# Run by itself, `lib.sh sources` lists the C files of the project.
#
# NB_LINT_ROOT: another folder to check (selftest.sh); default the project.

set -u

cd "${NB_LINT_ROOT:-$(dirname "${BASH_SOURCE[0]}")/../..}" || exit 1
# shellcheck disable=SC2034 # used by those that source this
lint_obj=build/obj/${NB_BUILD:-release}
lint_bad=0

c_files() # [FOLDER...]
{
	[ $# -gt 0 ] || set -- include lib preload tools examples bench tests
	find "$@" -name '*.[ch]' -o -name '*.cc' 2> /dev/null | LC_ALL=C sort
}

# Every script: by its name or by its first line.
script_files()
{
	find . \( -path ./build -o -path ./.git \) -prune -o -type f -print |
		while read -r f; do
			case $f in
			*.sh) echo "$f" ;;
			*.*[!/]) [[ $f == ./.ci/* ]] && echo "$f" ;;
			*) head -c 64 "$f" | head -n 1 |
				grep -aqE '^#!.*sh$' && echo "$f" ;;
			esac
		done | sed 's|^\./||' | LC_ALL=C sort
}

lint_fail() # MESSAGE...
{
	echo "$*"
	lint_bad=1
}

lint_skip() # MESSAGE...
{
	echo "$*"
	exit 77
}

lint_end()
{
	exit "$lint_bad"
}

if [ "${BASH_SOURCE[0]}" = "$0" ] && [ "${1:-}" = sources ]; then
	c_files
fi
