#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# devtools/repeat.sh [-b BUILD] [-l LOAD] N [SUITE...]: run the unit tests N times, all suites or those
# named, with LOAD busy processes beside them (default 0), and stop at the first run that fails. Its
# log is then shown from the failure on, and kept as BUILD/repeat.log.
set -uo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source-path=SCRIPTDIR source=../scripts/lib.sh
. "$top/scripts/lib.sh"

usage="usage: devtools/repeat.sh [-b BUILD] [-l LOAD] N [SUITE...]"
build=$top/build load=0
while getopts b:l: option; do
	case $option in
	b) build=$(realpath -m "$OPTARG") ;;
	l) load=$OPTARG ;;
	*) die "$usage" ;;
	esac
done
shift $((OPTIND - 1))
[[ ${1-} =~ ^[1-9][0-9]*$ && $load =~ ^[0-9]+$ ]] || die "$usage"
runs=$1
shift
[ -x "$build/app/dpdk-test-svm" ] || die "$build has no app/dpdk-test-svm: build it first"
cpus=$(first_cpus) || die "the tests need two CPUs"
prefix=svmrepeat$$
log=$build/repeat.log
busy=()
finish()
{
	[ ${#busy[@]} = 0 ] || kill "${busy[@]}" 2>/dev/null
	rm -rf "/var/run/dpdk/$prefix" "${XDG_RUNTIME_DIR:-/tmp}/dpdk/$prefix"
}
trap finish EXIT
trap 'exit 130' INT TERM

for ((i = 0; i < load; i++)); do
	sh -c 'while :; do :; done' &
	busy+=($!)
done
for ((run = 1; run <= runs; run++)); do
	rc=0
	since=$SECONDS
	# shellcheck disable=SC2046 # words
	timeout -k 10 1500 $(no_aslr) "$build/app/dpdk-test-svm" --no-huge -m 256 -l "$cpus" --no-pci \
		--file-prefix "$prefix" -d "$build/drivers/librte_dma_svm.so" -- unit "$@" \
		>"$log" 2>&1 </dev/null || rc=$?
	echo "run $run of $runs: exit status $rc, $(tail -n 1 "$log") ($((SECONDS - since)) s)"
	if [ "$rc" != 0 ]; then
		grep -aE -A 40 ': FAIL|(ERROR|WARNING): .*Sanitizer|runtime error' "$log" | head -n 80
		die "run $run failed; log: $log"
	fi
done
