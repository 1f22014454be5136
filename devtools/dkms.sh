#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# devtools/dkms.sh: install kmod/ with DKMS for Debian's own kernel, as kmod/README.md says, look at what is
# there, and remove it again. Needs root, changes nothing: all of it happens in a copy of the machine, its
# file system with a layer of memory on top, that ends with this script.
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source-path=SCRIPTDIR/.. source=scripts/lib.sh
. "$top/scripts/lib.sh"

# In the copy.
inside()
{
	local src kernel name file
	export DEBIAN_FRONTEND=noninteractive
	apt-get -q -y update
	apt-get -q -y install --no-install-recommends dkms kmod gcc make linux-headers-amd64
	kernel=$(basename /lib/modules/*-amd64)
	[ -d "/lib/modules/$kernel/build/" ] || die "no headers of one kernel: $kernel"
	# dkms looks where the kernel's own modules would be.
	mkdir -p "/lib/modules/$kernel/kernel"
	src=/usr/src/dpdk-svm-$(sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' "$top/kmod/dkms.conf")
	[ ! -e "$src" ] || die "$src exists"
	cp -r "$top/kmod" "$src"
	name=dpdk-svm/${src#/usr/src/dpdk-svm-}

	dkms add "$name"
	dkms build "$name" -k "$kernel"
	dkms install "$name" -k "$kernel"
	dkms status "$name" | grep -qx "$name, $kernel, x86_64: installed" ||
		die "status: $(dkms status "$name")"
	for file in vfio_svm vfio_svm_sw; do
		[ "$(modinfo -k "$kernel" -F filename "$file")" = \
			"/lib/modules/$kernel/updates/dkms/$file.ko" ] || die "where is $file?"
		[ "$(modinfo -k "$kernel" -F license "$file")" = GPL ]
		[ "$(modinfo -k "$kernel" -F vermagic "$file" | cut -d ' ' -f 1)" = "$kernel" ]
	done
	[ "$(modinfo -k "$kernel" -F depends vfio_svm_sw | tr , '\n' | sort | xargs)" = "vfio vfio_svm" ] ||
		die "vfio_svm_sw wants $(modinfo -k "$kernel" -F depends vfio_svm_sw)"
	[ "$(modinfo -k "$kernel" -F parm vfio_svm_sw | grep -c .)" -ge 6 ]

	dkms remove "$name" --all
	! dkms status "$name" 2>/dev/null | grep -q . || die "dkms still has $name"
	[ -z "$(find "/lib/modules/$kernel" -name 'vfio_svm*')" ] || die "modules were left behind"
	say "added, built, installed for $kernel, and removed"
}

if [ "${1-}" = inside ]; then
	inside
	exit
fi
[ "$(id -u)" = 0 ] || die "needs root, for a mount namespace"
base=$top/build-dkms
mkdir -p "$base"
# shellcheck disable=SC2016 # for the inner shell
exec unshare -m --propagation private sh -euc '
	mount -t tmpfs tmpfs "$1"
	mkdir "$1/upper" "$1/work" "$1/root"
	mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
	cd "$1/root"
	for dir in proc sys dev; do mount --rbind "/$dir" "$dir"; done
	exec chroot . bash "$2/devtools/dkms.sh" inside' sh "$base" "$top"
