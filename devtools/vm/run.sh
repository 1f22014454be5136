# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash disable=SC2154,SC2034 # what vm.sh and its parts share
# Boot the guest, and judge what it said. Sourced by devtools/vm.sh.

# A bound on the whole run: generous, because TCG on a busy machine is slow; a guest that reaches
# it has failed.
boot_guest()
{
	local limit=1800 append machine
	case $arch in
	x86)
		# While the kernel looks its CPU over it forgets for a moment that it has five levels
		# of page tables; an interrupt just then, and KASAN takes the direct map for wild memory.
		machine="qemu-system-x86_64 -cpu max,la57=off"
		# On a starved machine the timer seems not to tick while the kernel looks for it.
		append="console=ttyS0 no_timer_check"
		;;
	arm64)
		machine="qemu-system-aarch64 -M virt,iommu=smmuv3,gic-version=3 -cpu max,pauth-impdef=on"
		append="console=ttyAMA0"
		;;
	esac
	append="$append panic_on_warn=1 oops=panic panic=-1 hung_task_panic=0 quiet"
	[ -z "$debug" ] || limit=3600 append="$append rig_rounds=10"
	# Two nodes, so that pages can migrate.
	# shellcheck disable=SC2086 # a command and its words
	timeout -k 10 "$limit" nice $machine -accel tcg,thread=multi -smp 2 -m 2048 \
		-object memory-backend-ram,id=ram0,size=1G -object memory-backend-ram,id=ram1,size=1G \
		-numa node,memdev=ram0,cpus=0-1 -numa node,memdev=ram1 -nodefaults \
		-no-user-config -display none -monitor none -no-reboot -serial stdio \
		-kernel "$vmlinuz" -initrd "$work/initramfs.gz" "${guest_devices[@]}" \
		-append "$append rig_suite=$suite rig_tests=${VM_TESTS-} rig_debug=$debug ${VM_APPEND-}" \
		</dev/null 2>&1 | sed -u 's/\r//g' | tee "$work/serial.log" |
		grep --line-buffered -aE '^(ok|FAIL|note|point) '
	true
}

# Lines of the guest's kernel that no clean run has.
bad_lines='BUG:|WARNING:|KASAN|UBSAN|possible circular locking|inconsistent lock state|INFO: task .* blocked|suspicious RCU|Oops|Kernel panic|unreferenced object|refcount_t:|soft lockup|rcu: INFO'

judge()
{
	local log=$work/serial.log passed failed line name programs=6
	passed=$(grep -acE '^ok ' "$log")
	failed=$(grep -acE '^FAIL ' "$log")
	if ! grep -aqx 'vm: end' "$log"; then
		echo "FAIL vm.end: the guest did not reach its end; the last it said:"
		tail -n 30 "$log"
		failed=$((failed + 1))
	fi
	if grep -aE "$bad_lines" "$log" >"$work/bad.log"; then
		echo "FAIL vm.kernel_log: $(head -n 5 "$work/bad.log")"
		failed=$((failed + 1))
	fi
	# No verdict is no success: not of the rig's own looks, not of a program that did not run.
	for name in load unload leftovers taint memleak; do
		[ "$(grep -acE "^(ok|FAIL) vm_$name(:|\$)" "$log")" != 1 ] || continue
		echo "FAIL vm.verdict: nothing was said of vm_$name"
		failed=$((failed + 1))
	done
	# vm/init runs one program with 64 bits, and one with 32 for each of five suites.
	[ -z "${VM_TESTS-}" ] && [ "$suite" = kmod ] || programs=1
	line=$(grep -acE '^vm: ran [1-9][0-9]* tests$' "$log")
	if [ "$line" != "$programs" ]; then
		echo "FAIL vm.programs: $line test programs ran to their end, not $programs"
		failed=$((failed + 1))
	fi
	line=$(grep -aE '^vm: ran [0-9]+ tests$' "$log" | tr -cd '0-9\n' | awk '{ n += $1 } END { print n + 0 }')
	if [ "$line" = 0 ] || [ "$line" != "$(grep -acE '^(ok|FAIL) [a-z0-9_]+\.' "$log")" ]; then
		echo "FAIL vm.count: $line tests ran, but other lines were seen"
		failed=$((failed + 1))
	fi
	say "log: $log"
	echo "$passed passed, $failed failed"
	[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
}
