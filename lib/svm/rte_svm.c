/* SPDX-License-Identifier: BSD-3-Clause */
/* The public calls: argument checks, then the object that does it. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_branch_prediction.h>
#include <rte_common.h>

#include "svm_dev.h"

/* What the public header promises is what the ABI says. */
static_assert((int)RTE_SVM_OP_COMPARE_PATTERN == SVM_OP_COMPARE_PATTERN &&
	(int)RTE_SVM_ST_NO_MEMORY == SVM_ST_NO_MEMORY &&
	RTE_SVM_SG_MAX == SVM_SG_MAX && RTE_SVM_LEN_MAX == SVM_LEN_MAX &&
	RTE_SVM_OP_F_FENCE == SVM_F_FENCE, "the public header says what the ABI says");

/** An owner queue for operations between any bonds. */
struct rte_svm_queue {
	struct svm_oq *oq;
	struct svm_dev *dev;
	uint64_t *cookies;		/* by slot */
	/*
	 * Bonds this queue has named, one bit a PASID: each is held, so that the
	 * PASID is not given to another while a descriptor here may carry it.
	 * Given back when the queue is empty and some bond has been retired.
	 */
	uint64_t *held;
	uint32_t nb_held;
	uint32_t retire_epoch;
};

uint16_t
rte_svm_dev_count(void)
{
	uint16_t i, n = 0;

	for (i = 0; i != SVM_DEVS_MAX; i++)
		n += svm_dev_get(i) != NULL;
	return n;
}

int
rte_svm_get_dev_id(const char *name)
{
	uint16_t i;

	if (name == NULL)
		return -EINVAL;
	for (i = 0; i != SVM_DEVS_MAX; i++) {
		const struct svm_dev *dev = svm_dev_get(i);

		if (dev != NULL && strcmp(dev->conf.name, name) == 0)
			return i;
	}
	return -ENODEV;
}

int
rte_svm_info_get(uint16_t dev_id, struct rte_svm_info *info)
{
	struct svm_dev *dev = svm_dev_get(dev_id);

	if (dev == NULL)
		return -ENODEV;
	if (info == NULL)
		return -EINVAL;
	*info = (struct rte_svm_info){
		.engine = dev->conf.engine,
		.cma = dev->conf.cma,
		.dma_dev_id = dev->dma_dev_id,
		.numa_node = dev->conf.numa_node,
		.max_bonds = dev->conf.max_bonds,
		.depth = dev->conf.depth,
		.timeout_us = dev->conf.timeout_us,
		.idle_us = dev->conf.idle_us,
	};
	memcpy(info->name, dev->conf.name, sizeof(info->name));
	memcpy(info->socket, dev->conf.socket, sizeof(info->socket));
	pthread_mutex_lock(&dev->bonds->lock);
	info->nb_bonds = dev->bonds->nb;
	pthread_mutex_unlock(&dev->bonds->lock);
	pthread_mutex_lock(&dev->lock);
	info->started = dev->nb_starts != 0;
	pthread_mutex_unlock(&dev->lock);
	return 0;
}

int
rte_svm_start(uint16_t dev_id)
{
	struct svm_dev *dev = svm_dev_get(dev_id);

	return dev == NULL ? -ENODEV : svm_dev_start(dev);
}

int
rte_svm_stop(uint16_t dev_id)
{
	struct svm_dev *dev = svm_dev_get(dev_id);

	return dev == NULL ? -ENODEV : svm_dev_stop(dev);
}

/* ---- bonds ---- */

int
rte_svm_bind(uint16_t dev_id, pid_t pid, uint64_t *bond)
{
	struct svm_dev *dev = svm_dev_get(dev_id);

	return dev == NULL ? -ENODEV : svm_dev_bind(dev, pid, 0, NULL, bond);
}

int
rte_svm_unbind(uint16_t dev_id, uint64_t bond)
{
	struct svm_dev *dev = svm_dev_get(dev_id);

	if (dev == NULL)
		return -ENODEV;
	return bond == RTE_SVM_OWNER ? -EINVAL : svm_dev_unbind(dev, bond);
}

static void
bond_describe(const struct svm_bond *b, struct rte_svm_bond_info *info)
{
	const uint32_t life = __atomic_load_n(&b->life, __ATOMIC_RELAXED);

	/* Relaxed: counters, each whole. */
	*info = (struct rte_svm_bond_info){
		.bond = b->id,
		.user = b->user,
		.ops = __atomic_load_n(&b->nb_ops, __ATOMIC_RELAXED),
		.bytes_in = __atomic_load_n(&b->bytes_in, __ATOMIC_RELAXED),
		.bytes_out = __atomic_load_n(&b->bytes_out, __ATOMIC_RELAXED),
		.faults = __atomic_load_n(&b->faults, __ATOMIC_RELAXED),
		.pasid = b->pasid,
		.pid = b->ident.pid,
		.state = life == SVM_BOND_ACTIVE ? RTE_SVM_BOND_ACTIVE :
			life == SVM_BOND_DEAD ? RTE_SVM_BOND_DEAD :
			RTE_SVM_BOND_DRAINING,
		.tier = RTE_SVM_TIER_CMA,
		.by_socket = b->by_socket,
	};
}

int
rte_svm_bond_info_get(uint16_t dev_id, uint64_t bond, struct rte_svm_bond_info *info)
{
	struct svm_dev *dev = svm_dev_get(dev_id);
	struct svm_bond *b;
	int ret = 0;

	if (dev == NULL)
		return -ENODEV;
	if (info == NULL)
		return -EINVAL;
	pthread_mutex_lock(&dev->bonds->lock);
	b = svm_bond_find_locked(dev->bonds, bond);
	if (b == NULL)
		ret = -ENOENT;
	else
		bond_describe(b, info);
	pthread_mutex_unlock(&dev->bonds->lock);
	return ret;
}

int
rte_svm_bond_list(uint16_t dev_id, uint64_t *bonds, uint32_t n)
{
	struct svm_dev *dev = svm_dev_get(dev_id);
	uint32_t i, found = 0;

	if (dev == NULL)
		return -ENODEV;
	pthread_mutex_lock(&dev->bonds->lock);
	for (i = 0; i != svm_pasid_highest(dev->bonds->pasids); i++) {
		const uint64_t id = dev->bonds->bonds[i].id;

		if (svm_bond_find_locked(dev->bonds, id) == NULL)
			continue;
		if (found < n)
			bonds[found] = id;
		found++;
	}
	pthread_mutex_unlock(&dev->bonds->lock);
	return found;
}

int
rte_svm_vchan_attach(uint16_t dev_id, uint16_t vchan, uint64_t src_bond,
		uint64_t dst_bond)
{
	struct svm_dev *dev = svm_dev_get(dev_id);

	if (dev == NULL || dev->attach == NULL)
		return -ENODEV;
	return dev->attach(dev->attach_arg, vchan, src_bond, dst_bond);
}

/* ---- queues ---- */

#define HELD_WORDS(dev)	((dev)->conf.max_bonds / 64 + 1)

int
rte_svm_queue_create(uint16_t dev_id, uint32_t depth, struct rte_svm_queue **queue)
{
	struct svm_dev *dev = svm_dev_get(dev_id);
	struct rte_svm_queue *q;
	int ret;

	if (dev == NULL)
		return -ENODEV;
	if (queue == NULL || svm_ring_depth_check(depth) < 0)
		return -EINVAL;
	q = calloc(1, sizeof(*q));
	if (q == NULL)
		return -ENOMEM;
	q->dev = dev;
	ret = -ENOMEM;
	q->cookies = calloc(depth, sizeof(*q->cookies));
	q->held = calloc(HELD_WORDS(dev), sizeof(*q->held));
	if (q->cookies == NULL || q->held == NULL)
		goto free_queue;
	q->retire_epoch = __atomic_load_n(&dev->bonds->retire_epoch, __ATOMIC_ACQUIRE);
	ret = svm_oq_create(dev, depth, &q->oq);
	if (ret < 0)
		goto free_queue;
	*queue = q;
	return 0;

free_queue:
	free(q->held);
	free(q->cookies);
	free(q);
	return ret;
}

/* Let go of the bonds that are not live any more, or of all. Not the hot path. */
static __rte_noinline void
queue_release_bonds(struct rte_svm_queue *q, bool all)
{
	uint32_t word;

	for (word = 0; word != HELD_WORDS(q->dev) && q->nb_held != 0; word++) {
		uint64_t bits = q->held[word];

		while (bits != 0) {
			const uint32_t pasid = word * 64 + __builtin_ctzll(bits);

			bits &= bits - 1;
			if (!all && svm_bond_pasid_live(q->dev->bonds, pasid))
				continue;
			q->held[word] &= ~(UINT64_C(1) << (pasid % 64));
			q->nb_held--;
			svm_bond_table_release(q->dev->bonds, pasid);
		}
	}
}

int
rte_svm_queue_destroy(struct rte_svm_queue *q)
{
	int ret;

	if (q == NULL)
		return -EINVAL;
	ret = svm_oq_destroy(q->oq);
	if (ret < 0)
		return ret;
	queue_release_bonds(q, true);
	free(q->held);
	free(q->cookies);
	free(q);
	return 0;
}

/* First use of a bond in this queue: hold it. Not the hot path. */
static __rte_noinline uint32_t
queue_hold(struct rte_svm_queue *q, uint64_t bond)
{
	uint32_t pasid;

	if (svm_bond_table_hold(q->dev->bonds, bond, &pasid) < 0)
		return SVM_SPACE(SVM_SPACE_NONE,
			svm_bond_was_given(q->dev->bonds, bond) ?
				SVM_ST_BOND_DEAD : SVM_ST_BAD_SPACE);
	q->held[pasid / 64] |= UINT64_C(1) << (pasid % 64);
	q->nb_held++;
	return SVM_SPACE(SVM_SPACE_PASID, pasid);
}

/*
 * The space a bond id stands for. One that names no bond becomes a space that
 * the engine refuses, so that the refusal is a result like any other.
 */
static inline uint32_t
queue_space(struct rte_svm_queue *q, uint64_t bond)
{
	const uint32_t pasid = bond & SVM_PASID_MAX;

	if (bond == RTE_SVM_OWNER)
		return SVM_SPACE(SVM_SPACE_PASID, 0);
	/* Relaxed: an id does not change while it is held. */
	if (likely(pasid != 0 && pasid <= q->dev->conf.max_bonds &&
			(q->held[pasid / 64] >> (pasid % 64) & 1) &&
			__atomic_load_n(&q->dev->bonds->bonds[pasid - 1].id,
				__ATOMIC_RELAXED) == bond))
		return SVM_SPACE(SVM_SPACE_PASID, pasid);
	return queue_hold(q, bond);
}

static inline void
queue_put(struct rte_svm_queue *q, uint32_t counter, const struct rte_svm_op *op)
{
	struct svm_producer *p = &q->oq->prod;
	struct svm_desc d = {
		.op = op->op <= UINT8_MAX ? op->op : UINT8_MAX,
		.flags = op->flags <= UINT8_MAX ? op->flags : UINT8_MAX,
		.len = op->len,
		.src = op->src,
		.dst = op->dst,
		.src_space = queue_space(q, op->src_bond),
		.dst_space = queue_space(q, op->dst_bond),
		.cookie = op->cookie,
		.pattern = op->pattern,
	};

	if (op->op == RTE_SVM_OP_COPY_SG) {
		struct svm_seg *segs = svm_producer_segs(p, counter);
		uint32_t i;

		d.len = op->nb_segs;
		for (i = 0; i != op->nb_segs; i++)
			segs[i] = (struct svm_seg){
				.src = op->segs[i].src,
				.dst = op->segs[i].dst,
				.len = op->segs[i].len,
			};
	}
	q->cookies[counter & p->ring.mask] = op->cookie;
	svm_producer_fill(p, counter, &d);
}

static inline bool
op_segs_ok(const struct rte_svm_op *op)
{
	return op->op != RTE_SVM_OP_COPY_SG || (op->segs != NULL &&
		op->nb_segs != 0 && op->nb_segs <= RTE_SVM_SG_MAX);
}

/* Bonds were retired since: with nothing in flight here, let go of them. */
static inline void
queue_check_epoch(struct rte_svm_queue *q)
{
	/* Acquire: pairs with the release add in svm_bond_retire(). */
	const uint32_t epoch = __atomic_load_n(&q->dev->bonds->retire_epoch,
			__ATOMIC_ACQUIRE);
	const struct svm_producer *p = &q->oq->prod;

	if (likely(epoch == q->retire_epoch) || p->tail != p->reaped)
		return;
	q->retire_epoch = epoch;
	queue_release_bonds(q, false);
}

int
rte_svm_submit(struct rte_svm_queue *q, const struct rte_svm_op *ops, uint32_t n)
{
	struct svm_producer *p = &q->oq->prod;
	uint32_t room, first, i;

	queue_check_epoch(q);
	room = svm_producer_room(p);
	n = RTE_MIN(n, room);
	for (i = 0; i != n && likely(op_segs_ok(&ops[i])); i++)
		;
	if (i == 0 && n != 0)
		return -EINVAL;
	n = i;
	if (n == 0 || !svm_producer_claim(p, n, &first))
		return 0;
	for (i = 0; i != n; i++)
		queue_put(q, first + i, &ops[i]);
	/* The first one last: the engine sees the whole burst at once. */
	for (i = n; i-- != 0;)
		svm_producer_mark(p, first + i);
	svm_oq_kick(q->oq);
	return n;
}

int
rte_svm_poll(struct rte_svm_queue *q, struct rte_svm_result *results, uint32_t n)
{
	struct svm_producer *p = &q->oq->prod;
	uint32_t i;

	svm_oq_kick(q->oq);
	for (i = 0; i != n; i++) {
		const uint32_t slot = p->reaped & p->ring.mask;
		struct svm_cpl c;

		if (!svm_producer_poll(p, &c))
			break;
		results[i] = (struct rte_svm_result){
			.cookie = q->cookies[slot],
			.fault_addr = c.fault_addr,
			.done = c.done,
			.status = c.status,
		};
	}
	queue_check_epoch(q);
	return i;
}

int
rte_svm_progress(uint16_t dev_id)
{
	struct svm_dev *dev = svm_dev_get(dev_id);
	uint32_t n;

	if (dev == NULL)
		return -ENODEV;
	if (dev->conf.engine != RTE_SVM_ENGINE_INLINE ||
			__atomic_load_n(&dev->nb_starts, __ATOMIC_RELAXED) == 0 ||
			!svm_engine_try_acquire(dev->engine))
		return 0;
	n = svm_engine_turn(dev->engine);
	svm_engine_release(dev->engine);
	return n;
}

int
rte_svm_fault_poll(uint16_t dev_id, struct rte_svm_fault *faults, uint32_t n)
{
	struct svm_dev *dev = svm_dev_get(dev_id);

	return dev == NULL ? -ENODEV : (int)svm_fault_take(dev->faults, faults, n);
}

const char *
rte_svm_status_name(enum rte_svm_status status)
{
	static const char *const names[] = {
		[RTE_SVM_ST_OK] = "OK",
		[RTE_SVM_ST_PAGE_FAULT] = "PAGE_FAULT",
		[RTE_SVM_ST_MISMATCH] = "MISMATCH",
		[RTE_SVM_ST_BAD_OP] = "BAD_OP",
		[RTE_SVM_ST_BAD_DESC] = "BAD_DESC",
		[RTE_SVM_ST_BAD_LEN] = "BAD_LEN",
		[RTE_SVM_ST_BAD_SPACE] = "BAD_SPACE",
		[RTE_SVM_ST_BOND_DEAD] = "BOND_DEAD",
		[RTE_SVM_ST_DENIED] = "DENIED",
		[RTE_SVM_ST_TIMEOUT] = "TIMEOUT",
		[RTE_SVM_ST_ABORTED] = "ABORTED",
		[RTE_SVM_ST_NO_MEMORY] = "NO_MEMORY",
	};

	return (unsigned int)status < RTE_DIM(names) ? names[status] : "?";
}
