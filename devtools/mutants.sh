#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# devtools/mutants.sh [NAME...]: take one memory order of doc/ordering.md away at a time, and see that
# ThreadSanitizer reports it. One line each; the last says "N caught, N not". Works on a copy of the
# sources in build-mutants; the tree stays as it is.
#
# What it cannot see: a missing full fence. Two relaxed accesses on both sides are no data race.
set -uo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source-path=SCRIPTDIR source=../scripts/lib.sh
. "$top/scripts/lib.sh"
cd "$top" || exit 1

# name | suite that must find it | file | text of the only line that is changed: its order becomes relaxed
table='
ring-mark|ring|lib/svm/svm_ring.h|__ATOMIC_RELEASE); /* P1 */
ring-ready|ring|lib/svm/svm_ring.h|__ATOMIC_ACQUIRE) == counter + 1; /* C1 */
ring-completion|ring|lib/svm/svm_ring.h|__ATOMIC_RELEASE); /* C2 */
ring-reaped|threads|lib/svm/svm_ring.h|__ATOMIC_RELEASE); /* P3 */
bond-put|threads|lib/svm/svm_bond.h|__atomic_fetch_sub(&bond->ops, 1, __ATOMIC_RELEASE);
queue-closed|threads|lib/svm/svm_engine.c|__atomic_store_n(&q->life, SVM_EQ_CLOSED, __ATOMIC_RELEASE);
queue-posted|wakeup|lib/svm/svm_engine.c|__atomic_store_n(&q->post, SVM_POST_NONE, __ATOMIC_RELEASE);
fault-record|threads|lib/svm/svm_fault.c|__ATOMIC_RELEASE); /* F1 */
'

work=$top/build-mutants
src=$work/src
build=$work/build
log=$work/log
prefix=svmmutant$$
trap 'rm -rf "/var/run/dpdk/$prefix" "${XDG_RUNTIME_DIR:-/tmp}/dpdk/$prefix"' EXIT

# copy: the sources as they are now. What is the same stays untouched, so that builds stay short.
copy()
{
	local file
	while IFS= read -r file; do
		cmp -s "$top/$file" "$src/$file" && continue
		mkdir -p "$src/$(dirname "$file")" && cp "$top/$file" "$src/$file" || return
	done < <(cd "$top" && find . \( -path './build*' -o -path ./.git \) -prune -o -type f -print)
}

# found SUITE: run it; whether ThreadSanitizer reports, with the report in $log.
found()
{
	# shellcheck disable=SC2046 # words
	TSAN_OPTIONS="halt_on_error=1 exitcode=66" timeout -k 10 120 \
		$(no_aslr) "$build/app/dpdk-test-svm" --no-huge -m 128 -l "$cpus" --no-pci \
		--file-prefix "$prefix" -d "$build/drivers/librte_dma_svm.so" -- unit "$1" \
		>"$log" 2>&1
	rc=$?
	grep -aq 'WARNING: ThreadSanitizer: data race' "$log"
}

compile()
{
	ninja -C "$build" app/dpdk-test-svm app/svm-test-worker drivers/librte_dma_svm.so \
		>"$log" 2>&1 || { tail -n 20 "$log"; die "$1 does not compile"; }
}

require_plugin_place "$top"
cpus=$(first_cpus) || die "two CPUs are needed"
copy || die "no copy of the sources"
if [ ! -f "$build/build.ninja" ]; then
	meson setup "$build" "$src" -Db_sanitize=thread -Dexamples=false >"$log" 2>&1 ||
		{ tail -n 20 "$log"; die "meson failed"; }
fi
compile "the unchanged source"
for suite in ring threads wakeup; do
	if found "$suite" || [ "$rc" != 0 ]; then
		die "suite $suite of the unchanged source: exit status $rc; log: $log"
	fi
done

caught=0 missed=0
while IFS='|' read -r name suite file text; do
	[ -n "$name" ] || continue
	[ $# = 0 ] || [[ " $* " == *" $name "* ]] || continue
	[ "$(grep -cF -e "$text" "$src/$file")" = 1 ] ||
		die "$name: not one line of $file has: $text"
	line=$(grep -nF -e "$text" "$src/$file" | cut -d: -f1)
	sed -i -E "${line}s/__ATOMIC_(RELEASE|ACQUIRE|SEQ_CST)/__ATOMIC_RELAXED/" "$src/$file"
	compile "$name"
	if found "$suite"; then
		echo "$name: caught"
		caught=$((caught + 1))
	else
		echo "$name: NOT caught by $suite, exit status $rc"
		missed=$((missed + 1))
	fi
	cp "$top/$file" "$src/$file"
done <<<"$table"
echo "$caught caught, $missed not"
[ "$missed" = 0 ] && [ "$caught" -gt 0 ]
