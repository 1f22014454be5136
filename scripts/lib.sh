# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# What setup.sh, test.sh and demo.sh share. Sourced, never run.

# say TEXT: one line of progress, named after the script that runs.
say()
{
	printf '%s: %s\n' "$(basename "$0" .sh)" "$*"
}

# die TEXT: one line that says what is wrong, and the end.
die()
{
	printf '%s: error: %s\n' "$(basename "$0" .sh)" "$*" >&2
	exit 1
}

# can_root: true when a command can be run as root without a question.
can_root()
{
	[ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null
}

# as_root COMMAND...: run it as root, directly or through sudo, never asking.
as_root()
{
	if [ "$(id -u)" = 0 ]; then
		"$@"
	else
		sudo -n "$@"
	fi
}

# world_writable_parent PATH: print the first directory above PATH that everybody may write to, and
# succeed; fail silently when there is none. EAL refuses a plugin below such a directory.
world_writable_parent()
{
	local dir
	dir=$(realpath -m "$1")
	while [ "$dir" != / ]; do
		dir=$(dirname "$dir")
		[ -e "$dir" ] || continue
		case $(stat -c %a "$dir") in
		*[2367]) printf '%s\n' "$dir"; return 0 ;;
		esac
	done
	return 1
}

# require_plugin_place TREE: end with one line when EAL would refuse the plugin built in TREE.
require_plugin_place()
{
	local dir
	if dir=$(world_writable_parent "$1/build/drivers/plugin.so"); then
		die "$dir is world-writable, and DPDK refuses plugins below such a directory;" \
			"move this tree, for example to your home directory"
	fi
}

# build_tree SOURCE BUILD [MESON OPTION...]: configure (again, if need be) and build, quietly when
# nothing is wrong. Configuring again makes meson look at the installed DPDK's version once more.
build_tree()
{
	local src=$1 build=$2
	shift 2
	if [ -f "$build/build.ninja" ]; then
		meson setup --reconfigure "$build" "$src" "$@" || return
	else
		meson setup "$build" "$src" "$@" || return
	fi
	ninja -C "$build"
}

# hugepages_free: number of free 2 MiB pages that a program can really map: 0 without a mount.
hugepages_free()
{
	local free=/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages
	if [ -r "$free" ] && hugetlbfs_mount >/dev/null; then
		cat "$free"
	else
		echo 0
	fi
}

# hugetlbfs_mount: print a writable mount point of 2 MiB pages, or fail.
hugetlbfs_mount()
{
	local dev dir type opts rest default
	default=$(awk '/^Hugepagesize:/ { print $2 }' /proc/meminfo)
	# shellcheck disable=SC2034 # read needs a name for each field
	while read -r dev dir type opts rest; do
		[ "$type" = hugetlbfs ] || continue
		[ -w "$dir" ] || continue
		case ",$opts," in
		*,pagesize=2M,*) ;;
		*,pagesize=*) continue ;;
		*) [ "$default" = 2048 ] || continue ;;
		esac
		printf '%s\n' "$dir"
		return 0
	done </proc/mounts
	return 1
}

# first_cpus: the first two CPUs that this process may use, as "A,B"; fails when there is only one.
first_cpus()
{
	awk '/^Cpus_allowed_list:/ {
		n = split($2, part, ",")
		for (i = 1; i <= n && got < 2; i++) {
			m = split(part[i], r, "-")
			last = m > 1 ? r[2] : r[1]
			for (c = r[1]; c <= last && got < 2; c++)
				out = out (got++ ? "," : "") c
		}
		print out
		exit got < 2
	}' /proc/self/status
}

# no_aslr: what to put before a program with ThreadSanitizer in it, whose older runtimes do not start
# where the kernel spreads addresses widely. Nothing where that is forbidden.
no_aslr()
{
	! setarch -R true 2>/dev/null || echo setarch -R
}
