/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The signal handler behind the copies: guards, threads that block signals, and
 * whom a signal is passed on to. What ends a process runs in a child.
 */
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CUnit/CUnit.h>

#include "svm_copy.h"
#include "svm_trap.h"
#include "test_trap.h"

#define PAGE 4096ul
#define EXIT_INFO 41	/* the handler with three arguments was called right */
#define EXIT_PLAIN 42	/* the handler with one was */

/* Two pages that nobody may touch, where the handlers can find them. */
static uint8_t *test_bad;

static int
test_trap_init(void)
{
	void *p = mmap(NULL, 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);

	CU_ASSERT_NOT_EQUAL_FATAL(p, MAP_FAILED);
	test_bad = p;
	CU_ASSERT_EQUAL_FATAL(svm_trap_install(), 0);
	return svm_trap_thread_init();
}

static void
test_trap_fini(void)
{
	svm_trap_remove();
	munmap(test_bad, 2 * PAGE);
}

/* Compilers may not drop or move it; sanitizers have nothing to say to it. */
static void
touch(volatile uint8_t *p)
{
	*p = 1;
}

/* The wait status of a child that ran body and then left with 0. */
static int
child_status(void (*body)(void))
{
	static const struct rlimit no_core;
	unsigned int i;
	int status;
	pid_t pid;

	pid = fork();
	if (pid == 0) {
		setrlimit(RLIMIT_CORE, &no_core);
		/* Whoever else installed the handlers: here nobody has. */
		for (i = 0; i < 64; i++)
			svm_trap_remove();
		body();
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return status;
}

static bool
died_of(int status, int sig)
{
	return status != -1 && WIFSIGNALED(status) && WTERMSIG(status) == sig;
}

static bool
left_with(int status, int code)
{
	return status != -1 && WIFEXITED(status) && WEXITSTATUS(status) == code;
}

static void
child_check(bool ok)
{
	if (!ok)
		_exit(1);
}

static void
child_handle(int sig, void (*handler)(int), int flags)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = handler;
	sa.sa_flags = flags;
	child_check(sigaction(sig, &sa, NULL) == 0);
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
child_install(void)
{
	child_check(svm_trap_install() == 0 && svm_trap_thread_init() == 0);
}

/* A copy that runs into the bad page is told so, and we are still there. */
static bool
copy_recovers(void)
{
	struct svm_fault_info f = { 0 };
	uint8_t good[100];

	return svm_copy(good, test_bad, sizeof(good), &f) == 0 && f.hit == 1 &&
	       f.addr == (uintptr_t)test_bad;
}

static void
handler_info(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	_exit(info->si_addr == test_bad && context != NULL ? EXIT_INFO : 1);
}

static void
handler_plain(int sig)
{
	_exit(sig == SIGSEGV ? EXIT_PLAIN : 1);
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

static void *
blocked_run(void *arg)
{
	bool init = *(bool *)arg;

	if (init && svm_trap_thread_init() != 0)
		return NULL;
	return copy_recovers() ? arg : NULL;
}

/* A thread that inherits both signals blocked, as engine threads do. */
static bool
blocked_thread(bool init)
{
	sigset_t all, old;
	pthread_t thread;
	void *ret = NULL;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	if (pthread_create(&thread, NULL, blocked_run, &init) == 0)
		pthread_join(thread, &ret);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return ret != NULL;
}

static void
test_trap_thread_with_blocked_signals_recovers(void)
{
	test_trap_init();
	CU_ASSERT(blocked_thread(true));
	test_trap_fini();
}

static void
blocked_body(void)
{
	child_install();
	blocked_thread(false);
}

static void
test_trap_thread_without_init_is_killed(void)
{
	test_trap_init();
	CU_ASSERT(died_of(child_status(blocked_body), SIGSEGV));
	test_trap_fini();
}

/* Touch p under a guard of [base, base + len): the fault, or hit == 0. */
static struct svm_fault_info
guarded_touch(uint8_t *p, uint8_t *base, size_t len)
{
	struct svm_guard g;

	memset(&g.fault, 0, sizeof(g.fault));
	if (svm_guard_enter(&g, base, len))
		return g.fault;
	touch(p);
	svm_guard_leave(&g);
	return g.fault;
}

static void
test_guard_fault_inside_comes_back_each_time(void)
{
	struct svm_fault_info f;
	uint8_t good = 0;
	unsigned int i;

	test_trap_init();
	for (i = 0; i < 100; i++) {
		f = guarded_touch(test_bad + i, test_bad, PAGE);
		CU_ASSERT_EQUAL(f.hit, 1);
		CU_ASSERT_EQUAL(f.addr, (uintptr_t)test_bad + i);
		CU_ASSERT_EQUAL(f.bus, 0);
	}
	f = guarded_touch(&good, test_bad, PAGE);
	CU_ASSERT(f.hit == 0 && good == 1);
	test_trap_fini();
}

static void
guard_outside_body(void)
{
	child_handle(SIGSEGV, handler_plain, 0);
	child_install();
	guarded_touch(test_bad + PAGE, test_bad, PAGE);
}

static void
guard_left_body(void)
{
	child_handle(SIGSEGV, handler_plain, 0);
	child_install();
	guarded_touch(test_bad, test_bad, PAGE);
	touch(test_bad);
}

static void
test_guard_fault_outside_is_passed_on(void)
{
	test_trap_init();
	CU_ASSERT(left_with(child_status(guard_outside_body), EXIT_PLAIN));
	CU_ASSERT(left_with(child_status(guard_left_body), EXIT_PLAIN));
	test_trap_fini();
}

/* 0: no fault came out of the inner guard; 1: the outer one caught it. */
static int
guarded_nested(uint8_t *p)
{
	struct svm_guard g;

	if (svm_guard_enter(&g, test_bad, 2 * PAGE))
		return 1;
	guarded_touch(p, test_bad, PAGE);
	svm_guard_leave(&g);
	return 0;
}

static void
test_guard_nested_fault_goes_to_the_right_one(void)
{
	test_trap_init();
	CU_ASSERT_EQUAL(guarded_nested(test_bad), 0);
	CU_ASSERT_EQUAL(guarded_nested(test_bad + PAGE), 1);
	CU_ASSERT_EQUAL(guarded_nested(test_bad + PAGE), 1);
	CU_ASSERT_EQUAL(guarded_nested(test_bad), 0);
	test_trap_fini();
}

int
test_trap_add(CU_pSuite suite)
{
	static const struct {
		const char *name;
		CU_TestFunc func;
	} tests[] = {
#define TEST(name) { #name, name }
		TEST(test_trap_fault_elsewhere_reaches_siginfo_handler),
		TEST(test_trap_fault_elsewhere_reaches_plain_handler),
		TEST(test_trap_default_action_dies_of_same_signal),
		TEST(test_trap_ignored_signal_ends_only_a_fault),
		TEST(test_trap_sent_signal_is_no_fault),
		TEST(test_trap_resethand_handler_called_once),
		TEST(test_trap_handler_in_front_without_arguments_recovers),
		TEST(test_trap_installed_twice_in_a_chain_ends_at_its_first),
		TEST(test_trap_last_remove_restores),
		TEST(test_trap_replaced_handler_is_left_alone),
		TEST(test_trap_thread_with_blocked_signals_recovers),
		TEST(test_trap_thread_without_init_is_killed),
		TEST(test_guard_fault_inside_comes_back_each_time),
		TEST(test_guard_fault_outside_is_passed_on),
		TEST(test_guard_nested_fault_goes_to_the_right_one),
#undef TEST
	};
	size_t i;

	for (i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		if (CU_add_test(suite, tests[i].name, tests[i].func) == NULL)
			return -1;
	return 0;
}
