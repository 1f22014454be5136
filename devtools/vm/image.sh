# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash disable=SC2154,SC2034 # what vm.sh and its parts share
# What goes into the guest: our modules, the tests, an initramfs. Sourced by devtools/vm.sh.

# Modules of the kernel that ours and the tests need, in an order in which they load. One that a
# kernel has built in, or does not have, is left out.
guest_modules="irqbypass virqfd vfio_virqfd iommufd vfio vfio_iommu_type1 fuse
	lz4_compress lz4hc_compress zsmalloc zram"

build_modules()
{
	mkdir -p "$work/kmod" || return
	# A copy for each kernel: one's objects are useless to the next.
	(cd "$top/kmod" && find . -type f \( -name '*.[ch]' -o -name Kbuild -o -name Makefile \) \
		! -path './tests/*' -print0 | cpio -0 -pdum --quiet "$work/kmod") || return
	nice make -C "$work/kmod" KDIR="$kdir" W=1 CC=gcc-12 modules >"$work/modules.log" 2>&1 || return
	# Without vmlinux there is no BTF to make, and Kbuild says so.
	if grep -iE '(^|[^a-z])(warning|error):' "$work/modules.log"; then
		return 1
	fi
}

build_tests()
{
	local flags=(-std=gnu11 -O2 -g -Wall -Wextra -Werror -static -I"$top/kmod/uapi")
	{
		gcc-12 "${flags[@]}" -o "$work/kmod_test" "$top"/kmod/tests/*.c -pthread &&
			i686-linux-gnu-gcc "${flags[@]}" -o "$work/kmod_test32" \
				"$top"/kmod/tests/*.c -pthread
	} >"$work/tests.log" 2>&1
}

make_initramfs()
{
	local root=$work/initramfs name file
	rm -rf "$root"
	mkdir -p "$root"/{bin,dev,proc,sys,tmp,modules} || return
	cp "$(command -v busybox)" "$root/bin/busybox" || return
	cp "$top/devtools/vm/init" "$root/init" || return
	cp "$top/devtools/vm/checks" "$root/checks" || return
	cp "$work/kmod_test" "$work/kmod_test32" "$root/bin/" || return
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
