/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The failure sweep of what lanes do by system call instructions. It takes a
 * process of its own, because its filter cannot be taken out again.
 */
#include <setjmp.h>
#include <stdio.h>

#include <CUnit/TestRun.h>

#include "failcall.h"
#include "fixture.h"
#include "test_child.h"
#include "test_sweep.h"

static void
run(struct fx *f)
{
	int ret;

	sweep_hook();
	ret = fc_raw_begin();
	if (ret != 0) {
		printf("no answers to the own system calls: %s\n", strerror(-ret));
		fflush(stdout);
		_exit(77);
	}
	sweep_lives(f, geteuid() == 0, 20);
	TEST_EQUAL(fc_raw_unknown(), -1);
}

/* A failure that ends the test comes back here, not to the runner. */
static void
child_main(int in, int out, void *arg)
{
	CU_pFailureRecord fail;
	jmp_buf end;

	(void)in;
	(void)out;
	CU_get_current_test()->pJumpBuf = &end;
	if (setjmp(end) == 0)
		run(arg);
	fail = CU_get_failure_list();
	for (; fail != NULL; fail = fail->pNext)
		printf("in the sweep's process: %s\n", fail->strCondition);
	fflush(stdout);
	_exit(CU_get_failure_list() != NULL);
}

void
test_sweep_system_calls_fail_once(void)
{
	struct fx *f = fx_begin_bare("idle_us=100,max_bonds=64");
	struct child c = { .pid = 0 };
	int code;

	if (f == NULL)
		return;
	/* Its books have this process's threads by their stacks, which the C library gives to the
	 * other process's new threads: "dup thread with used id". */
	if (CHILD_HAS_TSAN) {
		test_skip("ThreadSanitizer allows no new threads after a fork");
		return;
	}
	child_start(&c, child_main, f);
	code = child_exit_code(&c);
	if (code == 77)
		test_skip("the kernel does not let a process answer its own system calls");
	else
		TEST_EQUAL(code, 0);
}
