/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Trace points: a process that is started with --trace writes our events, and
 * babeltrace2 reads them. That process is this program again, running this suite.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_common.h>
#include <rte_trace.h>
#include <rte_trace_point.h>

#include "fixture.h"
#include "suites.h"
#include "test_own.h"

static const char *const names[] = { "lib.svm.bind", "lib.svm.unbind", "lib.svm.fault",
	"lib.svm.submit", "lib.svm.complete" };

#ifdef RTE_ENABLE_TRACE_FP
#define FP	1u
#else
#define FP	0u
#endif

/* No such process: above every pid that there can be. */
#define NO_PID	0x7ffffff0

/* In the traced process: each event at least once. */
static void
traced_work(void)
{
	struct fx *f = fx_begin("");
	struct fx_worker *w = fx_bound(f);
	char *own = fx_mem(f, 64);
	uint64_t bond;

	fx_check_moves(f, w);
	TEST_STATUS(fx_copy(f, RTE_SVM_OWNER, (uintptr_t)own, w->bond, 8, 8).status,
		RTE_SVM_ST_PAGE_FAULT);
	TEST_EQUAL(rte_svm_bind(f->dev, NO_PID, &bond), -ESRCH);
	TEST_EQUAL(fx_unbind(f, w->bond), 0);
	/* One that the engine alone does, on its fast path. */
	TEST_STATUS(fx_copy(f, RTE_SVM_OWNER, (uintptr_t)own, RTE_SVM_OWNER,
		(uintptr_t)(own + 32), 32).status, RTE_SVM_ST_OK);
}

static void
test_trace_events_are_read_by_babeltrace(void)
{
	static struct test_output out;
	char dir[] = "/tmp/svm-trace-XXXXXX", command[256];

	if (rte_trace_is_enabled()) {
		traced_work();
		return;
	}
	if (mkdtemp(dir) == NULL)
		test_fail("mkdtemp: %s", strerror(errno));
	snprintf(command, sizeof(command), "--trace='lib.svm.*' --trace-dir=%s", dir);
	/* EAL's lock around its trace memory is none that ThreadSanitizer could know. */
	test_own_suite("TSAN_OPTIONS=exitcode=0:die_after_fork=0", command, "trace", &out);
	if (out.status != 0)
		test_fail("the traced process ends with %d: %s", out.status, out.text);
	snprintf(command, sizeof(command), "babeltrace2 %s 2>&1", dir);
	test_command(command, &out);
	if (out.status != 0)
		test_fail("babeltrace2 ends with %d: %s", out.status, out.text);
	TEST_EQUAL(test_lines_with(out.text, "lib.svm.bind:", NULL), 2);
	TEST_EQUAL(test_lines_with(out.text, "lib.svm.bind:", "ret = 0"), 1);
	TEST_EQUAL(test_lines_with(out.text, "lib.svm.bind:", "pid = 2147483632"), 1);
	TEST_EQUAL(test_lines_with(out.text, "lib.svm.unbind:", "bond = "), 1);
	TEST_EQUAL(test_lines_with(out.text, "lib.svm.fault:", "addr = 0x8,"), 1);
	/* Two moves, a fault, a copy of the owner's own. */
	TEST_EQUAL(test_lines_with(out.text, "lib.svm.submit:", "len = "), 4 * FP);
	TEST_EQUAL(test_lines_with(out.text, "lib.svm.complete:", "done = 0x2710"), 2 * FP);
	TEST_EQUAL(test_lines_with(out.text, "lib.svm.complete:", "done = 0x20"), FP);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	test_command(command, &out);
}

static void
test_trace_points_are_off_until_asked_for(void)
{
	size_t i;

	for (i = 0; i != RTE_DIM(names); i++) {
		rte_trace_point_t *point = rte_trace_point_lookup(names[i]);

		if (point == NULL)
			test_fail("there is no trace point %s", names[i]);
		TEST_EQUAL(rte_trace_point_is_enabled(point), rte_trace_is_enabled());
	}
}

int
test_trace_suite(void)
{
#define T(name) { #name, name, FX_ONE }
	static const struct fx_test tests[] = {
		T(test_trace_events_are_read_by_babeltrace),
		T(test_trace_points_are_off_until_asked_for),
	};
#undef T

	return fx_add_tests("trace", tests, RTE_DIM(tests));
}
