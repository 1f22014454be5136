# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash disable=SC2154,SC2034 # what vm.sh and its parts share
# Debian packages: those of this machine, and those that are only unpacked. Sourced by devtools/vm.sh.

# Host packages: what boots the guest, what goes into it, what Kbuild needs.
vm_packages="busybox-static cpio kmod gcc-12 libc6-dev make bc libelf-dev flex bison xz-utils"
vm_packages_x86="qemu-system-x86 gcc-i686-linux-gnu libc6-dev-i386-cross"
vm_packages_arm64="qemu-system-arm gcc-aarch64-linux-gnu libc6-dev-arm64-cross
	gcc-arm-linux-gnueabihf libc6-dev-armhf-cross"

# host_packages NAME...: install what is not there.
host_packages()
{
	local name want=
	for name; do
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

# archives [SUITE...]: a line "URI SUITE" for each of this machine's own sources of Debian, or for
# these suites of the same archive.
archives()
{
	local suite
	# shellcheck disable=SC2016 # apt's words
	set -- "$(apt-get indextargets --format '$(LABEL) $(REPO_URI) $(RELEASE)' \
		'Created-By: Packages' 'Origin: Debian' | sort -u)" "$@"
	if [ $# = 1 ]; then
		cut -d ' ' -f 2,3 <<<"$1"
	else
		for suite in "${@:2}"; do
			sed -n "s/^Debian \\([^ ]*\\) .*/\\1 $suite/p" <<<"$1" | head -n 1
		done
	fi
}

# other_apt DIR ARCH [SUITE...]: an apt of its own below DIR, for another architecture or other suites:
# sets $APT_CONFIG. Nothing of this machine's apt changes.
other_apt()
{
	local dir=$1 arch=$2 uri suite
	shift 2
	mkdir -p "$dir/lists/partial" "$dir/archives/partial" "$dir/parts" || return
	while read -r uri suite; do
		printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n\n' \
			"$uri" "$suite" /usr/share/keyrings/debian-archive-keyring.gpg
	done < <(archives "$@") >"$dir/parts/debian.sources"
	[ -s "$dir/parts/debian.sources" ] || return
	: >"$dir/status"
	cat >"$dir/apt.conf" <<-EOF
		APT::Architecture "$arch";
		APT::Architectures { "$arch"; };
		APT::Sandbox::User "root";
		Dir::Etc::sourcelist "/dev/null";
		Dir::Etc::sourceparts "$dir/parts";
		Dir::State::lists "$dir/lists";
		Dir::State::status "$dir/status";
		Dir::Cache "$dir";
	EOF
	export APT_CONFIG=$dir/apt.conf
	apt-get -q -y update >>"$work/apt.log" 2>&1
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
