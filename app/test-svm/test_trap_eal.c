/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The signal handler among others that come and go while devices live: EAL's own
 * for hot-unplug, an application's, a sanitizer's. What ends a process runs in a child.
 */
#include <fcntl.h>
#include <sys/mman.h>

#include <rte_dev.h>

#include "test_trap.h"
#include "test_trap_child.h"

/* A page of a file that has none: touching it raises SIGBUS. */
static uint8_t *
hole_map(void)
{
	const int fd = memfd_create("test_trap", MFD_CLOEXEC);
	uint8_t *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	child_check(p != MAP_FAILED);
	return p;
}

static bool
copy_out_of_hole_recovers(uint8_t *hole)
{
	struct svm_fault_info f = { 0 };
	uint8_t good[64];

	return svm_copy(good, hole, sizeof(good), &f) == 0 && f.hit == 1 && f.bus == 1 &&
		f.addr == (uintptr_t)hole;
}

static void
handler_bus(int sig, siginfo_t *info, void *context)
{
	(void)info;
	_exit(sig == SIGBUS && context != NULL ? EXIT_INFO : 1);
}

static void
child_handle_bus(void)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_sigaction = handler_bus;
	sa.sa_flags = SA_SIGINFO;
	child_check(sigaction(SIGBUS, &sa, NULL) == 0);
}

static void
eal_first_body(void)
{
	uint8_t *hole = hole_map();

	child_handle(SIGBUS, handler_plain, 0);
	child_check(rte_dev_hotplug_handle_enable() == 0);
	child_install();
	child_check(copy_out_of_hole_recovers(hole));
}

static void
eal_last_body(void)
{
	uint8_t *hole = hole_map();

	child_install();
	child_check(rte_dev_hotplug_handle_enable() == 0);
	child_check(copy_out_of_hole_recovers(hole));
	child_check(copy_out_of_hole_recovers(hole));
	child_check(rte_dev_hotplug_handle_disable() == 0);
	child_check(copy_out_of_hole_recovers(hole));
}

static void
test_trap_recovers_behind_and_in_front_of_eal(void)
{
	test_trap_init();
	CU_ASSERT(left_with(child_status(eal_first_body), 0));
	CU_ASSERT(left_with(child_status(eal_last_body), 0));
	test_trap_fini();
}

/*
 * EAL passes what no bus knows to the handler before its own; ours passes what is no
 * fault of ours to EAL's. libc's flags make EAL take every handler for one with a single
 * argument: so does the application's here.
 */
static void
handler_bus_plain(int sig)
{
	_exit(sig == SIGBUS ? EXIT_PLAIN : 1);
}

static void
eal_first_elsewhere_body(void)
{
	uint8_t *hole = hole_map();

	child_handle(SIGBUS, handler_bus_plain, 0);
	child_check(rte_dev_hotplug_handle_enable() == 0);
	child_install();
	child_check(copy_out_of_hole_recovers(hole));
	touch(hole);
}

static void
eal_last_elsewhere_body(void)
{
	uint8_t *hole = hole_map();

	child_handle_bus();
	child_install();
	child_check(rte_dev_hotplug_handle_enable() == 0);
	child_check(copy_out_of_hole_recovers(hole));
	touch(hole);
}

static void
eal_outlives_us_body(void)
{
	uint8_t *hole = hole_map();

	child_handle_bus();
	child_install();
	child_check(rte_dev_hotplug_handle_enable() == 0);
	svm_trap_remove();
	child_check(rte_dev_hotplug_handle_disable() == 0);
	touch(hole);
}

static void
test_trap_fault_elsewhere_goes_through_eal_to_the_application(void)
{
	test_trap_init();
	CU_ASSERT(left_with(child_status(eal_first_elsewhere_body), EXIT_PLAIN));
	CU_ASSERT(left_with(child_status(eal_last_elsewhere_body), EXIT_INFO));
	CU_ASSERT(left_with(child_status(eal_outlives_us_body), EXIT_INFO));
	test_trap_fini();
}

/* EAL puts back what it found: ours is gone, until somebody looks. */
static void
eal_takes_away_body(void)
{
	uint8_t *hole = hole_map();
	struct sigaction sa;

	child_handle_bus();
	child_check(rte_dev_hotplug_handle_enable() == 0);
	child_install();
	child_check(!svm_trap_renew());
	child_check(rte_dev_hotplug_handle_disable() == 0);
	child_check(sigaction(SIGBUS, NULL, &sa) == 0 && sa.sa_sigaction == handler_bus);
	child_check(svm_trap_renew());
	child_check(!svm_trap_renew());
	child_check(copy_out_of_hole_recovers(hole));
	touch(hole);
}

static void
replaced_and_renewed_body(void)
{
	child_install();
	child_handle(SIGSEGV, handler_plain, 0);
	child_check(svm_trap_renew());
	child_check(copy_recovers());
	touch(test_bad);
}

static void
renew_without_users_body(void)
{
	struct sigaction sa;

	child_handle(SIGSEGV, handler_plain, 0);
	child_check(!svm_trap_renew());
	child_check(sigaction(SIGSEGV, NULL, &sa) == 0 && sa.sa_handler == handler_plain);
}

static void
test_trap_replaced_handler_is_put_in_front_again(void)
{
	test_trap_init();
	CU_ASSERT(left_with(child_status(eal_takes_away_body), EXIT_INFO));
	CU_ASSERT(left_with(child_status(replaced_and_renewed_body), EXIT_PLAIN));
	CU_ASSERT(left_with(child_status(renew_without_users_body), 0));
	test_trap_fini();
}

#if defined(__SANITIZE_ADDRESS__)
static int said_fd;

static void
sanitizer_body(void)
{
	child_check(dup2(said_fd, STDERR_FILENO) == STDERR_FILENO);
	child_install();
	child_check(copy_recovers());
	touch(test_bad);
}

/* A real crash is reported as it would be without us. */
static void
test_trap_sanitizer_reports_a_fault_elsewhere(void)
{
	static char said[4096];

	test_trap_init();
	said_fd = memfd_create("said", MFD_CLOEXEC);
	CU_ASSERT(!left_with(child_status(sanitizer_body), 0));
	CU_ASSERT(pread(said_fd, said, sizeof(said) - 1, 0) > 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(said, "AddressSanitizer: SEGV"));
	close(said_fd);
	test_trap_fini();
}
#endif

int
test_trap_eal_add(CU_pSuite suite)
{
	static const struct test_trap_row rows[] = {
#define T(fn) { #fn, fn }
		T(test_trap_recovers_behind_and_in_front_of_eal),
		T(test_trap_fault_elsewhere_goes_through_eal_to_the_application),
		T(test_trap_replaced_handler_is_put_in_front_again),
#if defined(__SANITIZE_ADDRESS__)
		T(test_trap_sanitizer_reports_a_fault_elsewhere),
#endif
#undef T
	};

	return test_trap_rows_add(suite, rows, sizeof(rows) / sizeof(rows[0]));
}
