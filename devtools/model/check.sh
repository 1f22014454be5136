#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# devtools/model/check.sh [MODEL...]: check every model of this folder with spin, and then each of its
# mutants, which spin must catch. A mutant is a name MUTANT_x in the model's text. One line each, and
# one for the functions that the models cite, which must exist; the last line is "N passed, N failed".
# Installs spin from Debian when it is not there.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
# shellcheck source-path=SCRIPTDIR source=../../scripts/lib.sh
. "$top/scripts/lib.sh"

passed=0 failed=0
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

result()
{
	local verdict=$1 what=$2
	if [ "$verdict" = ok ]; then
		passed=$((passed + 1))
		echo "$what"
	else
		failed=$((failed + 1))
		echo "FAILED: $what"
	fi
}

install_spin()
{
	! command -v spin >/dev/null || return 0
	can_root || die "needs root (or sudo without a password) to install spin"
	say "installing the Debian package spin"
	as_root apt-get -q update >"$tmp/apt.log" 2>&1 || true
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends \
		-o DPkg::Lock::Timeout=300 install spin </dev/null >>"$tmp/apt.log" 2>&1 ||
		{ tail -n 10 "$tmp/apt.log" >&2; die "apt-get could not install spin"; }
}

# explore MODEL [-DMUTANT]: search the whole state space. "errors" has what spin says of it: 0, a number,
# or nothing when the search did not come to its end.
explore()
{
	local model=$1
	shift
	errors='' states='' why=''
	rm -rf "$tmp/run"
	mkdir "$tmp/run"
	cp "$here"/*.pml "$tmp/run"
	# NOREDUCE: spin cannot see what the C of c11.pml touches. No bound of its own: all or nothing.
	(
		cd "$tmp/run" || exit
		spin "$@" -a "$model.pml" &&
			cc -w -DSAFETY -DNOREDUCE -DVECTORSZ=4096 -DMEMLIM=2048 -o pan pan.c &&
			timeout -k 5 300 ./pan -n -m100000
	) >"$tmp/log" 2>&1 || { why="exit status $?"; return; }
	why=$(sed -n 's/^pan:1: //p' "$tmp/log" | head -n 1)
	errors=$(sed -n 's/^State-vector.*errors: \([0-9]*\)$/\1/p' "$tmp/log")
	states=$(sed -n 's/^ *\([0-9]*\) states, stored.*/\1/p' "$tmp/log")
	if grep -q 'max search depth too small\|memory limit' "$tmp/log"; then
		errors=
		why="not all states were looked at"
	fi
}

check()
{
	local model=$1 mutant
	explore "$model"
	if [ "$errors" = 0 ]; then
		result ok "$model: holds ($states states)"
	else
		result bad "$model: ${why:-no verdict}"
		tail -n 5 "$tmp/log"
	fi
	while read -r mutant; do
		explore "$model" "-D$mutant"
		if [ "${errors:-0}" -gt 0 ]; then
			result ok "$model $mutant: caught ($why)"
		else
			result bad "$model $mutant: not caught ${why:+($why)}"
		fi
	done < <(grep -o 'MUTANT_[A-Z0-9_]*' "$here/$model.pml" | sort -u)
}

# Each FILE:FUNCTION in a model is code of this tree.
cited()
{
	local all=0 bad=0 cite file name
	while read -r cite; do
		file=${cite%:*}
		name=${cite#*:}
		all=$((all + 1))
		grep -qE "(^|[^a-z0-9_])$name\(" "$top/$file" 2>/dev/null ||
			{ echo "$cite does not exist"; bad=1; }
	done < <(grep -ohE '(lib|kmod|drivers)/[a-z_/]+\.[ch]:[a-z0-9_]+' "$here"/*.pml | sort -u)
	if [ "$bad" = 0 ] && [ "$all" -gt 0 ]; then
		result ok "citations: $all functions, all there"
	else
		result bad "citations: a model stands for code that is not there"
	fi
}

install_spin
if [ $# = 0 ]; then
	# What has no init is there to be included.
	mapfile -t models < <(cd "$here" && grep -l '^init' ./*.pml | sed 's,^\./,,; s,\.pml$,,')
	set -- "${models[@]}"
fi
cited
for model in "$@"; do
	check "$model"
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
