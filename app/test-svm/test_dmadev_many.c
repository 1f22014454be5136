/* SPDX-License-Identifier: BSD-3-Clause */
/* Vchans that move between many bonds, and several devices in one process. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_bus_vdev.h>

#include "suites.h"
#include "test_dmadev.h"

#define ATTACHES	4000

static void
test_dmadev_many_attaches_reach_the_right_worker(void)
{
	struct fx *f = fx_begin("");
	struct fx_worker *w[2];
	uint64_t at[2], words, i;
	int16_t id;

	if (f == NULL)
		return;
	for (i = 0; i != 2; i++) {
		w[i] = fx_bound(f);
		at[i] = fx_do(w[i], WK_ALLOC, WK_MEM_PRIVATE, ATTACHES * 8);
	}
	id = dma_one(f, RTE_DMA_DIR_MEM_TO_DEV, 0, 0, false);
	for (i = 0; i != ATTACHES; i++) {
		const unsigned int k = i % 2;

		TEST_EQUAL(rte_svm_vchan_attach(f->dev, 0, 0, w[k]->bond), 0);
		/* Both workers have the addresses; only one has the word. */
		words = 0x0101010101010101 * (1 + k);
		TEST_EQUAL(status_of(f, id, rte_dma_fill(id, 0, words, at[k] + i / 2 * 8, 8,
			RTE_DMA_OP_FLAG_SUBMIT)), RTE_DMA_STATUS_SUCCESSFUL);
	}
	for (i = 0; i != 2; i++)
		TEST_EQUAL(fx_do(w[i], WK_VERIFY_WORD, at[i], ATTACHES / 2 * 8,
			0x0101010101010101 * (1 + i)), ATTACHES / 2 * 8);
	TEST_EQUAL(rte_dma_stop(id), 0);
}

static void
test_dmadev_many_attach_to_a_dead_or_unknown_bond(void)
{
	struct fx *f = fx_begin("");
	struct fx_worker *w, *dead;
	uint64_t there, end;
	struct rte_svm_bond_info info;
	int16_t id;

	if (f == NULL)
		return;
	w = fx_bound(f);
	dead = fx_bound(f);
	there = fx_do(w, WK_ALLOC, WK_MEM_PRIVATE, LEN);
	id = dma_one(f, RTE_DMA_DIR_MEM_TO_DEV, 0, pasid_of(w), false);
	fx_kill(dead, SIGKILL);
	for (end = fx_now_ms() + FX_BOUND_MS; rte_svm_bond_info_get(f->dev, dead->bond,
			&info) == 0 && info.state != RTE_SVM_BOND_DEAD; fx_idle(f))
		if (fx_now_ms() > end)
			test_fail("the bond does not die");
	/* A bond that is dead is one still: what names it ends with an error. */
	TEST_EQUAL(rte_svm_vchan_attach(f->dev, 0, 0, dead->bond), 0);
	TEST_EQUAL(status_of(f, id, rte_dma_fill(id, 0, 1, there, 8, RTE_DMA_OP_FLAG_SUBMIT)),
		RTE_DMA_STATUS_DEV_LINK_ERROR);
	TEST_EQUAL(fx_unbind(f, dead->bond), 0);
	/* Given back, or never given: refused, and the vchan stays where it was. */
	TEST_EQUAL(rte_svm_vchan_attach(f->dev, 0, 0, w->bond), 0);
	TEST_EQUAL(rte_svm_vchan_attach(f->dev, 0, 0, dead->bond), -ENOENT);
	TEST_EQUAL(rte_svm_vchan_attach(f->dev, 0, 0, UINT64_MAX), -ENOENT);
	TEST_EQUAL(status_of(f, id, rte_dma_fill(id, 0, 1, there, 8, RTE_DMA_OP_FLAG_SUBMIT)),
		RTE_DMA_STATUS_SUCCESSFUL);
	TEST_EQUAL(rte_dma_stop(id), 0);
}

/* The vchan holds the PASID of the bond that has gone until it is attached elsewhere. */
static void
test_dmadev_many_attached_bond_unbound_keeps_its_pasid(void)
{
	struct fx *f = fx_begin("max_bonds=2");
	struct fx_worker *w, *other;
	uint64_t there, bond;
	uint32_t held;
	int16_t id;

	if (f == NULL)
		return;
	w = fx_bound(f);
	other = fx_worker(f);
	there = fx_do(other, WK_ALLOC, WK_MEM_PRIVATE, LEN);
	id = dma_one(f, RTE_DMA_DIR_MEM_TO_DEV, 0, 0, false);
	TEST_EQUAL(rte_svm_vchan_attach(f->dev, 0, 0, w->bond), 0);
	held = pasid_of(w);
	TEST_EQUAL(fx_unbind(f, w->bond), 0);
	TEST_EQUAL(rte_svm_bind(f->dev, other->pid, &other->bond), 0);
	CU_ASSERT(pasid_of(other) != held);
	TEST_EQUAL(rte_svm_bind(f->dev, w->pid, &bond), -ENOSPC);
	TEST_EQUAL(status_of(f, id, rte_dma_fill(id, 0, 1, there, 8, RTE_DMA_OP_FLAG_SUBMIT)),
		RTE_DMA_STATUS_DEV_LINK_ERROR);
	TEST_EQUAL(rte_svm_vchan_attach(f->dev, 0, 0, other->bond), 0);
	TEST_EQUAL(rte_svm_bind(f->dev, w->pid, &w->bond), 0);
	TEST_EQUAL(pasid_of(w), held);
	TEST_EQUAL(status_of(f, id, rte_dma_fill(id, 0, 1, there, 8, RTE_DMA_OP_FLAG_SUBMIT)),
		RTE_DMA_STATUS_SUCCESSFUL);
	TEST_EQUAL(rte_dma_stop(id), 0);
}

/* ---- several devices ---- */

/* A second device beside the test's, with a socket and an engine of its own. */
static uint16_t
second_begin(const struct fx *f, char name[64])
{
	char args[256];

	snprintf(name, 64, "%s_b", f->name);
	snprintf(args, sizeof(args), "%s,socket=%s_b",
		f->engine == RTE_SVM_ENGINE_INLINE ? "engine=inline" :
		f->engine == RTE_SVM_ENGINE_SERVICE ? "engine=service" : "engine=thread",
		f->socket);
	TEST_EQUAL(rte_vdev_init(name, args), 0);
	TEST_EQUAL(rte_svm_start(rte_svm_get_dev_id(name)), 0);
	return rte_svm_get_dev_id(name);
}

static void
test_dmadev_many_devices_share_a_worker(void)
{
	struct fx *f = fx_begin(""), other;
	struct fx_worker *w, twin;
	struct rte_svm_stats s;
	char name[64];

	if (f == NULL)
		return;
	w = fx_bound(f);
	/* The same process through the second device. */
	other = *f;
	other.nb_mem = 0;
	other.dev = second_begin(f, name);
	CU_ASSERT(other.dev != f->dev);
	TEST_EQUAL(rte_svm_queue_create(other.dev, FX_DEPTH, &other.queue), 0);
	twin = *w;
	twin.f = &other;
	TEST_EQUAL(rte_svm_bind(other.dev, w->pid, &twin.bond), 0);
	fx_check_moves(f, w);
	fx_check_moves(&other, &twin);
	TEST_EQUAL(fx_stats(f).ops, 2);
	TEST_EQUAL(fx_stats(&other).ops, 2);
	TEST_EQUAL(access(f->socket, F_OK), 0);
	/* Without the one the other goes on. */
	TEST_EQUAL(rte_vdev_uninit(name), 0);
	TEST_EQUAL(rte_svm_queue_destroy(other.queue), 0);
	TEST_EQUAL(rte_svm_stats_get(other.dev, &s), -ENODEV);
	while (other.nb_mem != 0)
		free(other.mem[--other.nb_mem]);
	fx_check_moves(f, w);
}

static void
test_dmadev_many_device_of_a_taken_name_or_socket_refused(void)
{
	struct fx *f = fx_begin("");
	const uint16_t before = rte_svm_dev_count();
	char args[256];

	if (f == NULL)
		return;
	TEST_EQUAL(rte_vdev_init(f->name, "socket=none"), -EEXIST);
	snprintf(args, sizeof(args), "socket=%s", f->socket);
	CU_ASSERT(rte_vdev_init("svm_same_socket", args) < 0);
	TEST_EQUAL(rte_svm_get_dev_id("svm_same_socket"), -ENODEV);
	TEST_EQUAL(rte_svm_dev_count(), before);
	fx_check_moves(f, fx_bound(f));
}

/* dmadev has 64 places, and so have we. */
static void
test_dmadev_many_devices_up_to_64(void)
{
	struct fx *f = fx_begin("");
	const unsigned int left = 64 - rte_dma_count_avail();
	const unsigned int fds = fx_count_fds();
	char name[32];
	unsigned int i;

	if (f == NULL)
		return;
	for (i = 0; i != left; i++) {
		snprintf(name, sizeof(name), "svm_many%u", i);
		TEST_EQUAL(rte_vdev_init(name, "engine=inline,socket=none,max_bonds=4"), 0);
	}
	TEST_EQUAL(rte_svm_dev_count(), left + 1);
	CU_ASSERT(rte_vdev_init("svm_many_more", "socket=none") < 0);
	TEST_EQUAL(rte_svm_get_dev_id("svm_many_more"), -ENODEV);
	TEST_EQUAL(rte_vdev_uninit("svm_many0"), 0);
	TEST_EQUAL(rte_vdev_init("svm_many_more", "socket=none"), 0);
	TEST_EQUAL(rte_vdev_uninit("svm_many_more"), 0);
	for (i = 1; i < left; i++) {
		snprintf(name, sizeof(name), "svm_many%u", i);
		TEST_EQUAL(rte_vdev_uninit(name), 0);
	}
	TEST_EQUAL(rte_svm_dev_count(), 1);
	TEST_EQUAL(fx_count_fds(), fds);
}

int
test_dmadev_many_suite(void)
{
#define T(name, rows) { #name, name, rows }
	static const struct fx_test tests[] = {
		T(test_dmadev_many_attaches_reach_the_right_worker, FX_LANE),
		T(test_dmadev_many_attach_to_a_dead_or_unknown_bond, FX_LANE),
		T(test_dmadev_many_attached_bond_unbound_keeps_its_pasid, FX_LANE),
		T(test_dmadev_many_devices_share_a_worker, FX_LANE),
		T(test_dmadev_many_device_of_a_taken_name_or_socket_refused, FX_ONE),
		T(test_dmadev_many_devices_up_to_64, FX_ONE),
	};
#undef T

	return fx_add_tests("dmadev_many", tests, RTE_DIM(tests));
}
