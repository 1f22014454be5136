/* SPDX-License-Identifier: BSD-3-Clause */
/* The worker's library against a real server; the test plays the engine. */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CUnit/CUnit.h>

#include "fake_owner.h"
#include "svm_worker.h"
#include "test_server.h"

#define DEPTH	64u

/* A worker with one queue, in this process. */
struct pair {
	struct fake_owner *fo;
	struct svm_worker *w;
	struct svm_worker_queue *q;
	struct svm_ring *ring;	/* the owner's view */
};

static void
pair_open(struct pair *p, uint32_t idle_us, uint32_t flags)
{
	p->fo = fake_owner_serving(idle_us);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p->fo);
	CU_ASSERT_EQUAL_FATAL(svm_worker_connect(p->fo->path, &p->w), 0);
	CU_ASSERT_EQUAL_FATAL(svm_worker_bind(p->w, 0, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(svm_worker_queue_create(p->w, DEPTH, flags, &p->q), 0);
	p->ring = &p->fo->queue[0].ring;
}

static void
pair_close(struct pair *p)
{
	svm_worker_disconnect(p->w);
	fake_owner_destroy(p->fo);
}

static void
test_worker_connect_where_nobody_serves_is_refused(void)
{
	struct fake_owner *fo = fake_owner_create();
	struct svm_worker *w;
	char long_path[200];

	CU_ASSERT_PTR_NOT_NULL_FATAL(fo);
	memset(long_path, 'x', sizeof(long_path) - 1);
	long_path[sizeof(long_path) - 1] = '\0';
	CU_ASSERT_EQUAL(svm_worker_connect(fo->path, &w), -ENOENT);
	CU_ASSERT_EQUAL(svm_worker_connect(NULL, &w), -EINVAL);
	CU_ASSERT_EQUAL(svm_worker_connect(fo->path, NULL), -EINVAL);
	CU_ASSERT_EQUAL(svm_worker_connect("", &w), -EINVAL);
	CU_ASSERT_EQUAL(svm_worker_connect(long_path, &w), -EINVAL);
	fake_owner_destroy(fo);
}

/* ---- connections ---- */

static void
test_worker_life_goes_in_order(void)
{
	struct fake_owner *fo = fake_owner_serving(0);
	struct svm_worker_queue *q;
	struct svm_worker_info info;
	struct svm_worker *w;
	uint64_t bond = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(fo);
	CU_ASSERT_EQUAL_FATAL(svm_worker_connect(fo->path, &w), 0);
	CU_ASSERT_EQUAL(svm_worker_info_get(w, &info), 0);
	CU_ASSERT_EQUAL(info.owner_pid, getpid());
	CU_ASSERT_EQUAL(info.max_depth, 1024);
	CU_ASSERT_EQUAL(info.max_queues, FAKE_QUEUES);
	CU_ASSERT_EQUAL(info.bond, 0);
	CU_ASSERT_EQUAL(svm_worker_unbind(w), -ENOENT);
	CU_ASSERT_EQUAL(svm_worker_queue_create(w, DEPTH, 0, &q), -ENOENT);
	CU_ASSERT_EQUAL(svm_worker_bind(w, 99, &bond), 0);
	CU_ASSERT_NOT_EQUAL(bond, 0);
	CU_ASSERT_EQUAL(svm_worker_bind(w, 99, NULL), -EEXIST);
	CU_ASSERT_EQUAL(svm_worker_queue_create(w, DEPTH + 1, 0, &q), -EINVAL);
	CU_ASSERT_EQUAL(svm_worker_queue_create(w, 2048, 0, &q), -EINVAL);
	CU_ASSERT_EQUAL(svm_worker_queue_create(w, DEPTH, 2, &q), -EINVAL);
	CU_ASSERT_EQUAL(svm_worker_queue_create(w, DEPTH, 0, &q), 0);
	CU_ASSERT_EQUAL(svm_worker_unbind(w), -EBUSY);
	CU_ASSERT_EQUAL(svm_worker_queue_destroy(q), 0);
	CU_ASSERT_EQUAL(svm_worker_unbind(w), 0);
	svm_worker_disconnect(w);
	svm_worker_disconnect(NULL);
	CU_ASSERT_EQUAL(fake_count(&fo->unbinds), 1);
	fake_owner_destroy(fo);
}

static void
test_worker_disconnect_returns_when_all_is_given_back(void)
{
	struct pair p;

	pair_open(&p, 0, 0);
	__atomic_store_n(&p.fo->busy, 3, __ATOMIC_RELAXED);
	svm_worker_disconnect(p.w);
	CU_ASSERT_EQUAL(fake_count(&p.fo->destroyed), 1);
	CU_ASSERT_EQUAL(fake_count(&p.fo->unbinds), 1);
	fake_owner_destroy(p.fo);
}

static void
test_worker_busy_queue_is_asked_again(void)
{
	struct pair p;

	pair_open(&p, 0, 0);
	__atomic_store_n(&p.fo->busy, 3, __ATOMIC_RELAXED);
	CU_ASSERT_EQUAL(svm_worker_queue_destroy(p.q), 0);
	CU_ASSERT_EQUAL(fake_count(&p.fo->destroyed), 1);
	pair_close(&p);
}

/* Takes the 5 s that the worker goes on asking. */
static void
test_worker_queue_that_stays_busy_is_refused(void)
{
	struct pair p;

	pair_open(&p, 0, 0);
	__atomic_store_n(&p.fo->busy, INT32_MAX, __ATOMIC_RELAXED);
	CU_ASSERT_EQUAL(svm_worker_queue_destroy(p.q), -EBUSY);
	CU_ASSERT_EQUAL(fake_count(&p.fo->destroyed), 0);
	__atomic_store_n(&p.fo->busy, 0, __ATOMIC_RELAXED);
	CU_ASSERT_EQUAL(svm_worker_queue_destroy(p.q), 0);
	pair_close(&p);
}

/* ---- queues ---- */

static void
test_worker_operations_become_descriptors(void)
{
	const struct svm_worker_seg segs[2] = {
		{ .src = &segs[0], .dst = (void *)0x1000, .len = 5 },
		{ .src = &segs[1], .dst = (void *)0x2000, .len = 6 },
	};
	const struct svm_worker_op ops[] = {
		{ .op = SVM_WORKER_COPY, .flags = SVM_WORKER_FENCE, .src = segs,
			.dst = (void *)0x3000, .len = 7, .cookie = 1, .pattern = 9 },
		{ .op = SVM_WORKER_COPY_SG, .segs = segs, .nb_segs = 2, .cookie = 2 },
		{ .op = SVM_WORKER_FILL, .dst = (void *)0x4000, .len = 8, .pattern = 3,
			.src = segs, .cookie = 3 },
		{ .op = SVM_WORKER_COMPARE_PATTERN, .src = segs, .len = 9, .pattern = 4 },
		{ .op = (enum svm_worker_opcode)261, .flags = 0x100 },
	};
	const uint32_t self = SVM_SPACE(SVM_SPACE_SELF, 0);
	struct svm_seg row[2];
	struct svm_desc d;
	struct pair p;

	pair_open(&p, 0, 0);
	CU_ASSERT_EQUAL(svm_worker_submit(p.q, ops, 5), 5);
	CU_ASSERT_TRUE(svm_ring_ready(p.ring, 4));
	svm_ring_take(p.ring, 0, &d);
	CU_ASSERT(d.op == SVM_OP_COPY && d.flags == SVM_F_FENCE && d.len == 7);
	CU_ASSERT(d.src == (uintptr_t)segs && d.dst == 0x3000 && d.pattern == 0);
	CU_ASSERT(d.src_space == self && d.dst_space == self && d.cookie == 1);
	svm_ring_take(p.ring, 1, &d);
	CU_ASSERT(d.op == SVM_OP_COPY_SG && d.len == 2 && d.src == 0 && d.dst == 0);
	svm_ring_take_segs(p.ring, 1, row, 2);
	CU_ASSERT(row[0].src == (uintptr_t)&segs[0] && row[0].dst == 0x1000 && row[0].len == 5);
	CU_ASSERT(row[1].src == (uintptr_t)&segs[1] && row[1].dst == 0x2000 && row[1].len == 6);
	svm_ring_take(p.ring, 2, &d);
	CU_ASSERT(d.op == SVM_OP_FILL && d.src == 0 && d.src_space == 0 && d.pattern == 3);
	svm_ring_take(p.ring, 3, &d);
	CU_ASSERT(d.op == SVM_OP_COMPARE_PATTERN && d.dst_space == 0 && d.src_space == self);
	/* Numbers that do not fit must not turn into ones that mean something. */
	svm_ring_take(p.ring, 4, &d);
	CU_ASSERT(d.op == UINT8_MAX && d.flags == UINT8_MAX);
	pair_close(&p);
}

static void
test_worker_segments_out_of_range_are_refused(void)
{
	const struct svm_worker_seg seg = { .len = 1 };
	struct svm_worker_op ops[2] = {
		{ .op = SVM_WORKER_NOP },
		{ .op = SVM_WORKER_COPY_SG, .segs = &seg, .nb_segs = SVM_WORKER_SG_MAX + 1 },
	};
	struct pair p;

	pair_open(&p, 0, 0);
	CU_ASSERT_EQUAL(svm_worker_submit(p.q, ops, 2), 1);
	CU_ASSERT_EQUAL(svm_worker_submit(p.q, &ops[1], 1), -EINVAL);
	ops[1].nb_segs = 0;
	CU_ASSERT_EQUAL(svm_worker_submit(p.q, &ops[1], 1), -EINVAL);
	CU_ASSERT_EQUAL(svm_worker_submit(p.q, ops, 0), 0);
	pair_close(&p);
}

static void
test_worker_results_carry_their_cookies(void)
{
	struct svm_worker_result res[DEPTH + 1];
	struct svm_worker_op ops[DEPTH + 1];
	uint32_t i, lap, wrong = 0;
	struct pair p;

	for (lap = 0; lap != 2; lap++) {
		uint32_t round, done = 0;

		pair_open(&p, 0, lap == 0 ? 0 : SVM_WORKER_MULTI_PRODUCER);
		for (round = 0; round != 5; round++) {
			for (i = 0; i != DEPTH + 1; i++)
				ops[i] = (struct svm_worker_op) { .cookie = done + i + 1000 };
			CU_ASSERT_EQUAL(svm_worker_submit(p.q, ops, DEPTH + 1), DEPTH);
			CU_ASSERT_EQUAL(svm_worker_submit(p.q, ops, 1), 0);
			CU_ASSERT_EQUAL(svm_worker_poll(p.q, res, DEPTH + 1), 0);
			for (i = 0; i != DEPTH; i++)
				svm_ring_complete(p.ring, done + i, SVM_ST_MISMATCH, i, i * 2);
			CU_ASSERT_EQUAL(svm_worker_poll(p.q, res, 10), 10);
			CU_ASSERT_EQUAL(svm_worker_wait(p.q, res + 10, DEPTH, 0), DEPTH - 10);
			for (i = 0; i != DEPTH; i++)
				wrong += res[i].cookie != done + i + 1000 || res[i].done != i ||
					res[i].fault_addr != i * 2 ||
					res[i].status != SVM_WORKER_ST_MISMATCH;
			done += DEPTH;
		}
		pair_close(&p);
	}
	CU_ASSERT_EQUAL(wrong, 0);
}

static void
test_worker_completion_never_submitted_is_not_taken(void)
{
	const struct svm_worker_op op = { .cookie = 1 };
	struct svm_worker_result res[4];
	struct pair p;

	pair_open(&p, 0, 0);
	CU_ASSERT_EQUAL(svm_worker_submit(p.q, &op, 1), 1);
	svm_ring_complete(p.ring, 0, SVM_ST_OK, 0, 0);
	svm_ring_complete(p.ring, 1, SVM_ST_OK, 0, 0);
	CU_ASSERT_EQUAL(svm_worker_poll(p.q, res, 4), 1);
	CU_ASSERT_EQUAL(svm_worker_poll(p.q, res, 4), 0);
	pair_close(&p);
}

static void
test_worker_wait_ends_at_its_bound(void)
{
	const struct svm_worker_op op = { .cookie = 1 };
	struct svm_worker_result res;
	struct pair p;

	pair_open(&p, 0, 0);
	CU_ASSERT_EQUAL(svm_worker_submit(p.q, &op, 1), 1);
	CU_ASSERT_EQUAL(svm_worker_wait(p.q, &res, 1, 0), -ETIMEDOUT);
	CU_ASSERT_EQUAL(svm_worker_wait(p.q, &res, 1, 3000), -ETIMEDOUT);
	pair_close(&p);
}

static void *
complete_later(void *arg)
{
	struct pair *p = arg;

	usleep(20000);
	svm_ring_complete(p->ring, 0, SVM_ST_OK, 0, 0);
	return NULL;
}

static void
test_worker_wait_sees_a_late_completion(void)
{
	const struct svm_worker_op op = { .cookie = 5 };
	struct svm_worker_result res;
	pthread_t thread;
	struct pair p;

	pair_open(&p, 0, 0);
	CU_ASSERT_EQUAL(svm_worker_submit(p.q, &op, 1), 1);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, complete_later, &p), 0);
	CU_ASSERT_EQUAL(svm_worker_wait(p.q, &res, 1, FAKE_BOUND_MS * 1000), 1);
	CU_ASSERT_EQUAL(res.cookie, 5);
	pthread_join(thread, NULL);
	pair_close(&p);
}

static void
test_worker_closed_queue_says_so_after_what_completed(void)
{
	static const struct {
		uint32_t state;
		int rc;
	} rows[] = {
		{ SVM_QS_STOPPED, -ESHUTDOWN }, { SVM_QS_BROKEN, -EIO }, { 77, -EIO },
	};
	const struct svm_worker_op op[2] = { { .cookie = 1 }, { .cookie = 2 } };
	struct svm_worker_result res;
	struct pair p;
	size_t i;

	for (i = 0; i != sizeof(rows) / sizeof(rows[0]); i++) {
		pair_open(&p, 0, 0);
		CU_ASSERT_EQUAL(svm_worker_submit(p.q, op, 2), 2);
		svm_ring_complete(p.ring, 0, SVM_ST_OK, 0, 0);
		__atomic_store_n(&p.ring->hdr->state, rows[i].state, __ATOMIC_RELEASE);
		CU_ASSERT_EQUAL(svm_worker_submit(p.q, op, 1), rows[i].rc);
		CU_ASSERT_EQUAL(svm_worker_wait(p.q, &res, 1, FAKE_BOUND_MS * 1000), 1);
		CU_ASSERT_EQUAL(svm_worker_wait(p.q, &res, 1, FAKE_BOUND_MS * 1000),
			rows[i].rc);
		pair_close(&p);
	}
}

static void
test_worker_wait_ends_when_the_owner_is_gone(void)
{
	const struct svm_worker_op op = { .cookie = 1 };
	struct svm_worker_result res;
	struct pair p;

	pair_open(&p, 0, 0);
	CU_ASSERT_EQUAL(svm_worker_submit(p.q, &op, 1), 1);
	fake_owner_stop(p.fo);
	CU_ASSERT_EQUAL(svm_worker_wait(p.q, &res, 1, FAKE_BOUND_MS * 1000), -EPIPE);
	CU_ASSERT_EQUAL(svm_worker_unbind(p.w), -EBUSY);
	CU_ASSERT_EQUAL(svm_worker_queue_destroy(p.q), -EPIPE);
	CU_ASSERT_EQUAL(svm_worker_unbind(p.w), -EPIPE);
	pair_close(&p);
}

static void
test_worker_rings_only_when_the_engine_sleeps(void)
{
	const struct svm_worker_op op = { .cookie = 1 };
	struct pair p;

	pair_open(&p, 100, 0);
	CU_ASSERT_EQUAL(p.ring->hdr->features, SVM_QF_MAY_SLEEP);
	CU_ASSERT_EQUAL(svm_worker_submit(p.q, &op, 1), 1);
	__atomic_store_n(&p.ring->hdr->need_wakeup, 1, __ATOMIC_SEQ_CST);
	CU_ASSERT_EQUAL(svm_worker_submit(p.q, &op, 1), 1);
	CU_ASSERT_TRUE(fake_wait_for(&p.fo->doorbells, 1));
	/* Its messages are handled in order: an earlier bell would have been counted. */
	CU_ASSERT_EQUAL(svm_worker_queue_destroy(p.q), 0);
	CU_ASSERT_EQUAL(fake_count(&p.fo->doorbells), 1);
	pair_close(&p);
}

static void
test_worker_child_after_fork_is_refused(void)
{
	struct pair p;
	int status = 0;
	pid_t child;

	pair_open(&p, 0, 0);
	child = fork();
	if (child == 0) {
		struct svm_worker_queue *q;
		int bad = 0;

		bad += svm_worker_queue_create(p.w, DEPTH, 0, &q) != -EPERM;
		bad += svm_worker_queue_destroy(p.q) != -EPERM;
		bad += svm_worker_bind(p.w, 0, NULL) != -EPERM;
		svm_worker_disconnect(p.w);
		_exit(bad);
	}
	CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
	CU_ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	/* The parent's connection did not notice. */
	CU_ASSERT_EQUAL(fake_count(&p.fo->destroyed), 0);
	CU_ASSERT_EQUAL(svm_worker_queue_destroy(p.q), 0);
	pair_close(&p);
}

static void
test_worker_status_names_are_those_of_the_interface(void)
{
	CU_ASSERT_STRING_EQUAL(svm_worker_status_name(SVM_WORKER_ST_OK), "OK");
	CU_ASSERT_STRING_EQUAL(svm_worker_status_name(SVM_WORKER_ST_PAGE_FAULT), "PAGE_FAULT");
	CU_ASSERT_STRING_EQUAL(svm_worker_status_name(SVM_WORKER_ST_NO_MEMORY), "NO_MEMORY");
	CU_ASSERT_STRING_EQUAL(svm_worker_status_name((enum svm_worker_status)12), "?");
	CU_ASSERT_STRING_EQUAL(svm_worker_status_name((enum svm_worker_status)-1), "?");
}

int
test_server_worker_add(CU_pSuite suite)
{
	static const struct test_server_row rows[] = {
#define T(fn) { #fn, fn }
		T(test_worker_connect_where_nobody_serves_is_refused),
		T(test_worker_life_goes_in_order),
		T(test_worker_disconnect_returns_when_all_is_given_back),
		T(test_worker_busy_queue_is_asked_again),
		T(test_worker_queue_that_stays_busy_is_refused),
		T(test_worker_operations_become_descriptors),
		T(test_worker_segments_out_of_range_are_refused),
		T(test_worker_results_carry_their_cookies),
		T(test_worker_completion_never_submitted_is_not_taken),
		T(test_worker_wait_ends_at_its_bound),
		T(test_worker_wait_sees_a_late_completion),
		T(test_worker_closed_queue_says_so_after_what_completed),
		T(test_worker_wait_ends_when_the_owner_is_gone),
		T(test_worker_rings_only_when_the_engine_sleeps),
		T(test_worker_child_after_fork_is_refused),
		T(test_worker_status_names_are_those_of_the_interface),
#undef T
	};

	return test_server_add(suite, rows, sizeof(rows) / sizeof(rows[0]));
}
