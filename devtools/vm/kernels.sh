# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash disable=SC2154,SC2034 # what vm.sh and its parts share
# Kernels to boot and to build for. Sourced by devtools/vm.sh.
#
# kernel_get NAME sets:
#   arch         x86 or arm64
#   vmlinuz      what to boot             moddir   its lib/modules/VERSION
#   kdir         what to build modules against
#   kbuild       how: a command, and words for it
#   jail         empty, or a root file system in which that is done; kdir is a path in there
#   cc64, cc32   compilers for programs of the guest
#   busybox      its shell
#   debug        yes: slow, with every check there is

kernels="debian-6.1 debian-6.12 arm64-6.1 debian-7 debug-6.12"

# kernel_files DIR: what is known by its place when Debian packages are unpacked below DIR.
kernel_files()
{
	vmlinuz=$(find "$1"/boot/vmlinuz-* "$1"/usr/lib/modules/*/vmlinuz 2>/dev/null | head -n 1)
	moddir=$(find "$1/lib/modules" "$1/usr/lib/modules" -mindepth 1 -maxdepth 1 -type d \
		2>/dev/null | head -n 1)
	kdir=$1/usr/src/linux-headers-$(basename "$moddir")
	[ -e "$vmlinuz" ] && [ -d "$kdir" ]
}

# kernel_debian NAME META: image, headers and build tools that the meta packages lead to.
kernel_debian()
{
	local dir=$cache/$1 image headers common tools
	if [ ! -e "$dir/ready" ]; then
		say "fetching the kernel $1"
		rm -rf "$dir"
		[ -n "$(depends "linux-image-$2" 'linux-image-[0-9].*')" ] ||
			as_root apt-get -q -y update >>"$work/apt.log" 2>&1
		image=$(depends "linux-image-$2" 'linux-image-[0-9].*') || return
		headers=linux-headers-${image#linux-image-}
		common=$(depends "$headers" 'linux-headers-.*-common') || return
		tools=$(depends "$headers" 'linux-kbuild-.*') || return
		fetch "$dir" "$image" "$headers" "$common" "$tools" || return
		# The headers name their other half by the place where they would be installed.
		sed -i "s#^include /usr#include $dir/root/usr#" "$dir/root/usr/src/$headers/Makefile"
		touch "$dir/ready"
	fi
	kernel_files "$dir/root"
}

# The same release for another architecture: its image and headers, and the build tools of this machine's.
kernel_arm64()
{
	local dir=$cache/arm64-6.1 image headers common tools
	if [ ! -e "$dir/ready" ]; then
		say "fetching the kernel arm64-6.1"
		rm -rf "$dir"
		(
			other_apt "$dir/apt" arm64 || exit
			image=$(depends linux-image-arm64 'linux-image-[0-9].*') || exit
			headers=linux-headers-${image#linux-image-}
			common=$(depends "$headers" 'linux-headers-.*-common') || exit
			tools=$(depends "$headers" 'linux-kbuild-.*') || exit
			fetch "$dir" "$image" "$headers" "$common" busybox-static || exit
			unset APT_CONFIG
			fetch "$dir" "$tools" || exit
			sed -i "s#^include /usr#include $dir/root/usr#" \
				"$dir/root/usr/src/$headers/Makefile"
		) || return
		rm -r "$dir/apt"
		touch "$dir/ready"
	fi
	kernel_files "$dir/root" || return
	arch=arm64 busybox=$dir/root/bin/busybox
	cc64=aarch64-linux-gnu-gcc-12 cc32=arm-linux-gnueabihf-gcc-12
	kbuild="make ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu- CC=$cc64"
}

# The newest kernel that the backports to Debian 13 have. It wants that release's compiler, and its build
# tools that release's libraries: they live in a root file system of their own.
kernel_next()
{
	local dir=$cache/debian-7 uri image
	if [ ! -e "$dir/ready" ]; then
		say "fetching the kernel debian-7, and a Debian 13 to build for it"
		host_packages debootstrap
		as_root rm -rf "$dir"
		mkdir -p "$dir"
		(
			other_apt "$dir/apt" amd64 trixie trixie-backports || exit
			image=$(apt-cache depends linux-image-amd64/trixie-backports |
				sed -n 's/^ *Depends: \(linux-image-7.*\)/\1/p')
			[ -n "$image" ] || exit
			fetch "$dir" "linux-binary-${image#linux-image-}" \
				"linux-modules-${image#linux-image-}" || exit
			unset APT_CONFIG
			read -r uri _ < <(archives trixie)
			as_root debootstrap --variant=minbase --include=make trixie "$dir/jail" "$uri" \
				>>"$work/apt.log" 2>&1 || exit
			as_root cp "$dir/apt/parts/debian.sources" "$dir/jail/etc/apt/sources.list.d/" || exit
			as_root rm -f "$dir/jail/etc/apt/sources.list"
			as_root sh -c "cp /etc/apt/apt.conf.d/99* '$dir/jail/etc/apt/apt.conf.d/' 2>/dev/null
				cp /etc/resolv.conf /etc/hosts '$dir/jail/etc/'
				chroot '$dir/jail' apt-get -q -y update &&
				DEBIAN_FRONTEND=noninteractive chroot '$dir/jail' apt-get -q -y install \
				--no-install-recommends binutils linux-headers-${image#linux-image-}" \
				</dev/null >>"$work/apt.log" 2>&1
		) || return
		rm -r "$dir/apt"
		touch "$dir/ready"
	fi
	jail=$dir/jail
	kernel_files "$dir/root" || true
	kdir=/usr/src/linux-headers-$(basename "$moddir")
	kbuild="make"
	[ -e "$vmlinuz" ] && [ -d "$jail$kdir" ]
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

# kernel_cached NAME: it can be had without the network.
kernel_cached()
{
	case $1 in
	debug-6.12) cmp -s "$top/devtools/kernel/debug-x86_64.config" "$cache/$1/ready" ;;
	*) [ -e "$cache/$1/ready" ] ;;
	esac
}

kernel_get()
{
	arch=x86 vmlinuz='' kdir='' moddir='' debug='' jail='' busybox=$(command -v busybox)
	cc64=gcc-12 cc32=i686-linux-gnu-gcc kbuild="make CC=gcc-12"
	# shellcheck disable=SC2086 # lists of words
	case $1 in
	arm64-*) host_packages $vm_packages $vm_packages_arm64 ;;
	*) host_packages $vm_packages $vm_packages_x86 ;;
	esac
	case $1 in
	debian-6.1) kernel_debian "$1" amd64 ;;
	debian-6.12) kernel_debian "$1" 6.12-amd64 ;;
	arm64-6.1) kernel_arm64 ;;
	debian-7) kernel_next ;;
	debug-6.12) kernel_debug ;;
	*) die "no such kernel: $1 ($kernels)" ;;
	esac
}
