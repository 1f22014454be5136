# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash disable=SC2154,SC2034 # what vm.sh and its parts share
# Kernels to boot and to build for. Sourced by devtools/vm.sh.
#
# kernel_get NAME sets:
#   vmlinuz      what to boot            kdir      what to build modules against
#   moddir       its lib/modules/VERSION  debug     yes: slow, with every check there is

# Host packages: what boots the guest, what goes into it, what Kbuild needs.
vm_packages="qemu-system-x86 busybox-static cpio kmod gcc-12 libc6-dev make bc libelf-dev
	flex bison xz-utils gcc-i686-linux-gnu libc6-dev-i386-cross"

host_packages()
{
	local name want=
	for name in $vm_packages; do
		case $(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null) in
		installed) ;;
		*) want="$want $name" ;;
		esac
	done
	[ -n "$want" ] || return 0
	can_root || die "needs root to install:$want"
	say "installing Debian packages:$want"
	as_root apt-get -q -y update >"$work/apt.log" 2>&1
	# shellcheck disable=SC2086 # a list of words
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 \
		install --no-install-recommends $want </dev/null >>"$work/apt.log" 2>&1 ||
		die "apt-get could not install:$want ($work/apt.log)"
}

# depends PACKAGE PATTERN: the first package that PACKAGE depends on and PATTERN matches.
depends()
{
	apt-cache depends "$1" 2>/dev/null | sed -n 's/^ *|\?Depends: //p' | grep -m 1 -xE "$2"
}

# fetch DIR PACKAGE...: unpack Debian packages below DIR.
fetch()
{
	local dir=$1 deb
	shift
	mkdir -p "$dir/deb" "$dir/root"
	(cd "$dir/deb" && apt-get -q download "$@") >>"$work/apt.log" 2>&1 || return
	for deb in "$dir"/deb/*.deb; do
		dpkg-deb -x "$deb" "$dir/root" || return
	done
	rm -r "$dir/deb"
}

# kernel_debian NAME META KBUILD: image, headers and build tools that the meta packages lead to.
kernel_debian()
{
	local dir=$cache/$1 image headers common kbuild
	if [ ! -e "$dir/ready" ]; then
		say "fetching the kernel $1"
		rm -rf "$dir"
		[ -n "$(depends "linux-image-$2" 'linux-image-[0-9].*')" ] ||
			as_root apt-get -q -y update >>"$work/apt.log" 2>&1
		image=$(depends "linux-image-$2" 'linux-image-[0-9].*') || return
		headers=linux-headers-${image#linux-image-}
		common=$(depends "$headers" 'linux-headers-.*-common') || return
		kbuild=$(depends "$headers" 'linux-kbuild-.*') || return
		fetch "$dir" "$image" "$headers" "$common" "$kbuild" || return
		# The headers name their other half by the place where they would be installed.
		sed -i "s#^include /usr#include $dir/root/usr#" "$dir/root/usr/src/$headers/Makefile"
		touch "$dir/ready"
	fi
	vmlinuz=$(echo "$dir"/root/boot/vmlinuz-*)
	moddir=$(find "$dir/root/lib/modules" "$dir/root/usr/lib/modules" -mindepth 1 -maxdepth 1 \
		-type d 2>/dev/null | head -n 1)
	kdir=$dir/root/usr/src/linux-headers-$(basename "$moddir")
	[ -e "$vmlinuz" ] && [ -d "$kdir" ]
}

# A kernel with KASAN, lockdep, kmemleak and fault injection, from Debian's source.
kernel_debug()
{
	local dir=$cache/debug-6.12 src=$cache/debug-6.12/linux-source-6.12
	local config=$top/devtools/kernel/debug-x86_64.config
	if ! cmp -s "$config" "$dir/ready"; then
		if [ ! -d "$src" ]; then
			say "fetching the source of Linux 6.12"
			rm -rf "$dir"
			fetch "$dir" linux-source-6.12 || return
			tar -C "$dir" -xJf "$dir/root/usr/src/linux-source-6.12.tar.xz" || return
			rm -r "$dir/root"
		fi
		say "building the debug kernel (some minutes, once)"
		(
			cd "$src" && make -s tinyconfig &&
				./scripts/kconfig/merge_config.sh -m .config "$config" &&
				make -s olddefconfig &&
				nice -n 10 make -s -j"$(nproc)" CC=gcc-12 bzImage modules
		) >"$dir/build.log" 2>&1 || return
		cp "$config" "$dir/ready"
	fi
	vmlinuz=$src/arch/x86/boot/bzImage
	kdir=$src
	moddir=$src
	debug=yes
}

kernel_get()
{
	vmlinuz='' kdir='' moddir='' debug=''
	host_packages
	case $1 in
	debian-6.1) kernel_debian "$1" amd64 ;;
	debian-6.12) kernel_debian "$1" 6.12-amd64 ;;
	debug-6.12) kernel_debug ;;
	*) die "no such kernel: $1 (debian-6.1, debian-6.12, debug-6.12)" ;;
	esac
}
