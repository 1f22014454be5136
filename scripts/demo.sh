#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The demonstration: sets the machine up, builds, and lets svm_pipeline receive real packets between
# a web server and its clients, move each one into the private memory of one of four worker
# processes, and lose one of these on the way. Ends with a table; fails when a packet is unaccounted.
# Everything it starts lives in two network namespaces of its own, and ends with it.
#
#   scripts/demo.sh                 all of it
#   scripts/demo.sh run [--pcap]    without set-up and build; --pcap: from the capture file
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$top/scripts/lib.sh"

server_ip=192.0.2.1
client_ip=192.0.2.2
workers=4
file_mib=4
connections=8		# at a time, each a flow of its own
rounds=2		# of clients, one after the other
files_per_round=32
rate=4m			# bytes/s of a connection: two CPUs can follow that
kill_after=60000	# packets
capture=$top/examples/pipeline/sample.pcap
capture_packets=200000

tmp=
pids=()

# End what was started here, the last one first, and take its files away.
cleanup()
{
	local i
	for ((i = ${#pids[@]} - 1; i >= 0; i--)); do
		kill "${pids[i]}" 2>/dev/null || true
		wait "${pids[i]}" 2>/dev/null || true
	done
	[ -z "$tmp" ] || rm -rf "$tmp"
}

# in_ns PID COMMAND...: in the network namespace of a process. Only the network changes, so this
# works in a chroot, where `ip netns exec` does not.
in_ns()
{
	local pid=$1
	shift
	nsenter --target "$pid" --net "$@"
}

# hold_namespace: a network namespace that lives as long as a process of ours; sets $held to its pid.
# However this script ends, the namespace goes, and the veth with it.
hold_namespace()
{
	local i own
	own=$(readlink /proc/self/ns/net)
	unshare --net sleep 600 2>"$tmp/unshare.log" &
	held=$!
	pids+=("$held")
	for ((i = 0; i < 100; i++)); do
		[ -e "/proc/$held/ns/net" ] || return 1
		[ "$(readlink "/proc/$held/ns/net")" = "$own" ] || return 0
		sleep 0.02
	done
	return 1
}

# make_end PID NAME IP: one end of the veth, with checksums in the packets and no giant packets:
# what a wire would carry.
make_end()
{
	in_ns "$1" ip link set lo up
	in_ns "$1" ethtool -K "$2" rx off tx off sg off tso off gso off gro off >/dev/null 2>&1 || true
	in_ns "$1" ip addr add "$3/24" dev "$2"
	in_ns "$1" ip link set "$2" up
}

make_network()
{
	hold_namespace && server=$held && hold_namespace && client=$held &&
		in_ns "$server" ip link add svm-server type veth peer name svm-client netns "$client" \
			2>>"$tmp/unshare.log" || return
	make_end "$server" svm-server "$server_ip"
	make_end "$client" svm-client "$client_ip"
}

start_server()
{
	local i
	mkdir "$tmp/www"
	head -c "${file_mib}M" /dev/urandom >"$tmp/www/data"
	cat >"$tmp/nginx.conf" <<-END
		daemon off;
		worker_processes 1;
		user nobody nogroup;
		pid $tmp/nginx.pid;
		error_log $tmp/nginx.log;
		events { worker_connections 256; }
		http {
			access_log off;
			sendfile on;
			client_body_temp_path $tmp/body;
			proxy_temp_path $tmp/proxy;
			fastcgi_temp_path $tmp/fastcgi;
			uwsgi_temp_path $tmp/uwsgi;
			scgi_temp_path $tmp/scgi;
			server { listen $server_ip:80; root $tmp/www; limit_rate $rate; }
		}
	END
	nsenter --target "$server" --net nginx -p "$tmp" -e "$tmp/nginx.log" -c "$tmp/nginx.conf" &
	pids+=($!)
	for ((i = 0; i < 100; i++)); do
		! in_ns "$client" curl -s -o /dev/null -I "http://$server_ip/data" || return 0
		sleep 0.05
	done
	cat "$tmp/nginx.log" >&2 || true
	die "the web server does not answer"
}

# Clients, from the moment when the pipeline receives.
traffic()
{
	local i
	# shellcheck disable=SC2046 # pids are words
	trap 'kill $(jobs -p) 2>/dev/null; exit 0' TERM
	for ((i = 0; i < 600; i++)); do
		[ ! -e "$tmp/ready" ] || break
		sleep 0.05
	done
	for ((i = 0; i < rounds; i++)); do
		nsenter --target "$client" --net curl -s -S --no-progress-meter -Z \
			--parallel-max "$connections" -o /dev/null \
			"http://$server_ip/data?[1-$files_per_round]" &
		wait $! || return
	done
	: >"$tmp/fetched"
}

# Arguments for EAL: hugepages when there are enough, and no file outside our folder.
eal_arguments()
{
	local cpus
	cpus=$(first_cpus) || cpus=${cpus%%,*}
	eal=(--lcores "0@($cpus)" --no-pci --no-telemetry --log-level lib.eal:error
		-d "$top/build/drivers/librte_dma_svm.so" --vdev svm0)
	if [ "$(hugepages_free)" -ge 128 ] && [ "$(id -u)" = 0 ]; then
		eal+=(--in-memory -m 192)
	else
		eal+=(--no-huge -m 192)
	fi
}

run_pcap()
{
	RUNTIME_DIRECTORY=$tmp "$top/build/examples/svm_pipeline" "${eal[@]}" \
		--vdev "net_pcap0,rx_pcap=$capture,infinite_rx=1" -- \
		--workers "$workers" --packets "$capture_packets" \
		--kill-after "$((capture_packets / 2))"
}

run_veth()
{
	start_server
	say "nginx serves $server_ip, curl fetches $((rounds * files_per_round)) x $file_mib MiB over" \
		"$connections connections at a time"
	traffic &
	pids+=($!)
	RUNTIME_DIRECTORY=$tmp in_ns "$server" "$top/build/examples/svm_pipeline" "${eal[@]}" \
		--vdev "net_af_packet0,iface=svm-server,blocksz=65536,framesz=2048,framecnt=16384" -- \
		--workers "$workers" --kill-after "$kill_after" --idle-ms 2000 --seconds 60 \
		--ready "$tmp/ready"
	[ -e "$tmp/fetched" ] || die "the packets ended before the clients had fetched everything"
}

run()
{
	local eal server='' client='' held=''
	tmp=$(mktemp -d)
	chmod 755 "$tmp"	# for the web server, which is nobody
	trap cleanup EXIT
	trap 'exit 130' INT TERM
	eal_arguments
	if [ "${1:-}" = --pcap ]; then
		run_pcap
	elif make_network; then
		run_veth
	else
		say "no network namespace can be made here ($(tail -n 1 "$tmp/unshare.log"))," \
			"so the packets come from $(basename "$capture"), over and over"
		run_pcap
	fi
}

main()
{
	local log=$top/build/demo.log
	require_plugin_place "$top"
	"$top/scripts/setup.sh"
	say "building in build/"
	mkdir -p "$top/build"
	build_tree "$top" "$top/build" >"$log" 2>&1 || {
		tail -n 40 "$log" >&2
		die "the build failed (its last lines stand above)"
	}
	if can_root; then
		as_root "$top/scripts/demo.sh" run
	else
		"$top/scripts/demo.sh" run
	fi
}

case ${1:-} in
run) shift; run "$@" ;;
'') main ;;
*) die "usage: scripts/demo.sh [run [--pcap]]" ;;
esac
