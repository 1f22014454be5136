/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Workers that mean harm, hang or die: the owner lives on, an honest
 * neighbour's traffic is right and goes on, and nothing is left behind.
 */
#include <signal.h>

#include "suites.h"
#include "test_hostile.h"

#define LEN	8192

/* ---- a queue that is scribbled over ---- */

static void
check_scribble(uint64_t modes)
{
	struct fx *f = fx_begin("timeout_us=200000");
	struct fx_worker *good, *bad;
	struct wk_rep rep;
	int i;

	if (f == NULL)
		return;
	good = neighbour(f);
	bad = fx_joined(f);
	fx_do(bad, WK_QUEUE, 64, 0);
	fx_do(bad, WK_QUEUE, 32, 1);
	fx_do(bad, WK_SCRIBBLE, modes);
	for (i = 0; i < 20; i++) {
		neighbour_goes_on(good, 5);
		fx_check_moves(f, good);
	}
	/* It may have hit itself; the device's own end is what counts. */
	if (fx_try(bad, &(struct wk_req){ .cmd = WK_SCRIBBLE_END }, &rep) == 0)
		CU_ASSERT(rep.v[0] > 0);
	fx_kill(bad, SIGKILL);
	neighbour_goes_on(good, 5);
	neighbour_ends(good);
	/* The next one gets a queue that works. */
	bad = fx_joined(f);
	i = fx_do(bad, WK_QUEUE, 64, 0);
	TEST_STATUS(fx_worker_op(bad, i, RTE_SVM_OP_NOP, 0, 0, 0, 0).status, RTE_SVM_ST_OK);
}

static void
test_hostile_random_bytes_harm_nobody(void)
{
	check_scribble(WK_SCRIBBLE_BYTES);
}

static void
test_hostile_random_descriptors_harm_nobody(void)
{
	check_scribble(WK_SCRIBBLE_DESC);
}

static void
test_hostile_random_header_harms_nobody(void)
{
	check_scribble(WK_SCRIBBLE_HDR | WK_SCRIBBLE_DESC);
}

static void
test_hostile_random_completions_harm_nobody(void)
{
	check_scribble(WK_SCRIBBLE_CPL | WK_SCRIBBLE_DESC);
}

static void
test_hostile_punched_queue_harms_nobody(void)
{
	check_scribble(WK_SCRIBBLE_HOLES | WK_SCRIBBLE_DESC);
}

static void
test_hostile_everything_harms_nobody(void)
{
	check_scribble(WK_SCRIBBLE_BYTES | WK_SCRIBBLE_DESC | WK_SCRIBBLE_HDR |
		WK_SCRIBBLE_CPL | WK_SCRIBBLE_HOLES);
}

/* ---- workers that stop or die ---- */

#define BURST	32

static void
test_hostile_worker_killed_in_copies_loses_nothing(void)
{
	struct fx_worker *w = fx_begin_bound(), *good;
	struct rte_svm_op ops[BURST];
	struct rte_svm_result r[BURST];
	const uint64_t end = fx_now_ms() + FX_BOUND_MS;
	bool dead = false;
	uint64_t mem, seed;
	struct fx *f;
	int i, round;
	char *own;

	if (w == NULL)
		return;
	f = w->f;
	good = neighbour(f);
	mem = fx_worker_mem(w, BURST * 65536, NULL);
	own = fx_mem_filled(f, BURST * 65536, &seed);
	for (i = 0; i < BURST; i++)
		ops[i] = (struct rte_svm_op){ .op = RTE_SVM_OP_COPY, .cookie = i,
			.src = (uintptr_t)own + i * 65536, .dst = mem + i * 65536,
			.dst_bond = w->bond, .len = 65536 };
	for (round = 0; !dead && fx_now_ms() < end; round++) {
		if (round == 20)
			kill(w->pid, SIGKILL);
		fx_run(f, ops, BURST, r);
		for (i = 0; i < BURST; i++) {
			TEST_EQUAL(r[i].cookie, i);
			CU_ASSERT(r[i].status == RTE_SVM_ST_OK ? r[i].done == 65536 :
				r[i].status == RTE_SVM_ST_BOND_DEAD && round >= 20);
		}
		dead = r[BURST - 1].status == RTE_SVM_ST_BOND_DEAD;
	}
	CU_ASSERT(dead);
	fx_kill(w, SIGKILL);
	neighbour_goes_on(good, 5);
	neighbour_ends(good);
}

static void
test_hostile_worker_stopped_is_reached(void)
{
	struct fx_worker *w = fx_begin_bound();
	uint64_t mem, seed, out, own_seed;
	char *own, *back;

	if (w == NULL)
		return;
	mem = fx_worker_mem(w, LEN, NULL);
	out = fx_worker_mem(w, LEN, &seed);
	own = fx_mem_filled(w->f, LEN, &own_seed);
	back = fx_mem(w->f, LEN);
	fx_kill(w, SIGSTOP);
	TEST_STATUS(fx_copy(w->f, RTE_SVM_OWNER, (uintptr_t)own, w->bond, mem, LEN).status,
		RTE_SVM_ST_OK);
	TEST_STATUS(fx_copy(w->f, w->bond, out, RTE_SVM_OWNER, (uintptr_t)back, LEN).status,
		RTE_SVM_ST_OK);
	TEST_EQUAL(wk_pattern_check(back, LEN, seed, 0), LEN);
	fx_kill(w, SIGCONT);
	CU_ASSERT(fx_verify(w, mem, LEN, own_seed, 0));
}

static void
await_no_bond(struct fx *f)
{
	const uint64_t end = fx_now_ms() + FX_BOUND_MS;

	while (rte_svm_bond_list(f->dev, NULL, 0) != 0 && fx_now_ms() < end)
		fx_idle(f);
	TEST_EQUAL(rte_svm_bond_list(f->dev, NULL, 0), 0);
}

static void
test_hostile_worker_killed_with_queue_leaves_nothing(void)
{
	struct fx *f = fx_begin("");
	unsigned int fds;
	int i;

	if (f == NULL)
		return;
	fds = fx_count_fds();
	for (i = 0; i < 5; i++) {
		struct fx_worker *w = neighbour(f);

		neighbour_goes_on(w, 2);
		fx_kill(w, SIGKILL);
		await_no_bond(f);
		TEST_EQUAL(fx_await_fds(f, fds), fds);
	}
}

static void
test_hostile_worker_killed_by_pid_leaves_nothing(void)
{
	struct fx *f = fx_begin("");
	unsigned int fds;
	int i;

	if (f == NULL)
		return;
	fds = fx_count_fds();
	for (i = 0; i < 5; i++) {
		struct fx_worker *w = fx_bound(f);
		const uint64_t bond = w->bond;

		fx_check_moves(f, w);
		fx_kill(w, SIGKILL);
		TEST_EQUAL(fx_unbind(f, bond), 0);
		TEST_EQUAL(fx_await_fds(f, fds), fds);
	}
}

static const struct fx_test tests[] = {
	{ "test_hostile_random_bytes_harm_nobody", test_hostile_random_bytes_harm_nobody,
		FX_ALL },
	{ "test_hostile_random_descriptors_harm_nobody",
		test_hostile_random_descriptors_harm_nobody, FX_ALL },
	{ "test_hostile_random_header_harms_nobody",
		test_hostile_random_header_harms_nobody, FX_ONE | FX_INLINE_CMA },
	{ "test_hostile_random_completions_harm_nobody",
		test_hostile_random_completions_harm_nobody, FX_ONE | FX_INLINE_CMA },
	{ "test_hostile_punched_queue_harms_nobody",
		test_hostile_punched_queue_harms_nobody, FX_ONE | FX_INLINE_CMA },
	{ "test_hostile_everything_harms_nobody", test_hostile_everything_harms_nobody,
		FX_ALL },
	{ "test_hostile_unanswered_write_times_out",
		test_hostile_unanswered_write_times_out, FX_LANE },
	{ "test_hostile_unanswered_read_times_out",
		test_hostile_unanswered_read_times_out, FX_LANE },
	{ "test_hostile_unanswered_source_spares_target",
		test_hostile_unanswered_source_spares_target, FX_LANE },
	{ "test_hostile_unanswered_unbind_ends", test_hostile_unanswered_unbind_ends,
		FX_THREAD_LANE | FX_SERVICE_LANE },
	{ "test_hostile_unanswered_worker_killed_ends",
		test_hostile_unanswered_worker_killed_ends, FX_LANE },
	{ "test_hostile_unanswered_many_spare_the_others",
		test_hostile_unanswered_many_spare_the_others, FX_THREAD_LANE },
	{ "test_hostile_unanswered_late_have_a_share",
		test_hostile_unanswered_late_have_a_share, FX_THREAD_LANE },
	{ "test_hostile_unanswered_late_share_lanes",
		test_hostile_unanswered_late_share_lanes, FX_THREAD_LANE },
	{ "test_hostile_unanswered_unbind_behind_another_ends",
		test_hostile_unanswered_unbind_behind_another_ends, FX_THREAD_LANE },
	{ "test_hostile_unanswered_dead_behind_many_is_let_go",
		test_hostile_unanswered_dead_behind_many_is_let_go, FX_THREAD_LANE },
	{ "test_hostile_setuid_program_is_never_touched",
		test_hostile_setuid_program_is_never_touched, FX_LANE },
	{ "test_hostile_recycled_pid_is_not_bound_by_its_sockets_heir",
		test_hostile_recycled_pid_is_not_bound_by_its_sockets_heir, FX_ONE },
	{ "test_hostile_recycled_pid_is_not_bound_by_forged_credentials",
		test_hostile_recycled_pid_is_not_bound_by_forged_credentials, FX_ONE },
	{ "test_hostile_recycled_pasid_gets_nothing_of_the_bond_before",
		test_hostile_recycled_pasid_gets_nothing_of_the_bond_before, FX_APART },
	{ "test_hostile_flood_of_connects_leaves_nothing",
		test_hostile_flood_of_connects_leaves_nothing, FX_ONE },
	{ "test_hostile_stopped_at_each_step_delays_nobody",
		test_hostile_stopped_at_each_step_delays_nobody, FX_ONE },
	{ "test_hostile_killed_at_each_step_leaves_nothing",
		test_hostile_killed_at_each_step_leaves_nothing, FX_ONE },
	{ "test_hostile_hole_in_each_page_of_a_queue_harms_nobody",
		test_hostile_hole_in_each_page_of_a_queue_harms_nobody, FX_ONE | FX_INLINE_CMA },
	{ "test_hostile_each_page_of_a_queue_dropped_harms_nobody",
		test_hostile_each_page_of_a_queue_dropped_harms_nobody, FX_ONE | FX_INLINE_CMA },
	{ "test_hostile_queue_unmapped_with_work_harms_nobody",
		test_hostile_queue_unmapped_with_work_harms_nobody, FX_ONE | FX_INLINE_CMA },
	{ "test_hostile_queue_cannot_be_truncated",
		test_hostile_queue_cannot_be_truncated, FX_ONE },
	{ "test_hostile_worker_killed_in_copies_loses_nothing",
		test_hostile_worker_killed_in_copies_loses_nothing, FX_ALL },
	{ "test_hostile_worker_stopped_is_reached",
		test_hostile_worker_stopped_is_reached, FX_ALL },
	{ "test_hostile_worker_killed_with_queue_leaves_nothing",
		test_hostile_worker_killed_with_queue_leaves_nothing, FX_ALL },
	{ "test_hostile_worker_killed_by_pid_leaves_nothing",
		test_hostile_worker_killed_by_pid_leaves_nothing, FX_ALL },
};

int
test_hostile_suite(void)
{
	return fx_add_tests("hostile", tests, sizeof(tests) / sizeof(tests[0]));
}
