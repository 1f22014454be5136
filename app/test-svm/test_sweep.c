/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Out of memory, out of descriptors, out of tasks: a clean life of a device is
 * run to learn which calls it makes, then run again for each of them with that
 * call failing once. Whatever the run answers, it ends, nothing of it stays
 * behind, and the next life is a clean one.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rte_bus_vdev.h>
#include <rte_log.h>

#include "failcall.h"
#include "fixture.h"
#include "suites.h"
#include "test_sweep.h"

static const char *const libs[] = { "librte_svm.so", "librte_dma_svm.so" };

struct sweep {
	struct fx *f;
	struct fx_worker *w;
	uint64_t mem;		/* the worker's, 64 bytes */
	struct fx_worker *other;	/* of another user, or NULL */
	uint64_t other_mem;
	uint64_t *own;
	int err;		/* of the call that fails, 0: none */
};

/* ---- looking ---- */

static unsigned int
children_count(const char *task)
{
	char path[300], byte;
	unsigned int nb = 0;
	FILE *in;

	snprintf(path, sizeof(path), "/proc/self/task/%s/children", task);
	in = fopen(path, "re");
	if (in == NULL)
		return 0;
	while (fread(&byte, 1, 1, in) == 1)
		nb += byte == ' ';
	fclose(in);
	return nb;
}

struct sweep_has
sweep_look(void)
{
	struct fc_held held = fc_held();
	struct sweep_has has = {
		.fds = fx_count_fds(),
		.bytes = held.bytes,
		.blocks = held.blocks,
		.mapped = held.mapped,
	};
	DIR *d = opendir("/proc/self/task");
	struct dirent *e;

	while (d != NULL && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			has.tasks += 1 + children_count(e->d_name);
	if (d != NULL)
		closedir(d);
	return has;
}

static bool
same(const struct sweep_has *a, const struct sweep_has *b)
{
	return a->fds == b->fds && a->tasks == b->tasks && a->bytes == b->bytes &&
		a->blocks == b->blocks && a->mapped == b->mapped;
}

/* Thread ids and descriptors go a moment after whoever had them said so. */
static struct sweep_has
settled(const struct sweep_has *wanted)
{
	const uint64_t end = fx_now_ms() + 2000;
	struct sweep_has has = sweep_look();

	while (!same(&has, wanted) && fx_now_ms() < end) {
		usleep(1000);
		has = sweep_look();
	}
	return has;
}

/* ---- one life ---- */

/* The worker connects, is bound, makes a queue, copies with it; all or what goes. */
static bool
life_worker(struct sweep *s)
{
	struct wk_req connect = { .cmd = WK_CONNECT };
	const struct wk_req bind = { .cmd = WK_BIND };
	const struct wk_req heap = { .cmd = WK_HEAP };
	const struct wk_req queue = { .cmd = WK_QUEUE, .a = { 64 } };
	struct wk_req op = { .cmd = WK_OP, .a = { 0, RTE_SVM_OP_FILL, 0, s->mem, 8, 5 } };
	struct wk_rep rep;
	bool ok = false;

	strcpy(connect.text, s->f->socket);
	if (fx_try(s->w, &connect, &rep) != 0)
		return false;
	if (fx_try(s->w, &bind, &rep) == 0 && fx_try(s->w, &queue, &rep) == 0) {
		op.a[0] = rep.v[0];
		ok = fx_try(s->w, &op, &rep) == 0 && rep.v[0] == RTE_SVM_ST_OK;
		ok = fx_try(s->w, &heap, &rep) == 0 && ok;
	}
	fx_do(s->w, WK_DISCONNECT);
	return ok;
}

static bool
life_bind(struct sweep *s, struct fx_worker *w, uint64_t mem)
{
	struct fx *f = s->f;
	struct rte_svm_result r;
	uint64_t bond;
	int ret;

	ret = rte_svm_bind(f->dev, w->pid, &bond);
	/* Want on this side is not said to be the worker's fault. */
	if (ret == -ESRCH || (ret == -EPERM && s->err != EPERM))
		test_fail("rte_svm_bind: %d", ret);
	if (ret != 0)
		return false;
	s->own[0]++;
	r = fx_copy(f, RTE_SVM_OWNER, (uintptr_t)s->own, bond, mem, 8);
	ret = fx_unbind(f, bond);
	if (ret != 0)
		test_fail("rte_svm_unbind: %d", ret);
	/* What it reports as done is done. */
	if (r.status == RTE_SVM_ST_OK && fx_do(w, WK_VERIFY_WORD, mem, 8, s->own[0]) != 8)
		test_fail("a copy reported as done is not there");
	return r.status == RTE_SVM_ST_OK;
}

static bool
life_run(struct sweep *s)
{
	struct fx *f = s->f;
	bool ok;

	if (rte_vdev_init(f->name, f->devargs) != 0)
		return false;
	f->made = true;
	f->dev = rte_svm_get_dev_id(f->name);
	f->started = rte_svm_start(f->dev) == 0;
	ok = f->started && rte_svm_queue_create(f->dev, 64, &f->queue) == 0;
	if (ok)
		ok = life_bind(s, s->w, s->mem) &&
			(s->other == NULL || life_bind(s, s->other, s->other_mem));
	ok = f->started && life_worker(s) && ok;
	if (f->queue != NULL)
		TEST_EQUAL(rte_svm_queue_destroy(f->queue), 0);
	f->queue = NULL;
	if (f->started)
		TEST_EQUAL(rte_svm_stop(f->dev), 0);
	f->started = false;
	TEST_EQUAL(rte_vdev_uninit(f->name), 0);
	f->made = false;
	return ok;
}

static void
compare(const char *what, const struct sweep_has *has, const struct sweep_has *wanted)
{
	if (!same(has, wanted))
		test_fail("%s: left behind: %d descriptors, %d tasks, %lld bytes in %lld blocks, %lld mapped",
			what, (int)(has->fds - wanted->fds), (int)(has->tasks - wanted->tasks),
			has->bytes - wanted->bytes, has->blocks - wanted->blocks,
			has->mapped - wanted->mapped);
}

static void
sweep_one(struct sweep *s, uint32_t i, const struct sweep_has *wanted)
{
	const uint64_t start = fx_now_ms();
	struct sweep_has has;
	char name[FC_NAME_LEN];
	uint64_t ms;

	fc_name(i, name);
	s->err = fc_errno(i);
	fc_fail(i);
	life_run(s);
	fc_rest();
	s->err = 0;
	ms = fx_now_ms() - start;
	if (ms > SWEEP_RUN_MS)
		test_fail("%s: the run took %u ms", name, (unsigned int)ms);
	has = settled(wanted);
	compare(name, &has, wanted);
	if (!life_run(s))
		test_fail("%s: the life after it is not a clean one", name);
}

static void
test_sweep_every_call_is_known(void)
{
	static const char *const all[] = { "librte_svm.so", "librte_dma_svm.so",
		"libsvm_worker.so" };
	char unknown[1024];

	TEST_EQUAL(fc_hook(all, 3, unknown, sizeof(unknown)), 0);
	fc_unhook();
	if (unknown[0] != '\0')
		test_fail("the libraries call what failcall_table.c does not know:%s", unknown);
}

void
sweep_hook(void)
{
	char unknown[1024];
	const int ret = fc_hook(libs, 2, unknown, sizeof(unknown));

	if (ret != 0)
		test_fail("fc_hook: %d", ret);
}

void
sweep_lives(struct fx *f, bool users, uint32_t least)
{
	struct sweep s = { .f = f };
	struct sweep_has wanted;
	uint32_t i, nb;

	s.w = fx_worker(f);
	s.mem = fx_do(s.w, WK_ALLOC, WK_MEM_PRIVATE, 64);
	if (users) {
		s.other = fx_worker(f);
		s.other_mem = fx_do(s.other, WK_ALLOC, WK_MEM_PRIVATE, 64);
		fx_do(s.other, WK_SETUID, 65534);
	}
	s.own = fx_mem(f, 64);
	/* Each failure says so. */
	rte_log_set_global_level(RTE_LOG_EMERG);
	/* What is made once and stays is made now; the second life finds the first one's
	 * signal actions, which are not quite those that the first one found. */
	CU_ASSERT_FATAL(life_run(&s));
	CU_ASSERT_FATAL(life_run(&s));
	wanted = sweep_look();
	fc_learn();
	CU_ASSERT_FATAL(life_run(&s));
	nb = fc_plan();
	if (nb < least)
		test_fail("only %u calls", nb);
	for (i = 0; i < nb; i++)
		sweep_one(&s, i, &wanted);
}

static void
test_sweep_owner_calls_fail_once(void)
{
	struct fx *f = fx_begin_bare("idle_us=100,max_bonds=64");

	if (f == NULL)
		return;
	sweep_hook();
	sweep_lives(f, false, 100);
}

static void
sweep_end(void)
{
	fc_rest();
	fc_unhook();
	fx_end();
	rte_log_set_global_level(RTE_LOG_DEBUG);
}

int
test_sweep_suite(void)
{
	static const struct fx_test tests[] = {
		{ "test_sweep_every_call_is_known", test_sweep_every_call_is_known, FX_ONE },
		{ "test_sweep_owner_calls_fail_once", test_sweep_owner_calls_fail_once,
			FX_THREAD_LANE | FX_INLINE_CMA },
		{ "test_sweep_system_calls_fail_once", test_sweep_system_calls_fail_once,
			FX_ONE | FX_INLINE_LANE },
		{ "test_sweep_worker_calls_fail_once", test_sweep_worker_calls_fail_once, FX_ONE },
	};
	int ret = fx_add_tests("sweep", tests, sizeof(tests) / sizeof(tests[0]));

	if (ret == 0)
		CU_get_registry()->pSuite->pTearDownFunc = sweep_end;
	return ret;
}
