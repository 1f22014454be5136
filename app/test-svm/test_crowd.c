/* SPDX-License-Identifier: BSD-3-Clause */
/* The crowd that benchmarks count with: real processes, bound, and gone afterwards. */
#include <errno.h>
#include <signal.h>

#include "fixture.h"
#include "perf/crowd.h"
#include "suites.h"

#define MEMBERS	24u
#define MEM	4096u

static struct crowd *
crowd_begin(const char *socket, uint32_t depth)
{
	const struct crowd_conf conf = { .socket = socket, .depth = depth, .mem_len = MEM };
	struct crowd *c = NULL;

	CU_ASSERT_EQUAL_FATAL(crowd_create(&conf, &c), 0);
	return c;
}

static uint32_t
count_bonds(struct fx *f)
{
	uint64_t bonds[2 * MEMBERS];

	return (uint32_t)rte_svm_bond_list(f->dev, bonds, 2 * MEMBERS);
}

static void
test_crowd_members_are_bound_and_reached(void)
{
	struct fx *f = fx_begin("");
	unsigned char *own = fx_mem(f, MEM);
	struct crowd *c = crowd_begin(f->socket, 32);
	uint32_t i;

	TEST_EQUAL(crowd_grow(c, MEMBERS), 0);
	TEST_EQUAL(crowd_size(c), MEMBERS);
	TEST_EQUAL(count_bonds(f), MEMBERS);
	for (i = 0; i < crowd_size(c); i++) {
		const struct crowd_member *m = crowd_member(c, i);

		own[MEM - 1] = 0;
		TEST_STATUS(fx_copy(f, m->bond, m->mem, RTE_SVM_OWNER, (uintptr_t)own,
			MEM).status, RTE_SVM_ST_OK);
		TEST_EQUAL(own[MEM - 1], 0x5a);
	}
	crowd_destroy(c);
}

static void
test_crowd_destroy_ends_all(void)
{
	struct fx *f = fx_begin("");
	const uint64_t end = fx_now_ms() + FX_BOUND_MS;
	struct crowd *c = crowd_begin(f->socket, 32);
	pid_t pid[MEMBERS];
	uint32_t i;

	TEST_EQUAL(crowd_grow(c, MEMBERS), 0);
	for (i = 0; i < crowd_size(c); i++)
		pid[i] = crowd_member(c, i)->pid;
	crowd_destroy(c);
	for (i = 0; i < MEMBERS; i++)
		CU_ASSERT(kill(pid[i], 0) == -1 && errno == ESRCH);
	/* The owner is told as of any other worker that ends. */
	while (count_bonds(f) != 0 && fx_now_ms() < end)
		fx_idle(f);
	TEST_EQUAL(count_bonds(f), 0);
}

static void
test_crowd_not_connected_is_bound_by_pid(void)
{
	struct fx *f = fx_begin("");
	struct crowd *c = crowd_begin("", 0);
	uint64_t bond;

	TEST_EQUAL(crowd_grow(c, 1), 0);
	TEST_EQUAL(count_bonds(f), 0);
	TEST_EQUAL(rte_svm_bind(f->dev, crowd_member(c, 0)->pid, &bond), 0);
	TEST_EQUAL(rte_svm_unbind(f->dev, bond), 0);
	crowd_destroy(c);
}

static void
test_crowd_without_owner_says_why(void)
{
	struct crowd *c = crowd_begin("/nonexistent/socket", 32);

	TEST_EQUAL(crowd_grow(c, 3), -ENOENT);
	TEST_EQUAL(crowd_size(c), 0);
	crowd_destroy(c);
}

static const struct fx_test tests[] = {
	{ "test_crowd_members_are_bound_and_reached",
		test_crowd_members_are_bound_and_reached, FX_ONE },
	{ "test_crowd_destroy_ends_all", test_crowd_destroy_ends_all, FX_ONE },
	{ "test_crowd_not_connected_is_bound_by_pid",
		test_crowd_not_connected_is_bound_by_pid, FX_ONE },
	{ "test_crowd_without_owner_says_why", test_crowd_without_owner_says_why, FX_ONE },
};

int
test_crowd_suite(void)
{
	return fx_add_tests("crowd", tests, sizeof(tests) / sizeof(tests[0]));
}
