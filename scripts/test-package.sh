#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What somebody who installs dpdk-svm gets. scripts/test.sh runs each of these as a step of its own:
#
#   scripts/test-package.sh list      the names, one a line; install is the first
#   scripts/test-package.sh NAME
#
# Everything stays in build-install: a build, the prefix it is installed to, programs that use it.
# Environment: cpus, two CPUs as "A,B"; prefix, EAL's --file-prefix.
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$top/scripts/lib.sh"

base=$top/build-install
root=$base/prefix
out=$base/programs
libdir=$(dpkg-architecture -qDEB_HOST_MULTIARCH 2>/dev/null) && libdir=lib/$libdir || libdir=lib
export PKG_CONFIG_PATH=$root/$libdir/pkgconfig
warnings=(-Wall -Wextra -Werror -pedantic)

# want FILE...: each is there.
want()
{
	local file
	for file; do
		[ -e "$file" ] || die "$file is missing"
	done
}

# dynamic FILE TAG: the values of a dynamic tag, one a line.
dynamic()
{
	readelf -d "$1" | sed -n "s/.*($2).*\\[\\(.*\\)\\]/\\1/p"
}

# plugin: the installed one.
plugin()
{
	find "$root/$libdir/dpdk" -name librte_dma_svm.so
}

# bus: the installed one, beside it.
bus()
{
	echo "$(dirname "$(plugin)")/librte_bus_vfio_svm.so"
}

# flags PACKAGE: what pkg-config says, and where the loader shall look, for no program outside /usr
# finds its libraries otherwise.
flags()
{
	pkg-config --cflags --libs "$1"
	printf -- '-Wl,-rpath,%s\n' "$(pkg-config --variable=libdir "$1")"
}

# run PROGRAM ARGUMENT...: as an owner with the installed plugin.
run()
{
	"$@" --no-huge -m 128 -l "${cpus:-$(first_cpus)}" --no-pci --file-prefix "${prefix:-svminst}" \
		-d "$(plugin)" --vdev svm0
}

# compile COMPILER PACKAGE PROGRAM SOURCE [FLAG...]: with what pkg-config says alone.
compile()
{
	local compiler=$1 package=$2 program=$3 source=$4
	shift 4
	mkdir -p "$out"
	# shellcheck disable=SC2046 # flags are words
	"$compiler" "${warnings[@]}" "$@" "$source" -o "$out/$program" $(flags "$package")
}

# header COMPILER STANDARD PACKAGE HEADER CALL: a program of nothing but the header and one call.
header()
{
	local compiler=$1 standard=$2 package=$3 header=$4 call=$5 kind=c
	case $standard in
	*c++*) kind=c++ ;;
	esac
	mkdir -p "$out"
	printf '#include <%s>\nint main(void) { return %s; }\n' "$header" "$call" >"$out/header.$kind"
	compile "$compiler" "$package" "header_${compiler}_$standard" "$out/header.$kind" \
		"-std=$standard" -x "$kind"
	"$out/header_${compiler}_$standard"
}

# Both headers alone, strict, as C and C++. DPDK's own flags make no pedantic program: the owner's
# header is system to nobody, and stands the same warnings.
test_headers_gcc()
{
	header gcc c11 libsvm_worker svm_worker.h 'svm_worker_status_name(SVM_WORKER_ST_OK) == 0'
	header g++ c++11 libsvm_worker svm_worker.h 'svm_worker_status_name(SVM_WORKER_ST_OK) == 0'
	header gcc c11 librte_svm rte_svm.h 'rte_svm_dev_count()'
	header g++ c++11 librte_svm rte_svm.h 'rte_svm_dev_count()'
}

test_headers_clang()
{
	header clang c11 libsvm_worker svm_worker.h 'svm_worker_status_name(SVM_WORKER_ST_OK) == 0'
	header clang++ c++11 libsvm_worker svm_worker.h 'svm_worker_status_name(SVM_WORKER_ST_OK) == 0'
	header clang c11 librte_svm rte_svm.h 'rte_svm_dev_count()'
	header clang++ c++11 librte_svm rte_svm.h 'rte_svm_dev_count()'
}

test_install()
{
	rm -rf "$root" "$out" "$base/dest"
	build_tree "$top" "$base" --prefix="$root" --libdir="$libdir" -Ddoc=true
	meson install -C "$base" --no-rebuild --quiet
	want "$root/include/rte_svm.h" "$root/include/rte_svm_window.h" \
		"$root/include/svm_worker.h" \
		"$root/$libdir/librte_svm.so.0" "$root/$libdir/libsvm_worker.so.0" \
		"$root/$libdir/librte_svm.so" "$root/$libdir/libsvm_worker.so" \
		"$root/$libdir/pkgconfig/librte_svm.pc" "$root/$libdir/pkgconfig/libsvm_worker.pc" \
		"$(plugin)" "$(bus)" "$root/bin/dpdk-test-svm" "$root/share/man/man1/dpdk-test-svm.1" \
		"$root/share/man/man3/rte_svm_submit.3" "$root/share/doc/dpdk-svm/html/index.html"
	diff <(find "$top/lib" -name 'rte_svm*.h' ! -name rte_svm_pmd.h -printf '%f\n' \
			-o -name svm_worker.h -printf '%f\n' | sort) \
		<(find "$root/include" -type f -printf '%f\n' | sort) ||
		die "not the public headers, all of them and no other: lib/meson.build"
}

# DESTDIR moves everything, and nothing is left out or written elsewhere.
test_destdir()
{
	DESTDIR=$base/dest meson install -C "$base" --no-rebuild --quiet
	diff <(cd "$root" && find . | sort) <(cd "$base/dest/$root" && find . | sort)
}

test_exports()
{
	bash "$top/devtools/check-exports.sh" svm "$root/$libdir/librte_svm.so.0" "$(plugin)"
	bash "$top/devtools/check-exports.sh" worker "$root/$libdir/libsvm_worker.so.0"
	bash "$top/devtools/check-exports.sh" bus "$(bus)"
	# The library of the tests shows all its functions: the check has to see that.
	! bash "$top/devtools/check-exports.sh" svm "$root/$libdir/dpdk-svm/librte_svm.so.0" \
		"$(plugin)" || die "the check does not see functions that should not be exported"
}

# Nothing that is installed remembers where it was built.
test_runpath()
{
	local file paths
	[ "$(dynamic "$root/$libdir/librte_svm.so" SONAME)" = librte_svm.so.0 ]
	[ "$(dynamic "$root/$libdir/libsvm_worker.so" SONAME)" = libsvm_worker.so.0 ]
	[ "$(dynamic "$(bus)" SONAME)" = librte_bus_vfio_svm.so.0 ]
	# shellcheck disable=SC2016 # the loader's word, not the shell's
	[ "$(dynamic "$(plugin)" RUNPATH)" = '$ORIGIN/../..' ] || die "the plugin's RUNPATH is wrong"
	while read -r file; do
		paths=$(dynamic "$file" RUNPATH; dynamic "$file" RPATH)
		# shellcheck disable=SC2016
		case ${paths//'$ORIGIN'/} in
		*[!/.:]*) die "$file has the RUNPATH $paths" ;;
		esac
	done < <(find "$root" -type f \( -name '*.so*' -o -perm /111 \))
}

test_worker_without_dpdk()
{
	local libs
	libs=$(pkg-config --libs --static libsvm_worker)
	case $libs in
	*rte_* | *dpdk*) die "libsvm_worker.pc asks for DPDK: $libs" ;;
	esac
	compile gcc libsvm_worker svm_copy_worker "$top/examples/svm_copy_worker.c" -std=gnu11
	! ldd "$out/svm_copy_worker" | grep -E 'rte_|not found' || die "a worker is linked with DPDK"
	ldd "$out/svm_copy_worker" | grep -F "$root/$libdir/libsvm_worker.so.0"
}

# Owner and worker, built outside the tree, meet.
test_svm_copy()
{
	compile gcc libsvm_worker svm_copy_worker "$top/examples/svm_copy_worker.c" -std=gnu11
	compile gcc librte_svm svm_copy_owner "$top/examples/svm_copy_owner.c" -std=gnu11 -D_GNU_SOURCE
	run "$out/svm_copy_owner"
}

# The program that a header shows.
example()
{
	sed -n '/^ \* @code{\.c}$/,/^ \* @endcode$/ { /@code\|@endcode/d; s/^ \* \?//; p }' "$1"
}

# What the headers show compiles, and works: owner and worker of the two headers meet.
test_header_examples()
{
	local runtime=${XDG_RUNTIME_DIR:-/tmp} owner rc=0
	[ "$(id -u)" != 0 ] || runtime=/run
	mkdir -p "$out"
	example "$root/include/rte_svm.h" >"$out/owner.c"
	example "$root/include/svm_worker.h" >"$out/worker.c"
	compile gcc librte_svm owner "$out/owner.c" -Wno-missing-field-initializers
	compile gcc libsvm_worker worker "$out/worker.c" -Wno-missing-field-initializers
	run "$out/owner" >"$out/owner.log" 2>&1 &
	owner=$!
	for _ in $(seq 100); do
		[ ! -S "$runtime/dpdk/${prefix:-svminst}/svm0.sock" ] || break
		sleep 0.1
	done
	timeout 20 "$out/worker" "$runtime/dpdk/${prefix:-svminst}/svm0.sock" >"$out/worker.log" || rc=$?
	[ "$rc" = 0 ] || kill "$owner"
	wait "$owner" || rc=$?
	cat "$out/owner.log" "$out/worker.log"
	[ "$rc" = 0 ] && grep -qx 'OK, 64 bytes' "$out/owner.log" &&
		grep -qx 'OK: hello, from the owner' "$out/worker.log"
}

# The reference has no warning, and says which one there is; the manual has a page for each function.
test_reference()
{
	local name
	ninja -C "$base" doc
	want "$base/doc/html/index.html" "$base/doc/html/svm_copy.html" "$base/doc/html/rte__svm_8h.html" \
		"$base/doc/html/svm__worker_8h.html"
	for name in $(nm -D --defined-only "$root/$libdir/librte_svm.so" "$root/$libdir/libsvm_worker.so" |
			grep -oE '(rte_svm|svm_worker)_[a-z_]+@' | tr -d @); do
		want "$base/doc/man/man3/$name.3"
	done
	# Twice: the copy lacks a comment.
	mkdir -p "$out/lib"
	sed '/Number of devices in this process/d' "$top/lib/svm/rte_svm.h" >"$out/lib/rte_svm.h"
	! bash "$top/devtools/doxygen.sh" doxygen "$base/doc/Doxyfile.man" "$out/man" "$out/lib/rte_svm.h" \
			2>"$out/doxygen.log" ||
		die "a function without a comment is no error"
	grep -q 'rte_svm_dev_count.* is not documented' "$out/doxygen.log"
}

test_one_instance()
{
	compile gcc librte_svm one_instance "$top/app/test-package/one_instance.c" -D_GNU_SOURCE
	run "$out/one_instance"
}

test_eal_alone()
{
	# shellcheck disable=SC2046 # flags are words
	gcc $(pkg-config --cflags libdpdk) "$top/app/test-package/eal_alone.c" -o "$out/eal_alone" \
		-L"$(pkg-config --variable=libdir libdpdk)" -lrte_eal
	run "$out/eal_alone"
}

# The tests as they are installed: their library, their worker, and the plugin, in one process.
test_dpdk_test_svm()
{
	"$root/bin/dpdk-test-svm" --no-huge -m 256 -l "${cpus:-$(first_cpus)}" --no-pci \
		--file-prefix "${prefix:-svminst}" -d "$(plugin)" -d "$(bus)" -- unit ring life bus
}

tests="install destdir exports runpath headers_gcc headers_clang worker_without_dpdk svm_copy
	header_examples reference one_instance eal_alone dpdk_test_svm"
name=${1-}
if [ "$name" = list ]; then
	# shellcheck disable=SC2086 # a list of words
	printf '%s\n' $tests
elif [ "$#" = 1 ] && declare -F "test_$name" >/dev/null; then
	"test_$name"
else
	die "usage: scripts/test-package.sh list | NAME"
fi
