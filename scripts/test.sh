#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# scripts/test.sh [--fast]: set up the machine, build, and run all the tests.
# --fast leaves out the models, the virtual machine, the demo, the Debian packages, the sanitizer builds
# and the clang build. Logs: build/test-logs.
# The last line is "N passed, N failed[, N skipped]": each step counts, and each unit test. A skip
# that app/test-svm/skips.txt does not name counts as a failure.
set -uo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$top/scripts/lib.sh"
cd "$top" || exit 1

fast=
case ${1-} in
--fast) fast=yes ;;
'') ;;
*) die "usage: scripts/test.sh [--fast]" ;;
esac

logs=$top/build/test-logs
prefix=svmtest$$
plugin=build/drivers/librte_dma_svm.so
bus=build/drivers/librte_bus_vfio_svm.so
passed=0 failed=0 skipped=0
child=
log=

finish()
{
	local rc=$? runtime=${XDG_RUNTIME_DIR:-/tmp}
	[ "$(id -u)" != 0 ] || runtime=/var/run
	rm -rf "$runtime/dpdk/$prefix"
	[ "$rc" = 0 ] || [ "$failed" -gt 0 ] || failed=1
	if [ "$skipped" -gt 0 ]; then
		echo "$passed passed, $failed failed, $skipped skipped"
	else
		echo "$passed passed, $failed failed"
	fi
	[ "$failed" = 0 ] && [ "$passed" -gt 0 ] && exit 0
	exit 1
}
trap finish EXIT
trap '[ -z "$child" ] || kill "$child"; say interrupted; failed=$((failed + 1)); exit 130' INT TERM

# limited SECONDS COMMAND...: run it with its output in $log, and end it (all of it) when time is up.
limited()
{
	timeout -k 10 "$@" </dev/null >"$log" 2>&1 &
	child=$!
	wait "$child" 2>/dev/null	# bash would report a crash here; the step does
	local rc=$?
	child=
	[ "$rc" != 124 ] && [ "$rc" != 137 ] || echo "ended after $1 s" >>"$log"
	return "$rc"
}

# start NAME: announce a step and name its log.
start()
{
	mkdir -p "$logs"
	log=$logs/$(printf '%s' "$1" | tr -c 'A-Za-z0-9=.\n-' _).log
	printf '%s ... ' "$1"
	since=$SECONDS
}

pass()
{
	passed=$((passed + 1))
	echo "ok ($((SECONDS - since)) s)"
}

# fail WHY: count it, and show the end of the log.
fail()
{
	failed=$((failed + 1))
	echo "FAILED: $1 ($((SECONDS - since)) s); log: ${log#"$top/"}"
	[ ! -s "$log" ] || tr '\r' '\n' <"$log" | tail -n 25 | awk '{ print "    " $0 }'
}

# skip_allowed NAME: true when the committed list has the name, or the test of which it is a row.
skip_allowed()
{
	grep -qF -e "\"$1\"," -e "\"${1%%\[*}\"," app/test-svm/skips.txt
}

# skip NAME REASON: a skip that is not on the list is a failure.
skip()
{
	if skip_allowed "$1"; then
		skipped=$((skipped + 1))
		echo "skipped $1: $2"
	else
		failed=$((failed + 1))
		echo "FAILED: $1 was skipped ($2), and app/test-svm/skips.txt does not allow it"
	fi
}

# step NAME SECONDS CHECK COMMAND...: passes when the command does, and then CHECK, which prints what
# it misses in the log.
step()
{
	local name=$1 limit=$2 check=$3 rc=0 why
	shift 3
	start "$name"
	limited "$limit" "$@" || rc=$?
	if [ "$rc" != 0 ]; then
		fail "exit status $rc"
	elif ! why=$("$check"); then
		fail "$why"
	else
		pass
		return 0
	fi
	return 1
}

anything() { :; }

# Both compilers have -Werror; this catches what meson and the linker say.
no_warning()
{
	! grep -aiE '(^|[^a-z])warning:' "$log" | grep -q . || { echo "a warning"; return 1; }
}

# dpdk-test also runs its own dma_skeleton, which skips what it cannot do: the lines of our device
# count, and it must be among the devices tested.
autotest_ok()
{
	local id
	id=$(tr '\r' '\n' <"$log" | sed -n 's/^### Test dmadev instance \([0-9]*\) \[svm0\]$/\1/p')
	[ -n "$id" ] || { echo 'svm0 was not tested'; return 1; }
	grep -aq 'Test OK' "$log" || { echo 'no "Test OK"'; return 1; }
	! grep -aiq "DMA Dev $id:.*skipping" "$log" || { echo 'a "skipping" line'; return 1; }
}

two_ok()
{
	autotest_ok || return 1
	tr '\r' '\n' <"$log" | grep -q '^### Test dmadev instance [0-9]* \[svm1\]$' ||
		{ echo 'svm1 was not tested'; return 1; }
}

# trace_read: dmadev_autotest makes faults on purpose; they are in the trace that it writes.
trace_read()
{
	local dir rc=0
	dir=$(mktemp -d)
	DPDK_TEST=dmadev_autotest dpdk-test -m 128 -l "$cpus" --no-huge --no-pci --file-prefix "$prefix" \
		-d "$plugin" --vdev svm0 --trace='svm.*' --trace-dir="$dir" &&
		babeltrace2 "$dir" | grep 'lib\.svm\.fault: .* addr = ' || rc=1
	rm -r "$dir"
	return "$rc"
}
export -f trace_read

testpmd_ok()
{
	grep -aq 'Bye' "$log" || { echo 'testpmd did not say goodbye'; return 1; }
	! grep -aq 'failed to initialize' "$log" || { echo 'the device was not probed'; return 1; }
}

# check_products: all there, the plugin brings no second DPDK along, and the worker has none.
check_products()
{
	local file needed
	for file in build/lib/librte_svm.so.0 build/lib/libsvm_worker.so.0 "$plugin" "$bus" \
		build/app/dpdk-test-svm build/app/svm-test-worker \
		build/examples/svm_copy_owner build/examples/svm_copy_worker \
		build/examples/svm_exchange_owner build/examples/svm_exchange_worker \
		build/examples/svm_pipeline build/examples/svm_pipeline_worker; do
		[ -f "$file" ] || { echo "$file is missing"; return 1; }
	done
	for file in build/lib/librte_svm.so.0 build/lib/libsvm_worker.so.0 "$plugin" "$bus" \
		build/examples/svm_copy_worker build/examples/svm_exchange_worker \
		build/examples/svm_pipeline_worker; do
		needed=$(readelf -d "$file" | sed -n 's/.*(NEEDED).*\[\(librte_.*\)\]/\1/p')
		case $file:$needed in
		*: | "$plugin":librte_svm.so.0) ;;
		*) echo "$file is linked with ${needed//$'\n'/ }"; return 1 ;;
		esac
	done
	# An application need not be linked with librte_dmadev or the vdev bus: see drivers/dma/svm/svm_dmalib.h.
	for file in build/lib/librte_svm.so.0 "$plugin" "$bus"; do
		needed=$(nm -D --undefined-only "$file" | grep -oE 'rte_(dma|vdev)_[a-z_]*')
		[ -z "$needed" ] || { echo "$file wants ${needed//$'\n'/ } from the application"; return 1; }
	done
}
export plugin bus
export -f check_products

# units NAME SECONDS BUILD [COMMAND...]: the CUnit suites of one build directory, run by COMMAND, each test
# counted.
units()
{
	local name=$1 limit=$2 build=$3
	shift 3
	counted "$name" "$limit" "$@" "$build/app/dpdk-test-svm" --no-huge -m 256 -l "$cpus" --no-pci \
		--file-prefix "$prefix" -d "$build/drivers/librte_dma_svm.so" -- unit
}

# counted NAME SECONDS COMMAND...: a program whose last line has the counts of its tests.
counted()
{
	local name=$1 limit=$2 rc=0 line p f s test reason listed=0
	shift 2
	start "$name"
	limited "$limit" "$@" || rc=$?
	line=$(grep -aE '^[0-9]+ passed, [0-9]+ failed(, [0-9]+ skipped)?$' "$log" | tail -n 1)
	if [ -z "$line" ]; then
		fail "exit status $rc, and no line with the counts"
		return
	fi
	read -r p f s < <(tr -cd '0-9 \n' <<<"$line")
	passed=$((passed + p))
	failed=$((failed + f))
	if [ "$f" -gt 0 ] || [ "$p" = 0 ] || [ "$rc" != 0 ]; then
		[ "$f" -gt 0 ] || failed=$((failed + 1))
		echo "FAILED: $line, exit status $rc ($((SECONDS - since)) s); log: ${log#"$top/"}"
		grep -aiE '\bFAIL|(ERROR|WARNING): .*Sanitizer|runtime error' "$log" | head -n 40 | sed 's/^/    /'
	else
		echo "$line ($((SECONDS - since)) s)"
	fi
	# One line each: "suite.test: SKIP (reason)".
	while IFS= read -r test; do
		reason=${test#*: SKIP (}
		skip "${test%%: SKIP (*}" "${reason%)}"
		listed=$((listed + 1))
	done < <(grep -aE '^[a-z_]+\.[^:]+: SKIP \(.+\)$' "$log" | sort -u)
	if [ "${s:-0}" -gt "$listed" ]; then
		failed=$((failed + s - listed))
		echo "FAILED: $((s - listed)) skips without a reason"
	fi
}

# mutants: what ThreadSanitizer must find; each one counted.
mutants()
{
	local rc=0 line caught missed
	start "each memory order that is taken away is reported"
	limited 1200 bash devtools/mutants.sh || rc=$?
	line=$(grep -aE '^[0-9]+ caught, [0-9]+ not$' "$log")
	read -r caught missed < <(tr -cd '0-9 \n' <<<"$line")
	if [ "$rc" != 0 ] || [ "${caught:-0}" = 0 ]; then
		failed=$((failed + ${missed:-0}))
		fail "exit status $rc"
	else
		passed=$((passed + caught))
		echo "$line ($((SECONDS - since)) s)"
	fi
}

# autotest ENGINE MEMORY: Debian's dpdk-test on one form of the engine.
autotest()
{
	local engine=$1 memory=$2 args
	args=(-m 128 -l "$cpus" --no-pci --file-prefix "$prefix" -d "$plugin"
		--vdev "svm0,engine=$engine")
	[ "$memory" = hugepages ] && args+=(--huge-unlink) || args+=(--no-huge)
	[ "$engine" != service ] || args+=(-S "${cpus#*,}")
	step "dmadev_autotest engine=$engine $memory" 120 autotest_ok \
		env DPDK_TEST=dmadev_autotest dpdk-test "${args[@]}"
}

# secondary_refused: a primary waits at its prompt while a secondary asks for the device.
secondary_refused()
{
	local args=(--no-pci --file-prefix "$prefix" -d "$plugin" --huge-unlink=never -m 64) pipe rc=0
	pipe=$(mktemp -u)
	mkfifo "$pipe"
	timeout -k 5 50 dpdk-test "${args[@]}" -l "${cpus%,*}" --vdev svm0,socket=none \
		<"$pipe" >"$pipe.log" 2>&1 &
	exec 9>"$pipe"
	for _ in $(seq 200); do
		! grep -q 'RTE>>' "$pipe.log" || break
		sleep 0.1
	done
	echo quit | timeout -k 5 20 dpdk-test "${args[@]}" --proc-type=secondary \
		-l "${cpus#*,}" --vdev svm1,socket=none || rc=$?
	echo quit >&9
	exec 9>&-
	wait $! || { echo "the primary ended with $?"; rc=1; }
	rm -f "$pipe" "$pipe.log"
	return "$rc"
}
export -f secondary_refused
export prefix

# second_copy: the plugin is installed, and -d names another one.
second_copy()
{
	local dir=build/second rc=0
	mkdir -p "$dir"
	cp "$plugin" "$dir"/
	DPDK_TEST=dmadev_autotest dpdk-test --no-huge -m 128 -l "$cpus" --no-pci --file-prefix "$prefix" \
		-d "$dir/${plugin##*/}" -d "$plugin" --vdev svm0 || rc=$?
	rm -r "$dir"
	return "$rc"
}
export -f second_copy

second_copy_ok()
{
	[ "$(grep -ac 'SVM_DMA: .*build/second/.* is loaded already' "$log")" = 1 ] ||
		{ echo 'not one line that leaves the second copy out'; return 1; }
	autotest_ok
}

secondary_ok()
{
	[ "$(grep -ac 'svm1: a secondary process cannot use it' "$log")" = 1 ] ||
		{ echo 'not one line that refuses a secondary process'; return 1; }
}

# Sanity, not speed: every point has all its columns, and a baseline of the same run.
perf_ok()
{
	awk -F, '/^bench,/ { columns = NF }
		/^(ring|scale|bind),/ && !/_per_bond,/ { points++; if (NF != columns || $10 <= 0 || $14 <= 0 || $15 < 5) bad = 1 }
		END { exit !(columns == 15 && points >= 3 && !bad) }' "$log" ||
		{ echo 'not the columns and points of the benchmark'; return 1; }
}

# ... at 1 and 64 bonds, in the owner's own memory and in a worker's, 64 and 4,096 bytes.
perf_scale_ok()
{
	perf_ok || return 1
	[ "$(grep -acE '^scale,(direct|cma),thread,copy,(64|4096),.*,bonds(1|64),' "$log")" = 8 ] ||
		{ echo 'not the 8 points of perf scale'; return 1; }
}

# ... and what a bond costs: 4 KiB and 3 descriptors of the owner's. One alone costs whole pages.
perf_bind_ok()
{
	perf_ok || return 1
	awk -F, '$1 == "bind" && $4 == "owner_bytes_per_bond" { bytes++; bad += $9 != "1_bonds" && $10 > 4096 }
		$1 == "bind" && $4 == "owner_fds_per_bond" { fds++; bad += $10 > 3 }
		$1 == "bind" && $4 ~ /_first_byte$/ { first++ }
		END { exit !(bytes == 4 && fds == 4 && first == 4 && !bad) }' "$log" ||
		{ echo 'not the points of perf bind, or a bond costs more than 4 KiB or 3 descriptors'; return 1; }
}

require_plugin_place "$top"
cpus=$(first_cpus) || die "the tests need two CPUs"
export cpus

timeout -k 10 1800 bash scripts/setup.sh </dev/null || die "scripts/setup.sh failed"
passed=$((passed + 1))
step "build (gcc)" 900 no_warning bash -c '. scripts/lib.sh; build_tree . build' || exit 1
step "products" 20 anything bash -c check_products
if [ -f devtools/check-style.sh ]; then
	step "style" 120 anything bash devtools/check-style.sh
fi

units "unit tests" 600 build
for engine in thread inline service; do
	autotest "$engine" no-huge
done
if [ "$(hugepages_free)" -ge 64 ]; then
	for engine in thread inline service; do
		autotest "$engine" hugepages
	done
else
	skip dmadev_autotest.hugepages "no 128 MiB of free 2 MiB hugepages"
fi
step "dmadev_autotest of two devices" 120 two_ok env DPDK_TEST=dmadev_autotest dpdk-test -m 128 \
	-l "$cpus" --no-huge --no-pci --file-prefix "$prefix" -d "$plugin" --vdev svm0 --vdev svm1
step "dpdk-test --trace, read by babeltrace2" 60 anything bash -c trace_read
# shellcheck disable=SC2016 # expanded by the inner shell
step "dpdk-testpmd starts and quits" 60 testpmd_ok bash -c 'echo quit | "$@"' sh \
	dpdk-testpmd --no-huge -m 128 -l "$cpus" --no-pci --file-prefix "$prefix" -d "$plugin" \
	--vdev svm0 -- -i --total-num-mbufs=2048

if [ "$(hugepages_free)" -ge 64 ]; then
	step "a secondary process is refused" 90 secondary_ok bash -c secondary_refused
else
	skip secondary.hugepages "no 128 MiB of free 2 MiB hugepages"
fi
step "a second copy of the plugin is left out" 120 second_copy_ok bash -c second_copy
step "svm_copy" 60 anything build/examples/svm_copy_owner --no-huge -m 128 -l "$cpus" --no-pci \
	--file-prefix "$prefix" -d "$plugin" --vdev svm0
step "svm_exchange" 60 anything build/examples/svm_exchange_owner --no-huge -m 128 -l "$cpus" --no-pci \
	--file-prefix "$prefix" -d "$plugin" --vdev svm0

# What somebody outside the tree gets.
while read -r name; do
	step "package: $name" 300 anything bash scripts/test-package.sh "$name"
done < <(bash scripts/test-package.sh list)

if [ -z "$fast" ]; then
	step "perf ring writes its CSV" 120 perf_ok build/app/dpdk-test-svm --no-huge -m 256 \
		-l "$cpus" --no-pci --file-prefix "$prefix" -d "$plugin" -- perf ring --csv -
	step "perf scale writes its CSV" 300 perf_scale_ok build/app/dpdk-test-svm --no-huge -m 256 \
		-l "$cpus" --no-pci --file-prefix "$prefix" -d "$plugin" -- perf scale --bonds 64 --csv -
	counted "models" 900 bash devtools/model/check.sh
	step "perf bind writes its CSV" 300 perf_bind_ok build/app/dpdk-test-svm --no-huge -m 256 \
		-l "$cpus" --no-pci --file-prefix "$prefix" -d "$plugin" -- perf bind --csv -
	counted "kmod in a virtual machine (Debian's 6.1)" 1200 bash devtools/vm.sh debian-6.1 kmod
	counted "the bus in a virtual machine (Debian's 6.1)" 1200 bash devtools/vm.sh debian-6.1 dpdk
	step "svm_pipeline on real packets (demo.sh)" 300 anything bash scripts/demo.sh
	while read -r name; do
		step "Debian packages: $name" 900 anything bash scripts/test-debian.sh "$name"
	done < <(bash scripts/test-debian.sh list)
	if step "build (sanitizers)" 900 no_warning bash -c \
		'. scripts/lib.sh; build_tree . build-asan -Db_sanitize=address,undefined -Dexamples=false'
	then
		export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_stack_use_after_return=1}
		export UBSAN_OPTIONS=${UBSAN_OPTIONS:-halt_on_error=1:print_stacktrace=1}
		units "unit tests under ASAN and UBSAN" 1500 build-asan
	fi
	if step "build (ThreadSanitizer)" 900 no_warning bash -c \
		'. scripts/lib.sh; build_tree . build-tsan -Db_sanitize=thread -Dexamples=false'
	then
		# Any report ends the program with 66. Tests fork with threads alive and go on.
		# shellcheck disable=SC2046 # words
		TSAN_OPTIONS="exitcode=66 die_after_fork=0${TSAN_OPTIONS:+ $TSAN_OPTIONS}" \
			units "unit tests under ThreadSanitizer" 1200 build-tsan $(no_aslr)
		mutants
	fi
	if step "build (clang), with the trace points of the hot path" 900 no_warning \
		env CC=clang bash -c '. scripts/lib.sh; build_tree . build-clang -Dtrace_fp=true'
	then
		step "trace points of the hot path" 60 anything build-clang/app/dpdk-test-svm --no-huge \
			-m 256 -l "$cpus" --no-pci --file-prefix "$prefix" \
			-d build-clang/drivers/librte_dma_svm.so -- unit trace
	fi
fi
