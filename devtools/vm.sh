#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# devtools/vm.sh KERNEL SUITE: build kmod/ for a kernel, boot that kernel in QEMU (TCG, no
# hardware needed), load the modules and run the suite's tests.
#   KERNEL  debian-6.1, debian-6.12, arm64-6.1, debian-7 (the newest of backports), debug-6.12
#   SUITE   kmod    the modules alone, by kmod/tests
#           dpdk    what build/ has of the tests of the bus, on the modules: the guest sees the
#                   host's files. Build first.
#           bench   figures, a line each: ratios to what userspace has without the device
#           sparse  no machine: the sources are checked by sparse for this kernel
# devtools/vm.sh list | cached: the kernels, all or those that are here already.
# Prints a line for each test; the last line is "N passed, N failed". A guest that dies, warns,
# leaks, or says nothing at the end has failed, whatever its tests said.
# Kernels are kept in ${XDG_CACHE_HOME:-~/.cache}/dpdk-svm; remove a folder there to have it anew.
# Environment: VM_APPEND = more words for the kernel command line (rig_rounds=N: N percent of the
# rounds of tests that repeat), VM_TESTS = only tests whose name contains one of these (A,B,...);
# of dpdk: only these suites.
set -uo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source-path=SCRIPTDIR/.. source=scripts/lib.sh
. "$top/scripts/lib.sh"
for part in packages kernels image run; do
	# shellcheck source=/dev/null
	. "$top/devtools/vm/$part.sh"
done

cache=${XDG_CACHE_HOME:-$HOME/.cache}/dpdk-svm
# shellcheck disable=SC2154 # of vm/kernels.sh
case $*:$# in
list:1) tr ' ' '\n' <<<"$kernels"; exit ;;
cached:1)
	for kernel in $kernels; do
		! kernel_cached "$kernel" || echo "$kernel"
	done
	exit
	;;
esac
[ $# = 2 ] || die "usage: devtools/vm.sh KERNEL SUITE (see the head of this file)"
kernel=$1 suite=$2
work=$top/build-vm/$kernel
# shellcheck disable=SC2034 # what vm/run.sh gives to QEMU
guest_devices=()
case $suite in
kmod | bench | sparse) ;;
dpdk)
	[ -x "$top/build/app/dpdk-test-svm" ] || die "build/app/dpdk-test-svm is not there: build first"
	# shellcheck disable=SC2034 # as above
	guest_devices=(-virtfs "local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap")
	VM_APPEND="rig_top=$top ${VM_APPEND-}"
	;;
*) die "no such suite: $suite (kmod, dpdk, bench, sparse)" ;;
esac
mkdir -p "$work" "$cache" || exit 1

# One run of a kernel at a time: they share its build folder.
exec 8>"$work/lock"
flock 8

kernel_get "$kernel" || die "cannot get the kernel $kernel (see $cache)"
# shellcheck disable=SC2154 # of vm/kernels.sh
[ "$suite:$arch" != dpdk:arm64 ] || die "dpdk runs the host's own programs: no arm64"
if [ "$suite" = sparse ]; then
	check_sparse
	exit
fi
build_modules || die "the modules do not build for $kernel: $work/modules.log"
build_tests || die "the tests do not build: $work/tests.log"
make_initramfs || die "cannot make the initramfs"
boot_guest
judge
