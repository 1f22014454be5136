#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# devtools/vm.sh KERNEL SUITE: build kmod/ for a kernel, boot that kernel in QEMU (TCG, no
# hardware needed), load the modules and run the suite's tests.
#   KERNEL  debian-6.1, debian-6.12, debug-6.12
#   SUITE   kmod
# Prints a line for each test; the last line is "N passed, N failed". A guest that dies, warns,
# leaks, or says nothing at the end has failed, whatever its tests said.
# Kernels are kept in ${XDG_CACHE_HOME:-~/.cache}/dpdk-svm; remove a folder there to have it anew.
# Environment: VM_APPEND = more words for the kernel command line (rig_rounds=N: N percent of the
# rounds of tests that repeat), VM_TESTS = only tests whose name contains one of these (A,B,...).
set -uo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source-path=SCRIPTDIR/.. source=scripts/lib.sh
. "$top/scripts/lib.sh"
for part in kernels image run; do
	# shellcheck source=/dev/null
	. "$top/devtools/vm/$part.sh"
done

[ $# = 2 ] || die "usage: devtools/vm.sh KERNEL SUITE (see the head of this file)"
kernel=$1 suite=$2
work=$top/build-vm/$kernel
cache=${XDG_CACHE_HOME:-$HOME/.cache}/dpdk-svm
[ "$suite" = kmod ] || die "no such suite: $suite"
mkdir -p "$work" "$cache" || exit 1

# One run of a kernel at a time: they share its build folder.
exec 8>"$work/lock"
flock 8

kernel_get "$kernel" || die "cannot get the kernel $kernel (see $cache)"
build_modules || die "the modules do not build for $kernel: $work/modules.log"
build_tests || die "the tests do not build: $work/tests.log"
make_initramfs || die "cannot make the initramfs"
boot_guest
judge
