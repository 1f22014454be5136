/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the suite "hostile" share: a neighbour that does no harm. */
#ifndef TEST_HOSTILE_H
#define TEST_HOSTILE_H

#include "fixture.h"

struct traffic {
	uint64_t rounds, wrong;
	int64_t error;
};

static inline struct traffic
traffic_look(struct fx_worker *w, enum wk_cmd cmd)
{
	struct wk_rep rep;

	if (fx_try(w, &(struct wk_req){ .cmd = cmd }, &rep) != 0)
		test_fail("the neighbour does not tell about its traffic");
	return (struct traffic){ rep.v[0], rep.v[1], (int64_t)rep.v[2] };
}

/* A worker that copies in its own queue for ever, and checks what it gets. */
static inline struct fx_worker *
neighbour(struct fx *f)
{
	struct fx_worker *w = fx_joined(f);
	const uint64_t q = fx_do(w, WK_QUEUE, 32, 0);

	fx_do(w, WK_TRAFFIC, q, 3000);
	return w;
}

/* It does `rounds` more, all of them right. */
static inline void
neighbour_goes_on(struct fx_worker *w, uint64_t rounds)
{
	const uint64_t end = fx_now_ms() + FX_BOUND_MS;
	struct traffic t = traffic_look(w, WK_TRAFFIC_LOOK);
	const uint64_t goal = t.rounds + rounds;

	while (t.rounds < goal && t.error == 0 && fx_now_ms() < end) {
		fx_idle(w->f);
		t = traffic_look(w, WK_TRAFFIC_LOOK);
	}
	TEST_EQUAL(t.error, 0);
	TEST_EQUAL(t.wrong, 0);
	CU_ASSERT(t.rounds >= goal);
}

static inline void
neighbour_ends(struct fx_worker *w)
{
	const struct traffic t = traffic_look(w, WK_TRAFFIC_END);

	TEST_EQUAL(t.error, 0);
	TEST_EQUAL(t.wrong, 0);
	CU_ASSERT(t.rounds > 0);
}

/* ---- test_hostile_unanswered.c ---- */

void
test_hostile_unanswered_write_times_out(void);

void
test_hostile_unanswered_read_times_out(void);

void
test_hostile_unanswered_source_spares_target(void);

void
test_hostile_unanswered_unbind_ends(void);

void
test_hostile_unanswered_worker_killed_ends(void);

void
test_hostile_unanswered_many_spare_the_others(void);

void
test_hostile_unanswered_late_have_a_share(void);

void
test_hostile_unanswered_late_share_lanes(void);

void
test_hostile_unanswered_unbind_behind_another_ends(void);

void
test_hostile_unanswered_dead_behind_many_is_let_go(void);

/* ---- test_hostile_setuid.c ---- */

void
test_hostile_setuid_program_is_never_touched(void);

/* ---- test_hostile_peer.c ---- */

void
test_hostile_recycled_pid_is_not_bound_by_its_sockets_heir(void);

void
test_hostile_recycled_pid_is_not_bound_by_forged_credentials(void);

void
test_hostile_recycled_pasid_gets_nothing_of_the_bond_before(void);

void
test_hostile_flood_of_connects_leaves_nothing(void);

void
test_hostile_stopped_at_each_step_delays_nobody(void);

void
test_hostile_killed_at_each_step_leaves_nothing(void);

/* ---- test_hostile_queue.c ---- */

void
test_hostile_hole_in_each_page_of_a_queue_harms_nobody(void);

void
test_hostile_each_page_of_a_queue_dropped_harms_nobody(void);

void
test_hostile_queue_unmapped_with_work_harms_nobody(void);

void
test_hostile_queue_cannot_be_truncated(void);

#endif /* TEST_HOSTILE_H */
