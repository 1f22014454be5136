/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The signal handler behind the copies: whom a signal is passed on to, and what
 * is there once it is removed. What ends a process runs in a child.
 */
#include <sys/mman.h>

#include "test_trap.h"
#include "test_trap_child.h"

uint8_t *test_bad;

int
test_trap_init(void)
{
	void *p = mmap(NULL, 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CU_ASSERT_NOT_EQUAL_FATAL(p, MAP_FAILED);
	test_bad = p;
	CU_ASSERT_EQUAL_FATAL(svm_trap_install(), 0);
	return svm_trap_thread_init();
}

void
test_trap_fini(void)
{
	svm_trap_remove();
	munmap(test_bad, 2 * PAGE);
}

static void
child_handle_info(int sig, void (*handler)(int, siginfo_t *, void *))
{
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_sigaction = handler;
	sa.sa_flags = SA_SIGINFO;
	child_check(sigaction(sig, &sa, NULL) == 0);
}

static void
handler_info(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	_exit(info->si_addr == test_bad && context != NULL ? EXIT_INFO : 1);
}

static void
chain_info_body(void)
{
	child_handle_info(SIGSEGV, handler_info);
	child_install();
	child_check(copy_recovers());
	touch(test_bad);
}

static void
test_trap_fault_elsewhere_reaches_siginfo_handler(void)
{
	test_trap_init();
	CU_ASSERT(left_with(child_status(chain_info_body), EXIT_INFO));
	test_trap_fini();
}

static void
chain_plain_body(void)
{
	child_handle(SIGSEGV, handler_plain, 0);
	child_install();
	child_check(copy_recovers());
	touch(test_bad);
}

static void
test_trap_fault_elsewhere_reaches_plain_handler(void)
{
	test_trap_init();
	CU_ASSERT(left_with(child_status(chain_plain_body), EXIT_PLAIN));
	test_trap_fini();
}

static void
chain_default_body(void)
{
	child_handle(SIGSEGV, SIG_DFL, 0);
	child_install();
	child_check(copy_recovers());
	touch(test_bad);
}

static void
chain_default_bus_body(void)
{
	int fd = memfd_create("test_trap", 0);
	uint8_t *p;

	child_handle(SIGBUS, SIG_DFL, 0);
	child_install();
	p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	child_check(p != MAP_FAILED);
	touch(p);
}

static void
test_trap_default_action_dies_of_same_signal(void)
{
	test_trap_init();
	CU_ASSERT(died_of(child_status(chain_default_body), SIGSEGV));
	CU_ASSERT(died_of(child_status(chain_default_bus_body), SIGBUS));
	test_trap_fini();
}

static void
chain_ignore_body(void)
{
	child_handle(SIGSEGV, SIG_IGN, 0);
	child_install();
	raise(SIGSEGV);
	child_check(copy_recovers());
	touch(test_bad);
}

static void
chain_ignore_sent_body(void)
{
	child_handle(SIGSEGV, SIG_IGN, 0);
	child_install();
	raise(SIGSEGV);
}

static void
test_trap_ignored_signal_ends_only_a_fault(void)
{
	test_trap_init();
	CU_ASSERT(left_with(child_status(chain_ignore_sent_body), 0));
	CU_ASSERT(died_of(child_status(chain_ignore_body), SIGSEGV));
	test_trap_fini();
}

static void
chain_sent_body(void)
{
	struct svm_guard g;

	child_handle(SIGSEGV, SIG_DFL, 0);
	child_install();
	/* Any address would do, had it one. */
	if (svm_guard_enter(&g, NULL, SIZE_MAX))
		_exit(1);
	raise(SIGSEGV);
	svm_guard_leave(&g);
}

static void
test_trap_sent_signal_is_no_fault(void)
{
	test_trap_init();
	CU_ASSERT(died_of(child_status(chain_sent_body), SIGSEGV));
	test_trap_fini();
}

static void
handler_return(int sig)
{
	(void)sig;
}

static void
chain_resethand_body(void)
{
	child_handle(SIGSEGV, handler_return, SA_RESETHAND);
	child_install();
	touch(test_bad);
}

static void
test_trap_resethand_handler_called_once(void)
{
	test_trap_init();
	CU_ASSERT(died_of(child_status(chain_resethand_body), SIGSEGV));
	test_trap_fini();
}

/*
 * Somebody in front of us, who passes a signal on: SIGSEGV as one should,
 * SIGBUS as the EAL does. That takes a handler for one with a single argument
 * when its flags are not exactly SA_SIGINFO; the other arguments then are what
 * the registers held.
 */
static struct sigaction front_old;
static unsigned int front_nb_segv;

static void
handler_front(int sig, siginfo_t *info, void *context)
{
	if (sig == SIGSEGV && front_nb_segv++ != 0)
		_exit(1);
	if (sig == SIGSEGV || front_old.sa_flags == SA_SIGINFO)
		front_old.sa_sigaction(sig, info, context);
	else
		front_old.sa_sigaction(sig, (void *)1, (void *)context);
}

static void
child_front(int sig)
{
	child_check(sigaction(sig, NULL, &front_old) == 0);
	child_handle_info(sig, handler_front);
}

static void
front_body(void)
{
	struct svm_fault_info f = { 0 };
	int fd = memfd_create("test_trap", 0);
	uint8_t *p, good[64];

	child_install();
	child_front(SIGBUS);
	p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	child_check(p != MAP_FAILED);
	child_check(svm_copy(good, p, sizeof(good), &f) == 0);
	child_check(f.hit == 1 && f.bus == 1 && f.addr == (uintptr_t)p);
}

static void
test_trap_handler_in_front_without_arguments_recovers(void)
{
	test_trap_init();
	CU_ASSERT(left_with(child_status(front_body), 0));
	test_trap_fini();
}

/* Removed behind somebody's back, then put in front of him: no circle. */
static void
circle_body(void)
{
	child_handle_info(SIGSEGV, handler_info);
	child_install();
	child_front(SIGSEGV);
	svm_trap_remove();
	child_install();
	child_check(copy_recovers());
	touch(test_bad);
}

static void
test_trap_installed_twice_in_a_chain_ends_at_its_first(void)
{
	test_trap_init();
	CU_ASSERT(left_with(child_status(circle_body), EXIT_INFO));
	test_trap_fini();
}

static void
remove_body(void)
{
	struct sigaction sa;

	child_handle(SIGSEGV, handler_plain, SA_RESTART);
	child_install();
	child_check(svm_trap_install() == 0);
	svm_trap_remove();
	child_check(copy_recovers());
	svm_trap_remove();
	child_check(sigaction(SIGSEGV, NULL, &sa) == 0);
	child_check(sa.sa_handler == handler_plain);
	child_check((sa.sa_flags & (SA_RESTART | SA_SIGINFO)) == SA_RESTART);
	svm_trap_remove();
	child_check(sigaction(SIGSEGV, NULL, &sa) == 0);
	child_check(sa.sa_handler == handler_plain);
}

static void
test_trap_last_remove_restores(void)
{
	test_trap_init();
	CU_ASSERT(left_with(child_status(remove_body), 0));
	test_trap_fini();
}

static void
replaced_body(void)
{
	struct sigaction sa;

	child_install();
	child_handle(SIGSEGV, handler_plain, 0);
	svm_trap_remove();
	child_check(sigaction(SIGSEGV, NULL, &sa) == 0);
	child_check(sa.sa_handler == handler_plain);
}

static void
test_trap_replaced_handler_is_left_alone(void)
{
	test_trap_init();
	CU_ASSERT(left_with(child_status(replaced_body), 0));
	test_trap_fini();
}

int
test_trap_add(CU_pSuite suite)
{
	static const struct test_trap_row rows[] = {
#define T(fn) { #fn, fn }
		T(test_trap_fault_elsewhere_reaches_siginfo_handler),
		T(test_trap_fault_elsewhere_reaches_plain_handler),
		T(test_trap_default_action_dies_of_same_signal),
		T(test_trap_ignored_signal_ends_only_a_fault),
		T(test_trap_sent_signal_is_no_fault),
		T(test_trap_resethand_handler_called_once),
		T(test_trap_handler_in_front_without_arguments_recovers),
		T(test_trap_installed_twice_in_a_chain_ends_at_its_first),
		T(test_trap_last_remove_restores),
		T(test_trap_replaced_handler_is_left_alone),
#undef T
	};

	if (test_trap_rows_add(suite, rows, sizeof(rows) / sizeof(rows[0])) != 0)
		return -1;
	return test_trap_guard_add(suite) != 0 ? -1 : test_trap_eal_add(suite);
}

int
test_trap_rows_add(CU_pSuite suite, const struct test_trap_row *rows, size_t nb)
{
	size_t i;

	for (i = 0; i != nb; i++)
		if (CU_add_test(suite, rows[i].name, rows[i].run) == NULL)
			return -1;
	return 0;
}
