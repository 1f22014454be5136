/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Log types lib.svm and pmd.dma.svm: what a user sees without asking, and with
 * --log-level, which EAL reads at its start: so this program is run once more.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_bus_vdev.h>
#include <rte_common.h>
#include <rte_log.h>

#include "fixture.h"
#include "suites.h"
#include "test_own.h"

#define ROLE	"SVM_TEST_LOG"
#define COPIES	2000
#define REFUSED	400

static int
no_worker(uint16_t dev_id, pid_t pid, uid_t uid, gid_t gid, void *arg)
{
	(void)dev_id;
	(void)pid;
	(void)uid;
	(void)gid;
	(void)arg;
	return -1;
}

/* A worker asks again and again: each is counted, few are logged. */
static void
refused_work(struct fx *f)
{
	struct wk_req connect = { .cmd = WK_CONNECT };
	const struct wk_req bind = { .cmd = WK_BIND };
	struct fx_worker *w = fx_worker(f);
	struct wk_rep rep;
	int i;

	TEST_EQUAL(rte_svm_policy_set(f->dev, no_worker, NULL), 0);
	strcpy(connect.text, f->socket);
	TEST_EQUAL(fx_try(w, &connect, &rep), 0);
	for (i = 0; i != REFUSED; i++)
		TEST_EQUAL(fx_try(w, &bind, &rep), -EACCES);
	TEST_EQUAL(fx_stats(f).binds_refused, REFUSED);
}

/* In the other process: something for each level. */
static void
logged_work(void)
{
	struct fx *f = fx_begin("");
	struct fx_worker *w = fx_bound(f);
	char *own = fx_mem(f, 64);
	uint64_t bond;
	int i;

	TEST_EQUAL(rte_svm_bind(f->dev, 0x7ffffff0, &bond), -ESRCH);
	for (i = 0; i != COPIES; i++)
		fx_copy(f, RTE_SVM_OWNER, (uintptr_t)own, i % 2 == 0 ? RTE_SVM_OWNER : w->bond,
			i % 3 == 0 ? 8 : (uintptr_t)(own + 32), 8);
	TEST_EQUAL(fx_unbind(f, w->bond), 0);
	refused_work(f);
	/* The driver has something to say, and something to refuse. */
	TEST_EQUAL(rte_vdev_init("svm_log", "cma=inline,socket=none"), 0);
	TEST_EQUAL(rte_vdev_uninit("svm_log"), 0);
	CU_ASSERT(rte_vdev_init("svm_log", "engine=none") != 0);
}

struct lines {
	unsigned int refused, bound, queue;	/* lib.svm: ERR, INFO, DEBUG */
	unsigned int notice, wrong;		/* pmd.dma.svm: NOTICE, ERR */
	unsigned int flood;			/* lib.svm: NOTICE */
	unsigned int all;
};

static struct lines
lines_with(const char *levels)
{
	static struct test_output out;
	struct lines n;

	test_own_suite(ROLE "=1", levels, "log", &out);
	if (out.status != 0)
		test_fail("%s: ends with %d: %s", levels, out.status, out.text);
	n.refused = test_lines_with(out.text, "SVM: ", "cannot bind pid 2147483632");
	n.bound = test_lines_with(out.text, "SVM: ", "bound pid");
	n.queue = test_lines_with(out.text, "SVM: ", "owner's queue of 256");
	n.notice = test_lines_with(out.text, "SVM_DMA: ", "cma=inline");
	n.wrong = test_lines_with(out.text, "SVM_DMA: ", "engine=none");
	n.flood = test_lines_with(out.text, "SVM: ", "refused by the application");
	n.all = test_lines_with(out.text, "SVM", NULL);
	return n;
}

static void
test_log_levels_are_set_on_the_command_line(void)
{
	static const struct {
		const char *levels;
		struct lines wanted;
	} rows[] = {
		{ "", { .refused = 1, .notice = 1, .wrong = 1 } },
		{ "--log-level=lib.svm:info", { .refused = 1, .bound = 1, .notice = 1, .wrong = 1 } },
		{ "--log-level=lib.svm:debug",
			{ .refused = 1, .bound = 1, .queue = 1, .notice = 1, .wrong = 1 } },
		{ "--log-level=lib.svm:crit", { .notice = 1, .wrong = 1 } },
		{ "--log-level=pmd.dma.svm:error", { .refused = 1, .wrong = 1 } },
		{ "--log-level=pmd.dma.svm:crit --log-level='lib.svm*:crit'", { .all = 0 } },
	};
	size_t i;

	if (getenv(ROLE) != NULL) {
		logged_work();
		return;
	}
	for (i = 0; i != RTE_DIM(rows); i++) {
		const struct lines is = lines_with(rows[i].levels);

		if (is.refused != rows[i].wanted.refused || is.bound != rows[i].wanted.bound ||
				is.queue != rows[i].wanted.queue ||
				is.notice != rows[i].wanted.notice ||
				is.wrong != rows[i].wanted.wrong)
			test_fail("'%s': %u refused, %u bound, %u queue, %u notice, %u wrong",
				rows[i].levels, is.refused, is.bound, is.queue, is.notice,
				is.wrong);
		/* One a second, and what the machine needs is far from a minute. */
		CU_ASSERT(is.flood < REFUSED / 8);
		CU_ASSERT((is.flood > 0) == (is.refused > 0));
		/* Nothing of it comes once for an operation. */
		CU_ASSERT(is.all < COPIES / 20);
	}
}

int
test_log_suite(void)
{
	static const struct fx_test tests[] = {
		{ "test_log_levels_are_set_on_the_command_line",
			test_log_levels_are_set_on_the_command_line, FX_ONE },
	};

	return fx_add_tests("log", tests, RTE_DIM(tests));
}
