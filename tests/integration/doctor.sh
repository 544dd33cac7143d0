# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# doctor.sh: sourced by the tests of numabal doctor.

# shellcheck source=tests/integration/preload.sh
. "${BASH_SOURCE[0]%/*}/preload.sh"

numabal=$NB_OUT/numabal
unset LD_PRELOAD "${!NUMABAL@}"

# try STATUS ARGUMENT...: standard output is in $tmp/out
try()
{
	local want=$1 rc
	shift
	"$numabal" doctor "$@" > "$tmp/out" 2> "$tmp/err"
	rc=$?
	[ "$rc" = "$want" ] || fail "doctor $*: exit status $rc, not $want"
}

says() # TEXT: in the output of the last try
{
	grep -qF -- "$1" "$tmp/out" || {
		fail "not said: $1"
		sed 's/^/  | /' "$tmp/out"
	}
}

# field NAME: of the command, in the JSON of the last try
field()
{
	sed -n "s/.*\"command\":{.*\"$1\":\"\([^\"]*\)\".*/\1/p" "$tmp/out"
}
