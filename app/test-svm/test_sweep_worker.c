/* SPDX-License-Identifier: BSD-3-Clause */
/* The failure sweep of the worker's library: in a process that is a worker. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "failcall.h"
#include "fixture.h"
#include "svm_worker.h"
#include "test_child.h"
#include "test_sweep.h"

static int
worker_heap_life(struct svm_worker *w)
{
	const struct svm_worker_heap_conf conf = { .pages = SVM_WORKER_PAGES_SMALL, .node = -1 };
	struct svm_worker_heap *heap;
	void *small, *large;
	int ret;

	ret = svm_worker_heap_create(w, &conf, &heap);
	if (ret != 0)
		return ret;
	small = svm_worker_calloc(heap, 10, 10);
	large = svm_worker_aligned_alloc(heap, 4096, 6 << 20);
	if (small != NULL)
		small = svm_worker_realloc(heap, small, 1000);
	ret = small == NULL || large == NULL ? -ENOMEM : 0;
	svm_worker_free(heap, small);
	svm_worker_heap_destroy(heap);
	return ret;
}

/* One life of a worker: 0, or what did not go well. Nothing is left in any case. */
static int
worker_life(const char *socket)
{
	static char text[64], copy[64];
	struct svm_worker_queue *queue = NULL;
	const struct svm_worker_op op = { .op = SVM_WORKER_COPY, .src = text, .dst = copy,
		.len = sizeof(text) };
	struct svm_worker_result r = { .status = SVM_WORKER_ST_ABORTED };
	struct svm_worker *w = NULL;
	int ret;

	ret = svm_worker_connect(socket, &w);
	if (ret != 0)
		return ret;
	text[0]++;
	ret = svm_worker_bind(w, 0, NULL);
	if (ret == 0)
		ret = svm_worker_queue_create(w, 64, 0, &queue);
	if (ret == 0)
		ret = svm_worker_submit(queue, &op, 1) - 1;
	if (ret == 0)
		ret = svm_worker_wait(queue, &r, 1, 10000000) - 1;
	if (ret == 0 && (r.status != SVM_WORKER_ST_OK || copy[0] != text[0]))
		ret = -EBADMSG;
	if (ret == 0)
		ret = worker_heap_life(w);
	if (ret == 0)
		ret = svm_worker_queue_destroy(queue);
	if (ret == 0)
		ret = svm_worker_unbind(w);
	svm_worker_disconnect(w);
	return ret;
}

static void
fail(const char *what, int ret, const char *name)
{
	printf("the worker's sweep: %s: %s (%d)\n", name, what, ret);
	fflush(stdout);
	_exit(1);
}

static void
worker_main(int in, int out, void *arg)
{
	static const char *const libs[] = { "libsvm_worker.so" };
	const char *socket = arg;
	struct sweep_has before, after;
	char unknown[256], name[FC_NAME_LEN] = "clean";
	uint32_t i, nb;
	int ret;

	(void)in;
	(void)out;
	ret = fc_hook(libs, 1, unknown, sizeof(unknown));
	if (ret == 0)
		ret = worker_life(socket);
	if (ret != 0)
		fail("does not run", ret, name);
	before = sweep_look();
	fc_learn();
	ret = worker_life(socket);
	if (ret != 0)
		fail("does not run", ret, name);
	nb = fc_plan();
	if (nb < 20)
		fail("few calls", (int)nb, name);
	for (i = 0; i < nb; i++) {
		fc_name(i, name);
		fc_fail(i);
		worker_life(socket);
		fc_rest();
		after = sweep_look();
		if (after.fds != before.fds || after.blocks != before.blocks ||
				after.mapped != before.mapped || after.tasks != before.tasks)
			fail("something is left behind", 0, name);
		ret = worker_life(socket);
		if (ret != 0)
			fail("the life after it is not a clean one", ret, name);
	}
}

void
test_sweep_worker_calls_fail_once(void)
{
	struct fx *f = fx_begin("");
	const unsigned int fds = fx_count_fds();
	const uint64_t end = fx_now_ms() + FX_BOUND_MS;
	struct child c = { .pid = 0 };

	if (f == NULL)
		return;
	child_start(&c, worker_main, f->socket);
	TEST_EQUAL(child_exit_code(&c), 0);
	while (rte_svm_bond_list(f->dev, NULL, 0) != 0 && fx_now_ms() < end)
		fx_idle(f);
	TEST_EQUAL(rte_svm_bond_list(f->dev, NULL, 0), 0);
	/* A lane or two rest for a while. */
	CU_ASSERT(fx_count_fds() <= fds + 2);
}
