# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash disable=SC2154,SC2034 # what vm.sh and its parts share
# What goes into the guest: our modules, the tests, an initramfs. Sourced by devtools/vm.sh.

# Modules of the kernel that ours and the tests need, in an order in which they load. One that a
# kernel has built in, or does not have, is left out.
guest_modules="irqbypass virqfd vfio_virqfd iommufd vfio vfio_iommu_type1 fuse
	lz4_compress lz4hc_compress zsmalloc zram"
# ... and for the host's files, of the suite dpdk.
guest_modules_9p="netfs fscache 9pnet 9p virtio_ring virtio virtio_pci_modern_dev
	virtio_pci_legacy_dev virtio_pci 9pnet_virtio"

copy_sources()
{
	mkdir -p "$work/kmod" || return
	# A copy for each kernel: one's objects are useless to the next.
	(cd "$top/kmod" && find . -type f \( -name '*.[ch]' -o -name Kbuild -o -name Makefile \) \
		! -path './tests/*' -print0 | cpio -0 -pdum --quiet "$work/kmod")
}

build_modules()
{
	copy_sources || return
	kbuild "$work/kmod" >"$work/modules.log" 2>&1 || return
	# Without vmlinux there is no BTF to make, and Kbuild says so.
	if grep -iE '(^|[^a-z])(warning|error):' "$work/modules.log"; then
		return 1
	fi
}

# kbuild DIR [MAKE'S WORD...]: the modules of a folder that has our Makefile; in $jail it is a copy
# that is built.
kbuild()
{
	local dir=$1
	shift
	# shellcheck disable=SC2086 # a command and its words
	set -- nice $kbuild W=1 KDIR="$kdir" "$@" modules
	if [ -z "$jail" ]; then
		"$@" -C "$dir"
		return
	fi
	# objtool wants /proc.
	# shellcheck disable=SC2016 # for the inner shell
	as_root rm -rf "$jail/kmod" && as_root cp -r "$dir" "$jail/kmod" &&
		as_root unshare -m --propagation private sh -c 'mount -t proc proc "$1/proc" && exec chroot "$@"' \
			sh "$jail" env PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@" -C /kmod || return
	cp "$jail"/kmod/*.ko "$dir"
}

# sparse says nothing of a file that it did not look at: they are counted.
check_sparse()
{
	local files checked
	[ -z "$jail" ] || die "no sparse for $kernel: it is built where there is none"
	host_packages sparse
	copy_sources || return
	files=$(find "$work/kmod" -name '*.c' ! -name '*.mod.c' ! -path '*/tests/*' | wc -l)
	if ! kbuild "$work/kmod" C=2 >"$work/sparse.log" 2>&1; then
		tail -n 20 "$work/sparse.log"
		echo "0 passed, 1 failed"
		return 1
	fi
	checked=$(grep -cE '^ +CHECK +' "$work/sparse.log")
	if grep -E '(warning|error):' "$work/sparse.log" || [ "$checked" -lt "$files" ]; then
		echo "FAIL sparse: the above, or $checked files checked of $files"
		echo "0 passed, 1 failed"
		return 1
	fi
	echo "ok sparse: $checked files for $kernel"
	echo "1 passed, 0 failed"
}

build_tests()
{
	local flags=(-std=gnu11 -O2 -g -Wall -Wextra -Werror -static -I"$top/kmod/uapi")
	local name sources=()
	for name in "$top"/kmod/tests/*.c; do
		[ "${name##*/}" = bench.c ] || sources+=("$name")
	done
	{
		"$cc64" "${flags[@]}" -o "$work/kmod_test" "${sources[@]}" -pthread &&
			"$cc32" "${flags[@]}" -o "$work/kmod_test32" "${sources[@]}" -pthread &&
			"$cc64" "${flags[@]}" -o "$work/kmod_bench" "$top"/kmod/tests/bench.c \
				"$top"/kmod/tests/fixture.c
	} >"$work/tests.log" 2>&1
}

make_initramfs()
{
	local root=$work/initramfs name file
	rm -rf "$root"
	mkdir -p "$root"/{bin,dev,proc,sys,tmp,modules} || return
	cp "$busybox" "$root/bin/busybox" || return
	cp "$top/devtools/vm/init" "$root/init" || return
	cp "$top/devtools/vm/checks" "$top/devtools/vm/dpdk" "$root/" || return
	cp "$work/kmod_test" "$work/kmod_test32" "$work/kmod_bench" "$root/bin/" || return
	[ "$suite" != dpdk ] || guest_modules="$guest_modules $guest_modules_9p"
	for name in $guest_modules; do
		file=$(find "$moddir" -name "$name.ko" -o -name "${name//_/-}.ko" \
			-o -name "$name.ko.xz" -o -name "${name//_/-}.ko.xz" | head -n 1)
		[ -n "$file" ] || continue
		case $file in
		*.xz) xz -dc "$file" >"$root/modules/$name.ko" || return ;;
		*) cp "$file" "$root/modules/$name.ko" || return ;;
		esac
		echo "$name" >>"$root/modules/order"
	done
	cp "$work/kmod/vfio_svm.ko" "$work/kmod/vfio_svm_sw.ko" "$root/modules/" || return
	chmod 755 "$root/init"
	(cd "$root" && find . -print0 | cpio -0 -o --quiet -H newc -R 0:0 | gzip -1) \
		>"$work/initramfs.gz"
}
