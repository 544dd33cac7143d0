#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Each source says its licence in its first line (scripts: after "#!").

# shellcheck source=tests/lint/lib.sh
. "$(dirname "$0")/lib.sh"

others()
{
	find . \( -path ./build -o -path ./.git \) -prune -o -type f \
		\( -name '*.mk' -o -name '*.map' -o -name '*.def' -o \
		-name Makefile -o -name '*.py' \) -print
}

for f in $(c_files) $(script_files) $(others); do
	[ -s "$f" ] || continue
	head -n 2 "$f" | grep -q 'SPDX-License-Identifier: MIT' ||
		lint_fail "$f: no SPDX-License-Identifier: MIT line"
done
lint_end
