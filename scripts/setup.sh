#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Prepares a Debian 12 machine to build and run dpdk-svm: packages, DPDK's driver headers, hugepages.
# Asks nothing, may be run again at any time (at once when all is there), as root or through sudo.
# Environment: SVM_HUGE_MB = MiB of 2 MiB hugepages wanted (default 512, 0 for none).
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$top/scripts/lib.sh"

# The build, the reference and the Debian packages; then what the demo and the tests run: veth and
# namespaces, a web server, a client.
packages="build-essential clang libc6-dev meson ninja-build pkg-config libcunit1-dev libnuma-dev libtbb-dev
	libjansson-dev debhelper doxygen shellcheck dpkg-dev xz-utils git ca-certificates procps util-linux
	libhugetlbfs-bin babeltrace2 iproute2 ethtool nginx-light curl tcpdump"
# DPDK itself. libdpdk-dev brings every driver, dma_skeleton, af_packet and pcap among them.
dpdk_packages="libdpdk-dev dpdk-dev"
headers="bus_driver.h dev_driver.h bus_vdev_driver.h rte_dmadev_pmd.h"
header_root=$top/third_party/dpdk-headers

tmp=$(mktemp -d)
chmod 755 "$tmp"	# apt drops its rights to download, and must still get in
policy_added=
cleanup()
{
	[ -z "$policy_added" ] || as_root rm -f /usr/sbin/policy-rc.d
	rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# compiles_driver [FLAG...]: true when the compiler finds all four driver headers.
compiles_driver()
{
	command -v cc >/dev/null && command -v pkg-config >/dev/null || return 1
	pkg-config --exists libdpdk 2>/dev/null || return 1
	# shellcheck disable=SC2046,SC2086 # flags are words
	printf '#include <%s>\n' $headers |
		cc $(pkg-config --cflags libdpdk) -DALLOW_INTERNAL_API -DALLOW_EXPERIMENTAL_API \
			"$@" -fsyntax-only -x c - 2>"$tmp/cc.log"
}

# missing_packages NAME...: those that are not installed.
missing_packages()
{
	local name
	for name in "$@"; do
		case $(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null) in
		installed) ;;
		*) printf '%s ' "$name" ;;
		esac
	done
}

apt_get()
{
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 \
		-o Acquire::Retries=3 -o Dpkg::Use-Pty=0 "$@" </dev/null >>"$tmp/apt.log" 2>&1
}

# Services that the packages bring must not start here; a policy that stands already is respected.
hold_services()
{
	[ ! -e /usr/sbin/policy-rc.d ] || return 0
	printf '#!/bin/sh\nexit 101\n' >"$tmp/policy-rc.d"
	as_root install -m 755 "$tmp/policy-rc.d" /usr/sbin/policy-rc.d
	policy_added=yes
}

install_packages()
{
	local want
	# shellcheck disable=SC2086 # a list of words
	want=$(missing_packages "$@")
	[ -n "$want" ] || return 0
	command -v apt-get >/dev/null || die "no apt-get here; install by hand: $want"
	can_root || die "needs root (or sudo without a password) to install: $want"
	say "installing Debian packages (some minutes the first time): $want"
	hold_services
	apt_get update || say "warning: apt-get update had errors; going on with the lists there are"
	# shellcheck disable=SC2086 # a list of words
	if ! apt_get install --no-install-recommends $want; then
		tail -n 20 "$tmp/apt.log" >&2
		die "apt-get could not install the packages (its last lines stand above)"
	fi
	# The demo starts a web server of its own, in a namespace; the package's stays off.
	case " $want " in
	*" nginx-light "*) as_root update-rc.d nginx disable >/dev/null 2>&1 || true ;;
	esac
}

# The apt sources of this machine, as source-package entries, in a folder of our own.
source_entries()
{
	local parts=$1 file
	mkdir -p "$parts"
	for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
		[ -r "$file" ] || continue
		sed -nE 's/^[[:space:]]*deb(-src)?[[:space:]]+/deb-src /p' "$file" | sort -u \
			>"$parts/$(basename "$file" .list).list"
	done
	for file in /etc/apt/sources.list.d/*.sources; do
		[ -r "$file" ] || continue
		sed -E 's/^Types:.*/Types: deb-src/' "$file" >"$parts/$(basename "$file")"
	done
}

# download_source VERSION DIR: exactly this version of the source package dpdk, checked by apt.
download_source()
{
	local version=$1 dir=$2
	local opts=(-q -y -o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$tmp/parts"
		-o "Dir::State::lists=$tmp/lists" -o "Dir::Cache=$tmp/cache" -o Acquire::Languages=none
		-o Acquire::Retries=3)
	source_entries "$tmp/parts"
	mkdir -p "$tmp/lists/partial" "$tmp/cache/archives/partial" "$dir"
	[ "$(id -u)" != 0 ] || ! id _apt >/dev/null 2>&1 || chown _apt "$dir"
	# An unrelated source that does not answer is no reason to stop: the download decides.
	apt-get "${opts[@]}" update >>"$tmp/apt.log" 2>&1 || true
	(cd "$dir" && apt-get "${opts[@]}" source --download-only "dpdk=$version") >>"$tmp/apt.log" 2>&1
}

# fetch_headers VERSION: the four headers of that source package, Debian's patches applied.
fetch_headers()
{
	local version=$1 dsc found name
	say "fetching DPDK's driver headers from Debian's source package dpdk $version"
	download_source "$version" "$tmp/source" ||
		die "the archive gave no source package dpdk $version, the version of the installed" \
			"libdpdk-dev (apt: $(grep -m 1 '^E:' "$tmp/apt.log")); if a newer one is out," \
			"upgrade libdpdk-dev and run this again"
	dsc=$(find "$tmp/source" -name 'dpdk_*.dsc')
	found=$(sed -n 's/^Version: *//p' "$dsc" | head -n 1)
	[ "$found" = "$version" ] ||
		die "the source package is dpdk $found, but the installed libdpdk-dev is $version"
	dpkg-source --no-check -x "$dsc" "$tmp/tree" >>"$tmp/apt.log" 2>&1 ||
		die "cannot unpack $(basename "$dsc")"
	mkdir -p "$tmp/headers" "$header_root"
	for name in $headers; do
		found=$(find "$tmp/tree/lib" "$tmp/tree/drivers" -name "$name")
		[ "$(printf '%s\n' "$found" | grep -c .)" = 1 ] ||
			die "dpdk $version does not have exactly one $name"
		install -m 644 "$found" "$tmp/headers/$name"
	done
	compiles_driver -isystem "$tmp/headers" || {
		head -n 10 "$tmp/cc.log" >&2
		die "the headers of dpdk $version do not compile with the installed DPDK"
	}
	printf '%s\n' "$version" >"$tmp/headers/VERSION"
	# Moved into place as a whole: a folder that exists is complete.
	rm -rf "${header_root:?}/$version" "$header_root/.new"
	cp -r "$tmp/headers" "$header_root/.new"
	mv "$header_root/.new" "$header_root/$version"
}

driver_headers()
{
	local version upstream pc old
	if compiles_driver; then
		say "driver headers: those of the installed DPDK $(pkg-config --modversion libdpdk)"
		return
	fi
	version=$(dpkg-query -W -f '${source:Version}' libdpdk-dev 2>/dev/null) ||
		die "no DPDK with driver headers and no Debian package libdpdk-dev"
	pc=$(pkg-config --modversion libdpdk 2>/dev/null) || die "pkg-config does not find libdpdk"
	upstream=${version#*:}
	upstream=${upstream%-*}
	[ "$pc" = "$upstream" ] || die "pkg-config finds DPDK $pc, but Debian's libdpdk-dev is $version:" \
		"build the former with -Denable_driver_sdk=true, or take it out of PKG_CONFIG_PATH"
	# Headers of another version would compile and then misbehave: they go.
	for old in "$header_root"/*; do
		[ "$old" = "$header_root/$version" ] || rm -rf "$old"
	done
	if [ "$(cat "$header_root/$version/VERSION" 2>/dev/null)" != "$version" ]; then
		fetch_headers "$version"
	fi
	say "driver headers: third_party/dpdk-headers/$version"
}

# mount_hugetlbfs: a mount for 2 MiB pages, when there is none yet.
mount_hugetlbfs()
{
	hugetlbfs_mount >/dev/null && return
	as_root mkdir -p /dev/hugepages 2>/dev/null &&
		as_root mount -t hugetlbfs -o pagesize=2M hugetlbfs /dev/hugepages 2>/dev/null
}

# reserve_hugepages: raise, never lower. All works without them, so nothing here is an error.
reserve_hugepages()
{
	local pool=/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages
	local want=${SVM_HUGE_MB:-512} limit now
	local also="everything runs without them, too (--no-huge)"
	case $want in
	*[!0-9]* | '') die "SVM_HUGE_MB is '$want', not a number of MiB" ;;
	esac
	[ "$want" -gt 0 ] || return 0
	if [ ! -r "$pool" ]; then
		say "hugepages: this kernel has no 2 MiB pages; $also"
		return
	fi
	now=$(cat "$pool")
	# At most an eighth of what is free, or a small machine starves.
	limit=$(awk '/^MemAvailable:/ { print int($2 / 8192) }' /proc/meminfo)
	[ "$want" -le "$limit" ] || want=$limit
	want=$((want / 2))
	if [ "$now" -lt "$want" ]; then
		if can_root; then
			as_root hugeadm --pool-pages-min "2MB:$want" >/dev/null 2>&1 || true
		fi
		now=$(cat "$pool")
	fi
	if [ "$now" -eq 0 ]; then
		say "hugepages: could not reserve any (not allowed here, or no memory); $also"
	elif ! mount_hugetlbfs; then
		say "hugepages: $((now * 2)) MiB reserved, but no hugetlbfs that this user may write to; $also"
	elif [ "$now" -lt "$want" ]; then
		say "hugepages: $((now * 2)) MiB of the $((want * 2)) MiB wanted; $also"
	else
		say "hugepages: $((now * 2)) MiB, mounted on $(hugetlbfs_mount)"
	fi
}

if compiles_driver; then
	dpdk_packages=	# an installed driver SDK: Debian's DPDK would only get in its way
fi
# shellcheck disable=SC2086 # lists of words
install_packages $packages $dpdk_packages
driver_headers
reserve_hugepages
