#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The Debian packages, built and used. scripts/test.sh runs each of these as a step of its own:
#
#   scripts/test-debian.sh list      the names, one a line; build is the first
#   scripts/test-debian.sh NAME      as root
#
# The packages are installed into a copy of the machine that ends with the step: its file system with a
# layer of memory on top, in a mount namespace. What is built stays in build-deb.
# Environment: cpus, two CPUs as "A,B"; prefix, EAL's --file-prefix.
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$top/scripts/lib.sh"

base=$top/build-deb
cpus=${cpus:-$(first_cpus)}
prefix=${prefix:-svmdeb}
eal="--no-huge -m 128 -l $cpus --no-pci --file-prefix $prefix"

# In the namespace: $1 the folder of the packages, $2 a command to run where they are installed.
# shellcheck disable=SC2016 # for the inner shell
layer='set -eu
mount -t tmpfs tmpfs "$1/layer"
mkdir "$1/layer/upper" "$1/layer/work" "$1/layer/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/layer/upper,workdir=$1/layer/work" "$1/layer/root"
mkdir "$1/layer/root/run/debs"
cp "$1"/*.deb "$1/layer/root/run/debs"
cd "$1/layer/root"
for dir in proc sys dev; do mount --rbind "/$dir" "$dir"; done
chroot . sh -eu -c "$2" sh'

# installed COMMAND: run it in a shell where the packages are installed, by dpkg, with its checks.
installed()
{
	[ "$(id -u)" = 0 ] || die "needs root, for a mount namespace"
	mkdir -p "$base/layer"
	unshare -m --propagation private sh -c "$layer" sh "$base" \
		"dpkg -i /run/debs/*.deb >/run/dpkg.log 2>&1 || { cat /run/dpkg.log; exit 1; }; $1"
}

# The tree that git knows, and the driver headers that scripts/setup.sh fetched. A clean build each
# time, as a maintainer does it.
test_build()
{
	rm -rf "$base"
	mkdir -p "$base/dpdk-svm/third_party"
	cd "$top"
	git -c safe.directory='*' ls-files -co --exclude-standard -z |
		xargs -0 cp --parents -t "$base/dpdk-svm"
	[ ! -d third_party/dpdk-headers ] ||
		cp -r third_party/dpdk-headers "$base/dpdk-svm/third_party"
	cd "$base/dpdk-svm"
	dpkg-buildpackage -us -uc -b
}

# Debian's own program finds the driver: EAL's folder has it, no -d.
test_autotest()
{
	installed "DPDK_TEST=dmadev_autotest dpdk-test $eal --vdev svm0" >"$base/autotest.log" 2>&1 ||
		{ cat "$base/autotest.log"; die "dpdk-test failed"; }
	cat "$base/autotest.log"
	# Not grep -q: it would end before its input does, and the pipe counts.
	tr '\r' '\n' <"$base/autotest.log" |
		grep -aE '^### Test dmadev instance [0-9]+ \[svm0\]' >/dev/null || die "svm0 was not tested"
	grep -aq 'Test OK' "$base/autotest.log" || die 'no "Test OK"'
}

# The two examples of the -dev packages, built with what these install, meet.
test_programs()
{
	installed "mkdir /run/programs
	cd /usr/share/doc
	gcc libsvm-worker-dev/examples/svm_copy_worker.c -o /run/programs/svm_copy_worker \
		\$(pkg-config --cflags --libs libsvm_worker)
	gcc -D_GNU_SOURCE librte-svm-dev/examples/svm_copy_owner.c -o /run/programs/svm_copy_owner \
		\$(pkg-config --cflags --libs librte_svm)
	! ldd /run/programs/svm_copy_worker | grep -E 'rte_|not found'
	/run/programs/svm_copy_owner $eal --vdev svm0"
}

test_dpdk_test_svm()
{
	installed "dpdk-test-svm $eal -- unit ring bond"
}

# Nothing remembers where it was built, and what comes with one package stays out of the others.
test_contents()
{
	local deb folder
	cd "$base"
	for deb in *.deb; do
		rm -rf contents
		dpkg-deb -x "$deb" contents
		case $deb in
		*-dbgsym_*) continue ;;
		esac
		! grep -rlF "$base" contents || die "$deb names the folder it was built in"
	done
	rm -rf contents
	! dpkg-deb -f libsvm-worker0_*.deb Depends | grep -i dpdk || die "the worker wants DPDK"
	dpkg-deb -f librte-dma-svm23_*.deb Depends | grep -E 'librte-svm0 \(= ' ||
		die "the plugin takes any librte-svm0"
	# shellcheck disable=SC2046 # flags are words
	folder=$(printf '#include <rte_config.h>\nRTE_EAL_PMD_PATH\n' |
		gcc -E -P $(pkg-config --cflags libdpdk) - | tail -n 1 | tr -d '"')
	dpkg-deb -c librte-dma-svm23_*.deb | grep -F " .$folder/librte_dma_svm.so" ||
		die "the plugin is not where EAL looks"
	dpkg-deb -c librte-bus-vfio-svm23_*.deb | grep -F " .$folder/librte_bus_vfio_svm.so" ||
		die "the bus is not where EAL looks"
}

tests="build contents autotest programs dpdk_test_svm"
name=${1-}
if [ "$name" = list ]; then
	# shellcheck disable=SC2086 # a list of words
	printf '%s\n' $tests
elif [ "$#" = 1 ] && declare -F "test_$name" >/dev/null; then
	"test_$name"
else
	die "usage: scripts/test-debian.sh list | NAME"
fi
