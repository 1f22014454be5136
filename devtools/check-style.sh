#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What a script can see of the house style, in every file that git knows or would add. Prints each
# finding as FILE: WHAT, and fails when there is one.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

files=$(git -c safe.directory='*' ls-files -co --exclude-standard) || exit 1
found=0
note()
{
	echo "$*"
	found=1
}

while read -r file; do
	[ -f "$file" ] || continue
	case $file in
	*.c | *.h | *.S | *.sh | *.py | meson.build | */meson.build | meson_options.txt | .ci/run | */Kbuild | */Makefile)
		head -n 3 "$file" | grep -q 'SPDX-License-Identifier: ' ||
			note "$file: no SPDX line"
		;;
	*) continue ;;
	esac
	lines=$(wc -l <"$file")
	[ "$lines" -le 500 ] || note "$file: $lines lines, more than 500"
	case $file in
	devtools/check-style.sh) ;;
	*)
		mark=$(grep -nwE 'TODO|FIXME|XXX|HACK' "$file" | head -n 1)
		[ -z "$mark" ] || note "$file:$mark"
		;;
	esac
	blank=$(grep -nE '[[:space:]]+$' "$file" | head -n 1 | cut -d: -f1)
	[ -z "$blank" ] || note "$file:$blank: white space at the end of the line"
	case $file in
	*.sh | .ci/run)
		if command -v shellcheck >/dev/null; then
			shellcheck -x "$file" || found=1
		fi
		;;
	esac
done <<<"$files"
exit "$found"
