/* SPDX-License-Identifier: BSD-3-Clause */
/* Errands: what comes back, what is left to itself, and whose fault it is. */
#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>

#include "runner.h"
#include "svm_errand.h"
#include "svm_share.h"
#include "test_child.h"
#include "test_ident.h"

struct gate {
	int ends[2];
	int dropped;	/* atomic */
};

static void
gate_wait(void *arg)
{
	struct gate *g = arg;
	char byte;

	while (read(g->ends[0], &byte, 1) < 0 && errno == EINTR)
		;
}

static void
gate_drop(void *arg)
{
	__atomic_fetch_add(&((struct gate *)arg)->dropped, 1, __ATOMIC_RELEASE);
}

static struct gate
gate_make(void)
{
	struct gate g = { .dropped = 0 };

	CU_ASSERT_EQUAL_FATAL(pipe2(g.ends, O_CLOEXEC), 0);
	return g;
}

static void
gate_open(struct gate *g, int nb)
{
	while (nb-- != 0)
		CU_ASSERT_EQUAL_FATAL(write(g->ends[1], "x", 1), 1);
}

static void
gate_close(struct gate *g)
{
	close(g->ends[0]);
	close(g->ends[1]);
}

void
test_errand_comes_back_and_says_so(void)
{
	const int fd = eventfd(0, EFD_CLOEXEC);
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	struct gate g = gate_make();
	const struct svm_errand_call call = { gate_wait, gate_drop, &g, 1, fd };
	struct svm_errand *e;

	CU_ASSERT_EQUAL_FATAL(svm_errand_start(&call, &e), 0);
	CU_ASSERT(!svm_errand_wait(e, 0));
	CU_ASSERT(!svm_errand_wait(e, 1000));
	TEST_EQUAL(poll(&pfd, 1, 0), 0);
	gate_open(&g, 1);
	TEST_EQUAL(poll(&pfd, 1, CHILD_BOUND_MS), 1);
	CU_ASSERT(svm_errand_wait(e, 0));
	TEST_EQUAL(g.dropped, 0);
	close(fd);
	gate_close(&g);
}

void
test_errand_left_drops_and_does_not_write(void)
{
	const int fd = eventfd(0, EFD_CLOEXEC);
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	const uint64_t end = child_now_ms() + CHILD_BOUND_MS;
	struct gate g = gate_make();
	const struct svm_errand_call call = { gate_wait, gate_drop, &g, 1, fd };
	struct svm_errand *e;

	CU_ASSERT_EQUAL_FATAL(svm_errand_start(&call, &e), 0);
	svm_errand_leave(e);
	gate_open(&g, 1);
	while (__atomic_load_n(&g.dropped, __ATOMIC_ACQUIRE) == 0 && child_now_ms() < end)
		child_sleep_ms(1);
	TEST_EQUAL(__atomic_load_n(&g.dropped, __ATOMIC_ACQUIRE), 1);
	TEST_EQUAL(poll(&pfd, 1, 0), 0);
	close(fd);
	gate_close(&g);
}

void
test_errand_of_one_user_leaves_room_for_another(void)
{
	const uint64_t end = child_now_ms() + CHILD_BOUND_MS;
	struct gate g = gate_make();
	struct svm_errand_call call = { gate_wait, gate_drop, &g, 1, -1 };
	struct svm_errand *e, *other;
	uint32_t i;

	for (i = 0; i != SVM_SHARE_EACH; i++) {
		CU_ASSERT_EQUAL_FATAL(svm_errand_start(&call, &e), 0);
		/* Those that were left count as well. */
		svm_errand_leave(e);
	}
	TEST_EQUAL(svm_errand_start(&call, &e), -EBUSY);
	call.who = 2;
	TEST_EQUAL(svm_errand_start(&call, &other), 0);
	gate_open(&g, SVM_SHARE_EACH + 1);
	CU_ASSERT(svm_errand_wait(other, CHILD_BOUND_MS * 1000));
	while (__atomic_load_n(&g.dropped, __ATOMIC_ACQUIRE) != (int)SVM_SHARE_EACH &&
			child_now_ms() < end)
		child_sleep_ms(1);
	/* Their places are given back a moment after that. */
	call.who = 1;
	while (svm_errand_start(&call, &e) == -EBUSY && child_now_ms() < end)
		child_sleep_ms(1);
	gate_open(&g, 1);
	CU_ASSERT(svm_errand_wait(e, CHILD_BOUND_MS * 1000));
	gate_close(&g);
}
